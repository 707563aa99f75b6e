"""Finding the persons in a sentence, letter by letter, among names that were never seen.

A bidirectional network reads letters and tags each as the first of a name, inside one, or outside. No list of names can
help: those of the test sentences, and the places and firms beside them, stand in no training sentence, so that the
network has to know names by how they look and where they stand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.examples import datasets
from tinygrad_rnn.examples.harness import Run, example, told

OUTSIDE, FIRST, INSIDE = range(3)
# What a sentence is made of: alternatives, in which {} names another line.
PATTERNS = """
sentence: {clause}.|{clause} {when}.|{when} {clause}.|{clause}, and {clause}.|when {clause}, {clause}.|did {clause}?
clause: {person} {does} {person}|{person} {serves} {firm}|{firm} {hires} {person}|{person} went {where}|it was {person}
clause: {person} {did} the {thing}|the {thing} of {person} was {done}|{person} {did} a {thing} {where}|{person} was ill
clause: nobody {where} knew {person}|{title} {family} {does} {person}|{firm} moved to {place}|{place} is far {where}
clause: the {thing} was {done} by {person} {where}|they {did} the {thing} for {person}|{person}'s {thing} was {done}
clause: {title} {family} {did} the {thing}|the {thing} came {where}|we saw {person} {where}|{firm} makes the {thing}
does: met|called|thanked|asked|knew|told|liked|followed|helped
serves: left|joined|runs|quit
hires: hired|paid|sued|fired|praised
did: lost|wrote|read|sold|found|sent|forgot|made|took
done: lost|written|read|sold|found|sent|forgotten|made
where: in {place}|at {firm}|near {place}|from {place}|to {place}|with {person}
when: on {day}|last {day}|every {day}|yesterday|at noon|after {day}|in {day}
title: Mr.|Mrs.|Dr.
"""
# Words that fill them; each kind is cut into words to train on, to choose by, and to test with.
WORDS = """
place: Paris London Berlin Madrid Vienna Oslo Lisbon Dublin Athens Prague Warsaw Helsinki Boston Chicago Denver Toronto
place: Sydney Cairo Nairobi Lagos Mumbai Delhi Seoul Tokyo Beijing Lima Bogota Havana Geneva Zurich Munich Hamburg
place: Milan Naples Turin Porto Seville Bergen Leeds Bristol Oxford Lyon Nantes Dakar
firm: Siemens Philips Nestle Renault Fiat Nokia Ericsson Toyota Honda Sony Hitachi Boeing Airbus Shell Exxon Pfizer
firm: Bayer Roche Unilever Danone Samsung Hyundai Oracle Adobe Cisco Ikea Lego Heineken
day: Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March August October
thing: report letter house garden meeting picture story question bill ticket plan book song contract
"""
TAGS = """
    y[t] = softmax(W_hy @ dropout(h[t], 0.3) + b_y)             # outside, first, inside
    loss = mean(cross_entropy(y[t], tag[t]))
"""


@example(architecture="bidirectional LSTM of 64 and 64 units, a tag for each letter",
         data="sentences made of patterns and of 94,293 names of the US census of 1990")
def main(run: Run) -> None:
    """Train on sentences with some names, and find the persons in sentences with others."""
    names = datasets.person_names()
    patterns, words = lines(PATTERNS, "|"), lines(WORDS, " ")
    cut = {kind: tr.data.split(own, 0.6, 0.1, 0.3, seed=0) for kind, own in words.items()}
    rng = np.random.default_rng(run.seed)
    count = run.pick((12_000, 800, 2000), (200, 50, 50))
    train, valid, test = ([made("{sentence}", patterns | {kind: own[k] for kind, own in cut.items()}, names[k], rng)
                           for _ in range(count[k])] for k in range(3))
    letters = tr.data.Vocabulary("".join(text for text, _ in train), unknown="?")

    model = tr.graphs.bidirectional(inputs=len(letters), hidden=run.pick(64, 8), cell="lstm", head="none",
                                    seed=run.seed).extend(TAGS, y=3)
    batches, epochs = batched(train, letters, 32, run.seed), run.pick(10, 1)
    history = model.fit(batches, valid=batched(valid, letters, 200), epochs=epochs, clip=1.0, patience=3,
                        optimizer=tr.Adam(tr.Cosine(5e-3, epochs * len(batches), floor=1e-5)), seed=run.seed,
                        progress=False, on_epoch=run.epoch)

    found, wanted = tagged(model, letters, test), [spans(tags) for _, tags in test]
    known = {word for text, tags in train for word in outside(text, tags)}
    capitals = f1(wanted, [capitalised(text, known) for text, _ in test])
    run.figure("F1, names unseen", f1(wanted, found), at_least=0.95,
               baseline=f"{capitals:.3f}, capitals and a list of words")
    shown = [marked(text, own) for (text, _), own in zip(test, found, strict=True)]
    run.write("sentences.txt", "\n".join(shown) + "\n")
    run.say(*shown[:8])
    run.curve({"training": history.loss, "unseen names": history.valid_loss}, log=True)
    run.draw(model, "folded.svg")
    run.draw(model, "unrolled.svg", view="unrolled", steps=3)


def lines(table: str, between: str) -> dict[str, list[str]]:
    """What each name of a table stands for, of all the lines that begin with it."""
    found: dict[str, list[str]] = {}
    for name, _, rest in (line.partition(": ") for line in table.strip().splitlines()):
        found[name] = found.get(name, []) + rest.split(between)
    return found


def made(pattern: str, grammar: dict, people: dict, rng: np.random.Generator) -> tuple[str, list[int]]:
    """A text drawn from a pattern, and the tag of each of its letters."""
    text = ""
    tags: list[int] = []
    for k, piece in enumerate(re.split(r"[{}]", pattern)):
        if k % 2 == 0:
            said, own = piece, [OUTSIDE] * len(piece)
        elif piece in grammar:
            said, own = made(str(rng.choice(grammar[piece])), grammar, people, rng)
        else:
            said = person(piece, people, rng)
            own = [FIRST] + [INSIDE] * (len(said) - 1)
        text, tags = text + said, tags + own
    return text[:1].upper() + text[1:] if pattern == "{sentence}" else text, tags


def person(form: str, people: dict, rng: np.random.Generator) -> str:
    """A family name, or a person's in one of the ways in which it is written."""
    def one(*kinds: int) -> str:
        return people["name"][rng.choice(np.flatnonzero(np.isin(people["kind"], kinds)))]

    forms = ("first last", "first last", "first last", "first", "last", "first X. last")
    way = "last" if form == "family" else str(rng.choice(forms))
    initial = chr(rng.integers(ord("A"), ord("Z") + 1))
    return way.replace("first", one(0, 1)).replace("X", initial).replace("last", one(2))


def batched(sentences: Sequence, letters: tr.data.Vocabulary, size: int, seed: int | None = None) -> tr.data.Bucketed:
    """Batches of letters and tags, of sentences of about one length."""
    data = {"x": [letters.encode(text) for text, _ in sentences], "tag": [tags for _, tags in sentences]}
    return tr.data.bucketed(data, size, seed=seed)


def tagged(model: tr.Model, letters: tr.data.Vocabulary, sentences: Sequence) -> list[list[tuple[int, int]]]:
    """The names that the model finds in each sentence."""
    batch = tr.data.padded({"x": [letters.encode(text) for text, _ in sentences]})
    tags = tr.to_numpy(model.run(**batch, want=["y"])["y"]).argmax(-1)
    return [spans(row[:n]) for row, n in zip(tags, batch["lengths"], strict=True)]


def spans(tags: Sequence[int]) -> list[tuple[int, int]]:
    """Where names begin and end: a first letter and the letters inside after it."""
    return [match.span() for match in re.finditer("12*", "".join(map(str, tags)))]


def f1(wanted: list, found: list) -> float:
    """2 right / (wanted + found), over names that are right from the first letter to the last."""
    right = sum(len(set(a) & set(b)) for a, b in zip(wanted, found, strict=True))
    return 2 * right / max(1, sum(map(len, wanted)) + sum(map(len, found)))


def outside(text: str, tags: list[int]) -> list[str]:
    """The words of a sentence that are no part of a name."""
    return [m.group() for m in re.finditer(r"\w+", text) if tags[m.start()] == OUTSIDE]


def capitalised(text: str, known: set[str]) -> list[tuple[int, int]]:
    """Runs of words with capitals, but for words that training sentences have outside of names."""
    word = rf"(?!(?:{'|'.join(sorted(map(re.escape, known)))})\b)[A-Z]\w*\.?"
    return [m.span() if not m.group().endswith(".") else (m.start(), m.end() - 1)
            for m in re.finditer(rf"\b{word}(?: {word})*", text)]


def marked(text: str, found: list[tuple[int, int]]) -> str:
    """The sentence with brackets about the names."""
    for start, end in reversed(found):
        text = f"{text[:start]}[{text[start:end]}]{text[end:]}"
    return text


if __name__ == "__main__":
    told(main)
