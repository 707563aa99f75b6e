"""The attention view: what is attended to, what attends, lines as wide as the weights, and these as a heat map."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from tinygrad_rnn.arguments import whole
from tinygrad_rnn.errors import BadValue
from tinygrad_rnn.node import At
from tinygrad_rnn.printing.printer import equation_text
from tinygrad_rnn.printing.typeset import typeset

from ..blocks.segments import USUAL, Totals, total
from ..graph.roles import Roles
from ..scene import Mark, Note, Point, Scene, Shape, Wire, moved
from ..style import FAINT, LINES, MARGIN, PAPER, SMALL
from ..text import Label, Span, formula, plain, quantity, shortened, slot_text, width
from ..values import Values
from .choice import Choice, chosen
from .graph import Attention, carried_over, scores
from .heat import Weights, heat_map, written
from .parts import MOST, decoder_half, drawn, encoder_half
from .place import Placed, arrivals, beside
from .reach import reachable

THIN, PER_WEIGHT = 0.6, 4.0  # the width of a line: THIN + PER_WEIGHT * weight
EQUAL, FAINTEST = 1.2, 0.9  # where there are no weights; of the steps that are not in focus
PALE = 0.22  # how much of its colour a line has that is not of the step in focus
LOW, HIGH, RISE = 110.0, 300.0, 0.22  # the height of the lines: at least, at most, and by how far they reach sideways
MOST_WEIGHTS = 100_000_000  # between all positions, drawn or not
PLATE = 0.36  # of a line's way up, where its weight is written
LEGIBLE = 0.005  # smaller weights are not written, and their lines have no heads
DATA = ("input", "data")  # the roles of what may be a class
TAG, LINE = 13.0, 17.0
ASKING = 1.3  # the width of the dashed lines to the contexts
WIDE = 520.0  # at least so wide are equations under the picture


def attention_scene(roles: Roles, values: Values | None, focus: int | None = None, steps: Totals = USUAL,
                    quantity: str | None = None) -> Scene:
    """Draw the attention of a model, for one step that attends in focus.

    values: a run, whose weights give the lines their widths and fill the heat map, and whose lengths say how many
    positions there are; without it the lines are equal. focus: the step, from 1, by default the one in the middle;
    steps: without values, how many positions an index has, see `segments.total`; quantity: which weights, where
    the model has several, by default the first. Above 12 positions those of the largest weights, or those around the
    focus, stand for all.
    Raises `BadValue`, `BadType` or `BadName`.
    """
    return _View(roles, values, chosen(roles, quantity), focus, steps).scene()


class _View:
    def __init__(self, roles: Roles, values: Values | None, choice: Choice, focus: int | None,
                 steps: Totals):
        self.roles, self.system, self.values, self.choice = roles, roles.system, values, choice
        self.attention = attention = choice.attention
        self.others = choice.at
        self.matrix = None if values is None else _matrix(values, choice)
        if self.matrix is not None:
            rows, columns = self.matrix.shape
        else:
            rows, columns = (total(i, steps, self.system) for i in (attention.target, attention.source))
            if rows * columns > MOST_WEIGHTS:
                raise BadValue(f"{rows} steps {attention.target} that look at {columns} steps {attention.source} "
                               f"have {rows * columns} weights, more than {MOST_WEIGHTS}; give fewer steps")
        self.reached = self._reached(rows, columns)
        self.focus = _focus(focus, rows, attention)
        given = None if self.matrix is None else [float(v) for v in self.matrix[self.focus - 1]]
        self.top = 1.0 if self.matrix is None else _top(self.matrix)
        last = [i.upper() if self.matrix is None and n > MOST else str(n)
                for i, n in ((attention.source, columns), (attention.target, rows))]
        self.lower = drawn(columns, given, None, last[0])
        self.upper = drawn(rows, None, self.focus, last[1])
        self.below = encoder_half(attention, roles, self.lower, self.others)
        self.above = decoder_half(attention, roles, self.upper, self.others)

    def scene(self) -> Scene:
        """The decoder above, the encoder below, the lines between them; the heat map at the right."""
        above, below = Placed(self.above), Placed(self.below)
        if self.system.range_of(self.attention.source) == self.system.range_of(self.attention.target):
            pitch = max(above.pitch, below.pitch)
            above.spread(pitch)
            below.spread(pitch)
        middle = max(above.middle, below.middle)
        above.move(middle - above.middle, 0.0)
        below.move(middle - below.middle, 0.0)
        reach = max(abs(a.centre[0] - b.centre[0]) for a in above.ends.values() for b in below.ends.values())
        floor = max(s.y + s.h for s in above.ends.values())
        height = min(HIGH, max(LOW, RISE * reach))
        below.move(0.0, floor + height - min(s.y for s in below.ends.values()))
        scene = Scene(max(above.right, below.right) + MARGIN, below.scene.height, title=self.system.name)
        for half in (below, above):
            for kind in ("panels", "wires", "shapes", "notes"):
                getattr(scene, kind).extend(getattr(half.scene, kind))
        scene.wires += [*self.asking(above), *self.lines(above, below)]
        scene.notes += [*self.plates(above, below), *self.classes(below)]
        scene.height = max([s.y + s.h for s in scene.shapes] + [n.y + n.size for n in scene.notes]) + MARGIN
        scene = moved(scene, self.tagged(scene, above, below))
        if self.matrix is not None:
            beside(scene, heat_map(self.weights()))
        self.captions(scene)
        return scene

    # -- lines -------------------------------------------------------------------------------------

    def _reached(self, rows: int, columns: int) -> np.ndarray:
        """Where there may be a weight, and where the run has one."""
        at = {i: np.asarray(p) for i, p in self.others.items()}
        at |= {self.attention.target: np.arange(1, rows + 1)[:, None], self.attention.source: np.arange(1, columns + 1)}
        found = reachable(self.attention.weights, at, self.system)
        return found if self.matrix is None else found | (self.matrix != 0)

    def lines(self, above: Placed, below: Placed) -> list[Wire]:
        """From every position to the contexts that may reach it: pale ones first, then those of the focus, the widest
        last."""
        found = []
        for t, context in above.ends.items():
            for (s, box), end in zip(below.ends.items(), arrivals(context, below.ends.values()), strict=True):
                if self.reached[t - 1, s - 1]:
                    found.append((t == self.focus, self.weight(t, s), self.line(t, s, box, end, context.name)))
        return [wire for *_, wire in sorted(found, key=lambda f: f[:2])]

    def line(self, t: int, s: int, box: Shape, end: Point, context: str) -> Wire:
        strong = t == self.focus
        seen = self.matrix is None or self.weight(t, s) >= LEGIBLE
        colour = LINES["attention"].colour
        wide = EQUAL if self.matrix is None else THIN + PER_WEIGHT * self.weight(t, s)
        wide, colour = (wide, colour) if strong else (FAINTEST, blended(colour, PALE))
        return Wire(((box.centre[0], box.y), end), "attention", strong and seen, False, width=wide, colour=colour,
                    name=f"{box.name} -> {context}", mark=self.mark(t, s))

    def weight(self, t: int, s: int) -> float:
        """As a share of the largest that there may be."""
        value = 0.0 if self.matrix is None else abs(float(self.matrix[t - 1, s - 1])) / self.top
        return value if math.isfinite(value) else 0.0

    def mark(self, t: int, s: int) -> Mark:
        at = {**self.others, self.attention.target: t, self.attention.source: s}
        own = self.system.quantities[self.attention.weights].slots
        return Mark(self.attention.weights, tuple((i, at[i]) for i in own))

    def plates(self, above: Placed, below: Placed) -> Iterator[Note]:
        """The weights of the focus, each on its line, all at one height."""
        if self.matrix is None:
            return
        context = above.ends[self.focus]
        places = [b.centre[0] for b in below.ends.values()]
        room = min((b - a for a, b in pairwise(places)), default=100.0) * (1 - PLATE) - 6
        name = (*quantity(self.attention.weights), Span("="))
        for (s, box), (x, y) in zip(below.ends.items(), arrivals(context, below.ends.values()), strict=True):
            value = float(self.matrix[self.focus - 1, s - 1])
            if abs(value) < LEGIBLE * self.top:
                continue
            label = plain(written(value))
            label = (*name, *label) if width((*name, *label), SMALL) <= room else label
            bx, by = box.centre[0], box.y
            up = by - (by - context.y - context.h) * PLATE
            yield Note(bx + (x - bx) * (by - up) / (by - y), up, label, SMALL, LINES["attention"].colour)

    def asking(self, above: Placed) -> Iterator[Wire]:
        """Dashed, from what the weights of a step are computed from, by the way left of the step's boxes."""
        taken: dict[int, list[str]] = {}
        for key, t, name in self.above.asked:
            start, end = above.boxes[key], above.ends[t]
            row = taken.setdefault(t, [])
            row += [name] if name not in row else []
            way = above.left_of(t) - 9 - 6 * row.index(name)
            y = start.y + start.h * 0.8
            x = start.x + start.w if start.x + start.w < way else start.x
            if start.kind == "circle":
                x, y = x, start.centre[1]
            points = ((x, y), (way, y), (way, end.centre[1]), (end.x, end.centre[1]))
            yield Wire(points, self.roles.line(name), tail=False, dashed=True, width=ASKING,
                       name=f"{start.name} -> {end.name}", mark=start.mark)

    # -- words -------------------------------------------------------------------------------------

    def classes(self, below: Placed) -> Iterator[Note]:
        """The class numbers under data, where these were given or drawn as such."""
        for s in below.scene.shapes:
            if self.values is None or s.mark is None or self.roles.role.get(s.mark.name) not in DATA:
                continue
            found = self.values.at(s.mark)
            if found is not None and found.ndim == 0 and self.system.quantities[s.mark.name].type.shape:
                yield Note(s.centre[0], s.y + s.h + 10, (Span(str(int(found)), italic=True),), SMALL, FAINT)

    def tagged(self, scene: Scene, above: Placed, below: Placed) -> float:
        """Name the rows at the left; how far all must move to the right for it."""
        lower, upper = next(iter(below.ends.values())), next(iter(above.ends.values()))
        same = self.system.range_of(self.attention.source) == self.system.range_of(self.attention.target)
        higher = sorted((s.style not in ("state", "backward"), -s.centre[1]) for s in above.boxes.values()
                        if s.centre[1] < upper.y and s.style != "initial")
        tags = [(upper.centre[1], "self-attention" if same else "attention")]
        if not same:
            tags.append((lower.centre[1], "memory" if lower.style == "weight" else "encoder"))
            tags += [(-higher[0][1], "decoder")] if higher else []
        room = max(width(plain(text), TAG) for _, text in tags) + 12
        scene.notes += [Note(MARGIN - room, y, plain(text), TAG, FAINT, "start") for y, text in tags]
        return room

    def captions(self, scene: Scene) -> None:
        """The equations of the attention, and what is not drawn."""
        inside = {*scores(self.attention, self.roles), *self.attention.contexts}
        room = max(scene.width - 2 * MARGIN, WIDE)
        lines = [shortened(formula(equation_text(typeset(eq))), SMALL, room) for eq in self.system.equations
                 if eq.name in inside and not eq.is_boundary]
        lines += [self.carried_over(), *map(plain, self.remarks())]
        y = scene.height + 6
        for line in filter(None, lines):
            scene.notes.append(Note(MARGIN, y, line, SMALL, FAINT, "start"))
            scene.width = max(scene.width, width(line, SMALL) + 2 * MARGIN)
            y += LINE
        scene.height = y + MARGIN / 2

    def carried_over(self) -> Label:
        """not drawn: h⟨S⟩ → q⟨0⟩"""
        label: Label = ()
        for a in carried_over(self.attention, self.roles):
            own = a.boundary or tuple(At("free", i, 0) for i in self.system.quantities[a.target].slots)
            label += (Span(", " if label else "not drawn: "), *quantity(a.source, slot_text(a.slots)), Span(" → "),
                      *quantity(a.target, slot_text(own)))
        return label

    def remarks(self) -> Iterator[str]:
        a, lower, upper = self.attention, self.lower, self.upper
        if len(lower.positions) < lower.total:
            rest = ""
            if self.matrix is not None:
                left = float(np.sum(self.matrix[self.focus - 1])) - sum(
                    float(self.matrix[self.focus - 1, s - 1]) for s in lower.positions)
                rest = (f": the first, the last and those of the largest weights at {a.target} = {self.focus}; the "
                        f"others have {written(left)} together")
            yield f"{len(lower.positions)} of {lower.total} positions {a.source} are drawn{rest}"
        if len(upper.positions) < upper.total:
            yield f"{len(upper.positions)} of {upper.total} positions {a.target} are drawn"
        if self.top > 1:
            yield f"the widest line stands for a weight of {self.top:.3g}"
        for index, at in self.others.items():
            yield f"{index} = {at} is drawn; quantity=\"{a.weights}[…]\" chooses another"
        if a.features and self.matrix is not None:
            numbers = " × ".join(map(str, a.features))
            yield (f"number {', '.join(map(str, self.choice.head))} of {numbers} at each place is drawn"
                   if self.choice.head else f"the mean of {numbers} numbers at each place is drawn; "
                   f"quantity=\"{a.weights}[{', '.join(['1'] * (len(a.others) + len(a.features)))}]\" draws one")
        others = [b.weights for b in self.choice.found if b != a]
        if others:
            yield f"further weights: {', '.join(others)}; quantity=\"{others[0]}\" draws them"

    def weights(self) -> Weights:
        assert self.matrix is not None
        a = self.attention
        at = ",".join(str(self.others.get(i, i)) for i in self.system.quantities[a.weights].slots)
        mean = plain("mean of ") if a.features and not self.choice.head else ()
        return Weights(self.matrix, (*mean, *quantity(a.weights, at)), (Span(a.target, italic=True),),
                       (Span(a.source, italic=True),), self.mark, self.focus)


def blended(colour: str, share: float) -> str:
    """A colour with so much of it, the rest paper."""
    parts = [(int(colour[j : j + 2], 16), int(PAPER[j : j + 2], 16)) for j in (1, 3, 5)]
    return "#" + "".join(f"{round(c * share + p * (1 - share)):02X}" for c, p in parts)


def _matrix(values: Values, choice: Choice) -> np.ndarray:
    """The weights of one example, a row for each position that attends, without padding; of one head, or the mean."""
    attention = choice.attention
    found = values.at(Mark(attention.weights, tuple(choice.at.items())))
    if found is None:
        raise BadValue(f"the values have no {attention.weights}; run with want=[\"{attention.weights}\", ...] or trace")
    own = [i for i in values.system.quantities[attention.weights].slots if i not in attention.others]
    for n in choice.head:
        found = found[:, :, n - 1]
    found = found.mean(axis=tuple(range(2, found.ndim)))
    matrix = found if own.index(attention.target) == 0 else found.T
    return matrix[: values.sizes[attention.target], : values.sizes[attention.source]].astype("float64")


def _top(matrix: np.ndarray) -> float:
    """What the full width and the darkest colour stand for: 1, or the largest weight where that is more."""
    largest = float(np.max(np.abs(matrix), initial=0.0, where=np.isfinite(matrix)))
    return max(1.0, largest)


def _focus(focus: int | None, rows: int, attention: Attention) -> int:
    if focus is None:
        return (rows + 1) // 2
    return whole(f"focus, a position of {attention.target},", focus, at_least=1, at_most=rows)
