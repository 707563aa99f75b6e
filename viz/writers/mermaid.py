"""Mermaid text of a view: the same boxes and links, for pages that draw flowcharts from text. Deterministic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby

from ..style import FILLS, INK, LINES, ROUND, Line
from ..text import COLUMN, clean, filled, plain, string
from ..view import Box, View

PLAIN = frozenset(" ,.()+-=/*_")  # punctuation that means nothing to Mermaid, to Markdown and to HTML
CONFIG = ("config:", "  flowchart:", "    wrappingWidth: 600")  # equations stay on one line
STEP = "plain"  # how a step's subgraph looks
SHAPES = {True: ('(("', '"))'), False: ('("', '")')}
ARROWS = {True: "-.->", False: "-->"}
# A gradient's arrow of its own would be one more way for the layout, backward; so the two are one with two heads.
BOTH_WAYS = "<"


def mermaid(view: View) -> str:
    """The text of a .mmd file: a flowchart from the bottom to the top, or where there are several steps from left to
    right, a subgraph a step; where a gradient comes back along an arrow, it has two heads and the adjoint's name."""
    columns = [c for c in range(len(view.columns)) if c not in view.ends] if len(view.columns) > 1 else []
    ids = {key: f"n{k}" for k, key in enumerate(view.boxes)}
    out = ["---", f"title: {json.dumps(clean(view.title), ensure_ascii=False)}", *CONFIG, "---",
           f"flowchart {'LR' if columns else 'BT'}"]
    for style in dict.fromkeys([STEP, *(box.style for box in view.boxes.values())]):
        out.append(f"  classDef {style} {_look(style)}")
    for column in columns:
        out.append(f'  subgraph step{column}["{escaped(view.columns[column])}"]')
        out += [f"    {_node(ids[key], box)}" for key, box in view.boxes.items() if box.column == column]
        out += ["  end", f"  class step{column} {STEP}"]
    out += [f"  {_node(ids[key], box)}" for key, box in view.boxes.items() if box.column not in columns]
    numbers: dict[Line, list[str]] = {}
    for k, (arrow, line) in enumerate(_arrows(view, ids)):
        out.append(f"  {arrow}")
        numbers.setdefault(line, []).append(str(k))
    out += [f"  linkStyle {','.join(of)} stroke:{line.colour},stroke-width:{line.width:g}px"
            for line, of in numbers.items()]
    return "\n".join([*out, ""])


def escaped(text: str) -> str:
    """text inside a Mermaid string: whatever could mean something is an entity in Mermaid's way, #34; for a quote."""
    return "".join(c if not c.isascii() or c.isalnum() or c in PLAIN else f"#{ord(c)};"
                   for c in clean(text.replace("\n", " ")))


def _look(style: str) -> str:
    fill = FILLS[style]
    dashes = ",stroke-dasharray:5 4" if fill.dashed else ""
    return f"fill:{fill.fill},stroke:{fill.stroke},stroke-width:{fill.width:g}px,color:{INK}{dashes}"


def _node(name: str, box: Box) -> str:
    shapes = box.template.shapes
    if len(shapes) == 1:
        lines = [string(filled(label, box.position, box.layer)) for label in (shapes[0].label, *shapes[0].lines)]
    else:
        title = [p.label for p in box.template.panels if p.label] or [plain(f"{box.name}  {COLUMN}")]
        lines = [" ".join(string(filled(title[0], box.position, box.layer)).split())]
    left, right = SHAPES[box.style in ROUND and len(lines) == 1]
    return f"{name}{left}{'<br/>'.join(map(escaped, lines))}{right}:::{box.style}"


def _arrows(view: View, ids: dict[str, str]) -> Iterator[tuple[str, Line]]:
    """Every arrow as text, and how it looks."""
    for link in view.links:
        start, end = ids[link.source], ids[link.target]
        said = ", ".join(filter(None, (string(link.label), string(link.adjoint) if link.gradient else "")))
        yield _arrow(start, end, link.dashed, said, link.gradient), LINES[link.style]
    for key, loops in groupby(view.loops, key=lambda loop: loop.box):  # Mermaid draws all arcs of a box at one place
        found = list(loops)
        yield _arrow(ids[key], ids[key], True, ", ".join(string(x.label) for x in found)), LINES[found[0].style]


def _arrow(start: str, end: str, dashed: bool, label: str, both_ways: bool = False) -> str:
    said = f'|"{escaped(label)}"|' if label else ""
    return f"{start} {BOTH_WAYS if both_ways else ''}{ARROWS[dashed]}{said} {end}"
