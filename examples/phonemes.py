"""How English words are spoken, from their spelling: an encoder, a decoder with attention, and beam search.

python examples/phonemes.py [--quick] [--out DIR] [--seed N]

"phoenix" is read in both directions, and F IY N IH K S is written. The measure is that of the literature: edits to the
nearest of a word's pronunciations, divided by its length, without stress, words of the test unseen in training. The
published figures are of another split of the dictionary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tinygrad_rnn as tr
from tinygrad_rnn.examples.datasets import pronunciations
from tinygrad_rnn.examples.harness import Run, example, told

END = "."
LETTERS = tr.data.Vocabulary("abcdefghijklmnopqrstuvwxyz'")
PHONEMES = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
SOUNDS = tr.data.Vocabulary([*PHONEMES.split(), END])
LONGEST = 30
WIDTH = 5
Spoken = dict[str, list[list[str]]]


def spoken(part: dict[str, Any], count: int | None) -> Spoken:
    """The pronunciations of each word, without the digits of stress; of at most so many words."""
    found: Spoken = {}
    for word, phones in zip(part["word"], part["phones"], strict=True):
        plain = [phone.rstrip("012") for phone in phones]
        if plain not in found.setdefault(word, []):
            found[word].append(plain)
    return {word: found[word] for word in list(found)[:count]}


def batches(words: Spoken, size: int) -> tr.data.Bucketed:
    """Letters run over s, sounds over t."""
    pairs = [(word, sounds) for word, many in words.items() for sounds in many]
    return tr.data.bucketed({"x": [LETTERS.encode(word) for word, _ in pairs],
                             "w": [SOUNDS.encode([*sounds, END]) for _, sounds in pairs]}, size,
                            over={"x": "s", "w": "t"})


def say(model: tr.Model, words: Sequence[str], width: int) -> list[list[str]]:
    """The likeliest pronunciation of each word that a beam of this width finds."""
    end, found = int(SOUNDS.encode([END])[0]), []
    for start in range(0, len(words), 200):
        letters = tr.data.padded({"x": [LETTERS.encode(w) for w in words[start : start + 200]]}, over={"x": "s"})
        beams = model.beam_search(**letters, steps=LONGEST, width=width, stop=end)
        codes, lengths = tr.to_numpy(beams.codes)[:, 0], tr.to_numpy(beams.lengths)[:, 0]
        found += [list(SOUNDS.decode(c[:n])) for c, n in zip(codes, lengths, strict=True)]
    return [[sound for sound in sounds if sound != END] for sounds in found]


def edits(a: Sequence[str], b: Sequence[str]) -> int:
    """How many sounds are to be changed, left out or put in to make b of a (Levenshtein 1966)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


def errors(said: list[list[str]], words: Spoken) -> tuple[float, float]:
    """(edits per sound, share of words that are not right), each against the nearest pronunciation of the word."""
    nearest = [min((edits(one, sounds), len(sounds)) for sounds in many)
               for one, many in zip(said, words.values(), strict=True)]
    wrong, sounds = map(sum, zip(*nearest, strict=True))
    return wrong / sounds, sum(k > 0 for k, _ in nearest) / len(nearest)


@example(architecture="bidirectional gated encoder, gated decoder with additive attention, 128 units; beam search",
         data="the CMU Pronouncing Dictionary")
def main(run: Run) -> None:
    """Train on spellings with their sounds, and measure the errors on unseen words, by beam search."""
    train, valid, test = (spoken(part, count) for part, count in zip(
        pronunciations(), run.pick((None, 1000, None), (300, 50, 20)), strict=True))
    model = tr.graphs.bahdanau(inputs=len(LETTERS), hidden=run.pick(128, 16), outputs=len(SOUNDS) - 1, seed=run.seed)
    run.say(model, "")

    epochs = run.pick(6, 1)
    given = batches(train, 128)
    rate = tr.Cosine(4e-3, epochs * len(given))
    history = model.fit(given, optimizer=tr.Adam(rate), epochs=epochs, valid=batches(valid, 128), clip=1.0,
                        seed=run.seed, progress=False, on_epoch=run.epoch)

    run.curve({"training": history.loss, "validation": history.valid_loss}, what="nats per sound", log=True)
    run.draw(model, "unrolled.svg", view="unrolled", steps=3)
    greedy, beam = (say(model, list(test), width) for width in (1, WIDTH))
    report(run, test, beam)
    one, (phonemes, words) = errors(greedy, test), errors(beam, test)
    run.figure("phoneme error", phonemes, at_most=0.12, baseline=f"{one[0]:.4f}, a beam of one",
               published="0.0545, Yao and Zweig 2015")
    run.figure("word error", words, baseline=f"{one[1]:.4f}, a beam of one", published="0.2355, Yao and Zweig 2015")


def report(run: Run, test: Spoken, said: list[list[str]]) -> None:
    """Some words of the test, what the model says of them, and what is right where it is wrong."""
    lines = []
    for (word, many), sounds in list(zip(test.items(), said, strict=True))[:: max(1, len(said) // 200)]:
        right = "" if sounds in many else f"   not {' or '.join(' '.join(one) for one in many)}"
        lines.append(f"{word:16} {' '.join(sounds)}{right}")
    run.write("samples.txt", "\n".join(lines) + "\n")
    run.say(*lines[:8])


if __name__ == "__main__":
    told(main)
