"""A scene as TikZ: a LaTeX document by itself, and a picture where a paper inputs it. One point is one bp."""

from __future__ import annotations

from collections.abc import Iterable

from tinygrad_rnn.errors import BadValue

from ..scene import Note, Point, Scene, Shape, Wire
from ..style import DASHES, FAINT, FILLS, HATCH, HATCH_WIDTH, HATCHED, INK, LINES, PAPER
from ..text import Label, clean, width
from ..text import decimal as _n
from . import hatch
from .lines import head, path
from .svg import BASELINE, texts
from .tex import MISSING, label_tex, unknown

LARGEST = 16_000  # bp; the longest length that TeX knows is little more
BEGIN, END = "% ---- the picture, from here ...", "% ---- ... to here"
ANCHORS = {"start": "base west", "middle": "base", "end": "base east"}
BOX_DASHES = (5.0, 4.0)
TEXT_SCALE = 1.12  # LaTeX's own letters are smaller than those of our font
NAMED = {INK: "ink", FAINT: "faint", PAPER: "paper", **{line.colour: f"{name}wire" for name, line in LINES.items()}}


def tikz(scene: Scene) -> str:
    """The text of a .tex file. Raises `BadValue` where the page is larger than TeX can measure.

    pdflatex, lualatex and xelatex make a page of the picture's size from it. `\\input` in a document that has loaded
    tikz and amsmath, it is the picture alone.
    """
    size = max(scene.width, scene.height)
    if size > LARGEST:
        raise BadValue(f"the picture would be {size:.0f} points wide or high, more than the {LARGEST} that TeX can "
                       "measure; write an .svg, or draw fewer steps")
    picture = _Picture()
    body = [*map(picture.shape, scene.panels), *map(picture.wire, scene.wires), *map(picture.shape, scene.shapes),
            *map(picture.note, scene.notes)]
    frame = rf"\path[use as bounding box] (0,0) rectangle ({_n(scene.width)},{_n(scene.height)});"
    options = ["x=1bp, y=-1bp", r"every node/.style={inner sep=0bp, outer sep=0bp}", *picture.styles.values()]
    return "\n".join([
        *_preamble(scene), BEGIN, r"\begingroup", *_missing(scene), *picture.colours.values(),
        r"\begin{tikzpicture}[", *(f"  {option}," for option in options), "]", frame, *body,
        r"\end{tikzpicture}%", r"\endgroup", END, r"\tinygradrnnend", ""])


def _preamble(scene: Scene) -> list[str]:
    """What makes a document of the picture, skipped where there is one already."""
    w, h = _n(scene.width), _n(scene.height)
    return [
        f"% {_comment(scene.title)}",
        r"% Compile it with pdflatex, lualatex or xelatex; or in a paper, after \usepackage{amsmath,tikz}:",
        r"%   \resizebox{\linewidth}{!}{\input{this file}}",
        r"\ifdefined\tikzpicture",
        r"  \def\tinygradrnnend{}%",
        r"\else",
        r"  \documentclass{article}",
        rf"  \usepackage[paperwidth={w}bp, paperheight={h}bp, left=0bp, top=0bp, textwidth={w}bp,",
        rf"    textheight={_n(scene.height + 20)}bp, headheight=0bp, headsep=0bp]{{geometry}}",
        r"  \usepackage{amsmath,tikz}",
        r"  \pagestyle{empty}",
        r"  \def\tinygradrnnend{\end{document}}",
        r"  \begin{document}",
        r"  \noindent",
        r"\fi",
    ]


def _missing(scene: Scene) -> list[str]:
    """The command for characters without a sign, and which they are; nothing where there are none."""
    shapes = [*scene.panels, *scene.shapes]
    labels: list[Label] = [*(s.label for s in shapes), *(line for s in shapes for line in s.lines),
                           *(n.label for n in scene.notes)]
    found = sorted({c for label in labels for c in unknown(label)})
    if not found:
        return []
    return [rf"% pdflatex has no sign for these, which are shown by their code; redefine {MISSING} to set them:",
            *(f"%   {'+'.join(f'{ord(x):X}' for x in c)}: {_comment(c)}" for c in found),
            rf"\providecommand{{{MISSING}}}[1]{{{{\fboxsep=0.5bp\fbox{{\tiny\ttfamily #1}}}}}}"]


class _Picture:
    """Items as TikZ, and the colours and styles that they use, in the order of first use."""

    def __init__(self) -> None:
        self.colours: dict[str, str] = {}
        self.styles: dict[str, str] = {}

    def colour(self, colour: str, name: str = "") -> str:
        """The name of a colour, defined at its first use."""
        if colour == "none":
            return colour
        name = name or NAMED.get(colour, f"colour{colour[1:]}")
        self.colours.setdefault(name, rf"\definecolor{{{name}}}{{HTML}}{{{colour[1:].upper()}}}%")
        return name

    def style(self, name: str, *options: str) -> str:
        self.styles.setdefault(name, f"{name}/.style={{{', '.join(options)}}}")
        return name

    def shape(self, s: Shape) -> str:
        lines = [self.box(s)] if s.style != "none" else []
        lines += [self.text(*line) for line in texts(s)]
        return "\n".join([f"% {_comment(s.name)}", *lines] if s.name else lines)

    def box(self, s: Shape) -> str:
        look, plain_name = FILLS[s.style], s.style.replace("_", "")
        style = self.style(f"box {s.style}", f"fill={self.colour(look.fill, f'{plain_name}fill')}",
                           f"draw={self.colour(look.stroke, f'{plain_name}line')}", f"line width={_n(look.width)}bp",
                           *([_dashes(BOX_DASHES)] if look.dashed else []))
        hatched = s.fill == HATCHED
        fill = PAPER if hatched else s.fill
        options = style + (f", fill={self.colour(fill)}" if fill else "")
        if s.kind == "circle":
            rounded, way = "", f"{_at(s.centre)} circle[radius={_n(s.w / 2)}bp]"
        else:
            corner = min(look.corner, s.h / 2, s.w / 2)
            rounded = f"rounded corners={_n(corner)}bp" if corner else ""
            way = f"{_at((s.x, s.y))} rectangle {_at((s.x + s.w, s.y + s.h))}"
        drawn = rf"\path[{', '.join(filter(None, (options, rounded)))}] {way};"
        return f"{drawn}\n{self.hatching(s, rounded, way)}" if hatched else drawn

    def hatching(self, s: Shape, rounded: str, way: str) -> str:
        look = self.style("hatching", f"draw={self.colour(HATCH)}", f"line width={_n(HATCH_WIDTH)}bp")
        strokes = " ".join(f"{_at(a)} -- {_at(b)}" for a, b in hatch.lines(s))
        return rf"\begin{{scope}}\clip[{rounded}] {way};\path[{look}] {strokes};\end{{scope}}"

    def wire(self, w: Wire) -> str:
        look = LINES[w.style]
        dashed = look.dashed or w.dashed
        thick = w.width or look.width
        style = self.style(f"wire {w.style}", f"draw={self.colour(look.colour, f'{w.style}wire')}",
                           f"line width={_n(look.width)}bp")
        ink = self.colour(w.colour) if w.colour else f"{w.style}wire"
        options = [style, *([f"draw={ink}"] if w.colour else []), *([f"line width={_n(thick)}bp"] if w.width else []),
                   *([self.style("dashes", _dashes(DASHES))] if dashed else []),
                   *([f"dash phase={_n(w.phase)}bp"] if w.phase else [])]
        points, arrow = w.points, ""
        if w.head:
            triangle, points = head(points, thick)
            arrow = rf" \fill[{ink}] {' -- '.join(map(_at, triangle))} -- cycle;"
        name = [f"% {_comment(w.name)}"] if w.name else []
        return "\n".join([*name, rf"\path[{', '.join(options)}] {_route(points)};{arrow}"])

    def note(self, n: Note) -> str:
        """A note on a small white plate, so that no line runs through its text."""
        w = width(n.label, n.size)
        left, top = n.x - {"start": 0.0, "middle": w / 2, "end": w}[n.anchor] - 1, n.y - n.size * 0.62
        plate = self.style("plate", f"fill={self.colour(PAPER)}", "fill opacity=0.8")
        box = rf"\path[{plate}] {_at((left, top))} rectangle {_at((left + w + 2, top + n.size * 1.2))};"
        return f"{box}\n{self.text(n.x, n.y, n.label, n.size, n.colour, n.anchor)}"

    def text(self, x: float, y: float, label: Label, size: float, colour: str, anchor: str) -> str:
        em = size * TEXT_SCALE
        font = self.style(f"size {_n(size)}", rf"font=\fontsize{{{_n(em)}bp}}{{{_n(em * 1.2)}bp}}\selectfont")
        place = _at((x, y + BASELINE * size))
        options = f"{font}, anchor={ANCHORS[anchor]}, text={self.colour(colour)}"
        return rf"\node[{options}] at {place} {{{label_tex(label, self.colour)}}};"


def _route(points: tuple[Point, ...]) -> str:
    """The line with its rounded turns; TikZ draws curves of third degree."""
    out, here = "", points[0]
    for move in path(points):
        end = move.points[-1]
        if move.kind == "Q":
            near, far = (_between(p, move.points[0]) for p in (here, end))
            out += f" .. controls {_at(near)} and {_at(far)} .. {_at(end)}"
        else:
            out += f" -- {_at(end)}" if move.kind == "L" else _at(end)
        here = end
    return out


def _between(p: Point, corner: Point) -> Point:
    """Two thirds of the way to the corner."""
    return p[0] / 3 + 2 * corner[0] / 3, p[1] / 3 + 2 * corner[1] / 3


def _dashes(lengths: Iterable[float]) -> str:
    on, off = lengths
    return f"dash pattern=on {_n(on)}bp off {_n(off)}bp"


def _comment(text: str) -> str:
    """text on one line."""
    return " ".join(clean(text).split())


def _at(p: Point) -> str:
    return f"({_n(p[0])},{_n(p[1])})"
