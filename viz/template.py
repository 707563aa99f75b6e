"""A block laid out once: what is stamped at every step, with the ports that wires between blocks attach to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from .scene import Mark, Shape, Wire
from .style import ROUND, SMALL, TEXT
from .text import Label, width


class Place(NamedTuple):
    """A port on a block's border. side: "left", "right", "top" or "bottom"; open: wires go on inside."""

    x: float
    y: float
    side: str
    open: bool = False


@dataclass
class Template:
    """Shapes and wires around (0, 0), the upper left corner.

    ins: port key -> place; outs: quantity -> where its wires to other blocks start; rails: quantity -> where those to
    its next step start; marks: quantity -> what these carry.
    """

    w: float
    h: float
    panels: list[Shape] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    ins: dict[str, Place] = field(default_factory=dict)
    outs: dict[str, Place] = field(default_factory=dict)
    rails: dict[str, Place] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)

    def mirrored(self) -> Template:
        """Time from right to left: everything as in a mirror, but for the text."""
        other = {"left": "right", "right": "left"}

        def flip(places: dict[str, Place]) -> dict[str, Place]:
            return {k: p._replace(x=self.w - p.x, side=other.get(p.side, p.side)) for k, p in places.items()}

        return replace(self, panels=[p.mirrored(self.w) for p in self.panels],
                       shapes=[s.mirrored(self.w) for s in self.shapes], wires=[w.mirrored(self.w) for w in self.wires],
                       ins=flip(self.ins), outs=flip(self.outs), rails=flip(self.rails))


PORT_GAP = 14.0


def simple(style: str, label: Label, name: str, below: list[str], side: list[str], outs: list[str],
           direction: int = 0, lines: tuple[Label, ...] = (), stretch: float = 0.0,
           mark: Mark | None = None) -> Template:
    """One box with a label; round where it is short and an input or output.

    below: keys of the ports at the bottom, from left to right; side: those of states, from the top.
    """
    body = max([width(label, TEXT), *(width(line, SMALL) for line in lines)])
    is_round = style in ROUND and body <= 44 and not lines and len(below) < 3
    w = max(body + (16 if is_round else 24), (len(below) + 1) * PORT_GAP, 40 if is_round else 48)
    h = max(w if is_round else 36 + 17 * len(lines) + (4 if lines else 0), 20 * len(side) + 18, stretch)
    w = h if is_round else w
    shape = Shape("circle" if is_round else "box", 0, 0, w, h, style, label, TEXT, lines, name, mark)
    t = Template(w, h, shapes=[shape])
    middle = w / 2
    for k, key in enumerate(below):
        x = middle + (k - (len(below) - 1) / 2) * min(PORT_GAP * 1.6, (w - 16) / max(1, len(below)))
        y = h / 2 + ((w / 2) ** 2 - (x - middle) ** 2) ** 0.5 if is_round else h
        t.ins[key] = Place(x, y, "bottom")
    near, far = ("right", "left") if direction < 0 else ("left", "right")
    for k, key in enumerate(side):
        t.ins[key] = Place(w if near == "right" else 0, h / 2 + 18 * k - (9 * (len(side) - 1)), near)
    first = t.ins[side[0]].y if side else h / 2
    for name_out in outs:  # a state leaves at the height at which it enters
        level = next((t.ins[key].y for key in side if key.split("[")[0] == name_out), first)
        t.outs[name_out] = Place(middle, 0, "top")
        t.rails[name_out] = Place(w if far == "right" else 0, level, far)
    return t
