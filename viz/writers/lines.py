"""Lines as they are drawn: rounded turns, arrow heads, gradient twins."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from ..scene import Mark, Point, Scene, Shape, Wire
from ..style import CORNER, HEAD
from .dashes import in_phase
from .labels import labels

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


class _Run(NamedTuple):
    """Parts of one net on one line without a break: the line's place, from where to where, and (wire, part) of each."""

    at: float
    low: float
    high: float
    parts: tuple[tuple[int, int], ...]


class _Net:
    """How far each straight part of some wires is moved to make room for their twins: to its left by APART.

    A run is moved as one, the way that most of its length goes. Wires that share an end, or carry one value, are of
    one net; where none of a net has a twin, none is moved.
    """

    def __init__(self, wires: list[Wire]):
        self.parent = list(range(len(wires)))
        at: dict[Point | Mark, int] = {}
        for k, wire in enumerate(wires):
            ends: list[Point | Mark] = [_near(wire.points[0]), _near(wire.points[-1])]
            for end in (*ends, wire.mark) if wire.mark else ends:
                self.parent[self.root(k)] = self.root(at.setdefault(end, k))
        twinned = {self.root(k) for k, wire in enumerate(wires) if wire.gradient}
        lines: dict[tuple[int, bool], list[tuple[float, float, float, int, int]]] = {}
        self.moves = [[0.0] * (len(wire.points) - 1) for wire in wires]
        for k, wire in enumerate(wires):
            if self.root(k) in twinned:
                for i, (a, b) in enumerate(pairwise(wire.points)):
                    along = abs(a[1] - b[1]) < 0.01
                    low, high = sorted((a[0], b[0]) if along else (a[1], b[1]))
                    lines.setdefault((self.root(k), along), []).append((round(a[along], 1), low, high, k, i))
        for (_, along), parts in lines.items():
            self.settle(wires, along, list(_runs(parts)))

    def root(self, k: int) -> int:
        while self.parent[k] != k:
            self.parent[k] = self.parent[self.parent[k]]
            k = self.parent[k]
        return k

    def settle(self, wires: list[Wire], along: bool, runs: list[_Run]) -> None:
        """Move each run to its left; where that puts a wire on a twin, the shorter run goes the other way."""
        done: dict[int, list[tuple[_Run, float]]] = {}  # by place
        for run in sorted(runs, key=lambda r: r.low - r.high):
            ahead = 0.0
            for k, i in run.parts:
                a, b = wires[k].points[i : i + 2]
                ahead += b[0] - a[0] if along else a[1] - b[1]
            move = -APART if ahead >= 0 else APART
            place = int(run.at // (3 * APART))
            if any(move == m and abs(abs(run.at - r.at) - 2 * APART) < 2 and run.low - APART < r.high + APART
                   and r.low - APART < run.high + APART for near in (-1, 0, 1) for r, m in done.get(place + near, ())):
                move = -move
            done.setdefault(place, []).append((run, move))
            for k, i in run.parts:
                self.moves[k][i] = move


def _runs(parts: list[tuple[float, float, float, int, int]]) -> Iterator[_Run]:
    """The runs of (place, low, high, wire, part)."""
    now: _Run | None = None
    for at, low, high, k, i in sorted(parts):
        if now is not None and now.at == at and low <= now.high + 0.1:
            now = _Run(at, now.low, max(now.high, high), (*now.parts, (k, i)))
        else:
            if now is not None:
                yield now
            now = _Run(at, low, high, ((k, i),))
    if now is not None:
        yield now


def moved(points: tuple[Point, ...], moves: list[float], way: float = 1.0) -> tuple[Point, ...]:
    """A polyline of horizontal and vertical parts, each moved across its own direction; its corners stay corners."""
    out = []
    for k, (x, y) in enumerate(points):
        for i in {max(0, k - 1), min(k, len(moves) - 1)}:
            if abs(points[i][1] - points[i + 1][1]) < 0.01:
                y = points[k][1] + way * moves[i]
            else:
                x = points[k][0] + way * moves[i]
        out.append((x, y))
    return tuple(out)


def with_twins(scene: Scene) -> Scene:
    """Every wire that carries a gradient beside its twin, reversed and dashed; labels become notes."""
    wires = _twinned(scene) if any(w.gradient for w in scene.wires) else scene.wires
    return replace(scene, wires=wires, notes=[*scene.notes, *labels(scene, wires, APART)])


def _twinned(scene: Scene) -> list[Wire]:
    circles = _Circles(scene.shapes)
    wires: list[Wire] = []
    for wire, moves in zip(scene.wires, _Net(scene.wires).moves, strict=True):
        if not any(moves):
            wires.append(wire)
            continue
        start, end = circles.at(wire.points[0]), circles.at(wire.points[-1])
        wires.append(replace(wire, points=_attached(moved(wire.points, moves), start, end), label=(), adjoint=()))
        if wire.gradient:
            points = _attached(moved(wire.points, moves, -1.0), start, end)[::-1]
            wires.append(Wire(points, "gradient", wire.tail, wire.head, True, name=f"gradient of {wire.name}"))
    return in_phase(wires)


def _near(p: Point) -> Point:
    return round(p[0], 1), round(p[1], 1)


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
