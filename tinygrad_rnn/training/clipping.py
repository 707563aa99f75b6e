"""Clipping: gradients changed in place; what comes back is their global norm before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy

from ..arguments import real
from ..backends.flat import parts


def global_norm(grads: Mapping[str, Any], xp: Any = numpy) -> float:
    """sqrt(sum over all gradients and elements of g**2); 0.0 where there is none."""
    arrays = parts(grads)
    squares = [xp.vdot(line, line) for line in (g.ravel(order="K") for g in arrays)]
    with numpy.errstate(over="ignore"):  # told by an infinite sum, just below
        norm = math.sqrt(float(sum(squares)))
    if math.isfinite(norm):
        return norm
    # Finite float32 gradients may have squares that are not: once more in float64, which is rare and may allocate.
    return math.sqrt(float(sum(xp.sum(xp.square(g, dtype=xp.float64)) for g in arrays)))


@dataclass(frozen=True)
class ClipNorm:
    """g *= max / norm for every gradient where the global norm is above max, so that their direction stays.

    A norm that is not finite leaves the gradients as they are: scaling them would only hide which one it was.
    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013, algorithm 1.
    """

    max: float

    def __post_init__(self) -> None:
        real("max", self.max, above=0)

    def __call__(self, grads: Mapping[str, Any], xp: Any = numpy) -> float:
        norm = global_norm(grads, xp)
        if self.max < norm < math.inf:
            for g in parts(grads):
                xp.multiply(g, float(self.max) / norm, out=g)
        return norm


@dataclass(frozen=True)
class ClipValue:
    """g = minimum(maximum(g, -max), max), element by element; NaN stays NaN.

    Graves, "Generating Sequences With Recurrent Neural Networks", 2013, section 2.1.
    """

    max: float

    def __post_init__(self) -> None:
        real("max", self.max, above=0)

    def __call__(self, grads: Mapping[str, Any], xp: Any = numpy) -> float:
        limit = float(self.max)
        norm = global_norm(grads, xp)
        for g in parts(grads):
            xp.maximum(g, -limit, out=g)
            xp.minimum(g, limit, out=g)
        return norm
