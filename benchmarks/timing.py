"""Rivals are compared first, then timed in alternating rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import astuple
from itertools import combinations
from pathlib import Path

import numpy as np

from .cells import Size
from .problem import HOST, Arrays, Place
from .processes import BenchmarkError, Workers
from .rows import TOLERANCE, Entrant

PAUSE = 0.02  # seconds between rivals, in which the threads of the last one fall asleep


OnError = Callable[[Entrant, BenchmarkError], None]


def give_up(entrant: Entrant, error: BenchmarkError) -> None:
    """A rival that fails ends the benchmark."""
    raise error


def prepare(workers: Workers, entrants: Sequence[Entrant], size: Size, place: Place = HOST,
            failed: OnError = give_up) -> list[Entrant]:
    """Declare and compile each rival in its own process; those that are ready."""
    def ask(entrant: Entrant) -> None:
        workers[entrant.side].ask("prepare", entrant.cell, astuple(size), astuple(place))

    return each(entrants, ask, failed)


def each(entrants: Sequence[Entrant], ask: Callable[[Entrant], None], failed: OnError) -> list[Entrant]:
    """Ask something of every rival; those that did not fail."""
    fine = []
    for entrant in entrants:
        try:
            ask(entrant)
        except BenchmarkError as error:
            failed(entrant, error)
        else:
            fine.append(entrant)
    return fine


def compare(workers: Workers, entrants: Sequence[Entrant], size: Size, folder: Path) -> dict[str, float]:
    """The largest relative error of outputs and gradients between each two sides of a cell, as "ours gru, jax gru".

    Raises where one is above the tolerance.
    """
    answers = {entrant.key: answer(workers, entrant, folder) for entrant in entrants}
    pairs = [(a, b) for a, b in combinations(entrants, 2) if a.cell == b.cell]
    return {f"{a.key}, {b.key}": compare_answers(size, a.key, answers[a.key], b.key, answers[b.key]) for a, b in pairs}


def answer(workers: Workers, entrant: Entrant, folder: Path) -> Arrays:
    """A rival's outputs and gradients."""
    path = folder / "answer.npz"
    workers[entrant.side].ask("answer", entrant.cell, str(path))
    with np.load(path) as stored:
        return dict(stored)


def compare_answers(size: Size, name: str, ours: Arrays, other_name: str, theirs: Arrays,
                    tolerance: float = TOLERANCE) -> float:
    """The largest relative error between two answers."""
    if set(ours) != set(theirs):
        raise BenchmarkError(f"{size.name}: {name} gives {sorted(ours)}, {other_name} gives {sorted(theirs)}")
    errors = {array: relative_error(ours[array], theirs[array]) for array in ours}
    worst = max(errors, key=lambda array: np.nan_to_num(errors[array], nan=np.inf))
    if not errors[worst] < tolerance:
        what = "h" if worst == "h" else f"the gradient of {worst}"
        raise BenchmarkError(f"{size.name}: {name} and {other_name} differ in {what} by {errors[worst]:.2g} of its "
                             f"norm; at most {tolerance:g} is allowed, so their times are not comparable")
    return errors[worst]


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """The norm of the difference over the norm; infinite for different shapes."""
    if a.shape != b.shape:
        return float("inf")
    a, b = a.astype("float64"), b.astype("float64")
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def alternate(workers: Workers, entrants: Sequence[Entrant], rounds: int, seconds: float,
              failed: OnError = give_up) -> dict[str, list[float]]:
    """The median seconds of a step in each round; in a round each rival has its turn of so many seconds."""
    medians: dict[str, list[float]] = {entrant.key: [] for entrant in entrants}

    def ask(entrant: Entrant) -> None:
        time.sleep(PAUSE)
        medians[entrant.key].append(workers[entrant.side].ask("round", entrant.cell, seconds))

    running = list(entrants)
    for _ in range(rounds):
        running = each(running, ask, failed)
    return {entrant.key: medians[entrant.key] for entrant in running}
