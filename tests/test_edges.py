"""Gradients of models where probabilities are 0 or 1, logarithms infinite and powers trivial; compiled and not."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import jit
from tinygrad_rnn.node import walk


@pytest.fixture(params=[True, False], ids=["compiled", "called"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test both compiled and through NumPy."""
    monkeypatch.setitem(jit._switch, "on", request.param)


@pytest.mark.parametrize("dtype,tolerance", [("float32", 1e-5), ("float64", 1e-12)])
def test_classes_that_are_impossible_have_no_gradient(dtype, tolerance):
    """A pointer network: where nothing points to a class, its probability is exactly 0."""
    model = tr.equations("""
        g[t] = sigmoid(dot(v, x[t]))
        p[t] = g[t] * q[t]
        loss = mean(cross_entropy(p[t], target[t]))""", x=3, p=4, q=4, dtype=dtype)
    rng = np.random.default_rng(0)
    x, q = rng.standard_normal((2, 3, 3)), np.zeros((2, 3, 4))
    q[..., 1:3] = 0.5
    loss, grads = model.value_and_grad(x=x, q=q, target=np.ones((2, 3), int))
    gate = 1 / (1 + np.exp(-x @ np.array(model.weights["v"], float)))
    np.testing.assert_allclose(loss, -np.log(gate / 2).mean(), rtol=tolerance)
    np.testing.assert_allclose(grads["v"], ((gate - 1)[..., None] * x).mean((0, 1)), rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_answers_that_are_certain_and_right_have_no_gradient(dtype):
    model = tr.equations("p[t] = clip(x[t], 0, 1)\nloss = sum(binary_cross_entropy(p[t], k[t]))", x=4, k=4, dtype=dtype)
    _, grads = model.value_and_grad(x=np.array([[[2.0, -1.0, 0.5, 1.0]]]), k=np.array([[[1.0, 0, 0, 1]]]), wrt="x")
    np.testing.assert_allclose(grads["x"], [[[0, 0, 2, 0]]])


def test_the_gradient_by_a_softmax_whose_loss_comes_from_what_goes_into_it():
    model = tr.equations("y[t] = softmax(W @ x[t])\nloss = mean(cross_entropy(y[t], k[t]))", x=3, y=4, dtype="float64")
    data = {"x": np.random.default_rng(0).standard_normal((2, 3, 3)), "k": np.array([[0, 1, 3], [2, 2, 0]])}
    y, hot = model.run(data, want="y")["y"], np.eye(4)[data["k"]]
    _, both = model.value_and_grad(data, wrt=["y", "W"])
    np.testing.assert_allclose(both["y"], -hot / y / 6, rtol=1e-12)
    np.testing.assert_allclose(both["W"], np.einsum("nti,ntj->ij", y - hot, data["x"]) / 6, rtol=1e-12)


def test_a_recurrence_in_logarithms_whose_states_are_partly_out_of_reach():
    """The number of paths to s in t steps, each step staying or going one on: log binomial(t, s - 1)."""
    model = tr.equations("""
        a[t,s] = logsumexp(stack(a[t-1,s], a[t-1,s-1]), axis=0) + w * x[t]
        a[0,s] = where(s == 1, 0, -inf)
        a[t,0] = -inf
        a[0,0] = -inf
        reached[t,s] = where(a[t,s] > -inf, a[t,s], 0) + 0 * z[s]
        loss = sum(reached[t,s])""", x=(), z=(), w=(), dtype="float64")
    model.weights["w"] = 0.0
    data = {"x": np.ones((1, 4)), "z": np.zeros((1, 6))}
    paths = np.array([[1, 1, 0, 0, 0, 0], [1, 2, 1, 0, 0, 0], [1, 3, 3, 1, 0, 0], [1, 4, 6, 4, 1, 0]])
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(model.run(data, want="a")["a"][0], np.log(paths), rtol=1e-12, atol=1e-12)
    _, grads = model.value_and_grad(data)
    assert grads["w"] == pytest.approx(2 * 1 + 3 * 2 + 4 * 3 + 5 * 4)


def test_derivatives_of_trivial_powers_at_zero():
    model = tr.equations("y = sum(x[t] ** 0 + 3 * x[t] ** 1 + x[t] ** 2 + x[t] ** e[t])", x=(), e=(), dtype="float64")
    data = {"x": np.zeros((1, 4)), "e": np.array([[0.0, 1, 2, 3]])}
    first = model.grad("y", "x")
    np.testing.assert_array_equal(first.run(data)["d_x"], [[3, 4, 3, 3]])
    second = first.extend("z = sum(d_x[t])").grad("z", "x")
    np.testing.assert_array_equal(second.run(data)[second.adjoints["x"]], [[2, 2, 4, 2]])


# What is not selected is computed from a target that is NaN, or at a pole.
MASKED = {
    "squared error": "loss = mean(where(m[t] > 0, squared_error(y[t], k[t]), 0))",
    "on the other side": "loss = mean(where(m[t] == 0, 0, squared_error(k[t], y[t])))",
    "what is missing": "loss = sum(where(k[t] == k[t], 2 * squared_error(y[t], k[t]) / 3, 0)) / sum(m[t])",
    "summed before": "loss = mean(where(m[t] > 0, sum(-squared_error(y[t], k[t]), axis=0) ** 3, 0))",
    "cross entropy": "loss = mean(where(m[t] > 0, cross_entropy(softmax(y[t]), k[t]), 0))",
    "binary": "loss = mean(where(m[t] > 0, binary_cross_entropy(sigmoid(y[t]), k[t]), 0))",
    "poles": "loss = mean(where(m[t] > 0, tanh(y[t]) / m[t] + log(m[t]) * y[t], y[t]))",
    "nested": "loss = mean(where(m[t] > 0, where(y[t] > 0.1, log(abs(y[t] * k[t]) + 1), y[t] - k[t]), y[t] ** 2))",
    "twice": "loss = mean(where(m[t] > 0, y[t] * k[t] + (k[t] - y[t]) ** 2, 0) * exp(y[t]))",
}


@pytest.mark.parametrize("text", MASKED.values(), ids=MASKED)
def test_what_is_not_selected_has_no_gradient_even_where_it_is_not_a_number(text):
    """As with numbers in the place of NaN and of poles: values, gradients, the gradient as printed, the unrolled graph.
    """
    m = np.array([[1.0, 0, 2, 0, 1], [0, 0.5, 1, 1, 0], [1, 1, 0, 1, 1]])
    rng, lengths = np.random.default_rng(0), [5, 3, 4]
    x, k = rng.standard_normal((3, 5, 3)), rng.uniform(0.1, 1, (3, 5, 2))
    model = tr.equations(f"h[t] = tanh(U @ h[t-1] + W @ x[t])\ny[t] = V @ h[t]\n{text}",
                         x=3, h=4, y=2, m=(), dtype="float64")
    names = [n for n in model.weights if n != "m"]
    missing = {"x": x, "m": m, "k": np.where(m[..., None] > 0, k, np.nan)}
    missing = {name: value for name, value in missing.items() if name in model.system.of_role("input")}
    loss, grads = model.value_and_grad(missing, lengths=lengths)
    if "k" in missing and "k[t] == k[t]" not in text:
        expected, theirs = model.value_and_grad({**missing, "k": k}, lengths=lengths)
        assert loss == expected
        for name in names:
            np.testing.assert_allclose(grads[name], theirs[name], rtol=1e-12, atol=1e-15)
    step, checked = 1e-6, names[0]
    at, slope = np.array(model.weights[checked]), np.zeros((4, 4))
    for place in np.ndindex(at.shape):
        sides = []
        for by in (step, -step):
            moved = at.copy()
            moved[place] += by
            model.weights[checked] = moved
            sides.append(model.value_and_grad(missing, lengths=lengths)[0])
        slope[place] = (sides[0] - sides[1]) / (2 * step)
    model.weights[checked] = at
    np.testing.assert_allclose(grads[checked], slope, rtol=1e-5, atol=1e-8)
    printed = tr.equations(str(model.grad("loss")), dtype="float64")
    printed.weights.update(model.weights)
    found = printed.run(missing, lengths=lengths, want=[f"d_{name}" for name in names])
    flat = model.unroll(5).value_and_grad(missing, lengths=lengths)[1]
    for name in names:
        np.testing.assert_allclose(found[f"d_{name}"], grads[name], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(flat[name], grads[name], rtol=1e-12, atol=1e-15)


def test_tensors_are_selected_alike():
    a = tr.Tensor(np.array([0.0, 2.0, -1.0]), requires_grad=True)
    loss = tr.where(a > 0, tr.log(a) * a, 0).sum()
    loss.backward()
    np.testing.assert_allclose(a.grad.numpy(), [0, 1 + np.log(2), 0], rtol=1e-6)


def test_a_long_chain_of_conditions_is_a_graph_of_its_own_size():
    """Each branch has its own condition, and those around it, which are no more than few."""

    def terms(count: int) -> int:
        text = "x[t]"
        for k in range(count):
            text = f"where(x[t] > {k}, {k} * x[t] ** 2, {text})"
        derived = tr.equations(f"loss = sum({text})", x=()).grad("loss", "x")
        return sum(1 for _ in walk(eq.rhs for eq in derived.system.equations))

    few, twice, four_times = map(terms, (40, 80, 160))
    assert four_times - twice < 2.2 * (twice - few)
