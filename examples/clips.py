"""Which way does the digit move? A convolution sees each frame, an LSTM sees the frames.

python examples/clips.py [--quick] [--out DIR] [--seed N]

A handwritten digit moves over a field whose edges meet, a point or two a frame, in one of eight directions. It starts
anywhere, so that no single frame says anything of where it goes: a network without memory can only guess. The digits
of the test are others than those of training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.examples.datasets import digits
from tinygrad_rnn.examples.harness import Run, example, told

FIELD, FRAMES = 12, 6
MOVES = {"→": (0, 1), "↗": (-1, 1), "↑": (-1, 0), "↖": (-1, -1), "←": (0, -1), "↙": (1, -1), "↓": (1, 0), "↘": (1, 1)}
EQUATIONS = """
    m[t] = max_pool(relu(conv2d(x[t], K, b_K, padding=1)), size=2)      # what is where in a frame
    v[t] = relu(W_v @ reshape(m[t], shape=-1) + b_v)
    i[t] = sigmoid(W_vi @ v[t] + W_hi @ h[t-1] + b_i)                   # input gate
    f[t] = sigmoid(W_vf @ v[t] + W_hf @ h[t-1] + b_f)                   # forget gate
    o[t] = sigmoid(W_vo @ v[t] + W_ho @ h[t-1] + b_o)                   # output gate
    g[t] = tanh(W_vg @ v[t] + W_hg @ h[t-1] + b_g)                      # candidate
    c[t] = f[t] * c[t-1] + i[t] * g[t]                                  # cell state
    h[t] = o[t] * tanh(c[t])                                            # hidden state
    y = softmax(W_y @ h[T] + b_y)
    loss = mean(cross_entropy(y, direction[n]))
"""


@dataclass
class Clips:
    """Clips of these pictures, (count, frames, 1, field, field), drawn anew in each epoch."""

    pictures: np.ndarray
    count: int
    seed: int
    size: int = 64

    def __len__(self) -> int:
        return self.count // self.size

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return self.epoch(0)

    def epoch(self, number: int) -> Iterator[dict[str, np.ndarray]]:
        """The clips of one epoch, drawn by its number."""
        rng = np.random.default_rng([self.seed, number])
        for _ in range(len(self)):
            yield clips(self.pictures[rng.integers(0, len(self.pictures), self.size)], rng)


def clips(pictures: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One clip of each picture: {"x": frames, "direction": numbers in MOVES}."""
    count = len(pictures)
    direction = rng.integers(0, len(MOVES), count)
    step = np.array(list(MOVES.values()))[direction] * rng.integers(1, 3, (count, 1))
    place = rng.integers(0, FIELD, (count, 1, 2)) + step[:, None] * np.arange(FRAMES)[:, None]  # (count, frames, 2)
    field = np.zeros((count, FIELD, FIELD), np.float32)
    field[:, :8, :8] = pictures
    rows, columns = (np.arange(FIELD) - place[..., [k]] for k in range(2))  # where each point of a frame comes from
    x = field[np.arange(count)[:, None, None, None], rows[..., None] % FIELD, columns[..., None, :] % FIELD]
    return {"x": x[:, :, None], "direction": direction}


@example(architecture="a convolution of 8 kernels for each frame, an LSTM of 64 units over the frames",
         data="clips made from 1,797 digits of scikit-learn")
def main(run: Run) -> None:
    """Train on clips of some digits, and tell the direction of others."""
    train, valid, test = (part["x"] for part in digits())
    model = tr.equations(EQUATIONS, name="clips", x=(1, FIELD, FIELD), K=(8, 1, 3, 3), v=64, h=64, y=len(MOVES))
    model.initialise(run.seed, {"b_f": 1.0, "K": tr.He()})
    run.say(model, "")

    epochs = run.pick(10, 1)
    given = Clips(train, run.pick(6400, 64), run.seed)
    rng = np.random.default_rng(run.seed)
    chosen = clips(np.tile(valid, (4, 1, 1)), rng)
    history = model.fit(given, optimizer=tr.Adam(tr.Cosine(4e-3, epochs * len(given))), epochs=epochs, valid=chosen,
                        clip=1.0, seed=run.seed, progress=False, on_epoch=run.epoch)

    run.curve({"training": history.loss, "validation": history.valid_loss}, what="nats per clip", log=True,
              levels={"guessing": float(np.log(len(MOVES)))})
    run.draw(model, "unrolled.svg", view="unrolled", steps=3)
    run.draw(model, "folded.svg")
    shown = clips(np.tile(test, (4, 1, 1)), rng)
    found = tr.to_numpy(model.run(x=shown["x"], want=["y"])["y"]).argmax(axis=1)
    show(run, shown, found)
    run.figure("directions told right", float((found == shown["direction"]).mean()), at_least=0.98,
               baseline=f"{1 / len(MOVES):.3f}, from one frame")


def show(run: Run, shown: dict[str, np.ndarray], found: np.ndarray) -> None:
    """Some test clips, and what the model says of them."""
    with run.plot("clips.png", rows=4, columns=FRAMES, size=(6, 4.4)) as axes:
        for row, frames, said, is_so in zip(axes, shown["x"], found, shown["direction"], strict=False):
            row[0].set_ylabel(f"{list(MOVES)[is_so]}  said {list(MOVES)[said]}", rotation=0, ha="right", va="center")
            for one, frame in zip(row, frames[:, 0], strict=True):
                one.imshow(frame, cmap="Greys", vmin=0, vmax=1)
                one.set(xticks=[], yticks=[])
                one.spines[:].set_visible(True)


if __name__ == "__main__":
    told(main)
