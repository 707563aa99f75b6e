"""From recorded calls to instructions: what each reads, writes and computes, by the name of its function.

Array code is written over array functions; a function that SCALARS knows is an elementwise instruction, sums and maxima
are folds; what is a product the machine says. Anything else stays a Python call, which compiled code calls back.

An operand's array is NumPy's, also where the memory is a device's: then it is never looked into, only at.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from .program import Block, Call, Moving
from .scalar import FOLDS, SCALARS

FLOATS = ("float32", "float64")
NUMBERS = frozenset({*FLOATS, "int64"})  # that kernels know


class Operand:
    """An array as the first step of a loop sees it, and how many bytes it moves from step to step."""

    def __init__(self, array: np.ndarray, step: int = 0):
        assert isinstance(array, np.ndarray)  # not a number, which would have been read
        self.array, self.step = array, step
        self.dtype = array.dtype.name
        self.address = int(array.__array_interface__["data"][0])
        self._reached: dict[int, tuple[int, int]] = {}
        self.low, self.high = self.reach()

    @functools.cached_property
    def key(self) -> tuple[Any, ...]:
        """Equal for operands that are the same memory in the same order."""
        shaped = [(n, s) for n, s in zip(self.array.shape, self.array.strides, strict=True) if n != 1]
        return (self.address, self.step, self.dtype, *shaped)

    def reach(self, count: int = 1) -> tuple[int, int]:
        """The bytes it touches in `count` steps, as a range."""
        if count not in self._reached:
            low = high = self.address
            moves = [*zip(self.array.shape, self.array.strides, strict=True), (count, self.step)]
            for n, stride in moves:
                low, high = low + min(0, (n - 1) * stride), high + max(0, (n - 1) * stride)
            self._reached[count] = low, high + self.array.itemsize
        return self._reached[count]

    def view(self, array: np.ndarray) -> Operand:
        """Another view that moves alike."""
        return Operand(array, self.step)


class Table(Operand):
    """What is read at places that are computed: `array` is what lies at place 0, `whole` all that may be read."""

    def __init__(self, array: np.ndarray, whole: Operand):
        self.whole = whole
        super().__init__(array, whole.step)

    @functools.cached_property
    def key(self) -> tuple[Any, ...]:
        """Never that of an operand."""
        return ("table", *super().key)

    def reach(self, count: int = 1) -> tuple[int, int]:
        """All of it."""
        return self.whole.reach(count)

    def view(self, array: np.ndarray) -> Table:
        """Another view of place 0."""
        return Table(array, self.whole)


@dataclass(eq=False)
class Map:
    """out = op(args), element by element; an argument that is a Map itself is computed with it, and kept nowhere.

    Or, with op "take", out = the element of a Table at a place, so many elements further for each; 0 where there is no
    such place: args are the table and the place, more how far and how many places there are.
    """

    op: str
    args: tuple[Any, ...]  # terms
    out: Operand
    more: tuple[int, ...] = ()

    @functools.cached_property
    def reads(self) -> list[Operand]:
        """What it reads."""
        found: list[Operand] = []
        for a in self.args:
            found += [a] if isinstance(a, Operand) else a.reads if isinstance(a, Map) else []
        return found


Term = Operand | Map | float | bool


@dataclass(eq=False)
class Fold:
    """out = the sum or the maximum of `arg` over the axes along which out has no stride.

    fresh: whether that is all, or what out holds already is one of the numbers.
    """

    op: str
    arg: Operand
    out: Operand
    fresh: bool = False

    @property
    def reads(self) -> list[Operand]:
        """What it reads."""
        return [self.arg] if self.fresh else [self.arg, self.out]


@dataclass(eq=False)
class Product:
    """out = a product of a and b; `fields` are what a kernel of that name needs to know and that does not move."""

    a: Operand
    b: Operand
    out: Operand
    fields: dict[str, int]
    scratch: int = 0  # numbers needed beside
    kernel: str = "gemm"

    @property
    def reads(self) -> list[Operand]:
        """What it reads."""
        return [self.a, self.b]


@dataclass(eq=False)
class Foreign:
    """A call that stays in Python; every array among its arguments may be read or written."""

    fn: Callable[..., Any]
    columns: Sequence[Any]
    reads: list[Operand]

    def at(self, step: int) -> None:
        """Do it for one step."""
        self.fn(*(c.array[step, ...] if isinstance(c, Moving) else c for c in self.columns))


Instruction = Map | Fold | Product | Foreign


def writes(instruction: Instruction) -> list[Operand]:
    """What an instruction writes."""
    return instruction.reads if isinstance(instruction, Foreign) else [instruction.out]


@dataclass
class Repeated:
    """`count` repetitions of instructions."""

    count: int
    instructions: list[Instruction] = field(default_factory=list)


class Memory(Protocol):
    """The arrays of a machine.

    fresh: whether its folds write what they find, so that nothing has to be there before.
    """

    fresh: bool

    def seen(self, array: Any) -> np.ndarray | None:
        """The same memory as NumPy's array; None for what is no array of this machine."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """A new array, seen so."""

    def name(self, fn: Callable[..., Any]) -> str:
        """What RULES call a function of this machine's array module."""


class Host:
    """Arrays of NumPy's own."""

    fresh = False

    def seen(self, array: Any) -> np.ndarray | None:
        """The array itself."""
        return array if isinstance(array, np.ndarray) else None

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """A new array."""
        return np.empty(shape, dtype)

    def name(self, fn: Callable[..., Any]) -> str:
        """NumPy's own name; what is made of several functions says which it is."""
        return str(getattr(fn, "scalar", None) or getattr(fn, "__name__", ""))


Rule = Callable[[list[Any], Memory], "list[Instruction] | None"]


def lifted(calls: Sequence[Call | Block], products: Mapping[str, Rule], memory: Memory) -> list[Repeated]:
    """The instructions of a program. products: rules for the calls that are products, by the function's name."""
    rules = RULES | dict(products)
    found: list[Repeated] = []
    for item in calls:
        if isinstance(item, Block):
            body = Repeated(item.count)
            for fn, columns in zip(item.functions, item.columns, strict=True):
                body.instructions += _lift(fn, columns, rules, memory)
            found.append(body)
            continue
        if not found or found[-1].count != 1:
            found.append(Repeated(1))
        found[-1].instructions += _lift(item[0], item[1], rules, memory)
    return found


def _lift(fn: Callable[..., Any], columns: Sequence[Any], rules: Mapping[str, Rule], memory: Memory
          ) -> list[Instruction]:
    args = [_operand(c, memory) for c in columns]
    rule = rules.get(memory.name(fn))
    made = None if rule is None else rule(args, memory)
    if made is None:
        return [Foreign(fn, columns, [a for a in args if isinstance(a, Operand)])]
    return list(made)


def _operand(column: Any, memory: Memory) -> Any:
    """An argument of a recorded call: an Operand where it is an array."""
    if isinstance(column, Moving):
        array = memory.seen(column.array)
        assert array is not None
        return Operand(array[0, ...], array.strides[0])
    array = memory.seen(column)
    return column if array is None else Operand(array)


def fits(*terms: Any) -> bool:
    """Are these numbers and arrays of what one kernel can hold?"""
    dtypes = {t.dtype for t in terms if isinstance(t, Operand)}
    plain = all(isinstance(t, (Operand, int, float, bool)) for t in terms)
    return plain and dtypes <= {*NUMBERS, "bool"} and not dtypes >= set(FLOATS)


def spread(term: Term, shape: tuple[int, ...]) -> Term:
    """A term of that shape."""
    return term.view(np.broadcast_to(term.array, shape)) if isinstance(term, Operand) else term


def _map(name: str, args: list[Any], memory: Memory) -> list[Instruction] | None:
    *ins, out = args
    if not isinstance(out, Operand) or not fits(*ins, out):
        return None
    return [Map(name, tuple(spread(a, out.array.shape) for a in ins), out)]


def _copy(args: list[Any], memory: Memory) -> list[Instruction] | None:
    goal, source, mask = args[0], args[1], args[3] if len(args) > 3 else None
    if not isinstance(goal, Operand) or not fits(goal, source, *([mask] if mask is not None else [])):
        return None
    shape = goal.array.shape
    if mask is None:
        return [Map("copy", (spread(source, shape),), goal)]
    return [Map("where", (spread(mask, shape), spread(source, shape), goal), goal)]


def _reduction(name: str, args: list[Any], memory: Memory) -> list[Instruction] | None:
    """sum and mean take (a, axes, dtype, out, keepdims), max (a, axes, out, keepdims)."""
    source, axes = args[0], args[1]
    out = args[2] if name == "max" else args[3]
    if not isinstance(source, Operand) or not fits(source, out) or not source.dtype == out.dtype in FLOATS:
        return None
    return reduced("max" if name == "max" else "sum", source, axes, out, memory, name == "mean")


def reduced(op: str, source: Operand, axes: tuple[int, ...], out: Operand, memory: Memory, mean: bool = False
            ) -> list[Instruction]:
    """out = the sum or the maximum of source over some of its axes, with or without them; or the mean."""
    kept = tuple(1 if k in axes else n for k, n in enumerate(source.array.shape))
    small = out.view(_reshaped(out.array, kept))
    wide = out.view(np.broadcast_to(small.array, source.array.shape))
    start = Map("copy", (FOLDS[op][0],), small)
    found: list[Instruction] = [start, Fold(op, source, wide)]
    if memory.fresh:
        found = [Fold(op, source, wide, fresh=True)] if source.array.size else [start]
    if mean:
        count = source.array.size // max(small.array.size, 1)
        found.append(Map("multiply", (small, 1.0 / count), small))
    return found


def _reshaped(array: np.ndarray, kept: tuple[int, ...]) -> np.ndarray:
    """A view with axes of size 1 put in where `kept` has them."""
    sizes = iter([slice(None)] * array.ndim)
    if array.ndim == len(kept):
        return array
    have = list(array.shape)
    key: list[Any] = []
    for n in kept:
        if have and have[0] == n:
            have.pop(0)
            key.append(next(sizes))
        else:
            key.append(None)
    return array[(*key, ...)]


def multiplied(out: Operand, a: Operand, b: Operand, labels: Sequence[Sequence[str]], memory: Memory
               ) -> list[Instruction]:
    """A contraction whose vectors run along what both operands have: multiply, and sum in the same pass."""
    lo, la, lb = labels
    sizes = {**dict(zip(la, a.array.shape, strict=True)), **dict(zip(lb, b.array.shape, strict=True))}
    summed = [x for x in la if x not in lo]
    order = [*lo[:-1], *summed, *lo[-1:]] if lo else summed
    strides = [dict(zip(own, o.array.strides, strict=True)) for o, own in ((a, la), (b, lb))]
    together = {x for own in strides for x, s in own.items() if s == out.array.itemsize}
    whole = any(set(own) == set(order) for own in (la, lb)) and not memory.fresh
    if (len(together) == 1 and together <= set(summed)) or whole:  # as both lie in memory, or the larger one does
        order.sort(key=lambda x: -max(abs(own.get(x, 0)) for own in strides))
    shape = tuple(sizes[x] for x in order)

    def ordered(o: Operand, labels: Sequence[str]) -> np.ndarray:
        array = o.array.transpose([labels.index(x) for x in order if x in labels])
        return array[(*(slice(None) if x in labels else None for x in order), ...)]

    factors = tuple(o.view(np.broadcast_to(ordered(o, own), shape)) for o, own in ((a, la), (b, lb)))
    between = Operand(memory.empty(shape, out.array.dtype))
    axes = tuple(k for k, x in enumerate(order) if x in summed)
    return [Map("multiply", factors, between), *reduced("sum", between, axes, out.view(ordered(out, lo)), memory)]


RULES: dict[str, Rule] = {
    **{name: functools.partial(_map, name) for name in SCALARS},
    **{name: functools.partial(_reduction, name) for name in ("sum", "mean", "max")},
    "copyto": _copy,
}
