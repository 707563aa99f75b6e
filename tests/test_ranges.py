"""Where what runs over different ranges stands: each quantity once at every position that it has, ranges side by side
or one above another, and no more of anything than can be drawn and read."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from pictured import MODELS

import tinygrad_rnn as tr
from tinygrad_rnn.viz.api import make_scene, make_view
from tinygrad_rnn.viz.graph.roles import roles
from tinygrad_rnn.viz.text import string

PAIR = """
    h[s] = tanh(W @ x[s] + U @ h[s-1])
    d[t] = tanh(V @ z[t] + R @ d[t-1])
"""
SIZES = {"x": 3, "h": 4, "z": 2, "d": 4, "y": 2}
BOTH_WAYS = tr.equations(PAIR + """
    e[t,s] = dot(d[t], h[s])
    a[t,s] = softmax(e[t,s], over=s)
    b[t,s] = softmax(e[t,s], over=t)
    c[t] = sum(a[t,s] * h[s], over=s)
    g[s] = sum(b[t,s] * d[t], over=t)
    y[t] = softmax(O @ concat(c[t], d[t]))
    u[s] = P @ g[s]""", **SIZES, u=2)
COVERED = tr.equations(PAIR + """
    a[t,s] = softmax(dot(d[t], h[s]), over=s)
    c[t] = sum(a[t,s] * h[s], over=s)
    y[t] = softmax(O @ concat(c[t], d[t]))
    entropy = sum(sum(-a[t,s] * log(a[t,s]), over=s), over=t)
    loss = mean(cross_entropy(y[t], target[t])) + entropy""", **SIZES)
SHARED = tr.equations(PAIR + """
    p[t,s] = exp(dot(d[t], h[s]))
    n[s] = sum(p[t,s], over=t)
    w[s] = 1 / n[s]
    r[t,s] = p[t,s] * w[s]
    y[t] = softmax(O @ sum(r[t,s] * h[s], over=s))""", **SIZES)
SETTLED = tr.equations("""
    h[l,t] = tanh(W[l] @ x[t] + U[l] @ h[l,t-1] + V[l] @ m[l-1])
    m[l] = mean(h[l,t], over=t)
    y = softmax(O @ m[L])""", l=2, x=3, h=4, y=2)


def shown(model: tr.Model, name: str, **options: object) -> list[str]:
    """The labels of a quantity's boxes."""
    scene = make_scene(model, "unrolled", **options)
    labels = [string(s.label) for s in scene.shapes if s.style != "initial"]
    return sorted(label for label in labels if re.fullmatch(rf"{name}(⟨.*⟩)?", label))


def test_what_runs_over_another_range_stands_once_at_each_of_its_positions() -> None:
    """And not in every column of the attention from which it follows."""
    steps = {"s": 3, "t": 2}
    assert shown(BOTH_WAYS, "g", steps=steps) == ["g⟨1⟩", "g⟨2⟩", "g⟨3⟩"]
    assert shown(BOTH_WAYS, "c", steps=steps, detail="gates") == ["c⟨1⟩", "c⟨2⟩"]
    assert shown(COVERED, "entropy", steps=steps) == ["entropy"]
    assert shown(SETTLED, "m", steps=3, detail="gates") == ["m⟨1⟩", "m⟨2⟩"]
    links = {(li.source, li.target) for li in make_view(BOTH_WAYS, "unrolled", steps).links if li.out == "b"}
    assert links == {(f"e.{t}", f"g.{s}") for t in range(2) for s in range(3)}


def test_attention_whose_sums_over_the_other_range_it_reads_again_is_two_blocks() -> None:
    """Normalised twice: r[t,s] reads w[s], which follows from p[t,s] of all t, so it stands above these."""
    blocks = {b.name: (b.quantities, b.kind, b.column) for b in roles(SHARED.system).blocks}
    assert blocks["p"] == (("p", "n"), "attention", "s") and blocks["r"] == (("r",), "attention", "s")
    assert blocks["w"] == (("w",), "single", "s")
    rows = {key.split(".")[0]: box.row for key, box in make_view(SHARED, "unrolled", {"s": 3, "t": 2}).boxes.items()}
    assert rows["r"] > rows["w"] > rows["p"]


@pytest.mark.parametrize("view", ["unrolled", "backward"])
def test_ranges_that_are_wide_stand_one_above_another(view: str) -> None:
    """They share columns and no rows, what reads the other stands above it, and time goes to the right in both."""
    model, steps = MODELS["attention"], {"s": 5, "t": 4}
    found = make_view(model, view, steps)
    assert found.columns == ["1", "2", "3", "4", "5"] and found.segments == ((0, 4),)
    rows: dict[str, set[int]] = {"s": set(), "t": set()}
    for block in roles(model.system).blocks:
        if block.column:
            keys = [f"{block.name}.{k}" for k in range(steps[block.column])]
            rows[block.column] |= {found.boxes[key].row for key in keys}
            assert [found.boxes[key].column for key in keys] == list(range(steps[block.column]))
    assert max(rows["s"]) < min(rows["t"])
    scene = make_scene(model, view, steps)
    for name in ("k", "q"):
        at = [next(s.x for s in scene.shapes if string(s.label) == f"{name}⟨{k}⟩") for k in range(1, 5)]
        assert all(a < b for a, b in pairwise(at))
    assert scene.width < 1800 if view == "unrolled" else scene.width < 2700


def test_what_is_read_where_nothing_is_has_no_arrow() -> None:
    """c[t-1,u-1] at u = 1: no wire comes from the border of its cell."""
    model = tr.equations("""
        f[u,t] = sigmoid(A @ c[u-1,t-1] + B @ x[t])
        c[u,t] = f[u,t] * c[u,t-1] + (1 - f[u,t]) * tanh(W @ x[t])
        y = E @ c[U,T]""", x=2, c=3, y=2)
    for view in ("unrolled", "backward"):
        drawn = make_view(model, view, 2)
        scene = make_scene(model, view, 2)
        fed = {(li.target, li.port) for li in drawn.links}
        assert all((box.key, port) in fed or "u-1" in port for box in drawn.boxes.values() for port in box.template.ins)
        assert len(scene.panels) == 4
        for panel in scene.panels:
            border = [w for w in scene.wires if w.points[0][0] == panel.x and panel.on_border(w.points[0])]
            assert all(any(w.points[0] in other.points for other in scene.wires if other is not w) for w in border)


@pytest.mark.parametrize("view,path", [("unrolled", "a.svg"), ("backward", "a.tex"), ("unrolled", "a.dot")])
def test_more_steps_than_can_be_drawn_are_told_at_once(tmp_path: Path, view: str, path: str) -> None:
    model = MODELS["lstm"]
    with pytest.raises(tr.Error, match=r"2000000 steps that are all drawn are a picture of \d+ boxes, more than 20000; "
                                       r"give steps=\d+ or fewer, or elide=True"):
        model.draw(tmp_path / path, view=view, steps=2_000_000, elide=False)
    assert model.draw(tmp_path / path, view=view, steps=2_000_000).exists()
    with pytest.raises(tr.Error, match="give steps="):
        model.draw(tmp_path / "a.html", steps=10**15)
    with pytest.raises(tr.Error, match="have 4000000000000 weights, more than 100000000; give fewer steps"):
        MODELS["attention"].draw(tmp_path / "a.svg", view="attention", steps=2_000_000)
