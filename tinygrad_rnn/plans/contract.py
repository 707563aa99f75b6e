"""One way of computing every product: sort the labels, view as matrices where possible, copy where it pays.

A contraction is out[lo] = sum a[la] * b[lb] over the labels that out lacks. Labels fall into four groups:
shared and kept (a stack of products), shared and summed (K), and those of one operand only (M and P). The
matrix product works on the last labels of out, so that it is written in place.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Sequence
from typing import Any

import numpy

from ..ops import Do
from ..ops.table import with_out

Labels = Sequence[str]
Copies = dict[tuple[int, ...], Any]  # by the order of the axes


def contract(do: Do, out: Any, lo: Labels, a: Any, la: Labels, b: Any, lb: Labels,
             copies: tuple[Copies, Copies] | None = None) -> None:
    """Emit out[lo] = sum of a[la] * b[lb].

    copies: of each operand those in another order that have been made before, to which new ones are added.
    """
    ca, cb = copies or ({}, {})
    if set(la) - set(lb) - set(lo) or set(lb) - set(la) - set(lo):
        ca, cb = {}, {}  # of the sums below
    a, la = _summed_alone(do, a, la, set(lb) | set(lo))
    b, lb = _summed_alone(do, b, lb, set(la) | set(lo))
    summed = [x for x in la if x in lb and x not in lo]
    stack = [x for x in lo if x in la and x in lb]
    if not summed:
        do(do.xp.multiply, _aligned(a, la, lo), _aligned(b, lb, lo), out)
        return
    if do.compiled and not (do.matrices and lo and lo[-1] not in stack):
        do(contraction, out, a, b, (tuple(lo), tuple(la), tuple(lb)))
        return
    if lo and lo[-1] in stack:
        _batch_last(do, out, lo, a, la, b, lb, summed)
        return
    if lo and lo[-1] in la:  # out = (b a) with the roles changed, so that b has the last label
        a, la, ca, b, lb, cb = b, lb, cb, a, la, ca
    columns = _suffix(lo, lambda x: x in lb and x not in la)
    rows = _suffix(lo[: len(lo) - len(columns)], lambda x: x in la and x not in lb)
    lead = list(lo[: len(lo) - len(columns) - len(rows)])
    left = _matrix(do, a, la, [x for x in lead if x in la], rows, summed, ca)
    right = _matrix(do, b, lb, [x for x in lead if x in lb], summed, columns, cb)
    left = _stacked(left, lead, la)
    right = _stacked(right, lead, lb)
    sizes = _sizes(out, lo)
    shape = (*(sizes[x] for x in lead), _product(sizes[x] for x in rows), _product(sizes[x] for x in columns))
    goal = _merged(out, len(lead), len(rows), shape)
    if goal is not None:
        do(with_out(do.xp.matmul), left, right, goal)
        return
    whole = do.temp(shape, out.dtype)
    do(with_out(do.xp.matmul), left, right, whole)
    do(do.xp.copyto, out, whole.reshape(out.shape))


def contraction(out: Any, a: Any, b: Any, labels: tuple[Labels, Labels, Labels]) -> None:
    """What compiled code replaces where it can."""
    lo, la, lb = labels
    letters = {x: string.ascii_letters[k] for k, x in enumerate(dict.fromkeys([*la, *lb]))}
    text = ["".join(letters[x] for x in group) for group in (la, lb, lo)]
    out[...] = numpy.einsum(f"{text[0]},{text[1]}->{text[2]}", a, b)


def _batch_last(do: Do, out: Any, lo: Labels, a: Any, la: Labels, b: Any, lb: Labels, summed: list[str]) -> None:
    """The innermost label is a stack (the batch): one example's product is small, so the stack goes first."""
    rows = [x for x in lo if x in la and x not in lb]
    columns = [x for x in lo if x in lb and x not in la]
    stack = [x for x in lo if x in la and x in lb]
    left = _copied(do, a, la, [*stack, *rows, *summed], {})
    right = _copied(do, b, lb, [*stack, *summed, *columns], {})
    sizes = _sizes(a, la) | _sizes(b, lb)
    n = tuple(sizes[x] for x in stack)
    m, k, p = (_product(sizes[x] for x in group) for group in (rows, summed, columns))
    whole = do.temp((*n, m, p), out.dtype)
    do(with_out(do.xp.matmul), left.reshape(*n, m, k), right.reshape(*n, k, p), whole)
    result = whole.reshape(*n, *(sizes[x] for x in rows), *(sizes[x] for x in columns))
    order = [*stack, *rows, *columns]
    do(do.xp.copyto, out, result.transpose([order.index(x) for x in lo]))


def _summed_alone(do: Do, a: Any, la: Labels, elsewhere: set[str]) -> tuple[Any, list[str]]:
    """Sum over labels that only this operand has."""
    axes = tuple(k for k, x in enumerate(la) if x not in elsewhere)
    if not axes:
        return a, list(la)
    kept = [k for k in range(a.ndim) if k not in axes]
    total = do.temp(tuple(a.shape[k] for k in kept), a.dtype)
    do(do.xp.sum, a, axes, None, total)
    return total, [la[k] for k in kept]


def _suffix(labels: Labels, good: Any) -> list[str]:
    start = len(labels)
    while start and good(labels[start - 1]):
        start -= 1
    return list(labels[start:])


def _sizes(a: Any, labels: Labels) -> dict[str, int]:
    return dict(zip(labels, a.shape, strict=True))


def _product(sizes: Any) -> int:
    total = 1
    for s in sizes:
        total *= s
    return total


def _aligned(a: Any, labels: Labels, goal: Labels) -> Any:
    """a with the goal's order of labels, and axes of size 1 for those it lacks."""
    order = [labels.index(x) for x in goal if x in labels]
    index = tuple(slice(None) if x in labels else None for x in goal)
    return a.transpose(order)[(*index, ...)]


def _matrix(do: Do, a: Any, labels: Labels, lead: list[str], rows: list[str], columns: list[str],
            copies: Copies) -> Any:
    """a as (lead..., rows, columns), a view where the memory allows, else a copy in a good order."""
    sizes = _sizes(a, labels)
    order = [*lead, *rows, *columns]
    shape = (*(sizes[x] for x in lead), _product(sizes[x] for x in rows), _product(sizes[x] for x in columns))
    view = a.transpose([labels.index(x) for x in order])
    merged = _merged(view, len(lead), len(rows), shape)
    if merged is not None:
        return merged
    if labels[-1] in rows:  # keep the innermost label innermost, and transpose the view instead
        return _matrix(do, a, labels, lead, columns, rows, copies).swapaxes(-1, -2)
    return _copied(do, a, labels, order, copies).reshape(shape)


def _merged(view: Any, lead: int, rows: int, shape: tuple[int, ...]) -> Any:
    """view.reshape(shape) if that needs no copy."""
    for first, last in ((lead, lead + rows), (lead + rows, view.ndim)):
        axes = [k for k in range(first, last) if view.shape[k] != 1]  # the stride of an axis of size 1 says nothing
        for k, inner in itertools.pairwise(axes):
            if view.strides[k] != view.strides[inner] * view.shape[inner]:
                return None
    return view.reshape(shape)


def _copied(do: Do, a: Any, labels: Labels, order: list[str], copies: Copies) -> Any:
    axes = tuple(labels.index(x) for x in order)
    if axes not in copies:
        view = a.transpose(axes)
        copies[axes] = do.temp(view.shape, a.dtype)
        do(do.xp.copyto, copies[axes], view)
    return copies[axes]


def _stacked(matrix: Any, lead: list[str], labels: Labels) -> Any:
    """Axes of size 1 for the stack labels that the operand lacks."""
    index = tuple(slice(None) if x in labels else None for x in lead)
    return matrix[(*index, ...)]
