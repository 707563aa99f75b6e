"""The graph of any expression, a box an operation, laid out by Graphviz."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import graphviz

from tinygrad_rnn.arguments import whole
from tinygrad_rnn.errors import BadFile, BadType
from tinygrad_rnn.files import with_ending, write_atomic
from tinygrad_rnn.node import Node, walk

from ..arguments import known_only
from ..style import FAINT, FILLS, FONT
from ..writers.dot import attributes, quoted
from .collapse import OpBox, arrow_count, boxes, collapsed, shared
from .scopes import is_step

ENDINGS = (".svg", ".png", ".pdf", ".dot")
LARGEST = 1500  # boxes of a picture; beyond, Graphviz takes minutes
LONGEST = 15_000  # ranks that all arrows of a picture go down; beyond, too
MOST_MARKS = 4  # at an arrow
MOST_SQUARE = 300  # arrows with right angles; beyond, Graphviz takes long over them
DOWN, ACROSS = 'rankdir="TB";', 'rankdir="LR"; newrank="true";'  # or else frames are ranked one by one
TOGETHER = 8  # how much rather an arrow within a step is short than one between steps
SQUARE, CURVED = 'splines="ortho";', 'splines="spline";'
QUICK = 'splines="polyline"; nslimit="1"; nslimit1="1";'  # it does not go on to search for a better layout


@known_only
def op_graph(roots: Node | Iterable[Node], path: str | os.PathLike[str], title: str | None = None,
             collapse: int | None = None, scopes: Mapping[Node, str] | None = None) -> Path:
    """Draw the expressions under `roots`: symbol and shape of every operation; returns the path.

    .dot is written by itself, .svg, .png and .pdf need Graphviz's `dot`. scopes: of some nodes, names with "/" between
    outer and inner ones, drawn as frames. collapse: at most so many boxes, where the graph can be drawn in as few; by
    default 1500, or in a .dot file any number.

    A larger graph, or one that Graphviz would take minutes for, is drawn smaller, no more than is needed, and says so
    below its title: expressions become formulas in one box, then scopes become boxes, then boxes that are alike, with
    what they read, become one, "× 12". Raises `BadType`, `BadValue`, and `BadFile` where Graphviz is missing.
    """
    roots = [roots] if isinstance(roots, Node) else list(roots)
    for root in roots:
        if not isinstance(root, Node):
            raise BadType(f"an op graph is drawn of nodes, not of {type(root).__name__}")
    _check(collapse, scopes)
    file, ending = with_ending("a picture", path, ENDINGS)
    drawn = ending != ".dot"
    if drawn and shutil.which("dot") is None:
        raise BadFile("drawing an op graph needs Graphviz, and its program dot is not on the PATH: install it "
                      "(apt install graphviz, brew install graphviz), or write a .dot file, which needs nothing")
    text = op_dot(roots, title, LARGEST if drawn and collapse is None else collapse, scopes,
                  LONGEST if drawn else math.inf)
    if not drawn:
        return write_atomic(file, text.encode())
    try:
        picture = _laid_out(text, ending[1:])
    except (graphviz.ExecutableNotFound, graphviz.CalledProcessError) as error:
        raise BadFile(f"dot could not draw {str(file)!r}: {error}") from error
    return write_atomic(file, picture)


def _laid_out(text: str, kind: str) -> bytes:
    """The picture by dot; with curved lines where it fails over those with right angles, as it does now and then."""
    try:
        return graphviz.Source(text).pipe(format=kind, quiet=True)
    except graphviz.CalledProcessError:
        curved = text.replace(SQUARE, CURVED, 1)
        if curved == text:
            raise
        return graphviz.Source(curved).pipe(format=kind)


def _check(collapse: object, scopes: object) -> None:
    if collapse is not None:
        whole("collapse", collapse, at_least=1)
    if scopes is not None and not isinstance(scopes, Mapping):
        raise BadType(f"scopes are names by node, {{node: name}}, not {type(scopes).__name__}")


def op_dot(roots: Sequence[Node], title: str | None = None, most: int | None = None,
           scopes: Mapping[Node, str] | None = None, longest: float = math.inf) -> str:
    """DOT text of the expressions in a fixed order: arguments above what uses them, or where there are steps at the
    left of it, so that time runs from left to right; see `op_graph`.

    most: boxes, any number where it is None; longest: how long all arrows together may be then, in ranks.
    """
    found = boxes(roots, scopes or {}) if most is None else collapsed(roots, scopes or {}, most, longest)
    count = sum(1 for _ in walk(roots))
    captions = [title] if title is not None else []
    if len(found) < count:
        captions.append(f"{count:,} operations in {len(found):,} boxes")
    small = arrow_count(found) <= MOST_SQUARE
    lines = SQUARE if small and not _has_cycle(found) else CURVED if small else QUICK
    way = ACROSS if any(is_step(box.scope) for box in found) else DOWN
    out = ["digraph ops {", f'  {way} nodesep="0.25"; ranksep="0.35"; {lines} fontname={quoted(FONT)};',
           f'  node [shape=box, style="rounded,filled", fontname={quoted(FONT)}, fontsize=11];',
           f'  edge [color="#444444", arrowsize=0.7, fontname={quoted(FONT)}];']
    if captions:
        out.append(f'  label={_lines(captions)}; labelloc="t";')
    out += _frames(found)
    for k, box in enumerate(found):
        for arg, same in groupby(sorted(box.args), key=lambda entry: entry[0]):
            marks = [mark for _, mark in same if mark]
            shown = ",".join(marks) if len(marks) <= MOST_MARKS else f"× {len(marks):,}"
            look = [f'xlabel="{shown}", fontsize=8'] if marks else []
            look += [f"weight={TOGETHER}"] if is_step(box.scope) and _frame(box) == _frame(found[arg]) else []
            out.append(f"  n{arg} -> n{k}" + (f" [{', '.join(look)}]" if look else "") + ";")
    return "\n".join([*out, "}", ""])


def _frame(box: OpBox) -> str:
    """The outermost frame around a box."""
    return box.scope.partition("/")[0]


def _lines(texts: Iterable[str]) -> str:
    """A DOT string of several lines."""
    return '"' + "\\n".join(quoted(text)[1:-1] for text in texts if text) + '"'


def _frames(found: Sequence[OpBox]) -> list[str]:
    """All boxes, those of a scope in its frame."""
    out: list[str] = []
    here: tuple[str, ...] = ()
    numbered = sorted(enumerate(found), key=lambda entry: entry[1].scope.split("/") if entry[1].scope else [])
    for scope, group in groupby(numbered, key=lambda entry: entry[1].scope):
        path = tuple(scope.split("/")) if scope else ()
        common = shared(here, path)
        out += [f"{'  ' * depth}}}" for depth in range(len(here), common, -1)]
        for depth in range(common, len(path)):
            look = attributes([("label", path[depth]), ("color", FAINT), ("style", "rounded"), ("fontsize", "11")])
            name = quoted("cluster " + "/".join(path[: depth + 1]))
            out.append(f"{'  ' * (depth + 1)}subgraph {name} {{ graph {look};")
        here = path
        out += [f"{'  ' * (len(path) + 1)}{_node(k, box)}" for k, box in group]
    return out + [f"{'  ' * depth}}}" for depth in range(len(here), 0, -1)]


def _node(k: int, box: OpBox) -> str:
    fill = FILLS[box.style]
    shown = f"{box.label}  × {box.count:,}" if box.count > 1 else box.label
    more = ', peripheries="2"' if box.count > 1 else ""
    paint = attributes([("fillcolor", fill.fill), ("color", fill.stroke)])[1:-1]
    return f"n{k} [label={_lines([shown, box.shape])}, {paint}{more}];"


def _has_cycle(found: Sequence[OpBox]) -> bool:
    """Has collapsing led an arrow back?"""
    return any(arg >= k for k, box in enumerate(found) for arg, _ in box.args)
