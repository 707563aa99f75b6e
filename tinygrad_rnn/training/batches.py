"""What `fit` is given, as batches: dicts of arrays, shuffled, cut into segments, counted."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..arguments import whole
from ..backends.places import entering
from ..data.buckets import Bucketed
from ..data.rows import examples, is_ragged
from ..data.sequences import are_sequences
from ..errors import BadType, BadValue
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

    One with a method `epoch(number)` is asked for the batches of each epoch, so it may shuffle and yet be resumed.
    """

    def __init__(self, batches: Iterable[Batch], names: Sequence[str]):
        self.batches = batches
        self._names, self._started = names, False

    def count(self) -> int | None:
        """How many batches an epoch has, where that is known."""
        count = operator.length_hint(self.batches, -1)  # PyTorch's loader has a len() that may raise TypeError
        return None if count < 0 else count

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of one epoch, in the order in which they come."""
        if hasattr(self.batches, "epoch"):
            yield from _dicts(self.batches.epoch(number), self._names)
            return
        begun = iter(self.batches)  # once an epoch: PyTorch's loader starts its processes
        if self._started and begun is self.batches:
            raise BadValue("these batches can be gone through only once; give a list, or an object whose iter() begins "
                           "anew, for more than one epoch")
        self._started = True
        yield from _dicts(begun, self._names)


def _dicts(batches: Iterable[Any], names: Sequence[str]) -> Iterator[Batch]:
    for batch in batches:
        if not isinstance(batch, Mapping):
            raise BadType(f"a batch is a dict of arrays by input name, {_example(names)}, not "
                          f"{type(batch).__name__}")
        yield dict(batch)


def _example(names: Sequence[str]) -> str:
    """A dict of arrays as it would be written."""
    return f"{{{', '.join(f'{name!r}: ...' for name in names)}}}"


def as_batches(data: Any, size: int, shuffle: bool, seed: int, system: System) -> Batches | Stream:
    """A dict of arrays, or of lists of sequences of different lengths, or an iterable of dicts, as batches."""
    size, names = whole("batch_size", size, at_least=1), system.of_role("input")
    if isinstance(data, Mapping):
        check_names(system, {name: value for name, value in data.items() if name != "lengths"})
    if isinstance(data, Mapping) and any(is_ragged(value) for value in data.values()):
        over = {name: system.quantities[name].slots for name, value in data.items()
                if name in system.quantities and are_sequences(value)}
        return Stream(Bucketed(data, size, over=over, seed=seed if shuffle else None), names)
    if isinstance(data, Mapping):
        return Batches(data, size, shuffle, seed)
    if isinstance(data, (str, bytes)) or hasattr(data, "shape") or not isinstance(data, Iterable):
        raise BadType(f"data is a dict of arrays by input name, {_example(names)}, or an iterable of such dicts, not "
                      f"{type(data).__name__}")
    return Stream(data, names)


def _as_array(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: entering(f"{name} of {k}", v) for k, v in value.items()}
    return entering(name, value)


def _rows(value: Any, rows: Any) -> Any:
    return {k: v[rows] for k, v in value.items()} if isinstance(value, Mapping) else value[rows]


def segments(system: System, batch: Batch, steps: int | None) -> Iterator[Batch]:
    """The batch cut along t into pieces of at most `steps`, for truncated backpropagation through time."""
    if steps is None:
        yield batch
        return
    steps = whole("truncate", steps, at_least=1)
    if "lengths" in batch:
        raise BadValue("truncate= cuts streams of one length; it does not go with lengths")
    axes = {name: 1 + q.slots.index("t") for name, q in system.quantities.items()
            if q.role == "input" and "t" in q.slots and name in batch}
    if not axes:
        raise BadValue("truncate= cuts inputs along t, and no input of this model runs over t")
    longest = max(np.shape(batch[name])[axis] for name, axis in axes.items())
    for start in range(0, longest, steps):
        yield {name: entering(name, value)[(*[slice(None)] * axes[name], slice(start, start + steps))]
               if name in axes else value for name, value in batch.items()}
