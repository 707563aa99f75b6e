"""Indices as CuPy takes them: positions in arrays wrap around where they are out of range, and are never checked."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy

from . import _capture, _delegate


def prepared(a: numpy.ndarray, at: Any) -> tuple[Callable[[], Any], str | None]:
    """A call that gives an index for NumPy, and what it is: None where it gives a view, else "mask" or "take".

    A call, since positions that lie on the device may change between the capture of a graph and its launch.
    """
    items = [_item(s) for s in (at if isinstance(at, tuple) else (at,))]
    if not any(s is Ellipsis for s in items):
        items.append(Ellipsis)
    taken = sum(_axes(s) for s in items)
    if taken > a.ndim:
        raise IndexError(f"too many indices for array: array is {a.ndim}-dimensional, but {taken} were indexed")
    kind, axis, lengths = None, 0, []
    for s in items:
        lengths.append(a.shape[axis] if axis < a.ndim else 1)
        if isinstance(s, numpy.ndarray):
            if s.dtype.kind == "b":
                kind = "mask"
            elif s.dtype.kind in "iu":
                kind = kind or "take"
            else:
                raise IndexError(f"arrays used as indices must be of integer or boolean type. (actual: {s.dtype.type})")
        axis += a.ndim - taken if s is Ellipsis else _axes(s)
    return lambda: tuple(_inside(s, n) for s, n in zip(items, lengths, strict=True)), kind


def _inside(s: Any, length: int) -> Any:
    wraps = isinstance(s, numpy.ndarray) and s.dtype.kind in "iu" and length
    return s % length if wraps else s


def _item(s: Any) -> Any:
    if isinstance(s, slice):
        if any(border is not None and abs(operator.index(border)) >= 2**63 for border in (s.start, s.stop, s.step)):
            raise OverflowError("Python int too large to convert to C ssize_t")
        return s
    if s is None or s is Ellipsis:
        return s
    if isinstance(s, _delegate.array_class()):
        return s._a
    if numpy.isscalar(s) and not isinstance(s, (bool, numpy.bool_)):
        return int(s)
    s = numpy.array(s)
    _capture.refuse_copy("H2D")
    return s.astype("int32") if s.size == 0 and s.dtype.kind == "f" else s


def _axes(s: Any) -> int:
    if s is None or s is Ellipsis:
        return 0
    return s.ndim if isinstance(s, numpy.ndarray) and s.dtype.kind == "b" else 1
