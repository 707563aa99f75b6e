"""Lines as they are drawn: rounded turns, arrow heads, gradient twins, and where their labels go."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from ..scene import Mark, Note, Point, Scene, Shape, Wire
from ..style import CORNER, HEAD, LINES, SMALL
from ..text import Label, width
from .dashes import in_phase

APART = 4.0  # of a wire and of its twin from the line between them
OWN = 5.0  # a label stands by so much nearer to its own line than to others
CLEAR = (3.0, OWN), (0.0, OWN), (0.0, 0.0)  # what it keeps free at its ends and at its far side, tried in this order


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
    labelled = any(w.label or w.adjoint for w in scene.wires)
    notes = _notes(scene, wires) if labelled else []
    return replace(scene, wires=wires, notes=[*scene.notes, *notes])


def _notes(scene: Scene, wires: list[Wire]) -> list[Note]:
    """The labels of the scene's wires, which are drawn where `wires` are."""
    parts = _Parts(scene.width, scene.height)
    for part in _joined(wires):
        parts.add(*part)
    for p in scene.panels:
        for x in (p.x, p.x + p.w):
            parts.add(x, p.y, x, p.y + p.h)
        for y in (p.y, p.y + p.h):
            parts.add(p.x, y, p.x + p.w, y)
    for s in scene.shapes:
        parts.add(s.x, s.y, s.x + s.w, s.y + s.h)
    for n in scene.notes:
        left = n.x - {"start": 0.0, "middle": 0.5, "end": 1.0}[n.anchor] * width(n.label, n.size)
        parts.add(left, n.y - n.size / 2, left + width(n.label, n.size), n.y + n.size / 2)
    said: dict[tuple[Point, Label], list[Note]] = {}
    return [note for wire in scene.wires for note in _labels(wire, parts, said)]


def _joined(wires: list[Wire]) -> Iterator[tuple[float, float, float, float]]:
    """Where wires run, as left, top, right, bottom of straight parts; those of many on one line as one."""
    lines: dict[tuple[bool, float], list[tuple[float, float]]] = {}
    for wire in wires:
        for a, b in pairwise(wire.points):
            flat = abs(a[1] - b[1]) < 0.01
            ends = (a[0], b[0]) if flat else (a[1], b[1])
            lines.setdefault((flat, round(a[flat], 2)), []).append((min(ends), max(ends)))
    for (flat, at), found in lines.items():
        found.sort()
        low, high = found[0]
        for start, end in [*found[1:], (math.inf, math.inf)]:
            if start > high:
                yield (low, at, high, at) if flat else (at, low, at, high)
                low = start
            high = max(high, end)


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


Rectangle = tuple[float, float, float, float]  # left, top, right, bottom


class _Parts:
    """What labels keep clear of, by place; all that is off the page too.

    cells: by their size, as powers of FACTOR across and down; a part is in few, since they are about as large as it is.
    """

    CELL, FACTOR = 60.0, 8

    def __init__(self, width: float, height: float):
        self.width, self.height = width, height
        self.cells: dict[tuple[float, float], dict[tuple[int, int], list[Rectangle]]] = {}

    def add(self, left: float, top: float, right: float, bottom: float) -> None:
        part = (left, top, right, bottom)
        size = self.size(right - left), self.size(bottom - top)
        found = self.cells.setdefault(size, {})
        for cell in self.around(part, size):
            found.setdefault(cell, []).append(part)

    def size(self, length: float) -> float:
        cell = self.CELL
        while length > self.FACTOR * cell:
            cell *= self.FACTOR
        return cell

    def around(self, part: Rectangle, size: tuple[float, float]) -> list[tuple[int, int]]:
        (across, down), (left, top, right, bottom) = size, part
        rows = range(round(top / down), round(bottom / down) + 1)
        return [(x, y) for x in range(round(left / across), round(right / across) + 1) for y in rows]

    def meet(self, left: float, top: float, right: float, bottom: float) -> bool:
        if left < 0 or top < 0 or right > self.width or bottom > self.height:
            return True
        for size, cells in self.cells.items():
            for cell in self.around((left, top, right, bottom), size):
                for a, b, c, d in cells.get(cell, ()):
                    if left < c and a < right and top < d and b < bottom:
                        return True
        return False


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


def _labels(wire: Wire, parts: _Parts, said: dict[tuple[Point, Label], list[Note]]) -> Iterator[Note]:
    """The labels of a wire: beside a horizontal part, the longest first, else a vertical one, where nothing else is.

    None where there is no room, or where a wire from the same place says the same on their common way; said: the labels
    before, by where their wires begin.
    """
    if not wire.label and not wire.adjoint:
        return
    straight = sorted(pairwise(wire.points), key=lambda s: (abs(s[0][1] - s[1][1]) > 0.01, -math.dist(*s)))
    for label, style, aside in ((wire.label, wire.style, 0.0), (wire.adjoint, "gradient", APART)):
        before = said.setdefault((_near(wire.points[0]), label), [])
        if not label or any(_is_beside(note, straight, aside) for note in before):
            continue
        half = width(label, SMALL) / 2 + 2
        found = (_free(straight, half, aside, clear, own, parts) for clear, own in CLEAR)
        at = next((spot for spot in found if spot is not None), None)
        if at is not None:
            x, y = at
            parts.add(x - half, y - 6.5, x + half, y + 6.5)
            before.append(Note(x, y, label, SMALL, LINES[style].colour))
            yield before[-1]


def _is_beside(note: Note, straight: list[tuple[Point, Point]], aside: float) -> bool:
    """Does a label stand beside a straight part of these?"""
    half = width(note.label, note.size) / 2
    for a, b in straight:
        (left, right), (top, low) = sorted((a[0], b[0])), sorted((a[1], b[1]))
        if top == low and left <= note.x - half and note.x + half <= right and abs(note.y - top) < 12 + aside:
            return True
        if left == right and top <= note.y <= low and abs(note.x - left) < half + 2 * OWN + aside:
            return True
    return False


def _free(straight: list[tuple[Point, Point]], half: float, aside: float, clear: float, own: float,
          parts: _Parts) -> Point | None:
    """The first spot where a label meets nothing, nor anything within `clear` at its ends or `own` at its far side."""
    for (x, y), (away_x, away_y) in (spot for a, b in straight for spot in _spots(a, b, half, aside)):
        (dx, dy), ends = (away_x * own, away_y * own), half + clear
        if not parts.meet(x - ends + min(dx, 0), y - 6.5 + min(dy, 0), x + ends + max(dx, 0), y + 6.5 + max(dy, 0)):
            return x, y
    return None


def _spots(a: Point, b: Point, half: float, aside: float) -> Iterator[tuple[Point, Point]]:
    """Middles for a label beside a straight part, from the part's middle outward, and the direction away from it."""
    flat = abs(a[1] - b[1]) < 0.01
    low, high = sorted((a[0], b[0]) if flat else (a[1], b[1]))
    room = (high - low) / 2 - (half if flat else 7.0)
    for k in range(max(0, min(40, math.ceil(room / 6.0)))):
        for way in (k * 6.0, -k * 6.0) if k else (0.0,):
            at = (low + high) / 2 + way
            for side in (1, -1) if a[0] <= b[0] else (-1, 1):  # where the twin is
                if flat:
                    yield (at, a[1] + side * (11.0 + aside)), (0.0, side)
                else:
                    yield (a[0] + side * (half + 4 + aside), at), (side, 0.0)
