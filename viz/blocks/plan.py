"""Ranks and rows of a cell's inside: which box stands where, before any size is known.

A value's wire runs along the row of what computes it; a row belongs to one value from its box to its last reader, so
that no wire meets a box. States that are carried straight on run along the top, those that pass products along the
bottom.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

import networkx as nx

from .inside import Inside

FLOOR, BELOW = 1000, 2000  # rows of the states at the bottom; of values that come from below and have several readers


class Plan:
    """rank: left to right, from 1; row: of boxes, state ports and some others, from the top; rail: the row at which a
    state leaves; last: the highest rank.

    roomy: a value's row is free only beyond its last reader, so that no other wire enters a box there.
    """

    def __init__(self, inside: Inside, states: dict[str, str], leaving: list[str], roomy: bool = False):
        self.inside, self.parts, self.beyond = inside, inside.parts, 0 if roomy else 1
        order = list(dict.fromkeys(states.values()))  # of a state's ports the nearest step's first: it runs straight
        near = sorted(states, key=lambda key: (order.index(states[key]), abs(inside.ports[key].shift)))
        self.states, self.leaving = {key: states[key] for key in near}, leaving
        self.name_of = {key: q for q, key in inside.out.items()}
        self.users: dict[str, list[str]] = {}
        for key, part in self.parts.items():
            for s in part.sources:
                self.users.setdefault(s, []).append(key)
        self.rank: dict[str, int] = {}
        self.row: dict[str, int] = {}
        self.rail: dict[str, int] = {}
        self.taken: dict[tuple[int, int], str] = {}  # (rank, row) -> the value whose cell it is
        self._ranks()
        self._rows()
        used = sorted({*self.row.values(), *self.rail.values()})
        dense = {row: k for k, row in enumerate(used)}
        self.rows = len(used)
        self.row = {key: dense[row] for key, row in self.row.items()}
        self.rail = {key: dense[row] for key, row in self.rail.items()}
        self.taken = {(rank, dense[row]): v for (rank, row), v in self.taken.items() if row in dense}

    def is_feed(self, source: str) -> bool:
        """Does the value come from below?"""
        return source in self.inside.ports and source not in self.states

    def entry_rank(self, source: str) -> int:
        """The column of the first part that reads a port."""
        return min(self.rank[u] for u in self.users[source])

    # -- ranks -------------------------------------------------------------------------------------

    def _ranks(self) -> None:
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self.parts)
        graph.add_edges_from((s, k) for k, part in self.parts.items() for s in part.sources if s in self.parts)
        number = {key: k for k, key in enumerate(self.parts)}
        self.order = list(nx.lexicographical_topological_sort(graph, key=number.__getitem__))
        for key in self.order:
            self.rank[key] = 1 + max((self.rank.get(s, 0) for s in self.parts[key].sources), default=0)
        for key in reversed(self.order):  # what reads from outside alone stands right before what reads it
            later = [self.rank[u] for u in self.users.get(key, [])]
            if later and self.parts[key].style != "merge" and not any(s in self.parts for s in self.parts[key].sources):
                self.rank[key] = min(later) - 1
        self.last = max(self.rank.values(), default=0)

    def end(self, source: str) -> int:
        """The rank of a value's last reader, one beyond the last where the value leaves the block."""
        ranks = [self.rank[u] for u in self.users.get(source, [])]
        if self.name_of.get(source) in self.leaving:
            ranks.append(self.last + 1)
        return max(ranks, default=self.rank.get(source, 0))

    # -- rows --------------------------------------------------------------------------------------

    def highway(self, state: str) -> list[str]:
        """A state's port and the circles, or the one box, through which it goes to its next step; or []."""
        goal = self.inside.out[state]
        straight = {k for k, i in self.parts.items() if i.kind == "circle"} | {goal}
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_edges_from((s, k) for k in straight for s in self.parts[k].sources
                             if s in straight or self.states.get(s) == state)
        for port in [port for port, q in self.states.items() if q == state][:1]:
            if port in graph and goal in graph and nx.has_path(graph, port, goal):
                path = list(nx.shortest_path(graph, port, goal))
                if all(self._ends_at(a, b) for a, b in pairwise(path)):
                    return path
        return []

    def _ends_at(self, a: str, b: str) -> bool:
        """Is a read nowhere beyond b, so that its wire need not pass b in their row?"""
        return self.name_of.get(a) not in self.leaving and all(self.rank[u] <= self.rank[b] for u in self.users[a])

    def _rows(self) -> None:
        paths = {q: self.highway(q) for q in dict.fromkeys(self.states.values())}
        straight = [q for q, path in paths.items() if path]
        for row, q in enumerate(straight):
            self.rail[q] = row
            self._own(paths[q][0], row, 0, self.last + 1)
            for key in paths[q][1:]:
                if key not in self.row:
                    self.row[key] = row
                    self._own(key, row, self.rank[key], self.last + 1)
                    self.parts[key].line = self.parts[self.inside.out[q]].line
        for k, q in enumerate(q for q in paths if q not in straight):
            self.rail[q] = FLOOR + k
        for k, (port, q) in enumerate(self.states.items()):
            row = self.rail[q]
            reach = max(0, self.end(port) - self.beyond)
            if not self._free(port, row, 0, reach):
                row = FLOOR + 100 + k
            self.row[port] = row
            self._own(port, row, 0, reach)
        for q, row in self.rail.items():  # a state leaves at the height at which it enters
            self.taken[self.last + 1, row] = self.inside.out[q]
        for key in self._by_reader():
            if key not in self.row:
                self.row[key] = self._choose(key, len(straight))
                self._own(key, self.row[key], self.rank[key], max(self.rank[key], self.end(key) - self.beyond))
        for k, key in enumerate(p for p in self.inside.ports if p not in self.states):
            if len({self.rank[u] for u in self.users.get(key, [])}) > 1:
                self.row[key] = BELOW + k

    def _by_reader(self) -> list[str]:
        """Boxes rank by rank; within a rank, what is read first and higher comes first."""
        number = {key: k for k, key in enumerate(self.order)}

        def wish(key: str) -> tuple[int, int, int, int]:
            readers = self.users.get(key, [])
            first = min((self.rank[u] for u in readers), default=self.last + 1)
            row = min((self.row.get(u, FLOOR) for u in readers if self.rank[u] == first), default=FLOOR)
            return self.rank[key], first, row, number[key]

        return sorted(self.order, key=wish)

    def _own(self, value: str, row: int, low: int, high: int) -> None:
        for rank in range(low, high + 1):
            self.taken.setdefault((rank, row), value)

    def _free(self, key: str, row: int, low: int, high: int, read: Collection[str] = ()) -> bool:
        """Is the row free for a box, but for the values that it alone reads?"""
        return all(self.taken.get((r, row), key) in (key, *read) for r in range(low, high + 1))

    def _choose(self, key: str, top: int) -> int:
        """The row of a box: at which it leaves, or that of a value which it reads last, or the highest free one."""
        low, high = self.rank[key], max(self.rank[key], self.end(key) - self.beyond)
        name = self.name_of.get(key)
        wishes = [self.rail[name]] if name in self.rail else []
        wishes += [self.row[s] for s in self.parts[key].sources if s in self.row and self.users[s] == [key]
                   and self.name_of.get(s) not in self.leaving]
        leaves = name in self.leaving and name not in self.rail  # then its row goes to the border, clear of rails
        high = self.last + 1 if leaves else high
        # A state stands in no other state's way out: two that change places could not pass each other.
        barred = {row for q, row in self.rail.items() if name in self.rail and q != name}
        read = {s for s in self.parts[key].sources if self.users[s] == [key]}
        for row in wishes:
            if row >= top and row not in barred and self._free(key, row, low, high, read):
                return row
        row = top
        while row in barred or not self._free(key, row, low, high):
            row += 1
        return row
