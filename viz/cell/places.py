"""Where the parts of a cell's inside stand, on a grid: gates on one line, straight states along the top.

A part that reads another stands above it in its column where it can; what a straight state feeds hangs below it.
"""

from __future__ import annotations

import math
from itertools import count

from ..style import SMALL, TEXT
from ..text import Label, quantity, width
from .graph import Inner, Part, port_label

UNIT = 10.0  # points a cell of the grid
HIGH = 7  # cells from row to row
BUS = 3  # between lines that run below the gates
CAPTION = 11.0
RADIUS = 15.0
HALF = 17.0  # of a box's height
WIDEST_POSITION = "l,t"


def half_width(part: Part) -> int:
    """Cells from the middle of a part to its side."""
    if part.kind == "dot":
        return 0
    if part.kind == "circle":
        return 2
    wide = max(width(part.label, size(part)) + 14, 56.0, 22.0 * len(part.sources))
    return math.ceil(wide / 2 / UNIT)


def size(part: Part) -> float:
    """The font size of a part's label."""
    return TEXT if width(part.label, TEXT) < (21 if part.kind == "circle" else 70) else SMALL


class Places:
    """at: part -> (x, y) of its middle, in cells; entry: port -> (x, y), the border's point where it enters; leave:
    (quantity, side) -> (x, y); width, height: of the cell.

    spread: cells added between columns and rows, for lines that found no way.
    """

    def __init__(self, inner: Inner, spread: int = 0, title: Label = ()):
        self.inner, self.spread, self.title = inner, spread, title
        self.high = {key: k for k, path in enumerate(inner.straight.values()) for key in path[1:]}
        self.below = self._below()
        self.line = {k for k, p in inner.parts.items() if k not in self.below and self._on_line(p)}
        self.columns: list[list[str]] = []
        self.column: dict[str, int] = {}
        self.level: dict[str, int] = dict.fromkeys(self.line, 0)
        self.depth: dict[str, int] = {}  # below the straight states, of what hangs from them
        self.order: list[str] = []
        for path in inner.straight.values():
            for key in path[1:]:
                self._emit(key)
        for key in [*inner.out.values(), *inner.parts]:
            self._emit(key)
        self.at: dict[str, tuple[int, int]] = {}
        self.feeds: dict[str, int] = {}  # what comes from below to join a line -> its column
        self.entry: dict[str, tuple[int, int]] = {}
        self.leave: dict[tuple[str, str], tuple[int, int]] = {}
        self._rows()
        self._across()

    # -- which row ---------------------------------------------------------------------------------

    def is_outside(self, key: str) -> bool:
        """Is it a port, or a dot where ports join?"""
        return key not in self.inner.parts or self.inner.parts[key].kind == "dot"

    def _on_line(self, part: Part) -> bool:
        if part.kind != "box" or part.key in self.high:
            return False
        ports = [s for s in part.sources if self.is_outside(s)]
        squashed = part.style == "tanh" and (part.mark is not None or not self._is_carried(part.key))
        return part.style == "gate" or bool(ports) or squashed

    def _is_carried(self, key: str) -> bool:
        """Does a part read straight states alone, through whatever there is?"""
        return all(s in self.high or (not self.is_outside(s) and self._is_carried(s))
                   for s in self.inner.parts[key].sources)

    def _below(self) -> dict[str, int]:
        """What boxes on the line alone read and what itself reads from outside alone: how far under the line."""
        found: dict[str, int] = {}
        for key in reversed(list(self.inner.parts)):
            self._sink(key, found)
        return found

    def _sink(self, key: str, found: dict[str, int]) -> int | None:
        part, users = self.inner.parts[key], self.inner.users(key)
        if key in found:
            return found[key]
        leaves = key in {self.inner.out[q] for q in [*self.inner.right, *self.inner.top]}
        named = part.style == "tanh" and part.mark is not None
        if part.kind == "dot" or part.style == "gate" or named or key in self.high or leaves or not users:
            return None
        if not all(self.is_outside(s) for s in self._origins(key)):
            return None
        depths = [self._sink(u, found) if not self._takes(u) else 0 for u in users]
        if any(d is None for d in depths):
            return None
        found[key] = 1 + max(d for d in depths if d is not None)
        return found[key]

    def _takes(self, key: str) -> bool:
        part = self.inner.parts[key]
        return part.style in ("gate", "tanh") and part.kind == "box" and key not in self.high

    def _origins(self, key: str) -> set[str]:
        """Where what a part reads comes from, through parts that may stand under the line themselves."""
        found: set[str] = set()
        stack = list(self.inner.parts[key].sources)
        while stack:
            s = stack.pop()
            if self.is_outside(s) or self.inner.parts[s].style in ("gate", "tanh") or s in self.high:
                found.add(s)
            else:
                stack += self.inner.parts[s].sources
        return found

    # -- which column ------------------------------------------------------------------------------

    def _emit(self, root: str) -> None:
        """Place a part after all that it reads: of these the straight state first, then as they are read."""
        stack = [root]
        while stack:
            key = stack[-1]
            if self.is_outside(key) or key in self.column:
                stack.pop()
                continue
            sources = self.inner.parts[key].sources
            waiting = [s for s in sources if not self.is_outside(s) and s not in self.column]
            if waiting:
                stack += sorted(waiting, key=lambda s: s not in self.high)[:1]
            else:
                self._place(stack.pop())

    def _place(self, key: str) -> None:
        sources = [s for s in self.inner.parts[key].sources if s in self.column]
        last = self.order[-1] if self.order else ""
        stacked = last in sources and not any(k in self.high for k in self.columns[self.column[last]])
        if key in self.high:
            stacked = stacked and last not in self.depth
        elif key in self.below:
            self.level[key] = -self.below[key]
            stacked = stacked and self.level.get(last, 0) < self.level[key]
        elif key in self.line:
            stacked = stacked and last in self.below
        elif (last in sources and last in self.depth) or self._hangs(sources):
            above = [self.depth.get(s, 0) for s in sources if s in self.depth or s in self.high]
            self.depth[key] = 1 + max(above, default=0)
            stacked = stacked and last in self.depth
        else:
            self.level[key] = self._up(key, sources, last if stacked else "")
        if not stacked:
            self.columns.append([])
        self.columns[-1].append(key)
        self.column[key] = len(self.columns) - 1
        self.order.append(key)

    def _hangs(self, sources: list[str]) -> bool:
        return bool(sources) and all(s in self.high or s in self.depth for s in sources)

    def _up(self, key: str, sources: list[str], under: str) -> int:
        """The lowest level above what stands under a part at which what else it reads may come straight."""
        level = max([1, *(self.level.get(s, 0) for s in sources)])
        if under:
            level = max(level, self.level.get(under, 0) + 1)
        while any(self.level.get(k) == level for s in sources if self.level.get(s) == level
                  for c in self.columns[self.column[s] + 1 :] for k in c):
            level += 1
        return level

    # -- places ------------------------------------------------------------------------------------

    def _rows(self) -> None:
        """The heights of the straight states, the levels, and the lines below; y downward."""
        inner, pitch = self.inner, HIGH + self.spread
        deepest = max(self.depth.values(), default=0)
        top = max([*self.level.values(), deepest - 1, 0])
        straight = len(inner.straight)
        head = 5
        self.high_y = [head + pitch * k for k in range(straight)]
        gates = head + pitch * (top + straight)
        self.y: dict[str, int] = {}
        for key in self.order:
            if key in self.high:
                self.y[key] = self.high_y[self.high[key]]
            elif key in self.depth:
                bottom = key == self.columns[self.column[key]][-1] and key in inner.out.values()
                self.y[key] = gates - pitch * (0 if bottom else top + 1 - self.depth[key])
            else:
                self.y[key] = gates - pitch * self.level[key]
        bus = max(self.y.values()) + HIGH + 1
        rows = count(bus, BUS + self.spread // 2)
        straight_ports = {path[0]: self.high_y[k] for k, path in enumerate(inner.straight.values())}
        self.side: dict[str, int] = {}
        for key in inner.states:
            self.side[key] = straight_ports[key] if key in straight_ports else next(rows)
        self.bus: list[int] = []
        for chain in inner.joins:
            first = inner.parts[chain[0]].sources[0]
            taken = self.side.get(first, 0) < bus or self.side[first] in self.bus
            self.bus.append(next(rows) if taken else self.side[first])
        last = max([*self.bus, *self.side.values()])
        self.height = last + 4 if last >= bus else bus - 2 + self.spread

    def lanes(self) -> tuple[set[int], set[int]]:
        """Rows and columns that lines prefer: of parts, of what enters, just below it, and what leaves at the top."""
        rows = {*self.y.values(), *self.bus, *(y + 2 for y in self.bus), *self.side.values()}
        return rows, {x for x, _ in [*self.at.values(), *(p for (_, side), p in self.leave.items() if side == "top")]}

    def _across(self) -> None:
        inner = self.inner
        x = self._joins()
        gap = 4 + self.spread
        x -= 0 if inner.joins else 2
        for column in self.columns:
            half = max(max(half_width(inner.parts[k]), self._caption_room(k)) for k in column)
            x += half
            for key in column:
                self.at[key] = (x, self.y[key])
            x += max(half_width(inner.parts[k]) for k in column) + gap
        self.width = x + 1 + 2 * self.spread
        self._borders()

    def _joins(self) -> int:
        """Place the dots where lines join, each above the name of what joins there; the next free column."""
        inner, x, right = self.inner, 5, 0
        for chain, y in zip(self.inner.joins, self.bus, strict=True):
            first = inner.parts[chain[0]].sources[0]
            x += 2 if first in self.at else 0  # to turn down to it
            for key, feed in [("", first), *((key, inner.parts[key].sources[1]) for key in chain)]:
                if feed in inner.ports and feed not in inner.states and feed not in self.feeds:
                    half = _half_name(inner, feed)
                    x = max(x, right + half)
                    self.feeds[feed], right = x, x + half
                elif not key:
                    continue
                if key:
                    self.at[key] = (x, y)
                x += 3 + self.spread
        return x

    def _caption_room(self, key: str) -> int:
        part = self.inner.parts[key]
        return math.ceil((width(part.caption, CAPTION) + 8) / UNIT) if part.caption and part.kind == "box" else 0

    def _wish(self, feed: str) -> tuple[int, bool]:
        """The column of what reads a value from below, or where that stands on others, the one right of it; does it?"""
        if feed in self.feeds:
            return self.feeds[feed], False
        inner = self.inner
        reader = min(inner.users(feed), key=lambda u: self.at[u])
        x, y = self.at[reader]
        under = [k for k in self.order if self.at[k][0] == x and self.at[k][1] > y]
        aside = max(half_width(inner.parts[k]) for k in (reader, *under)) + 2 if under else 0
        return x + aside, bool(under)

    def _borders(self) -> None:
        inner = self.inner
        for key, y in self.side.items():
            self.entry[key] = (0, y)
        feeds = [key for key in inner.ports if key not in inner.states]
        wished = sorted((self._wish(key), k) for k, key in enumerate(feeds))
        right = 0
        for (x, _), k in wished:
            half = _half_name(inner, feeds[k])
            x = max(x, right + half)
            self.entry[feeds[k]] = (x, self.height)
            right = x + half
        at = max(self.width, right, 3 + math.ceil(width(self.title, SMALL) / UNIT))
        for k, name in enumerate(inner.top):
            half = _half_name(inner, name)
            at += half if k else 0
            self.leave[name, "top"] = (at, 0)
            at += half
        self.width = max(at, self.width) + (1 if inner.top else 0)
        for name in inner.right:
            port = next(key for key, q in inner.states.items() if q == name)
            self.leave[name, "right"] = (self.width, self.side[port])


def _half_name(inner: Inner, key: str) -> int:
    """Cells that half of a name needs below or above the border."""
    label = port_label(inner.ports[key]) if key in inner.ports else quantity(key, WIDEST_POSITION)
    return math.ceil(width(label, TEXT) / 2 / UNIT) + 1
