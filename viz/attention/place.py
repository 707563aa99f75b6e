"""The halves of the attention view at their places, where lines between them end, and what stands beside them."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise

import numpy as np

from ..layout.grid import layout
from ..scene import Point, Scene, Shape, moved, put
from ..style import MARGIN
from .parts import Half

ARC = 42.0  # degrees to either side of the lowest point of a context, within which the lines end
SEEN = 70.0  # degrees around the direction of a line in which a round context lets it end
BESIDE = 24.0


class Placed:
    """A half of the picture at its place. boxes: its shapes by key; ends: those that the lines attach to."""

    def __init__(self, half: Half):
        self.half, self.scene = half, layout(half.view)
        self.find()

    def find(self) -> None:
        """Find the shapes of each box again, in a scene that was moved."""
        shapes = iter(self.scene.shapes)
        self.all = {key: [next(shapes) for _ in box.template.shapes] for key, box in self.half.view.boxes.items()}
        self.boxes = {key: found[0] for key, found in self.all.items()}
        self.ends = {t: self.boxes[key] for t, key in self.half.ends.items()}
        self.columns: dict[int, list[Shape]] = {}
        for key, box in self.half.view.boxes.items():
            if box.column is not None and box.column >= 0:
                self.columns.setdefault(box.column, []).extend(self.all[key])

    @property
    def pitch(self) -> float:
        """The distance of neighbouring columns."""
        places = [s.centre[0] for s in self.ends.values()]
        return min((b - a for a, b in pairwise(places)), default=0.0)

    @property
    def middle(self) -> float:
        """Half way between the first and the last end."""
        places = [s.centre[0] for s in self.ends.values()]
        return (places[0] + places[-1]) / 2

    @property
    def right(self) -> float:
        """How far it reaches to the right."""
        return max([s.x + s.w for s in self.scene.shapes] + [x for w in self.scene.wires for x, _ in w.points])

    def left_of(self, t: int) -> float:
        """The left border of a position's boxes."""
        column = self.half.view.boxes[self.half.ends[t]].column
        assert column is not None
        return min(s.x for s in self.columns[column])

    def move(self, dx: float, dy: float) -> None:
        """Move all."""
        self.scene = moved(self.scene, dx, dy)
        self.find()

    def spread(self, pitch: float) -> None:
        """Move the columns apart to that distance; what runs between them is stretched."""
        at, to, moved, before = [], [], 0.0, None
        for _, shapes in sorted(self.columns.items()):
            left, right = min(s.x for s in shapes), max(s.x + s.w for s in shapes)
            middle = (left + right) / 2
            if before is not None:
                moved += max(0.0, pitch - (middle - before))
            before = middle
            at += [left, right]
            to += [left + moved, right + moved]

        def place(x: float) -> float:
            return x if x <= at[0] else x + moved if x >= at[-1] else float(np.interp(x, at, to))

        def shifted(s: Shape) -> Shape:
            return replace(s, x=place(s.centre[0]) - s.w / 2)

        scene = self.scene
        self.scene = replace(scene, shapes=[shifted(s) for s in scene.shapes],
                             wires=[replace(w, points=tuple((place(x), y) for x, y in w.points)) for w in scene.wires])
        self.find()


def arrivals(context: Shape, sources: Collection[Shape]) -> list[Point]:
    """Where lines from boxes below, from left to right, end at a box's border, so that none crosses another."""
    (x, y), last = context.centre, max(1, len(sources) - 1)
    ends = []
    for k, source in enumerate(sources):
        spread = 2 * k / last - 1 if len(sources) > 1 else 0.0
        if context.kind == "circle":
            towards = math.degrees(math.atan2(source.centre[0] - x, source.y - y))
            turn = math.radians(min(max(ARC * spread, towards - SEEN), towards + SEEN))
            ends.append((x + context.w / 2 * math.sin(turn), y + context.h / 2 * math.cos(turn)))
        else:
            ends.append((x + spread * context.w * 0.3, context.y + context.h))
    return ends


def beside(scene: Scene, other: Scene) -> None:
    """Put another scene at the right, at half the height."""
    height = max(scene.height, other.height + 2 * MARGIN)
    if height > scene.height:
        centred = moved(scene, 0.0, (height - scene.height) / 2)
        scene.panels, scene.wires, scene.shapes, scene.notes = (centred.panels, centred.wires, centred.shapes,
                                                               centred.notes)
    placed = moved(other, scene.width + BESIDE, round((height - other.height) / 2))
    put(scene, placed)
    scene.width, scene.height = placed.width + MARGIN, height
