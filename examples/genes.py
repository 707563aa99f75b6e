"""Where the genes of a bacterium are: every base is told to be in a gene, on which strand, or in none.

python examples/genes.py [--quick] [--out DIR] [--seed N]

A step is three bases, the length of a codon, so that a gene keeps its frame from step to step; the model reads the
codons of all three frames and labels each of the three bases, in both directions along the genome. Half of the training
windows are read on the other strand. The labels are those of a gene finder, pyrodigal; the last fifth of the genome is
held out, one half to choose by and one to judge by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.examples.datasets import LABELS, genome
from tinygrad_rnn.examples.harness import Run, example, told

CODON = 3
FRAMES, TAGS = ("p", "q", "r"), ("k1", "k2", "k3")
READING = """
    x[t] = relu(E_p @ p[t] + E_q @ q[t] + E_r @ r[t] + b_x)         # the codon from each of the three bases on
    d[t] = dropout(h[t], 0.2)
    y1[t] = softmax(V_1 @ d[t] + b_1)                               # how likely each label is, of the first base
    y2[t] = softmax(V_2 @ d[t] + b_2)
    y3[t] = softmax(V_3 @ d[t] + b_3)
    l[t] = cross_entropy(y1[t], k1[t]) + cross_entropy(y2[t], k2[t]) + cross_entropy(y3[t], k3[t])
    loss = mean(l[t]) / 3
"""


def steps(base: np.ndarray, label: np.ndarray) -> dict[str, np.ndarray]:
    """Windows (N, bases) as steps of three bases: the codons that begin at each, and their labels."""
    codon = 16 * base.astype(np.int64) + 4 * np.roll(base, -1, axis=1) + np.roll(base, -2, axis=1)
    return {**{name: codon[:, k::CODON] for k, name in enumerate(FRAMES)},
            **{name: label[:, k::CODON].astype(np.int64) for k, name in enumerate(TAGS)}}


def windows(part: dict[str, np.ndarray], length: int, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(bases, labels), each (N, length): what stands one after another from `start` on."""
    count = (len(part["base"]) - start) // length
    end = start + count * length
    return part["base"][start:end].reshape(count, length), part["label"][start:end].reshape(count, length)


@dataclass
class Genome:
    """Batches of windows that begin elsewhere in each epoch, every other one read on the other strand."""

    part: dict[str, np.ndarray]
    length: int
    size: int
    seed: int

    def __len__(self) -> int:
        return len(self.part["base"]) // self.length // self.size

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return self.epoch(0)

    def epoch(self, number: int) -> Iterator[dict[str, np.ndarray]]:
        """The windows of one epoch: their beginning, order and strand are drawn by its number."""
        rng = np.random.default_rng([self.seed, number])
        base, label = windows(self.part, self.length, int(rng.integers(0, self.length)))
        order = rng.permutation(len(base))
        for k in range(0, len(order) - self.size + 1, self.size):
            rows = order[k : k + self.size]
            half = self.size // 2
            there, back = (base[rows[:half]], label[rows[:half]]), (base[rows[half:]], label[rows[half:]])
            other = 3 - back[0][:, ::-1], np.array([0, 2, 1])[back[1][:, ::-1]]  # A with T, C with G; from the end on
            yield steps(np.concatenate([there[0], other[0]]), np.concatenate([there[1], other[1]]))


@example(architecture="bidirectional LSTM of 2 x 96 units over codons", data="Corynebacterium diphtheriae NCTC 11397")
def main(run: Run) -> None:
    """Train on most of the genome, and label the bases of the part held out."""
    train, valid, test = genome(run.pick(None, 100_000))
    model = tr.graphs.bidirectional(inputs=64, hidden=run.pick(96, 8), cell="lstm", head="none")
    model = model.extend(READING, **dict.fromkeys(FRAMES, 64), **dict.fromkeys(TAGS, len(LABELS)))
    model.initialise(run.seed, {"b_f_*": 1.0})
    run.say(model, "")

    epochs = run.pick(15, 1)
    given = Genome(train, run.pick(1020, 300), run.pick(32, 8), run.seed)
    chosen = steps(*windows(valid, run.pick(3060, 300)))
    history = model.fit(given, optimizer=tr.Adam(tr.Cosine(5e-3, epochs * len(given))), epochs=epochs, valid=chosen,
                        clip=1.0, seed=run.seed, progress=False, on_epoch=run.epoch)

    run.curve({"training": history.loss, "validation": history.valid_loss}, what="nats per base")
    run.draw(model, "unrolled.svg", view="unrolled", steps=3)
    base, label = windows(test, run.pick(3060, 300))
    share = shares(model, base, label)
    show(run, share.reshape(-1, len(LABELS))[:15_000], label.reshape(-1)[:15_000])
    said = share.argmax(axis=2)
    baseline = max(np.bincount(label.reshape(-1))) / label.size
    run.figure("bases labelled right", float((said == label).mean()), at_least=0.88,
               baseline=f"{baseline:.3f}, always one label")
    for number in np.unique(label):
        run.figure(f"right where {'there is none' if number == 0 else f'a gene is {LABELS[number]}'}",
                   float((said == label)[label == number].mean()))


def shares(model: tr.Model, base: np.ndarray, label: np.ndarray) -> np.ndarray:
    """How likely each label is at each base: (N, bases, 3)."""
    data = steps(base, label)
    out = model.run({name: data[name] for name in FRAMES}, want=["y1", "y2", "y3"])
    three = [tr.to_numpy(out[name]) for name in ("y1", "y2", "y3")]
    return np.stack(three, axis=2).reshape(*base.shape, len(LABELS))


def show(run: Run, share: np.ndarray, label: np.ndarray) -> None:
    """A stretch of the test: where forward and reverse genes are, and how likely the model finds each."""
    place = np.arange(len(label)) / 1000
    with run.plot("genes.png", rows=2, size=(9, 3.4), sharex=True, sharey=True) as axes:
        for one, number in zip(axes.flat, (1, 2), strict=True):
            one.fill_between(place, label == number, color="#BBB", step="mid", lw=0, label="gene")
            one.plot(place, share[:, number], color="#C04E00", lw=0.9, label="model")
            one.set(ylabel=LABELS[number], ylim=(0, 1.02), yticks=(0, 1))
        one.set_xlabel("thousand bases of the part that is held out")
        axes.flat[0].legend(loc="upper right", ncols=2, bbox_to_anchor=(1, 1.3), frameon=False)


if __name__ == "__main__":
    told(main)
