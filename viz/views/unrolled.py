"""The unrolled view: a column a step, every block stamped in each; with gradients, the backward view."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tinygrad_rnn.node import At

from ..blocks import blocks
from ..blocks.blocks import SIDES
from ..blocks.inside import port_key
from ..blocks.results import key_of, ports
from ..blocks.segments import Segments, Totals, total
from ..blocks.units import Reading, Unit, Units
from ..graph.groups import Block
from ..graph.roles import Roles
from ..graph.steps import MOST
from ..layout.grid import layout
from ..template import Template, simple
from ..text import COLUMN, ROW, Label, Span, quantity, string
from ..view import Box, Link, View
from .forms import Forms, forms
from .loose import settle

MOST_LOSSES = 3  # whose names say what L is
PAGE = 1600.0, 900.0  # what is no larger can be read
FEW = 64  # wires from all steps to all steps that are all drawn
LEGEND = (("plain", "forward"), ("gradient", "backward (gradient)"))


def unrolled(roles: Roles, steps: Totals, elide: bool, detail: str | None = None) -> View:
    """steps: of every range of positions, or by range; detail: of the cells' inside, by default their operations, or
    their quantities where that would be too wide."""
    return _largest(forms(roles, steps, elide, detail, twins=False), elide)


def backward(roles: Roles, steps: Totals, elide: bool, detail: str | None = None) -> View:
    """The same with the gradient's arrows; the cells' inside are by default their quantities, which have gradients, or
    nothing where that would be too wide to be read."""
    return _largest(forms(roles, steps, elide, detail, twins=True), elide)


def _largest(found: Forms, elide: bool) -> View:
    """With the ranges of positions one above another, unless they are larger side by side on a page, or as large and
    one hands over to the next at the same height."""
    system = found.roles.system
    few = found if elide else replace(found, steps={
        name: min(MOST, total(name, found.steps, system)) for name in system.ranges.values()})

    def size(of: _Unrolled) -> float:
        scene = layout(of.view)
        return min(1.0, PAGE[0] / scene.width, PAGE[1] / scene.height)

    def is_above() -> bool:
        beside, above = (_Unrolled(few, elide, stacked) for stacked in (False, True))
        row = beside.units.row_of
        straight = any(beside.units.is_aside(r) and row[r.source] == row[r.target] for r in beside.units.readings)
        return size(above) > size(beside) or (size(above) == size(beside) and not straight)

    several = len(Segments(found.roles, 1, elide).steps) > 1
    return _Unrolled(found, elide, stacked=several and is_above()).view


class _Unrolled:
    """stacked: do ranges of positions stand one above another, and not side by side?"""

    def __init__(self, found: Forms, elide: bool, stacked: bool):
        self.roles, self.templates, self.live = found.roles, found.templates, found.live or frozenset()
        self.system, self.twins = self.roles.system, found.live is not None
        self.segments = Segments(self.roles, found.steps, elide, stacked)
        self.units = Units(self.roles, found.steps, elide, list(self.segments.steps), stacked)
        self.gaps = {b: blocks.gap(t) for b, t in self.templates.items()}
        self.ports = {b: ports(b, self.roles) for b in self.roles.blocks}
        self.multiplied = {b: self.multiplied_by(b) for b in self.roles.blocks}
        rows = 1 + max(self.units.row_of.values(), default=-1)
        self.view = View(self.system.name, ["1"], rows, track=20.0 if self.twins else 11.0)
        if self.twins:
            self.view.legend = (*LEGEND, ("", f"L = {self.losses()}"))
        self.links: dict[tuple[str, ...], Link] = {}
        for unit in self.units.all:
            for k in self.slots(unit.block):
                self.place(unit, k)
        own = [r for r in self.units.readings if r.source == r.target]  # first, as others read the same initial values
        for reading in (*own, *(r for r in self.units.readings if r.source != r.target)):
            if not reading.initial:
                self.connect(reading)
        self.view.links = list(self.links.values())
        settle(self.view, self.segments, [self.key(u, None) for u in self.units.all if not u.block.column])

    def losses(self) -> str:
        """What L is."""
        read = {a.source for a in self.roles.arrows}
        found = [n for n, r in self.roles.role.items() if r == "loss" and (n == "loss" or n not in read)]
        return (" + ".join(found) if len(found) <= MOST_LOSSES else "the sum of all losses") or "any loss"

    # -- boxes -------------------------------------------------------------------------------------

    def key(self, unit: Unit, slot: int | None) -> str:
        return unit.key if slot is None else f"{unit.key}.{slot}"

    def slots(self, block: Block) -> list[int] | list[None]:
        """The places of a block's steps among those that are drawn."""
        return list(range(len(self.segments.of(block).shown))) if block.column else [None]

    def place(self, unit: Unit, slot: int | None) -> None:
        block = unit.block
        template = self.templates[block]
        if unit.layer is None:
            template = blocks.layers_left_out()
        elif self.is_gap(block, slot):
            template = self.gaps[block]
        at, column, text = None, None, ""
        if slot is not None:
            steps, column = self.segments.of(block), self.segments.column(block, slot)
            at = steps.shown[slot]
            text = replace(steps, capital=block.column.upper()).label(at)
        box = Box(self.key(unit, slot), template, self.units.row_of[unit], column, text, self.layer(unit),
                  ", ".join(block.quantities), blocks.fill(block, self.roles), places={COLUMN: at, ROW: unit.layer})
        self.view.boxes[box.key] = box

    def layer(self, unit: Unit) -> str:
        return self.units.layers[unit.block.row].label(unit.layer) if unit.block.row else ""

    # -- links -------------------------------------------------------------------------------------

    def connect(self, r: Reading) -> None:
        port = key_of(r.arrow, r.target.block)
        if port not in self.templates[r.target.block].ins or r.target.layer is None or r.source.layer is None:
            return
        for slot in self.slots(r.target.block):
            for source, net in self.sources(r, slot):
                self.link(r, source, net, self.key(r.target, slot), port)

    def sources(self, r: Reading, slot: int | None) -> Iterator[tuple[int | At | None, str]]:
        """(place that is read, net) for a place of the target's; an `At` where an initial value is read."""
        own = f"{r.source.key}:{r.arrow.source}"
        if not r.source.block.column:
            yield None, own
            return
        if r.slot is None:
            if not r.target.block.row:  # of all layers at once
                own = f"{r.source.block.name}:{r.arrow.source}"
            for seen in self.all_over(r, slot):
                yield seen, f"{own}>{r.target.key if r.target.block.column else ''}"
            return
        steps = self.segments.of(r.source.block)
        for position in self.positions(r, slot):
            if not 1 <= position <= steps.total:
                known = self.initial_key(r.source, r.arrow.source, position) in self.view.boxes
                if known or r.source.block == r.target.block or self.has_boundary(r, position):
                    yield At("first", "", position), ""
                continue
            k = steps.slot(position)
            if k is not None and not (self.is_gap(r.source.block, k) and self.is_gap(r.target.block, slot)):
                yield k, f"{own}.{k}"

    def all_over(self, r: Reading, slot: int | None) -> Iterator[int]:
        """What goes over all positions reads those that are drawn. Where these are many, wires that go the same way
        stand for others: between columns of one range those from step to step, else by way of the nearest steps."""
        seen, here = self.visible(r.source.block), self.visible(r.target.block)
        if slot is not None and slot not in here:
            return
        found: Iterable[int] = seen
        if slot is not None and len(seen) * len(here) > FEW:
            if self.units.range_of(r.source) == self.units.range_of(r.target):
                found = [k for k in range(slot - 1, slot + 2) if k in seen]
            elif slot != here[0]:
                found = seen[-1:]
        for k in found:
            if self.is_met(r, k):
                yield k

    def visible(self, block: Block) -> Sequence[int]:
        """The places of a block's steps, without the one of those left out."""
        if not block.column:
            return ()
        shown = self.segments.of(block).shown
        return range(len(shown)) if None not in shown else [k for k, p in enumerate(shown) if p is not None]

    def is_met(self, r: Reading, slot: int) -> bool:
        """Does what goes over all positions, such as mean(x[t+1]), reach the one at a place?"""
        own = self.system.quantities[r.arrow.source].slots
        steps = self.segments.of(r.source.block)
        position = steps.shown[slot]
        return position is None or all(1 <= position - s.offset <= steps.total for s, i in zip(
            r.arrow.slots, own, strict=True) if i == r.source.block.column and s.anchor == "free")

    def positions(self, r: Reading, slot: int | None) -> list[int]:
        """The positions that are read from a place; from the gap, those of the steps left out that are drawn."""
        steps, read = self.segments.of(r.source.block), r.slot
        assert read is not None
        if read.anchor != "free":
            return [read.offset + (steps.total if read.anchor == "last" else 0)]
        if slot is None:
            return []
        at = steps.shown[slot]
        if at is not None:
            return [at + read.offset]
        return [p for p in steps.shown if p is not None and 1 <= p - read.offset <= steps.total
                and p - read.offset not in steps.shown]

    def is_gap(self, block: Block, slot: int | None) -> bool:
        return slot is not None and self.segments.of(block).shown[slot] is None

    def has_boundary(self, r: Reading, position: int) -> bool:
        name = r.arrow.source
        return any(self.boundary_at(eq.slots, name, r.source.block) == position for eq in self.system.equations
                   if eq.name == name and eq.is_boundary)

    def boundary_at(self, slots: tuple[At, ...], name: str, block: Block) -> int | None:
        """The position along the columns that a boundary equation sets."""
        for slot, own in zip(slots, self.system.quantities[name].slots, strict=True):
            if own == block.column and slot.anchor != "free":
                return slot.offset + (self.segments.of(block).total if slot.anchor == "last" else 0)
        return None

    def link(self, r: Reading, source: int | At | None, net: str, target: str, port: str) -> None:
        a = r.arrow
        if isinstance(source, At):
            key = self.initial(r, source.offset, (target, port))
            net = key
        else:
            key = self.key(r.source, source)
        from_box, to_box = self.view.boxes[key], self.view.boxes[target]
        if port not in to_box.template.ins:
            return
        apart = r.slot is not None and to_box.column is not None and from_box.column != to_box.column
        fed_back = self.roles.role[a.source] == "data" or self.units.is_rail(r.source)
        sideways = to_box.template.ins[port].side in SIDES or from_box.style == "initial" or (apart and fed_back)
        if a.source not in (from_box.template.rails if sideways else from_box.template.outs):
            return
        style = self.ports[r.target.block][port].line
        gradient = self.twins and a.differentiable and a.source in self.live and a.target in self.live
        state = self.ports[r.target.block][port].state
        label: Label = ()
        if state and not self.twins and not to_box.template.ins[port].open:
            label = self.weight(r.target, port)
        at = from_box.position if not isinstance(source, At) else ""
        link = Link(key, a.source, target, port, net, style, sideways, gradient, False, label,
                    self.adjoint(a.source, at, r.source) if state and gradient and at not in ("", "…") else ())
        self.links.setdefault((key, a.source, target, port), link)

    def weight(self, unit: Unit, port: str) -> Label:
        """The weight that multiplies what enters at a port, where one alone does, whichever quantity reads it."""
        found = self.multiplied[unit.block].get(port, set())
        if len(found) != 1 or len(alone := next(iter(found))) != 1:
            return ()
        slots = self.system.quantities[alone[0]].slots
        return quantity(alone[0], ",".join(self.layer(unit) if i == unit.block.row else i for i in slots))

    def multiplied_by(self, block: Block) -> dict[str, set[tuple[str, ...]]]:
        """By port, the weights by which each quantity that reads there multiplies what it reads."""
        found: dict[str, set[tuple[str, ...]]] = {}
        for a in self.roles.arrows_into(block):
            if a.boundary == block.boundary:
                found.setdefault(key_of(a, block), set()).add(a.weights)
        return found

    def adjoint(self, name: str, at: str, unit: Unit) -> Label:
        """∂L/∂h⟨2⟩."""
        label = quantity(name, self.position_text(name, unit.block).replace(COLUMN, at).replace(ROW, self.layer(unit)))
        return (Span("∂"), Span("L", italic=True), Span("/∂"), *label)

    def position_text(self, name: str, block: Block) -> str:
        return blocks.block_position(name, block, self.system)

    # -- initial values ----------------------------------------------------------------------------

    def initial(self, r: Reading, position: int, beside: tuple[str, str]) -> str:
        """The box of a state before the first step or after the last, and what its boundary equation reads."""
        name, unit = r.arrow.source, r.source
        key = self.initial_key(unit, name, position)
        known = self.view.boxes.get(key)
        if known is not None:
            if known.beside and self.is_farther(known.beside[0], beside[0], position):
                self.view.boxes[key] = replace(known, beside=beside)
            return key
        after = position >= 1
        readings = [q for q in self.units.readings if q.initial and q.arrow.target == name and q.target == unit
                    and self.boundary_at(q.arrow.boundary, name, unit.block) == position]
        label = quantity(name, self.initial_position(unit, name, position))
        aside = list(dict.fromkeys(self.port(q) for q in readings if not after and self.units.is_aside(q)))
        below = [port for port in dict.fromkeys(map(self.port, readings)) if port not in aside]
        mark = blocks.block_mark(name, unit.block, self.system)
        template: Template = simple("initial", label, string(label), below, aside, [name], -1 if after else 1,
                                    mark=mark)
        template.marks = {name: mark}
        column = self.segments.end(unit.block, after)
        self.view.boxes[key] = Box(key, template, self.units.row_of[unit], column, name=string(label), style="initial",
                                   beside=beside, places={COLUMN: position, ROW: unit.layer})
        for q in readings:
            self.feed(q, key)
        return key

    def initial_position(self, unit: Unit, name: str, position: int) -> str:
        """0, or T+1 where steps are left out."""
        steps = self.segments.of(unit.block)
        shown = str(position).replace("-", "−")
        if position >= 1 and steps.elided:
            shown = f"{unit.block.column.upper()}+{position - steps.total}"
        return self.position_text(name, unit.block).replace(COLUMN, shown).replace(ROW, self.layer(unit))

    @staticmethod
    def port(r: Reading) -> str:
        return port_key(r.arrow.source, r.arrow.slots)

    def feed(self, r: Reading, key: str) -> None:
        """The wires of a boundary equation's reading to the box of the value that it sets."""
        name = r.arrow.source
        gradient = self.twins and r.arrow.differentiable and {name, r.arrow.target} <= self.live
        for source, net in self.sources(r, None):
            if not isinstance(source, At):
                box = self.key(r.source, source)
                rail = self.units.is_rail(r.source) and name in self.view.boxes[box].template.rails
                link = Link(box, name, key, self.port(r), net, self.roles.line(name), rail, gradient)
                self.links.setdefault((box, name, key, self.port(r)), link)

    def initial_key(self, unit: Unit, name: str, position: int) -> str:
        return f"{unit.key}:{name}[{position}]"

    def is_farther(self, one: str, other: str, position: int) -> bool:
        """Does the first box stand farther than the second from the state before step 1 or after the last?"""
        a, b = self.view.boxes[one].column, self.view.boxes[other].column
        return a is not None and b is not None and (a > b if position < 1 else a < b)
