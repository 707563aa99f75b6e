"""Time torn out of a system: every sum over it becomes a total, a quantity to which each segment of time adds.

A fixed position is a sum as well, h[T] = sum(where(t == T, h[t], 0), over=t), and a boundary such as h[0] a quantity
without time. What is left in each equation are references along time, so that it can be computed segment by segment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import BadValue
from ..node import BATCH, At, Node, Type, free, ordered, rebuilt, ref
from ..ops import f
from ..system import Equation, Quantity, System, fresh, meets
from .rewrite import position_of, remade
from .schedule import needed


def cut_index(system: System) -> str:
    """The index along which memory="sqrt" cuts, that of time. Raises where there is none."""
    if system.time is None:
        raise BadValue(f'memory="sqrt" cuts the sequence along t; the model has '
                       f"{'the indices ' + ', '.join(system.ranges) if system.ranges else 'no index'}")
    return system.time


def refused(eq: Equation, node: Node | None, why: str) -> BadValue:
    """The error for an equation that keeps time in one piece."""
    return BadValue(f'{eq.left} {why}: memory="sqrt" cannot cut the sequence into segments; give '
                    f"memory=None\n{eq.show(node)}")


@dataclass(frozen=True)
class Torn:
    """A system that computes the wanted names without any term that needs all of time at once.

    equations: all others; totals: the sums over time, by name; axes: the place of time among a quantity's indices;
    starts: of a quantity with boundary equations, the quantities that stand for h[0], h[-1], ... by position.
    """

    equations: list[Equation]
    totals: dict[str, Equation]
    quantities: dict[str, Quantity]
    axes: dict[str, int | None]
    starts: dict[str, dict[int, str]]


def torn(system: System, want: Sequence[str], carried: bool = False) -> Torn:
    """Tear the equations that the wanted names need. carried: what is before the first step comes from a state.

    Raises `Error`, naming the equation, where a term relates positions otherwise than by shifts and sums.
    """
    index = cut_index(system)
    tear = _Tear(system, system.range_of(index), carried)
    equations = needed(system, want)
    if not any(tear.axes[eq.name] is not None for eq in equations):
        raise BadValue(f'memory="sqrt" cuts the sequence along {index}, and nothing that is asked for runs over it')
    for eq in equations:
        tear.declare(eq)
    for eq in equations:
        tear.equation(eq)
    return Torn(tear.equations, tear.totals, tear.quantities, tear.axes, tear.starts)


class _Tear:
    """The tearing, equation by equation. time: the range that is torn out."""

    def __init__(self, system: System, time: str, carried: bool):
        self.system, self.time, self.carried = system, time, carried
        self.quantities = dict(system.quantities)
        self.axes = {name: self._axis(q) for name, q in self.quantities.items()}
        self.starts: dict[str, dict[int, str]] = {}
        self.equations: list[Equation] = []
        self.totals: dict[str, Equation] = {}
        self._known: dict[Node, Node] = {}  # sums over time that have a name already

    def _is_time(self, index: str) -> bool:
        return index != BATCH and self.system.range_of(index) == self.time

    def _axis(self, q: Quantity) -> int | None:
        return next((k for k, index in enumerate(q.slots) if self._is_time(index)), None)

    def _new(self, label: str, slots: Sequence[str], kind: Type) -> str:
        name = fresh(label, {*self.quantities, *self.system.ranges})
        dtype = self.system.dtype if kind.dtype == "weak" else kind.dtype
        self.quantities[name] = Quantity(name, "defined", tuple(slots), kind._replace(dtype=dtype))
        self.axes[name] = None
        return name

    def declare(self, eq: Equation) -> None:
        """Check the left side; h[0] gets a name of its own."""
        q, k = self.quantities[eq.name], self.axes[eq.name]
        if sum(map(self._is_time, q.slots)) > 1:
            raise refused(eq, None, "relates any two positions of the sequence")
        if k is None or eq.slots[k].anchor == "free":
            return
        if eq.slots[k].anchor == "last":
            raise refused(eq, None, "sets a position beyond the last one")
        if any(slot.anchor != "free" for j, slot in enumerate(eq.slots) if j != k):
            raise refused(eq, None, "sets a boundary of two indices at once")
        if not self.carried:
            kind = q.type._replace(indices=tuple(i for i in q.type.indices if i != q.slots[k]))
            offset = eq.slots[k].offset
            name = self._new(f"{eq.name}_{abs(offset)}", [i for i in q.slots if i != q.slots[k]], kind)
            self.starts.setdefault(eq.name, {})[offset] = name

    def equation(self, eq: Equation) -> None:
        """Add the equation, torn."""
        k = self.axes[eq.name]
        start = k is not None and eq.slots[k].anchor == "first"
        if start and self.carried:
            return
        rhs = rebuilt(eq.rhs, lambda node, args: self._changed(eq, node, args))
        if k is not None and start:
            name = self.starts[eq.name][eq.slots[k].offset]
            eq = replace(eq, name=name, slots=tuple(slot for j, slot in enumerate(eq.slots) if j != k))
        if eq.name not in self.totals:
            self.equations.append(replace(eq, rhs=rhs))

    def _changed(self, eq: Equation, node: Node, args: tuple[Node, ...]) -> Node:
        over = [i for i in dict(node.attrs).get("over") or () if self._is_time(i)] if args else []
        if node.op == "ref":
            new = self._reference(eq, node)
        elif over and node.op in ("sum", "mean"):
            new = self._summed(eq, node, args[0])
        elif over:
            raise refused(eq, node, f"has a {node.op} over {over[0]}, which needs the whole sequence at once")
        else:
            new = remade(node, args)
        if sum(map(self._is_time, new.indices)) > 1:
            raise refused(eq, node, "relates any two positions of the sequence")
        return new

    def _reference(self, eq: Equation, node: Node) -> Node:
        """A reference; at a fixed position of time, the total that it is, or what a boundary equation says."""
        name, slots, k = node.attr("name"), node.attr("slots"), self.axes[node.attr("name")]
        if k is None or slots[k].anchor == "free":
            return node
        at, index = slots[k], self.quantities[name].slots[k]
        rest = (*slots[:k], *slots[k + 1 :])
        starts = {offset: ref(start, rest, node.type) for offset, start in self.starts.get(name, {}).items()
                  if meets(at, At("first", "", offset))}
        if at.anchor == "first" and at.offset in starts:
            return starts[at.offset]
        kind = Type(ordered([*node.indices, index]), node.shape, node.dtype)
        inside = ref(name, (*slots[:k], free(index), *slots[k + 1 :]), kind)
        of_each = Node("position", (), {"index": index}.items(), Type(ordered([index, BATCH]), (), "weak"))
        here = f.equal(of_each, position_of(at))  # both count on from a state
        value = self._total(eq, f.sum(f.where(here, inside, 0.0), over=(index,), axis=()), node)
        for offset, start in starts.items():
            value = f.add(value, f.where(f.equal(position_of(at), float(offset)), start, 0.0))
        if value.indices != node.indices:
            raise refused(eq, node, f"reads {name} at a position that differs by example, which {name} itself does not")
        return value

    def _summed(self, eq: Equation, node: Node, arg: Node) -> Node:
        over, axis = node.attr("over"), node.attr("axis")
        absent = tuple(i for i in over if self._is_time(i) and i not in arg.indices)
        value = arg * f.count(over=absent) if absent else arg
        value = f.sum(value, over=tuple(i for i in over if i not in absent), axis=axis)
        if any(self._is_time(i) and i not in absent for i in over):
            value = self._total(eq, value, node)
        if node.op == "mean":
            value = f.divide(value, f.count(over=over) * float(math.prod(arg.shape[k] for k in axis)))
        return value

    def _total(self, eq: Equation, value: Node, written: Node) -> Node:
        """The total's name: that of the equation, where it says nothing else."""
        if value not in self._known:
            q = self.quantities[eq.name]
            named = {i for i in value.indices if i != BATCH}
            whole = written is eq.rhs and written.op == "sum" and not eq.is_boundary and named == set(q.slots) and (
                value.indices == q.type.indices and value.shape == q.type.shape)
            kind = Type(value.indices, value.shape, value.dtype)
            name = eq.name if whole else self._new(f"{eq.name}_sum", sorted(named), kind)
            q = self.quantities[name]
            slots = tuple(map(free, q.slots))
            self.totals[name] = Equation(name, slots, value, eq.source, eq.comment)
            self._known[value] = ref(name, slots, q.type)
        return self._known[value]
