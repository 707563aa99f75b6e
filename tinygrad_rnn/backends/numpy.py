"""The NumPy backend: the array module, and the few things array modules do differently."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as xp
from numpy.lib.stride_tricks import as_strided
from threadpoolctl import ThreadpoolController

from .. import jit
from ..errors import BadValue
from .places import on_device

name = "numpy"
matrices = False  # compiled products take operands with any strides
collects = False  # a plan that nobody uses is gone at once
memory_errors: tuple[type[BaseException], ...] = (MemoryError,)
TO_HOST = ("get", "cpu", "copy_to_host")  # how CuPy, PyTorch and Numba call it


def check() -> None:
    """NumPy can always be used."""


def check_rounding(precision: str) -> None:
    """Raises: NumPy has no products of rounded operands."""
    raise BadValue(f"the precision {precision!r} is of products on a GPU; NumPy multiplies float32 as it is, so "
                   'precision="float32" is all there is here')


def free_memory() -> int | None:
    """How many bytes the system can still give; None where it does not say."""
    try:
        with open("/proc/meminfo") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None


def compiles() -> bool:
    """Are plans compiled?"""
    return jit.enabled()


def program(segments: Any, public: set[int]) -> Any:
    """Recorded calls as one program of machine code. public: the owners of arrays that are read from outside."""
    from ..jit.compiled import Program

    return Program(segments, public, owner)


def pointer(a: Any) -> int:
    """The address of the first element."""
    return int(a.__array_interface__["data"][0])


def owner(a: Any) -> Any:
    """What owns the memory of a."""
    while getattr(a, "base", None) is not None:
        a = a.base
    return a


def owned(a: Any) -> int:
    """How many bytes the owner of a's memory has."""
    return int(owner(a).nbytes)


def zeros(shape: tuple[int, ...], dtype: Any) -> Any:
    """Zeros that begin where a line of the cache does: each vector that crosses lines is fetched twice."""
    size = math.prod(shape) * xp.dtype(dtype).itemsize
    line = xp.zeros(size + LINE_BYTES, "uint8")
    begin = -pointer(line) % LINE_BYTES
    return line[begin : begin + size].view(dtype).reshape(shape)


def within(memory: Any, offset: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """An array over the bytes of another from an offset on, that counts as the owner of its own memory."""
    size = math.prod(shape) * xp.dtype(dtype).itemsize
    part = memoryview(memory.reshape(-1).view("uint8"))[offset : offset + size]
    return xp.frombuffer(part, dtype).reshape(shape)


def strided(a: Any, count: int, step: int) -> Any:
    """`count` views like a, each `step` bytes further, as one array."""
    return as_strided(a, (count, *a.shape), (step, *a.strides))


def asarray(a: Any, dtype: Any = None) -> Any:
    """a as an array of this backend, without a copy where it lies in the host's memory and has that dtype."""
    if on_device(a):
        a = next((getattr(a, way)() for way in TO_HOST if hasattr(a, way)), a)
    return xp.asarray(a, dtype)


def to_host(a: Any) -> Any:
    """a as a NumPy array."""
    return xp.asarray(a)


def threads() -> int:
    """How many threads may work: as many as there are cores for this process, or fewer if the user said so to BLAS."""
    allowed = [library.num_threads for library in _controller().lib_controllers if library.user_api == "blas"]
    return min([len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, *allowed])


def loader(target: Any) -> Callable[[Any], None]:
    """What copies arrays into target, with the batch, their first axis, as the last."""
    out = xp.moveaxis(target, -1, 0)
    if out.size < SOME or not jit.enabled():
        return partial(rearrange, out)
    from ..jit.rearrange import Rearranged

    return Rearranged(out)


def choices() -> dict[str, bool]:
    """What was measured and enters the bits of results: nothing here that a checkpoint does not keep otherwise."""
    return {}


def updates(training: Any) -> Any:
    """What does the updates of a training."""
    from ..training.updates import AtOnce

    return AtOnce(training)


def copies(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of each."""
    return {name: a.copy() for name, a in arrays.items()}


LARGE = 2**15  # numbers, from which on a copy by tiles pays
SOME = 2**12  # the same, where it has been made ready
LINE_BYTES = 64
LINE = LINE_BYTES // 4  # float32 numbers in a line of the cache


def rearrange(out: Any, a: Any) -> None:
    """out = a, whose axes lie in another order in memory."""
    if out.size <= LARGE:
        out[...] = a
    elif jit.enabled():
        from ..jit.rearrange import rearrange as compiled

        compiled(out, a)
    else:  # by lines of the cache, so that what is written is not fetched anew for each number
        near = min((k for k, n in enumerate(out.shape) if n > 1), key=lambda k: abs(out.strides[k]))
        for k in range(0, out.shape[near], LINE):
            line = (*[slice(None)] * near, slice(k, k + LINE))
            out[line] = a[line]


def take_rows(table: Any, at: Any, out: Any) -> None:
    """out = table[at]; every position is valid."""
    xp.take(table, at, 0, out, "clip")


def add_rows(out: Any, at: Any, rows: Any) -> None:
    """out[k] = the sum of rows whose position is k: sorted first, then summed in runs, which beats add.at."""
    order = xp.argsort(at, kind="stable")
    where = at[order]
    starts = xp.flatnonzero(xp.concatenate([[True], where[1:] != where[:-1]]))
    out[...] = 0
    out[where[starts]] = xp.add.reduceat(rows[order], starts, axis=0)


def quiet() -> AbstractContextManager[object]:
    """Within it, arithmetic on padding raises no warnings."""
    return xp.errstate(all="ignore")


def single_threaded() -> AbstractContextManager[object]:
    """Within it, products run on one thread; the setting from before comes back after it.

    A loop of small products gains little from a second thread, and loses tenfold where that has to wait for a core.
    """
    return _controller().limit(limits=1, user_api="blas")


@functools.lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # looks through all loaded libraries, so once
