"""The heat map beside the attention view: every weight, in colours that are told apart."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from attending import cells, ran, tiles_of

from tinygrad_rnn.viz.attention.heat import Weights, binned, heat_map
from tinygrad_rnn.viz.attention.view import attention_scene
from tinygrad_rnn.viz.colouring import colour_of
from tinygrad_rnn.viz.graph.roles import roles
from tinygrad_rnn.viz.scene import Mark
from tinygrad_rnn.viz.style import RAMPS
from tinygrad_rnn.viz.text import plain, string
from tinygrad_rnn.viz.values import Values


def test_the_heat_map_shows_every_weight() -> None:
    model, run = ran("seq2seq", s=4, t=3)
    drawing = attention_scene(roles(model.system), Values(model.system, run), focus=3)
    weights, found = run["alpha"][0], cells(drawing)
    assert sorted(found) == [(t, s) for t in (1, 2, 3) for s in (1, 2, 3, 4)]
    for (t, s), cell in found.items():
        assert string(cell.label) == f"{weights[t - 1, s - 1]:.2f}"
    for a, b in combinations(found, 2):
        if weights[a[0] - 1, a[1] - 1] > weights[b[0] - 1, b[1] - 1] + 0.02:
            assert luminance(found[a].fill) < luminance(found[b].fill)
    for t, s in found:  # rows from the top, columns from the left, all of one size
        assert found[t, s].x == pytest.approx(found[1, s].x) and found[t, s].y == pytest.approx(found[t, 1].y)
    assert found[1, 1].x < found[1, 2].x and found[1, 1].y < found[2, 1].y
    outline = next(w for w in drawing.wires if w.name == "focus")
    xs, ys = zip(*outline.points, strict=True)
    for (t, _), cell in found.items():
        inside = min(xs) < cell.x and cell.x + cell.w < max(xs) and min(ys) < cell.y and cell.y + cell.h < max(ys)
        assert inside == (t == 3)
    assert outline.points[0] == outline.points[-1]


def luminance(colour: str | None) -> float:
    assert colour is not None
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(c * w for c, w in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


def test_the_ramp_goes_from_light_to_dark_and_its_numbers_are_read() -> None:
    steps = [luminance(colour_of("attention", k / 50)) for k in range(51)]
    assert all(a > b for a, b in pairwise(steps)) and steps[0] > 0.9 and steps[-1] < 0.05
    assert [colour_of("attention", k) for k in (0, 1)] == [RAMPS["attention"][k] for k in (0, -1)]
    for value in np.linspace(0, 1, 41):
        drawing = heat_map(weights_of(np.array([[value, 1.0]])))
        cell = cells(drawing)[1, 1]
        ink = luminance(cell.label[0].colour or "#1A1A1A")
        light, dark = max(ink, luminance(cell.fill)) + 0.05, min(ink, luminance(cell.fill)) + 0.05
        assert light / dark >= 3.9


def weights_of(matrix: np.ndarray, focus: int = 1) -> Weights:
    return Weights(matrix, plain("a"), plain("t"), plain("s"), lambda t, s: Mark("a", (("t", t), ("s", s))), focus)


def test_what_the_darkest_colour_stands_for() -> None:
    assert weights_of(np.array([[0.3, 0.7]])).ends == (0, 1)
    assert weights_of(np.full((40, 40), 1 / 40)).ends == (0, 0.05)
    assert weights_of(np.array([[-0.5, 3.0]])).ends == (-3, 3)
    assert weights_of(np.array([[np.nan, 0.7]])).ends == (0, 1)
    texts = [string(n.label) for n in heat_map(weights_of(np.array([[0.3, 0.7]]))).notes]
    assert [t for t in texts if t in ("0", "0.5", "1")] == ["1", "0.5", "1", "0"] or set("01") <= set(texts)


def test_a_large_matrix_is_whole() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.dirichlet(np.full(200, 0.01), 150)
    drawing = heat_map(weights_of(matrix, 70))
    tiles = tiles_of(drawing)
    left, top = min(s.x for s in tiles), min(s.y for s in tiles)
    assert max(s.x + s.w for s in tiles) - left == pytest.approx(200 * 1.5, abs=1)
    seen = np.full(matrix.shape, np.nan)  # what is drawn at the middle of each cell
    for s in tiles:
        i, j, n = (round(v / 1.5) for v in (s.y - top, s.x - left, s.w - 0.2))
        seen[i, j : j + n] = luminance(s.fill)
    assert not np.isnan(seen).any()
    order = np.argsort(matrix, axis=None)
    assert np.all(np.diff(seen.reshape(-1)[order]) <= 1e-9)
    assert len(tiles) < matrix.size / 2  # equal neighbours are one


def test_a_larger_matrix_is_drawn_by_its_largest_weights() -> None:
    matrix = np.zeros((401, 30))
    matrix[400, 29], matrix[2, 0] = 1.0, 0.5
    found, by = binned(matrix)
    assert by == 3 and found.shape == (134, 10)
    assert found[133, 9] == 1 and found[0, 0] == 0.5 and found.sum() == 1.5
    assert any("largest of 3 × 3" in string(n.label) for n in heat_map(weights_of(matrix)).notes)


def test_weights_that_are_not_finite_are_loud() -> None:
    model, run = ran("zoo self_attention")
    run["a"] = run["a"].copy()
    run["a"][0, 1, 0] = np.nan
    drawing = attention_scene(roles(model.system), Values(model.system, run), focus=2)
    assert cells(drawing)[2, 1].fill == "#FF5A4D"
    assert all(math.isfinite(w.width or 0) for w in drawing.wires)
