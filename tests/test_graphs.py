"""The ready models against plain NumPy loops written from their papers."""

from __future__ import annotations

import numpy as np
import pytest
from architectures import sigmoid

import tinygrad_rnn as tr
from tinygrad_rnn import graphs

SIZES = {"inputs": 3, "hidden": 4, "outputs": 2, "dtype": "float64"}
MADE = [("rnn", {}), ("rnn", {"nonlinearity": "relu"}), ("lstm", {}), ("gru", {}), ("gru", {"reset": "after"})]


def random_weights(model, seed=0):
    rng = np.random.default_rng(seed)
    for name in model.weights:
        model.weights[name] = rng.standard_normal(model.weights[name].shape) * 0.5
    return model


def rnn_step(w, x, state, nonlinearity="tanh"):
    a = w["W_xh"] @ x + w["W_hh"] @ state["h"] + w["b_h"]
    return {"h": np.tanh(a) if nonlinearity == "tanh" else np.maximum(a, 0)}


def lstm_step(w, x, state):
    i, f, o = (sigmoid(w[f"W_x{q}"] @ x + w[f"W_h{q}"] @ state["h"] + w[f"b_{q}"]) for q in "ifo")
    c = f * state["c"] + i * np.tanh(w["W_xg"] @ x + w["W_hg"] @ state["h"] + w["b_g"])
    return {"c": c, "h": o * np.tanh(c)}


def gru_step(w, x, state, reset="before"):
    h = state["h"]
    z, r = (sigmoid(w[f"W_x{q}"] @ x + w[f"W_h{q}"] @ h + w[f"b_{q}"]) for q in "zr")
    inner = w["W_hg"] @ (r * h) if reset == "before" else r * (w["W_hg"] @ h + w["b_hg"])
    return {"h": z * h + (1 - z) * np.tanh(w["W_xg"] @ x + w["b_g"] + inner)}


STEPS = {"rnn": rnn_step, "lstm": lstm_step, "gru": gru_step}


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("name,options", MADE)
def test_values_against_a_plain_loop(name, options, steps):
    model = random_weights(graphs.MODELS[name](**SIZES, **options))
    x = np.random.default_rng(1).standard_normal((2, steps, 3))
    out = model.run(x=x)
    for n in range(2):
        state = {"h": np.zeros(4), "c": np.zeros(4)}
        for t in range(steps):
            state |= STEPS[name](model.weights, x[n, t], state, **options)
            np.testing.assert_allclose(out["h"][n, t], state["h"], rtol=1e-12, atol=1e-12)
            e = np.exp(model.weights["W_hy"] @ state["h"] + model.weights["b_y"])
            np.testing.assert_allclose(out["y"][n, t], e / e.sum(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name,options", MADE)
def test_gradients_with_lengths(name, options, layers):
    model = random_weights(graphs.MODELS[name](**SIZES, layers=layers, **options))
    rng = np.random.default_rng(2)
    inputs = {"x": rng.standard_normal((3, 4, 3)), "target": rng.integers(0, 2, (3, 4))}
    assert max(model.check_gradient(inputs, lengths=np.array([4, 1, 3])).values()) < 1e-6


def test_a_second_layer_reads_the_first():
    both, lower = (graphs.lstm(**SIZES, layers=k) for k in (2, 1))
    random_weights(both)
    for name in lower.weights:
        if name not in ("W_hy", "b_y"):
            lower.weights[name] = both.weights[name + "1"]
    upper = graphs.lstm(**{**SIZES, "inputs": 4})
    for name in upper.weights:
        upper.weights[name] = both.weights[name if name in ("W_hy", "b_y") else name + "2"]
    x = np.random.default_rng(1).standard_normal((2, 5, 3))
    np.testing.assert_allclose(both.run(x=x)["y"], upper.run(x=lower.run(x=x)["h"])["y"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("head", graphs.HEADS)
def test_any_cell_stacks_under_any_head(head):
    mgu = """f[t] = sigmoid(W @ x[t] + U @ h[t-1])
             h[t] = (1 - f[t]) * h[t-1] + f[t] * tanh(V @ x[t] + Q @ (f[t] * h[t-1]))"""
    model = graphs.stack(mgu, 3, 4, 2, layers=3, head=head)
    x = np.zeros((2, 5, 3))
    assert model.run(x=x, want="h3")["h3"].shape == (2, 5, 4)
    if head != "none":
        assert model.run(x=x, want="y")["y"].shape == ((2, 2) if head.endswith("last") else (2, 5, 2))


def test_initial_weights():
    model = graphs.lstm(layers=2)
    for layer in "12":
        assert (model.weights[f"b_f{layer}"] == 1).all() and not model.weights[f"b_i{layer}"].any()
        w = model.weights[f"W_hf{layer}"]
        np.testing.assert_allclose(w @ w.T, np.eye(64), atol=1e-5)
    assert (graphs.lstm(seed=1).weights["W_hi"] != graphs.lstm(seed=2).weights["W_hi"]).any()
    np.testing.assert_array_equal(graphs.lstm(seed=1).weights["W_hi"], graphs.lstm(seed=1).weights["W_hi"])


@pytest.mark.parametrize("make,message", [
    (lambda: graphs.gru(reset="never"), "'before' or 'after'"),
    (lambda: graphs.rnn(nonlinearity="cos"), "'tanh' or 'relu', not 'cos'"),
    (lambda: graphs.chain(f=["tanh"]), r"not \['tanh'\]"),
    (lambda: graphs.multihead(hidden=8, heads=3), "3 does not divide 8"),
    (lambda: graphs.lstm(hidden=0), "size of h"), (lambda: graphs.lstm(layers=0), "layers"),
    (lambda: graphs.lstm(head="sofmax"), "did you mean 'softmax'"),
    (lambda: graphs.stack("k[t] = W @ x[t]", 3, 4), "lack h"),
])
def test_mistakes(make, message):
    with pytest.raises(tr.Error, match=message):
        make()


@pytest.mark.parametrize("name", graphs.MODELS)
def test_every_model_says_what_it_is(name):
    doc = graphs.MODELS[name].__doc__
    assert doc and "Source" in doc and "Sizes" in doc
