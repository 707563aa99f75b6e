"""Running sums and draws in compiled plans: the same bits as NumPy's, and no call of Python in a loop."""

from __future__ import annotations

import numpy as np
import pytest
from compiling import answer, compiling

import tinygrad_rnn as tr
from tinygrad_rnn import backends, jit
from tinygrad_rnn.fusion.program import Recorder
from tinygrad_rnn.ops.draws import _draw_into, drawn_class

pytest.importorskip("llvmlite", reason="compiled plans need llvmlite")

from tinygrad_rnn.fusion.lift import Foreign
from tinygrad_rnn.jit.compiled import Program

pytestmark = pytest.mark.skipif(not jit.enabled(), reason="compiled code is off")
BACKEND = backends.current()
# An ordered-neuron cell in small: the sums of a softmax say up to which unit a state is kept.
ORDERED = """
    f[t] = cumsum(softmax(W_f @ x[t] + U_f @ h[t-1]), axis=0)
    k[t] = cumsum(softmax(W_k @ x[t] + U_k @ h[t-1]), axis=0, reverse=True)
    h[t] = f[t] * h[t-1] + k[t] * tanh(W @ x[t] + U @ h[t-1])
    p[t] = cumsum(h[t], over=t)
    loss = mean(p[t] * p[t])"""
WRITER = """
    h[t] = tanh(W @ w[t-1] + U @ h[t-1] + b)
    p[t] = softmax(V @ h[t] + c)
    w[t] = categorical(p[t])"""


def called(record, out):
    """Do recorded calls, compiled; the functions among them that stay Python."""
    do = Recorder(BACKEND, compiled=True)
    record(do)
    program = Program([do.calls], {id(BACKEND.owner(out))}, BACKEND.owner)
    program.run(0)
    return calls_of(program)


def calls_of(program):
    return [unit.fn.__name__ for segment in program.segmented for _, units in segment for unit in units
            if isinstance(unit, Foreign)]


def programs(model):
    return [part.program for plan in model.plans._plans.values() for part in plan.parts]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape,axis", [((7,), 0), ((1, 5), 0), ((5, 37), 0), ((5, 37), 1), ((3, 4, 2, 17), 1),
                                        ((3, 4, 2, 17), 0), ((6, 1, 33), 2)])
def test_sums_up_to_each_have_the_bits_of_numpy(dtype, shape, axis):
    rng = np.random.default_rng(0)
    whole, goal = rng.standard_normal((2, *shape)).astype(dtype), np.full((2, *shape), 9.0, dtype)
    back = (slice(None),) * axis + (slice(None, None, -1),)
    for a, out in ((whole[0], goal[0]), (whole[1][back], goal[1][back])):
        assert called(lambda do, a=a, out=out: do(np.cumsum, a, axis, None, out), out) == []
        np.testing.assert_array_equal(out, np.cumsum(a, axis))
    assert np.isfinite(goal).all() and (goal != 9.0).all()


def test_sums_of_whole_numbers_and_along_many_axes_stay_calls():
    for a in (np.arange(6), np.ones((2, 3, 2, 3, 2), "float32")):
        out = np.zeros_like(a)
        assert called(lambda do, a=a, out=out: do(np.cumsum, a, 0, None, out), out) == ["cumsum"]
        np.testing.assert_array_equal(out, np.cumsum(a, 0))


@pytest.mark.parametrize("lengths", [None, {"t": [4, 1, 6]}])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loop_with_running_sums(dtype, lengths):
    model = tr.equations(ORDERED, x=3, h=21, dtype=dtype)
    x = np.random.default_rng(1).standard_normal((3, 6, 3))
    found, expected = (answer(model, {"x": x}, compiled, lengths=lengths) for compiled in (True, False))
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=2e-5 if dtype == "float32" else 1e-12)
    with compiling(True):
        model.value_and_grad(x=x, lengths=lengths)
    assert [calls_of(p) for m in (model, model.grad("loss")) for p in programs(m) if hasattr(p, "segmented")] == [[]]


def shares(rng, shape, dtype):
    """Distributions with zeros and ties in them, and what is none."""
    p = rng.random(shape) * (rng.random(shape) < 0.7)
    p[:, 0] = 0.25
    p[:, 1], p[-1, 1] = 0.0, 1.0
    p[0, 2], p[0, 3], p[0, 4], p[:, 5] = np.nan, -0.5, np.inf, 0.0
    return p.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("temperature", [0, 0.5, 1.0, 1, 3.0])
@pytest.mark.parametrize("top_k,top_p", [(None, None), (1, None), (4, None), (None, 0.6), (None, 1.0), (3, 0.4)])
@pytest.mark.parametrize("classes", [1, 2, 33])
def test_draws_are_those_of_the_op(dtype, temperature, top_k, top_p, classes):
    rng = np.random.default_rng(classes)
    p, u = shares(rng, (classes, 300), dtype), rng.random(300).astype(dtype)
    u[:40] = np.linspace(0, 1, 40, endpoint=False)
    out = np.full_like(p, 9)
    assert called(lambda do: do(_draw_into, p, u, out, np, 0, temperature, top_k, top_p), out) == []
    np.testing.assert_array_equal(out, drawn_class(np, p, u, 0, temperature, top_k, top_p))


def test_draws_from_the_largest_of_many_classes_of_which_most_are_equal():
    rng = np.random.default_rng(0)
    p, u = rng.integers(1, 4, (5000, 20)).astype("float32"), rng.random(20).astype("float32")
    for top_k, top_p in ((700, None), (None, 0.3), (2000, 0.9)):
        out = np.zeros_like(p)
        assert called(lambda do, out=out, k=top_k, s=top_p: do(_draw_into, p, u, out, np, 0, 1.0, k, s), out) == []
        np.testing.assert_array_equal(out, drawn_class(np, p, u, 0, 1.0, top_k, top_p))


def test_draws_with_positions_beside_the_class():
    rng = np.random.default_rng(0)
    whole, u = rng.random((4, 9, 5, 3)).astype("float32"), rng.random((4, 5, 3)).astype("float32")
    out = np.zeros((4, 3, 5, 9), "float32").transpose(0, 3, 2, 1)
    assert called(lambda do: do(_draw_into, whole, u, out, np, 1, 1.0, None, None), out) == []
    np.testing.assert_array_equal(out, drawn_class(np, whole, u, 1))


@pytest.mark.parametrize("how", [{}, {"temperature": 0.7}, {"temperature": 0}, {"top_k": 3},
                                 {"top_p": 0.8, "temperature": 1.5}])
def test_generation_is_one_call_of_machine_code(how):
    model = tr.equations(WRITER, w=11, h=8)
    with compiling(False):
        expected = model.run(steps=40, batch=3, want=["w"], seed=5, **how)["w"]
    with compiling(True):
        np.testing.assert_array_equal(model.run(steps=40, batch=3, want=["w"], seed=5, **how)["w"], expected)
    found = [p for m in model._kept["poses"].values() for p in programs(m) if hasattr(p, "segmented")]
    assert found and all(calls_of(p) == [] for p in found)
