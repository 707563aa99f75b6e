"""A scene as PNG or PDF, drawn by matplotlib. One point of the scene is one of the page; PNG has 2 pixels for it."""

from __future__ import annotations

import warnings
from pathlib import Path as FilePath
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch, Polygon, Rectangle
from matplotlib.path import Path

from tinygrad_rnn.errors import BadValue

from ..scene import Note, Scene, Shape, Wire
from ..style import DASHES, FILLS, FONT, HATCH, HATCH_WIDTH, HATCHED, LINES, PAPER
from ..text import Label, Span, clean, width
from . import hatch
from .lines import head, path
from .svg import BASELINE, texts

DPI = 144
WIDEST = 32_000  # pixels; viewers and matplotlib itself fail above
CODES = {"M": [Path.MOVETO], "L": [Path.LINETO], "Q": [Path.CURVE3, Path.CURVE3]}


def write(scene: Scene, file: FilePath, kind: str) -> None:
    """Draw into a file. kind: "png" or "pdf". Raises `BadValue` for a PNG that would be too large."""
    pixels = max(scene.width, scene.height) * DPI / 72
    if kind == "png" and pixels > WIDEST:
        raise BadValue(f"the PNG would be {pixels:.0f} pixels wide or high, more than {WIDEST}; write an .svg, or draw "
                       f"fewer steps")
    figure = Figure(figsize=(scene.width / 72, scene.height / 72), facecolor=PAPER)
    canvas = (FigureCanvasAgg if kind == "png" else FigureCanvasPdf)(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, scene.width)
    axes.set_ylim(scene.height, 0)
    axes.axis("off")
    page = _Page(axes)
    for shape in scene.panels:
        page.shape(shape)
    for wire in scene.wires:
        page.wire(wire)
    for shape in scene.shapes:
        page.shape(shape)
    for note in scene.notes:
        page.note(note)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name in a script that the font lacks
        if kind == "png":
            canvas.print_figure(file, format="png", dpi=DPI, metadata={"Software": None, "Title": clean(scene.title)})
        else:
            metadata = {"CreationDate": None, "Creator": None, "Producer": None, "Title": clean(scene.title)}
            canvas.print_figure(file, format="pdf", metadata=metadata)


class _Page:
    def __init__(self, axes: Any):
        self.axes = axes
        self.order = 0

    def add(self, patch: Any) -> None:
        self.order += 1
        patch.set_zorder(self.order)
        patch.set_clip_on(False)
        self.axes.add_artist(patch)

    def shape(self, s: Shape) -> None:
        style = FILLS[s.style]
        if s.style != "none":
            line = (0, (5 / style.width, 4 / style.width)) if style.dashed else "solid"
            self.outline(s, facecolor=PAPER if s.fill == HATCHED else s.fill or style.fill, edgecolor=style.stroke,
                         linewidth=style.width, linestyle=line)
            if s.fill == HATCHED:
                border = self.outline(s, facecolor="none", edgecolor="none")
                strokes = LineCollection([*hatch.lines(s)], colors=HATCH, linewidths=HATCH_WIDTH)
                self.add(strokes)
                strokes.set_clip_path(border)
                strokes.set_clip_on(True)  # to the border alone, not to the axes
        for x, y, label, size, colour, anchor in texts(s):
            self.text(x, y, label, size, colour, anchor)

    def outline(self, s: Shape, **paint: Any) -> Any:
        if s.kind == "circle":
            patch: Any = Circle(s.centre, s.w / 2, **paint)
        else:
            r = min(FILLS[s.style].corner, s.h / 2, s.w / 2)
            patch = FancyBboxPatch((s.x, s.y), s.w, s.h, boxstyle=f"round,pad=0,rounding_size={r}", **paint)
        self.add(patch)
        return patch

    def wire(self, w: Wire) -> None:
        style = LINES[w.style]
        colour, thick = w.colour or style.colour, w.width or style.width
        points = w.points
        if w.head:
            triangle, points = head(points, thick)
            self.add(Polygon(triangle, closed=True, facecolor=colour, edgecolor="none"))
        moves = path(points)
        shape = Path([p for m in moves for p in m.points], [c for m in moves for c in CODES[m.kind]])
        line = (w.phase / thick, tuple(d / thick for d in DASHES)) if style.dashed or w.dashed else "solid"
        self.add(PathPatch(shape, facecolor="none", edgecolor=colour, linewidth=thick, linestyle=line,
                           capstyle="butt"))

    def note(self, n: Note) -> None:
        w = width(n.label, n.size)
        left = n.x - {"start": 0.0, "middle": w / 2, "end": w}[n.anchor]
        self.add(Rectangle((left - 1, n.y - n.size * 0.62), w + 2, n.size * 1.2, facecolor=PAPER, alpha=0.8,
                           edgecolor="none"))
        self.text(n.x, n.y, n.label, n.size, n.colour, n.anchor)

    def text(self, x: float, y: float, label: Label, size: float, colour: str, anchor: str) -> None:
        """Span by span, each at the place that the widths of those before it give."""
        x -= {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor] * width(label, size)
        for span in label:
            self.span(x, y + (BASELINE - span.rise) * size, span, size, colour)
            x += width((span,), size)

    def span(self, x: float, baseline: float, span: Span, size: float, colour: str) -> None:
        if not span.text.strip():
            return
        self.order += 1
        self.axes.text(x, baseline, span.text, fontsize=size * span.scale, color=span.colour or colour,
                       family=FONT, style="italic" if span.italic else "normal",
                       ha="left", va="baseline", parse_math=False,
                       zorder=self.order, clip_on=False)
