"""The folded view: every block once, loops as dashed arcs labelled with their shift."""

from __future__ import annotations

from collections.abc import Mapping

from . import blocks
from .inside import port_key, ports_of
from .roles import Block, Roles
from .template import Template
from .text import Label, Span, quantity, slot_text
from .units import Units
from .view import Box, Link, Loop, View


def folded(roles: Roles, shares: Mapping[str, float] | None = None) -> View:
    """One column; blocks with layers are drawn once, their layer index as it is written.

    shares: by quantity, numbers from 0 to 1 that colour the blocks.
    """
    return _Folded(roles, shares).view


class _Folded:
    def __init__(self, roles: Roles, shares: Mapping[str, float] | None):
        self.roles = roles
        units = Units(roles, 1, True)
        row_of: dict[Block, int] = {}
        for unit in sorted(units.all, key=lambda u: units.row_of[u]):
            row_of.setdefault(unit.block, units.row_of[unit])
        used = {row: k for k, row in enumerate(sorted(set(row_of.values())))}
        self.view = View(roles.system.name, [""], len(used), track=12.0)
        self.found: dict[tuple[str, ...], Link] = {}
        loops = {b: self.loops(b) for b in roles.blocks}
        for block in roles.blocks:
            template: Template = blocks.folded(block, roles, len(loops[block]), shares)
            self.view.boxes[block.name] = Box(block.name, template, used[row_of[block]], 0, block.column, block.row,
                                              ", ".join(block.quantities), template.shapes[0].style)
            self.view.loops += loops[block]
        for block in roles.blocks:
            self.connect(block)
        self.view.links = list(self.found.values())

    def loops(self, block: Block) -> list[Loop]:
        """The arcs of a block: what it reads of itself from other steps or layers."""
        found: dict[tuple[str, str], Loop] = {}
        many = len(block.quantities) > 1
        for a in self.roles.arrows:
            if not {a.source, a.target} <= set(block.quantities) or a.boundary or block.boundary:
                continue
            shifts = ", ".join(str(s).replace("-", "−") for s in a.slots if s.anchor == "free" and s.offset)
            if shifts:
                name = quantity(a.source) if many else ()
                label: Label = (*name, *((Span("  "),) if many else ()), Span(shifts))
                found.setdefault((a.source, shifts), Loop(block.name, label, self.roles.line(a.source)))
        return list(found.values())

    def connect(self, block: Block) -> None:
        """The wires into a block: from other blocks, and from what sets its first layer or step."""
        for key, port in ports_of(block, self.roles).items():
            if port.state:
                continue
            if port.name in block.quantities and not block.boundary:
                for other in self.roles.blocks:
                    if other.boundary and port.name in other.quantities:
                        self.link(other.name, port.name, block, key, ())
                continue
            shifted = [str(s).replace("-", "−") for s in port.slots if s.anchor != "free" or s.offset]
            label: Label = (Span(",".join(shifted)),) if shifted else ()
            dashed = any(s.anchor == "free" and s.offset for s in port.slots)
            self.link(self.source(port.name, key), port.name, block, key, label, dashed)
        for key, a in blocks.initial_ports(block, self.roles).items():
            label = quantity(a.target, slot_text(a.boundary))
            self.link(self.roles.block_of(a.source).name, a.source, block, key, label, True)

    def link(self, source: str, name: str, block: Block, port: str, label: Label, dashed: bool = False) -> None:
        if source != block.name:
            back = self.view.boxes[source].row >= self.view.boxes[block.name].row
            self.found[source, name, block.name, port] = Link(
                source, name, block.name, port, f"{source}:{name}" + (" dashed" if dashed else ""),
                self.roles.line(name), back, dashed=dashed, label=label)

    def source(self, name: str, key: str) -> str:
        """The block that is read: a boundary along layers where exactly that is named, else the main one."""
        exact = next((b.name for b in self.roles.blocks if b.boundary and port_key(b.quantities[0], b.boundary) == key),
                     None)
        return exact or self.roles.block_of(name).name


