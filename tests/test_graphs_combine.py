"""Combinators over cells, and the forms of deep networks, against loops and against each other."""

from __future__ import annotations

import numpy as np
import pytest
from architectures import build, softmax

import tinygrad_rnn as tr
from tinygrad_rnn import graphs

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
X = np.random.default_rng(1).standard_normal((3, 5, 3))
LENGTHS = np.array([5, 1, 3])
MINE = graphs.Cell("mine", """
    u[t] = tanh(W @ x[t] + U @ u[t-2] + t / 10)
    u[0] = u0
    h[t] = u[t] * sigmoid(V @ h[t-1])""")


def randomised(model):
    rng = np.random.default_rng(0)
    for name in model.weights:
        model.weights[name] = rng.standard_normal(model.weights[name].shape) * 0.5
    return model


@pytest.mark.parametrize("cell", [*graphs.CELLS.values(), MINE], ids=lambda c: c.name)
@pytest.mark.parametrize("merge", ["concat", "sum"])
def test_both_ways_is_the_cell_on_the_sequence_and_on_its_mirror(cell, merge):
    both = randomised(graphs.stack(graphs.both_ways(cell, merge), 3, 4, head="none", dtype="float64"))
    one = graphs.stack(cell, 3, 4, head="none", dtype="float64")
    found = both.run(x=X, lengths=LENGTHS, want=["h", "h_f", "h_b"])
    for side, turned in (("f", False), ("b", True)):
        for name in one.weights:
            one.weights[name] = both.weights[f"{name}_{side}"]
        for n, length in enumerate(LENGTHS):
            part = X[n : n + 1, :length]
            h = one.run(x=part[:, ::-1] if turned else part)["h"][0]
            np.testing.assert_allclose(found[f"h_{side}"][n, :length], h[::-1] if turned else h, **CLOSE)
    joined = found["h_f"] + found["h_b"] if merge == "sum" else np.concatenate([found["h_f"], found["h_b"]], -1)
    np.testing.assert_array_equal(found["h"], joined)


def test_a_cell_turned_twice_is_the_cell():
    for cell in (*graphs.CELLS.values(), MINE):
        one, twice = (graphs.stack(c, 3, 4, head="none") for c in (cell, cell.backward().backward()))
        x = X.astype("float32")
        for name in one.weights:
            twice.weights[name] = one.weights[name]
        np.testing.assert_allclose(one.run(x=x)["h"], twice.run(x=x)["h"], atol=1e-6)


@pytest.mark.parametrize("project", [False, True])
def test_residual_adds_the_input(project):
    inner = randomised(graphs.stack("h[t] = tanh(W @ x[t] + U @ h[t-1])", 3, 3, head="none", dtype="float64"))
    cell = graphs.residual(graphs.Cell("plain", "h[t] = tanh(W @ x[t] + U @ h[t-1])"), project)
    model = randomised(graphs.stack(cell, 3, 3, head="none", dtype="float64"))
    for name in inner.weights:
        inner.weights[name] = model.weights[f"{name}_r"]
    past = X @ model.weights["W_xs"].T if project else X
    np.testing.assert_allclose(model.run(x=X)["h"], inner.run(x=X)["h"] + past, **CLOSE)


def test_combinators_combine():
    low, high = graphs.both_ways(graphs.CELLS["gru"], "sum"), graphs.residual(graphs.CELLS["lstm"])
    model = graphs.stack([low, high], 3, 4, 2, layers=2, dtype="float64")
    assert model.weights.shapes["W_xz_f1"] == (4, 3) and model.weights.shapes["W_xi_r4"] == (4, 4)
    target = np.random.default_rng(2).integers(0, 2, (3, 5))
    model.check_gradient(x=X, target=target, lengths=LENGTHS)


@pytest.mark.parametrize("made", [
    lambda cell: graphs.stack(cell, 3, 4), lambda cell: graphs.stack([cell, cell], 3, 4),
    lambda cell: graphs.stack(graphs.both_ways(cell), 3, 4), lambda cell: graphs.bidirectional(3, 4, cell=cell),
    lambda cell: graphs.stack(graphs.residual(cell), 4, 4), lambda cell: graphs.seq2seq(3, 4, cell=cell),
])
def test_a_cell_is_named_or_given_or_written_out(made):
    given = graphs.CELLS["mgu"]
    assert str(made("mgu")) == str(made(given)) == str(made(given.text))
    with pytest.raises(tr.Error, match="did you mean 'mgu'"):
        made("mgo")
    with pytest.raises(tr.Error, match="unknown cell 3;"):
        made(3)


def test_mistakes():
    with pytest.raises(tr.Error, match="lack h"):
        graphs.both_ways(graphs.Cell("odd", "k[t] = W @ x[t]"))
    with pytest.raises(tr.Error, match="lack x"):
        graphs.residual(graphs.Cell("odd", "h[t] = W @ h[t-1]"))
    with pytest.raises(tr.Error, match="did you mean 'lstm'"):
        graphs.bidirectional(cell="lsmt")
    with pytest.raises(tr.Error, match="at least one cell"):
        graphs.stack([], 3, 4)
    with pytest.raises(tr.Error, match="at another step"):
        graphs.seq2seq(cell=graphs.Cell("past", "h[t] = tanh(W @ x[t-1] + U @ h[t-1])"))


def test_stacked_layers_and_the_index_of_layers_are_the_same():
    one, other = (build("deep", form=form, layers=3, inputs=4) for form in ("stacked", "index"))
    names = {"W": "W", "U": "U", "b": "b"}
    for name in names:
        other.weights[name] = np.stack([one.weights[f"{name}{k}"] for k in (1, 2, 3)])
    other.weights["E"], other.weights["V"], other.weights["b_y"] = np.eye(4), one.weights["V3"], one.weights["b_y"]
    x = np.random.default_rng(1).standard_normal((2, 5, 4))
    np.testing.assert_allclose(one.run(x=x)["y"], other.run(x=x)["y"], **CLOSE)


def deep_step(form, w, x, h, skip):
    """One step of the forms with layers between, two of them, from the paper's figure 2."""
    if form == "input":
        u = np.tanh(w["W2"] @ np.tanh(w["W1"] @ x + w["b1"]) + w["b2"])
        h = np.tanh(w["W_uh"] @ u + w["W_hh"] @ h + (w["S"] @ x if skip else 0) + w["b_h"])
    if form == "transition":
        k = np.tanh(w["W2"] @ np.tanh(w["W_xk"] @ x + w["W_hk"] @ h + w["b_k"]) + w["b2"])
        h = np.tanh(w["W_kh"] @ k + (w["S"] @ h if skip else 0) + w["b_h"])
    if form == "output":
        h = np.tanh(w["W_xh"] @ x + w["W_hh"] @ h + w["b_h"])
        o = np.tanh(w["W2"] @ np.tanh(w["W1"] @ h + w["b1"]) + w["b2"])
        return h, softmax(w["W_oy"] @ o + (w["S"] @ h if skip else 0) + w["b_y"])
    return h, softmax(w["W_hy"] @ h + w["b_y"])


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("form", ["input", "transition", "output"])
def test_layers_between(form, skip):
    model = build("deep", form=form, skip=skip)
    out = model.run(x=X)
    for n in range(3):
        h = np.zeros(4)
        for t in range(5):
            h, y = deep_step(form, model.weights, X[n, t], h, skip)
            np.testing.assert_allclose(out["y"][n, t], y, **CLOSE)


@pytest.mark.parametrize("form", ["stacked", "index"])
def test_connections_past_the_layers(form):
    model = build("deep", form=form, skip=True, inputs=4)
    w, x = model.weights, np.random.default_rng(1).standard_normal((2, 5, 4))
    out = model.run(x=x)
    def of(name, k):
        return w[f"{name}{k}"] if form == "stacked" else w[name][k - 1]
    for n in range(2):
        h = {1: np.zeros(4), 2: np.zeros(4)}
        for t in range(5):
            below = x[n, t] if form == "stacked" else w["E"] @ x[n, t]
            for k in (1, 2):
                past = 0 if form == "stacked" and k == 1 else of("S", k) @ x[n, t]
                h[k] = below = np.tanh(of("W", k) @ below + of("U", k) @ h[k] + past + of("b", k))
            y = softmax(of("V", 1) @ h[1] + of("V", 2) @ h[2] + w["b_y"])
            np.testing.assert_allclose(out["y"][n, t], y, **CLOSE)
