"""The page to walk through: its text, and what it tells of the picture."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from dataclasses import replace
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pages import ALL, EXAMPLE, Reader, long_page, model_of, run_of, scene_of, string
from pictured import HOSTILE, renamed

from tinygrad_rnn.viz.page.page import PROGRAM, SHEET, page
from tinygrad_rnn.viz.page.parts import column_indices, parts_of
from tinygrad_rnn.viz.page.theme import DARK_INK, DARK_PAPER, dark_fill, dark_line
from tinygrad_rnn.viz.scene import Mark, Shape
from tinygrad_rnn.viz.style import LINES, ROLE_FILL
from tinygrad_rnn.viz.values import Values
from tinygrad_rnn.viz.writers.lines import path


@pytest.mark.parametrize("view", ["unrolled", "backward", "folded"])
def test_the_page_needs_nothing_and_runs_nothing_but_its_own(view: str) -> None:
    model = model_of("lstm")
    text = page(scene_of(model, 3, view), model.system)
    assert text == page(scene_of(model_of("lstm"), 3, view), model.system)
    reader = Reader(text)
    for tag, attrs in reader.tags:
        assert tag not in ("img", "iframe", "object", "embed", "base"), tag
        assert not [a for a in attrs if a.startswith("on") or a in ("style", "src", "action")], (tag, attrs)
        assert (attrs.get("href") or "data:").startswith("data:")
    (policy,) = [a["content"] for t, a in reader.tags if t == "meta" and "http-equiv" in a]
    assert policy is not None and "default-src 'none'" in policy and "unsafe" not in policy
    data, program = reader.texts["script"]
    for own in (program, *reader.texts["style"]):
        assert base64.b64encode(hashlib.sha256(own.encode()).digest()).decode() in policy
    assert not re.search(r"\beval\(|new Function|innerHTML|document\.write|https?://(?!www\.w3\.org/2000/svg)", program)
    assert not re.search(r"@import|url\((?!#hatched\))", reader.texts["style"][0])
    json.loads(data)


def test_the_package_takes_the_program_along() -> None:
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    patterns = re.search(r'^"tinygrad_rnn\.viz\.page" = \[(.*)\]$', text, re.MULTILINE)
    assert patterns is not None
    for name in (*PROGRAM, SHEET):
        assert any(fnmatch(name, pattern) for pattern in re.findall(r'"(.*?)"', patterns[1])), name


def test_every_control_has_a_name() -> None:
    model = model_of("lstm")
    text = page(scene_of(model, 3), model.system)
    for name in re.findall(r"<button[^>]*?id=\"(\w+)\"", text):
        found = re.search(rf'<button[^>]*id="{name}"([^>]*)>([^<]*)<', text)
        assert found and (re.search(r"\w", found[2].replace("&minus;", "")) or "aria-label=" in found[1]), name
    for name in re.findall(r"<input[^>]*?id=\"(\w+)\"", text):
        assert re.search(rf'<label[^>]*>[^<]*<input[^>]*id="{name}"[^>]*>', text), name
    assert 'id="card" role="status" aria-live="polite"' in text


def test_hostile_names_are_escaped() -> None:
    names = dict(zip(("h", "y", "W", "x", "target"), [*HOSTILE[:3], "a\u2028b\u2029</SCRIPT >&lt;", HOSTILE[4]],
                     strict=True))
    model = SimpleNamespace(system=renamed(model_of("rnn").system, names))
    text = page(scene_of(model, 3), model.system)
    plain, hostile = (Reader(page(scene_of(m, 3), m.system)) for m in (model_of("rnn"), model))
    assert [tag for tag, _ in plain.tags] == [tag for tag, _ in hostile.tags]
    assert hostile.texts["h1"] == [HOSTILE[0]]
    assert HOSTILE[0] in [q[0] for q in hostile.data["quantities"]]
    assert not {"\u2028", "\u2029", "\x00", "\x1b", "\ud800", "\uffff"} & set(text)
    assert not re.search(r"[<>&]", hostile.texts["script"][0])
    text.encode("utf-8")


@pytest.mark.parametrize("name", ALL)
def test_everything_in_the_scene_is_told(name: str) -> None:
    """Boxes at their places with their labels, and wires from their starts; each once."""
    model = model_of(name)
    for view in ("unrolled", "backward", "folded"):
        scene = scene_of(model, 3, view)
        data = Reader(page(scene, model.system)).data
        boxes: list[tuple[float, ...]] = []
        starts: list[tuple[float, float]] = []
        labels: Counter[str] = Counter()
        for number, written, x, y, *_ in data["units"]:
            drawing, words = data["drawings"][number], iter(data["written"][written])
            panels = [drawing["panel"]] if "panel" in drawing else []
            for _, dx, dy, w, h, *rest in [*drawing["boxes"], *panels]:
                boxes.append((x + dx, y + dy, w, h))
                labels.update(string(data["labels"][next(words)]) for _ in rest[2])
            for line in drawing.get("lines", ()):
                starts += [(x + a, y + b) for a, b in _starts(data["lines"][line][4])]
        for line, x, y, *_ in data["wires"]:
            starts += [(x + a, y + b) for a, b in _starts(data["lines"][line][4])]
        shapes = [*scene.panels, *scene.shapes]
        _same(boxes, [(s.x, s.y, s.w, s.h) for s in shapes])
        _same(starts, [path(w.points)[0].points[0] for w in scene.wires])
        assert labels == Counter(_string_of(label) for s in shapes for label in (s.label, *s.lines) if label)
        notes = len(data["notes"]) + sum(len(data["drawings"][u[0]].get("notes", ())) for u in data["units"])
        assert notes == len(scene.notes)


def _starts(d: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"M(-?[\d.]+) (-?[\d.]+)", d)]


def _same(found: list[Any], wanted: list[Any]) -> None:
    assert len(found) == len(wanted)
    if wanted:
        apart = np.abs(np.array(found)[:, None] - np.array(wanted)[None]).max(axis=-1)
        assert max(apart.min(axis=0).max(), apart.min(axis=1).max()) < 0.05


def _string_of(label: Any) -> str:
    return "".join(s.text for s in label)


@pytest.mark.parametrize("name", ["lstm2", "bidirectional", "attention", "zoo_two_dimensional", "zoo_static_index"])
def test_steps_are_columns(name: str) -> None:
    """Boxes of one step stand above each other, those of the next to their right."""
    model = model_of(name)
    found = parts_of(scene_of(model, 4), model.system)
    assert [count for _, count in found.ranges] == [4] * len(found.ranges)
    assert len(found.ranges) == (2 if name == "attention" else 1)
    middle: dict[tuple[int, int], list[float]] = {}
    for part in found.parts:
        if part.step is not None:
            middle.setdefault((part.range, part.step), []).append(part.body.centre[0])
    steps = sorted(middle)
    assert {(r, s) for r in range(len(found.ranges)) for s in range(1, 5)} <= set(steps)
    assert {s for _, s in steps} <= set(range(6))
    for before, after in pairwise(steps):
        assert before[0] != after[0] or max(middle[before]) < min(middle[after])


def test_the_columns_are_those_that_stand_above_each_other() -> None:
    system = model_of("attention").system
    decoder = [(Mark("q", (("t", k),)), 100.0 * k) for k in (1, 2, 3)]
    below, beside = ([(Mark("k", (("s", k),)), x * k) for k in (1, 2)] for x in (110.0, 40.0))
    for other in (below, beside):
        assert column_indices([*decoder, *other], system) == [("t", set()), ("s", set())]
    assert column_indices([*decoder, *below], model_of("self_attention").system) == [("t", {"s"})]  # over one range
    lattice = [(Mark("h", (("i", i), ("j", j))), 50.0 * j) for i in (1, 2, 3) for j in (1, 2, 3)]
    assert column_indices(lattice, model_of("zoo_two_dimensional").system) == [("j", set())]
    assert column_indices([(Mark("W"), 1.0)], system) == []


def test_patches_are_painted_below_and_told() -> None:
    """A heat map beside the picture: boxes among the panels, in colours of their own, each with what it shows."""
    run = run_of("attention", 3)
    scene = scene_of(run.model, 3)
    patches = [Shape("box", scene.width + 20 * s, 20.0 * t, 20, 20, "swatch", fill="#ABCDEF",
                     mark=Mark("a", (("t", t), ("s", s)))) for t in (1, 2, 3) for s in (1, 2, 3)]
    wide = replace(scene, width=scene.width + 100, panels=[*patches, *scene.panels])
    data = Reader(page(wide, run.model.system, Values(run.model.system, run.trace, example=EXAMPLE))).data
    below = [u for u in data["units"] if data["drawings"][u[0]]["below"]]
    assert len(below) == 9 and all(data["drawings"][u[0]]["boxes"][0][-1] == "#ABCDEF" for u in below)
    told = [data["values"][u[4][0]]["first"][0] for u in below]
    assert np.array(told, "float32").reshape(3, 3).tolist() == run.trace["a"][EXAMPLE].tolist()
    assert data["ranges"] == [["s", 3], ["t", 3]] and data["steps"] == 6


def test_cells_are_told_once() -> None:
    model = model_of("lstm2")
    few, many = (Reader(page(scene_of(model, t), model.system)).data for t in (6, 12))
    assert len(many["drawings"]) == len(few["drawings"]) < 12 and len(many["units"]) > 1.8 * len(few["units"])


def test_a_long_page_stays_small() -> None:
    assert len(long_page().encode()) < 2_500_000
    assert Reader(long_page()).data["steps"] == 200


def test_notes_fade_with_their_wires() -> None:
    """A weight's name stands at the wire that it multiplies: in the bidirectional model one to each step's wire."""
    model = model_of("bidirectional")
    found = parts_of(scene_of(model, 4), model.system)
    names = {"U_1": "h1", "R_1": "r1", "U_2": "h2", "R_2": "r2"}
    told = [("".join(s.text for s in n.label), found.wires[k][0].mark) for n, k in found.notes if k is not None]
    assert len(told) == len(found.notes) == 4 * 4
    assert all(mark is not None and mark.name == names[f"{w[0]}_{w[-1]}"] for w, mark in told)


def test_roles_stay_apart_in_the_dark() -> None:
    fills = {role: dark_fill(style) for role, style in ROLE_FILL.items()}
    for fill in fills.values():
        assert _contrast(fill, DARK_INK) > 7
    for line in LINES.values():
        assert _contrast(dark_line(line.colour), DARK_PAPER) > 4.5
    assert _contrast(dark_line("#C9DEDC"), DARK_PAPER) < 3  # hardly there by day
    alike = {("loss", "squashed"), ("data", "input")}  # by day too; data have dashes
    pairs = [(a, b) for a in fills for b in fills if a < b and (a, b) not in alike]
    assert min(np.abs(_rgb(fills[a]) - _rgb(fills[b])).sum() for a, b in pairs) >= 30


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)], dtype=float)


def _contrast(a: str, b: str) -> float:
    def luminance(colour: str) -> float:
        c = _rgb(colour) / 255
        return float(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)
