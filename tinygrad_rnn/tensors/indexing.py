"""x[key] of a tensor, as the array API has it: whole numbers, slices, `...`, new axes and arrays of positions."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from ..backends.places import on_device
from ..errors import BadType, BadValue
from ..node import Operators
from ..ops.feature_parts import sliced
from .whole_numbers import positions


def indexed(x: Any, key: Any) -> Any:
    """x[key]. Several arrays of positions are gone through together, as in NumPy, and stand next to each other."""
    keys = _spelled_out(list(key) if isinstance(key, tuple) else [key], x.ndim)
    x = sliced(x, tuple(slice(None) if _are_positions(k) else k for k in keys if k is not None))
    axes = [k for k in keys if _are_positions(k) or not hasattr(k, "__index__")]  # a key for each axis that is left
    for axis, k in enumerate(axes):
        if k is None:
            x = x._apply("expand", x, axis=axis, size=1)
    arrays = [axis for axis, k in enumerate(axes) if _are_positions(k)]
    return _gathered(x, arrays[0], [axes[axis] for axis in arrays]) if arrays else x


def _spelled_out(keys: list[Any], rank: int) -> list[Any]:
    """The keys without `...`; raises where they are more than the axes, or arrays of positions stand apart."""
    used = [k for k in keys if k is not None and k is not Ellipsis]
    if len(used) > rank:
        raise BadValue(f"too many indices, {len(used)}, for a tensor whose number of axes is {rank}")
    holes = [j for j, k in enumerate(keys) if k is Ellipsis]
    if len(holes) == 1:
        keys[holes[0] : holes[0] + 1] = [slice(None)] * (rank - len(used))
    if any(map(_are_positions, keys)):
        spots = [j for j, k in enumerate(keys) if _are_positions(k) or hasattr(k, "__index__")]
        if any(b - a > 1 for a, b in pairwise(spots)):
            raise BadValue("positions, arrays as well as single ones, stand on axes next to each other; write one "
                           "index after another, such as x[0][:, at]")
    return keys


def _are_positions(key: Any) -> bool:
    array = hasattr(key, "__array__") and not isinstance(key, np.generic)
    return array or isinstance(key, (Operators, list, range)) or on_device(key)


def _gathered(x: Any, axis: int, keys: list[Any]) -> Any:
    """x at the positions `keys` of as many axes from `axis` on, which are looked at as one."""
    sizes = x.shape[axis : axis + len(keys)]
    at: Any = 0
    for key, size in zip(keys, sizes, strict=True):
        k = _as_tensor(key, type(x))
        if k.dtype == "bool":
            raise BadType("a mask as an index would give a shape that depends on values; use where(mask, a, b)")
        at = type(x)(positions(k, size)) + at * size
    if len(keys) > 1:
        x = x.reshape(*x.shape[:axis], math.prod(sizes), *x.shape[axis + len(keys) :])
    return x._apply("take", x, at, axis=axis)


def _as_tensor(key: Any, kind: Any) -> Any:
    """Positions as a tensor; an empty list has no numbers to tell that they would be whole."""
    if isinstance(key, list) and np.size(key) == 0:
        return kind(np.zeros(np.shape(key), "int64"))
    return key if isinstance(key, Operators) else kind(key)
