"""The inside of a cell at its place: ranks from left to right, a row for every value, one bend a wire."""

from __future__ import annotations

from dataclasses import dataclass

from ..scene import Point, Shape, Wire
from ..style import SMALL, TEXT
from ..template import Place, Template
from ..text import Label, width
from .inside import Inside, Part
from .plan import Plan
from .tracks import Span, assign

CAPTION = 9.0
PAD, HEADROOM = 14.0, 30.0
STATES = 46.0  # between neighbouring states, so that the boxes of their initial values have room


@dataclass(frozen=True)
class Pitch:
    """Distances in a cell, larger where wires have gradient twins; the font and the circles too."""

    row: float = 40.0
    track: float = 9.0
    port: float = 9.0
    channel: float = 26.0
    text: float = SMALL
    circle: float = 26.0


SINGLE = Pitch()
TWIN = Pitch(row=50.0, track=17.0, port=17.0, channel=38.0, text=TEXT, circle=30.0)
CLOSE = Pitch(row=50.0, track=14.0, port=14.0, channel=30.0)


def arrange(inside: Inside, states: dict[str, str], passed: list[str], title: Label, panel: str,
            pitch: Pitch = SINGLE) -> Template:
    """Lay a block out. states: a state port's key -> its quantity; passed: the quantities read by other blocks."""
    leaving = list(dict.fromkeys([*states.values(), *passed]))
    cell = _Cell(Plan(inside, states, leaving), pitch)
    if cell.clashes:
        roomy = _Cell(Plan(inside, states, leaving, roomy=True), pitch)
        cell = min(cell, roomy, key=lambda c: c.clashes)
    return cell.template(title, panel)


class _Cell:
    def __init__(self, plan: Plan, pitch: Pitch):
        self.plan, self.pitch = plan, pitch
        self.inside, self.parts = plan.inside, plan.parts
        self.entries: dict[tuple[str, str], tuple[str, float]] = {}  # (source, box) -> side, offset from the row
        self.upright: dict[int, list[tuple[int, int]]] = {}  # rank -> the rows that entries from above or below cross
        for key in plan.order:
            self.enter(key)
        self.rows()
        self.channels()

    # -- entries -----------------------------------------------------------------------------------

    def source_row(self, source: str) -> int:
        """The row from which a value comes; below all where it comes from the lower border."""
        return self.plan.row.get(source, self.plan.rows)

    def enter(self, key: str) -> None:
        """Where each source enters a box: from above or below, or at the left in the order of their rows."""
        part, here, rank = self.parts[key], self.plan.row[key], self.plan.rank[key]
        rest: list[tuple[int, str]] = []
        sides: set[str] = set()
        for s in part.sources:
            row = self.source_row(s)
            side = "top" if row < here else "bottom"
            span = (min(row, here), max(row, here))
            crossed = any(a < span[1] and span[0] < b for a, b in self.upright.get(rank, []))
            if row != here and side not in sides and not crossed and self.clear(key, s, side):
                sides.add(side)
                self.upright.setdefault(rank, []).append(span)
                self.entries[s, key] = (side, 0.0)
            else:
                rest.append((row, s))
        rest.sort(key=lambda r: r[0])
        level = next((float(k) for k, (row, _) in enumerate(rest) if row == here), (len(rest) - 1) / 2)
        gap = self.pitch.port
        if part.kind == "circle":  # around the middle if they would not meet it else
            gap = min(gap, self.pitch.circle * 0.6 / max(1, len(rest) - 1))
            if gap * max(level, len(rest) - 1 - level) > self.pitch.circle * 0.4:
                level = (len(rest) - 1) / 2
        for k, (_, s) in enumerate(rest):
            self.entries[s, key] = ("left", (k - level) * gap)

    def clear(self, key: str, source: str, side: str) -> bool:
        """May a wire come to the box from above or below, in the box's own rank?"""
        plan, part, rank = self.plan, self.parts[key], self.plan.rank[key]
        if part.kind == "box" and not (part.style == "merge" and side == "bottom"):
            return False
        here, there = plan.row[key], self.source_row(source)
        low, high = min(here, there), max(here, there)
        if any(low <= plan.row[k] <= high and k != key for k in self.parts if plan.rank[k] == rank):
            return False
        if source not in plan.row:
            return [u for u in plan.users[source] if plan.rank[u] == rank] == [key]
        return plan.taken.get((rank, there), source) == source and plan.rank.get(source, 0) < rank

    # -- coordinates -------------------------------------------------------------------------------

    def extent(self, key: str) -> tuple[float, float]:
        """How far a box reaches above and below its row: around the wires that enter it."""
        part = self.parts[key]
        if part.kind == "circle":
            return self.pitch.circle / 2, self.pitch.circle / 2
        offsets = [o for s in part.sources for side, o in [self.entries[s, key]] if side == "left"]
        half = 13.0 if self.pitch.text == SMALL else 16.0
        return max(half, 10 - min(offsets, default=0.0)), max(half, 10 + max(offsets, default=0.0))

    def wide(self, part: Part) -> float:
        return self.pitch.circle if part.kind == "circle" else max(width(part.label, self.pitch.text) + 16, 34.0)

    def rows(self) -> None:
        up = [self.pitch.circle / 2] * self.plan.rows
        down = list(up)
        for key in self.parts:
            row, (above, below) = self.plan.row[key], self.extent(key)
            up[row], down[row] = max(up[row], above), max(down[row], below)
        self.y: list[float] = []
        for k in range(self.plan.rows):
            entering = {self.plan.row[p] for p in self.plan.states}
            least = STATES if {k - 1, k} <= entering else self.pitch.row
            self.y.append(HEADROOM + up[0] if not k else self.y[-1] + max(down[k - 1] + up[k] + 12, least))
        self.height = self.y[-1] + down[-1] + PAD

    def row_y(self, source: str) -> float:
        return self.y[self.plan.row[source]] if source in self.plan.row else self.height

    def channels(self) -> None:
        """The tracks of the vertical parts before every rank, and from their number the ranks' x."""
        ranks = self.plan.last + 2
        self.left, self.right = [0.0] * ranks, [0.0] * ranks
        for key, part in self.parts.items():
            rank, half = self.plan.rank[key], self.wide(part) / 2
            caption = width(part.caption, CAPTION) + 2 if part.caption else 0.0
            self.left[rank], self.right[rank] = max(self.left[rank], half), max(self.right[rank], half + caption)
        self.track: list[dict[str, int]] = [{}]
        self.clashes = 0
        self.x = [0.0]
        for rank in range(1, ranks):
            spans: dict[str, Span] = {}
            for source, ys in self.turns(rank).items():
                start = self.height if self.rises(source, rank) else self.row_y(source)
                spans[source] = Span(min(start, *ys), max(start, *ys), (start,), tuple(ys))
            track, clashes = assign(spans, self.pitch.port * 0.6)
            self.track.append(track)
            self.clashes += clashes
            count = 1 + max(self.track[rank].values(), default=-1)
            gap = max(self.pitch.channel, (count + 1) * self.pitch.track + 8)
            self.x.append(self.x[-1] + self.right[rank - 1] + gap + self.left[rank])
        self.w = self.x[-1]

    def turns(self, rank: int) -> dict[str, list[float]]:
        """source -> the heights at which it leaves the channel before `rank`, where it has to turn for them."""
        found: dict[str, list[float]] = {}
        for source, users in self.plan.users.items():
            ys = [self.row_y(u) + self.entries[source, u][1] for u in users
                  if self.plan.rank[u] == rank and self.entries[source, u][0] == "left"]
            rises = self.rises(source, rank)
            if rises and source in self.plan.row:
                ys.append(self.row_y(source))  # up from the border to its own row
            if ys and (rises or any(y != self.row_y(source) for y in ys)):
                found[source] = ys
        if rank == self.plan.last + 1:
            for q in self.plan.leaving:
                key = self.inside.out[q]
                if self.out_y(q) != self.row_y(key):
                    found.setdefault(key, []).append(self.out_y(q))
        return found

    def straight(self, source: str) -> bool:
        """Does a value from below enter its first reader straight from below?"""
        first = self.plan.entry_rank(source)
        readers = [u for u in self.plan.users[source] if self.plan.rank[u] == first]
        return any(self.entries[source, u][0] == "bottom" for u in readers)

    def rises(self, source: str, rank: int) -> bool:
        """Does a value come up from the lower border in the channel before a rank?"""
        return self.plan.is_feed(source) and rank == self.plan.entry_rank(source) and not self.straight(source)

    def out_y(self, q: str) -> float:
        return self.y[self.plan.rail[q]] if q in self.plan.rail else self.row_y(self.inside.out[q])

    def track_x(self, rank: int, source: str) -> float:
        left, right = self.x[rank - 1] + self.right[rank - 1], self.x[rank] - self.left[rank]
        last = max(self.track[rank].values())
        return (left + right) / 2 - 3 + (self.track[rank][source] - last / 2) * self.pitch.track

    # -- the template ------------------------------------------------------------------------------

    def template(self, title: Label, panel: str) -> Template:
        t = Template(max(self.w, width(title, SMALL) + 24), self.height)
        self.x[-1] = self.w = t.w
        t.panels.append(Shape("panel", 0, 0, t.w, t.h, panel, title, SMALL))
        for key, part in self.parts.items():
            w, (above, below) = self.wide(part), self.extent(key)
            x, y = self.x[self.plan.rank[key]] - w / 2, self.row_y(key) - above
            size = self.pitch.text if part.kind == "box" else TEXT if width(part.label, TEXT) < 16 else SMALL
            t.shapes.append(Shape(part.kind, x, y, w, above + below, part.style, part.label, size, name=part.name,
                                  mark=part.mark))
            if part.caption:
                room = width(part.caption, CAPTION)
                t.shapes.append(Shape("box", x + w, y - 8, room, 12, "none", part.caption, CAPTION))
        t.wires += [self.wire(s, user, t) for s, users in self.plan.users.items() for user in users]
        t.wires += [self.exit(q, t) for q in self.plan.leaving]
        return t

    def wire(self, source: str, user: str, t: Template) -> Wire:
        rank = self.plan.rank[user]
        side, offset = self.entries[source, user]
        above, below = self.extent(user)
        x, y = self.x[rank], self.row_y(user)
        if side == "left":
            half = self.wide(self.parts[user]) / 2
            back = (half**2 - offset**2) ** 0.5 if self.parts[user].kind == "circle" else half
            end = (x - back, y + offset)
        else:
            end = (x, y - above if side == "top" else y + below)
        points = self.start(source, rank, t)
        if side != "left":
            points.append((x, points[-1][1]))
        elif abs(points[-1][1] - end[1]) > 0.01:
            bend = self.track_x(rank, source)
            points += [(bend, points[-1][1]), (bend, end[1])]
        points.append(end)
        return Wire(tuple(tidy(points)), self.line(source), tail=source in self.parts,
                    gradient=(source, user) in self.inside.gradient, name=f"{self.name(source)} -> {self.name(user)}")

    def leave(self, key: str) -> Point:
        return self.x[self.plan.rank[key]] + self.wide(self.parts[key]) / 2, self.row_y(key)

    def start(self, source: str, rank: int, t: Template) -> list[Point]:
        """The first points of a value's wire towards a rank; where it enters the block, a port is set."""
        if source in self.parts:
            return [self.leave(source)]
        if not self.plan.is_feed(source):
            t.ins[source] = Place(0, self.row_y(source), "left", True)
            return [(0.0, self.row_y(source))]
        first = self.plan.entry_rank(source)
        straight = self.straight(source)
        x = self.x[first] if straight else self.track_x(first, source)
        t.ins[source] = Place(x, self.height, "bottom", True)
        turns = source in self.plan.row and (rank != first or straight)
        return [(x, self.height), *([(x, self.row_y(source))] if turns else [])]

    def exit(self, q: str, t: Template) -> Wire:
        key, out = self.inside.out[q], self.out_y(q)
        points = [self.leave(key)]
        if points[0][1] != out:
            bend = self.track_x(self.plan.last + 1, key)
            points += [(bend, points[0][1]), (bend, out)]
        points.append((self.w, out))
        t.outs[q] = t.rails[q] = Place(self.w, out, "right", True)
        return Wire(tuple(tidy(points)), self.line(key), head=False, gradient=(key, "") in self.inside.gradient,
                    name=f"{q} ->")

    def line(self, source: str) -> str:
        return self.parts[source].line if source in self.parts else self.inside.ports[source].line

    def name(self, key: str) -> str:
        return self.parts[key].name or self.name_of(key) if key in self.parts else key

    def name_of(self, key: str) -> str:
        return self.plan.name_of.get(key, "".join(s.text for s in self.parts[key].label))


def tidy(points: list[Point]) -> list[Point]:
    """Points without repeats and without those on a straight line between their neighbours."""
    out: list[Point] = []
    for p in points:
        if out and abs(p[0] - out[-1][0]) < 0.01 and abs(p[1] - out[-1][1]) < 0.01:
            continue
        if len(out) > 1:
            (ax, ay), (bx, by) = out[-2], out[-1]
            if (abs(ax - bx) < 0.01 and abs(bx - p[0]) < 0.01) or (abs(ay - by) < 0.01 and abs(by - p[1]) < 0.01):
                out.pop()
        out.append(p)
    return out
