"""Kernels of elementwise code and reductions: one pass over memory, however many operations it takes."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from ..fusion.scalar import FOLDS, Terms
from .build import FLOATS, I1, I8, I64, POINTER, Builder, i64
from .gemm import BYTES, least
from .scalar import Value, constant, is_integer, is_truth
from .shuffles import transposed

ITEM = {**BYTES, "int64": 8, "bool": 1}
KINDS = {**FLOATS, "int64": I64, "bool": I8}  # in memory
TILE = 8


@dataclass(frozen=True)
class Access:
    """How a kernel reaches an operand.

    inner: along the innermost axis 1 (contiguous), 0 (the same number throughout) or -1 (with a stride);
    still: has it no stride along the axis before that? across: is it contiguous along that one?
    """

    dtype: str
    inner: int
    still: bool = False
    across: bool = False


@dataclass(frozen=True)
class Kernel:
    """What one pass does, whatever the sizes.

    axes: loops, the innermost last. lanes: numbers done at once. columns: how many positions of the axis before the
    last (0: none) are done for each vector of the last, so that what is summed along it stays in a register. reduced:
    how many of the last axes are summed into one number. steps: ("load", operand), ("const", number), ("truth", step),
    ("whole", step), ("number", step), ("take", operand, step, k) or (name in SCALARS, step, ...). stores: (operand,
    step). folds: (operand, step, name in FOLDS), where the operand has no stride along what is folded. A record holds
    the axes' extents, then for each operand its address, its step and its strides in bytes, then for each k how many
    bytes further each place of a table is, and how many places there are.
    """

    axes: int
    dtype: str
    lanes: int
    columns: int
    reduced: int
    accesses: tuple[Access, ...]
    steps: tuple[tuple[Any, ...], ...]
    stores: tuple[tuple[int, int], ...]
    folds: tuple[tuple[int, int, str], ...]

    def make(self, module: ir.Module, name: str) -> None:
        """Write it."""
        _Writer(self, Builder(module, name)).write()


class _Writer:
    def __init__(self, kernel: Kernel, b: Builder):
        self.kernel, self.b = kernel, b
        self.lanes = kernel.lanes
        self.vector = ir.VectorType(FLOATS[kernel.dtype], self.lanes)
        self.terms = Terms(self._number, self._truth, self._beside_integers, self._kept,
                           lambda x: isinstance(x, bool) or (isinstance(x, Value) and is_truth(x)),
                           lambda x: isinstance(x, Value) and is_integer(x))

    def write(self) -> None:
        b, axes = self.b, self.kernel.axes
        record, step = b.function.args
        self.extents = [b.load_i64(record, k) for k in range(axes)]
        at, self.strides, starts = axes, [], []
        for _ in self.kernel.accesses:
            base = b.ir.add(b.load_i64(record, at), b.ir.mul(step, b.load_i64(record, at + 1)))
            starts.append(b.ir.inttoptr(base, POINTER))
            self.strides.append([b.load_i64(record, at + 2 + k) for k in range(axes)])
            at += 2 + axes
        takes = sum(1 for name, *_ in self.kernel.steps if name == "take")
        self.takes = [(b.load_i64(record, at + 2 * k), b.load_i64(record, at + 2 * k + 1)) for k in range(takes)]
        self.totals = {operand: b.ir.alloca(self._wide()) for operand, _, _ in self.kernel.folds
                       if self.kernel.accesses[operand].inner == 0}  # here, not in a loop: each would take new stack
        self.sums = {operand: b.ir.alloca(self.vector) for operand, _, _ in self.kernel.folds
                     if self.kernel.columns and self._in_register(operand)}
        self.same: dict[int, Value] = {}
        self.squares = {k: b.ir.bitcast(b.ir.alloca(self.vector, self.lanes), POINTER) for k, a in
                        enumerate(self.kernel.accesses) if a.across and self.lanes > 1}
        self.row: Any = None
        self._loops(0, starts)
        b.finish()

    def _loops(self, axis: int, pointers: list[Any]) -> None:
        if axis == self.kernel.axes - self.kernel.reduced:
            for operand, _, name in self.kernel.folds:
                if operand in self.totals:
                    self.b.ir.store(constant(self._wide(), FOLDS[name][0]), self.totals[operand])
        self._nested(axis, pointers)
        if axis == self.kernel.axes - self.kernel.reduced:
            for operand, _, name in self.kernel.folds:
                if operand in self.totals:
                    self._into_one(pointers[operand], self.totals[operand], FOLDS[name][1])

    def _nested(self, axis: int, pointers: list[Any]) -> None:
        if axis == self.kernel.axes - 1:
            self._innermost(pointers, self.extents[-1])
        elif axis == self.kernel.axes - 2 and self.kernel.columns:
            self._columns(axis, pointers)
        elif axis == self.kernel.axes - 2 and self.squares:
            self._tiles(axis, pointers, self.lanes)
        elif axis == self.kernel.axes - 2 and self.lanes == 1 and not (self.totals and self.kernel.reduced == 1):
            self._tiles(axis, pointers, TILE)  # which does not pass by where the totals of single rows are kept
        else:
            with self.b.loop(self.extents[axis]) as i:
                self._loops(axis + 1, self._moved(pointers, axis, i))

    def _tiles(self, axis: int, pointers: list[Any], side: int) -> None:
        """Two axes in small squares: where one operand runs along one and another along the other, lines of memory
        are used while they are in the cache."""
        b, (rows, columns) = self.b, self.extents[-2:]
        with b.loop(rows, step=side) as row, b.loop(columns, step=side) as column:
            corner = self._moved(self._moved(pointers, axis, row), axis + 1, column)
            height, width = (least(b, i64(side), b.ir.sub(n, at)) for n, at in ((rows, row), (columns, column)))
            if self.squares:
                self._square(corner, axis, height, width)
            else:
                with b.loop(height) as i:
                    self._innermost(self._moved(corner, axis, i), width)

    def _square(self, corner: list[Any], axis: int, height: Any, width: Any) -> None:
        """As many rows as a vector has numbers: what runs along columns is turned round in registers."""
        b, side = self.b, self.lanes
        whole = b.ir.and_(b.ir.icmp_signed("==", height, i64(side)), b.ir.icmp_signed("==", width, i64(side)))
        with b.ir.if_else(whole) as (full, partly):
            with full:
                self._turned(corner, axis, i64(side), None, [None] * side)
            with partly:
                tall = b.mask(height, side)
                self._turned(corner, axis, height, b.mask(width, side), [
                    b.ir.select(b.ir.icmp_signed("<", i64(c), width), tall, ir.Constant(tall.type, None))
                    for c in range(side)])

    def _turned(self, corner: list[Any], axis: int, height: Any, row_mask: Any, column_masks: list[Any]) -> None:
        for k in sorted({k for name, k, *_ in self.kernel.steps if name == "load"} & self.squares.keys()):
            self._fetched(k, corner[k], column_masks)
        with self.b.loop(height) as self.row:
            here = self._moved(corner, axis, self.row)
            self.same = self._broadcasts(here)
            self._body(here, i64(0), row_mask)
        for k in sorted({k for k, _ in self.kernel.stores} & self.squares.keys()):
            self._put_back(k, corner[k], column_masks)

    def _fetched(self, operand: int, pointer: Any, masks: list[Any]) -> None:
        columns = [self.b.load(self._at(pointer, operand, i64(c)), self.vector, m) for c, m in enumerate(masks)]
        for r, row in enumerate(transposed(self.b, columns)):
            self.b.store(row, self._place(operand, i64(r)))

    def _put_back(self, operand: int, pointer: Any, masks: list[Any]) -> None:
        rows = [self.b.load(self._place(operand, i64(r)), self.vector) for r in range(self.lanes)]
        for c, (column, mask) in enumerate(zip(transposed(self.b, rows), masks, strict=True)):
            self.b.store(column, self._at(pointer, operand, i64(c)), mask)

    def _place(self, operand: int, row: Any) -> Any:
        """Where a row of an operand's square is."""
        return self.b.offset(self.squares[operand], self.b.ir.mul(row, i64(self.lanes * BYTES[self.kernel.dtype])))

    def _in_register(self, operand: int) -> bool:
        access = self.kernel.accesses[operand]
        return access.inner == 1 and access.still

    def _columns(self, axis: int, pointers: list[Any]) -> None:
        b, count, rows = self.b, self.extents[-1], self.extents[axis]
        whole = b.ir.mul(b.ir.sdiv(count, i64(self.lanes)), i64(self.lanes))
        rest = b.ir.sub(count, whole)
        with b.loop(rows, step=self.kernel.columns) as first:
            height = least(b, i64(self.kernel.columns), b.ir.sub(rows, first))
            here = self._moved(pointers, axis, first)
            with b.loop(whole, step=self.lanes) as i:
                self._column(axis, self._moved(here, axis + 1, i), height, None)
            with b.ir.if_then(b.ir.icmp_signed(">", rest, i64(0))):
                self._column(axis, self._moved(here, axis + 1, whole), height, b.mask(rest, self.lanes))

    def _column(self, axis: int, pointers: list[Any], height: Any, mask: Any) -> None:
        """One vector's width, so far along the axis before the last."""
        b = self.b
        self.same = {}
        for k, access in enumerate(self.kernel.accesses):
            if access.still and ("load", k) in self.kernel.steps and not self._written(k):
                self.same[k] = (self._load(pointers[k], k, i64(0), mask) if access.inner
                                else self._broadcast(pointers[k], access))
        for operand, _, name in self.kernel.folds:
            if operand in self.sums:
                b.ir.store(constant(self.vector, FOLDS[name][0]), self.sums[operand])
        with b.loop(height) as row:
            held = self.same
            here = self._moved(pointers, axis, row)
            self.same = self._broadcasts(here) | held
            self._body(here, i64(0), mask)
            self.same = held
        self.same = {}
        for operand, _, name in self.kernel.folds:
            if operand in self.sums:
                old = Value(b, b.load(pointers[operand], self.vector, mask))
                total = Value(b, b.ir.load(self.sums[operand], typ=self.vector))
                b.store(FOLDS[name][1](old, total).v, pointers[operand], mask)

    def _written(self, operand: int) -> bool:
        return any(o == operand for o, _ in self.kernel.stores)

    def _moved(self, pointers: list[Any], axis: int, i: Any) -> list[Any]:
        return [self.b.offset(p, self.b.ir.mul(i, s[axis])) for p, s in zip(pointers, self.strides, strict=True)]

    def _innermost(self, pointers: list[Any], count: Any) -> None:
        b = self.b
        self.same = self._broadcasts(pointers)
        whole = b.ir.mul(b.ir.sdiv(count, i64(self.lanes)), i64(self.lanes))
        with b.loop(whole, step=self.lanes) as i:
            self._body(pointers, i, None)
        if self.lanes > 1:
            rest = b.ir.sub(count, whole)
            with b.ir.if_then(b.ir.icmp_signed(">", rest, i64(0))):
                self._body(pointers, whole, b.mask(rest, self.lanes))

    def _wide(self) -> Any:
        """Totals along the innermost axis are kept in double precision."""
        return ir.VectorType(FLOATS["float64"], self.lanes)

    def _broadcasts(self, pointers: list[Any]) -> dict[int, Value]:
        return {k: self._broadcast(pointers[k], a) for k, a in enumerate(self.kernel.accesses)
                if a.inner == 0 and ("load", k) in self.kernel.steps}

    def _broadcast(self, pointer: Any, access: Access) -> Value:
        found = self.b.ir.load(pointer, typ=KINDS[access.dtype], align=ITEM[access.dtype])
        return self._read(access, self.b.splat(found, self.lanes))

    def _read(self, access: Access, found: Any) -> Value:
        """The value of what was found in memory."""
        if access.dtype == "bool":
            return Value(self.b, self.b.ir.icmp_unsigned("!=", found, ir.Constant(found.type, [0] * self.lanes)))
        return Value(self.b, found)

    def _at(self, pointer: Any, operand: int, i: Any) -> Any:
        access = self.kernel.accesses[operand]
        stride = self.strides[operand][-1] if access.inner < 0 else i64(ITEM[access.dtype])
        return pointer if access.inner == 0 else self.b.offset(pointer, self.b.ir.mul(i, stride))

    def _body(self, pointers: list[Any], i: Any, mask: Any) -> None:
        values: list[Any] = []
        for name, *args in self.kernel.steps:
            if name == "load":
                values.append(self._load(pointers[args[0]], args[0], i, mask))
            elif name == "take":
                values.append(self._taken(pointers[args[0]], args[0], values[args[1]], self.takes[args[2]], i, mask))
            elif name == "const":
                values.append(args[0])
            else:
                values.append(self.terms.computed(name, [values[k] for k in args]))
        for operand, step in self.kernel.stores:
            self._store(values[step], pointers[operand], operand, i, mask)
        for operand, step, name in self.kernel.folds:
            self._fold(values[step], pointers[operand], operand, name, i, mask)

    def _load(self, pointer: Any, operand: int, i: Any, mask: Any) -> Value:
        if operand in self.same:
            return self.same[operand]
        if operand in self.squares:
            return Value(self.b, self.b.load(self._place(operand, self.row), self.vector))
        access = self.kernel.accesses[operand]
        kind = ir.VectorType(KINDS[access.dtype], self.lanes)
        return self._read(access, self.b.load(self._at(pointer, operand, i), kind, mask))

    def _taken(self, pointer: Any, operand: int, place: Any, table: tuple[Any, Any], i: Any, mask: Any) -> Value:
        """The elements at places of a table; 0 where there is no such place."""
        b, (far, count), access = self.b, table, self.kernel.accesses[operand]
        places = (place if isinstance(place, Value) else self._beside_integers(place)).v
        inside = b.ir.icmp_unsigned("<", places, b.splat(count, self.lanes))  # below 0 is beyond all
        inside = inside if mask is None else b.ir.and_(inside, mask)
        along = self.strides[operand][-1]
        first = b.ir.add(b.ir.ptrtoint(pointer, I64), b.ir.mul(i, along))
        lanes = ir.Constant(places.type, list(range(self.lanes)))
        starts = b.ir.add(b.splat(first, self.lanes), b.ir.mul(lanes, b.splat(along, self.lanes)))
        addresses = b.ir.add(starts, b.ir.mul(places, b.splat(far, self.lanes)))
        return self._read(access, b.gather(addresses, ir.VectorType(KINDS[access.dtype], self.lanes), inside))

    def _store(self, value: Any, pointer: Any, operand: int, i: Any, mask: Any) -> None:
        dtype = self.kernel.accesses[operand].dtype
        if dtype == "bool":
            found = self.b.ir.zext(self._truth(value).v, ir.VectorType(I8, self.lanes))
        else:
            number = self._beside_integers(value) if dtype == "int64" else self._number(value)
            found = number.as_type(KINDS[dtype], number)
        if operand in self.squares:
            self.b.store(found, self._place(operand, self.row))
        else:
            self.b.store(found, self._at(pointer, operand, i), mask)

    def _number(self, value: Any) -> Value:
        if not isinstance(value, Value):
            return Value(self.b, constant(self.vector, float(value)))
        if not is_truth(value):
            return value
        return value.choose(Value(self.b, constant(self.vector, 1.0)), 0.0)

    def _beside_integers(self, value: Any) -> Value:
        """What is no integer as what stands beside one."""
        if not isinstance(value, Value):
            kind = I64 if float(value).is_integer() else FLOATS["float64"]
            return Value(self.b, constant(ir.VectorType(kind, self.lanes), value))
        return Value(self.b, value.as_type(I64, value)) if is_truth(value) else value

    def _kept(self, name: str, value: Any) -> Value:
        """A value as an array of integers, or of floats, keeps it."""
        kind = I64 if name == "whole" else self.vector.element
        if not isinstance(value, Value):
            return Value(self.b, constant(ir.VectorType(kind, self.lanes), value))
        return Value(self.b, value.as_type(kind, value))

    def _truth(self, value: Any) -> Value:
        if not isinstance(value, Value):
            return Value(self.b, ir.Constant(ir.VectorType(I1, self.lanes), [int(bool(value))] * self.lanes))
        return value if is_truth(value) else value.compare("!=", 0.0)

    def _fold(self, value: Any, pointer: Any, operand: int, name: str, i: Any, mask: Any) -> None:
        b, (neutral, combine) = self.b, FOLDS[name]
        number = self._number(value)
        number = Value(b, number.as_type(self.vector.element, number))
        if operand in self.sums:
            old = Value(b, b.ir.load(self.sums[operand], typ=self.vector))
            b.ir.store(combine(old, number).v, self.sums[operand])
            return
        if operand not in self.totals:
            where = self._at(pointer, operand, i)
            old = Value(b, b.load(where, self.vector, mask))
            b.store(combine(old, number).v, where, mask)
            return
        if mask is not None:
            number = Value(b, mask).choose(number, neutral)
        wide = number.v if self.kernel.dtype == "float64" else b.ir.fpext(number.v, self._wide())
        old = Value(b, b.ir.load(self.totals[operand], typ=self._wide()))
        b.ir.store(combine(old, Value(b, wide)).v, self.totals[operand])

    def _into_one(self, pointer: Any, total: Any, combine: Any) -> None:
        """The lanes of a total, and what memory holds, as one number."""
        b = self.b
        lanes_of = b.ir.load(total, typ=self._wide())
        single = ir.VectorType(FLOATS["float64"], 1)
        parts = [_lane(b, lanes_of, k, single) for k in range(self.lanes)]
        joint = functools.reduce(combine, parts)
        kind = FLOATS[self.kernel.dtype]
        old = b.ir.load(pointer, typ=kind, align=ITEM[self.kernel.dtype])
        old = old if self.kernel.dtype == "float64" else b.ir.fpext(old, FLOATS["float64"])
        new = combine(Value(b, b.splat(old, 1)), joint).v
        new = b.ir.extract_element(new, ir.Constant(ir.IntType(32), 0))
        new = new if self.kernel.dtype == "float64" else b.ir.fptrunc(new, kind)
        b.ir.store(new, pointer, align=ITEM[self.kernel.dtype])


def _lane(b: Builder, vector: Any, k: int, single: Any) -> Value:
    scalar = b.ir.extract_element(vector, ir.Constant(ir.IntType(32), k))
    return Value(b, b.splat(scalar, single.count))
