"""Ways for lines on a grid: around what stands there, with few turns and few crossings, never along another line.

The shortest way by A* (Hart, Nilsson, Raphael 1968) over (cell, direction), one line after another; each is then taken
up and laid once more with all others in place.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

RIGHT, DOWN, LEFT, UP = range(4)
STEP = ((1, 0), (0, 1), (-1, 0), (0, -1))
TURN, CROSS, FORK, CORNER, AT_HEAD, BESIDE, STUB = 3.0, 7.0, 1.5, 1.0, 4.0, 0.6, 1.5
OFF_LANE = (0.25, 0.02)  # a step along a row, and along a column, that is no lane
ROUNDS = 2

Cell = tuple[int, int]
Push = Callable[[float, Cell, int, tuple[Cell, int]], None]


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
        return {cell for path in self.paths.values() for cell in path}


class Grid:
    """What stands where. flat, upright: cell -> the net that passes it that way, both at its turns and forks."""

    def __init__(self, width: int, height: int):
        self.width, self.height = width, height
        self.blocked: set[Cell] = set()
        self.stubs: set[Cell] = set()
        self.kept: dict[Cell, str] = {}  # cells that one net alone may pass
        self.lanes: tuple[set[int], set[int]] = (set(), set())  # rows and columns that lines prefer
        self.used: tuple[dict[Cell, str], dict[Cell, str]] = ({}, {})

    def block(self, left: int, top: int, right: int, bottom: int) -> None:
        self.blocked |= {(x, y) for x in range(left, right + 1) for y in range(top, bottom + 1)}

    def route(self, nets: list[Net]) -> bool:
        """Lay all nets; False where one finds no way."""
        for net in nets:
            if not all(self.lay(net, goal) for goal in net.first):
                return False
        ordered = sorted(nets, key=_length)
        for turn in range(1 + ROUNDS):
            for net in ordered:
                if turn:
                    self.lift(net)
                for goal in sorted(net.goals, key=net.turn):
                    if goal not in net.paths and not self.lay(net, goal):
                        return False
        return True

    def lift(self, net: Net) -> None:
        for used in self.used:
            for cell in [c for c, key in used.items() if key == net.key]:
                del used[cell]
        net.paths, net.ends, net.start = {}, {}, None

    def lay(self, net: Net, goal: str) -> bool:
        """Find the way from a net to one of its goals."""
        found = self._search(net, net.goals[goal])
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
        """The cheapest way from a net's start, or from what is laid of it, to one of the ends."""
        flat, upright = self.used
        wanted = {(g.cell, g.way): g for g in goals}
        best: dict[tuple[Cell, int], float] = {}
        came: dict[tuple[Cell, int], tuple[Cell, int] | None] = {}
        heap: list[tuple[float, int, float, Cell, int]] = []
        own = net.cells()

        def rest(cell: Cell) -> float:
            return min(abs(cell[0] - g.cell[0]) + abs(cell[1] - g.cell[1]) + g.cost for g in goals)

        def push(cost: float, cell: Cell, way: int, before: tuple[Cell, int] | None) -> None:
            state = (cell, way)
            if cost < best.get(state, 1e9):
                best[state] = cost
                came[state] = before
                heapq.heappush(heap, (cost + rest(cell), len(came), cost, cell, way))

        if not own:
            for s in net.starts:
                if s.cell not in flat and s.cell not in upright:
                    push(s.cost, s.cell, s.way, None)
        heads = {path[-2] for path in net.paths.values()}
        for cell in own - {net.start.cell if net.start else (-1, -1)} - {e.cell for e in net.ends.values()}:
            if self._owner(cell, 0) in (net.key, "") and self._owner(cell, 1) in (net.key, ""):
                cost = FORK + (CORNER if self._owner(cell, 0) == self._owner(cell, 1) else 0)
                cost += AT_HEAD if cell in heads else 0
                for way in range(4):
                    self._step(net, cell, way, cost, (cell, -1), own, wanted, push)
                came[cell, -1] = None
        while heap:
            _, _, cost, cell, way = heapq.heappop(heap)
            if cost > best[cell, way]:
                continue
            end = wanted.get((cell, way))
            if end is not None:
                path: list[Cell] = []
                at: tuple[Cell, int] | None = (cell, way)
                while at is not None:
                    path.append(at[0])
                    at = came[at]
                return path[::-1], end
            for turned in (way, (way + 1) % 4, (way + 3) % 4):
                if turned == way:
                    self._step(net, cell, way, cost, (cell, way), own, wanted, push)
                elif cell not in flat and cell not in upright and cell not in self.blocked:
                    self._step(net, cell, turned, cost + TURN, (cell, way), own, wanted, push)
        return None

    def _step(self, net: Net, cell: Cell, way: int, cost: float, before: tuple[Cell, int], own: set[Cell],
              wanted: dict[tuple[Cell, int], End], push: Push) -> None:
        """Go one cell on, if nothing is in the way."""
        dx, dy = STEP[way]
        x, y = cell[0] + dx, cell[1] + dy
        to = (x, y)
        end = wanted.get((to, way))
        along, across = self.used[way % 2], self.used[1 - way % 2]
        inside = to not in self.blocked and 0 < x < self.width and 0 < y < self.height
        if to in own or to in along or self.kept.get(to, net.key) != net.key:
            return
        if to in across if end is not None else not inside:
            return
        cost += 1 + (CROSS if to in across else 0) + (end.cost if end else 0)
        if to in self.stubs and end is None:
            cost += STUB
        if to[1 - way % 2] not in self.lanes[way % 2]:
            cost += OFF_LANE[way % 2]
        for side in (-1, 1):
            if (x + dy * side, y + dx * side) in along:
                cost += BESIDE
        push(cost, to, way, before)

    def _owner(self, cell: Cell, upright: int) -> str:
        return self.used[upright].get(cell, "")

    def crossings(self) -> set[Cell]:
        """Where two nets cross."""
        flat, upright = self.used
        return {c for c in flat.keys() & upright.keys() if flat[c] != upright[c]}


def _far(net: Net, goal: str) -> int:
    return min(abs(s.cell[0] - g.cell[0]) + abs(s.cell[1] - g.cell[1]) for s in net.starts for g in net.goals[goal])


def _length(net: Net) -> tuple[int, str]:
    return max((_far(net, g) for g in net.goals), default=0), net.key
