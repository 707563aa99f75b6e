"""Optimisers, schedules and clipping against plain loops written from the papers."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import math
import tracemalloc
import types
import weakref

import numpy as np
import pytest

from tinygrad_rnn import Error, jit
from tinygrad_rnn.clipping import ClipNorm, ClipValue, global_norm
from tinygrad_rnn.flat import cut, flat, parts
from tinygrad_rnn.optim import SGD, Adam, AdamW, RMSProp
from tinygrad_rnn.rates import Constant, Cosine, Exponential, Linear, StepDecay, Warmup

SHAPES = {"W": (3, 4), "b": (4,), "s": (), "U": (2, 3, 3)}


def gradients(steps: int, dtype: str = "float64") -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    scales = 10.0 ** rng.integers(-3, 3, steps)
    return [{k: np.asarray(scale * rng.standard_normal(s), dtype=dtype) for k, s in SHAPES.items()} for scale in scales]


def start(dtype: str = "float64") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {k: np.asarray(rng.standard_normal(s), dtype=dtype) for k, s in SHAPES.items()}


# --- one number at a time, as the papers write it ---------------------------------------------------------


def sgd(w, gs, rate, mu=0.0, nesterov=False, decay=0.0):
    """Sutskever et al. 2013: v = mu v - lr grad(theta [+ mu v]); theta += v.

    Nesterov's gradient is taken ahead, at phi = theta + mu v. The library keeps phi: phi' = phi - mu v + (1 + mu) v'.
    """
    v = 0.0
    for g in gs:
        g = g + decay * w
        before, v = v, mu * v - rate * g
        w = w - mu * before + (1 + mu) * v if nesterov else w + v
    return w


def rmsprop(w, gs, rate, rho=0.9, eps=1e-8, mu=0.0):
    mean_square = velocity = 0.0
    for g in gs:
        mean_square = rho * mean_square + (1 - rho) * g**2
        velocity = mu * velocity + g / (math.sqrt(mean_square) + eps)
        w = w - rate * velocity
    return w


def adam(w, gs, rate=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.0):
    m = v = 0.0
    for t, g in enumerate(gs, start=1):
        w = w - rate * decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        w = w - rate * m_hat / (math.sqrt(v_hat) + eps)
    return w


CASES = {
    "sgd": (SGD(0.05), lambda w, gs: sgd(w, gs, 0.05)),
    "decay": (SGD(0.05, weight_decay=0.1), lambda w, gs: sgd(w, gs, 0.05, decay=0.1)),
    "momentum": (SGD(0.05, momentum=0.9), lambda w, gs: sgd(w, gs, 0.05, 0.9)),
    "nesterov": (SGD(0.05, momentum=0.8, nesterov=True), lambda w, gs: sgd(w, gs, 0.05, 0.8, True)),
    "nesterov, decay": (
        SGD(0.05, momentum=0.8, nesterov=True, weight_decay=0.1),
        lambda w, gs: sgd(w, gs, 0.05, 0.8, True, 0.1),
    ),
    "rmsprop": (RMSProp(0.02), lambda w, gs: rmsprop(w, gs, 0.02)),
    "rmsprop, momentum": (RMSProp(0.02, 0.95, 1e-5, 0.7), lambda w, gs: rmsprop(w, gs, 0.02, 0.95, 1e-5, 0.7)),
    "adam": (Adam(), adam),
    "adam, all": (Adam(0.1, 0.7, 0.8, 1e-3), lambda w, gs: adam(w, gs, 0.1, 0.7, 0.8, 1e-3)),
    "adamw": (AdamW(0.1), lambda w, gs: adam(w, gs, 0.1, decay=0.01)),
    "adamw, all": (AdamW(0.1, weight_decay=0.3), lambda w, gs: adam(w, gs, 0.1, decay=0.3)),
}


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


def laid_out(a: np.ndarray, layout: str) -> np.ndarray:
    if layout == "view" and a.ndim:
        wide = np.full((*a.shape[:-1], 2 * a.shape[-1]), 99.0, a.dtype)
        wide[..., ::2] = a
        return wide[..., ::2]
    return np.array(a, order="F" if layout == "F" else "C")


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


# --- weights and gradients that are slices of one array ----------------------------------------------------

LARGE = {"W": (100, 97), "empty": (0, 5), "b": (37,), "s": (), "U": (2, 3, 3)}  # enough for compiled code, and a rest


def in_one(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = cut(np.empty(sum(a.size for a in arrays.values()), next(iter(arrays.values())).dtype), arrays)
    for name, a in arrays.items():
        found[name][...] = a
    return found


def apart(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: a.copy() for name, a in arrays.items()}


def with_gaps(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    wide = in_one({f"{name}{k}": np.resize(a, max(a.size, 1)) for name, a in arrays.items() for k in range(2)})
    return {name: wide[f"{name}0"][: a.size].reshape(a.shape) for name, a in arrays.items()}


def reordered(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = in_one(dict(reversed(arrays.items())))
    return {name: found[name] for name in arrays}


def strided(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: laid_out(a, "view") for name, a in arrays.items()}


def fortran(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: laid_out(a, "F") for name, a in arrays.items()}


def frozen(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = in_one(arrays)
    for a in found.values():
        a.flags.writeable = False
    return found


APART = [apart, with_gaps, reordered, strided, fortran]


def large(steps: int = 0, dtype: str = "float32") -> list[dict[str, np.ndarray]]:
    """Weights, and gradients for so many steps."""
    rng = np.random.default_rng(3)
    return [{k: np.asarray(rng.standard_normal(s), dtype) for k, s in LARGE.items()} for _ in range(steps + 1)]


def test_consecutive_slices_are_found() -> None:
    weights = in_one(large()[0])
    whole = flat(weights)
    assert whole is not None and whole.shape == (sum(w.size for w in weights.values()),)
    assert np.array_equal(whole, joined(weights))
    whole[...] = np.arange(whole.size)
    assert np.array_equal(joined(weights), np.arange(whole.size)) and weights["s"] == 100 * 97 + 37
    assert flat(weights) is whole and flat(dict(weights)) is whole and parts(weights)[0] is whole
    some = flat({k: weights[k] for k in ("b", "s")})
    assert some is not None and np.shares_memory(some, weights["b"]) and some.size == 38
    assert np.array_equal(cut(whole, weights)["U"], weights["U"])
    block = np.zeros((4, 6))  # whatever shape and dtype the owner has
    rows = flat({"a": block[1], "b": block[2:]})
    assert rows is not None and rows.size == 18 and np.shares_memory(rows, block)
    assert np.array_equal(flat({"a": block}), np.zeros(24))


@pytest.mark.parametrize("layout", [*APART, frozen])
def test_other_arrays_are_not_slices_of_one(layout) -> None:
    weights = layout(large()[0])
    assert flat(weights) is None
    assert [id(p) for p in parts(weights)] == [id(w) for w in weights.values()]


def test_what_has_no_flat_array() -> None:
    memory = np.zeros(8, "float32")
    assert flat({}) is None and flat({"a": np.zeros(0)}) is None
    assert flat({"a": memory[:4], "b": memory[:4]}) is None
    assert flat({"a": memory[:2], "b": memory[2:].view("float64")}) is None
    assert flat({"a": memory[:4], "b": np.float32(1)}) is None and flat({"a": np.float64(1)}) is None


@pytest.mark.parametrize("layout", [in_one, apart])
def test_arrays_that_were_looked_at_are_not_kept(layout) -> None:
    for arrays in (layout(large()[0]), {"w": np.ones(3)}, {"w": np.frombuffer(bytearray(24))}):
        flat(arrays)
        gone = [weakref.ref(a) for a in arrays.values()]
        arrays.clear()
        gc.collect()
        assert [ref() for ref in gone] == [None] * len(gone)


def trained(optimizer, weights, history, compiled: bool = False):
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setitem(jit._switch, "on", compiled)
        optimizer.start(weights)
        for grads in history:
            optimizer.update(weights, grads)
    return weights, optimizer.state()


COMPILED = pytest.param(True, marks=pytest.mark.skipif(not jit.installed(), reason="compiled code needs llvmlite"))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("compiled", [False, COMPILED])
def test_one_by_one_and_together_give_the_same_bits(name: str, dtype: str, compiled: bool) -> None:
    optimizer, _ = CASES[name]
    first, *history = large(4, dtype)
    expected, state = trained(optimizer, apart(first), history)
    for layout, of_grads in [(in_one, in_one), *((in_one, g) for g in [*APART, frozen]), *((w, in_one) for w in APART)]:
        weights, own = trained(optimizer, layout(first), [of_grads(g) for g in history], compiled)
        for found, wanted in ((weights, expected), (own, state)):
            assert found.keys() == wanted.keys()
            assert all(np.array_equal(found[k], wanted[k]) and found[k].dtype == wanted[k].dtype for k in wanted)


def test_gradients_of_another_dtype_are_taken_one_by_one() -> None:
    first, *history = large(2)
    wide = [{k: g.astype("float64") for k, g in grads.items()} for grads in history]
    expected, _ = trained(Adam(), apart(first), wide)
    found, _ = trained(Adam(), in_one(first), [in_one(g) for g in wide], jit.installed())
    assert all(np.array_equal(found[k], expected[k]) for k in expected)


def test_weights_may_lie_otherwise_than_at_the_start() -> None:
    first, *history = large(2)
    for names in (["W"], list(LARGE)):
        some = [{name: arrays[name] for name in names} for arrays in (first, *history)]
        expected, _ = trained(Adam(), apart(some[0]), some[1:])
        for before, after in ((fortran, in_one), (in_one, fortran)):
            optimizer, weights = Adam(), after(some[0])
            optimizer.start(before(some[0]))
            for grads in some[1:]:
                optimizer.update(weights, after(grads))
            assert all(np.array_equal(weights[k], expected[k]) for k in names)


def test_weights_in_one_are_updated_once() -> None:
    calls: list[int] = []

    def subtract(x, y, out):
        calls.append(x.size)
        return np.subtract(x, y, out=out)

    xp = types.SimpleNamespace(**{**vars(np), "subtract": subtract})
    first, *history = large(1)
    for layout, of_grads, sizes in ((in_one, in_one, [9756]), (in_one, apart, [9700, 0, 37, 1, 18])):
        calls.clear()
        optimizer, weights = Adam(), layout(first)
        optimizer.start(weights, xp)
        optimizer.update(dict(reversed(weights.items())), of_grads(history[0]))
        assert calls == sizes


@pytest.mark.skipif(not jit.installed(), reason="compiled code needs llvmlite")
def test_large_weights_are_updated_by_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    from tinygrad_rnn.jit import onepass

    used: list[tuple] = []
    kernel = onepass._kernel
    monkeypatch.setattr(onepass, "_kernel", lambda *key: used.append(key) or kernel(*key))
    first, grads = large(1)
    trained(AdamW(), in_one(first), [in_one(grads)], compiled=True)
    assert len(used) == 1 and used[0][:2] == ("float32", ("w", "g", "mean", "square"))
    trained(AdamW(), apart(first), [grads], compiled=True)
    assert len(used) == 2  # W alone is large enough


def test_compiled_or_not_read_only_weights_are_refused() -> None:
    first, grads = large(1)
    for compiled in {False, jit.installed()}:
        with pytest.raises(ValueError, match="read-only"):
            trained(Adam(), frozen(first), [grads], compiled)


@pytest.mark.parametrize("name", CASES)
def test_a_state_goes_from_weights_in_one_to_weights_apart_and_back(name: str) -> None:
    optimizer, _ = CASES[name]
    first, *history = large(6)
    expected, _ = trained(optimizer, apart(first), history)
    weights, state = trained(optimizer, in_one(first), [in_one(g) for g in history[:2]])
    for layout, part in ((apart, history[2:4]), (in_one, history[4:])):
        weights = layout(weights)
        optimizer.start(weights)
        optimizer.load_state(state)
        for grads in part:
            optimizer.update(weights, layout(grads))
        state = optimizer.state()
    assert all(np.array_equal(weights[k], expected[k]) for k in expected) and int(state["step"]) == 6


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


def clippable() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    return {"a": rng.standard_normal((5, 6)), "b": np.asfortranarray(rng.standard_normal((4, 3))), "c": np.array(2.0)}


def joined(grads: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([np.ravel(g) for g in grads.values()])


def test_clip_by_global_norm() -> None:
    grads, before = clippable(), joined(clippable())
    norm = ClipNorm(0.7)(grads)
    assert norm == pytest.approx(np.linalg.norm(before), rel=1e-14)
    np.testing.assert_allclose(joined(grads), before * 0.7 / np.linalg.norm(before), rtol=1e-14)


def test_a_norm_within_the_limit_changes_nothing() -> None:
    grads = clippable()
    assert ClipNorm(100.0)(grads) == pytest.approx(np.linalg.norm(joined(clippable())))
    assert np.array_equal(joined(grads), joined(clippable()))


def test_a_norm_that_is_not_finite_is_told_and_changes_nothing() -> None:
    for bad in (np.nan, np.inf):
        grads = {"a": np.array([1.0, bad]), "b": np.array([3.0])}
        assert not math.isfinite(ClipNorm(1.0)(grads))
        assert np.array_equal(joined(grads), [1.0, bad, 3.0], equal_nan=True)


@pytest.mark.filterwarnings("error")
def test_the_norm_of_large_float32_gradients() -> None:
    grads = {"a": np.full(4, 1e30, "float32"), "b": np.full(12, 1e30, "float32")}
    assert global_norm(grads) == pytest.approx(4e30, rel=1e-6)
    ClipNorm(8.0)(grads)
    np.testing.assert_allclose(joined(grads), 2.0, rtol=1e-6)


@pytest.mark.parametrize("clip", [ClipNorm(0.7), ClipNorm(1e6), ClipValue(0.5)])
def test_gradients_in_one_are_clipped_alike(clip) -> None:
    (grads,) = large(dtype="float64")
    one = in_one(grads)
    assert clip(one) == pytest.approx(clip(grads), rel=1e-14)
    np.testing.assert_allclose(joined(one), joined(grads), rtol=1e-14)


def test_the_norm_of_gradients_in_one() -> None:
    (grads,) = large()
    assert global_norm(in_one(grads)) == pytest.approx(np.linalg.norm(joined(grads).astype("float64")), rel=1e-6)
    assert global_norm(in_one({"a": np.full(16, 1e30, "float32"), "b": np.zeros(2, "float32")})) == pytest.approx(4e30)


def test_clip_by_value() -> None:
    grads = clippable()
    assert ClipValue(0.5)(grads) == pytest.approx(np.linalg.norm(joined(clippable())))
    assert np.array_equal(joined(grads), np.clip(joined(clippable()), -0.5, 0.5))
    unknown = {"a": np.array([np.nan, 3.0])}
    assert math.isnan(ClipValue(0.5)(unknown))
    assert np.array_equal(unknown["a"], [np.nan, 0.5], equal_nan=True)


def test_nothing_to_clip() -> None:
    assert ClipNorm(1.0)({}) == 0.0


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
