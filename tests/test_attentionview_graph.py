"""What attends to what, as the graph of a model has it."""

from __future__ import annotations

import numpy as np
import pytest
import zoo
from attending import MODELS, TEXTS, ZOO, fan, place, ran, structure

import tinygrad_rnn as tr
from tinygrad_rnn.errors import BadValue
from tinygrad_rnn.viz.attention.graph import attentions, decoder, encoder
from tinygrad_rnn.viz.attention.view import attention_scene
from tinygrad_rnn.viz.graph.roles import roles
from tinygrad_rnn.viz.scene import Scene
from tinygrad_rnn.viz.text import string
from tinygrad_rnn.viz.values import Values


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
    widths = {int(s): wire.width for wire in fan(drawing, "a") for t, s in [place(wire, "t", "s")] if int(t) == 3}
    assert widths == {s: pytest.approx(0.6 + 4 * run["a"][0, s - 1, 2]) for s in (1, 2, 3)}  # causal


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


@pytest.mark.parametrize("name", [n for n in zoo.MODELS if n not in ZOO])
def test_models_without_attention(name: str) -> None:
    with pytest.raises(BadValue, match=r"view='attention' needs weights over two ranges"):
        attention_scene(roles(zoo.build(name).system), None)


# -- masks, many numbers at a place, and what is no attention --------------------------------------

SCORES = "dot(q[t], k[s])"
MASKED = {
    "where": f"a[t,s] = softmax(where(s <= t, {SCORES}, -inf), over=s)",
    "a large number": f"a[t,s] = softmax(where(s <= t, {SCORES}, -1e9), over=s)",
    "subtracted": f"a[t,s] = softmax({SCORES} - 1e9 * (s > t), over=s)",
    "added, by name": f"m[t,s] = where(s > t, -inf, 0)\na[t,s] = softmax({SCORES} + m[t,s], over=s)",
    "scores by name": f"e[t,s] = where(s < t, {SCORES}, -inf)\na[t,s] = softmax(e[t,s], over=s)",
    "relabelled": f"m[s,t] = where(s < t, 1, 0)\na[t,s] = m[t,s] * softmax({SCORES}, over=s)",
    "a band": f"a[t,s] = softmax(where((s <= t) & (s > t - 2), {SCORES}, -inf), over=s)",
    "the ends": f"a[t,s] = softmax(where((s == 1) | (s == T), {SCORES}, -inf), over=s)",
    "divided": f"z[t,s] = where(s >= t, exp({SCORES}), 0)\na[t,s] = z[t,s] / sum(z[t,s], over=s)",
    "of two": f"a[t,s] = where(s < 3, softmax(where(s <= t, {SCORES}, -inf), over=s), 0)",
    "nothing at first": f"a[t,s] = softmax(where(s < t, {SCORES}, -1e9), over=s)",
    "nothing at first, added": f"a[t,s] = softmax({SCORES} - 1e6 * (s >= t), over=s)",
    "by value": f"a[t,s] = softmax(where(u[s] > 0, {SCORES}, -1), over=s)",
    "none": f"a[t,s] = softmax({SCORES}, over=s)",
}


@pytest.mark.parametrize("mask", MASKED)
def test_lines_are_where_a_run_may_have_weights(mask: str) -> None:
    """Without values, by the masks alone; compared with where the weights of a run are not 0."""
    text = f"q[t] = Q @ x[t]\nk[t] = K @ x[t]\n{MASKED[mask]}\nc[t] = sum(a[t,s] * x[s], over=s)"
    model = tr.equations(text, dtype="float64", x=3, q=4, k=4, **({"u": ()} if "u[s]" in text else {}))
    rng = np.random.default_rng(0)
    weights = model.run({"x": rng.standard_normal((1, 5, 3)), "u": rng.standard_normal((1, 5))}
                        if "u[s]" in text else {"x": rng.standard_normal((1, 5, 3))})["a"][0]
    drawing = attention_scene(roles(model.system), None, steps=5)
    found = np.zeros((5, 5), bool)
    for wire in fan(drawing, "a"):
        t, s = (int(p) for p in place(wire, "t", "s"))
        found[t - 1, s - 1] = True
    assert (found == (weights != 0)).all()


HEADS = """
    q[t] = reshape(Q @ x[t], shape=(2, 3))
    k[t] = reshape(K @ x[t], shape=(2, 3))
    v[t] = reshape(V @ x[t], shape=(2, 3))
    a[t,s] = softmax(einsum("hd,hd->h", q[t], k[s]), over=s)
    o[t] = sum(einsum("h,hd->hd", a[t,s], v[s]), over=s)
    c[t] = C @ reshape(o[t], shape=(6,))"""


def test_weights_of_many_numbers_are_drawn_by_their_mean_or_one_by_one() -> None:
    model = tr.equations(HEADS, dtype="float64", x=4, c=3, Q=(6, 4), K=(6, 4), V=(6, 4))
    found = roles(model.system)
    run = model.run(x=np.random.default_rng(0).standard_normal((1, 4, 4)))
    (one,) = attentions(found)
    assert (one.weights, one.contexts, one.read, one.features) == ("a", ("o",), ("v",), (2,))
    for quantity, weights, said in ((None, run["a"][0].mean(-1), "the mean of 2 numbers"),
                                    ("a[1]", run["a"][0][..., 0], "number 1 of 2"),
                                    ("a[2]", run["a"][0][..., 1], "number 2 of 2")):
        drawing = attention_scene(found, Values(model.system, run), focus=3, quantity=quantity)
        for wire in fan(drawing, "a"):
            t, s = (int(p) for p in place(wire, "t", "s"))
            assert t != 3 or wire.width == pytest.approx(0.6 + 4 * weights[2, s - 1])
        assert any(said in string(n.label) for n in drawing.notes)
    with pytest.raises(BadValue, match="features 1 to 2"):
        attention_scene(found, None, quantity="a[3]")


@pytest.mark.parametrize("text,reason", [
    ("a[s] = softmax(dot(v, x[s]), over=s)\nc = sum(a[s] * x[s], over=s)", r"a\[s\] is normalised over s, and has no"),
    ("a[l,s] = softmax(dot(v[l], x[s]), over=s)", r"a\[l,s\] is normalised over s, and of its other indices none"),
    ("c[t] = sum(softmax(dot(x[t], x[s]), over=s) * x[s], over=s)", r"c\[t\] has its weights inside; give softmax"),
    ("m[t,s] = tanh(x[t] + x[s])\nc[t] = max(m[t,s], over=s)", r"m\[t,s\] is neither normalised over one of its"),
])
def test_what_is_no_attention_is_told_with_its_reason(text: str, reason: str) -> None:
    sizes = {"l": 2, "v": (3,)} if "l" in text.split("=")[0] else {}
    with pytest.raises(BadValue, match=reason):
        attention_scene(roles(tr.equations(text, x=3, **sizes).system), None)
