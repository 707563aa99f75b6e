"""The gradient on its way back as a page: that it is whole and alone, what it shows, and whom it serves."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from flows import T, data, many

import tinygrad_rnn as tr
from tinygrad_rnn.viz.fading import page as fading_page
from tinygrad_rnn.viz.fading.fading import fading
from tinygrad_rnn.viz.flow.flow import gradient_norms


@pytest.fixture(scope="module")
def models() -> dict[str, tr.Model]:
    return many()


class Page(HTMLParser):
    """Tags with their attributes, texts by the tag that holds them, and whether every tag is closed."""

    VOID = ("meta", "link", "input", "br")

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))


@pytest.fixture(scope="module")
def page(models: dict[str, tr.Model], tmp_path_factory: pytest.TempPathFactory) -> str:
    rows = {**models, "</script><b>": models["RNN"]}
    folder = tmp_path_factory.mktemp("page")
    first, again = (fading(rows, data(), folder / f"{k}.html", title="a </title> of <i>") for k in range(2))
    assert first.read_bytes() == again.read_bytes()
    return first.read_text(encoding="utf-8")


def test_the_page_is_whole_and_alone(page: str) -> None:
    found = Page(page)
    assert not {"b", "i", "img", "iframe"} & {tag for tag, _ in found.tags}
    for _, attrs in found.tags:
        assert "style" not in attrs and not any(name.startswith("on") for name in attrs)  # the policy forbids both
        assert not any(v and re.match(r"https?:|//", v) for v in attrs.values())
        assert (attrs.get("href") or "data:").startswith("data:") and "src" not in attrs
    policy = next(a["content"] for tag, a in found.tags if a.get("http-equiv") == "Content-Security-Policy") or ""
    for tag, kind in (("style", "style-src"), ("script", "script-src")):
        text = [t for of, t in found.texts if of == tag][-1]
        assert f"{kind} 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy


def test_the_page_shows_and_says_every_frame(page: str, models: dict[str, tr.Model]) -> None:
    found = Page(page)
    cells = [a for tag, a in found.tags if tag == "g" and "cell" in (a.get("class") or "").split()]
    assert sorted(int(a["data-turn"] or 0) for a in cells) == sorted(list(range(1, T + 1)) * 4)
    frames = json.loads(next(t for tag, t in found.texts if tag == "script"))
    assert len(frames["times"]) == len(frames["said"]) == T + 1
    norms = gradient_norms(models["RNN"], data())
    assert f"t = 2: RNN {norms[1] / norms[-1]:#.2g}" in frames["said"][T - 1]
    assert "</script><b>" in frames["said"][1]
    table = [t for tag, t in found.texts if tag == "td"]
    assert len(table) == T * 4 and table[0] == f"{norms[0] / norms[-1]:#.2g}"


def test_the_page_serves_keys_readers_and_those_who_want_no_motion(page: str) -> None:
    found = Page(page)
    by_id = {a["id"]: (tag, a) for tag, a in found.tags if "id" in a}
    assert by_id["frame"][1] | {"type": "range", "min": "0", "max": str(T)} == by_id["frame"][1]
    assert by_id["now"][1]["aria-live"] == "polite" and by_id["play"][0] == "button"
    svg = next(a for tag, a in found.tags if tag == "svg")
    assert svg["role"] == "img" and by_id[svg["aria-labelledby"]][0] == "desc"
    for needed in ("prefers-reduced-motion: reduce", "ArrowLeft", "ArrowRight", "Home", "End", "' ': turn"):
        assert needed in fading_page.PROGRAM
    assert "prefers-color-scheme:dark" in page and not {"transition", "animation"} & set(re.findall(r"[a-z]+", page))
