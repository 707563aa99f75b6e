"""Dates as people write them, in ten languages, to ISO 8601: an encoder, a decoder, and attention between them.

python examples/dates.py [--quick] [--out DIR] [--seed N]

"venerdì 14 agosto 2026" is read letter by letter, in both directions, and "2026-08-14" is written sign by sign. At each
step the decoder weighs all the letters and looks at a mixture of them; the picture of these weights shows that it has
learnt where the year, the month and the day stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import tinygrad_rnn as tr
from tinygrad_rnn.examples.datasets import dates
from tinygrad_rnn.examples.harness import Run, example, told

SIGNS = tr.data.Vocabulary("-0123456789")  # of the ISO form, YYYY-MM-DD
STEPS = 10


def batches(part: dict[str, Any], letters: tr.data.Vocabulary, size: int) -> tr.data.Bucketed:
    """Texts run over s, the ISO form over t."""
    return tr.data.bucketed({"x": [letters.encode(text) for text in part["text"]],
                             "w": [SIGNS.encode(iso) for iso in part["iso"]]}, size, over={"x": "s", "w": "t"})


def exact(model: tr.Model, data: Iterable[dict[str, Any]]) -> float:
    """The share of dates of which the model, taking the likeliest sign at each step, writes every sign right."""
    right = []
    for batch in data:
        source = {"s": batch["lengths"]["s"]}
        written = model.run(x=batch["x"], lengths=source, steps=STEPS, temperature=0, want=["w"])["w"]
        right += (tr.to_numpy(written) == batch["w"]).all(axis=1).tolist()
    return sum(right) / len(right)


@example(architecture="bidirectional gated encoder, gated decoder with additive attention, 64 units",
         data="10,000 dates written by babel")
def main(run: Run) -> None:
    """Train the translator, count the dates that it writes exactly, and draw where it looks."""
    train, valid, test = dates(run.pick(10_000, 300))
    letters = tr.data.Vocabulary("".join(train["text"] + valid["text"] + test["text"]))
    model = tr.graphs.bahdanau(inputs=len(letters), hidden=run.pick(64, 16), outputs=len(SIGNS), eos=False,
                               seed=run.seed)
    run.say(model, "")

    epochs = run.pick(6, 1)
    given = batches(train, letters, 32)
    rate = tr.Cosine(5e-3, epochs * len(given))
    history = model.fit(given, optimizer=tr.Adam(rate), epochs=epochs, valid=batches(valid, letters, 250), clip=1.0,
                        patience=3, seed=run.seed, progress=False, on_epoch=run.epoch)

    run.curve({"training": history.loss, "validation": history.valid_loss}, log=True, what="nats per sign")
    run.draw(model, "unrolled.svg", view="unrolled", steps=3)
    show_attention(run, model, letters, test)
    run.figure("dates written exactly", exact(model, batches(test, letters, 250)), at_least=0.99,
               baseline=f"{guessed(test):.3f}, numbers copied, month guessed")


def show_attention(run: Run, model: tr.Model, letters: tr.data.Vocabulary, test: dict[str, Any]) -> None:
    """Where the decoder looks while it writes the two longest dates: a row for each sign, dark where it looks."""
    chosen = sorted(range(len(test["text"])), key=lambda k: -len(test["text"][k]))[:2]
    with run.plot("attention.png", rows=2, size=(8, 5.2)) as axes:
        for one, k in zip(axes.flat, chosen, strict=True):
            text = test["text"][k]
            out = model.run(x=letters.encode(text)[None], steps=STEPS, temperature=0, want=["a", "w"])
            one.imshow(tr.to_numpy(out["a"])[0], cmap="Greys", vmin=0, vmax=1, aspect="auto")
            one.set_xticks(range(len(text)), list(text))
            one.set_yticks(range(STEPS), list(SIGNS.decode(tr.to_numpy(out["w"])[0])))


def guessed(part: dict[str, Any]) -> float:
    """The share of dates that come out right when the numbers are copied and the month is always May."""
    right = 0
    for text, iso in zip(part["text"], part["iso"], strict=True):
        numbers = re.findall(r"\d+", text)
        day, year = min(numbers, key=len), max(numbers, key=len)
        right += iso == f"{year}-05-{day:0>2}"
    return right / len(part["iso"])


if __name__ == "__main__":
    told(main)
