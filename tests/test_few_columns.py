"""Few examples, and arrays that lie across each other: full vectors all the same, and nothing beside them touched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_rnn import backends
from tinygrad_rnn.fusion.program import Recorder
from tinygrad_rnn.plans.contract import contraction

pytest.importorskip("llvmlite", reason="compiled plans need llvmlite")

from tinygrad_rnn.fusion.fuse import Group
from tinygrad_rnn.fusion.lift import Product
from tinygrad_rnn.fusion.passes import passed
from tinygrad_rnn.jit.compiled import Program
from tinygrad_rnn.jit.gemm import lanes

BACKEND = backends.current()
STEPS = 33


def looped(emit, public, steps=STEPS):
    """The program of a loop that records emit(do, step), once it has run."""
    do = Recorder(BACKEND, compiled=True)
    do.loop(steps, lambda step: emit(do, step))
    program = Program([do.calls], {id(BACKEND.owner(a)) for a in public}, BACKEND.owner)
    program.run(0)
    return program


def units(program):
    return [unit for _, some in program.segmented[0] for unit in some]


def tolerance(dtype):
    return {"atol": 2e-4 if dtype == "float32" else 1e-12}


@settings(max_examples=150)
@given(m=st.integers(1, 150), n=st.integers(1, 30), k=st.integers(1, 40), j=st.integers(1, 3),
       form=st.sampled_from([("mn", "mk", "kn"), ("mn", "km", "kn"), ("m", "mk", "k"), ("m", "km", "k"),
                             ("mn", "mjk", "jkn"), ("mn", "jkm", "jnk"), ("jmn", "mk", "jkn"), ("jmn", "jmk", "jkn"),
                             ("jm", "jmk", "jk"), ("nm", "mk", "kn")]),
       dtype=st.sampled_from(["float32", "float64"]))
def test_a_constant_matrix_times_some_columns_in_a_loop(m, n, k, j, form, dtype):
    extent, rng = {"m": m, "n": n, "k": k, "j": j}, np.random.default_rng(m)
    a = rng.normal(size=[extent[x] for x in form[1]]).astype(dtype)
    b = rng.normal(size=(STEPS, *(extent[x] for x in form[2]))).astype(dtype)
    whole = rng.normal(size=(STEPS + 2, *(extent[x] for x in form[0]))).astype(dtype)
    out, before = whole[1:-1], whole.copy()
    labels = tuple(map(tuple, form))
    program = looped(lambda do, t: do(contraction, out[t], a, b[t], labels), [whole])
    expected = np.einsum(f"{form[1]},T{form[2]}->T{form[0]}", a.astype("float64"), b.astype("float64"))
    np.testing.assert_allclose(out, expected, **tolerance(dtype))
    np.testing.assert_array_equal(whole[[0, -1]], before[[0, -1]])
    if form in (("mn", "mk", "kn"), ("m", "km", "k")) and 1 < n < min(m, lanes(dtype)):
        (product,) = (unit for unit in units(program) if isinstance(unit, Product))
        assert product.kernel == f"narrow {n if len(form[0]) == 2 else 1}"


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("rows", [1, 40])
def test_a_matrix_that_changes_in_the_loop_is_read_as_it_is_then(rows, columns):
    rng = np.random.default_rng(0)
    a, b, out = rng.normal(size=(rows, 5)), rng.normal(size=(STEPS, 5, columns)), np.zeros((STEPS, rows, columns))
    first = a.copy()

    def emit(do, t):
        do(contraction, out[t], a, b[t], (("m", "n"), ("m", "k"), ("k", "n")))
        do(np.multiply, a, 1.5, a)

    looped(emit, [out, a])
    np.testing.assert_allclose(out, [1.5**t * first @ b[t] for t in range(STEPS)])


def affine(count, size, shift, dtype="float32"):
    """y[t] = tanh(x[t] + b) for a bias by feature, `shift` added to it at each step."""
    rng = np.random.default_rng(1)
    x, b = rng.normal(size=(STEPS, size, count)).astype(dtype), rng.normal(size=(size,)).astype(dtype)
    y, first = np.zeros_like(x), b.copy()

    def emit(do, t):
        do(np.add, x[t], b[:, None], y[t])
        do(np.tanh, y[t], y[t])
        if shift:
            do(np.add, b, shift, b)

    program = looped(emit, [y, b])
    expected = np.tanh(x + first[:, None] + shift * np.arange(STEPS, dtype=dtype)[:, None, None])
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    return program


@pytest.mark.parametrize("size", [2, 7, 64])
@pytest.mark.parametrize("count", [1, 2, 5, 16, 17, 31, 32, 33])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_number_by_feature_does_not_keep_features_and_examples_apart(count, size, dtype):
    program = affine(count, size, 0.0, dtype)
    ((_, (unit,)),) = [pair for pair in program.segmented[0] if pair[0].count > 1]
    assert isinstance(unit, Group)
    apart = len(passed(unit, lambda o: True).axes) > 1
    assert apart == (count % lanes(dtype) == 0 or count > 2 * lanes(dtype))


@pytest.mark.parametrize("count", [2, 5, 17])
def test_a_number_by_feature_that_changes_is_read_at_each_step(count):
    affine(count, 7, 0.5)


@settings(max_examples=100)
@given(steps=st.integers(1, 40), size=st.integers(1, 200), count=st.integers(1, 70), inside=st.booleans(),
       function=st.sampled_from([np.sum, np.max]), dtype=st.sampled_from(["float32", "float64"]),
       axes=st.sampled_from([(0, 2), (1, 2), (0,), (0, 1)]))
def test_sums_over_time_and_some_examples(steps, size, count, function, dtype, inside, axes):
    a = np.random.default_rng(size).normal(size=(3, steps, size, count)).astype(dtype)
    out = np.zeros((3, *(1 if k in axes else n for k, n in enumerate(a.shape[1:]))), dtype)

    def emit(do, k):
        last = (None, out[k], True) if function is np.sum else (out[k], True)
        do(function, a[k], axes, *last)

    if inside:
        looped(emit, [out], 3)
    else:
        do = Recorder(BACKEND, compiled=True)
        for k in range(3):
            emit(do, k)
        Program([do.calls], {id(BACKEND.owner(out))}, BACKEND.owner).run(0)
    along = tuple(k + 1 for k in axes)
    expected = function(a.astype("float64"), axis=along, keepdims=True)
    rounding = 4 * np.finfo(dtype).eps * np.abs(a).sum(axis=along, keepdims=True).max()
    np.testing.assert_allclose(out, expected, rtol=0, atol=rounding)


@pytest.mark.parametrize("count", [1, 4, 8, 32])
def test_a_long_sum_of_like_numbers_is_exact_to_rounding(count):
    """As of a bias: added one by one in float32 the error would be a thousand times as large."""
    a = np.random.default_rng(0).random((20_000, 32, count), "float32")
    out = np.zeros(32, "float32")
    do = Recorder(BACKEND, compiled=True)
    do(np.sum, a, (0, 2), None, out, False)
    Program([do.calls], {id(BACKEND.owner(out))}, BACKEND.owner).run(0)
    np.testing.assert_allclose(out, a.astype("float64").sum((0, 2)), rtol=3e-6)


@settings(max_examples=150)
@given(shape=st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 40)), dtype=st.sampled_from(
    ["float32", "float64"]), goal=st.permutations(range(3)), source=st.permutations(range(3)),
    kind=st.sampled_from(["copy", "add", "broadcast", "where", "halves"]))
def test_arrays_that_lie_across_each_other(shape, dtype, goal, source, kind):
    rng = np.random.default_rng(shape[1])

    def lying(order, whole_of):
        """An array of the shape whose axes lie in that order, inside a larger one."""
        whole = whole_of([shape[k] + 1 for k in order])
        return whole, whole.transpose(np.argsort(order))[tuple(slice(n) for n in shape)]

    whole, out = lying(goal, lambda s: rng.normal(size=s).astype(dtype))
    _, a = lying(source, lambda s: rng.normal(size=s).astype(dtype))
    _, b = lying(goal, lambda s: rng.normal(size=s).astype(dtype))
    _, mask = lying(source, lambda s: rng.random(size=s) < 0.5)
    old, inside = whole.copy(), np.zeros(whole.shape, bool)
    inside.transpose(np.argsort(goal))[tuple(slice(n) for n in shape)] = True
    row = rng.normal(size=shape[2]).astype(dtype)
    calls = {"copy": ((np.copyto, out, a), a), "add": ((np.add, a, b, out), a + b),
             "broadcast": ((np.multiply, a, row, out), a * row), "where": (
                 (np.copyto, out, a, "same_kind", mask), np.where(mask, a, out)),
             "halves": ((np.multiply, a[:, ::2], 0.5, out[:, ::2]), None)}
    call, expected = calls[kind]
    if kind == "halves":
        expected = out.copy()
        expected[:, ::2] = a[:, ::2] * 0.5
    do = Recorder(BACKEND, compiled=True)
    do(*call)
    Program([do.calls], {id(BACKEND.owner(whole))}, BACKEND.owner).run(0)
    np.testing.assert_allclose(out, expected, rtol=1e-6)
    np.testing.assert_array_equal(whole[~inside], old[~inside])


@pytest.mark.parametrize("rows", [256, 255])
def test_columns_that_lie_far_apart_become_lines_once_before_the_loop(rows):
    """As the weights of the gradient of a state do, at 256 units and more."""
    rng, wide = np.random.default_rng(0), 32
    w = rng.standard_normal((40, rows)).astype("float32")
    x = rng.standard_normal((STEPS, 40, wide)).astype("float32")
    out = np.zeros((STEPS, rows, wide), "float32")
    program = looped(lambda do, t: do(contraction, out[t], w, x[t], (("m", "n"), ("k", "m"), ("k", "n"))), [out])
    (product,) = [unit for unit in units(program) if isinstance(unit, Product)]
    strides = {"a_m": (40 + 16) * 4, "a_k1": 4} if rows == 256 else {"a_m": 4, "a_k1": rows * 4}
    assert {name: product.fields[name] for name in strides} == strides
    np.testing.assert_allclose(out, w.T.astype("float64") @ x, **tolerance("float32"))
    w *= 2  # what was laid out is no older than the run
    program.run(0)
    np.testing.assert_allclose(out, w.T.astype("float64") @ x, **tolerance("float32"))
