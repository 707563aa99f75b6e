"""What a picture tells apart: whose label it is, what is read by itself, where a state goes on, and in which order."""

from __future__ import annotations

import random
from itertools import pairwise

import networkx as nx
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.node import Node, const, ref
from tinygrad_rnn.viz.api import make_scene, make_view
from tinygrad_rnn.viz.blocks.blocks import passed
from tinygrad_rnn.viz.blocks.heights import raised
from tinygrad_rnn.viz.blocks.tracks import Span, assign
from tinygrad_rnn.viz.cell.graph import Inner, inner_of
from tinygrad_rnn.viz.graph.roles import roles
from tinygrad_rnn.viz.ops.collapse import boxes
from tinygrad_rnn.viz.scene import Scene, Wire
from tinygrad_rnn.viz.style import LINES
from tinygrad_rnn.viz.text import string

DIAGONAL = "h[i,j] = tanh(W @ x[i,j] + U @ h[i-1,j] + R @ h[i,j-1] + Q @ h[i-1,j-1])\ny = V @ h[I,J]"
DELAYS = "h[t] = tanh(W @ x[t] + U1 @ h[t-1] + U2 @ h[t-2] + U4 @ h[t-4])\ny[t] = V @ h[t]"
CHOSEN = """
    due[k,t] = t - k * floor(t / k) == 0
    h[k,t] = where(due[k,t], tanh(W[k] @ x[t] + U[k] @ h[k,t-1]), h[k,t-1])
    y[t] = sum(V[k] @ h[k,t], over=k)"""
DEEP_STEP = """
    s[l,t] = tanh(where(l == 1, W @ x[t], 0) + R[l] @ s[l-1,t])
    s[0,t] = s[L,t-1]
    y[t] = V @ s[L,t]"""
MEMORY = """
    k[t] = A @ x[t]
    q[t] = B @ x[t]
    o[t] = sigmoid(C @ x[t])
    s[t] = 0.5 * s[t-1] + k[t]
    y[t] = o[t] * q[t] * s[t]
    loss = mean(y[t])"""
FRAMES = """
    f[t] = tanh(W @ x[t] + R @ f[t-1])
    g[u] = tanh(A @ w[u] + B @ g[u-1])
    j[t,u] = dot(f[t], g[u])
    a[t,u] = a[t-1,u] + a[t,u-1] + j[t,u]"""


def beside(scene: Scene, x: float, y: float) -> set[str]:
    """What the wires say that run horizontally within a line's height of a place."""
    return {string(w.label) for w in scene.wires for a, b in pairwise(w.points)
            if abs(a[1] - b[1]) < 0.01 and abs(a[1] - y) < 13 and min(a[0], b[0]) < x < max(a[0], b[0])}


# -- labels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text,labels", [(DIAGONAL, {"R", "Q"}), (DELAYS, {"U1", "U4"})], ids=["diagonal", "delays"])
def test_a_label_stands_where_no_wire_says_something_else(text: str, labels: set[str]) -> None:
    scene = make_scene(tr.equations(text, x=3, h=4, y=2), "unrolled", 4)
    found = [n for n in scene.notes if string(n.label) in labels]
    assert {string(n.label) for n in found} == labels
    first = min(s.x for s in scene.shapes if s.name.startswith("h") and s.style == "state")
    for note in found:
        if note.x > first:  # initial values have too little room
            assert beside(scene, note.x, note.y) == {string(note.label)}


def test_what_an_arrow_sets_is_said_where_it_leads() -> None:
    scene = make_scene(tr.graphs.luong(), "folded")
    for name in ("d⟨0⟩", "c_d⟨0⟩"):
        (note,) = [n for n in scene.notes if string(n.label) == name]
        (wire,) = [w for w in scene.wires if string(w.label) == name]
        (_, start), (_, end) = wire.points[0], wire.points[-1]
        assert abs(note.y - end) < abs(note.y - start) / 2


# -- what is read ----------------------------------------------------------------------------------


def inner(model: tr.Model) -> Inner:
    found = roles(model.system)
    (block,) = [b for b in found.blocks if b.kind == "cell"]
    return inner_of(block, found, passed(block, found))


def test_a_condition_has_a_line_of_its_own() -> None:
    cell = inner(tr.equations(CHOSEN, k=3, x=2, h=4, y=2))
    (where,) = [p for p in cell.parts.values() if string(p.label) == "where"]
    assert {"due[k,t]", "h[k,t-1]"} <= set(where.sources)
    joined = [p.sources for p in cell.parts.values() if p.kind == "dot"]
    assert joined == [["h[k,t-1]", "x[t]"]]  # what tanh takes the sum of


def test_what_a_product_multiplies_has_lines_of_its_own() -> None:
    cell = inner(tr.equations("S[t] = 0.9 * S[t-1] + outer(v[t], k[t])\ny[t] = S[t] @ q[t]", v=3, k=4, q=4))
    assert not any(p.kind == "dot" for p in cell.parts.values())
    assert any(p.sources == ["v[t]", "k[t]"] for p in cell.parts.values())


# -- states ----------------------------------------------------------------------------------------


def test_a_state_that_goes_on_through_the_first_layer_is_drawn_as_one() -> None:
    model = tr.equations(DEEP_STEP, l=3, x=2, s=4, y=2)
    assert roles(model.system).role["s"] == "state"
    scene = make_scene(model, "unrolled", 3)
    onward = [w for w in scene.wires if w.name.startswith("s@3.") and "s[0,t]" in w.name]
    assert len(onward) == 2 and all(LINES[w.style].width == LINES["h"].width for w in onward)


@pytest.mark.parametrize("detail", ["closed", "ops"])
def test_folded_it_has_an_arrow_back(detail: str) -> None:
    view = make_view(tr.equations(DEEP_STEP, l=3, x=2, s=4, y=2), "folded", detail=detail)
    (back,) = [li for li in view.links if li.target == "s[0,t]"]
    assert (back.source, back.dashed, string(back.label)) == ("s", True, "L,t−1")


@pytest.mark.parametrize("view", ["unrolled", "backward"])
def test_beyond_steps_left_out_each_state_goes_on_at_its_own_height(view: str) -> None:
    scene = make_scene(tr.graphs.slstm(), view, 20, detail="closed")
    (last,) = [s for s in scene.shapes if "h⟨T⟩" in string(s.label)]
    (before,) = [s for s in scene.shapes if "h⟨2⟩" in string(s.label)]
    for box, end in ((before, 0), (last, -1)):
        side = box.x + box.w if end == 0 else box.x
        found = [w for w in scene.wires if w.points[end][0] == pytest.approx(side) and w.style in ("h", "c")]
        assert len(found) == 4 and all(w.points[0][1] == pytest.approx(w.points[-1][1]) for w in found)
        assert len({round(w.points[0][1]) for w in found}) == 4


def test_closed_cells_say_their_step() -> None:
    scene = make_scene(tr.graphs.mdlstm(), "unrolled", {"u": 2, "v": 2}, detail="closed")
    cells = {string(s.label) for s in scene.shapes if s.style == "state"}
    assert cells == {f"c⟨{u},{v}⟩, h⟨{u},{v}⟩" for u in (1, 2) for v in (1, 2)}


def test_initial_values_stand_in_the_order_of_time() -> None:
    scene = make_scene(tr.equations(DELAYS, x=3, h=4, y=2), "unrolled", 5)
    heights = [next(s.y for s in scene.shapes if string(s.label) == f"h⟨{k}⟩") for k in ("0", "−1", "−2", "−3")]
    assert heights == sorted(heights)


def test_those_that_the_first_step_reads_stand_at_its_height() -> None:
    scene = make_scene(tr.equations("h[t] = tanh(W @ x[t] + R @ h[t-2])\ny = V @ h[T]", x=3, h=4, y=2), "unrolled", 4)
    first, before = (next(s for s in scene.shapes if string(s.label) == f"h⟨{k}⟩") for k in ("0", "−1"))
    assert first.y + first.h < before.y
    assert sum(len(w.points) == 2 and before.on_border(w.points[0]) for w in scene.wires) == 1


# -- where boxes stand -----------------------------------------------------------------------------


def wire(scene: Scene, name: str) -> Wire:
    (found,) = [w for w in scene.wires if w.name == name]
    return found


def test_what_initial_values_read_stands_in_one_line() -> None:
    assert len(wire(make_scene(tr.graphs.caption(), "unrolled", 2), "q -> v").points) == 2


def test_what_reads_one_input_stands_beside_others_that_read_it() -> None:
    view = make_view(tr.equations(MEMORY, x=3, k=4, q=4, o=4), "unrolled", 2)
    row = {box.name: box.row for box in view.boxes.values()}
    assert row["x"] < row["k"] < row["s"] < row["q"] == row["o"] < row["y"]
    alone = tr.equations(MEMORY.replace("o[t] * q[t]", "o[t]").replace("q[t] = B @ x[t]", ""), x=3, k=4, o=4)
    row = {box.name: box.row for box in make_view(alone, "unrolled", 2).boxes.values()}
    assert row["o"] == row["k"] < row["s"]  # which would gain nothing


def lengths(graph: nx.DiGraph, depth: dict[int, int]) -> int:
    """How many rows all wires pass together, one for each that is read."""
    return sum(max(depth[s] for s in graph.successors(n)) - depth[n] for n in graph if list(graph.successors(n)))


def test_wires_are_never_longer_for_what_moves() -> None:
    rng = random.Random(0)
    shorter = 0
    for _ in range(300):
        graph: nx.DiGraph = nx.DiGraph()
        graph.add_nodes_from(range(rng.randint(3, 12)))
        graph.add_edges_from((a, b, {"rise": rng.randint(0, 1)}) for a in graph for b in graph
                             if a < b and rng.random() < 0.3)
        order = list(graph)
        depth: dict[int, int] = {}
        for n in order:
            depth[n] = max((depth[p] + graph.edges[p, n]["rise"] for p in graph.predecessors(n)), default=0)
        before = dict(depth)
        free = {n for n in order if list(graph.predecessors(n)) and list(graph.successors(n)) and rng.random() < 0.8}
        moved = raised(graph, order, depth, free)
        assert moved == {n for n in order if depth[n] > before[n]} <= free
        assert all(depth[b] - depth[a] >= d["rise"] for a, b, d in graph.edges(data=True))
        assert lengths(graph, depth) <= lengths(graph, before)
        shorter += lengths(graph, depth) < lengths(graph, before)
    assert shorter > 50


def test_inputs_of_a_cell_stand_below_its_steps_although_another_has_them_as_layers() -> None:
    view = make_view(tr.equations(FRAMES, x=3, w=3, f=4, g=4), "unrolled", {"t": 3, "u": 2})
    columns = {name: [b.column for b in view.boxes.values() if b.name == name and b.style != "initial"]
               for name in ("x", "f")}
    assert columns["x"] == columns["f"] and len(set(columns["x"])) == 3


# -- graphs of operations --------------------------------------------------------------------------


def test_a_number_stands_beside_each_that_reads_it() -> None:
    x, two = ref("x"), const(2.0)
    double, more = Node("multiply", (x, two)), Node("add", (x, two))
    found = boxes([Node("multiply", (double, more))], {double: "a", more: "b"})
    numbers = [k for k, b in enumerate(found) if b.label == "2"]
    assert [found[k].scope for k in numbers] == ["a", "b"]
    assert all(sum((k, "") in b.args for b in found) == 1 for k in numbers)


# -- tracks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("here,there", [(0.0, 8.0), (8.0, 0.0)])
def test_of_two_wishes_that_exclude_each_other_the_one_of_wires_on_each_other_is_granted(
        here: float, there: float) -> None:
    spans = {"a": Span(0, 100, (50.0,), (80.0 + there,)), "b": Span(0, 100, (80.0,), (50.0 + here,))}
    at, clashes = assign(spans, 10.0)
    assert (at["a"] < at["b"]) == (here < there) and clashes == 1


@pytest.mark.parametrize("view", ["folded", "unrolled", "backward"])
def test_a_block_of_quantities_with_different_indices_has_a_boundary(view: str) -> None:
    """c has one index fewer than a, beside which it stands."""
    model = tr.equations("a[k,s] = dot(c[k-1], x[s])\nc[k] = sum(a[k,s] * x[s], over=s)\nc[0] = m\n"
                         "loss = sum(c[K])", k=2, x=3, c=3)
    assert ("c", (("k", 0),)) in {(shape.mark.name, shape.mark.at) for shape in make_scene(model, view).shapes
                                  if shape.mark}
