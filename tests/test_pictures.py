"""Pictures of runs, of equations, at every level of detail, and of every ready model."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest
from zoo import LSTM, MODELS, build, data, dynamic

import tinygrad_rnn as tr
from tinygrad_rnn.viz.api import make_scene, make_view
from tinygrad_rnn.viz.colouring import SCALES, colour_of
from tinygrad_rnn.viz.graph.roles import roles
from tinygrad_rnn.viz.scene import Mark
from tinygrad_rnn.viz.style import RAMPS, WRONG
from tinygrad_rnn.viz.text import Span, formula, quantity, string
from tinygrad_rnn.viz.values import Values

SVG = "{http://www.w3.org/2000/svg}"


def lstm():
    return tr.equations(LSTM, x=3, h=4, y=3, dtype="float64")


def trace(model, steps=3, batch=2, **options):
    return model.trace(data(model, batch, {i: steps for i in dynamic(model)}), **options)


# -- what a run gives ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in MODELS if "loss" in MODELS[n][0]])
def test_a_trace_has_what_the_run_and_the_gradient_have(name):
    model = build(name)
    inputs = data(model, 2, {i: 3 for i in dynamic(model)})
    found, derived = model.trace(inputs), model.grad()
    plain = model.run(inputs)
    assert set(plain) <= set(found)
    for quantity_name, value in plain.items():
        np.testing.assert_array_equal(found[quantity_name], value)
    for quantity_name, adjoint in found.adjoints.items():
        assert derived.adjoints[quantity_name] == adjoint and found[adjoint].shape == found[quantity_name].shape


def test_the_gradient_of_a_trace_is_what_the_loss_changes_by():
    model = tr.equations("h[t] = tanh(U @ h[t-1] + W @ x[t])\nloss = sum(h[T] * h[T])", x=3, h=4, dtype="float64")
    rng = np.random.default_rng(0)
    x, direction = rng.standard_normal((2, 5, 3)), rng.standard_normal((2, 4))
    state = model.run(x=x[:, :2]).state

    def loss(by):
        return float(model.run(x=x[:, 2:], state={"h": state["h"] + by * direction[:, None]})["loss"])

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    assert float(np.sum(model.trace(x=x)["d_h"][:, 1] * direction)) == pytest.approx(slope, rel=1e-6)


def test_values_are_found_by_mark():
    model = build("attention")
    inputs = data(model, 3, {"t": 2, "s": 4})
    found = model.trace(inputs, lengths={"t": [2, 1, 2], "s": [4, 3, 2]})
    values = Values(model.system, found, example=2)
    assert values.sizes["s"] == 2
    np.testing.assert_array_equal(values.at(Mark("a", (("t", 2), ("s", 1)))), found["a"][2, 1, 0])
    np.testing.assert_array_equal(values.at(Mark("a", (("t", 2),))), found["a"][2, 1])
    np.testing.assert_array_equal(values.gradient_at(Mark("k", (("s", 2),))), found["d_k"][2, 1])
    for nowhere in (Mark("k", (("s", 3),)), Mark("k", (("s", 0),)), Mark("k", (("s", 9),)), Mark("A")):
        assert values.at(nowhere) is None


@pytest.mark.parametrize("index", ["t", "s"])
def test_lengths_are_of_the_only_index(index):
    model = tr.equations(f"h[{index}] = tanh(W @ x[{index}] + U @ h[{index}-1])", x=2, h=3)
    found = model.run(x=np.ones((2, 5, 2)), lengths=[3, 5])
    assert [Values(model.system, found, example=k).sizes for k in (0, 1)] == [{index: 3}, {index: 5}]


def test_values_that_do_not_fit_are_refused(tmp_path):
    model = lstm()
    found = trace(model)
    for values, error, said in (([1], tr.Error, "a dict of arrays by name, not list"),
                                ({"nothing": np.ones(3)}, tr.Error, "has no such quantity"),
                                ({"h": np.ones((2, 3))}, tr.Error, r"h have shape \(2, 3\); batch, t and features"),
                                ({"W_hi": np.ones((4, 4))}, tr.Error, "none of the quantities and positions")):
        with pytest.raises(error, match=said):
            model.draw(tmp_path / "a.svg", view="unrolled", values=values)
    with pytest.raises(tr.Error, match="colour='gradient' needs values="):
        model.draw(tmp_path / "a.svg", colour="gradient")
    for options, said in (({"example": 2}, "must be from 0 to 1, not 2"), ({"example": 1.5}, "is a whole number"),
                          ({"colour": "red"}, "colour is 'value' or"),
                          ({"focus": 1}, "focus= goes with the view 'attention'")):
        with pytest.raises(tr.Error, match=said):
            model.draw(tmp_path / "a.svg", view="unrolled", values=found, **options)
    with pytest.raises(tr.Error, match=r"Model\.trace gives them"):
        model.draw(tmp_path / "a.svg", view="unrolled", values=model.run(data(model, 2, {"t": 3})), colour="gradient")
    with pytest.raises(tr.Error, match="values colour a picture"):
        model.draw(tmp_path / "a.dot", view="unrolled", values=found)
    assert not list(tmp_path.iterdir())


# -- colours ---------------------------------------------------------------------------------------


def fills(scene, name):
    """The colours of a quantity's boxes, from the first step."""
    return [s.fill for s in sorted(scene.shapes, key=lambda s: s.x) if s.mark is not None and s.mark.name == name
            and s.mark.at and s.mark.at[0][1] != 0 and s.style != "none"]


def test_boxes_have_the_colour_of_their_number():
    model = lstm()
    found = trace(model)
    scene = make_scene(model, "unrolled", values=Values(model.system, found))
    for k, fill in enumerate(fills(scene, "f")):
        assert fill == colour_of("gate", float(found["f"][0, k].mean()))
    for k, fill in enumerate(fills(scene, "h")):
        assert fill == colour_of("activation", float(np.sqrt(np.mean(found["h"][0, k] ** 2))))
    assert len(fills(scene, "h")) == 3  # as many columns as the run has steps
    loss = next(s for s in scene.shapes if s.mark == Mark("loss"))
    assert loss.fill is None and loss.name == f"loss: value {found['loss']:.3g}"


def test_gradients_are_coloured_by_their_decade():
    model = lstm()
    found = trace(model)
    scene = make_scene(model, "backward", values=Values(model.system, found), colour="gradient")
    norms = {(n, k): np.linalg.norm(found[f"d_{n}"][0, k]) for n in "ifogch" for k in range(3)}
    top = max(norms.values())
    for name in "ifogch":
        for k, fill in enumerate(fills(scene, name)):
            n = norms[name, k]
            assert fill == colour_of("gradient", 1 + np.log10(n / top) / 6 if n else 0.0)


def test_what_is_not_finite_is_red_and_says_so():
    model = lstm()
    inputs = data(model, 2, {"t": 3})
    inputs["x"][0, 1] = np.nan
    scene = make_scene(model, "unrolled", values=Values(model.system, model.run(inputs)))
    assert fills(scene, "h")[1:] == [WRONG, WRONG] and fills(scene, "h")[0] != WRONG
    assert {"h⟨2⟩: not finite", "loss: not finite"} <= {s.name for s in scene.shapes}
    other = make_scene(model, "unrolled", values=Values(model.system, model.run(inputs), example=1))
    assert WRONG not in fills(other, "h")


def test_ramps_grow_darker_and_text_on_them_is_read():
    for scale in (s for s in SCALES.values() if s.ramp):
        shades = [luminance(colour_of(scale.ramp, k / 20)) for k in range(21)]
        assert all(a > b for a, b in pairwise(shades))
        ink = luminance("#1A1A1A")
        assert (min(shades) + 0.05) / (ink + 0.05) > 4.5  # the contrast that accessibility guidelines ask for
    assert colour_of("gate", -3) == RAMPS["gate"][0] and colour_of("gate", 7) == RAMPS["gate"][-1]


def luminance(colour):
    """Relative luminance, as the Web Content Accessibility Guidelines define it."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_what_follows_two_sequences_stands_in_no_column_of_initial_values():
    text = """
        h[t] = tanh(W @ x[t] + U @ h[t-1])
        g[s] = tanh(W @ z[s] + U @ g[s-1])
        d = h[T] - g[S]
        score = sum(abs(d), axis=0)
        loss = mean(squared_error(exp(-score), label[n]))
    """
    scene = make_scene(tr.equations(text, x=2, z=2, h=3), "unrolled", steps=3)
    score, label = (next(s for s in scene.shapes if s.name == name) for name in ("score", "label"))
    assert score.centre[1] == label.centre[1] and score.x + score.w < label.x


# -- symbols and notation --------------------------------------------------------------------------


@pytest.mark.parametrize("name,shown,latex", [
    ("h", "h", "h"), ("W_hf", "Whf", "W_{hf}"), ("alpha", "α", r"\alpha"), ("y_hat", "ŷ", r"\hat{y}"),
    ("h1", "h1", "h_{1}"), ("sigma_2", "σ2", r"\sigma_{2}"), ("loss", "loss",
    r"\text{loss}"), ("d_", "d", "d"), ("_x", "_x", r"\_\text{x}"), ("d_1", "d1", "d_{1}"),
    ("β_1", "β1", r"\beta_{1}")])
def test_names_are_symbols(name, shown, latex):
    label = quantity(name)
    assert "".join(s.text for s in label) == shown and string(label) == name
    model = tr.equations(f"{name}[t] = tanh(U @ q[t])", q=2, **{name: 2})
    assert model.latex().splitlines()[1].strip().startswith(latex)


def test_adjoints_are_written_as_in_latex():
    text = "k[t] = tanh(W @ x[t] + U @ k[t-1] + d_k)\nh[t] = tanh(k[t]) * k[t-1] * k[t]\nloss = mean(h[t] ** 2)"
    model = tr.equations(text, x=3, k=2)

    def said(of: tr.Model, **options: object) -> set[str]:
        scene = make_scene(of, "equations", **options)
        return {"".join(s.text for s in n.label) for n in scene.notes}

    assert "=  tanh(W x⟨t⟩ + U k⟨t−1⟩ + dk)" in said(model) and not any("δ" in text for text in said(model))
    assert {"δdk", "δ1h⟨t⟩", "δak⟨t⟩", "δh⟨t⟩"} <= said(model.grad())
    assert {"δdk", "δ1ht", "δak,t", "δht"} <= said(model.grad(), notation="subscript")
    boxes = {"".join(s.text for s in shape.label): shape.name for shape in make_scene(model.grad()).shapes}
    assert boxes["δ1h⟨t⟩"] == "d_h_1⟨t⟩" and boxes["δdk"] == "d_d_k"


def test_positions_as_subscripts():
    scene = make_scene(lstm(), "unrolled", notation="subscript")
    labels = [s.label for s in scene.shapes]
    text = {"".join(span.text for span in label) for label in labels}
    assert {"x1", "x2", "h0"} <= text and not any("⟨" in t for t in text)
    assert all(span.rise < 0 for label in labels for span in label if span.text == "1")


def test_equations_stand_beside_the_diagram_in_its_colours():
    model = lstm()
    scene = make_scene(model, "equations")
    found = roles(model.system)
    shown = ["".join(s.text for s in n.label) for n in scene.notes]
    for eq in model.system.equations:
        assert any(t.startswith(eq.name[0]) for t in shown)
    assert {"c  t−1", "h  t−1"} <= set(shown)  # the diagram's own notes
    assert any("σ(" in t for t in shown) and "input gate" in shown
    colours = {span.text: span.colour for n in scene.notes for span in n.label if span.colour}
    assert colours["c"] == "#C04E00" and colours["h"] == "#0067A5" and colours["W"] == "#8A6A00"
    assert colours["f"] == "#A85F00" and found.role["f"] == "gate"
    assert all(n.x < scene.width and 0 < n.y < scene.height for n in scene.notes)


def test_long_equations_are_broken_before_an_operator():
    terms = " + ".join(f"W_{k} @ x[t]" for k in range(30))
    scene = make_scene(tr.equations(f"y[t] = {terms}", x=2, y=2), "equations")
    lines = ["".join(s.text for s in n.label) for n in scene.notes if "W" in "".join(s.text for s in n.label)]
    assert len(lines) > 2 and all(line.lstrip().startswith(("=", "+ ")) for line in lines)
    assert "".join(lines).count("W") == 30 and scene.width < 1200


def test_a_formula_keeps_the_names_of_functions_upright():
    spans = formula("softmax(W_hy @ h[t] + b_y)")
    assert spans[0] == Span("softmax(") and spans[1].italic and spans[1].source == "W_hy"
    shown = "".join(s.text for s in formula("transpose(W) @ d_a[t+1] * (1 - sigmoid(h[t-1]) ** 2)"))
    assert shown == "Wᵀ δa⟨t+1⟩ ⊙ (1 − σ(h⟨t−1⟩)2)"


# -- detail ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["folded", "unrolled", "backward"])
def test_detail(view):
    model = lstm()
    closed, gates, ops = (make_scene(model, view, steps=2, detail=d) for d in ("closed", "gates", "ops"))
    names = [{s.mark.name for s in scene.shapes if s.mark is not None} for scene in (closed, gates, ops)]
    assert not closed.panels and gates.panels and ops.panels
    assert "f" not in names[0] and {"i", "f", "o", "g", "c", "h"} <= names[1] & names[2]
    symbols = ["".join(s.text for s in shape.label) for shape in ops.shapes]
    assert "×" in symbols and "×" not in ["".join(s.text for s in shape.label) for shape in gates.shapes]


def test_a_folded_cell_that_is_open_has_its_loops():
    scene = make_scene(lstm(), "folded", detail="ops")
    loops = [w for w in scene.wires if w.dashed]
    assert sorted("".join(s.text for s in w.label) for w in loops) == ["c  t−1", "h  t−1"]
    (panel,) = scene.panels
    for w in loops:
        (x0, y0), (x1, y1) = w.points[0], w.points[-1]
        assert x0 == pytest.approx(panel.x + panel.w) and x1 == pytest.approx(panel.x)
        assert panel.y < y0 < panel.y + panel.h and panel.y < y1 < panel.y + panel.h


def links(text, view="unrolled", steps=3, **sizes):
    """Which box feeds which."""
    found = make_view(tr.equations(text, **sizes), view, steps).links
    return {(li.source, li.target) for li in found}, {(li.source, li.target) for li in found if li.gradient}


def test_a_sum_over_shifted_positions_reads_those_that_there_are():
    wires, _ = links("y[t] = tanh(W @ x[t])\nloss = mean(squared_error(y[t], x[t+1]))", x=2, y=2)
    assert {s for s, t in wires if t == "loss"} == {"y.0", "y.1", "y.2", "x.1", "x.2"}


def test_draws_have_no_gradient():
    wires, back = links("m[t] = dropout(x[t], 0.5)\nh[t] = tanh(W @ m[t] + U @ h[t-1])\nloss = sum(h[t])", "backward",
                        x=2, h=2)
    masks = {s for s, _ in wires if s.startswith("mask")}
    assert masks and not masks & {s for s, _ in back}


def test_each_layer_has_its_own_weight():
    model = tr.equations("""
        h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1])
        h[0,t] = E @ x[t]""", l=2, x=3, h=4)
    labels = {string(li.label) for li in make_view(model, "unrolled", 2).links}
    assert {"U⟨1⟩", "U⟨2⟩"} <= labels


# -- everything ------------------------------------------------------------------------------------


def test_views_without_a_text_form(tmp_path):
    with pytest.raises(tr.Error, match="the equations view is a picture and has no text form"):
        lstm().draw(tmp_path / "a.dot", view="equations")


def test_the_svg_says_what_a_box_had(tmp_path):
    model = lstm()
    found = trace(model)
    text = model.draw(tmp_path / "a.svg", view="unrolled", values=found).read_text(encoding="utf-8")
    titles = {t.text for t in ET.fromstring(text).iter(f"{SVG}title")}
    expected = f"f⟨2⟩: mean openness {found['f'][0, 1].mean():.3g}"
    assert expected in titles and re.search(r'fill="#[0-9A-F]{6}" stroke="#A85F00"', text)
