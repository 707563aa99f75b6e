"""What a model has, as a table."""

from __future__ import annotations

import math

from ..system import System
from .weights import shapes

ROLES = ("input", "defined", "weight")  # in this order


class Shown(str):
    """A text of several lines that a prompt and a notebook show as it is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def summary(system: System) -> str:
    """Inputs, quantities and weights with their indices, shapes and numbers, a line each."""
    counts = {name: math.prod(shape) for name, shape in shapes(system).items()}
    rows = [("name", "role", "indices", "shape", "numbers")]
    for name, q in sorted(system.quantities.items(), key=lambda item: ROLES.index(item[1].role)):
        numbers = f"{counts[name]:,}" if name in counts else ""
        rows.append((name, q.role, ",".join(q.slots), str(q.type.shape), numbers))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return Shown("\n".join([*lines, f"{sum(counts.values()):,} weights in all, {system.dtype}"]))
