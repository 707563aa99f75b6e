"""The CuPy backend: the same array functions on a GPU."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy

from .. import jit
from ..cuda import scatter
from ..cuda.device import Device
from ..cuda.upload import Uploads
from ..errors import BadValue
from .flat import cut, flat
from .places import on_device

name = "cupy"
matrices = True  # cuBLAS takes matrices, so that plans lay operands out as such
collects = True  # a program and its graphs hold each other, and the device's memory
_broken: Exception | None = None
try:
    import cupy as xp
except Exception as _error:  # a broken installation may raise anything
    xp, _broken = None, _error

memory_errors: tuple[type[BaseException], ...] = (
    (MemoryError,) if xp is None else (MemoryError, xp.cuda.memory.OutOfMemoryError))

AMPERE = 80  # the first compute capability, 8.0, that multiplies rounded operands
NO_DEVICE, OLD_DRIVER = 100, 35  # CUDA's numbers of errors: cudaErrorNoDevice, cudaErrorInsufficientDriver


# -- is there all that it takes? -------------------------------------------------------------------


def check() -> None:
    """Raises with one line that says which of CuPy, driver and GPU is missing, and how to get it."""
    if _broken is not None:
        raise BadValue(_no_cupy(_broken))
    _usable()


@functools.cache  # of a success: what raises is tried again
def _usable() -> None:
    runtime = xp.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        raise BadValue(_no_device(getattr(error, "status", None), error)) from None
    if count < 1:
        raise BadValue(_no_device(NO_DEVICE, None))
    try:
        works = float((xp.zeros(1) + 1)[0]) == 1  # it takes memory, a kernel, and a compiler for it
    except memory_errors as error:
        raise BadValue(f"the cupy backend found a GPU, but not the least memory on it: {short(error)}; end what else "
                       "uses it") from None
    except Exception as error:
        raise BadValue(f"the cupy backend found a GPU that does not compute: {short(error)}; where a library of CUDA's "
                       f"is missing, {_install(_driver())} brings it") from error
    if not works:
        raise BadValue("the cupy backend found a GPU that computes 0 + 1 wrongly")


def check_rounding(precision: str) -> None:
    """Raises where the GPU has no products of rounded operands."""
    major_minor = str(xp.cuda.Device().compute_capability)
    if int(major_minor) < AMPERE:
        raise BadValue(f"the precision {precision!r} needs a GPU of compute capability 8.0 or later (Ampere, 2020); "
                       f'this one has {major_minor[:-1]}.{major_minor[-1]}; use precision="float32"')


def short(error: BaseException) -> str:
    """The reason in one line: of CuPy's long messages what stands under "Original error"."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" =")]
    if "Original error:" in lines[:-1]:
        return lines[lines.index("Original error:") + 1]
    return lines[0] if lines else type(error).__name__


def _no_cupy(error: Exception) -> str:
    driver = _driver()
    if isinstance(error, ModuleNotFoundError) and error.name == "cupy":
        either = "" if driver else "; for a driver of CUDA 13 (nvidia-smi says it) the extra is cuda13"
        return f"the cupy backend needs CuPy, which is not installed: {_install(driver)}{either}"
    return (f"the cupy backend needs CuPy, which is installed but cannot be imported: {short(error)}; "
            f"uninstall every cupy package, then {_install(driver)}")


def _no_device(status: int | None, error: Exception | None) -> str:
    """Why CUDA counts no GPU."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if status == NO_DEVICE:
        hidden = "" if visible is None else f"; CUDA_VISIBLE_DEVICES={visible!r} shows none: unset it, or set it to 0"
        return f"the cupy backend needs an NVIDIA GPU; the driver is there, but finds none{hidden}"
    driver, needed = int(xp.cuda.runtime.driverGetVersion()), int(xp.cuda.runtime.runtimeGetVersion())
    if not driver:
        return ("the cupy backend needs NVIDIA's driver, and this machine has none; install it from nvidia.com or by "
                "the system's packages, and see that nvidia-smi lists the GPU")
    if status == OLD_DRIVER:
        older = f", or {_install(driver)}" if driver >= 12000 and driver // 1000 != needed // 1000 else ""
        return (f"the cupy backend needs a newer driver: the one here is for CUDA {_dotted(driver)}, this CuPy for "
                f"CUDA {_dotted(needed)}; update the driver{older}")
    return f"the cupy backend needs an NVIDIA GPU and its driver, and the driver says: {short(error or Exception())}"


def _driver() -> int:
    """The CUDA version of the driver, as 12040 for 12.4; 0 where there is none."""
    version = ctypes.c_int(0)
    try:
        library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        library.cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return 0
    return version.value


def _install(driver: int) -> str:
    """The command that brings CuPy, with CUDA's libraries, for a driver of that CUDA version."""
    version = 13 if driver >= 13000 else 12
    return f"pip install 'cupy-cuda{version}x[ctk]' (the extra cuda{version})"


def _dotted(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


# -- memory ----------------------------------------------------------------------------------------


def free_memory() -> int | None:
    """How many bytes can still be had: what the device has left, and what CuPy's pool keeps for later."""
    left, pool = int(xp.cuda.runtime.memGetInfo()[0]), xp.get_default_memory_pool()
    kept = int(pool.free_bytes())
    limit = int(pool.get_limit())  # 0: none
    return left + kept if not limit else min(left + kept, limit - int(pool.used_bytes()))


def compiles() -> bool:
    """Are plans compiled?"""
    return jit.asked()


def device() -> Device:
    """The GPU in use as programs see it."""
    return _device(xp.cuda.Device().id)


@functools.cache
def _device(number: int) -> Device:
    return Device(xp)


def program(segments: Any, public: set[int]) -> Any:
    """Recorded calls as launches on the GPU. public: the owners of arrays that are read from outside."""
    from ..cuda.program import Program

    return Program(segments, public, device())


def choices() -> dict[str, bool]:
    """What was measured and enters the bits of results: the way in which loops run."""
    return device().choices


def updates(training: Any) -> Any:
    """What does the updates of a training: on the device, where it knows all that is to be done."""
    from ..training.on_gpu import OnDevice
    from ..training.updates import AtOnce

    return OnDevice(training, device()) if OnDevice.knows(training) else AtOnce(training)


@functools.cache
def _uploads(number: int) -> Uploads:
    return Uploads(xp)


def loader(target: Any) -> Callable[[Any], None]:
    """What copies arrays into target, with the batch, their first axis, as the last."""
    return functools.partial(_load, target)


def _load(target: Any, array: Any) -> None:
    """target = array; what comes from the host comes ahead of use."""
    device().stream()  # whose turn it is to write what a run on another may still be reading
    if isinstance(array, xp.ndarray):
        rearrange(target, xp.moveaxis(array, 0, -1))
        return
    array = numpy.asarray(array)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)  # the device knows no other order
    place = _uploads(xp.cuda.Device().id)(pointer(target), array)
    rearrange(target, xp.moveaxis(place.array, 0, -1))
    place.release()


def pointer(a: Any) -> int:
    """The address of the first element."""
    return int(a.data.ptr)


def owner(a: Any) -> Any:
    """What owns the memory of a."""
    return a.data.mem


def owned(a: Any) -> int:
    """How many bytes the array has that owns a's memory; those of the memory itself are rounded up, to 512 at least."""
    return int((a if a.base is None else a.base).nbytes)


def zeros(shape: tuple[int, ...], dtype: Any) -> Any:
    """Zeros; CuPy's memory begins where a line of the cache does."""
    return xp.zeros(shape, dtype)


def within(memory: Any, offset: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """An array over the bytes of another from an offset on, that counts as the owner of its own memory."""
    size = math.prod(shape) * numpy.dtype(dtype).itemsize
    part = xp.cuda.UnownedMemory(pointer(memory) + offset, size, memory, memory.device.id)
    return xp.ndarray(shape, dtype, xp.cuda.MemoryPointer(part, 0))


def strided(a: Any, count: int, step: int) -> Any:
    """`count` views like a, each `step` bytes further, as one array."""
    memory = xp.cuda.MemoryPointer(a.data.mem, a.data.ptr - a.data.mem.ptr)
    return xp.ndarray((count, *a.shape), a.dtype, memory, (step, *a.strides))


def asarray(a: Any, dtype: Any = None) -> Any:
    """a as an array of this backend, without a copy where it lies on the device in use and has that dtype."""
    if isinstance(a, xp.ndarray):
        a = a if a.device == xp.cuda.Device() else a.copy()  # a copy is made on the device in use
    elif not on_device(a):
        a = numpy.asarray(a)
    elif hasattr(type(a), "__dlpack__"):  # it waits for what another library has still to write
        a = xp.from_dlpack(a)
    return xp.asarray(a, dtype)


def to_host(a: Any) -> Any:
    """a as a NumPy array."""
    return xp.asnumpy(a) if xp is not None and isinstance(a, xp.ndarray) else numpy.asarray(a)


def copies(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of each: of all at once where they lie behind each other, since each copy is a launch."""
    in_order = dict(sorted(arrays.items(), key=lambda item: pointer(item[1])))
    whole = flat(in_order)
    if whole is None:
        return {name: a.copy() for name, a in arrays.items()}
    made = cut(whole.copy(), in_order)
    return {name: made[name] for name in arrays}


# -- what array modules do differently -------------------------------------------------------------


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
    scatter.add_rows(device(), out, at, rows)


def single_threaded() -> AbstractContextManager[object]:
    """A GPU has no threads of ours to limit."""
    return contextlib.nullcontext()


def quiet() -> AbstractContextManager[object]:
    """A GPU raises no floating-point warnings."""
    return contextlib.nullcontext()
