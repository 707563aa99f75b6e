"""Numbers that change places between registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .build import I32, Builder


def transposed(b: Builder, rows: list[Any]) -> list[Any]:
    """The transpose of a square block, a vector a row: blocks of 1, 2, 4, ... change places across the diagonal."""
    rows, side, step = list(rows), len(rows), 1
    while step < side:
        kept = [k if not k & step else side + k - step for k in range(side)]
        other = [k + step if not k & step else side + k for k in range(side)]
        for i in range(side):
            if not i & step:
                pair = rows[i], rows[i | step]
                rows[i], rows[i | step] = (b.ir.shuffle_vector(*pair, _order(mask)) for mask in (kept, other))
        step *= 2
    return rows


def interleaved(b: Builder, columns: list[Any]) -> list[Any]:
    """Columns, a vector each, as vectors of rows one after the other."""
    n, count = len(columns), columns[0].type.count
    if n == 1:
        return columns
    if n % 2 == 0:
        evens, odds = interleaved(b, columns[::2]), interleaved(b, columns[1::2])
        return [b.ir.shuffle_vector(x, y, _order([half * count // 2 + i // 2 + i % 2 * count for i in range(count)]))
                for x, y in zip(evens, odds, strict=True) for half in (0, 1)]
    found = []
    for j in range(n):
        places = [divmod(j * count + i, n) for i in range(count)]
        value = columns[0]
        for c, column in enumerate(columns):
            old = [row if c == 0 else i for i, (row, _) in enumerate(places)]
            value = b.ir.shuffle_vector(value, column, _order(
                [count + row if own == c else k for k, (row, own) in zip(old, places, strict=True)]))
        found.append(value)
    return found


def _order(places: list[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(I32, len(places)), places)
