"""What a loop's products would lay out anew at each step is laid out once, before the loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..fusion.lift import Instruction, Map, Operand, Product, Repeated, writes
from .products import is_matrix


def hoisted(bodies: list[Repeated]) -> list[Repeated]:
    """The program, with copies of constant matrices before the loops that read them across their lines of memory."""
    found: list[Repeated] = []
    for body in bodies:
        copies: dict[object, Map] = {}
        if body.count > 1:
            body = Repeated(body.count, [_laid_out(i, body, copies) for i in body.instructions])
        if copies:
            found.append(Repeated(1, list(copies.values())))
        found.append(body)
    return found


def _laid_out(item: Instruction, body: Repeated, copies: dict[object, Map]) -> Instruction:
    if not isinstance(item, Product) or not item.scratch or not is_matrix(item.fields):
        return item
    if not _is_constant(item.b, body):
        return item
    size, n, k = item.b.array.itemsize, item.fields["n"], item.fields["k1"]
    if item.b.key not in copies:
        source = np.lib.stride_tricks.as_strided(item.b.array, (k, n), (item.fields["b_k1"], item.fields["b_n"]))
        copies[item.b.key] = Map("copy", (Operand(source),), Operand(np.empty((k, n), source.dtype)))
    return replace(item, b=copies[item.b.key].out, fields={**item.fields, "b_n": size, "b_k1": n * size}, scratch=0)


def _is_constant(o: Operand, body: Repeated) -> bool:
    """Does the loop leave it alone?"""
    low, high = o.low, o.high
    written = (w.reach(body.count) for i in body.instructions for w in writes(i))
    return o.step == 0 and not any(a < high and low < b for a, b in written)
