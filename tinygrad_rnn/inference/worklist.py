"""Rules until nothing more is learnt: one that was tried is tried again only when something that it reads is."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence

from ..shapes import Cell, Dim, Solver


class _Due:
    """Numbered rules that are due, handed out in rounds by number: what falls due behind waits for the next round."""

    def __init__(self, count: int) -> None:
        self._now, self._later = list(range(count)), list[int]()
        self._waiting = set(self._now)
        self._at = -1

    def add(self, number: int) -> None:
        if number not in self._waiting:
            self._waiting.add(number)
            heapq.heappush(self._now if number > self._at else self._later, number)

    def take(self) -> int | None:
        """The next one, None where there is none."""
        if not self._now:
            self._now, self._later = self._later, []
            self._at = -1
        if not self._now:
            return None
        self._at = heapq.heappop(self._now)
        self._waiting.remove(self._at)
        return self._at

    def restart(self) -> None:
        """Begin a round anew."""
        for number in self._later:
            heapq.heappush(self._now, number)
        self._later, self._at = [], -1


class Worklist(Solver):
    """A solver that knows which rules read what was learnt, so that n rules take time in proportion to n.

    reads: the cells that each rule relates.
    """

    def __init__(self, reads: Sequence[Iterable[Cell]]) -> None:
        super().__init__()
        self._readers: dict[Cell, list[int]] = {}
        for number, cells in enumerate(reads):
            for cell in dict.fromkeys(cells):
                self._readers.setdefault(cell, []).append(number)
        self._holders: dict[Dim, list[Cell]] = {}  # by the root of sizes that are not known yet
        self._plain, self._guesses, self._numbers = (_Due(len(reads)) for _ in range(3))

    def settle(self, apply: Callable[[int], None], default: Callable[[], None]) -> None:
        """Apply rules until nothing more is learnt; only then one guesses, and only where none can, `default` does."""
        while True:
            self.guess = self.numbers = self.changed = False
            while (number := self._plain.take()) is not None:
                apply(number)
            self.guess, self.changed = True, False
            self._once(apply, self._guesses)
            self.numbers = True
            self._once(apply, self._numbers)
            if not self.changed:
                default()
            if not self.changed:
                return

    def _once(self, apply: Callable[[int], None], due: _Due) -> None:
        """Apply what is due until something is learnt."""
        while not self.changed and (number := due.take()) is not None:
            apply(number)
        due.restart()

    def equal(self, a: Dim, b: Dim) -> None:
        """Make two sizes equal, or raise."""
        a, b = a.root(), b.root()
        if a is b:
            return
        unknown = [d for d in (a, b) if d.size is None]
        super().equal(a, b)
        *few, held = sorted((self._holders.pop(d, []) for d in unknown), key=len) or [[]]
        for cells in few:
            held += cells
        if a.root().size is None:
            self._holders[a.root()] = held
        else:
            self._learnt(held)

    def rank(self, cell: Cell, rank: int) -> None:
        """Make a rank this number, or raise."""
        new = cell.dims is None
        super().rank(cell, rank)
        if new:
            for dim in cell.dims or ():
                self._holders[dim] = [cell]
            self._learnt([cell])

    def leave_open(self, cell: Cell) -> None:
        """Mark what undeclared weights are worked into, see `Cell`."""
        if cell.dims is None and not cell.undeclared:
            super().leave_open(cell)
            self._learnt([cell])

    def _learnt(self, cells: Iterable[Cell]) -> None:
        for cell in cells:
            for number in self._readers.get(cell, ()):
                self._plain.add(number)
                self._guesses.add(number)
                self._numbers.add(number)
