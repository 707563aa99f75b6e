"""Elementwise terms that only one loop needs are computed inside it, where their arguments are at hand.

The schedule puts whatever is on no cycle outside the loops, for all positions at once. That is right for products, but
an elementwise term would be written to memory and read back for nothing but a call less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..node import Node
from ..ops import TABLE
from ..passes.schedule import Item, Loop, Vertex, vertices
from ..system import Equation
from .lower import sums_nothing


def sunk(items: Sequence[Item]) -> tuple[Item, ...]:
    """The schedule with such terms moved to the front of their loops."""
    users: dict[Node, set[int]] = {}
    place: dict[Vertex, int] = {}
    for k, item in enumerate(items):
        for v in vertices(item):
            place[v] = k
            for arg in (v.rhs,) if isinstance(v, Equation) else v.args:
                users.setdefault(arg, set()).add(k)
    moved: dict[int, list[Node]] = {}
    kept: list[Item] = []
    for k in range(len(items) - 1, -1, -1):
        item = items[k]
        goal = _loop(item, items, users)
        if goal is None or not isinstance(item, Node):
            kept.append(item)
            continue
        moved.setdefault(goal, []).insert(0, item)
        for arg in item.args:
            users[arg].discard(k)
            users[arg].add(goal)
    order = {id(item): k for k, item in enumerate(items)}
    return tuple(replace(item, items=(*moved[order[id(item)]], *item.items))
                 if isinstance(item, Loop) and order[id(item)] in moved else item for item in reversed(kept))


def _loop(item: Item, items: Sequence[Item], users: dict[Node, set[int]]) -> int | None:
    """The place of the loop that alone needs a term."""
    if not isinstance(item, Node) or not _is_elementwise(item):
        return None
    places = users.get(item, set())
    if len(places) != 1:
        return None
    (k,) = places
    loop = items[k]
    return k if isinstance(loop, Loop) and loop.index in item.indices else None


def _is_elementwise(node: Node) -> bool:
    if node.op == "contract":
        return sums_nothing(node)
    return node.op in TABLE and TABLE[node.op].kind == "elementwise"
