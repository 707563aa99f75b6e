"""Clipping: gradients changed in place; what comes back is their global norm before."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from ..arguments import real
from ..backends.flat import parts
from ..errors import BadType, BadValue
from ..keywords import told


def global_norm(grads: Mapping[str, Any], xp: Any = numpy) -> float:
    """sqrt(sum over all gradients and elements of g**2); 0.0 where there is none."""
    return _norm(parts(grads), xp)


def _norm(arrays: Sequence[Any], xp: Any) -> float:
    """The same of all arrays together."""
    squares = [xp.vdot(line, line) for line in (g.ravel(order="K") for g in arrays)]
    with numpy.errstate(over="ignore"):  # told by an infinite sum, just below
        norm = math.sqrt(float(sum(squares)))
    if math.isfinite(norm):
        return norm
    # Finite float32 gradients may have squares that are not: once more in float64, which is rare and may allocate.
    return math.sqrt(float(sum(xp.sum(xp.square(g, dtype=xp.float64)) for g in arrays)))


def _clippable(grads: Mapping[str, Any]) -> list[Any]:
    """The arrays to write in, as few as hold all gradients. Raises where they are none, or cannot be written."""
    if not isinstance(grads, Mapping):
        raise BadType(f"gradients are a dict of arrays by name, as value_and_grad gives them, not {grads!r:.80}")
    arrays = parts(grads)
    if not all(map(_is_floating, arrays)):
        name, wrong = next(pair for pair in grads.items() if not _is_floating(pair[1]))
        raise BadType(f"the gradient of {name} is a floating-point array, not {wrong!r:.80}")
    if not all(getattr(a.flags, "writeable", True) for a in arrays):
        raise BadValue("gradients are changed in place, and these are read-only, as a model's weights are when they "
                       "are read")
    return arrays


def of_own(clip: Callable[..., Any]) -> Callable[..., float]:
    """A person's own way of clipping. Raises BadType where it gives no number."""

    def clipped(grads: Mapping[str, Any], xp: Any = numpy) -> float:
        norm = clip(grads, xp)
        try:
            return float(norm)
        except (TypeError, ValueError):
            raise BadType(f"the function that clips returned {norm!r:.80}; the norm that the gradients had was expected"
                          ) from None

    return clipped


def _is_floating(a: Any) -> bool:
    return getattr(getattr(a, "dtype", None), "kind", "") == "f"


@told
@dataclass(frozen=True)
class ClipNorm:
    """g *= max / norm for every gradient where the global norm is above max, so that their direction stays.

    A norm that is not finite leaves the gradients as they are: scaling them would only hide which one it was. Raises
    BadType and BadValue for what are no floating-point arrays that can be written.
    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013, algorithm 1.
    """

    max: float

    def __post_init__(self) -> None:
        real("max", self.max, above=0)

    def __call__(self, grads: Mapping[str, Any], xp: Any = numpy) -> float:
        arrays = _clippable(grads)
        norm = _norm(arrays, xp)
        if self.max < norm < math.inf:
            for g in arrays:
                xp.multiply(g, float(self.max) / norm, out=g)
        return norm


@told
@dataclass(frozen=True)
class ClipValue:
    """g = minimum(maximum(g, -max), max), element by element; NaN stays NaN. Raises as `ClipNorm` does.

    Graves, "Generating Sequences With Recurrent Neural Networks", 2013, section 2.1.
    """

    max: float

    def __post_init__(self) -> None:
        real("max", self.max, above=0)

    def __call__(self, grads: Mapping[str, Any], xp: Any = numpy) -> float:
        limit = float(self.max)
        arrays = _clippable(grads)
        norm = _norm(arrays, xp)
        for g in arrays:
            xp.maximum(g, -limit, out=g)
            xp.minimum(g, limit, out=g)
        return norm
