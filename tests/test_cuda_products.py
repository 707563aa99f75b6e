"""Products on the device, by the stand-in for CuPy, of operands in any layout."""

from __future__ import annotations

import types

import numpy as np
import pytest
from cuda_loops import expected, made, results
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from on_standin import compiled_together

import tinygrad_rnn as tr
from tinygrad_rnn.cuda import cublas
from tinygrad_rnn.cuda.products import RULES
from tinygrad_rnn.fusion.lift import Operand

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


@settings(max_examples=6, phases=[Phase.generate],
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


def test_products_beyond_an_int_are_refused(device):
    few = np.zeros((3, 2), "f")
    wide = np.lib.stride_tricks.as_strided(np.zeros(1, "f"), (2, 2**31), (2**33, 4))
    with pytest.raises(tr.Error, match="2,147,483,648 numbers is computed at once"):
        RULES["matmul"]([Operand(few), Operand(wide), Operand(np.lib.stride_tricks.as_strided(
            np.zeros(1, "f"), (3, 2**31), (2**33, 4)))], device)


def test_products_of_nothing_are_zero(device):
    host = [np.ones((3, 0), "f"), np.ones((0, 2), "f"), np.ones((3, 2), "f"), np.ones((0, 2), "f")]

    def record(xp, do, a, b, out, none):
        do(xp.matmul, a, b, out)
        do(xp.matmul, none[:, :0], b, none)

    assert results(made(record, host), host)[2].tolist() == [[0, 0]] * 3


def test_a_full_device_is_told(device, monkeypatch):
    monkeypatch.setattr(cublas, "library", lambda: types.SimpleNamespace(cublasCreate_v2=lambda handle: 3))
    with pytest.raises(tr.Error, match=r"cublasCreate .* status 3 \(ALLOC_FAILED\); .* too little memory left"):
        cublas.Blas(device)
