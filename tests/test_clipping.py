"""Clipping, of gradients apart and in one array."""

from __future__ import annotations

import math

import numpy as np
import pytest
from layouts import in_one, joined, large

import tinygrad_rnn as tr
from tinygrad_rnn.training.clipping import ClipNorm, ClipValue, global_norm


def clippable() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    return {"a": rng.standard_normal((5, 6)), "b": np.asfortranarray(rng.standard_normal((4, 3))), "c": np.array(2.0)}


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


@pytest.mark.parametrize(("grads", "kind", "message"), [
    (3, TypeError, "gradients are a dict of arrays by name, as value_and_grad gives them, not 3"),
    ([np.ones(3)], TypeError, "gradients are a dict of arrays by name"),
    ({"a": np.ones(3), "b": None}, TypeError, "the gradient of b is a floating-point array, not None"),
    ({"a": np.ones(3), "b": [1.0]}, TypeError, r"the gradient of b is a floating-point array, not \[1.0\]"),
    ({"a": np.arange(3)}, TypeError, r"the gradient of a is a floating-point array, not array\(\[0, 1, 2\]\)"),
    ({"a": np.broadcast_to(np.ones(1), (3,))}, ValueError, "gradients are changed in place, and these are read-only"),
])
@pytest.mark.parametrize("clip", [ClipNorm(0.1), ClipValue(0.1)])
def test_what_cannot_be_clipped(clip, grads, kind, message) -> None:
    with pytest.raises(tr.Error, match=message) as caught:
        clip(grads)
    assert isinstance(caught.value, kind)
