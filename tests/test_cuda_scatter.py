"""Sums of rows by class on the device: what they are, in which order, and that the kernel is sound."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import nvrtc
import pytest
from on_standin import settings, standin, watched

import tinygrad_rnn as tr
from tinygrad_rnn import backends
from tinygrad_rnn.cuda import scatter
from tinygrad_rnn.cuda.device import OPTIONS
from tinygrad_rnn.cuda.scatter import add_rows, source

SHAPES = [(5, (3,), 7), (1, (1,), 40), (27, (33,), 200), (4, (2, 64), 3), (300, (), 50), (2, (0,), 4)]
watching = pytest.mark.skipif(sys.platform != "linux" or shutil.which("g++") is None,
                              reason="accesses to memory are looked at by GCC's sanitizer, which is not installed")


@pytest.fixture(scope="module")
def gpu() -> Iterator[Any]:
    """The stand-in's device, every access to whose memory is looked at."""
    with standin() as found, watched(), settings(found, captures=False):
        yield found


def in_order(size: int, at: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Each class's rows dealt to 16 totals in double precision, which are then added pairwise."""
    found = np.zeros((size, *rows.shape[1:]), rows.dtype)
    for k in range(size):
        totals = np.zeros((16, *rows.shape[1:]))
        for place, row in enumerate(rows[at == k]):
            totals[place % 16] += row
        while len(totals) > 1:
            totals = totals[: len(totals) // 2] + totals[len(totals) // 2 :]
        found[k] = totals[0]
    return found


@watching
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", ["0", "1"])  # of the order in which the stand-in runs blocks and threads
def test_rows_are_added_in_a_fixed_order(gpu: Any, dtype: str, seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYGRAD_RNN_STANDIN_SEED", seed)
    rng = np.random.default_rng(0)
    for size, features, count in SHAPES:
        at, rows = rng.integers(0, size, count), rng.normal(size=(count, *features)).astype(dtype)
        out = gpu.xp.asarray(np.full((size, *features), np.nan, dtype))
        backends.current().add_rows(out, gpu.xp.asarray(at), gpu.xp.asarray(rows))
        np.testing.assert_array_equal(out.get(), in_order(size, at, rows))


@watching
def test_the_gradient_of_a_table_is_that_of_the_cpu(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "h[t] = tanh(embed(E, w[t]) + U @ h[t-1])\nloss = mean(cross_entropy(softmax(V @ h[t]), w[t]))"
    data = {"w": np.random.default_rng(0).integers(0, 300, (5, 7))}  # few classes would be a product
    calls = []
    monkeypatch.setattr(scatter, "add_rows", lambda *args: (calls.append(args), add_rows(*args)))

    def gradient() -> np.ndarray:
        model = tr.equations(text, w=300, h=3, E=(300, 3), V=(300, 3), dtype="float64")
        return tr.to_numpy(model.value_and_grad(data)[1]["E"])

    found = gradient()
    assert len(calls) == 1
    with backends.using("numpy"):
        np.testing.assert_allclose(found, gradient(), rtol=1e-12, atol=1e-15)


@watching
@pytest.mark.parametrize("axis", [0, 1])
def test_the_gradient_of_chosen_elements_of_a_tensor_is_added_in_that_order(gpu: Any, axis: int) -> None:
    rng = np.random.default_rng(1)
    at, shape = rng.integers(0, 6, (5, 8)), (6, 3) if axis == 0 else (3, 6)
    x = tr.Tensor(rng.normal(size=shape).astype("float32"), requires_grad=True)
    y = x[at.tolist()] if axis == 0 else x[:, at.tolist()]
    weight = rng.normal(size=y.shape).astype("float32")
    (y * tr.Tensor(weight)).sum().backward()
    rows = np.moveaxis(weight, (axis, axis + 1), (0, 1)).reshape(-1, 3)
    np.testing.assert_array_equal(x.grad.numpy(), np.moveaxis(in_order(6, at.reshape(-1), rows), 0, axis))
    counts = tr.scatter(tr.Tensor(np.ones((5, 8), "int64")), at.tolist(), axis=0, size=6)
    np.testing.assert_array_equal(counts.numpy(), np.bincount(at.reshape(-1), minlength=6))


@pytest.mark.skipif(not nvrtc.found(), reason="NVIDIA's compiler is not installed: pip install nvidia-cuda-nvrtc")
@pytest.mark.parametrize("kind", ["float", "double"])
def test_the_kernel_compiles(kind: str) -> None:
    assert f".entry add_rows_{kind}(" in nvrtc.ptx(source(kind), OPTIONS, nvrtc.found()[0])
