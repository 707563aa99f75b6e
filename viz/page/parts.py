"""A scene in units: every cell with what lies inside it, every box that stands alone, and the wires between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from tinygrad_rnn.system import System

from ..blocks.segments import Segments
from ..graph.roles import roles
from ..scene import Mark, Note, Point, Scene, Shape, Wire
from ..style import LINES

CELL = 80.0  # of the tables of what is where
NEAR = 6.0  # how far from a border a wire's end may lie
BESIDE = 22.0  # how far from its wire a note may stand
BACKWARD = ("backward", "panel_backward")  # boxes whose time runs from the last step to the first


@dataclass
class Part:
    """A cell (`panel`) with its inside, or one box. below: is the box painted under the wires, as a patch of a heat map
    is; step: its position in the `range` of columns that it belongs to, None where it belongs to no step."""

    panel: Shape | None = None
    shapes: list[Shape] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    below: bool = False
    step: int | None = None
    range: int = 0

    @property
    def body(self) -> Shape:
        """The shape that stands for it."""
        return self.panel or self.shapes[0]

    @property
    def is_backward(self) -> bool:
        """Does it show a recurrence that runs backward?"""
        return self.body.style in BACKWARD


@dataclass
class Parts:
    """wires: with the numbers of the parts where they start and end, None for neither; notes: with the number of the
    wire that they stand at; ranges: what the columns count, from left to right, and how many of it there are."""

    parts: list[Part]
    wires: list[tuple[Wire, int | None, int | None]]
    notes: list[tuple[Note, int | None]]
    ranges: list[tuple[str, int]]


class _Where:
    """Boxes by place."""

    def __init__(self, boxes: Iterable[tuple[int, Shape]]):
        self.cells: dict[tuple[int, int], list[tuple[int, Shape]]] = {}
        for k, s in boxes:
            for x in range(_cell(s.x - NEAR), _cell(s.x + s.w + NEAR) + 1):
                for y in range(_cell(s.y - NEAR), _cell(s.y + s.h + NEAR) + 1):
                    self.cells.setdefault((x, y), []).append((k, s))

    def around(self, p: Point) -> Iterator[tuple[int, Shape]]:
        return iter(self.cells.get((_cell(p[0]), _cell(p[1])), ()))

    def holding(self, points: Iterable[Point]) -> int | None:
        """The smallest box that holds all the points."""
        points = list(points)
        found = [(s.w * s.h, k) for k, s in self.around(points[0]) if all(_inside(p, s) for p in points)]
        return min(found)[1] if found else None

    def touching(self, p: Point) -> int | None:
        """The box on whose border, or nearest, a wire ends."""
        found = [(_off(p, s), k) for k, s in self.around(p)]
        near = [f for f in found if f[0] <= NEAR]
        return min(near)[1] if near else None


def _cell(v: float) -> int:
    return int(v // CELL)


def _inside(p: Point, s: Shape) -> bool:
    return s.x - 0.6 <= p[0] <= s.x + s.w + 0.6 and s.y - 0.6 <= p[1] <= s.y + s.h + 0.6


def _off(p: Point, s: Shape) -> float:
    """How far a point lies outside a box or from its border."""
    x, y = max(s.x - p[0], p[0] - s.x - s.w), max(s.y - p[1], p[1] - s.y - s.h)
    return abs(max(x, y)) if s.kind != "circle" else abs(
        ((p[0] - s.centre[0]) ** 2 + (p[1] - s.centre[1]) ** 2) ** 0.5 - s.w / 2)


def parts_of(scene: Scene, system: System) -> Parts:
    """Every item of the scene in the part that it belongs to."""
    parts = [Part(panel) for panel in scene.panels if panel.kind == "panel"]
    panels = _Where((k, part.body) for k, part in enumerate(parts))
    parts += [Part(shapes=[patch], below=True) for patch in scene.panels if patch.kind != "panel"]
    for shape in scene.shapes:
        k = panels.holding([(shape.x, shape.y), (shape.x + shape.w, shape.y + shape.h)])
        if k is None:
            parts.append(Part(shapes=[shape]))
        else:
            parts[k].shapes.append(shape)
    bodies = _Where((k, p.body) for k, p in enumerate(parts) if not p.below)
    wires: list[tuple[Wire, int | None, int | None]] = []
    loose: list[Note] = []
    for wire in scene.wires:
        k = panels.holding(wire.points)
        if k is None:
            wires.append((wire, bodies.touching(wire.points[0]), bodies.touching(wire.points[-1])))
        else:
            parts[k].wires.append(wire)
    for note in scene.notes:
        k = panels.holding([(note.x, note.y)])
        (loose if k is None else parts[k].notes).append(note)
    return Parts(parts, wires, _noted(loose, [w for w, _, _ in wires]), _number(parts, system))


def _noted(notes: list[Note], wires: list[Wire]) -> list[tuple[Note, int | None]]:
    """Notes with the wire that each is written beside: the nearest of its colour that runs along it."""
    flat: dict[int, list[tuple[float, float, float, int]]] = {}
    for k, wire in enumerate(wires if notes else ()):
        for (ax, ay), (bx, by) in pairwise(wire.points):
            if abs(ay - by) < 0.01:
                flat.setdefault(_cell(ay), []).append((ay, min(ax, bx), max(ax, bx), k))
    found: list[tuple[Note, int | None]] = []
    for note in notes:
        around = [part for c in (-1, 0, 1) for part in flat.get(_cell(note.y) + c, ())]
        beside = [(abs(y - note.y), k) for y, left, right, k in around if left < note.x < right
                  and abs(y - note.y) <= BESIDE and LINES[wires[k].style].colour == note.colour]
        found.append((note, min(beside)[1] if beside else None))
    return found


def _number(parts: list[Part], system: System) -> list[tuple[str, int]]:
    """Give every part its step; the indices that these count, from left to right, and how many each has."""
    marks = [(p, p.body.mark) for p in parts if p.body.mark is not None]
    found = column_indices([(m, p.body.centre[0]) for p, m in marks if not p.below], system)
    if len(found) > 1:
        order = list(Segments(roles(system), 1, True).steps)
        found.sort(key=lambda group: order.index(r) if (r := system.range_of(group[0])) in order else len(order))
    ranges: list[tuple[str, int]] = []
    for index, others in found:
        last = 0
        for part, mark in marks:
            at = {i: k for i, k in mark.at if isinstance(k, int)}
            step = at.get(index, next((at[i] for i in at if i in others), None))
            if step is not None and part.step is None:
                part.step, part.range = step, len(ranges)
                last = max(last, step if part.body.style != "initial" else 0)
        ranges.append((index, last))
    return ranges if any(last for _, last in ranges) else []


def column_indices(marks: Iterable[tuple[Mark, float]], system: System) -> list[tuple[str, set[str]]]:
    """The indices that the columns count, each with further ones that count the same columns.

    First comes the one that most marks have, among equals the one whose positions stand above each other; another over
    the same range counts the same columns where its positions stand in them, else columns of its own, wherever they
    stand: those of a decoder above its encoder come after the encoder's. marks: with their x.
    """
    found: dict[str, dict[int | str, list[float]]] = {}
    together: dict[str, set[str]] = {}
    for mark, x in marks:
        names = [i for i, _ in mark.at if i not in system.static]
        for index, position in mark.at:
            if index in names:
                found.setdefault(index, {}).setdefault(position, []).append(x)
                together.setdefault(index, set()).update(names)

    def rank(index: str) -> tuple[int, float]:
        places = found[index].values()
        return sum(map(len, places)), -sum(max(xs) - min(xs) for xs in places)

    groups = []
    while found:
        index = max(found, key=rank)
        columns = {position: sum(xs) / len(xs) for position, xs in found[index].items()}
        apart = set(found) - together[index]
        others = {i for i in apart if system.range_of(i) == system.range_of(index) and _in_columns(found[i], columns)}
        groups.append((index, others))
        found = {i: places for i, places in found.items() if i in apart - others}
    return groups


def _in_columns(places: dict[int | str, list[float]], columns: dict[int | str, float]) -> bool:
    """Does every position stand nearer to its own column than to any other?"""
    return all(min(columns, key=lambda p: abs(columns[p] - x)) == position
               for position, xs in places.items() if position in columns for x in xs)
