"""Loops on the device, by the stand-in for CuPy: products in any layout, chains, kernels that stay for all steps."""

from __future__ import annotations

import architectures
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from on_standin import compiled_together, interpreted, recorded, standin
from on_standin import settings as with_settings

import tinygrad_rnn as tr
from tinygrad_rnn import backends
from tinygrad_rnn.cuda import program as programs
from tinygrad_rnn.cuda import tiles
from tinygrad_rnn.ops.elementwise import _logistic

SEEDS = ("1", "20", "333")  # of the order in which the stand-in runs blocks and threads
STEPS = 4


@pytest.fixture(scope="module")
def device():
    """The stand-in's, whose programs are launched and not captured."""
    with standin() as found, with_settings(found, captures=False, loops="launched"):
        yield found


def on_device(a):
    return backends.current().xp.asarray(a)


def results(program, host):
    """What the buffers hold after the program, which started with the host's."""
    for buffer, value in zip(program.buffers, host, strict=True):
        buffer[...] = on_device(value)
    program.run(0)
    return [tr.to_numpy(b).copy() for b in program.buffers]


def made(record, host):
    """The program that `record(xp, do, *buffers)` records; its buffers are the host's, copied."""
    buffers = [on_device(b) for b in host]
    program = recorded(lambda do: record(backends.current().xp, do, *buffers), buffers)
    program.buffers = buffers
    return program


def expected(record, host):
    """What the buffers hold when NumPy does it call by call."""
    copies = [b.copy() for b in host]
    interpreted(lambda do: record(np, do, *copies))
    return copies


def same_bits(some, others):
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in zip(some, others, strict=True))


# -- products --------------------------------------------------------------------------------------

sizes = st.sampled_from([1, 2, 3, 5, 17, 32])


@st.composite
def products(draw):
    """(stack, m, k, n), dtype, and of each of left, right and result: which stack axes it lacks, its order, slack."""
    stack = draw(st.lists(st.sampled_from([1, 2, 3]), max_size=2))
    m, k, n = draw(sizes), draw(sizes), draw(sizes)
    layouts = []
    for goal in (False, False, True):
        axes = len(stack) + 2
        lacking = [not goal and draw(st.integers(0, 3)) == 0 for _ in stack]
        order = draw(st.permutations(range(axes))) if draw(st.booleans()) else list(range(axes))
        if draw(st.integers(0, 2)) == 0:
            order[-2:] = order[:-3:-1]
        layouts.append((lacking, order, [draw(st.sampled_from([0, 0, 1, 3])) for _ in range(axes)],
                        [draw(st.sampled_from([1, 1, 1, 1, -1, 2])) for _ in range(axes)]))
    return (*stack, m), k, n, draw(st.sampled_from(["float32", "float64"])), layouts


def buffer_shape(shape, layout):
    lacking, order, slack, steps = layout
    whole = [1 if lacks else (n - 1) * abs(step) + 1 + more for n, lacks, more, step in zip(
        shape, [*lacking, False, False], slack, steps, strict=True)]
    return [whole[k] for k in order]


def matrix(xp, buffer, shape, layout):
    """The operand as it lies in its buffer; broadcast along the stack axes that it lacks."""
    lacking, order, _, steps = layout
    a = buffer.transpose(np.argsort(order))
    for k, (n, lacks, step) in enumerate(zip(shape, [*lacking, False, False], steps, strict=True)):
        a = a[(slice(None),) * k + (slice(0, 1 if lacks else (n - 1) * abs(step) + 1, abs(step)),)]
        a = a[(slice(None),) * k + (slice(None, None, -1),)] if step < 0 else a
    return xp.broadcast_to(a, shape) if any(lacking) else a


@settings(max_examples=6, deadline=None, derandomize=True, phases=[Phase.generate],
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(some=st.lists(products(), min_size=20, max_size=20))
def test_products_in_every_layout(some, device):
    todo = []
    with compiled_together(device):
        for number, (rows, k, n, dtype, layouts) in enumerate(some):
            shapes = [(*rows, k), (*rows[:-1], k, n), (*rows, n)]
            rng = np.random.default_rng(number)
            host = [rng.normal(size=buffer_shape(s, x)).astype(dtype) for s, x in zip(shapes, layouts, strict=True)]

            def record(xp, do, *buffers, shapes=shapes, layouts=layouts):
                do(xp.matmul, *(matrix(xp, *each) for each in zip(buffers, shapes, layouts, strict=True)))

            todo.append((record, host, made(record, host)))
    for record, host, program in todo:
        assert not program.uncaptured
        for x, y in zip(results(program, host), expected(record, host), strict=True):
            np.testing.assert_allclose(x, y, atol=1e-4 if y.dtype == "float32" else 1e-12)


def test_products_of_nothing_are_zero(device):
    host = [np.ones((3, 0), "f"), np.ones((0, 2), "f"), np.ones((3, 2), "f"), np.ones((0, 2), "f")]

    def record(xp, do, a, b, out, none):
        do(xp.matmul, a, b, out)
        do(xp.matmul, none[:, :0], b, none)

    assert results(made(record, host), host)[2].tolist() == [[0, 0]] * 3


# -- loops written by hand -------------------------------------------------------------------------


def recurrent(xp, do, w, v, x, h, k):
    """Two states, each with a matrix, that read each other's last."""
    def step(t):
        do(xp.matmul, w, h[t], h[t + 1])
        do(xp.matmul, v, k[t], k[t + 1])
        do(xp.add, h[t + 1], x[t], h[t + 1])
        do(xp.tanh, h[t + 1], h[t + 1])
        do(xp.multiply, k[t + 1], h[t + 1], k[t + 1])

    do.loop(STEPS, step)


def in_a_row(xp, do, w, v, x, h, k):
    """Three products in a row, of which the third reads what the first made, and a fourth that overwrites it."""
    between = [do.temp(h.shape[1:], h.dtype), do.temp(h.shape[1:], h.dtype)]

    def step(t):
        do(xp.tanh, h[t], between[0])
        do(xp.matmul, w, between[0], between[1])
        do(xp.matmul, v, h[t], k[t + 1])
        do(xp.matmul, w, between[1], h[t + 1])
        do(xp.matmul, v, h[t], between[1])
        do(xp.multiply, h[t + 1], 0.5, h[t + 1])
        do(xp.add, k[t + 1], x[t], k[t + 1])
        do(xp.add, k[t + 1], between[1], k[t + 1])

    do.loop(STEPS, step)


def overwritten(xp, do, w, v, x, h, k):
    """A product that overwrites what the one before it reads."""
    state = k[0]

    def step(t):
        do(xp.matmul, w, state, h[t + 1])
        do(xp.matmul, v, h[t], state)
        do(xp.add, h[t + 1], x[t], h[t + 1])
        do(xp.tanh, h[t + 1], h[t + 1])

    do.loop(STEPS, step)


def backward(xp, do, w, v, x, h, k):
    """From the last step to the first, with the matrix transposed."""
    def step(t):
        t = STEPS - 1 - t
        do(xp.matmul, w.T, h[t + 1], h[t])
        do(xp.multiply, h[t], x[t], h[t])
        do(xp.matmul, v.T, k[t + 1], k[t])
        do(xp.add, k[t], h[t], k[t])

    do.loop(STEPS, step)


def still(xp, do, w, v, x, h, k):
    """One state that does not move, and is what the product reads and the pass writes."""
    state, made = h[0], k[0]

    def step(t):
        do(xp.matmul, w, state, made)
        do(xp.add, made, x[t], made)
        do(_logistic(xp), made, state)

    do.loop(STEPS, step)


def in_place(xp, do, w, v, x, h, k):
    """A pass that only reads what the product made, and overwrites what other blocks may still be multiplying."""
    state, made = h[0], k[0]

    def step(t):
        do(xp.matmul, w, state, made)
        do(xp.add, made, x[t], state)
        do(xp.tanh, state, state)

    do.loop(STEPS, step)


def normalised(xp, do, w, v, x, h, k):
    """A sum over features between product and state."""
    total = do.temp((1, h.shape[-1]), h.dtype)

    def step(t):
        do(xp.matmul, w, h[t], h[t + 1])
        do(xp.add, h[t + 1], x[t], h[t + 1])
        do(xp.mean, h[t + 1], (0,), None, total, True)
        do(xp.subtract, h[t + 1], total, h[t + 1])
        do(xp.multiply, h[t + 1], h[t + 1], k[t + 1])
        do(xp.sum, k[t + 1], (0,), None, total, True)
        do(xp.add, total, 1e-5, total)
        do(xp.sqrt, total, total)
        do(xp.divide, h[t + 1], total, h[t + 1])

    do.loop(STEPS, step)


def unmultiplied(xp, do, w, v, x, h, k):
    """A loop without products: a softmax of the last step."""
    top, total = (do.temp((1, h.shape[-1]), h.dtype) for _ in range(2))

    def step(t):
        do(xp.max, h[t], (0,), top, True)
        do(xp.subtract, h[t], top, h[t + 1])
        do(xp.exp, h[t + 1], h[t + 1])
        do(xp.sum, h[t + 1], (0,), None, total, True)
        do(xp.divide, h[t + 1], total, h[t + 1])
        do(xp.add, k[t], h[t + 1], k[t + 1])
        do(xp.add, h[t + 1], x[t], h[t + 1])

    do.loop(STEPS, step)


def across(xp, do, w, v, x, h, k):
    """A loop without products in which every example reads the first one's last state."""
    def step(t):
        do(xp.add, xp.broadcast_to(h[t][:, :1], x[t].shape), x[t], h[t + 1])
        do(xp.tanh, h[t + 1], k[t + 1])

    do.loop(STEPS, step)


LOOPS = [recurrent, in_a_row, overwritten, backward, still, in_place, normalised, unmultiplied, across]
SHAPES = [(5, 1), (37, 3), (130, 33)]  # hidden units, examples


def buffers(hidden, batch, dtype):
    rng = np.random.default_rng(hidden)
    shapes = [(hidden, hidden)] * 2 + [(STEPS, hidden, batch)] + [(STEPS + 1, hidden, batch)] * 2
    return [(rng.normal(size=s) / (hidden**0.5 if k < 2 else 1)).astype(dtype) for k, s in enumerate(shapes)]


LOOP_CASES = [(loop, shape, dtype) for loop in LOOPS for shape in SHAPES
              for dtype in (("float32", "float64") if shape == SHAPES[1] else ("float32",))]


@pytest.fixture(scope="module")
def loops(device):
    """Each loop as programs that launch it step by step and that stay."""
    with compiled_together(device):
        found = {}
        for loop, shape, dtype in LOOP_CASES:
            host = buffers(*shape, dtype)
            launched = made(loop, host)
            with with_settings(device, loops="staying"):
                found[loop, shape, dtype] = host, launched, made(loop, host)
    return found


def test_loops_stay_where_they_can(loops):
    for key, (_, launched, staying) in loops.items():
        names = {each.name.split("_")[0] for each in staying.launches}
        assert ("loop" in names) == (key[0] is not across or key[1][1] == 1), key
        assert "loop" not in {each.name.split("_")[0] for each in launched.launches}


@pytest.mark.parametrize("case", LOOP_CASES, ids=lambda c: f"{c[0].__name__}-{c[1]}-{c[2]}")
def test_a_loop_that_stays_computes_what_the_steps_do(case, loops, monkeypatch):
    host, launched, staying = loops[case]
    exact = expected(case[0], [b.astype("float64") for b in host])
    bound = 2e-5 if case[2] == "float32" else 1e-12
    stayed = results(staying, host)
    for found in (results(launched, host), stayed):
        for x, y in zip(found, exact, strict=True):
            np.testing.assert_allclose(x, y, rtol=bound, atol=bound)
    for seed in SEEDS if case[1] != SHAPES[2] else SEEDS[:1]:
        monkeypatch.setenv("TINYGRAD_RNN_STANDIN_SEED", seed)
        assert same_bits(results(staying, host), stayed)


PARTED = [(loop, shape, dtype) for loop in (recurrent, still, backward, in_a_row)
          for shape, dtype in (((5, 1), "float32"), ((36, 8), "float32"), ((36, 8), "float64"))]


def test_states_by_vectors_and_in_chunks_and_products_beside_each_other(device, monkeypatch):
    """As large ones are multiplied: a state in several chunks, by loads of 16 bytes, on many blocks."""
    monkeypatch.setattr(tiles, "CHUNK", 100)
    todo, source = [], ""
    with compiled_together(device), with_settings(device, loops="staying", multiprocessors=12):
        for loop, shape, dtype in PARTED:
            host = buffers(*shape, dtype)
            program = made(loop, host)
            todo.append((loop, host, dtype, program))
            source += "".join(each.source for each in program.launches)
    assert all(text in source for text in ("float4", "double2", "(blockIdx.x - ", "early0"))
    for loop, host, dtype, program in todo:
        exact = expected(loop, [b.astype("float64") for b in host])
        bound = 2e-5 if dtype == "float32" else 1e-12
        found = results(program, host)
        for x, y in zip(found, exact, strict=True):
            np.testing.assert_allclose(x, y, rtol=bound, atol=bound)
        monkeypatch.setenv("TINYGRAD_RNN_STANDIN_SEED", SEEDS[1])
        assert same_bits(results(program, host), found)
        monkeypatch.delenv("TINYGRAD_RNN_STANDIN_SEED")


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


# -- loops without products, drawn ---------------------------------------------------------------------

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


@settings(max_examples=2, deadline=None, derandomize=True, phases=[Phase.generate],
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


# -- models ----------------------------------------------------------------------------------------

MODELS = [("lstm", 5, 1), ("lstm", 37, 33), ("gru", 37, 1), ("mgu", 5, 3), ("layernorm", 37, 3), ("projection", 130, 3)]


@pytest.mark.parametrize(("name", "hidden", "batch"), MODELS)
def test_a_model_whose_loops_stay_is_the_model(name, hidden, batch, device, monkeypatch):
    def ask(dtype="float32"):
        model = architectures.build(name, inputs=4, hidden=hidden, outputs=3, dtype=dtype)
        for weight in model.weights:  # so that rounding does not grow from step to step
            model.weights[weight] = tr.to_numpy(model.weights[weight]) * 2 / np.sqrt(hidden)
        data = architectures.data(model, batch, architectures.steps_of(model, STEPS))
        loss, gradients = model.value_and_grad(data)
        return [tr.to_numpy(a).copy() for a in (loss, *gradients.values())]

    def far(some, others):
        least = 1e-2 * max(map(np.linalg.norm, others))
        return max(np.linalg.norm(x - y) / max(np.linalg.norm(y), least) for x, y in zip(some, others, strict=True))

    with backends.using("numpy"):
        exact = ask("float64")
    launched = ask()
    with with_settings(device, loops="staying"):
        stayed = ask()
        monkeypatch.setenv("TINYGRAD_RNN_STANDIN_SEED", SEEDS[0])
        assert same_bits(ask(), stayed)
    assert max(far(launched, exact), far(stayed, exact)) < 1e-5
