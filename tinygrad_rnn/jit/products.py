"""Contractions as products for the kernels of `gemm`: which axis is a row, a column, and what is summed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..fusion.axes import Axis, by_operand, contracted, merged, of_all
from ..fusion.lift import Instruction, Map, Memory, Operand, Product, Rule, fits, multiplied
from . import scatter
from .batched import by_example
from .gemm import CHUNK, FEW, WIDE, lanes

AXES = 6  # that a kernel can walk over: a row, a column, two of those that are summed, and two more of any kind


def _contraction(args: list[Any], memory: Memory) -> list[Instruction] | None:
    out, a, b, (lo, la, lb) = args
    if not fits(out, a, b) or not out.dtype == a.dtype == b.dtype:
        return None
    sizes = {**dict(zip(la, a.array.shape, strict=True)), **dict(zip(lb, b.array.shape, strict=True))}
    strides = [{x: s for x, s in zip(labels, o.array.strides, strict=True) if sizes[x] != 1}
               for labels, o in ((la, a), (lb, b), (lo, out))]
    order = [x for x in lo if sizes[x] != 1]
    if order and strides[2][order[-1]] != out.array.itemsize:  # as it lies in memory, such as scores for one example
        order.sort(key=lambda x: -strides[2][x])
    if not order or (order[-1] in strides[0] and order[-1] in strides[1]):
        return by_example(out, a, b, order, strides, sizes) or multiplied(out, a, b, (lo, la, lb), memory)
    if order[-1] in strides[0]:
        a, la, b, lb, strides = b, lb, a, la, [strides[1], strides[0], strides[2]]
    if strides[2][order[-1]] != out.array.itemsize:
        return None
    found = _product(out, a, b, order, strides, sizes)
    return multiplied(out, a, b, (lo, la, lb), memory) if found and _reads_once(found[0], out.array.itemsize) else found


def _reads_once(product: Instruction, size: int) -> bool:
    """Would matrices be laid out anew for a vector each? A sum of products takes both as they lie."""
    if not isinstance(product, Product) or product.kernel != "gemm":
        return False
    at = product.fields
    return not is_matrix(at) and at["m"] == 1 and at["b_n"] != size and at["a_k1"] == at["b_k1"] == size


def is_matrix(fields: dict[str, int]) -> bool:
    """Is it one product of matrices, summed over one axis?"""
    return all(fields[x] == 1 for x in ("k2", "outer1", "outer2"))


def _product(out: Operand, a: Operand, b: Operand, order: list[str], strides: list[dict[str, int]],
             sizes: dict[str, int]) -> list[Instruction] | None:
    sa, sb, _ = strides
    summed = contracted(strides)
    rows, columns, stack = by_operand(order, sizes, strides)
    inner = merged(summed, sizes, [sa, sb], CHUNK)
    if len(inner) + len(rows) + len(columns) + len(stack) > AXES:
        inner = merged(summed, sizes, [sa, sb])
    row = max(rows, key=lambda axis: axis[0], default=(1, (0, 0)))
    rows = [r for r in rows if r is not row]
    *columns, column = columns
    k1 = inner.pop() if inner else (1, (0, 0))
    k2 = inner.pop() if inner else (1, (0, 0))
    outer = [(n, moves, 0) for n, moves in of_all(rows, columns, stack)]
    outer += [(n, (x, y, 0), 1) for n, (x, y) in inner]
    if len(outer) > 2:
        return None
    outer += [(1, (0, 0, 0), 0)] * (2 - len(outer))
    fields = {"m": row[0], "a_m": row[1][0], "c_m": row[1][1], "n": column[0], "b_n": column[1][0],
              "k1": k1[0], "a_k1": k1[1][0], "b_k1": k1[1][1], "k2": k2[0], "a_k2": k2[1][0], "b_k2": k2[1][1]}
    for k, (n, (x, y, z), add) in enumerate(outer, 1):
        fields |= {f"outer{k}": n, f"a_outer{k}": x, f"b_outer{k}": y, f"c_outer{k}": z, f"add_outer{k}": add}
    size = out.array.itemsize
    if fields["m"] == 1 and is_matrix(fields) and fields["a_k1"] == fields["b_k1"] == size:
        return [Product(b, a, out, {"m": column[0], "k": k1[0], "a_m": column[1][0], "c_m": size}, kernel="rows")]
    return [Product(a, b, out, fields, _scratch(fields, size))]


def _scratch(fields: dict[str, int], size: int) -> int:
    """How many numbers the kernel needs to lay out the part of B that it works on."""
    if fields["b_n"] == size:
        return 0
    panel = lanes("float32" if size == 4 else "float64") * (WIDE if fields["m"] <= FEW else 2)
    return max(fields["k1"], CHUNK) * -(-fields["n"] // panel) * panel


def _sum_by_class(args: list[Any], memory: Memory) -> list[Instruction] | None:
    """sum_by_class(backend, out, at, rows): out[k, ...] = the sum of the rows at which `at` is k."""
    _, out, at, rows = args
    if not fits(out, at, rows) or out.dtype != rows.dtype or at.dtype != "int64":
        return None
    far, kept, lead = out.array.strides[0], out.array[0, ...], at.array.ndim
    shape, size = rows.array.shape, out.array.itemsize
    positions = _run(shape[:lead], [rows.array.strides[:lead], at.array.strides], scatter.POSITIONS)
    features = _run(shape[lead:], [rows.array.strides[lead:], kept.strides], scatter.FEATURES, last=1)
    if positions is None or features is None:
        return None
    fields = {"far": far, "count": out.array.shape[0]}
    for k, (n, (x, y)) in enumerate(positions):
        fields |= {f"p{k}": n, f"a_p{k}": x, f"b_p{k}": y}
    for k, (n, (x, y)) in enumerate(features):
        fields |= {f"f{k}": n, f"a_f{k}": x, f"c_f{k}": y}
    kernel = f"scatter {int(features[-1][1][1] == size)}"
    return [Map("copy", (0.0,), out), Product(rows, at, out, fields, kernel=kernel)]


def _run(shape: Sequence[int], strides: Sequence[Sequence[int]], count: int, last: int | None = None
         ) -> list[Axis] | None:
    """So many axes, neighbours that are one run made one; the one along which array `last` is closest the innermost."""
    labels = [str(k) for k in range(len(shape)) if shape[k] != 1]
    own = [{str(k): s for k, s in enumerate(each)} for each in strides]
    if last is not None:
        labels.sort(key=lambda x: -abs(own[last][x]))
    found = merged(labels, dict(zip(map(str, range(len(shape))), shape, strict=True)), own)
    if len(found) > count:
        return None
    return [(1, (0,) * len(strides))] * (count - len(found)) + found


RULES: dict[str, Rule] = {"contraction": _contraction, "sum_by_class": _sum_by_class}
