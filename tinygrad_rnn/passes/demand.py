"""What follows from the names that are wanted alone, found once for each set of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ..errors import BadValue
from ..node import Node, refs
from ..system import Equation, System, sources
from .schedule import needed


@dataclass(frozen=True)
class Demand:
    """equations: those that are needed; inputs: what they read.

    ranges: how far they run, each with its index and a term that does, such as h[t].
    fixed: where they read a position counted from the beginning, such as h[1], and along which range.
    back: for each name that is read at earlier positions, along which ranges, and where.
    """

    equations: list[Equation]
    inputs: list[str]
    ranges: dict[str, tuple[str, str]]
    fixed: list[tuple[str, Equation, Node]]
    back: dict[str, dict[str, tuple[Equation, Node]]]


def demand(system: System, want: Iterable[str]) -> Demand:
    """What the wanted names need."""
    key = tuple(want)
    if key not in system.demands:
        equations = needed(system, key)
        read = {node.attr("name") for node in refs(eq.rhs for eq in equations)}
        inputs = [name for name in system.of_role("input") if name in read or name in key]
        system.demands[key] = Demand(equations, inputs, _ranges(system, equations), _fixed(system, equations),
                                     _back(system, equations))
    found = system.demands[key]
    assert isinstance(found, Demand)
    return found


def computable(system: System, given: Collection[str]) -> list[str]:
    """The defined names that follow from the inputs given, in the order of the system.

    Found for all at once, from what cannot be computed to what reads it: a search for each name takes n * n.
    """
    inputs, by_name = {*system.of_role("input")}, system.by_name
    readers: dict[object, list[Equation]] = {}
    todo: list[Equation] = []
    for eq in system.equations:
        for node in refs([eq.rhs]):
            if node.attr("name") in inputs:
                todo += [eq] * (node.attr("name") not in given)
            for source in sources(by_name.get(node.attr("name"), []), node):
                readers.setdefault(source.key, []).append(eq)
    lacking: set[object] = set()
    while todo:
        eq = todo.pop()
        if eq.key not in lacking:
            lacking.add(eq.key)
            todo += readers.get(eq.key, [])
    return [name for name in system.of_role("defined")
            if not any(eq.key in lacking for eq in by_name.get(name, []))]


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


def _back(system: System, equations: Iterable[Equation]) -> dict[str, dict[str, tuple[Equation, Node]]]:
    found: dict[str, dict[str, tuple[Equation, Node]]] = {}
    for eq in equations:
        for node in refs([eq.rhs]):
            q = system.quantities[node.attr("name")]
            for slot, index in zip(node.attr("slots"), q.slots, strict=True):
                if slot.anchor == "free" and slot.offset < 0 and index not in system.static:
                    found.setdefault(q.name, {}).setdefault(system.range_of(index), (eq, node))
    return found


def check_carried(system: System, want: Iterable[str], carried: Collection[str]) -> None:
    """Raise where what is wanted reads something that a state, carried along those ranges, does not hold.

    It holds the last positions, not one counted from the beginning, and those along one index.
    """
    for name, ranges in demand(system, want).back.items():
        both = [r for r in ranges if r in carried]
        if len(both) > 1:
            eq, node = ranges[both[0]]
            raise BadValue(f"{name} goes back along {' and along '.join(both)}, and a state holds the last positions "
                           f"of one index: call that one t\n{eq.show(node)}")
    for r, eq, node in demand(system, want).fixed:
        if r in carried:
            raise BadValue(f"{eq.left} reads a position counted from the beginning, which a state does not hold, so it "
                           f"cannot be carried on; let a quantity keep it, such as k[t] = where(t == 1, x[t], k[t-1])"
                           f"\n{eq.show(node)}")
