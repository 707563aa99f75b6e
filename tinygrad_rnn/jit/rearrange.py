"""Copies between arrays whose axes lie in another order in memory."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..backends.numpy import pointer
from ..fusion.fuse import Group
from ..fusion.lift import Map, Operand
from ..fusion.passes import passed
from .assemble import assembled
from .native import KERNEL, machine


def rearrange(out: np.ndarray, a: np.ndarray) -> None:
    """out = a, of the same shape."""
    Rearranged(out)(a)


class Rearranged:
    """Copies of one array after the other, of the same shape, into `out`."""

    def __init__(self, out: np.ndarray):
        self.out = out
        self._strides: tuple[int, ...] | None = None  # those of the last array

    def __call__(self, a: np.ndarray) -> None:
        """out = a."""
        if a.dtype != self.out.dtype or a.dtype.char not in "fd":
            np.copyto(self.out, a, "unsafe")
            return
        if a.strides != self._strides:
            self._prepare(a.strides)
        self._record[self._place] = pointer(a)
        self._kernel(self._at, 0)

    def _prepare(self, strides: tuple[int, ...]) -> None:
        out = self.out
        self._kernel, (self._place, own), record = _kernel(out.shape, out.strides, strides, out.dtype.char)
        self._record, self._strides = record.copy(), strides
        self._record[own] = pointer(out)
        self._at = pointer(self._record)


@functools.lru_cache(maxsize=256)
def _kernel(shape: tuple[int, ...], out_strides: tuple[int, ...], strides: tuple[int, ...],
            dtype: str) -> tuple[Any, tuple[int, int], np.ndarray]:
    """The kernel for such a copy, where in its record the two addresses stand, and the record."""
    memory = np.empty(0, dtype)
    source, goal = (Operand(np.lib.stride_tricks.as_strided(memory, shape, s)) for s in (strides, out_strides))
    source.address = 0  # told apart from the goal, with which it would else share an empty array
    found = passed(Group(Map("copy", (source,), goal)), lambda o: True)
    assert found is not None
    kernel, record = assembled(found)
    first = kernel.axes
    positions = first, first + 2 + kernel.axes
    if found.operands[0] is not source:
        positions = positions[1], positions[0]
    return KERNEL(machine().address(repr(kernel), kernel.make)), positions, np.array(record, "int64")
