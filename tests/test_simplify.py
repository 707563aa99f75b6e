"""Derived equations as a lecture has them: backpropagation through time of textbook cells, and what tidying keeps."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.printing.printer import equation_text


def derived(text: str, **sizes: object) -> dict[str, str]:
    """Left side -> right side of the derived equations."""
    model = tr.equations(text, **sizes)
    equations = model.grad("loss").system.equations[len(model.system.equations) :]
    return dict(equation_text(eq).split(" = ", 1) for eq in equations)


def test_elman_as_in_a_textbook() -> None:
    found = derived("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)\ny[t] = V @ h[t] + c\n"
                    "loss = mean(squared_error(y[t], k[t]))", x=3, h=4, y=2)
    assert found == {
        "d_loss": "1",
        "d_y[t]": "(y[t] - k[t]) / count(t, n)",
        "d_h[t]": "transpose(V) @ d_y[t] + transpose(U) @ d_a_h[t+1]",
        "d_a_h[t]": "d_h[t] * (1 - h[t] ** 2)",
        "d_W": "sum(outer(d_a_h[t], x[t]), over=(t, n))",
        "d_U": "sum(outer(d_a_h[t], h[t-1]), over=(t, n))",
        "d_b": "sum(d_a_h[t], over=(t, n))",
        "d_V": "sum(outer(d_y[t], h[t]), over=(t, n))",
        "d_c": "sum(d_y[t], over=(t, n))",
    }


def test_the_path_past_a_gate_of_the_gru_is_no_temporary() -> None:
    found = derived("z[t] = sigmoid(W @ x[t] + U @ h[t-1])\ng[t] = tanh(P @ x[t] + Q @ h[t-1])\n"
                    "h[t] = (1 - z[t]) * h[t-1] + z[t] * g[t]\nloss = mean(squared_error(h[t], k[t]))", x=3, h=4)
    assert found["d_h[t]"] == ("(h[t] - k[t]) / (2 * count(t, n)) + d_h[t+1] * (1 - z[t+1]) + "
                               "transpose(Q) @ d_a_g[t+1] + transpose(U) @ d_a_z[t+1]")
    assert found["d_z[t]"] == "d_h[t] * (g[t] - h[t-1])"
    assert found["d_g[t]"] == "d_h[t] * z[t]"
    assert not any("_1" in left for left in found)


def test_temporaries_are_counted() -> None:
    found = derived("h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1])\nh[0,t] = E @ x[t]\nloss = mean(h[L,t])",
                    x=3, h=4, l=2)
    assert {"d_h_1[l,t]", "d_h_2[l,t]"} <= set(found)


@pytest.mark.parametrize("text,left,right", [
    ("h[t] = tanh(x[t] @ W + h[t-1] @ U)\nloss = mean(h[t])", "d_h[t]",
     "ones_like(h[t]) / (4 * count(t, n)) + U @ d_a_h[t+1]"),  # a row times a matrix: no einsum
    ("h[t] = (1 - a) * h[t-1] + a * tanh(W @ x[t] + U @ h[t-1])\nloss = sum(h[t] ** 2)", "d_h[t]",
     "2 * h[t] + transpose(U) @ d_h_1[t+1] + d_h[t+1] * (1 - a)"),
    ("h[t] = W @ x[t]\nloss = mean(h[t] ** 2)", "d_h[t]", "h[t] / (2 * count(t, n))"),
    ("h[t] = W @ x[t]\nloss = mean((h[t] - k[t]) ** 2) + 0.01 * sum(W ** 2)", "d_W",
     "0.02 * W + sum(outer(d_h[t], x[t]), over=(t, n))"),
    ("h[t] = W @ x[t]\ny[t] = sigmoid(h[t])\nloss = sum(mean(binary_cross_entropy(y[t], k[t]), over=(t, n)))", "d_h[t]",
     "(y[t] - k[t]) / count(t, n)"),
])
def test_nothing_is_there_that_a_lecturer_would_leave_out(text: str, left: str, right: str) -> None:
    sizes = {"x": 3, "h": 4, **({"a": ()} if " a *" in text else {})}
    assert derived(text, **sizes)[left] == right


@pytest.mark.parametrize("term", ["0 * (V @ x[t])", "W @ (0 * (V @ x[t]))", "0 * log(x[t])", "0 * softmax(V @ x[t])",
                                  "0 * layer_norm(V @ x[t])", "W @ cumsum(0 * x[t])"])
def test_what_is_multiplied_by_zero_sends_nothing(term: str) -> None:
    *_, last = tr.equations(f"y[t] = x[t] + {term}\nloss = sum(y[t])", x=3, **{
        name: (3, 3) for name in "VW" if name in term}).grad("loss", ["x"]).system.equations
    assert equation_text(last) == "d_x[t] = d_y[t]"


def test_what_a_person_wrote_stays() -> None:
    written = "0.5 * (2 * x[t])", "exp(2 * w / 4)", "(w * x[t] + w * x[t-1])"
    found = derived(f"h[t] = {written[0]} * w + {written[1]} + {written[2]} ** 3\nloss = sum(h[t])", x=3)
    assert all(any(term in right for right in found.values()) for term in written)


TIDIED = ["h[t] = (1 - z[t]) * h[t-1] + z[t] * x[t]\nz[t] = sigmoid(w * x[t] + u * h[t-1])",
          "h[t] = (1 - a) * h[t-1] + a * tanh(w * x[t] + u * h[t-1])", "h[t] = tanh(x[t] @ W + h[t-1] @ U)",
          "h[t] = (w - u * x[t]) * h[t-1] - x[t] * 3 / (6 * w)",
          "h[t] = w * x[t] + w * h[t-1] - u * h[t-2] * (x[t] - 2)",
          "h[t] = concat(g[t][1:3] ** 2, tanh(g[t][0:2])[0:1] * g[t][2:3])\ng[t] = W @ x[t] + U @ h[t-1]",
          "h[t] = g[t][0] * g[t][1:4] + g[t-1][2] * x[t] * g[t][3]\ng[t] = W @ x[t] + U @ h[t-1]"]


@pytest.mark.parametrize("text", TIDIED)
@pytest.mark.parametrize("loss", ["mean(squared_error(h[t], 1))", "sum(mean((2 * h[t]) ** 2, over=t)) / 4"])
def test_tidying_keeps_the_values(text: str, loss: str) -> None:
    model = tr.equations(f"{text}\nloss = {loss}", x=3, h=3, dtype="float64", **({"g": 4} if "g[t]" in text else {}))
    for name, array in model.weights.items():
        model.weights[name] = np.random.default_rng(1).uniform(0.2, 0.8, array.shape)
    x = np.random.default_rng(0).normal(size=(2, 5, 3))
    model.check_gradient(x=x, lengths=np.array([5, 3]))
    printed = tr.equations(str(model.grad("loss")), dtype="float64")
    for name, array in model.weights.items():
        printed.weights[name] = array
    _, expected = model.value_and_grad(x=x)
    for name, value in expected.items():
        np.testing.assert_allclose(printed.run(x=x, want=f"d_{name}")[f"d_{name}"], value, rtol=1e-12)


@pytest.mark.parametrize("text,right", [
    ("sum(2 * z[t][0:3] * tanh(z[t][3:6]))", "concat(tanh(z[t][3:6]) * 2, 2 * z[t][0:3] * (1 - tanh(z[t][3:6]) ** 2))"),
    ("sum(exp(z[t][2:6])) + sum(z[t][0:2] ** 2)", "concat(2 * z[t][0:2], exp(z[t][2:6]))"),
    ("sum(exp(z[t][2:6])) + sum(z[t][0:2] ** 2) + sum(exp(z[t][0:2])) + sum(z[t] ** 3)",
     "3 * z[t] ** 2 + concat(exp(z[t][0:2]) + 2 * z[t][0:2], exp(z[t][2:6]))"),
    ("sum(exp(z[t][2:6])) + sum(z[t][0:2] ** 2) + sum(z[t][1:3] ** 3)",  # what lies across is added
     "place(3 * z[t][1:3] ** 2, axis=0, size=6, start=1, step=1, stop=3) + concat(2 * z[t][0:2], exp(z[t][2:6]))"),
    ("sum(exp(z[t][2:6])) + sum(z[t][3:6] ** 2)", "place(2 * z[t][3:6], axis=0, size=6, start=3, step=1, stop=6) + "
     "place(exp(z[t][2:6]), axis=0, size=6, start=2, step=1, stop=6)"),  # the first two have none
])
def test_adjoints_of_slices_that_fill_a_vector_stand_one_after_another(text: str, right: str) -> None:
    assert derived(f"z[t] = W @ x[t]\nloss = {text}", x=3, z=6)["d_z[t]"] == right


def test_a_gate_with_a_boundary_of_its_own_may_be_anything_there() -> None:
    """Zero times what a boundary sets beyond the range is not zero where that is infinite."""
    model = tr.equations("c[t] = f[t] * c[t-1] + x[t]\nf[t] = sigmoid(g * x[t])\nf[T+1] = inf\nloss = mean(c[t])",
                         x=(), g=(), dtype="float64")
    x = np.random.default_rng(0).normal(size=(2, 3))
    gradients = model.value_and_grad(x=x, wrt=["x", "g"])[1]
    assert np.isfinite(gradients["x"]).all() and np.isfinite(gradients["g"])
    model.check_gradient(x=x)
