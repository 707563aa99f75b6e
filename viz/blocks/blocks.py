"""The template of every block of a model, at a level of detail: operations, quantities, or closed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from tinygrad_rnn.printing.printer import equation_text
from tinygrad_rnn.printing.typeset import typeset
from tinygrad_rnn.system import Equation

from ..graph.groups import Block
from ..graph.names import Arrow
from ..graph.roles import Roles
from ..scene import Shape
from ..style import HEAT, ROLE_FILL, SMALL
from ..template import Place, Template, simple
from ..text import COLUMN, ROW, Label, Span, plain, quantity, shortened, string
from .alike import collapsed
from .breaks import broken
from .cell import CLOSE, SINGLE, TWIN, Pitch, arrange
from .inside import Inside, block_mark, block_position, by_operations, by_quantities, port_key, ports_of
from .segments import USUAL

PANELS = {"attention": "panel_attention", "cell": "panel"}
GAP_WIDTH = 44.0
SIDES = ("left", "right")
DETAILS = ("closed", "gates", "ops")
LONGEST, MOST_LINES, MOST_PIECES = 380.0, 12, 4  # of the equations inside a folded cell, and of each of them
MOST_NAMES = 4  # in a cell's title
WIDEST = 565.0  # of a cell that can be read beside three others
WIDEST_BACK = 660.0  # of one with gradients, whose steps stand farther apart


def passed(block: Block, roles: Roles) -> list[str]:
    """The quantities of a block that are read from other blocks."""
    return list(dict.fromkeys(a.source for a in roles.arrows_from(block)
                              if a.target not in block.quantities or bool(a.boundary)))


def fill(block: Block, roles: Roles) -> str:
    """The style of a block that is drawn closed."""
    style = ROLE_FILL[roles.role[block.quantities[0]]]
    if block.boundary:
        return "plain"
    if block.kind == "cell":
        return "backward" if block.direction < 0 else "state"
    return style


def opened(block: Block, roles: Roles, detail: str, live: frozenset[str] | None = None,
           numbered: bool = True, pitch: Pitch | None = None) -> Template:
    """One step of the block with its inside at a level of detail. live: the quantities with a gradient, whose wires
    inside get twins; operations have none; numbered: does the title say which step? pitch: of the inside, by default
    one with room for what is drawn there."""
    if block.kind == "single" or detail == "closed":
        return closed(block, roles)
    inside: Inside
    if detail == "gates" or block.kind == "attention":
        inside = by_quantities(block, roles, live or frozenset())
    else:
        inside = by_operations(block, roles)
    if sum(part.style != "merge" for part in inside.parts.values()) < 2:
        return closed(block, roles)
    states = {key: port.name for key, port in inside.ports.items() if port.state}
    inside = collapsed(inside, [*states.values(), *passed(block, roles)])
    pitch = pitch or (SINGLE if live is None else TWIN)
    panel = PANELS[block.kind] + ("_backward" if block.direction < 0 else "")
    t = arrange(inside, states, passed(block, roles), title(block, roles) if numbered else carried(block, roles), panel,
                pitch)
    t.marks = {q: block_mark(q, block, roles.system) for q in block.quantities}
    t.panels = [replace(p, mark=t.marks[carried_names(block, roles)[0]]) for p in t.panels]
    return t.mirrored() if block.direction < 0 else t


def usual(block: Block, roles: Roles, columns: int, ranges: int = 1, live: frozenset[str] | None = None) -> Template:
    """One step of the block with its operations inside, or where these are too wide to be read, with its quantities.
    With gradients, which are those of quantities, they move closer together, or are left out.

    columns: how many steps stand side by side; ranges: of how many positions; live: as of `opened`.
    """
    if live is None:
        t = opened(block, roles, "ops")
        shorter = opened(block, roles, "gates") if t.w > WIDEST * max(1.0, USUAL / max(1, columns)) else t
        return shorter if shorter.panels and shorter.w < t.w else t
    forms = (opened(block, roles, "gates", live, pitch=pitch) for pitch in (TWIN, CLOSE))
    return next((t for t in forms if t.w * ranges <= WIDEST_BACK), closed(block, roles))


def carried_names(block: Block, roles: Roles) -> list[str]:
    """The states of a block; of one without any, all that it computes."""
    return [q for q in block.quantities if roles.role[q] == "state"] or list(block.quantities)


def carried(block: Block, roles: Roles, placed: bool = False) -> Label:
    """c, h: what the block carries on, or else computes; with their positions where it is placed."""
    names = carried_names(block, roles)
    label: Label = ()
    for k, name in enumerate(names[:MOST_NAMES]):
        at = block_position(name, block, roles.system) if placed else ""
        label += (*((Span(", "),) if k else ()), *quantity(name, at))
    if len(names) > MOST_NAMES:
        label += plain(", …")
    return label


def title(block: Block, roles: Roles) -> Label:
    """c, h   t = 3"""
    where = [f"{i} = {mark}" for i, mark in ((block.row, ROW), (block.column, COLUMN)) if i]
    return (*carried(block, roles), *plain("    "), Span(",  ".join(where)))


def closed(block: Block, roles: Roles, lines: tuple[Label, ...] = (), stretch: float = 0.0,
           more: Iterable[str] = (), direction: int | None = None, style: str = "", aside: bool = True) -> Template:
    """One box for the block, named after its first quantity or its states; aside: do states enter at its side?"""
    ports = ports_of(block, roles)
    side = sorted((k for k, p in ports.items() if p.state and aside), key=lambda k: abs(ports[k].shift))
    below = [*(k for k in ports if k not in side), *more]
    if len(block.quantities) == 1:
        label = quantity(block.quantities[0], block_position(block.quantities[0], block, roles.system))
    else:
        label = carried(block, roles, not lines)
    name = string(label) if len(block.quantities) == 1 or not lines else ", ".join(carried_names(block, roles))
    marks = {q: block_mark(q, block, roles.system) for q in block.quantities}
    t = simple(style or fill(block, roles), label, name, below, side, list(block.quantities),
               block.direction if direction is None else direction, lines, stretch,
               marks[carried_names(block, roles)[0]])
    t.marks = marks
    return t


def heat(share: float) -> str:
    """The fill that stands for a share of the whole."""
    return f"heat{min(len(HEAT) - 1, math.ceil((share - 0.01) * len(HEAT)))}"


def percent(share: float) -> str:
    """A share as it is read."""
    return f"{share:.0%}" if share >= 0.01 or not share else "< 1%"


def equation_lines(eq: Equation) -> tuple[list[Label], bool]:
    """An equation as it is written inside a folded cell, in lines of some length; is it whole?"""
    found = broken(equation_text(typeset(eq)), SMALL, LONGEST)
    last = tuple(span for line in found[MOST_PIECES - 1 :] for span in (*line, Span(" ")))[:-1]
    whole = [*found[: MOST_PIECES - 1], *([last] if last else [])]
    shown = [shortened(line, SMALL, LONGEST) for line in whole]
    return shown, all(a is b for a, b in zip(shown, whole, strict=True))


def folded(block: Block, roles: Roles, loops: int, shares: Mapping[str, float] | None = None) -> Template:
    """The block closed, with its equations written inside and room for `loops` arcs; coloured by its share, if any."""
    lines: list[Label] = []
    cut: list[str] = []  # equations that are not written whole
    share = None if shares is None else sum(shares.get(name, 0.0) for name in block.quantities)
    if block.kind != "single" or roles.role[block.quantities[0]] == "loss":
        apart = {b.name for b in roles.blocks if b.boundary}
        equations = [eq for eq in roles.system.equations if eq.name in block.quantities and eq.left not in apart]
        for k, eq in enumerate(equations):
            own = plain(f"    {percent(shares.get(eq.name, 0.0))}") if shares and len(equations) > 1 else ()
            written, whole = equation_lines(eq)
            if lines and len(lines) + len(written) > MOST_LINES + (eq is equations[-1]):
                lines.append(plain(f"… and {len(equations) - k} more"))
                cut += map(equation_text, equations[k:])
                break
            cut += [] if whole else [equation_text(eq)]
            lines += [*written[:-1], (*written[-1], *own)]
    if share is not None:
        lines.append(plain(percent(share)))
    style = "" if share is None else heat(share)
    t = closed(block, roles, tuple(lines), 44.0 * loops, initial_ports(block, roles), style=style,
               direction=-1,  # arcs are at the right, so what leaves sideways leaves at the left
               aside=not block.boundary)  # what sets layer 0 reads the last layer, which is another block here
    t.shapes = [replace(s, name="\n".join([s.name, *cut])) for s in t.shapes]
    return t


def initial_ports(block: Block, roles: Roles) -> dict[str, list[Arrow]]:
    """What the block's boundary equations along the columns read: port key -> its arrows, to all that it sets."""
    found: dict[str, list[Arrow]] = {}
    for a in roles.arrows_into(block):
        if a.boundary and a.boundary not in roles.boundaries and not block.boundary:
            found.setdefault(f"{port_key(a.source, a.slots)} ->", []).append(a)
    return found


def gap(t: Template) -> Template:
    """What stands for the steps left out: dots at the height of every state's wire, or in the middle."""
    heights = sorted({p.y for p in t.ins.values() if p.side in SIDES})
    dots = [Shape("box", 0, y - 8, GAP_WIDTH, 16, "none", plain("· · ·"), 15) for y in heights or [t.h / 2]]

    def moved(places: dict[str, Place]) -> dict[str, Place]:
        return {k: p._replace(x=0.0 if p.side == "left" else GAP_WIDTH, open=True) for k, p in places.items()
                if p.side in SIDES and p.y in heights}

    return Template(GAP_WIDTH, t.h, shapes=dots, ins=moved(t.ins), rails=moved(t.rails))


def layers_left_out() -> Template:
    """What stands in place of layers: ⋮."""
    return Template(30, 26, shapes=[Shape("box", 0, 0, 30, 26, "none", plain("⋮"), 18)])
