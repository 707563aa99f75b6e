"""The array API's broadcasting, for nodes without named indices."""

from __future__ import annotations

import numpy as np

from ..errors import BadValue
from ..node import Node
from ..ops import TABLE, apply


def broadcast(op: str, nodes: list[Node]) -> list[Node]:
    """Arguments of one shape, as the rows want them; scalars stay."""
    if op == "matmul" and max(n.rank for n in nodes) > 2:
        lead = joint([n.shape[:-2] for n in nodes if n.rank > 2])
        return [stretched(n, (*lead, *n.shape[-2:])) if n.rank > 2 else n for n in nodes]
    if op == "dot":
        lead = joint([n.shape[:-1] for n in nodes if n.rank > 1])
        return [stretched(n, (*lead, *n.shape[-1:])) if n.rank > 1 else n for n in nodes]
    if op not in TABLE or TABLE[op].kind != "elementwise":
        return nodes
    shape = joint([n.shape for n in nodes])
    return [n if n.shape == () else stretched(n, shape) for n in nodes]


def joint(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape to which all of them broadcast. Raises BadValue where there is none."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise BadValue(f"shapes {' and '.join(map(str, shapes))} do not broadcast") from None


def stretched(node: Node, shape: tuple[int, ...]) -> Node:
    """node broadcast to shape: axes of size 1 are dropped, then every missing axis is expanded."""
    if node.shape == shape:
        return node
    own = (1,) * (len(shape) - node.rank) + node.shape
    kept = tuple(s for s, goal in zip(own, shape, strict=True) if s == goal)
    if kept != node.shape:
        node = apply("reshape", node, shape=kept)
    for axis, (s, goal) in enumerate(zip(own, shape, strict=True)):
        if s != goal:
            node = apply("expand", node, axis=axis, size=goal)
    return node
