"""A row of cells: what of a model's gradient is where, and between which cells lines go."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..flow.flow import Flow


@dataclass(frozen=True)
class Cell:
    """One state at one step: its middle, how far the gradient has come when it gets here, and how large it is.

    turn: 1 where the gradient starts; ratio: its norm relative to where it starts; place: of that in the colours,
    from 0 to 1; skips: are steps left out between it and where its gradient comes from?
    """

    step: int
    x: float
    y: float
    turn: int
    ratio: float
    place: float
    skips: bool


@dataclass(frozen=True)
class Row:
    """A model: its flow and its cells, in the order of time."""

    flow: Flow
    cells: tuple[Cell, ...]
    y: float

    @property
    def loss_at(self) -> int:
        """On which side of the cells the loss stands: +1 right, -1 left."""
        return -1 if self.flow.direction < 0 else 1

    @property
    def in_turn(self) -> list[Cell]:
        """The cells in the order in which the gradient arrives."""
        return sorted(self.cells, key=lambda c: c.turn)

    @cached_property
    def by_bus(self) -> frozenset[int]:
        """The steps whose gradient comes from the loss, but for the one beside it."""
        entries = frozenset(self.flow.entries or ())
        return entries & {c.step for c in self.in_turn[1:]}

    @cached_property
    def arcs(self) -> dict[tuple[int, int], int]:
        """(step, step that its gradient comes from) -> level of the arc between them, where other cells are between."""
        turn = {c.step: c.turn for c in self.cells}
        found: dict[tuple[int, int], int] = {}
        for far in self.flow.distances:
            for c in self.cells:
                other = c.step + self.loss_at * far
                if turn.get(other, c.turn) < c.turn - 1:
                    taken = {level for (a, b), level in found.items()
                             if min(a, b) < max(c.step, other) and min(c.step, other) < max(a, b)}
                    found[c.step, other] = next(k for k in range(len(taken) + 1) if k not in taken)
        return found
