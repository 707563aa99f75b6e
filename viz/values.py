"""The numbers of a run, by what an item of a picture shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_rnn.arguments import whole
from tinygrad_rnn.errors import BadName, BadType, BadValue
from tinygrad_rnn.plans.feeds import lengths_by_index
from tinygrad_rnn.system import Quantity, System
from tinygrad_rnn.tensors.arrays import to_numpy

from .scene import Mark


class Values:
    """Arrays (batch, indices in left-hand order, features) by name, of which one example is looked at.

    arrays: what `Model.run` or `Model.trace` gave; adjoints: quantity -> the name of its gradient among them, by
    default what the arrays say of themselves. Raises `BadType`, `BadName` or `BadValue` for anything else.
    """

    def __init__(self, system: System, arrays: Mapping[str, Any], adjoints: Mapping[str, str] | None = None,
                 example: int = 0):
        if not isinstance(arrays, Mapping):
            raise BadType(f"values are what run or trace gives, a dict of arrays by name, not {type(arrays).__name__}")
        self.system, self.example = system, whole("example", example, at_least=0)
        self.adjoints = dict(getattr(arrays, "adjoints", {}) if adjoints is None else adjoints)
        known = {**{name: name for name in system.quantities}, **{a: name for name, a in self.adjoints.items()}}
        self.arrays: dict[str, np.ndarray] = {}
        for name, value in arrays.items():
            if name not in known:
                raise BadName(f"the values have {name!r}, and the model has no such quantity")
            self.arrays[name] = self._checked(name, to_numpy(value), system.quantities[known[name]])
        self.sizes = self._sizes(getattr(arrays, "lengths", None))

    def _checked(self, name: str, array: np.ndarray, q: Quantity) -> np.ndarray:
        needed = len(q.slots) + q.batched
        coded = array.dtype.kind in "iu" and len(q.type.shape) == 1 and array.ndim == needed  # a class for a vector
        if array.ndim < needed or array.shape[needed:] != (() if coded else q.type.shape):
            raise BadValue(f"the values of {name} have shape {array.shape}; {'batch, ' if q.batched else ''}"
                           f"{', '.join(q.slots) or 'no index'} and features of shape {q.type.shape} are expected")
        if q.batched:
            whole(f"example, one of {name},", self.example, at_least=0, at_most=len(array) - 1)
        return array[self.example] if q.batched else array

    def _sizes(self, lengths: Any) -> dict[str, int]:
        """How many positions each index has for the example."""
        found: dict[str, int] = {}
        for name, array in self.arrays.items():
            q = self.system.quantities.get(name)
            if q is not None:
                for index, size in zip(q.slots, array.shape, strict=False):
                    found.setdefault(index, size)
        for index in found:
            for named, by_example in lengths_by_index(self.system, lengths).items():
                if self.system.range_of(index) == self.system.range_of(named):
                    found[index] = int(to_numpy(by_example)[self.example])
        return found

    def at(self, mark: Mark) -> np.ndarray | None:
        """The features of a quantity at a mark's positions; None where the run has none there."""
        return self._found(mark.name, mark)

    def gradient_at(self, mark: Mark) -> np.ndarray | None:
        """The same of its gradient."""
        return self._found(self.adjoints.get(mark.name, ""), mark)

    def _found(self, name: str, mark: Mark) -> np.ndarray | None:
        array = self.arrays.get(name)
        if array is None:
            return None
        at = dict(mark.at)
        key: list[Any] = []
        for index, size in zip(self.system.quantities[mark.name].slots, array.shape, strict=False):
            position = at.get(index)
            if position is None:
                key.append(slice(None))
            elif isinstance(position, int) and 1 <= position <= min(size, self.sizes.get(index, size)):
                key.append(position - 1)
            else:
                return None
        return np.asarray(array[(*key, ...)])
