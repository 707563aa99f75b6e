"""A pass as a kernel of machine code and the record that it is called with."""

from __future__ import annotations

import itertools
from dataclasses import replace

from ..fusion.lift import FLOATS, Table
from ..fusion.passes import Pass
from .elementwise import Access, Kernel
from .gemm import lanes

FAR = 2**17  # bytes of an operand, from which on a pass keeps to the order of memory
NARROW = 8  # vectors beside each other, up to which sums along the axis before are done column by column
WHOLE, SOME = 2**31, 16  # rows of a column at a time: all, or so many, which lie not too far from each other


def assembled(p: Pass) -> tuple[Kernel, list[int]]:
    """The kernel and the record of a pass."""
    p = _in_order_of_memory(p)
    axes = p.axes
    accesses = tuple(_access(p, k) for k in range(len(p.operands)))
    width = _width(p, accesses)
    sums = [accesses[k] for k, _, _ in p.folds]
    down = len(axes) > 1 and width > 1 and all(a.inner == 1 for a in sums) and any(a.still for a in sums)
    columns = 0 if not down else WHOLE if axes[-1][0] <= NARROW * width else SOME
    numbers = itertools.count()
    steps = tuple((*step[:3], next(numbers)) if step[0] == "take" else step for step in p.steps)
    return Kernel(len(axes), p.dtype, width, columns, p.reduced, accesses, steps, p.stores, p.folds), _record(p)


def _in_order_of_memory(p: Pass) -> Pass:
    """The pass as it is, or with its axes in the order of memory.

    Axes that are summed come last, so that each total stays in a register. Where there is much to read that is a walk
    over all of it for each total; rows of some vectors are better added to totals in memory one by one.
    """
    count, strides = p.axes[-1]
    order = sorted(p.axes, key=lambda axis: -_way(axis))
    rows = bool(p.folds) and not any(strides[k] for k, _, _ in p.folds) and count >= 2 * lanes(p.dtype)
    much = order[0][0] * _way(order[0]) > FAR
    return replace(p, axes=order) if rows and much and order[-1] is p.axes[-1] else p


def _way(axis: tuple[int, tuple[int, ...]]) -> int:
    """How far operands move along an axis at each step, at most."""
    return max(map(abs, axis[1]))


def _access(p: Pass, k: int) -> Access:
    o, inner = p.operands[k], _inner(p.operands[k].array.itemsize, p.axes[-1][1][k])
    if isinstance(o, Table):
        return Access(o.dtype, 0)
    before = p.axes[-2][1][k] if len(p.axes) > 1 else None
    return Access(o.dtype, inner, before == 0, inner < 0 and before == o.array.itemsize and o.dtype in FLOATS)


def _width(p: Pass, accesses: tuple[Access, ...]) -> int:
    """How many numbers are done at once: a vector of them, or the half where there are no more."""
    extents = [n for n, _ in p.axes[-1:]]
    if any(a.inner < 0 for a in accesses):
        if p.folds or not all(a.across for a in accesses if a.inner < 0):
            return 1
        extents = [n for n, _ in p.axes[-2:]]  # in squares
    width = lanes(p.dtype)
    while width > 4 and min(extents) <= width // 2:
        width //= 2
    return width


def _inner(itemsize: int, stride: int) -> int:
    return 1 if stride == itemsize else 0 if stride == 0 else -1


def _record(p: Pass) -> list[int]:
    numbers = [n for n, _ in p.axes]
    for k, o in enumerate(p.operands):
        numbers += [o.address, o.step, *(strides[k] for _, strides in p.axes)]
    for name, operand, *more in p.steps:
        if name == "take":
            _, far, count = more
            numbers += [far * p.operands[operand].array.itemsize, count]
    return numbers
