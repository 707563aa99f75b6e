"""The numbers that every side computes with, and what a side makes of a problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .cells import Cell, Size
from .clocks import Elapsed, by_host

Arrays = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a side computes, and with what products. device: "cpu" or "cuda"; precision: one of PRECISIONS."""

    device: str = "cpu"
    precision: str = "float32"


PRECISIONS = ("float32", "tf32", "bfloat16")
HOST = Place()


@dataclass(frozen=True)
class Prepared:
    """One rival, ready: `step` is what is timed; `answer` gives h (N, T, H) and the gradients of the merged weights.

    elapsed: seconds of so many calls. together: so many seconds' worth of calls are timed as one; each alone if zero.
    steps: how many training steps a call is.
    """

    step: Callable[[], Any]
    answer: Callable[[], Arrays]
    elapsed: Elapsed = by_host
    together: float = 0.0
    steps: int = 1


# With gains of 1 on its products a LayerNorm-LSTM is chaotic: rounding grows until no two float32 runs agree to 1e-4.
CENTRES = {"gain_x": 0.25, "gain_h": 0.25, "gain_c": 1.0}


def weights(cell: Cell, size: Size) -> Arrays:
    """The merged weights, uniform within 1 / sqrt(hidden) of their centre, which is zero but for gains."""
    random = np.random.default_rng(1)
    bound = size.hidden ** -0.5
    return {name: (CENTRES.get(name, 0.0) + random.uniform(-bound, bound, cell.shape(name, size))).astype("float32")
            for name in cell.weights}


# The whole training step: clipping by the global norm, and Adam.
CLIP, RATE = 1.0, 1e-4
UPDATES_TIMED, UPDATES_COMPARED = 20, 3


def data(size: Size) -> tuple[Any, Any]:
    """The input x (N, T, inputs) and the weighting r (N, T, hidden) of the loss."""
    random = np.random.default_rng(2)
    x, r = (random.standard_normal((size.batch, size.steps, width), "float32") for width in (size.inputs, size.hidden))
    return x, r
