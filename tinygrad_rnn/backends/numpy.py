"""The NumPy backend: the array module, and the few things array modules do differently."""

from __future__ import annotations

from typing import Any

import numpy as xp
from numpy.lib.stride_tricks import as_strided

name = "numpy"


def check() -> None:
    """NumPy can always be used."""


def pointer(a: Any) -> int:
    """The address of the first element."""
    return int(a.__array_interface__["data"][0])


def strided(a: Any, count: int, step: int) -> Any:
    """`count` views like a, each `step` bytes further, as one array."""
    return as_strided(a, (count, *a.shape), (step, *a.strides))


def asarray(a: Any) -> Any:
    """a as an array of this backend."""
    return xp.asarray(a)


def to_host(a: Any) -> Any:
    """a as a NumPy array."""
    return xp.asarray(a)


def quiet() -> Any:
    """Within it, arithmetic on padding raises no warnings."""
    return xp.errstate(all="ignore")


__all__ = ["as_strided", "asarray", "check", "name", "pointer", "quiet", "strided", "to_host", "xp"]
