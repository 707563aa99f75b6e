"""What a pass does for one element, in CUDA C; the structure is in the text, extents and strides are arguments."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..fusion.passes import Pass
from ..fusion.scalar import Terms
from .values import INTEGER, KINDS, Code, Value, literal


@dataclass(frozen=True)
class Access:
    """How a kernel reaches an operand: along each axis 0 (the same number throughout), 1 (contiguous) or -1."""

    dtype: str
    written: bool
    along: tuple[int, ...]

    @property
    def kind(self) -> str:
        """Its type in memory."""
        return "unsigned char" if self.dtype == "bool" else KINDS[self.dtype]


@dataclass(frozen=True)
class Kernel:
    """What one pass does, whatever the sizes; the fields are those of `fusion.passes.Pass`.

    In a step ("take", operand, step, k) how far and how many are the arguments far<k> and count<k>.
    folded: of each axis, do the folds run over it?
    """

    dtype: str
    folded: tuple[bool, ...]
    accesses: tuple[Access, ...]
    steps: tuple[tuple[Any, ...], ...]
    stores: tuple[tuple[int, int], ...]
    folds: tuple[tuple[int, int, str], ...]

    @property
    def axes(self) -> range:
        """The axes' numbers."""
        return range(len(self.folded))

    @property
    def used(self) -> frozenset[int]:
        """The axes along which some operand moves."""
        return self.moving(range(len(self.accesses)))

    def moving(self, operands: Collection[int]) -> frozenset[int]:
        """The axes along which some of these operands move."""
        return frozenset(j for j in self.axes if any(self.accesses[k].along[j] for k in operands))

    @property
    def by_lanes(self) -> bool:
        """Do the threads of a block have different sums?"""
        return bool(self.folds) and not self.folded[-1]

    def parameters(self, prefix: str = "", alone: bool = True) -> list[str]:
        """What the kernel is given: extents, and of each operand the address and the strides that are not known.

        alone: whether nothing but this pass touches its memory meanwhile, so that loads may go where nobody looks
        for what others have written.
        """
        found = [f"const long long {prefix}n{k}" for k in self.axes]
        for k, access in enumerate(self.accesses):
            const = "" if access.written else "const "
            found.append(f"{const}{access.kind} *{'__restrict__ ' * alone}{prefix}p{k}")
            found += [f"const long long {prefix}s{k}_{j}" for j, a in enumerate(access.along) if a < 0]
        takes = sum(1 for name, *_ in self.steps if name == "take")
        return found + [f"const long long {prefix}{what}{j}" for j in range(takes) for what in ("far", "count")]


def kernel(p: Pass) -> Kernel:
    """The structure of a pass."""
    accesses = tuple(Access(o.dtype, o in p.written, tuple(
        0 if strides[k] == 0 else 1 if strides[k] == o.array.itemsize else -1 for _, strides in p.axes))
        for k, o in enumerate(p.operands))
    folded = tuple(bool(p.folds) and all(strides[k] == 0 for k, _, _ in p.folds) for _, strides in p.axes)
    numbers = itertools.count()
    steps = tuple((*step[:3], next(numbers)) if step[0] == "take" else step for step in p.steps)
    return Kernel(p.dtype, folded, accesses, steps, p.stores, p.folds)


def strides(p: Pass, k: int) -> list[int]:
    """The strides of an operand that its kernel does not know, in elements."""
    size = p.operands[k].array.itemsize
    return [s[k] // size for _, s in p.axes if s[k] not in (0, size)]


class Writer:
    """Writes what is done for one element, whose position along axis k is the variable i<k>.

    resident: in a kernel that runs a whole loop, where `step` is the step, <prefix>m<k> how far operand k moves with
    it, and what other blocks have written is not looked for in this block's own cache. known: variables that hold the
    elements of operands.
    """

    def __init__(self, kernel: Kernel, code: Code, prefix: str = "", resident: bool = False,
                 known: Mapping[int, str] | None = None):
        self.kernel, self.code, self.prefix, self.resident, self.known = kernel, code, prefix, resident, known or {}
        self.kind = KINDS[kernel.dtype]
        self.terms = Terms(self.number, self.truth, self._beside_integers, self._kept,
                           lambda x: isinstance(x, bool) or (isinstance(x, Value) and x.kind == "bool"),
                           lambda x: isinstance(x, Value) and x.kind == INTEGER)

    def element(self) -> list[Value]:
        """Loads, steps and stores; the values that are to be folded."""
        values: list[Any] = []
        for name, *args in self.kernel.steps:
            if name == "load":
                values.append(self._loaded(args[0]))
            elif name == "take":
                values.append(self._taken(args[0], values[args[1]], args[2]))
            else:
                values.append(args[0] if name == "const" else self.terms.computed(name, [values[k] for k in args]))
        for operand, step in self.kernel.stores:
            value, dtype = values[step], self.kernel.accesses[operand].dtype
            if dtype == "int64" and not isinstance(value, Value):
                value = self._beside_integers(value)
            value = (self.truth if dtype == "bool" else self.number)(value)
            self.code.line(f"{self.at(operand)} = {value.text};")
        return [self.number(values[step]) for _, step, _ in self.kernel.folds]

    def _beside_integers(self, x: Any) -> Value:
        if isinstance(x, Value):
            return x if x.kind != "bool" else x.choose(Value(self.code, INTEGER, literal(INTEGER, 1)), 0)
        kind = INTEGER if float(x).is_integer() else "double"
        return Value(self.code, kind, literal(kind, x))

    def _kept(self, name: str, x: Any) -> Value:
        """A value as an array of integers, or of floats, keeps it."""
        kind = INTEGER if name == "whole" else self.kind
        if not isinstance(x, Value):
            return Value(self.code, kind, literal(kind, x))
        return self.code.let(kind, f"({kind}){x.text}")

    def _taken(self, operand: int, place: Any, k: int) -> Value:
        """The element at a place, or 0 where there is no such place."""
        place = Value(self.code, INTEGER, literal(INTEGER, place)) if not isinstance(place, Value) else place
        there = self.code.let("bool", f"{place.text} >= 0 && {place.text} < {self.prefix}count{k}")
        inside = self.code.let(INTEGER, f"{there.text} ? (long long){place.text} : 0LL")
        further = f"{inside.text} * {self.prefix}far{k}"
        found = self._read(operand, self._there(operand, f"{self.offset(operand)} + {further}"))
        return there.choose(found, False if found.kind == "bool" else 0.0)

    def _loaded(self, operand: int) -> Value:
        return self._read(operand, self.known.get(operand) or self.load(operand))

    def _read(self, operand: int, found: str) -> Value:
        """A value of that type in memory."""
        dtype = self.kernel.accesses[operand].dtype
        return self.code.let("bool", f"{found} != 0") if dtype == "bool" else self.code.let(KINDS[dtype], found)

    def load(self, operand: int) -> str:
        """What loads the element of an operand."""
        return self._there(operand, self.offset(operand))

    def _there(self, operand: int, offset: str) -> str:
        element = f"{self.prefix}p{operand}[{offset}]"
        return f"__ldcg(&{element})" if self.resident else element

    def at(self, operand: int) -> str:
        """The element of an operand."""
        return f"{self.prefix}p{operand}[{self.offset(operand)}]"

    def offset(self, operand: int) -> str:
        """Where the element lies from the operand's address."""
        along = enumerate(self.kernel.accesses[operand].along)
        terms = [f"i{j}" if a > 0 else f"i{j} * {self.prefix}s{operand}_{j}" for j, a in along if a]
        if self.resident:
            terms.insert(0, f"step * {self.prefix}m{operand}")
        return " + ".join(terms) or "0"

    def number(self, value: Any) -> Value:
        """A value as a number."""
        if not isinstance(value, Value):
            return Value(self.code, self.kind, literal(self.kind, float(value)))
        return value if value.kind != "bool" else value.choose(Value(self.code, self.kind, literal(self.kind, 1)), 0.0)

    def truth(self, value: Any) -> Value:
        """A value as a truth value."""
        if not isinstance(value, Value):
            return Value(self.code, "bool", literal("bool", value))
        return value if value.kind == "bool" else value.compare("!=", 0.0)
