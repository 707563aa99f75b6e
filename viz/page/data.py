"""What the page draws and knows, as plain lists for JSON. Cells are alike up to their place, so each is told once."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from itertools import pairwise
from typing import Any

import networkx as nx

from tinygrad_rnn.printing.printer import equation_text
from tinygrad_rnn.printing.symbols import Names
from tinygrad_rnn.system import Quantity, System

from ..colouring import DECADES, SCALES
from ..graph.roles import Roles, roles
from ..scene import Mark, Note, Point, Scene, Shape, Wire
from ..style import FILLS
from ..text import Label, clean, named, width
from ..values import Values
from ..writers.svg import BASELINE, texts
from .lines import drawn, feet, rounded, ways
from .numbers import shown
from .parts import Part, parts_of

CLOSED = {"panel": "state", "panel_backward": "backward", "panel_attention": "attention"}  # fill of a closed cell
LARGEST = 30.0  # text of a closed cell
Json = Any


class Table:
    """Things that are told once, by number."""

    def __init__(self) -> None:
        self.rows: list[Json] = []
        self.found: dict[Hashable, int] = {}

    def number(self, row: Json) -> int:
        """The place of a row, which is added where it is new."""
        key = json.dumps(row, ensure_ascii=True, sort_keys=True)
        if key not in self.found:
            self.found[key] = len(self.rows)
            self.rows.append(row)
        return self.found[key]


class Data:
    """Tables for the page's program. fills, lines, inks: the kinds of boxes, of lines and of text colours in use."""

    def __init__(self, scene: Scene, system: System, values: Values | None):
        self.system, self.values, self.scene = system, values, scene
        self.roles: Roles = roles(system)
        self.live = _live(self.roles)
        self.twins = any(w.style == "gradient" for w in scene.wires)
        self.fills: dict[str, None] = {}
        self.lines: dict[str, None] = {"gradient": None}
        self.inks: dict[str, int] = {}
        self.labels, self.written, self.drawings, self.wires, self.marks = (Table() for _ in range(5))
        self.of_mark: list[Mark] = []
        self.scales: dict[str, Json] = {}
        self.equations = system.by_name
        self.names = Names(system)
        self.quantities = {name: k for k, name in enumerate(system.quantities)}

    def json(self) -> dict[str, Json]:
        """Everything, in the order in which the program reads it."""
        found = parts_of(self.scene, self.system)
        units = [self.unit(p) for p in found.parts]
        wires = [self.outer(w, a, b) for w, a, b in found.wires]
        notes = [[*self.note(n, (0.0, 0.0)), -1 if k is None else k] for n, k in found.notes]
        wide, high = rounded(self.scene.width, self.scene.height)
        return {
            "width": wide, "height": high, "steps": sum(n for _, n in found.ranges), "ranges": found.ranges,
            "lengths": self.lengths(found.ranges), "twins": self.twins,
            "labels": self.labels.rows, "written": self.written.rows, "drawings": self.drawings.rows,
            "lines": self.wires.rows, "units": units, "wires": wires, "notes": notes,
            "quantities": [self.quantity(q) for q in self.system.quantities.values()], "marks": self.marks.rows,
            "values": self.numbers(), "kinds": list(self.fills), "scales": self.scales,
        }

    # -- units -------------------------------------------------------------------------------------

    def unit(self, part: Part) -> Json:
        """[drawing, its texts, x, y, marks of its boxes, step, number of its range, backward?, the mark that colours it
        when closed]"""
        at = (part.body.x, part.body.y)
        written: list[int] = []
        drawing: dict[str, Json] = {"boxes": [self.box(s, at, written) for s in part.shapes], "below": int(part.below)}
        if part.panel is not None:
            label = part.panel.label
            drawing["panel"] = self.box(part.panel, at, written)
            drawing["shut"] = self.shut(part, label)
            written.append(self.label(label))
            drawing["lines"] = self.groups(part.wires, at, part)
            notes = [self.note(n, at) for n in part.notes]
            written += [n[0] for n in notes]
            drawing["notes"] = [[0, *n[1:]] for n in notes]
        marks = [self.mark(s.mark) for s in part.shapes if s.mark is not None]
        return [self.drawings.number(drawing), self.written.number(written), *rounded(*at), marks, part.step,
                part.range, int(part.is_backward), self.speaker(part)]

    def lengths(self, ranges: Iterable[tuple[str, int]]) -> dict[str, int]:
        """How many positions the picture has of every index whose positions are columns."""
        known = {self.system.range_of(index): n for index, n in ranges}
        return {i: known[r] for i in self.system.ranges if (r := self.system.range_of(i)) in known}

    def box(self, s: Shape, at: Point, written: list[int]) -> Json:
        """[round?, x, y, w, h, corner, kind, texts, marked?, fill]; its labels go to `written`."""
        lines = []
        for x, y, label, size, colour, anchor in texts(s):
            written.append(self.label(label))
            lines.append([*rounded(x - at[0], y - at[1] + BASELINE * size), size, self.ink(colour), anchor])
        corner = min(FILLS[s.style].corner, s.h / 2, s.w / 2)
        return [int(s.kind == "circle"), *rounded(s.x - at[0], s.y - at[1], s.w, s.h, corner), self.kind(s.style),
                lines, int(s.mark is not None), s.fill or ""]

    def shut(self, part: Part, label: Label) -> Json:
        """A closed cell: its fill, the states' ways straight through, and where its label stands, at which size."""
        panel = part.panel
        assert panel is not None
        through = list(ways(panel, part.wires))
        heights = sorted({y - panel.y for w in through if len(w.points) == 2 and w.points[0][1] == w.points[1][1]
                          for _, y in w.points})
        edges = [0.0, *heights, panel.h]
        room, low, high = max((b - a, a, b) for a, b in pairwise(edges))
        size = min(LARGEST, room * 0.6, LARGEST * (panel.w - 24) / max(1.0, width(label, LARGEST)))
        groups = [self.groups(found, (panel.x, panel.y), part) for found in (through, feet(panel, part.wires))]
        return [self.kind(CLOSED.get(panel.style, panel.style)), *groups,
                *rounded(panel.w / 2, (low + high) / 2 + BASELINE * size, size), self.ink(FILLS[panel.style].stroke)]

    def speaker(self, part: Part) -> int:
        """Of a cell, the mark that stands for it: its last state, or what it computes last."""
        marks = [s.mark for s in part.shapes if s.mark is not None]
        states = [m for m in marks if self.roles.role.get(m.name) == "state" and m.name not in self.roles.additive]
        chosen = {m.name: m for m in states or marks}
        order = [n for n in self.roles.role if n in chosen]
        return self.mark(chosen[order[-1]]) if order else -1

    # -- wires -------------------------------------------------------------------------------------

    def outer(self, wire: Wire, start: int | None, end: int | None) -> Json:
        """[its line, x, y, the units at its ends]"""
        at = wire.points[0]
        return [self.wires.number(self.line([wire], at, self.flows(wire, None))), *rounded(*at),
                -1 if start is None else start, -1 if end is None else end]

    def groups(self, wires: Iterable[Wire], at: Point, part: Part) -> list[int]:
        """Wires that look alike as one line."""
        found: dict[tuple[Any, ...], list[Wire]] = {}
        for w in wires:
            found.setdefault((w.style, w.dashed, w.phase, w.width, w.colour, self.flows(w, part)), []).append(w)
        return [self.wires.number(self.line(group, at, key[-1])) for key, group in found.items()]

    def line(self, wires: list[Wire], at: Point, flows: bool) -> Json:
        """[kind, dashed?, width, colour, line, heads, line back, heads back, phase of the dashes]; back: only where a
        gradient flows."""
        first = wires[0]
        self.lines[first.style] = None
        ahead = [drawn(w.points, w.head, w, at) for w in wires]
        back = [drawn(w.points[::-1], w.tail, w, at) for w in wires] if flows else []
        strings = ["".join(d[k] for d in way) for way in (ahead, back) for k in (0, 1)]
        colour = "" if first.colour is None else f"p{self.ink(first.colour)}"
        return [first.style, int(first.dashed), first.width or 0, colour, *strings, first.phase]

    def flows(self, wire: Wire, part: Part | None) -> bool:
        """Does a gradient come back along the wire, without a line of its own?"""
        if self.twins or wire.style == "input" or wire.name == "legend":
            return False
        if wire.mark is not None:
            return wire.mark.name in self.live
        return part is None or any(s.mark is not None and s.mark.name in self.live for s in part.shapes)

    # -- words -------------------------------------------------------------------------------------

    def label(self, label: Label) -> int:
        """The number of a label."""
        return self.labels.number(spans(label))

    def note(self, n: Note, at: Point) -> Json:
        """[label, x, y, size, ink, anchor, plate's x, y, w, h]"""
        w = width(n.label, n.size)
        left = n.x - {"start": 0.0, "middle": w / 2, "end": w}[n.anchor]
        plate = rounded(left - 1 - at[0], n.y - n.size * 0.62 - at[1], w + 2, n.size * 1.2)
        return [self.label(n.label), *rounded(n.x - at[0], n.y - at[1] + BASELINE * n.size), n.size, self.ink(n.colour),
                n.anchor, *plate]

    def ink(self, colour: str) -> int:
        """The number of a colour."""
        return self.inks.setdefault(colour, len(self.inks))

    def kind(self, style: str) -> int:
        """The number of a style."""
        self.fills.setdefault(style)
        return list(self.fills).index(style)

    def quantity(self, q: Quantity) -> Json:
        """[name, symbol, role, indices, shape, equations]"""
        own = [[[[s.anchor, s.offset] for s in eq.slots] if eq.is_boundary else [], clean(equation_text(eq))]
               for eq in self.equations.get(q.name, ())]
        return [clean(q.name), self.label(named(q.name, self.names.symbol(q.name))),
                self.roles.role.get(q.name, q.role), list(q.slots), list(q.type.shape), own]

    # -- numbers -----------------------------------------------------------------------------------

    def mark(self, mark: Mark) -> int:
        """[quantity, a position for each of its indices, null where it is left open]"""
        at = dict(mark.at)
        slots = self.system.quantities[mark.name].slots
        k = self.marks.number([self.quantities[mark.name], *(at.get(i) for i in slots)])
        if k == len(self.of_mark):
            self.of_mark.append(mark)
        return k

    def numbers(self) -> list[Json]:
        """For every mark what the run has there, with its places `v` and `g` from 0 to 1 on the colours' scales."""
        if self.values is None:
            return []
        found = [shown(mark, self.values) for mark in self.of_mark]
        coloured = [f for mark, f in zip(self.of_mark, found, strict=True)
                    if f is not None and self.roles.role.get(mark.name) != "loss"]
        largest = max((f["norm"] for f in coloured if isinstance(f.get("norm"), float)), default=0.0)
        for numbers in coloured:
            self.placed(numbers, largest or 1.0)
        return found

    def placed(self, numbers: dict[str, Json], largest: float) -> None:
        """Say where the numbers of a mark stand on the scales."""
        for key, at, name, top in (("rms", "v", "activation", 1.0), ("norm", "g", "gradient", largest)):
            value = numbers.get(key)
            if isinstance(value, str):
                numbers[at] = -1  # not finite
            elif value is not None:
                scale = SCALES[name]
                numbers[at] = round(min(1.0, max(0.0, scale.place(value, top))), 3)
                ends = [text.format(low=top * 10**-DECADES, top=top) for text in (scale.low, scale.high)]
                self.scales[at] = [scale.title, *ends]


def _live(found: Roles) -> frozenset[str]:
    """Quantities with a gradient: those from which a loss, or an output where there is none, follows."""
    ends = [n for n, r in found.role.items() if r == "loss"] or [n for n, r in found.role.items() if r == "output"]
    graph: nx.DiGraph[str] = nx.DiGraph((a.source, a.target) for a in found.arrows if a.differentiable)
    graph.add_nodes_from(ends)
    return frozenset(ends).union(*(nx.ancestors(graph, end) for end in ends))


def spans(label: Label) -> Json:
    """Pieces of text: plain, or [text, slanted?, size, rise, colour]."""
    found: list[Json] = []
    for s in label:
        text = clean(s.text)
        found.append(text if not s.italic and s.scale == 1 and not s.rise and not s.colour
                     else [text, int(s.italic), s.scale, s.rise, s.colour or ""])
    return found


def script(data: Mapping[str, Json]) -> str:
    """JSON that no HTML parser takes for anything else."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
