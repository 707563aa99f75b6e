"""A scene as SVG: text that depends on the scene alone, every name escaped."""

from __future__ import annotations

from html import escape

from .lines import head, path
from .scene import Note, Point, Scene, Shape, Wire
from .style import DASHES, FILLS, FONT, INK, LINES, PAPER
from .text import Label, clean, width

FAMILY = f"{FONT}, Verdana, Helvetica, Arial, sans-serif"
LINE_HEIGHT = 17.0
BASELINE = 0.36  # from the middle of a line of text down to its baseline, in ems


def svg(scene: Scene) -> str:
    """The text of an SVG file."""
    w, h = _n(scene.width), _n(scene.height)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" '
           f'font-family="{FAMILY}" role="img">',
           f"<title>{_text(scene.title)}</title>",
           f'<rect width="{w}" height="{h}" fill="{PAPER}"/>']
    out += [_shape(s) for s in scene.panels]
    out += [_wire(w) for w in scene.wires]
    out += [_shape(s) for s in scene.shapes]
    out += [_note(n) for n in scene.notes]
    return "\n".join([*out, "</svg>", ""])


def _text(text: str) -> str:
    return escape(clean(text), quote=True)


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _at(p: Point) -> str:
    return f"{_n(p[0])} {_n(p[1])}"


def _shape(s: Shape) -> str:
    style = FILLS[s.style]
    parts = []
    if style.stroke != "none":
        dashes = ' stroke-dasharray="5 4"' if style.dashed else ""
        paint = f'fill="{style.fill}" stroke="{style.stroke}" stroke-width="{_n(style.width)}"{dashes}'
        if s.kind == "circle":
            cx, cy = s.centre
            parts.append(f'<circle cx="{_n(cx)}" cy="{_n(cy)}" r="{_n(s.w / 2)}" {paint}/>')
        else:
            corner = _n(min(style.corner, s.h / 2, s.w / 2))
            place = f'x="{_n(s.x)}" y="{_n(s.y)}" width="{_n(s.w)}" height="{_n(s.h)}"'
            parts.append(f'<rect {place} rx="{corner}" {paint}/>')
    for x, y, label, size, colour, anchor in texts(s):
        parts.append(_label(x, y, label, size, colour, anchor))
    inner = "".join(parts)
    return f"<g><title>{_text(s.name)}</title>{inner}</g>" if s.name else inner


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
    """Text around (x, y). Raised spans are moved by dy, and what follows is moved back."""
    spans, raised = [], 0.0
    for span in label:
        shift = raised - span.rise
        raised = span.rise
        attrs = f' dy="{_n(shift * size)}"' if abs(shift) > 1e-6 else ""
        attrs += ' font-style="italic"' if span.italic else ""
        attrs += f' font-size="{_n(size * span.scale)}"' if span.scale != 1 else ""
        spans.append(f"<tspan{attrs}>{_text(span.text)}</tspan>" if attrs else _text(span.text))
    return (f'<text x="{_n(x)}" y="{_n(y + BASELINE * size)}" font-size="{_n(size)}" fill="{colour}" '
            f'text-anchor="{anchor}" xml:space="preserve">{"".join(spans)}</text>')


def _wire(w: Wire) -> str:
    style = LINES[w.style]
    points, out = w.points, []
    if w.head:
        triangle, points = head(points, style.width)
        out.append(f'<path d="M{" L".join(map(_at, triangle))}Z" fill="{style.colour}"/>')
    d = "".join(m.kind + " ".join(map(_at, m.points)) for m in path(points))
    dashes = f' stroke-dasharray="{_n(DASHES[0])} {_n(DASHES[1])}"' if style.dashed or w.dashed else ""
    line = f'<path d="{d}" fill="none" stroke="{style.colour}" stroke-width="{_n(style.width)}"{dashes}/>'
    return line + "".join(out)


def _note(n: Note) -> str:
    """A note on a small white plate, so that no line runs through its text."""
    w = width(n.label, n.size)
    left = n.x - {"start": 0.0, "middle": w / 2, "end": w}[n.anchor]
    plate = (f'<rect x="{_n(left - 1)}" y="{_n(n.y - n.size * 0.62)}" width="{_n(w + 2)}" height="{_n(n.size * 1.2)}" '
             f'fill="{PAPER}" fill-opacity="0.8"/>')
    return plate + _label(n.x, n.y, n.label, n.size, n.colour, n.anchor)
