"""Positions that differ by example: h[T] is gathered, r[T+1] = ... is scattered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..node import At, Node
from ..system import Equation, sources
from .layout import Env, Layout

if TYPE_CHECKING:
    from .emit import Emitter


def late_slots(layout: Layout, name: str, slots: Sequence[At]) -> list[int]:
    """The slots at a last position that differs by example."""
    q = layout.system.quantities[name]
    return [k for k, s in enumerate(slots) if s.anchor == "last" and layout.ragged(q.slots[k], q)]


def emit_scatter(e: Emitter, eq: Equation, env: Env) -> None:
    """r[T+1] = value, to each example's own position."""
    target, labels = e.layout.named(eq.name, eq.slots, env)
    whole = e.do.temp(target.shape, target.dtype)
    view, positions, order = _front(e.layout, eq.name, eq.slots, env)
    front = _batch_first(e.xp, whole, labels, order)
    padded = e.padded(eq)
    if padded:  # what lies beyond another index's own end stays as it is
        e.do(_gather, view, front, *positions)
        e.do(e.xp.copyto, whole, e.value(eq, env, labels), "same_kind", e.valid(whole, labels, padded, env))
    else:
        e.do(e.xp.copyto, whole, e.value(eq, env, labels))
    e.do(_scatter, view, front, *positions)


def emit_gather(e: Emitter, node: Node, env: Env) -> None:
    """The value of a reference such as h[T]."""
    out, labels = e.view(node, env)
    system, name = e.layout.system, node.attr("name")
    if name in system.by_name and not sources(system.by_name[name], node):
        e.do(e.xp.copyto, out, 0.0)  # beyond the range, where no equation sets it
        return
    view, positions, order = _front(e.layout, name, node.attr("slots"), env)
    e.do(_gather, view, _batch_first(e.xp, out, labels, order), *positions)


def _batch_first(xp: Any, a: Any, labels: tuple[str, ...], order: list[str]) -> Any:
    a = xp.moveaxis(a, -1, 0)
    return a.transpose(0, *(1 + labels.index(i) for i in order), *range(1 + len(labels), a.ndim))


def _scatter(view: Any, value: Any, examples: Any, *positions: Any) -> None:
    view[(*_taken(positions), examples)] = value


def _gather(view: Any, out: Any, examples: Any, *positions: Any) -> None:
    out[...] = view[(*_taken(positions), examples)]


def _taken(positions: tuple[Any, ...]) -> list[Any]:
    """Lengths and offsets alternate, so that a loop can record them as plain arguments."""
    return [lengths + offset for lengths, offset in zip(positions[::2], positions[1::2], strict=True)]


def _front(layout: Layout, name: str, slots: Sequence[At], env: Env) -> tuple[Any, list[Any], list[str]]:
    """The buffer with per-example slots and batch in front; examples and positions to take; the other labels."""
    q, rooms = layout.system.quantities[name], layout.rooms[name]
    late = late_slots(layout, name, slots)
    key: list[Any] = []
    order = []
    for k, (slot, own, (low, _)) in enumerate(zip(slots, q.slots, rooms, strict=True)):
        size = layout.size(own)
        if k in late:
            key.append(slice(None))
        elif slot.anchor == "free" and slot.index not in env:
            key.append(slice(slot.offset + low, slot.offset + low + size))
            order.append(slot.index)
        elif slot.anchor == "free":
            key.append(env[slot.index] + slot.offset + low)
        else:
            key.append(slot.offset - 1 + low + (size if slot.anchor == "last" else 0))
    view = layout.buffers[name][(*key, ...)]
    kept = [k for k, x in enumerate(key) if isinstance(x, slice)]
    front = [kept.index(k) for k in late]
    rest = [k for k in range(view.ndim - 1) if k not in front]
    positions: list[Any] = [layout.examples]
    for k in late:
        positions += [layout.per_example[layout.system.range_of(q.slots[k])], slots[k].offset - 1 + rooms[k][0]]
    return view.transpose(*front, view.ndim - 1, *rest), positions, order
