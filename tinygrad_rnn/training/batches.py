"""What `fit` is given, as batches: dicts of arrays, shuffled, counted."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..arguments import whole
from ..backends.places import entering
from ..data.buckets import Bucketed
from ..data.rows import column, examples, is_ragged
from ..data.sequences import are_sequences
from ..errors import BadType, BadValue
from ..keywords import check_takes
from ..plans.feeds import check_names
from ..system import System

Batch = dict[str, Any]


class Batches:
    """Batches of `size` examples from a dict of arrays, in a new order every epoch."""

    def __init__(self, data: Mapping[str, Any], size: int, shuffle: bool, seed: int):
        self.size, self.shuffle, self.seed = size, shuffle, seed
        self.examples = examples(data)
        self.data = {name: _as_array(name, value) for name, value in data.items()}  # a list is gone through only once

    def count(self) -> int:
        """How many batches an epoch has."""
        return -(-self.examples // self.size)

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of one epoch; the same number gives the same order."""
        order = np.arange(self.examples)
        if self.shuffle:
            np.random.default_rng([self.seed, number]).shuffle(order)
        for start in range(0, self.examples, self.size):
            rows = np.sort(order[start : start + self.size])  # within a batch the order does not count
            whole = rows[-1] - rows[0] + 1 == len(rows)  # then no copy is needed
            chosen = slice(rows[0], rows[-1] + 1) if whole else rows
            yield {name: _rows(value, chosen) for name, value in self.data.items()}


class Stream:
    """Batches that somebody else makes: any iterable of dicts.

    One with a method `epoch(number)`, or a function of that number, is asked for the batches of each epoch, so it may
    shuffle and yet be resumed. once: can it be gone through only once, as what a generator gives?
    """

    def __init__(self, batches: Any, names: Sequence[str]):
        self.batches, self._names = batches, names
        self._of_epoch = getattr(batches, "epoch", None if isinstance(batches, Iterable) else batches)
        self.once = self._of_epoch is None and isinstance(batches, Iterator)

    def count(self) -> int | None:
        """How many batches an epoch has, where that is known."""
        count = operator.length_hint(self.batches, -1)  # PyTorch's loader has a len() that may raise TypeError
        return None if count < 0 else count

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of one epoch, in the order in which they come."""
        batches = self.batches if self._of_epoch is None else self._of_epoch(number)
        if self._of_epoch is not None and (isinstance(batches, Mapping) or not isinstance(batches, Iterable)):
            raise BadType("the batches of an epoch are an iterable of dicts, such as a list of them, not "
                          f"{type(batches).__name__}")
        for batch in batches:  # asked for its iterator once an epoch: PyTorch's loader starts its processes
            if not isinstance(batch, Mapping):
                raise BadType(f"a batch is a dict of arrays by input name, {_example(self._names)}, not "
                              f"{type(batch).__name__}{_names_for(batch, self._names, 'batch')}")
            yield dict(batch)


def check_again(data: Batches | Stream | None, epochs: int) -> None:
    """Raise where data are to be gone through more often than they can be."""
    if epochs > 1 and isinstance(data, Stream) and data.once:
        raise BadValue("these batches can be gone through only once; for more than one epoch give a list, an object "
                       "whose iter() begins anew, or a function of the epoch's number that gives its batches, such as "
                       "def batches(epoch): ...")


def _names_for(batch: Any, names: Sequence[str], called: str) -> str:
    """What to do with a batch without names, as PyTorch's loader gives it."""
    if not isinstance(batch, (list, tuple)) or len(batch) != len(names):
        return ""
    return f"; of what stands in order make a dict: dict(zip({tuple(names)}, {called}))"


def _example(names: Sequence[str]) -> str:
    """A dict of arrays as it would be written."""
    return f"{{{', '.join(f'{name!r}: ...' for name in names)}}}"


def as_batches(data: Any, size: int, shuffle: bool, seed: int, system: System) -> Batches | Stream:
    """A dict of arrays, or of lists of sequences of different lengths, or an iterable of dicts, as batches."""
    size, names = whole("batch_size", size, at_least=1), system.of_role("input")
    if isinstance(data, Mapping):
        data = {name: column(value) for name, value in data.items()}
        check_names(system, {name: value for name, value in data.items() if name != "lengths"})
    if isinstance(data, Mapping) and any(is_ragged(value) for value in data.values()):
        over = {name: system.quantities[name].slots for name, value in data.items()
                if name in system.quantities and are_sequences(value)}
        return Stream(Bucketed(data, size, over=over, seed=seed if shuffle else None), names)
    if isinstance(data, Mapping):
        return Batches(data, size, shuffle, seed)
    if callable(data) and not isinstance(data, (type, Iterable)) and not hasattr(data, "epoch"):
        check_takes("as a function, data takes the epoch's number, counted from 0, and gives its batches", data, 1,
                    "def batches(epoch): ...")
        return Stream(data, names)
    many = isinstance(data, Iterable) or hasattr(data, "epoch")
    arrays = isinstance(data, (list, tuple)) and any(hasattr(each, "shape") for each in data)
    if isinstance(data, (str, bytes, type)) or hasattr(data, "shape") or arrays or not many:
        raise BadType(f"data is a dict of arrays by input name, {_example(names)}, or an iterable of such dicts, not "
                      f"{type(data).__name__}{_names_for(data, names, 'data')}")
    return Stream(data, names)


def _as_array(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: entering(f"{name} of {k}", v) for k, v in value.items()}
    return entering(name, value)


def _rows(value: Any, rows: Any) -> Any:
    return {k: v[rows] for k, v in value.items()} if isinstance(value, Mapping) else value[rows]
