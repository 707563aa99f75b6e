"""How everything looks: one row per kind of box and of line."""

from __future__ import annotations

from typing import NamedTuple

FONT = "DejaVu Sans"
INK = "#1A1A1A"
FAINT = "#555555"
PAPER = "#FFFFFF"


class Fill(NamedTuple):
    """A kind of box: its fill, its stroke and stroke width, whether the stroke is dashed, its corner radius."""

    fill: str
    stroke: str
    width: float = 1.4
    dashed: bool = False
    corner: float = 8.0


class Line(NamedTuple):
    """A kind of wire: its colour, its width, whether it is dashed."""

    colour: str
    width: float = 1.5
    dashed: bool = False


FILLS: dict[str, Fill] = {
    "input": Fill("#DCEBFA", "#1F5F99"),
    "data": Fill("#F5FAFF", "#1F5F99", dashed=True),  # what the model draws: no input, but where later steps read one
    "state": Fill("#DDF0DC", "#2F7031", corner=10),
    "backward": Fill("#FFE2B0", "#A85F00", corner=10),  # a state that recurs from the future
    "output": Fill("#EBDDF5", "#6B3A94"),
    "loss": Fill("#FADADD", "#A32638"),
    "weight": Fill("#FFF3CC", "#8A6A00", corner=5),
    "gate": Fill("#FFE2B0", "#A85F00", corner=5),
    "tanh": Fill("#FBD3D0", "#A63A35", corner=5),
    "attention": Fill("#D5EFEC", "#12706B"),
    "plain": Fill("#F4F4F4", "#555555", corner=6),
    "merge": Fill("#FFFFFF", "#444444", 1.2, corner=5),
    "op": Fill("#FFFFFF", "#444444", 1.4),
    "initial": Fill("#F2F2F2", "#808080", 1.3, dashed=True),
    "panel": Fill("#F1F8F0", "#2F7031", 1.6, corner=14),
    "panel_backward": Fill("#FFF7E8", "#A85F00", 1.6, corner=14),
    "panel_attention": Fill("#EEF8F7", "#12706B", 1.6, corner=14),
    "none": Fill("none", "none", 0),
    "swatch": Fill("#FFFFFF", "none", 0, corner=0),  # a piece of a scale or of a heat map, its colour its own
}

LINES: dict[str, Line] = {
    "h": Line("#0067A5", 2.6),
    "c": Line("#C04E00", 2.6),
    "input": Line("#1F5F99", 1.7),
    "plain": Line("#444444", 1.5),
    "attention": Line("#12706B", 1.7),
    "gradient": Line("#B0203A", 1.4, dashed=True),
}

# From nothing to everything, lighter to darker in print as on the screen (the ramp of ColorBrewer's YlOrRd, softened).
HEAT = ("#FFFFFF", "#FFF8DC", "#FFEDB0", "#FEDE8C", "#FECB6E", "#FDB157", "#FC9449", "#F9753E")
FILLS |= {f"heat{k}": Fill(colour, "#7A4A2A", corner=8) for k, colour in enumerate(HEAT)}

# Ramps of numbers, light to dark in one hue each, so that they stay apart for the colour-blind and in print; the text
# on them is dark, so they end where it is still read.
RAMPS = {
    "activation": ("#FFFFFF", "#D6E6F4", "#ABCFE5", "#6BAED6", "#4A98C9"),
    "gate": ("#FFFFFF", "#FFF0CF", "#FFDA8C", "#FDBB4B", "#F49A1A"),
    "gradient": ("#FFFFFF", "#F3E0EF", "#E3B5D9", "#D585C3", "#C862B0"),
    "attention": ("#FBFDFD", "#D5EFEC", "#9AD3CC", "#55ACA4", "#12706B", "#063F3C"),  # of heat maps, with white text
}
WRONG = "#FF5A4D"  # what is not finite
HATCHED = "hatched"  # a fill: slanted lines, which no number looks like
HATCH, HATCH_WIDTH, HATCH_APART = "#C4C4C4", 1.2, 6.0  # their colour and width, and how far they are apart

# Which fill a quantity of each role has; a gate or squashed quantity is told by the operation that defines it.
ROLE_FILL = {"input": "input", "data": "data", "state": "state", "gate": "gate", "squashed": "tanh",
             "attention": "attention", "output": "output", "loss": "loss", "intermediate": "plain"}
ROUND = {"input", "data", "output"}  # fills drawn as circles where the label is short

TEXT = 14.0  # font size of a quantity
SMALL = 11.0  # of labels on wires, titles and the inside of a cell
CORNER = 7.0  # radius of a wire's turn
HEAD = (8.0, 6.0)  # length and width of an arrow head
DASHES = (5.0, 3.5)
MARGIN = 18.0
