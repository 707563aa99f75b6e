"""Optimisers against the papers, their state and their rates."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import tracemalloc
import types

import numpy as np
import pytest
from layouts import in_one, laid_out
from papers import CASES

from tinygrad_rnn import Error
from tinygrad_rnn.training.clipping import ClipNorm, ClipValue
from tinygrad_rnn.training.optim import SGD, Adam, AdamW, RMSProp
from tinygrad_rnn.training.rates import Constant, Cosine, Exponential, Linear, StepDecay, Warmup

SHAPES = {"W": (3, 4), "b": (4,), "s": (), "U": (2, 3, 3)}


def gradients(steps: int, dtype: str = "float64") -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    scales = 10.0 ** rng.integers(-3, 3, steps)
    return [{k: np.asarray(scale * rng.standard_normal(s), dtype=dtype) for k, s in SHAPES.items()} for scale in scales]


def start(dtype: str = "float64") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {k: np.asarray(rng.standard_normal(s), dtype=dtype) for k, s in SHAPES.items()}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("layout", ["C", "F", "view"])
def test_update_is_the_paper_s(name: str, layout: str) -> None:
    optimizer, reference = CASES[name]
    history, first = gradients(25), start()
    weights = {k: laid_out(w, layout) for k, w in first.items()}
    optimizer.start(weights)
    for grads in history:
        optimizer.update(weights, {k: laid_out(g, layout) for k, g in grads.items()})
    for key, w in first.items():
        expected = [reference(w[i], [g[key][i] for g in history]) for i in np.ndindex(w.shape)]
        np.testing.assert_allclose(weights[key].ravel(), expected, rtol=1e-10, atol=1e-12)
        assert not np.array_equal(weights[key], w)


@pytest.mark.parametrize("name", CASES)
def test_updates_in_place_in_the_weight_s_precision_and_leaves_gradients_alone(name: str) -> None:
    optimizer, reference = CASES[name]
    weights, history = start("float32"), gradients(10, "float32")
    first, kept = start("float32"), gradients(10, "float32")
    arrays = dict(weights)
    optimizer.start(weights)
    for grads in history:
        optimizer.update(weights, grads)
    for key, w in weights.items():
        assert w is arrays[key] and w.dtype == np.float32
        expected = [reference(float(first[key][i]), [float(g[key][i]) for g in kept]) for i in np.ndindex(w.shape)]
        np.testing.assert_allclose(w.ravel(), expected, rtol=1e-3, atol=1e-4)
    assert all(np.array_equal(a[k], b[k]) for a, b in zip(history, kept, strict=True) for k in a)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("together", [False, True])
def test_no_array_is_made_after_start(name: str, together: bool) -> None:
    optimizer, _ = CASES[name]
    weights = {"W": np.ones((200, 1000), "float32"), "b": np.ones(1000, "float32")}
    grads = {k: np.full_like(w, 0.1) for k, w in weights.items()}
    if together:
        weights, grads = in_one(weights), in_one(grads)
    optimizer.start(weights)
    optimizer.update(weights, grads)
    tracemalloc.start()
    try:
        for _ in range(3):
            optimizer.update(weights, grads)
        _, peak = tracemalloc.get_traced_memory()
        probe = np.ones(1000, "float32")
        assert tracemalloc.get_traced_memory()[1] >= probe.nbytes, "arrays are not traced: the test would say nothing"
    finally:
        tracemalloc.stop()
    assert peak < 100_000  # W alone has 800,000 bytes


def test_functions_come_from_the_given_array_module() -> None:
    used: list[str] = []

    def counted(name: str):
        def call(*args, **kwargs):
            used.append(name)
            return getattr(np, name)(*args, **kwargs)

        return call

    names = ("add", "subtract", "multiply", "divide", "sqrt", "zeros_like", "empty", "asarray")
    xp = types.SimpleNamespace(**{name: counted(name) for name in names})
    weights, (grads,) = start(), gradients(1)
    for optimizer, _ in CASES.values():
        used.clear()
        optimizer.start(weights, xp)
        optimizer.update(weights, grads)
        assert "subtract" in used and "empty" in used


@pytest.mark.parametrize("name", CASES)
def test_a_restored_state_goes_on_bit_for_bit(name: str) -> None:
    optimizer, _ = CASES[name]
    weights, history = start("float32"), gradients(12, "float32")
    optimizer.start(weights)
    for grads in history[:6]:
        optimizer.update(weights, grads)
    state, copy = optimizer.state(), {k: w.copy() for k, w in weights.items()}
    for grads in history[6:]:
        optimizer.update(weights, grads)

    other = type(optimizer)(**{f.name: getattr(optimizer, f.name) for f in dataclasses.fields(optimizer) if f.init})
    other.start(copy)
    other.load_state(state)
    for grads in history[6:]:
        other.update(copy, grads)
    assert int(state["step"]) == 6 and other.step == 12
    assert all(np.array_equal(weights[k], copy[k]) for k in weights)


def test_start_again_forgets() -> None:
    optimizer = Adam(0.1)
    results = []
    for _ in range(2):
        weights = start()
        optimizer.start(weights)
        for grads in gradients(5):
            optimizer.update(weights, grads)
        results.append(weights["W"])
    assert np.array_equal(*results)


def test_the_rate_may_be_a_schedule_and_may_be_set() -> None:
    w, g = {"w": np.zeros(1)}, {"w": np.ones(1)}
    optimizer = SGD(lambda step: 10.0**-step)
    for _ in range(3):
        optimizer.update(w, g)
    np.testing.assert_allclose(w["w"], -1.11)
    optimizer.lr = 5.0
    optimizer.update(w, g)
    np.testing.assert_allclose(w["w"], -6.11)


def test_schedules() -> None:
    assert [Constant(0.5)(k) for k in (0, 99)] == [0.5, 0.5]
    np.testing.assert_allclose([StepDecay(1.0, 2)(k) for k in range(5)], [1, 1, 0.1, 0.1, 0.01])
    np.testing.assert_allclose([Exponential(1.0, 0.25, every=2)(k) for k in range(4)], [1, 0.5, 0.25, 0.125])
    falling = Linear(1.0, 6, warmup=2, floor=0.2)
    np.testing.assert_allclose([falling(k) for k in range(8)], [0.5, 1, 1, 0.8, 0.6, 0.4, 0.2, 0.2])
    # cos(pi/3) = 1/2, cos(pi/2) = 0, cos(2 pi/3) = -1/2
    np.testing.assert_allclose([Cosine(1.0, 6)(k) for k in (0, 2, 3, 4, 6, 7)], [1, 0.75, 0.5, 0.25, 0, 0], atol=1e-15)
    # half way down, at step 6, it stands between lr and floor
    warmed = Cosine(1.0, 8, warmup=4, floor=0.5)
    np.testing.assert_allclose([warmed(k) for k in (0, 1, 2, 3, 4, 6, 8)], [0.25, 0.5, 0.75, 1, 1, 0.75, 0.5])
    np.testing.assert_allclose([Warmup(2.0, 4)(k) for k in range(6)], [0.5, 1, 1.5, 2, 2, 2])
    np.testing.assert_allclose([Warmup(StepDecay(1.0, 2), 2)(k) for k in range(4)], [0.5, 1, 0.1, 0.1])


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: SGD("fast"), TypeError, "lr is a number, not 'fast'"),
        (lambda: SGD(True), TypeError, "lr is a number, not True"),
        (lambda: Adam(-1e-3), ValueError, "lr must be at least 0, not -0.001"),
        (lambda: Adam(math.nan), ValueError, "lr must be finite, not nan"),
        (lambda: Adam(beta1=1.0), ValueError, "beta1 must be at least 0 and below 1, not 1"),
        (lambda: Adam(beta2=-0.1), ValueError, "beta2 must be at least 0 and below 1"),
        (lambda: Adam(eps=0), ValueError, "eps must be above 0, not 0"),
        (lambda: AdamW(weight_decay=-1), ValueError, "weight_decay must be at least 0"),
        (lambda: RMSProp(rho=1.5), ValueError, "rho must be at least 0 and below 1"),
        (lambda: SGD(0.1, momentum=1), ValueError, "momentum must be at least 0 and below 1"),
        (lambda: SGD(0.1, nesterov=True), ValueError, "nesterov=True needs a momentum above 0"),
        (lambda: SGD(0.1, 0.9, nesterov=1), TypeError, "nesterov is True or False, not 1"),
        (lambda: ClipNorm(0), ValueError, "max must be above 0"),
        (lambda: ClipValue("1"), TypeError, "max is a number"),
        (lambda: StepDecay(1.0, 0), ValueError, "every must be at least 1, not 0"),
        (lambda: StepDecay(1.0, 2.5), TypeError, "every is a whole number, not 2.5"),
        (lambda: Cosine(1.0, 5, warmup=5), ValueError, "steps .* must be at least 6, not 5"),
        (lambda: Warmup("slow", 3), TypeError, "rate is a number"),
        (lambda: Adam().load_state({}), ValueError, r"call start\(weights\)"),
        (lambda: Adam().start({"i": np.ones(3, int)}), TypeError, "weight i is not a floating-point array"),
        (lambda: Adam().update({"w": np.ones(3)}, {"v": np.ones(3)}), ValueError, r"differ in \['v', 'w'\]"),
        (lambda: Adam().update({"w": np.ones(3)}, {"w": np.ones(1)}), ValueError, r"w started with shape \(3,\)"),
        (lambda: Adam().update({"w": np.broadcast_to(0.0, (3,))}, {"w": np.ones(3)}), ValueError,
         "w is read-only, .* give model.weights itself"),
        (lambda: SGD(lambda step: -1.0).update({}, {}), ValueError, "the learning rate at step 0 must be at least 0"),
        (lambda: SGD(lambda step: None).update({}, {}), TypeError, "returned None at step 0"),
    ],
)
def test_mistakes_are_told(make, kind: type[Exception], message: str) -> None:
    with pytest.raises(Error, match=message) as caught:
        make()
    assert isinstance(caught.value, kind)


def test_a_foreign_state_changes_nothing() -> None:
    weights, (grads,) = start(), gradients(1)
    optimizer = Adam()
    optimizer.update(weights, grads)
    before = optimizer.state()
    missing = {k: v for k, v in before.items() if k != "mean.b"}
    reshaped = {**before, "step": np.array(9), "square.W": np.zeros((4, 3))}
    for state, message in ((missing, "mean.b"), (reshaped, r"square.W has shape \(4, 3\); \(3, 4\)")):
        with pytest.raises(Error, match=message):
            optimizer.load_state(state)
    after = optimizer.state()
    assert all(np.array_equal(before[k], after[k]) for k in before)


def test_the_arguments_are_shown() -> None:
    assert repr(AdamW(Cosine(0.1, 9))) == (
        "AdamW(lr=Cosine(lr=0.1, steps=9, warmup=0, floor=0.0), beta1=0.9, beta2=0.999, eps=1e-08, weight_decay=0.01)"
    )


@pytest.mark.parametrize("again", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["copied", "pickled"])
def test_an_optimiser_goes_on_from_a_copy(again) -> None:
    rng = np.random.default_rng(0)
    weights = {"a": rng.standard_normal((3, 4)).astype("float32"), "b": rng.standard_normal(3).astype("float32")}
    grads = [{name: rng.standard_normal(w.shape).astype("float32") for name, w in weights.items()} for _ in range(4)]
    optimizer = Adam(0.1)
    for g in grads[:2]:
        optimizer.update(weights, g)
    found = again(optimizer)
    other = {name: w.copy() for name, w in weights.items()}
    for g in grads[2:]:
        optimizer.update(weights, g)
        found.update(other, g)
    for name, w in weights.items():
        np.testing.assert_array_equal(other[name], w)
