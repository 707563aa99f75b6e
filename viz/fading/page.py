"""The animation as one page: text that needs no other file and no network, with a slider over the frames."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from html import escape
from pathlib import Path

from matplotlib.colors import LinearSegmentedColormap, to_hex

from ..page.theme import DARK_INK, DARK_PAPER, rules
from ..scene import Note, Wire
from ..style import FONT, INK, PAPER, TEXT
from ..text import Label, clean, string
from ..text import decimal as _n
from ..writers.html_file import document
from ..writers.lines import head, path
from ..writers.svg import BASELINE
from .numbers import COLOURS, number
from .rows import Cell, Row
from .scene import BAR, FAINTEST, STRONG, SWATCH, SWATCHES, Picture

LEVELS = 32  # of the colours
# On dark paper nothing is dark, and what is strong shines; from DARK_STRONG on, text on it is dark.
DARK = LinearSegmentedColormap.from_list(
    "fading_dark", [DARK_PAPER, "#42203F", "#7E2F72", "#C153AF", "#F09BE0", "#FFDDF7"])
DARK_STRONG = 0.62
LEAST = 0.6  # of its size, at which the picture can still be read; on a smaller screen it scrolls

SHEET = """
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:1900px;margin:0 auto;padding:1rem 1.25rem 2rem}
h1{font-size:1.25rem;font-weight:600;margin:.25rem 0 .5rem}
.wide{overflow-x:auto}
svg{display:block;width:100%;min-width:min(100vw*2.2,var(--least));height:auto}
#controls{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center;margin:.75rem 0 .25rem}
#controls label{display:flex;flex:1 1 18rem;gap:.6rem;align-items:center}
input[type=range]{flex:1;accent-color:var(--strong);min-width:8rem}
button{font:inherit;min-width:5.5rem;min-height:2.4rem;padding:.2rem 1rem;color:var(--ink);background:var(--control);
border:1px solid var(--faint);border-radius:.4rem;cursor:pointer}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px}
#now{min-height:1.6em;margin:.25rem 0;font-variant-numeric:tabular-nums}
#keys,summary,caption{color:var(--faint);font-size:.9rem}
kbd{border:1px solid var(--rule);border-radius:.25rem;padding:0 .35em;background:var(--bar)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin-top:.5rem}
caption{text-align:left}
th,td{padding:.1rem .9rem .1rem 0;text-align:right;border-bottom:1px solid var(--rule)}
text{fill:var(--ink)}
.faint{fill:var(--faint)}
.line{fill:none}
.arrow .line{stroke:var(--flow)}
.arrow .tip{fill:var(--flow)}
.body{fill:var(--state-fill);stroke:var(--state-stroke);stroke-width:1.4}
.lit .body{fill:var(--cell);stroke:var(--ink)}
.lit .label{fill:var(--on)}
.swatch{fill:var(--cell)}
.ring{fill:var(--ink)}
.arrow,.ring,.readout{visibility:hidden}
.lit .arrow,.now .ring,.now .readout{visibility:visible}
"""

PROGRAM = """'use strict';
{
const $ = id => document.getElementById(id);
const {times, said} = JSON.parse($('data').textContent);
const cells = [...document.querySelectorAll('.cell')];
const slider = $('frame'), button = $('play'), now = $('now'), end = times.length - 1;
let frame = end, timer = 0;
const show = k => {
  frame = Math.max(0, Math.min(end, k));
  for (const cell of cells) {
    const turn = +cell.dataset.turn;
    cell.classList.toggle('lit', turn <= frame);
    cell.classList.toggle('now', turn === frame);
  }
  slider.value = frame;
  slider.setAttribute('aria-valuetext', said[frame]);
  now.textContent = said[frame];
};
const pause = () => {
  clearTimeout(timer);
  timer = 0;
  button.textContent = 'play';
  now.setAttribute('aria-live', 'polite');
};
const tick = () => {
  if (frame === end) return pause();
  show(frame + 1);
  timer = setTimeout(tick, times[frame]);
};
const play = () => {
  now.setAttribute('aria-live', 'off');
  button.textContent = 'pause';
  show(frame === end ? 0 : frame);
  timer = setTimeout(tick, times[frame]);
};
const turn = () => timer ? pause() : play();
const go = k => { pause(); show(k); };
button.addEventListener('click', turn);
slider.addEventListener('input', () => go(+slider.value));
const keys = {ArrowLeft: () => go(frame - 1), ArrowRight: () => go(frame + 1), Home: () => go(0), End: () => go(end),
  ' ': turn};
document.addEventListener('keydown', event => {
  const own = event.key === ' ' ? 'button,summary' : 'input,.wide';
  if (event.ctrlKey || event.altKey || event.metaKey || !keys[event.key] || event.target.closest(own)) return;
  event.preventDefault();
  keys[event.key]();
});
$('controls').hidden = $('keys').hidden = false;
if (matchMedia('(prefers-reduced-motion: reduce)').matches) show(end); else { show(0); play(); }
}
"""

BODY = """<main>
<h1>{title}</h1>
<div class="wide" tabindex="0" role="region" aria-label="picture">
<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="described" font-family="{font}, Verdana, sans-serif">
<desc id="described">{described}</desc>
{picture}
</svg>
</div>
<div id="controls" role="group" aria-label="controls" hidden>
<button type="button" id="play">play</button>
<label>frame <input type="range" id="frame" min="0" max="{last}" value="{last}" step="1" autocomplete="off"></label>
</div>
<p id="now" role="status" aria-live="polite">{final}</p>
<p id="keys" hidden><kbd>space</kbd> play or pause, <kbd>&larr;</kbd> <kbd>&rarr;</kbd> one step,
<kbd>Home</kbd> <kbd>End</kbd> first and last</p>
<details><summary>the numbers</summary>
{table}
</details>
</main>"""


def write(picture: Picture, file: Path, times: list[int]) -> None:
    """Write the page to a file; arguments as of `page`."""
    file.write_text(page(picture, times), encoding="utf-8", newline="\n")


def page(picture: Picture, times: list[int]) -> str:
    """The text of an HTML file. times: milliseconds that each frame stays. The text depends on these alone."""
    said = [_said(picture, turn) for turn in range(picture.turns + 1)]
    data = json.dumps({"times": times, "said": said}, ensure_ascii=False).replace("<", "\\u003c")
    lines = list(dict.fromkeys(flow.line for flow in picture.flows))
    sheet = "\n".join([rules(["state", "loss"], lines, []), *_levels(picture), SHEET.strip(), *map(_forward, lines)])
    title = _text(picture.title or "The gradient on its way back")
    picture = replace(picture, title="")  # the page has it above the picture
    body = BODY.format(title=title, width=_n(picture.width), height=_n(picture.height), font=FONT,
                       picture="\n".join(_picture(picture)), last=picture.turns, described=_text(_described(picture)),
                       final=_text(said[-1]), table="\n".join(_table(picture)))
    return document(title, body, sheet, data, PROGRAM)


# -- words -----------------------------------------------------------------------------------------


def _said(picture: Picture, turn: int) -> str:
    """A frame in words."""
    if not turn:
        return "before the gradient starts"
    current = [(row.flow, cell) for row in picture.rows for cell in row.cells if cell.turn == turn]
    places = [f"{flow.index} = {cell.step}" for flow, cell in current]
    ratios = [_written(cell.ratio) for _, cell in current]
    if len(set(places)) == 1:
        told = ", ".join(f"{flow.label} {ratio}" for (flow, _), ratio in zip(current, ratios, strict=True))
        return f"{places[0]}: {told}"
    return "; ".join(f"{flow.label} {ratio} at {place}"
                     for (flow, _), ratio, place in zip(current, ratios, places, strict=True))


def _described(picture: Picture) -> str:
    names = "; ".join(f"{row.flow.label}, {row.flow.state} over {row.flow.index}" for row in picture.rows)
    return (f"A row of cells for each model: {names}. The gradient of {picture.flows[0].of} goes back through them, "
            f"and a cell takes its colour when it arrives. Colour: {picture.explanation()}. In the end: "
            f"{_said(picture, picture.turns)}.")


def _written(ratio: float) -> str:
    """A ratio in plain text."""
    return string(number(ratio)) if not ratio or 1e-3 <= ratio < 1e3 else f"{ratio:.1e}"


def _table(picture: Picture) -> Iterable[str]:
    yield f"<table><caption>{_text(picture.explanation())}</caption><thead><tr><th scope=\"col\">step</th>"
    yield from (f'<th scope="col">{_text(row.flow.label)}</th>' for row in picture.rows)
    yield "</tr></thead><tbody>"
    for step, *cells in zip(picture.steps, *(row.cells for row in picture.rows), strict=True):
        numbers = "".join(f"<td>{_written(cell.ratio)}</td>" for cell in cells)
        yield f'<tr><th scope="row">{step}</th>{numbers}</tr>'
    yield "</tbody></table>"


# -- colours ---------------------------------------------------------------------------------------


def _level(place: float) -> int:
    return round(place * LEVELS)


def _levels(picture: Picture) -> Iterable[str]:
    """A class for each level of the colours: of a cell, the text on it, and the arrow to it."""
    yield f":root{{--strong:{to_hex(COLOURS(0.8))};--least:{_n(picture.width * LEAST)}px}}"
    yield from (_class(k, COLOURS, PAPER if k / LEVELS >= STRONG else INK) for k in range(LEVELS + 1))
    yield f"@media screen and (prefers-color-scheme:dark){{:root{{--strong:{to_hex(DARK(0.7))}}}"
    yield from (_class(k, DARK, DARK_PAPER if k / LEVELS >= DARK_STRONG else DARK_INK)
                for k in range(LEVELS + 1))
    yield "}"


def _class(k: int, colours: LinearSegmentedColormap, on: str) -> str:
    place = k / LEVELS
    return f".p{k}{{--cell:{to_hex(colours(place))};--on:{on};--flow:{to_hex(colours(max(place, FAINTEST)))}}}"


def _forward(line: str) -> str:
    """How the arrows of states in a style look."""
    return f".{line} .line{{stroke:var(--{line}-line)}}\n.{line} .tip{{fill:var(--{line}-line)}}"


# -- the picture -----------------------------------------------------------------------------------


def _picture(picture: Picture) -> Iterable[str]:
    for row in picture.rows:
        yield from (_note(n) for n in picture.heading(row))
        yield from (f'<g class="{row.flow.line}">{_wires(picture.forward(row, c))}</g>' for c in row.cells)
        box = picture.box(row)
        yield (f'<rect class="s-loss" x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.w)}" height="{_n(box.h)}" rx="8"/>'
               f"{_label(*box.centre, box.label, TEXT)}")
        yield from (_cell(picture, row, c) for c in reversed(row.in_turn))
    x, y = picture.legend_at
    yield from (_note(n) for n in picture.legend())
    yield from (f'<g class="p{_level((k + 0.5) / SWATCHES)}"><rect class="swatch" x="{_n(x + k * SWATCH)}" y="{_n(y)}" '
                f'width="{_n(SWATCH + 0.2)}" height="{_n(BAR)}"/></g>' for k in range(SWATCHES))


def _cell(picture: Picture, row: Row, cell: Cell) -> str:
    shape, ring = picture.circle(row, cell, lit=False), picture.ring(cell)
    state = "lit now" if cell.turn == picture.turns else "lit"
    parts = [f'<g class="cell p{_level(cell.place)} {state}" data-turn="{cell.turn}">',
             f'<g class="arrow">{_wires(picture.gradient(row, cell))}</g>',
             *(_note(n) for n in picture.dots(row, cell)),
             f'<circle class="ring" cx="{_n(cell.x)}" cy="{_n(cell.y)}" r="{_n(ring.w / 2)}"/>',
             f'<circle class="body" cx="{_n(cell.x)}" cy="{_n(cell.y)}" r="{_n(shape.w / 2)}"/>',
             _label(cell.x, cell.y, shape.label, shape.size, "label"), _note(picture.readout(row, cell), "readout"),
             "</g>"]
    return "".join(parts)


def _wires(wires: Iterable[Wire]) -> str:
    return "".join(map(_wire, wires))


def _wire(wire: Wire) -> str:
    thick, points, tip = wire.width or 1.0, wire.points, ""
    if wire.head:
        triangle, points = head(points, thick)
        tip = f'<polygon class="tip" points="{" ".join(f"{_n(x)},{_n(y)}" for x, y in triangle)}"/>'
    d = "".join(m.kind + " ".join(f"{_n(x)} {_n(y)}" for x, y in m.points) for m in path(points))
    return f'<path class="line" d="{d}" stroke-width="{_n(thick)}"/>{tip}'


def _note(note: Note, kind: str = "") -> str:
    return _label(note.x, note.y, note.label, note.size, kind or ("" if note.colour == INK else "faint"), note.anchor)


def _label(x: float, y: float, label: Label, size: float, kind: str = "", anchor: str = "middle") -> str:
    """Text around (x, y), its raised spans moved by dy."""
    spans, raised = [], 0.0
    for span in label:
        attrs = f' dy="{_n((raised - span.rise) * size)}"' if span.rise != raised else ""
        attrs += ' font-style="italic"' if span.italic else ""
        attrs += f' font-size="{_n(size * span.scale)}"' if span.scale != 1 else ""
        spans.append(f"<tspan{attrs}>{_text(span.text)}</tspan>")
        raised = span.rise
    named = f' class="{kind}"' if kind else ""
    return (f'<text{named} x="{_n(x)}" y="{_n(y + BASELINE * size)}" font-size="{_n(size)}" text-anchor="{anchor}" '
            f'xml:space="preserve">{"".join(spans)}</text>')


def _text(text: str) -> str:
    return escape(clean(text), quote=True)
