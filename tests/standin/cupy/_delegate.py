"""How a function of NumPy is done as one of the device: what it is given is checked, and while a stream captures it is
recorded and not done."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy

from . import _capture, _memory

if TYPE_CHECKING:
    from ._array import ndarray

Fn = Callable[..., Any]


@functools.cache
def array_class() -> type[ndarray]:
    from ._array import ndarray

    return ndarray


def unsupported(value: Any) -> TypeError:
    """What CuPy says where an argument is not on the device."""
    return TypeError(f"Unsupported type {type(value)}")


def host(value: Any) -> Any:
    """An argument as NumPy takes it. Raises where CuPy would: an array of the host does not enter by itself."""
    if isinstance(value, array_class()):
        return value._a
    if isinstance(value, numpy.ndarray):
        raise unsupported(value)
    if isinstance(value, (list, tuple)):
        return type(value)(host(v) for v in value)
    if hasattr(value, "__cuda_array_interface__"):
        from ._array import from_interface

        return from_interface(value)._a
    return value


def operand(value: Any) -> Any:
    """An argument of an elementwise function: an array of the device or a number."""
    if isinstance(value, (array_class(), numbers.Number, numpy.generic)) or hasattr(value, "__cuda_array_interface__"):
        return host(value)
    raise unsupported(value)


def device(result: Any) -> Any:
    """What NumPy has made, as arrays of the device."""
    if isinstance(result, (numpy.ndarray, numpy.generic)):
        return array_class()._of(numpy.asarray(result))
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*map(device, result))
    return type(result)(map(device, result)) if isinstance(result, (list, tuple)) else result


def call(fn: Fn, args: tuple[Any, ...], kwargs: dict[str, Any], sized: bool = True, out: str = "out") -> Any:
    """fn(*args, **kwargs) on arrays of the host that stand for those of the device.

    sized: whether the size of the result is known before it is computed; `out`: which of kwargs is written.
    """
    goal = kwargs.get(out)
    with numpy.errstate(all="ignore"):
        if _capture.capturing() is None:
            return _given(goal, device(_now(fn, args, kwargs)))
        if not sized:
            _capture.refuse("the size of the result depends on the data")
        scratch = dict(kwargs)
        if goal is not None:
            scratch[out] = numpy.empty_like(goal)
        result = fn(*args, **scratch)
    if goal is not None:
        record(lambda: fn(*args, **kwargs), goal, *_arrays(args))
        return array_class()._of(goal)
    return _recorded(fn, args, kwargs, result)


def _now(fn: Fn, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    found: list[Any] = []
    _capture.enqueue(lambda: found.append(fn(*args, **kwargs)), [])
    return found[0]


def _given(goal: Any, result: Any) -> Any:
    return result if goal is None else array_class()._of(goal)


def _recorded(fn: Fn, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
    """The result, whose numbers will be there when the graph has run; views are views of what will be there."""
    found = device(result)
    fresh = [a for a in (found if isinstance(found, (list, tuple)) else [found]) if isinstance(a, array_class())]
    sources = {id(_memory.known(a)) for a in _arrays((args, tuple(kwargs.values())))}
    if all(id(a._mem) in sources for a in fresh):
        return found

    goals = [a._a for a in fresh]  # a graph does not keep the device's memory

    def again() -> None:
        values = fn(*args, **kwargs)
        for goal, value in zip(goals, values if isinstance(values, (list, tuple)) else [values], strict=True):
            goal[...] = value

    for goal in goals:
        garbage(goal)
    record(again, *goals, *_arrays((args, tuple(kwargs.values()))))
    return found


def _arrays(values: Any) -> list[numpy.ndarray]:
    if isinstance(values, numpy.ndarray):
        return [values]
    return [a for v in values for a in _arrays(v)] if isinstance(values, (list, tuple)) else []


def record(task: Fn, *arrays: numpy.ndarray) -> None:
    """Enqueue work on the arrays, in which no floating-point warnings are raised."""
    def quietly() -> None:
        with numpy.errstate(all="ignore"):
            task()

    blocks = [block for block in map(_memory.known, arrays) if block is not None]
    _capture.enqueue(quietly, list({id(b): b for b in blocks}.values()))


def garbage(a: numpy.ndarray) -> None:
    """Fill a new array with what no one should read: all bits one, which is NaN; True for bool."""
    if a.dtype == bool:
        a.fill(True)
    elif a.flags.c_contiguous:
        a.reshape(-1).view(numpy.uint8).fill(255)
    elif a.flags.f_contiguous:
        a.T.reshape(-1).view(numpy.uint8).fill(255)
    else:
        a.fill(numpy.nan if a.dtype.kind in "fc" else -1 if a.dtype.kind == "i" else numpy.iinfo(a.dtype).max)
