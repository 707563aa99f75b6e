"""Elementwise functions: NumPy's, with what CuPy's lack taken away."""

from __future__ import annotations

from typing import Any

import numpy

from . import _delegate
from ._array import copy_into, ndarray
from ._indexing import prepared

INTEGERS = ("int32", "int64", "uint32", "uint64")
SCATTERED = {"add": (*INTEGERS, "float16", "float32", "float64"), "max": (*INTEGERS, "float32", "float64"),
             "min": (*INTEGERS, "float32", "float64"), "sub": ("int32", "uint32"), "and": INTEGERS, "or": INTEGERS,
             "xor": INTEGERS}  # what `at` takes, by what it does


class ufunc:
    """scatter: what `at` does with what it meets, "" where CuPy has no `at` for this function."""

    def __init__(self, name: str, scatter: str = ""):
        self.name = self.__name__ = f"cupy_{name}"
        self._fn: numpy.ufunc = getattr(numpy, name)
        self._scatter = scatter
        self.nin, self.nout, self.nargs = self._fn.nin, self._fn.nout, self._fn.nargs
        self.types = self._fn.types

    def __repr__(self) -> str:
        return f"<ufunc '{self.name}'>"

    def __call__(self, *args: Any, out: Any = None, dtype: Any = None, casting: str = "same_kind",
                 **others: Any) -> Any:
        if others:
            raise TypeError(f"Wrong arguments {others}")
        if not self.nin <= len(args) <= self.nargs:
            raise TypeError(f"Wrong number of arguments for {self!r}")
        if len(args) > self.nin:
            if out is not None:
                raise ValueError("Cannot specify 'out' as both a positional and keyword argument")
            out = args[self.nin:] if self.nout > 1 else args[self.nin]
        kwargs: dict[str, Any] = {"casting": casting}
        if dtype is not None:
            kwargs["dtype"] = dtype
        if out is not None:
            kwargs["out"] = self._goal(out)
        return _delegate.call(self._fn, tuple(_delegate.operand(a) for a in args[: self.nin]), kwargs)

    def _goal(self, out: Any) -> Any:
        if isinstance(out, tuple) and self.nout > 1:
            raise NotImplementedError("the stand-in writes one result only")
        if not isinstance(out, ndarray):
            raise _delegate.unsupported(out)
        return out._a

    def at(self, a: Any, indices: Any, b: Any = None) -> None:
        """a[indices] op= b, each time that a position occurs; positions out of range wrap."""
        if not self._scatter:
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        if not isinstance(a, ndarray):
            raise _delegate.unsupported(a)
        known = SCATTERED[self._scatter]
        if a.dtype.name not in known:
            raise TypeError(f"cupy.{self._fn.__name__}.at only supports {', '.join(known)} as data type")
        index, _ = prepared(a._a, indices)
        goal, fn = a._a, self._fn
        values = b._a if isinstance(b, ndarray) else numpy.asarray(_delegate.operand(b))
        _delegate.record(lambda: fn.at(goal, index(), values.astype(goal.dtype)), goal, values)

    def reduce(self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self._along("reduce", ("add", "multiply"), array, axis=axis, dtype=dtype, out=out, keepdims=keepdims)

    def accumulate(self, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        return self._along("accumulate", ("add", "multiply"), array, axis=axis, dtype=dtype, out=out)

    def reduceat(self, array: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        return self._along("reduceat", ("add",), array, _delegate.host(indices), axis=axis, dtype=dtype, out=out)

    def outer(self, a: Any, b: Any, **kwargs: Any) -> Any:
        return _delegate.call(self._fn.outer, (_delegate.operand(a), _delegate.operand(b)), kwargs)

    def _along(self, way: str, known: tuple[str, ...], array: Any, *args: Any, **kwargs: Any) -> Any:
        if self._fn.__name__ not in known:
            raise NotImplementedError(f"`{self.name}.{way}` is not supported yet")
        if not isinstance(array, ndarray):
            raise _delegate.unsupported(array)
        kwargs = {k: v._a if isinstance(v, ndarray) else v for k, v in kwargs.items()}
        return _delegate.call(getattr(self._fn, way), (array._a, *args), kwargs)


def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = None) -> None:
    """dst[...] = src, where `where` is true."""
    if not isinstance(dst, ndarray):
        raise TypeError(f"dst must be a cupy.ndarray, not {type(dst)}")
    if isinstance(src, numpy.ndarray):
        if src.size != 1:
            raise ValueError("non-scalar numpy.ndarray cannot be used for copyto")
        src = src.squeeze()[()]
    goal, source = dst._a, _delegate.operand(src)
    if not isinstance(source, numpy.ndarray):
        numpy.copyto(numpy.empty((), goal.dtype), source, casting=casting)  # raises where the number cannot be cast
        source = numpy.array(source)
    elif not numpy.can_cast(source.dtype, goal.dtype, casting):
        raise TypeError(f"Cannot cast {source.dtype} to {goal.dtype} in {casting} casting mode")
    if where is None:
        copy_into(goal, source)
    else:
        mask = _delegate.operand(where)
        _delegate.record(lambda: numpy.copyto(goal, source, casting="unsafe", where=mask), goal, source,
                         *_delegate._arrays([mask]))
