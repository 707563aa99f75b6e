"""Stamping a template: what differs from copy to copy is its place and, in few items, a position in the text."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from ..scene import Point, Scene, Shape, Wire
from ..template import Template
from ..text import COLUMN, ROW, Label, Span, filled_text
from ..view import Box

Item = TypeVar("Item", Shape, Wire, Span)


class Stamps:
    """Which items of each template say where they stand, found out once for all copies."""

    def __init__(self) -> None:
        self.known: dict[int, list[bool]] = {}

    def put(self, scene: Scene, box: Box, x: float, y: float, ends: Collection[Point] = (),
            idle: Collection[Point] = ()) -> None:
        """Add the box's items to the scene, its upper left corner at (x, y).

        ends: where wires of the template end that no gradient comes back on; idle: where those start or end that
        come from nowhere or lead there.
        """
        t = box.template
        told = iter(self.told(t))
        scene.panels += [_shape(s, next(told), box, x, y) for s in t.panels]
        scene.shapes += [_shape(s, next(told), box, x, y) for s in t.shapes]
        for w in t.wires:
            new = _wire(w, next(told), box, x, y)
            if w.points[-1] in idle or w.points[0] in idle:
                continue
            scene.wires.append(_copy(new, gradient=False) if ends and w.points[-1] in ends else new)

    def told(self, t: Template) -> list[bool]:
        """Of the panels, shapes and wires of a template: do they name a position, and so differ from step to step?"""
        if id(t) not in self.known:
            items = [(s.name, s.label) for s in (*t.panels, *t.shapes)] + [(w.name, w.adjoint) for w in t.wires]
            self.known[id(t)] = [_is_told(name) or any(_is_told(span.text) for span in label) for name, label in items]
        return self.known[id(t)]


def _is_told(text: str) -> bool:
    return COLUMN in text or ROW in text


def _shape(s: Shape, told: bool, box: Box, x: float, y: float) -> Shape:
    new = _copy(s, x=s.x + x, y=s.y + y, mark=s.mark and s.mark.placed(box.places))
    if told:
        text = filled_text(s.name, box.position, box.layer)
        new.__dict__.update(label=_filled(s.label, box), name=text)
    return new


def _wire(w: Wire, told: bool, box: Box, x: float, y: float) -> Wire:
    new = _copy(w, points=tuple([(a + x, b + y) for a, b in w.points]), mark=w.mark and w.mark.placed(box.places))
    if told:
        text = filled_text(w.name, box.position, box.layer)
        new.__dict__.update(adjoint=_filled(w.adjoint, box), name=text)
    return new


def _filled(label: Label, box: Box) -> Label:
    return tuple([_copy(span, text=filled_text(span.text, box.position, box.layer)) if _is_told(span.text) else span
                  for span in label])


def _copy(item: Item, **changes: object) -> Item:
    """`dataclasses.replace`, in a fifth of its time."""
    new = object.__new__(type(item))
    new.__dict__.update(item.__dict__, **changes)
    return new
