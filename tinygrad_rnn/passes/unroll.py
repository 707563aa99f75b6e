"""Unrolling: a copy of every quantity for each position, its shifts resolved. The result has no loops.

h[t] = tanh(U @ h[t-1]) becomes h_1 = tanh(U @ 0), h_2 = tanh(U @ h_1), and so on. Every term is written out for each
position of its indices, arguments before their users. One that works over an index, such as a sum over t, is that of a
stack: its argument at all positions, along a new first feature axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..node import BATCH, Node, Type, number, walk
from ..ops import TABLE, f
from ..ops.reduction import REDUCING
from ..ops.table import make
from ..system import Equation, System
from .positions import Copies, Here, Positions, Ranges, selected
from .rewrite import filled, remade

# What stands in padding for rows that work over it, where that is not 0.
NOTHING = dict.fromkeys(("max", "logsumexp", "softmax", "log_softmax"), -math.inf)


@dataclass(frozen=True)
class Unrolled:
    """system: the flat equations; names: (name, positions) -> its flat name; lengths: range -> the input with them."""

    system: System
    names: Mapping[tuple[str, Positions], str]
    lengths: Mapping[str, str]


def unrolled(system: System, sizes: Mapping[str, int], ragged: frozenset[str] = frozenset()) -> Unrolled:
    """The system for ranges of the given sizes. ragged: ranges whose length differs by example."""
    ranges = Ranges(system, sizes, ragged)
    copies = Copies(system, ranges)
    terms = _Terms(ranges, copies)
    for node in walk(eq.rhs for eq in system.equations):
        terms.write_out(node)
    equations = []
    for eq in system.equations:
        shape = system.quantities[eq.name].type.shape
        for here in ranges.all(slot.index for slot in eq.slots if slot.anchor == "free"):
            copy = copies.name(eq.name, tuple(ranges.at(slot, here) for slot in eq.slots))
            equations.append(Equation(copy, (), filled(terms.at(eq.rhs, here), shape), eq.source))
    declared = {name: q.type.shape for name, q in copies.quantities.items() if q.role != "defined"}
    flat = System(f"{system.name}_unrolled", tuple(equations), copies.quantities, {}, {}, declared, system.dtype)
    return Unrolled(flat, copies.names, {r: q.name for r, q in ranges.lengths.items()})


def _indices(node: Node) -> tuple[str, ...]:
    """The indices of a term, without the batch, which stays one."""
    return tuple(i for i in node.indices if i != BATCH)


def _batch(node: Node) -> tuple[str, ...]:
    """The batch, where a row works over it."""
    return (BATCH,) if BATCH in node.attr("over") else ()


class _Terms:
    """Terms at the positions of their indices."""

    def __init__(self, ranges: Ranges, copies: Copies):
        self.ranges, self.copies = ranges, copies
        self.written: dict[Node, tuple[tuple[str, ...], dict[Positions, Node]]] = {}

    def at(self, node: Node, here: Here) -> Node:
        """A term that has been written out, at a position of each of its indices, and maybe of others."""
        indices, found = self.written[node]
        return found[tuple([here[i] for i in indices])]

    def write_out(self, node: Node) -> None:
        """Write a term out for all positions, whose arguments are."""
        indices = _indices(node)
        way = self._leaf if not node.args else self._row if self._works_over(node) else self._each
        self.written[node] = indices, {tuple([here[i] for i in indices]): new for here, new in way(node)}

    def _works_over(self, node: Node) -> bool:
        """Does it work over positions, or over examples of which some may end before?"""
        return any(i != BATCH for i in dict(node.attrs).get("over") or ()) or bool(self._padded(node))

    def _padded(self, node: Node) -> list[str]:
        """The indices whose padding is among what a row works over: of the batch, that of every index there is."""
        over = dict(node.attrs).get("over") or ()
        among = node.args[0].indices if BATCH in over else over
        return [i for i in among if i != BATCH and self.ranges.is_ragged(i)]

    def _leaf(self, node: Node) -> Iterator[tuple[Here, Node]]:
        for here in self.ranges.all(_indices(node)):
            yield here, LEAVES[node.op](self, node, here) if node.op in LEAVES else node

    def _each(self, node: Node) -> Iterator[tuple[Here, Node]]:
        """What works at each position by itself: typed at the first one, which the others are like."""
        first = None
        for here in self.ranges.all(_indices(node)):
            args = tuple([self.at(a, here) for a in node.args])
            if first is None:
                first = make(TABLE[node.op], args, dict(node.attrs))
            yield here, remade(first, args)

    def _row(self, node: Node) -> Iterator[tuple[Here, Node]]:
        """What works over positions: one number of all of them, or one for each."""
        over = [i for i in node.attr("over") if i != BATCH]
        for outer in self.ranges.all(i for i in _indices(node) if i not in over):
            positions = [{**outer, **inner} for inner in self.ranges.all(over)]
            if node.op in REDUCING:
                yield outer, self._reduced(node, positions)
                continue
            whole = self._along(node, positions)
            for place, here in enumerate(positions):
                yield here, f.pick(whole, axis=0, at=place)

    def _reduced(self, node: Node, positions: Sequence[Here]) -> Node:
        """A sum over positions as a sum over the first axis of a stack, beside the features that it sums over too."""
        values = [self.at(node.args[0], here) for here in positions]
        more = {"over": _batch(node), "axis": (0, *(k + 1 for k in node.attr("axis")))}
        stack = self._stacked(node, values, positions)
        if node.op == "mean" and self._padded(node):
            ones = self._stacked(node, [f.ones_like(value) for value in values], positions)
            return f.sum(stack, **more) / f.sum(ones, **more)
        return make(TABLE[node.op], (stack,), {**dict(node.attrs), **more})

    def _along(self, node: Node, positions: Sequence[Here]) -> Node:
        """A softmax over positions as one along the first axis of a stack."""
        stack = self._stacked(node, [self.at(node.args[0], here) for here in positions], positions)
        if not _batch(node):
            return make(TABLE[node.op], (stack,), {**dict(node.attrs), "over": None, "axis": 0})
        total = f.logsumexp(stack, over=_batch(node), axis=0)
        logs = stack - f.expand(total, axis=0, size=len(positions))
        return f.exp(logs) if node.op == "softmax" else logs

    def _stacked(self, node: Node, values: Sequence[Node], positions: Sequence[Here]) -> Node:
        """The values at positions along a new first axis, without what is padding."""
        padded, nothing = self._padded(node), NOTHING.get(node.op, 0.0)
        return f.stack(*(selected([self.ranges.reached(i, here[i]) for i in padded], value, nothing)
                         for value, here in zip(values, positions, strict=True)), axis=0)


def _keyed(terms: _Terms, node: Node, here: Here) -> Node:
    """A draw keeps its numbers: they are keyed by its positions, counted from 0."""
    at = tuple((i, here[i] - 1) for i in _indices(node))
    kind = Type(tuple(i for i in node.indices if i == BATCH), node.shape, node.dtype)
    return Node(node.op, (), {**dict(node.attrs), "at": at}.items(), kind)


LEAVES = {
    "ref": lambda terms, node, here: terms.copies.read(node, here),
    "position": lambda terms, node, here: number(here[node.attr("index")]),
    "last": lambda terms, node, here: terms.ranges.last(node.attr("index")),
    "count": lambda terms, node, here: terms.ranges.count(node.attr("over")),
    "dropout_mask": _keyed, "noise": _keyed,
}
