"""What is the same for a few examples, such as a bias, is written out for each of them once, before a loop.

A pass over (features, examples) takes whole vectors of examples. Where there are few, and all that it reads and writes
is contiguous, the two axes are one and its vectors are full; a number for each feature would stand in the way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..fusion.fuse import Group
from ..fusion.lift import FLOATS, Operand, Repeated, Table
from ..fusion.passes import Pass, passed
from .gemm import lanes
from .hoist import Constant, Copies, copied
from .strips import Body


def widened(bodies: Sequence[Body]) -> list[Body]:
    """The program, with such copies before the loops whose passes they make contiguous."""
    found: list[Body] = []
    for body, units in bodies:
        copies: Copies = {}
        if body.count > 1:
            constant = Constant(body)
            units = [_widened(unit, constant, copies) if isinstance(unit, Group) else unit for unit in units]
        if copies:
            found.append((Repeated(1), [Group(copy) for copy in copies.values()]))
        found.append((body, units))
    return found


def _widened(group: Group, constant: Constant, copies: Copies) -> Group:
    found = passed(group, lambda o: True)
    if found is None or found.folds or group.strided or not _in_order(group.items[0].out.array):
        return group
    narrow = _in_the_way(found)
    if not all(o.dtype in FLOATS and not isinstance(o, Table) and o in constant for o in narrow):
        return group
    keys = {o.key for o in narrow}

    def wide(o: Operand) -> Operand:
        return copied(o, o.array.shape, o.array.strides, copies) if o.key in keys else o

    return group.over(wide) if narrow else group


def _in_the_way(p: Pass) -> list[Operand]:
    """What is one number for all of a few neighbours, where all else would be one run; nothing where more is not."""
    if len(p.axes) < 2:
        return []
    (_, down), (count, along) = p.axes[-2:]
    if count % lanes(p.dtype) == 0 or count > 2 * lanes(p.dtype):
        return []
    apart = [k for k in range(len(p.operands)) if down[k] != count * along[k]]
    return [p.operands[k] for k in apart] if all(along[k] == 0 for k in apart) else []


def _in_order(array: np.ndarray) -> bool:
    steps = [abs(s) for n, s in zip(array.shape, array.strides, strict=True) if n != 1]
    return steps == sorted(steps, reverse=True)
