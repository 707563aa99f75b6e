"""The order of computation: loops are strongly connected components, everything else is done for all t at once.

Vertices are terms (nodes) and equations; a term depends on its arguments, an equation on its right side, a
reference on the equations that it may read, over an arrow that carries the reference's shifts. A component
loops over an index whose shifts inside share a sign; without the shifted arrows it is ordered again, inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import networkx as nx

from ..errors import BadValue
from ..node import Node, placed, walk
from ..system import Equation, System, grouped, sources

Vertex: TypeAlias = "Node | Equation"
Graph: TypeAlias = "dict[Vertex, list[Vertex]]"  # what each vertex uses, in order
TRIED = 50  # equations through which a short cycle is looked for
SHOWN = 10  # names along a cycle that an error says


@dataclass(frozen=True, eq=False)
class Loop:
    """items computed once per position of `index`, in the given direction (+1: t = 1..T, -1: t = T..1)."""

    index: str
    direction: int
    items: tuple[Item, ...]

    def vertices(self) -> Iterator[Vertex]:
        """Every term and equation inside, in order."""
        for item in self.items:
            yield from vertices(item)


Item: TypeAlias = "Node | Equation | Loop"


def vertices(item: Item) -> Iterable[Vertex]:
    """The terms and equations of an item, in order."""
    return item.vertices() if isinstance(item, Loop) else (item,)


def needed(system: System, want: Iterable[str]) -> list[Equation]:
    """The equations from which the wanted names follow, in the order of the system."""
    by_name = system.by_name
    todo: list[Equation] = [eq for name in want for eq in by_name.get(name, [])]
    found: set[object] = set()
    while todo:
        eq = todo.pop()
        if eq.key in found:
            continue
        found.add(eq.key)
        for node in walk([eq.rhs]):
            if node.op == "ref":
                todo += [e for e in sources(by_name.get(node.attr("name"), []), node) if e.key not in found]
    return [eq for eq in system.equations if eq.key in found]


def schedule(equations: Iterable[Equation]) -> tuple[Item, ...]:
    """The order of computation of the equations. Raises where a cycle cannot be ordered, naming it."""
    equations = list(equations)
    by_name = grouped(equations)
    graph: Graph = {}
    for node in walk(eq.rhs for eq in equations):
        used = sources(by_name.get(node.attr("name"), []), node) if node.op == "ref" else node.args
        graph[node] = list(dict.fromkeys(used))
        for vertex in used:
            graph.setdefault(vertex, [])
    for eq in equations:
        graph[eq] = [eq.rhs]
    return _ordered(graph)


def _ordered(graph: Graph) -> tuple[Item, ...]:
    """Components come dependencies first, since edges point from users to what they use."""
    items: list[Item] = []
    place = {vertex: k for k, vertex in enumerate(graph)}
    for component in nx.strongly_connected_components(nx.DiGraph(graph)):
        if len(component) == 1:
            items += component
        else:  # in the graph's order, so that equal systems run alike to the bit
            items.append(_loop({v: [w for w in graph[v] if w in component]
                                for v in sorted(component, key=place.__getitem__)}))
    return tuple(items)


def _loop(part: Graph) -> Loop:
    arrows = [(node, eq) for node, used in part.items() if isinstance(node, Node)
              for eq in used if isinstance(eq, Equation)]
    equations = [v for v in part if isinstance(v, Equation)]
    reasons: dict[str, tuple[str, Vertex | None]] = {}
    candidates = dict.fromkeys(s.index for eq in equations for s in eq.slots if s.anchor == "free")
    for index in candidates:
        shifts = _shifts(index, arrows, equations, part)
        if isinstance(shifts, tuple):
            reasons[index] = shifts
            continue
        signs = {(s > 0) - (s < 0) for s in shifts} - {0}
        if len(signs) != 1:
            reasons[index] = ("its shifts point to the past and to the future" if signs else
                              f"it is not shifted, as in {index}-1"), None
            continue
        kept = {u: [v for v in used if not _shifted(u, v, index)] for u, used in part.items()}
        return Loop(index, -signs.pop(), _ordered(kept))
    raise BadValue(_explained(part, equations, arrows, reasons))


def _shifts(index: str, arrows: list[tuple[Node, Equation]], equations: list[Equation],
            part: Graph) -> list[int] | tuple[str, Vertex]:
    """The shifts in index along the arrows, or why the component cannot loop over it and what stands in the way."""
    for eq in equations:
        if not any(s.anchor == "free" and s.index == index for s in eq.slots):
            return f"{eq.left} does not carry {index}", eq
    for node in part:
        if isinstance(node, Node) and index in (dict(node.attrs).get("over") or ()):
            return f"over={index} needs all of it at once", node
    shifts = []
    for node, eq in arrows:
        slot = next(s for s, g in zip(node.attr("slots"), eq.slots, strict=True) if g.index == index)
        if slot.anchor != "free":
            return f"{eq.name} is read at position {slot} inside it", node
        if slot.index != index:
            return f"{eq.name} is read with {index} relabelled as {slot.index} inside it", node
        shifts.append(slot.offset)
    return shifts


def _shifted(user: Vertex, used: Vertex, index: str) -> bool:
    if not (isinstance(user, Node) and isinstance(used, Equation)):
        return False
    return any(g.anchor == "free" and g.index == index and s.offset != 0
               for s, g in zip(user.attr("slots"), used.slots, strict=True))


def _explained(part: Graph, equations: list[Equation], arrows: list[tuple[Node, Equation]],
               reasons: dict[str, tuple[str, Vertex | None]]) -> str:
    """A short cycle through the component, by name, and what stands in the way for each index."""
    cycle = _cycle(part, equations, next((v for _, v in reasons.values() if v is not None), None))
    names = [_read(n) for n in cycle if isinstance(n, Node) and n.op == "ref"]
    along = [v for v in cycle if isinstance(v, Equation)]
    if any("past and to the future" in reason for reason, _ in reasons.values()):
        names = list(dict.fromkeys(_read(node) for node, _ in arrows))
        along = equations
    why = "; ".join(f"{i}: {reason}" for i, (reason, _) in reasons.items()) or "no index is shifted along it"
    shown = "\n".join(eq.show() for eq in along[:4])
    others = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN + 1 else names[SHOWN:]
    through = " and ".join([*names[:SHOWN], *others])
    return f"{along[0].left} depends on itself through {through}, and cannot be ordered ({why})\n{shown}"


def _read(reference: Node) -> str:
    return placed(reference.attr("name"), reference.attr("slots"))


def _cycle(part: Graph, equations: list[Equation], through: Vertex | None) -> list[Vertex]:
    """A short cycle, from an equation on; through what stands in the way, where that is one vertex."""
    graph = nx.DiGraph(part)
    tried = equations[:TRIED] if through is None else [through]
    cycle = min((nx.shortest_path(graph, used, vertex) for vertex in tried for used in graph[vertex]), key=len)
    if through is None:
        cycle = [cycle[-1], *cycle[:-1]]
    start = next(k for k, v in enumerate(cycle) if isinstance(v, Equation))
    return cycle[start:] + cycle[:start]


def loops(items: Iterable[Item]) -> list[Loop]:
    """The outermost loops of a schedule."""
    return [item for item in items if isinstance(item, Loop)]
