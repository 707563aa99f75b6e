"""What follows from the names that are wanted alone, found once for each set of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .node import walk
from .schedule import needed
from .system import Equation, System

CLASS_LOSSES = ("cross_entropy", "softmax_cross_entropy")


@dataclass(frozen=True)
class Demand:
    """equations: those that are needed; inputs: what they read; targets: inputs that must be classes in range."""

    equations: list[Equation]
    inputs: list[str]
    targets: frozenset[str]


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
        system.demands[key] = Demand(equations, inputs, frozenset(targets & set(inputs)))
    found = system.demands[key]
    assert isinstance(found, Demand)
    return found
