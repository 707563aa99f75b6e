"""What goes through numbers in order, adding up: sums of all up to each, and the class that a draw falls into.

C[k, ...] = A[0, ...] + ... + A[k, ...]; and for a distribution A and a number B in [0, 1) the one-hot vector C of the
class into whose share B falls, as `drawn_class` says it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from ..fusion.lift import FLOATS as KINDS
from ..fusion.lift import Instruction, Memory, Operand, Product, Rule, fits
from .build import FLOATS, I64, POINTER, Builder, i64
from .gemm import lanes
from .scalar import Value, libm

AXES = 3  # that a kernel walks over, beside the one that it adds up along
OUTER = tuple(f"{x}{k}" for k in range(AXES) for x in ("o", "a_o", "b_o", "c_o"))
FIELDS = ("a", "a_step", "b", "b_step", "c", "c_step", "scratch", "power", "count", "a_count", "c_count", *OUTER)
DOUBLE = FLOATS["float64"]
Places = dict[str, Any]  # pointers into a, b and c


def make_sums(dtype: str, contiguous: int, module: ir.Module, name: str) -> None:
    """Write the kernel of sums up to each. contiguous: do the numbers along the last axis lie next to each other?"""
    b = Builder(module, name)
    at, start = _opened(b)
    last, width = f"o{AXES - 1}", lanes(dtype) if contiguous else 1
    sums = {count: b.ir.alloca(ir.VectorType(FLOATS[dtype], count)) for count in (width, 1)}

    def line(here: Places, total: Any) -> None:
        kind = total.allocated_type
        b.ir.store(b.load(here["a"], kind), total)
        b.store(b.ir.load(total, typ=kind), here["c"])
        with b.loop(at["count"], i64(1)) as k:
            there = _moved(b, here, at, "count", k)
            b.ir.store(b.ir.fadd(b.ir.load(total, typ=kind), b.load(there["a"], kind)), total)
            b.store(b.ir.load(total, typ=kind), there["c"])

    def lines(here: Places) -> None:
        whole = b.ir.mul(b.ir.sdiv(at[last], i64(width)), i64(width))
        for first, end, count in ((i64(0), whole, width), (whole, at[last], 1)):
            with b.loop(end, first, count) as k:
                line(_moved(b, here, at, last, k), sums[count])

    _nested(b, start, at, [f"o{k}" for k in range(AXES - 1)], lines)
    b.finish()


def make_draw(dtype: str, how: int, module: ir.Module, name: str) -> None:
    """Write the kernel of draws. how: 0 draws the largest, 1 from the numbers as they are, 2 from powers of them."""
    b = Builder(module, name)
    at, start = _opened(b)
    scratch = b.ir.inttoptr(at["scratch"], POINTER)
    top, best, bad, total, code = (b.ir.alloca(kind) for kind in (DOUBLE, I64, ir.IntType(1), DOUBLE, I64))

    def number(pointer: Any) -> Any:
        found = b.ir.load(pointer, typ=FLOATS[dtype])
        return b.ir.fpext(found, DOUBLE) if dtype == "float32" else found

    def get(slot: Any) -> Any:
        return b.ir.load(slot, typ=slot.allocated_type)

    def largest(here: Places) -> None:
        """The largest, the first place where it stands, and whether these are shares at all."""
        b.ir.store(_double(0.0), top)
        b.ir.store(i64(0), best)
        b.ir.store(ir.Constant(ir.IntType(1), 0), bad)
        with b.loop(at["count"]) as k:
            x = number(_moved(b, here, at, "count", k)["a"])
            share = b.ir.and_(b.ir.fcmp_ordered(">=", x, _double(0.0)), b.ir.fcmp_ordered("<", x, _double(math.inf)))
            b.ir.store(b.ir.or_(get(bad), b.ir.not_(share)), bad)
            with b.ir.if_then(b.ir.fcmp_ordered(">", x, get(top))):
                b.ir.store(x, top)
                b.ir.store(k, best)
        b.ir.store(b.ir.or_(get(bad), b.ir.fcmp_ordered("==", get(top), _double(0.0))), bad)

    def raised(x: Any) -> Any:
        """The share with a temperature."""
        one = ir.VectorType(DOUBLE, 1)
        part, power = (Value(b, b.ir.bitcast(v, one)) for v in (b.ir.fdiv(x, get(top)), at["power"]))
        return b.ir.extract_element(libm("pow", part, power).v, ir.Constant(ir.IntType(32), 0))

    def shared(here: Places) -> None:
        """The shares up to each, and the class into which the number falls: no more than the last that has one."""
        b.ir.store(_double(0.0), total)
        with b.loop(at["count"]) as k:
            x = number(_moved(b, here, at, "count", k)["a"])
            x = raised(x) if how == 2 else x
            b.ir.store(b.ir.fadd(get(total), x), total)
            b.ir.store(get(total), b.offset(scratch, b.ir.mul(k, i64(8))))
            with b.ir.if_then(b.ir.fcmp_ordered(">", x, _double(0.0))):
                b.ir.store(k, best)
        goal = b.ir.fmul(number(here["b"]), get(total))
        b.ir.store(i64(0), code)
        with b.loop(at["count"]) as k:
            below = b.ir.fcmp_ordered("<=", b.ir.load(b.offset(scratch, b.ir.mul(k, i64(8))), typ=DOUBLE), goal)
            b.ir.store(b.ir.add(get(code), b.ir.zext(below, I64)), code)
        with b.ir.if_then(b.ir.icmp_signed("<", get(code), get(best))):
            b.ir.store(get(code), best)

    def drawn(here: Places) -> None:
        largest(here)
        if how:
            shared(here)
        one, zero, nan = (ir.Constant(FLOATS[dtype], v) for v in (1.0, 0.0, math.nan))
        with b.loop(at["count"]) as k:
            hot = b.ir.select(b.ir.icmp_signed("==", k, get(best)), one, zero)
            b.ir.store(b.ir.select(get(bad), nan, hot), _moved(b, here, at, "count", k)["c"])

    _nested(b, start, at, [f"o{k}" for k in range(AXES)], drawn)
    b.finish()


def _double(value: float) -> Any:
    return ir.Constant(DOUBLE, value)


def _opened(b: Builder) -> tuple[dict[str, Any], Places]:
    """The fields of the record, and where the arrays begin."""
    record, step = b.function.args
    at = {x: b.load_i64(record, k) for k, x in enumerate(FIELDS)}
    return at, {x: b.ir.inttoptr(b.ir.add(at[x], b.ir.mul(step, at[f"{x}_step"])), POINTER) for x in "abc"}


def _nested(b: Builder, here: Places, at: dict[str, Any], axes: Sequence[str], body: Callable[[Places], None]) -> None:
    """The body for all positions along some axes."""
    if not axes:
        body(here)
        return
    with b.loop(at[axes[0]]) as k:
        _nested(b, _moved(b, here, at, axes[0], k), at, axes[1:], body)


def _moved(b: Builder, here: Places, at: dict[str, Any], axis: str, k: Any) -> Places:
    """The pointers k positions further along an axis."""
    return {x: b.offset(p, b.ir.mul(k, at[f"{x}_{axis}"])) if f"{x}_{axis}" in at else p for x, p in here.items()}


# -- which calls these are --------------------------------------------------------------------------------------------


def _sums(args: list[Any], memory: Memory) -> list[Instruction] | None:
    """cumsum(a, axis, dtype, out)."""
    a, axis, _, out = args
    if not fits(a, out) or not a.dtype == out.dtype in KINDS:
        return None
    fields = _fields(out, axis, {"a": a, "c": out})
    if fields is None:
        return None
    ends = {fields[f"{x}_o{AXES - 1}"] for x in "ac"}
    return [Product(a, a, out, fields, kernel=f"sums {int(ends == {out.array.itemsize})}")]


def _drawn(args: list[Any], memory: Memory) -> list[Instruction] | None:
    """_draw_into(p, u, out, array module, axis, temperature, top_k, top_p), as far as nothing has to be sorted."""
    p, u, out, _, axis, temperature, top_k, top_p = args
    if top_k is not None or top_p is not None or not fits(p, u, out) or not p.dtype == u.dtype == out.dtype in KINDS:
        return None
    spread = u.view(np.broadcast_to(np.expand_dims(u.array, axis), out.array.shape))
    fields = _fields(out, axis, {"a": p, "b": spread, "c": out})
    if fields is None:
        return None
    how = 0 if temperature == 0 else 1 if temperature == 1 else 2
    fields["power"] = int(np.float64(1.0 / temperature if temperature else 1.0).view("int64"))
    return [Product(p, u, out, fields, fields["count"], f"draw {how}")]


def _fields(out: Operand, axis: int, operands: dict[str, Operand]) -> dict[str, int] | None:
    """How far the operands lie apart along the axis that is added up along, and along the others that are none of one.
    """
    shape = out.array.shape
    others = [k for k, n in enumerate(shape) if k != axis and n != 1]
    if len(others) > AXES or not out.array.size:
        return None
    found = {"count": shape[axis]}
    for k in range(AXES):
        own = k - (AXES - len(others))
        found[f"o{k}"] = shape[others[own]] if own >= 0 else 1
        for x, o in operands.items():
            found[f"{x}_o{k}"] = o.array.strides[others[own]] if own >= 0 else 0
    return found | {f"{x}_count": o.array.strides[axis] for x, o in operands.items()}


RULES: dict[str, Rule] = {"cumsum": _sums, "_draw_into": _drawn}
KERNELS = {"sums": (FIELDS, make_sums), "draw": (FIELDS, make_draw)}
