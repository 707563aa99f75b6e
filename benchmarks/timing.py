"""Rivals are compared first, then timed in alternating rounds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import astuple
from itertools import combinations
from pathlib import Path

import numpy as np

from .cells import Size
from .problem import Arrays
from .processes import BenchmarkError, Workers
from .rows import TOLERANCE, Entrant

PAUSE = 0.02  # seconds between rivals, in which the threads of the last one fall asleep


def prepare(workers: Workers, entrants: Sequence[Entrant], size: Size) -> None:
    """Declare and compile each rival in its own process."""
    for entrant in entrants:
        workers[entrant.side].ask("prepare", entrant.cell, astuple(size))


def compare(workers: Workers, entrants: Sequence[Entrant], size: Size, folder: Path) -> dict[str, float]:
    """The largest relative error of outputs and gradients between each two sides of a cell, as "ours gru, jax gru".

    Raises where one is above the tolerance.
    """
    answers: dict[str, Arrays] = {}
    for entrant in entrants:
        path = folder / "answer.npz"
        workers[entrant.side].ask("answer", entrant.cell, str(path))
        with np.load(path) as stored:
            answers[entrant.key] = dict(stored)
    pairs = [(a, b) for a, b in combinations(entrants, 2) if a.cell == b.cell]
    return {f"{a.key}, {b.key}": compare_answers(size, a.key, answers[a.key], b.key, answers[b.key]) for a, b in pairs}


def compare_answers(size: Size, name: str, ours: Arrays, other_name: str, theirs: Arrays) -> float:
    """The largest relative error between two answers."""
    if set(ours) != set(theirs):
        raise BenchmarkError(f"{size.name}: {name} gives {sorted(ours)}, {other_name} gives {sorted(theirs)}")
    errors = {array: relative_error(ours[array], theirs[array]) for array in ours}
    worst = max(errors, key=lambda array: np.nan_to_num(errors[array], nan=np.inf))
    if not errors[worst] < TOLERANCE:
        what = "h" if worst == "h" else f"the gradient of {worst}"
        raise BenchmarkError(f"{size.name}: {name} and {other_name} differ in {what} by {errors[worst]:.2g} of its "
                             f"norm; at most {TOLERANCE:g} is allowed, so their times are not comparable")
    return errors[worst]


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """The norm of the difference over the norm; infinite for different shapes."""
    if a.shape != b.shape:
        return float("inf")
    a, b = a.astype("float64"), b.astype("float64")
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def alternate(workers: Workers, entrants: Sequence[Entrant], rounds: int, seconds: float) -> dict[str, list[float]]:
    """The median seconds of a call in each round; in a round each rival has its turn of so many seconds."""
    medians: dict[str, list[float]] = {entrant.key: [] for entrant in entrants}
    for _ in range(rounds):
        for entrant in entrants:
            time.sleep(PAUSE)
            medians[entrant.key].append(workers[entrant.side].ask("round", entrant.cell, seconds))
    return medians
