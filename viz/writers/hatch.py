"""The slanted lines of hatched boxes, for writers whose format has none of its own."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, sqrt

from ..scene import Point, Shape
from ..style import HATCH_APART


def lines(s: Shape) -> Iterator[tuple[Point, Point]]:
    """Lines from the lower left to the upper right that cover a shape's rectangle and reach no further.

    All shapes of a page share the same lines, those with x + y a multiple of sqrt(2) `HATCH_APART`.
    """
    step = HATCH_APART * sqrt(2)
    left, top, right, bottom = s.x, s.y, s.x + s.w, s.y + s.h
    k = ceil((left + top) / step)
    while k * step < right + bottom:
        total = k * step
        low, high = max(left, total - bottom), min(right, total - top)
        if high > low:
            yield (low, total - low), (high, total - high)
        k += 1
