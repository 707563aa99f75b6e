"""What products of a loop would lay out anew at each step is laid out once, before it; and few columns are told."""

from __future__ import annotations

import bisect
from dataclasses import replace

import numpy as np

from ..backends.numpy import LINE_BYTES, zeros
from ..fusion.lift import Instruction, Map, Operand, Product, Repeated, writes
from .narrow import few_columns
from .products import is_matrix

Copies = dict[object, Map]
FAR = 1024  # bytes between numbers of a row, from which on they share too few places of the cache
WORTH, WORTH_ONE = 8, 32  # times that a matrix is read, from which on it is laid out anew; for one column each


def hoisted(bodies: list[Repeated]) -> list[Repeated]:
    """The program, with copies of constant matrices before the loops that read them across their lines of memory."""
    found: list[Repeated] = []
    for body in bodies:
        copies: Copies = {}
        constant = Constant(body)
        body = Repeated(body.count, [_laid_out(i, body, constant, copies) for i in body.instructions])
        if copies:
            found.append(Repeated(1, list(copies.values())))
        found.append(body)
    return found


def _laid_out(item: Instruction, body: Repeated, constant: Constant, copies: Copies) -> Instruction:
    if not isinstance(item, Product):
        return item
    return _with_few_columns(item, body, constant, copies) or _with_rows(item, body, constant, copies)


def _with_few_columns(item: Product, body: Repeated, constant: Constant, copies: Copies) -> Product | None:
    """The product with vectors along the matrix's rows, where they lie so or can."""
    found = few_columns(item)
    if found is None or found.fields["a_m"] == found.a.array.itemsize:
        return found
    at, size = found.fields, found.a.array.itemsize
    fixed = not any(at[f"a_outer{k}"] and at[f"outer{k}"] > 1 for k in (1, 2))
    worth = body.count * at["outer1"] * at["outer2"] >= (WORTH if at["n"] > 1 else WORTH_ONE)
    if not fixed or not worth or found.a not in constant:
        return None
    shape = at["k2"], at["k1"], at["m"]
    copy = copied(found.a, shape, (at["a_k2"], at["a_k1"], at["a_m"]), copies)
    return replace(found, a=copy, fields=at | {"a_m": size, "a_k1": at["m"] * size, "a_k2": at["k1"] * at["m"] * size})


def _with_rows(item: Product, body: Repeated, constant: Constant, copies: Copies) -> Product:
    """The product with the lines of A or B contiguous, where that is one matrix."""
    if body.count == 1 or item.kernel != "gemm" or not is_matrix(item.fields):
        return item
    if not item.scratch:
        return _with_lines(item, body, constant, copies)
    if item.b not in constant:
        return item
    size, n, k = item.b.array.itemsize, item.fields["n"], item.fields["k1"]
    copy = copied(item.b, (k, n), (item.fields["b_k1"], item.fields["b_n"]), copies)
    return replace(item, b=copy, fields={**item.fields, "b_n": size, "b_k1": n * size}, scratch=0)


def _with_lines(item: Product, body: Repeated, constant: Constant, copies: Copies) -> Product:
    """The product with the sum along the lines of A, so that each line of the cache is used as a whole."""
    at, size = item.fields, item.a.array.itemsize
    if at["a_m"] != size or at["a_k1"] < FAR or body.count < WORTH or item.a not in constant:
        return item
    copy = copied(item.a, (at["m"], at["k1"]), (at["a_m"], at["a_k1"]), copies, LINE_BYTES // size)
    return replace(item, a=copy, fields={**at, "a_m": copy.array.strides[0], "a_k1": size})


def copied(o: Operand, shape: tuple[int, ...], strides: tuple[int, ...], copies: Copies, apart: int = 0) -> Operand:
    """A copy, the same one for all who ask for it: contiguous, or with so many numbers between its lines."""
    key = o.key, shape, strides, apart
    if key not in copies:
        source = np.lib.stride_tricks.as_strided(o.array, shape, strides)
        goal = zeros((*shape[:-1], shape[-1] + apart), source.dtype)[..., : shape[-1]]
        copies[key] = Map("copy", (Operand(source),), Operand(goal))
    return copies[key].out


class Constant:
    """What a loop leaves alone."""

    def __init__(self, body: Repeated):
        self._starts: list[int] = []  # of the runs of bytes that it writes, in order, none of which touch each other
        self._ends: list[int] = []
        for low, high in sorted(w.reach(body.count) for i in body.instructions for w in writes(i)):
            if self._ends and low <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], high)
            else:
                self._starts.append(low)
                self._ends.append(high)

    def __contains__(self, o: Operand) -> bool:
        k = bisect.bisect_left(self._starts, o.high)  # the runs before it begin before the operand ends
        return o.step == 0 and (k == 0 or self._ends[k - 1] <= o.low)
