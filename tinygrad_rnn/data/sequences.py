"""Sequences of different lengths as arrays: padded at the end, with the lengths that `fit` and `run` take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import BadName, BadType, BadValue, near
from ..keywords import told
from .rows import column, examples, extent

Over = Mapping[str, str | tuple[str, ...]]


@told
def padded(data: Any, *, over: Over | None = None, fill: Any = 0) -> dict[str, Any]:
    """One batch of all examples: each list of sequences as an array as long as its longest, and their "lengths".

    data: a dict of fields, or an iterable of such dicts, one per example. A field that is a list of sequences, arrays
    of shape (length, ...), becomes (N, longest, ...); any other has one row per example and stays as it is.
    over: the index that a field runs over, where it is not t: {"source": "s"}, or several, {"link": ("t", "s")}; then
    "lengths" is a dict by index. fill: what stands beyond the end, which no result depends on.

        model.run(**padded({"x": [[1, 2, 3], [4]]}))        # x = [[1, 2, 3], [4, 0, 0]], lengths = [3, 1]

    Raises BadValue where fields over the same index differ in length, or a sequence is empty.
    """
    fields = Sequences(data, over, fill)
    return fields.batch(np.arange(fields.examples), fields.longest(slice(None)))


class Sequences:
    """Fields of examples, some of them sequences over named indices; each example has one length per index."""

    def __init__(self, data: Any, over: Over | None, fill: Any):
        fields = {name: column(v) for name, v in (data if isinstance(data, Mapping) else _columns(data)).items()}
        if "lengths" in fields:
            raise BadValue('"lengths" is taken from the sequences themselves; leave it out')
        self.over = _indices(fields, over)
        self.named, self.fill = over is not None, fill
        self.items = {name: _items(name, fields[name], len(axes)) for name, axes in self.over.items()}
        self.fixed = {name: _rows(name, value) for name, value in fields.items() if name not in self.over}
        self.dtypes = {name: np.result_type(*{a.dtype for a in items}) for name, items in self.items.items()}
        self.examples = examples({**self.items, **self.fixed})
        self.lengths = self._lengths()

    def _lengths(self) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        first: dict[str, str] = {}
        for name, axes in self.over.items():
            for axis, index in enumerate(axes):
                own = np.array([item.shape[axis] for item in self.items[name]], dtype=np.int64)
                if not own.all():
                    raise BadValue(f"example {np.flatnonzero(own == 0)[0]} of {name} is empty; a sequence has at least "
                                   "one step: leave such examples out")
                if index in found and (found[index] != own).any():
                    at = int(np.flatnonzero(found[index] != own)[0])
                    raise BadValue(f"in example {at}, {name} has {own[at]} steps and {first[index]} has "
                                   f"{found[index][at]}; where they run over different indices, give "
                                   f'over={{"{name}": "s"}} to tr.data.bucketed or padded; where one of them is no '
                                   "sequence, give it as an array")
                found.setdefault(index, own)
                first.setdefault(index, name)
        return found

    def longest(self, rows: Any) -> dict[str, int]:
        """The greatest length among these examples, by index."""
        return {index: int(values[rows].max()) for index, values in self.lengths.items()}

    def batch(self, rows: np.ndarray, sizes: Mapping[str, int]) -> dict[str, Any]:
        """These examples as arrays of these sizes along the indices, with their lengths."""
        batch: dict[str, Any] = {name: values[rows] for name, values in self.fixed.items()}
        for name, axes in self.over.items():
            batch[name] = self._padded(name, rows, [sizes[index] for index in axes])
        lengths = {index: values[rows] for index, values in self.lengths.items()}
        if lengths:
            batch["lengths"] = lengths if self.named else next(iter(lengths.values()))
        return batch

    def _padded(self, name: str, rows: np.ndarray, sizes: list[int]) -> np.ndarray:
        items = [self.items[name][row] for row in rows.tolist()]
        fill = self.fill.get(name, 0) if isinstance(self.fill, Mapping) else self.fill
        if isinstance(fill, float) and not math.isfinite(fill) and self.dtypes[name].kind != "f":
            raise BadValue(f"{name} holds {self.dtypes[name]}, which {fill} is not; give fill by name, such as "
                           f'{{"x": {fill}}}')
        try:
            array = np.full((len(items), *sizes, *items[0].shape[len(sizes):]), fill, self.dtypes[name])
        except (TypeError, ValueError):
            raise BadType(f"fill= of {name} is a number that stands beyond the end, not {fill!r}") from None
        for row, item in zip(array, items, strict=True):
            row[tuple(slice(n) for n in item.shape[: len(sizes)])] = item
        return array


def _columns(data: Any) -> dict[str, list[Any]]:
    """A dict of lists from examples that are dicts."""
    if isinstance(data, (str, bytes)) or not isinstance(data, Iterable):
        raise BadType(f"data is a dict of fields or an iterable of examples, dicts, not {type(data).__name__}")
    rows = list(data)
    for at, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise BadType(f"an example is a dict of arrays by input name, not {type(row).__name__}")
        if row.keys() != rows[0].keys():
            raise BadValue(f"example {at} has the fields {', '.join(row)}, the first has {', '.join(rows[0])}")
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def _indices(fields: Mapping[str, Any], over: Over | None) -> dict[str, tuple[str, ...]]:
    """The indices that each field of sequences runs over."""
    given = {} if over is None else over
    if not isinstance(given, Mapping):
        raise BadType(f'over= says over which index a field runs, such as {{"source": "s"}}, not {over!r}')
    for name in given:
        if name not in fields:
            raise BadName(f"over= names the field {name!r}{near(name, fields)}; the data have {', '.join(fields)}")
        if not isinstance(given[name], (str, tuple, list)):
            raise BadType(f'over= of {name} is an index, such as "s", or several, such as ("t", "s"), not '
                          f"{given[name]!r}")
    found = {name: "t" for name, value in fields.items() if are_sequences(value)} | dict(given)
    return {name: (axes,) if isinstance(axes, str) else tuple(axes) for name, axes in found.items()}


def are_sequences(value: Any) -> bool:
    """An array has one row per example; a list may also hold one sequence per example."""
    if isinstance(value, np.ndarray):
        return value.dtype == object
    return isinstance(value, (list, tuple)) and len(value) > 0 and extent(value[0]) is not None


def _rows(name: str, value: Any) -> np.ndarray:
    """A field with one row per example."""
    try:
        return np.asarray(value)
    except ValueError:
        raise BadValue(f"{name} is no array and no list of sequences: its rows are not all of one kind") from None


def _items(name: str, value: Any, axes: int) -> list[np.ndarray]:
    items: list[np.ndarray] = []
    for at, item in enumerate(value):
        try:
            array = np.asarray(item)
        except ValueError:
            raise BadValue(f"example {at} of {name} is not an array: its rows differ in length") from None
        if array.size and array.dtype.kind not in "biuf":
            raise BadType(f"example {at} of {name} holds {array.dtype}, not numbers; encode it first, for example with "
                          "a Vocabulary")
        if array.ndim < axes:
            raise BadValue(f"example {at} of {name} has shape {array.shape}; a sequence has {axes} axes or more")
        if items and array.shape[axes:] != items[0].shape[axes:]:
            raise BadValue(f"example {at} of {name} has shape {array.shape}, the first has {items[0].shape}; only the "
                           f"first {'axis' if axes == 1 else f'{axes} axes'} may differ")
        items.append(array)
    return items
