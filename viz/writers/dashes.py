"""Where the dashes of lines begin, so that lines which share a stretch have theirs at the same places there."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from ..scene import Point, Wire
from ..style import CORNER, DASHES, LINES

SAVED = 0.377  # of a turn's radius: how much shorter its curve is than its two legs together, 2 - 1.623
PERIOD = sum(DASHES)
LEAST = 1.0  # of a stretch that counts
REACH = 1000.0  # of a line: stretches are looked for in those that a part passes


class _Part(NamedTuple):
    """A straight part of a wire. along: on which line and which way; from low to high in that way; passed: how much of
    the wire is before it."""

    along: tuple[bool, bool, float]
    low: float
    high: float
    passed: float


@dataclass
class _Stretch:
    """Where dashes are drawn already: at `place` the pattern begins, or whole periods before or after."""

    low: float
    high: float
    place: float


class _Line:
    """The stretches along one line and one way, by reaches of it, so that few are looked at for each part."""

    def __init__(self) -> None:
        self._near: dict[int, list[_Stretch]] = {}

    def about(self, part: _Part) -> Iterator[_Stretch]:
        """The stretches that may touch the part, in the order in which they were drawn, some more than once."""
        for reach in _reaches(part.low, part.high):
            yield from self._near.get(reach, ())

    def draw(self, part: _Part, phase: float) -> None:
        """Add the part, or lengthen the stretch in whose dashes it lies."""
        place = part.low - part.passed - phase
        for other in self.about(part):
            off = (place - other.place) % PERIOD
            if min(off, PERIOD - off) < 0.2 and part.low <= other.high and other.low <= part.high:
                known = set(_reaches(other.low, other.high))
                other.low, other.high = min(part.low, other.low), max(part.high, other.high)
                self._add(other, known)
                return
        self._add(_Stretch(part.low, part.high, place), set())

    def _add(self, stretch: _Stretch, known: set[int]) -> None:
        for reach in _reaches(stretch.low, stretch.high):
            if reach not in known:
                self._near.setdefault(reach, []).append(stretch)


def _reaches(low: float, high: float) -> range:
    return range(math.floor(low / REACH), math.floor(high / REACH) + 1)


def in_phase(wires: list[Wire]) -> list[Wire]:
    """The wires, those of dashed styles begun within the pattern so that each meets those before it where they share
    most."""
    lines: defaultdict[tuple[bool, bool, float], _Line] = defaultdict(_Line)
    found = []
    for wire in wires:
        if not LINES[wire.style].dashed:
            found.append(wire)
            continue
        parts = list(_parts(wire.points))
        best, phase = LEAST, 0.0
        for part in parts:
            for known in lines[part.along].about(part):
                together = min(part.high, known.high) - max(part.low, known.low)
                if together > best:
                    best, phase = together, part.low - known.place - part.passed
        phase = round(phase % PERIOD + 1e-6, 1) % PERIOD
        for part in parts:
            lines[part.along].draw(part, phase)
        found.append(replace(wire, phase=phase))
    return found


def _parts(points: tuple[Point, ...]) -> Iterator[_Part]:
    long = [math.dist(a, b) for a, b in pairwise(points)]
    passed = 0.0
    for k, (a, b) in enumerate(pairwise(points)):
        flat = abs(a[1] - b[1]) < 0.01
        start, end = (a[0], b[0]) if flat else (a[1], b[1])
        ahead = start < end
        low, high = (start, end) if ahead else (-start, -end)
        yield _Part((flat, ahead, round(a[flat], 1)), low, high, passed)
        turn = min(CORNER, long[k] / 2, long[k + 1] / 2) if k + 1 < len(long) else 0.0
        passed += long[k] - SAVED * turn
