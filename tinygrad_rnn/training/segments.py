"""Truncated backpropagation through time: batches cut along t, of losses that are made of steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np

from ..arguments import whole
from ..backends.places import entering
from ..errors import BadType, BadValue
from ..node import BATCH, Node, walk
from ..passes.schedule import needed
from ..system import System, least
from .batches import Batch

SUMS = {"add": 2, "subtract": 2, "negative": 1, "sum": 1, "mean": 1, "multiply": 1, "divide": 1}  # of how many totals


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


def check_examples(state: Mapping[str, Any] | None, batch: Batch, number: int) -> None:
    """Raise where a batch, counted from 0, has other examples than those whose state it goes on from."""
    name, first = next(iter(batch.items()), ("", ()))
    if not getattr(first, "shape", hasattr(first, "__len__")):
        raise BadType(f"in a batch {name} has one row per example, and this is {first!r:.80}; of a list of examples "
                      "tr.data.padded makes one batch")
    count = len(first)
    held = {len(v) for v in (state or {}).values()} - {count}
    if held:
        raise BadValue(f"batch {number + 1} has {count} examples, and the state that it goes on from is of "
                       f"{max(held)}; with carry_state each batch has as many as the one before, so leave out what is "
                       "left at the end")


def check_segments(system: System, of: str) -> None:
    """Raise where a segment cannot be trained on by itself: where `of` is not made of sums or means over steps.

    What an example's h[T], or its mean over t, is good for (a class, a score) is known at its end alone. A number of
    the whole batch may be any function of such totals, since a segment is to the data what a batch is.
    """
    _Cut(system, of).check()


class _Cut:
    def __init__(self, system: System, of: str):
        self.system, self.equations = system, needed(system, [of])
        self.totals = least(self.equations, (), self._is_total)

    def check(self) -> None:
        for eq in self.equations:
            totals = set[Node]()
            for node in walk([eq.rhs]):
                if self._is_whole(node, totals):
                    raise BadValue(f"{eq.left} needs the whole sequence, and truncate= trains on each segment as "
                                   'though that were all; leave truncate out, with memory="sqrt" where sequences are '
                                   f"long, or let the loss be a mean over t\n{eq.show(node)}")
                if node.attr("name") in self.totals if node.op == "ref" else self._is_total(node, totals):
                    totals.add(node)

    def _is_time(self, index: str) -> bool:
        return index != BATCH and self.system.range_of(index) == self.system.range_of("t")

    def _along_time(self, node: Node) -> bool:
        return bool(node.args) and any(map(self._is_time, dict(node.attrs).get("over") or ()))

    def _is_total(self, node: Node, totals: Set[Node]) -> bool:
        """Is it made of all steps, having none itself?"""
        if any(map(self._is_time, node.indices)):
            return False
        return self._along_time(node) or any(a in totals for a in node.args)

    def _is_whole(self, node: Node, totals: Set[Node]) -> bool:
        """Does it need more of the sequence than its own step, otherwise than as a sum that segments add to?"""
        if node.op == "ref":
            slots = zip(node.attr("slots"), self.system.quantities[node.attr("name")].slots, strict=True)
            return any(slot.anchor == "last" and self._is_time(index) for slot, index in slots)
        if node.op == "last":
            return self._is_time(node.attr("index"))
        read = [a for a in node.args if a in totals]
        if any(map(self._is_time, node.indices)):
            return bool(read) or self._along_time(node)
        if BATCH not in node.indices:
            return False
        if self._along_time(node) and node.op not in ("sum", "mean"):
            return True
        return len(read) > SUMS.get(node.op, 0) or (node.op == "divide" and node.args[1] in read)
