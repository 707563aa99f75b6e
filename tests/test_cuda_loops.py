"""Loops on the device, by the stand-in for CuPy: kernels that stay for all steps compute what launches do."""

from __future__ import annotations

import architectures
import numpy as np
import pytest
from cuda_loops import (
    LOOPS,
    SEEDS,
    SHAPES,
    STEPS,
    across,
    backward,
    buffers,
    expected,
    in_a_row,
    made,
    recurrent,
    results,
    same_bits,
    still,
)
from on_standin import compiled_together, settings

import tinygrad_rnn as tr
from tinygrad_rnn import backends
from tinygrad_rnn.cuda import tiles

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
            with settings(device, loops="staying"):
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
    with compiled_together(device), settings(device, loops="staying", multiprocessors=12):
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


# -- models ----------------------------------------------------------------------------------------

FEW, HOPPERS = 4, 132  # multiprocessors: of the stand-in, of an H200
MODELS = [("lstm", 5, 1, FEW), ("lstm", 37, 33, FEW), ("gru", 37, 1, FEW), ("mgu", 5, 3, FEW),
          ("layernorm", 37, 3, FEW), ("projection", 130, 3, FEW), ("lstm", 128, 32, HOPPERS)]


@pytest.mark.parametrize(("name", "hidden", "batch", "multiprocessors"), MODELS)
def test_a_model_whose_loops_stay_is_the_model(name, hidden, batch, multiprocessors, device, monkeypatch):
    monkeypatch.setattr(device.xp.cuda.runtime, "PROCESSORS", multiprocessors)

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
    with settings(device, loops="staying", multiprocessors=multiprocessors):
        stayed = ask()
        monkeypatch.setenv("TINYGRAD_RNN_STANDIN_SEED", SEEDS[0])
        assert same_bits(ask(), stayed)
    assert max(far(launched, exact), far(stayed, exact)) < 1e-5
