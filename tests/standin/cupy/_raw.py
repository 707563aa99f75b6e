"""RawModule and RawKernel: CUDA C++ run on the processor, within the limits of a GPU."""

from __future__ import annotations

import ctypes
import functools
import os
import threading
import warnings
from typing import Any

import numpy

from . import _compile, _delegate, _memory
from ._array import ndarray
from ._capture import CUDARuntimeError, enqueue, refuse
from .cuda import runtime

Sizes = tuple[int, int, int]

_one_at_a_time = threading.Lock()
INTEGER, FLOATING, POINTER = range(3)
# Of the next launch, where its caller knows better than by blocks: the argument's address, where what it may touch
# begins, and where it ends.
reach: list[tuple[int, int, int]] | None = None


class CUDADriverError(RuntimeError):
    """What a call of the CUDA driver answers where it fails."""


class _Dim(ctypes.Structure):
    _fields_ = (("x", ctypes.c_uint), ("y", ctypes.c_uint), ("z", ctypes.c_uint))


class _Launch(ctypes.Structure):
    _fields_ = (("state", ctypes.c_void_p), ("body", ctypes.c_void_p), ("arguments", ctypes.c_void_p),
                ("blocks", _Dim), ("threads", _Dim), ("shared", ctypes.c_ulonglong), ("seed", ctypes.c_ulonglong),
                ("cooperative", ctypes.c_int), ("watched", ctypes.c_int), ("memory", ctypes.c_void_p),
                ("ranges", ctypes.c_int), ("message", ctypes.c_char * 256))


class _Range(ctypes.Structure):
    _fields_ = (("begin", ctypes.c_void_p), ("size", ctypes.c_ulonglong), ("argument", ctypes.c_int))


class RawModule:
    """The kernels of one source."""

    def __init__(self, *, code: str | None = None, path: str | None = None, options: tuple[str, ...] = (),
                 backend: str = "nvrtc", translate_cucomplex: bool = False,
                 enable_cooperative_groups: bool = False, name_expressions: Any = None, jitify: bool = False):
        if code is None or path is not None or name_expressions is not None:
            raise NotImplementedError("the stand-in compiles modules from code= without name expressions")
        if not isinstance(options, tuple):
            raise TypeError("options must be a tuple")
        self.code, self.options, self.backend = code, options, backend
        self.enable_cooperative_groups = enable_cooperative_groups
        self._modules: dict[bool, ctypes.CDLL] = {}

    @property
    def module(self) -> ctypes.CDLL:
        watched = _compile.watched()
        if watched not in self._modules:
            refuse("a module is loaded")
            self._modules[watched] = _compile.library(self.code, watched)
        return self._modules[watched]

    def compile(self, log_stream: Any = None) -> None:
        """Compile now, and not at the first use."""
        assert self.module

    def get_function(self, name: str) -> RawKernel:
        """The kernel of that name; the module is compiled and loaded now."""
        assert self.module
        if name not in _compile.kernels(self.code):
            raise CUDADriverError(f"CUDA_ERROR_NOT_FOUND: named symbol not found: {name}")
        return RawKernel(self.code, name, self.options, self.backend,
                         enable_cooperative_groups=self.enable_cooperative_groups)._of(self)


class RawKernel:
    """`kernel(grid, block, args, shared_mem=bytes)` runs it on the current stream."""

    def __init__(self, code: str, name: str, options: tuple[str, ...] = (), backend: str = "nvrtc", *,
                 translate_cucomplex: bool = False, enable_cooperative_groups: bool = False, jitify: bool = False):
        self.code, self.name, self.options, self.backend = code, name, options, backend
        self.enable_cooperative_groups = enable_cooperative_groups
        self._module = RawModule(code=code, options=options, enable_cooperative_groups=enable_cooperative_groups)
        self._dynamic = runtime.SHARED
        self.preferred_shared_memory_carveout = -1

    def _of(self, module: RawModule) -> RawKernel:
        self._module = module
        return self

    def compile(self, log_stream: Any = None) -> None:
        self._module.compile()

    # -- what it is ----------------------------------------------------------------------------------

    @functools.cached_property
    def _parameters(self) -> list[tuple[int, int]]:
        """Bytes and kind of each parameter."""
        codes = (ctypes.c_int * 4096)()
        count = self._module.module[f"standin_parameters_{self.name}"](codes)
        return [(code & 255, code >> 8) for code in codes[:count]]

    @functools.cached_property
    def max_threads_per_block(self) -> int:
        bounds = _compile.kernels(self.code)[self.name].split(",")[0].strip()
        return int(bounds) if bounds.isdigit() else runtime.THREADS

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        return self._dynamic

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, size: int) -> None:
        if not 0 <= size <= runtime.SHARED_OPTIN:
            raise CUDADriverError("CUDA_ERROR_INVALID_VALUE: invalid argument")
        self._dynamic = size

    @property
    def attributes(self) -> dict[str, int]:
        return {"binary_version": 90, "cache_mode_ca": 0, "const_size_bytes": 0, "local_size_bytes": 0,
                "max_dynamic_shared_size_bytes": self._dynamic, "max_threads_per_block": self.max_threads_per_block,
                "num_regs": 32, "preferred_shared_memory_carveout": self.preferred_shared_memory_carveout,
                "ptx_version": 90, "shared_size_bytes": 0}

    num_regs = property(lambda self: 32)
    shared_size_bytes = local_size_bytes = const_size_bytes = property(lambda self: 0)

    # -- running it ----------------------------------------------------------------------------------

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], *,
                 shared_mem: int = 0) -> None:
        values, memory = self._arguments(args)
        blocks, threads = _three("grid", grid), _three("block", block)
        blocks = self._there(blocks, threads, shared_mem)
        run, cooperative, watched = self._run(), self.enable_cooperative_groups, _compile.watched()
        ranges = _ranges(values) if watched else (_Range * 0)()

        def task() -> None:
            places = (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values))
            launch = _Launch(arguments=ctypes.addressof(places), blocks=_Dim(*blocks), threads=_Dim(*threads),
                             shared=shared_mem, seed=int(os.environ.get("TINYGRAD_RNN_STANDIN_SEED", "0")),
                             cooperative=cooperative, watched=watched, memory=ctypes.addressof(ranges),
                             ranges=len(ranges))
            with _one_at_a_time:
                failed = run(ctypes.byref(launch))
            if failed:
                raise CUDARuntimeError(719, f"{self.name}: {launch.message.decode()}")

        enqueue(task, memory)

    def _run(self) -> Any:
        fibers = _compile.watched() or self.name in _compile.waiting(self.code)
        return getattr(self._module.module, f"standin_{'fibers' if fibers else 'plain'}_{self.name}")

    def _there(self, blocks: Sizes, threads: Sizes, shared: int) -> Sizes:
        """The blocks that are launched: of a cooperative kernel no more than can be there at once, with a warning."""
        count = threads[0] * threads[1] * threads[2]
        if min(*blocks, *threads) < 1 or blocks[0] >= 2**31 or max(blocks[1:]) > 65535 or threads[2] > 64 or shared < 0:
            raise CUDADriverError(f"CUDA_ERROR_INVALID_VALUE: {self.name} in blocks {blocks} of {threads} threads")
        if count > min(runtime.THREADS, self.max_threads_per_block):
            raise CUDADriverError(f"CUDA_ERROR_INVALID_VALUE: {self.name} with {count} threads in a block, at most "
                                  f"{self.max_threads_per_block}")
        if shared > self._dynamic:
            raise CUDADriverError(f"CUDA_ERROR_INVALID_VALUE: {self.name} with {shared} bytes of shared memory, at "
                                  f"most {self._dynamic} (max_dynamic_shared_size_bytes)")
        together = runtime.PROCESSORS * min(runtime.BLOCKS_PROCESSOR, runtime.THREADS_PROCESSOR // count,
                                            runtime.SHARED_PROCESSOR // (shared + 1024))
        if not self.enable_cooperative_groups or blocks[0] * blocks[1] * blocks[2] <= together:
            return blocks
        if blocks[1:] != (1, 1):
            size = " * ".join(map(str, blocks))
            raise ValueError(f"The specified grid size ({size}) exceeds the limit ({together}).")
        warnings.warn(f"The grid size will be reduced from {blocks[0]} to {together}, as the specified grid size "
                      "exceeds the limit.", stacklevel=3)
        return together, 1, 1

    def _arguments(self, args: tuple[Any, ...]) -> tuple[list[Any], list[_memory.BaseMemory]]:
        """The values to be passed, and the blocks of memory that they point to."""
        if len(args) != len(self._parameters):
            raise TypeError(f"{self.name} takes {len(self._parameters)} arguments, not {len(args)}")
        values, memory = [], []
        for k, (value, parameter) in enumerate(zip(args, self._parameters, strict=True)):
            held, given = _scalar(value)
            size, kind = parameter
            if ctypes.sizeof(held) != size or (kind == FLOATING) != (given == FLOATING):
                raise TypeError(f"argument {k} of {self.name} is {type(value).__name__}; the parameter is "
                                f"{('an integer', 'a float', 'a pointer')[kind]} of {size} bytes")
            if kind == POINTER and held.value:
                memory.append(self._block(k, held.value & (2**64 - 1)))
            values.append(held)
        return values, memory

    def _block(self, k: int, address: int) -> _memory.BaseMemory:
        found = _memory.block_at(address)
        if found is None:
            raise CUDARuntimeError(700, f"cudaErrorIllegalAddress: argument {k} of {self.name} points to no memory of "
                                        "the device")
        return found


def _ranges(values: list[Any]) -> Any:
    """All memory that a watched kernel may touch: what `reach` says, or the blocks that its arguments point into."""
    numbers = {v.value: k for k, v in reversed([*enumerate(values)]) if isinstance(v.value, int) and v.value > 0}
    if reach is None:
        blocks = [(_memory.block_at(value), k) for value, k in numbers.items()]
        ranges = [_Range(block.ptr, block.size, k) for block, k in blocks if block is not None]
    else:
        ranges = [_Range(begin, end - begin, numbers[address]) for address, begin, end in reach if address in numbers]
    return (_Range * len(ranges))(*ranges)


def _three(what: str, sizes: Any) -> tuple[int, int, int]:
    if not isinstance(sizes, tuple) or not 1 <= len(sizes) <= 3:
        raise TypeError(f"{what} is a tuple of one to three numbers, not {sizes!r}")
    x, y, z = (*map(int, sizes), 1, 1)[:3]
    return x, y, z


_C_TYPES = {"float32": ctypes.c_float, "float64": ctypes.c_double, "bool": ctypes.c_bool, "int8": ctypes.c_int8,
            "uint8": ctypes.c_uint8, "int16": ctypes.c_int16, "uint16": ctypes.c_uint16, "int32": ctypes.c_int32,
            "uint32": ctypes.c_uint32, "int64": ctypes.c_int64, "uint64": ctypes.c_uint64}
_BY_TYPE: dict[type, Any] = {numpy.dtype(name).type: held for name, held in _C_TYPES.items()} | {
    bool: ctypes.c_int64, int: ctypes.c_int64, float: ctypes.c_double}


def _scalar(value: Any) -> tuple[Any, int]:
    """An argument as CuPy passes it: a pointer, a number of NumPy as it is, Python's by their widest type."""
    if isinstance(value, (ndarray, _memory.MemoryPointer)):
        return ctypes.c_uint64(value._pointer if isinstance(value, ndarray) else value.ptr), POINTER
    held = _BY_TYPE.get(type(value))
    if held is None:
        raise _delegate.unsupported(value)
    return held(value if isinstance(value, float) else value.item() if hasattr(value, "item") else value), (
        FLOATING if held in (ctypes.c_float, ctypes.c_double) else INTEGER)
