"""The inside of a cell, laid out: ranks from left to right, a row for every value, one bend a wire.

A value's wire runs along the row of what computes it, turns once in the channel before what reads it, and enters. Rows
are taken so that no wire meets a box: a row belongs to one value from its box to its last reader. States that are
carried on elementwise run straight along the top, those that pass products along the bottom.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import networkx as nx

from .inside import Inner, Inside
from .scene import Shape, Wire
from .style import SMALL, TEXT
from .template import Place, Template
from .text import Label, width
from .tracks import Span, assign

CIRCLE = 26.0
PAD = 16.0


@dataclass(frozen=True)
class Pitch:
    """Distances: between rows, tracks and ports of one box; the narrowest channel; more where wires have twins."""

    row: float = 40.0
    track: float = 9.0
    port: float = 9.0
    channel: float = 26.0


SINGLE = Pitch()
TWIN = Pitch(row=54.0, track=16.0, port=17.0, channel=36.0)


@dataclass
class _Plan:
    """Where everything goes, in ranks and rows."""

    rank: dict[str, int] = field(default_factory=dict)
    row: dict[str, int] = field(default_factory=dict)
    taken: dict[tuple[int, int], str] = field(default_factory=dict)  # (rank, row) -> the value that owns the cell
    last: int = 0
    rows: int = 0


def arrange(inside: Inside, states: dict[str, str], passed: list[str], title: Label, panel: str,
            pitch: Pitch = SINGLE) -> Template:
    """Lay a block out. states: a state port's key -> its quantity; passed: the quantities read by other blocks."""
    return _Cell(inside, states, passed, title, panel, pitch).template()


class _Cell:
    def __init__(self, inside: Inside, states: dict[str, str], passed: list[str], title: Label, panel: str,
                 pitch: Pitch):
        self.inside, self.states, self.title, self.panel, self.pitch = inside, states, title, panel, pitch
        self.inner = inside.inner
        self.leaving = list(dict.fromkeys([*states.values(), *passed]))
        self.users: dict[str, list[str]] = {}
        for key, inner in self.inner.items():
            for s in inner.sources:
                self.users.setdefault(s, []).append(key)
        self.plan = _Plan()
        self.ranks()
        self.rows()
        self.columns()

    # -- ranks and rows ----------------------------------------------------------------------------

    def ranks(self) -> None:
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self.inner)
        graph.add_edges_from((s, k) for k, inner in self.inner.items() for s in inner.sources if s in self.inner)
        self.order = list(nx.lexicographical_topological_sort(graph, key=list(self.inner).index))
        rank = self.plan.rank
        for key in self.order:
            rank[key] = 1 + max((rank.get(s, 0) for s in self.inner[key].sources), default=0)
        for key in reversed(self.order):  # as late as what reads it allows, so that wires are short
            later = [rank[u] for u in self.users.get(key, [])]
            feeds = all(s in self.inside.ports for s in self.inner[key].sources)
            if later and feeds and self.inner[key].style != "merge" and not self.shares_merge(key):
                rank[key] = min(later) - 1
        self.plan.last = max(rank.values(), default=0)

    def shares_merge(self, key: str) -> bool:
        return any(s in self.inner and self.inner[s].style == "merge" for s in self.inner[key].sources)

    def end(self, source: str) -> int:
        """The rank up to which a value's row is its own, one beyond the last where the value leaves the block."""
        ranks = [self.plan.rank[u] for u in self.users.get(source, [])]
        name = next((q for q, k in self.inside.out.items() if k == source), None)
        if name in self.leaving:
            ranks.append(self.plan.last + 1)
        return max(ranks, default=self.plan.rank.get(source, 0))

    def highway(self, state: str) -> list[str]:
        """The circles through which a state goes to its next step, in order; [] where it does not."""
        goal = self.inside.out[state]
        circles = {k for k, i in self.inner.items() if i.shape == "circle"}
        if goal not in circles:
            return []
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_edges_from((s, k) for k in circles for s in self.inner[k].sources
                             if s in circles or self.states.get(s) == state)
        for port, q in self.states.items():
            if q == state and port in graph and nx.has_path(graph, port, goal):
                return nx.shortest_path(graph, port, goal)
        return []

    def rows(self) -> None:
        plan = self.plan
        paths = {q: self.highway(q) for q in dict.fromkeys(self.states.values())}
        straight = [q for q, path in paths.items() if path]
        self.rail: dict[str, int] = {}
        for row, q in enumerate(straight):
            self.rail[q] = row
            self.own(paths[q][0], row, 0, plan.last + 1)
            for key in paths[q][1:]:
                if key not in plan.row:
                    plan.row[key] = row
                    self.own(key, row, plan.rank[key], plan.last + 1)
        top = len(straight)
        floor = 1000  # rows of the states at the bottom, and of values that come from below and go on
        for k, q in enumerate([q for q in self.states.values() if q not in straight]):
            if q not in self.rail:
                self.rail[q] = floor + k
        for port, q in self.states.items():
            row = self.rail[q]
            if not self.free(port, row, 0, self.end(port)):
                row = floor + 100 + len(plan.row)
            if port not in plan.row:
                plan.row[port] = row
                self.own(port, row, 0, self.end(port))
        for q, row in self.rail.items():  # the way out of every state is at the height of its way in
            self.plan.taken[(plan.last + 1, row)] = self.inside.out[q]
        for key in self.by_reader():
            if key not in plan.row:
                plan.row[key] = self.choose(key, top)
                self.own(key, plan.row[key], plan.rank[key], max(plan.rank[key], self.end(key) - 1))
        below = floor + 500
        for k, key in enumerate(p for p in self.inside.ports if p not in self.states):
            if len({plan.rank[u] for u in self.users.get(key, [])}) > 1:
                plan.row[key] = below + k
        used = sorted({*plan.row.values(), *self.rail.values()})
        self.dense = {row: k for k, row in enumerate(used)}

    def by_reader(self) -> list[str]:
        """Boxes rank by rank; within a rank, what is read first and higher comes first."""
        def wish(key: str) -> tuple[int, int, float, int]:
            readers = self.users.get(key, [])
            first = min((self.plan.rank[u] for u in readers), default=self.plan.last + 1)
            row = min((self.plan.row.get(u, 50) for u in readers if self.plan.rank[u] == first), default=99)
            return self.plan.rank[key], first, row, self.order.index(key)

        return sorted(self.order, key=wish)

    def own(self, value: str, row: int, low: int, high: int) -> None:
        for rank in range(low, high + 1):
            self.plan.taken.setdefault((rank, row), value)

    def free(self, key: str, row: int, low: int, high: int) -> bool:
        return all(self.plan.taken.get((r, row), key) == key for r in range(low, high + 1))

    def choose(self, key: str, top: int) -> int:
        """The row of a box: that of the value it alone reads last, else the highest free one."""
        plan = self.plan
        low, high = plan.rank[key], max(plan.rank[key], self.end(key) - 1)
        name = next((q for q, k in self.inside.out.items() if k == key), None)
        wishes = [self.rail[name]] if name in self.rail else []
        wishes += [plan.row[s] for s in self.inner[key].sources if s in plan.row and self.end(s) == low]
        for row in wishes:
            if row >= top and self.free(key, row, low, high):
                return row
        row = top
        while not self.free(key, row, low, high):
            row += 1
        return row

    # -- coordinates -------------------------------------------------------------------------------

    def size(self, inner: Inner) -> tuple[float, float]:
        if inner.shape == "circle":
            return CIRCLE + (4 if self.pitch is TWIN else 0), CIRCLE + (4 if self.pitch is TWIN else 0)
        text = TEXT if self.pitch is TWIN else SMALL
        return max(width(inner.label, text) + 16, 34), max(26 if text == SMALL else 32,
                                                           self.pitch.port * (len(inner.sources) - 1) + 16)

    def columns(self) -> None:
        """Row and rank positions, then the entry of every wire, then the channels' tracks."""
        rows = len(self.dense)
        tall = [self.pitch.row * 0.7] * rows
        for key, inner in self.inner.items():
            k = self.dense[self.plan.row[key]]
            tall[k] = max(tall[k], self.size(inner)[1])
        self.y: list[float] = []
        at = 34.0
        for k in range(rows):
            at += tall[k] / 2 if not k else max((tall[k] + tall[k - 1]) / 2 + 10, self.pitch.row)
            self.y.append(at)
        self.height = at + (tall[-1] / 2 if rows else 0) + PAD
        self.wide = [0.0] * (self.plan.last + 2)
        for key, inner in self.inner.items():
            w = self.size(inner)[0]
            room = w + (2 * (width(inner.caption, 9) + 2) if inner.caption else 0)
            self.wide[self.plan.rank[key]] = max(self.wide[self.plan.rank[key]], room)
        self.entries: dict[tuple[str, str], tuple[str, float]] = {}
        self.upright: dict[int, list[tuple[float, float]]] = {}  # rank -> heights that vertical entries run over
        for key in self.order:
            self.enter(key)
        self.channels()

    def row_y(self, value: str) -> float:
        return self.y[self.dense[self.plan.row[value]]]

    def enter(self, key: str) -> None:
        """Where each source enters a box: (side, offset from the middle of that side)."""
        inner = self.inner[key]
        here = self.row_y(key)
        rest = []
        sides: set[str] = set()
        for s in inner.sources:
            from_below = s not in self.plan.row
            y = self.height if from_below else self.row_y(s)
            side = "top" if y < here - 1 else "bottom"
            span = (min(y, here), max(y, here))
            crossed = any(a < span[1] and span[0] < b for a, b in self.upright.get(self.plan.rank[key], []))
            if y != here and side not in sides and not crossed and self.clear(key, s, side):
                sides.add(side)
                self.upright.setdefault(self.plan.rank[key], []).append(span)
                self.entries[s, key] = (side, 0.0)
            else:
                rest.append((y, s))
        rest.sort(key=lambda r: r[0])
        level = next((k for k, (y, _) in enumerate(rest) if y == here), None)
        gap = self.pitch.port if inner.shape == "box" else min(self.pitch.port, 14 / max(1, len(rest) - 1))
        middle = level if level is not None and inner.shape == "circle" else (len(rest) - 1) / 2
        for k, (_, s) in enumerate(rest):
            self.entries[s, key] = ("left", (k - middle) * gap)

    def clear(self, key: str, source: str, side: str) -> bool:
        """May a wire reach the box vertically in its own rank, along its row or up from below?"""
        inner, rank = self.inner[key], self.plan.rank[key]
        if inner.shape == "box" and not (inner.style == "merge" and side == "bottom"):
            return False
        here = self.dense[self.plan.row[key]]
        boxes = {self.dense[self.plan.row[k]] for k in self.inner if self.plan.rank[k] == rank}
        if source not in self.plan.row:
            only = [u for u in self.users[source] if self.plan.rank[u] == rank] == [key]
            return only and not any(r > here for r in boxes)
        there = self.dense[self.plan.row[source]]
        if any(min(here, there) <= r <= max(here, there) and r != here for r in boxes):
            return False
        owner = self.plan.taken.get((rank, self.plan.row[source]), source)
        return owner == source and self.plan.rank.get(source, 0) < rank

    def channels(self) -> None:
        """Tracks of the vertical parts before every rank, and from them the ranks' x."""
        last = self.plan.last
        self.track: list[dict[str, int]] = []
        for rank in range(1, last + 2):
            spans: dict[str, Span] = {}
            for source, ys in self.turns(rank).items():
                start = self.height if source not in self.plan.row else self.row_y(source)
                if source in self.inside.ports and source not in self.states and rank == self.entry_rank(source):
                    start = self.height
                points = [start, *ys]
                spans[source] = Span(min(points), max(points), (start,), tuple(ys))
            self.track.append(assign(spans, self.pitch.port * 0.6))
        self.x = [0.0]
        at = 0.0
        for rank in range(1, last + 2):
            count = 1 + max(self.track[rank - 1].values(), default=-1)
            gap = max(self.pitch.channel, (count + 1) * self.pitch.track + 8)
            at += self.wide[rank - 1] / 2 + gap + self.wide[rank] / 2
            self.x.append(at)
        self.w = self.x[last + 1]

    def entry_rank(self, source: str) -> int:
        return min(self.plan.rank[u] for u in self.users[source])

    def turns(self, rank: int) -> dict[str, list[float]]:
        """source -> the heights at which it leaves channel `rank` to the right, where it has to turn for them."""
        found: dict[str, list[float]] = {}
        for source, users in self.users.items():
            ys = []
            for u in users:
                side, offset = self.entries[source, u]
                if self.plan.rank[u] == rank and side == "left":
                    ys.append(self.row_y(u) + offset)
            feed = source in self.inside.ports and source not in self.states
            if feed and source in self.plan.row and rank == self.entry_rank(source):
                ys.append(self.row_y(source))  # up from the border to its own row
            start = self.row_y(source) if source in self.plan.row else None
            if ys and (feed or any(y != start for y in ys)):
                found[source] = ys
        if rank == self.plan.last + 1:
            for q in self.leaving:
                key = self.inside.out[q]
                if self.out_y(q) != self.row_y(key):
                    found[key] = [*found.get(key, []), self.out_y(q)]
        return found

    def out_y(self, q: str) -> float:
        return self.y[self.dense[self.rail[q]]] if q in self.rail else self.row_y(self.inside.out[q])

    def track_x(self, rank: int, source: str) -> float:
        left = self.x[rank - 1] + self.wide[rank - 1] / 2
        right = self.x[rank] - self.wide[rank] / 2
        count = 1 + max(self.track[rank - 1].values())
        step = min(self.pitch.track, (right - left) / (count + 1))
        return (left + right) / 2 - 3 + (self.track[rank - 1][source] - (count - 1) / 2) * step

    # -- the template ------------------------------------------------------------------------------

    def template(self) -> Template:
        t = Template(self.w, self.height)
        t.panels.append(Shape("panel", 0, 0, self.w, self.height, self.panel, self.title, SMALL))
        for key, inner in self.inner.items():
            w, h = self.size(inner)
            x, y = self.x[self.plan.rank[key]] - w / 2, self.row_y(key) - h / 2
            text = TEXT if self.pitch is TWIN else 14 if inner.shape == "circle" else SMALL
            t.shapes.append(Shape(inner.shape, x, y, w, h, inner.style, inner.label, text, name=inner.name))
            if inner.caption:
                cw = width(inner.caption, 9)
                t.shapes.append(Shape("box", x + w - 1, y - 8, cw, 12, "none", inner.caption, 9))
        for source, users in self.users.items():
            for user in users:
                t.wires.append(self.wire(source, user, t))
        for q in self.leaving:
            t.wires.append(self.exit(q, t))
        return t

    def wire(self, source: str, user: str, t: Template) -> Wire:
        rank = self.plan.rank[user]
        side, offset = self.entries[source, user]
        w, h = self.size(self.inner[user])
        x, y = self.x[rank], self.row_y(user)
        if side == "left":
            back = ((w / 2) ** 2 - offset**2) ** 0.5 if self.inner[user].shape == "circle" else w / 2
            end = (x - back, y + offset)
        else:
            end = (x, y - h / 2 if side == "top" else y + h / 2)
        points = self.start(source, rank, end[0] if side != "left" else None, t)
        if side == "left" and abs(points[-1][1] - end[1]) > 0.01:
            tx = self.track_x(rank, source)
            points += [(tx, points[-1][1]), (tx, end[1])]
        elif side != "left" and abs(points[-1][0] - end[0]) > 0.01:
            points.append((end[0], points[-1][1]))
        points.append(end)
        return Wire(tuple(tidy(points)), self.line(source), tail=source in self.inner,
                    gradient=(source, user) in self.inside.gradient, name=f"{self.name(source)} -> {self.name(user)}")

    def start(self, source: str, rank: int, straight: float | None, t: Template) -> list[tuple[float, float]]:
        """The first points of a value's wire towards a rank; a port is set where it enters the block."""
        if source in self.inner:
            return [(self.x[self.plan.rank[source]] + self.size(self.inner[source])[0] / 2, self.row_y(source))]
        if source in self.states:
            t.ins[source] = Place(0, self.row_y(source), "left", True)
            return [(0.0, self.row_y(source))]
        first = self.entry_rank(source)
        if straight is not None and source not in self.plan.row:
            x = straight
        else:
            x = self.track_x(first, source)
        t.ins[source] = Place(x, self.height, "bottom", True)
        points = [(x, self.height)]
        if source in self.plan.row and rank != first:
            points.append((x, self.row_y(source)))
        return points

    def exit(self, q: str, t: Template) -> Wire:
        key = self.inside.out[q]
        y, out = self.row_y(key), self.out_y(q)
        points = [(self.x[self.plan.rank[key]] + self.size(self.inner[key])[0] / 2, y)]
        if y != out:
            tx = self.track_x(self.plan.last + 1, key)
            points += [(tx, y), (tx, out)]
        points.append((self.w, out))
        t.outs[q] = t.rails[q] = Place(self.w, out, "right", True)
        return Wire(tuple(tidy(points)), self.line(key), head=False, gradient=bool(self.inside.gradient),
                    name=f"{q} ->")

    def line(self, source: str) -> str:
        if source in self.inner:
            return self.inner[source].line
        return self.inside.ports[source].line

    def name(self, key: str) -> str:
        return self.inner[key].name if key in self.inner else key


def tidy(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points without repeats and without those on a straight line between their neighbours."""
    out: list[tuple[float, float]] = []
    for p in points:
        if out and abs(p[0] - out[-1][0]) < 0.01 and abs(p[1] - out[-1][1]) < 0.01:
            continue
        if len(out) > 1:
            (ax, ay), (bx, by) = out[-2], out[-1]
            if (abs(ax - bx) < 0.01 and abs(bx - p[0]) < 0.01) or (abs(ay - by) < 0.01 and abs(by - p[1]) < 0.01):
                out.pop()
        out.append(p)
    return out
