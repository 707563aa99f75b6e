"""Any cell, stacked into layers and given a head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tinygrad_rnn import Model, equations
from tinygrad_rnn.errors import BadValue
from tinygrad_rnn.node import Node, rebuild, ref, refs
from tinygrad_rnn.ops.table import near
from tinygrad_rnn.printer import equation_text
from tinygrad_rnn.reader import read
from tinygrad_rnn.system import Equation

# What follows the top layer, h. `outputs` is the size of y.
HEADS = {
    "softmax": "y[t] = softmax(W_hy @ h[t] + b_y)\nloss = mean(cross_entropy(y[t], target[t]))",
    "softmax_last": "y = softmax(W_hy @ h[T] + b_y)\nloss = mean(cross_entropy(y, target[n]))",
    "linear": "y[t] = W_hy @ h[t] + b_y\nloss = mean(squared_error(y[t], target[t]))",
    "linear_last": "y = W_hy @ h[T] + b_y\nloss = mean(squared_error(y, target[n]))",
    "none": "",
}


@dataclass(frozen=True)
class Cell:
    """Equations with an input `x[t]` and an output `h[t]`; `rules` say how its weights start (see `initialise`)."""

    name: str
    text: str
    rules: Mapping[str, Any] = field(default_factory=dict)


def stack(cell: Cell | str, inputs: int, hidden: int, outputs: int = 1, layers: int = 1, head: str = "softmax",
          dtype: str = "float32", seed: int = 0) -> Model:
    """A model of `layers` copies of a cell, each reading the h of the one below, and a head on the top one.

    cell: a `Cell`, or its equations as text. With more than one layer every name but the inputs gets its layer's
    number (h1, W_xh1, ...); the head reads the top layer. head: "softmax" (a class per step), "softmax_last" (a class
    per sequence), "linear", "linear_last" (squared error) or "none". Sizes: inputs of x, hidden of h, outputs of y.
    Raises where the text lacks x[t] or h[t], for an unknown head, or sizes below 1.
    """
    cell = Cell("cell", cell) if isinstance(cell, str) else cell
    if head not in HEADS:
        raise BadValue(f"unknown head {head!r}{near(head, HEADS)}; there are {', '.join(HEADS)}")
    if isinstance(layers, bool) or not hasattr(layers, "__index__") or layers < 1:
        raise BadValue(f"layers is a whole number, at least 1, not {layers!r}")
    program = read(cell.text)
    names = {eq.name for eq in program.equations} | {r.attr("name") for eq in program.equations for r in refs([eq.rhs])}
    if not {"x", "h"} <= names:
        raise BadValue("a cell reads x[t] and defines h[t]; its equations have neither" if not names & {"x", "h"} else
                       f"a cell reads x[t] and defines h[t]; its equations lack {({'x', 'h'} - names).pop()}")
    lines: list[str] = []
    rules: dict[str, Any] = {}
    sizes = {"x": inputs}
    for layer in range(1, layers + 1):
        number = "" if layers == 1 else str(layer)
        renamed = {name: name + number for name in names}
        renamed["x"] = "x" if layer == 1 else f"h{layer - 1}"
        lines += [_line(_renamed(eq, renamed)) for eq in program.equations]
        rules |= {renamed[name]: rule for name, rule in cell.rules.items()}
        sizes["h" + number] = hidden
    top = {"h": "h" if layers == 1 else f"h{layers}"}
    lines += [_line(_renamed(eq, top)) for eq in read(HEADS[head]).equations]
    if head != "none":
        sizes["y"] = outputs
    model = equations("\n".join(lines), name=cell.name, dtype=dtype, **sizes)
    return model.initialise(seed, rules)


def _renamed(eq: Equation, names: Mapping[str, str]) -> Equation:
    def change(node: Node, args: tuple[Node, ...]) -> Node:
        if node.op == "ref":
            name = node.attr("name")
            return ref(names.get(name, name), node.attr("slots"), batch=node.attr("batch"))
        return node if args == node.args else Node(node.op, args, node.attrs)

    return replace(eq, name=names.get(eq.name, eq.name), rhs=rebuild([eq.rhs], change)[eq.rhs])


def _line(eq: Equation) -> str:
    return equation_text(eq) + (f"  # {eq.comment}" if eq.comment else "")
