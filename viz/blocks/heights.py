"""How high units stand that have a choice: where the fewest wires pass other rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import networkx as nx

if TYPE_CHECKING:
    from .units import Unit


def raised(graph: nx.DiGraph[Unit], order: Sequence[Unit], depth: dict[Unit, int],
           free: Collection[Unit]) -> set[Unit]:
    """Move units up from right above what they read to where their wires are shortest together, and say which moved.

    A value is one wire, however many read it. So what one input alone feeds goes up beside other readers of that input,
    and many wires past the rows between become one. graph: whose edges' `rise` is the least by which the reader stands
    higher; order: one in which readers come later; free: the units that may be moved.
    """
    lowest = dict(depth)
    for upward in (True, False):  # what gains nothing by itself goes up, where others join it; and back alone
        for unit in reversed(order):
            if unit in free:
                depth[unit] = _best(graph, unit, depth, upward)
    return {unit for unit in free if depth[unit] > lowest[unit]}


def _best(graph: nx.DiGraph[Unit], unit: Unit, depth: dict[Unit, int], upward: bool) -> int:
    """Where a unit stands best, between what it reads and what reads it; of places as good, the highest or the lowest.

    Higher up its own wire is shorter, and those that it reads are longer, where they do not pass there already.
    """
    low = max(depth[p] + rise for p, _, rise in graph.in_edges(unit, "rise"))
    high = min(depth[s] - rise for _, s, rise in graph.out_edges(unit, "rise"))
    if low >= high:
        return low
    reach = [max((depth[s] for s in graph.successors(p) if s != unit), default=low) for p in graph.predecessors(unit)]

    def wires(at: int) -> tuple[int, int]:
        return sum(max(0, at - top) for top in reach) - at, -at if upward else at

    return min({low, high, *(top for top in reach if low < top < high)}, key=wires)
