"""The derived equations: what they say, that they read back, and that they can be derived again."""

from __future__ import annotations

import numpy as np
import pytest
from compiling import compiling
from zoo import LSTM, MODELS, build, data, dynamic

import tinygrad_rnn as tr


@pytest.mark.parametrize("name", MODELS)
def test_text_reads_back_to_the_same_graph(name):
    model = build(name)
    for one in (model, model.grad("loss")):
        again = tr.equations(str(one), dtype="float64")
        assert [e.key for e in again.system.equations] == [e.key for e in one.system.equations]
        assert all(a.rhs is b.rhs for a, b in zip(again.system.equations, one.system.equations, strict=True))


@pytest.mark.parametrize("name", ["lstm", "attention", "bidirectional", "static_index"])
def test_the_printed_gradient_gives_the_same_numbers(name):
    model = build(name)
    inputs = data(model, 2, {i: 4 for i in dynamic(model)})
    derived = model.grad("loss")
    again = tr.equations(str(derived), dtype="float64")
    for weight in model.weights:
        again.weights[weight] = model.weights[weight]
    _, grads = model.value_and_grad(inputs)
    out = again.run(inputs, want=list(derived.adjoints[w] for w in model.weights))
    for weight in model.weights:
        np.testing.assert_array_equal(out[derived.adjoints[weight]], grads[weight])


def test_what_the_lstm_gradient_says():
    text = str(tr.equations(LSTM, x=27, h=64, y=27).grad("loss"))
    for line in ("d_a_f[t] = d_f[t] * f[t] * (1 - f[t])",
                 "d_c[t] = d_h[t] * o[t] * (1 - tanh(c[t]) ** 2) + d_c[t+1] * f[t+1]",
                 "d_W_hf = sum(outer(d_a_f[t], h[t-1]), over=(t, n))",
                 "d_b_f = sum(d_a_f[t], over=(t, n))"):
        assert line in text.splitlines()
    assert "/ count(t, n)" in text


@pytest.mark.parametrize("text,expected", [
    ("h[t] = tanh(U @ h[t-1] + x[t])\nloss = sum(h[T])", "where(t == T, "),
    ("h[t] = tanh(U @ h[t-1] + x[t])\nh[0] = b\nloss = sum(h[t])", "d_h[0] = transpose(U) @ d_a_h[1]"),
    ("e[t] = embed(E, w[t])\nloss = sum(e[t])\nw[t]: 27\ne[t]: 3", "outer(one_hot(w[t], size=27), "),
])
def test_forms_of_the_printed_gradient(text, expected):
    sizes = {} if "embed" in text else {"x": 3}
    assert expected in str(tr.equations(text, **sizes).grad("loss"))


def test_adjoints_avoid_names_that_are_taken():
    model = tr.equations("d_h[t] = W @ x[t]\nh[t] = tanh(d_h[t] + U @ h[t-1])\nloss = mean(h[t] * h[t])", x=2, h=3)
    derived = model.grad("loss")
    assert derived.adjoints["h"] != "d_h" and len(set(derived.adjoints.values())) == len(derived.adjoints)
    model.check_gradient(x=np.random.default_rng(0).standard_normal((2, 3, 2)))


def test_gradients_of_inputs():
    model = build("lstm")
    inputs = data(model, 2, {"t": 4})
    _, grads = model.value_and_grad(inputs, wrt=["x", "W_xi"])
    assert grads.keys() == {"x", "W_xi"} and grads["x"].shape == inputs["x"].shape
    v, eps = np.random.default_rng(5).standard_normal(inputs["x"].shape), 1e-6
    moved = [model.run({**inputs, "x": inputs["x"] + s * eps * v}, want="loss")["loss"] for s in (1, -1)]
    np.testing.assert_allclose((moved[0] - moved[1]) / (2 * eps), np.sum(grads["x"] * v), rtol=1e-6)


@pytest.mark.parametrize("name,weight", [("lstm", "W_hf"), ("attention", "U"), ("static_index", "U")])
def test_hessian_vector_products(name, weight):
    model = build(name)
    inputs = data(model, 2, {i: 4 for i in dynamic(model)})
    shape = model.weights[weight].shape
    indexed = f"{weight}[l]" if model.system.quantities[weight].slots else weight
    v = "direction[l]" if "[" in indexed else "direction"
    derived = model.grad("loss", [weight])
    product = f"d_{indexed} * {v}"
    bigger = derived.extend(f"curvature = sum({product})")
    direction = np.random.default_rng(4).standard_normal(shape)
    bigger.weights["direction"] = direction
    _, found = bigger.value_and_grad(inputs, of="curvature", wrt=[weight])
    here, eps, sides = np.array(model.weights[weight]), 1e-6, []
    for sign in (1, -1):
        model.weights[weight] = here + sign * eps * direction
        sides.append(model.value_and_grad(inputs, wrt=[weight])[1][weight])
    np.testing.assert_allclose(found[weight], (sides[0] - sides[1]) / (2 * eps), atol=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_latex_has_balanced_braces_and_a_row_per_equation(name):
    for model in (build(name), build(name).grad("loss")):
        latex = model.latex()
        assert latex.count("{") == latex.count("}")
        assert latex.count(r"\left") == latex.count(r"\right")
        assert latex.count("&=") + latex.count(r"&\sim") == len(model.system.equations)


@pytest.mark.parametrize("loss", [
    "sum(u * (1 + 0 * h[t]))", "sum(u / (1 + 0 * h[t]))", "sum(u * exp(0 * h[t]))",
    "sum(outer(1 + 0 * h[t], u * h[t]))", "mean(u * (3 + 0 * h[t]), over=(t, n))[0] * u"])
def test_what_simplifies_to_a_number_keeps_its_shape(loss):
    model = tr.equations(f"h[t] = tanh(A @ h[t-1] + W @ x[t])\nloss = {loss}", x=3, h=4, u=(), dtype="float64")
    model.weights["u"] = 0.7
    inputs = {"x": np.random.default_rng(0).standard_normal((2, 5, 3))}
    model.check_gradient(inputs)


STRETCHED = ["sum(x[t] + u[t])", "sum(mean(x[t] + b, axis=0))", "sum(where(x[t] > 0, x[t], u[t]))", "sum(b - x[t])",
             "sum(maximum(x[t], u[t]) * x[t])", "mean(x[t] + b) + b", "sum(x[t] / (2 + u[t]**2))",
             "sum(x[t] + b + u[t])"]


@pytest.mark.parametrize("loss", STRETCHED)
def test_a_number_that_meets_vectors_gets_the_sum_over_their_features(loss):
    model = tr.equations(f"u[t] = b * y[t]\nloss = {loss}", x=3, y=(), b=(), dtype="float64")
    model.weights["b"] = 0.7
    rng = np.random.default_rng(0)
    model.check_gradient({"x": rng.standard_normal((2, 4, 3)), "y": rng.standard_normal((2, 4))})


@pytest.mark.parametrize("law", [
    "sum(concat(x[t], b), over=t)", "mean(stack(x[t], b[0:3], axis=0), over=t)[1]", "sum(concat(b, a[l]), over=l)",
    "sum(mean(concat(b, x[t]), over=n) * t, over=t)", "sum(reshape(concat(x[t], b), shape=(7,)), over=t)"])
@pytest.mark.parametrize("lengths", [None, [4, 2]])
def test_a_part_that_is_the_same_at_all_positions_that_are_summed(law, lengths):
    model = tr.equations(f"r = {law}\nloss = sum(r * r) + mean(x[t]) + sum(a[l])", x=3, b=4, a=2, l=3, dtype="float64")
    model.initialise(1, {"*": tr.Normal(0.5)})
    model.check_gradient({"x": np.random.default_rng(0).standard_normal((2, 4, 3))}, lengths=lengths)


def test_the_gradient_tells_no_size_of_what_only_a_declaration_read():
    model = tr.equations("""
        h[t] = tanh(W @ x[t])
        k[t] = bernoulli(w[t])
        loss = mean(h[t] * k[t])""", x=3, w=2)
    derived = model.grad("loss")
    assert str(tr.equations(str(derived))) == str(derived) and "w[t]" not in str(derived)


@pytest.mark.parametrize("text,expected", [
    ("r = mean(a[l])", lambda a: a.mean()),
    ("r = mean(a[l] * a[l])", lambda a: (a * a).mean()),
    ("k = mean(a[l], over=l)\nr = sum(k * k)", lambda a: (a.mean(0) ** 2).sum()),
    ("k[l] = mean(a[l] * x[t], over=(t, n))\nr = sum(k[l])", lambda a: (a * np.ones(3)).sum()),
    ("k[l] = mean(a[l] * x[t], over=(t, n), axis=0)\nr = max(k[l])", lambda a: a.mean(1).max()),
])
@pytest.mark.parametrize("compiled", [True, False])
def test_a_mean_over_an_index_of_fixed_size_is_the_same_for_all_examples(text, expected, compiled):
    model = tr.equations(f"{text}\nloss = r + 0 * mean(x[t])", l=2, a=3, x=3, dtype="float64")
    model.initialise(1, {"a": tr.Normal(1.0)})
    data = {"x": np.ones((4, 5, 3)), "lengths": [5, 1, 2, 3]}
    with compiling(compiled):
        assert model.run(data, want="r")["r"] == pytest.approx(expected(np.array(model.weights["a"])), rel=1e-12)
        model.check_gradient(data)
