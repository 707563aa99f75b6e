"""When the values of a schedule are written and read: which live for one step of a loop, and which only for a while.

A place is the position of an item in the schedule, all of a loop being one item.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..node import At, Node, walk
from ..passes.schedule import Item, Loop, Vertex
from ..system import Equation

VIEWS = ("slice", "concat")  # terms whose values may be parts of others, or others side by side


class Lifetimes:
    """Of the terms and quantities of a schedule."""

    def __init__(self, equations: Iterable[Equation], items: Iterable[Item]):
        self.equations = list(equations)
        self.nodes = list(walk(eq.rhs for eq in self.equations))
        self._place: dict[Vertex, int] = {}
        self._loops: dict[Vertex, tuple[Loop, ...]] = {}
        for place, item in enumerate(items):
            self._visit([item], place, ())
        self._users = self._read_by()
        self._slots: dict[str, list[tuple[At, ...]]] = {}  # with which each quantity is written and read
        self._touching = self._by_quantity()

    def _visit(self, items: Sequence[Item], place: int, loops: tuple[Loop, ...]) -> None:
        for item in items:
            if isinstance(item, Loop):
                self._visit(item.items, place, (*loops, item))
            else:
                self._place[item], self._loops[item] = place, loops

    def _read_by(self) -> dict[Node, list[Vertex]]:
        """What reads each term's value; who reads what may be a view may read what is viewed."""
        users: dict[Node, list[Vertex]] = {}
        for eq in self.equations:
            users.setdefault(eq.rhs, []).append(eq)
        for node in reversed(self.nodes):
            for arg in node.args:
                users.setdefault(arg, []).append(node)
                if node.op in VIEWS:
                    users[arg] += users.get(node, [])
        return users

    def _by_quantity(self) -> dict[str, list[Vertex]]:
        """Whatever may read or write each quantity: its references, and terms that are computed straight into it."""
        found: dict[str, list[Vertex]] = {}
        for eq in self.equations:
            found.setdefault(eq.name, []).append(eq)
            self._slots.setdefault(eq.name, []).append(eq.slots)
            node = eq.rhs
            while node.op not in ("ref", "const"):
                found[eq.name] += [node, *self._users[node]]
                if node.op != "slice":
                    break
                node = node.args[0]
        for node in self.nodes:
            if node.op == "ref":
                found.setdefault(node.attr("name"), []).extend([node, *self._users[node]])
                self._slots.setdefault(node.attr("name"), []).append(node.attr("slots"))
        return found

    def of_term(self, node: Node) -> tuple[int, int]:
        """The places where the term is computed, and where it is read for the last time."""
        places = [self._place[v] for v in (node, *self._users.get(node, []))]
        return self._place[node], max(places)

    def of_quantity(self, name: str) -> tuple[int, int]:
        """The places where the quantity is written for the first time, and touched for the last."""
        places = [self._place[v] for v in self._touching[name]]
        return min(places), max(places)

    def held_for_term(self, node: Node) -> set[str]:
        """The indices of the loops in which the term is computed, and outside of which nothing reads it."""
        return _common([self._loops[v] for v in (node, *self._users.get(node, []))])

    def held_for_quantity(self, name: str) -> set[str]:
        """The indices of the loops outside of which nothing touches the quantity, nor at another step."""
        each = zip(*self._slots[name], strict=True)  # one slot of all at a time
        alike = [here[0] for here in each if len(set(here)) == 1]
        return {index for index in _common([self._loops[v] for v in self._touching[name]])
                if At("free", index, 0) in alike}


def _common(paths: Sequence[tuple[Loop, ...]]) -> set[str]:
    """The indices of the loops that all are in."""
    return {loop.index for loop in paths[0] if all(loop in path for path in paths)}
