"""From a view to a scene: rows and columns, channels between the rows and gutters between the columns for wires.

Rows count from the bottom. Channel k lies under row k, gutter g left of column g. A wire is a walk through channels
and gutters; its track in each is chosen so that no two wires run on each other, and only then have things a place.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .cell import tidy
from .scene import Note, Scene, Wire
from .style import FAINT, LINES, MARGIN, SMALL
from .template import Place
from .text import plain, width
from .tracks import Span, assign
from .view import FIRST, LAST, Box, Link, Loop, View

FAR = 100_000.0  # coarse coordinates: the distance of a column from the gutter beside it
APART = 26.0  # boxes beside each other in one column
NEAR = 7.0
LOW, NARROW = 30.0, 40.0  # the lowest channel and the narrowest gutter
ARC = 34.0


@dataclass
class _Tracks:
    """The nets of one channel or gutter."""

    spans: dict[str, list[float]] = field(default_factory=dict)
    first: dict[str, set[float]] = field(default_factory=dict)
    second: dict[str, set[float]] = field(default_factory=dict)
    at: dict[str, int] = field(default_factory=dict)
    count: int = 0

    def add(self, net: str, at: float, side: str = "") -> None:
        self.spans.setdefault(net, []).append(at)
        if side:
            (self.first if side == "first" else self.second).setdefault(net, set()).add(at)

    def settle(self) -> None:
        spans = {net: Span(min(xs), max(xs), tuple(sorted(self.first.get(net, ()))),
                           tuple(sorted(self.second.get(net, ())))) for net, xs in self.spans.items()}
        self.at = assign(spans, NEAR)
        self.count = 1 + max(self.at.values(), default=-1)


Hop = tuple[str, int]  # ("channel", k) or ("gutter", g)


class _Grid:
    def __init__(self, view: View):
        self.view = view
        self.n = len(view.columns)
        self.boxes = list(view.boxes.values())
        self.channels = [_Tracks() for _ in range(view.rows + 1)]
        self.gutters = [_Tracks() for _ in range(self.n + 1)]
        self.dx: dict[str, float] = {}  # of a box's middle from its column's
        self.dy: dict[str, float] = {}  # of a box's middle from its row's, upward
        self.beside()
        self.walks = [(link, self.walk(link)) for link in view.links]
        self.exact = False
        self.note_needs()
        self.measure()
        self.exact = True  # now that the columns have their places, the channels' tracks can be chosen well
        self.channels = [_Tracks() for _ in range(view.rows + 1)]
        self.note_needs()
        self.measure()

    # -- boxes in columns and rows -----------------------------------------------------------------

    def beside(self) -> None:
        """Boxes of one row and column stand side by side; initial values at the height of what they feed."""
        cells: dict[tuple[int, int | None], list[Box]] = {}
        for box in self.boxes:
            cells.setdefault((box.row, box.column), []).append(box)
        self.cells = cells
        self.reach_left, self.reach_right = [30.0] * self.n, [30.0] * self.n
        self.rise, self.sink = [0.0] * self.view.rows, [0.0] * self.view.rows  # of a row, around its middle line
        self.end_width = {FIRST: 0.0, LAST: 0.0}
        for (row, column), found in cells.items():
            if column in (FIRST, LAST):
                continue
            central = [b for b in found if b.style != "input"] or found
            at = -(sum(b.template.w for b in central) + APART * (len(central) - 1)) / 2
            left = at
            for box in sorted(found, key=lambda b: b not in central):  # inputs to the right of what is computed
                self.dx[box.key] = at + box.template.w / 2
                at += box.template.w + APART
                self.dy[box.key] = 0.0
                self.reach(row, box)
            if column is not None:
                self.reach_left[column] = max(self.reach_left[column], -left)
                self.reach_right[column] = max(self.reach_right[column], at - APART)
        for loop in self.view.loops:
            box = self.view.boxes[loop.box]
            if box.column is not None:
                arc = self.dx[box.key] + box.template.w / 2 + ARC + 14 + width(loop.label, SMALL)
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
        fed = any(b.template.ins for b in found)
        top = 1e9
        for k, box in enumerate(found):
            y = wish(box)
            y = y if y > -1e5 else top - box.template.h / 2 - 10 if top < 1e8 else 0.0
            y = min(y, top - box.template.h / 2)
            self.dy[box.key] = y
            top = y - box.template.h / 2 - 8
            step = (len(found) - 1 - k) * (box.template.w + 12) if fed else 0.0
            self.dx[box.key] = -step if column == FIRST else step
            self.end_width[column] = max(self.end_width[column], box.template.w + step)
            self.reach(row, box)

    def reach(self, row: int, box: Box) -> None:
        self.rise[row] = max(self.rise[row], self.dy[box.key] + box.template.h / 2)
        self.sink[row] = max(self.sink[row], box.template.h / 2 - self.dy[box.key])

    # -- walks -------------------------------------------------------------------------------------

    def port_x(self, box: Box, place: Place) -> float:
        """Where a port is along a channel, roughly as long as the columns have no places."""
        if self.exact:
            return self.corner(box)[0] + place.x
        dx = self.dx[box.key] + place.x - box.template.w / 2
        column = {FIRST: -1.0, LAST: float(self.n)}.get(box.column, box.column)  # type: ignore[arg-type]
        column = (self.n - 1) / 2 if column is None else column
        return (2 * column + 1) * FAR + dx

    def port_y(self, box: Box, place: Place) -> float:
        return (2 * box.row + 1) * FAR + self.dy[box.key] + box.template.h / 2 - place.y

    def gutter(self, box: Box, side: str) -> int:
        if box.column is None:
            return (self.n + 1) // 2
        if box.column in (FIRST, LAST):
            return 0 if box.column == FIRST else self.n
        return box.column + (side == "right")

    def walk(self, link: Link) -> list[Hop]:
        """The channels and gutters that a wire goes through."""
        a, b = self.view.boxes[link.source], self.view.boxes[link.target]
        out = (a.template.rails if link.sideways else a.template.outs)[link.out]
        into = b.template.ins[link.port]
        hops: list[Hop] = []
        if out.side != "top":
            hops.append(("gutter", self.gutter(a, out.side)))
        else:
            hops.append(("channel", a.row + 1))
        if into.side != "bottom":
            g = self.gutter(b, into.side)
            if hops[0] != ("gutter", g):
                hops += [("channel", b.row), ("gutter", g)] if out.side != "top" else [("gutter", g)]
        elif hops[0] != ("channel", b.row):
            if out.side == "top" and not self.is_clear(a, b, into):
                hops.append(("gutter", self.around(a, b, link)))
                hops.append(("channel", b.row))
            elif out.side != "top":
                hops.append(("channel", b.row))
        return hops

    def around(self, a: Box, b: Box, link: Link) -> int:
        """The gutter by which a wire passes the rows between: the left one for inputs, else the right one."""
        if a.column is None and b.column is not None:
            return self.gutter(b, "left")
        if a.column is not None and b.column is not None and a.column != b.column and b.column >= 0:
            return self.gutter(a, "right" if b.column > a.column else "left")
        return self.gutter(a, "left" if link.style == "input" else "right")

    def is_clear(self, a: Box, b: Box, into: Place) -> bool:
        """May a wire go straight up to b through the rows between, beside all boxes there?"""
        x = self.dx[b.key] + into.x - b.template.w / 2
        if b.row <= a.row or b.column in (FIRST, LAST, None):
            return False
        for row in range(a.row + 1, b.row):
            for column in (b.column, None):
                for other in self.cells.get((row, column), ()):
                    if column is None or abs(self.dx[other.key] - x) < other.template.w / 2 + 10:
                        return False
        return True

    def note_needs(self) -> None:
        """Choose the tracks of the channels, and the first time of the gutters."""
        for link, hops in self.walks:
            a, b = self.view.boxes[link.source], self.view.boxes[link.target]
            out = (a.template.rails if link.sideways else a.template.outs)[link.out]
            self.note(link.net, hops, (a, out), (b, b.template.ins[link.port]))
        for tracks in self.channels if self.exact else (*self.channels, *self.gutters):
            tracks.settle()

    def note(self, net: str, hops: list[Hop], start: tuple[Box, Place], end: tuple[Box, Place]) -> None:
        for k, (kind, number) in enumerate(hops):
            if kind == "gutter" and self.exact:
                continue
            tracks = (self.channels if kind == "channel" else self.gutters)[number]
            for step, (box, place) in ((-1, start), (1, end)):
                other = k + step
                if 0 <= other < len(hops) and kind == "channel" and self.exact:
                    beyond = hops[other + step][1] if 0 <= other + step < len(hops) else box.row + 0.5
                    tracks.add(net, self.track(*hops[other], net), "first" if beyond < number else "second")
                elif 0 <= other < len(hops):
                    tracks.add(net, 2 * hops[other][1] * FAR)
                elif kind == "channel":
                    tracks.add(net, self.port_x(box, place), "first" if place.side == "top" else "second")
                else:
                    tracks.add(net, self.port_y(box, place), "first" if place.side == "right" else "second")

    # -- measures ----------------------------------------------------------------------------------

    def measure(self) -> None:
        track = self.view.track
        labels = [max(width(li.label, SMALL), width(li.adjoint, SMALL)) for li in self.view.links if li.sideways]
        self.label_room = max(labels, default=0.0) + (26 if any(labels) else 0)
        inner = max(NARROW, self.label_room + max((g.count + 1) * track for g in self.gutters))
        self.gutter_width = [inner] * (self.n + 1)
        for g, end in ((0, FIRST), (self.n, LAST)):
            if not self.end_width[end]:
                self.gutter_width[g] = (self.gutters[g].count + 1) * track if self.gutters[g].count else 4.0
        self.left: list[float] = []
        x = MARGIN + self.end_width[FIRST]
        for c in range(self.n):
            x += self.gutter_width[c]
            self.left.append(x)
            x += self.column_width[c]
        self.width = x + self.gutter_width[self.n] + self.end_width[LAST] + MARGIN
        middle = [b for b in self.boxes if b.column is None]
        half = max((abs(self.dx[b.key]) + b.template.w / 2 for b in middle), default=0)
        short = half + MARGIN - min(self.centre_x(None), self.width - self.centre_x(None))
        if short > 0:
            self.left = [v + short for v in self.left]
            self.width += 2 * short
        self.base: list[float] = []  # the lower edge of each row
        used = [ch.count for ch in self.channels]
        heights = [max(LOW if 0 < k < self.view.rows else 0.0, (count + 1) * track + 8 if count else 0.0)
                   for k, count in enumerate(used)]
        y = MARGIN
        for row in reversed(range(self.view.rows)):
            y += heights[row + 1] + self.rise[row] + self.sink[row]
            self.base.insert(0, y)
        self.height = y + heights[0] + MARGIN

    def centre_x(self, column: int | None) -> float:
        if column is None:
            return (self.centre_x(0) + self.centre_x(self.n - 1)) / 2
        if column == FIRST:
            return self.left[0] - self.gutter_width[0]
        if column == LAST:
            return self.left[-1] + self.column_width[-1] + self.gutter_width[-1]
        return self.left[column] + self.reach_left[column]

    def corner(self, box: Box) -> tuple[float, float]:
        """The upper left corner of a box."""
        x = self.centre_x(box.column) + self.dx[box.key] - box.template.w / 2
        if box.column == FIRST:
            x -= box.template.w / 2
        elif box.column == LAST:
            x += box.template.w / 2
        return x, self.base[box.row] - self.sink[box.row] - self.dy[box.key] - box.template.h / 2

    def track(self, kind: str, number: int, net: str) -> float:
        """The y of a channel's track or the x of a gutter's."""
        step = self.view.track
        if kind == "channel":
            tracks = self.channels[number]
            lower = self.height - MARGIN
            if number:
                lower = self.base[number - 1] - self.rise[number - 1] - self.sink[number - 1]
            upper = self.base[number] if number < self.view.rows else MARGIN
            middle = (lower + upper) / 2
            return middle - (tracks.at[net] - (tracks.count - 1) / 2) * step + 2
        tracks = self.gutters[number]
        left = self.left[number] - self.gutter_width[number] if number < self.n else (
            self.left[-1] + self.column_width[-1])
        if self.label_room and self.gutter_width[number] > self.label_room:
            return left + (tracks.at[net] + 1) * step  # at the left, so that labels have the room at the right
        return left + self.gutter_width[number] / 2 - 3 + (tracks.at[net] - (tracks.count - 1) / 2) * step

    # -- the scene ---------------------------------------------------------------------------------

    def scene(self) -> Scene:
        scene = Scene(self.width, self.height, title=self.view.title)
        for box in self.boxes:
            x, y = self.corner(box)
            for panel in box.template.panels:
                scene.panels.append(panel.stamped(x, y, box.position, box.layer))
            for shape in box.template.shapes:
                scene.shapes.append(shape.stamped(x, y, box.position, box.layer))
            for wire in box.template.wires:
                scene.wires.append(wire.stamped(x, y, box.position, box.layer))
        for link, hops in self.walks:
            scene.wires.append(self.wire(link, hops))
        by_box: dict[str, list[Loop]] = {}
        for loop in self.view.loops:
            by_box.setdefault(loop.box, []).append(loop)
        for key, loops in by_box.items():
            self.arcs(self.view.boxes[key], loops, scene)
        self.legend(scene)
        return scene

    def wire(self, link: Link, hops: list[Hop]) -> Wire:
        a, b = self.view.boxes[link.source], self.view.boxes[link.target]
        out = (a.template.rails if link.sideways else a.template.outs)[link.out]
        into = b.template.ins[link.port]
        (ax, ay), (bx, by) = self.corner(a), self.corner(b)
        start, end = (ax + out.x, ay + out.y), (bx + into.x, by + into.y)
        points = [start]
        for kind, number in hops:
            if kind == "gutter" and not self.is_straight(link, hops, start, end):
                x = self.track(kind, number, link.net)
                points.append((x, points[-1][1]))
            elif kind == "channel" and not self.is_straight(link, hops, start, end):
                y = self.track(kind, number, link.net)
                points.append((points[-1][0], y))
        if hops[-1][0] == "gutter":
            points.append((points[-1][0], end[1]))
        else:
            points.append((end[0], points[-1][1]))
        points.append(end)
        return Wire(tuple(tidy(points)), link.style, not into.open, not out.open, link.dashed, link.gradient,
                    link.label, link.adjoint, f"{link.source} -> {link.target}")

    def is_straight(self, link: Link, hops: list[Hop], start: tuple[float, float], end: tuple[float, float]) -> bool:
        """Does a single hop need no turn?"""
        if len(hops) != 1:
            return False
        return abs(start[1] - end[1]) < 0.01 if hops[0][0] == "gutter" else abs(start[0] - end[0]) < 0.01

    def arcs(self, box: Box, loops: list[Loop], scene: Scene) -> None:
        x, y = self.corner(box)
        right, slot = x + box.template.w, box.template.h / len(loops)
        for k, loop in enumerate(loops):
            inset = max(5.0, slot * 0.2)
            top, low = y + slot * k + inset, y + slot * (k + 1) - inset
            points = ((right, top), (right + ARC, top), (right + ARC, low), (right, low))
            scene.wires.append(Wire(points, loop.style, dashed=True, name=f"{box.name} -> {box.name}"))
            scene.notes.append(Note(right + ARC + 8, (top + low) / 2, loop.label, SMALL, LINES[loop.style].colour,
                                    "start"))

    def legend(self, scene: Scene) -> None:
        """At the lower right, a line for each kind of arrow."""
        if not self.view.legend:
            return
        room = max(width(plain(text), SMALL) for _, text in self.view.legend)
        scene.width = max(scene.width, room + 60 + 2 * MARGIN)
        x, y = scene.width - MARGIN - room - 44, scene.height + 4
        for style, text in self.view.legend:
            if style:
                scene.wires.append(Wire(((x, y), (x + 34, y)), style, name="legend"))
            scene.notes.append(Note(x + 42, y, plain(text), SMALL, FAINT, "start"))
            y += 18
        scene.height = y + MARGIN / 2


def layout(view: View) -> Scene:
    """Place everything that a view shows."""
    return _Grid(view).scene()
