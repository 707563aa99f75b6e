"""Arrays that are consecutive slices of one: what is done element by element can be done to all of them at once."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy

from .. import backends

# Found once for the same arrays, as long as all of them live: an optimiser asks at every update.
_found: dict[tuple[int, ...], tuple[list[weakref.ref[Any]], Any]] = {}


def flat(arrays: Mapping[str, Any]) -> Any | None:
    """The one-dimensional array of which these are consecutive slices, in order; None where they are not.

    They have one dtype and one owner, are C-contiguous and writeable, and leave no gap between them; arrays without
    elements may lie anywhere. NumPy's and CuPy's are known.
    """
    each = list(arrays.values())
    key = tuple(map(id, each))
    if key in _found:
        return _found[key][1]
    backend = _backend(each)
    if backend is None:
        return None
    whole = _joined([a for a in each if a.size], backend)
    if not _held_by(whole, key):  # else keeping it would keep the array for ever
        _found[key] = [weakref.ref(a, lambda _: _found.pop(key, None)) for a in each], whole
    return whole


def stacked(arrays: Sequence[Any], axis: int) -> Any | None:
    """The array of which these are consecutive slices along an axis; None where they do not lie so in memory."""
    backend, first = _backend(arrays), arrays[0]
    if backend is None or not all(a.size for a in arrays):
        return None
    sizes = [a.shape[axis] for a in arrays]
    at, owner = backend.pointer(first), backend.owner(first)
    step = (backend.pointer(arrays[-1]) - at) // max(sum(sizes[:-1]), 1)
    if step <= 0:
        return None
    strides = [step if k == axis else s for k, s in enumerate(first.strides)]
    for a, size in zip(arrays, sizes, strict=True):
        beside = backend.pointer(a) == at and backend.owner(a) is owner and a.dtype == first.dtype
        if not (beside and a.ndim == first.ndim and _lies_so(a, first.shape, strides, axis)):
            return None
        at += size * step
    whole = backend.strided(first[(*[slice(None)] * axis, 0, ...)], sum(sizes), step)
    return whole.transpose(*range(1, axis + 1), 0, *range(axis + 1, whole.ndim))


def _lies_so(a: Any, shape: Sequence[int], strides: Sequence[int], free: int) -> bool:
    """Has it that shape, but for one axis that is free, and those strides, where it has several positions?"""
    axes = zip(a.shape, shape, a.strides, strides, strict=True)
    return all((n == m or k == free) and (n == 1 or own == stride) for k, (n, m, own, stride) in enumerate(axes))


def address(a: Any) -> int:
    """Where the array begins in memory."""
    backend = _backend([a])
    return 0 if backend is None else int(backend.pointer(a))


def parts(arrays: Mapping[str, Any]) -> list[Any]:
    """As few arrays as hold all elements: the flat one, else each."""
    whole = flat(arrays)
    return list(arrays.values()) if whole is None else [whole]


def cut(whole: Any, like: Mapping[str, Any]) -> dict[str, Any]:
    """Consecutive slices of a one-dimensional array, with the names and shapes of `like`."""
    found, at = {}, 0
    for name, a in like.items():
        found[name] = whole[at : at + a.size].reshape(a.shape)
        at += a.size
    return found


def _backend(arrays: Sequence[Any]) -> ModuleType | None:
    """The backend to whose array type all belong."""
    kinds = set(map(type, arrays))
    if kinds == {numpy.ndarray}:
        return backends.load("numpy")
    return backends.load("cupy") if {k.__module__.partition(".")[0] for k in kinds} == {"cupy"} else None


def _joined(arrays: Sequence[Any], backend: ModuleType) -> Any | None:
    if not arrays:
        return None
    first = arrays[0]
    owner, end = backend.owner(first), backend.pointer(first)
    for a in arrays:
        plain = a.flags.c_contiguous and getattr(a.flags, "writeable", True)
        if not plain or a.dtype != first.dtype or backend.owner(a) is not owner or backend.pointer(a) != end:
            return None
        end += a.nbytes
    line = first.reshape(-1)
    return line if len(arrays) == 1 else backend.strided(line[0, ...], sum(a.size for a in arrays), line.itemsize)


def _held_by(view: Any, ids: Sequence[int]) -> bool:
    """Is one of the arrays with these ids what the view looks at?"""
    while view is not None and id(view) not in ids:
        view = getattr(view, "base", None)
    return view is not None
