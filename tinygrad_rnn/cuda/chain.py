"""Passes that follow each other in a loop as one kernel: a block does all of them for some examples.

What is elementwise or sums over features keeps the batch, the innermost axis, as it is. So a block that has some of its
positions to itself can go from pass to pass with a barrier of its own threads only; as launches of their own the passes
of a normalised cell would each cost a few microseconds at every step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..fusion.fuse import Group
from ..fusion.lift import Operand, Table
from ..fusion.passes import Pass
from .element import Kernel, kernel
from .kernels import function, named
from .launch import Launch, arguments, power_of_two
from .phases import Links, handed_on, in_turn, room
from .values import Code

THREADS = 1024  # of a block at most
LANES = 32  # examples of a block at most


def fits(group: Group, batch: int) -> bool:
    """Is the arrays' last axis the same `batch` positions in all of the group's operands?"""
    return all(o.array.ndim > 0 and o.array.shape[-1] == batch for i in group.items for o in (*i.reads, i.out))


def chained(passes: Sequence[Pass], count: int = 1) -> bool:
    """May a block do its positions of the last axis in all passes, in `count` steps, whatever other blocks do?

    It may where every operand is contiguous along that axis, or does not move along it and is only read; where no fold
    runs over it; and where operands that meet in memory meet at the same positions.
    """
    if any(0 in (n for n, _ in p.axes) for p in passes):
        return False
    return len({p.axes[-1][0] for p in passes}) == 1 and all(map(_keeps_the_last, passes)) and _aligned(passes, count)


def _keeps_the_last(p: Pass) -> bool:
    found = kernel(p)
    along = [access.along[-1] for access in found.accesses]
    return all(a == 1 or (a == 0 and not access.written) for a, access in zip(along, found.accesses, strict=True))


def _aligned(passes: Sequence[Pass], count: int) -> bool:
    """Do operands, of which one is written, share a byte only at the same position of the last axis?"""
    for w in (o for p in passes for o in p.written):
        low, high = w.reach(count)
        for p in passes:
            for o in p.operands:
                a, b = o.reach(count)
                if low < b and a < high and (isinstance(o, Table) or not _in_rows(w, o, p.axes[-1][0])):
                    return False
    return True


def _in_rows(w: Operand, o: Operand, length: int) -> bool:
    """Do both consist of whole rows of the same length, of the same memory?"""
    size = w.array.itemsize
    moves = [s for a in (w, o) for n, s in zip(a.array.shape[:-1], a.array.strides[:-1], strict=True) if n != 1]
    whole = all(s % (length * size) == 0 for s in (w.address - o.address, w.step, o.step, *moves))
    return w.dtype == o.dtype and whole and (length == 1 or o.array.strides[-1] == size)


def launch(passes: Sequence[Pass], multiprocessors: int) -> Launch:
    """The passes as one launch."""
    kernels, links = tuple(kernel(p) for p in passes), handed_on(passes)
    name = named("chain", (kernels, links))
    length = passes[0].axes[-1][0]
    lanes = power_of_two(length // max(multiprocessors, 1), 1, LANES)
    most = max(math.prod(n for n, _ in p.axes[:-1]) for p in passes)
    rows = power_of_two(most, max(1, 32 // lanes), THREADS // lanes)
    args: list[Any] = []
    moves: dict[int, int] = {}
    for p in passes:
        more, own = arguments(p)
        moves |= {len(args) + k: step for k, step in own.items()}
        args += more
    text, grid = source(kernels, links, name), (-(-length // lanes), 1, 1)
    return Launch(name, text, grid, (lanes, rows, 1), 8 * lanes * rows, args, moves, [p.operands for p in passes])


def source(kernels: Sequence[Kernel], links: Links, name: str) -> str:
    """The kernel's text: its parameters are those of the passes, one after the other, told apart by a letter."""
    code, prefixes = Code(), [f"{letters(k)}_" for k in range(len(kernels))]
    room(kernels, code)
    code.line("const unsigned lanes = blockDim.x, lane = threadIdx.x, row = threadIdx.y, rows = blockDim.y;")
    in_turn(kernels, prefixes, links, code, "blockIdx.x * lanes + lane")
    parameters = [parameter for each, prefix in zip(kernels, prefixes, strict=True)
                  for parameter in each.parameters(prefix, alone=False)]
    return function(name, parameters, code, THREADS)


def letters(k: int) -> str:
    """A name for the k-th: a, b, ..., z, aa, bb, ..."""
    return chr(ord("a") + k % 26) * (1 + k // 26)

