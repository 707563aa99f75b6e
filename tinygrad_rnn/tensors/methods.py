"""Methods that tensors have by the array API and beyond: each applies a row of the op table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..arguments import flag
from ..errors import BadType
from ..keywords import told
from ..node import Operators

if TYPE_CHECKING:
    from .tensor import Tensor


class Methods(Operators):
    """A tensor's methods. `_apply` builds the result."""

    __slots__ = ()

    def __and__(self, other: Any) -> Any: return self._of_truth("&", "logical_and", self, other)
    def __rand__(self, other: Any) -> Any: return self._of_truth("&", "logical_and", other, self)
    def __or__(self, other: Any) -> Any: return self._of_truth("|", "logical_or", self, other)
    def __ror__(self, other: Any) -> Any: return self._of_truth("|", "logical_or", other, self)
    def __invert__(self) -> Any: return self._of_truth("~", "logical_not", self)

    def _of_truth(self, sign: str, op: str, *operands: Any) -> Any:
        """& | ~ of truth values. Raises BadType for numbers, of which they would be of the bits."""
        for a in operands:
            if not isinstance(a, bool) and getattr(a, "dtype", None) != "bool":
                raise BadType(f"{sign} is of truth values, such as x > 0, and there are no operations of bits; {op} "
                              "takes a number that is not 0 as true")
        return self._apply(op, *operands)

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape, of which one size may be -1. Raises BadValue where they do not fit."""
        return self._apply("reshape", self, shape=_listed(shape))

    def transpose(self, *axes: Any) -> Tensor:
        """The axes in another order, reversed by default. Raises BadValue for what is no order of them."""
        return self._apply("transpose", self, axes=_listed(axes) or None)

    @told
    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The sum over an axis, several as a tuple, or all; keepdims leaves size 1 there. Raises BadValue."""
        return reduced("sum", self, axis, keepdims)

    @told
    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The mean over axes, as `sum` takes them."""
        return reduced("mean", self, axis, keepdims)

    @told
    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The maximum over axes, as `sum` takes them; ties share the gradient."""
        return reduced("max", self, axis, keepdims)

    def tanh(self) -> Tensor:
        """tanh of each element."""
        return self._apply("tanh", self)

    def sigmoid(self) -> Tensor:
        """1 / (1 + exp(-x)) of each element."""
        return self._apply("sigmoid", self)

    def relu(self) -> Tensor:
        """max(x, 0) of each element."""
        return self._apply("relu", self)

    def exp(self) -> Tensor:
        """exp of each element."""
        return self._apply("exp", self)

    def log(self) -> Tensor:
        """The natural logarithm of each element."""
        return self._apply("log", self)

    def sqrt(self) -> Tensor:
        """The square root of each element."""
        return self._apply("sqrt", self)

    @told
    def softmax(self, axis: int = -1) -> Tensor:
        """exp(x) / sum exp(x) along an axis."""
        return self._apply("softmax", self, axis=axis)


def _listed(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Sizes or axes that are given one by one or as one tuple."""
    return tuple(given[0]) if len(given) == 1 and isinstance(given[0], (tuple, list)) else given


def reduced(op: str, x: Any, axis: Any, keepdims: bool) -> Any:
    """x reduced over an axis, several, or all; with keepdims these have size 1 and are else gone."""
    result = x._apply(op, x, axis=axis)
    if not flag("keepdims", keepdims):
        return result
    axes = range(x.ndim) if axis is None else [k % x.ndim for k in (axis if isinstance(axis, tuple) else (axis,))]
    return result.reshape(tuple(1 if k in axes else s for k, s in enumerate(x.shape)))
