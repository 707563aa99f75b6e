"""Processes of the benchmark: each side in one of its own, so that no two thread pools ever spin beside each other."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

CORES = 2
ROOT = Path(__file__).resolve().parent.parent
COMMON = {"OMP_NUM_THREADS": str(CORES), "OPENBLAS_NUM_THREADS": str(CORES), "MKL_NUM_THREADS": str(CORES),
          "JAX_PLATFORMS": "cpu", "TINYGRAD_RNN_BACKEND": "numpy"}
Sides = Mapping[str, tuple[str, Mapping[str, str]]]  # side -> (the module that serves it, what its environment adds)
SIDES: Sides = {"ours": ("ours", {"TINYGRAD_RNN_JIT": "1"}), "numpy": ("ours", {"TINYGRAD_RNN_JIT": "0"}),
                "torch": ("torch", {}), "jax": ("jax", {})}
Patience = Callable[[str], float]  # how many seconds to wait for an answer of a side


class BenchmarkError(Exception):
    """The benchmark cannot go on; the message is for its user."""


class NoAnswer(BenchmarkError):
    """A process did not answer in time, and was ended."""


def keep_to_cores() -> None:
    """Two cores for this process and those it starts; OpenBLAS, PyTorch and XLA size their pools by that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def environment(cache: Path, **more: str) -> dict[str, str]:
    """What every process of the benchmark runs under; compiled code goes to `cache`."""
    return os.environ | COMMON | {"TINYGRAD_RNN_CACHE": str(cache)} | more


def alone(cache: Path, *arguments: str, **more: str) -> Any:
    """One measurement by `benchmarks.alone` in a fresh process."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.alone", *arguments], cwd=ROOT, text=True,
                          env=environment(cache, **more), capture_output=True)
    if done.returncode:
        raise BenchmarkError(f"measuring {' '.join(arguments)} ended with code {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


class Worker:
    """A side's long-lived process, started at the first request.

    module: the module that serves the side. variables: what its environment adds. patience: for each answer; endless
    by default.
    """

    def __init__(self, side: str, cache: Path, module: str, variables: Mapping[str, str],
                 patience: Patience | None = None):
        self.side, self.cache, self.module, self.variables, self.patience = side, cache, module, variables, patience
        self.process: subprocess.Popen[str] | None = None

    def ask(self, method: str, *arguments: Any) -> Any:
        """Have the process run one method of `worker.Server` and wait for the answer."""
        process = self.process = self.process or self._start()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps([method, arguments]) + "\n")
            process.stdin.flush()
            if self.patience is not None and not select.select([process.stdout], [], [], self.patience(self.side))[0]:
                process.kill()
                raise NoAnswer(f"{self.side}: {method}{tuple(arguments)} took too long")
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        reply = json.loads(line) if line else {"error": "the process ended; what it printed stands above"}
        if "error" in reply:
            raise BenchmarkError(f"{self.side}: {method}{tuple(arguments)} failed\n{reply['error']}")
        return reply["result"]

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-m", "benchmarks.worker", self.module], cwd=ROOT, text=True,
                                env=environment(self.cache, **self.variables), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE)

    def close(self) -> None:
        """End the process."""
        if self.process is not None and self.process.stdin is not None and self.process.stdout is not None:
            with contextlib.suppress(BrokenPipeError):  # of a process that has ended
                self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
        self.process = None


class Workers(dict[str, Worker]):
    """One worker for each side, closed together."""

    def __init__(self, cache: Path, sides: Sides = SIDES, patience: Patience | None = None):
        super().__init__({side: Worker(side, cache, *how, patience) for side, how in sides.items()})

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for worker in self.values():
            worker.close()
