"""Where the pieces meet: what loops hold, truth values as numbers, ragged reads in loops, shapes that vanish."""

from __future__ import annotations

import numpy as np
import pytest
from compiling import compiling

import tinygrad_rnn as tr
from tinygrad_rnn import jit
from tinygrad_rnn.backends import numpy as backend
from tinygrad_rnn.errors import Error
from tinygrad_rnn.fusion import program

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 6, 3))


def declared(text, **sizes):
    model = tr.equations(text, dtype="float64", **sizes)
    for name in model.weights:
        model.weights[name] = RNG.standard_normal(model.weights[name].shape)
    return model


def agrees_with_unrolled(model, steps, data, lengths=None, called=False):
    """called: the unrolled graph is not compiled, which takes long where it has many steps."""
    value, grads = model.value_and_grad(data, lengths=lengths, training=True)
    with compiling(jit.asked() and not called):
        flat_value, flat_grads = model.unroll(steps).value_and_grad(data, lengths=lengths, training=True)
    np.testing.assert_allclose(value, flat_value, rtol=1e-12, atol=1e-12)
    for name, g in grads.items():
        np.testing.assert_allclose(g, flat_grads[name], rtol=1e-12, atol=1e-12, err_msg=name)
    return value, grads


@pytest.mark.parametrize("text", [
    "h[t] = tanh(x[t] + stack(sum(h[t-1], axis=0), 0.5, 2))",
    "h[t] = tanh(x[t] + one_hot(h[t-1][0] * 0 + 2, size=3))",
    "h[t] = tanh(x[t] + concat(h[t-1][1:], h[t-1][0:1]))",
    "h[t] = tanh(x[t] + place(h[t-1][0:2], axis=0, size=3, start=1, stop=3))",
    "h[t] = tanh(x[t] + expand(h[t-1][2], axis=0, size=3))",
    "h[t] = tanh(x[t] + reshape(outer(h[t-1], h[t-2]), (9,))[::3])",
    "h[t] = tanh(x[t] + einsum(\"i,i->i\", v, h[t-1]) + cumsum(h[t-1]) + max(h[t-1], axis=0))",
    "h[t] = tanh(x[t] + layer_norm(h[t-1]) * rstd(h[t-1] + t) + log_softmax(h[t-1]))",
])
def test_every_step_of_a_loop_reads_its_own_memory(text):
    """Long enough that an array which strays from step to step leaves what it owns."""
    model = declared(text + "\nloss = mean(h[t] * h[t])", x=3, h=3)
    agrees_with_unrolled(model, 40, {"x": RNG.standard_normal((2, 40, 3))}, called=True)


def test_an_array_that_is_made_anew_at_each_step_is_refused():
    recorder = program.Recorder(backend)
    with pytest.raises(Error, match="made anew"):
        recorder.loop(5, lambda step: recorder(np.negative, np.ones(3), recorder.temp((3,), "float64")))


def test_a_ragged_read_inside_a_loop_over_another_index():
    model = declared("""
        k[l,s] = tanh(W[l] @ k[l,s-1] + U @ k[l-1,S] + E @ x[s])
        loss = mean(squared_error(k[3,S], z[n]))""", l=3, x=3, k=2)
    data = {"x": RNG.standard_normal((4, 5, 3)), "z": RNG.standard_normal((4, 2))}
    agrees_with_unrolled(model, 5, data, np.array([5, 1, 3, 2]))
    model.check_gradient(data, lengths=np.array([5, 1, 3, 2]))


def test_truth_values_count_as_numbers():
    model = tr.equations("""
        a = sum(x[t] > 0)
        b[t] = (x[t] > 0) + (x[t] > 1)
        c[t] = dot(x[t] > 0, x[t] > 1) - (sum(x[t], axis=0) > 0)
        d[t] = -(x[t] > 0) * 0.1
        e[t] = where(x[t] > 0, x[t] > 1, 0.1)
        g[t] = (x[t] > 0) @ W""", x=3, W=(3, 2), dtype="float64")
    out, up, high = model.run(x=X), X > 0, X > 1
    assert out["a"] == up.sum()
    np.testing.assert_array_equal(out["b"], up.astype(int) + high)
    np.testing.assert_array_equal(out["c"], (up & high).sum(-1) - (X.sum(-1) > 0).astype(int))
    np.testing.assert_array_equal(out["d"], -0.1 * up)
    np.testing.assert_array_equal(out["e"], np.where(up, high, 0.1))
    np.testing.assert_allclose(out["g"], up @ model.weights["W"], rtol=1e-12, atol=1e-12)
    assert all(v.dtype == np.float64 for v in out.values())


def test_integers_meet_fractions():
    i = tr.Tensor([1, 2, 3])
    for found, expected in ((i + 0.5, [1.5, 2.5, 3.5]), (tr.maximum(i, 1.5), [1.5, 2, 3]), (i / 2, [0.5, 1, 1.5])):
        assert found.dtype == "float32"
        np.testing.assert_array_equal(found.numpy(), expected)
    assert (2 * i).dtype == "int64"


def test_a_gradient_that_is_zero_keeps_its_shape_and_reads_back():
    model = tr.equations("y[t] = sign(x[t])\nloss = sum(y[t] * W) + 0 * sum(v)", x=3, v=2, dtype="float64")
    derived = model.grad("loss", ["x", "v"])
    for m in (derived, tr.equations(str(derived), dtype="float64")):
        out = m.run(x=X, want=["d_x", "d_v"])
        assert out["d_x"].shape == X.shape and out["d_v"].shape == (2,)
        assert not out["d_x"].any() and not out["d_v"].any()


def test_what_only_positions_enter_has_the_range_of_each_example():
    lengths = np.array([6, 2])
    model = declared("p[t] = w * t\nloss = mean(p[t]) + sum(x[t]) * 0\nm[t] = sum(t, over=t) + 0 * x[t]", w=(), x=())
    value, grads = agrees_with_unrolled(model, 6, {"x": X[..., 0]}, lengths)
    mean = (1 + 2 + 3 + 4 + 5 + 6 + 1 + 2) / 8
    np.testing.assert_allclose([value, grads["w"]], [mean * model.weights["w"], mean], rtol=1e-12)
    np.testing.assert_array_equal(model.run(x=X[..., 0], lengths=lengths)["m"], [[21] * 6, [3, 3, 0, 0, 0, 0]])


@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_a_softmax_over_the_batch_too(op):
    model = tr.equations(f"a[t] = {op}(w * x[t], over=(t, n))\nloss = sum(a[t] * x[t])", x=(), w=(), dtype="float64")
    lengths, x = np.array([6, 2]), X[..., 0]
    agrees_with_unrolled(model, 6, {"x": x}, lengths)
    inside = np.arange(6) < lengths[:, None]
    a = model.run(x=x, lengths=lengths, want="a")["a"]
    np.testing.assert_allclose(np.sum(a[inside] if op == "softmax" else np.exp(a[inside])), 1, rtol=1e-12)


def test_two_masks_of_one_rate_are_two_masks():
    model = tr.equations("y[t] = dropout(x[t], 0.5)\nz[t] = dropout(x[t][0:2], 0.5)", x=3)
    again = tr.equations(str(model))
    for name in ("mask_y", "mask_z"):
        assert again.system.quantities[name].type == model.system.quantities[name].type
    ones = {"x": np.ones((4, 50, 3))}
    first, second = (m.run(ones, training=True) for m in (model, again))
    for name in "yz":
        np.testing.assert_array_equal(first[name], second[name])
    assert (first["y"][..., :2] != first["z"]).any()


@pytest.mark.parametrize("text,fragment", [
    ("h[t] = 2 * dropout_mask(0.5)", "a quantity of its own"),
    ("h[t] = cumsum(x[t], over=(t, n))", "along one index"),
    ("h = sum(b, over=t) + sum(x[t])", "has no index t"),
    ("h[t] = x[t][3:]", "no elements"),
    ("h[t] = concat(x[t], W @ x[t]) + b\nb: 3", "disagree"),
    ("h[t] = place(x[t], axis=0, size=9, start=0, stop=2)", "disagree"),
    ("h = x[N]", "no last position"),
    ("h[t] = einsum(\"ij,j->i\", x[t])", "names 2 terms"),
])
def test_refused(text, fragment):
    with pytest.raises(tr.Error, match=fragment):
        tr.equations(text, x=3)


@pytest.mark.parametrize("text", ["h[t] = negative(2) * x[t]", "h[t] = (-2) ** 2 * x[t] - -x[t]", "h[t] = -(2 ** x[t])",
                                  "h[t] = x[t] - (x[t] - 1)", "h[t] = x[t] / (x[t] / 2)", "h[t] = 2 ** (x[t] ** 2)",
                                  "h[t] = (2 ** x[t]) ** 2", "h[t] = clip(x[t], high=1)",
                                  "h[t] = where(t < 2, -inf, x[t])",
                                  "h[t] = (x[t] < 1) == (x[t] < 2)", "h[t] = sum(x[t], axis=()) + sum(x[t], axis=0)",
                                  "h[t] = reshape(sum(x[t], axis=0), ()) * x[t][0:2][::-1][1]",
                                  "h[t] = mean(x[t], over=(n, t)) + 1e-30 * 1e30 + 123456789012345678 * x[t]",
                                  "h[t] = (x[t] @ A) @ (B @ x[t])"])
def test_text_reads_back_to_the_same_graph(text):
    sizes = {"x": 3, **({"A": (3, 2), "B": (2, 3)} if "A" in text else {})}
    model = tr.equations(text, **sizes)
    again = tr.equations(str(model))
    assert again.system.equations[0].rhs is model.system.equations[0].rhs
    assert str(again) == str(model)


@pytest.mark.parametrize("text", ["k[t] = b / x[t]", "k[t] = log(x[t] * h[t-1] ** 2) * b",
                                  "k[t] = h[t] / (h[t] + x[t])", "k[t] = sqrt(x[t]) * b"])
def test_padding_touches_no_gradient_of_the_unrolled_graph_either(text):
    model = tr.equations(f"h[t] = tanh(U @ h[t-1] + x[t]) + 2\n{text}\nloss = mean(k[t] * h[t])", x=3, dtype="float64")
    x = np.random.default_rng(0).uniform(0.5, 1, (2, 4, 3))
    _, grads = model.value_and_grad(x=x, lengths=[4, 2], wrt=[*model.weights, "x"])
    _, flat = model.unroll(4).value_and_grad(x=x, lengths=[4, 2], wrt=[*model.weights, "x"])
    for name, g in grads.items():
        np.testing.assert_allclose(flat[name], g, rtol=1e-12, atol=1e-12)
