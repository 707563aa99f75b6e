"""Scheduled runs against unrolled ones, plain NumPy loops and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from architectures import sigmoid, softmax
from compiling import compiling
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo import MODELS, build, data, dynamic, spoilt

import tinygrad_rnn as tr

CLOSE = {"rtol": 0, "atol": 1e-12}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], err_msg=name, **CLOSE)


@pytest.mark.parametrize("batch,t,s", [(2, 5, 4), (1, 1, 1), (3, 2, 6)])
@pytest.mark.parametrize("name", MODELS)
def test_scheduled_equals_unrolled(name, batch, t, s):
    model = build(name)
    steps = {i: t if i in ("t", "i") else s for i in dynamic(model)}
    inputs, flat = data(model, batch, steps), model.unroll(steps)
    rng = np.random.default_rng(2)
    ragged = {i: rng.integers(1, k + 1, batch) for i, k in steps.items()}
    for lengths in (None, ragged):
        options = {"lengths": lengths, "training": name == "dropout"}
        with compiling(False):  # to compile a graph without loops, which is long and runs once, takes most of the time
            flat_run = flat.run(inputs, **options)
            flat_value, flat_grads = flat.value_and_grad(inputs, **options)
        assert_same(dict(model.run(inputs, **options)), flat_run)
        value, grads = model.value_and_grad(inputs, **options)
        np.testing.assert_allclose(value, flat_value, **CLOSE)
        assert_same(grads, flat_grads)
    again, grads_again = model.value_and_grad(spoilt(model, inputs, ragged), **options)
    assert again == value
    assert_same(grads_again, grads)


@pytest.mark.parametrize("name", [n for n in MODELS if n != "dropout"])
def test_gradients_against_finite_differences(name):
    model = build(name)
    steps = {i: 4 for i in dynamic(model)}
    lengths = {i: np.array([4, 2, 3]) for i in steps}
    model.check_gradient(data(model, 3, steps), lengths=lengths, tolerance=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", ["binary_cross_entropy(x[t-1], b)", "cross_entropy(x[t-1], b)"])
def test_a_probability_of_0_before_the_first_step_is_the_same_number_unrolled(loss, dtype):
    model = tr.equations(f"loss = mean({loss})", x=3, b=3, dtype=dtype)
    x = np.random.default_rng(0).uniform(0.2, 0.8, (2, 2, 3))
    known = np.stack([np.full((2, 3), np.finfo(dtype).tiny), x[:, 0]])
    expected = {"binary_cross_entropy(x[t-1], b)": (np.log(1 - known) - np.log(known)).mean((0, 1)) / 3,
                "cross_entropy(x[t-1], b)": -np.log(known).mean((0, 1))}[loss]
    for made in (model, model.unroll(2)):
        np.testing.assert_allclose(made.value_and_grad(x=x)[1]["b"], expected, rtol=1e-6)


def test_padding_of_the_outputs_is_zero():
    model = build("bidirectional")
    out = model.run(data(model, 2, {"t": 5}), lengths=np.array([3, 5]))
    for name in ("h", "r", "y"):
        assert not out[name][0, 3:].any()
        assert out[name][1].all()


def test_lstm_against_a_plain_loop():
    model = build("lstm")
    w, x = model.weights, data(model, 3, {"t": 6})["x"]
    h = c = np.zeros((3, 4))
    out = model.run(x=x)
    for k in range(6):
        i, f, o, g = (fn(x[:, k] @ w[f"W_x{q}"].T + h @ w[f"W_h{q}"].T + w[f"b_{q}"])
                      for q, fn in (("i", sigmoid), ("f", sigmoid), ("o", sigmoid), ("g", np.tanh)))
        c = f * c + i * g
        h = o * np.tanh(c)
        np.testing.assert_allclose(out["c"][:, k], c, **CLOSE)
        np.testing.assert_allclose(out["h"][:, k], h, **CLOSE)
        np.testing.assert_allclose(out["y"][:, k], softmax(h @ w["W_hy"].T + w["b_y"]), **CLOSE)


def test_bidirectional_with_boundaries_against_a_plain_loop():
    model = build("bidirectional")
    w, inputs, lengths = model.weights, data(model, 2, {"t": 5}), [3, 5]
    x, target = inputs["x"], inputs["target"]
    out = model.run(inputs, lengths=np.array(lengths))
    losses = []
    for n, length in enumerate(lengths):
        h, r, hs, rs = w["h0"], w["r0"], [], []
        for k in range(length):
            h = np.tanh(w["U"] @ h + w["W"] @ x[n, k])
            hs.append(h)
        for k in reversed(range(length)):
            r = np.tanh(w["Q"] @ r + w["P"] @ x[n, k])
            rs.insert(0, r)
        for k in range(length):
            y = softmax(w["V"] @ np.concatenate([hs[k], rs[k]]))
            np.testing.assert_allclose(out["y"][n, k], y, **CLOSE)
            losses.append(-np.log(y[target[n, k]]))
    np.testing.assert_allclose(out["loss"], np.mean(losses), **CLOSE)


def test_attention_against_a_plain_loop():
    model = build("attention")
    w, inputs = model.weights, data(model, 2, {"t": 4, "s": 3})
    out = model.run(inputs)
    for n in range(2):
        k, keys = np.zeros(5), []
        for s in range(3):
            k = np.tanh(w["A"] @ inputs["z"][n, s] + w["B"] @ k)
            keys.append(k)
        keys, q, c = np.array(keys), np.tanh(w["M"] @ k), np.zeros(5)
        for t in range(4):
            q = np.tanh(w["W"] @ inputs["x"][n, t] + w["U"] @ q + w["V"] @ c)
            scores = keys @ q
            scores[np.arange(1, 4) > t + 2] = -np.inf
            a = softmax(scores)
            c = a @ keys
            np.testing.assert_allclose(out["a"][n, t], a, **CLOSE)
            np.testing.assert_allclose(out["c"][n, t], c, **CLOSE)


@settings(max_examples=30)
@given(st.data())
def test_any_shift_any_lengths(draw):
    back, ahead = draw.draw(st.integers(1, 4)), draw.draw(st.integers(1, 4))
    steps, batch = draw.draw(st.integers(1, 6)), draw.draw(st.integers(1, 3))
    lengths = np.array(draw.draw(st.lists(st.integers(1, steps), min_size=batch, max_size=batch)))
    model = tr.equations(f"""
        h[t] = tanh(U @ h[t-{back}] + W @ x[t-{back - 1}])
        r[t] = tanh(A @ r[t+{ahead}] + B @ h[t+{ahead - 1}])
        h[{1 - back}] = h0
        r[T+{ahead}] = r0
        loss = mean(r[t] * h[t-1])""".replace("t-0", "t").replace("t+0", "t"), x=2, h=3, r=3, dtype="float64")
    for name in model.weights:
        model.weights[name] = np.random.default_rng(3).standard_normal(model.weights[name].shape)
    inputs, flat = data(model, batch, {"t": steps}), model.unroll(steps)
    with compiling(False):
        flat_run, flat_grads = flat.run(inputs, lengths=lengths), flat.value_and_grad(inputs, lengths=lengths)[1]
    assert_same(dict(model.run(inputs, lengths=lengths)), flat_run)
    assert_same(model.value_and_grad(inputs, lengths=lengths)[1], flat_grads)


def test_dropout_acts_only_in_training_and_keeps_its_mean():
    model = tr.equations("y[t] = dropout(x[t], 0.25)", x=50)
    x = np.ones((20, 30, 50))
    assert (model.run(x=x)["y"] == 1).all()
    y = model.run(x=x, training=True, seed=1)["y"]
    assert set(np.unique(y)) == {np.float32(0), np.float32(4 / 3)}
    assert abs(y.mean() - 1) < 0.02
    assert (y != model.run(x=x, training=True, seed=2)["y"]).any()
    np.testing.assert_array_equal(y, model.run(x=x, training=True, seed=1)["y"])


def test_a_shared_mask_is_the_same_at_every_step():
    model = tr.equations('y[t] = dropout(x[t], 0.5, shared="t")', x=8)
    y = model.run(x=np.ones((3, 5, 8)), training=True)["y"]
    assert (y == y[:, :1]).all() and len(np.unique(y[:, 0])) == 2


@pytest.mark.parametrize("classes", [5, 600])
def test_integers_stand_for_one_hot_vectors(classes):
    model = tr.equations("""
        h[t] = tanh(W @ w[t] + embed(E, w[t]) + U @ h[t-1])
        y[t] = softmax(V @ h[t])
        p[t] = dot(y[t], k[t])
        loss = mean(cross_entropy(y[t], k[t])) + mean(p[t])""", w=classes, h=4, k=7, dtype="float64")
    rng = np.random.default_rng(0)
    w, k = rng.integers(0, classes, (3, 6)), rng.integers(0, 7, (3, 6))

    def one_hot(c, size):
        return (c[..., None] == np.arange(size)).astype(float)

    for lengths in (None, np.array([6, 2, 4])):
        value, grads = model.value_and_grad(w=w, k=k, lengths=lengths)
        dense, dense_grads = model.value_and_grad(w=one_hot(w, classes), k=one_hot(k, 7), lengths=lengths)
        np.testing.assert_allclose(value, dense, **CLOSE)
        assert_same(grads, dense_grads)


@pytest.mark.parametrize("shift", ["t-1", "t+1"])
def test_no_class_stands_outside_the_sequence(shift):
    model = tr.equations(f"h[t] = tanh(U @ h[t-1] + W @ w[{shift}])\nloss = mean(h[t])", w=5, h=3, dtype="float64")
    w = np.random.default_rng(0).integers(0, 5, (2, 4))
    for lengths in (None, np.array([2, 4])):
        classes, one_hot = (model.run(w=a, lengths=lengths)["h"] for a in (w, np.eye(5)[w]))
        np.testing.assert_allclose(classes, one_hot, rtol=1e-12, atol=1e-12)


def test_the_loss_is_computed_from_what_goes_into_softmax():
    text = "y[t] = softmax(x[t])\nloss = mean(cross_entropy(y[t], k[t]))"
    x = np.array([[[0.0, 1000.0]]])
    loss, grads = tr.equations(text, x=2).value_and_grad(x=x, k=np.array([[0]]), wrt=["x"])
    assert loss == 1000
    np.testing.assert_allclose(grads["x"], [[[-1, 1]]])


def test_the_summary_lists_inputs_quantities_and_weights():
    model = tr.equations("""
        h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1] + b)
        h[0,t] = E @ x[t]
        loss = mean(h[2,T])""", l=2, h=40, x=3, dtype="float64")
    assert model.summary() == """\
name  role     indices  shape     numbers
x     input    t        (3,)
h     defined  l,t      (40,)
loss  defined           ()
W     weight   l        (40, 40)  3,200
U     weight   l        (40, 40)  3,200
b     weight            (40,)     40
E     weight            (40, 3)   120
6,560 weights in all, float64"""
    assert repr(model.summary()) == str(model.summary())  # so a prompt shows it as it is printed


def test_a_dtype_may_be_numpys():
    for dtype in (np.float64, np.dtype("float64")):
        assert tr.equations("h[t] = x[t]", x=3, dtype=dtype).dtype == "float64"
