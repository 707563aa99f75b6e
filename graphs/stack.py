"""Any cells, stacked into layers and given a head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_rnn import Model, equations
from tinygrad_rnn.arguments import whole
from tinygrad_rnn.errors import BadValue, near
from tinygrad_rnn.keywords import told

from .cells import Cell
from .heads import HEADS


@told
def stack(cell: Cell | str | Sequence[Cell | str], inputs: int, hidden: int, outputs: int = 1, layers: int = 1,
          head: str = "softmax", dtype: str = "float32", seed: int = 0, name: str | None = None) -> Model:
    """A model of `layers` copies of a cell, each reading the h of the one below, and a head on the top one.

    cell: a `Cell`, a name such as "lstm", equations as text, or several of them, which are one layer each from the
    bottom and are all repeated `layers` times. With more than one layer every name but the inputs gets its layer's
    number (h1, W_xh1, ...); the head reads the top layer. head: "softmax" (a class per step), "softmax_last" (a class
    per sequence), "linear", "linear_last" (squared error), "ctc" (as in `ctc`; the last output is the blank) or "none".
    Sizes: inputs of x, hidden of h, outputs of y. name: of the model, the cell's by default.
    Raises where a cell lacks x[t] or h[t], for an unknown head or cell, or sizes below 1.
    """
    from .named import cell_of  # the cells that have names are stacked by this

    kinds = [cell_of(c) for c in (cell if isinstance(cell, Sequence) and not isinstance(cell, str) else [cell])]
    if not kinds:
        raise BadValue("stack needs at least one cell")
    if not isinstance(head, str) or head not in HEADS:
        raise BadValue(f"unknown head {head!r}{near(str(head), HEADS)}; there are {', '.join(HEADS)}")
    cells = _numbered(kinds * whole("layers", layers, at_least=1))
    rules: dict[str, Any] = {}
    sizes = {"x": inputs}
    for one in cells:
        rules |= one.rules
        sizes |= {**dict.fromkeys(one.hidden, hidden), **one.sizes}
    lines = [one.text for one in cells]
    if head != "none":
        lines.append(HEADS[head].replace("h[", _output(len(cells), len(cells)) + "["))
        sizes["y"] = outputs
    model = equations("\n".join(lines), name=name or kinds[0].name, dtype=dtype, **sizes)
    return model.initialise(seed, rules)


def _numbered(cells: list[Cell]) -> list[Cell]:
    """The cells with their layer's number after every name, each reading the one below."""
    found = []
    for k, cell in enumerate(cells, 1):
        number = "" if len(cells) == 1 else str(k)
        found.append(cell.renamed(lambda name, number=number: name + number,  # type: ignore[misc]
                                  "x" if k == 1 else _output(k - 1, len(cells))))
    return found


def _output(layer: int, layers: int) -> str:
    return "h" if layers == 1 else f"h{layer}"
