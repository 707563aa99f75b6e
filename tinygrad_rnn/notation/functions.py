"""The public functions, one per row of the op table: the same name in text, on models and on tensors."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

from ..arguments import flag, whole
from ..errors import BadType, BadValue, many
from ..keywords import meant
from ..node import Node, Operators
from ..ops import TABLE, Op, apply
from ..ops.linear import split_spec
from ..ops.reduction import REDUCING
from ..ops.table import REQUIRED
from ..shapes import normal_axis
from ..tensors.methods import reduced
from .meaning import MEANING

OF_SEVERAL = "the larger of two is maximum(a, b), their sum a + b"


class Function:
    """A function of the notation. Called on expressions it gives an expression, on tensors a tensor."""

    def __init__(self, name: str, row: Op):
        self.name = self.__name__ = name
        self.row = row
        self.params = row.params
        self.taken = tuple(row.params)  # the names of all that can be given so
        self.arity = row.arity
        self.leading = row.leading
        if name in MEANING:
            call, what = MEANING[name]
            self.__doc__ = f"{name}({call}): {what}"
        else:  # a class of its own says more
            self.__doc__ = type(self).__doc__
        called = re.search(rf"^ *({name}\(.*?\)):", self.__doc__ or "", re.M)
        self.usage = called[1] if called else f"{name}(...)"

    def __repr__(self) -> str:
        return f"<function {self.name}>"

    def __call__(self, *args: Any, **attrs: Any) -> Any:
        operands, attrs = self._bind(list(args), attrs)
        return owner(operands)(self.row.name, *operands, **attrs)

    def _bind(self, args: list[Any], attrs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        for key in attrs:
            if key not in self.params:
                raise BadType(f"{self.name} has no argument {key!r}{meant(key, self.taken, attrs[key])}")
        names = [p for p in self.params if p not in attrs]
        if self.leading and args and not isinstance(args[0], Operators):
            attrs[names.pop(0)] = args.pop(0)
        if self.arity is not None and len(args) > self.arity:
            extra = args[self.arity :]
            if len(extra) > len(names):
                raise BadType(self.miscounted("operand", len(args)))
            attrs.update(zip(names, extra, strict=False))
            args = args[: self.arity]
        if self.arity is not None and len(args) < self.arity:
            raise BadType(self.miscounted("argument", len(args)))
        for key, default in self.params.items():
            if default is REQUIRED and key not in attrs and not self.leading:
                raise BadType(f"{self.name} needs {key}=; it is called {self.usage}")
        if self.arity is None and len(args) == 1 and isinstance(args[0], (list, tuple)):
            args = list(args[0])
        if attrs.get("over") is not None:
            attrs["over"] = index_names(attrs["over"])
        return args, attrs

    def miscounted(self, what: str, given: int) -> str:
        """That it takes another number of operands, and how it is called."""
        return f"{self.name} takes {many(self.arity or 0, what)}, not {given}; it is called {self.usage}"


def index_names(over: Any) -> tuple[str, ...]:
    """over= as index names: "t", ("t", "n"), or the index objects themselves."""
    names = []
    for index in over if isinstance(over, (tuple, list)) else (over,):
        if isinstance(index, Node) and index.op == "position":
            index = index.attr("index")
        if not isinstance(index, str):
            hint = (f"; a feature axis is named by axis={index}" if isinstance(index, int) else
                    f"; {OF_SEVERAL}" if isinstance(index, Operators) else "")
            raise BadType(f"over= names indices, such as t or (t, n), not {index!r:.80}{hint}")
        names.append(index)
    return tuple(names)


def owner(args: list[Any]) -> Any:
    """What builds the result: a tensor's way if any argument is a tensor, else a node's."""
    if not args:
        return apply
    best = None
    for a in args:
        if isinstance(a, Operators) and (best is None or isinstance(best, Node)):
            best = a
    if best is not None:
        return best._apply
    from ..tensors.tensor import Tensor  # plain arrays and numbers become tensors

    return lambda op, *operands, **attrs: Tensor.build(op, *operands, **attrs)


class _LayerNorm(Function):
    """layer_norm(z[, gain, bias]): (z - mean) / sqrt(var + 1e-5) over the last axis, times gain, plus bias.

    Source: Ba, Kiros, Hinton 2016, "Layer Normalization", equations 3 and 4.
    """

    def __init__(self) -> None:
        super().__init__("layer_norm", TABLE["layer_norm"])
        self.arity = None

    def __call__(self, *args: Any, **attrs: Any) -> Any:
        if not 1 <= len(args) <= 3:
            raise BadType(f"layer_norm takes a value, and perhaps gain and bias, not {len(args)} operands")
        if any(isinstance(a, tuple) for a in args[1:]):
            raise BadType("layer_norm is over the last axis, or over axis=; gain and bias are arrays, not a shape")
        y = owner(list(args))("layer_norm", args[0], **attrs)
        if len(args) > 1:
            y = y * args[1]
        return y + args[2] if len(args) > 2 else y


class _Reduction(Function):
    """A reduction, which of a tensor also takes keepdims: True leaves axes of size 1 in the place of those that go."""

    def __init__(self, name: str) -> None:
        super().__init__(name, TABLE[name])
        self.taken = (*self.params, "keepdims")

    def __call__(self, *args: Any, keepdims: bool = False, **attrs: Any) -> Any:
        operands, attrs = self._bind(list(args), attrs)
        if not flag("keepdims", keepdims):
            return owner(operands)(self.row.name, *operands, **attrs)
        from ..tensors.tensor import Tensor, as_operand

        x = as_operand(operands[0])
        if not isinstance(x, Tensor):
            raise BadValue(f"keepdims= is of tensors; in a model expand({self.name}(z, axis=0), 0, 1) has such an axis")
        if attrs.get("over"):
            return owner(operands)(self.row.name, *operands, **attrs)  # which tells that tensors have none
        return reduced(self.row.name, x, attrs.get("axis"), True)


class _Dropout(Function):
    """dropout(x, rate): each number of x zero with probability `rate`, the others divided by 1 - rate.

    In a model it acts in training, with a mask of its own at each step, or by shared="t" with one over t, by
    shared=(t, n) with one for all examples too, as that of a weight is. On a tensor it acts at once; `seed` fixes what
    is drawn. Source: Srivastava et al. 2014, "Dropout", with the scale in training.
    """

    def __init__(self) -> None:
        super().__init__("dropout", TABLE["dropout"])
        self.taken = (*self.params, "seed")

    def __call__(self, *args: Any, **attrs: Any) -> Any:
        seed = {"seed": attrs.pop("seed")} if "seed" in attrs else {}
        operands, attrs = self._bind(list(args), attrs)
        return owner(operands)("dropout", *operands, **attrs, **seed)


class _Convolution(Function):
    """A convolution of an image with a kernel, and perhaps a bias, (channels,), that is added everywhere.

    conv2d(x, k[, bias]): y[o, i, j] = sum over c, a, b of k[o, c, a, b] x[c, i s + a - p, j s + b - p], for an image x
    (in, H, W) and a kernel k (out, in, kh, kw); stride s and padding p, zeros at either side, are one number or a pair.
    y has shape (out, H', W') with H' = (H + 2 p - kh) // s + 1. The kernel is not turned round: a cross-correlation.

    conv2d_transpose(y, k[, bias]): the adjoint, from (out, H', W') to (in, H, W). With a stride s there are s heights
    that fit, and widths; `shape`, (H, W), says which, by default the smallest.

    Axes before the channels only number images. Source: Dumoulin and Visin 2016, "A guide to convolution arithmetic for
    deep learning", relationships 6 and 14.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, TABLE[name])
        self.arity = None

    def __call__(self, *args: Any, **attrs: Any) -> Any:
        if not 2 <= len(args) <= 3:
            raise BadType(f"{self.name} takes an image, a kernel and perhaps a bias, not {len(args)} operands")
        operands, attrs = self._bind(list(args), attrs)
        build = owner(operands)
        y = build(self.name, *operands[:2], **attrs)
        return build("add_bias", y, operands[2]) if len(operands) > 2 else y


class _Einsum(Function):
    """einsum("ij,j->i", a, b): the sum of the product over every label that the result lacks.

    Two operands are one contraction, more are contracted from the left, one is summed and transposed.
    """

    def __init__(self) -> None:
        super().__init__("einsum", TABLE["einsum"])
        self.arity = None

    def __call__(self, *args: Any, **attrs: Any) -> Any:
        operands, attrs = self._bind(list(args), attrs)
        if "spec" not in attrs:
            raise BadType('einsum takes its labels first: einsum("ij,j->i", a, b)')
        parts, result = split_spec(attrs["spec"])
        if len(parts) != len(operands):
            raise BadValue(f"einsum {attrs['spec']!r} names {len(parts)} terms, {len(operands)} were given")
        build = owner(operands)
        if len(operands) == 1:
            (x,), (labels,) = operands, parts
            gone = tuple(k for k, c in enumerate(labels) if c not in result)
            kept = "".join(c for c in labels if c in result)
            x = build("sum", x, axis=gone) if gone else x
            return x if kept == result else build("transpose", x, axes=tuple(kept.index(c) for c in result))
        x, labels = operands[0], parts[0]
        for k in range(1, len(operands)):
            later = "".join(parts[k + 1 :]) + result
            goal = result if k + 1 == len(operands) else "".join(
                dict.fromkeys(c for c in labels + parts[k] if c in later))
            x, labels = build("einsum", x, operands[k], spec=f"{labels},{parts[k]}->{goal}"), goal
        return x


def split(x: Any, parts: int | Sequence[int], axis: int = 0) -> tuple[Any, ...]:
    """x cut along a feature axis into `parts` equal pieces, or into pieces of the given sizes."""
    from ..tensors.tensor import as_operand

    x = as_operand(x)
    size = None  # of an expression of a model, which has no sizes yet
    if not isinstance(x, Node) or x.type is not None:
        size = x.shape[normal_axis(axis, len(x.shape))]
    if not isinstance(parts, (tuple, list)):
        count = whole("the number of pieces", parts, at_least=1)
        if size is None:
            raise BadValue("the sizes of a model's quantities are not known yet; name those of the pieces: "
                           "split(x, [64, 64])")
        if size % count:
            raise BadValue(f"an axis of size {size} cannot be cut into {count} equal pieces")
        parts = [size // count] * count
    edges = [0, *itertools.accumulate(whole("the size of a piece", p, at_least=0) for p in parts)]
    if size is not None and edges[-1] != size:
        raise BadValue(f"pieces of sizes {list(parts)} do not make up an axis of size {size}")
    return tuple(x._apply("slice", x, axis=axis, start=a, stop=b) for a, b in itertools.pairwise(edges))


_SPECIAL = {"layer_norm": _LayerNorm(), "einsum": _Einsum(), "dropout": _Dropout(),
            **{name: _Reduction(name) for name in REDUCING},
            **{name: _Convolution(name) for name in ("conv2d", "conv2d_transpose")}}
_HIDDEN = {"ref", "const", "data", "position", "last", "count", "noise", "draw_class"}
FUNCTIONS: dict[str, Function] = {
    name: _SPECIAL.get(name) or Function(name, row) for name, row in TABLE.items() if name not in _HIDDEN
}
_NOT_IN_TEXT = {"take", "scatter"}
IN_TEXT: dict[str, Any] = {name: fn for name, fn in FUNCTIONS.items() if name not in _NOT_IN_TEXT}


class _Count(Function):
    """count(t, n): the number of valid positions, jointly over the named indices."""

    def __init__(self) -> None:
        super().__init__("count", TABLE["count"])

    def __call__(self, *over: Any, **attrs: Any) -> Any:
        return apply("count", over=index_names(tuple(over) or attrs.get("over", ())))


IN_TEXT["count"] = FUNCTIONS["count"] = _Count()
