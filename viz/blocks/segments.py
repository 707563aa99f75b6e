"""Which columns a range of positions has: ranges stand side by side, what is read by another at its left, or one above
another, in the same columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import networkx as nx

from tinygrad_rnn.arguments import whole
from tinygrad_rnn.errors import BadName, BadValue
from tinygrad_rnn.system import System

from ..graph.groups import Block
from ..graph.roles import Roles
from ..graph.steps import GAP, Steps
from ..view import FIRST, LAST, Box, View

USUAL = 4  # positions of a range, where nothing says how many
Totals = int | Mapping[str, int]  # positions of every range, or by the index that stands for it, see `System.range_of`


def total(index: str, totals: Totals, system: System) -> int:
    """How many positions an index has."""
    if index in system.static:
        return system.static[index]
    return totals if isinstance(totals, int) else totals.get(system.range_of(index), USUAL)


def counted(steps: Any, system: System) -> Totals:
    """Steps as a person gave them: a whole number for all ranges, or a dict of them by index.

    Raises `BadType`, `BadValue` or `BadName`.
    """
    if not isinstance(steps, Mapping):
        return whole("steps", steps, at_least=1)
    found: dict[str, tuple[str, int]] = {}
    for index, count in steps.items():
        if index not in system.ranges or index in system.static:
            known = ", ".join(i for i in system.ranges if i not in system.static) or "none"
            raise BadName(f"steps names {index!r}; the indices that have steps are {known}")
        number = whole(f"steps of {index}", count, at_least=1)
        other, first = found.setdefault(system.range_of(index), (index, number))
        if first != number:
            raise BadValue(f"{other} and {index} run over the same range, which cannot have both {first} and {number} "
                           "steps")
    return {name: of[1] for name, of in found.items()}


class Segments:
    """steps: by range, which of its positions are drawn; stacked: do the ranges share their columns?

    While boxes are collected a range's columns follow those of the range before it, and those of its initial values are
    negative; `settle` gives all of them their places.
    """

    def __init__(self, roles: Roles, totals: Totals, elide: bool, stacked: bool = False):
        self.system, self.stacked = roles.system, stacked
        self.steps: dict[str, Steps] = {}
        self.start: dict[str, int] = {}
        index = {self.range_of(b): b.column for b in reversed(roles.blocks) if b.column}
        end = 0
        for name in self._order(roles):
            self.steps[name] = Steps.of(total(name, totals, self.system), elide, index[name].upper())
            self.start[name] = end
            end += len(self.steps[name].shown)

    def _order(self, roles: Roles) -> list[str]:
        """The ranges, each after those that it reads where that is possible, else as they are written."""
        written = {eq.name: k for k, eq in reversed(list(enumerate(self.system.equations)))}
        first = {b: min(written.get(q, len(written)) for q in b.quantities) for b in roles.blocks if b.column}
        found = dict.fromkeys(self.range_of(b) for b in sorted(first, key=first.__getitem__))
        number = {name: k for k, name in enumerate(found)}
        reads: nx.DiGraph[str] = nx.DiGraph()
        reads.add_nodes_from(number)
        for a in roles.arrows:
            ends = [self.range_of(roles.block_of(n)) for n in (a.source, a.target)]
            if ends[0] != ends[1] and all(ends):
                reads.add_edge(*ends)
        for loop in list(nx.strongly_connected_components(reads)):
            reads.remove_edges_from([(u, v) for u, v in reads.edges(loop) if v in loop and number[u] > number[v]])
        return list(nx.lexicographical_topological_sort(reads, key=number.__getitem__))

    def range_of(self, block: Block) -> str:
        """The range over which the block has columns; "" where it has none."""
        return self.system.range_of(block.column) if block.column else ""

    def of(self, block: Block) -> Steps:
        """Which positions of a block's range are drawn."""
        return self.steps[self.range_of(block)]

    def column(self, block: Block, slot: int) -> int:
        """Of a place among the steps that are drawn."""
        return self.start[self.range_of(block)] + slot

    def end(self, block: Block, after: bool) -> int:
        """The column of initial values before the block's first step, or after its last."""
        return FIRST - 2 * list(self.steps).index(self.range_of(block)) - after

    def among(self, columns: Iterable[int | None]) -> set[str]:
        """The ranges that columns belong to."""
        names = list(self.steps)
        found = set()
        for column in columns:
            if column is not None and column < 0:
                found.add(names[(FIRST - column) // 2])
            elif column is not None:
                found.add(next(n for n in reversed(names) if self.start[n] <= column))
        return found

    def settle(self, view: View, among: Mapping[str, set[str]]) -> None:
        """Give the view its columns. among: of boxes without one, by key, in the middle of which ranges they stand."""
        used = {box.column for box in view.boxes.values()}
        place = self._stack(view) if self.stacked else self._line_up(view, used)
        span = {name: (place[self.start[name]], place[self.start[name] + len(steps.shown) - 1])
                for name, steps in self.steps.items()}
        view.segments = ((0, len(view.columns) - 1),) if self.stacked else tuple(span.values())
        view.boxes = {key: self._settled(box, place, [span[n] for n in among.get(key, self.steps)])
                      for key, box in view.boxes.items()}

    def _stack(self, view: View) -> dict[int, int]:
        """Give the view the columns that all ranges share; the place of each one that was collected."""
        labels = [steps.labels for steps in self.steps.values()]
        view.columns = [min(of, key=lambda label: label == GAP) for of in (
            [own[k] for own in labels if k < len(own)] for k in range(max(map(len, labels))))]
        place = {self.start[name] + slot: slot for name, own in zip(self.steps, labels, strict=True)
                 for slot in range(len(own))}
        return place | {FIRST - k: (FIRST, LAST)[k % 2] for k in range(2 * len(labels))}

    def _line_up(self, view: View, used: Collection[int | None]) -> dict[int, int]:
        """Give the view the columns of all ranges from left to right, and between them those of initial values that are
        used; the place of each one that was collected."""
        ends = FIRST, FIRST - 2 * len(self.steps) + 1
        place = {ends[1]: LAST, ends[0]: FIRST}
        view.columns, view.ends = [], {}
        for column, label, facing in self._columns():
            if column not in ends and (not facing or column in used):
                place[column] = len(view.columns)
                view.columns.append(label)
                if facing:
                    view.ends[place[column]] = facing
        return place

    def _columns(self) -> Iterator[tuple[int, str, int]]:
        """(number, label, +1 or -1 where it is for initial values of what follows or of what was before)"""
        for k, (name, steps) in enumerate(self.steps.items()):
            yield FIRST - 2 * k, "", 1
            yield from ((self.start[name] + slot, label, 0) for slot, label in enumerate(steps.labels))
            yield FIRST - 2 * k - 1, "", -1

    def _settled(self, box: Box, place: Mapping[int, int], spans: list[tuple[int, int]]) -> Box:
        if box.column is not None:
            return box if place[box.column] == box.column else replace(box, column=place[box.column])
        return replace(box, among=(min(a for a, _ in spans), max(b for _, b in spans)))
