"""Graphs of many nodes: none of what walks over them recurs."""

from __future__ import annotations

import numpy as np
from zoo import build, data

import tinygrad_rnn as tr


def test_a_tensor_graph_of_100_000_nodes():
    x = tr.Tensor(np.ones(2), requires_grad=True)
    y = x
    for _ in range(50_000):
        y = y * 0.9999 + 0.0001
    y.sum().backward()
    np.testing.assert_allclose(x.grad, 0.9999**50_000, rtol=1e-6)


def test_an_unrolled_graph_of_many_steps():
    model = build("rnn")
    inputs = data(model, 1, {"t": 1_000})
    flat = model.unroll(1_000)
    assert len(flat.system.equations) == 2_001
    _, grads = model.value_and_grad(inputs)
    _, flat_grads = flat.value_and_grad(inputs)
    np.testing.assert_allclose(flat_grads["U"], grads["U"], atol=1e-12)
