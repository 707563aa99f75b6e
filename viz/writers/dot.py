"""DOT text of a view: the same boxes and links, for whoever lays them out with Graphviz. Deterministic."""

from __future__ import annotations

from collections.abc import Iterable

from ..style import FILLS, FONT, LINES
from ..text import clean, filled, string
from ..view import FIRST, LAST, Box, View


def quoted(text: str) -> str:
    """A DOT string. Backslashes and quotes are escaped, so that no name can leave it or use DOT's own escapes."""
    return '"' + clean(text.replace("\n", " ")).replace("\\", "\\\\").replace('"', '\\"') + '"'


def attributes(pairs: Iterable[tuple[str, str]]) -> str:
    """A list of attributes in brackets."""
    return "[" + ", ".join(f"{k}={quoted(v)}" for k, v in pairs) + "]"


def dot(view: View) -> str:
    """The text of a DOT file: rows are ranks from the bottom, steps are ordered from left to right."""
    out = [f"digraph {quoted(view.title)} {{", '  rankdir="BT"; newrank="true"; nodesep="0.4"; ranksep="0.5";',
           f"  node [shape=box, style=\"rounded,filled\", fontname={quoted(FONT)}];",
           f"  edge [fontname={quoted(FONT)}, fontsize=11];"]
    for box in view.boxes.values():
        fill = FILLS[box.style]
        shape = box.template.shapes[0]
        label = string(filled(shape.label, box.position, box.layer)) if len(box.template.shapes) == 1 else box.name
        if len(box.template.shapes) > 1 and box.position:
            label += f"  {box.position}"
        style = "rounded,filled,dashed" if fill.dashed else "rounded,filled"
        out.append(f"  {quoted(box.key)} " + attributes([("label", label), ("fillcolor", fill.fill),
                                                         ("color", fill.stroke), ("style", style)]) + ";")
    for row in range(view.rows):
        keys = [b.key for b in sorted((b for b in view.boxes.values() if b.row == row), key=_place)]
        if len(keys) > 1:
            chain = " -> ".join(map(quoted, keys))
            out.append(f"  {{ rank=same; {chain} [style=invis, weight=20]; }}")
    for link in view.links:
        line = LINES[link.style]
        pairs = [("color", line.colour), ("penwidth", f"{line.width:g}")]
        if link.label:
            pairs.append(("xlabel", string(link.label)))
        if link.dashed:
            pairs.append(("style", "dashed"))
        if view.boxes[link.source].row >= view.boxes[link.target].row:
            pairs.append(("constraint", "false"))
        out.append(f"  {quoted(link.source)} -> {quoted(link.target)} {attributes(pairs)};")
        if link.gradient:
            back = LINES["gradient"]
            more = [("color", back.colour), ("style", "dashed"), ("constraint", "false")]
            if link.adjoint:
                more.append(("xlabel", string(link.adjoint)))
            out.append(f"  {quoted(link.target)} -> {quoted(link.source)} {attributes(more)};")
    for loop in view.loops:
        pairs = [("color", LINES[loop.style].colour), ("style", "dashed"), ("label", string(loop.label))]
        out.append(f"  {quoted(loop.box)}:ne -> {quoted(loop.box)}:se {attributes(pairs)};")
    return "\n".join([*out, "}", ""])


def _place(box: Box) -> float:
    """Boxes from left to right."""
    ends = {FIRST: -1.0, LAST: float("inf"), None: -0.5}
    return ends[box.column] if box.column in ends else float(box.column or 0)
