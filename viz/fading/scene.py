"""Rows of cells, one a model, coloured by the gradient that has come back to them: their places and colours."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from textwrap import wrap

from ..flow.flow import Flow
from ..scene import Note, Point, Scene, Shape, Wire
from ..style import FAINT, INK, MARGIN, PAPER, SMALL, TEXT
from ..text import Label, Span, named, plain, quantity, shortened, string, width
from .numbers import colour_at, number, ordinal, power, round_up, thickness
from .rows import Cell, Row

MOST = 30  # steps that are all shown
KEPT = 20  # about as many as are shown of more
CELL, GAP, SKIPPED = 32.0, 15.0, 40.0  # a cell's least diameter, and what is between two cells, or where steps are out
WIDEST = 64.0  # of a cell, whatever its label
RING = 2.5
LINE = 20.0  # the height of a line of the title
APART = 6.0  # of a forward arrow and of its gradient from the middle
HEADING, READOUT, BELOW = 24.0, 18.0, 20.0  # heights around a row of cells
BUS, ARC, CLEAR = 10.0, 15.0, 14.0  # of the lines to the loss above a row, of an arc below it, and from these to a cell
NEAR, FAR = 3.5, 9.0  # from the middle of a cell to where its lines above and below end
LONGEST = 60  # characters of a model's label for which room is made
LOSS, TO_LOSS = 26.0, 21.0  # the height of the loss's box, and from there to the first cell
FAINTEST = 0.12  # the place in the colours that it does not fall below
DECADES, FEW = 12, 6  # that the colours span at most; above that few only every other one is named
SWATCHES, SWATCH, BAR = 24, 11.0, 10.0
STRONG = 0.72  # the place in the colours from which on text is white


@dataclass(frozen=True)
class Picture:
    """All rows, and one scale of colours for them; every flow has as many steps."""

    flows: tuple[Flow, ...]
    title: str

    # -- numbers -----------------------------------------------------------------------------------

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """The steps that are shown: all, or every so many of them, and both ends."""
        last = self.flows[0].steps
        every = self.every
        return tuple(sorted({1, *range(last, 0, -every)}))

    @property
    def every(self) -> int:
        """Of how many steps one is drawn."""
        last = self.flows[0].steps
        return 1 if last <= MOST else round_up(math.ceil((last - 1) / KEPT))

    @cached_property
    def ratios(self) -> list[list[float]]:
        """Of each flow, the norm at each step relative to the first one in its way that is not zero."""
        starts = [next(f.norms[t - 1] for t in f.backward if f.norms[t - 1]) for f in self.flows]
        return [[float(n / start) for n in f.norms] for f, start in zip(self.flows, starts, strict=True)]

    @cached_property
    def exponents(self) -> tuple[int, int]:
        """The powers of ten between which the colours run: at least one apart, and 1 within."""
        numbers = [r for ratios in self.ratios for r in ratios if r]
        top = max(0, math.ceil(math.log10(max(numbers)) - 1e-6))
        low = math.floor(math.log10(min(numbers)) + 1e-6)
        span = min(max(top - low, 1), DECADES)
        return top - span - (span % 2 if span > FEW else 0), top

    def place(self, ratio: float) -> float:
        """Where a share of the norm lies on the logarithmic scale of colours, 0 to 1."""
        low, top = self.exponents
        return min(max((math.log10(ratio) - low) / (top - low), 0.0), 1.0) if ratio else 0.0

    # -- places ------------------------------------------------------------------------------------

    @cached_property
    def diameter(self) -> float:
        """Of all circles: so that each state's name fits."""
        widest = max(width(quantity(f.state, str(f.steps)), SMALL) for f in self.flows)
        return min(max(CELL, widest + 9), WIDEST)

    @cached_property
    def loss_width(self) -> float:
        """Of the boxes for the losses: so that each name fits."""
        return min(max(width(named(f.of), TEXT) + 18 for f in self.flows), 2 * WIDEST)

    @cached_property
    def columns(self) -> list[float]:
        """The x of each shown step."""
        left = self.loss_width + TO_LOSS if any(f.direction < 0 for f in self.flows) else 0.0
        xs = [MARGIN + left + self.diameter / 2]
        for a, b in pairwise(self.steps):
            xs.append(xs[-1] + (self.pitch if b == a + 1 else max(self.pitch, self.diameter + SKIPPED)))
        return xs

    @cached_property
    def pitch(self) -> float:
        """From the middle of a cell to the next: room for both, and for the numbers above them."""
        numbers = max(width(number(r), SMALL) for ratios in self.ratios for r in ratios)
        return max(self.diameter + GAP, numbers + 2)

    @cached_property
    def right(self) -> float:
        """The end of the rows."""
        end = self.columns[-1] + self.diameter / 2
        return end + (TO_LOSS + self.loss_width if any(f.direction >= 0 for f in self.flows) else 0.0)

    @cached_property
    def rows(self) -> list[Row]:
        """A row of cells for each model, from the top down."""
        found, y = [], MARGIN + len(self.headline) * LINE + (4 if self.title else 0)
        for flow, ratios in zip(self.flows, self.ratios, strict=True):
            row = Row(flow, tuple(self._cells(flow, ratios, 0.0)), y)
            middle = y + HEADING + READOUT + (BUS + CLEAR if row.by_bus else 0.0) + self.diameter / 2
            row = Row(flow, tuple(replace(c, y=middle) for c in row.cells), y)
            found.append(row)
            arcs = CLEAR + (1 + max(row.arcs.values())) * ARC if row.arcs else 0.0
            y = middle + self.diameter / 2 + arcs + BELOW
        return found

    def _cells(self, flow: Flow, ratios: list[float], y: float) -> Iterator[Cell]:
        turns = [t for t in flow.backward if t in self.steps]
        for step, x in zip(self.steps, self.columns, strict=True):
            ratio, turn = ratios[step - 1], turns.index(step) + 1
            skips = turn > 1 and abs(turns[turn - 2] - step) > 1
            yield Cell(step, x, y, turn, ratio, self.place(ratio), skips)

    @property
    def turns(self) -> int:
        """How many times the gradient moves on."""
        return len(self.steps)

    @cached_property
    def width(self) -> float:
        """So that rows, scale and texts fit."""
        bar = MARGIN + 20 + SWATCHES * SWATCH + 20
        texts = [(self.explanation(), SMALL), *((f.label[:LONGEST], TEXT) for f in self.flows)]
        return max(self.right, bar, *(MARGIN + width(plain(text), size) for text, size in texts)) + MARGIN

    @cached_property
    def headline(self) -> list[str]:
        """The title, broken into lines as wide as the picture."""
        if not self.title:
            return []
        return wrap(self.title, int(len(self.title) * (self.width - 2 * MARGIN) / width(plain(self.title), TEXT)))

    @cached_property
    def height(self) -> float:
        """From the top to below the scale of colours."""
        row = self.rows[-1]
        arcs = CLEAR + (1 + max(row.arcs.values())) * ARC if row.arcs else 0.0
        return row.cells[0].y + self.diameter / 2 + arcs + BELOW + 4 + 2 * SMALL + 20 + MARGIN / 2

    # -- items -------------------------------------------------------------------------------------

    def box(self, row: Row) -> Shape:
        """The loss, at the end where the gradient starts."""
        x = self.right - self.loss_width if row.loss_at > 0 else MARGIN
        label = shortened(named(row.flow.of), TEXT, self.loss_width - 8)
        return Shape("box", x, row.cells[0].y - LOSS / 2, self.loss_width, LOSS, "loss", label, name=row.flow.of)

    def circle(self, row: Row, cell: Cell, lit: bool) -> Shape:
        """A step of a row, in the gradient's colour once it has arrived."""
        d = self.diameter
        label = shortened(quantity(row.flow.state, str(cell.step)), SMALL, d - 5)
        if not lit:
            return Shape("circle", cell.x - d / 2, cell.y - d / 2, d, d, "state", label, SMALL, name=string(label))
        if cell.place >= STRONG:
            label = tuple(replace(span, colour=PAPER) for span in label)
        return Shape("circle", cell.x - d / 2, cell.y - d / 2, d, d, "op", label, SMALL, name=string(label),
                     fill=colour_at(cell.place))

    def ring(self, cell: Cell) -> Shape:
        """What marks the cell where the gradient is now."""
        d = self.diameter + 2 * RING
        return Shape("circle", cell.x - d / 2, cell.y - d / 2, d, d, "swatch", fill=INK)

    def readout(self, row: Row, cell: Cell) -> Note:
        """The number above a step."""
        above = BUS + CLEAR if row.by_bus else 0.0
        return Note(cell.x, cell.y - self.diameter / 2 - RING - 8 - above, number(cell.ratio), SMALL, INK)

    def heading(self, row: Row) -> list[Note]:
        """What stands above a row: the model."""
        label = shortened(plain(row.flow.label), TEXT, self.width - 2 * MARGIN)
        return [Note(MARGIN, row.y + HEADING / 2, label, TEXT, INK, "start")]

    @property
    def reach(self) -> float:
        """From a cell's middle to the end of an arrow, in x."""
        return math.sqrt((self.diameter / 2) ** 2 - APART**2)

    @property
    def room(self) -> float:
        """From a cell's middle to where what belongs to it ends."""
        return self.diameter / 2 + RING + 1

    def between(self, row: Row, cell: Cell) -> tuple[float, float]:
        """Where an arrow between the cell and what its gradient comes from ends, in x: at the cell, and there."""
        side = row.loss_at
        if cell.turn > 1:
            other = next(c.x for c in row.cells if c.turn == cell.turn - 1) - side * self.reach
        else:
            box = self.box(row)
            other = box.x if side > 0 else box.x + box.w
        return cell.x + side * self.reach, other

    def is_chained(self, row: Row, cell: Cell) -> bool:
        """Does the cell's gradient come from its neighbour, through the steps left out between, or the loss beside?"""
        entries, distances = row.flow.entries, row.flow.distances
        if cell.turn == 1:
            return entries is None or cell.step in entries
        return bool(distances) if cell.skips else 1 in distances

    def forward(self, row: Row, cell: Cell) -> list[Wire]:
        """The arrows from the cell to where its gradient will come from."""
        here, other = self.between(row, cell)
        kind = Wire(((0.0, cell.y - APART),), row.flow.line, width=1.2)
        straight = _arrow(here, other, kind, cell.skips) if self.is_chained(row, cell) else []
        return [*straight, *(replace(kind, points=points) for points in self.aside(row, cell, NEAR, 0.0))]

    def gradient(self, row: Row, cell: Cell, off: float = 0.0) -> list[Wire]:
        """The arrows by which the gradient comes to the cell, as wide as it is large there, and in its colour.

        off: how far from where it comes from a straight one starts.
        """
        here, other = self.between(row, cell)
        kind = Wire(((0.0, cell.y + APART),), "plain", width=thickness(cell.place),
                    colour=colour_at(max(cell.place, FAINTEST)))
        straight = _arrow(other - row.loss_at * off, here, kind, cell.skips) if self.is_chained(row, cell) else []
        return [*straight, *(replace(kind, points=points[::-1]) for points in self.aside(row, cell, FAR, 5.0))]

    def aside(self, row: Row, cell: Cell, out: float, beyond: float) -> Iterator[tuple[Point, ...]]:
        """The ways from the cell over the row to the loss, and under it to cells farther off.

        out: from the middle of a cell to where they end; beyond: of the line beside, how much farther out it runs.
        """
        side, drop = row.loss_at, math.sqrt((self.diameter / 2) ** 2 - out**2)
        if cell.step in row.by_bus:
            box = self.box(row)
            x, end = cell.x - side * (out - 2 * NEAR), box.x + box.w / 2 + side * (out - 2 * NEAR)
            rise = math.sqrt((self.diameter / 2) ** 2 - (x - cell.x) ** 2)
            y = cell.y - self.diameter / 2 - CLEAR - BUS / 2 + beyond
            yield (x, cell.y - rise), (x, y), (end, y), (end, box.y)
        other_x = {c.step: c.x for c in row.cells}
        for (step, other), level in row.arcs.items():
            if step == cell.step:
                y = cell.y + self.diameter / 2 + CLEAR + level * ARC + beyond
                x, end = cell.x + side * out, other_x[other] - side * out
                yield (x, cell.y + drop), (x, y), (end, y), (end, cell.y + drop)

    def dots(self, row: Row, cell: Cell) -> list[Note]:
        """What says that steps are left out."""
        x = sum(self.between(row, cell)) / 2
        return [Note(x, cell.y, plain("⋯"), TEXT, INK)] if cell.skips else []

    def scene(self, lit: bool, now: bool = False) -> Scene:
        """Every cell before the gradient has come (lit=False), after that, or just when it comes (now=True)."""
        scene = Scene(self.width, self.height, title=self.title)
        scene.notes += [Note(MARGIN, MARGIN + LINE * (k + 0.4), plain(line), TEXT, INK, "start")
                        for k, line in enumerate(self.headline)]
        for row in self.rows:
            scene.notes += self.heading(row)
            scene.shapes.append(self.box(row))
            for cell in reversed(row.in_turn):  # what is strongest, beside the loss, is painted last
                scene.wires += self.forward(row, cell)
                if lit:  # marked as current, no cell shows the arrow that will leave it
                    off = self.room - self.reach if now and cell.turn > 1 else 0.0
                    scene.wires += self.gradient(row, cell, off)
                if now:
                    scene.shapes.append(self.ring(cell))
                    scene.notes.append(self.readout(row, cell))
                scene.notes += self.dots(row, cell)
                scene.shapes.append(self.circle(row, cell, lit))
        self._add_legend(scene)
        return scene

    def explanation(self) -> str:
        """What the colours mean, and whether steps are left out."""
        last = self.flows[0].steps
        text = "norm of the gradient, relative to where it starts"
        return text if self.every == 1 else f"{text}; every {ordinal(self.every)} of {last} steps is shown"

    def ticks(self) -> list[tuple[float, Label]]:
        """Places in the colours from 0 to 1, and the numbers there."""
        low, top = self.exponents
        every = 1 if top - low <= FEW else 2
        found = [((e - low) / (top - low), power(e)) for e in range(top, low - 1, -every)]
        if any(0 < r < 10.0**low * (1 - 1e-6) for ratios in self.ratios for r in ratios) and found[-1][0] == 0:
            found[-1] = (0.0, (Span("≤ "), *found[-1][1]))
        return found

    @property
    def legend_at(self) -> Point:
        """The upper left corner of the scale of colours."""
        return MARGIN + 20, self.height - MARGIN / 2 - SMALL - 20

    def legend(self) -> list[Note]:
        """The words around the scale of colours."""
        x, y = self.legend_at
        return [Note(MARGIN, y - SMALL, plain(self.explanation()), SMALL, FAINT, "start"),
                *(Note(x + place * SWATCHES * SWATCH, y + BAR + 9, label, SMALL, FAINT)
                  for place, label in self.ticks())]

    def _add_legend(self, scene: Scene) -> None:
        x, y = self.legend_at
        scene.notes += self.legend()
        for k in range(SWATCHES):
            fill = colour_at((k + 0.5) / SWATCHES)
            scene.shapes.append(Shape("box", x + k * SWATCH, y, SWATCH + 0.2, BAR, "swatch", fill=fill))


def _arrow(start: float, end: float, kind: Wire, broken: bool) -> list[Wire]:
    """An arrow like `kind` from x to x; in two pieces with room between them where steps are left out."""
    y = kind.points[0][1]
    if not broken:
        return [replace(kind, points=((start, y), (end, y)))]
    third = (end - start) * 0.32
    return [replace(kind, points=((start, y), (start + third, y)), head=False),
            replace(kind, points=((end - third, y), (end, y)))]
