"""From recorded calls to instructions: what each reads, writes and computes, by the name of its function.

Array code is written over array functions; a function that SCALARS knows is an elementwise instruction, sums and maxima
are folds, contractions become products. Anything else stays a Python call, which compiled code calls back.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..program import Block, Call, Moving
from .scalar import SCALARS

NUMBERS = ("float32", "float64")


class Operand:
    """An array as the first step of a loop sees it, and how many bytes it moves from step to step."""

    def __init__(self, array: np.ndarray, step: int = 0):
        self.array, self.step = array, step
        self.dtype = array.dtype.name
        self.address = int(array.__array_interface__["data"][0])
        self.low, self.high = self.reach()

    @functools.cached_property
    def key(self) -> tuple[Any, ...]:
        """Equal for operands that are the same memory in the same order."""
        shaped = [(n, s) for n, s in zip(self.array.shape, self.array.strides, strict=True) if n != 1]
        return (self.address, self.step, self.dtype, *shaped)

    def reach(self, count: int = 1) -> tuple[int, int]:
        """The bytes it touches in `count` steps, as a range."""
        low = high = self.address
        moves = [*zip(self.array.shape, self.array.strides, strict=True), (count, self.step)]
        for n, stride in moves:
            low, high = low + min(0, (n - 1) * stride), high + max(0, (n - 1) * stride)
        return low, high + self.array.itemsize

    def view(self, array: np.ndarray) -> Operand:
        """Another view that moves alike."""
        return Operand(array, self.step)


Term = Operand | float | bool


@dataclass(eq=False)
class Map:
    """out = op(args), element by element."""

    op: str
    args: tuple[Term, ...]
    out: Operand

    @property
    def reads(self) -> list[Operand]:
        """What it reads."""
        return [a for a in self.args if isinstance(a, Operand)]


@dataclass(eq=False)
class Fold:
    """out = the sum or the maximum of `arg` over the axes along which out has no stride; out holds a start value."""

    op: str
    arg: Operand
    out: Operand

    @property
    def reads(self) -> list[Operand]:
        """What it reads."""
        return [self.arg, self.out]


@dataclass(eq=False)
class Product:
    """out = a contraction of a and b; `fields` are those of the kernel's record that do not move.

    kernel: "gemm", or "rows" where a is a matrix of contiguous rows and b a vector.
    """

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
    """A call that stays in Python."""

    fn: Callable[..., Any]
    columns: Sequence[Any]

    def at(self, step: int) -> None:
        """Do it for one step."""
        self.fn(*(c.array[step, ...] if isinstance(c, Moving) else c for c in self.columns))

    @property
    def reads(self) -> list[Operand]:
        """Every array that it is given may be read or written."""
        return [a for a in map(operand, self.columns) if isinstance(a, Operand)]


Instruction = Map | Fold | Product | Foreign


def writes(instruction: Instruction) -> list[Operand]:
    """What an instruction writes."""
    return instruction.reads if isinstance(instruction, Foreign) else [instruction.out]


@dataclass
class Repeated:
    """`count` repetitions of instructions."""

    count: int
    instructions: list[Instruction] = field(default_factory=list)


def operand(column: Any) -> Any:
    """An argument of a recorded call: an Operand where it is an array."""
    if isinstance(column, Moving):
        return Operand(column.array[0, ...], column.array.strides[0])
    return Operand(column) if isinstance(column, np.ndarray) else column


def lifted(calls: Sequence[Call | Block]) -> list[Repeated]:
    """The instructions of a program."""
    found: list[Repeated] = []
    for item in calls:
        if isinstance(item, Block):
            body = Repeated(item.count)
            for fn, columns in zip(item.functions, item.columns, strict=True):
                body.instructions += _lift(fn, columns)
            found.append(body)
            continue
        if not found or found[-1].count != 1:
            found.append(Repeated(1))
        found[-1].instructions += _lift(item[0], item[1])
    return found


def _lift(fn: Callable[..., Any], columns: Sequence[Any]) -> list[Instruction]:
    args = [operand(c) for c in columns]
    name = str(getattr(fn, "scalar", None) or getattr(fn, "__name__", ""))
    rule = RULES.get(name) or (_map if name in SCALARS else None)
    made = None if rule is None else rule(name, args)
    return [Foreign(fn, columns)] if made is None else list(made)


def _fits(*terms: Any) -> bool:
    """Are these numbers and arrays of what one kernel can hold?"""
    dtypes = {t.dtype for t in terms if isinstance(t, Operand)}
    plain = all(isinstance(t, (Operand, int, float, bool)) for t in terms)
    return plain and dtypes <= {*NUMBERS, "bool"} and not dtypes >= set(NUMBERS)


def _spread(term: Term, shape: tuple[int, ...]) -> Term:
    return term.view(np.broadcast_to(term.array, shape)) if isinstance(term, Operand) else term


def _map(name: str, args: list[Any]) -> list[Instruction] | None:
    *ins, out = args
    if not isinstance(out, Operand) or not _fits(*ins, out):
        return None
    return [Map(name, tuple(_spread(a, out.array.shape) for a in ins), out)]


def _copy(name: str, args: list[Any]) -> list[Instruction] | None:
    goal, source, mask = args[0], args[1], args[3] if len(args) > 3 else None
    if not isinstance(goal, Operand) or not _fits(goal, source, *([mask] if mask is not None else [])):
        return None
    shape = goal.array.shape
    if mask is None:
        return [Map("copy", (_spread(source, shape),), goal)]
    return [Map("where", (_spread(mask, shape), _spread(source, shape), goal), goal)]


def _reduction(name: str, args: list[Any]) -> list[Instruction] | None:
    """sum and mean take (a, axes, dtype, out, keepdims), max (a, axes, out, keepdims)."""
    source, axes = args[0], args[1]
    out = args[2] if name == "max" else args[3]
    if not isinstance(source, Operand) or not _fits(source, out) or source.dtype != out.dtype:
        return None
    return _folded("max" if name == "max" else "sum", source, axes, out, name == "mean")


def _folded(op: str, source: Operand, axes: tuple[int, ...], out: Operand, mean: bool = False) -> list[Instruction]:
    kept = tuple(1 if k in axes else n for k, n in enumerate(source.array.shape))
    small = out.view(_reshaped(out.array, kept))
    wide = out.view(np.broadcast_to(small.array, source.array.shape))
    found: list[Instruction] = [Map("copy", (0.0 if op == "sum" else -math.inf,), small), Fold(op, source, wide)]
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


def _contraction(name: str, args: list[Any]) -> list[Instruction] | None:
    out, a, b, (lo, la, lb) = args
    if not _fits(out, a, b) or not out.dtype == a.dtype == b.dtype:
        return None
    sizes = {**dict(zip(la, a.array.shape, strict=True)), **dict(zip(lb, b.array.shape, strict=True))}
    strides = [{x: s for x, s in zip(labels, o.array.strides, strict=True) if sizes[x] != 1}
               for labels, o in ((la, a), (lb, b), (lo, out))]
    order = [x for x in lo if sizes[x] != 1]
    if not order or (order[-1] in strides[0] and order[-1] in strides[1]):
        return _multiplied(out, a, b, lo, la, lb, sizes)
    if order[-1] in strides[0]:
        a, b, strides = b, a, [strides[1], strides[0], strides[2]]
    if strides[2][order[-1]] != out.array.itemsize:
        return None
    return _product(out, a, b, order, strides, sizes)


def _multiplied(out: Operand, a: Operand, b: Operand, lo: Sequence[str], la: Sequence[str], lb: Sequence[str],
                sizes: dict[str, int]) -> list[Instruction]:
    """A contraction whose vectors run along what all three have (the batch): multiply, and sum in the same pass."""
    summed = [x for x in la if x not in lo]
    order = [*lo[:-1], *summed, *lo[-1:]] if lo else summed
    shape = tuple(sizes[x] for x in order)

    def spread(o: Operand, labels: Sequence[str]) -> Operand:
        array = o.array.transpose([labels.index(x) for x in order if x in labels])
        array = array[(*(slice(None) if x in labels else None for x in order), ...)]
        return o.view(np.broadcast_to(array, shape))

    between = Operand(np.empty(shape, out.array.dtype))
    axes = tuple(k for k, x in enumerate(order) if x in summed)
    return [Map("multiply", (spread(a, la), spread(b, lb)), between), *_folded("sum", between, axes, out)]


AXES = 6  # that a kernel can walk over: a row, a column, two of those that are summed, and two more of any kind


def _product(out: Operand, a: Operand, b: Operand, order: list[str], strides: list[dict[str, int]],
             sizes: dict[str, int]) -> list[Instruction] | None:
    from .gemm import CHUNK

    sa, sb, sc = strides
    summed = sorted((x for x in sa if x not in sc), key=lambda x: -abs(sa[x]))
    rows = _merged([x for x in order if x in sa and x not in sb], sizes, [sa, sc])
    columns = _merged([x for x in order if x in sb and x not in sa], sizes, [sb, sc])
    stack = _merged([x for x in order if x in sa and x in sb], sizes, [sa, sb, sc])
    inner = _merged(summed, sizes, [sa, sb], CHUNK)
    if len(inner) + len(rows) + len(columns) + len(stack) > AXES:
        inner = _merged(summed, sizes, [sa, sb])
    row = max(rows, key=lambda axis: axis[0], default=(1, (0, 0)))
    rows = [r for r in rows if r is not row]
    *columns, column = columns
    k1 = inner.pop() if inner else (1, (0, 0))
    k2 = inner.pop() if inner else (1, (0, 0))
    outer = [(n, (x, 0, z), 0) for n, (x, z) in rows] + [(n, (0, y, z), 0) for n, (y, z) in columns]
    outer += [(n, (x, y, z), 0) for n, (x, y, z) in stack]
    outer += [(n, (x, y, 0), 1) for n, (x, y) in inner]
    if len(outer) > 2:
        return None
    outer += [(1, (0, 0, 0), 0)] * (2 - len(outer))
    fields = {"m": row[0], "a_m": row[1][0], "c_m": row[1][1], "n": column[0], "b_n": column[1][0],
              "k1": k1[0], "a_k1": k1[1][0], "b_k1": k1[1][1], "k2": k2[0], "a_k2": k2[1][0], "b_k2": k2[1][1]}
    for k, (n, (x, y, z), add) in enumerate(outer, 1):
        fields |= {f"outer{k}": n, f"a_outer{k}": x, f"b_outer{k}": y, f"c_outer{k}": z, f"add_outer{k}": add}
    size = out.array.itemsize
    if all(fields[x] == 1 for x in ("m", "k2", "outer1", "outer2")) and fields["a_k1"] == fields["b_k1"] == size:
        return [Product(b, a, out, {"m": column[0], "k": k1[0], "a_m": column[1][0], "c_m": size}, kernel="rows")]
    return [Product(a, b, out, fields, _scratch(fields, size))]


def _scratch(fields: dict[str, int], size: int) -> int:
    """How many numbers the kernel needs to lay out the part of B that it works on."""
    from .gemm import CHUNK, WIDE, lanes

    if fields["b_n"] == size:
        return 0
    panel = lanes("float32" if size == 4 else "float64") * (WIDE if fields["m"] <= 2 else 2)
    return max(fields["k1"], CHUNK) * -(-fields["n"] // panel) * panel


Axis = tuple[int, tuple[int, ...]]


def _merged(labels: list[str], sizes: dict[str, int], strides: list[dict[str, int]], most: float = math.inf
            ) -> list[Axis]:
    """Axes as (size, strides in each array), neighbours that are one run in all arrays made one of at most so many."""
    found: list[Axis] = []
    for x in labels:
        n, own = sizes[x], tuple(s[x] for s in strides)
        one_run = found and all(before == n * s for before, s in zip(found[-1][1], own, strict=True))
        if one_run and found[-1][0] * n <= most:
            found[-1] = (found[-1][0] * n, own)
        else:
            found.append((n, own))
    return found


RULES: dict[str, Callable[[str, list[Any]], list[Instruction] | None]] = {
    "copyto": _copy, "sum": _reduction, "mean": _reduction, "max": _reduction, "contraction": _contraction,
}

