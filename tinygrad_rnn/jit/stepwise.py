"""A sum over time and examples, as for a bias: first over time, by whole vectors of memory, then over the examples.

One total for each feature would take the examples of one step at a time: few numbers, and often a part of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..backends.numpy import zeros
from ..fusion.lift import Fold, Host, Instruction, Operand, Repeated, reduced, writes
from .gemm import lanes

FEW = 64  # examples


def stepwise(bodies: Sequence[Repeated]) -> list[Repeated]:
    """The program, with such sums and maxima in two steps each."""
    return [Repeated(body.count, [new for i in body.instructions for new in _in_steps(i, body)]) for body in bodies]


def _in_steps(item: Instruction, body: Repeated) -> list[Instruction]:
    if not isinstance(item, Fold) or not _ends_with_few(item) or not _pays(item, body):
        return [item]
    out = item.out.array
    first = tuple(k for k, (n, s) in enumerate(zip(out.shape[:-1], out.strides, strict=False)) if n != 1 and s == 0)
    one = tuple(slice(1) if k in first else slice(None) for k in range(out.ndim))
    small = Operand(zeros(item.arg.array[one].shape, item.out.dtype))
    return [*reduced(item.op, item.arg, first, small, Host()), Fold(item.op, small, item.out.view(out[one]))]


def _ends_with_few(fold: Fold) -> bool:
    """Is the last axis summed and short, an axis summed too, and one kept whose positions lie next to each other?"""
    arg, out = fold.arg.array, fold.out.array
    if not arg.ndim or not 1 < arg.shape[-1] <= FEW or arg.strides[-1] != arg.itemsize or out.strides[-1]:
        return False
    others = [(s, t) for n, s, t in zip(arg.shape[:-1], arg.strides, out.strides, strict=False) if n != 1]
    return any(t == 0 for _, t in others) and any(t and s == arg.shape[-1] * arg.itemsize for s, t in others)


def _pays(fold: Fold, body: Repeated) -> bool:
    """Not where vectors are full and what is summed is made in the same pass, beside other such sums."""
    return bool(fold.arg.array.shape[-1] % lanes(fold.arg.dtype)) or not any(
        out is fold.arg for i in body.instructions for out in writes(i))
