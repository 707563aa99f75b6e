"""What is drawn so that few lines cross: the order of wires beside each other, of boxes in a row, of rows."""

from __future__ import annotations

import random
from itertools import combinations, pairwise

import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.viz.api import make_scene, make_view
from tinygrad_rnn.viz.blocks.tracks import Span, assign
from tinygrad_rnn.viz.scene import Scene, Shape
from tinygrad_rnn.viz.text import string

NESTED = """
    i[t] = sigmoid(W_i @ x[t] + U_i @ h[t-1])
    o[t] = sigmoid(W_o @ x[t] + U_o @ h[t-1])
    m[t] = i[t] * m[t-1] + i[t] * c[t-1]
    c[t] = o[t] * tanh(m[t])
    h[t] = o[t] * tanh(c[t])
"""
DELTA = """
    q[t] = W_q @ x[t]
    k[t] = W_k @ x[t]
    v[t] = W_v @ x[t]
    S[t] = S[t-1] + outer(v[t] - S[t-1] @ k[t], k[t])
    y[t] = S[t] @ q[t]
"""
DRAWS = """
    h[t] = tanh(W @ w[t-1] + U @ h[t-1])
    mu[t] = M @ h[t]
    p[t] = softmax(V @ h[t])
    w[t] = categorical(p[t])
    s[t] = normal(mu[t], 1.0)
"""
TWINS = """
    a[s] = tanh(W @ left[s] + U @ a[s-1])
    b[t] = tanh(W @ right[t] + U @ b[t-1])
    d = dot(a[S], b[T])
    loss = mean(d)
"""
ACTOR = """
    h[t] = tanh(W @ x[t] + U @ h[t-1])
    policy[t] = softmax(P @ h[t])
    action[t] = categorical(policy[t])
    value[t] = dot(v, h[t])
    loss_policy = mean(cross_entropy(policy[t], action[t]) * advantage[t])
    loss_value = mean(squared_error(value[t], reward[t]))
    loss = loss_policy + loss_value
"""
LATTICE = """
    p[t,s] = dot(k[s], x[t])
    a[t,s] = tanh(a[t-1,s] + a[t-1,s-1] + p[t,s])
    loss = mean(a[T,S])
"""
BOTH_WAYS = """
    f[l,t] = tanh(W[l] @ u[l-1,t] + U[l] @ f[l,t-1])
    b[l,t] = tanh(V[l] @ u[l-1,t] + Z[l] @ b[l,t+1])
    u[l,t] = concat(f[l,t], b[l,t])
    u[0,t] = E @ x[t]
    y[t] = softmax(O @ u[2,t])
"""


def nested() -> tr.Model:
    return tr.equations(NESTED, x=3, h=4, i=4, m=4)


def both_ways() -> tr.Model:
    return tr.equations(BOTH_WAYS, l=2, x=3, f=4, b=4, u=8, y=2)


def crossings(scene: Scene) -> int:
    """How many pairs of straight parts of wires that begin and end at different places cross."""
    parts = [(w, a, b) for w in scene.wires for a, b in pairwise(w.points)]
    flat = [(w, a[1], *sorted((a[0], b[0]))) for w, a, b in parts if abs(a[1] - b[1]) < 0.01]
    upright = [(w, a[0], *sorted((a[1], b[1]))) for w, a, b in parts if abs(a[1] - b[1]) >= 0.01]
    return sum(v.points[0] != w.points[0] and v.points[-1] != w.points[-1] and left < x < right and top < y < low
               for v, y, left, right in flat for w, x, top, low in upright)


def named(scene: Scene, name: str) -> Shape:
    (found,) = [s for s in scene.shapes if s.name == name]
    return found


# -- tracks ----------------------------------------------------------------------------------------


def drawn(spans: dict[str, Span], at: dict[str, int]) -> int:
    """Crossings as they would be drawn: a line from each point where a net leaves crosses all tracks on its way that
    are taken there."""
    return sum(other.low < x < other.high and (at[o] < at[net] if below else at[o] > at[net])
               for net, span in spans.items() for below, xs in ((True, span.first), (False, span.second))
               for x in xs for o, other in spans.items() if o != net)


def test_tracks_of_random_nets_cross_no_more_than_with_two_of_them_exchanged():
    rng = random.Random(0)
    for _ in range(200):
        spans = {}
        for k in range(rng.randint(2, 7)):
            points = rng.sample(range(0, 400, 10), rng.randint(2, 4))
            first = [float(10 * p + k) for p in points if rng.random() < 0.5]  # no two at one place
            second = [float(10 * p + k) for p in points if 10.0 * p + k not in first]
            every = sorted(first + second)
            spans[str(k)] = Span(every[0], every[-1], tuple(sorted(first)), tuple(sorted(second)))
        at, clashes = assign(spans, 1.0)
        assert clashes == 0
        for a in spans:
            for b in spans:
                if a != b and at[a] == at[b]:
                    assert spans[a].high < spans[b].low or spans[b].high < spans[a].low
        fewest = drawn(spans, at)
        for low in range(max(at.values())):
            exchanged = {net: {low: low + 1, low + 1: low}.get(k, k) for net, k in at.items()}
            assert fewest <= drawn(spans, exchanged)
        for a, b in combinations(spans, 2):  # nor with two nets alone, where they have room
            exchanged = {**at, a: at[b], b: at[a]}
            room = all(exchanged[c] != exchanged[d] or spans[c].high + 2 <= spans[d].low or
                       spans[d].high + 2 <= spans[c].low for c, d in combinations(spans, 2))
            overlap = spans[a].low < spans[b].high and spans[b].low < spans[a].high
            assert not (room and overlap) or fewest <= drawn(spans, exchanged)


def test_where_two_nets_leave_at_one_place_the_lower_one_stays_below():
    spans = {"up": Span(0, 90, (50.0,), (0.0, 90.0)), "down": Span(10, 80, (10.0, 80.0), (50.0,))}
    assert assign(spans, 1.0) == ({"up": 0, "down": 1}, 0)


def test_initial_values_lead_to_their_ports_without_crossing():
    assert crossings(make_scene(nested(), "unrolled", 3, detail="closed")) == 0


# -- rows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text,sizes", [(DELTA, {"x": 3, "k": 4, "v": 4}), (DRAWS, {"h": 4, "p": 3, "mu": 2}),
                                        (TWINS, {"left": 3, "right": 3, "a": 4})])
def test_boxes_of_a_row_stand_so_that_no_wires_cross(text, sizes):
    assert crossings(make_scene(tr.equations(text, **sizes), "folded")) == 0


def test_boxes_of_a_row_stand_in_one_order_in_all_columns():
    view = make_scene(tr.equations(DELTA, x=3, k=4, v=4), "unrolled", 20)
    for step in ("1", "2", "T"):
        order = sorted((s for s in view.shapes if s.name in {f"{q}⟨{step}⟩" for q in "qkv"}), key=lambda s: s.x)
        assert [s.name[0] for s in order][-1] == "q"  # which goes round the cell at its right


def test_what_nearly_stands_above_another_is_reached_straight():
    scene = make_scene(tr.equations(DRAWS, h=4, p=3, mu=2), "folded")
    points = {wire.name: len(wire.points) for wire in scene.wires}
    assert points["p -> w"] == points["mu -> s"] == 2


def test_losses_stand_side_by_side_on_top():
    scene = make_scene(tr.equations(ACTOR, x=3, h=4, policy=2), "folded")
    assert named(scene, "loss_policy").y == pytest.approx(named(scene, "loss_value").y, abs=20)
    assert crossings(scene) <= 1


def test_what_a_layer_alone_reads_stands_right_below_it():
    view = make_view(tr.equations(LATTICE, x=3, k=3), "unrolled", 3, detail="closed")
    row = {(b.name, b.layer): b.row for b in view.boxes.values()}
    for layer in "123":
        assert row["p", layer] == row["a", layer] - 1
    assert row["p", "2"] > row["a", "1"]


def test_layers_that_run_both_ways_are_drawn_as_a_row_each_way():
    view = make_view(both_ways(), "unrolled", 3)
    assert len({(b.name, b.layer, b.row) for b in view.boxes.values() if b.name in "fbu" and b.style != "initial"}) == 7
    links = [(li.source, li.target) for li in view.links]
    assert ("b@1.2", "b@1.1") in links and ("f@1.0", "f@1.1") in links and ("b@1.0", "b@1.1") not in links
    scene = make_scene(both_ways(), "unrolled", 3)
    for wire in scene.wires:
        if wire.name in ("b@2.2 -> b@2.1", "f@2.0 -> f@2.1"):
            assert len(wire.points) == 2
            assert (wire.points[0][0] < wire.points[1][0]) == wire.name.startswith("f")


def test_the_first_of_layers_that_run_both_ways_reads_what_is_given():
    links = {(li.source, li.target) for li in make_view(both_ways(), "folded").links}
    assert {("u[0,t]", "f"), ("u[0,t]", "b"), ("u", "f"), ("u", "b")} <= links


# -- labels ----------------------------------------------------------------------------------------


def test_wires_that_go_one_way_have_one_label():
    text = "h[t] = tanh(W @ x[t] + U @ h[t-1])\ng[t] = tanh(V @ h[t])\np[t] = P @ h[t-1]\nq[t] = Q @ h[t-1] + R @ g[t]"
    scene = make_scene(tr.equations(text, x=3, h=4, g=4, p=2, q=2), "folded", detail="gates")
    dashed = [w for w in scene.wires if w.dashed and w.name.startswith("h -> ") and w.name != "h -> h"]
    assert len(dashed) == 2
    labels = [n for n in scene.notes if string(n.label) == "t−1" and n.anchor == "middle"]  # the arc's begins there
    assert len(labels) == 1
    for wire in dashed:
        assert any(a[1] == b[1] and min(a[0], b[0]) < n.x < max(a[0], b[0]) and abs(a[1] - n.y) < 14
                   for n in labels for a, b in pairwise(wire.points))


@pytest.mark.parametrize("steps", [3, 4, 5, 20])
def test_results_of_results_stand_in_one_line(steps):
    text = "h[t] = tanh(W @ x[t] + U @ h[t-1])\nc = sum(h[t] * h[t], over=t)\ny = softmax(V @ c)\nloss = mean(y)"
    scene = make_scene(tr.equations(text.replace("mean(y)", "mean(cross_entropy(y, k))"), x=3, h=4, y=2),
                       "unrolled", steps)
    assert len({round(named(scene, name).centre[0], 2) for name in ("c", "y", "loss")}) == 1
