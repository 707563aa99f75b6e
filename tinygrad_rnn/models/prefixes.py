"""Prefixes of declared data: what is given of the first steps, for each example as many as there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import backends
from ..backends.places import entering
from ..data.rows import extent, is_ragged
from ..data.sequences import padded
from ..errors import BadValue


class Prefix(NamedTuple):
    """values: (batch, steps, ...); ends: how many steps of each example are given, (batch,)."""

    values: Any
    ends: Any

    @classmethod
    def of(cls, name: str, given: Any, size: int) -> Prefix | None:
        """What is given of `size` steps, where it is less: an array of fewer, or sequences of different lengths."""
        if is_ragged(given):
            return cls._of_sequences(name, given, size)
        values = backends.current().asarray(entering(name, given))
        return cls.even(values) if values.ndim > 1 and values.shape[1] < size else None

    @classmethod
    def even(cls, values: Any) -> Prefix:
        """As many steps of each example."""
        return cls(values, backends.current().xp.full(len(values), values.shape[1]))

    @classmethod
    def _of_sequences(cls, name: str, rows: Any, size: int) -> Prefix:
        """Some may be empty. Raises where one has more steps than there are."""
        empty = np.array([extent(row) == 0 for row in rows])
        any_step = next((row[:1] for row in rows if extent(row)), None)
        found = padded({name: [any_step if gone else row for row, gone in zip(rows, empty, strict=True)]})
        ends = np.where(empty, 0, found["lengths"])
        if ends.max() > size:
            raise BadValue(f"example {ends.argmax()} of {name} has {ends.max()} steps, more than the {size} that "
                           "there are")
        return cls(*map(backends.current().asarray, (found[name], ends)))

    def of_classes(self) -> Prefix:
        """Of one-hot vectors the classes."""
        return self if self.values.ndim == 2 else self._replace(values=self.values.argmax(-1))

    def kept(self, size: int) -> Any:
        """Which of so many steps are given, (batch, size)."""
        return backends.current().xp.arange(size) < self.ends[:, None]

    def over(self, drawn: Any, k: int) -> Any:
        """Step k, counted from 0, of what was drawn, where it is not given."""
        xp = backends.current().xp
        if k >= self.values.shape[1]:
            return drawn
        here = (self.ends > k).reshape(-1, *[1] * (drawn.ndim - 1))
        return xp.where(here, self.values[:, k].astype(drawn.dtype), drawn)

    def gives(self, k: int) -> bool:
        """Is step k, counted from 0, given for all examples?"""
        return bool((self.ends > k).all())


def check_even(data: Mapping[str, Any]) -> None:
    """Raise where sequences of different lengths are given to what goes forward with all examples at once."""
    for name, value in data.items():
        if is_ragged(value):
            raise BadValue(f"{name} is given in different lengths, which run goes on from; a stream and a beam search "
                           "begin with as many steps for all examples, so give those of one length at a time")
