"""Results of the whole sequence, such as the gradients of many weights: in one panel above, each with its equation."""

from __future__ import annotations

import math
from dataclasses import replace

from tinygrad_rnn.node import At, refs
from tinygrad_rnn.printing.printer import text
from tinygrad_rnn.printing.typeset import typeset

from ..graph.groups import Block
from ..graph.names import Arrow
from ..graph.roles import Roles
from ..scene import Shape
from ..style import ROLE_FILL, SMALL, TEXT
from ..template import Place, Template
from ..text import formula, plain, quantity, shortened, string, width
from .inside import Port, block_mark, port_key, ports_of

FEW = 6  # results that stand side by side, each with its own wires
LONGEST, HIGH, GAP, PAD, TOP = 300.0, 52.0, 12.0, 14.0, 30.0
PORT = 24.0  # between the ports of the panel
SHAPE = 3.0  # width by height that the panel comes near


def with_results(roles: Roles) -> Roles:
    """The roles with a block of kind "results" for many results, and without constants that nothing reads."""
    used = {n for a in roles.arrows for n in (a.source, a.target)}
    blocks = tuple(b for b in roles.blocks if b.name in used or not _is_constant(b, roles)) or roles.blocks
    read, bounded = {a.source for a in roles.arrows}, {a.target for a in roles.arrows if a.boundary}
    found = [b for b in blocks if b.kind == "single" and not b.column and not b.row and b.name in used - read
             and roles.role[b.name] != "loss" and b.name not in bounded]
    if len(found) > FEW:
        names, shown = tuple(b.name for b in found), {*found}
        blocks = (*(b for b in blocks if b not in shown), Block(" results", names, "results"))
    return replace(roles, blocks=blocks)


def _is_constant(block: Block, roles: Roles) -> bool:
    own = [eq.rhs for name in block.quantities for eq in roles.system.by_name.get(name, ())]
    return bool(own) and not any(True for _ in refs(own))


def key_of(a: Arrow, block: Block) -> str:
    """The port at which a block reads; a panel of results reads all steps of a quantity at one, whatever the shift."""
    if block.kind == "results":
        return port_key(a.source, tuple(At("free", s.index, 0) if s.anchor == "free" else s for s in a.slots))
    return port_key(a.source, a.slots)


def ports(block: Block, roles: Roles) -> dict[str, Port]:
    """`ports_of`, for a panel of results too."""
    if block.kind != "results":
        return ports_of(block, roles)
    found: dict[str, Port] = {}
    for a in roles.arrows_into(block):
        found.setdefault(key := key_of(a, block), Port(key, a.source, a.slots, False, 0, roles.line(a.source)))
    return found


def panel(block: Block, roles: Roles) -> Template:
    """The results in rows and columns, in the order of their equations, one port for each quantity that they read."""
    equations = {eq.name: text(typeset(eq).rhs, bare=True) for eq in roles.system.equations if not eq.is_boundary}
    lines = {name: shortened(formula(equations[name]), SMALL, LONGEST) for name in block.quantities}
    w = max(max(width(quantity(name), TEXT), width(line, SMALL)) + 24 for name, line in lines.items())
    across = max(1, round(math.sqrt(len(lines) * SHAPE * (HIGH + GAP) / (w + GAP))))
    found = ports(block, roles)
    rows = math.ceil(len(lines) / across)
    body = across * (w + GAP) - GAP
    t = Template(max(body + 2 * PAD, (len(found) + 1) * PORT), TOP + rows * (HIGH + GAP) - GAP + PAD)
    t.panels.append(Shape("panel", 0, 0, t.w, t.h, "plain", plain("over all steps"), SMALL))
    for k, (name, line) in enumerate(lines.items()):
        x, y = (t.w - body) / 2 + k % across * (w + GAP), TOP + k // across * (HIGH + GAP)
        label = quantity(name)
        t.shapes.append(Shape("box", x, y, w, HIGH, ROLE_FILL[roles.role[name]], label, TEXT, (line,), string(label),
                              block_mark(name, block, roles.system)))
    for k, key in enumerate(found):
        t.ins[key] = Place(t.w / 2 + (k - (len(found) - 1) / 2) * PORT, t.h, "bottom")
    return t
