"""Dropout masks: what they vary over, and that what is made of weights has one for all steps and examples."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr

RNG = np.random.default_rng(0)
DROPPED = """
    h[t] = tanh(V @ x[t] + dropout(W, 0.5) @ h[t-1])
    loss = mean(h[t] ** 2)
"""


def model(text=DROPPED, **sizes):
    return tr.equations(text, dtype="float64", x=3, h=4, **sizes)


def data(examples=5, steps=6):
    return RNG.normal(size=(examples, steps, 3))


def test_the_mask_of_a_weight_is_one_for_all_steps_and_examples():
    dropped, x = model(), data()
    out = dropped.run(x=x, training=True, seed=3, want=["mask_h", "h", "loss"])
    mask, h = out["mask_h"], np.zeros((5, 4))
    assert mask.shape == (4, 4) and set(np.unique(mask)) == {0.0, 2.0}
    for t in range(6):
        h = np.tanh(x[:, t] @ dropped.weights["V"].T + h @ (dropped.weights["W"] * mask).T)
        np.testing.assert_allclose(out["h"][:, t], h, atol=1e-12)
    unrolled = dropped.unroll(6).run(x=x, training=True, seed=3, want=["loss"])
    np.testing.assert_allclose(unrolled["loss"], out["loss"], rtol=1e-12)
    assert not np.array_equal(mask, dropped.run(x=x, training=True, seed=4, want=["mask_h"])["mask_h"])
    np.testing.assert_array_equal(dropped.run(x=x, want=["mask_h"])["mask_h"], 1)


def test_its_gradient_is_that_of_differences():
    dropped, x, step = model(), data(), 1e-6
    _, grads = dropped.value_and_grad(x=x, training=True)
    before, found = dropped.weights["W"].copy(), np.zeros((4, 4))
    for at in np.ndindex(4, 4):
        sides = []
        for change in (step, -step):
            moved = before.copy()
            moved[at] += change
            dropped.weights["W"] = moved
            sides.append(dropped.value_and_grad(x=x, training=True)[0])
        found[at] = (sides[0] - sides[1]) / (2 * step)
    np.testing.assert_allclose(grads["W"], found, atol=1e-8)


@pytest.mark.parametrize("written, indices", [
    ("dropout(x[t], 0.5)", {"t", "n"}), ('dropout(x[t], 0.5, shared="t")', {"n"}),
    ("dropout(x[t], 0.5, shared=(t, n))", set()),
    ('dropout(x[t], 0.5, shared=("t", "n"))', set()), ("dropout(1, 0.5) * x[t]", {"t", "n"}),
    ("dropout(2 * a, 0.5) * x[t]", set()), ("dropout(a * x[t], 0.5)", {"t", "n"})])
def test_what_a_mask_varies_over(written, indices):
    dropped = model(f"u[t] = {written}\nh[t] = V @ u[t]")
    if "a" in dropped.weights:
        dropped.weights["a"] = 1
    u = dropped.run(x=np.ones((20, 30, 3)), training=True, want=["u"])["u"]
    assert (u != u[:1]).any() == ("n" in indices)
    assert (u != u[:, :1]).any() == ("t" in indices)
    assert set(np.unique(u)) <= {0.0, 2.0, 4.0}


def test_a_model_with_such_masks_is_written_and_read_again(tmp_path):
    dropped, x = model(), data()
    dropped.save(tmp_path / "m.safetensors")
    again = tr.load(tmp_path / "m.safetensors")
    assert "mask_h = dropout_mask(0.5, shared=n)" in str(again)
    np.testing.assert_array_equal(again.run(x=x, training=True)["h"], dropped.run(x=x, training=True)["h"])
    cell = tr.graphs.Cell("kept", "h[t] = tanh(dropout(x[t], 0.5, shared=(t, n)) + U @ h[t-1])")
    stacked = tr.graphs.stack(cell, inputs=4, hidden=4, layers=2, head="none")
    assert "mask_h2 = dropout_mask(0.5, shared=n)" in str(stacked)


@pytest.mark.parametrize("shared, told", [
    ("q", "an index of the model is expected here"), ('"q"', "shared='q' is no index on a left side"),
    ("2", "an index of the model is expected here"), ("n", r"a mask with the index t .* shared=\(t, n\) keeps one")])
def test_what_it_cannot_be_kept_over_is_told(shared, told):
    with pytest.raises(tr.Error, match=told):
        model(f"h[t] = V @ dropout(x[t], 0.5, shared={shared})")


def test_a_mask_by_itself_is_kept_over_examples_alone():
    with pytest.raises(tr.Error, match=r"shared='t' is not n: a mask has the indices on its left"):
        model("m[t] = dropout_mask(0.5, shared=t)\nh[t] = m[t] * x[t]")
