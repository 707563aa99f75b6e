"""What is on the page: boxes, wires and notes at fixed places, y downward, in points.

A scene knows nothing of models; a writer of any file format knows nothing but scenes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from .text import Label

Point = tuple[float, float]
Places = Mapping[str, "int | None"]  # where what is stamped stands: COLUMN and ROW as positions


class Mark(NamedTuple):
    """What an item shows: a quantity, and at which positions, by index in left-hand order; others are left open.

    In what is stamped, COLUMN and ROW stand for positions.
    """

    name: str
    at: tuple[tuple[str, int | str], ...] = ()

    def placed(self, places: Places) -> Mark:
        """The mark with positions for COLUMN and ROW; where they have none, the index is left open."""
        found = ((index, places.get(p) if isinstance(p, str) else p) for index, p in self.at)
        return Mark(self.name, tuple((index, p) for index, p in found if p is not None))


@dataclass(frozen=True)
class Shape:
    """A box at (x, y), its upper left corner.

    kind: "box", "circle" or "panel" (a box around others, its label a title at the upper left);
    lines: further lines of text under the label; name: what it shows, for readers of the file; mark: the same for
    programs; fill: a colour in place of the style's, or `style.HATCHED`.
    """

    kind: str
    x: float
    y: float
    w: float
    h: float
    style: str
    label: Label = ()
    size: float = 14.0
    lines: tuple[Label, ...] = ()
    name: str = ""
    mark: Mark | None = None
    fill: str | None = None

    @property
    def centre(self) -> Point:
        """The middle."""
        return self.x + self.w / 2, self.y + self.h / 2

    def mirrored(self, width: float) -> Shape:
        """The shape in a scene of that width, left and right exchanged."""
        return replace(self, x=width - self.x - self.w)

    def on_border(self, p: Point, near: float = 0.6) -> bool:
        """Is the point on the shape's outline?"""
        x, y = p
        if self.kind == "circle":
            cx, cy = self.centre
            return abs(((x - cx) ** 2 + (y - cy) ** 2) ** 0.5 - self.w / 2) <= near
        inside = self.x - near <= x <= self.x + self.w + near and self.y - near <= y <= self.y + self.h + near
        edge = min(abs(x - self.x), abs(x - self.x - self.w), abs(y - self.y), abs(y - self.y - self.h))
        return inside and edge <= near


@dataclass(frozen=True)
class Wire:
    """A line through points with rounded turns, from the border of `start` to the border of `end`.

    head: an arrow head at the end; tail: one where the gradient's twin ends, at the start; gradient: it has a twin;
    label: shown beside the middle of its longest horizontal part, `adjoint` beside the twin's; mark: the value that it
    carries; width, colour: in place of the style's; phase: how far into the pattern of dashes it starts.
    """

    points: tuple[Point, ...]
    style: str
    head: bool = True
    tail: bool = True
    dashed: bool = False
    gradient: bool = False
    label: Label = ()
    adjoint: Label = ()
    name: str = ""
    mark: Mark | None = None
    width: float | None = None
    colour: str | None = None
    phase: float = 0.0

    def mirrored(self, width: float) -> Wire:
        """The wire in a scene of that width, left and right exchanged."""
        return replace(self, points=tuple((width - x, y) for x, y in self.points))


@dataclass(frozen=True)
class Note:
    """Text without a box, around (x, y). anchor: "start", "middle" or "end"."""

    x: float
    y: float
    label: Label
    size: float
    colour: str
    anchor: str = "middle"


@dataclass
class Scene:
    """A page, its items in the order of painting: panels, wires, shapes, notes. described: what it shows, in words."""

    width: float
    height: float
    panels: list[Shape] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    title: str = ""
    described: str = ""


def moved(scene: Scene, dx: float, dy: float = 0.0) -> Scene:
    """The scene further to the right and down, on a page that is so much larger."""
    def shapes(found: list[Shape]) -> list[Shape]:
        return [replace(s, x=s.x + dx, y=s.y + dy) for s in found]

    return Scene(scene.width + dx, scene.height + dy, shapes(scene.panels),
                 [replace(w, points=tuple((x + dx, y + dy) for x, y in w.points)) for w in scene.wires],
                 shapes(scene.shapes), [replace(n, x=n.x + dx, y=n.y + dy) for n in scene.notes], scene.title,
                 scene.described)


def put(scene: Scene, other: Scene) -> None:
    """Add all that another scene has, where it is."""
    scene.panels += other.panels
    scene.wires += other.wires
    scene.shapes += other.shapes
    scene.notes += other.notes
