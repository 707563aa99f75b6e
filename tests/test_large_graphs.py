"""Graphs of many nodes: none of what walks over them recurs, and work grows as they do."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from compiling import compiling
from effort import calls
from zoo import build, data

import tinygrad_rnn as tr
from tinygrad_rnn.models import model as models
from tinygrad_rnn.models import plan_cache
from tinygrad_rnn.viz.api import make_scene, make_view
from tinygrad_rnn.viz.cell.known import Known
from tinygrad_rnn.viz.cell.route import Grid
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
    np.testing.assert_allclose(flat_grads["U"], grads["U"], rtol=1e-12, atol=1e-12)


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


def test_an_unrolled_graph_is_compiled_in_proportion():
    model = build("rnn")

    def count(size: int) -> int:
        inputs = data(model, 1, {"t": size})
        with compiling(True):
            return calls(lambda: model.unroll(size).run(inputs))

    count(40)  # what is found once and kept
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
        np.testing.assert_allclose(grads[name], expected[name], rtol=1e-12, atol=1e-12)
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


def residual(layers: int) -> tr.Model:
    names = [f"a{k}" for k in range(layers)]
    lines = [f"a{k}[t] = relu(W{k} @ a{k - 1}[t]) + a{k - 2}[t]" for k in range(2, layers)]
    return tr.equations("\n".join(["a0[t] = tanh(W0 @ x[t])", "a1[t] = tanh(W1 @ a0[t])", *lines,
                                   f"loss = mean({names[-1]}[t] ** 2)"]), x=2, **dict.fromkeys(names, 2))


def test_boxes_are_moved_a_little_without_routing_all_anew(monkeypatch):
    routed: list[object] = []
    tried: list[int] = []
    route, after = grid._Grid.route, grid._Grid.clashes_after
    monkeypatch.setattr(grid._Grid, "route", lambda self: (routed.append(self), route(self))[1])
    monkeypatch.setattr(grid._Grid, "clashes_after",
                        lambda self, row, dodge: (tried.append(row), after(self, row, dodge))[1])
    view = make_view(tr.graphs.caption().grad(), "unrolled")
    grid.layout(view)
    assert len(routed) == 2 and tried  # as often as where nothing is tried, but for once at the end
    tried.clear()
    monkeypatch.setattr(grid, "PATIENCE", 1)  # as where there are very many wires: each row stays where it was
    grid.layout(view)
    assert tried == [21, 20]


def test_a_wire_past_many_rows_is_looked_for_as_if_row_by_row():
    placed = grid._Grid(make_view(residual(60), "folded"))
    boxes = sorted(placed.boxes, key=lambda b: b.row)
    lowest, highest = boxes[0], boxes[-1]
    widest = max(b.template.w for b in boxes)
    for x in (0.0, widest / 2 + 9, widest / 2 + 11, -widest):
        free = all(not low < x < high for row in range(lowest.row + 1, highest.row)
                   for low, high in placed.in_the_way(row, lowest.spot))
        assert placed.is_free(lowest, x, highest) is free
    assert placed.is_free(lowest, widest, highest) and not placed.is_free(lowest, 0.0, highest)


def test_cells_that_are_alike_are_laid_out_once(monkeypatch):
    laid: list[object] = []
    route = Grid.route
    monkeypatch.setattr(Grid, "route", lambda self, nets: (laid.append(self), route(self, nets))[1])
    make_scene(lstms(6), "cell")
    assert len(laid) == 3  # the first, the last from which nothing goes on, and those between


def lstms(layers: int) -> tr.Model:
    text, below = "", "x"
    for k in range(layers):
        gates = [f"{g}{k}[t] = {f}(W_{g}{k} @ {below}[t] + U_{g}{k} @ h{k}[t-1])"
                 for g, f in (("i", "sigmoid"), ("f", "sigmoid"), ("o", "sigmoid"), ("g", "tanh"))]
        text += "\n".join([*gates, f"c{k}[t] = f{k}[t] * c{k}[t-1] + i{k}[t] * g{k}[t]",
                           f"h{k}[t] = o{k}[t] * tanh(c{k}[t])", ""])
        below = f"h{k}"
    return tr.equations(text, x=2, **{f"h{k}": 2 for k in range(layers)})



def test_what_is_taken_over_from_a_cell_that_is_alike_is_what_is_found_without(monkeypatch):
    taken = make_scene(lstms(3), "cell")
    monkeypatch.setattr(Known, "route", lambda self, own, nets: own.route(nets))
    assert make_scene(lstms(3), "cell") == taken
