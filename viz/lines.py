"""Lines as they are drawn: rounded turns, arrow heads, gradient twins, and where their labels go."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from .scene import Note, Point, Scene, Shape, Wire
from .style import CORNER, HEAD, LINES, SMALL
from .text import width

APART = 4.0  # of a wire and of its twin from the line between them


@dataclass(frozen=True)
class Move:
    """A piece of a path: "M" to a point, "L" to a point, or "Q" over a corner to a point."""

    kind: str
    points: tuple[Point, ...]


def path(points: tuple[Point, ...], corner: float = CORNER) -> list[Move]:
    """The polyline with its turns rounded."""
    moves = [Move("M", (points[0],))]
    for before, at, after in zip(points, points[1:], points[2:], strict=False):
        r = min(corner, math.dist(before, at) / 2, math.dist(at, after) / 2)
        if r > 0.1:
            moves.append(Move("L", (_towards(at, before, r),)))
            moves.append(Move("Q", (at, _towards(at, after, r))))
        else:
            moves.append(Move("L", (at,)))
    moves.append(Move("L", (points[-1],)))
    return moves


def _towards(a: Point, b: Point, r: float) -> Point:
    d = math.dist(a, b)
    return a[0] + (b[0] - a[0]) * r / d, a[1] + (b[1] - a[1]) * r / d


def head(points: tuple[Point, ...], width: float) -> tuple[tuple[Point, Point, Point], tuple[Point, ...]]:
    """The triangle at the end of a line, and the line without what the triangle covers."""
    long, wide = HEAD[0] + width, HEAD[1] + width * 0.9
    (ax, ay), (bx, by) = points[-2], points[-1]
    d = math.dist(points[-2], points[-1]) or 1.0
    ux, uy = (bx - ax) / d, (by - ay) / d
    cut = min(long * 0.8, d * 0.9)
    x, y = bx - ux * long, by - uy * long
    triangle = ((bx, by), (x - uy * wide / 2, y + ux * wide / 2), (x + uy * wide / 2, y - ux * wide / 2))
    return triangle, (*points[:-1], (bx - ux * cut, by - uy * cut))


def parallel(points: tuple[Point, ...], d: float) -> tuple[Point, ...]:
    """The polyline moved to its left by d (y downward); its corners stay corners."""
    out: list[Point] = []
    units = []
    for a, b in pairwise(points):
        n = math.dist(a, b) or 1.0
        units.append(((b[0] - a[0]) / n, (b[1] - a[1]) / n))
    for k, (x, y) in enumerate(points):
        before, after = units[max(0, k - 1)], units[min(k, len(units) - 1)]
        dx, dy = before[1] * d, -before[0] * d
        if before != after:
            dx, dy = dx + after[1] * d, dy - after[0] * d
            scale = 1 + before[0] * after[0] + before[1] * after[1]
            dx, dy = dx / scale, dy / scale
        out.append((x + dx, y + dy))
    return tuple(out)


def with_twins(scene: Scene) -> Scene:
    """Every wire that carries a gradient beside its twin, reversed and dashed; labels become notes."""
    circles = _Circles(scene.shapes)
    wires: list[Wire] = []
    for wire in scene.wires:
        if not wire.gradient:
            wires.append(wire)
            continue
        ahead, back = parallel(wire.points, APART), parallel(wire.points, -APART)[::-1]
        near_start = circles.at(wire.points[0])
        near_end = circles.at(wire.points[-1])
        wires.append(replace(wire, points=_attached(ahead, near_start, near_end), label=(), adjoint=()))
        twin = _attached(back, near_end, near_start)
        wires.append(Wire(twin, "gradient", wire.tail, wire.head, True, name=f"gradient of {wire.name}"))
    labelled = any(w.label or w.adjoint for w in scene.wires)
    parts = _Parts(wires, scene.panels, scene.shapes) if labelled else _Parts(())
    notes = [note for wire in scene.wires for note in _labels(wire, parts)]
    return replace(scene, wires=wires, notes=[*scene.notes, *notes])


class _Parts:
    """The straight parts of all wires, the boxes and the panels' borders by place: what labels keep clear of."""

    CELL = 60.0

    def __init__(self, wires: Iterable[Wire], panels: Iterable[Shape] = (), boxes: Iterable[Shape] = ()):
        self.cells: dict[tuple[int, int], list[tuple[float, float, float, float]]] = {}
        for wire in wires:
            for a, b in pairwise(wire.points):
                self.add(min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]))
        for p in panels:
            self.add(p.x, p.y, p.x, p.y + p.h)
            self.add(p.x + p.w, p.y, p.x + p.w, p.y + p.h)
        for s in boxes:
            self.add(s.x, s.y, s.x + s.w, s.y + s.h)

    def add(self, left: float, top: float, right: float, bottom: float) -> None:
        part = (left, top, right, bottom)
        for cell in self.around(part):
            self.cells.setdefault(cell, []).append(part)

    def around(self, part: tuple[float, float, float, float]) -> Iterator[tuple[int, int]]:
        left, top, right, bottom = (round(v / self.CELL) for v in part)
        return ((x, y) for x in range(left, right + 1) for y in range(top, bottom + 1))

    def meet(self, left: float, top: float, right: float, bottom: float) -> bool:
        return any(left < c and a < right and top < d and b < bottom
                   for cell in self.around((left, top, right, bottom)) for a, b, c, d in self.cells.get(cell, ()))


class _Circles:
    """The circles of a scene by place."""

    CELL = 60.0

    def __init__(self, shapes: Iterable[Shape]):
        self.cells: dict[tuple[int, int], list[Shape]] = {}
        for s in shapes:
            if s.kind == "circle":
                for x in range(round(s.x / self.CELL), round((s.x + s.w) / self.CELL) + 1):
                    for y in range(round(s.y / self.CELL), round((s.y + s.h) / self.CELL) + 1):
                        self.cells.setdefault((x, y), []).append(s)

    def at(self, p: Point) -> Shape | None:
        """The circle on whose border a point lies."""
        cell = round(p[0] / self.CELL), round(p[1] / self.CELL)
        return next((c for c in self.cells.get(cell, ()) if c.on_border(p)), None)


def _attached(points: tuple[Point, ...], start: Shape | None, end: Shape | None) -> tuple[Point, ...]:
    """Ends moved along the line to a circle's border, from which the shift took them."""
    out = list(points)
    for k, inner, circle in ((0, 1, start), (-1, -2, end)):
        if circle is not None:
            (x, y), (cx, cy), r = out[k], circle.centre, circle.w / 2
            if abs(out[inner][0] - x) < 0.01:
                reach = math.sqrt(max(0.0, r * r - (x - cx) ** 2))
                out[k] = (x, cy + math.copysign(reach, y - cy))
            else:
                reach = math.sqrt(max(0.0, r * r - (y - cy) ** 2))
                out[k] = (cx + math.copysign(reach, x - cx), y)
    return tuple(out)


def _labels(wire: Wire, parts: _Parts) -> Iterator[Note]:
    """The labels of a wire, beside its longest horizontal part where nothing else runs; none where there is no room."""
    flat = [(a, b) for a, b in pairwise(wire.points) if abs(a[1] - b[1]) < 0.01]
    if not flat:
        return
    a, b = max(flat, key=lambda s: abs(s[0][0] - s[1][0]))
    left, right = min(a[0], b[0]), max(a[0], b[0])
    for label, style, gap in ((wire.label, wire.style, 11.0), (wire.adjoint, "gradient", 12.0 + APART)):
        if label:
            half, middle = width(label, SMALL) / 2 + 2, (left + right) / 2
            spots = [middle, *(middle + sign * k * 6.0 for k in range(1, 40) for sign in (1, -1))]
            free = next(((x, y) for y in (a[1] + gap, a[1] - gap) for x in spots if left + half < x < right - half
                         and not parts.meet(x - half, y - 6.5, x + half, y + 6.5)), None)
            if free is not None:
                yield Note(*free, label, SMALL, LINES[style].colour)
