"""Pages to walk through, for tests: models, runs, and what a page says of itself."""

from __future__ import annotations

import functools
import json
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import zoo
from pictured import TEXTS

import tinygrad_rnn as tr
from tinygrad_rnn.viz.api import make_scene
from tinygrad_rnn.viz.page.page import page
from tinygrad_rnn.viz.scene import Scene
from tinygrad_rnn.viz.values import Values

EXAMPLE = 1
ALL = {**TEXTS, **{f"zoo_{name}": found for name, found in zoo.MODELS.items()}}


def model_of(name: str, dtype: str = "float32") -> tr.Model:
    text, sizes = ALL[name]
    return tr.equations(text, name=name, dtype=dtype, **sizes)


def scene_of(model: Any, steps: int, view: str = "unrolled") -> Scene:
    return make_scene(model, view, steps=steps, elide=False)


class Run(SimpleNamespace):
    """A model, what a run of it gave, and the page."""

    model: tr.Model
    trace: Any
    text: str


def run_of(name: str, steps: int, spoil: Any = None) -> Run:
    model = model_of(name)
    trace = model.trace(zoo.data(model, 2, {i: steps for i in zoo.dynamic(model)}))
    if spoil:
        spoil(trace)
    values = Values(model.system, trace, example=EXAMPLE)
    return Run(model=model, trace=trace, text=page(scene_of(model, steps), model.system, values))


class Reader(HTMLParser):
    """The elements of a page, and the text of those that are not shown as text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside.append("")

    def handle_data(self, data: str) -> None:
        if self.inside and self.inside[-1]:
            self.texts[self.inside[-1]][-1] += data

    @property
    def data(self) -> dict[str, Any]:
        def refuse(word: str) -> Any:
            raise AssertionError(f"{word} is not JSON")

        return json.loads(self.texts["script"][0], parse_constant=refuse)


@functools.cache
def long_page() -> str:
    """Two layers at the level of gates, two hundred steps, with values."""
    return run_of("lstm2", 200).text


def string(label: list[Any]) -> str:
    return "".join(s if isinstance(s, str) else s[0] for s in label)
