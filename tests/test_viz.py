"""Pictures: their geometry on many kinds of model, and what the parts of these are."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from geometry import faults
from pictured import MODELS

import tinygrad_rnn as tr
from tinygrad_rnn import viz
from tinygrad_rnn.viz.api import make_scene, make_view
from tinygrad_rnn.viz.graph.roles import roles
from tinygrad_rnn.viz.scene import Shape, Wire
from tinygrad_rnn.viz.text import string
from tinygrad_rnn.viz.values import Values

DERIVED = {f"gradient of {name}": MODELS[name].grad("loss") for name in ("rnn", "gru", "attention", "many_to_one")}
CASES = [(name, view, steps) for name in MODELS for view, steps in
         (("folded", 3), ("unrolled", 1), ("unrolled", 3), ("unrolled", 20), ("backward", 4), ("backward", 12))]
CASES += [(name, view, 3) for name in DERIVED for view in ("folded", "unrolled")]
ALL = MODELS | DERIVED


# -- geometry --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name,view,steps", CASES)
def test_geometry(name: str, view: str, steps: int) -> None:
    assert not faults(roles(ALL[name].system), view, steps)


@pytest.mark.parametrize("name", [n for n in MODELS if n != "no_steps"])
@pytest.mark.parametrize("view", ["unrolled", "backward"])
def test_one_column_a_step(name: str, view: str) -> None:
    """What recurs stands at equal distances, at one height, with the same inside in every column."""
    scene = make_scene(MODELS[name], view, 5)
    view_ = make_view(MODELS[name], view, 5)
    assert view_.segments
    assert all(view_.columns[a : b + 1] == ["1", "2", "3", "4", "5"] for a, b in view_.segments)
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
