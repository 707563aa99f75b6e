"""Which steps are drawn: all of them, or 1, 2, … and T where there are too many."""

from __future__ import annotations

from dataclasses import dataclass

MOST = 8
GAP = "…"


@dataclass(frozen=True)
class Steps:
    """Those of the positions 1..total of an index that are drawn, None standing for those that are left out.

    capital: how the last one is written where some are left out.
    """

    total: int
    shown: tuple[int | None, ...]
    capital: str

    @classmethod
    def of(cls, total: int, elide: bool, capital: str) -> Steps:
        """All positions; with `elide`, of many only the first two and the last."""
        if elide and total > MOST:
            return cls(total, (1, 2, None, total), capital)
        return cls(total, tuple(range(1, total + 1)), capital)

    @property
    def elided(self) -> bool:
        """Are some left out?"""
        return None in self.shown

    @property
    def positions(self) -> list[int]:
        """What is drawn, without the gaps."""
        return [p for p in self.shown if p is not None]

    def slot(self, position: int) -> int | None:
        """The place among `shown` of a position in 1..total, that of the gap where it is left out."""
        if not self.elided:
            return position - 1 if 1 <= position <= self.total else None
        return self.shown.index(position if position in self.shown else None)

    def label(self, position: int | None) -> str:
        """A position, or a gap, as it is written above its column."""
        if position is None:
            return GAP
        return self.capital if self.elided and position == self.total else str(position)

    @property
    def labels(self) -> list[str]:
        """What is written above each column."""
        return [self.label(p) for p in self.shown]
