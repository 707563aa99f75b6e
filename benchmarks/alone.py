"""Measurements that need a fresh process. `python -m benchmarks.alone NAME ARGUMENTS` prints the result as JSON."""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
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


def sequence(steps: str) -> dict[str, float]:
    """Seconds of a step of the LSTM over so many positions, and the peak of memory; 0 positions only declare."""
    size = Size("long", int(steps), 8, 64, 64)
    model = ours_side.declare(LSTM, size)
    times = [0.0]
    if size.steps:
        x, r = problem.data(size)
        times = [seconds_of_step(model, x, r) for _ in range(4)][1:]
    return {"seconds": statistics.median(times), "mib": peak_memory()}


def seconds_of_step(model: Any, x: Any, r: Any) -> float:
    """One training step."""
    start = time.perf_counter()
    model.value_and_grad(x=x, r=r)
    return time.perf_counter() - start


def peak_memory() -> float:
    """The largest resident size of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux getrusage also counts what the parent held when it started this process
        found = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(found.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


MEASUREMENTS: dict[str, Callable[..., Any]] = {"sgemm": sgemm, "first_step": first_step, "sequence": sequence}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    print(json.dumps(MEASUREMENTS[name](*arguments)))
