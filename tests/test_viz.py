"""Pictures: their geometry on many kinds of model, their files, and what goes wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import viz
from tinygrad_rnn.errors import BadFile, BadName, BadType, BadValue
from tinygrad_rnn.node import rebuild, ref
from tinygrad_rnn.system import System
from tinygrad_rnn.viz.api import make_scene, make_view
from tinygrad_rnn.viz.roles import roles
from tinygrad_rnn.viz.scene import Scene, Shape, Wire
from tinygrad_rnn.viz.style import FILLS
from tinygrad_rnn.viz.text import string, width
from tinygrad_rnn.viz.values import Values

LSTM = """
    i{k}[t] = sigmoid(W_xi{k} @ {x}[t] + W_hi{k} @ h{k}[t-1] + b_i{k})
    f{k}[t] = sigmoid(W_xf{k} @ {x}[t] + W_hf{k} @ h{k}[t-1] + b_f{k})
    o{k}[t] = sigmoid(W_xo{k} @ {x}[t] + W_ho{k} @ h{k}[t-1] + b_o{k})
    g{k}[t] = tanh(W_xg{k} @ {x}[t] + W_hg{k} @ h{k}[t-1] + b_g{k})
    c{k}[t] = f{k}[t] * c{k}[t-1] + i{k}[t] * g{k}[t]
    h{k}[t] = o{k}[t] * tanh(c{k}[t])
"""
HEAD = """
    y[t] = softmax(V @ {h}[t] + d)
    loss = mean(cross_entropy(y[t], target[t]))
"""
SIZES = {"x": 5, "y": 3}

TEXTS: dict[str, tuple[str, dict[str, int]]] = {
    "rnn": ("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)" + HEAD.format(h="h"), {**SIZES, "h": 4}),
    "lstm": (LSTM.format(k="", x="x") + HEAD.format(h="h"), {**SIZES, "h": 4}),
    "lstm2": (LSTM.format(k="1", x="x") + LSTM.format(k="2", x="h1") + HEAD.format(h="h2"),
              {**SIZES, "h1": 4, "h2": 4}),
    "gru": ("""
    z[t] = sigmoid(W_z @ x[t] + U_z @ h[t-1] + b_z)
    r[t] = sigmoid(W_r @ x[t] + U_r @ h[t-1] + b_r)
    m[t] = tanh(W_m @ x[t] + U_m @ (r[t] * h[t-1]) + b_m)
    h[t] = (1 - z[t]) * m[t] + z[t] * h[t-1]
    """ + HEAD.format(h="h"), {**SIZES, "h": 4}),
    "bidirectional": ("""
    h1[t] = tanh(W_1 @ x[t] + U_1 @ h1[t-1])
    r1[t] = tanh(V_1 @ x[t] + R_1 @ r1[t+1])
    z1[t] = concat(h1[t], r1[t])
    h2[t] = tanh(W_2 @ z1[t] + U_2 @ h2[t-1])
    r2[t] = tanh(V_2 @ z1[t] + R_2 @ r2[t+1])
    z2[t] = concat(h2[t], r2[t])
    """ + HEAD.format(h="z2"), {**SIZES, "h1": 4, "r1": 4, "h2": 4, "r2": 4}),
    "bilstm": (LSTM.format(k="1", x="x") + LSTM.format(k="2", x="x").replace("t-1", "t+1") + """
    z[t] = concat(h1[t], h2[t])
    """ + HEAD.format(h="z"), {**SIZES, "h1": 4, "h2": 4}),
    "attention": ("""
    k[s] = tanh(A @ x[s] + B @ k[s-1])
    e[t,s] = dot(W_e @ q[t-1], k[s])
    a[t,s] = softmax(e[t,s], over=s)
    c[t] = sum(a[t,s] * k[s], over=s)
    q[t] = tanh(U @ q[t-1] + C @ c[t] + P @ w[t])
    q[0] = tanh(M @ k[S])
    """ + HEAD.format(h="q"), {**SIZES, "w": 5, "k": 4, "q": 4}),
    "self_attention": ("""
    q[t] = Q @ x[t]
    k[t] = K @ x[t]
    v[t] = R @ x[t]
    a[t,s] = softmax(where(s <= t, dot(q[t], k[s]), -inf), over=s)
    c[t] = sum(a[t,s] * v[s], over=s)
    """ + HEAD.format(h="c"), {**SIZES, "q": 4, "k": 4, "v": 4}),
    "shift2": ("h[t] = tanh(W @ x[t] + U @ h[t-1] + R @ h[t-2] + b)" + HEAD.format(h="h"), {**SIZES, "h": 4}),
    "only_shift2": ("h[t] = tanh(W @ x[t] + R @ h[t-2])\ny = V @ h[T]", {**SIZES, "h": 4}),
    "many_to_one": ("""
    h[t] = tanh(W @ x[t] + U @ h[t-1])
    h[0] = tanh(I @ img[n])
    y = softmax(V @ h[T])
    loss = mean(cross_entropy(y, target[n]))
    """, {**SIZES, "h": 4, "img": 6}),
    "made_up": ("""
    u[t] = sigmoid(W_u @ x[t] + R_u @ p[t-1] + b_u)
    v[t] = relu(W_v @ x[t] + R_v @ (u[t] * q[t-1]) + b_v)
    w[t] = layer_norm(W_w @ v[t] + R_w @ p[t-2])
    q[t] = u[t] * q[t-1] + (1 - u[t]) * v[t]
    p[t] = p[t-1] + sin(q[t]) * w[t] - 0.5 * x[t]
    z[t] = C @ p[t] + G @ u[t]
    """ + HEAD.format(h="z"), {"x": 5, "y": 3, "p": 5, "q": 5, "z": 3}),
    "no_recurrence": ("a[t] = relu(W @ x[t] + R @ x[t-1] + b)" + HEAD.format(h="a"), {**SIZES, "a": 4}),
    "no_steps": ("a = relu(W @ x[n] + b)\ny = softmax(V @ a)\nloss = mean(cross_entropy(y, target[n]))",
                 {**SIZES, "a": 4}),
    "layers": ("h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1] + b[l])\nh[0,t] = E @ x[t]\n"
               "y[t] = softmax(V @ h[3,t])\nloss = mean(cross_entropy(y[t], target[t]))", {**SIZES, "l": 3, "h": 4}),
    "many_layers": ("h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1] + b[l])\nh[0,t] = E @ x[t]\n"
                    "y[t] = softmax(V @ h[L,t])", {**SIZES, "l": 12, "h": 4}),
    "two_ways": ("h[i,j] = tanh(W @ x[i,j] + U @ h[i-1,j] + R @ h[i,j-1])\ny = V @ h[I,J]", {**SIZES, "h": 4}),
}
MODELS = {name: tr.equations(text, **sizes) for name, (text, sizes) in TEXTS.items()}
DERIVED = {f"gradient of {name}": MODELS[name].grad("loss") for name in ("rnn", "gru", "attention", "many_to_one")}
CASES = [(name, view, steps) for name in MODELS for view, steps in
         (("folded", 3), ("unrolled", 1), ("unrolled", 3), ("unrolled", 20), ("backward", 4), ("backward", 12))]
CASES += [(name, view, 3) for name in DERIVED for view in ("folded", "unrolled")]
ALL = MODELS | DERIVED


# -- geometry --------------------------------------------------------------------------------------


def overlap(a: Shape, b: Shape) -> bool:
    near = 0.01
    across = a.x < b.x + b.w - near and b.x < a.x + a.w - near
    return across and a.y < b.y + b.h - near and b.y < a.y + a.h - near


def contains(outer: Shape, inner: Shape) -> bool:
    return (outer.x <= inner.x and inner.x + inner.w <= outer.x + outer.w and outer.y <= inner.y
            and inner.y + inner.h <= outer.y + outer.h)


def parts(scene: Scene):
    """Straight parts of all wires but the legend's: (wire, a, b)."""
    return [(w, a, b) for w in scene.wires if w.name != "legend" for a, b in pairwise(w.points)]


@pytest.mark.parametrize("name,view,steps", CASES)
def test_geometry(name: str, view: str, steps: int) -> None:
    """No box on another, every wire from border to border, none through a box, no text out of its box or the page."""
    scene = make_scene(ALL[name], view, steps)
    shapes, panels = scene.shapes, scene.panels
    for k, a in enumerate(shapes):
        for b in shapes[k + 1 :]:
            assert not overlap(a, b), f"{a.name} and {b.name}"
        for panel in panels:
            assert contains(panel, a) or not overlap(panel, a), f"{a.name} across the border of {panel.label}"
    for k, a in enumerate(panels):
        assert not any(overlap(a, b) for b in panels[k + 1 :])
    borders = [*shapes, *panels]
    for wire in scene.wires:
        if wire.name != "legend":
            for end in (wire.points[0], wire.points[-1]):
                assert any(s.on_border(end, 1.0) for s in borders), f"{wire.name} ends in the air at {end}"
    for wire, a, b in parts(scene):
        assert abs(a[0] - b[0]) < 0.01 or abs(a[1] - b[1]) < 0.01, f"{wire.name} is not straight"
        line = Shape("box", min(a[0], b[0]), min(a[1], b[1]), abs(a[0] - b[0]), abs(a[1] - b[1]), "plain")
        for s in shapes:
            inner = Shape("box", s.x + 1.5, s.y + 1.5, s.w - 3, s.h - 3, "plain")
            if s.kind == "circle":  # its box has empty corners
                inner = Shape("box", s.x + s.w * 0.2, s.y + s.h * 0.2, s.w * 0.6, s.h * 0.6, "plain")
            if FILLS[s.style].stroke != "none":
                assert not overlap(line, inner), f"{wire.name} runs through {s.name}"
    for s in shapes:
        for label, size in ((s.label, s.size), *((line, 11.0) for line in s.lines)):
            assert width(label, size) <= s.w + 0.5, f"text spills out of {s.name}"
        assert contains(Shape("box", 0, 0, scene.width, scene.height, "plain"), s), f"{s.name} is off the page"
    for wire in scene.wires:
        for x, y in wire.points:
            assert 0 <= x <= scene.width and 0 <= y <= scene.height, f"{wire.name} leaves the page"
    for note in scene.notes:
        w = width(note.label, note.size)
        left = note.x - {"start": 0.0, "middle": w / 2, "end": w}[note.anchor]
        assert left >= 0 and left + w <= scene.width
        box = Shape("box", left, note.y - 5, w, 10, "plain")
        assert not any(overlap(box, s) for s in shapes), "a label on a box"


@pytest.mark.parametrize("name,view,steps", [c for c in CASES if c[1] != "backward"])
def test_wires_do_not_run_on_each_other(name: str, view: str, steps: int) -> None:
    """Two wires share a stretch only where they carry the same value."""
    scene = make_scene(ALL[name], view, steps)
    found = [(w, a, b) if a <= b else (w, b, a) for w, a, b in parts(scene)]
    for k, (v, a, b) in enumerate(found):
        for w, c, d in found[k + 1 :]:
            if (v.style == w.style and v.points[0] == w.points[0]) or v.points[-1] == w.points[-1]:
                continue
            for i, j in ((0, 1), (1, 0)):
                if abs(a[j] - b[j]) < 0.01 and abs(c[j] - d[j]) < 0.01 and abs(a[j] - c[j]) < 1.0:
                    shared = min(b[i], d[i]) - max(a[i], c[i])
                    same = {v.name.split(" -> ")[0].split(".")[0], w.name.split(" -> ")[0].split(".")[0]}
                    assert shared < 1.0 or len(same) == 1, f"{v.name} on {w.name}"


@pytest.mark.parametrize("name", [n for n in MODELS if n != "no_steps"])
@pytest.mark.parametrize("view", ["unrolled", "backward"])
def test_one_column_a_step(name: str, view: str) -> None:
    """What recurs stands at equal distances, at one height, with the same inside in every column."""
    scene = make_scene(MODELS[name], view, 5)
    system = MODELS[name].system
    ranges = {system.range_of(b.column) for b in roles(system).blocks if b.column}
    view_ = make_view(MODELS[name], view, 5)
    assert [label for label in view_.columns if label] == ["1", "2", "3", "4", "5"] * len(ranges)
    assert [b - a for a, b in view_.segments] == [4] * len(ranges)
    rows: dict[tuple[int, str], list[float]] = {}
    for box in view_.boxes.values():
        if box.column is not None and box.column >= 0 and box.position:
            rows.setdefault((box.row, box.key.rsplit(".", 1)[0]), []).append(box.column)
    segments = [list(range(a, b + 1)) for a, b in view_.segments]
    assert rows and all(cols in segments for cols in rows.values())
    by_label: dict[str, list[Shape]] = {}
    for s in scene.shapes:
        text = "".join(p.text for p in s.label)
        for k in range(1, 6):
            if text.endswith(f"⟨{k}⟩") and s.style != "initial":
                by_label.setdefault(text.split("⟨")[0], []).append(s)
    for found in by_label.values():
        found.sort(key=lambda s: s.x)
        assert len(found) == 5 and len({round(s.y, 3) for s in found}) == 1
        gaps = {round(b.centre[0] - a.centre[0], 3) for a, b in pairwise(found)}
        assert len(gaps) == 1


def test_elision() -> None:
    """Above 8 steps: 1, 2, … and T; and all of them where asked."""
    def steps(count: int, **more: bool) -> list[str]:
        return make_view(MODELS["lstm"], "unrolled", count, **more).columns

    assert steps(8) == [str(k) for k in range(1, 9)]
    assert steps(9) == ["1", "2", "…", "T"]
    assert steps(12, elide=False) == [str(k) for k in range(1, 13)]
    text = viz.svg(MODELS["attention"], "unrolled", 20)
    assert "⟨T⟩" in text and "⟨S⟩" in text and "· · ·" in text


SEQ2SEQ = tr.equations("""
    h[s] = tanh(U @ h[s-1] + W @ x[s] + b)
    g[0] = h[S]
    g[t] = tanh(A @ g[t-1] + P @ w[t-1] + c)
    y[t] = softmax(V @ g[t] + d)
    loss = mean(cross_entropy(y[t], w[t]))""", x=5, h=4, g=4, w=3, y=3)


def test_ranges_stand_side_by_side_each_as_long_as_it_is() -> None:
    """The encoder's columns, then the decoder's; what is handed over goes straight from one to the other."""
    view = make_view(SEQ2SEQ, "unrolled", {"s": 5, "t": 3})
    assert view.columns == ["1", "2", "3", "4", "5", "", "1", "2", "3"]
    assert view.segments == ((0, 4), (6, 8)) and view.ends == {5: 1}
    where = {key: box.column for key, box in view.boxes.items()}
    assert [where[f"h.{k}"] for k in range(5)] == [0, 1, 2, 3, 4] and [where[f"y.{k}"] for k in range(3)] == [6, 7, 8]
    assert where["g:g[0]"] == 5 and view.boxes["h.4"].row == view.boxes["g:g[0]"].row == view.boxes["g.0"].row
    assert view.boxes["loss"].spot == (6, 8) and "h.5" not in where and "y.3" not in where
    scene = make_scene(SEQ2SEQ, "unrolled", {"s": 5, "t": 3})
    (over,) = [w for w in scene.wires if w.name == "h.4 -> g:g[0]"]
    assert len(over.points) == 2 and over.points[0][1] == over.points[1][1]
    assert make_view(SEQ2SEQ, "unrolled", {"s": 20, "t": 3}).columns == ["1", "2", "…", "S", "", "1", "2", "3"]
    assert make_view(SEQ2SEQ, "backward", {"t": 2}).columns == ["1", "2", "3", "4", "", "1", "2"]


def test_a_run_is_as_long_as_each_of_its_ranges() -> None:
    rng = np.random.default_rng(0)
    inputs = {"x": rng.standard_normal((2, 5, 5)), "w": rng.integers(0, 3, (2, 4))}
    run = SEQ2SEQ.run(inputs, lengths={"s": [5, 2], "t": [4, 3]})
    for example, (s, t) in enumerate([(5, 4), (2, 3)]):
        view = make_view(SEQ2SEQ, "unrolled", values=Values(SEQ2SEQ.system, run, example=example))
        assert [b - a + 1 for a, b in view.segments] == [s, t]


def test_all_steps_of_one_range_are_read_by_all_of_the_other() -> None:
    view = make_view(MODELS["attention"], "unrolled", {"s": 5, "t": 3})
    links = {(li.source, li.target) for li in view.links if li.out == "k"}
    assert {(f"k.{s}", f"e.{t}") for s in range(5) for t in range(3)} <= links


def test_what_is_given_stands_beside_the_way_of_what_passes_it() -> None:
    """A target, a mask: to the right of the state's line, which goes straight up."""
    model = tr.equations("""
        h[t] = tanh(W @ x[t] + U @ h[t-1])
        y[t] = V @ dropout(h[t], 0.5)
        loss = mean(squared_error(h[t], target[t])) + mean(y[t])""", x=3, h=4, y=2)
    view = make_view(model, "unrolled", 3, detail="closed")
    scene = make_scene(model, "unrolled", 3, detail="closed")
    rows = {name: view.boxes[f"{name}.0"].row for name in ("h", "mask_y", "y")}
    assert rows["h"] < rows["mask_y"] < rows["y"]
    for name in ("h.0 -> y.0", "h.1 -> y.1"):
        (wire,) = [w for w in scene.wires if w.name == name]
        assert len(wire.points) == 2 and abs(wire.points[0][0] - wire.points[1][0]) < 0.01
    for k in (1, 2, 3):
        middle = next(s.centre[0] for s in scene.shapes if s.name == f"h⟨{k}⟩")
        assert all(s.x > middle for s in scene.shapes if s.name in (f"mask_y⟨{k}⟩", f"target⟨{k}⟩"))


@pytest.mark.parametrize("steps", [1, 2, 4, 20])
def test_labels_stand_at_their_own_wires(steps: int) -> None:
    """The label of a weight is nearer to a wire that the weight multiplies than to any other of the states'."""
    model = tr.equations("h[t] = tanh(U_1 @ h[t-1] + U_2 @ h[t-2] + W @ x[t] + b)", x=3, h=4)
    scene = make_scene(model, "unrolled", steps)
    wires = [w for w in scene.wires if w.style == "h"]

    def off(wire: Wire, x: float, y: float) -> float:
        return min(max(max(min(a[0], b[0]) - x, x - max(a[0], b[0]), 0.0), max(min(a[1], b[1]) - y, y - max(a[1], b[1]),
                                                                           0.0)) for a, b in pairwise(wire.points))

    assert sum(bool(n.label) for n in scene.notes) >= 2
    for note in scene.notes:
        own = min(off(w, note.x, note.y) for w in wires if w.label == note.label)
        others = [off(w, note.x, note.y) for w in wires if w.label != note.label]
        assert all(own + 3 < other for other in others), string(note.label)


@pytest.mark.parametrize("detail", ["closed", "gates", "ops"])
def test_every_loop_and_initial_value_of_a_folded_cell_is_named(detail: str) -> None:
    model = tr.equations("""
        a[0] = tanh(A @ img[n])
        p[0] = tanh(P @ img[n])
        q[0] = tanh(Q @ img[n])
        a[t] = tanh(U @ a[t-1] + W @ x[t])
        p[t] = a[t] * p[t-1] + q[t-1]
        q[t] = tanh(V @ p[t] + R @ q[t-1] + C @ a[t-1])""", img=4, a=4, p=4, q=4, x=3)
    scene = make_scene(model, "folded", detail=detail)
    labels = {part for n in scene.notes for part in string(n.label).split(", ")}
    assert {"p⟨0⟩", "q⟨0⟩"} <= labels and sum("t−1" in label for label in labels) == 3


def test_states_run_straight() -> None:
    """The wires of an LSTM's states between its steps are single horizontal lines, the strongest of the picture."""
    scene = make_scene(MODELS["lstm"], "unrolled", 4)
    between = [w for w in scene.wires if w.name.startswith("i.") and w.name.split(" -> ")[1].startswith("i.")]
    assert len(between) == 6 and all(len(w.points) == 2 for w in between)
    assert {w.style for w in between} == {"c", "h"}


def test_backward_recurrence_comes_from_the_right() -> None:
    scene = make_scene(MODELS["bidirectional"], "unrolled", 3)
    after = [s for s in scene.shapes if s.style == "initial"]
    assert sorted(s.name for s in after) == ["h1⟨0⟩", "h2⟨0⟩", "r1⟨4⟩", "r2⟨4⟩"]
    steps = [s.x for s in scene.shapes if s.style != "initial"]
    assert all((s.x > max(steps)) == s.name.startswith("r") for s in after)


def test_folded_loops_carry_their_shift() -> None:
    text = viz.svg(MODELS["shift2"])
    assert "t−1" in text and "t−2" in text and "t+1" not in text
    assert "t+1" in viz.svg(MODELS["bidirectional"])


def test_gradients_lie_beside_their_wires() -> None:
    """Every state's wire has a dashed twin of the other direction, 8 points away, named by its adjoint."""
    scene = make_scene(MODELS["rnn"], "backward", 4)
    ahead = [w for w in scene.wires if w.style == "h" and w.name.startswith("h.") and "h." in w.name.split(" -> ")[1]]
    twins = {w.name: w for w in scene.wires if w.style == "gradient"}
    assert len(ahead) == 3
    for wire in ahead:
        twin = twins[f"gradient of {wire.name}"]
        assert wire.points[0][0] == twin.points[-1][0] and abs(wire.points[0][1] - twin.points[-1][1]) == 8
    labels = ["".join(s.text for s in n.label) for n in scene.notes]
    assert [t for t in labels if t.startswith("∂")] == ["∂L/∂h⟨1⟩", "∂L/∂h⟨2⟩", "∂L/∂h⟨3⟩"]
    assert not any("x" in w.name.split(" -> ")[0] for w in scene.wires if w.style == "gradient")


# -- roles -----------------------------------------------------------------------------------------


def test_roles_come_from_the_graph() -> None:
    found = roles(MODELS["lstm"].system)
    assert found.role == {"i": "gate", "f": "gate", "o": "gate", "g": "squashed", "c": "state", "h": "state",
                          "y": "output", "loss": "loss", "x": "input", "target": "input"}
    assert found.additive == {"c"}
    assert [b.quantities for b in found.blocks if b.kind == "cell"] == [("i", "f", "o", "g", "c", "h")]
    found = roles(MODELS["attention"].system)
    assert [found.role[n] for n in "eacqk"] == ["attention"] * 3 + ["state"] * 2
    assert {b.name: b.direction for b in roles(MODELS["bidirectional"].system).blocks if b.kind == "cell"} == {
        "h1": 1, "r1": -1, "h2": 1, "r2": -1}
    block = roles(MODELS["layers"].system).blocks[0]
    assert (block.column, block.row) == ("t", "l")
    trellis = tr.equations("""
        h[t] = tanh(W @ x[t] + R @ h[t-1])
        a[t,u] = dot(h[t], k[u]) + a[t-1,u] + a[t-1,u-1]
        loss = mean(a[T,U])""", x=3, h=4, k=4, a=())
    blocks = {b.name: (b.column, b.row) for b in roles(trellis.system).blocks}
    assert blocks["h"] == blocks["x"] == ("t", "") and blocks["a"] == ("t", "u")  # the time of one is that of the other


def test_to_networkx() -> None:
    graph = viz.to_networkx(MODELS["gru"].system)
    assert graph.nodes["h"]["role"] == "state" and graph.nodes["h"]["shape"] == (4,)
    assert graph.nodes["W_z"]["role"] == "weight" and graph.has_edge("W_z", "z")
    assert [d["shifts"] for d in graph.get_edge_data("h", "z").values()] == [{"t": -1}]
    assert graph.is_multigraph() and len(graph.get_edge_data("h", "y")) == 1


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["folded", "unrolled", "backward"])
@pytest.mark.parametrize("ending,magic", [("png", b"\x89PNG\r\n\x1a\n"), ("pdf", b"%PDF-"), ("svg", b"<svg"),
                                          ("dot", b"digraph")])
def test_every_ending(tmp_path, monkeypatch, view: str, ending: str, magic: bytes) -> None:
    monkeypatch.setenv("PATH", "")  # no Graphviz
    file = viz.draw(MODELS["gru"], tmp_path / f"a.{ending}", view=view, steps=None if view == "folded" else 3)
    assert file == tmp_path / f"a.{ending}"
    data = file.read_bytes()
    assert data.startswith(magic)
    assert data.endswith((b"IEND\xaeB`\x82", b"%%EOF\n", b"</svg>\n", b"}\n"))
    if ending == "svg":
        ET.fromstring(data)
    assert os.listdir(tmp_path) == [f"a.{ending}"]


@pytest.mark.parametrize("name", MODELS)
def test_the_same_model_gives_the_same_text(tmp_path, name: str) -> None:
    text, sizes = TEXTS[name]
    again = tr.equations(text, **sizes)
    for view in ("folded", "unrolled", "backward"):
        assert viz.svg(MODELS[name], view, 3) == viz.svg(again, view, 3)
        one, two = (viz.draw(m, tmp_path / "a.dot", view).read_text() for m in (MODELS[name], again))
        assert one == two


def test_text_does_not_depend_on_the_hash_seed(tmp_path) -> None:
    code = ("import sys, tinygrad_rnn as tr; from tinygrad_rnn import viz; "
            f"m = tr.equations({TEXTS['made_up'][0]!r}, **{TEXTS['made_up'][1]!r}); "
            "sys.stdout.buffer.write(viz.svg(m, 'unrolled', 3).encode())")
    out = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True,
                          env={**os.environ, "PYTHONHASHSEED": seed}).stdout for seed in ("1", "2")}
    assert len(out) == 1


HOSTILE = ['<script>alert("x")</script>', "a&b;'\"\\n", "]]>\x00\x1b\ud800\uffff", "é漢字🙂$x^2$", '\\"]; }']


def renamed(system: System, names: dict[str, str]) -> System:
    """The system with other names, ones that no text could declare."""
    def change(node, args):
        if node.op != "ref" or node.attr("name") not in names:
            return node if args == node.args else type(node)(node.op, args, node.attrs, node.type)
        return ref(names[node.attr("name")], node.attr("slots"), node.type, node.attr("batch"))

    equations = [replace(eq, name=names.get(eq.name, eq.name), rhs=rebuild([eq.rhs], change)[eq.rhs])
                 for eq in system.equations]
    quantities = {names.get(n, n): replace(q, name=names.get(n, n)) for n, q in system.quantities.items()}
    return system.with_equations(equations, quantities, name=HOSTILE[0])


@pytest.mark.parametrize("view", ["folded", "unrolled", "backward"])
def test_hostile_names_are_escaped(tmp_path, view: str) -> None:
    names = dict(zip(("h", "y", "W", "x", "target"), HOSTILE, strict=True))
    model = SimpleNamespace(system=renamed(MODELS["rnn"].system, names))
    text = viz.svg(model, view, 3)
    root = ET.fromstring(text.encode())
    tags = {element.tag.rsplit("}", 1)[-1] for element in root.iter()}
    assert tags <= {"svg", "title", "rect", "circle", "path", "g", "text", "tspan"}
    assert HOSTILE[0] in "".join(root.itertext()) and "<script" not in text
    for ending in ("png", "pdf", "dot"):
        assert viz.draw(model, tmp_path / f"a.{ending}", view).stat().st_size > 200
    dot = (tmp_path / "a.dot").read_text(encoding="utf-8")
    assert '"\\\\\\"]; }' in dot  # backslash and quote are both escaped


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not installed")
@pytest.mark.parametrize("view", ["folded", "unrolled", "backward"])
def test_graphviz_reads_the_dot_text(tmp_path, view: str) -> None:
    file = viz.draw(MODELS["attention"], tmp_path / "a.dot", view)
    assert subprocess.run(["dot", "-Tsvg", file], capture_output=True).returncode == 0


# -- mistakes --------------------------------------------------------------------------------------


def test_mistakes(tmp_path) -> None:
    m = MODELS["rnn"]
    with pytest.raises(BadValue, match=r"view is 'folded', 'unrolled', .* not 'upside_down'"):
        viz.draw(m, tmp_path / "a.svg", view="upside_down")
    with pytest.raises(BadValue, match=r"ends in \.jpg; a picture ends in \.svg, \.png, \.pdf, "):
        viz.draw(m, tmp_path / "a.jpg")
    with pytest.raises(BadValue, match="has no ending"):
        viz.draw(m, tmp_path / "a")
    with pytest.raises(BadValue, match="at least 1, not 0"):
        viz.draw(m, tmp_path / "a.svg", view="unrolled", steps=0)
    for steps in (2.5, "3", True):
        with pytest.raises(BadType, match="steps is a whole number"):
            viz.draw(m, tmp_path / "a.svg", view="unrolled", steps=steps)
    for steps, error, said in (({"t": 0}, BadValue, "steps of t is at least 1"), ({"t": "3"}, BadType, "whole number"),
                               ({"s": 3}, BadName, "steps names 's'; the indices that have steps are t")):
        with pytest.raises(error, match=said):
            viz.draw(m, tmp_path / "a.svg", view="unrolled", steps=steps)
    shared = MODELS["self_attention"]
    with pytest.raises(BadValue, match="t and s run over the same range, which cannot have both 3 and 4 steps"):
        viz.draw(shared, tmp_path / "a.svg", view="unrolled", steps={"t": 3, "s": 4})
    for view in ("folded", "cell", "equations"):
        with pytest.raises(BadValue, match="steps= goes with the view 'unrolled' or 'backward' or 'attention'"):
            viz.draw(m, tmp_path / "a.svg", view=view, steps=3)
        with pytest.raises(BadValue, match="elide= goes with"):
            viz.draw(m, tmp_path / "a.svg", view=view, elide=False)
    for elide in ("no", 0):
        with pytest.raises(BadType, match="elide is True or False, not "):
            viz.draw(m, tmp_path / "a.svg", view="unrolled", elide=elide)
    with pytest.raises(BadType, match="a picture's path is"):
        viz.draw(m, 7)
    with pytest.raises(BadType, match="draw a model"):
        viz.draw("h[t] = x[t]", tmp_path / "a.svg")
    with pytest.raises(BadFile, match="cannot write"):
        viz.draw(m, tmp_path / "missing" / "a.svg")
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(BadFile, match="cannot write"):
        viz.draw(m, tmp_path / "folder.svg")
    assert os.listdir(tmp_path) == ["folder.svg"]


def test_a_png_too_wide_is_refused(tmp_path) -> None:
    old = tmp_path / "a.png"
    old.write_text("kept")
    with pytest.raises(BadValue, match=r"more than 32000; write an \.svg"):
        viz.draw(MODELS["lstm"], old, view="unrolled", steps=100, elide=False)
    assert old.read_text() == "kept" and os.listdir(tmp_path) == ["a.png"]
    assert viz.draw(MODELS["lstm"], tmp_path / "a.svg", view="unrolled", steps=100, elide=False).stat().st_size


# -- op graphs -------------------------------------------------------------------------------------


def test_op_graph_without_graphviz(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    roots = [eq.rhs for eq in MODELS["rnn"].system.equations]
    file = viz.op_graph(roots, tmp_path / "ops.dot", title='a "title"')
    text = file.read_text(encoding="utf-8")
    assert 'label="a \\"title\\""' in text and '"tanh\\n[t,n] 4"' in text
    assert text == viz.op_graph(roots, tmp_path / "again.dot", title='a "title"').read_text(encoding="utf-8")
    with pytest.raises(BadFile, match="not on the PATH: install it"):
        viz.op_graph(roots, tmp_path / "ops.svg")
    with pytest.raises(BadType, match="drawn of nodes"):
        viz.op_graph(["h"], tmp_path / "ops.dot")


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not installed")
def test_op_graph(tmp_path) -> None:
    roots = [MODELS["lstm"].system.equations[0].rhs]
    for ending, magic in (("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")):
        assert viz.op_graph(roots, tmp_path / f"a.{ending}").read_bytes().startswith(magic)


def test_op_graph_of_a_deep_expression(tmp_path) -> None:
    node = MODELS["rnn"].system.equations[0].rhs
    for _ in range(3000):
        node = node + node
    assert viz.op_graph([node], tmp_path / "deep.dot").stat().st_size > 100_000
