"""How much memory a plan takes, found without making it: from plans of the same system that are very small.

Each array's size is a product of extents, so that the sum is a polynomial in the batch and in every range: of degree
one in the batch, and of at most two in a range (attention over a sequence's own positions).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..config import Config
from ..system import System

BATCHES = (2, 3)
LENGTHS = (4, 5, 6)


def footprint(system: System, config: Config, make: Callable[[Config], Any]) -> int:
    """Bytes of the arrays of the plan that `make` would make, about. Raises what `make` raises."""
    fixed = {system.range_of(i) for i in system.static}
    ranges = [r for r, _ in config.sizes if r not in fixed]
    goals = [config.batch, *(n for r, n in config.sizes if r not in fixed)]
    nodes = [BATCHES, *[LENGTHS] * len(ranges)]
    total = 0.0
    for point in itertools.product(*nodes):
        share = math.prod(_share(at, own, goal) for at, own, goal in zip(point, nodes, goals, strict=True))
        lengths = dict(zip(ranges, point[1:], strict=True))
        sizes = tuple((r, lengths.get(r, n)) for r, n in config.sizes)
        total += share * make(replace(config, batch=point[0], sizes=sizes)).bytes
    return round(total)


def _share(node: int, nodes: Sequence[int], goal: int) -> float:
    """Lagrange's polynomial of a node, at the goal."""
    return math.prod((goal - other) / (node - other) for other in nodes if other != node)
