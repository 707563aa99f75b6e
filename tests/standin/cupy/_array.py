"""cupy.ndarray: an array of the device, over memory of the host that nothing reaches but by the ways CuPy has."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy

import cupy

from . import _capture, _delegate, _indexing, _memory
from ._flags import Flags
from .cuda import Device


class ndarray:
    """An array of the device. It wraps a NumPy array and is none: what CuPy refuses is refused."""

    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]
    __slots__ = ("__weakref__", "_a", "_mem", "base")

    def __init__(self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C"):
        shape = tuple(shape) if hasattr(shape, "__iter__") else (int(shape),)
        if memptr is None:
            _capture.refuse_allocation()
            a = numpy.empty(shape, dtype, order or "C")
            _memory.pool().check(a.nbytes)
            _delegate.garbage(a)
        else:
            a = numpy.ndarray(shape, dtype, memptr.mem.bytes, memptr.ptr - memptr.mem.ptr, strides, order)
        self._set(a, None)

    def _set(self, a: numpy.ndarray, base: Any) -> None:
        self._a, self._mem, self.base = a, _memory.memory_of(a), base

    @classmethod
    def _of(cls, a: numpy.ndarray, base: Any = None) -> ndarray:
        if a.dtype.kind not in "biufc":
            raise ValueError(f"Unsupported dtype {a.dtype}")
        made = object.__new__(cls)
        made._set(a, base)
        return made

    def _view(self, a: numpy.ndarray) -> ndarray:
        return ndarray._of(a, self if self.base is None else self.base)

    # -- what it is ----------------------------------------------------------------------------------

    shape = property(lambda self: self._a.shape)
    strides = property(lambda self: self._a.strides)
    dtype = property(lambda self: self._a.dtype)
    ndim = property(lambda self: self._a.ndim)
    size = property(lambda self: self._a.size)
    nbytes = property(lambda self: self._a.nbytes)
    itemsize = property(lambda self: self._a.itemsize)
    T = property(lambda self: self if self.ndim < 2 else self._view(self._a.T))
    mT = property(lambda self: self._view(self._a.mT))
    real = property(lambda self: self._view(self._a.real))
    imag = property(lambda self: self._view(self._a.imag))
    flags = property(lambda self: Flags(self._a, self.base is None))
    device = property(lambda self: Device(0))

    @property
    def _pointer(self) -> int:
        return 0 if not self._mem.ptr else int(self._a.__array_interface__["data"][0])

    @property
    def data(self) -> _memory.MemoryPointer:
        return _memory.MemoryPointer(self._mem, self._pointer - self._mem.ptr)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        stream = _capture.current().ptr
        return {"shape": self.shape, "typestr": self.dtype.str, "descr": self.dtype.descr, "version": 3,
                "strides": None if self._a.flags.c_contiguous else self.strides, "data": (self._pointer, False),
                "stream": stream if stream > 1 else 1}

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    def __dlpack__(self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None,
                   copy: bool | None = None) -> Any:
        if dl_device is not None and tuple(dl_device) == (1, 0):
            return self.get().__dlpack__()
        return retargeted(self._a.__dlpack__(), 2)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[ndarray]:
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        return (self[k] for k in range(self.shape[0]))

    # -- from and to the host ------------------------------------------------------------------------

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> numpy.ndarray:
        with _capture.using(_capture.current() if stream is None else stream):
            _capture.refuse_copy("D2H")
        if out is None:
            return numpy.array(self._a, order=order)
        if not isinstance(out, numpy.ndarray):
            raise TypeError("Only numpy.ndarray can be obtained from cupy.ndarray")
        if self.dtype != out.dtype:
            raise TypeError(f"{out.dtype} array cannot be obtained from {self.dtype} array")
        if self.shape != out.shape:
            raise ValueError(f"Shape mismatch. Expected shape: {self.shape}, actual shape: {out.shape}")
        out[...] = self._a
        return out

    def set(self, arr: Any, stream: Any = None) -> None:
        if not isinstance(arr, numpy.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if self.dtype != arr.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if self.shape != arr.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not (self._a.flags.c_contiguous or self._a.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        with _capture.using(_capture.current() if stream is None else stream):
            _capture.refuse_copy("H2D")
        self._a[...] = arr

    def item(self, *args: Any) -> Any:
        return self.get().item(*args)

    def tolist(self) -> Any:
        return self.get().tolist()

    def tobytes(self, order: str = "C") -> bytes:
        return self.get().tobytes(order)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        refused()

    def __int__(self) -> int: return int(self.get())
    def __float__(self) -> float: return float(self.get())
    def __complex__(self) -> complex: return complex(self.get())
    def __bool__(self) -> bool: return bool(self.get())
    def __bytes__(self) -> bytes: return bytes(self.get())
    def __repr__(self) -> str: return repr(self.get())
    def __str__(self) -> str: return str(self.get())
    def __format__(self, spec: str) -> str: return format(self.get(), spec)
    def __copy__(self) -> ndarray: return self.copy()
    def __deepcopy__(self, memo: Any) -> ndarray: return self.copy()
    def __reduce__(self) -> Any: return cupy.array, (self.get(),)

    # -- elements ------------------------------------------------------------------------------------

    def __getitem__(self, at: Any) -> ndarray:
        index, kind = _indexing.prepared(self._a, at)
        if kind is None:
            return self._view(self._a[index()])
        return _delegate.call(lambda a: numpy.array(a[index()]), (self._a,), {}, sized=kind != "mask")

    def __setitem__(self, at: Any, value: Any) -> None:
        index, kind = _indexing.prepared(self._a, at)
        if kind is not None:
            goal, values = self._a, host(cupy.asarray(value))
            _delegate.record(lambda: goal.__setitem__(index(), values), goal, values)
        elif isinstance(value, ndarray) or hasattr(value, "__cuda_array_interface__"):
            copy_into(self._a[index()], host(value))
        else:
            fill(self._a[index()], value)

    def fill(self, value: Any) -> None:
        fill(self._a, value)

    def take(self, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
        return cupy.take(self, indices, axis, out)

    def nonzero(self) -> tuple[ndarray, ...]:
        return cupy.nonzero(self)

    # -- other shapes, copies, types -----------------------------------------------------------------

    def view(self, dtype: Any = None) -> ndarray:
        return self._view(self._a.view() if dtype is None else self._a.view(dtype))

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> ndarray:
        shape = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        return self._reshaped(lambda a: a.reshape(shape, order=order))

    def ravel(self, order: str = "C") -> ndarray:
        return self._reshaped(lambda a: a.ravel(order))

    def flatten(self, order: str = "C") -> ndarray:
        return _delegate.call(lambda a: a.flatten(order), (self._a,), {})

    def _reshaped(self, fn: Any) -> ndarray:
        made = _delegate.call(fn, (self._a,), {})
        if made._mem is self._mem:
            made.base = self if self.base is None else self.base
        return made

    def transpose(self, *axes: Any) -> ndarray:
        return self._view(self._a.transpose(*axes))

    def swapaxes(self, axis1: int, axis2: int) -> ndarray:
        return self._view(self._a.swapaxes(axis1, axis2))

    def squeeze(self, axis: Any = None) -> ndarray:
        return self._view(self._a.squeeze(axis))

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> ndarray:
        return self._view(self._a.diagonal(offset, axis1, axis2))

    def copy(self, order: str = "C") -> ndarray:
        return _delegate.call(lambda a: a.copy(order), (self._a,), {})

    def astype(self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None,
               copy: bool = True) -> ndarray:
        if casting is not None or subok is not None:
            raise TypeError("casting and subok are not supported yet")
        if not copy and self.dtype == numpy.dtype(dtype):
            return self
        return _delegate.call(lambda a: a.astype(dtype, order), (self._a,), {})

    def sort(self, axis: int = -1, kind: Any = None) -> None:
        goal = self._a
        _delegate.record(lambda: goal.sort(axis, "stable"), goal)

    # -- as NumPy's functions dispatch ---------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        inout = inputs
        if "out" in kwargs:
            out = kwargs["out"]
            if len(out) != 1:
                raise ValueError("The 'out' parameter must have exactly one array value")
            inout += out
            kwargs["out"] = out[0]
        try:
            fn = getattr(cupy, ufunc.__name__)
            fn = fn if method == "__call__" else getattr(fn, method)
        except AttributeError:
            return NotImplemented
        for x in inout:
            if not (hasattr(x, "__cuda_array_interface__") or numpy.isscalar(x) or isinstance(x, numpy.ndarray)):
                return NotImplemented
        if ufunc.__name__ in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"):
            inputs = tuple(x.item() if isinstance(x, numpy.ndarray) and x.ndim == 0 else x for x in inputs)
        return fn(*inputs, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        try:
            module = functools.reduce(getattr, func.__module__.split(".")[1:], cupy)
            fn = getattr(module, func.__name__)
        except AttributeError:
            return NotImplemented
        if fn is func or not all(issubclass(t, (ndarray, numpy.ndarray)) for t in types):
            return NotImplemented
        return fn(*args, **kwargs)


host = _delegate.host


def refused() -> NoReturn:
    """What CuPy says where an array would have to go to the host unasked."""
    raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a "
                    "NumPy array explicitly.")


def fill(goal: numpy.ndarray, value: Any) -> None:
    """goal[...] = value, a number."""
    if isinstance(value, numpy.ndarray):
        if value.shape != ():
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        value = value.item()
    if not numpy.isscalar(value):
        raise _delegate.unsupported(value)
    _delegate.record(lambda: goal.fill(value), goal)


def copy_into(goal: numpy.ndarray, source: numpy.ndarray) -> None:
    """goal[...] = source, unsafely cast and broadcast; leading axes of length 1 go.

    Raises where both lie in one piece and overlap, since the device copies them as bytes, in any order.
    """
    while source.ndim and source.shape[0] == 1:
        source = source[0]
    if numpy.broadcast_shapes(goal.shape, source.shape) != goal.shape:
        raise ValueError(f"could not broadcast input array from shape {source.shape} into shape {goal.shape}")
    same = goal.shape == source.shape and goal.strides == source.strides
    if same and goal.__array_interface__["data"][0] == source.__array_interface__["data"][0]:
        return
    if same and goal.flags.c_contiguous and goal.dtype == source.dtype and numpy.may_share_memory(goal, source):
        raise RuntimeError("the stand-in met a copy between overlapping pieces of memory, which is undefined on a GPU")
    _delegate.record(lambda: numpy.copyto(goal, source, "unsafe"), goal, source)


class _Foreign:
    """What an object that is not ours says of its memory."""

    def __init__(self, interface: dict[str, Any]):
        self.__array_interface__ = interface


def from_interface(value: Any) -> ndarray:
    """A view of the memory of an object with __cuda_array_interface__."""
    said = dict(value.__cuda_array_interface__)
    pointer, dtype, shape = said["data"][0], numpy.dtype(said["typestr"]), tuple(said["shape"])
    strides = said.get("strides")
    if 0 in shape:
        return ndarray(shape, dtype)
    block = _memory.block_at(pointer)
    if block is None:
        steps = strides or numpy.empty(shape, dtype).strides
        span = sum((n - 1) * s for n, s in zip(shape, steps, strict=True)) + dtype.itemsize
        block = _memory.UnownedMemory(pointer, span, value)
    return ndarray(shape, dtype, _memory.MemoryPointer(block, pointer - block.ptr), strides)


def retargeted(capsule: Any, kind: int) -> Any:
    """A DLPack capsule that says that its memory is on a device of that kind: 1 a host, 2 CUDA."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    ctypes.c_int32.from_address(get(capsule, b"dltensor") + ctypes.sizeof(ctypes.c_void_p)).value = kind
    return capsule


def _operation(fn: str, a: ndarray, b: Any) -> Any:
    """a op b: by CuPy's function, left to the other, or by NumPy's function, which asks both, as CuPy's rules are."""
    if isinstance(b, ndarray):
        return getattr(cupy, fn)(a, b)
    missing = object()
    theirs = getattr(b, "__array_ufunc__", missing)
    if theirs is None or (theirs is missing and getattr(b, "__array_priority__", 0) > a.__array_priority__):
        return NotImplemented
    return getattr(numpy, fn)(a, b)


def _operators() -> None:
    """The operators, as the elementwise functions that they stand for."""
    binary = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide",
              "floordiv": "floor_divide", "mod": "remainder", "pow": "power", "and": "bitwise_and",
              "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "left_shift", "rshift": "right_shift",
              "divmod": "divmod", "matmul": "matmul"}
    for name, fn in binary.items():
        setattr(ndarray, f"__{name}__", lambda a, b, fn=fn: _operation(fn, a, b))
        setattr(ndarray, f"__r{name}__", lambda a, b, fn=fn: getattr(cupy, fn)(b, a))
        if name not in ("divmod", "matmul"):
            setattr(ndarray, f"__i{name}__", lambda a, b, fn=fn: getattr(cupy, fn)(a, b, a))
    compared = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
                "ge": "greater_equal"}
    for name, fn in compared.items():
        setattr(ndarray, f"__{name}__", lambda a, b, fn=fn: _operation(fn, a, b))
    unary = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}
    for name, fn in unary.items():
        setattr(ndarray, f"__{name}__", lambda a, fn=fn: getattr(cupy, fn)(a))


def _methods() -> None:
    """The methods that are functions of the module with the array as the first argument."""
    for name in ("all", "any", "argmax", "argmin", "max", "min", "mean", "prod", "ptp", "std", "var", "sum", "cumsum",
                 "cumprod", "clip", "dot", "repeat", "round", "trace", "argsort", "searchsorted", "choose",
                 "compress", "put"):
        setattr(ndarray, name, lambda a, *args, name=name, **kwargs: getattr(cupy, name)(a, *args, **kwargs))
    ndarray.conj = ndarray.conjugate = lambda a: cupy.conjugate(a)  # type: ignore[attr-defined]


_operators()
_methods()
__all__ = ["copy_into", "fill", "from_interface", "ndarray", "retargeted"]
