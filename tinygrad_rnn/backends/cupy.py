"""The CuPy backend: the same array functions on a GPU."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy

from ..errors import BadValue

name = "cupy"
try:
    import cupy as xp
except ImportError as _error:
    xp = None
    _missing = str(_error)


def check() -> None:
    """Raises with one line that says which of CuPy, driver and GPU is missing, and how to get it."""
    if xp is None:
        raise BadValue(f"the cupy backend needs CuPy: pip install 'tinygrad-rnn[cuda12]' or [cuda13] ({_missing})")
    try:
        if xp.cuda.runtime.getDeviceCount() > 0:
            return
        reason = "no GPU was found"
    except xp.cuda.runtime.CUDARuntimeError as error:
        reason = f"the driver does not answer: {error}"
    raise BadValue(f"the cupy backend needs an NVIDIA GPU and its driver; {reason}")


def pointer(a: Any) -> int:
    """The address of the first element."""
    return int(a.data.ptr)


def owner(a: Any) -> Any:
    """What owns the memory of a."""
    return a.data.mem


def strided(a: Any, count: int, step: int) -> Any:
    """`count` views like a, each `step` bytes further, as one array."""
    memory = xp.cuda.MemoryPointer(a.data.mem, a.data.ptr - a.data.mem.ptr)
    return xp.ndarray((count, *a.shape), a.dtype, memory, (step, *a.strides))


def asarray(a: Any) -> Any:
    """a as an array of this backend."""
    return xp.asarray(a)


def to_host(a: Any) -> Any:
    """a as a NumPy array."""
    return xp.asnumpy(a) if xp is not None and isinstance(a, xp.ndarray) else numpy.asarray(a)


def threads() -> int:
    """One: the device shares the work out."""
    return 1


def rearrange(out: Any, a: Any) -> None:
    """out = a, whose axes lie in another order in memory."""
    xp.copyto(out, a, "unsafe")


def take_rows(table: Any, at: Any, out: Any) -> None:
    """out = table[at]; every position is valid."""
    xp.take(table, at, 0, out)


def add_rows(out: Any, at: Any, rows: Any) -> None:
    """out[k] = the sum of rows whose position is k."""
    out[...] = 0
    xp.add.at(out, at, rows)


def single_threaded() -> Any:
    """A GPU has no threads of ours to limit."""
    return contextlib.nullcontext()


def quiet() -> Any:
    """A GPU raises no floating-point warnings."""
    return contextlib.nullcontext()
