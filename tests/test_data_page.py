"""docs/data.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import data

PAGE = Path(__file__).resolve().parents[1] / "docs" / "data.md"
CELL = "h[t] = tanh(U @ h[t-1] + W @ x[t] + b)\n"
CHARACTERS = CELL + "y[t] = softmax(V @ h[t])\nloss = mean(cross_entropy(y[t], target[t]))"
NUMBERS = CELL + "y[t] = V @ h[t]\nloss = mean(squared_error(y[t], target[t]))"
PAIRS = """
    e[s] = tanh(A @ source[s] + B @ e[s-1])
    h[t] = tanh(U @ h[t-1] + W @ w[t-1] + e[S])
    p[t] = softmax(V @ h[t])
    w[t] = categorical(p[t])
"""


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    book = "the cat sat on the mat and the dog on the log\n" * 800
    Path("book.txt").write_text(book)
    prices = np.exp(rng.normal(size=200).cumsum() / 50)
    Path("prices.csv").write_text("day,price\n" + "".join(f"{k},{price}\n" for k, price in enumerate(prices)))
    series = rng.normal(size=(40, 9, 1)).astype("float32")
    np.save("x.npy", series)
    np.save("target.npy", series)
    names = ["anna", "bob", "hannah", "otto", "ada"] * 20
    given = {"np": np, "tr": tr, "names": names, "x": series, "target": series, "label": np.arange(40),
             "speaker": np.arange(40) // 2,
             "namer": tr.equations(CHARACTERS, x=8, h=4, y=8),
             "reader": tr.equations(CHARACTERS, x=len(set(book)), h=4, y=len(set(book))),
             "byter": tr.equations(CHARACTERS, x=256, h=4, y=256),
             "forecaster": tr.equations(NUMBERS, x=1, h=4, y=1),
             "translator": tr.equations(PAIRS, source=5, w=5, p=5, h=4),
             "source": [rng.integers(0, 5, n) for n in rng.integers(1, 9, 64)],
             "words": [rng.integers(0, 5, n) for n in rng.integers(1, 9, 64)]}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    assert len(blocks) == 9
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), given)
        losses = given["history"].loss
        assert len(losses) < 2 or losses[1] < losses[0], block
    assert len(given["test"]["x"]) == 4 and given["out"]["y"].shape == (100, 7, 8)
    assert data.Vocabulary.load("words.json") == given["words"] and given["again"] == given["letters"]
    assert set(tr.load("model.safetensors").meta) == {"vocabulary"}


def test_every_public_name_is_on_the_page_or_in_the_reader_of_files() -> None:
    page = PAGE.read_text()
    others = {"Bucketed", "Streams", "read_arrays", "split_text", "text_of_python_docs"}
    assert {name for name in data.__all__ if not re.search(rf"\b{name}\b", page)} == others
