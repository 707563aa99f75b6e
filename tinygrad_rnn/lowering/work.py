"""How much a plan computes, and so into how many parts its batch is worth cutting.

The bounds were measured: two parts on two cores began to be faster than one at about these sizes, compiled (where a
thread's start has to be earned back) and call by call (where threads also wait for each other between calls).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from ..config import Config
from ..node import BATCH, Node
from ..ops import TABLE
from ..passes.schedule import Item, Loop, vertices
from ..system import System

COMPILED = 8_000_000  # operations of a whole run
CALLED = 4_000_000  # multiplications of the largest product in one step of a loop
ELEMENT = 8  # an elementwise operation in multiplications


def extents(system: System, config: Config) -> Callable[[Iterable[str]], int]:
    """How many positions some indices have together."""
    sizes = {**dict(config.sizes), BATCH: config.batch}
    return lambda indices: math.prod(sizes[system.range_of(i)] for i in indices)


class Work:
    """Counts for a schedule under a configuration.

    total: multiplications of a run, elementwise operations counted as some; step: multiplications of the largest
    product in one step of a loop.
    """

    def __init__(self, items: Iterable[Item], system: System, config: Config):
        self._extent = extents(system, config)
        self.total = self.step = 0
        for item in items:
            looped = {item.index} if isinstance(item, Loop) else set()
            for vertex in vertices(item):
                if isinstance(vertex, Node):
                    self._count(vertex, looped)

    def _count(self, node: Node, looped: set[str]) -> None:
        if node.op == "contract":
            left, right, _ = node.attr("labels")
            features = dict(zip(left + right, node.args[0].shape + node.args[1].shape, strict=True))
            work = self._extent({i for a in node.args for i in a.indices}) * math.prod(features.values())
            self.total += work
            if looped:
                self.step = max(self.step, work // self._extent(looped))
        elif node.op in TABLE and TABLE[node.op].kind == "elementwise":
            self.total += ELEMENT * self._extent(node.indices) * math.prod(node.shape)

    def is_worth_sharing(self, compiled: bool) -> bool:
        """Is it so much that each thread should have a part of the batch?"""
        return self.total >= COMPILED if compiled else self.step >= CALLED
