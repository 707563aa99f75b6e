"""Recorded calls, and loops of them: the body is recorded for two steps, the rest follow by fixed strides."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from ..errors import Error

Call = tuple[Callable[..., Any], tuple[Any, ...]]

# A loop of at most so many calls keeps all its views ready; a longer one makes them as it goes.
READY = 60_000


class Recorder:
    """Array code's `do`: appends calls to a list; scratch arrays are kept by the site that asks for them.

    compiled: whether the calls will be compiled; matrices: whether, even so, the operands of products are to be laid
    out as matrices.
    """

    def __init__(self, backend: Any, compiled: bool = False):
        self.backend, self.compiled = backend, compiled
        self.matrices = not compiled or backend.matrices
        self.xp = backend.xp
        self.calls: list[Call | Block] = []
        self.site: Hashable = None
        self._scratch: dict[Hashable, Any] = {}
        self._count = 0

    def at(self, site: Hashable) -> None:
        """What follows is emitted for `site`; its scratch arrays are the same each time."""
        self.site, self._count = site, 0

    def __call__(self, fn: Callable[..., Any], *args: Any) -> None:
        self.calls.append((fn, args))

    def temp(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """A scratch array of the current site, the same each time it is emitted."""
        key = (self.site, self._count, shape, str(dtype))
        self._count += 1
        if key not in self._scratch:
            self._scratch[key] = self.backend.zeros(shape, dtype)
        return self._scratch[key]

    def scratch(self) -> list[Any]:
        """All scratch arrays that were asked for."""
        return list(self._scratch.values())

    def loop(self, count: int, emit: Callable[[int], None]) -> None:
        """Record emit(0), emit(1) and derive the other steps up to count."""
        outer, bodies = self.calls, []
        for step in range(min(count, 2)):
            self.calls = []
            emit(step)
            bodies.append(_flat(self.calls))
        self.calls = outer
        self.calls.append(Block(self.backend, bodies, count))


class Block:
    """`count` repetitions of calls whose arrays move by a fixed stride each."""

    def __init__(self, backend: Any, bodies: list[list[Call]], count: int):
        first, second = bodies[0], bodies[-1]
        if [fn for fn, _ in first] != [fn for fn, _ in second]:
            raise Error("internal: the steps of a loop differ")
        self.count = count
        self.functions = [fn for fn, _ in first]
        self.columns = [[_column(backend, a, b, count) for a, b in zip(x[1], y[1], strict=True)]
                        for x, y in zip(first, second, strict=True)]
        self._ready: list[Call] | None = None

    def calls(self) -> Iterator[Call]:
        """Every call of every step, in order."""
        if self._ready is not None:
            yield from self._ready
            return
        for row in zip(*(_argument_rows(columns, self.count) for columns in self.columns), strict=True):
            yield from zip(self.functions, row, strict=True)

    def prepare(self) -> None:
        """Make the views ahead where that is not too many."""
        if self._ready is None and self.count * len(self.functions) <= READY:
            self._ready = list(self.calls())


class Moving:
    """An argument that moves: one array whose first axis is the step."""

    __slots__ = ("array",)

    def __init__(self, array: Any):
        self.array = array


def _column(backend: Any, a: Any, b: Any, count: int) -> Any:
    """How an argument goes on from its values in the first two steps."""
    if not hasattr(a, "strides"):
        if type(a) is not type(b) or not (a is b or a == b):
            raise Error(f"internal: a loop's argument changes from {a!r} to {b!r}")
        return a
    step = backend.pointer(b) - backend.pointer(a)
    if a.shape != b.shape or a.strides != b.strides:
        raise Error("internal: a loop's array changes its shape")
    if backend.owner(a) is not backend.owner(b):  # it would go on from there into memory that is not its own
        raise Error("internal: a loop's array is made anew at each step")
    return a if step == 0 else Moving(backend.strided(a, count, step))


def _argument_rows(columns: list[Any], count: int) -> Iterator[tuple[Any, ...]]:
    """The arguments of one call, step by step."""
    if not columns:
        return itertools.repeat((), count)
    return zip(*(_cells(c, count) for c in columns), strict=True)


def _cells(column: Any, count: int) -> Any:
    return _views(column.array) if isinstance(column, Moving) else itertools.repeat(column, count)


def _views(array: Any) -> Iterator[Any]:
    if array.ndim > 1:
        return iter(array)
    return (array[k, ...] for k in range(len(array)))  # iterating would give numbers, not views


def _flat(calls: list[Call | Block]) -> list[Call]:
    flat: list[Call] = []
    for item in calls:
        if isinstance(item, Block):
            flat.extend(item.calls())
        else:
            flat.append(item)
    return flat


class Interpreted:
    """Segments of recorded calls, done one by one."""

    def __init__(self, segments: list[list[Call | Block]]):
        self.segments = segments
        for calls in segments:
            for item in calls:
                if isinstance(item, Block):
                    item.prepare()

    def settle(self) -> None:
        """Nothing is to be measured before the first run."""

    def run(self, segment: int) -> None:
        """Do one segment."""
        for item in self.segments[segment]:
            if isinstance(item, Block):
                for fn, args in item.calls():
                    fn(*args)
            else:
                item[0](*item[1])
