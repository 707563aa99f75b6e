"""What follows from the names that are wanted alone, found once for each set of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .errors import BadValue
from .node import Node, refs, walk
from .schedule import needed
from .system import Equation, System

CLASS_LOSSES = ("cross_entropy", "softmax_cross_entropy")


@dataclass(frozen=True)
class Demand:
    """equations: those that are needed; inputs: what they read; targets: inputs that must be classes in range.

    ranges: how far they run, each with its index and a term that does, such as h[t].
    fixed: where they read a position counted from the beginning, such as h[1], and along which range.
    """

    equations: list[Equation]
    inputs: list[str]
    targets: frozenset[str]
    ranges: dict[str, tuple[str, str]]
    fixed: list[tuple[str, Equation, Node]]


def demand(system: System, want: Iterable[str]) -> Demand:
    """What the wanted names need."""
    key = tuple(want)
    if key not in system.demands:
        equations = needed(system, key)
        nodes = list(walk(eq.rhs for eq in equations))
        read = {node.attr("name") for node in nodes if node.op == "ref"}
        targets = {node.args[1].attr("name") for node in nodes
                   if node.op in CLASS_LOSSES and node.args[1].op == "ref"}
        inputs = [name for name in system.of_role("input") if name in read or name in key]
        system.demands[key] = Demand(equations, inputs, frozenset(targets & set(inputs)), _ranges(system, equations),
                                     _fixed(system, equations))
    found = system.demands[key]
    assert isinstance(found, Demand)
    return found


def _ranges(system: System, equations: Iterable[Equation]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for eq in equations:
        read = [node.attr("name") for node in refs([eq.rhs])]
        for name, term in [(eq.name, eq.left), *((name, name) for name in read)]:
            for index in system.quantities[name].slots:
                found.setdefault(system.range_of(index), (index, term))
    return found


def _fixed(system: System, equations: Iterable[Equation]) -> list[tuple[str, Equation, Node]]:
    return [(system.range_of(index), eq, node) for eq in equations if not eq.is_boundary
            for node in refs([eq.rhs])
            for slot, index in zip(node.attr("slots"), system.quantities[node.attr("name")].slots, strict=True)
            if slot.anchor == "first" and index not in system.static]


def check_carried(system: System, want: Iterable[str], indices: Iterable[str] | None = None) -> None:
    """Raise where what is wanted reads a position counted from the beginning: a state holds the last ones.

    indices: those along which a state is carried; by default all.
    """
    carried = None if indices is None else {system.range_of(i) for i in indices}
    for r, eq, node in demand(system, want).fixed:
        if carried is None or r in carried:
            raise BadValue(f"{eq.left} reads a position counted from the beginning, which a state does not hold, so it "
                           f"cannot be carried on; let a quantity keep it, such as k[t] = where(t == 1, x[t], k[t-1])"
                           f"\n{eq.show(node)}")
