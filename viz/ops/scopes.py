"""An unrolled model as one graph of operations, each with the step and the quantity that it belongs to."""

from __future__ import annotations

import networkx as nx

from tinygrad_rnn.node import Node, rebuild, refs, walk
from tinygrad_rnn.passes.unroll import Unrolled
from tinygrad_rnn.system import System

POSITION = " = "  # between an index and its position in a scope's name


def is_step(scope: str) -> bool:
    """Is the outermost frame of a scope a position, such as t = 3?"""
    return POSITION in scope.partition("/")[0]


def operations(base: System, unrolled: Unrolled) -> tuple[list[Node], dict[Node, str]]:
    """Its roots and its scopes, as `op_graph` takes them; base: the system before it was unrolled.

    A reference to a quantity is replaced by what defines it; the roots are the quantities that no other reads. A scope
    is "t = 3/h"; what several quantities compute alike belongs to the first of them.
    """
    flat = unrolled.system
    path = _paths(base, unrolled)
    rhs = {eq.name: eq.rhs for eq in flat.equations}
    reads: nx.DiGraph[str] = nx.DiGraph()
    reads.add_nodes_from(rhs)
    reads.add_edges_from((node.attr("name"), name) for name, root in rhs.items() for node in refs([root]))
    value: dict[str, Node] = {}
    scopes: dict[Node, str] = {}

    def replaced(node: Node, args: tuple[Node, ...]) -> Node:
        if node.op == "ref":
            return value.get(node.attr("name"), node)
        return node if args == node.args else Node(node.op, args, node.attrs, node.type)

    for name in nx.topological_sort(reads):
        if name not in rhs:
            continue
        new = rebuild([rhs[name]], replaced)
        value[name] = new[rhs[name]]
        for node in walk([rhs[name]]):
            if node.op == "ref" and new[node] is node:  # given: of its own step
                given = path[node.attr("name")].rpartition("/")[0]
                if given:
                    scopes.setdefault(node, given)
            elif node.args:
                scopes.setdefault(new[node], path[name])
    return [value[name] for name in rhs if not reads.out_degree(name)], scopes


def _paths(base: System, unrolled: Unrolled) -> dict[str, str]:
    """By flat name: where it stands, the step first, and its name."""
    found = {}
    for (name, where), flat_name in unrolled.names.items():
        slots = zip(base.quantities[name].slots, where, strict=True)
        found[flat_name] = "/".join([*(f"{index}{POSITION}{position}" for index, position in reversed([*slots])), name])
    return found
