"""Axes of arrays that are one run in memory, made one: a kernel walks over few."""

from __future__ import annotations

import math
from collections.abc import Sequence

Axis = tuple[int, tuple[int, ...]]  # its size, and how many bytes each array moves from one position to the next


def merged(labels: Sequence[str], sizes: dict[str, int], strides: Sequence[dict[str, int]], most: float = math.inf
           ) -> list[Axis]:
    """Axes as (size, strides in each array), neighbours that are one run in all arrays made one of at most so many."""
    found: list[Axis] = []
    for x in labels:
        n, own = sizes[x], tuple(s[x] for s in strides)
        one_run = found and all(before == n * s for before, s in zip(found[-1][1], own, strict=True))
        if one_run and found[-1][0] * n <= most:
            found[-1] = (found[-1][0] * n, own)
        else:
            found.append((n, own))
    return found
