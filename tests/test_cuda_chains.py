"""Chains of passes in loops, by the stand-in for CuPy: drawn loops without products compute what the calls do."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_loops import SEEDS, STEPS, buffers, expected, made, results, same_bits
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from on_standin import compiled_together
from on_standin import settings as with_settings

from tinygrad_rnn.cuda import program as programs


def meeting(xp, do, w, v, x, h, k):
    """What one pass writes at every step is what another reads, across examples, at the last."""
    total = do.temp((1, h.shape[-1]), h.dtype)

    def step(t):
        do(xp.add, x[0], k[t], h[STEPS - 1])
        do(xp.tanh, xp.broadcast_to(h[t][:, :1], x[t].shape), k[t + 1])
        do(xp.mean, k[t + 1], (0,), None, total, True)
        do(xp.add, k[t + 1], total, k[t + 1])

    do.loop(STEPS, step)


def test_a_chain_looks_at_all_steps(device, monkeypatch):
    host = buffers(5, 64, "float32")
    exact, program = expected(meeting, [b.astype("float64") for b in host]), made(meeting, host)
    for seed in SEEDS:
        monkeypatch.setenv("TINYGRAD_RNN_STANDIN_SEED", seed)
        for x, y in zip(results(program, host), exact, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)


UNARY = ("tanh", "exp", "negative", "sin")
BINARY = ("add", "subtract", "multiply")


@st.composite
def bodies(draw):
    """(features, examples, lines of the body, backward?)."""
    lines = []
    for _ in range(draw(st.integers(2, 10))):
        kind = draw(st.sampled_from(["unary", "binary", "binary", "sum", "mean", "max", "softmax", "mask"]))
        place = st.sampled_from([0, 1, 2, 3, 4, 6, *([] if kind in ("sum", "mean", "max", "softmax") else [5, 5])])
        lines.append((kind, draw(st.integers(0, 3)), draw(st.integers(0, 2)), draw(place), draw(place)))
    return draw(st.sampled_from([1, 2, 5, 40])), draw(st.sampled_from([1, 2, 3, 35])), lines, draw(st.booleans())


def body(xp, do, sizes, moving, other, gain, total, mask):
    """Lines over two states that move, an array that does not, a gain for each feature, a total for each example."""
    features, examples, lines, backward = sizes

    def step(t):
        if backward:
            t = STEPS - 1 - t
        last, now = (moving[0, t + 1], moving[0, t]) if backward else (moving[0, t], moving[0, t + 1])
        shape = (features, examples)
        goals = [now, moving[1, t], other]
        terms = [*goals, last, xp.broadcast_to(gain, shape), xp.broadcast_to(total, shape),
                 xp.broadcast_to(last[:, :1], shape)]
        for kind, which, goal, x, y in lines:
            if kind == "unary":
                do(getattr(xp, UNARY[which]), terms[x], goals[goal])
                do(xp.tanh, goals[goal], goals[goal])
            elif kind == "binary":
                do(getattr(xp, BINARY[which % 3]), terms[x], terms[y], goals[goal])
                do(xp.tanh, goals[goal], goals[goal])
            elif kind == "mask":
                do(xp.less, terms[x], 0.1 * which, mask)
                do(xp.copyto, goals[goal], terms[y], "same_kind", mask)
            elif kind == "softmax":
                do(xp.max, terms[x], (0,), total, True)
                do(xp.subtract, terms[x], total, goals[goal])
                do(xp.exp, goals[goal], goals[goal])
                do(xp.sum, goals[goal], (0,), None, total, True)
                do(xp.divide, goals[goal], total, goals[goal])
            elif kind == "max":
                do(xp.max, terms[x], (0,), total, True)
            else:
                do(getattr(xp, kind), terms[x], (0,), None, total, True)
                do(xp.tanh, total, total)

    do.loop(STEPS, step)


@settings(max_examples=2, phases=[Phase.generate],
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(some=st.lists(bodies(), min_size=12, max_size=12))
def test_chains_and_loops_that_stay_compute_what_passes_do_one_by_one(some, device):
    todo, one_by_one = [], programs.Program._chain
    with compiled_together(device), pytest.MonkeyPatch.context() as patch:
        for number, sizes in enumerate(some):
            features, examples, *_ = sizes
            rng = np.random.default_rng(number)
            shapes = [(2, STEPS + 1, features, examples), (features, examples), (features, 1), (1, examples)]
            host = [*(rng.normal(size=s).astype("float32") for s in shapes), np.zeros((features, examples), bool)]

            def record(xp, do, *buffers, sizes=sizes):
                body(xp, do, sizes, *buffers)

            ways = {}
            for way in ("chained", "staying", "one by one"):
                patch.setattr(programs.Program, "_chain", one_by_one if way != "one by one" else lambda *_: None)
                with with_settings(device, loops="staying" if way == "staying" else "launched"):
                    ways[way] = made(record, host)
            todo.append((record, host, ways))
    for record, host, ways in todo:
        exact = expected(record, [b.astype("float64") if b.dtype != bool else b for b in host])
        for way, program in ways.items():
            found = results(program, host)
            for seed in SEEDS[:2]:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setenv("TINYGRAD_RNN_STANDIN_SEED", seed)
                    assert same_bits(results(program, host), found), way
            for x, y in zip(found[:-1], exact[:-1], strict=True):
                np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4, err_msg=way)
