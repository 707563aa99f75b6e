"""Handwritten digits read row by row, and at one glance: many-to-one and one-to-one.

A picture of 8 by 8 points is eight rows to a recurrent network, which says the digit after the last; beside it a
network without time sees all the points at once. The second is the first without its index t.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.examples import datasets
from tinygrad_rnn.examples.harness import Run, example, told

ROWS = """
    z[t] = sigmoid(W_z @ x[t] + U_z @ h[t-1] + b_z)             # update gate
    r[t] = sigmoid(W_r @ x[t] + U_r @ h[t-1] + b_r)             # reset gate
    g[t] = tanh(W_g @ x[t] + U_g @ (r[t] * h[t-1]) + b_g)       # candidate
    h[t] = z[t] * h[t-1] + (1 - z[t]) * g[t]
    d = dropout(h[T], 0.5)                                      # what is known after the last row
    y = softmax(V @ d + c)
    loss = mean(cross_entropy(y, digit[n]))
"""
GLANCE = """
    h = relu(W @ x[n] + b)
    d = dropout(h, 0.5)
    y = softmax(V @ d + c)
    loss = mean(cross_entropy(y, digit[n]))
"""


@example(architecture="gated recurrent unit of 96 units over rows; one hidden layer over points",
         data="1,797 digits of 8 by 8 points, with scikit-learn")
def main(run: Run) -> None:
    """Train both networks, and compare them with the nearest neighbour."""
    train, valid, test = datasets.digits()
    nearest = float(np.mean(neighbour(train, test["x"]) == test["digit"]))
    models = {"rows": tr.equations(ROWS, name="rows", x=8, h=96, y=10),
              "glance": tr.equations(GLANCE, name="glance", x=64, h=128, y=10)}
    shapes = {"rows": (8, 8), "glance": (64,)}
    curves: dict[str, list[float]] = {}
    said: dict[str, np.ndarray] = {}
    for name, model in models.items():
        model.initialise(run.seed)
        parts = [{**part, "x": part["x"].reshape(-1, *shapes[name])} for part in (train, valid, test)]
        history, said[name] = learned(run, model, *parts)
        curves |= {f"{name}, training": history.loss, f"{name}, validation": history.valid_loss}
        run.figure(f"accuracy, {name}", np.mean(said[name] == test["digit"]), at_least=0.97,
                   baseline=f"{nearest:.3f}, nearest neighbour", published="0.98, nearest neighbour, all its data")
        run.draw(model, f"{name}.svg")
    run.draw(models["rows"], "unrolled.svg", view="unrolled", steps=3)

    run.curve(curves, log=True)
    wrong = np.flatnonzero(said["rows"] != test["digit"])[:10]
    with run.plot("mistakes.png", columns=10, size=(8, 1.4)) as columns:
        for axes, k in zip(columns[0], wrong, strict=False):
            axes.imshow(test["x"][k], cmap="Greys")
            axes.set_title(f"{test['digit'][k]}, not {said['rows'][k]}", fontsize=8)
        for axes in columns[0]:
            axes.set_axis_off()


def learned(run: Run, model: tr.Model, train: dict, valid: dict, test: dict) -> tuple[Any, np.ndarray]:
    """Train a model, and ask it for the digits of the test part."""
    epochs, batch = run.pick(80, 1), 32
    rate = tr.Cosine(3e-3, epochs * -(-len(train["x"]) // batch))
    history = model.fit(train, valid=valid, epochs=epochs, batch_size=batch, clip=1.0, patience=20, seed=run.seed,
                        optimizer=tr.Adam(rate), progress=False, on_epoch=run.epoch)
    return history, tr.to_numpy(model.run(x=test["x"], want=["y"])["y"]).argmax(-1)


def neighbour(train: dict, x: np.ndarray) -> np.ndarray:
    """The digit of the nearest picture of the training part."""
    known, asked = train["x"].reshape(-1, 64), x.reshape(-1, 64)
    return train["digit"][((asked[:, None] - known) ** 2).sum(-1).argmin(1)]


if __name__ == "__main__":
    told(main)
