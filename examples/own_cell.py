"""A cell of one's own, in seven lines: drawn, differentiated, trained on a text, and timed beside an LSTM.

python examples/own_cell.py [--quick] [--out DIR] [--seed N]

The engine knows no cell by its name, so this one, made up for this page, has all that the LSTM has: pictures, derived
equations, and a step that costs its arithmetic. It keeps two memories, a fast one and a slow one, and one gate per unit
says how much of each is heard.
"""

from __future__ import annotations

import time

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.examples.datasets import python_docs
from tinygrad_rnn.examples.harness import Run, example, told
from tinygrad_rnn.graphs import Cell, stack

CELL = Cell("two_memories", """
    g[t] = tanh(W_xg @ x[t] + W_hg @ h[t-1] + b_g)                  # what is new
    q[t] = sigmoid(W_xq @ x[t] + W_hq @ h[t-1] + b_q)               # how fast the quick memory turns over
    s[t] = sigmoid(W_xs @ x[t] + W_hs @ h[t-1] + b_s)               # the same of the slow one
    m[t] = sigmoid(W_xm @ x[t] + W_hm @ h[t-1] + b_m)               # which of them is heard
    u[t] = u[t-1] + q[t] * (g[t] - u[t-1])                          # quick memory
    v[t] = v[t-1] + s[t] * (g[t] - v[t-1])                          # slow memory
    h[t] = m[t] * u[t] + (1 - m[t]) * v[t]                          # hidden state
""", {"b_s": -3.0})


@example(architecture="a cell made up here, beside an LSTM, 128 units each", data="the help topics of Python")
def main(run: Run) -> None:
    """Draw the cell and its gradient, train it beside an LSTM, and time both."""
    texts = python_docs()
    symbols = tr.data.Vocabulary("".join(texts))
    train, valid, test = (symbols.encode(text)[: run.pick(None, 6000)] for text in texts)
    hidden = run.pick(128, 16)
    sizes = {"inputs": len(symbols), "hidden": hidden, "outputs": len(symbols), "seed": run.seed}
    models = {"the cell of one's own": stack(CELL, **sizes), "LSTM": tr.graphs.lstm(**sizes)}
    own = models["the cell of one's own"]
    for view in ("cell", "unrolled", "backward"):
        run.draw(own, f"{view}.svg", view=view, steps=None if view == "cell" else 3)
    run.say(CELL.text.strip("\n"), "", "its gradient, derived:", "", *str(own.grad()).splitlines()[-24:])
    batch = next(iter(tr.data.streams(train, 32, 64)))
    small = own.check_gradient({name: value[:2, :8] for name, value in batch.items()})

    epochs = run.pick(5, 1)
    given, unseen = tr.data.streams(train, 32, 64), tr.data.streams(test, 8, 128)
    bits, curves = {}, {}
    for name, model in models.items():
        history = model.fit(given, optimizer=tr.Adam(tr.Cosine(6e-3, epochs * len(given))), epochs=epochs,
                            valid=tr.data.streams(valid, 8, 128), clip=5.0, carry_state=True, seed=run.seed,
                            progress=False, on_epoch=run.epoch)
        curves[name] = [loss / np.log(2) for loss in history.valid_loss]
        bits[name] = judged(model, unseen)
    costs = step_times(models, batch, run.pick(30, 2))
    run.curve(curves, what="bits per character, validation")
    multiplications = 4 * hidden * (hidden + len(symbols))  # both have four matrices for x and four for h
    run.say("", f"{multiplications:,} weights in the products of each, for x and h",
            *(f"{name}: {1000 * cost:.1f} ms a training step" for name, cost in costs.items()))
    run.figure("its step's time over the LSTM's", costs["the cell of one's own"] / costs["LSTM"], at_most=1.25,
               baseline="1, the same arithmetic")
    run.figure("bits per character", bits["the cell of one's own"], baseline=f"{bits['LSTM']:.3f}, LSTM as large")
    run.figure("error of the gradient, finite differences", max(small.values()), below=1e-5)


def judged(model: tr.Model, batches: tr.data.Streams) -> float:
    """Bits per character, the state carried on from batch to batch."""
    nats, state = [], None
    for batch in batches:
        out = model.run(**batch, want=["loss"], state=state)
        nats.append((float(out["loss"]), batch["x"].size))
        state = out.state
    return sum(loss * count for loss, count in nats) / sum(count for _, count in nats) / np.log(2)


def step_times(models: dict[str, tr.Model], batch: dict[str, np.ndarray], times: int) -> dict[str, float]:
    """Seconds of a training step, loss and all gradients, of each: the least of several, taken in turn."""
    least = dict.fromkeys(models, np.inf)
    for _ in range(times):
        for name, model in models.items():
            started = time.perf_counter()
            float(model.value_and_grad(batch)[0])  # a number has been waited for, also on a GPU
            least[name] = min(least[name], time.perf_counter() - started)
    return least


if __name__ == "__main__":
    told(main)
