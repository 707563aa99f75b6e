"""Measurements that need a fresh process. `python -m benchmarks.alone NAME ARGUMENTS` prints the result as JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

from . import ours_side, problem
from .cells import LSTM, SIZES, Size

SHAPES = [(1024, 1024, 1024), (2048, 2048, 2048), (2048, 512, 6400), (2048, 6400, 512), (6400, 512, 2048),
          (512, 2048, 512)]


def sgemm() -> float:
    """The best rate of a float32 product on two threads, in GFLOP/s."""
    return max(rate(*shape) for shape in SHAPES)


def rate(m: int, k: int, n: int, seconds: float = 0.3) -> float:
    """The rate of the fastest of the products of one shape that fit into some time."""
    a, b = np.ones((m, k), "float32"), np.ones((k, n), "float32")
    out = a @ b
    fastest, end = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        np.matmul(a, b, out=out)
        fastest = min(fastest, time.perf_counter() - start)
    return 2e-9 * m * k * n / fastest


def first_step() -> float:
    """Seconds from declaring the LSTM at S3 to the end of its first step."""
    size = SIZES["S3"]
    x, r = problem.data(size)
    start = time.perf_counter()
    model = ours_side.tr.equations(LSTM.text(size), x=size.inputs, h=size.hidden)
    model.value_and_grad(x=x, r=r)
    return time.perf_counter() - start


LEAST, ENOUGH = 9, 0.7  # steps, and seconds for all of them: short ones alone would see the start of the process


def sequence(steps: str) -> dict[str, float]:
    """Seconds of a step of the LSTM over so many positions, and the most MiB that Python and NumPy held for it."""
    size = Size("long", int(steps), 8, 64, 64)
    model = ours_side.declare(LSTM, size)
    x, r = problem.data(size)
    seconds_of_step(model, x[:, :2], r[:, :2])  # compiled code is loaded, which takes memory whatever the length
    tracemalloc.start()
    seconds_of_step(model, x, r)
    mib = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    times: list[float] = []
    while len(times) < LEAST or sum(times) < ENOUGH:
        times.append(seconds_of_step(model, x, r))
    return {"seconds": statistics.median(times), "mib": mib}


def training(how: str) -> dict[str, float]:
    """The same of an epoch of `fit` over 10,000 positions. how: "plain", or "sqrt" for less memory."""
    size = Size("long", 10_000, 8, 64, 64)
    model = ours_side.declare(LSTM, size)
    x, r = problem.data(size)
    memory = None if how == "plain" else how

    def epochs(count: int) -> float:
        start = time.perf_counter()
        model.fit({"x": x, "r": r}, optimizer=ours_side.tr.SGD(1e-6), epochs=count, batch_size=size.batch,
                  memory=memory, progress=False)
        return (time.perf_counter() - start) / count

    tracemalloc.start()
    epochs(1)
    mib = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return {"seconds": statistics.median(epochs(1) for _ in range(7)), "mib": mib}


def seconds_of_step(model: Any, x: Any, r: Any) -> float:
    """One training step."""
    start = time.perf_counter()
    model.value_and_grad(x=x, r=r)
    return time.perf_counter() - start


MEASUREMENTS: dict[str, Callable[..., Any]] = {"sgemm": sgemm, "first_step": first_step, "sequence": sequence,
                                                "training": training}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    print(json.dumps(MEASUREMENTS[name](*arguments)))
