"""The ways of wires through channels and gutters, and how much room these need.

Channel k lies under row k, gutter g left of column g. A wire is a walk through channels and gutters; its track in each
is chosen so that no two wires run on each other, and only then have things a place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..blocks.tracks import Span, assign
from ..style import MARGIN, SMALL
from ..template import Place
from ..text import width
from ..view import FIRST, LAST, Box, Link, View
from .standing import SOME, Standing

FAR = 100_000.0  # coarse coordinates: the distance of a column from the gutter beside it
NEAR = 4.0  # two ends of different wires in one channel, but for the distance of its tracks, count as one place
LOW, NARROW = 30.0, 40.0  # the lowest channel and the narrowest gutter


@dataclass
class _Tracks:
    """The nets of one channel or gutter."""

    spans: dict[str, list[float]] = field(default_factory=dict)
    first: dict[str, set[float]] = field(default_factory=dict)
    second: dict[str, set[float]] = field(default_factory=dict)
    afar: dict[str, tuple[set[float], set[float]]] = field(default_factory=dict)
    needs: list[tuple[str, Span]] = field(default_factory=list)
    at: dict[str, int] = field(default_factory=dict)
    count: int = 0
    clashes: int = 0  # pairs of wires that cannot but run on each other, for the places where they leave

    def add(self, net: str, at: float, side: str = "") -> None:
        self.spans.setdefault(net, []).append(at)
        if side:
            (self.first if side == "first" else self.second).setdefault(net, set()).add(at)

    def add_afar(self, net: str, at: float, side: str) -> None:
        self.spans.setdefault(net, []).append(at)
        self.afar.setdefault(net, (set(), set()))[side != "first"].add(at)

    def settle(self, near: float, before: _Tracks | None) -> None:
        """Choose the tracks; before: the same channel when all was routed last, which mostly has changed elsewhere."""
        def ordered(found: Iterable[float]) -> tuple[float, ...]:
            return tuple(sorted(found))

        spans = {net: Span(min(xs), max(xs), ordered(self.first.get(net, ())), ordered(self.second.get(net, ())),
                           (ordered(self.afar[net][0]), ordered(self.afar[net][1])) if net in self.afar else ((), ()))
                 for net, xs in self.spans.items()}
        self.needs = list(spans.items())
        same = before is not None and before.needs == self.needs
        self.at, self.clashes = (before.at, before.clashes) if same and before is not None else assign(spans, near)
        self.count = 1 + max(self.at.values(), default=-1)


Hop = tuple[str, int]  # ("channel", k) or ("gutter", g)


class Routes(Standing):
    """Boxes with places, and wires with walks.

    joint: see `ways_of_many`; exact: are places known, from which tracks can be chosen well?
    """

    def __init__(self, view: View):
        super().__init__(view)
        self.joint = self.ways_of_many()
        self.exact = False
        self.before: dict[tuple[bool, Hop], _Tracks] = {}  # when they were settled last

    def route(self) -> None:
        """Choose every wire's way and tracks, and so the place of everything."""
        self.walks = [(link, self.walk(link)) for link in self.view.links]
        self.labelled = {number for li, hops in self.walks if li.label for kind, number in hops if kind == "channel"}
        self.through: dict[Hop, list[tuple[int, int]]] = {}  # number of a walk, and of the hop in it
        for k, (_, hops) in enumerate(self.walks):
            for h, hop in enumerate(hops):
                self.through.setdefault(hop, []).append((k, h))
        self.exact = False
        self.channels = [self.settled(("channel", k)) for k in range(self.view.rows + 1)]
        self.gutters = [self.settled(("gutter", k)) for k in range(self.n + 1)]
        self.measure()
        self.exact = True  # now that the columns have their places, the channels' tracks can be chosen well
        self.channels = [self.settled(("channel", k)) for k in range(self.view.rows + 1)]
        self.measure()

    # -- walks -------------------------------------------------------------------------------------

    def port_x(self, box: Box, place: Place) -> float:
        """Where a port is along a channel, roughly as long as the columns have no places."""
        if self.exact:
            return self.corner(box)[0] + place.x
        return (2 * self.column(box) + 1) * FAR + self.middle(box) + place.x - box.template.w / 2

    def column(self, box: Box) -> float:
        """The number of a box's column, from the left; between two of them where it stands in the middle of several."""
        return sum(box.among) / 2 if box.column is None else {FIRST: -1, LAST: self.n}.get(box.column, box.column)

    def port_y(self, box: Box, place: Place) -> float:
        """The height of a port, while rows are far apart."""
        return (2 * box.row + 1) * FAR + self.dy[box.key] + box.template.h / 2 - place.y

    def gutter(self, box: Box, side: str) -> int:
        """The number of the gutter at a side of a box."""
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
            if out.side == "top" and b.column is None and self.is_free(a, self.middle(a) + out.x - a.template.w / 2, b):
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
        """The gutter by which a wire passes the rows between: the left one for inputs, else the right one.

        What is given at the right of what is computed takes the right one as well, not to cross that. What many boxes
        are read as together, such as h[1] ... h[S] by attention, passes them by one gutter.
        """
        if link.net in self.joint and a.column is not None:
            return self.joint[link.net]
        if a.column is None and b.column is not None:
            return self.gutter(b, "left")
        if a.column is not None and b.column is not None and a.column != b.column and b.column >= 0:
            return self.gutter(a, "right" if b.column > a.column else "left")
        aside = a.key in self.given and any(b.key not in self.given for b in self.cells[a.row, a.spot])
        return self.gutter(a, "left" if link.style == "input" and not aside else "right")

    def ways_of_many(self) -> dict[str, int]:
        """net of wires from boxes in several columns -> the gutter by which these pass rows: right of the last one."""
        columns: dict[str, set[int]] = {}
        for link in self.view.links:
            source = self.view.boxes[link.source]
            if not link.sideways and source.column is not None and source.column >= 0:
                columns.setdefault(link.net, set()).add(source.column)
        return {net: max(found) + 1 for net, found in columns.items() if len(found) > 1}

    def is_clear(self, a: Box, b: Box, into: Place) -> bool:
        """May a wire go straight up to b through the rows between, beside all boxes there?"""
        x = self.middle(b) + into.x - b.template.w / 2
        if b.row <= a.row or b.column is None or (b.column in self.facing and a.column != b.column):
            return False
        return self.is_free(a, x, b, b.column)

    def is_free(self, a: Box, x: float, b: Box, column: int | None = None) -> bool:
        """Are all boxes of a column between the rows of a and b beside a line that runs at x from the column's middle?

        column: by default that of a.
        """
        spot = a.spot if column is None else column
        row = a.row + 1
        while row < b.row:
            low, high = self.hull(row // SOME, spot)
            if row % SOME == 0 and row + SOME <= b.row and not low < x < high:
                row += SOME
            elif any(low < x < high for low, high in self.in_the_way(row, spot)):
                return False
            else:
                row += 1
        return a.column not in self.facing or a.column == b.column

    def settled(self, hop: Hop) -> _Tracks:
        """The tracks of a channel or a gutter, from where the wires through it enter and leave it."""
        tracks = _Tracks()
        for k, h in self.through.get(hop, ()):
            self.note(tracks, *self.walks[k], h)
        tracks.settle(self.view.track - NEAR, self.before.get((self.exact, hop)))
        self.before[self.exact, hop] = tracks
        return tracks

    def note(self, tracks: _Tracks, link: Link, hops: list[Hop], k: int) -> None:
        """Note where a wire enters and leaves one of the channels and gutters on its way."""
        a, b = self.view.boxes[link.source], self.view.boxes[link.target]
        kind, number = hops[k]
        for step in (-1, 1):
            box, other = a if step < 0 else b, k + step
            if 0 <= other < len(hops):
                near = box.row if kind == "channel" else self.column(box)
                beyond = hops[other + step][1] if 0 <= other + step < len(hops) else near + 0.5
                side = "first" if beyond < number else "second"
                if kind == "channel" and self.exact:
                    tracks.add(link.net, self.track(*hops[other], link.net), side)
                else:
                    tracks.add_afar(link.net, 2 * hops[other][1] * FAR, side)
                continue
            place = self.out(link) if step < 0 else b.template.ins[link.port]
            if kind == "channel":
                tracks.add(link.net, self.port_x(box, place), "first" if place.side == "top" else "second")
            else:
                tracks.add(link.net, self.port_y(box, place), "first" if place.side == "right" else "second")

    # -- measures ----------------------------------------------------------------------------------

    def measure(self) -> None:
        """How wide gutters and columns are, and how high channels and rows."""
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
        heights = [max(LOW if 0 < k < self.view.rows else 0.0, (count + 1) * self.lane(k) + 8 if count else 0.0)
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
        x = self.centre_x(box) + self.middle(box) - box.template.w / 2
        return x, self.base[box.row] - self.sink[box.row] - self.dy[box.key] - box.template.h / 2

    def lane(self, channel: int) -> float:
        """From line to line in a channel, with room between them where some have labels."""
        return self.view.lane if self.view.lane and channel in self.labelled else self.view.track

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
            return middle - (tracks.at[net] - (tracks.count - 1) / 2) * self.lane(number) + 2
        tracks = self.gutters[number]
        left = self.left[number] - self.gutter_width[number] if number < self.n else (
            self.left[-1] + self.column_width[-1])
        if self.label_room and self.gutter_width[number] > self.label_room:
            return left + (tracks.at[net] + 1) * step  # at the left, so that labels have the room at the right
        return left + self.gutter_width[number] / 2 - 3 + (tracks.at[net] - (tracks.count - 1) / 2) * step
