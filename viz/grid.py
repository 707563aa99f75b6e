"""From a view to a scene: rows and columns, channels between the rows and gutters between the columns for wires.

Rows count from the bottom. Channel k lies under row k, gutter g left of column g. A wire is a walk through channels
and gutters; its track in each is chosen so that no two wires run on each other, and only then have things a place.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .cell import tidy
from .ports import LEAST, arranged, left_at
from .scene import Note, Scene, Wire
from .stamp import Stamps
from .standing import ARC, Standing
from .style import FAINT, LINES, MARGIN, SMALL
from .template import Place, Template
from .text import plain, width
from .tracks import Span, assign
from .view import FIRST, LAST, Box, Link, Loop, View

FAR = 100_000.0  # coarse coordinates: the distance of a column from the gutter beside it
NEAR = 4.0  # two ends of different wires in one channel, but for the distance of its tracks, count as one place
LOW, NARROW = 30.0, 40.0  # the lowest channel and the narrowest gutter
DODGES = tuple((way * LEAST / 2, apart) for apart in (0.0, 8.0, 16.0) for way in (0, 1, -1, 2, -2, 3, -3)
               )  # how far a row goes aside, to between the ports of the next, and how much wider its boxes stand


@dataclass
class _Tracks:
    """The nets of one channel or gutter."""

    spans: dict[str, list[float]] = field(default_factory=dict)
    first: dict[str, set[float]] = field(default_factory=dict)
    second: dict[str, set[float]] = field(default_factory=dict)
    at: dict[str, int] = field(default_factory=dict)
    count: int = 0
    clashes: int = 0  # pairs of wires that cannot but run on each other, for the places where they leave

    def add(self, net: str, at: float, side: str = "") -> None:
        self.spans.setdefault(net, []).append(at)
        if side:
            (self.first if side == "first" else self.second).setdefault(net, set()).add(at)

    def settle(self, near: float) -> None:
        spans = {net: Span(min(xs), max(xs), tuple(sorted(self.first.get(net, ()))),
                           tuple(sorted(self.second.get(net, ())))) for net, xs in self.spans.items()}
        self.at, self.clashes = assign(spans, near)
        self.count = 1 + max(self.at.values(), default=-1)


Hop = tuple[str, int]  # ("channel", k) or ("gutter", g)


class _Grid(Standing):
    def __init__(self, view: View):
        super().__init__(replace(view, boxes=dict(view.boxes)))
        self.exact = False
        apart = arranged(view, self.ways, view.track)
        if apart is not view:
            self.show(apart)
            self.beside()
        self.align()
        self.route()
        for row in range(view.rows):
            self.dodge(row)

    def route(self) -> None:
        """Choose every wire's way and tracks, and so the place of everything."""
        self.exact = False
        self.channels = [_Tracks() for _ in range(self.view.rows + 1)]
        self.gutters = [_Tracks() for _ in range(self.n + 1)]
        self.walks = [(link, self.walk(link)) for link in self.view.links]
        self.note_needs()
        self.measure()
        self.exact = True  # now that the columns have their places, the channels' tracks can be chosen well
        self.channels = [_Tracks() for _ in range(self.view.rows + 1)]
        self.note_needs()
        self.measure()

    # -- small moves -------------------------------------------------------------------------------

    def align(self) -> None:
        """What leads straight up to a port beside its middle leaves under it; what reads nothing stands under it."""
        aside: dict[tuple[int, int], set[float]] = {}
        members: dict[tuple[int, int], list[Box]] = {}
        for box in self.boxes:
            members.setdefault((id(box.template), box.row), []).append(box)
        for link in self.view.links:
            a, b = self.view.boxes[link.source], self.view.boxes[link.target]
            lone = len(a.template.outs) == len(a.template.shapes) == len(self.cells[b.row, b.spot]) == 1
            if a.column == b.column and lone and a.row not in self.aside and not link.sideways and len(
                    self.walk(link)) == 1:
                off = self.port_x(b, b.template.ins[link.port]) - self.port_x(a, a.template.outs[link.out])
                if a.column in self.facing:  # these stand edge to edge
                    off += self.facing[a.column] * (a.template.w - b.template.w) / 2
                aside.setdefault((id(a.template), a.row), set()).add(round(off, 2))
        for group, offs in aside.items():
            off, boxes = min(offs, key=lambda x: (abs(x), x)), members[group]
            if abs(off) > 0.01:
                self.shift(boxes, off, any(b.key not in self.given for b in boxes))
        self.show(self.view)
        self.beside()

    def shift(self, boxes: list[Box], off: float, fed: bool) -> None:
        """Move boxes of one template aside, or where that would bend what they read, the point where they are left."""
        if not fed and all(len(self.cells[b.row, b.spot]) == 1 for b in boxes):
            self.off |= {box.key: off for box in boxes}
            return
        moved = left_at(boxes[0].template, off)
        for box in boxes:
            self.view.boxes[box.key] = replace(box, template=moved)

    def dodge(self, row: int) -> None:
        """Move the boxes of a row, or of the one below it, a little, where wires between them could not pass."""
        for moved in (row, row - 1):
            if moved < 0 or not self.channels[row].clashes:
                return
            found = {DODGES[0]: self.clashes()}
            for dodge in DODGES[1:]:
                found[dodge] = self.clashes_after(moved, dodge)
                if not self.channels[row].clashes:
                    return
            self.clashes_after(moved, min(found, key=found.__getitem__))

    def clashes_after(self, row: int, dodge: tuple[float, float]) -> int:
        self.dodged[row] = dodge
        self.beside()
        self.route()
        return self.clashes()

    def clashes(self) -> int:
        return sum(channel.clashes for channel in self.channels)

    # -- walks -------------------------------------------------------------------------------------

    def port_x(self, box: Box, place: Place) -> float:
        """Where a port is along a channel, roughly as long as the columns have no places."""
        if self.exact:
            return self.corner(box)[0] + place.x
        dx = self.dx[box.key] + place.x - box.template.w / 2
        column = sum(box.among) / 2 if box.column is None else {FIRST: -1, LAST: self.n}.get(box.column, box.column)
        return (2 * column + 1) * FAR + dx

    def port_y(self, box: Box, place: Place) -> float:
        return (2 * box.row + 1) * FAR + self.dy[box.key] + box.template.h / 2 - place.y

    def gutter(self, box: Box, side: str) -> int:
        if box.column is None:
            return sum(box.among) // 2 + 1
        if box.column in (FIRST, LAST):
            return 0 if box.column == FIRST else self.n
        return box.column + (side == "right")

    def walk(self, link: Link) -> list[Hop]:
        """The channels and gutters that a wire goes through."""
        a, b = self.view.boxes[link.source], self.view.boxes[link.target]
        out = self.out(link)
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
            if out.side == "top" and b.column is None and self.is_free(a, self.dx[a.key] + out.x - a.template.w / 2, b):
                hops = [("channel", b.row)]
            elif out.side == "top" and not self.is_clear(a, b, into):
                hops.append(("gutter", self.around(a, b, link)))
                hops.append(("channel", b.row))
            elif out.side != "top":
                hops.append(("channel", b.row))
        return hops

    def out(self, link: Link) -> Place:
        """Where a wire leaves its box: at the side only where nothing stands beside it there."""
        a = self.view.boxes[link.source]
        if not link.sideways:
            return a.template.outs[link.out]
        rail = a.template.rails[link.out]
        way = -1 if rail.side == "left" else 1
        hemmed = (way > 0 and a.key in self.arc) or any(
            way * (self.dx[b.key] - self.dx[a.key]) > 0 and abs(self.dy[b.key] - self.dy[a.key]) < b.template.h / 2
            for b in self.cells[a.row, a.spot])
        return a.template.outs.get(link.out, rail) if hemmed else rail

    def ways(self, link: Link) -> tuple[float, float]:
        """How far to the right a link's wire comes from and goes to, seen from the middles of its boxes."""
        a, b = self.view.boxes[link.source], self.view.boxes[link.target]
        hops = self.walk(link)
        start, end = (self.port_x(box, Place(box.template.w / 2, 0, "")) for box in (a, b))
        if len(hops) == 1:
            return (0.0, 0.0) if abs(start - end) < 0.01 else (start - end, end - start)
        gutters = [2 * number * FAR for kind, number in hops if kind == "gutter"]
        return gutters[-1] - end, gutters[0] - start

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
        if b.row <= a.row or b.column is None or b.column in self.facing:
            return False
        return self.is_free(a, x, b, b.column)

    def is_free(self, a: Box, x: float, b: Box, column: int | None = None) -> bool:
        """Are all boxes of a column between the rows of a and b beside a line that runs at x from the column's middle?

        column: by default that of a.
        """
        for row in range(a.row + 1, b.row):
            if row in self.wide:
                return False
            for other in self.cells.get((row, a.spot if column is None else column), ()):
                half, beside = other.template.w / 2 + 10, x - self.dx[other.key]
                if -half < beside < half + self.arc.get(other.key, 0.0):
                    return False
        return a.column not in self.facing

    def note_needs(self) -> None:
        """Choose the tracks of the channels, and the first time of the gutters."""
        for link, hops in self.walks:
            a, b = self.view.boxes[link.source], self.view.boxes[link.target]
            out = self.out(link)
            self.note(link.net, hops, (a, out), (b, b.template.ins[link.port]))
        for tracks in self.channels if self.exact else (*self.channels, *self.gutters):
            tracks.settle(self.view.track - NEAR)

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
        short = 0.0
        for box in middle:
            at = self.centre_x(box)
            short = max(short, abs(self.dx[box.key]) + box.template.w / 2 + MARGIN - min(at, self.width - at))
        if short > 0:
            self.left = [v + short for v in self.left]
            self.width += 2 * short
        self.base: list[float] = []  # the lower edge of each row
        used = [ch.count for ch in self.channels]
        lane = self.view.lane or track
        heights = [max(LOW if 0 < k < self.view.rows else 0.0, (count + 1) * lane + 8 if count else 0.0)
                   for k, count in enumerate(used)]
        y = MARGIN
        for row in reversed(range(self.view.rows)):
            y += heights[row + 1] + self.rise[row] + self.sink[row]
            self.base.insert(0, y)
        self.height = y + heights[0] + MARGIN

    def centre_x(self, box: Box) -> float:
        """The middle line of a box's column; of one for initial values, the edge at which they stand."""
        if box.column is None:
            first, last = (self.left[c] + self.reach_left[c] for c in box.among)
            return (first + last) / 2
        if box.column == FIRST:
            return self.left[0] - self.gutter_width[0]
        if box.column == LAST:
            return self.left[-1] + self.column_width[-1] + self.gutter_width[-1]
        return self.left[box.column] + self.reach_left[box.column]

    def corner(self, box: Box) -> tuple[float, float]:
        """The upper left corner of a box."""
        x = self.centre_x(box) + self.dx[box.key] - box.template.w / 2
        if box.column in self.facing:
            x -= self.facing[box.column] * box.template.w / 2
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
            return middle - (tracks.at[net] - (tracks.count - 1) / 2) * (self.view.lane or step) + 2
        tracks = self.gutters[number]
        left = self.left[number] - self.gutter_width[number] if number < self.n else (
            self.left[-1] + self.column_width[-1])
        if self.label_room and self.gutter_width[number] > self.label_room:
            return left + (tracks.at[net] + 1) * step  # at the left, so that labels have the room at the right
        return left + self.gutter_width[number] / 2 - 3 + (tracks.at[net] - (tracks.count - 1) / 2) * step

    # -- the scene ---------------------------------------------------------------------------------

    def scene(self) -> Scene:
        twins = {(link.source, link.out) for link in self.view.links if link.gradient}
        read = {(link.source, link.out) for link in self.view.links}
        scene, stamps = Scene(self.width, self.height, title=self.view.title), Stamps()
        for box in self.boxes:
            rails = [(q, (p.x, p.y)) for q, p in box.template.rails.items() if box.template.wires]
            ends = [at for q, at in rails if (box.key, q) not in twins] if twins else ()
            idle = [at for q, at in rails if (box.key, q) not in read and q not in _states(box.template)]
            stamps.put(scene, box, *self.corner(box), ends, idle)
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
        out = self.out(link)
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
        ends = not out.open or (link.gradient and _without_gradients(a.template))
        return Wire(tuple(tidy(points)), link.style, not into.open, ends, link.dashed, link.gradient,
                    link.label, link.adjoint, f"{link.source} -> {link.target}",
                    a.template.marks[link.out].placed(a.places) if link.out in a.template.marks else None)

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


def _states(t: Template) -> set[str]:
    """What goes on to the next step, even after the last."""
    return {key.split("[")[0] for key, place in t.ins.items() if place.side in ("left", "right")}


def _without_gradients(t: Template) -> bool:
    """Does the gradient go no further inside?"""
    return bool(t.wires) and not any(w.gradient for w in t.wires)


def layout(view: View) -> Scene:
    """Place everything that a view shows."""
    return _Grid(view).scene()
