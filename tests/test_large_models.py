"""Many equations, terms, weights and shapes: work in proportion, memory that is given back, copies, threads."""

from __future__ import annotations

import copy
import gc
import itertools
import pickle
import threading
import weakref

import numpy as np
import pytest
from zoo import MODELS, build

import tinygrad_rnn as tr
from tinygrad_rnn import backends, jit
from tinygrad_rnn.inference import infer
from tinygrad_rnn.models import plan_cache as plans
from tinygrad_rnn.models import weights
from tinygrad_rnn.node import Node
from tinygrad_rnn.passes.demand import computable, demand

CELL = """
    h[t] = tanh(W @ x[t] + U @ h[t-1] + b)
    y[t] = V @ h[t]
    loss = mean(squared_error(y[t], target[t]))
"""


def deep(layers: int) -> str:
    """So many layers, each with a bias whose rank is guessed."""
    below = ["x", *(f"h{k}" for k in range(layers))]
    return "\n".join(f"h{k}[t] = tanh(W{k} @ {below[k]}[t] + U{k} @ h{k}[t-1] + b{k})" for k in range(layers))


def long(terms: int) -> str:
    """One equation of so many terms, with a weight each."""
    return "h[t] = tanh(" + " + ".join(f"w{k} * x[t] ** {k % 3 + 1}" for k in range(terms)) + " + U @ h[t-1])"


def data(batch: int, steps: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"x": rng.standard_normal((batch, steps, 5)).astype("float32"),
            "target": rng.standard_normal((batch, steps, 3)).astype("float32")}


def small() -> tr.Model:
    return tr.equations(CELL, x=5, h=4, y=3)


# -- work in proportion to the equations ---------------------------------------------------------------


@pytest.mark.parametrize("text", [deep, long])
def test_shapes_are_inferred_in_proportion_to_the_terms(text, monkeypatch):
    calls: list[object] = []
    rule = infer._term
    monkeypatch.setattr(infer, "_term", lambda *args: (calls.append(args), rule(*args)))

    def rules(size: int) -> int:
        del calls[:]
        found = tr.equations(text(size), x=4, **{f"h{k}" if text is deep else "h": 4 for k in range(size)})
        assert {s for s in found.weights.shapes.values()} == ({(4, 4), (4,)})
        return len(calls)

    assert rules(80) < 2.2 * rules(40)


def test_what_can_be_computed_is_what_each_name_demands():
    compared = 0
    for name in MODELS:
        system = build(name).system
        inputs = system.of_role("input")
        for given in itertools.chain.from_iterable(itertools.combinations(inputs, k) for k in range(len(inputs) + 1)):
            singly = [n for n in system.of_role("defined") if set(demand(system, [n]).inputs) <= set(given)]
            assert computable(system, given) == singly, (name, given)
            compared += 1
    assert compared > 20


def test_a_run_of_everything_does_not_search_for_each_name(monkeypatch):
    found = tr.equations(deep(30), x=4, **{f"h{k}": 4 for k in range(30)})
    searches: list[object] = []
    whole = demand.__globals__["needed"]
    monkeypatch.setitem(demand.__globals__, "needed", lambda *given: (searches.append(given), whole(*given))[1])
    assert len(found.run(x=np.ones((1, 2, 4), "float32"))) == 30
    assert len(searches) < 5


def test_many_leaves_are_not_searched_for_at_each_node(monkeypatch):
    leaves = [tr.Tensor(np.ones(2), requires_grad=True) for _ in range(200)]
    total = leaves[0]
    for k, leaf in enumerate(leaves[1:]):
        total = total + leaf * float(k)
    total = total.sum()
    compared: list[object] = []
    monkeypatch.setattr(Node, "__eq__", lambda a, b: (compared.append(a), a is b)[1], raising=False)
    total.backward()
    monkeypatch.undo()
    np.testing.assert_array_equal(leaves[100].grad, [99, 99])
    assert len(compared) < 20 * len(leaves)


# -- what is not drawn, and what is given back -----------------------------------------------------------


def test_loading_draws_nothing(tmp_path, monkeypatch):
    first = small()
    first.weights["W"] = np.arange(20).reshape(4, 5)
    first.save(tmp_path / "m.safetensors")

    def never(*_: object) -> None:
        raise AssertionError("a weight was drawn")

    monkeypatch.setattr(weights, "initial", never)
    again = tr.load(tmp_path / "m.safetensors")
    for name in first.weights:
        np.testing.assert_array_equal(again.weights[name], first.weights[name])


def replays() -> bool:
    """Are calls with NumPy's arrays replayed?"""
    return jit.enabled() and backends.backend() == "numpy"


def test_plans_leave_as_much_memory_free_as_they_take(monkeypatch):
    found = small()
    for steps in range(2, 9):
        found.value_and_grad(data(2, steps))
    kept = found.grad().plans._plans
    assert len(kept) == 7 and len(found._replays) == 7 * replays()
    gone = [weakref.ref(plan) for plan in list(kept.values())[:-1]]
    monkeypatch.setattr(backends.current(), "free_memory", lambda: max(plan.bytes for plan in kept.values()))
    gc.disable()  # what goes is gone at once, without a search through all of the process's objects
    try:
        loss, grads = found.value_and_grad(data(2, 3))  # replayed
        found.value_and_grad(data(2, 9))
        assert not any(r() for r in gone)
    finally:
        gc.enable()
    assert len(kept) == 1 and len(found._replays) == replays()
    again, same = found.value_and_grad(data(2, 3))
    assert again == loss
    np.testing.assert_array_equal(same["U"], grads["U"])


def test_the_number_of_plans_is_bounded():
    found = small()
    for steps in range(2, plans.MOST + 6):
        found.value_and_grad(data(1, steps))
    assert len(found.grad().plans._plans) == plans.MOST and len(found._replays) == plans.MOST * replays()


# -- copies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))],
                         ids=["copy", "deepcopy", "pickle"])
def test_a_copy_of_a_used_model_has_weights_of_its_own(how):
    found, given = small(), data(3, 4)
    found.fit(given, progress=False)
    loss, grads = found.value_and_grad(given)
    other = how(found)
    assert str(other) == str(found)
    same, others = other.value_and_grad(given)
    assert same == loss
    np.testing.assert_array_equal(others["U"], grads["U"])
    other.weights["U"] = np.zeros((4, 4))
    other.fit(given, progress=False)
    assert found.value_and_grad(given)[0] == loss


def test_a_copied_gradient_knows_its_adjoints():
    bptt = small().grad()
    again = pickle.loads(pickle.dumps(bptt))
    assert again.adjoints == bptt.adjoints
    np.testing.assert_array_equal(again.run(data(2, 3), want="d_W")["d_W"], bptt.run(data(2, 3), want="d_W")["d_W"])


# -- threads -----------------------------------------------------------------------------------------------


def test_one_model_in_several_threads():
    found = small()
    given = [data(16, 40, seed) for seed in range(4)]
    expected = [(found.value_and_grad(d), found.run(d, want="y")["y"]) for d in given]
    wrong: list[int] = []

    def work(k: int) -> None:
        (loss, grads), y = expected[k]
        for _ in range(60):
            again, found_grads = found.value_and_grad(given[k])
            if again != loss or any(not np.array_equal(found_grads[n], grads[n]) for n in grads):
                wrong.append(k)
            if not np.array_equal(found.run(given[k], want="y")["y"], y):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_training_beside_gradients_in_another_thread():
    alone, watched, given = small(), small(), data(16, 40)
    alone.fit(given, epochs=60, progress=False)
    order, other = watched.weights.in_order(watched.weights), data(16, 40, 1)  # as `fit` asks for them: the same plan
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            watched.value_and_grad(other, wrt=order, training=True)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        watched.fit(given, epochs=60, progress=False)
    finally:
        done.set()
        thread.join()
    np.testing.assert_array_equal(watched.weights["U"], alone.weights["U"])


def test_a_long_sum_of_a_shifted_quantity_is_differentiated_without_recursion():
    terms = " + ".join(f"w{k} * h[t-1]" for k in range(1200))
    derived = tr.equations(f"h[t] = tanh(x[t] + {terms})\nloss = mean(h[t])", h=2).grad("loss", ["x"])
    assert "d_a_h[t+1] * (w1199 + " in str(derived)


# -- data ------------------------------------------------------------------------------------------------------


def test_lists_of_different_lengths_are_pointed_to_padding():
    with pytest.raises(tr.Error, match=r"x is not an array: its rows differ in length; tr\.data\.padded"):
        small().run(x=[np.ones((3, 5)), np.ones((4, 5))], want="y")
    padded = tr.data.padded({"x": [np.ones((3, 5)), np.ones((4, 5))]})
    assert not small().run(padded, want="y")["y"][0, 3].any()


# -- validation data -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong, message", [
    ({"x": np.ones((2, 4, 3))}, r"the validation data: x has shape \(2, 4, 3\)"),
    ({"z": np.ones((2, 4, 5))}, "the validation data: the model has no input 'z'"),
    ({"lengths": [1, 9]}, "the validation data: lengths of t: example 1 has length 9"),
])
def test_validation_data_that_do_not_fit_are_told_before_training(wrong, message):
    found = small()
    before = {name: found.weights[name].copy() for name in found.weights}
    with pytest.raises(tr.Error, match=message):
        found.fit(data(2, 4), valid={**data(2, 4), **wrong}, progress=False)
    for name, value in before.items():
        np.testing.assert_array_equal(found.weights[name], value)
