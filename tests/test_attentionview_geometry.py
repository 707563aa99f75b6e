"""The geometry of the attention view on many kinds of model."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from attending import MODELS, fan, place, ran, scene, structure, tiles_of

from tinygrad_rnn.viz.attention.graph import attentions
from tinygrad_rnn.viz.graph.roles import roles
from tinygrad_rnn.viz.scene import Note, Scene, Shape
from tinygrad_rnn.viz.style import FILLS
from tinygrad_rnn.viz.text import string, width

CASES = [(name, kind) for name in MODELS for kind in ("run", "structure", "many", "one")]


def drawing_of(name: str, kind: str) -> Scene:
    if kind == "structure":
        return structure(name, focus=3)
    if name == "gradient":  # its inputs are those of a model and what flows back into it
        return structure(name, steps={"many": 20, "one": 1}.get(kind, 3))
    size = {"run": 12, "many": 25, "one": 1}[kind]
    return scene(name, batch=1, steps=dict.fromkeys(("t", "s"), size))


@pytest.mark.parametrize("name,kind", CASES)
def test_geometry(name: str, kind: str) -> None:
    """No box on another, every line attached at both ends and through no other box, all text in its place."""
    drawing = drawing_of(name, kind)
    solid = [s for s in drawing.shapes if FILLS[s.style].stroke != "none"]
    tiles = tiles_of(drawing)
    for a, b in combinations(drawing.shapes, 2):
        assert not overlap(box(a), box(b)), f"{a.name} and {b.name}"
    if tiles:
        whole = (min(s.x for s in tiles), min(s.y for s in tiles), max(s.x + s.w for s in tiles),
                 max(s.y + s.h for s in tiles))
        assert not any(overlap(whole, box(s)) for s in drawing.shapes), "the heat map on a box"
    for wire in drawing.wires:
        if wire.name == "focus":
            continue
        ends = [[s for s in drawing.shapes if s.on_border(p, 1.0)] for p in (wire.points[0], wire.points[-1])]
        assert all(ends), f"{wire.name} ends in the air"
    lines = [w for w in drawing.wires if w.name != "focus"]
    parts = [(w.name, *a, *b) for w in lines for a, b in pairwise(w.points)]
    for (name_, *_), row in zip(parts, through(np.array([p[1:] for p in parts]), solid), strict=True):
        assert not row.any(), f"{name_} runs through {solid[int(row.argmax())].name}"
    for s in drawing.shapes:
        assert width(s.label, s.size) <= s.w + 0.5, f"text spills out of {s.name}"
    for item in [*(box(s) for s in (*drawing.shapes, *drawing.panels)), *(plate(n) for n in drawing.notes)]:
        assert item[0] >= 0 and item[1] >= 0 and item[2] <= drawing.width and item[3] <= drawing.height
    for x, y in (p for w in drawing.wires for p in w.points):
        assert 0 <= x <= drawing.width and 0 <= y <= drawing.height
    for note in drawing.notes:
        assert not any(overlap(plate(note), box(s)) for s in (*drawing.shapes, *tiles)), string(note.label)
    for one, two in combinations(drawing.notes, 2):
        assert not overlap(plate(one), plate(two)), f"{string(one.label)} on {string(two.label)}"


def box(s: Shape) -> tuple[float, float, float, float]:
    return s.x, s.y, s.x + s.w, s.y + s.h


def plate(n: Note) -> tuple[float, float, float, float]:
    w = width(n.label, n.size)
    left = n.x - {"start": 0.0, "middle": w / 2, "end": w}[n.anchor]
    return left, n.y - n.size * 0.5, left + w, n.y + n.size * 0.5


def overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] - 0.1 and b[0] < a[2] - 0.1 and a[1] < b[3] - 0.1 and b[1] < a[3] - 0.1


def through(parts: np.ndarray, shapes: list[Shape], near: float = 1.5) -> np.ndarray:
    """Which straight parts (x, y, x, y) come more than `near` into which shapes."""
    a, way = parts[:, None, :2], (parts[:, 2:] - parts[:, :2])[:, None]
    centre = np.array([s.centre for s in shapes])[None]
    along = ((centre - a) * way).sum(-1) / np.maximum((way**2).sum(-1), 1e-9)
    nearest = a + np.clip(along, 0, 1)[..., None] * way
    in_circle = np.hypot(*np.moveaxis(nearest - centre, -1, 0)) < np.array([s.w / 2 - near for s in shapes])
    low = np.array([(s.x + near, s.y + near) for s in shapes])[None]
    high = np.array([(s.x + s.w - near, s.y + s.h - near) for s in shapes])[None]
    step = np.where(np.abs(way) < 1e-9, 1e-9, way)
    first, last = np.minimum((low - a) / step, (high - a) / step), np.maximum((low - a) / step, (high - a) / step)
    in_box = np.maximum(first.max(-1), 0) < np.minimum(last.min(-1), 1)
    return np.where([s.kind == "circle" for s in shapes], in_circle, in_box)


def test_through() -> None:
    """The measure itself: lines that meet a circle and a box, and such as pass them."""
    shapes = [Shape("circle", 0, 0, 20, 20, "input"), Shape("box", 40, 0, 20, 20, "state")]
    parts = np.array([(-5, 10, 70, 10), (-5, 1, 5, -5), (30, 30, 70, 10), (30, -9, 41, 3), (30, 22, 70, 20),
                      (50, 5, 50, 6)])
    found = [(True, True), (False, False), (False, True), (False, False), (False, False), (False, True)]
    assert through(parts, shapes).tolist() == [list(f) for f in found]


@pytest.mark.parametrize("name", [n for n in MODELS if n != "gradient"])
def test_lines_run_from_what_is_attended_to_to_what_attends(name: str) -> None:
    drawing = scene(name, batch=1, steps={"s": 5, "t": 5})
    (one, *_) = attentions(roles(MODELS[name].system))
    lines = fan(drawing, one.weights)
    weights = ran(name, 1, t=5, s=5)[1][one.weights][0]
    assert len(lines) == np.count_nonzero(weights[0] if one.others else weights)
    starts: dict[int | str, set[str]] = {}
    for wire in lines:
        t, s = place(wire, one.target, one.source)
        low = next(b for b in drawing.shapes if b.on_border(wire.points[0], 0.1))
        high = next(b for b in drawing.shapes if b.on_border(wire.points[-1], 0.1))
        assert f"{s}⟩" in low.name and (high.name == "Σ" or f"{t}" in high.name.split("⟨")[1])
        assert any(r in low.name for r in one.read) and low.y > high.y + high.h
        starts.setdefault(s, set()).add(low.name)
    assert all(len(found) == 1 for found in starts.values())


def test_lines_to_one_context_do_not_cross() -> None:
    lines = [w for w in fan(scene("seq2seq", steps={"s": 12, "t": 12}, focus=1), "alpha") if w.head]
    lines.sort(key=lambda w: w.points[0][0])
    assert all(a.points[-1][0] < b.points[-1][0] for a, b in pairwise(lines))
