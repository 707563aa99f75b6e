"""What a state holds: the last steps along one index, as arrays (batch, steps, other indices, features).

Along other indices than that of time a state reaches from 1 to the last position, and beyond as far as boundary
equations set the quantity: it is the same whichever plan has left it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import BadValue
from ..passes.demand import demand
from ..system import System

Room = tuple[int, int]  # how far below 1 and above the last position


def position_key(index: str) -> str:
    """Under which a state says how many positions of an index are behind it, per example."""
    return f"[{index}]"


def open_axes(system: System, name: str) -> list[int]:
    """The places of those indices of a quantity whose ranges were not given with the model."""
    return [k for k, index in enumerate(system.quantities[name].slots) if index not in system.static]


def along(system: System, want: Iterable[str], state: Mapping[str, Any] | None = None) -> frozenset[str]:
    """The ranges along which a state goes on: what it says itself, else time, as far as the wanted names run over it.

    Where no index is that of time, all of them: what has one of them alone can still be carried.
    """
    said = {system.range_of(i) for i in system.ranges if position_key(i) in (state or {})}
    for name in state or {}:
        axes = open_axes(system, name) if name in system.quantities else []
        if len(axes) == 1:
            said.add(system.range_of(system.quantities[name].slots[axes[0]]))
    if said:
        return frozenset(said)
    if all(i in system.static for i in system.ranges):
        return frozenset()
    ranges = {r for r, (index, _) in demand(system, want).ranges.items() if index not in system.static}
    time = {system.range_of(system.time)} if system.time else set()
    return frozenset(ranges & time or ranges)


def rooms(system: System, name: str) -> list[Room]:
    """How far below 1 and above T boundary equations set the quantity, by index."""
    found = [(0, 0)] * len(system.quantities[name].slots)
    for eq in system.by_name.get(name, ()):
        for k, slot in enumerate(eq.slots):
            low, high = found[k]
            found[k] = (max(low, 1 - slot.offset) if slot.anchor == "first" else low,
                        max(high, slot.offset) if slot.anchor == "last" else high)
    return found


def others(of_each: Sequence[Any], axis: int) -> list[Any]:
    """Of one thing for each index those of all but time."""
    return [*of_each[:axis], *of_each[axis + 1 :]]


def fitted(xp: Any, array: Any, have: Sequence[Room], want: Sequence[Room], empty: float = 0, first: int = 2) -> Any:
    """An array with other room along its indices, of which the first is axis `first`; what is new is `empty`."""
    for axis, ((low, high), (new_low, new_high)) in enumerate(zip(have, want, strict=True), start=first):
        inside = slice(max(low - new_low, 0), array.shape[axis] - max(high - new_high, 0))
        array = array[(*[slice(None)] * axis, inside)]
        more = (max(new_low - low, 0), max(new_high - high, 0))
        if any(more):
            array = xp.pad(array, [more if k == axis else (0, 0) for k in range(array.ndim)], constant_values=empty)
    return array


def loaded(system: System, xp: Any, name: str, axis: int, state: Any, steps: int, like: Any,
           room: Sequence[Room]) -> Any:
    """The last steps of a quantity's state, with as much room along the other indices as an array `like` them has.

    axis: the place of time among its indices. Raises where the state has fewer steps, or another number of positions.
    """
    if state.shape[1] < steps:
        raise BadValue(f"the state of {name} holds {state.shape[1]} steps, {steps} are needed")
    own = others(rooms(system, name), axis)
    empty = -1 if like.dtype == np.dtype("int64") else 0  # of classes, none
    found = fitted(xp, state[:, state.shape[1] - steps :], own, others(room, axis), empty)
    if found.shape[2:] != like.shape[2:]:
        indices = others(system.quantities[name].slots, axis)
        held = [n - low - high for n, (low, high) in zip(state.shape[2:], own, strict=False)]
        raise BadValue(f"the state of {name} has {' x '.join(map(str, held))} positions in {', '.join(indices)}, and "
                       "this run has not: a state goes on along one index, and the others stay as they are")
    return found
