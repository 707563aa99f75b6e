"""Draws: for a distribution A and a number B in [0, 1) the one-hot vector C of the class into whose share B falls.

What that is `drawn_class` says; the bits are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from ..fusion.lift import FLOATS as KINDS
from ..fusion.lift import Instruction, Memory, Product, Rule, fits
from .build import FLOATS, I1, I32, I64, POINTER, Builder, i64
from .scalar import Value, libm
from .scans import AXES, fields_of
from .scans import FIELDS as WALK
from .walks import Places, moved, nested, opened

FIELDS = (*WALK, "scratch", "power", "top_k", "top_p")
DOUBLE = FLOATS["float64"]
ZERO = ir.Constant(DOUBLE, 0.0)
NUMBER, PAIR = 8, 16  # bytes of a share; of a share and its class
LARGEST, SHARES, POWERS = range(3)  # how a draw is done: the largest, from the numbers as they are, or their powers


def make_draw(dtype: str, how: int, chosen: int, module: ir.Module, name: str) -> None:
    """Write the kernel of draws. chosen: from some of the largest only?"""
    order = _make_order(module, f"{name}_order") if chosen else None
    b = Builder(module, name)
    at, start = opened(b, FIELDS)
    nested(b, start, at, [f"o{k}" for k in range(AXES)], _Draw(b, at, dtype, how, order).write)
    b.finish()


def _make_order(module: ir.Module, name: str) -> ir.Function:
    """Write what tells the order of two pairs for the C library: the larger share first, of equal ones the first."""
    b = Builder(module, name, ir.FunctionType(I32, [POINTER, POINTER]))
    b.function.linkage = "internal"
    (x, k), (y, j) = ((b.ir.load(pair, typ=DOUBLE), b.load_i64(pair, 1)) for pair in b.function.args)
    first, last = ir.Constant(I32, -1), ir.Constant(I32, 1)
    equal = b.ir.select(b.ir.icmp_signed("<", k, j), first, last)
    smaller = b.ir.select(b.ir.fcmp_ordered("<", x, y), last, equal)
    b.ir.ret(b.ir.select(b.ir.fcmp_ordered(">", x, y), first, smaller))
    return b.function


class _Draw:
    """One draw being written. at: the record; order: what sorts pairs, where some of the largest are chosen."""

    def __init__(self, b: Builder, at: dict[str, Any], dtype: str, how: int, order: ir.Function | None):
        self.b, self.at, self.dtype, self.how, self.order = b, at, dtype, how, order
        self.scratch = b.ir.inttoptr(at["scratch"], POINTER)
        self.top, self.best, self.bad, self.total, self.code = (
            b.ir.alloca(kind) for kind in (DOUBLE, I64, I1, DOUBLE, I64))

    def write(self, here: Places) -> None:
        """The draw at one place."""
        b = self.b
        self._look(here)
        if self.how != LARGEST:
            self._prepare(here)
            if self.order is not None:
                with b.ir.if_then(b.ir.not_(self._get(self.bad))):
                    self._choose()
            self._fall(here)
        one, zero, nan = (ir.Constant(FLOATS[self.dtype], v) for v in (1.0, 0.0, math.nan))
        with b.loop(self.at["count"]) as k:
            hot = b.ir.select(b.ir.icmp_signed("==", k, self._get(self.best)), one, zero)
            b.ir.store(b.ir.select(self._get(self.bad), nan, hot), moved(b, here, self.at, "count", k)["c"])

    def _look(self, here: Places) -> None:
        """The largest, the first place where it stands, and whether these are shares at all."""
        b = self.b
        b.ir.store(ZERO, self.top)
        b.ir.store(i64(0), self.best)
        b.ir.store(ir.Constant(I1, 0), self.bad)
        with b.loop(self.at["count"]) as k:
            x = self._number(moved(b, here, self.at, "count", k)["a"])
            finite = b.ir.fcmp_ordered("<", x, ir.Constant(DOUBLE, math.inf))
            share = b.ir.and_(b.ir.fcmp_ordered(">=", x, ZERO), finite)
            b.ir.store(b.ir.or_(self._get(self.bad), b.ir.not_(share)), self.bad)
            with b.ir.if_then(b.ir.fcmp_ordered(">", x, self._get(self.top))):
                b.ir.store(x, self.top)
                b.ir.store(k, self.best)
        b.ir.store(b.ir.or_(self._get(self.bad), b.ir.fcmp_ordered("==", self._get(self.top), ZERO)), self.bad)

    def _prepare(self, here: Places) -> None:
        """The shares, with a temperature."""
        with self.b.loop(self.at["count"]) as k:
            x = self._number(moved(self.b, here, self.at, "count", k)["a"])
            self.b.ir.store(self._raised(x) if self.how == POWERS else x, self._share(k))

    def _raised(self, x: Any) -> Any:
        b, one = self.b, ir.VectorType(DOUBLE, 1)
        part, power = (Value(b, b.ir.bitcast(v, one)) for v in (b.ir.fdiv(x, self._get(self.top)), self.at["power"]))
        return b.ir.extract_element(libm("pow", part, power).v, ir.Constant(I32, 0))

    def _choose(self) -> None:
        """Leave the largest shares only: so many, and the fewest that have so much together."""
        b, count = self.b, self.at["count"]
        pairs = self._share(count)
        with b.loop(count) as k:
            pair = b.offset(pairs, b.ir.mul(k, i64(PAIR)))
            b.ir.store(b.ir.load(self._share(k), typ=DOUBLE), pair)
            b.ir.store(k, b.offset(pair, i64(NUMBER)))
        sort = ir.Function(b.module, ir.FunctionType(ir.VoidType(), [POINTER, I64, I64, POINTER]), "qsort")
        b.ir.call(sort, [pairs, count, i64(PAIR), self.order])
        self._ranked(pairs, lambda rank, x, k: None)
        limit = b.ir.fmul(b.ir.bitcast(self.at["top_p"], DOUBLE), self._get(self.total))

        def drop(rank: Any, x: Any, k: Any) -> None:
            before = b.ir.fsub(self._get(self.total), x)
            kept = b.ir.and_(b.ir.icmp_signed("<", rank, self.at["top_k"]), b.ir.fcmp_ordered("<", before, limit))
            with b.ir.if_then(b.ir.not_(kept)):
                b.ir.store(ZERO, self._share(k))

        self._ranked(pairs, drop)

    def _ranked(self, pairs: Any, visit: Callable[[Any, Any, Any], None]) -> None:
        """visit(rank, share, class) from the largest share on; the total is then that of all up to it."""
        b = self.b
        b.ir.store(ZERO, self.total)
        with b.loop(self.at["count"]) as rank:
            pair = b.offset(pairs, b.ir.mul(rank, i64(PAIR)))
            x = self._added(b.ir.load(pair, typ=DOUBLE))
            visit(rank, x, b.load_i64(pair, 1))

    def _fall(self, here: Places) -> None:
        """The class into which the number falls: no more than the last that has a share."""
        b, count = self.b, self.at["count"]
        b.ir.store(ZERO, self.total)
        with b.loop(count) as k:
            x = self._added(b.ir.load(self._share(k), typ=DOUBLE))
            b.ir.store(self._get(self.total), self._share(k))
            with b.ir.if_then(b.ir.fcmp_ordered(">", x, ZERO)):
                b.ir.store(k, self.best)
        goal = b.ir.fmul(self._number(here["b"]), self._get(self.total))
        b.ir.store(i64(0), self.code)
        with b.loop(count) as k:
            below = b.ir.fcmp_ordered("<=", b.ir.load(self._share(k), typ=DOUBLE), goal)
            b.ir.store(b.ir.add(self._get(self.code), b.ir.zext(below, I64)), self.code)
        with b.ir.if_then(b.ir.icmp_signed("<", self._get(self.code), self._get(self.best))):
            b.ir.store(self._get(self.code), self.best)

    def _added(self, x: Any) -> Any:
        """x, after it was added to the total."""
        self.b.ir.store(self.b.ir.fadd(self._get(self.total), x), self.total)
        return x

    def _share(self, k: Any) -> Any:
        """Where the share of class k is kept, and then the sum up to it."""
        return self.b.offset(self.scratch, self.b.ir.mul(k, i64(NUMBER)))

    def _number(self, pointer: Any) -> Any:
        found = self.b.ir.load(pointer, typ=FLOATS[self.dtype])
        return self.b.ir.fpext(found, DOUBLE) if self.dtype == "float32" else found

    def _get(self, slot: Any) -> Any:
        return self.b.ir.load(slot, typ=slot.allocated_type)


def _drawn(args: list[Any], memory: Memory) -> list[Instruction] | None:
    """_draw_into(p, u, out, array module, axis, temperature, top_k, top_p)."""
    p, u, out, _, axis, temperature, top_k, top_p = args
    if not fits(p, u, out) or not p.dtype == u.dtype == out.dtype in KINDS:
        return None
    spread = u.view(np.broadcast_to(np.expand_dims(u.array, axis), out.array.shape))
    fields = fields_of(out, axis, {"a": p, "b": spread, "c": out})
    if fields is None:
        return None
    how = LARGEST if temperature == 0 else SHARES if temperature == 1 else POWERS
    chosen = how != LARGEST and (top_k is not None or top_p is not None)
    count = fields["count"]
    fields |= {"power": _bits(1.0 / temperature if temperature else 1.0), "top_k": count if top_k is None else top_k,
               "top_p": _bits(math.inf if top_p is None else top_p)}
    return [Product(p, u, out, fields, 3 * count if chosen else count, f"draw {how} {int(chosen)}")]


def _bits(number: float) -> int:
    """A float as a record holds it."""
    return int(np.float64(number).view("int64"))


RULES: dict[str, Rule] = {"_draw_into": _drawn}
KERNELS = {"draw": (FIELDS, make_draw)}
