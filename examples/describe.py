"""A picture of a digit, described in letters: a convolutional network reads it, an LSTM writes "seven".

python examples/describe.py [--quick] [--out DIR] [--seed N]

The same architecture as in image captioning. The model is never told that there are ten classes: it learns to write
the letters of a name one after another, and where the name ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.examples.datasets import digits
from tinygrad_rnn.examples.harness import Run, example, told

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
END = "."
LETTERS = tr.data.Vocabulary([*sorted(set("".join(NAMES))), END])
LONGEST = max(map(len, NAMES)) + 1


def described(part: dict[str, Any]) -> dict[str, Any]:
    """Pictures with their names: {"image": (N, 1, 8, 8), "w": letters, "lengths": how many}."""
    return {"image": part["x"][:, None],
            **tr.data.padded({"w": [LETTERS.encode([*NAMES[digit], END]) for digit in part["digit"]]})}


def shifted(data: dict[str, Any]) -> dict[str, Any]:
    """Four times as many pictures: each also moved by one point to either side, and up."""
    moves = [np.roll(data["image"], by, axis) for by, axis in ((0, 3), (1, 3), (-1, 3), (-1, 2))]
    return {"image": np.concatenate(moves), **{name: np.concatenate([data[name]] * 4) for name in ("w", "lengths")}}


def read(model: tr.Model, pictures: np.ndarray) -> list[str]:
    """What the model writes of each picture, taking the likeliest letter at each step."""
    end = int(LETTERS.encode([END])[0])
    out = model.run(image=pictures, steps=LONGEST, stop=end, temperature=0, want=["w"])
    rows = zip(tr.to_numpy(out["w"]), tr.to_numpy(out.lengths), strict=True)
    return ["".join(LETTERS.decode(w[:length])).rstrip(END) for w, length in rows]


@example(architecture="two convolutions with pooling, an LSTM of 64 units that starts from what they give",
         data="1,797 digits of scikit-learn")
def main(run: Run) -> None:
    """Train on pictures with their names, and count the names written exactly."""
    train, valid, test = digits()
    model = tr.graphs.caption(outputs=len(LETTERS) - 1, hidden=64, kernels=8, seed=run.seed)
    run.say(model, "")

    epochs = run.pick(20, 1)
    given = shifted(described(train))
    rate = tr.Cosine(4e-3, epochs * -(-len(given["image"]) // 32))
    history = model.fit(given, optimizer=tr.Adam(rate), epochs=epochs, valid=described(valid), clip=1.0, patience=8,
                        seed=run.seed, progress=False, on_epoch=run.epoch)

    run.curve({"training": history.loss, "validation": history.valid_loss}, what="nats per letter", log=True)
    run.draw(model, "unrolled.svg", view="unrolled", steps=3)
    names = [NAMES[digit] for digit in test["digit"]]
    written = read(model, test["x"][:, None])
    show(run, test["x"], written, names)
    commonest = max(np.bincount(test["digit"])) / len(names)
    run.figure("digits named exactly", float(np.mean([w == name for w, name in zip(written, names, strict=True)])),
               at_least=0.95, baseline=f"{commonest:.3f}, always one name")


def show(run: Run, pictures: np.ndarray, written: list[str], names: list[str]) -> None:
    """Test pictures and what was written of them, first those that were misread."""
    order = sorted(range(len(names)), key=lambda k: written[k] == names[k])
    with run.plot("named.png", rows=3, columns=8, size=(8, 3.8)) as axes:
        for one, k in zip(axes.flat, order, strict=False):
            one.imshow(pictures[k], cmap="Greys")
            one.set_title(written[k], fontsize=10, color="black" if written[k] == names[k] else "#C04E00")
            one.set(xticks=[], yticks=[])
            one.set_xlabel("" if written[k] == names[k] else f"is {names[k]}", fontsize=8)


if __name__ == "__main__":
    told(main)
