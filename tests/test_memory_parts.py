"""memory="sqrt" in several threads: each part of a batch goes through all segments by itself, where it can."""

from __future__ import annotations

import numpy as np
import pytest
from segmented import CAUSAL, assert_same, cut_into, made, ragged
from zoo import LSTM, build, data, dynamic, spoilt

import tinygrad_rnn as tr
from tinygrad_rnn import backends
from tinygrad_rnn.lowering.work import Work
from tinygrad_rnn.plans import segments


@pytest.fixture
def two_parts(monkeypatch):
    """Any work is worth two threads. Gives how many went through the segments on their own, run by run."""
    found = []
    monkeypatch.setattr(Work, "is_worth_sharing", lambda self, compiled: True)
    monkeypatch.setattr(backends.current(), "threads", lambda: 2)
    monkeypatch.setattr(segments.Segments, "run", lambda self, feed, run=segments.Segments.run: (
        found.append(len(self.shards)), run(self, feed))[1])
    return found


@pytest.mark.parametrize("name", CAUSAL)
def test_parts_of_a_batch_go_through_the_segments_alone(name, two_parts, monkeypatch):
    cut_into(3, monkeypatch)
    model = build(name)
    inputs = data(model, 3, {i: 8 for i in dynamic(model)})
    assert_same(model, inputs, training=True)
    lengths = ragged(model, 3, 8)
    assert_same(model, spoilt(model, inputs, lengths), lengths=lengths, training=True)
    assert set(two_parts) == {2}


AMONG_EXAMPLES = {
    "means": ("""
        a[t] = W @ x[t]
        c[t] = a[t] - mean(a[t], over=n)
        h[t] = tanh(U @ h[t-1] + c[t])
        loss = mean(h[t] * h[t])""", {"x": 3, "h": 4}),
    "in_the_loop": ("""
        a[t] = U @ h[t-1] + W @ x[t]
        h[t] = tanh(a[t] - mean(a[t], over=n))
        loss = mean(h[t] * h[t])""", {"x": 3, "h": 4}),
    "carried": ("""
        m[t] = mean(W @ x[t], over=n)
        h[t] = tanh(U @ h[t-1] + m[t-1] + x[t])
        loss = mean(h[t] * h[t])""", {"x": 4, "h": 4}),
}


@pytest.mark.parametrize("name", AMONG_EXAMPLES)
def test_examples_that_need_each_other_at_each_step_stay_together(name, two_parts, monkeypatch):
    cut_into(3, monkeypatch)
    model = made(*AMONG_EXAMPLES[name])
    assert_same(model, data(model, 5, {"t": 8}))
    assert set(two_parts) == {1}


def test_wanted_values_and_states_of_parts_that_went_alone(two_parts, monkeypatch):
    cut_into(3, monkeypatch)
    model = build("two_layers")
    inputs = data(model, 5, {"t": 8})
    assert_same(model, inputs, wrt=["x", "A"], lengths=np.array([8, 2, 5, 1, 7]))
    derived = model.grad()
    want = ("loss", *derived.adjoints.values())[:3]
    state = model.run(inputs).state
    plan, by_segments = (derived.computed(want, inputs, state=state, memory=m) for m in (None, "sqrt"))
    for name, value in by_segments.state().items():
        np.testing.assert_allclose(value, plan.state()[name], rtol=1e-12, atol=1e-13, err_msg=name)
    assert set(two_parts) == {2}


def test_a_batch_cut_into_parts():
    model = tr.equations(LSTM, x=16, h=32, y=5, dtype="float64")
    inputs = data(model, 24, {"t": 40})
    model.grad().plans.threads = 3
    lengths = np.random.default_rng(0).integers(1, 41, 24)
    assert_same(model, inputs)
    assert_same(model, inputs, lengths=lengths)
