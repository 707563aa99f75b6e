"""Optimisers on weights and gradients that are slices of one array, and on those that are not."""

from __future__ import annotations

import contextlib
import gc
import types
import weakref

import numpy as np
import pytest
from layouts import APART, LARGE, apart, fortran, frozen, in_one, joined, large
from papers import CASES

from tinygrad_rnn import jit
from tinygrad_rnn.backends.flat import cut, flat, parts
from tinygrad_rnn.training.optim import Adam, AdamW


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
