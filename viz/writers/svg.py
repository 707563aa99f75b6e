"""A scene as SVG: text that depends on the scene alone, every name escaped."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from itertools import pairwise

from ..scene import Note, Point, Scene, Shape, Wire
from ..style import DASHES, FILLS, FONT, HATCH, HATCH_APART, HATCH_WIDTH, HATCHED, INK, LINES, PAPER
from ..text import Label, clean, width
from ..text import decimal as _n
from .lines import head, path

FAMILY = f"{FONT}, Verdana, Helvetica, Arial, sans-serif"
LINE_HEIGHT = 17.0
BASELINE = 0.36  # from the middle of a line of text down to its baseline, in ems
PATTERN = (f'<defs><pattern id="{HATCHED}" width="{HATCH_APART:g}" height="{HATCH_APART:g}" '
           f'patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="{HATCH_APART:g}" '
           f'height="{HATCH_APART:g}" fill="{PAPER}"/><path d="M0 0V{HATCH_APART:g}" stroke="{HATCH}" '
           f'stroke-width="{2 * HATCH_WIDTH:g}"/></pattern></defs>')  # half of a line at a pattern's edge is seen
KNOWN = 8192  # pieces of text that are kept, as most are written many times


def svg(scene: Scene) -> str:
    """The text of an SVG file."""
    w, h = _n(scene.width), _n(scene.height)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" '
           f'font-family="{FAMILY}" role="img">',
           f"<title>{_text(scene.title or 'model')}</title>",
           *([f"<desc>{_text(scene.described)}</desc>"] if scene.described else []),
           f'<rect width="{w}" height="{h}" fill="{PAPER}"/>']
    if any(s.fill == HATCHED for s in scene.shapes):
        out.append(PATTERN)
    out += [_shape(s) for s in scene.panels]
    out += [_wire(w) for w in scene.wires]
    out += [_shape(s) for s in scene.shapes]
    out += [_note(n) for n in scene.notes]
    return "\n".join([*out, "</svg>", ""])


@lru_cache(maxsize=KNOWN)
def _text(text: str) -> str:
    return escape(text if text.isprintable() else clean(text), quote=True)


def _at(p: Point) -> str:
    return f"{_n(p[0])} {_n(p[1])}"


def _shape(s: Shape) -> str:
    parts = []
    if s.style != "none":
        before, between, after = _outline(s.kind, s.w, s.h, s.style, s.fill)
        x, y = s.centre if s.kind == "circle" else (s.x, s.y)
        parts.append(f"{before}{_n(x)}{between}{_n(y)}{after}")
    for x, y, label, size, colour, anchor in texts(s):
        parts.append(_label(x, y, label, size, colour, anchor))
    inner = "".join(parts)
    return f"<g><title>{_text(s.name)}</title>{inner}</g>" if s.name else inner


@lru_cache(maxsize=KNOWN)
def _outline(kind: str, w: float, h: float, name: str, fill: str | None) -> tuple[str, str, str]:
    """The text of a box or circle before its x, between x and y, and after y."""
    style = FILLS[name]
    dashes = ' stroke-dasharray="5 4"' if style.dashed else ""
    fill = f"url(#{HATCHED})" if fill == HATCHED else fill or style.fill
    paint = f'fill="{fill}" stroke="{style.stroke}" stroke-width="{_n(style.width)}"{dashes}/>'
    if kind == "circle":
        return '<circle cx="', '" cy="', f'" r="{_n(w / 2)}" {paint}'
    corner = _n(min(style.corner, h / 2, w / 2))
    return '<rect x="', '" y="', f'" width="{_n(w)}" height="{_n(h)}" rx="{corner}" {paint}'


def texts(s: Shape) -> list[tuple[float, float, Label, float, str, str]]:
    """Every line of text of a shape: (x, middle y, label, size, colour, anchor)."""
    if s.kind == "panel":
        return [(s.x + 12, s.y + 13, s.label, s.size, FILLS[s.style].stroke, "start")] if s.label else []
    cx, cy = s.centre
    out = []
    top = cy - LINE_HEIGHT * len(s.lines) / 2
    if s.label:
        out.append((cx, top, s.label, s.size, INK, "middle"))
    for k, line in enumerate(s.lines):
        out.append((cx, top + LINE_HEIGHT * (k + 1) + 2, line, 11.0, INK, "middle"))
    return out


def _label(x: float, y: float, label: Label, size: float, colour: str, anchor: str) -> str:
    """Text around (x, y)."""
    return f'<text x="{_n(x)}" y="{_n(y + BASELINE * size)}"{_spans(label, size, colour, anchor)}'


@lru_cache(maxsize=KNOWN)
def _spans(label: Label, size: float, colour: str, anchor: str) -> str:
    """A text after its place. Raised spans are moved by dy, and what follows is moved back."""
    spans, raised = [], 0.0
    for span in label:
        shift = raised - span.rise
        raised = span.rise
        attrs = f' dy="{_n(shift * size)}"' if abs(shift) > 1e-6 else ""
        attrs += ' font-style="italic"' if span.italic else ""
        attrs += f' font-size="{_n(size * span.scale)}"' if span.scale != 1 else ""
        attrs += f' fill="{span.colour}"' if span.colour else ""
        spans.append(f"<tspan{attrs}>{_text(span.text)}</tspan>" if attrs else _text(span.text))
    return (f' font-size="{_n(size)}" fill="{colour}" text-anchor="{anchor}" xml:space="preserve">'
            f'{"".join(spans)}</text>')


def _wire(w: Wire) -> str:
    style = LINES[w.style]
    x, y = w.points[0]
    moves = tuple([(round(a - x, 2) + 0.0, round(b - y, 2) + 0.0) for a, b in w.points])  # no -0, which equals 0
    line, triangle = _line(moves, w.colour or style.colour, w.width or style.width, w.head,
                           w.phase if style.dashed or w.dashed else None)
    start = f'<path d="M{_n(x)} {_n(y)}'
    return f"{start}{line}{start}{triangle}" if triangle else start + line


@lru_cache(maxsize=KNOWN)
def _line(points: tuple[Point, ...], colour: str, thick: float, headed: bool,
          phase: float | None) -> tuple[str, str]:
    """The text of a line from (0, 0) and of its head, if any, each after its first point.

    phase: of its dashes, None without any.
    """
    triangle = ""
    if headed:
        tips, points = head(points, thick)
        triangle = f'm{_relative((tips[0],), (0.0, 0.0))}l{_relative(tips[1:], tips[0])}Z" fill="{colour}"/>'
    d, at = [], (0.0, 0.0)
    for move in path(points)[1:]:
        d.append(move.kind.lower() + " ".join(_at((x - at[0], y - at[1])) for x, y in move.points))
        at = move.points[-1]
    dashes = "" if phase is None else f' stroke-dasharray="{_n(DASHES[0])} {_n(DASHES[1])}"'
    dashes += f' stroke-dashoffset="{_n(phase)}"' if phase else ""
    return f'{"".join(d)}" fill="none" stroke="{colour}" stroke-width="{_n(thick)}"{dashes}/>', triangle


def _relative(points: tuple[Point, ...], at: Point) -> str:
    """Each point as seen from the one before."""
    steps = [(x - a, y - b) for (a, b), (x, y) in pairwise((at, *points))]
    return " ".join(map(_at, steps))


def _note(n: Note) -> str:
    """A note on a small white plate, so that no line runs through its text."""
    w = width(n.label, n.size)
    left = n.x - {"start": 0.0, "middle": w / 2, "end": w}[n.anchor]
    plate = (f'<rect x="{_n(left - 1)}" y="{_n(n.y - n.size * 0.62)}" width="{_n(w + 2)}" height="{_n(n.size * 1.2)}" '
             f'fill="{PAPER}" fill-opacity="0.8"/>')
    return plate + _label(n.x, n.y, n.label, n.size, n.colour, n.anchor)
