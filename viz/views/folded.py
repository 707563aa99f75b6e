"""The folded view: every block once, loops as dashed arcs labelled with their shift."""

from __future__ import annotations

from collections.abc import Mapping

from ..blocks import blocks
from ..blocks.inside import Port, port_key, ports_of
from ..blocks.results import with_results
from ..blocks.units import Units
from ..graph.groups import Block
from ..graph.roles import Roles
from ..template import Template
from ..text import Label, Span, quantity, slot_text, string
from ..view import Box, Link, Loop, View


def folded(roles: Roles, shares: Mapping[str, float] | None = None, detail: str | None = None) -> View:
    """One column; blocks with layers are drawn once, their layer index as it is written.

    shares: by quantity, numbers from 0 to 1 that colour the blocks; detail: of the cells' inside, by default the
    equations.
    """
    return _Folded(roles, shares, detail or "closed").view


LANE = 24.0  # between lines with labels: room for a label that is nearer to its own


class _Folded:
    def __init__(self, roles: Roles, shares: Mapping[str, float] | None, detail: str):
        self.roles = roles = with_results(roles)
        units = Units(roles, 1, True)
        row_of: dict[Block, int] = {}
        for unit in sorted(units.all, key=lambda u: units.row_of[u]):
            row_of.setdefault(unit.block, units.row_of[unit])
        used = {row: k for k, row in enumerate(sorted(set(row_of.values())))}
        self.view = View(roles.system.name, [""], len(used), track=12.0)
        self.found: dict[tuple[str, ...], Link] = {}
        loops = {b: self.loops(b) for b in roles.blocks}
        for block in roles.blocks:
            opened = block.kind not in ("single", "results") and detail != "closed"
            template: Template = (blocks.opened(block, roles, detail, numbered=False) if opened
                                  else blocks.folded(block, roles, len(loops[block]), shares))
            opened = bool(template.panels)  # a cell of one operation has no inside
            self.view.boxes[block.name] = Box(block.name, template, used[row_of[block]], 0, block.column, block.row,
                                              ", ".join(block.quantities), template.shapes[0].style)
            self.view.loops += [] if opened else loops[block]
            if opened:
                self.wires_back(block, template)
        for block in roles.blocks:
            self.connect(block)
        self.view.links = list(self.found.values())
        if any(li.label for li in self.view.links):
            self.view.lane = LANE

    def loops(self, block: Block) -> list[Loop]:
        """The arcs of a block: what it reads of itself from other steps or layers."""
        found: dict[tuple[str, str], Loop] = {}
        many = len(block.quantities) > 1
        for a in self.roles.arrows_into(block):
            if a.source not in block.quantities or a.boundary or block.boundary:
                continue
            shifts = ", ".join(str(s).replace("-", "−") for s in a.slots if s.anchor == "free" and s.offset)
            if shifts:
                name = quantity(a.source) if many else ()
                label: Label = (*name, *((Span("  "),) if many else ()), Span(shifts))
                found.setdefault((a.source, shifts), Loop(block.name, label, self.roles.line(a.source)))
        return list(found.values())

    def wires_back(self, block: Block, template: Template) -> None:
        """The loops of a cell that shows its inside: from where a state leaves round to where it enters."""
        for key, port in ports_of(block, self.roles).items():
            own = port.state or (port.name in block.quantities and not block.boundary)  # else of a layer below
            if own and port.name in template.rails and key in template.ins:
                shift = ", ".join(str(s).replace("-", "−") for s in port.slots if s.offset)
                label = (*quantity(port.name), Span("  "), Span(shift))
                self.found[block.name, port.name, block.name, key] = Link(
                    block.name, port.name, block.name, key, f"{block.name}:{port.name} loop", port.line, True,
                    dashed=True, label=label)

    def connect(self, block: Block) -> None:
        """The wires into a block: from other blocks, and from what sets its first layer or step."""
        for key, port in ports_of(block, self.roles).items():
            if port.state and not block.boundary:
                continue
            if not block.boundary and self.is_of_layer_below(port):
                for other in self.roles.blocks:
                    if other.boundary and port.name in other.quantities:
                        self.link(other.name, port.name, block, key, ())
            if port.name in block.quantities and not block.boundary:
                continue
            shifted = [str(s).replace("-", "−") for s in port.slots if s.anchor != "free" or s.offset]
            label: Label = (Span(",".join(shifted)),) if shifted else ()
            dashed = any(s.anchor == "free" and s.offset for s in port.slots)
            self.link(self.source(port.name, key), port.name, block, key, label, dashed)
        for key, found in blocks.initial_ports(block, self.roles).items():
            source = self.roles.block_of(found[0].source).name
            labels = [quantity(a.target, slot_text(a.boundary)) for a in found]
            if key in self.view.boxes[block.name].template.ins:
                label = tuple(span for k, one in enumerate(labels) for span in (*((Span(", "),) if k else ()), *one))
                self.link(source, found[0].source, block, key, label, True)
                continue
            for a, label in zip(found, labels, strict=True):  # its inside is shown: to where the state enters
                entry = next((k for k, p in ports_of(block, self.roles).items() if p.state and p.name == a.target), "")
                if entry:
                    self.link(source, a.source, block, entry, label, True)

    def is_of_layer_below(self, port: Port) -> bool:
        """Does the port read another layer, which for the first one is what a boundary equation sets?"""
        row, own = self.roles.block_of(port.name).row, self.roles.system.quantities[port.name].slots
        return any(i == row and s.anchor == "free" and s.offset for s, i in zip(port.slots, own, strict=True))

    def link(self, source: str, name: str, block: Block, port: str, label: Label, dashed: bool = False) -> None:
        if source != block.name:
            back = self.view.boxes[source].row >= self.view.boxes[block.name].row
            self.found[source, name, block.name, port] = Link(
                source, name, block.name, port, f"{source}:{name} {string(label)}" + (" dashed" if dashed else ""),
                self.roles.line(name), back, dashed=dashed, label=label)

    def source(self, name: str, key: str) -> str:
        """The block that is read: a boundary along layers where exactly that is named, else the main one."""
        exact = next((b.name for b in self.roles.blocks if b.boundary and port_key(b.quantities[0], b.boundary) == key),
                     None)
        return exact or self.roles.block_of(name).name


