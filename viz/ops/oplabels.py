"""What a box of an op graph says: the symbol of its operation, what its value is, and how it looks."""

from __future__ import annotations

from typing import Any

from tinygrad_rnn.node import Node
from tinygrad_rnn.ops import TABLE
from tinygrad_rnn.printing.printer import part_text

LEAVES = {"ref": "input", "data": "input", "const": "plain"}
COMMUTES = ("add", "multiply", "maximum", "minimum", "squared_error")
KINDS = {"contract": "weight", "axes": "attention", "leaf": "plain"}


def ordered(node: Node) -> bool:
    """Does it matter which argument is which?"""
    return len(node.args) > 1 and node.op not in COMMUTES


def style(node: Node) -> str:
    """The row of the table of fills."""
    if node.op == "ref" and node.type is not None and not node.type.indices:  # the same for every example
        return "weight"
    if node.op in LEAVES:
        return LEAVES[node.op]
    if node.op == "sigmoid":
        return "gate"
    return KINDS.get(TABLE[node.op].kind, "op")


def label(node: Node) -> str:
    """A symbol, a name or a number."""
    attrs: dict[str, Any] = dict(node.attrs)
    if node.op == "ref":
        slots = ",".join(map(str, attrs["slots"]))
        return f"{attrs['name']}[{slots}]" if slots else str(attrs["name"])
    if node.op == "const":
        return f"{attrs['value']:g}" if not isinstance(attrs["value"], bool) else str(attrs["value"])
    return symbol(node)


def symbol(node: Node) -> str:
    """Of an operation; which part is taken of a value, [0:64], or of its second axis, [:, 0:64]."""
    if node.op in ("slice", "pick"):
        return f"[{':, ' * node.attr('axis')}{part_text(node)}]"
    return TABLE[node.op].symbol or node.op


def shape_text(node: Node) -> str:
    """What a value is: its indices and its feature shape, [n,t] 64; nothing where it is not known."""
    if node.type is None:
        return ""
    indices, shape, _ = node.type
    sizes = " × ".join(map(str, shape)) or "scalar"
    return f"[{','.join(indices)}] {sizes}" if indices else sizes
