"""What declared data are drawn from: shares of classes, and the distributions that equations say."""

from __future__ import annotations

from math import erf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tinygrad_rnn.ops.draws import drawn_class


def shares(p: list[float], **choice: object) -> np.ndarray:
    u = (np.arange(20_000) + 0.5) / 20_000
    return drawn_class(np, np.tile(p, (len(u), 1)), u, 1, **choice).mean(0)


@pytest.mark.parametrize("choice,expected", [
    ({}, [0.4, 0.1, 0.3, 0.2]),
    ({"temperature": 0.5}, [0.16 / 0.3, 0.01 / 0.3, 0.09 / 0.3, 0.04 / 0.3]),
    ({"temperature": 0}, [1, 0, 0, 0]),
    ({"top_k": 2}, [4 / 7, 0, 3 / 7, 0]),
    ({"top_p": 0.75}, [4 / 9, 0, 3 / 9, 2 / 9]),
    ({"top_p": 0.7}, [4 / 7, 0, 3 / 7, 0]),
    ({"top_k": 3, "temperature": 2.0}, np.sqrt([0.4, 0, 0.3, 0.2]) / np.sqrt([0.4, 0.3, 0.2]).sum()),
], ids=str)
def test_shares_are_those_of_the_distribution(choice, expected):
    np.testing.assert_allclose(shares([0.4, 0.1, 0.3, 0.2], **choice), expected, atol=1e-3)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0, 1, exclude_max=True))
@settings(max_examples=60)
def test_a_class_that_cannot_be_is_never_drawn(p, u):
    hot = drawn_class(np, np.array([p]), np.array([u]), 1)[0]
    if sum(p) == 0:
        assert np.isnan(hot).all()
    else:
        assert hot.sum() == 1 and p[int(hot.argmax())] > 0


def test_draws_have_the_distributions_that_the_model_says():
    m = tr.equations("w[t] = categorical(softmax(a))\nz[t] = normal(m, s)\no[t] = bernoulli(p)",
                     a=3, z=(), o=(), dtype="float64")
    m.weights["a"], m.weights["m"], m.weights["s"], m.weights["p"] = np.log([0.2, 0.5, 0.3]), 2.0, 0.5, 0.3
    out = m.run(steps=200, batch=100, seed=1)
    n = 20_000
    np.testing.assert_allclose(np.bincount(out["w"].ravel()) / n, [0.2, 0.5, 0.3], atol=4 / np.sqrt(n) / 2)
    assert abs(out["o"].mean() - 0.3) < 4 * np.sqrt(0.21 / n)
    assert abs(out["z"].mean() - 2.0) < 4 * 0.5 / np.sqrt(n) and abs(out["z"].std() - 0.5) < 4 * 0.5 / np.sqrt(2 * n)
    z = (np.sort(out["z"].ravel()) - 2.0) / 0.5
    cdf = np.array([0.5 * (1 + erf(v / np.sqrt(2))) for v in z])
    assert np.abs(cdf - (np.arange(n) + 0.5) / n).max() < 1.95 / np.sqrt(n)  # Kolmogorov and Smirnov, 0.1 %
    assert abs(np.corrcoef(out["z"][:, 1:].ravel(), out["z"][:, :-1].ravel())[0, 1]) < 0.03


def test_one_law_is_of_each_number_of_what_is_declared():
    model = tr.equations("e[t] = normal(0, 1)\no[t] = bernoulli(0.25)\nz[t] = W @ x[t] + e[t] * o[t]\n"
                         "loss = mean(sum(z[t] ** 2, axis=0))", x=3, e=4, o=4, dtype="float64")
    x = np.random.default_rng(0).standard_normal((400, 10, 3))
    out = model.run(x=x, want=["e", "o", "z", "loss"], seed=2)
    for name, mean, var in (("e", 0, 1), ("o", 0.25, 3 / 16)):
        each = out[name].reshape(-1, 4)
        np.testing.assert_allclose(each.mean(0), mean, atol=5 * np.sqrt(var / len(each)))
        np.testing.assert_allclose(np.cov(each.T), var * np.eye(4), atol=0.1)
    flat = model.unroll(10).run(x=x, want=["e", "z"], seed=2)
    np.testing.assert_array_equal(flat["e"], out["e"])
    np.testing.assert_allclose(flat["z"], out["z"], rtol=1e-12, atol=1e-12)
    loss, grads = model.value_and_grad(x=x, seed=2)
    assert loss == pytest.approx(out["loss"], rel=1e-12)
    np.testing.assert_allclose(grads["W"], 2 * np.einsum("nti,ntj->ij", out["z"], x) / 4000, rtol=1e-9)
    quiet = model.run(x=x, want=["e", "o"], temperature=0)
    assert quiet["e"].shape == quiet["o"].shape == (400, 10, 4) and not quiet["e"].any() and not quiet["o"].any()
    seen = tr.equations("e[t] = normal(0, 1)\no[t] = bernoulli(0.25)", e=4, o=4, dtype="float64")
    assert tr.equations(str(seen)).system.quantities["e"].type.shape == (4,)
    likely = (out["e"] ** 2 + np.log(2 * np.pi)).sum(-1).mean() / 2
    likely += -np.log(np.where(out["o"] == 1, 0.25, 0.75)).sum(-1).mean()
    assert seen.value_and_grad(e=out["e"], o=out["o"])[0] == pytest.approx(likely, rel=1e-12)
    scalar = tr.equations("h[t] = tanh(W * o[t-1] + U @ h[t-1])\no[t] = normal(dot(v, h[t]), 1)", h=3)
    assert scalar.system.quantities["o"].type.shape == ()
    met = tr.equations("e[t] = normal(0, 1)\nz[t] = W @ x[t] + e[t] * exp(S @ x[t])\nb[t] = bernoulli(0.5)", x=3, z=2)
    assert {n: met.system.quantities[n].type.shape for n in "eb"} == {"e": (2,), "b": ()}
