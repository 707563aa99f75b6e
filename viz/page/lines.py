"""Wires as SVG paths, and those that a closed cell shows in place of its inside."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..scene import Point, Shape, Wire
from ..style import LINES
from ..writers.lines import head, path

FOOT = 9.0  # how far an arrow head reaches into a closed cell


def rounded(*values: float) -> list[float | int]:
    """Rounded to a hundredth, the same for all that differ by rounding errors."""
    found = [round(v + 1e-6, 2) for v in values]
    return [int(v) if v == int(v) else v for v in found]


def drawn(points: tuple[Point, ...], has_head: bool, wire: Wire, at: Point) -> tuple[str, str]:
    """The line and its head as SVG paths, seen from `at`."""
    points = tuple((x - at[0], y - at[1]) for x, y in points)
    tip = ""
    if has_head:
        triangle, points = head(points, wire.width or LINES[wire.style].width)
        tip = f"M{'L'.join(map(_at, triangle))}Z"
    return "".join(m.kind + " ".join(map(_at, m.points)) for m in path(points)), tip


def _at(p: Point) -> str:
    return "{} {}".format(*rounded(*p))


def ways(panel: Shape, wires: list[Wire]) -> Iterator[Wire]:
    """What enters at one side and leaves at the other in the same style, as one line through the cell."""
    sides = (panel.x, panel.x + panel.w)
    entries = [w for w in wires if _side(w.points[0], sides) is not None]
    exits = [w for w in wires if _side(w.points[-1], sides) is not None]
    seen = set()
    for w in entries:
        start = w.points[0]
        ends = [e for e in exits if e.style == w.style and _side(e.points[-1], sides) != _side(start, sides)]
        end = min((e.points[-1] for e in ends), key=lambda p: abs(p[1] - start[1]), default=None)
        if end is None or (start, end) in seen:
            continue
        seen.add((start, end))
        middle = (start[0] + end[0]) / 2
        turns = () if math.isclose(start[1], end[1], abs_tol=0.01) else ((middle, start[1]), (middle, end[1]))
        yield Wire((start, *turns, end), w.style, False, False, w.dashed, mark=w.mark)


def feet(panel: Shape, wires: list[Wire]) -> Iterator[Wire]:
    """Arrow heads where wires come in from below and end."""
    low = panel.y + panel.h
    starts = dict.fromkeys((w.points[0], w.style) for w in wires if abs(w.points[0][1] - low) < 0.6)
    for (x, y), style in starts:
        yield Wire(((x, y), (x, y - FOOT)), style, tail=False)


def _side(p: Point, sides: tuple[float, float]) -> int | None:
    return next((k for k, x in enumerate(sides) if abs(p[0] - x) < 0.6), None)
