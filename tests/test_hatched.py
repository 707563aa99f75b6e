"""Pictures with values: boxes without a number are hatched, and look like no number, in every format."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from browsing import Browser

import tinygrad_rnn as tr
from tinygrad_rnn.viz.api import make_scene
from tinygrad_rnn.viz.colouring import coloured
from tinygrad_rnn.viz.graph.roles import roles
from tinygrad_rnn.viz.page.page import page
from tinygrad_rnn.viz.scene import Scene, Shape
from tinygrad_rnn.viz.style import FILLS, HATCH_APART, HATCHED
from tinygrad_rnn.viz.text import string
from tinygrad_rnn.viz.values import Values
from tinygrad_rnn.viz.writers import hatch
from tinygrad_rnn.viz.writers import mpl as write_mpl
from tinygrad_rnn.viz.writers import svg as write_svg
from tinygrad_rnn.viz.writers import tikz as write_tikz

MODEL = tr.equations("""
    h[0] = tanh(W_0 @ z[n])
    f[t] = sigmoid(W @ x[t] + U @ h[t-1])
    h[t] = f[t] * h[t-1] + (1 - f[t]) * tanh(V @ x[t])
    y[t] = softmax(Y @ h[t])
    loss = mean(cross_entropy(y[t], target[t]))""", x=3, z=2, h=4, y=5)
RNG = np.random.default_rng(0)
DATA = {"x": RNG.standard_normal((1, 3, 3)), "z": RNG.standard_normal((1, 2)), "target": RNG.integers(0, 5, (1, 3))}


def values() -> Values:
    return Values(MODEL.system, MODEL.trace(DATA))


def scene(colour: str = "value") -> Scene:
    return coloured(make_scene(MODEL, "unrolled", steps=3, detail="ops"), roles(MODEL.system), values(), colour)


@pytest.mark.parametrize("colour", ["value", "gradient"])
def test_what_has_no_number_is_hatched_and_nothing_else(colour: str) -> None:
    found = values()
    for s in scene(colour).shapes:
        if FILLS[s.style].stroke == "none" or not s.w > 28:
            continue
        number = None if s.mark is None else found.at(s.mark) if colour == "value" else found.gradient_at(s.mark)
        has = number is not None and number.dtype.kind == "f" and not (colour == "gradient" and s.style == "loss")
        assert (s.fill == HATCHED) != has, s.name or string(s.label)


def test_the_legend_says_what_it_means() -> None:
    drawing = scene()
    note = next(n for n in drawing.notes if "no number" in string(n.label))
    assert any(s.fill == HATCHED and abs(s.centre[1] - note.y) < 1 and s.x + s.w < note.x for s in drawing.shapes)
    model = tr.equations("y[t] = tanh(x[t])", x=2)
    x = np.ones((1, 2, 2))
    run = Values(model.system, {"x": x, **model.run(x=x)})
    whole = coloured(make_scene(model, "unrolled", steps=2), roles(model.system), run)
    assert not any("no number" in string(n.label) for n in whole.notes)


def test_lines_cover_a_box_and_stay_inside() -> None:
    box = Shape("box", 13, 7, 40, 25, "op")
    found = list(hatch.lines(box))
    for (ax, ay), (bx, by) in found:
        assert 13 <= ax <= bx <= 53 and 7 <= by <= ay <= 32
        assert ax + ay == pytest.approx(bx + by)
        assert (ax == 13 or ay == 32) and (bx == 53 or by == 7)
    sums = [a[0] + a[1] for a, _ in found]
    assert np.diff(sums) == pytest.approx(HATCH_APART * math.sqrt(2)) and sums[0] - 20 < 9 and 85 - sums[-1] < 9


def test_every_format(tmp_path: Any) -> None:
    drawing = scene()
    root = ET.fromstring(write_svg.svg(drawing).encode())
    hatched = sum(s.fill == HATCHED for s in drawing.shapes)
    assert sum(e.get("fill") == f"url(#{HATCHED})" for e in root.iter()) == hatched > 5
    assert [e.get("id") for e in root.iter() if e.tag.endswith("pattern")] == [HATCHED]
    assert "pattern" not in write_svg.svg(make_scene(MODEL, "unrolled", steps=3))
    assert write_tikz.tikz(drawing).count(r"\clip") == hatched
    write_mpl.write(drawing, tmp_path / "a.png", "png")
    from matplotlib.image import imread

    picture = imread(tmp_path / "a.png")
    box = next(s for s in drawing.shapes if s.fill == HATCHED and s.name.startswith("target"))
    left, top, right, bottom = (round(2 * v) for v in (box.x + 5, box.y + 5, box.x + box.w - 5, box.y + 11))
    inside = picture[top:bottom, left:right, :3].mean(-1)
    assert inside.min() < 0.85 and inside.max() > 0.99  # lines on paper


def test_the_page_hatches_while_it_paints(browser: Browser) -> None:
    browser.open(page(make_scene(MODEL, "unrolled", steps=3, detail="ops"), MODEL.system, values()))
    fill = "return getComputedStyle(arguments[0].querySelector('.frame')).fill"
    first, given, loss = (browser.box(name) for name in ("h⟨0⟩", "x⟨1⟩", "loss"))
    assert "hatched" in browser.do(fill, first)
    assert "hatched" not in browser.do(fill, given) and "hatched" not in browser.do(fill, loss)
    assert browser.do("return [...document.querySelectorAll('.plain > .frame')].every("
                      "e => getComputedStyle(e).fill.includes('hatched'))")
    browser.id("paint").click()
    assert not browser.do("return [...document.querySelectorAll('.frame')].some("
                          "e => getComputedStyle(e).fill.includes('hatched'))")
