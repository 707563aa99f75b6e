"""Ways for lines on a grid: around what stands there, with few turns and few crossings, never along another line.

A short way by weighted A* (Pohl 1970) over (cell, direction), one line after another; each is then taken up and laid
once more with all others in place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise
from typing import NamedTuple

RIGHT, DOWN, LEFT, UP = range(4)
STEP = ((1, 0), (0, 1), (-1, 0), (0, -1))
TURN, CROSS, FORK, CORNER, AT_HEAD, BESIDE, STUB = 3.0, 7.0, 1.5, 1.0, 4.0, 0.6, 1.5
OFF_LANE = (0.25, 0.02)  # a step along a row, and along a column, that is no lane
HASTE = (1.25, 1.25, 1.0)  # by how much a way may cost more than the cheapest, for a search that is several times
#                            shorter: when lines are laid, and laid once more in each of the rounds that follow

Cell = tuple[int, int]


class End(NamedTuple):
    """A cell before a part's side and the direction in which a line passes it; point: on the part's border."""

    cell: Cell
    way: int
    point: tuple[float, float]
    cost: float = 0.0


@dataclass
class Net:
    """A value's lines. starts: where they may begin; goals: of each reader, where they may end; paths: as found, the
    first from a start, others from a cell of an earlier one; ends: of each goal, the one that was taken; first: goals
    whose ways are laid before those of other nets; early: those that come next; far_first: then long ways come before
    short ones, which fork off them."""

    key: str
    starts: list[End]
    goals: dict[str, list[End]]
    first: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    far_first: bool = False
    start: End | None = None
    paths: dict[str, list[Cell]] = field(default_factory=dict)
    ends: dict[str, End] = field(default_factory=dict)

    def turn(self, goal: str) -> tuple[bool, bool, int]:
        """When a goal's way is laid, as a sorting key."""
        far = _far(self, goal)
        return goal not in self.first, goal not in self.early, -far if self.far_first else far

    def cells(self) -> set[Cell]:
        """Where its lines are."""
        return {cell for path in self.paths.values() for cell in path}


class Grid:
    """What stands where. flat, upright: cell -> the net that passes it that way, both at its turns and forks; patience:
    how many states may be looked at before it gives up."""

    def __init__(self, width: int, height: int, patience: int = 1 << 40):
        self.width, self.height, self.patience = width, height, patience
        self.blocked: set[Cell] = set()
        self.stubs: set[Cell] = set()
        self.kept: dict[Cell, str] = {}  # cells that one net alone may pass
        self.lanes: tuple[set[int], set[int]] = (set(), set())  # rows and columns that lines prefer
        self.used: tuple[dict[Cell, str], dict[Cell, str]] = ({}, {})
        self.haste = HASTE[0]

    def block(self, left: int, top: int, right: int, bottom: int) -> None:
        """Let nothing pass a rectangle of cells."""
        self.blocked |= {(x, y) for x in range(left, right + 1) for y in range(top, bottom + 1)}

    def route(self, nets: list[Net]) -> bool:
        """Lay all nets; False where one finds no way in time."""
        for net in nets:
            if not all(self.lay(net, goal) for goal in net.first):
                return False
        ordered = in_turn(nets)
        for turn, self.haste in enumerate(HASTE):
            for net in ordered:
                if turn:
                    self.lift(net)
                for goal in sorted(net.goals, key=net.turn):
                    if goal not in net.paths and not self.lay(net, goal):
                        return False
        return True

    def lift(self, net: Net) -> None:
        """Take a net up again."""
        for used in self.used:
            for cell in [c for c, key in used.items() if key == net.key]:
                del used[cell]
        net.paths, net.ends, net.start = {}, {}, None

    def lay(self, net: Net, goal: str) -> bool:
        """Find the way from a net to one of its goals."""
        found = self._search(net, net.goals[goal]) if self.patience > 0 else None
        if found is None:
            return False
        path, end = found
        if net.start is None:
            net.start = next(s for s in net.starts if s.cell == path[0])
        net.paths[goal], net.ends[goal] = path, end
        for a, b in pairwise(path):
            upright = int(a[0] == b[0])
            self.used[upright][a] = self.used[upright][b] = net.key
        return True

    def _search(self, net: Net, goals: list[End]) -> tuple[list[Cell], End] | None:
        """The cheapest way, or nearly so, from a net's start, or from what is laid of it, to one of the ends.

        A state is a number, 4 * place + way, the place a cell's on a grid with a margin of one cell.
        """
        across, high = self.width + 3, self.height + 3
        stride = (1, across, -1, -across)
        wanted = {4 * self._place(g.cell) + g.way: g for g in goals}
        own, targets = net.cells(), _targets(goals)
        best = [math.inf] * (4 * across * high)
        came = [0] * (4 * across * high)
        rests: list[float | None] = [None] * (4 * across * high)
        tolls: list[float | None] = [None] * (2 * across * high)
        heap: list[tuple[float, int, float, int]] = []
        order, haste = 0, self.haste

        def push(cost: float, state: int, before: int) -> None:
            nonlocal order
            best[state], came[state] = cost, before
            rest = rests[state]
            if rest is None:
                x, y = self._cell(state >> 2)
                rest = rests[state] = min([_least(x, y, state & 3, *t) for t in targets])
            order += 1
            heappush(heap, (cost + haste * rest, order, cost, state))

        def step(place: int, way: int, cost: float, before: int) -> None:
            """Go one cell on, if nothing is in the way."""
            to = place + stride[way]
            state, number = 4 * to + way, 2 * to + way % 2
            if state in wanted:
                toll: float | None = self._toll(net, wanted[state].cell, way % 2, own, wanted[state])
            else:
                toll = tolls[number]
                if toll is None:
                    toll = tolls[number] = self._toll(net, self._cell(to), way % 2, own)
            if toll is not None and cost + toll < best[state]:
                push(cost + toll, state, before)

        for state, cost in self._begins(net, own):
            if state < 0:  # of a cell from which all ways are open
                for way in range(4):
                    step(-state, way, cost, state)
            elif cost < best[state]:
                push(cost, state, 0)
        while heap:
            self.patience -= 1
            _, _, cost, state = heappop(heap)
            if cost > best[state]:
                continue
            if state in wanted:
                return self._traced(came, state), wanted[state]
            place, way = state >> 2, state & 3
            step(place, way, cost, state)
            if self._may_turn(place):
                step(place, (way + 1) % 4, cost + TURN, state)
                step(place, (way + 3) % 4, cost + TURN, state)
        return None

    def _begins(self, net: Net, own: set[Cell]) -> Iterator[tuple[int, float]]:
        """The states in which a way may begin, with their costs; a place with a minus where it forks off what is laid.
        """
        flat, upright = self.used
        if not own:
            yield from ((4 * self._place(s.cell) + s.way, s.cost) for s in net.starts
                        if s.cell not in flat and s.cell not in upright)
        heads = {path[-2] for path in net.paths.values()}
        for cell in own - {net.start.cell if net.start else (-1, -1)} - {e.cell for e in net.ends.values()}:
            owners = flat.get(cell, ""), upright.get(cell, "")
            if all(o in (net.key, "") for o in owners):
                yield -self._place(cell), (FORK + (CORNER if owners[0] == owners[1] else 0)
                                           + (AT_HEAD if cell in heads else 0))

    def _place(self, cell: Cell) -> int:
        return (cell[1] + 1) * (self.width + 3) + cell[0] + 1

    def _cell(self, place: int) -> Cell:
        y, x = divmod(place, self.width + 3)
        return x - 1, y - 1

    def _may_turn(self, place: int) -> bool:
        cell = self._cell(place)
        return cell not in self.used[0] and cell not in self.used[1] and cell not in self.blocked

    def _traced(self, came: list[int], state: int) -> list[Cell]:
        """The cells of a way, from its start."""
        path: list[Cell] = []
        while state > 0:
            path.append(self._cell(state >> 2))
            state = came[state]
        return [*([self._cell(-state)] if state else []), *path[::-1]]

    def _toll(self, net: Net, to: Cell, upright: int, own: set[Cell], end: End | None = None) -> float:
        """What entering a cell costs, along a row or upright; infinite where something is in the way."""
        x, y = to
        along, across = self.used[upright], self.used[1 - upright]
        inside = to not in self.blocked and 0 < x < self.width and 0 < y < self.height
        if to in own or to in along or self.kept.get(to, net.key) != net.key:
            return math.inf
        if to in across if end is not None else not inside:
            return math.inf
        cost = 1 + (CROSS if to in across else 0) + (end.cost if end else 0)
        if to in self.stubs and end is None:
            cost += STUB
        if to[1 - upright] not in self.lanes[upright]:
            cost += OFF_LANE[upright]
        for side in (-1, 1):
            if ((x + side, y) if upright else (x, y + side)) in along:
                cost += BESIDE
        return cost

    def crossings(self) -> set[Cell]:
        """Where two nets cross."""
        flat, upright = self.used
        return {c for c in flat.keys() & upright.keys() if flat[c] != upright[c]}


class Target(NamedTuple):
    """Goals that are entered in one direction: the rectangle that they lie in, and the least cost of them."""

    way: int
    left: int
    top: int
    right: int
    bottom: int
    cost: float


def _targets(goals: list[End]) -> list[Target]:
    by_way: dict[int, list[End]] = {}
    for g in goals:
        by_way.setdefault(g.way, []).append(g)
    return [Target(way, min(g.cell[0] for g in own), min(g.cell[1] for g in own), max(g.cell[0] for g in own),
                   max(g.cell[1] for g in own), min(g.cost for g in own)) for way, own in by_way.items()]


def _least(x: int, y: int, way: int, into: int, left: int, top: int, right: int, bottom: int, cost: float) -> float:
    """What a way from a cell, passed in a direction, to a target costs at least: its length and its turns."""
    ahead = (right - x, bottom - y, x - left, y - top)  # how far there are goals each way
    across, down, back, up = ahead
    length = (-across if across < 0 else -back if back < 0 else 0) + (-down if down < 0 else -up if up < 0 else 0)
    turned = (into - way) % 4
    if turned == 0:
        inside = down >= 0 <= up if way % 2 == 0 else across >= 0 <= back
        turns = 0 if inside and ahead[way] >= 0 else 2
    elif turned == 2:
        turns = 2
    else:
        turns = 1 if ahead[way] >= 0 <= ahead[into] else 3
    return length + cost + TURN * turns


def _far(net: Net, goal: str) -> int:
    return min(abs(s.cell[0] - g.cell[0]) + abs(s.cell[1] - g.cell[1]) for s in net.starts for g in net.goals[goal])


def in_turn(nets: list[Net]) -> list[Net]:
    """The order in which nets are laid: short ones first."""
    return sorted(nets, key=lambda net: (max((_far(net, g) for g in net.goals), default=0), net.key))
