"""Fields with one row per example: how many there are, and some of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import BadType, BadValue


def examples(data: Mapping[str, Any]) -> int:
    """How many examples the fields have. Raises where they differ, or a field has none or is a single value."""
    counts = dict(_counts(data))
    if not counts or 0 in counts.values():
        raise BadValue("there are no examples")
    if len(set(counts.values())) > 1:
        raise BadValue("the arrays have different numbers of examples: "
                       f"{', '.join(f'{k} {v}' for k, v in counts.items())}")
    return next(iter(counts.values()))


def _counts(data: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}[{k}]", len(v)) for k, v in value.items())
        elif isinstance(value, (list, tuple)) or np.ndim(value):
            yield name, len(value)
        else:
            what = "None" if value is None else "a single value"
            raise BadType(f"{name} is {what}; an array with one row per example is expected")


def column(value: Any) -> Any:
    """A column of objects, as pandas has one of lists, as a list of them; anything else as it is."""
    objects = not isinstance(value, np.ndarray) and getattr(value, "dtype", None) == np.dtype(object)
    return list(value) if objects else value


def is_ragged(value: Any) -> bool:
    """Whether this is a list of sequences of different lengths, which no array holds, but one of objects."""
    objects = isinstance(value, np.ndarray) and value.dtype == object and value.ndim > 0
    return (objects or isinstance(value, (list, tuple))) and len({extent(item) for item in value}) > 1


def extent(item: Any) -> int | None:
    """How many steps a sequence has; None for a single value."""
    return len(item) if isinstance(item, (list, tuple)) or (hasattr(item, "shape") and item.shape) else None
