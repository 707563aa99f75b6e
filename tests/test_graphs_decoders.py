"""Encoders, decoders and attention against plain NumPy loops written from their papers."""

from __future__ import annotations

import numpy as np
import pytest
from architectures import build, sigmoid, softmax

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
RNG = np.random.default_rng(3)
NONE = np.zeros(4)
SOURCE, LENGTHS = RNG.integers(0, 3, (3, 5)), {"s": np.array([5, 1, 3]), "t": np.array([2, 4, 1])}


def words(model):
    """Targets, and for each step the one-hot vector of the class before; there is none before the first."""
    size = model.system.quantities["y"].type.shape[0]
    w = np.random.default_rng(4).integers(0, size, (3, 4))
    return w, lambda n, t: np.eye(size)[w[n, t - 1]] if t else np.zeros(size)


def lstm(w, x, h, c, after, back=""):
    """One step of the LSTM; `after` is the ending of its weights' names."""
    i, f, o, g = (w[f"W_x{q}{after}"] @ x + w[f"W_h{q}{after}"] @ h + w[f"b_{q}{after}"] for q in "ifog")
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def examples(lengths=LENGTHS):
    return zip(range(3), lengths["s"], lengths["t"], strict=True)


@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("context", ["initial", "every"])
def test_seq2seq(context, reverse):
    model = build("seq2seq", context=context, reverse=reverse)
    w, (targets, before) = model.weights, words(model)
    out = model.run(x=SOURCE, w=targets, lengths=LENGTHS)
    losses = []
    for n, source, target in examples():
        h, c = NONE, NONE
        for s in reversed(range(source)) if reverse else range(source):
            h, c = lstm(w, np.eye(3)[SOURCE[n, s]], h, c, "_e")
        v = h
        np.testing.assert_allclose(out["v"][n], v, **CLOSE)
        for t in range(target):
            read = before(n, t) if context == "initial" else np.concatenate([w["E"] @ before(n, t), v])
            h, c = lstm(w, read, h, c, "_d")
            y = softmax(w["W_hy"] @ h + w["b_y"])
            np.testing.assert_allclose(out["y"][n, t], y, **CLOSE)
            losses.append(-np.log(y[targets[n, t]]))
    np.testing.assert_allclose(out["loss"], np.mean(losses), **CLOSE)


def test_a_word_that_ends_is_one_class_more():
    assert [build("seq2seq", eos=eos).system.quantities["y"].type.shape for eos in (True, False)] == [(4,), (3,)]


def gated(w, x, h, end):
    """The gated unit of the paper's appendix A.1.1; `end` is the ending of its weights' names."""
    z, r = (sigmoid(w[f"W_{q}{end}"] @ x + w[f"U_{q}{end}"] @ h + w[f"b_{q}{end}"]) for q in "zr")
    return (1 - z) * h + z * np.tanh(w[f"W_{end}"] @ x + w[f"U_{end}"] @ (r * h) + w[f"b_{end}"])


def test_bahdanau():
    model = build("bahdanau")
    w, (targets, before) = model.weights, words(model)
    out = model.run(x=SOURCE, w=targets, lengths=LENGTHS)
    for n, source, target in examples():
        x = np.eye(3)[SOURCE[n, :source]]
        ahead, back = [NONE], [NONE]
        for s in range(source):
            ahead.append(gated(w, x[s], ahead[-1], "f"))
            back.append(gated(w, x[source - 1 - s], back[-1], "b"))
        h = np.concatenate([ahead[1:], back[:0:-1]], axis=1)
        d = np.tanh(w["W_s"] @ back[-1])
        for t in range(target):
            u = before(n, t)
            a = softmax(np.array([w["v_a"] @ np.tanh(w["W_a"] @ d + w["U_a"] @ h[s]) for s in range(source)]))
            c = a @ h
            pairs = (w["U_o"] @ d + w["V_o"] @ u + w["C_o"] @ c).reshape(-1, 2).max(1)
            z, r = (sigmoid(w[f"W_{q}"] @ u + w[f"U_{q}"] @ d + w[f"C_{q}"] @ c + w[f"b_{q}"]) for q in "zr")
            g = np.tanh(w["W_d"] @ u + w["U_d"] @ (r * d) + w["C_d"] @ c + w["b_d"])
            d = (1 - z) * d + z * g
            np.testing.assert_allclose(out["a"][n, t, :source], a, **CLOSE)
            np.testing.assert_allclose(out["d"][n, t], d, **CLOSE)
            np.testing.assert_allclose(out["y"][n, t], softmax(w["W_o"] @ pairs), **CLOSE)
        assert not out["a"][n, :, source:].any()


SCORES = {
    "dot": lambda w, d, h: d @ h,
    "general": lambda w, d, h: d @ w["W_a"] @ h,
    "concat": lambda w, d, h: w["v_a"] @ np.tanh(w["W_a"] @ np.concatenate([d, h])),
}


@pytest.mark.parametrize("feed", [False, True])
@pytest.mark.parametrize("score", SCORES)
def test_luong(score, feed):
    model = build("luong", score=score, feed=feed)
    w, (targets, before) = model.weights, words(model)
    out = model.run(x=SOURCE, w=targets, lengths=LENGTHS)
    for n, source, target in examples():
        d, c, h, k = NONE, NONE, [], NONE
        for s in range(source):
            d, c = lstm(w, np.eye(3)[SOURCE[n, s]], d, c, "_e")
            h.append(d)
        for t in range(target):
            read = np.concatenate([w["E"] @ before(n, t), k]) if feed else before(n, t)
            d, c = lstm(w, read, d, c, "_d")
            a = softmax(np.array([SCORES[score](w, d, at) for at in h]))
            k = np.tanh(w["W_c"] @ np.concatenate([a @ np.array(h), d]))
            np.testing.assert_allclose(out["a"][n, t, :source], a, **CLOSE)
            np.testing.assert_allclose(out["y"][n, t], softmax(w["W_y"] @ k), **CLOSE)


@pytest.mark.parametrize("causal", [True, False])
def test_multihead(causal):
    model = build("multihead", causal=causal, heads=2, hidden=6)
    w, lengths = model.weights, [5, 1, 3]
    out = model.run(x=SOURCE, lengths=np.array(lengths))
    for n, length in enumerate(lengths):
        at = np.arange(1, length + 1)[:, None]
        z = w["E"][:, SOURCE[n, :length]].T + np.sin(at * w["omega"] + w["phi"])
        heads = []
        for m in range(2):
            q, k, v = (z @ w[f"W_{name}"][m].T for name in "qkv")
            e = q @ k.T / np.sqrt(3)
            heads.append(softmax(np.where(at >= at.T, e, -np.inf) if causal else e) @ v)
        h = np.concatenate(heads, axis=1) @ np.concatenate(list(w["W_o"]), axis=1).T
        np.testing.assert_allclose(out["h"][n, :length], h, **CLOSE)


def test_positions_start_as_sines_and_cosines():
    from tinygrad_rnn import graphs

    w, t = graphs.multihead(hidden=8).weights, 3
    for k in range(4):
        angle = t / 10000 ** (2 * k / 8)
        found = np.sin(w["omega"] * t + w["phi"])[2 * k : 2 * k + 2]
        np.testing.assert_allclose(found, [np.sin(angle), np.cos(angle)], atol=1e-6)


def test_the_five_shapes():
    x = RNG.standard_normal((3, 5, 3))
    one = build("shapes", shape="one-to-one")
    w = one.weights
    y = softmax(np.tanh(x[:, 0] @ w["W_xh"].T + w["b_h"]) @ w["W_hy"].T + w["b_y"])
    np.testing.assert_allclose(one.run(x=x[:, 0])["y"], y, **CLOSE)
    forms = [build("shapes", shape=shape) for shape in ("many-to-many", "many-to-one")]
    for name in forms[0].weights:
        forms[1].weights[name] = forms[0].weights[name]
    every, last = (form.run(x=x, lengths=LENGTHS["s"])["y"] for form in forms)
    np.testing.assert_allclose(last, every[np.arange(3), LENGTHS["s"] - 1], **CLOSE)
    many = build("shapes", shape="one-to-many")
    w, (targets, before) = many.weights, words(many)
    out = many.run(x=x[:, 0], w=targets)["y"]
    for n in range(3):
        h = np.tanh(w["W_xh"] @ x[n, 0] + w["b_0"])
        for t in range(4):
            h = np.tanh(w["W_wh"] @ before(n, t) + w["W_hh"] @ h + w["b_h"])
            np.testing.assert_allclose(out[n, t], softmax(w["W_hy"] @ h + w["b_y"]), **CLOSE)
    unequal = build("shapes", shape="many-to-many-unequal")
    w, out = unequal.weights, unequal.run(x=x, w=targets, lengths=LENGTHS)["y"]
    for n, source, target in examples():
        h = NONE
        for s in range(source):
            h = np.tanh(w["W_xe"] @ x[n, s] + w["W_ee"] @ h + w["b_e"])
        for t in range(target):
            h = np.tanh(w["W_wh"] @ before(n, t) + w["W_hh"] @ h + w["b_h"])
            np.testing.assert_allclose(out[n, t], softmax(w["W_hy"] @ h + w["b_y"]), **CLOSE)
