"""Sums over what a loop makes, or reads, in large pieces are done inside it, while these are in the cache.

A state that is a matrix for each example, as in fast weights, linear attention or an mLSTM, is read by products with
vectors: `C[t] @ q[t]` going forward, and as many going back as there are gradients. For all t at once each of them
would fetch all matrices from memory again.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import networkx as nx

from ..node import BATCH, Node
from ..ops import TABLE
from ..passes.schedule import Item, Loop, Vertex, vertices
from ..system import Equation, grouped, sources
from .levels import needs

SUMS = ("contract", "sum", "max")
LARGE = 2**16  # numbers at one step of a loop
LESS = 8  # times less is what is left of them

Size = Callable[[Iterable[str]], int]  # how many positions indices have together


def absorbed(items: Sequence[Item], equations: Iterable[Equation], size: Size) -> tuple[Item, ...]:
    """The schedule with such sums, and what leads to them, at the end of their loops."""
    by_name = grouped(equations)
    found = tuple(items)
    for loop in [item for item in items if isinstance(item, Loop)]:
        found = _Absorbing(found, loop, by_name, size).schedule()
    return found


class _Absorbing:
    """What goes into one loop of a schedule."""

    def __init__(self, items: Sequence[Item], loop: Loop, by_name: dict[str, list[Equation]], size: Size):
        self.items, self.loop, self.by_name, self.size = items, loop, by_name, size
        self.at_hand = self._large(loop.vertices())  # large quantities that are in the cache

    @functools.cached_property
    def later(self) -> set[Item]:
        """What comes after the loop."""
        return set(self.items[self.items.index(self.loop) + 1 :])

    @functools.cached_property
    def graph(self) -> nx.DiGraph[Item]:
        """From what is needed to what needs it."""
        place = {v: item for item in self.items for v in vertices(item)}
        found: nx.DiGraph[Item] = nx.DiGraph()
        found.add_nodes_from(self.items)
        for v, item in place.items():
            found.add_edges_from((place[d], item) for d in needs(v, self.by_name) if place.get(d, item) is not item)
        return found

    def schedule(self) -> tuple[Item, ...]:
        """The items in an order that computes the same."""
        inside = self._inside()
        if not inside:
            return tuple(self.items)
        first = {a for item in inside for a in nx.ancestors(self.graph, item)} - inside
        body = (*self.loop.items, *(item for item in self.items if item in inside))
        k = self.items.index(self.loop)
        after = [item for item in self.items[k + 1 :] if item not in inside]
        return (*self.items[:k], *(item for item in after if item in first), replace(self.loop, items=body),
                *(item for item in after if item not in first))

    def _inside(self) -> set[Item]:
        """Sums over large pieces that the loop makes or reads, and what stands between it and them."""
        found: set[Item] = set()
        sums = [item for item in self.items if item in self.later and self._sums_up(item)] if self.at_hand else []
        if not sums:
            return found
        behind = nx.descendants(self.graph, self.loop)
        while True:
            before = len(found)
            for item in sums:
                leading = nx.ancestors(self.graph, item) & self.later
                chain = {item, *(leading & behind)}
                large = self._large(v for c in chain if isinstance(c, Node) for v in (c, *c.args))
                loops_first = any(isinstance(c, Loop) for c in leading - chain)  # whose results would then be too late
                if large & self.at_hand and not loops_first and all(map(self._may_move, chain)):
                    found |= chain
                    self.at_hand |= large
            if len(found) == before:
                return found

    def _pieces(self, node: Node) -> int:
        """How many numbers a term has at one step."""
        return self.size(i for i in node.indices if i != self.loop.index) * math.prod(node.shape)

    def _large(self, some: Iterable[Vertex]) -> set[str]:
        """The quantities among what is made and read that are large at each step."""
        named = ((v.name, v.rhs) if isinstance(v, Equation) else (str(v.attr("name")), v) for v in some
                 if isinstance(v, Equation) or v.op == "ref")
        return {name for name, node in named if self._pieces(node) >= LARGE}

    def _sums_up(self, item: Item) -> bool:
        """Is little left of large arguments that all vary by step and by example?"""
        if not isinstance(item, Node) or item.op not in SUMS:
            return False
        every = all({self.loop.index, BATCH} <= set(a.indices) for a in item.args)
        largest = max(map(self._pieces, item.args))
        return every and largest >= LARGE and largest >= LESS * self._pieces(item)

    def _may_move(self, item: Item) -> bool:
        """Can it be computed step by step, from what has been computed by then?"""
        if isinstance(item, Equation):
            return not item.is_boundary and any(s.index == self.loop.index for s in item.slots)
        if not isinstance(item, Node) or item not in self.later or self.loop.index not in item.indices:
            return False
        if item.op == "ref":
            return self._is_known(item)
        elementwise = item.op in TABLE and TABLE[item.op].kind == "elementwise"
        return elementwise or (item.op in SUMS and BATCH not in (item.attr("over") or ()))

    def _is_known(self, node: Node) -> bool:
        """Does the reference read this step of the loop, or one before it?"""
        for eq in sources(self.by_name.get(node.attr("name"), []), node):
            for own, slot in zip(eq.slots, node.attr("slots"), strict=True):
                if own.anchor != "free" or slot.anchor != "free":
                    return False
                if own.index == self.loop.index and (
                        slot.index != own.index or slot.offset * self.loop.direction > 0):
                    return False
        return True
