"""The numbers of a run as the page shows them: a few of each value, its size, and the size of its gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..scene import Mark
from ..values import Values

FIRST = 6  # how many numbers of a value are listed


def shown(mark: Mark, values: Values) -> dict[str, Any] | None:
    """What the run has for a mark: rms, min, max, first numbers, n in all; norm: of the gradient; kind: of a class.

    None where the run has neither a value nor a gradient there.
    """
    found: dict[str, Any] = {}
    value, gradient = values.at(mark), values.gradient_at(mark)
    if value is not None and value.size:
        features = values.system.quantities[mark.name].type.shape
        if value.dtype.kind in "iub" and value.ndim == 0 and features:
            found["kind"] = int(value)
        else:
            wide = value.astype(np.float64)
            found = {"rms": _rounded(np.sqrt(np.mean(wide * wide))), "min": exact(value.min()),
                     "max": exact(value.max()), "first": [exact(v) for v in value.ravel()[:FIRST]], "n": value.size}
    if gradient is not None and gradient.size:
        found["norm"] = _rounded(np.linalg.norm(gradient.astype(np.float64).ravel()))
    return found or None


def exact(value: Any) -> float | int | str:
    """The shortest decimal that reads back to the same number in its own precision; text where it is not finite."""
    if value.dtype.kind in "iub":
        return int(value)
    if not math.isfinite(value):
        return str(float(value))
    return float(np.format_float_scientific(value, unique=True))


def _rounded(value: Any) -> float | str:
    return float(f"{value:.9g}") if math.isfinite(value) else str(float(value))
