"""Which ways the gradient of a state takes: from which of its other steps it comes, and where it comes from outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_rnn.node import At, Node, walk
from tinygrad_rnn.system import System

from ..graph.names import Arrow, components
from ..graph.roles import Roles

COMPARED: dict[str, Callable[..., Any]] = {
    "equal": np.equal, "less": np.less, "less_equal": np.less_equal, "greater": np.greater,
    "greater_equal": np.greater_equal,
}


def ways(name: str, index: str, of: str, found: Roles, steps: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(distances, entries) of ∂of/∂name[t] along `index`, 1 <= t <= steps.

    distances: how many steps apart a step of the recurrence and one that it reads are; entries: the t at which the
    gradient arrives from outside the recurrence, not from another of its steps alone.
    """
    system = found.system
    arrows = [a for a in found.arrows if a.differentiable]
    group = next((g for g in components(system, list(found.arrows)) if name in g), (name,))
    inside = [a for a in arrows if {a.source, a.target} <= set(group) and not a.boundary]
    read = [(s, own) for a in inside for s, own in zip(a.slots, system.quantities[a.source].slots, strict=True)]
    distances = {abs(s.offset) for s, own in read if own == index and s.anchor == "free" and s.offset}
    reached: dict[str, np.ndarray] = {of: np.ones(steps if _axis(of, index, system) else 1, bool)}
    outside = [a for a in arrows if a.target not in group]
    chosen = _chosen(system, index, steps)
    changed = name != of
    while changed:
        changed = False
        for a in outside:
            if a.target in reached and reached[a.target].any():
                new = _read(a, reached[a.target], chosen[a.target, a.source, a.slots], index, system)
                old = reached.get(a.source)
                if old is None or (new & ~old).any():
                    reached[a.source] = new if old is None else old | new
                    changed = True
    entered = np.zeros(steps, bool)
    for member in group:
        if member in reached:
            entered |= reached[member]
    return tuple(sorted(distances)), tuple(int(t) + 1 for t in np.flatnonzero(entered))


def _axis(name: str, index: str, system: System) -> str:
    """The index of a quantity along which positions are told apart: `index`, or one that shares its range."""
    own: Sequence[str] = system.quantities[name].slots
    return index if index in own else next((i for i in own if system.range_of(i) == system.range_of(index)), "")


def _read(a: Arrow, target: np.ndarray, chosen: np.ndarray, index: str, system: System) -> np.ndarray:
    """The positions of the source that an arrow reads for those of its target; all that it may read where they are not
    told apart. chosen: where the equation does not drop what it reads."""
    steps = len(chosen)
    axis = _axis(a.source, index, system)
    if not axis:
        return np.ones(1, bool)
    slot = a.slots[system.quantities[a.source].slots.index(axis)]
    at = np.arange(1, steps + 1)
    if slot.anchor != "free":
        return np.asarray(at == slot.offset + (steps if slot.anchor == "last" else 0))
    by = at - slot.offset
    there = (by >= 1) & (by <= steps) & chosen[np.clip(by, 1, steps) - 1]
    if slot.index == _axis(a.target, index, system) and not a.boundary and len(target) == steps:
        there &= target[np.clip(by, 1, steps) - 1]
    return np.asarray(there)


def _chosen(system: System, index: str, steps: int) -> dict[tuple[str, str, tuple[At, ...]], np.ndarray]:
    """(target, source, slots) -> the positions 1..steps at which no `where(t == 1, ...)` of the equation drops it."""
    found: dict[tuple[str, str, tuple[At, ...]], np.ndarray] = {}
    for eq in system.equations:
        nodes = list(walk([eq.rhs]))
        kept = {node: np.zeros(steps, bool) for node in nodes} | {eq.rhs: np.ones(steps, bool)}
        for node in reversed(nodes):
            holds = _condition(node.args[0], system.range_of(index), system, steps) if node.op == "where" else None
            for k, arg in enumerate(node.args):
                way = kept[node] if holds is None or not k else kept[node] & (holds if k == 1 else ~holds)
                kept[arg] = kept[arg] | way
            if node.op == "ref":
                key = eq.name, node.attr("name"), node.attr("slots")
                found[key] = found.get(key, False) | kept[node]
    return found


def _condition(node: Node, of: str, system: System, steps: int) -> np.ndarray | None:
    """Where a comparison of a position in the range `of` with a number, or with the last one, holds; None for any other
    condition."""
    numbers: list[Any] = []
    for arg in node.args if node.op in COMPARED else ():
        if arg.op == "const":
            numbers.append(arg.attr("value"))
        elif arg.op in ("position", "last") and system.range_of(arg.attr("index")) == of:
            numbers.append(np.arange(1, steps + 1) if arg.op == "position" else steps)
    known = len(numbers) == 2 and sum(isinstance(n, np.ndarray) for n in numbers) == 1
    return np.asarray(COMPARED[node.op](*numbers)) if known else None
