"""Functions of the array API that make arrays and tensors, or look at a tensor in another shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import backends
from .errors import BadType, BadValue
from .tensor import Tensor, check_operands, joint, stretched


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


def to_numpy(data: Any) -> Any:
    """data, which may be anything that `asarray` takes, as a NumPy array, whatever the backend in use."""
    with backends.using("numpy"):
        return asarray(data)


def zeros(shape: Any, dtype: str = "float32") -> Tensor:
    """A tensor of zeros."""
    return Tensor(backends.current().xp.zeros(shape, dtype))


def ones(shape: Any, dtype: str = "float32") -> Tensor:
    """A tensor of ones."""
    return Tensor(backends.current().xp.ones(shape, dtype))


def permute_dims(x: Tensor, axes: Sequence[int]) -> Tensor:
    """x with its axes in another order."""
    return x._apply("transpose", x, axes=tuple(axes))


def expand_dims(x: Tensor, axis: int = 0) -> Tensor:
    """x with a new axis of size 1."""
    return x._apply("expand", x, axis=axis, size=1)


def squeeze(x: Tensor, axis: int) -> Tensor:
    """x without an axis of size 1."""
    if x.shape[axis] != 1:
        raise BadValue(f"axis {axis} has size {x.shape[axis]}, not 1")
    return x._apply("pick", x, axis=axis, at=0)


def broadcast_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """x stretched to shape."""
    check_operands("broadcast_to", [x])
    return Tensor.of_node(stretched(x.node, joint([x.shape, tuple(shape)])), x.requires_grad)
