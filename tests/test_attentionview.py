"""The attention view: lines as wide as a run's weights, its geometry on many kinds of model, and what goes wrong."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
import zoo

import tinygrad_rnn as tr
from tinygrad_rnn.errors import BadName, BadType, BadValue
from tinygrad_rnn.node import Node, rebuild, ref
from tinygrad_rnn.viz import write_mpl, write_svg
from tinygrad_rnn.viz.attentionview import attention_scene, blended
from tinygrad_rnn.viz.attentionview_graph import attentions, decoder, encoder
from tinygrad_rnn.viz.attentionview_heat import FRAME, Weights, binned, heat_map
from tinygrad_rnn.viz.attentionview_parts import drawn
from tinygrad_rnn.viz.colouring import colour_of
from tinygrad_rnn.viz.roles import roles
from tinygrad_rnn.viz.scene import Mark, Note, Scene, Shape, Wire
from tinygrad_rnn.viz.style import FILLS, LINES, RAMPS
from tinygrad_rnn.viz.text import plain, string, width
from tinygrad_rnn.viz.values import Values

SEQ2SEQ = """
    i[s] = sigmoid(W_xi @ x[s] + W_hi @ h[s-1] + b_i)
    f[s] = sigmoid(W_xf @ x[s] + W_hf @ h[s-1] + b_f)
    o[s] = sigmoid(W_xo @ x[s] + W_ho @ h[s-1] + b_o)
    g[s] = tanh(W_xg @ x[s] + W_hg @ h[s-1] + b_g)
    m[s] = f[s] * m[s-1] + i[s] * g[s]
    h[s] = o[s] * tanh(m[s])
    q[0] = tanh(W_0 @ h[S])
    e[t,s] = dot(u, tanh(W_q @ q[t-1] + W_k @ h[s]))
    alpha[t,s] = softmax(e[t,s], over=s)
    c[t] = sum(alpha[t,s] * h[s], over=s)
    z[t] = sigmoid(W_cz @ c[t] + W_qz @ q[t-1])
    r[t] = sigmoid(W_cr @ c[t] + W_qr @ q[t-1])
    p[t] = tanh(W_cp @ c[t] + W_qp @ (r[t] * q[t-1]))
    q[t] = z[t] * q[t-1] + (1 - z[t]) * p[t]
    y[t] = softmax(V @ q[t])
    loss = mean(cross_entropy(y[t], target[t]))
"""
HEAD = "y[t] = softmax(V @ {h}[t])\n        loss = mean(cross_entropy(y[t], target[t]))\n"
TEXTS: dict[str, tuple[str, dict[str, Any]]] = {
    "seq2seq": (SEQ2SEQ, {"x": 6, "h": 5, "m": 5, "q": 5, "y": 4, "u": 6, "W_q": (6, 5), "W_k": (6, 5)}),
    "self": ("""
        q[t] = Q @ x[t]
        k[t] = K @ x[t]
        v[t] = R @ x[t]
        a[t,s] = softmax(where(s <= t, dot(q[t], k[s]), -inf), over=s)
        c[t] = sum(a[t,s] * v[s], over=s)
        """ + HEAD.format(h="c"), {"x": 5, "y": 3, "q": 4, "k": 4, "v": 4}),
    "luong, both ways": ("""
        f[s] = tanh(W_f @ x[s] + U_f @ f[s-1])
        b[s] = tanh(W_b @ x[s] + U_b @ b[s+1])
        q[t] = tanh(W_q @ w[t] + U_q @ q[t-1])
        a[t,s] = softmax(dot(q[t], M @ concat(f[s], b[s])), over=s)
        c[t] = sum(a[t,s] * concat(f[s], b[s]), over=s)
        o[t] = tanh(W_o @ concat(q[t], c[t]))
        """ + HEAD.format(h="o"), {"x": 3, "f": 4, "b": 4, "q": 4, "w": 3, "o": 4, "y": 3}),
    "a state before and after": ("""
        h[s] = tanh(W_f @ x[s] + U_f @ h[s-1])
        u[t] = tanh(W_u @ w[t] + U_u @ q[t-1])
        e[t,s] = dot(u[t], h[s])
        a[t,s] = softmax(e[t,s], over=s)
        c[t] = sum(a[t,s] * h[s], over=s)
        q[t] = tanh(W_q @ c[t] + U_q @ u[t])
        """ + HEAD.format(h="q"), {"x": 3, "h": 4, "u": 4, "q": 4, "w": 3, "y": 3}),
    "inside a cell": ("""
        h[s] = tanh(W_f @ x[s] + U_f @ h[s-1])
        a[t,s] = softmax(dot(q[t-1], h[s]), over=s)
        q[t] = tanh(W_q @ sum(a[t,s] * h[s], over=s) + U_q @ q[t-1] + E @ w[t])
        """ + HEAD.format(h="q"), {"x": 3, "h": 4, "q": 4, "y": 3, "w": 3}),
    "heads": ("""
        q[j,t] = Q[j] @ x[t]
        k[j,t] = K[j] @ x[t]
        v[j,t] = U[j] @ x[t]
        a[j,t,s] = softmax(where(s <= t, dot(q[j,t], k[j,s]), -inf), over=s)
        c[j,t] = sum(a[j,t,s] * v[j,s], over=s)
        z[t] = relu(W @ (x[t] + c[1,t] + c[2,t]))
        b[t,s] = softmax(dot(A @ z[t], z[s]), over=s)
        o[t] = sum(b[t,s] * z[s], over=s)
        """ + HEAD.format(h="o"), {"j": 2, "x": 4, "q": 4, "k": 4, "v": 4, "z": 4, "y": 3}),
    "pointer": ("""
        h[s] = tanh(W_f @ x[s] + U_f @ h[s-1])
        d[t] = tanh(W_d @ w[t] + U_d @ d[t-1])
        p[t,s] = softmax(dot(v, tanh(W_1 @ h[s] + W_2 @ d[t])), over=s)
        """, {"x": 3, "h": 4, "d": 4, "w": 3, "v": 4, "W_1": (4, 4), "W_2": (4, 4)}),
    "layers, two cells": ("""
        i[t] = sigmoid(A_i @ e[t] + A_c @ c[t-1] + B_i @ h[t-1])
        g[t] = tanh(A_g @ e[t] + A_d @ c[t-1] + B_g @ h[t-1])
        m[t] = (1 - i[t]) * m[t-1] + i[t] * g[t]
        h[t] = i[t] * tanh(m[t])
        k[t] = tanh(C @ h[t] + D @ k[t-1])
        e[t] = E @ w[t]
        r[l,s] = tanh(W[l] @ r[l-1,s] + U[l] @ r[l,s-1])
        r[0,s] = F @ x[s]
        z[t,s] = exp(dot(k[t], r[2,s]))
        a[t,s] = z[t,s] / sum(z[t,s], over=s)
        c[t] = sum(a[t,s] * r[2,s], over=s)
        y[t] = softmax(V @ concat(k[t], c[t]))
        """, {"l": 2, "x": 3, "r": 4, "w": 4, "e": 3, "i": 4, "g": 4, "m": 4, "h": 4, "k": 4, "y": 3}),
    "not normalised": ("""
        q[t] = Q @ x[t]
        k[t] = K @ x[t]
        v[t] = U @ x[t]
        a[t,s] = dot(q[t], k[s])
        o[t] = sum(a[t,s] * v[s], over=s)
        """, {"x": 4, "q": 4, "k": 4, "v": 4}),
    "learnt memory": ("""
        h[t] = tanh(W @ x[t] + U @ h[t-1] + R @ r[t-1])
        w[t,m] = softmax(dot(K @ h[t], M[m]), over=m)
        r[t] = sum(w[t,m] * M[m], over=m)
        y[t] = softmax(V @ concat(h[t], r[t]))
        """, {"m": 5, "x": 3, "h": 4, "y": 3, "M": (4,)}),
    "coverage": ("""
        h[s] = tanh(W @ x[s] + U @ h[s-1])
        v[t,s] = v[t-1,s] + a[t-1,s]
        a[t,s] = softmax(dot(p, tanh(A @ h[s] + B @ q[t-1] + g * v[t,s])), over=s)
        c[t] = sum(a[t,s] * h[s], over=s)
        q[t] = tanh(C @ c[t] + D @ q[t-1] + E @ w[t])
        """, {"x": 3, "h": 4, "q": 4, "w": 3, "p": 4, "g": (4,), "A": (4, 4)}),
}
ZOO = ("attention", "self_attention")
MODELS = {name: tr.equations(text, name=name, dtype="float64", **sizes) for name, (text, sizes) in TEXTS.items()}
MODELS |= {f"zoo {name}": zoo.build(name) for name in ZOO}
MODELS["gradient"] = zoo.build("attention").grad("loss")
for number, one in enumerate(MODELS.values()):
    draws = np.random.default_rng(number)
    for weight in one.weights:
        one.weights[weight] = draws.standard_normal(one.weights[weight].shape)


def ran(name: str, batch: int = 2, lengths: Any = None, **steps: int) -> tuple[tr.Model, Any]:
    """A run of the model of that name, everything in it."""
    model = MODELS[name]
    found = {i: steps.get(i, 4) for i in zoo.dynamic(model)}
    return model, model.run(zoo.data(model, batch, found), steps=found, lengths=lengths)


def scene(name: str, batch: int = 2, example: int = 0, lengths: Any = None, steps: Any = None, **options: Any) -> Scene:
    model, run = ran(name, batch, lengths, **(steps or {}))
    return attention_scene(roles(model.system), Values(model.system, run, example=example), **options)


def structure(name: str, **options: Any) -> Scene:
    return attention_scene(roles(MODELS[name].system), None, **options)


def fan(drawing: Scene, name: str) -> list[Wire]:
    """The lines from positions to contexts."""
    return [w for w in drawing.wires if w.mark is not None and w.mark.name == name and w.style == "attention"]


def place(wire: Wire, *indices: str) -> tuple[int | str, ...]:
    assert wire.mark is not None
    at = dict(wire.mark.at)
    return tuple(at[i] for i in indices)


def cells(drawing: Scene) -> dict[tuple[int | str, ...], Shape]:
    return {tuple(p for _, p in s.mark.at): s for s in drawing.panels if s.mark is not None}


# -- widths and colours ----------------------------------------------------------------------------


def test_lines_are_as_wide_as_the_weights_of_the_run() -> None:
    model, run = ran("seq2seq", s=5, t=3)
    scores = run["e"][1]
    weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    drawing = attention_scene(roles(model.system), Values(model.system, run, example=1), focus=2)
    lines = fan(drawing, "alpha")
    assert len(lines) == 15
    strong = {place(w, "t", "s"): w for w in lines if w.colour == LINES["attention"].colour}
    assert sorted(strong) == [(2, s) for s in range(1, 6)]
    for (_, s), wire in strong.items():
        assert wire.width == pytest.approx(0.6 + 4 * weights[1, s - 1], abs=1e-12)
    assert all(w.head == (weights[1, int(s) - 1] >= 0.005) for (_, s), w in strong.items())
    pale = [w for w in lines if w not in strong.values()]
    assert {w.width for w in pale} == {0.9} and {w.colour for w in pale} == {blended(LINES["attention"].colour, 0.22)}
    assert max(drawing.wires.index(w) for w in pale) < min(drawing.wires.index(w) for w in strong.values())


def test_pale_is_twenty_two_percent_of_the_colour() -> None:
    assert blended("#000000", 0.22) == "#C7C7C7" and blended("#12706B", 1.0) == "#12706B"


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


def tiles_of(drawing: Scene) -> list[Shape]:
    """The cells of the heat map, without its frame and the bar."""
    frames = [k for k, s in enumerate(drawing.panels) if s.fill == FRAME]
    return drawing.panels[frames[0] + 1 : frames[1]] if frames else []


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


def test_weights_beyond_one_say_what_the_widest_line_stands_for() -> None:
    model, run = ran("not normalised")
    drawing = attention_scene(roles(model.system), Values(model.system, run), focus=1)
    largest = np.abs(run["a"][0]).max()
    assert largest > 1
    for wire in fan(drawing, "a"):
        if place(wire, "t") == (1,):
            value = run["a"][0, 0, int(place(wire, "s")[0]) - 1]
            assert wire.width == pytest.approx(0.6 + 4 * abs(value) / largest)
    assert any(f"a weight of {largest:.3g}" in string(n.label) for n in drawing.notes)


# -- positions -------------------------------------------------------------------------------------


def test_padding_is_not_drawn() -> None:
    lengths = {"s": np.array([5, 3]), "t": np.array([4, 2])}
    drawing = scene("zoo attention", example=1, lengths=lengths, steps={"s": 5, "t": 4})
    assert sorted({place(w, "t", "s") for w in fan(drawing, "a")}) == [(t, s) for t in (1, 2) for s in (1, 2, 3)]
    assert sorted(cells(drawing)) == [(t, s) for t in (1, 2) for s in (1, 2, 3)]
    names = {s.name for s in drawing.shapes}
    assert {"k⟨3⟩", "z⟨3⟩", "q⟨2⟩", "c⟨2⟩"} <= names and not names & {"k⟨4⟩", "q⟨3⟩", "c⟨3⟩"}
    first = scene("zoo attention", lengths=lengths, steps={"s": 5, "t": 4})
    assert len(cells(first)) == 20


def test_of_self_attention_both_ranges_end_at_the_length() -> None:
    drawing = scene("self", example=1, lengths=np.array([4, 3]))
    assert sorted(cells(drawing)) == [(t, s) for t in (1, 2, 3) for s in (1, 2, 3)]
    lower = {s.name[2:-1]: s.centre[0] for s in drawing.shapes if s.name.startswith("v⟨")}
    upper = {s.name[2:-1]: s.centre[0] for s in drawing.shapes if s.name.startswith("c⟨")}
    assert lower == pytest.approx(upper)  # one above the other
    masked = next(w for w in fan(drawing, "a") if place(w, "t", "s") == (2, 3))
    assert masked.width == 0.6


def test_without_values_the_structure() -> None:
    drawing = structure("seq2seq", steps={"s": 4, "t": 3}, focus=2)
    lines = fan(drawing, "alpha")
    assert len(lines) == 12 and len({w.width for w in lines if w.head}) == 1
    assert not drawing.panels and not cells(drawing)
    assert [s.name for s in drawing.shapes if s.name.startswith("y")] == ["y⟨1⟩", "y⟨2⟩", "y⟨3⟩"]
    assert len(fan(structure("seq2seq"), "alpha")) == 16
    shared = structure("self", steps={"s": 3})  # s and t have one range
    assert len(fan(shared, "a")) == 9


def test_many_positions_are_elided_and_it_is_said() -> None:
    model, run = ran("seq2seq", s=40, t=30)
    drawing = attention_scene(roles(model.system), Values(model.system, run), focus=17)
    row = run["alpha"][0, 16]
    kept = {int(place(w, "s")[0]) for w in fan(drawing, "alpha")}
    assert {1, 40} | {int(k) + 1 for k in np.argsort(-row)[:6]} <= kept and len(kept) <= 14
    assert {place(w, "t")[0] for w in fan(drawing, "alpha")} == {1, 16, 17, 18, 30}
    said = " ".join(string(n.label) for n in drawing.notes)
    rest = 1 - row[[k - 1 for k in kept]].sum()
    assert f"{len(kept)} of 40 positions s are drawn" in said and f"{rest:.2f} together" in said
    assert "5 of 30 positions t" in said
    free = structure("seq2seq", steps=20)
    assert {"h⟨S⟩", "y⟨T⟩"} <= {s.name.split(", ")[-1] for s in free.shapes}


@pytest.mark.parametrize("total,weights,focus,shown", [
    (3, None, None, (1, 2, 3)), (12, None, 5, tuple(range(1, 13))), (13, None, None, (1, 2, None, 13)),
    (20, None, 10, (1, None, 9, 10, 11, None, 20)), (20, None, 3, (1, 2, 3, 4, None, 20)),
    (20, None, 20, (1, None, 19, 20)),
    (30, [0.0] * 14 + [1.0] + [0.0] * 15, None, (1, 2, 3, 4, 5, None, 15, None, 30)),
])
def test_which_positions_are_drawn(total: int, weights: Any, focus: int | None, shown: tuple[int | None, ...]) -> None:
    assert drawn(total, weights, focus, "T").shown == shown


def test_classes_stand_under_their_inputs() -> None:
    model = MODELS["seq2seq"]
    x, y = np.array([[3, 0, 5, 1]]), np.array([[2, 1, 0]])
    drawing = attention_scene(roles(model.system), Values(model.system, model.trace(x=x, target=y)))
    under = {s.name: [string(n.label) for n in drawing.notes if abs(n.x - s.centre[0]) < 1 and 0 < n.y - s.y - s.h < 16]
             for s in drawing.shapes if s.name.startswith("x")}
    assert under == {"x⟨1⟩": ["3"], "x⟨2⟩": ["0"], "x⟨3⟩": ["5"], "x⟨4⟩": ["1"]}


# -- the graph -------------------------------------------------------------------------------------


def test_attention_is_found_in_the_graph() -> None:
    def found(name: str) -> list[tuple[str, str, str, tuple[str, ...], tuple[str, ...]]]:
        return [(a.weights, a.target, a.source, a.contexts, a.read) for a in attentions(roles(MODELS[name].system))]

    assert found("seq2seq") == [("alpha", "t", "s", ("c",), ("h",))]
    assert found("self") == [("a", "t", "s", ("c",), ("v",))]
    assert found("luong, both ways") == [("a", "t", "s", ("c",), ("f", "b"))]
    assert found("inside a cell") == [("a", "t", "s", ("q",), ("h",))]
    assert found("pointer") == [("p", "t", "s", (), ("h",))]
    assert found("layers, two cells") == [("a", "t", "s", ("c",), ("r",))]
    assert found("not normalised") == [("a", "t", "s", ("o",), ("v",))]
    assert found("learnt memory") == [("w", "t", "m", ("r",), ("M",))]
    assert found("coverage") == [("a", "t", "s", ("c",), ("h",))]
    assert [a.weights for a in attentions(roles(MODELS["heads"].system))] == ["a", "b"]


def test_the_order_of_the_indices_does_not_matter() -> None:
    text, sizes = TEXTS["self"]
    turned = tr.equations(text.replace("a[t,s]", "a[s,t]"), dtype="float64", **sizes)
    for weight, value in MODELS["self"].weights.items():
        turned.weights[weight] = value
    run = turned.run(zoo.data(turned, 1, {i: 4 for i in zoo.dynamic(turned)}))
    drawing = attention_scene(roles(turned.system), Values(turned.system, run), focus=3)
    for wire in fan(drawing, "a"):
        t, s = (int(p) for p in place(wire, "t", "s"))
        if t == 3:
            assert wire.width == pytest.approx(0.6 + 4 * run["a"][0, s - 1, t - 1])


def test_the_halves() -> None:
    found = roles(MODELS["layers, two cells"].system)
    (one,) = attentions(found)
    assert encoder(one, found) == {"r", "x"}
    assert decoder(one, found) == {"c", "i", "g", "m", "h", "k", "e", "w", "y"}
    found = roles(MODELS["heads"].system)
    first, second = attentions(found)
    assert encoder(first, found) == {"v", "x"} and decoder(first, found) == {"c", "z"}
    assert encoder(second, found) >= {"z", "c", "x"} and decoder(second, found) == {"o", "y"}


def test_what_passes_the_attention_by_is_named() -> None:
    def said(drawing: Scene) -> list[str]:
        return [t for t in ("".join(s.text for s in n.label) for n in drawing.notes) if t.startswith("not drawn")]

    assert said(structure("seq2seq")) == ["not drawn: h⟨S⟩ → q⟨0⟩"]
    assert said(structure("luong, both ways")) == []
    residual = tr.equations("a[t,s] = softmax(dot(x[t], x[s]), over=s)\nc[t] = x[t] + sum(a[t,s] * x[s], over=s)", x=3)
    drawing = attention_scene(roles(residual.system), None)
    assert said(drawing) == ["not drawn: x⟨t⟩ → c⟨t⟩"]
    assert [s.name for s in drawing.shapes].count("Σ") == 4  # a sum in a larger term has a box of its own


def test_other_weights_are_left_out() -> None:
    model = tr.equations("""
        h[s] = tanh(W @ x[s] + U @ h[s-1])
        g[r] = tanh(P @ z[r] + Q @ g[r-1])
        a[t,s] = softmax(dot(q[t-1], h[s]), over=s)
        b[t,r] = softmax(dot(q[t-1], g[r]), over=r)
        c[t] = sum(a[t,s] * h[s], over=s)
        d[t] = sum(b[t,r] * g[r], over=r)
        q[t] = tanh(C @ concat(c[t], d[t]) + D @ q[t-1])""", x=3, z=3, h=4, g=4, q=4)
    found = roles(model.system)
    for weights, below, other in (("a", {"h", "x"}, "g"), ("b", {"g", "z"}, "h")):
        one = next(a for a in attentions(found) if a.weights == weights)
        assert encoder(one, found) == below and decoder(one, found) == {"c", "d", "q"}
        names = {s.name.split("⟨")[0] for s in attention_scene(found, None, quantity=weights).shapes}
        assert names == below | {"c", "d", "q"} and other not in names


def test_what_the_weights_are_computed_from_is_dashed() -> None:
    asks = {w.name: w for w in structure("seq2seq").wires if w.dashed}
    assert sorted(asks) == [f"q⟨{t - 1}⟩ -> c⟨{t}⟩" for t in (1, 2, 3, 4)]
    assert sorted(w.name for w in structure("luong, both ways").wires if w.dashed) == [
        f"q⟨{t}⟩ -> c⟨{t}⟩" for t in (1, 2, 3, 4)]


def test_one_head_of_several() -> None:
    model, run = ran("heads")
    for chosen, head in ((None, 1), ("a", 1), ("a[2]", 2)):
        drawing = attention_scene(roles(model.system), Values(model.system, run), focus=4, quantity=chosen)
        for wire in fan(drawing, "a"):
            j, t, s = (int(p) for p in place(wire, "j", "t", "s"))
            assert j == head
            if t == 4:
                assert wire.width == pytest.approx(0.6 + 4 * run["a"][0, head - 1, t - 1, s - 1])
        assert {s.name for s in drawing.shapes} >= {f"v⟨{head},1⟩", f"c⟨{head},4⟩"}
        said = " ".join(string(n.label) for n in drawing.notes)
        assert f"j = {head} is drawn" in said and "further weights: b" in said
    assert fan(attention_scene(roles(model.system), Values(model.system, run), quantity="b"), "b")


# -- geometry --------------------------------------------------------------------------------------

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
    assert len(lines) == 25
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


# -- files -----------------------------------------------------------------------------------------


def test_every_file(tmp_path) -> None:
    drawing = scene("seq2seq", steps={"s": 4, "t": 3})
    text = write_svg.svg(drawing)
    root = ET.fromstring(text.encode())
    widths = {float(e.get("stroke-width", 0)) for e in root.iter() if e.tag.endswith("path")}
    assert {round(w.width or 0, 2) for w in fan(drawing, "alpha")} <= widths
    for kind, magic in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        write_mpl.write(drawing, tmp_path / f"a.{kind}", kind)
        assert (tmp_path / f"a.{kind}").read_bytes().startswith(magic)
    assert text == write_svg.svg(scene("seq2seq", steps={"s": 4, "t": 3}))


HOSTILE = ['<b title="x">&amp;', "a$x^2$\\n'", "é漢字🙂]]>"]


def test_names_are_escaped(tmp_path) -> None:
    system = MODELS["self"].system
    names = dict(zip(("a", "v", "c"), HOSTILE, strict=True))

    def change(node: Any, args: Any) -> Any:
        if node.op == "ref" and node.attr("name") in names:
            return ref(names[node.attr("name")], node.attr("slots"), node.type, node.attr("batch"))
        return node if args == node.args else Node(node.op, args, node.attrs, node.type)

    equations = [replace(eq, name=names.get(eq.name, eq.name), rhs=rebuild([eq.rhs], change)[eq.rhs])
                 for eq in system.equations]
    quantities = {names.get(n, n): replace(q, name=names.get(n, n)) for n, q in system.quantities.items()}
    other = system.with_equations(equations, quantities)
    drawing = attention_scene(roles(other), None)
    text = write_svg.svg(drawing)
    root = ET.fromstring(text.encode())
    tags = {e.tag.rsplit("}", 1)[-1] for e in root.iter()}
    assert tags <= {"svg", "title", "rect", "circle", "path", "g", "text", "tspan"}
    assert HOSTILE[0] in "".join(root.itertext()) and "<b" not in text
    write_mpl.write(drawing, tmp_path / "a.png", "png")
    assert attention_scene(roles(other), None, quantity=HOSTILE[0]).width == drawing.width


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in zoo.MODELS if n not in ZOO])
def test_models_without_attention(name: str) -> None:
    with pytest.raises(BadValue, match=r"view='attention' needs weights over two ranges"):
        attention_scene(roles(zoo.build(name).system), None)


def test_mistakes() -> None:
    model, run = ran("seq2seq", s=4, t=3)
    found, values = roles(model.system), Values(model.system, run)
    for focus in (0, 4, -1):
        with pytest.raises(BadValue, match=f"focus is a position of t, 1 to 3, not {focus}"):
            attention_scene(found, values, focus=focus)
    for wrong in (1.5, "2", True):
        with pytest.raises(BadType, match="focus is a whole number"):
            attention_scene(found, values, focus=wrong)  # type: ignore[arg-type]
    with pytest.raises(BadValue, match="1 to 5, not 6"):
        attention_scene(found, None, focus=6, steps=5)
    with pytest.raises(BadName, match="'e' is no attention; the model's weights are alpha"):
        attention_scene(found, values, quantity="e")
    with pytest.raises(BadValue, match=r"'alpha\[1\]' chooses among no further index"):
        attention_scene(found, values, quantity="alpha[1]")
    with pytest.raises(BadType, match="quantity is the name"):
        attention_scene(found, values, quantity=3)  # type: ignore[arg-type]
    with pytest.raises(BadValue, match="j from 1 to 2"):
        attention_scene(roles(MODELS["heads"].system), None, quantity="a[3]")
    with pytest.raises(BadValue, match="steps is at least 1, not 0"):
        attention_scene(found, None, steps=0)
    with pytest.raises(BadType, match="steps is a whole number"):
        attention_scene(found, None, steps=2.5)  # type: ignore[arg-type]
    with pytest.raises(BadName, match="steps names 'r'; the model's indices are"):
        attention_scene(found, None, steps={"r": 3})
    with pytest.raises(BadValue, match="the values have no alpha; run with want="):
        attention_scene(found, Values(model.system, {"h": run["h"]}))
