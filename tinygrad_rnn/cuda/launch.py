"""A pass as launches: which kernel, how many threads, and with which arguments at each step of a loop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import BadValue
from ..fusion.lift import Memory, Operand
from ..fusion.passes import Pass
from .element import Kernel, kernel, strides
from .kernels import LANES, THREADS, finish_source, named, source

ROWS = 16  # of LANES threads at most, where the threads of a row have different sums
EACH = 4  # numbers that a thread adds up at least, before more threads are taken
LONG = 4096  # numbers in a sum, from which on it is cut into parts where there is room on the device
PART = 1024  # numbers in a part at least
PARTS = 64  # of a sum at most
ARGUMENTS = 4096 // 8  # of a kernel at most, 8 bytes each
COUNT = 2**31  # numbers in one pass at most: kernels count in 32 bits


@dataclass
class Launch:
    """One launch of a kernel. moves: by the place of an address among the arguments, how far it moves each step."""

    name: str
    source: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared: int
    args: list[Any]
    moves: dict[int, int]
    keep: list[Any] = field(default_factory=list)  # whatever the addresses point to
    cooperative: bool = False  # do its blocks wait for each other?

    @property
    def fits(self) -> bool:
        """Are there not too many arguments?"""
        return len(self.args) <= ARGUMENTS

    def at(self, functions: Mapping[str, Any], step: int) -> None:
        """Launch it for one step."""
        args = self.args
        if step and self.moves:
            args = list(args)
            for k, move in self.moves.items():
                args[k] = np.uint64(int(args[k]) + move * step)
        functions[self.name](self.grid, self.block, tuple(args), shared_mem=self.shared)


def launches(p: Pass, memory: Memory, multiprocessors: int, when: Any = None) -> list[Launch]:
    """What does a pass; nothing where it has no elements. when: a truth value, without which a map is not done."""
    found, sizes = kernel(p), [n for n, _ in p.axes]
    if 0 in sizes:
        return []
    args, moves = arguments(p)
    if not p.folds:
        name = named("pass" if when is None else "when", found)
        if when is not None:
            args.append(np.uint64(when.data.ptr))
        grid = (-(-math.prod(sizes) // THREADS), 1, 1)
        return [Launch(name, source(found, name, when is not None), grid, (THREADS, 1, 1), 0, args, moves,
                       [p.operands, when])]
    return _folding(p, found, sizes, args, moves, memory, multiprocessors)


def arguments(p: Pass) -> tuple[list[Any], dict[int, int]]:
    """What the kernel of a pass is given at the first step, and by how many bytes which of it moves each step.

    Raises BadValue where the pass is over more numbers than a kernel can count.
    """
    count = math.prod(n for n, _ in p.axes)
    if count > COUNT:
        raise too_many(count)
    args: list[Any] = [np.int64(n) for n, _ in p.axes]
    moves = {}
    for k, o in enumerate(p.operands):
        if o.step:
            moves[len(args)] = o.step
        args += [np.uint64(o.address), *map(np.int64, strides(p, k))]
    for step in p.steps:
        args += map(np.int64, step[3:] if step[0] == "take" else ())
    return args, moves


def too_many(count: int) -> BadValue:
    """The error where so many numbers are computed at once."""
    return BadValue(f"an array of {count:,} numbers is computed at once, and a GPU's kernels count up to {COUNT:,}; "
                    'take fewer examples at a time (batch_size= in fit), or in fit and value_and_grad memory="sqrt"')


def _folding(p: Pass, found: Kernel, sizes: list[int], args: list[Any], moves: dict[int, int], memory: Memory,
             multiprocessors: int) -> list[Launch]:
    beside = [n for n, folded in zip(sizes, found.folded, strict=True) if not folded]
    sums = math.prod(beside)
    each = math.prod(sizes) // sums
    if found.by_lanes:
        lanes = min(LANES, 1 << (beside[-1] - 1).bit_length())
        rows = power_of_two(each // EACH, LANES // lanes, ROWS * LANES // lanes)
        blocks, block, threads = math.prod(beside[:-1]) * -(-beside[-1] // lanes), (lanes, rows, 1), rows * lanes
    else:
        threads = power_of_two(each // EACH, LANES, 2 * THREADS)
        blocks, block = sums, (threads, 1, 1)
    parts = 1
    if each >= LONG and blocks < 2 * multiprocessors:
        parts = max(1, min(PARTS, each // PART, 2 * multiprocessors // blocks))
    partial = Operand(memory.empty((len(p.folds) * parts * sums if parts > 1 else 1,), "float64"))
    name = named("pass", found)
    address = np.uint64(partial.address)
    all_ = [Launch(name, source(found, name), (blocks, parts, 1), block, threads * 8, [*args, address], moves,
                   [p.operands, partial])]
    if parts > 1:
        name = named("finish", found)
        all_.append(Launch(name, finish_source(found, name), (-(-sums // THREADS), 1, 1), (THREADS, 1, 1), 0,
                           [*args, address, np.int64(parts)], moves, [p.operands, partial]))
    return all_


def power_of_two(n: int, least: int, most: int) -> int:
    """The largest power of two up to n, between two of them."""
    return max(least, min(most, 1 << max(n, 1).bit_length() - 1))
