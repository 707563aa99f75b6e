"""The adjoints of the terms of one expression, from that of the whole: reverse accumulation by the table's formulas."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from ..node import BATCH, Node, ordered, walk
from ..ops import TABLE, f
from ..ops.positional import reached

DEEP = 4  # conditions around one adjoint, beyond which it is a term: a long chain of them would take the square of time


def vjp(node: Node, y: Node, g: Node) -> Iterator[tuple[Node, Node]]:
    """(argument, adjoint) for each argument of node that has one; y stands for node's value."""
    row = TABLE[node.op]
    attrs = dict(node.attrs)
    if attrs.get("over") and not set(attrs["over"]) <= set(g.indices) and row.name not in ("sum", "mean", "max"):
        g = g * f.ones_like(node)
    lines = row.vjp
    if row.arity is None and len(lines) == 1 and lines[0] is not None:
        yield from zip(node.args, lines[0](g, y, *node.args, **attrs), strict=True)
        return
    for arg, line in zip(node.args, lines, strict=False):
        if line is not None:
            adjoint = line(g, y, *node.args, **attrs)
            if adjoint is not None:
                yield arg, adjoint


def fitted(g: Node, result: Node, arg: Node, ragged: Collection[str] = ()) -> Node:
    """g, an adjoint over result's indices and shape, summed to the argument's. ragged: indices that end by example."""
    over = tuple(i for i in result.indices if i not in arg.indices)
    stretched = TABLE[result.op].kind == "elementwise"
    axis = tuple(range(result.rank if stretched else g.rank)) if arg.shape == () else ()
    if not set(over) <= set(g.indices) or g.rank < len(axis):
        spans = result if stretched or not result.rank else f.sum(result, axis=tuple(range(result.rank)))
        g = g * f.ones_like(spans)
    ends = [i for i in over if i in ragged]
    if ends and BATCH not in g.indices:
        g, over = _shared_out(g, ends), ordered([*over, BATCH])
    return f.sum(g, over=over, axis=axis) if over or axis else g


def _shared_out(g: Node, ends: Iterable[str]) -> Node:
    """g, the same for all examples, in equal parts among those that reach a position: a sum over positions is one over
    each example's own."""
    inside = functools.reduce(f.logical_and, map(reached, ends))
    return f.where(inside, g / f.sum(f.where(inside, 1.0, 0.0), over=(BATCH,), axis=()), 0.0)


def spread(g: Node, like: Node) -> Node:
    """g with like's feature shape; elementwise formulas take a scalar as it is, others need the shape."""
    return g * f.ones_like(like) if g.shape != like.shape else g


class _Selected(NamedTuple):
    """g where the conditions hold, as sides of `where` (1: it does, 2: it does not), else 0.

    Formulas are linear in g, so they are of g alone, and the conditions stay around: where(x > 0, g / x, 0) as the
    adjoint of where(x > 0, log(x), 0), not where(x > 0, g, 0) / x, which is 0 times what may not even be finite.
    """

    g: Node
    conditions: tuple[tuple[Node, int], ...] = ()

    def node(self) -> Node:
        """The adjoint."""
        g = self.g
        for condition, side in reversed(self.conditions):
            g = f.where(condition, g, 0.0) if side == 1 else f.where(condition, 0.0, g)
        return g

    def plus(self, other: _Selected) -> _Selected:
        """The sum of both."""
        same = self.conditions == other.conditions
        return _Selected(self.g + other.g, self.conditions) if same else _Selected(self.node() + other.node())

    def entering(self, node: Node) -> _Selected:
        """As it enters the formulas of an operation: as a whole, unless these stay within what the conditions tell.

        So they do element by element, and along feature axes where all elements are selected alike. A sum of products
        is left as the contraction that it is.
        """
        along = TABLE[node.op].kind == "axes" and not dict(node.attrs).get("over") and not (
            any(c.rank for c, _ in self.conditions) or any(a.op == "multiply" for a in node.args))
        return self if along or TABLE[node.op].kind == "elementwise" else _Selected(self.node())


def _sent(node: Node, y: Node, adjoint: _Selected) -> Iterator[tuple[Node, _Selected]]:
    """(argument, adjoint) for each argument of node that has one, before it is fitted; y stands for node's value."""
    g, conditions = adjoint.entering(node)
    if node.op == "where":
        if len(conditions) >= DEEP:
            g, conditions = adjoint.node(), ()
        for side in (1, 2):
            yield node.args[side], _Selected(g, (*conditions, (node.args[0], side)))
        return
    for arg, part in vjp(node, y, g if TABLE[node.op].kind == "elementwise" else spread(g, node)):
        yield arg, _Selected(part, conditions)


def backward(root: Node, seed: Node, active: set[Node], value: Node | None = None,
             ragged: Collection[str] = ()) -> dict[Node, Node]:
    """The adjoints of every active node under root, given root's; `value` stands for root in the formulas."""
    found = {root: _Selected(seed)}
    for node in reversed(list(walk([root]))):
        if node not in found or not node.args:
            continue
        for arg, part in _sent(node, value if node is root and value is not None else node, found[node]):
            if arg in active:
                whole = part.node()
                as_arg = fitted(whole, node, arg, ragged)
                part = part if as_arg is whole else _Selected(as_arg)
                found[arg] = found[arg].plus(part) if arg in found else part
    return {node: adjoint.node() for node, adjoint in found.items()}
