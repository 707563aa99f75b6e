"""Memory for the arrays of a plan: those that are never needed at the same time share it.

Where an array lies must not depend on how long sequences are, so that what a plan takes can be foretold from small
ones. So only arrays that grow alike share memory, and each is counted in bytes per position: of time, of the batch.
Source: Pisarchyk and Lee 2020, "Efficient Memory Management for Deep Neural Net Inference" (greedy by size).
"""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, TypeVar

import numpy as np

FOREVER = math.inf
ALIGNMENT = 8  # bytes per position: those of the widest numbers
Key = TypeVar("Key")


@dataclass(frozen=True)
class Need:
    """An array that holds something from the place `first` to the place `last` of a schedule, both included.

    extents: what its size is a multiple of: ranges, and the batch, by name.
    """

    shape: tuple[int, ...]
    dtype: str
    extents: tuple[str, ...]
    first: float
    last: float

    @property
    def bytes(self) -> int:
        """What it takes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @functools.cached_property
    def when(self) -> int:
        """The places at which it holds something, as the bits of a number."""
        return _bits(self.first, self.last)


def _bits(first: float, last: float) -> int:
    """Those of the numbers from first to last; an int of Python's may have bits for ever."""
    return (-1 << int(first)) ^ (0 if last == FOREVER else -1 << int(last) + 1)


@dataclass
class _Block:
    """Memory, so many bytes for each position, and who has which of them when: (start, stop, first, last)."""

    memory: Any
    each: int
    claims: list[tuple[int, int, float, float]] = field(default_factory=list)
    full: int = 0  # when all of it is taken by one, as bits: most arrays are as large as others, or as nothing else

    def claim(self, start: int, stop: int, need: Need) -> None:
        """Let it have these bytes of each position as long as it needs them."""
        self.claims.append((start, stop, need.first, need.last))
        if stop - start == self.each:
            self.full |= need.when

    def place(self, each: int, need: Need) -> int | None:
        """The lowest place that is free all the time that it is needed."""
        if self.full & need.when:
            return None
        taken = sorted((start, stop) for start, stop, first, last in self.claims
                       if first <= need.last and need.first <= last)
        at = 0
        for start, stop in taken:
            if start - at >= each:
                break
            at = max(at, stop)
        return at if at + each <= self.each else None


class Arena:
    """The memory of a plan. sizes: of ranges, and of the batch, by name."""

    def __init__(self, backend: Any, sizes: Mapping[str, int]):
        self.backend, self.sizes = backend, sizes
        self.bytes = 0
        self._blocks: dict[tuple[str, ...], list[_Block]] = {}

    def zeros(self, shape: Sequence[int], dtype: Any) -> Any:
        """An array that shares its memory with none, all zero."""
        found = self.backend.zeros(tuple(shape), dtype)
        self.bytes += found.nbytes
        return found

    def lend(self, array: Any, extents: Sequence[str], first: float) -> None:
        """Let others have the array's memory before the place `first`. The array is in one piece."""
        each = array.nbytes // self._positions(extents)
        self._add(extents, _Block(array, each, [(0, each, first, FOREVER)], _bits(first, FOREVER)))

    def arrays(self, needs: Mapping[Key, Need]) -> dict[Key, Any]:
        """An array for each need, with anything in it; the largest are seen to first."""
        each = {key: self._each(need) for key, need in needs.items()}
        return {key: self._array(each[key], needs[key]) for key in sorted(needs, key=lambda k: -each[k])}

    def _array(self, each: int, need: Need) -> Any:
        blocks = self._alike(need.extents)
        for block in blocks[bisect.bisect_left(blocks, each, key=attrgetter("each")) :]:
            at = block.place(each, need)
            if at is not None:
                break
        else:
            at, block = 0, _Block(self.zeros((each * self._positions(need.extents),), "uint8"), each)
            self._add(need.extents, block)
        block.claim(at, at + each, need)
        return self.backend.within(block.memory, at * self._positions(need.extents), need.shape, need.dtype)

    def _alike(self, extents: Sequence[str]) -> list[_Block]:
        """The blocks that grow so, the smallest first."""
        return self._blocks.setdefault(tuple(sorted(extents)), [])

    def _add(self, extents: Sequence[str], block: _Block) -> None:
        bisect.insort(self._alike(extents), block, key=attrgetter("each"))

    def _positions(self, extents: Sequence[str]) -> int:
        return math.prod(self.sizes[e] for e in extents)

    def _each(self, need: Need) -> int:
        """Bytes per position, a multiple of what aligns all numbers."""
        each = need.bytes // self._positions(need.extents)
        return -(-each // ALIGNMENT) * ALIGNMENT
