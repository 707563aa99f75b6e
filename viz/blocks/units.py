"""From blocks to rows: a unit is a block at one layer position, and its row is its depth in the graph of units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

from tinygrad_rnn.node import At

from ..graph.groups import Block
from ..graph.names import Arrow, components
from ..graph.roles import Roles
from ..graph.steps import Steps
from .heights import raised
from .segments import Totals, total


@dataclass(frozen=True)
class Unit:
    """A block at a layer position (None: the layers left out; 0: the block has no layers)."""

    block: Block
    layer: int | None = 0

    @property
    def key(self) -> str:
        """What it is known by."""
        return self.block.name + (f"@{self.layer}" if self.block.row else "")


@dataclass(frozen=True)
class Reading:
    """An arrow between units, with the column slot that is read: a shift or position, or None for all of them."""

    arrow: Arrow
    source: Unit
    target: Unit
    slot: At | None
    initial: bool = False  # read by a boundary equation of the column index


class Units:
    """order: the ranges of positions, which stand side by side, from left to right, so that they may share rows, or if
    stacked one above another; high: units that stand higher than right above what they read."""

    def __init__(self, roles: Roles, totals: Totals, elide: bool, order: Sequence[str] = (), stacked: bool = False):
        self.roles, self.system, self.order, self.stacked = roles, roles.system, order, stacked
        self.layers = {b.row: Steps.of(total(b.row, totals, self.system), elide, b.row.upper())
                       for b in roles.blocks if b.row}
        self.all = [Unit(b, p) for b in roles.blocks for p in (self.layers[b.row].shown if b.row else (0,))]
        self.readings = list(dict.fromkeys(self._readings()))
        self.row_of = self._rows()

    def _readings(self) -> Iterator[Reading]:
        by_quantity: dict[str, list[Unit]] = {}
        for unit in self.all:
            for q in unit.block.quantities:
                by_quantity.setdefault(q, []).append(unit)
        for a in self.roles.arrows:
            for target in by_quantity[a.target]:
                at_row = a.boundary and a.boundary == target.block.boundary
                initial = bool(a.boundary) and not at_row
                if (target.block.boundary and not at_row) or (initial and self._is_row_boundary(a, target.block)):
                    continue
                for source in self._sources(a, target, by_quantity[a.source]):
                    yield Reading(a, source, target, self._column_slot(a, source, target), initial)

    def _is_row_boundary(self, a: Arrow, block: Block) -> bool:
        own = self.system.quantities[a.target].slots
        return any(o == block.row and s.anchor != "free" for s, o in zip(a.boundary, own, strict=True))

    def _sources(self, a: Arrow, target: Unit, found: list[Unit]) -> list[Unit]:
        """The units that an arrow reads: by layer where the source has layers, all where it goes over them."""
        main = next((u for u in found if not u.block.boundary), None)
        if main is None or not main.block.row:
            return [main] if main else []
        along = self.system.quantities[a.source].slots.index(main.block.row)
        if a.slots[along].anchor == "free" and target.block.row != a.slots[along].index:
            return [u for u in found if not u.block.boundary]
        source = self._of_layer(a.slots[along], along, target, found, self.layers[main.block.row])
        return [source] if source else []

    @staticmethod
    def _of_layer(slot: At, along: int, target: Unit, found: list[Unit], steps: Steps) -> Unit | None:
        """The unit that is read at the slot along the layers."""
        position: int | None
        if slot.anchor != "free":
            position = slot.offset if slot.anchor == "first" else steps.total + slot.offset
        elif target.layer is None:
            position = steps.total if slot.offset else None
        else:
            position = target.layer + slot.offset
        for unit in found:
            if unit.block.boundary and position is not None:
                at = unit.block.boundary[along]
                if position == (at.offset if at.anchor == "first" else steps.total + at.offset):
                    return unit
        if target.layer is None and slot.anchor == "free" and slot.offset and target.block.row:
            position = 2 if slot.offset < 0 else steps.total
        if position is not None and not 1 <= position <= steps.total:
            return None
        place = None if position is None else steps.slot(position)
        shown = position if position is None or place is None else steps.shown[place]
        return next((u for u in found if u.layer == shown and not u.block.boundary), None)

    def _column_slot(self, a: Arrow, source: Unit, target: Unit) -> At | None:
        index = source.block.column
        if index not in self.system.quantities[a.source].slots:  # it has no columns, or runs over others than its block
            return None
        slot = a.slots[self.system.quantities[a.source].slots.index(index)]
        if slot.anchor != "free":
            return slot
        if a.boundary:
            own = self.system.quantities[a.target].slots
            return slot if any(s == At("free", slot.index, 0) for s in a.boundary) and slot.index in own else None
        return slot if slot.index == target.block.column else None

    # -- rows --------------------------------------------------------------------------------------

    def is_rail(self, unit: Unit) -> bool:
        """Does the unit have wires to other steps of its own, so that its row is its own?"""
        return unit.block.kind == "cell" and unit.block.direction != 0

    def range_of(self, unit: Unit) -> str:
        """The range beside whose columns those of others stand; "" where there is none."""
        found = self.system.range_of(unit.block.column) if unit.block.column else ""
        return found if found in self.order else ""

    def is_aside(self, r: Reading) -> bool:
        """Does the reading go over to the columns of a later range by a state's own way?"""
        source, target = (self.range_of(u) for u in (r.source, r.target))
        if self.stacked or not source or not target or r.slot is None:
            return False
        return self.order.index(source) < self.order.index(target) and self.is_rail(r.source)

    def _rows(self) -> dict[Unit, int]:
        depth = self._depths()
        place = {u: (depth[u], self.range_of(u)) for u in self.all}
        own: dict[tuple[int, str], list[Unit]] = {}
        for unit in self.all:  # cells have a row of their own; those of two ranges stand side by side
            if unit.block.column and unit.block.kind != "single":
                own.setdefault(place[unit], []).append(unit)
        storey = self._storeys(depth) if self.stacked else dict.fromkeys(self.all, 0)
        rows: dict[tuple[int, ...], list[Unit]] = {}
        for unit in self.all:
            at, reader = (depth[unit], 0, 0, 0), self._reader(unit)
            if not unit.block.column and self.order:
                at = (depth[unit], 3, 0, 0)
            elif unit.block.column and unit.block.kind != "single":
                at = (depth[unit], 1, own[place[unit]].index(unit), 1)
            elif reader is not None and (len(own[place[reader]]) > 1 or depth[reader] > depth[unit] + 1):
                at = (depth[reader], 1, own[place[reader]].index(reader), 0)  # else other layers would be between
            elif place[unit] in own and (self.is_given(unit) or unit in self.high):  # above them, nearer to its readers
                at = (depth[unit], 2, 0, 0)
            rows.setdefault((storey[unit], *at), []).append(unit)
        return {unit: row for row, key in enumerate(sorted(rows)) for unit in rows[key]}

    def _storeys(self, depth: Mapping[Unit, int]) -> dict[Unit, int]:
        """Among which of the ranges one above another a unit stands; one of no range with the last that it reads, or
        with the first that reads it."""
        found = {unit: self.order.index(name) for unit in self.all if (name := self.range_of(unit))}
        for unit in sorted(self.all, key=depth.__getitem__):
            read = [found[r.source] for r in self.readings if r.target == unit and r.source in found]
            if unit not in found and read:
                found[unit] = max(read)
        for unit in sorted(self.all, key=depth.__getitem__, reverse=True):
            if unit not in found:
                found[unit] = min((found[r.target] for r in self.readings if r.source == unit and r.target in found),
                                  default=0)
        return found

    def _reader(self, unit: Unit) -> Unit | None:
        """The cell of the same layer that alone reads what is computed for each layer."""
        found = {r.target for r in self.readings if r.source == unit} if unit.block.row else set()
        reader = found.pop() if len(found) == 1 else None
        if reader is None or reader.block.kind == "single" or not reader.block.column:
            return None
        return reader if reader.block.row == unit.block.row else None

    def is_given(self, unit: Unit) -> bool:
        """Does it read nothing, as data and draws do?"""
        return not any(r.target == unit for r in self.readings)

    def _depths(self) -> dict[Unit, int]:
        """How many units each follows from; what one range hands to the next it hands over at the same height."""
        graph = self._graph()
        order = list(nx.lexicographical_topological_sort(graph, key={u: k for k, u in enumerate(self.all)}.__getitem__))
        depth: dict[Unit, int] = {}
        for unit in order:
            depth[unit] = max((depth[p] + rise for p, _, rise in graph.in_edges(unit, "rise")), default=0)
        read = {u for u in self.all if graph.in_degree(u)}
        top = max(depth.values(), default=0)
        for unit in reversed(order):  # results of the whole sequence stand on top, where no wire has to pass them
            later = list(graph.successors(unit))
            if unit in read and not any(u.block.column for u in (unit, *later)):
                depth[unit] = min((depth[s] - 1 for s in later), default=top)
        free = {u for u in read if u.block.kind == "single" and u.block.column and not u.block.row
                and graph.out_degree(u)}
        self.high = raised(graph, order, depth, free)
        for unit in reversed(order):  # what reads nothing stands right below what reads it first
            if unit not in read and graph.out_degree(unit):
                depth[unit] = min(depth[s] for s in graph.successors(unit)) - 1
        return depth

    def _graph(self) -> nx.DiGraph[Unit]:
        """Which unit is read by which, at the least so much higher (rise); without loops."""
        graph: nx.DiGraph[Unit] = nx.DiGraph()
        graph.add_nodes_from(self.all)
        group = {q: k for k, b in enumerate(self._loops()) for q in b}
        for r in self.readings:
            inside = r.arrow.source in group and group[r.arrow.source] == group.get(r.arrow.target)
            shifted = inside and r.slot is not None and r.slot.offset and not r.initial
            if r.source != r.target and not shifted:
                known = graph.get_edge_data(r.source, r.target, {"rise": 0})["rise"]
                graph.add_edge(r.source, r.target, rise=max(known, 0 if self.is_aside(r) else 1))
        place = {unit: k for k, unit in enumerate(self.all)}
        for loop in list(nx.strongly_connected_components(graph)):  # units that need each other: as they are written
            graph.remove_edges_from([(u, v) for u, v in graph.edges(loop) if v in loop and place[u] >= place[v]])
        return graph

    def _loops(self) -> list[tuple[str, ...]]:
        return components(self.system, list(self.roles.arrows))
