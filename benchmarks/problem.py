"""The numbers that every side computes with, and what a side makes of a problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .cells import Cell, Size

Arrays = dict[str, Any]


@dataclass(frozen=True)
class Prepared:
    """One rival, ready: `step` is what is timed; `answer` gives h (N, T, H) and the gradients of the merged weights."""

    step: Callable[[], Any]
    answer: Callable[[], Arrays]


# With gains of 1 on its products a LayerNorm-LSTM is chaotic: rounding grows until no two float32 runs agree to 1e-4.
CENTRES = {"gain_x": 0.25, "gain_h": 0.25, "gain_c": 1.0}


def weights(cell: Cell, size: Size) -> Arrays:
    """The merged weights, uniform within 1 / sqrt(hidden) of their centre, which is zero but for gains."""
    random = np.random.default_rng(1)
    bound = size.hidden ** -0.5
    return {name: (CENTRES.get(name, 0.0) + random.uniform(-bound, bound, cell.shape(name, size))).astype("float32")
            for name in cell.weights}


def data(size: Size) -> tuple[Any, Any]:
    """The input x (N, T, inputs) and the weighting r (N, T, hidden) of the loss."""
    random = np.random.default_rng(2)
    x, r = (random.standard_normal((size.batch, size.steps, width), "float32") for width in (size.inputs, size.hidden))
    return x, r
