"""Axes of arrays that are one run in memory, made one: a kernel walks over few."""

from __future__ import annotations

import math
from collections.abc import Sequence

Axis = tuple[int, tuple[int, ...]]  # its size, and how many bytes each array moves from one position to the next


def merged(labels: Sequence[str], sizes: dict[str, int], strides: Sequence[dict[str, int]], most: float = math.inf
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


def by_operand(order: Sequence[str], sizes: dict[str, int], strides: Sequence[dict[str, int]]
               ) -> tuple[list[Axis], list[Axis], list[Axis]]:
    """The axes of a product's result: rows, which a has, columns, which b has, and those that both have.

    strides: of a, b and the result, by axis. Each axis comes with the strides of the operands that have it, then those
    of the result.
    """
    a, b, out = strides
    return (merged([x for x in order if x not in b], sizes, [a, out]),
            merged([x for x in order if x not in a], sizes, [b, out]),
            merged([x for x in order if x in a and x in b], sizes, [a, b, out]))


def contracted(strides: Sequence[dict[str, int]]) -> list[str]:
    """The axes that a product sums over, in the order in which a lies in memory. strides: as in `by_operand`."""
    a, _, out = strides
    return sorted((x for x in a if x not in out), key=lambda x: -abs(a[x]))


def of_all(rows: Sequence[Axis], columns: Sequence[Axis], both: Sequence[Axis]) -> list[Axis]:
    """These axes with the strides of a, b and the result."""
    return [*((n, (x, 0, z)) for n, (x, z) in rows), *((n, (0, y, z)) for n, (y, z) in columns), *both]
