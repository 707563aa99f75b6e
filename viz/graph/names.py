"""The graph of names: quantities and the arrows between them, each with its shifts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import networkx as nx

from tinygrad_rnn.node import At, Node, refs, walk
from tinygrad_rnn.ops import TABLE
from tinygrad_rnn.system import Equation, System

PRODUCTS = ("matmul", "dot", "embed", "outer", "einsum", "conv2d", "conv2d_transpose")


@dataclass(frozen=True)
class Arrow:
    """target reads source at slots.

    boundary: the slots of the boundary equation that reads, () where the main one does; weights: names that multiply
    it on the way; differentiable: does the target's gradient reach the source?
    """

    source: str
    target: str
    slots: tuple[At, ...]
    boundary: tuple[At, ...] = ()
    weights: tuple[str, ...] = ()
    differentiable: bool = True

    @property
    def shifts(self) -> dict[str, int]:
        """Index -> by how much it is shifted, where it is."""
        return {s.index: s.offset for s in self.slots if s.anchor == "free" and s.offset}


def is_fixed(node: Node, system: System, memo: dict[Node, bool]) -> bool:
    """Does the value of the expression depend on weights and constants alone?"""
    for part in walk([node]):
        if part not in memo:
            if part.op == "ref":
                q = system.quantities.get(part.attr("name"))
                memo[part] = q is not None and q.role == "weight"
            else:
                memo[part] = part.op != "dropout_mask" and all(memo[a] for a in part.args)
    return memo[node]


def arrows(system: System) -> list[Arrow]:
    """Every arrow between quantities that are no weights, in the order of the equations; parallel ones are one."""
    return list(dict.fromkeys(a for eq in system.equations for a in _of(eq, system)))


def _of(eq: Equation, system: System) -> Iterator[Arrow]:
    reached = _reached(eq.rhs)
    weights = _weights(eq.rhs, system)
    for node in refs([eq.rhs]):
        name = node.attr("name")
        q = system.quantities.get(name)
        if q is not None and q.role != "weight":
            boundary = eq.slots if eq.is_boundary else ()
            yield Arrow(name, eq.name, node.attr("slots"), boundary, weights.get(node, ()), node in reached)


def _reached(root: Node) -> set[Node]:
    """The terms that the gradient of root reaches: those below no operation that has none."""
    found, stack = {root}, [root]
    while stack:
        node = stack.pop()
        vjp = TABLE[node.op].vjp
        for k, arg in enumerate(node.args):
            passes = bool(vjp) and vjp[min(k, len(vjp) - 1)] is not None
            if passes and arg not in found:
                found.add(arg)
                stack.append(arg)
    return found


def _weights(root: Node, system: System) -> dict[Node, tuple[str, ...]]:
    """reference -> the weights that multiply it directly."""
    found: dict[Node, tuple[str, ...]] = {}
    for node in walk([root]):
        if node.op in PRODUCTS:
            names = [a.attr("name") for a in node.args if a.op == "ref" and _role(a, system) == "weight"]
            for arg in node.args:
                if arg.op == "ref" and _role(arg, system) != "weight":
                    found[arg] = tuple(dict.fromkeys((*found.get(arg, ()), *names)))
    return found


def _role(node: Node, system: System) -> str:
    q = system.quantities.get(node.attr("name"))
    return q.role if q is not None else ""


def components(system: System, found: list[Arrow]) -> list[tuple[str, ...]]:
    """The recurrent groups of names: strongly connected, with at least one arrow inside; in the system's order."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(n for n, q in system.quantities.items() if q.role != "weight")
    graph.add_edges_from((a.source, a.target) for a in found if not a.boundary)
    order = {name: k for k, name in enumerate(dict.fromkeys([eq.name for eq in system.equations]))}
    groups = [tuple(sorted(c, key=lambda n: order.get(n, -1))) for c in nx.strongly_connected_components(graph)]
    kept = [g for g in groups if len(g) > 1 or graph.has_edge(g[0], g[0])]
    return sorted(kept, key=lambda g: order.get(g[0], -1))


def shift_along(a: Arrow, system: System, index: str) -> int:
    """The shift of an arrow along the source's own index."""
    for slot, own in zip(a.slots, system.quantities[a.source].slots, strict=False):
        if own == index and slot.anchor == "free":
            return slot.offset
    return 0


def to_networkx(system: System) -> nx.MultiDiGraph[str]:
    """The system as a graph: a node a quantity (role, shape, indices), an arrow a reference (shifts, slots)."""
    from .roles import roles

    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(name=system.name)
    role = roles(system).role
    for name, q in system.quantities.items():
        graph.add_node(name, role=role.get(name, q.role), shape=q.type.shape, indices=q.slots)
    for a in arrows(system):
        graph.add_edge(a.source, a.target, shifts=a.shifts, slots=",".join(map(str, a.slots)),
                       boundary=",".join(map(str, a.boundary)))
    for eq in system.equations:
        for node in refs([eq.rhs]):
            if _role(node, system) == "weight":
                graph.add_edge(node.attr("name"), eq.name, shifts={}, boundary="",
                               slots=",".join(map(str, node.attr("slots"))))
    return graph
