"""Declared data in training: the loss of what is observed, and what is fed back or drawn in place of the rest."""

from __future__ import annotations

import numpy as np
import pytest
from declared_models import CHAIN, EVERYTHING, chain, everything

import tinygrad_rnn as tr
from tinygrad_rnn.notation.declared import Pose


def test_the_loss_is_what_it_would_be_if_it_were_written():
    drawn = everything().run(steps=6, lengths=[6, 4, 5], seed=3)
    data = {k: drawn[k] for k in "wzok"}
    text = EVERYTHING
    for line in ("w[t] = categorical(softmax(V @ h[t]))", "z[t] = normal(M @ h[t], exp(S @ h[t]))",
                 "o[t] = bernoulli(sigmoid(O @ h[t]))", "k = categorical(softmax(K @ h[T]))"):
        text = text.replace(line, "")
    written = tr.equations(text + """
l[t] = cross_entropy(softmax(V @ h[t]), w[t])
g[t] = sum((z[t] - M @ h[t]) ** 2 / (2 * exp(S @ h[t]) ** 2) + S @ h[t] + 0.9189385332046727, axis=0)
q[t] = sum(binary_cross_entropy(sigmoid(O @ h[t]), o[t]), axis=0)
loss = mean(l[t]) + mean(g[t]) + mean(q[t]) + mean(cross_entropy(softmax(K @ h[T]), k[n]))
""", w=5, z=2, o=3, h=8, k=4)
    model = everything()
    for name in model.weights:
        written.weights[name] = model.weights[name]
    loss, grads = model.value_and_grad(data, lengths=[6, 4, 5])
    other, expected = written.value_and_grad(data, lengths=[6, 4, 5])
    np.testing.assert_allclose(loss, other, rtol=1e-6)
    for name in grads:
        np.testing.assert_allclose(grads[name], expected[name], rtol=1e-4, atol=1e-6)
    model.check_gradient(data, lengths=[6, 4, 5])


def test_the_loss_is_of_what_is_observed():
    model = everything()
    drawn = model.run(steps=6, batch=3, seed=3)
    parts = [model.run({n: drawn[n] for n in names}, want=["loss"], steps=6, seed=3)["loss"]
             for names in ("w", "z", "o", "k", "wzok")]
    np.testing.assert_allclose(sum(parts[:4]), parts[4], rtol=1e-6)
    with pytest.raises(tr.Error, match="the loss is of observed data; give w or z or o or k="):
        model.value_and_grad(steps=3)
    with pytest.raises(tr.Error, match="the loss is of observed data"):
        model.run(steps=3, want=["loss"])


def test_a_written_loss_stays():
    model = tr.equations(CHAIN + "\nloss = sum(h[t] ** 2)", w=5, h=8)
    out = model.run(w=np.zeros((2, 3), int))
    assert out["loss"] == pytest.approx((out["h"] ** 2).sum())


def test_the_gradient_is_a_model_that_can_be_read_back():
    again = tr.equations(str(chain().grad()))
    assert again.system.quantities["w"].role == "input" and "d_V" in again.system.quantities


def test_no_gradient_passes_a_draw():
    model = everything()
    data = model.run(steps=5, batch=2, seed=1)
    _, grads = model.value_and_grad(w=data["w"], steps=5, seed=1)
    assert not grads["M"].any() and not grads["O"].any() and grads["V"].any()


def test_what_training_is_not_given_is_drawn_anew_at_each_update():
    model = tr.equations("e[t] = normal(0, 1)\nz[t] = m + exp(s) * e[t]\n"
                         "loss = mean(sum((z[t] - x[t]) ** 2, axis=0))", x=2)
    x = np.random.default_rng(0).normal((1.0, -2.0), 1.0, (64, 10, 2))
    before = model.evaluate({"x": x})
    losses = model.fit({"x": x}, optimizer=tr.Adam(0.03), epochs=60, progress=False, valid={"x": x}).loss
    np.testing.assert_allclose(model.weights["m"], x.mean((0, 1)), atol=0.1)
    assert np.all(model.weights["s"] < -1.5) and losses[-1] < model.evaluate({"x": x}) * 1.2 < before


def test_batches_in_a_list_are_given_the_same_names_all():
    model = tr.equations("e[t] = normal(0, 1)\nz[t] = m + e[t]\nloss = mean((z[t] - x[t]) ** 2)", x=())
    batch = {"x": np.zeros((2, 3))}
    assert len(model.fit([batch, batch], progress=False).steps) == 2
    assert model.evaluate([batch]) > 0
    noise = {**batch, "e": np.zeros((2, 3))}
    assert model.evaluate([noise]) == pytest.approx(float(model.weights["m"]) ** 2)


def test_a_share_of_zero_changes_nothing_and_of_one_feeds_only_draws():
    data = {"w": np.random.default_rng(0).integers(0, 5, (6, 9))}

    def losses(share: object) -> list[float]:
        return chain().fit(data, epochs=2, batch_size=3, progress=False, scheduled_sampling=share).loss

    assert losses(0.0) == losses(None) == losses(lambda step: 0.0)
    assert losses(1.0) != losses(0.0) and losses(0.5) not in (losses(0.0), losses(1.0))


def test_what_is_fed_back_is_drawn_from_the_model_itself():
    model = chain()
    fed = model.posed(Pose(frozenset(["w"]), fed=True))
    data = np.random.default_rng(0).integers(0, 5, (3, 7))
    kept = np.ones((3, 7))
    kept[:, 2] = 0
    out = fed.run(w=data, kept_w=kept, want=["fed_w", "h", "loss"], seed=6)
    drawn = model.run(w=data[:, :2], steps=7, seed=6)["w"][:, 2]
    np.testing.assert_array_equal(out["fed_w"].argmax(-1)[:, 2], drawn)
    changed = data.copy()
    changed[:, 2] = drawn
    np.testing.assert_allclose(out["h"], model.run(w=changed)["h"], atol=1e-6)
