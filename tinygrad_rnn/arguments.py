"""Checks of numbers that users pass: one message each, saying what was given and what was expected."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from typing import Any

from .errors import BadType, BadValue


def real(
    what: str, value: Any, *, at_least: float | None = None, above: float | None = None, below: float | None = None
) -> float:
    """`value` as a finite Python float within the bounds given.

    NumPy scalars become Python floats on purpose: a float64 scalar would promote float32 arithmetic.
    Raises BadType where it is no real number, BadValue where it is not finite or out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise BadType(f"{what} is a number, not {value!r}")
    number = float(value)
    if not math.isfinite(number):
        raise BadValue(f"{what} must be finite, not {number}")
    bounds = []
    if at_least is not None:
        bounds.append((number >= at_least, f"at least {at_least:g}"))
    if above is not None:
        bounds.append((number > above, f"above {above:g}"))
    if below is not None:
        bounds.append((number < below, f"below {below:g}"))
    if not all(met for met, _ in bounds):
        raise BadValue(f"{what} must be {' and '.join(text for _, text in bounds)}, not {number:g}")
    return number


def whole(what: str, value: Any, *, at_least: int) -> int:
    """`value` as a Python int of at least `at_least`. Raises BadType and BadValue as `real` does."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise BadType(f"{what} is a whole number, not {value!r}")
    if value < at_least:
        raise BadValue(f"{what} must be at least {at_least}, not {value}")
    return int(value)


def named(given: str | Iterable[str]) -> tuple[str, ...]:
    """Names, of which one may be given as it is."""
    return (given,) if isinstance(given, str) else tuple(given)


def first_true(mask: Any) -> tuple[int, ...] | None:
    """Where the first true element of an array stands; None where there is none."""
    if not mask.any():
        return None
    return tuple(int(i[0]) for i in mask.nonzero()) if mask.ndim else ()
