"""The ready cells against plain NumPy loops written from their papers."""

from __future__ import annotations

import numpy as np
import pytest
from architectures import build, sigmoid, softmax

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def gate(w, x, h, q):
    return w[f"W_x{q}"] @ x + w[f"W_h{q}"] @ h + w[f"b_{q}"]


def norm(z, gain, bias):
    return gain * (z - z.mean()) / np.sqrt(z.var() + 1e-5) + bias


def jordan(w, x, s):
    h = sigmoid(w["W_xh"] @ x + w["W_yh"] @ s["y"] + w["b_h"])
    return {"h": h, "y": softmax(w["W_hy"] @ h + w["b_y"])}


def goodfellow(w, x, s):
    h = np.tanh(w["b"] + w["W"] @ s["h"] + w["U"] @ x)
    return {"h": h, "y_hat": softmax(w["c"] + w["V"] @ h)}


def peephole(w, x, s):
    i, f = (sigmoid(gate(w, x, s["h"], q) + w[f"w_c{q}"] * s["c"]) for q in "if")
    c = f * s["c"] + i * np.tanh(gate(w, x, s["h"], "g"))
    return {"c": c, "h": sigmoid(gate(w, x, s["h"], "o") + w["w_co"] * c) * np.tanh(c)}


def coupled(w, x, s):
    i, o = (sigmoid(gate(w, x, s["h"], q)) for q in "io")
    c = (1 - i) * s["c"] + i * np.tanh(gate(w, x, s["h"], "g"))
    return {"c": c, "h": o * np.tanh(c)}


def projection(w, x, s):
    i, f, o = (sigmoid(gate(w, x, s["h"], q)) for q in "ifo")
    c = f * s["c"] + i * np.tanh(gate(w, x, s["h"], "g"))
    return {"c": c, "h": w["W_mh"] @ (o * np.tanh(c))}


def layernorm(w, x, s):
    a = norm(w["W_h"] @ s["h"], w["alpha_h"], w["beta_h"]) + norm(w["W_x"] @ x, w["alpha_x"], w["beta_x"]) + w["b"]
    i, f, o, g = np.split(a, 4)
    c = sigmoid(f) * s["c"] + sigmoid(i) * np.tanh(g)
    return {"c": c, "h": sigmoid(o) * np.tanh(norm(c, w["alpha_c"], w["beta_c"]))}


def mgu(w, x, s):
    f = sigmoid(gate(w, x, s["h"], "f"))
    return {"h": (1 - f) * s["h"] + f * np.tanh(gate(w, x, f * s["h"], "g"))}


def zoneout(w, x, s):
    """Outside training: the masks are their means, 0.5 and 0.05."""
    i, f, o = (sigmoid(gate(w, x, s["h"], q)) for q in "ifo")
    c = f * s["c"] + i * np.tanh(gate(w, x, s["h"], "g"))
    return {"c": 0.5 * s["c"] + 0.5 * c, "h": 0.05 * s["h"] + 0.95 * o * np.tanh(c)}


def variational(w, x, s):
    i, f, o = (sigmoid(gate(w, x, s["h"], q)) for q in "ifo")
    c = f * s["c"] + i * np.tanh(gate(w, x, s["h"], "g"))
    return {"c": c, "h": o * np.tanh(c)}


def indrnn(w, x, s):
    return {"h": np.maximum(0, w["W_xh"] @ x + w["u_h"] * s["h"] + w["b_h"])}


def sru(w, x, s):
    f, r = (sigmoid(w[f"W_x{q}"] @ x + w[f"v_{q}"] * s["c"] + w[f"b_{q}"]) for q in "fr")
    c = f * s["c"] + (1 - f) * (w["W_xc"] @ x)
    return {"c": c, "h": r * c + (1 - r) * (w["W_xs"] @ x)}


def mingru(w, x, s):
    z = sigmoid(w["W_xz"] @ x + w["b_z"])
    return {"h": (1 - z) * s["h"] + z * (w["W_xg"] @ x + w["b_g"])}


def minlstm(w, x, s):
    f, i = (sigmoid(w[f"W_x{q}"] @ x + w[f"b_{q}"]) for q in "fi")
    return {"h": (f * s["h"] + i * (w["W_xg"] @ x + w["b_g"])) / (f + i)}


def slstm(w, x, s, forget="sigmoid"):
    """Without the stabiliser, which changes no h."""
    i, f = np.exp(gate(w, x, s["h"], "i")), {"sigmoid": sigmoid, "exp": np.exp}[forget](gate(w, x, s["h"], "f"))
    o, z = sigmoid(gate(w, x, s["h"], "o")), np.tanh(gate(w, x, s["h"], "z"))
    c, n = f * s.get("C", 0) + i * z, f * s.get("N", 0) + i
    return {"C": c, "N": n, "h": o * c / n}


def mlstm(w, x, s, forget="sigmoid"):
    """Without the stabiliser, which changes no h."""
    q, k, v = (w[f"W_x{a}"] @ x / (2 if a == "k" else 1) + w[f"b_{a}"] for a in "qkv")  # 2 is the root of 4
    i, f = np.exp(w["w_i"] @ x + w["b_i"]), {"sigmoid": sigmoid, "exp": np.exp}[forget](w["w_f"] @ x + w["b_f"])
    c, n = f * s.get("M", 0) + i * np.outer(v, k), f * s.get("N", 0) + i * k
    return {"M": c, "N": n, "h": sigmoid(w["W_xo"] @ x + w["b_o"]) * (c @ q) / max(abs(n @ q), 1)}


def lru(w, x, s):
    """With complex numbers."""
    a = np.exp(-np.exp(w["nu"]) + 1j * np.exp(w["theta"]))
    state = a * s.get("s", 0) + np.sqrt(1 - abs(a) ** 2) * ((w["B_re"] + 1j * w["B_im"]) @ x)
    o = ((w["C_re"] + 1j * w["C_im"]) @ state).real + w["D"] @ x
    return {"s": state, "h": (w["W_h"] @ o + w["b_h"]) * sigmoid(w["W_g"] @ o + w["b_g"])}


def mamba(w, x, s):
    """Channel by channel, state by state."""
    past = [w["W_u"] @ x, *s.get("past", [np.zeros(8)] * 3)]
    v = sum(w[f"k_{k}"] * u for k, u in enumerate(past)) + w["b_v"]
    a, z = v * sigmoid(v), w["W_z"] @ x
    d, b, c = np.log1p(np.exp(w["W_d"] @ (w["W_q"] @ a) + w["b_d"])), w["W_b"] @ a, w["W_c"] @ a
    states, o = np.array(s.get("states", np.zeros((8, 16)))), w["D"] * a
    for i in range(8):
        for j in range(16):
            states[i, j] = np.exp(-d[i] * np.exp(w["A"][i, j])) * states[i, j] + d[i] * a[i] * b[j]
            o[i] += states[i, j] * c[j]
    return {"past": past[:3], "states": states, "h": w["W_h"] @ (o * z * sigmoid(z))}


STEPS = {f.__name__: f for f in (jordan, goodfellow, peephole, coupled, projection, layernorm, mgu, zoneout,
                                 variational, indrnn, sru, mingru, minlstm, slstm, mlstm, lru, mamba)}
FORMS = [(name, {}) for name in STEPS] + [("slstm", {"forget": "exp"}), ("mlstm", {"forget": "exp"})]


@pytest.mark.parametrize("steps", [1, 6])
@pytest.mark.parametrize("name,options", FORMS)
def test_values_against_a_plain_loop(name, options, steps):
    model = build(name, **options)
    w, sizes = model.weights, model.system.quantities
    x = np.random.default_rng(1).standard_normal((2, steps, 3))
    out = model.run(x=x)
    for n in range(2):
        state = {q: np.zeros(sizes[q].type.shape) for q in ("h", "c", "y") if q in sizes}
        for t in range(steps):
            computed = STEPS[name](w, x[n, t], state, **options)
            state |= computed
            for q in computed.keys() & {"h", "c", "y", "y_hat"}:
                np.testing.assert_allclose(out[q][n, t], computed[q], err_msg=q, **CLOSE)


@pytest.mark.parametrize("name", ["slstm", "mlstm"])
def test_large_gates_do_not_overflow(name):
    model = build(name)
    model.weights["b_i"] = model.weights["b_i"] + 800
    out = model.run(x=np.random.default_rng(1).standard_normal((2, 20, 3)), check=True)
    assert np.isfinite(out["h"]).all() and np.abs(out["h"]).max() > 1e-3


def test_sru_passes_its_input_on_where_the_sizes_agree():
    model = build("sru", inputs=4)
    assert "W_xs" not in list(model.weights)
    x = np.random.default_rng(1).standard_normal((2, 5, 4))
    out = model.run(x=x, want=["h", "r", "c"])
    np.testing.assert_allclose(out["h"], out["r"] * out["c"] + (1 - out["r"]) * x, **CLOSE)


def test_zoneout_keeps_some_units_and_changes_others():
    model = build("zoneout", hidden=40, rate_c=0.3, rate_h=0.6)
    x = np.random.default_rng(1).standard_normal((50, 8, 3))
    out = model.run(x=x, training=True, seed=3, want=["c", "h", "s", "o"])
    for name, rate, new in (("c", 0.3, out["s"]), ("h", 0.6, out["o"] * np.tanh(out["s"]))):
        old = np.concatenate([np.zeros_like(out[name][:, :1]), out[name][:, :-1]], axis=1)
        kept, changed = (np.isclose(out[name], v, rtol=1e-9, atol=1e-12) for v in (old, new))
        assert (kept | changed).all() and abs(kept.mean() - rate) < 0.02


def test_variational_masks_stay_for_a_sequence():
    model = build("variational", inputs=20, hidden=30, rate_x=0.4, rate_h=0.4)
    x = np.random.default_rng(1).standard_normal((5, 7, 20))
    out = model.run(x=x, training=True, want=["u", "k", "h"])
    for masked, plain in ((out["u"], x), (out["k"][:, 1:], out["h"][:, :-1])):
        mask = masked / plain
        np.testing.assert_allclose(mask, np.broadcast_to(mask[:, :1], mask.shape), **CLOSE)
        assert set(np.unique(mask.round(9))) == {0, round(1 / 0.6, 9)} and (mask[0] != mask[1]).any()


def test_the_chain_of_three_inputs():
    model = build("chain")
    model.weights["w"], (x1, x2, x3), y = 0.7, (0.3, -1.2, 2.0), 0.4
    first = sigmoid(x1 * 0.7)
    second = sigmoid(first + x2 * 0.7)
    third = sigmoid(second + x3 * 0.7)
    loss, grads = model.value_and_grad(x=np.array([[x1, x2, x3]]), y=np.array([y]))
    np.testing.assert_allclose(loss, (third - y) ** 2, **CLOSE)
    slope = [v * (1 - v) for v in (first, second, third)]
    by_hand = 2 * (third - y) * slope[2] * (x3 + slope[1] * (x2 + slope[0] * x1))
    np.testing.assert_allclose(grads["w"], by_hand, **CLOSE)


def test_the_loss_of_goodfellow_is_a_sum_over_time():
    model = build("goodfellow")
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 5, 3)), rng.integers(0, 3, (2, 5))
    out = model.run(x=x, y=y, lengths=np.array([5, 2]))
    given = -np.log(np.take_along_axis(model.run(x=x)["y_hat"], y[..., None], -1)[..., 0])
    np.testing.assert_allclose(out["loss"], (given[0].sum() + given[1, :2].sum()) / 2, **CLOSE)
