"""The inside of one step of every cell: straight states along the top, gates in a row, what enters at the lower left.

After the drawing of an LSTM by Olah 2015, "Understanding LSTM Networks", for any recurrence: which states run straight,
what is a gate and where lines join is told from the graph alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

from tinygrad_rnn.errors import BadValue

from ..blocks.blocks import PANELS, carried, passed
from ..blocks.cell import tidy
from ..graph.groups import Block
from ..graph.roles import Roles
from ..scene import Mark, Point, Scene, Shape, Wire, moved, put
from ..style import FILLS, LINES, MARGIN, SMALL, TEXT
from ..text import Label, string, width
from .graph import Inner, Part, inner_of, own_label, port_label
from .known import Known
from .places import CAPTION, HALF, RADIUS, UNIT, Places, half_width, size
from .route import DOWN, LEFT, RIGHT, STEP, UP, Cell, End, Grid, Net

DOT = 2.8  # radius of a dot where lines fork or join
SEAM = 0.5  # by which one line reaches under what goes on from there, so that no seam shows
OUTSIDE = 34.0  # of a line that enters or leaves, before the border
BETWEEN = 26.0  # cells one above another
TRIES = 8  # with more and more room
PATIENCE = 1_000_000  # states that are looked at in all tries; several times what the largest cells need
OFF_MIDDLE = 2.5  # of a line that meets a box a cell beside its middle
TALLEST = 2.0  # of a page of cells, in widths
BRIDGE = 4.5  # half the gap of a line that another crosses


def cell_scene(roles: Roles) -> Scene:
    """The inside of every recurrent cell of a model, one above another, the first at the bottom as layers are; in
    columns from left to right where that would be much higher than wide.

    Raises `BadValue` for a model without a recurrence.
    """
    cells = [b for b in roles.blocks if b.kind == "cell" and b.direction]
    if not cells:
        raise BadValue(f"view='cell' shows the inside of a recurrent cell, and this model has none: {_why_none(roles)}")
    known = Known()
    drawn = [_Cell(block, roles, known).scene() for block in reversed(cells)]
    pages = (_page(drawn, math.ceil(len(drawn) / columns)) for columns in range(1, len(drawn) + 1))
    page = next((page for page in pages if page.height <= TALLEST * page.width), _page(drawn, 1))
    page.title = roles.system.name
    return page


def _page(drawn: Sequence[Scene], each: int) -> Scene:
    """Columns of at most so many scenes, the last one at the lower left and the first one at the right."""
    columns = [drawn[max(0, end - each) : end] for end in range(len(drawn), 0, -each)]
    heights = [sum(s.height for s in column) + BETWEEN * (len(column) - 1) for column in columns]
    widths = [max(s.width for s in column) for column in columns]
    page = Scene(sum(widths), max(heights))
    for column, height, wide, left in zip(columns, heights, widths, accumulate(widths, initial=0.0), strict=False):
        top = page.height - height
        for scene in column:
            put(page, moved(scene, left + (wide - scene.width) / 2, top))
            top += scene.height + BETWEEN
    return page


def _why_none(roles: Roles) -> str:
    """Why a model has no cell: nothing goes along the steps, or only through a boundary, which has a box of its own."""
    through = next((a for a in roles.arrows if a.boundary and a.source == a.target and a.shifts.keys() -
                    roles.system.static.keys()), None)
    if through is None:
        return "no quantity follows from itself at another step, as h[t] does from h[t-1]"
    left, read = (f"{through.target}[{','.join(map(str, slots))}]" for slots in (through.boundary, through.slots))
    return f"its steps go through the boundary {left}, which reads {read}; view='folded' shows how"


class _Cell:
    """One cell, laid out with more and more room until every line finds its way."""

    def __init__(self, block: Block, roles: Roles, known: Known):
        self.block, self.roles, self.title = block, roles, carried(block, roles)
        self.inner: Inner = inner_of(block, roles, passed(block, roles))
        patience = PATIENCE
        for spread in range(TRIES):
            self.places = Places(self.inner, spread, self.title)
            self.grid = Grid(self.places.width, self.places.height, patience)
            self.grid.lanes = self.places.lanes()
            self.nets = self._nets()
            if known.route(self.grid, self.nets):
                return
            patience = self.grid.patience
        raise BadValue(f"the cell {string(self.title)} is too dense to draw with view='cell'; use "
                       "view='unrolled', detail='closed'")

    # -- what lines run where ----------------------------------------------------------------------

    def _nets(self) -> list[Net]:
        inner = self.inner
        sides = {key: self._sides(part) for key, part in inner.parts.items()}
        for key in inner.parts:
            self._block(key)
        self.grid.block(1, 1, math.ceil(width(self.title, SMALL) / UNIT) + 1, 2)
        keys = [*inner.ports, *inner.parts]
        goals: dict[str, dict[str, list[End]]] = {key: {} for key in keys}
        first: dict[str, list[str]] = {key: [] for key in keys}
        for key, part in inner.parts.items():
            for s in part.sources:
                goals[s][key] = self._into(key, s, sides[key])
                if self._is_straight(s, key):
                    first[s].append(key)
        for (name, side), (x, y) in self.places.leave.items():
            s = inner.out[name]
            end = End((x, y), RIGHT if side == "right" else UP, (x * UNIT, y * UNIT))
            goals[s][f"{side} {name}"] = [end]
            if name in inner.straight and side == "right":
                first[s].append(f"{side} {name}")
        for key, (x, y) in self.places.entry.items():
            self.grid.kept[(1, y) if key in inner.states else (x, y - 1)] = key
        straight = {path[0] for path in inner.straight.values()}
        return [Net(key, self._from(key, sides), goals[key], first[key], self._stacked(key),
                    far_first=self.places.is_outside(key) and key not in straight) for key in keys if goals[key]]

    def _stacked(self, key: str) -> list[str]:
        """The readers in a part's own column."""
        column = self.places.column
        return [u for u in self.inner.users(key) if key in column and column.get(u) == column[key]]

    def _is_straight(self, source: str, key: str) -> bool:
        return any((source, key) in pairwise(path) for path in self.inner.straight.values())

    def _sides(self, part: Part) -> list[End]:
        """Where lines may leave a part; those that enter come the other way."""
        x, y = self.places.at[part.key]
        if part.kind == "dot":
            return [End((x + dx, y + dy), k, (x * UNIT + dx * (DOT - SEAM), y * UNIT + dy * (DOT - SEAM)))
                    for k, (dx, dy) in enumerate(STEP)]
        half, (px, py) = half_width(part), (x * UNIT, y * UNIT)
        if part.kind == "circle":
            return [End((x + 2 * dx, y + 2 * dy), k, (px + dx * RADIUS, py + dy * RADIUS))
                    for k, (dx, dy) in enumerate(STEP)]
        found = [End((x + half + 1, y), RIGHT, (px + half * UNIT, py)),
                 End((x - half - 1, y), LEFT, (px - half * UNIT, py))]
        for aside in range(-half + 1, half):
            cost = abs(aside) * OFF_MIDDLE
            found += [End((x + aside, y + 2), DOWN, (px + aside * UNIT, py + HALF), cost),
                      End((x + aside, y - 2), UP, (px + aside * UNIT, py - HALF), cost)]
        return found

    def _block(self, key: str) -> None:
        part, (x, y) = self.inner.parts[key], self.places.at[key]
        half = half_width(part)
        if part.kind == "dot":
            self.grid.block(x - 1, y, x + 1, y)
            self.grid.block(x, y - 1, x, y + 1)
            return
        wide = half if part.kind == "circle" else half + 1
        self.grid.block(x - wide, y - 2, x + wide, y + 2)
        self.grid.stubs |= {(x + wide + 1, y), (x - wide - 1, y), (x, y - 3), (x, y + 3)}
        if part.caption:
            left, top, right, bottom = self._caption_box(part)
            self.grid.block(int(left // UNIT), int(top // UNIT) + 1, int(right // UNIT) + 0, int(bottom // UNIT))

    def _caption_box(self, part: Part) -> tuple[float, float, float, float]:
        x, y = (v * UNIT for v in self.places.at[part.key])
        wide = width(part.caption, CAPTION)
        right = x - 5 if part.kind == "box" else x + RADIUS + 1 + wide
        middle = y - HALF - 9 if part.kind == "box" else y - RADIUS - 3
        return right - wide, middle - 7, right, middle + 7

    def _hangs(self, key: str) -> bool:
        return key in self.places.depth

    def _into(self, key: str, source: str, sides: list[End]) -> list[End]:
        """Where a value may enter a part: from below, where it hangs from above, else from the left."""
        part = self.inner.parts[key]
        if self._is_straight(source, key):
            cost = {LEFT: 0.0}
        elif part.kind == "dot":
            cost = {LEFT: 0.0} if source == part.sources[0] else {DOWN: 0.0, UP: 0.0}
        elif self._hangs(key):
            cost = {UP: 0.0, LEFT: 0.5, RIGHT: 3.0, DOWN: 3.0}
        elif part.kind == "circle":
            cost = {DOWN: 0.0, UP: 0.0, LEFT: 0.0, RIGHT: 7.0}
        else:
            cost = {DOWN: 0.0, LEFT: 3.0, UP: 5.0, RIGHT: 6.0}
        return [End(e.cell, (e.way + 2) % 4, e.point, e.cost + cost[e.way]) for e in sides if e.way in cost]

    def _from(self, key: str, sides: dict[str, list[End]]) -> list[End]:
        if key in self.inner.ports:
            x, y = self.places.entry[key]
            return [End((x, y), RIGHT if key in self.inner.states else UP, (x * UNIT, y * UNIT))]
        part = self.inner.parts[key]
        if part.kind == "dot" or key in self.places.high:
            cost = {RIGHT: 0.0}
        elif self._hangs(key):
            cost = {DOWN: 0.0, RIGHT: 0.5, UP: 6.0}
        else:
            cost = {UP: 0.0, RIGHT: 0.5, DOWN: 5.0}
        return [e._replace(cost=e.cost + cost[e.way]) for e in sides[key] if e.way in cost]

    # -- the scene ---------------------------------------------------------------------------------

    def scene(self) -> Scene:
        scene = Scene(self.places.width * UNIT, self.places.height * UNIT)
        backward = self.block.direction < 0
        panel = PANELS["cell"] + ("_backward" if backward else "")
        title = () if backward else self.title
        scene.panels.append(Shape("panel", 0, 0, scene.width, scene.height, panel, title, SMALL,
                                  mark=Mark(self.block.quantities[0])))
        if backward:  # once mirrored, what leaves at the top is at the left, and the title at the right
            scene.shapes.append(Shape("box", 12, 3, width(self.title, SMALL), 20, "none", self.title, SMALL))
        for key, part in self.inner.parts.items():
            scene.shapes += self._shapes(key, part)
        for net in self.nets:
            self._draw(net, scene)
        for x, y in sorted(self.grid.crossings()):
            scene.wires += self._bridge(x, y, panel)
        scene.shapes += self._outside()
        return _framed(scene, backward)

    def _shapes(self, key: str, part: Part) -> list[Shape]:
        x, y = (v * UNIT for v in self.places.at[key])
        if part.kind == "dot":
            return [_dot(x, y, part.line)]
        half, up = (RADIUS, RADIUS) if part.kind == "circle" else (half_width(part) * UNIT, HALF)
        shapes = [Shape(part.kind, x - half, y - up, 2 * half, 2 * up, part.style, part.label, size(part),
                        name=part.name, mark=part.mark)]
        if part.caption:
            left, top, right, bottom = self._caption_box(part)
            shapes.append(Shape("box", left, top, right - left, bottom - top, "none", part.caption, CAPTION))
        return shapes

    def _draw(self, net: Net, scene: Scene) -> None:
        """A net's lines from fork to fork, and the dots there."""
        assert net.start is not None
        line = self.inner.line(net.key)
        mark = self._mark(net.key)
        after: dict[Cell, list[Cell]] = {}
        for path in net.paths.values():
            for a, b in pairwise(path):
                after.setdefault(a, []).append(b)
        ends = {e.cell: (goal, e) for goal, e in net.ends.items()}
        begin, leads = self._begin(net)
        pending: list[tuple[list[Point], Cell]] = [([*leads, begin], net.start.cell)]
        while pending:
            points, cell = pending.pop()
            while len(after.get(cell, ())) == 1:
                points.append(_point(cell))
                cell = after[cell][0]
            if cell in ends:
                goal, end = ends[cell]
                points += [_point(cell), end.point]
                head = self._finish(goal, end, points, scene)
                scene.wires.append(Wire(tuple(tidy(points)), line, head, name=f"{net.key} -> {goal}", mark=mark))
                continue
            fork = _point(cell)
            scene.shapes.append(_dot(*fork, line))
            points.append(fork)
            points = tidy(points)
            points[-1] = _short(points[-2], fork)
            scene.wires.append(Wire(tuple(points), line, False, name=f"{net.key} ->", mark=mark))
            for b in after[cell]:
                pending.append(([_short(_point(b), fork)], b))

    def _begin(self, net: Net) -> tuple[Point, list[Point]]:
        """The point at which a net leaves a part, or the border, and the way to there from outside."""
        assert net.start is not None
        x, y = net.start.point
        if net.key not in self.inner.ports:
            return (x, y), []
        return (x, y), [(x - OUTSIDE, y) if net.start.way == RIGHT else (x, y + OUTSIDE)]

    def _finish(self, goal: str, end: End, points: list[Point], scene: Scene) -> bool:
        """Lead a line to its end, out of the cell where it leaves; does it have a head there?"""
        if goal in self.inner.parts:
            return self.inner.parts[goal].kind != "dot"
        x, y = end.point
        points.append((x + OUTSIDE, y) if end.way == RIGHT else (x, y - OUTSIDE))
        return True

    def _outside(self) -> list[Shape]:
        """What stands at the lines that enter and leave: h⟨t−1⟩."""
        found = []
        for key, (x, y) in self.places.entry.items():
            way = LEFT if key in self.inner.states else DOWN
            port = self.inner.ports[key]
            found.append(_named_end(x * UNIT, y * UNIT, way, port_label(port), Mark(port.name)))
        for (name, side), (x, y) in self.places.leave.items():
            way = RIGHT if side == "right" else UP
            found.append(_named_end(x * UNIT, y * UNIT, way, own_label(name, self.block, self.roles), Mark(name)))
        return found

    def _mark(self, key: str) -> Mark | None:
        return Mark(self.inner.ports[key].name) if key in self.inner.ports else self.inner.parts[key].mark

    def _bridge(self, x: int, y: int, panel: str) -> list[Wire]:
        """The gap of an upright line under one that lies across it."""
        line = self.inner.line(self.grid.used[0][x, y])

        def short(reach: float) -> tuple[Point, ...]:
            return (x * UNIT - reach, y * UNIT), (x * UNIT + reach, y * UNIT)

        gap = Wire(short(BRIDGE), line, False, name="bridge", width=LINES[line].width + 7, colour=FILLS[panel].fill)
        return [gap, Wire(short(BRIDGE + SEAM), line, False, name="bridge")]


def _point(cell: Cell) -> Point:
    return cell[0] * UNIT, cell[1] * UNIT


def _named_end(x: float, y: float, way: int, label: Label, mark: Mark) -> Shape:
    """The name beyond a border's point, to which the line from there leads."""
    wide, high = width(label, TEXT) + 10, 22.0
    dx, dy = STEP[way]
    cx, cy = x + dx * (OUTSIDE + wide / 2), y + dy * (OUTSIDE + high / 2)
    return Shape("box", cx - wide / 2, cy - high / 2, wide, high, "none", label, TEXT, name=string(label), mark=mark)


def _dot(x: float, y: float, line: str) -> Shape:
    return Shape("circle", x - DOT, y - DOT, 2 * DOT, 2 * DOT, "swatch", fill=LINES[line].colour)


def _short(a: Point, fork: Point) -> Point:
    """The point on a fork's dot that faces a."""
    (x, y), (ax, ay) = fork, a
    across = abs(ax - x) > abs(ay - y)
    reach = DOT - SEAM
    return (x + math.copysign(reach, ax - x), y) if across else (x, y + math.copysign(reach, ay - y))


def _framed(scene: Scene, backward: bool) -> Scene:
    """The scene, time from right to left where the cell recurs from the future, moved in from the page's edges."""
    if backward:
        scene = replace(scene, panels=[s.mirrored(scene.width) for s in scene.panels],
                        shapes=[s.mirrored(scene.width) for s in scene.shapes],
                        wires=[w.mirrored(scene.width) for w in scene.wires])
    items = [*scene.panels, *scene.shapes]
    left, top = min(s.x for s in items) - MARGIN, min(s.y for s in items) - MARGIN
    right, bottom = max(s.x + s.w for s in items) + MARGIN, max(s.y + s.h for s in items) + MARGIN
    return Scene(right - left, bottom - top, [replace(s, x=s.x - left, y=s.y - top) for s in scene.panels],
                 [replace(w, points=tuple((x - left, y - top) for x, y in w.points)) for w in scene.wires],
                 [replace(s, x=s.x - left, y=s.y - top) for s in scene.shapes])
