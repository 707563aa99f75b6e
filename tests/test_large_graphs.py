"""Graphs of many nodes: none of what walks over them recurs, and work grows as they do."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from effort import calls
from zoo import build, data

import tinygrad_rnn as tr
from tinygrad_rnn.models import model as models
from tinygrad_rnn.models import plan_cache
from tinygrad_rnn.viz.api import make_view
from tinygrad_rnn.viz.layout import grid, routes


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


# -- work in proportion to the graph -------------------------------------------------------------------------


def flat(model: tr.Model, steps: int) -> tr.Model:
    return tr.Model.of_system(model.unroll(steps).system)


def deep(layers: int) -> tr.Model:
    below = ["x", *(f"h{k}" for k in range(layers))]
    lines = [f"h{k}[t] = tanh(W{k} @ {below[k]}[t] + U{k} @ h{k}[t-1] + b{k})" for k in range(layers)]
    return tr.equations("\n".join([*lines, f"loss = mean(h{layers - 1}[t] ** 2)"]), x=2, **{b: 2 for b in below[1:]})


@pytest.mark.parametrize("given, work", [
    (lambda size: flat(build("rnn"), size), lambda m: m.grad()),
    (lambda size: str(flat(build("rnn"), size).grad()), tr.equations),
    (lambda size: str(deep(size).grad()), tr.equations),
], ids=["gradient", "text of an unrolled gradient", "text of a gradient"])
def test_work_grows_as_the_graph(given, work):
    def count(size: int) -> int:
        found = given(size)
        return calls(lambda: work(found))

    count(10)  # what is found once and kept
    assert count(80) < 2.3 * count(40)


def test_a_softmax_over_an_unrolled_index_is_one_for_all_positions():
    def work(size: int) -> int:
        model = tr.equations("a[t,s] = softmax(q[t] * k[s], over=s)\nc[t] = sum(a[t,s] * k[s], over=s)", q=(), k=())
        return calls(lambda: model.unroll({"t": size, "s": size}).system)

    work(3)
    assert work(24) < 4.6 * work(12)


# -- nothing twice -------------------------------------------------------------------------------------------


def test_an_unrolled_graph_is_differentiated_and_planned_once(monkeypatch):
    model = build("rnn")
    unrolled, inputs = model.unroll(4), data(model, 2, {"t": 4})
    made: list[str] = []
    gradient, plan = models.gradient, plan_cache.Plan
    monkeypatch.setattr(models, "gradient", lambda *given: (made.append("gradient"), gradient(*given))[1])
    monkeypatch.setattr(plan_cache, "Plan", lambda *given, **more: (made.append("plan"), plan(*given, **more))[1])
    first = unrolled.value_and_grad(inputs)
    assert made == ["gradient", "plan"]
    kept = {name: grad.copy() for name, grad in first[1].items()}
    model.weights["U"] = 2 * model.weights["U"]
    loss, grads = unrolled.value_and_grad(inputs)
    expected_loss, expected = model.value_and_grad(inputs)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-12)
    for name in expected:
        np.testing.assert_allclose(grads[name], expected[name], atol=1e-12)
        np.testing.assert_array_equal(first[1][name], kept[name])  # results belong to the caller
    assert loss != first[0]
    unrolled.value_and_grad(inputs, lengths=[4, 2])
    assert made.count("gradient") == 3 and made.count("plan") == 3  # the model's own, and one for lengths


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))],
                         ids=["copy", "deepcopy", "pickle"])
def test_a_copy_of_a_used_unrolled_graph(how):
    model = build("rnn")
    unrolled, inputs = model.unroll(4), data(model, 2, {"t": 4})
    loss, grads = unrolled.value_and_grad(inputs)
    again, same = how(unrolled).value_and_grad(inputs)
    assert again == loss
    np.testing.assert_array_equal(same["U"], grads["U"])


def test_a_route_chooses_tracks_only_where_something_has_moved(monkeypatch):
    placed = grid._Grid(make_view(deep(8).grad(), "unrolled"))
    chosen: list[object] = []
    assign = routes.assign
    monkeypatch.setattr(routes, "assign", lambda *given: (chosen.append(given), assign(*given))[1])
    before = [(channel.at, channel.clashes) for channel in placed.channels]
    placed.route()
    assert not chosen
    assert [(channel.at, channel.clashes) for channel in placed.channels] == before
    placed.dodged[0] = (17.0, 8.0)
    placed.beside()
    placed.route()
    assert chosen
