"""NumPy's functions of quantities and tensors: np.tanh(x), np.sum(x, axis=0) are ours, so that gradients pass."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import BadCall, BadType
from ..node import Operators
from ..ops import TABLE
from ..tensors import arrays
from ..tensors.tensor import Tensor, as_operand
from .functions import FUNCTIONS

OURS = {"true_divide": "divide", "absolute": "abs", "concatenate": "concat", "amax": "max"}  # by NumPy's name
SIGNS: dict[str, Callable[..., Any]] = {"bitwise_and": operator.and_, "bitwise_or": operator.or_,
                                        "invert": operator.inv}  # & | ~
# What means the same with NumPy's arguments; NumPy's dot, take and cumsum have other axes in mind than ours.
SAME = {"clip", "concat", "einsum", "max", "mean", "ones_like", "reshape", "stack", "sum", "transpose", "where",
        "zeros_like"}
OF_TENSORS = {name: getattr(arrays, name) for name in ("broadcast_to", "expand_dims", "permute_dims", "squeeze")}


def from_numpy(function: Any, method: str, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """What NumPy was asked to compute of quantities or tensors.

    A function that there is not here is computed of tensors' values, unless a gradient would be lost there.
    Raises BadType for it, and of a quantity of a model, which has no value.
    """
    operands = [a for a in _inside((args, options)) if isinstance(a, Operators)]
    name, said = OURS.get(function.__name__, function.__name__), f"NumPy's {function.__name__}"
    ours = _ours(function, name, operands) if method == "__call__" and "out" not in options else None
    if ours is not None:
        try:
            return ours(*args, **options)
        except TypeError as error:
            if isinstance(error, BadType) and not isinstance(error, BadCall):
                raise
            raise BadType(f"{said} of a tensor is that of tinygrad_rnn: {error}") from None
    if not all(isinstance(a, Tensor) for a in operands):
        raise BadType(f"{said} does not take a quantity of a model; the functions of the notation are tinygrad_rnn's, "
                      "such as tr.tanh")
    if any(isinstance(a, Tensor) for a in _inside(options.get("out"))):
        raise BadType("out= is an array that is written to, and tensors are not")
    call = function if method == "__call__" else getattr(function, method)
    found = call(*_values(args), **{key: _values(value) for key, value in options.items()})
    lost = any(getattr(a, "dtype", np.dtype(bool)).kind == "f" or isinstance(a, float) for a in _inside(found))
    if lost and "out" not in options and any(isinstance(a, Tensor) and a.requires_grad for a in operands):
        raise BadType(f"{said} is no operation of tensors, so no gradient would pass; the functions of tensors are "
                      "tinygrad_rnn's, such as tr.tanh, and x.numpy() is the value alone")
    return found


def _ours(function: Any, name: str, operands: list[Any]) -> Callable[..., Any] | None:
    """The function of that name that does here what NumPy's does."""
    first = operands[0] if operands else None
    if name in SIGNS:
        return lambda *args: SIGNS[name](*map(as_operand, args))
    if isinstance(function, np.ufunc):
        return FUNCTIONS[name] if name in TABLE and TABLE[name].kind in ("elementwise", "contract") else None
    if isinstance(first, Tensor) and name in OF_TENSORS:
        return OF_TENSORS[name]
    if name not in SAME:
        return None
    own = getattr(type(first), name, None)  # a method, which has NumPy's arguments
    return own if isinstance(first, Tensor) and own is not None else FUNCTIONS[name]


def _inside(value: Any) -> Iterator[Any]:
    """A value, or all that are in a list or a tuple, or in a dict."""
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _inside(each)
    elif isinstance(value, Mapping):
        yield from _inside(list(value.values()))
    else:
        yield value


def _values(value: Any) -> Any:
    """The same with arrays in place of tensors."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_values, value))
    return np.asarray(value) if isinstance(value, Tensor) else value
