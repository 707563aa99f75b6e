"""Gradients by segments of time beside those of the whole sequence, for the tests of memory="sqrt"."""

from __future__ import annotations

import numpy as np
import pytest
from zoo import dynamic

import tinygrad_rnn as tr
from tinygrad_rnn.plans import segments

CAUSAL = ["rnn", "lstm", "gru", "two_layers", "static_index", "attention", "no_recurrence", "dropout"]


def made(text, sizes):
    model = tr.equations(text, dtype="float64", **sizes)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        model.weights[weight] = rng.standard_normal(model.weights[weight].shape) * 0.5
    return model


def ragged(model, batch, steps, seed=0):
    """Lengths by index, one example whole and one of a single step."""
    rng, found = np.random.default_rng(seed), {}
    for i in dynamic(model):
        found[i] = rng.integers(1, steps + 1, batch)
        found[i][:2] = steps, 1
    return found


def assert_same(model, inputs, **options):
    loss, grads = model.value_and_grad(inputs, memory="sqrt", **options)
    plain_loss, plain = model.value_and_grad(inputs, **options)
    assert loss == pytest.approx(plain_loss, rel=1e-12)
    assert set(grads) == set(plain)
    for name, g in plain.items():
        assert grads[name].shape == g.shape
        np.testing.assert_allclose(grads[name], g, rtol=0, atol=1e-12 * (np.abs(g).max() + 1e-30), err_msg=name)


def cut_into(size, monkeypatch):
    """Segments of so many steps, or with None as they are."""
    if size is not None:
        def short(steps):
            return [segments.Span(k, min(size, steps - k)) for k in range(0, steps, size)]
        monkeypatch.setattr(segments, "spans", short)
