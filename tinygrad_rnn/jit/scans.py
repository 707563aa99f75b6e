"""Sums of all up to each, C[k, ...] = A[0, ...] + ... + A[k, ...]."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ..fusion.lift import FLOATS as KINDS
from ..fusion.lift import Instruction, Memory, Operand, Product, Rule, fits
from .build import FLOATS, Builder, i64
from .gemm import lanes
from .walks import Places, moved, nested, opened

AXES = 3  # that a kernel walks over, beside the one that it adds up along
OUTER = tuple(f"{x}{k}" for k in range(AXES) for x in ("o", "a_o", "b_o", "c_o"))
FIELDS = ("a", "a_step", "b", "b_step", "c", "c_step", "count", "a_count", "c_count", *OUTER)


def make_sums(dtype: str, contiguous: int, module: ir.Module, name: str) -> None:
    """Write the kernel of sums up to each. contiguous: do the numbers along the last axis lie next to each other?"""
    b = Builder(module, name)
    at, start = opened(b, FIELDS)
    last, width = f"o{AXES - 1}", lanes(dtype) if contiguous else 1
    sums = {count: b.ir.alloca(ir.VectorType(FLOATS[dtype], count)) for count in (width, 1)}

    def line(here: Places, total: Any) -> None:
        kind = total.allocated_type
        b.ir.store(b.load(here["a"], kind), total)
        b.store(b.ir.load(total, typ=kind), here["c"])
        with b.loop(at["count"], i64(1)) as k:
            there = moved(b, here, at, "count", k)
            b.ir.store(b.ir.fadd(b.ir.load(total, typ=kind), b.load(there["a"], kind)), total)
            b.store(b.ir.load(total, typ=kind), there["c"])

    def lines(here: Places) -> None:
        whole = b.ir.mul(b.ir.sdiv(at[last], i64(width)), i64(width))
        for first, end, count in ((i64(0), whole, width), (whole, at[last], 1)):
            with b.loop(end, first, count) as k:
                line(moved(b, here, at, last, k), sums[count])

    nested(b, start, at, [f"o{k}" for k in range(AXES - 1)], lines)
    b.finish()


# -- which calls these are --------------------------------------------------------------------------------------------


def _sums(args: list[Any], memory: Memory) -> list[Instruction] | None:
    """cumsum(a, axis, dtype, out)."""
    a, axis, _, out = args
    if not fits(a, out) or not a.dtype == out.dtype in KINDS:
        return None
    fields = fields_of(out, axis, {"a": a, "c": out})
    if fields is None:
        return None
    ends = {fields[f"{x}_o{AXES - 1}"] for x in "ac"}
    return [Product(a, a, out, fields, kernel=f"sums {int(ends == {out.array.itemsize})}")]


def fields_of(out: Operand, axis: int, operands: dict[str, Operand]) -> dict[str, int] | None:
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


RULES: dict[str, Rule] = {"cumsum": _sums}
KERNELS = {"sums": (FIELDS, make_sums)}
