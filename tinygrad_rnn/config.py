"""What a plan is made for, and what it is fed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Config:
    """What a plan is made for; its cache key.

    sizes: range -> longest length; lengths: ranges whose length differs by example; coded: inputs given as
    integer classes; carried: ranges of which earlier values come from a state instead of boundary equations; check:
    whether every quantity is to be kept, to be looked through for NaN; memory: "sqrt" where only the states at the
    borders of segments of time are kept, and the rest is computed again; cut: ranges of which the sizes are only a
    segment.
    """

    want: tuple[str, ...]
    batch: int
    sizes: tuple[tuple[str, int], ...]
    lengths: frozenset[str] = frozenset()
    coded: frozenset[str] = frozenset()
    training: bool = False
    carried: frozenset[str] = frozenset()
    check: bool = False
    memory: str | None = None
    cut: frozenset[str] = frozenset()


@dataclass
class Feed:
    """What changes from run to run: arrays (batch, indices, features), lengths by range, state, and the draws' key.

    behind, by index: how many positions of each example came before the state. Of a segment: offset, by index, is how
    many positions come before it; ends, by range, how far each example of the whole sequence runs; fill loads what
    comes from elsewhere into a part's buffers.
    """

    inputs: dict[str, Any]
    lengths: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    step: int = 0
    first_example: int = 0
    behind: dict[str, Any] = field(default_factory=dict)
    offset: dict[str, int] = field(default_factory=dict)
    ends: dict[str, Any] = field(default_factory=dict)
    fill: Callable[[Any], None] | None = None
