"""Functions of the array API that make arrays and tensors, or look at a tensor in another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import backends
from ..arguments import whole
from ..errors import BadType, BadValue
from ..keywords import told
from ..ops.table import MOST
from ..shapes import normal_axis
from .broadcast import joint, stretched
from .tensor import Tensor, as_operand, check_operands


@told
def asarray(data: Any, dtype: Any = None) -> Any:
    """data as an array of the backend in use: NumPy's or CuPy's, not copied where its memory is on the right device.

    data: a number, a list, a tensor, an array of NumPy or CuPy, or of any library with DLPack or
    `__cuda_array_interface__`, such as PyTorch. This is the way from one backend to the other, so data on the GPU are
    copied to the host where the backend is NumPy. What is not copied is shared: do not write to a tensor's.
    Raises BadType for anything else.
    """
    try:
        array = backends.current().asarray(data._value() if isinstance(data, Tensor) else data, dtype)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise BadType(f"this is not an array: {error}") from None
    if array.dtype.kind not in "biufc":
        raise BadType(f"this is no array of numbers, but of {array.dtype}")
    return array


def to_numpy(data: Any) -> np.ndarray:
    """data, which may be anything that `asarray` takes, as a NumPy array, whatever the backend in use."""
    with backends.using("numpy"):
        return np.asarray(asarray(data))


@told
def zeros(shape: Any, dtype: Any = "float32") -> Tensor:
    """A tensor of zeros. shape: a tuple of sizes, or one size. Raises BadType and BadValue for what is none."""
    return Tensor(backends.current().xp.zeros(_sizes(shape), "float32"), dtype=dtype)


@told
def ones(shape: Any, dtype: Any = "float32") -> Tensor:
    """A tensor of ones. shape: a tuple of sizes, or one size. Raises BadType and BadValue for what is none."""
    return Tensor(backends.current().xp.ones(_sizes(shape), "float32"), dtype=dtype)


def _sizes(shape: Any) -> tuple[int, ...]:
    given = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    found = tuple(whole("a size", size, at_least=0) for size in given)
    if math.prod(found) > MOST:
        raise BadValue(f"a tensor of shape {found} is larger than {MOST} numbers")
    return found


@told
def permute_dims(x: Any, axes: Sequence[int]) -> Any:
    """x, a tensor or an array, with its axes in another order: axis k of the result is axis axes[k] of x.

    Raises BadValue where `axes` are no order of all of them.
    """
    x = as_operand(x)
    return x._apply("transpose", x, axes=axes)


@told
def expand_dims(x: Any, axis: int = 0) -> Any:
    """x with a new axis of size 1, which is then the axis of that number. Raises BadValue where there is none such."""
    x = as_operand(x)
    return x._apply("expand", x, axis=axis, size=1)


@told
def squeeze(x: Any, axis: int | tuple[int, ...]) -> Any:
    """x without an axis of size 1, or without several. Raises BadValue for an axis of another size, or none."""
    x = as_operand(x)
    gone = {normal_axis(k, len(x.shape)) for k in (axis if isinstance(axis, tuple) else (axis,))}
    for k in sorted(gone, reverse=True):
        if x.shape[k] != 1:
            raise BadValue(f"axis {k} has size {x.shape[k]}, not 1")
        x = x._apply("pick", x, axis=k, at=0)
    return x


@told
def broadcast_to(x: Any, shape: tuple[int, ...]) -> Tensor:
    """x stretched to shape: new axes in front, and those of size 1 repeated. Raises BadValue where others differ."""
    check_operands("broadcast_to", [x])
    x, goal = as_operand(x), _sizes(shape)
    if joint([x.shape, goal]) != goal:
        raise BadValue(f"a value of shape {x.shape} is not stretched to {goal}")
    return Tensor.of_node(stretched(x.node, goal), x.requires_grad)
