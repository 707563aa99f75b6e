"""Vocabularies of words and other symbols, with marks, stored and read again. Those of a plain text: test_data.py."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn import Error
from tinygrad_rnn.data import Vocabulary

WORDS = ["the", "cat", "saw", "the", "dog", "and", "the", "dog", "saw", "me"]
MARKS = [None, "<UNK>", "t"]


def test_words_come_by_frequency_and_then_by_first_place() -> None:
    words = Vocabulary(WORDS)
    assert words.symbols == ("the", "saw", "dog", "cat", "and", "me")
    assert words.encode(["the", "dog"]).tolist() == [0, 2]
    assert words.decode(np.array([[0, 2], [1, 5]])) == ["the", "dog", "saw", "me"]
    assert list(words) == list(words.symbols) and "dog" in words and ["dog"] not in words
    assert Vocabulary(words.symbols) == words and Vocabulary(iter(WORDS)) == words
    assert words != Vocabulary(WORDS[:-1]) and words != Vocabulary(WORDS, unknown="me") and words != words.symbols


def test_rare_words_and_strange_ones_are_unknown() -> None:
    words = Vocabulary(WORDS, least=2, unknown="<UNK>", specials=["<EOS>"])
    assert words.symbols == ("<UNK>", "<EOS>", "the", "saw", "dog")
    assert words.encode(["the", "bird", "saw", "cat", "<EOS>"]).tolist() == [2, 0, 3, 0, 1]
    assert words["<EOS>"] == 1 and words.unknown == "<UNK>"


def test_characters_with_an_end_mark() -> None:
    letters = Vocabulary("anna", specials=["<EOS>"])
    assert letters.symbols == ("<EOS>", "a", "n")
    assert letters.encode([*"nan", "<EOS>"]).tolist() == [2, 1, 2, 0]
    assert letters.encode("nan").tolist() == [2, 1, 2]
    assert letters.decode([2, 1, 0]) == "na<EOS>"
    assert Vocabulary("a\nb", specials=["\n"]).encode("b\na").tolist() == [2, 0, 1]


def test_symbols_of_any_kind() -> None:
    notes = Vocabulary([(60, 64), (60, 64), (62, 65)])
    assert notes.encode([(62, 65), (60, 64)]).tolist() == [1, 0] and notes.decode([1]) == [(62, 65)]
    numbers = Vocabulary(np.array([[7, 7], [3, 7]]))
    assert numbers.symbols == (7, 3) and numbers.encode(np.array([3, 7])).tolist() == [1, 0]
    assert json.loads(numbers.to_json())["symbols"] == [7, 3]


@given(st.text(), st.integers(1, 3), st.sampled_from(MARKS), st.lists(st.sampled_from(["<EOS>", "\n", "e"]),
                                                                      unique=True), st.text())
def test_the_rules_hold_for_any_text(text, least, unknown, specials, other) -> None:
    counts = Counter(text)
    try:
        found = Vocabulary(text, least=least, unknown=unknown, specials=specials)
    except ValueError:
        assert unknown is None and ((not text and not specials) or min(counts.values(), default=least) < least)
        return
    kept = {c for c in text if counts[c] >= least} | set(specials) | ({unknown} - {None})
    assert sorted(found) == sorted(kept) and found.decode(np.arange(len(found))) == "".join(found)
    if unknown is not None or set(other) <= kept:
        numbers = found.encode(other)
        assert numbers.tolist() == [found[c] if c in kept else found[unknown] for c in other]
        assert numbers.tolist() == found.encode(list(other)).tolist()
    again = Vocabulary.from_json(found.to_json())
    assert again == found and again.symbols == found.symbols and hash(again) == hash(found)
    assert again.unknown == unknown and again.encode(text).tolist() == found.encode(text).tolist()


def test_a_plain_text_is_stored_as_one_string() -> None:
    assert json.loads(Vocabulary("bab\ud800").to_json()) == "ab\ud800"


def test_a_file_holds_a_vocabulary(tmp_path: Path) -> None:
    for vocabulary in (Vocabulary("naïve"), Vocabulary(WORDS, unknown="?"), Vocabulary([1, 2.5, True, None])):
        vocabulary.save(tmp_path / "v.json")
        assert Vocabulary.load(tmp_path / "v.json") == vocabulary
    (tmp_path / "v.json").write_text("{}")
    with pytest.raises(OSError, match=r"cannot read the vocabulary .*v.json: this is no vocabulary"):
        Vocabulary.load(tmp_path / "v.json")
    with pytest.raises(OSError, match=r"cannot read .*none.json: no such file"):
        Vocabulary.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Vocabulary(WORDS).encode("the dog"), ValueError, r"symbol 't' at position 0 .*text.split\(\)"),
        (lambda: Vocabulary(WORDS).encode(["the", "dof"]), ValueError, "'dof' at position 1 .*did you mean 'dog'"),
        (lambda: Vocabulary(WORDS).encode([["the"]]), TypeError, r"\['the'\] cannot be a symbol"),
        (lambda: Vocabulary([["the"]]), TypeError, "give all of them in one row"),
        (lambda: Vocabulary(WORDS, least=2), ValueError, 'least=2 leaves out 3 of 6 symbols.*unknown="<UNK>"'),
        (lambda: Vocabulary(WORDS, least=0), ValueError, "least must be at least 1"),
        (lambda: Vocabulary(WORDS, specials="<EOS>"), TypeError, r"such as \['<EOS>'\], not one text"),
        (lambda: Vocabulary(WORDS, specials=["a", "a"]), ValueError, "holds a symbol twice"),
        (lambda: Vocabulary([]), ValueError, "at least one character or symbol"),
        (lambda: Vocabulary(7), TypeError, "not from int"),
        (lambda: Vocabulary(WORDS)["<EOS>"], KeyError, "'<EOS>' is not in the vocabulary of 6"),
        (lambda: Vocabulary([(1, 2)]).to_json(), TypeError, r"\(1, 2\) cannot be stored as JSON"),
        (lambda: Vocabulary.from_json("[1"), ValueError, "no vocabulary as to_json writes it"),
        (lambda: Vocabulary.from_json('{"symbols": ["a", "a"], "unknown": null, "text": 0}'), ValueError, "together"),
        (lambda: Vocabulary.from_json('{"symbols": ["a"], "unknown": "b", "text": true}'), ValueError, "together"),
        (lambda: Vocabulary.from_json('""'), ValueError, "no vocabulary"),
        (lambda: Vocabulary.from_json("3"), ValueError, "no vocabulary"),
    ],
)
def test_mistakes_are_told(make, kind: type[Exception], message: str) -> None:
    with pytest.raises(Error, match=message) as caught:
        make()
    assert isinstance(caught.value, kind)
    assert len(str(caught.value)) < 600
