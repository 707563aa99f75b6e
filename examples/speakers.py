"""Which of nine men says the vowels: a bidirectional network over twelve coefficients of speech.

Each utterance of /ae/ is 7 to 29 frames long. One LSTM reads it from the start and one from the end, and the mean of
what they know over all frames decides. Lengths differ, so batches are of about equally long utterances, padded.
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.examples import datasets
from tinygrad_rnn.examples.harness import Run, example, told

DECISION = """
    v = dropout(mean(h[t], over=t), 0.5)                        # of all frames
    y = softmax(W_vy @ v + b_y)
    loss = mean(cross_entropy(y, speaker[n]))
"""


@example(architecture="bidirectional LSTM of 64 and 64 units, mean over time",
         data="640 utterances of Japanese vowels, fetched by `make data`")
def main(run: Run) -> None:
    """Train on some utterances of each man, and tell the speaker of others."""
    train, test = datasets.japanese_vowels()
    frames = np.concatenate(train["x"])
    for part in (train, test):
        part["x"] = [(x - frames.mean(0)) / frames.std(0) for x in part["x"]]

    network = tr.graphs.bidirectional(inputs=12, hidden=64, cell="lstm", head="none", seed=run.seed)
    model = network.extend(DECISION, y=9)
    batches, epochs = tr.data.bucketed(train, 16, buckets=3, seed=run.seed), run.pick(40, 1)
    history = model.fit(batches, epochs=epochs, clip=1.0, seed=run.seed, progress=False, on_epoch=run.epoch,
                        optimizer=tr.Adam(tr.Cosine(3e-3, epochs * len(batches))))

    y = tr.to_numpy(model.run(**tr.data.padded(test), want=["y"])["y"])
    run.figure("accuracy", np.mean(y.argmax(-1) == test["speaker"]), at_least=0.95,
               baseline=f"{nearest(train, test):.3f}, nearest mean of frames", published="0.941, Kudo et al. 1999")
    run.curve({"training": history.loss}, log=True)
    run.draw(model, "folded.svg")
    run.draw(model, "unrolled.svg", view="unrolled", steps=3)
    counts = np.zeros((9, 9), int)
    np.add.at(counts, (test["speaker"], y.argmax(-1)), 1)
    with run.plot("confusion.png", size=(4.2, 3.8)) as axes:
        axes.imshow(np.sqrt(counts), cmap="Blues")
        for row, column in zip(*np.nonzero(counts), strict=True):
            axes.text(column, row, counts[row, column], ha="center", va="center", fontsize=8,
                      color="white" if row == column else "black")
        axes.set(xlabel="speaker said", ylabel="speaker", xticks=range(9), yticks=range(9))


def nearest(train: dict, test: dict) -> float:
    """The accuracy of the nearest utterance of the training part, by the mean over its frames."""
    known, asked = (np.array([x.mean(0) for x in part["x"]]) for part in (train, test))
    found = ((asked[:, None] - known) ** 2).sum(-1).argmin(1)
    return float(np.mean(train["speaker"][found] == test["speaker"]))


if __name__ == "__main__":
    told(main)
