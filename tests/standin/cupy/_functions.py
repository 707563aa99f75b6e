"""The functions of the module: NumPy's of the same name, called by the signature of CuPy's."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy

from . import _capture, _delegate, _memory
from ._array import from_interface, ndarray, refused, retargeted
from ._ufuncs import copyto, ufunc

NAMES = Path(__file__).parent / "names.txt"  # what the real module has: kind, name and, of functions, parameters
SEQUENCES = {"concatenate", "concat", "stack", "hstack", "vstack", "dstack", "column_stack", "row_stack"}
DATA_DEPENDENT = {"nonzero", "flatnonzero", "argwhere", "unique", "compress", "extract", "delete", "trim_zeros"}
AS_ARRAYS = {"allclose", "array_equal", "array_equiv", "count_nonzero"}  # numbers in NumPy, arrays in CuPy
ARRAYS = {"a", "x", "arr", "m", "array", "condition", "ar", "v"}  # parameters that take no list
ALIASES = {"abs": "absolute", "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh",
           "atan": "arctan", "atan2": "arctan2", "atanh": "arctanh", "bitwise_invert": "invert",
           "bitwise_left_shift": "left_shift", "bitwise_not": "invert", "bitwise_right_shift": "right_shift",
           "conj": "conjugate", "degrees": "rad2deg", "divide": "true_divide", "mod": "remainder", "pow": "power",
           "radians": "deg2rad", "concat": "concatenate", "max": "amax", "min": "amin", "permute_dims": "transpose"}


@functools.cache
def listed() -> dict[str, tuple[str, str]]:
    """What the real module has: kind and the rest of the line, by name."""
    found = {}
    for line in NAMES.read_text().splitlines():
        kind, rest = line.split(" ", 1)
        name = rest.split("(")[0].split(" ")[0]
        found[name] = (kind, rest[len(name):].strip())
    return found


def made(name: str) -> Any:
    """The member of the module of that name. Raises AttributeError where the real one has none."""
    if name in ALIASES:
        import cupy

        return getattr(cupy, ALIASES[name])
    kind, rest = listed().get(name, ("", ""))
    if not kind or not (kind == "other" or hasattr(numpy, name)):
        raise AttributeError(f"module 'cupy' has no attribute {name!r}" if not kind else
                             f"the stand-in for CuPy has no {name!r}")
    if kind == "ufunc":
        return ufunc(name, rest)
    if kind == "function":
        return _function(name, rest)
    return getattr(numpy, name)


def _function(name: str, parameters: str) -> Callable[..., Any]:
    scope: dict[str, Any] = {}
    exec(f"def {name}{parameters}: pass", scope)  # from our own list of names
    signature = inspect.signature(scope[name])
    fn = getattr(numpy, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        positional, named = _arguments(name, bound)
        result = _delegate.call(fn, positional, named, sized=name not in DATA_DEPENDENT)
        bare = name in AS_ARRAYS and not isinstance(result, ndarray)
        return ndarray._of(numpy.asarray(result)) if bare else result

    wrapped.__name__ = wrapped.__qualname__ = name
    wrapped.__signature__ = signature  # type: ignore[attr-defined]
    return wrapped


def _arguments(name: str, bound: inspect.BoundArguments) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What was given, for NumPy: what must be given by place, the rest by name."""
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for p in bound.signature.parameters.values():
        if p.name not in bound.arguments:
            continue
        value = bound.arguments[p.name]
        if p.kind is p.VAR_POSITIONAL:
            positional += [_delegate.host(v) for v in value]
        elif p.kind is p.VAR_KEYWORD:
            named |= {k: _delegate.host(v) for k, v in value.items()}
        elif p.default is p.empty:
            if isinstance(value, list) and p.name in ARRAYS and name not in SEQUENCES:
                raise _delegate.unsupported(value)
            positional.append(_delegate.host(value))
        elif p.name == "kind":
            if value not in (None, "stable"):
                raise ValueError(f"kind can only be None or 'stable', not {value!r}")
            named["kind"] = "stable"
        else:
            if p.name == "out" and value is None:
                continue
            if p.name == "out" and not isinstance(value, ndarray):
                raise _delegate.unsupported(value)
            named[p.name] = _delegate.host(value)
    return tuple(positional), named


def array(obj: Any, dtype: Any = None, copy: bool | None = True, order: str | None = "K", subok: bool = False,
          ndmin: int = 0, *, blocking: bool = False) -> ndarray:
    """A new array of the device, from anything."""
    if hasattr(obj, "__cuda_array_interface__") and not isinstance(obj, ndarray):
        obj = from_interface(obj)
    if isinstance(obj, ndarray):
        same = dtype is None or obj.dtype == numpy.dtype(dtype)
        if not copy and same and obj.ndim >= ndmin and _lies(obj._a, order):
            return obj
        return _delegate.call(lambda a: numpy.array(a, dtype=dtype, order=order or "K", ndmin=ndmin), (obj._a,), {})
    if isinstance(obj, (list, tuple)) and _any_device(obj):
        return _delegate.call(lambda *a: numpy.array(_nested(obj), dtype=dtype, ndmin=ndmin), (), {})
    found = numpy.array(obj, dtype=dtype, order=order or "K", ndmin=ndmin)
    found = found.astype(found.dtype.newbyteorder("="), copy=False)  # the device knows no other order of bytes
    if found.ndim:
        _capture.refuse_copy("H2D")
    _memory.pool().check(found.nbytes)
    return ndarray._of(found)


def _lies(a: numpy.ndarray, order: str | None) -> bool:
    return order in (None, "K", "A") or (a.flags.c_contiguous if order == "C" else a.flags.f_contiguous)


def _any_device(values: Any) -> bool:
    return any(isinstance(v, ndarray) or (isinstance(v, (list, tuple)) and _any_device(v)) for v in values)


def _nested(values: Any) -> Any:
    """Arrays of the device in lists, as NumPy's. Raises where there is something else beside them, as CuPy does."""
    return [_nested(v) if isinstance(v, (list, tuple)) else v._a if isinstance(v, ndarray) else refused()
            for v in values]


def asarray(a: Any, dtype: Any = None, order: str | None = None, *, copy: bool | None = None,
            blocking: bool = False) -> ndarray:
    """a as an array of the device, itself where it is one."""
    return array(a, dtype, bool(copy), order)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    return array(a, dtype, False, "C", ndmin=1)


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> numpy.ndarray:
    """a as an array of the host."""
    if isinstance(a, ndarray):
        return a.get(stream, order, out, blocking)
    found = numpy.asarray(a, order=order)
    if out is not None:
        out[...] = found
    return found if out is None else out


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """A new array, of NaN, so that reading what was never written shows."""
    return ndarray(shape, dtype, order=order)


def empty_like(prototype: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None) -> ndarray:
    like = numpy.empty_like(_delegate.operand(prototype), dtype, order, shape=shape)
    return ndarray._of(_wasted(like))


def _wasted(a: numpy.ndarray) -> numpy.ndarray:
    _capture.refuse_allocation()
    _delegate.garbage(a)
    return a


def take(a: Any, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
    """a at the positions, which wrap where they are out of range."""
    if not isinstance(a, ndarray):
        raise _delegate.unsupported(a)
    at = numpy.asarray(indices) if not isinstance(indices, ndarray) else indices._a
    kwargs: dict[str, Any] = {"axis": axis, "mode": "wrap"}
    if out is not None:
        if out.dtype != a.dtype:
            raise TypeError("Output dtype mismatch")
        if out.shape != numpy.take(numpy.broadcast_to(False, a.shape), at, axis, mode="wrap").shape:
            raise ValueError("Output shape mismatch")
        kwargs["out"] = out._a
    return _delegate.call(numpy.take, (a._a, at), kwargs)


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """x where the condition holds, else y."""
    if (x is None) != (y is None):
        raise ValueError("Must provide both 'x' and 'y' or neither.")
    if x is None:
        return made("nonzero")(condition)
    return _delegate.call(numpy.where, tuple(_delegate.operand(v) for v in (condition, x, y)), {})


def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    """arr[..., indices, ...] = values, in place."""
    if not isinstance(arr, ndarray):
        raise _delegate.unsupported(arr)
    goal, at, value = arr._a, _delegate.operand(indices), _delegate.operand(values)
    _delegate.record(lambda: numpy.put_along_axis(goal, at, value, axis), goal, at, *_delegate._arrays([value]))


def matmul(a: Any, b: Any, /, *, out: Any = None, casting: str = "same_kind", dtype: Any = None) -> ndarray:
    """a @ b, into `out` where it is named: as a third argument by place, CuPy refuses it."""
    kwargs: dict[str, Any] = {"casting": casting, "dtype": dtype}
    if out is not None:
        if not isinstance(out, ndarray):
            raise TypeError("`out` must be a tuple or `cupy.ndarray`")
        kwargs["out"] = out._a
    return _delegate.call(numpy.matmul, (_delegate.operand(a), _delegate.operand(b)), kwargs)


def einsum(*operands: Any, **kwargs: Any) -> ndarray:
    if kwargs.get("out") is not None:
        raise TypeError("cupy.einsum takes no out")
    return _delegate.call(numpy.einsum, tuple(_delegate.host(o) for o in operands), kwargs)


def from_dlpack(x: Any, device: Any = None, copy: bool | None = None) -> ndarray:
    """An array over the memory that a DLPack capsule of the device tells of."""
    if isinstance(x, ndarray):
        return x.view()
    kind, _ = x.__dlpack_device__()
    if kind != 2:
        raise TypeError("CPU arrays cannot be directly imported to CuPy. Use `cupy.array(numpy.from_dlpack(input))` "
                        "instead.")

    class Shim:
        def __dlpack__(self, **_: Any) -> Any:
            return retargeted(x.__dlpack__(), 1)

        def __dlpack_device__(self) -> tuple[int, int]:
            return 1, 0

    found = numpy.from_dlpack(Shim())
    block = _memory.block_at(int(found.__array_interface__["data"][0])) or _memory.UnownedMemory(
        int(found.__array_interface__["data"][0]), found.nbytes, found)
    start = int(found.__array_interface__["data"][0]) - block.ptr
    return ndarray(found.shape, found.dtype, _memory.MemoryPointer(block, start), found.strides)


def get_array_module(*args: Any) -> Any:
    import cupy

    return cupy if any(isinstance(a, ndarray) for a in args) else numpy


def get_default_memory_pool() -> _memory.MemoryPool:
    return _memory.pool()


def is_available() -> bool:
    return True


OWN = {fn.__name__: fn for fn in (array, asarray, ascontiguousarray, asnumpy, copyto, einsum, empty, empty_like,
                                  from_dlpack, get_array_module, get_default_memory_pool, is_available,
                                  matmul, put_along_axis, take, where)}
OWN["asanyarray"] = asarray
