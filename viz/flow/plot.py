"""The plot of the gradient's norm over time, a line a model."""

from __future__ import annotations

import re
import textwrap
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tinygrad_rnn.printing.letters import name_latex

from ..style import FONT, INK, PAPER
from ..text import plain, shortened, string, width
from .flow import Flow

# A model each: the colours of Okabe and Ito that stand out on white, far apart in grey where they are neighbours, and
# markers and dashes that tell the models apart without any colour.
COLOURS = ("#0072B2", "#D55E00", "#000000", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 1.5)))
MARKED = 8  # markers on a line, about
WIDE, HIGH = 5.2, 3.0  # inches: a column of a paper at 9 points; what stands above the axes is added to the height
LETTER, LINE = 9.0, 0.18  # the size of text in points, and the height of a line of it in inches
HANDLE = 50.0  # points in the legend beside a label
METADATA: dict[str, dict[str, None]] = {
    ".png": {"Software": None}, ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
LOOK: dict[str, Any] = {
    "font.family": [FONT], "font.size": LETTER, "mathtext.fontset": "dejavusans", "axes.linewidth": 0.8,
    "lines.linewidth": 1.5, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK,
    "ytick.color": INK, "figure.facecolor": PAPER, "savefig.dpi": 300,
    "pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "tinygrad_rnn",
}


def write(found: list[Flow], title: str, file: Path, ending: str) -> None:
    """Plot into a file, in the format that its ending says."""
    with style.context(["default", LOOK], after_reset=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a label in a script that the font lacks
        plotted(found, title).savefig(file, format=ending[1:], metadata=METADATA[ending])


def plotted(found: list[Flow], title: str) -> Figure:
    """The figure: the norms over t, what each line is above them, and over all the title."""
    above = textwrap.wrap(title, int(len(title) * WIDE * 70 / width(plain(title), LETTER))) if title else []
    labels, columns = _legend(found)
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(WIDE, HIGH + LINE * (rows + len(above))), layout="constrained")
    axes = figure.add_subplot()
    axes.set_yscale("log", nonpositive="mask")
    lines = [_line(axes, k, flow, len(found)) for k, flow in enumerate(found)]
    longest = max(flow.steps for flow in found)
    axes.set_xlim(1 - 0.02 * longest, longest * 1.02)
    axes.set_xticks(_ticks(longest))
    axes.set_xlabel(", ".join(dict.fromkeys(f"${_symbol(f.index)}$" for f in found)), fontsize=10)
    axes.set_ylabel(_norms_named(found), fontsize=10)
    axes.grid(True, which="major", linewidth=0.5, color="#D8D8D8")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    legend = axes.legend(lines, [str(k) for k in range(len(found))], loc="lower left", bbox_to_anchor=(0, 1.0),
                         ncols=columns, frameon=False, borderaxespad=0.2, handlelength=3.2, columnspacing=1.6)
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_parse_math(False)  # a $ in a label is a dollar; set here, since a label _x would be left out above
        text.set_text(label)
    if above:
        figure.suptitle("\n".join(above), fontsize=LETTER, x=0.01, ha="left", parse_math=False)
    return figure


def _legend(found: list[Flow]) -> tuple[list[str], int]:
    """The labels, cut to the page, and how many stand side by side; with the state where it is not one for all."""
    room = WIDE * 72 - 60
    several = len({flow.state for flow in found}) > 1
    labels = [plain(f"{flow.label} ({flow.state})" if several else flow.label) for flow in found]
    cut = [shortened(label, LETTER, room - HANDLE) for label in labels]
    widths = np.array([width(label, LETTER) + HANDLE for label in cut])
    columns = next(n for n in range(min(len(found), 4), 0, -1)
                   if n == 1 or sum(part.max() for part in np.array_split(widths, n)) <= room)
    return [string(label) for label in cut], columns


def _line(axes: Any, k: int, flow: Flow, count: int) -> Any:
    every = max(1, round(flow.steps / MARKED))
    t = np.arange(1, flow.steps + 1)
    return axes.plot(t, flow.norms, color=COLOURS[k % len(COLOURS)], marker=MARKERS[k % len(MARKERS)],
                     linestyle=DASHES[k % len(DASHES)], markersize=5, markerfacecolor=PAPER, markeredgewidth=1.3,
                     markevery=(k * every // count % every, every), clip_on=False, zorder=3)[0]


def _ticks(steps: int) -> list[int]:
    """1, round numbers, and the last step."""
    round_ones = [int(v) for v in MaxNLocator(6, integer=True).tick_values(1, steps)]
    room = steps / 12  # between a round number and the ends
    return [1, *(v for v in round_ones if 1 + room < v < steps - room), steps]


def _norms_named(found: list[Flow]) -> str:
    """‖∂L/∂h⟨t⟩‖ for matplotlib; of more than two states at once, it says so in words."""
    named = list(dict.fromkeys(map(_norm_named, found)))
    return ", ".join(named) if len(named) <= 2 else _norm_named(replace(found[0], state="state"))


def _norm_named(flow: Flow) -> str:
    of = "L" if flow.of == "loss" else _symbol(flow.of)
    return rf"$\Vert\,\partial {of}\,/\,\partial {_symbol(flow.state)}^{{\langle {_symbol(flow.index)}\rangle}}\,\Vert$"


def _symbol(name: str) -> str:
    """A name as LaTeX; an underscore that begins no subscript is itself."""
    return re.sub(r"(?<!\\)_(?!\{)", r"\\_", name_latex(name)).replace(r"\text", r"\mathrm")
