"""Text, its vocabulary and its streams."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn import Error
from tinygrad_rnn.data import Vocabulary, read_text, split_text, streams, text_of_python_docs


def test_the_python_docs_are_english_of_some_length() -> None:
    text = text_of_python_docs()
    assert 400_000 < len(text) < 800_000
    assert text.lower().count(" the ") > 3000
    assert 60 < len(Vocabulary(text)) < 200
    assert text == text_of_python_docs()


def test_read_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\r\ntwo – é\rthree\n".encode())
    assert read_text(path) == read_text(str(path)) == "one\ntwo – é\nthree\n"


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"", ValueError, "a.txt is empty"),
        ("\ufeff".encode(), ValueError, "a.txt is empty"),
        ("naïve".encode("latin-1"), OSError, "a.txt is not UTF-8: byte 0xef at offset 2"),
        (b"good\xe2\x80", OSError, "a.txt is not UTF-8: byte 0xe2 at offset 4"),
    ],
)
def test_texts_that_cannot_be_used(tmp_path: Path, content: bytes, kind: type[Exception], message: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(Error, match=message) as caught:
        read_text(path)
    assert isinstance(caught.value, kind)


def test_a_missing_text_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"cannot read .*NotThere: no such file"):
        read_text(tmp_path / "NotThere")
    with pytest.raises(Error, match=r"cannot read .*directory"):
        read_text(tmp_path)


def test_the_vocabulary_of_a_word() -> None:
    vocabulary = Vocabulary("banana – é🙂")
    assert vocabulary.symbols == " abné–🙂" and len(vocabulary) == 7
    ids = vocabulary.encode("nab🙂")
    assert ids.tolist() == [3, 1, 2, 6] and ids.dtype == np.int64
    assert vocabulary.decode(ids) == "nab🙂" and vocabulary.decode([]) == ""
    assert vocabulary.encode("").shape == (0,)
    assert "é" in vocabulary and "e" not in vocabulary and "an" not in vocabulary


@given(st.text(min_size=1), st.data())
def test_encoding_is_reversed_by_decoding_and_stored_by_its_symbols(text: str, data: st.DataObject) -> None:
    vocabulary = Vocabulary(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert vocabulary.encode(text).tolist() == [sorted(set(text)).index(symbol) for symbol in text]
    again = Vocabulary(vocabulary.symbols)
    assert again == vocabulary and again.symbols == vocabulary.symbols
    strange = data.draw(st.characters().filter(lambda symbol: symbol not in text))
    with pytest.raises(ValueError, match=f"at position {len(text)} is not in the vocabulary"):
        vocabulary.encode(text + strange)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Vocabulary(""), ValueError, "at least one character"),
        (lambda: Vocabulary(b"ab"), TypeError, "not from bytes"),
        (lambda: Vocabulary("ab").encode(b"ab"), TypeError, "encode takes text or an iterable of symbols, not bytes"),
        (lambda: Vocabulary("abc").encode("cabbage"), ValueError, "symbol 'g' at position 5 is not in the voc"),
        (lambda: Vocabulary("abc").decode([0, 3]), ValueError, "number 3 at position 1 is outside the vocabulary of 3"),
        (lambda: Vocabulary("abc").decode([-1]), ValueError, "number -1 at position 0"),
        (lambda: Vocabulary("abc").decode([0.5]), TypeError, "decode takes integers, not float64"),
        (lambda: split_text([1]), ValueError, "a text of 1 cannot be split"),
        (lambda: split_text([1, 2], 1.0), ValueError, "fraction must be above 0 and below 1, not 1"),
        (lambda: split_text("ab"), TypeError, "one row of integers"),
        (lambda: streams(np.arange(40), 4, 10), ValueError, "has 40 characters; 4 streams of 10 .* at least 41"),
        (lambda: streams(np.ones((2, 50), int), 1, 1), TypeError, r"one row of integers, not int64 of shape \(2, 50\)"),
        (lambda: streams(np.ones(50), 1, 1), TypeError, "one row of integers, not float64"),
        (lambda: streams(np.arange(50), 0, 1), ValueError, "batch must be at least 1, not 0"),
        (lambda: streams(np.arange(50), 1, 1.5), TypeError, "steps is a whole number, not 1.5"),
    ],
)
def test_mistakes_are_told(make, kind: type[Exception], message: str) -> None:
    with pytest.raises(Error, match=message) as caught:
        make()
    assert isinstance(caught.value, kind)


@given(st.integers(2, 300), st.floats(0.01, 0.99))
def test_the_last_part_is_held_out(size: int, fraction: float) -> None:
    train, held_out = split_text(np.arange(size), fraction)
    assert np.array_equal(np.concatenate([train, held_out]), np.arange(size))
    assert len(train) and len(held_out) and abs(len(held_out) - fraction * size) <= 1


def test_a_tenth_is_held_out() -> None:
    assert [len(part) for part in split_text(np.arange(1000))] == [900, 100]


@given(st.integers(1, 6), st.integers(1, 7), st.integers(0, 200))
def test_streams_go_on_from_batch_to_batch(batch: int, steps: int, more: int) -> None:
    text = np.random.default_rng(0).integers(0, 9, batch * steps + 1 + more)
    data = streams(text, batch, steps)
    batches = list(data)
    assert len(batches) == len(data) == (len(text) - 1) // (batch * steps)
    assert all(b[key].shape == (batch, steps) for b in batches for key in ("x", "target"))
    x = np.concatenate([b["x"] for b in batches], axis=1)
    target = np.concatenate([b["target"] for b in batches], axis=1)
    length = len(batches) * steps
    for k in range(batch):
        assert x[k].tolist() == text[k * length : (k + 1) * length].tolist()
        assert target[k].tolist() == text[k * length + 1 : (k + 1) * length + 1].tolist()
    assert len(text) - 1 - x.size < batch * steps
    assert [b["x"].tolist() for b in data] == [b["x"].tolist() for b in batches], "it can be read again"
