"""Which steps are drawn: all of them, or 1, 2, … and T where there are too many."""

from __future__ import annotations

from dataclasses import dataclass

MOST = 8
GAP = "…"


@dataclass(frozen=True)
class Steps:
    """total positions of an index of which `shown` are drawn, "" standing for those left out."""

    total: int
    shown: tuple[int | None, ...]
    capital: str

    @classmethod
    def of(cls, total: int, elide: bool, capital: str) -> Steps:
        if elide and total > MOST:
            return cls(total, (1, 2, None, total), capital)
        return cls(total, tuple(range(1, total + 1)), capital)

    @property
    def elided(self) -> bool:
        return len(self.shown) < self.total

    def slot(self, position: int) -> int | None:
        """The place among `shown` of a position in 1..total, that of the gap where it is left out."""
        if not self.elided:
            return position - 1 if 1 <= position <= self.total else None
        return self.shown.index(position if position in self.shown else None)

    def label(self, position: int | None) -> str:
        if position is None:
            return GAP
        return self.capital if self.elided and position == self.total else str(position)

    @property
    def labels(self) -> list[str]:
        return [self.label(p) for p in self.shown]
