"""Where the value of each term lives: in an array of its own, in a quantity's buffer, or as part of another's."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ..backends.flat import stacked
from ..node import At, Node
from ..system import Equation
from .layout import Env, Layout, Value
from .leaves import LEAVES
from .ragged import late_slots


class Values:
    """The values of all terms of a layout's equations.

    leaves: what is computed from no others. kept: terms that are read when all has been done.
    """

    def __init__(self, layout: Layout, leaves: Mapping[Node, Value], kept: Collection[Node]):
        self.layout = layout
        self._arrays = dict(leaves)
        self._aliases: dict[Node, str] = {}  # what is computed straight into a quantity
        self._stacked: dict[Node, tuple[list[str], int]] = {}  # what is computed into several, and along which axis
        self._views: dict[Node, bool] = {}  # concatenations: is it one?
        for eq in layout.equations:
            if self._fits(eq) and not self._has_place(eq.rhs):
                self._aliases[eq.rhs] = eq.name
        self._alias_stacked()
        self._arrays |= self._own(kept)

    def view(self, node: Node, env: Env) -> Value:
        """node's value at the loop positions of env, and the indices left in it."""
        if node.op == "const":
            return node.attr("value"), ()
        if node in self._aliases:
            q = self.layout.system.quantities[self._aliases[node]]
            return self.layout.named(q.name, [At("free", i, 0) for i in q.slots], env)
        if node.op == "ref" and node not in self._arrays:
            return self.layout.named(node.attr("name"), node.attr("slots"), env)
        if node in self._stacked or self.is_view(node):
            return self._viewed(node, env)
        array, labels = self._arrays[node]
        if not labels:
            return array, ()
        return array[(*(env.get(i, slice(None)) for i in labels), ...)], tuple(i for i in labels if i not in env)

    def is_view(self, node: Node) -> bool:
        """Is the value of a term part of another's, or what lies next to each other in memory anyway?"""
        if node.op == "concat" and node not in self._views:
            self._views[node] = all(a.op == "ref" and not self.gathered(a) for a in node.args) and (
                self._concat(node, {}) is not None)
        return (node.op == "slice" and node.args[0].op != "const") or self.joins(node)

    def joins(self, node: Node) -> bool:
        """Is it a concatenation of what lies next to each other?"""
        return self._views.get(node, False)

    def gathered(self, node: Node) -> bool:
        """Does the reference read a position that differs by example, such as h[T] with lengths?"""
        return bool(late_slots(self.layout, node.attr("name"), node.attr("slots")))

    def is_in(self, node: Node, name: str) -> bool:
        """Is the term computed straight into the quantity's buffer?"""
        return self._aliases.get(node) == name

    def _own(self, kept: Collection[Node]) -> dict[Node, Value]:
        """Arrays for the terms that have no place yet."""
        lay, labels = self.layout, dict[Node, tuple[str, ...]]()
        for node in lay.lifetimes.nodes:
            if node.op == "ref" and self.gathered(node):
                labels[node] = lay.labels(node)
            elif not (self._has_place(node) or node in self._stacked):
                held = lay.lifetimes.held_for_term(node)
                labels[node] = tuple(i for i in lay.labels(node) if i not in held)
        shared = lay.arena.arrays({node: lay.need(node, own, node in kept) for node, own in labels.items()
                                   if lay.grows(own)})
        return {node: (shared[node] if node in shared else lay.zeros(node, own), own) for node, own in labels.items()}

    def _has_place(self, node: Node) -> bool:
        return node.op in LEAVES or node.op in ("ref", "const") or node in self._aliases or self.is_view(node)

    def _fits(self, eq: Equation) -> bool:
        """Is the right side all that stands in the quantity's buffer?"""
        q, node = self.layout.system.quantities[eq.name], eq.rhs
        same = (*node.indices,) == q.type.indices and node.shape == q.type.shape and (
            self.layout.dtype(node.dtype) == q.type.dtype)
        return same and not eq.is_boundary and not self.layout.has_late_boundary(eq.name)

    def _alias_stacked(self) -> None:
        """Let a term of which named quantities are the slices, one after the other, be computed straight into them."""
        slices: dict[Node, dict[int, tuple[Node, str]]] = {}
        for eq in self.layout.equations:
            if eq.rhs.op == "slice" and eq.rhs.attr("step") == 1 and self._fits(eq):
                slices.setdefault(eq.rhs.args[0], {}).setdefault(eq.rhs.attr("start"), (eq.rhs, eq.name))
        for whole, parts in slices.items():
            row, at = [], 0
            while at in parts:
                row.append(parts[at])
                at = parts[at][0].attr("stop")
            if not row or at != whole.shape[row[0][0].attr("axis")] or self._has_place(whole):
                continue
            names, axis = [name for _, name in row], row[0][0].attr("axis")
            if self._quantities(names, axis, {}) is not None:
                self._stacked[whole] = names, axis
                self._aliases |= dict(row)

    def _viewed(self, node: Node, env: Env) -> Value:
        """The value of a term that has no array of its own."""
        if node.op == "slice":
            array, labels = self.view(node.args[0], env)
            cut = slice(node.attr("start"), node.attr("stop"), node.attr("step"))
            return array[(*[slice(None)] * (len(labels) + node.attr("axis")), cut, ...)], labels
        found = self._concat(node, env) if node.op == "concat" else self._quantities(*self._stacked[node], env)
        assert found is not None
        return found

    def _concat(self, node: Node, env: Env) -> Value | None:
        """The view of a concatenation whose parts lie next to each other."""
        return _side_by_side([self.view(a, env) for a in node.args], node.attr("axis"))

    def _quantities(self, names: Sequence[str], axis: int, env: Env) -> Value | None:
        """The view of quantities that lie next to each other."""
        slots = [[At("free", i, 0) for i in self.layout.system.quantities[name].slots] for name in names]
        return _side_by_side([self.layout.named(name, at, env) for name, at in zip(names, slots, strict=True)], axis)


def _side_by_side(parts: Sequence[Value], axis: int) -> Value | None:
    """Arrays with the same indices as one, along a feature axis; None where they do not lie so in memory."""
    arrays, (labels, *others) = [a for a, _ in parts], [own for _, own in parts]
    whole = None if any(other != labels for other in others) else stacked(arrays, len(labels) + axis)
    return None if whole is None else (whole, labels)
