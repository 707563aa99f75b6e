"""What can be done for some examples at a time: the batch is cut, and only sums over the batch are joined.

Everything that no sum over the batch comes before is level 0; what needs such a sum whole is level 1; and so on.
Between levels the parts of the batch wait for each other, inside one they do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..node import BATCH, Node
from ..passes.schedule import Item, Loop, Vertex, vertices
from ..system import Equation, grouped, sources

SUMS = ("sum", "contract", "scatter_class")
LEAVES = ("count",)


@dataclass
class Level:
    """Items in order, and the sums over the batch among them."""

    items: list[Item] = field(default_factory=list)
    sums: list[Node] = field(default_factory=list)


def _over_batch(vertex: Vertex) -> bool:
    return isinstance(vertex, Node) and vertex.op not in LEAVES and BATCH in (dict(vertex.attrs).get("over") or ())


def levels(items: Sequence[Item], equations: Iterable[Equation]) -> list[Level] | None:
    """The levels of a schedule; None where its examples cannot be told apart (a softmax over the batch, say)."""
    by_name = grouped(equations)
    known: dict[Vertex, int] = {}  # the level from which on a vertex is there
    found = [Level()]
    for item in items:
        inside = list(vertices(item))
        joined = [v for v in inside if _over_batch(v)]
        if any(isinstance(item, Loop) or (isinstance(v, Node) and v.op not in SUMS) for v in joined):
            return None
        level = max((known.get(d, 0) for v in inside for d in needs(v, by_name)), default=0)
        while len(found) <= level:
            found.append(Level())
        found[level].items.append(item)
        for v in inside:
            known[v] = level
        for v in joined:
            assert isinstance(v, Node)
            known[v] = level + 1
            found[level].sums.append(v)
    return found


def needs(vertex: Vertex, by_name: dict[str, list[Equation]]) -> list[Vertex]:
    """What is computed before a vertex: by_name holds all equations of each quantity."""
    if isinstance(vertex, Equation):
        return [vertex.rhs]
    if vertex.op == "ref":
        return list(sources(by_name.get(vertex.attr("name"), []), vertex))
    return list(vertex.args)
