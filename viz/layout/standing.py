"""Where boxes stand within their row and column, before the wires between them have their room."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..style import SMALL
from ..text import COLUMN, width
from ..view import FIRST, LAST, Box, View

APART = 26.0  # boxes beside each other in one column
PAST = 16.0  # from a wire that goes up past a box
ARC = 34.0  # how far an arc reaches
SOME = 32  # rows that are looked at together


Spot = int | tuple[int, int]  # a column, or the columns between which a box stands in the middle


class Standing:
    """dx, dy: of a box's middle from its column's and, upward, from its row's; off: how far of dx it stands aside;
    dodged: how far a row stands aside, and its boxes wider; rise, sink: how far a row reaches from its middle line;
    reach_left, reach_right: how far a column does; end_width: what stands before the first column and after the last;
    arc: how far a box's arcs and their labels reach from its right border; cells: the boxes by row and spot; wide: rows
    with boxes in the middle of several columns; facing: of a column of initial values, +1 before their steps, -1 after;
    given: boxes that read nothing at any step; aside: see `ways_past`; turn: what a box is -> its turn among those
    beside it.
    """

    def __init__(self, view: View):
        self.show(view)
        self.n = len(view.columns)
        self.dx: dict[str, float] = {}
        self.dy: dict[str, float] = {}
        self.off: dict[str, float] = {}
        self.dodged: dict[int, tuple[float, float]] = {}
        self.turn: dict[tuple[int, str, str], int] = {}
        self.beside()

    def show(self, view: View) -> None:
        """Go over to a view, which may differ in its boxes."""
        self.view, self.boxes = view, list(view.boxes.values())
        self.facing = {FIRST: 1, LAST: -1, **view.ends}
        fed = {self.kind(view.boxes[key]) for key in {link.target for link in view.links} | view.fed}
        self.given = {key for key, box in view.boxes.items() if self.kind(box) not in fed}
        self.aside = self.ways_past()
        self.leads: dict[str, float] = {}  # what is given -> where it enters a cell whose ports have their places
        for link in view.links:
            cell = view.boxes[link.target].template
            if link.source in self.given and cell.wires:
                self.leads.setdefault(link.source, cell.ins[link.port].x)

    def kind(self, box: Box) -> tuple[int, str, str]:
        """What a box is, whatever the column."""
        return box.row, box.name, box.layer

    def ways_past(self) -> dict[int, float]:
        """row of boxes that read nothing -> how far to the right of the middle others' wires pass them on their way up,
        where any do."""
        found: dict[int, float] = {}
        rows = {b.row for b in self.boxes} - {b.row for b in self.boxes if b.key not in self.given}
        for link in self.view.links if rows else ():
            a, b = self.view.boxes[link.source], self.view.boxes[link.target]
            for row in rows.intersection(range(a.row + 1, b.row)):
                if a.spot == b.spot and b.template.ins[link.port].side == "bottom":
                    found[row] = max(found.get(row, 0.0), b.template.ins[link.port].x - b.template.w / 2)
                elif b.column is None and a.column is not None and not link.sideways:
                    found[row] = max(found.get(row, 0.0), 0.0)
        return found

    def beside(self) -> None:
        """Boxes of one row and column stand side by side; initial values at the height of what they feed."""
        cells: dict[tuple[int, Spot], list[Box]] = {}
        for box in self.boxes:
            cells.setdefault((box.row, box.spot), []).append(box)
        self.cells = cells
        self.hulls: dict[tuple[int, Spot], tuple[float, float]] = {}
        self.spots: dict[int, list[Spot]] = {}
        for row, spot in cells:
            self.spots.setdefault(row, []).append(spot)
        self.wide = {row for row, spot in cells if not isinstance(spot, int)}
        self.reach_left, self.reach_right = [30.0] * self.n, [30.0] * self.n
        self.rise, self.sink = [0.0] * self.view.rows, [0.0] * self.view.rows
        self.end_width = dict.fromkeys(self.facing, 0.0)
        for (row, spot), found in cells.items():
            if spot not in self.facing:
                left, right = self.side_by_side(row, spot, found)
                for box in found:
                    self.reach(row, box)
                if isinstance(spot, int):
                    self.reach_left[spot] = max(self.reach_left[spot], -left)
                    self.reach_right[spot] = max(self.reach_right[spot], right)
        self.loops()
        for (row, spot), found in cells.items():
            if isinstance(spot, int) and spot in self.facing:
                self.initial(row, spot, found)
        self.even()

    def again(self, row: int) -> None:
        """Let the boxes of one row stand anew, while rows and columns stay as they are."""
        for spot in self.spots.get(row, ()):
            self.hulls.pop((row // SOME, spot), None)
            if spot not in self.facing:
                self.side_by_side(row, spot, self.cells[row, spot])

    def side_by_side(self, row: int, spot: Spot, found: list[Box]) -> tuple[float, float]:
        """What is computed stands around the middle, what is given to the right of it in the order in which it enters.
        How far they reach to the left and to the right of the middle.
        """
        aside, apart = self.dodged.get(row, (0.0, 0.0))
        central = [b for b in found if b.key not in self.given] or found
        at = -(sum(b.template.w for b in central) + (APART + apart) * (len(central) - 1)) / 2
        at = self.aside.get(row, at - PAST) + PAST
        at += self.off.get(found[0].key, 0.0) + aside
        left = at
        for box in sorted(found, key=lambda b: (b not in central, self.leads.get(b.key, 0.0),
                                                self.turn.get(self.kind(b), 0))):
            self.dx[box.key] = at + box.template.w / 2
            at += box.template.w + APART + apart
            self.dy[box.key] = 0.0
        return left, at - APART - apart

    def in_the_way(self, row: int, spot: Spot) -> Iterator[tuple[float, float]]:
        """From where to where, seen from a column's middle, its boxes in a row are in the way of what goes up."""
        if row in self.wide:
            yield -math.inf, math.inf
        for box in self.cells.get((row, spot), ()):
            at, half = self.middle(box), box.template.w / 2 + 10
            yield at - half, at + half + self.arc.get(box.key, 0.0)

    def middle(self, box: Box) -> float:
        """How far a box's middle stands from its column's, or from the edge at which initial values stand."""
        facing = self.facing.get(box.column, 0) if box.column is not None else 0
        return self.dx[box.key] - facing * box.template.w / 2

    def hull(self, number: int, spot: Spot) -> tuple[float, float]:
        """From where to where boxes of a column are in the way in some rows, of which this is the number."""
        if (number, spot) not in self.hulls:
            found = [ends for row in range(number * SOME, (number + 1) * SOME) for ends in self.in_the_way(row, spot)]
            lows, highs = zip(*found, strict=True) if found else ((math.inf,), (-math.inf,))
            self.hulls[number, spot] = min(lows), max(highs)
        return self.hulls[number, spot]

    def loops(self) -> None:
        """Room for arcs and their labels to the right of the boxes that have them."""
        self.arc: dict[str, float] = {}
        for loop in self.view.loops:
            box = self.view.boxes[loop.box]
            self.arc[box.key] = max(self.arc.get(box.key, 0.0), ARC + 14 + width(loop.label, SMALL))
            if box.column is not None:
                arc = self.dx[box.key] + box.template.w / 2 + self.arc[box.key]
                self.reach_right[box.column] = max(self.reach_right[box.column], arc)

    def even(self) -> None:
        """Columns of one segment reach equally far; those of initial values as far as what stands in them."""
        for first, last in self.view.segments or ((0, self.n - 1),):
            shown = [c for c in range(first, last + 1) if self.view.columns[c] != "…"]
            for reach in (self.reach_left, self.reach_right):
                widest = max((reach[c] for c in shown), default=30.0)
                for c in shown:
                    reach[c] = widest
        for c, facing in self.view.ends.items():
            self.reach_left[c], self.reach_right[c] = sorted((0.0, self.end_width[c]), reverse=facing > 0)
        self.column_width = [a + b for a, b in zip(self.reach_left, self.reach_right, strict=True)]

    def initial(self, row: int, column: int, found: list[Box]) -> None:
        """Stacked from the top without overlap; staggered where wires come from below."""
        facing = self.facing[column]
        next_to = {FIRST: 0, LAST: self.n - 1}.get(column, column + facing)

        def wish(box: Box) -> float:
            if box.beside is None:  # what only initial values read
                return 0.0
            target = self.view.boxes[box.beside[0]]
            place = target.template.ins[box.beside[1]]
            if place.side == "bottom" or target.column != next_to:
                return -1e6
            return self.dy[target.key] + target.template.h / 2 - place.y

        found = _in_time(sorted(found, key=wish, reverse=True), facing)
        top, steps = 1e9, [0.0] * len(found)
        first = next((k for k, box in enumerate(found) if wish(box) > -1e5), 0)
        if first:  # what stands at the height of nothing stands above what does
            top = wish(found[first]) + found[first].template.h / 2 + sum(b.template.h + 18 for b in found[:first])
        for k in reversed(range(len(found))):  # what is fed from below stands clear of all that is lower
            if any(p.side == "bottom" for p in found[k].template.ins.values()):
                steps[k] = max((s + b.template.w + 12 for s, b in zip(steps[k + 1 :], found[k + 1 :], strict=True)),
                               default=0.0)
        for step, box in zip(steps, found, strict=True):
            y = wish(box)
            y = y if y > -1e5 else top - box.template.h / 2 - 10 if top < 1e8 else 0.0
            y = min(y, top - box.template.h / 2)
            self.dy[box.key] = y
            top = y - box.template.h / 2 - 8
            off = self.off.get(box.key, 0.0)
            self.dx[box.key] = off - facing * step
            self.end_width[column] = max(self.end_width[column], box.template.w + step + abs(off))
            self.reach(row, box)

    def reach(self, row: int, box: Box) -> None:
        """Make the row high enough for a box."""
        self.rise[row] = max(self.rise[row], self.dy[box.key] + box.template.h / 2)
        self.sink[row] = max(self.sink[row], box.template.h / 2 - self.dy[box.key])


def _in_time(found: list[Box], facing: int) -> list[Box]:
    """Initial values from the top, those of one quantity from the nearest in time at the places that they have."""
    def quantity(box: Box) -> str:
        return box.key.rpartition("[")[0] or box.key  # h@1, of h@1:h[-2]

    turns: dict[str, list[Box]] = {}
    for box in sorted(found, key=lambda b: facing * (b.places[COLUMN] or 0)):
        turns.setdefault(quantity(box), []).append(box)
    return [turns[quantity(box)].pop() for box in found]
