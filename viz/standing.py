"""Where boxes stand within their row and column, before the wires between them have their room."""

from __future__ import annotations

from .style import SMALL
from .text import width
from .view import FIRST, LAST, Box, View

APART = 26.0  # boxes beside each other in one column
ARC = 34.0  # how far an arc reaches


class Standing:
    """dx, dy: of a box's middle from its column's and, upward, from its row's; off: how far of dx it stands aside;
    dodged: how far a row stands aside, and its boxes wider; rise, sink: how far a row reaches from its middle line;
    reach_left, reach_right: how far a column does; end_width: what stands before the first column and after the last;
    arc: how far a box's arcs and their labels reach from its right border; cells: the boxes by row and column.
    """

    def __init__(self, view: View):
        self.show(view)
        self.n = len(view.columns)
        self.dx: dict[str, float] = {}
        self.dy: dict[str, float] = {}
        self.off: dict[str, float] = {}
        self.dodged: dict[int, tuple[float, float]] = {}
        self.beside()

    def show(self, view: View) -> None:
        self.view, self.boxes = view, list(view.boxes.values())

    def beside(self) -> None:
        """Boxes of one row and column stand side by side; initial values at the height of what they feed."""
        cells: dict[tuple[int, int | None], list[Box]] = {}
        for box in self.boxes:
            cells.setdefault((box.row, box.column), []).append(box)
        self.cells = cells
        self.reach_left, self.reach_right = [30.0] * self.n, [30.0] * self.n
        self.rise, self.sink = [0.0] * self.view.rows, [0.0] * self.view.rows
        self.end_width = {FIRST: 0.0, LAST: 0.0}
        for (row, column), found in cells.items():
            if column in (FIRST, LAST):
                continue
            aside, apart = self.dodged.get(row, (0.0, 0.0))
            central = [b for b in found if b.style != "input"] or found
            at = -(sum(b.template.w for b in central) + (APART + apart) * (len(central) - 1)) / 2
            at += self.off.get(found[0].key, 0.0) + aside
            left = at
            for box in sorted(found, key=lambda b: b not in central):  # inputs to the right of what is computed
                self.dx[box.key] = at + box.template.w / 2
                at += box.template.w + APART + apart
                self.dy[box.key] = 0.0
                self.reach(row, box)
            if column is not None:
                self.reach_left[column] = max(self.reach_left[column], -left)
                self.reach_right[column] = max(self.reach_right[column], at - APART - apart)
        self.arc: dict[str, float] = {}
        for loop in self.view.loops:
            box = self.view.boxes[loop.box]
            self.arc[box.key] = max(self.arc.get(box.key, 0.0), ARC + 14 + width(loop.label, SMALL))
            if box.column is not None:
                arc = self.dx[box.key] + box.template.w / 2 + self.arc[box.key]
                self.reach_right[box.column] = max(self.reach_right[box.column], arc)
        for (row, column), found in cells.items():
            if column in (FIRST, LAST):
                self.initial(row, column, found)
        shown = [c for c, label in enumerate(self.view.columns) if label != "…"]
        for reach in (self.reach_left, self.reach_right):
            widest = max((reach[c] for c in shown), default=30.0)
            for c in shown:
                reach[c] = widest
        self.column_width = [a + b for a, b in zip(self.reach_left, self.reach_right, strict=True)]

    def initial(self, row: int, column: int, found: list[Box]) -> None:
        """Stacked from the top without overlap; staggered where wires come from below."""
        def wish(box: Box) -> float:
            if box.beside is None:  # what only initial values read
                return 0.0
            target = self.view.boxes[box.beside[0]]
            place = target.template.ins[box.beside[1]]
            if place.side == "bottom" or target.column != (0 if column == FIRST else self.n - 1):
                return -1e6
            return self.dy[target.key] + target.template.h / 2 - place.y

        found = sorted(found, key=wish, reverse=True)
        top, steps = 1e9, [0.0] * len(found)
        for k in reversed(range(len(found))):  # what is fed from below stands clear of all that is lower
            if found[k].template.ins:
                steps[k] = max((s + b.template.w + 12 for s, b in zip(steps[k + 1 :], found[k + 1 :], strict=True)),
                               default=0.0)
        for step, box in zip(steps, found, strict=True):
            y = wish(box)
            y = y if y > -1e5 else top - box.template.h / 2 - 10 if top < 1e8 else 0.0
            y = min(y, top - box.template.h / 2)
            self.dy[box.key] = y
            top = y - box.template.h / 2 - 8
            off = self.off.get(box.key, 0.0)
            self.dx[box.key] = off + (-step if column == FIRST else step)
            self.end_width[column] = max(self.end_width[column], box.template.w + step + abs(off))
            self.reach(row, box)

    def reach(self, row: int, box: Box) -> None:
        self.rise[row] = max(self.rise[row], self.dy[box.key] + box.template.h / 2)
        self.sink[row] = max(self.sink[row], box.template.h / 2 - self.dy[box.key])
