"""Generated CUDA C, compared whole with text that was looked at; the same in every process.

`python tests/test_cuda_golden.py` writes it anew, to be looked at again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cuda_sources import Paper, on_paper, planned
from zoo import LSTM

import tinygrad_rnn as tr
from tinygrad_rnn.cuda.program import Program
from tinygrad_rnn.fusion.program import Recorder
from tinygrad_rnn.plans.contract import contraction

FOLDER = Path(__file__).parent / "golden" / "cuda"


def lstm() -> Paper:
    """The forward pass of an LSTM, its loop launched and as a kernel that stays."""
    model = tr.equations(LSTM, x=3, h=8, y=2)
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(5, 6, 3)).astype("float32"), "target": rng.integers(0, 2, (5, 6))}
    with on_paper() as paper:
        planned(model, data, ("loss",))
    return paper


def recorded(record: Callable[[Any], list[np.ndarray]]) -> Paper:
    """What is recorded; it gives the arrays that are looked at afterwards."""
    with on_paper() as paper:
        backend = tr.backends.current()
        do = Recorder(backend, compiled=True)
        public = record(do)
        paper.programs.append(Program([do.calls], {id(backend.owner(a)) for a in public}, paper))
    return paper


def sums_by_block(do: Any) -> list[np.ndarray]:
    """The sum along the innermost axis of what is computed on the way, and a maximum with it."""
    a, b, total, top = np.zeros((3, 70), "f"), np.zeros((3, 70), "f"), np.zeros((3, 1), "f"), np.zeros((3, 1), "f")
    do(np.multiply, a, 0.5, b)
    do(np.sum, b, (1,), None, total, True)
    do(np.max, b, (1,), top, True)
    return [total, top]


def sums_by_lanes(do: Any) -> list[np.ndarray]:
    """Sums for each example, which lie next to each other."""
    a, total = np.zeros((40, 4, 33), "float64"), np.zeros((4, 33), "float64")
    do(np.sum, a, (0,), None, total)
    return [total]


def sum_in_parts(do: Any) -> list[np.ndarray]:
    """One sum of many numbers, cut into parts that `finish` adds up."""
    a, total = np.zeros(100_000, "f"), np.zeros((), "f")
    do(np.sum, a, (0,), None, total)
    return [total]


def layer_norm(do: Any) -> list[np.ndarray]:
    """LayerNorm in a loop: passes with sums over features between, as one chain, and for all steps in one kernel."""
    states, total, work = np.zeros((6, 8, 5), "f"), np.zeros((1, 5), "f"), np.zeros((8, 5), "f")

    def step(t: int) -> None:
        do(np.mean, states[t], (0,), None, total, True)
        do(np.subtract, states[t], total, work)
        do(np.multiply, work, work, states[t + 1])
        do(np.mean, states[t + 1], (0,), None, total, True)
        do(np.add, total, 1e-5, total)
        do(np.sqrt, total, total)
        do(np.divide, work, total, states[t + 1])

    do.loop(5, step)
    return [states]


def mixed(do: Any) -> list[np.ndarray]:
    """Integers, truth values and a mask, in views that jump, run backward and are stretched."""
    x, n, mask, out = (np.zeros((9, 7), d) for d in ("f", "int64", "bool", "f"))
    do(np.less, n[:, ::-1], np.zeros((9, 1), "f"), mask)
    do(np.copyto, out[::-1].T, x.T, "unsafe", mask.T)
    return [out, mask]


def scores(do: Any) -> list[np.ndarray]:
    """What every query of an example has to do with each of its keys, of two heads: a matrix times another."""
    q, k, e = np.zeros((2, 64, 16, 6), "f"), np.zeros((2, 96, 16, 6), "f"), np.zeros((2, 64, 96, 6), "f")
    do(contraction, e, q, k, (tuple("htsn"), tuple("htdn"), tuple("hsdn")))
    return [e]


MADE: dict[str, Callable[[], Paper]] = {"lstm": lstm, **{
    record.__name__: lambda record=record: recorded(record)  # type: ignore[misc]
    for record in (sums_by_block, sums_by_lanes, sum_in_parts, layer_norm, mixed, scores)}}


def text(name: str) -> str:
    """All kernels, in the order in which they are needed."""
    return "\n".join(MADE[name]().sources.values())


@pytest.mark.parametrize("name", MADE)
def test_the_text_is_the_one_that_was_looked_at(name: str) -> None:
    assert text(name) == (FOLDER / f"{name}.cu").read_text(encoding="utf-8")


def test_the_text_has_all_kinds() -> None:
    kinds = {found.split("_")[0] for name in MADE for found in MADE[name]().sources}
    assert kinds == {"pass", "finish", "chain", "loop", "clear", "batched"}


def test_the_text_is_the_same_in_every_process() -> None:
    code = ("import numpy, sys; keep = [numpy.zeros(n) for n in range(int(sys.argv[1]))]\n"  # other addresses
            "import test_cuda_golden as golden; print('\\n'.join(map(golden.text, golden.MADE)))")
    found = {subprocess.run([sys.executable, "-c", code, str(seed * 1000)], capture_output=True, text=True, check=True,
                            cwd=Path(__file__).parent, env={**os.environ, "PYTHONHASHSEED": str(seed)}).stdout
             for seed in (1, 2)}
    assert found == {"\n".join(map(text, MADE)) + "\n"}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for made in MADE:
        (FOLDER / f"{made}.cu").write_text(text(made), encoding="utf-8", newline="\n")
