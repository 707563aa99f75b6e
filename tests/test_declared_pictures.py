"""Pictures of data that a model draws: a box of its own above what it is drawn from, and an arrow to the next step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.viz.api import make_scene, make_view
from tinygrad_rnn.viz.attention.graph import attentions, encoder
from tinygrad_rnn.viz.graph.roles import roles
from tinygrad_rnn.viz.scene import Scene, Shape
from tinygrad_rnn.viz.style import FILLS
from tinygrad_rnn.viz.text import formula, string

WRITER = """
    h[t] = tanh(W @ w[t-1] + U @ h[t-1] + b)
    p[t] = softmax(V @ h[t] + c)
    w[t] = categorical(p[t])"""
MORE = """
    z[t] = normal(m[t], s[t])
    o[t] = bernoulli(sigmoid(q))
    r[t] = normal(m[t], d)"""
LOOKING_BACK = """
    u[t] = embed(E, w[t-1])
    k[t] = K @ u[t]
    e[t,s] = where(s <= t, dot(u[t], k[s]), -inf)
    a[t,s] = softmax(e[t,s], over=s)
    c[t] = sum(a[t,s] * k[s], over=s)
    w[t] = categorical(softmax(V @ c[t]))"""
GRAPHS = ("seq2seq", "bahdanau", "luong", "caption")


def writer() -> tr.Model:
    return tr.equations(WRITER, w=5, h=4)


def looking_back() -> tr.Model:
    return tr.equations(LOOKING_BACK, w=5, u=4, k=4)


def box(scene: Scene, name: str) -> Shape:
    (found,) = [s for s in scene.shapes if string(s.label) == name]
    return found


def test_what_is_drawn_is_no_state() -> None:
    found = roles(writer().system)
    assert found.role == {"h": "state", "p": "output", "w": "data"}
    assert {b.name: b.kind for b in found.blocks} == {"h": "cell", "p": "single", "w": "single"}
    seen = roles(writer().observing().system)
    assert seen.role["w"] == "input" and seen.role["p"] == "output"


def test_it_stands_above_and_the_next_step_reads_it_from_below() -> None:
    scene = make_scene(writer(), "unrolled", steps=3)
    for t in (1, 2, 3):
        h, p, w = (box(scene, f"{name}⟨{t}⟩") for name in "hpw")
        assert w.y + w.h < p.y < p.y + p.h < h.y and FILLS[w.style].dashed
        assert w.centre[0] == pytest.approx(h.centre[0])
    for t in (1, 2):
        w, h = box(scene, f"w⟨{t}⟩"), box(scene, f"h⟨{t + 1}⟩")
        (wire,) = [x for x in scene.wires if w.on_border(x.points[0]) and x.points[0][0] > w.centre[0]]
        assert wire.points[0][1] == pytest.approx(w.centre[1])
        assert wire.points[-1] == pytest.approx((h.centre[0], h.y + h.h)) and wire.head
    assert sum(w.mark is not None and w.mark.name == "w" for w in scene.wires) == 2  # nothing reads the last one


def test_the_first_step_reads_nothing_and_has_no_wire_for_it() -> None:
    model = tr.equations("""
        z[t] = sigmoid(W @ w[t-1] + U @ h[t-1])
        h[t] = z[t] * h[t-1] + (1 - z[t]) * tanh(V @ w[t-1])
        w[t] = categorical(softmax(Y @ h[t]))""", w=5, h=4)
    scene = make_scene(model, "unrolled", steps=3, detail="ops")
    for k, panel in enumerate(sorted(scene.panels, key=lambda p: p.x)):
        low = panel.y + panel.h
        entering = [w for w in scene.wires if panel.x < w.points[0][0] < panel.x + panel.w
                    and w.points[0][1] == pytest.approx(low)]
        assert bool(entering) == (k > 0)


def test_folded_the_arrow_says_the_shift() -> None:
    view = make_view(writer())
    (back,) = [link for link in view.links if link.out == "w"]
    assert back.target == "h" and back.dashed and string(back.label) == "t−1"
    assert [loop.box for loop in view.loops] == ["h"]


@pytest.mark.parametrize("name", GRAPHS)
def test_decoders_keep_it_out_of_their_cells(name: str) -> None:
    model = getattr(tr.graphs, name)()
    found = roles(model.system)
    assert found.role["w"] == "data" and found.role["y"] == "output" and found.block_of("w").quantities == ("w",)
    scene = make_scene(model, "unrolled", steps=2)
    for t in (1, 2):
        w = box(scene, f"w⟨{t}⟩")
        assert not any(p.x < w.centre[0] < p.x + p.w and p.y < w.centre[1] < p.y + p.h for p in scene.panels)
    for view in ("folded", "equations"):
        assert any("w" in string(s.label) for s in make_scene(model, view).shapes)


@pytest.mark.parametrize("view", ["folded", "unrolled", "attention", "equations"])
def test_looking_back_at_all_that_was_drawn(view: str) -> None:
    model = looking_back()
    assert make_scene(model, view).shapes
    (attention,) = attentions(roles(model.system))
    assert encoder(attention, roles(model.system)) == {"w", "u", "k"}  # and not c, from which w is drawn


def test_runs_and_traces_colour_it(tmp_path: Any) -> None:
    model = writer()
    run = model.run(steps=3, batch=2, seed=1, want=["h", "p", "w"])
    text = model.draw(tmp_path / "a.svg", view="unrolled", values=run).read_text()
    norm = np.sqrt((run["p"][0, 2] ** 2).mean())
    assert f"p⟨3⟩: root mean square {norm:.3g}" in text and text.count("url(#hatched)") == 3 + 1 + 1  # w, h⟨0⟩, legend
    trace = model.trace(w=run["w"])
    for name, options in {"b.html": {}, "c.svg": {"view": "backward", "colour": "gradient"}}.items():
        assert model.draw(tmp_path / name, values=trace, **options).stat().st_size > 1000
    back = looking_back()
    drawn = back.run(steps=4, batch=1, want=["a", "w"])
    assert str(int(drawn["w"][0, 3])) in back.draw(tmp_path / "d.svg", view="attention", values=drawn).read_text()


def test_equations_say_that_it_is_drawn() -> None:
    model = tr.equations(WRITER + MORE, w=5, h=4, m=2, q=2)
    rows = model.latex().split("\n")[3:-1]
    at = r"^{\langle t \rangle}"
    assert [row.strip().removesuffix(r" \\") for row in rows] == [
        rf"w{at} &\sim \text{{Categorical}}(p{at})",
        rf"z{at} &\sim \mathcal{{N}}(m{at}, (s{at})^2)",
        rf"o{at} &\sim \text{{Bernoulli}}(\sigma(q))",
        rf"r{at} &\sim \mathcal{{N}}(m{at}, d^2)"]
    assert "".join(s.text for s in formula("w[t] = categorical(p[t])")) == "w⟨t⟩ ∼ Categorical(p⟨t⟩)"
    shown = ["".join(s.text for s in n.label) for n in make_scene(model, "equations").notes]
    assert "∼  Categorical(p⟨t⟩)" in shown and "=  softmax(V h⟨t⟩ + c)" in shown
