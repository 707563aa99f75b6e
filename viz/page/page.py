"""A scene as one page to walk through."""

from __future__ import annotations

from html import escape
from importlib import resources

from tinygrad_rnn.system import System

from ..scene import Scene
from ..text import clean
from ..values import Values
from ..writers.html_file import document
from .data import Data, script
from .theme import rules

PROGRAM = ("page_draw.js", "page_view.js", "page_card.js", "page.js")  # in the order in which they are read
SHEET = "page.css"

BODY = """<header>
<h1>{title}</h1>
<div id="controls" role="group" aria-label="controls">
<span id="time" class="of-steps">
<label>step <input type="range" id="step" min="0" max="{steps}" value="0" autocomplete="off"></label>
<output id="at" for="step"></output></span>
<span role="radiogroup" aria-label="direction" id="direction" class="of-steps">
<label><input type="radio" name="way" id="forward" autocomplete="off" checked> forward</label>
<label><input type="radio" name="way" id="backward" autocomplete="off"> backward</label></span>
<label id="painting"><input type="checkbox" id="paint" autocomplete="off" checked> colour by value</label>
<span class="group of-cells"><button type="button" id="open">open all</button>
<button type="button" id="close">close all</button></span>
<span class="group"><button type="button" id="out" aria-label="zoom out">&minus;</button>
<button type="button" id="fit">fit</button>
<button type="button" id="in" aria-label="zoom in">+</button></span>
<label>find <input type="search" id="find" size="9" autocomplete="off" spellcheck="false"></label>
<span id="count" role="status" aria-live="polite"></span>
<button type="button" id="theme" aria-pressed="false">dark</button>
</div>
</header>
<main>
<svg id="picture" role="group" aria-label="{described}"></svg>
<aside id="card" role="status" aria-live="polite" hidden></aside>
<div id="scale" aria-hidden="true" hidden></div>
<p id="keys"><span class="of-cells">click a cell to open it &middot; </span><span class="of-steps">&larr; &rarr; time
&middot; B backward &middot; </span>&uarr; &darr; boxes &middot; wheel or + &minus; zoom &middot; drag &middot; 0 fit
&middot; / find</p>
</main>
<noscript><p>The picture is drawn by the page's own script, which this browser does not run.</p></noscript>"""


def page(scene: Scene, system: System, values: Values | None = None) -> str:
    """The text of an HTML file that shows the scene: its cells open and close, its steps are walked through.

    system: whose equations and shapes the boxes tell; values: what a run had there. The text depends on these alone.
    """
    data = Data(scene, system, values)
    found = data.json()
    program = "".join(["'use strict';{", *map(_file, PROGRAM), "}"])
    sheet = rules(data.fills, data.lines, data.inks) + "\n" + _file(SHEET)
    title = escape(clean(scene.title or system.name) or "model")
    steps = f", {found['steps']} steps" if found["steps"] else ""
    body = BODY.format(title=title, steps=found["steps"], described=f"diagram of {title}{steps}")
    return document(title, body, sheet, script(found), program)


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
