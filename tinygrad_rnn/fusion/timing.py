"""Programs that tell how long each of their units takes, in its place in a step, where the caches are as they are."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .program import Block, Call, Interpreted, Moving

Flow = tuple[tuple[Sequence[Any], Sequence[Any]], ...]

PRODUCTS, COPIES = ("matmul", "contraction", "vdot"), ("copyto", "rearrange")
# Which of its arrays a call writes, by the name of its function; all others write the last.
WRITTEN = {"copyto": 0, "rearrange": 0, "contraction": 0, "add_rows": 0, "sum_by_class": 0, "_scatter": 0, "_gather": 1}


@dataclass(frozen=True)
class Unit:
    """What a program does as one, and how long it took in a step.

    kind: "products", "elementwise", "copies" or "Python"; flow: the arrays that each of its instructions reads, and
    those that it writes, in order; calls, seconds and floating-point operations (of products only) in a step.
    """

    kind: str
    flow: Flow
    calls: int
    seconds: float
    flop: float = 0.0


def flow_of(fn: Callable[..., Any], columns: Sequence[Any]) -> Flow:
    """What a recorded call reads and writes."""
    arrays = [c.array[0, ...] if isinstance(c, Moving) else c for c in columns]
    arrays = [a for a in arrays if isinstance(a, np.ndarray)]
    if not arrays:
        return ()
    out = arrays.pop(WRITTEN.get(_name(fn), len(arrays) - 1))
    return ((arrays, (out,)),)


def _name(fn: Callable[..., Any]) -> str:
    return str(getattr(fn, "scalar", None) or getattr(fn, "__name__", ""))


def _kind(fn: Callable[..., Any]) -> str:
    if _name(fn) in PRODUCTS:
        return "products"
    if _name(fn) in COPIES:
        return "copies"
    return "elementwise" if isinstance(fn, np.ufunc) or hasattr(fn, "scalar") else "Python"


def _operations(fn: Callable[..., Any], flow: Flow) -> int:
    """Floating-point operations of a product."""
    if _name(fn) != "matmul":
        return 0
    ((ins, (out,)),) = flow
    return 2 * int(out.size) * int(ins[0].shape[-1])


class TimedCalls(Interpreted):
    """A program of recorded calls that reads the clock around each. inside: seconds in `run` since `reset`."""

    def __init__(self, program: Interpreted):
        super().__init__(program.segments)
        self._sites = [(site, item.count if isinstance(item, Block) else 1)
                       for segment in self.segments for item in segment for site in _sites(item)]
        self.reset()

    def reset(self) -> None:
        """Forget what was measured."""
        self.inside = 0.0
        self._spent = [0] * len(self._sites)

    def run(self, segment: int) -> None:
        """Do one segment."""
        clock, spent, began = time.perf_counter_ns, self._spent, time.perf_counter()
        for k, (fn, args) in self._numbered(segment):
            start = clock()
            fn(*args)
            spent[k] += clock() - start
        self.inside += time.perf_counter() - began

    def _numbered(self, segment: int) -> Iterator[tuple[int, Call]]:
        """The calls of a segment, each with the number of its site."""
        first = sum(len(_sites(item)) for before in self.segments[:segment] for item in before)
        for item in self.segments[segment]:
            count = len(_sites(item))
            numbers = itertools.cycle(range(first, first + count))
            yield from zip(numbers, item.calls() if isinstance(item, Block) else [item], strict=False)
            first += count

    def units(self) -> list[Unit]:
        """Every call of the program, those of a loop once, with what it took since `reset`."""
        found = []
        for ((fn, columns), count), spent in zip(self._sites, self._spent, strict=True):
            flow = flow_of(fn, columns)
            found.append(Unit(_kind(fn), flow, count, spent * 1e-9, float(count * _operations(fn, flow))))
        return found


def _sites(item: Call | Block) -> list[tuple[Callable[..., Any], Sequence[Any]]]:
    return list(zip(item.functions, item.columns, strict=True)) if isinstance(item, Block) else [item]
