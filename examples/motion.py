"""Standing, running, walking or badminton, from ten seconds of a smart watch.

Six channels, three of acceleration and three of rotation, ten times a second. A gated recurrent unit reads them, and
the mean of its state over time decides.
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.examples import datasets
from tinygrad_rnn.examples.harness import Run, example, told

DECISION = """
    v = dropout(mean(h[t], over=t), 0.3)                        # of all the ten seconds
    y = softmax(W_vy @ v + b_y)
    loss = mean(cross_entropy(y, activity[n]))
"""


@example(architecture="gated recurrent unit of 32 units, mean over time",
         data="80 recordings of BasicMotions, fetched by `make data`")
def main(run: Run) -> None:
    """Train on half of the recordings, and tell the motion in the others."""
    train, test = datasets.basic_motions()
    mean, deviation = (getattr(train["x"], of)(axis=(0, 1)) for of in ("mean", "std"))
    for part in (train, test):
        part["x"] = (part["x"] - mean) / deviation

    model = tr.graphs.gru(inputs=6, hidden=32, head="none", seed=run.seed).extend(DECISION, y=4)
    epochs = run.pick(100, 1)
    history = model.fit(train, batch_size=8, epochs=epochs, clip=1.0, seed=run.seed, progress=False,
                        on_epoch=run.epoch, optimizer=tr.Adam(tr.Cosine(5e-3, 5 * epochs)))

    y = tr.to_numpy(model.run(x=test["x"], want=["y"])["y"])
    run.figure("accuracy", np.mean(y.argmax(-1) == test["activity"]), at_least=0.95,
               baseline=f"{nearest(train, test):.3f}, nearest recording",
               published="0.975 and 1, two kinds of time warping, Bagnall et al. 2018")
    run.curve({"training": history.loss}, log=True)
    run.draw(model, "folded.svg")
    run.draw(model, "unrolled.svg", view="unrolled", steps=3)
    sofar = model.extend("u[t] = h[t] + u[t-1]\np[t] = softmax(W_vy @ (u[t] / t) + b_y)")
    picture(run, test, tr.to_numpy(sofar.run(x=test["x"], want=["p"])["p"]))


def picture(run: Run, test: dict, p: np.ndarray) -> None:
    """One recording of each activity, above what the network thinks of it after each step."""
    with run.plot("recordings.png", rows=2, columns=4, size=(9, 3.6), sharex=True, sharey="row") as axes:
        for k, name in enumerate(datasets.ACTIVITIES):
            one = int(np.flatnonzero(test["activity"] == k)[0])
            seconds = np.arange(1, p.shape[1] + 1) / 10
            axes[0, k].plot(seconds, test["x"][one], lw=0.7)
            axes[0, k].set_title(name)
            lines = axes[1, k].plot(seconds, p[one])
            axes[1, k].set(xlabel="seconds", ylim=(-0.02, 1.02))
        axes[0, 0].set_ylabel("channels")
        axes[1, 0].set_ylabel("probability so far")
        axes[1, 0].legend(lines, datasets.ACTIVITIES, frameon=False, fontsize=7)


def nearest(train: dict, test: dict) -> float:
    """The accuracy of the nearest recording of the training part, point by point."""
    found = ((test["x"][:, None] - train["x"]) ** 2).sum(axis=(2, 3)).argmin(1)
    return float(np.mean(train["activity"][found] == test["activity"]))


if __name__ == "__main__":
    told(main)
