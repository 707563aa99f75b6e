"""The graph of any expression, a box an operation, laid out by Graphviz."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import graphviz

from tinygrad_rnn.errors import BadFile, BadType, BadValue
from tinygrad_rnn.node import Node, walk
from tinygrad_rnn.ops import TABLE

from .files import replaced, target
from .style import FILLS, FONT
from .write_dot import attributes, quoted

ENDINGS = (".svg", ".png", ".pdf", ".dot")
LARGEST = 1500  # boxes; beyond, Graphviz takes minutes
LEAVES = {"ref": "input", "data": "input", "const": "plain"}


def op_graph(roots: Iterable[Node], path: str | os.PathLike[str], title: str | None = None) -> Path:
    """Draw the expressions under `roots`: symbol and shape of every operation; returns the path.

    .dot is written by itself, .svg, .png and .pdf need Graphviz's `dot`. Raises `BadFile` where it is missing.
    """
    roots = [roots] if isinstance(roots, Node) else list(roots)
    for root in roots:
        if not isinstance(root, Node):
            raise BadType(f"an op graph is drawn of nodes, not of {type(root).__name__}")
    file, ending = target(path, ENDINGS)
    text = op_dot(roots, title)
    if ending == ".dot":
        return replaced(file, lambda f: _write(f, text.encode()))
    if shutil.which("dot") is None:
        raise BadFile("drawing an op graph needs Graphviz, and its program dot is not on the PATH: install it "
                      "(apt install graphviz, brew install graphviz), or write a .dot file, which needs nothing")
    count = sum(1 for _ in walk(roots))
    if count > LARGEST:
        raise BadValue(f"the graph has {count} operations, more than the {LARGEST} that Graphviz lays out in "
                       "reasonable time; draw a part of it, or write a .dot file")
    try:
        picture = graphviz.Source(text).pipe(format=ending[1:])
    except (graphviz.ExecutableNotFound, graphviz.CalledProcessError) as error:
        raise BadFile(f"dot could not draw {str(file)!r}: {error}") from error
    return replaced(file, lambda f: _write(f, picture))


def _write(file: Path, data: bytes) -> None:
    file.write_bytes(data)


def op_dot(roots: list[Node], title: str | None = None) -> str:
    """DOT text of the expressions: arguments above what uses them, in a fixed order."""
    number: dict[Node, int] = {node: k for k, node in enumerate(walk(roots))}
    out = ["digraph ops {", '  rankdir="TB"; nodesep="0.25"; ranksep="0.35"; splines="ortho";',
           f'  node [shape=box, style="rounded,filled", fontname={quoted(FONT)}, fontsize=11];',
           '  edge [color="#444444", arrowsize=0.7];']
    if title is not None:
        out.append(f'  label={quoted(title)}; labelloc="t"; fontname={quoted(FONT)};')
    for node, k in number.items():
        fill = FILLS[_style(node)]
        pairs = [("fillcolor", fill.fill), ("color", fill.stroke)]
        label = quoted(_label(node))[:-1] + (f"\\n{_shape(node)}" if node.type is not None else "") + '"'
        out.append(f"  n{k} [label={label}, {attributes(pairs)[1:-1]}];")
    for node, k in number.items():
        many = len(node.args) > 1 and not _commutes(node)
        for place, arg in enumerate(node.args):
            mark = f' [xlabel="{place + 1}", fontsize=8]' if many else ""
            out.append(f"  n{number[arg]} -> n{k}{mark};")
    return "\n".join([*out, "}", ""])


def _commutes(node: Node) -> bool:
    return node.op in ("add", "multiply", "maximum", "minimum", "squared_error")


def _style(node: Node) -> str:
    if node.op in LEAVES:
        return LEAVES[node.op]
    if node.op == "sigmoid":
        return "gate"
    kinds = {"contract": "weight", "axes": "attention", "leaf": "plain"}
    return kinds.get(TABLE[node.op].kind, "op")


def _label(node: Node) -> str:
    attrs: dict[str, Any] = dict(node.attrs)
    if node.op == "ref":
        slots = ",".join(map(str, attrs["slots"]))
        return f"{attrs['name']}[{slots}]" if slots else str(attrs["name"])
    if node.op == "const":
        return f"{attrs['value']:g}" if not isinstance(attrs["value"], bool) else str(attrs["value"])
    return TABLE[node.op].symbol or node.op


def _shape(node: Node) -> str:
    """What a value is: its indices and its feature shape, [n,t] × (64,)."""
    assert node.type is not None
    indices, shape, _ = node.type
    sizes = " × ".join(map(str, shape)) or "scalar"
    return f"[{','.join(indices)}] {sizes}" if indices else sizes
