"""Compiled plans against NumPy: functions, products, passes, whole models, and what surrounds them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zoo
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tr
from tinygrad_rnn import backends
from tinygrad_rnn.fusion.program import Interpreted, Recorder
from tinygrad_rnn.ops.elementwise import _logistic
from tinygrad_rnn.ops.table import with_out
from tinygrad_rnn.plans.contract import contraction
from tinygrad_rnn.plans.feeds import prepared
from tinygrad_rnn.plans.plan import Plan

pytest.importorskip("llvmlite", reason="compiled plans need llvmlite")

from tinygrad_rnn.fusion.lift import Product
from tinygrad_rnn.fusion.scalar import SCALARS
from tinygrad_rnn.jit import assemble
from tinygrad_rnn.jit.compiled import Program

BACKEND = backends.current()


def compiled(record, public):
    """Do the calls that `record(do)` records, compiled; public: the arrays that count."""
    do = Recorder(BACKEND, compiled=True)
    record(do)
    Program([do.calls], {id(BACKEND.owner(a)) for a in public}, BACKEND.owner).run(0)


def logistic(a, out):
    _logistic(np)(a, out)


def reference(name):
    """The NumPy function of a scalar function's name."""
    special = {"sigmoid": lambda a: np.where(a < 0, np.exp(np.minimum(a, 0)), 1.0) / (1 + np.exp(-np.abs(a))),
               "copy": lambda a: a, "where": np.where}
    return special.get(name) or getattr(np, name)


BITS = {"float32": (np.uint32, 23, np.float64), "float64": (np.uint64, 52, np.longdouble)}  # and what is more exact


def every_exponent(dtype, mantissas=600):
    """Numbers of each exponent and both signs, the ends of each among them, subnormal ones too."""
    unsigned, mantissa, _ = BITS[dtype]
    rng = np.random.default_rng(0)
    low = np.concatenate([[0, 1, 2**mantissa - 1, 2 ** (mantissa - 1)], rng.integers(0, 2**mantissa, mantissas)])
    exponents = 2 ** (np.dtype(dtype).itemsize * 8 - mantissa - 1) - 1
    bits = (np.arange(exponents)[:, None] << mantissa) + low
    positive = bits.astype(unsigned).ravel().view(dtype)
    return np.concatenate([positive, -positive])


@pytest.mark.parametrize("dtype", BITS)
@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sigmoid"])
def test_functions_are_accurate_to_4_ulp_at_every_exponent(name, dtype):
    if np.finfo(BITS[dtype][2]).nmant <= np.finfo(dtype).nmant:
        pytest.skip("this machine has no wider numbers to compare with")
    x = every_exponent(dtype, 600 if dtype == "float32" else 75)
    low, high = np.log([np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max]).astype(dtype) + np.array([-2, 2])
    x = np.concatenate([np.abs(x) if name == "log" else x,
                        np.linspace(0.3 if name == "log" else low, high, 100_001).astype(dtype)])
    out = np.empty_like(x)
    fn = logistic if name == "sigmoid" else getattr(np, name)
    if name == "sigmoid":
        fn.scalar = "sigmoid"
    compiled(lambda do: do(fn, x, out), [out])
    with np.errstate(all="ignore"):
        exact = reference(name)(x.astype(BITS[dtype][2]))
        rounded = exact.astype(dtype)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(out[~finite], rounded[~finite])
    ulp = np.spacing(np.abs(rounded[finite])).astype(exact.dtype)
    assert np.max(np.abs(out[finite] - exact[finite]) / ulp) <= 4


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3e-39, 88.0, -88.0, np.inf, -np.inf, np.nan]
ARITY = {"add": 2, "subtract": 2, "multiply": 2, "divide": 2, "power": 2, "logaddexp": 2, "maximum": 2, "minimum": 2,
         "less": 2, "less_equal": 2, "greater": 2, "greater_equal": 2, "equal": 2, "not_equal": 2, "logical_and": 2,
         "logical_or": 2, "where": 3}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(SCALARS))
def test_every_function_is_numpys(name, dtype):
    arity = ARITY.get(name, 1)
    rng = np.random.default_rng(1)
    columns = [np.concatenate([np.tile(SPECIAL, 12) if k else np.repeat(SPECIAL, 12), rng.normal(size=77) * 3])
               .astype(dtype) for k in range(arity)]
    if name.startswith("logical") or name == "where":
        columns[0] = columns[0] > 0
    if name.startswith("logical"):
        columns = [c > 0.5 for c in columns]
    with np.errstate(all="ignore"):
        expected = reference(name)(*columns)
        out = np.zeros(expected.shape, expected.dtype)
        if name == "copy":
            compiled(lambda do: do(np.copyto, out, columns[0]), [out])
        elif name == "where":
            compiled(lambda do: (do(np.copyto, out, columns[2]),
                                 do(np.copyto, out, columns[1], "same_kind", columns[0])), [out])
        else:
            fn = with_out(reference(name)) if name != "sigmoid" else logistic
            fn.scalar = name
            compiled(lambda do: do(fn, *columns, out), [out])
    if expected.dtype == bool:
        np.testing.assert_array_equal(out, expected)
    else:
        np.testing.assert_allclose(out, expected, rtol=2e-6 if dtype == "float32" else 1e-14)


sizes = st.integers(1, 40)


@settings(max_examples=60)
@given(m=sizes, n=sizes, k=st.integers(1, 70), t=st.integers(1, 4), form=st.sampled_from([
    ("mn", "mk", "kn"), ("nm", "mk", "kn"), ("mn", "km", "kn"), ("mn", "km", "nk"), ("tmn", "mk", "tkn"),
    ("mn", "tmk", "tnk"), ("mn", "tmk", "tkn"), ("m", "mk", "k"), ("n", "k", "kn"), ("", "mk", "mk"),
    ("tn", "tkn", "tkn"), ("tmn", "tmkn", "tkn"), ("mtn", "tmk", "nk")]),
    dtype=st.sampled_from(["float32", "float64"]), slack=st.integers(0, 3))
def test_products_are_einsum(m, n, k, t, form, dtype, slack):
    extent = dict(zip("mnkt", (m, n, k, t), strict=True))
    rng = np.random.default_rng(m * 1000 + n)

    def array(labels):
        """A view into a larger array, so that what lies beside it can be looked at."""
        whole = rng.normal(size=[extent[x] + slack for x in labels]).astype(dtype)
        return whole, whole[(*(slice(extent[x]) for x in labels), ...)]

    (whole, out), (_, a), (_, b) = map(array, form)
    before, view = whole.copy(), np.zeros(whole.shape, bool)
    view[(*(slice(extent[x]) for x in form[0]), ...)] = True
    compiled(lambda do: do(contraction, out, a, b, tuple(tuple(x) for x in form)), [whole])
    expected = np.einsum(f"{form[1]},{form[2]}->{form[0]}", a.astype("float64"), b.astype("float64"))
    np.testing.assert_allclose(out, expected, atol=1e-4 if dtype == "float32" else 1e-12)
    np.testing.assert_array_equal(whole[~view], before[~view])


@pytest.mark.parametrize("m", [1, 2, 3, 8, 13])
def test_a_product_has_every_tile_that_it_is_cut_into(m):
    rng = np.random.default_rng(m)
    for n in (1, 7, 8, 9, 16, 17, 31, 32, 33, 50, 65, 81, 96, 97, 120):
        a, b, out = rng.normal(size=(m, 3)), rng.normal(size=(3, n)), np.zeros((m, n))
        compiled(lambda do, out=out, a=a, b=b: do(contraction, out, a, b, (("m", "n"), ("m", "k"), ("k", "n"))), [out])
        np.testing.assert_allclose(out, a @ b, rtol=1e-12, atol=1e-14)


STEPS, ROWS, COLUMNS = 4, 5, 6
UNARY, BINARY = [np.tanh, np.negative, np.exp], [np.add, np.subtract, np.multiply]


def operands(buffers, step):
    """Views of one shape into the buffers: whole rows, shifted ones that overlap, and ones that move with the step."""
    return [buffers[0][:ROWS], buffers[0][1:], buffers[1], buffers[1][::-1], buffers[2][step], buffers[2][step + 1],
            buffers[3][:, None] * np.ones(1), np.broadcast_to(buffers[3][:, None], (ROWS, COLUMNS))]


def lies_across(x, y):
    """Do they share memory, but not element by element?"""
    return np.shares_memory(x, y) and (x.ctypes.data, x.strides) != (y.ctypes.data, y.strides)


@settings(max_examples=150)
@given(program=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 7), st.integers(0, 7), st.integers(0, 5)),
                        min_size=1, max_size=9), backward=st.booleans())
def test_fused_passes_compute_what_the_calls_do_one_by_one(program, backward):
    def run(make):
        rng = np.random.default_rng(0)
        buffers = [rng.normal(size=s) * 0.5 for s in ((ROWS + 1, COLUMNS), (ROWS, COLUMNS),
                                                      (STEPS + 1, ROWS, COLUMNS), (ROWS,), (1, COLUMNS))]
        mask = rng.random((ROWS, COLUMNS)) < 0.5

        def emit(do, step):
            views = operands(buffers, STEPS - 1 - step if backward else step)
            for kind, x, y, z in program:
                a, b, out = views[x if x != 6 else 7], views[y if y != 6 else 7], views[z]
                if any(lies_across(v, out) for v in (a, b)):  # a result lies over an argument as it is, or not at all
                    a = b = views[7]
                if kind < 3:
                    do(UNARY[kind], a, out)
                elif kind < 6:
                    do(BINARY[kind - 3], a, b, out)
                elif kind == 6:
                    do(np.copyto, out, 0.25, "same_kind", mask)
                elif kind == 7:
                    do(np.sum, a, (0,), None, buffers[4], True)
                else:
                    do(np.max, views[x % 6], (1,), buffers[3])
                do(np.multiply, out, 0.5, out)

        do = Recorder(BACKEND, compiled=True)
        do.loop(STEPS, lambda step: emit(do, step))
        with np.errstate(all="ignore"):
            make(do.calls, buffers).run(0)
        return buffers

    one_by_one = run(lambda calls, buffers: Interpreted([calls]))
    fused = run(lambda calls, buffers: Program([calls], {id(b) for b in buffers}, BACKEND.owner))
    for x, y in zip(one_by_one, fused, strict=True):
        np.testing.assert_allclose(y, x, rtol=1e-9, atol=1e-9)


def units_of(labels, atol, **sizes):
    """The units of a contraction of random arrays, once it has been seen to be einsum's."""
    rng = np.random.default_rng(0)
    la, lb, lo = labels.replace("->", ",").split(",")
    a, b, out = (rng.normal(size=[sizes[x] for x in own]) for own in (la, lb, lo))
    do = Recorder(BACKEND, compiled=True)
    do(contraction, out, a, b, tuple(map(tuple, (lo, la, lb))))
    program = Program([do.calls], {id(BACKEND.owner(out))}, BACKEND.owner)
    program.run(0)
    np.testing.assert_allclose(out, np.einsum(labels, a, b), rtol=1e-12, atol=atol)
    ((_, units),) = program.segmented[0]
    return units


@pytest.mark.parametrize("far", [0, assemble.FAR])
@pytest.mark.parametrize("examples", [1, 3, 64, 65])
@pytest.mark.parametrize("labels", ["tfn,tfn->f", "tn,tfn->f", "tfn,fn->tf", "tn,tsfn->sf"])
def test_sums_of_products_over_the_batch_are_one_pass(labels, examples, far, monkeypatch):
    """As for the gradients of a gain and of a vector that scores: nothing of an operand's size is laid out anew."""
    monkeypatch.setattr(assemble, "FAR", far)
    units = units_of(labels, 1e-12, t=5, s=4, f=7, n=examples)
    if examples > 1:
        kinds = [[type(item).__name__ for item in unit.items] for unit in units]
        in_two = examples == 3 and labels != "tfn,fn->tf"  # over time by whole vectors, then over the few examples
        assert kinds == ([["Map"], ["Map"], ["Map", "Fold"], ["Fold"]] if in_two else [["Map"], ["Map", "Fold"]])


@pytest.mark.parametrize("labels", ["mk,k->m", "mk,kn->mn"])
def test_products_with_a_vector_are_products(labels):
    """Of one example: matrices are not gone through number by number."""
    (unit,) = units_of(labels, 0, m=6, k=5, n=1)
    assert isinstance(unit, Product)


def test_a_product_goes_with_its_sum():
    """Where a sum is written to what a pass before it reads, its factors are multiplied in the sum's own pass."""
    rng = np.random.default_rng(0)
    (a, b, c, d), old, shifted = rng.normal(size=(4, 5, 7, 3)), rng.normal(size=(5, 3)), np.zeros((5, 7, 3))
    before, summed, labels = old.copy(), np.zeros((5, 3)), (("t", "n"), ("t", "f", "n"), ("t", "f", "n"))
    do = Recorder(BACKEND, compiled=True)
    do(contraction, summed, a, b, labels)
    do(np.add, a, old[:, None], shifted)
    do(contraction, old, c, d, labels)
    program = Program([do.calls], {id(BACKEND.owner(x)) for x in (summed, old, shifted)}, BACKEND.owner)
    program.run(0)
    np.testing.assert_allclose(summed, (a * b).sum(1), rtol=1e-12)
    np.testing.assert_allclose(shifted, a + before[:, None], rtol=1e-12)
    np.testing.assert_allclose(old, (c * d).sum(1), rtol=1e-12)
    ((_, units),) = program.segmented[0]
    assert [[type(item).__name__ for item in unit.items] for unit in units if len(unit.items) > 1] == [
        ["Map", "Fold", "Map"], ["Map", "Fold"]]


@pytest.mark.parametrize("axes", [(1,), (0,), (0, 1)])
@pytest.mark.parametrize("view", [np.s_[:, ::-1], np.s_[:, ::2], np.s_[::-1], np.s_[:, 3:4]])
def test_sums_of_numbers_that_are_apart(view, axes):
    a = np.random.default_rng(0).normal(size=(5, 40))[view]
    out = np.zeros([1 if k in axes else n for k, n in enumerate(a.shape)])
    compiled(lambda do: do(np.sum, a, axes, None, out, True), [out])
    np.testing.assert_allclose(out, a.sum(axes, keepdims=True), rtol=1e-12)


def test_a_number_that_became_a_truth_is_one():
    a, truth, out = np.array([0.0, 1.5, -2.0]), np.zeros(3, bool), np.zeros(3)
    compiled(lambda do: (do(np.copyto, truth, a, "unsafe"), do(np.add, a, truth, out)), [out])
    np.testing.assert_array_equal(out, [0.0, 2.5, -1.0])


@pytest.mark.parametrize(("batch", "ragged"), [(1, False), (3, True), (17, False)])
@pytest.mark.parametrize("name", zoo.MODELS)
def test_a_compiled_model_is_the_model(name, batch, ragged):
    found = []
    for on in (True, False):
        tr.use_jit(on)
        model = zoo.build(name, "float32")
        sizes = {i: 6 + k for k, i in enumerate(zoo.dynamic(model))} | dict(model.system.static)
        inputs = zoo.data(model, batch, sizes)
        lengths = {i: np.arange(batch) % 4 + 3 for i in zoo.dynamic(model)} if ragged else None
        found.append(model.value_and_grad(inputs, lengths=lengths))
    for key in found[0][1]:
        x, y = found[0][1][key], found[1][1][key]
        assert np.linalg.norm(x - y) <= 1e-5 * max(np.linalg.norm(y), 1e-3), key
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("name", zoo.MODELS)
def test_the_batch_may_be_cut(name, on):
    tr.use_jit(on)
    model = zoo.build(name)
    derived = model.grad("loss", list(model.weights))
    sizes = {i: 5 + k for k, i in enumerate(zoo.dynamic(model))} | dict(model.system.static)
    lengths = {i: np.array([3, 1, 5, 2, 4]) for i in zoo.dynamic(model)}
    want = ("loss", *(derived.adjoints[name] for name in model.weights))
    config, feed = prepared(derived.system, want, zoo.data(model, 5, sizes), lengths=lengths, training=True, seed=3)
    found = []
    for parts in (1, 2, 3):
        plan = Plan(derived.system, config, model.weights.arrays, BACKEND, parts=parts)
        plan.run(feed)
        found.append({w: plan.result(w) for w in want})
    for cut in found[1:]:
        for key, value in cut.items():
            np.testing.assert_allclose(value, found[0][key], rtol=1e-9, atol=1e-12)


def test_one_thread_for_blas_is_one_part():
    model = tr.equations("h[t] = tanh(U @ h[t-1] + W @ x[t])\nloss = mean(h[t])", x=64, h=64)
    before = BACKEND.threads()
    with threadpool_limits(1, "blas"):
        assert BACKEND.threads() == 1
        model.value_and_grad(x=np.ones((32, 40, 64), "float32"))
        plans = model.grad("loss", list(model.weights)).plans._plans
        assert [len(plan.parts) for plan in plans.values()] == [1]
    assert BACKEND.threads() == before


def test_a_kernel_is_kept_on_disk_and_made_anew_if_damaged(tmp_path):
    code = ("import numpy as np, tinygrad_rnn as tr\n"
            "m = tr.equations('h[t] = tanh(U @ h[t-1] + W @ x[t])\\nloss = mean(h[t])', x=3, h=4)\n"
            "print(m.value_and_grad(x=np.ones((2, {}, 3), 'f'))[0])")

    def run(steps):
        done = subprocess.run([sys.executable, "-c", code.format(steps)], capture_output=True, text=True, check=True,
                              env={**os.environ, "TINYGRAD_RNN_CACHE": str(tmp_path), "TINYGRAD_RNN_JIT": "1"})
        return done.stdout

    first = run(40)
    kernels = set(tmp_path.iterdir())
    assert kernels
    assert run(40) == first
    run(50)  # another length is not another kernel
    assert set(tmp_path.iterdir()) == kernels
    for path in kernels:
        path.write_bytes(path.read_bytes()[:100])
    assert run(40) == first
    assert all(len(Path(p).read_bytes()) > 100 for p in kernels)


def test_many_steps_take_no_more_of_the_stack():
    model = tr.equations("h[t] = tanh(U @ h[t-1] + x[t])\nloss = mean(h[t])", x=2, h=2)
    value, _ = model.value_and_grad(x=np.zeros((2, 20_000, 2), "float32"))
    assert value == 0
