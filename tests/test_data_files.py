"""Splits, series, tables and maps of files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tinygrad_rnn.data import grouped, mapped, read_table, split, streams, windows

# -- splits ----------------------------------------------------------------------------------------


def test_a_split_in_order_copies_no_array() -> None:
    series = np.arange(10.0)
    data = {"x": series, "name": list("abcdefghij"), "lengths": {"s": series}}
    train, valid, test = split(data, 0.6, 0.2, 0.2)
    assert [part["x"].tolist() for part in (train, valid, test)] == [[*range(6)], [6, 7], [8, 9]]
    assert "".join(train["name"] + valid["name"] + test["name"]) == "abcdefghij"
    assert valid["lengths"]["s"].tolist() == [6, 7]
    assert all(np.shares_memory(part["x"], series) for part in (train, valid, test))


def test_arrays_lists_and_texts_are_split_alike() -> None:
    assert split("abcdefghij", 0.9, 0.1) == ("abcdefghi", "j")
    assert split([*range(4)], 0.5, 0.5) == ([0, 1], [2, 3])
    first, rest = split(np.arange(8).reshape(4, 2), 0.25, 0.75)
    assert first.tolist() == [[0, 1]] and rest.tolist() == [[2, 3], [4, 5], [6, 7]]


class Labelled:
    """As a column of pandas: numbers in brackets are labels, places are those of iloc."""

    def __init__(self, values: np.ndarray):
        self.values, self.shape = values, values.shape

    def __len__(self) -> int:
        return len(self.values)

    @property
    def iloc(self) -> np.ndarray:
        return self.values


@pytest.mark.parametrize("options", [{}, {"seed": 1}, {"groups": [*"aabbbccdde"]}])
def test_arrays_of_others_are_split_by_place(options: dict[str, Any]) -> None:
    values = np.arange(10)[::-1]
    expected = split(values, 0.6, 0.4, **options)
    parts = split(Labelled(values), 0.6, 0.4, **options)
    assert [part.tolist() for part in parts] == [part.tolist() for part in expected]


@given(st.integers(10, 200), st.integers(0, 5))
def test_a_drawn_split_shares_out_every_example_once(count: int, seed: int) -> None:
    parts = split({"k": np.arange(count), "text": [str(k) for k in range(count)]}, 0.7, 0.15, 0.15, seed=seed)
    assert sorted(np.concatenate([part["k"] for part in parts]).tolist()) == list(range(count))
    assert [abs(len(part["k"]) - share * count) <= 1 for part, share in zip(parts, (0.7, 0.15, 0.15), strict=True)]
    for part in parts:
        assert part["text"] == [str(k) for k in part["k"]] and (np.diff(part["k"]) > 0).all()
    again = split(np.arange(count), 0.7, 0.15, 0.15, seed=seed)
    assert all((a == b["k"]).all() for a, b in zip(again, parts, strict=True))
    if count > 50:
        assert parts[0]["k"].tolist() != split(np.arange(count), 0.7, 0.15, 0.15, seed=seed + 1)[0].tolist()


@given(st.lists(st.sampled_from("abcdefghijklmnop"), min_size=60, max_size=200), st.sampled_from([None, 0, 1]))
def test_no_group_is_in_two_parts(groups: list[str], seed: int | None) -> None:
    try:
        parts = split([*enumerate(groups)], 0.6, 0.4, groups=groups, seed=seed)
    except ValueError:
        assert max(map(groups.count, groups)) > 0.4 * len(groups)
        return
    first, second = ({group for _, group in part} for part in parts)
    assert not first & second and sorted(parts[0] + parts[1]) == [*enumerate(groups)]
    largest = max(map(groups.count, groups))
    assert abs(len(parts[0]) - 0.6 * len(groups)) <= largest / 2
    if seed is None:
        assert list(dict.fromkeys(groups))[: len(first)] == list(dict.fromkeys(g for _, g in parts[0]))


# -- series ----------------------------------------------------------------------------------------


def test_streams_of_series_are_cut_alike() -> None:
    series = np.arange(46.0).reshape(23, 2)
    data = streams({"x": series[:-1], "target": series[1:]}, 2, 5)
    batches = list(data)
    assert len(batches) == len(data) == 2
    assert all(b["x"].shape == b["target"].shape == (2, 5, 2) and np.shares_memory(b["x"], series) for b in batches)
    x = np.concatenate([b["x"] for b in batches], axis=1)
    target = np.concatenate([b["target"] for b in batches], axis=1)
    assert x.tolist() == [series[:10].tolist(), series[10:20].tolist()] and (target == x + 2).all()
    assert len(streams({"x": np.arange(6)}, 2, 3)) == 1


def test_windows_are_slices_in_place() -> None:
    series = np.arange(30).reshape(10, 3)
    found = windows(series, 4, every=3)
    assert found.shape == (3, 4, 3) and np.shares_memory(found, series)
    assert all((w == series[k : k + 4]).all() for k, w in zip((0, 3, 6), found, strict=True))
    assert windows(np.arange(5), 5).tolist() == [[0, 1, 2, 3, 4]]


# -- files -----------------------------------------------------------------------------------------


def test_a_text_larger_than_memory_is_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    path.write_bytes("über alles ".encode() * 50)
    data = mapped(path)
    assert isinstance(data, np.memmap) and data.dtype == np.uint8 and bytes(data[:5]) == "über".encode()
    batches = streams(data, 4, 10)
    assert all(np.shares_memory(b["x"], data) for b in batches)
    model = tr.equations("""
        h[t] = tanh(U @ h[t-1] + W @ x[t])
        y[t] = softmax(V @ h[t])
        loss = mean(cross_entropy(y[t], target[t]))
    """, x=256, h=4, y=256)
    loss = model.fit(batches, epochs=3, carry_state=True, optimizer=tr.Adam(0.05), progress=False).loss
    assert loss[-1] < loss[0] < 5.6  # log 256 = 5.55


def test_an_array_larger_than_memory_is_read_by_rows(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(30, 5, 2)).astype("float32")
    np.save(tmp_path / "x.npy", array)
    x = mapped(tmp_path / "x.npy")
    assert isinstance(x, np.memmap) and not x.flags.writeable and (x == array).all()
    text = "h[t] = tanh(U @ h[t-1] + W @ x[t])\nloss = mean(squared_error(h[t], x[t]))"
    losses = [tr.equations(text, x=2, h=2).fit({"x": data}, batch_size=8, epochs=2, progress=False).loss
              for data in (x, array)]
    assert losses[0] == losses[1]
    array.tofile(tmp_path / "x.raw")
    assert (mapped(tmp_path / "x.raw", "float32") == array.ravel()).all()


def test_columns_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('day, count,price ,"name, full"\n2020-01-01,3,1.5,"a, b"\n\n2020-01-02,4,,"c"\n')
    table = read_table(path)
    assert list(table) == ["day", "count", "price", "name, full"]
    assert table["count"].dtype == np.int64 and table["count"].tolist() == [3, 4]
    assert table["price"][0] == 1.5 and np.isnan(table["price"][1])
    assert table["day"].tolist() == ["2020-01-01", "2020-01-02"] and table["name, full"].tolist() == ["a, b", "c"]
    assert list(read_table(path, ["price", "day"])) == ["price", "day"]
    path.write_text("a;b\n1;2\n")
    assert read_table(path, delimiter=";")["b"].tolist() == [2]


def test_the_rows_of_each_group() -> None:
    table = {"who": np.array(["z", "a", "z", "a", "z"]), "v": np.arange(5), "w": list("abcde")}
    found = grouped(table, "who")
    assert found["who"].tolist() == ["z", "a"] and [v.tolist() for v in found["v"]] == [[0, 2, 4], [1, 3]]
    assert [w.tolist() for w in found["w"]] == [["a", "c", "e"], ["b", "d"]]
    assert tr.data.padded({"v": found["v"]})["lengths"].tolist() == [3, 2]


CSV = "a,b,b\n1,2,3\n4,5\n"


@pytest.mark.parametrize(
    ("content", "read", "kind", "message"),
    [
        (CSV, read_table, ValueError, "has 2 columns of the name 'b'"),
        (CSV, lambda p: read_table(p, ["a"]), ValueError, "line 3 of .*a.csv has 2 cells; its 3 columns are a, b, b"),
        (CSV, lambda p: read_table(p, ["price"]), KeyError, "has no column 'price'; its columns are a, b, b"),
        (CSV, lambda p: read_table(p, "a"), TypeError, r"a list of names, such as \['a'\]"),
        ("a,b\n", read_table, ValueError, "has no rows below the names"),
        ("", read_table, ValueError, "is empty"),
        ("abc", lambda p: mapped(p, "int32"), ValueError, "has 3 bytes, which is no whole number of int32"),
        ("abc", lambda p: mapped(p, "object"), TypeError, "mapped as numbers"),
        ("abc", lambda p: mapped(p, "floaty"), TypeError, "not 'floaty'"),
        ("", mapped, ValueError, "is empty"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: str, read, kind: type[Exception], message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(tr.Error, match=message) as caught:
        read(path)
    assert isinstance(caught.value, kind)


def test_maps_of_what_is_no_array(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"no array")
    for name, message in (("x.npy", "not an array that np.save wrote"), ("none.npy", "no such file"),
                          ("none.txt", "no such file")):
        with pytest.raises(OSError, match=f"cannot read {re.escape(str(tmp_path))}.*{message}"):
            mapped(tmp_path / name)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: split([1, 2], 0.5, 0.4), ValueError, "the shares 0.5, 0.4 make 0.9; they must make 1"),
        (lambda: split([1, 2]), ValueError, "there are no shares; they must make 1"),
        (lambda: split([1, 2], 1.0), ValueError, "below 1"),
        (lambda: split([1, 2], 0.5, 0.5, groups=[1]), ValueError, "groups has 1 entries for 2 examples"),
        (lambda: split([1, 2], 0.5, 0.5, groups=[1, 1]), ValueError, "0.5 of 2 examples would be empty; .*groups"),
        (lambda: split([1, 2], 0.9, 0.1), ValueError, "part of 0.1 of 2 examples would be empty; give more examples"),
        (lambda: split("text", 0.5, 0.5, seed=1), TypeError, "a text is split in order"),
        (lambda: split(3, 0.5, 0.5), TypeError, "not int"),
        (lambda: split([1, 2], [1, 2], 0.5, 0.5), TypeError, "shares are numbers, .* one dict"),
        (lambda: split([1, 2], "half"), TypeError, "shares are numbers"),
        (lambda: streams(np.ones(50), 5, 5), TypeError, r'give series by name, such as \{"x": series\[:-1\]'),
        (lambda: windows({"x": [1, 2]}, 1), TypeError, r"an array of shape \(length, ...\), not dict"),
        (lambda: split({"x": [1, 2], "y": [1]}, 0.5, 0.5), ValueError, "x 2, y 1"),
        (lambda: streams({"x": np.ones(9)}, 2, 5), ValueError, "series have 9 positions; 2 streams of 5 .* least 10"),
        (lambda: streams({"x": np.ones(9), "y": np.ones(8)}, 1, 1), ValueError, "x 9, y 8"),
        (lambda: windows(np.ones(3), 4), ValueError, "has 3 positions, fewer than the 4 of one window"),
        (lambda: windows(3, 4), TypeError, "not int"),
        (lambda: windows(np.ones(3), 1, every=0), ValueError, "every must be at least 1"),
        (lambda: grouped({"a": [1]}, "b"), KeyError, "no column 'b'; its columns are a"),
    ],
)
def test_mistakes_are_told(make, kind: type[Exception], message: str) -> None:
    with pytest.raises(tr.Error, match=message) as caught:
        make()
    assert isinstance(caught.value, kind)


def test_an_archive_of_arrays_is_not_taken_for_bytes(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    with pytest.raises(tr.Error, match="holds several arrays, which are not mapped"):
        tr.data.mapped(tmp_path / "a.npz")
