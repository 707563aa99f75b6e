"""Where the labels of wires go: beside a part that is theirs alone, nearest to where they lead, clear of all else."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, pairwise

from ..scene import Note, Point, Scene, Wire
from ..style import LINES, SMALL
from ..text import Label, width

OWN = 5.0  # a label stands by so much nearer to its own line than to others
CLEAR = (3.0, OWN), (0.0, OWN), (0.0, 0.0)  # what it keeps free at its ends and at its far side, tried in this order
ROOMY = 2.0  # a part so many times as long as a label is as good as a longer one

Part = tuple[Point, Point]  # a straight part of a wire, in its direction


def labels(scene: Scene, wires: list[Wire], aside: float) -> list[Note]:
    """The labels of the scene's wires, which are drawn where `wires` are.

    aside: how far what has an adjoint is drawn from its place, and its twin on the other side.
    """
    if not any(w.label or w.adjoint for w in scene.wires):
        return []
    taken = _Taken(scene.width, scene.height)
    for part in _joined(wires):
        taken.add(*part)
    for p in scene.panels:
        for x in (p.x, p.x + p.w):
            taken.add(x, p.y, x, p.y + p.h)
        for y in (p.y, p.y + p.h):
            taken.add(p.x, y, p.x + p.w, y)
    for s in scene.shapes:
        taken.add(s.x, s.y, s.x + s.w, s.y + s.h)
    for n in scene.notes:
        left = n.x - {"start": 0.0, "middle": 0.5, "end": 1.0}[n.anchor] * width(n.label, n.size)
        taken.add(left, n.y - n.size / 2, left + width(n.label, n.size), n.y + n.size / 2)
    placing = _Placing(scene.wires, taken)
    return [note for wire in scene.wires for note in placing.of(wire, aside)]


def _joined(wires: list[Wire]) -> Iterator[tuple[float, float, float, float]]:
    """Where wires run, as left, top, right, bottom of straight parts; those of many on one line as one."""
    lines: dict[tuple[bool, float], list[tuple[float, float]]] = {}
    for wire in wires:
        for a, b in pairwise(wire.points):
            lines.setdefault(_line(a, b), []).append(_ends(a, b))
    for (flat, at), found in lines.items():
        found.sort()
        low, high = found[0]
        for start, end in [*found[1:], (math.inf, math.inf)]:
            if start > high:
                yield (low, at, high, at) if flat else (at, low, at, high)
                low = start
            high = max(high, end)


Rectangle = tuple[float, float, float, float]  # left, top, right, bottom


class _Taken:
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


class _Lines:
    """What wires say, by the lines along which they run: (low, high, label) of each straight part, in order."""

    def __init__(self, wires: Iterable[Wire], says: Callable[[Wire], Label]):
        self.says = says
        self.found: dict[tuple[bool, float], list[tuple[float, float, Label]]] = {}
        for wire in wires:
            for a, b in pairwise(wire.points):
                self.found.setdefault(_line(a, b), []).append((*_ends(a, b), says(wire)))
        self.reach: dict[tuple[bool, float], list[float]] = {}  # how far those up to each one reach
        for line, parts in self.found.items():
            parts.sort(key=lambda part: part[:2])
            self.reach[line] = list(accumulate((high for _, high, _ in parts), max))

    def beside(self, a: Point, b: Point) -> list[tuple[float, float, Label]]:
        """The parts that run along some of a straight one, which is among them."""
        (low, high), line = _ends(a, b), _line(a, b)
        first = bisect_right(self.reach[line], low)
        last = bisect_left(self.found[line], high, key=lambda part: part[0])
        return [part for part in self.found[line][first:last] if part[1] > low]

    def own(self, wire: Wire, roomy: float) -> list[Part]:
        """Where nothing runs that says something else: horizontal first, then the part nearest to where the wire leads
        that has room, or else the longest."""
        ranked: list[tuple[tuple[float, ...], Part]] = []
        for k, (a, b) in enumerate(pairwise(wire.points)):
            others = [(low, high) for low, high, label in self.beside(a, b) if label != self.says(wire)]
            for piece in _without(a, b, others):
                ranked.append(((not _line(a, b)[0], -min(math.dist(*piece), roomy), -k), piece))
        return [piece for _, piece in sorted(ranked)]


def _line(a: Point, b: Point) -> tuple[bool, float]:
    """The line on which a straight part lies: is it horizontal, and where is it?"""
    flat = abs(a[1] - b[1]) < 0.01
    return flat, round(a[flat], 2)


def _ends(a: Point, b: Point) -> tuple[float, float]:
    """From where to where a straight part runs along its line."""
    ends = (a[0], b[0]) if abs(a[1] - b[1]) < 0.01 else (a[1], b[1])
    return min(ends), max(ends)


def _without(a: Point, b: Point, others: list[tuple[float, float]]) -> Iterator[Part]:
    """The pieces of a straight part that others, which are in order, leave free."""
    (at, end), (flat, _) = _ends(a, b), _line(a, b)
    for low, high in [*others, (end, end)]:
        if low > at:
            piece = ((at, a[1]), (low, a[1])) if flat else ((a[0], at), (a[0], low))
            yield piece if a <= b else piece[::-1]
        at = max(at, high)


class _Placing:
    """One label after another, each clear of what is there already.

    said: the labels so far, by where their wires begin.
    """

    def __init__(self, wires: Iterable[Wire], taken: _Taken):
        self.taken = taken
        self.said: dict[tuple[Point, Label], list[Note]] = {}
        self.lines, self.twins = (_Lines(wires, says) for says in (lambda w: w.label, lambda w: w.adjoint))

    def of(self, wire: Wire, aside: float) -> Iterator[Note]:
        """The labels of a wire: beside a part of its own, else beside a longer one, where nothing else is.

        None where there is no room, or where a wire from the same place says the same on their common way.
        """
        for lines, style, away in ((self.lines, wire.style, 0.0), (self.twins, "gradient", aside)):
            if not (label := lines.says(wire)):
                continue
            start = round(wire.points[0][0], 1), round(wire.points[0][1], 1)
            before = self.said.setdefault((start, label), [])
            straight = sorted(pairwise(wire.points), key=lambda s: (not _line(*s)[0], -math.dist(*s)))
            if any(_is_beside(note, straight, away) for note in before):
                continue
            half = width(label, SMALL) / 2 + 2
            parts = [*lines.own(wire, 2 * half * ROOMY), *straight]
            found = (_free(parts, half, away, clear, own, self.taken) for clear, own in CLEAR)
            at = next((spot for spot in found if spot is not None), None)
            if at is not None:
                x, y = at
                self.taken.add(x - half, y - 6.5, x + half, y + 6.5)
                before.append(Note(x, y, label, SMALL, LINES[style].colour))
                yield before[-1]


def _is_beside(note: Note, straight: list[Part], aside: float) -> bool:
    """Does a label stand beside a straight part of these?"""
    half = width(note.label, note.size) / 2
    for a, b in straight:
        (left, right), (top, low) = sorted((a[0], b[0])), sorted((a[1], b[1]))
        if top == low and left <= note.x - half and note.x + half <= right and abs(note.y - top) < 12 + aside:
            return True
        if left == right and top <= note.y <= low and abs(note.x - left) < half + 2 * OWN + aside:
            return True
    return False


def _free(straight: list[Part], half: float, aside: float, clear: float, own: float,
          taken: _Taken) -> Point | None:
    """The first spot where a label meets nothing, nor anything within `clear` at its ends or `own` at its far side."""
    for (x, y), (away_x, away_y) in (spot for a, b in straight for spot in _spots(a, b, half, aside)):
        (dx, dy), ends = (away_x * own, away_y * own), half + clear
        if not taken.meet(x - ends + min(dx, 0), y - 6.5 + min(dy, 0), x + ends + max(dx, 0), y + 6.5 + max(dy, 0)):
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
