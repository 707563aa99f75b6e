"""Checks of numbers that users pass: one message each, saying what was given and what was expected."""

from __future__ import annotations

import fnmatch
import math
import numbers
import operator
from collections.abc import Collection, Iterable
from typing import Any

from .errors import BadType, BadValue


def real(
    what: str, value: Any, *, at_least: float | None = None, above: float | None = None, below: float | None = None
) -> float:
    """`value` as a finite Python float within the bounds given.

    NumPy scalars become Python floats on purpose: a float64 scalar would promote float32 arithmetic.
    Raises BadType where it is no real number, BadValue where it is not finite or out of bounds.
    """
    if type(value) is not float and (isinstance(value, bool) or not isinstance(value, numbers.Real)):
        raise BadType(f"{what} is a number, not {value!r:.80}")
    try:
        number = float(value)
    except OverflowError:  # of a whole number
        number = math.inf
    if not math.isfinite(number):
        raise BadValue(f"{what} must be finite, not {number}")
    low = (at_least is None or number >= at_least) and (above is None or number > above)
    if low and (below is None or number < below):
        return number
    bounds = {"at least": at_least, "above": above, "below": below}
    words = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None)
    raise BadValue(f"{what} must be {words}, not {number:g}")


def whole(what: str, value: Any, *, at_least: int, at_most: int | None = None) -> int:
    """`value` as a Python int within the bounds given. Raises BadType and BadValue as `real` does."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise BadType(f"{what} is a whole number, not {value!r:.80}")
    if number < at_least or (at_most is not None and number > at_most):
        bounds = f"at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"
        raise BadValue(f"{what} must be {bounds}, not {number}")
    return number


def one_of(what: str, value: Any, known: Iterable[str]) -> None:
    """Raise BadValue where `value` is none of the texts that are known."""
    *others, last = known
    if not isinstance(value, str) or value not in (*others, last):
        raise BadValue(f"{what} is {', '.join(map(repr, others))} or {last!r}, not {value!r}")


def flag(what: str, value: Any) -> bool:
    """`value`, which is True or False. Raises BadType where it is neither."""
    if not isinstance(value, bool):
        raise BadType(f"{what} is True or False, not {value!r:.80}")
    return value


def named(what: str, given: str | Iterable[str], known: Collection[str] = ()) -> tuple[str, ...]:
    """Names, each once, of which one may be given as it is. Raises BadType where they are none.

    known: names for which a pattern may stand.
    """
    each = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    for name in each:
        if not isinstance(name, str):
            raise BadType(f"{what} is a name or a list of names, not {name!r:.80}")
    return tuple(dict.fromkeys(found for name in each for found in matching(name, known) or [name]))


def matching(pattern: str, known: Collection[str]) -> list[str]:
    """Those of the names that a name, or a pattern as of file names ("W_h?", "b_*"), stands for."""
    return [pattern] if pattern in known else [name for name in known if fnmatch.fnmatchcase(name, pattern)]


def first_true(mask: Any) -> tuple[int, ...] | None:
    """Where the first true element of an array stands; None where there is none."""
    if not mask.any():
        return None
    return tuple(int(i[0]) for i in mask.nonzero()) if mask.ndim else ()
