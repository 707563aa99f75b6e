"""Tensors: the same nodes and rows as models, without named indices; lazy, with broadcasting and gradients."""

from __future__ import annotations

import math
import os
import weakref
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from .. import backends
from ..above import viz
from ..arguments import whole
from ..attributes import OF_TENSORS
from ..backends.places import check_place, described, entering, no_numbers, on_device
from ..dtypes import DTYPES, WHOLE, named, taken
from ..errors import BadType, BadValue
from ..node import Node, Operators, Type, walk
from ..ops import apply
from ..ops.draws import DECLARED
from ..ops.positional import check_rate
from ..ops.table import as_node, floating
from ..passes.adjoints import backward
from ..passes.rewrite import ONE, stable
from .broadcast import broadcast
from .evaluate import evaluate
from .indexing import indexed
from .methods import Methods
from .scope import noted, scopes_of
from .whole_numbers import CODED, checked

# By backend, values that have been computed, for as long as their node is alive.
_VALUES: defaultdict[str, weakref.WeakKeyDictionary[Node, Any]] = defaultdict(weakref.WeakKeyDictionary)


class _Data:
    """The array of a leaf, equal only to itself."""

    __slots__ = ("array", "tensor")

    def __init__(self, array: Any):
        self.array = array
        self.tensor: Any = None  # a weak reference to the tensor that wants its gradient

    def __repr__(self) -> str:
        return f"data{tuple(self.array.shape)}"


class _OfHost:
    """`__array_ufunc__`, which NumPy looks up in the class; CuPy asks the tensor, and where that lies on the GPU it is
    to leave `cupy_array + x` to `__radd__`, rather than take x for an array."""

    def __get__(self, tensor: Tensor | None, kind: type) -> Any:
        if tensor is not None and tensor.backend != "numpy":
            raise AttributeError("this tensor lies on the GPU")
        method = Operators.__array_ufunc__
        return method if tensor is None else method.__get__(tensor)


class Tensor(Methods):
    """An array whose computation is a graph: values are computed when they are looked at.

    data: anything that `asarray` takes, copied; floating-point arrays keep their dtype, Python numbers become float32.
    requires_grad: `backward` puts the gradient into `.grad`. Operators, functions and methods have the names and
    broadcasting of the array API standard. NumPy's functions of a tensor, np.sum(x), are ours where we have them;
    others compute of its value, and raise where a gradient would be lost.

    `backend` names where it was made. It can always be looked at; in operations all tensors are of the backend in use.
    """

    __slots__ = ("__weakref__", "backend", "grad", "node", "requires_grad")
    __array_priority__ = 1000
    _elsewhere = OF_TENSORS
    __array_ufunc__ = _OfHost()

    def __init__(self, data: Any, requires_grad: bool = False, dtype: str | None = None):
        self._hold(_to_array(data, dtype, "the data of a tensor"), requires_grad)

    def _hold(self, array: Any, requires_grad: bool = False) -> None:
        """Be the leaf of an array of one's own."""
        if requires_grad and array.dtype.kind != "f":
            raise BadType(f"only floating-point tensors have gradients, not {array.dtype}")
        leaf = _Data(array)
        self.node = Node("data", (), (("name", leaf),), Type((), tuple(array.shape), str(array.dtype)))
        self.requires_grad, self.backend = bool(requires_grad), backends.backend()
        self.grad: Tensor | None = None
        leaf.tensor = weakref.ref(self)

    @classmethod
    def of_operand(cls, data: Any, what: str) -> Tensor:
        """The tensor of what was given as `what`."""
        tensor = object.__new__(cls)
        tensor._hold(_to_array(data, None, what))
        return tensor

    @classmethod
    def of_node(cls, node: Node, requires_grad: bool = False) -> Tensor:
        """The tensor that a node computes."""
        tensor = object.__new__(cls)
        tensor.node, tensor.requires_grad, tensor.grad = node, requires_grad, None
        tensor.backend = backends.backend()
        return tensor

    # -- building ----------------------------------------------------------------------------------

    @classmethod
    def build(cls, op: str, *args: Any, **attrs: Any) -> Tensor:
        """op applied to tensors, arrays and numbers, with the array API's broadcasting.

        Raises `Error` for operands that do not fit, or that lie elsewhere than the backend in use computes.
        """
        if op == "dropout":
            return _dropout(*args, **attrs)
        if op in DECLARED:
            raise BadType(f"{op} declares data of a model, w[t] = {op}(...); tensors are filled by numpy.random")
        check_operands(op, args)
        if attrs.pop("over", None):
            raise BadValue(f"over= names the indices of a model's quantities, and tensors have none; {op} takes axis=")
        entering = Tensor if op in CODED else (Tensor, bool, int, float)  # as they are; all else becomes a tensor
        op, tensors, attrs = checked(op, [
            a if isinstance(a, entering) else Tensor.of_operand(a, f"operand {k} of {op}")
            for k, a in enumerate(args, 1)], attrs)
        nodes = [a.node if isinstance(a, Tensor) else as_node(a, op) for a in tensors]
        wants = any(isinstance(a, Tensor) and a.requires_grad for a in tensors)
        return cls.of_node(noted(apply(op, *broadcast(op, nodes), **attrs), nodes), wants)

    def _apply(self, op: str, *args: Any, **attrs: Any) -> Any:
        return Tensor.build(op, *args, **attrs)

    def __getitem__(self, key: Any) -> Tensor:
        return indexed(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise BadType("a tensor is not changed in place; where(mask, a, b) chooses element by element, and arrays are "
                      "written to before a tensor is made of them")

    def __eq__(self, other: Any) -> Any:
        return self._apply("equal", self, other)

    def __ne__(self, other: Any) -> Any:
        return self._apply("not_equal", self, other)

    __hash__ = object.__hash__

    # -- what it is --------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return self.node.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.node.rank

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> str:
        """The name of the elements' type."""
        return "float32" if self.node.dtype == "weak" else self.node.dtype

    @property
    def T(self) -> Tensor:
        """The axes in reverse order."""
        return self._apply("transpose", self)

    @property
    def mT(self) -> Tensor:
        """The last two axes swapped."""
        return self._apply("transpose", self, axes=(*range(self.ndim - 2), self.ndim - 1, self.ndim - 2))

    def __len__(self) -> int:
        if not self.shape:
            raise BadType("a scalar has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[k] for k in range(len(self)))

    def __repr__(self) -> str:
        return f"Tensor({np.array2string(self.numpy(), separator=', ')}{', requires_grad=True' * self.requires_grad})"

    # -- values ------------------------------------------------------------------------------------

    def _value(self) -> Any:
        values = _VALUES[self.backend]
        if self.node not in values:
            with backends.using(self.backend):
                (values[self.node],) = evaluate([self.node], values)
        value = values[self.node]
        if self.node.dtype != self.dtype:  # what only numbers entered is kept as exact as they are
            value = backends.load(self.backend).asarray(value, self.dtype)
        return value

    def numpy(self) -> np.ndarray:
        """The value as a NumPy array of the caller's own, copied to the host where it lies on a GPU."""
        return np.array(backends.load(self.backend).to_host(self._value()))

    def item(self) -> Any:
        """The value of a tensor with one element, as a Python number. Raises BadValue for any other."""
        return self._single("item()")

    def _single(self, what: str, instead: str = "") -> Any:
        if self.size != 1:
            raise BadValue(f"{what} is for a tensor with one element, this one has shape {self.shape}{instead}")
        return self._value().reshape(()).item()

    def __float__(self) -> float:
        return float(self._single("float()"))

    def __int__(self) -> int:
        return int(self._single("int()"))

    def __bool__(self) -> bool:
        return bool(self._single("true or false", "; where(x, a, b) chooses element by element"))

    def __format__(self, spec: str) -> str:
        """As a number where a format is given, as in f"{loss:.3f}"."""
        return format(self.item(), spec) if spec else str(self)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self.backend != "numpy":
            raise BadType("this tensor lies on the GPU and is not moved without being asked to; take x.numpy()")
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    def __reduce__(self) -> Any:
        """Copies and pickles are of the values: a graph is not copied."""
        return Tensor, (self.numpy(), self.requires_grad)

    def __dlpack__(self, **options: Any) -> Any:
        return self._value().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._value().__dlpack_device__()

    @property
    def __cuda_array_interface__(self) -> Any:
        """What lets other libraries read the value where it lies on the GPU; absent on NumPy."""
        if self.backend == "numpy":
            raise AttributeError("this tensor lies in the host's memory")
        return self._value().__cuda_array_interface__

    def detach(self) -> Tensor:
        """The same values, without a graph."""
        return Tensor(self._value())

    # -- gradients ---------------------------------------------------------------------------------

    def backward(self, gradient: Any = None) -> None:
        """Add d(self)/d(leaf) to `.grad` of every leaf with requires_grad.

        gradient: the adjoint of self, 1 by default; needed where self is not a scalar. Raises BadValue where it lacks
        or has another shape, and where no leaf has requires_grad.
        """
        _check_scalar(self, gradient)
        leaves = [t for node in walk([self.node]) if node.op == "data"
                  for t in [_owner(node)] if t is not None and t.requires_grad]
        if not leaves:
            lost = "; those that had it are gone, as after a = a - rate * a.grad: write a = tr.Tensor(a - rate * " \
                   "a.grad, requires_grad=True)" if self.requires_grad else ""
            raise BadValue("no tensor under this one has requires_grad=True, so there is nothing to differentiate"
                           f"{lost}")
        for leaf, g in zip(leaves, grad(self, leaves, gradient), strict=True):
            total = g._value() if leaf.grad is None else leaf.grad._value() + g._value()
            leaf.grad = Tensor(total, dtype=leaf.dtype)

    def draw(self, path: str | os.PathLike[str], **options: Any) -> Path:
        """Draw the graph of operations, with shapes; `scope` names parts of it. Options as of `viz.op_graph`."""
        options.setdefault("scopes", scopes_of(walk([self.node])))
        return viz().op_graph([self.node], path, **options)


@overload
def grad(of: Tensor, wrt: Tensor, gradient: Any = None) -> Tensor: ...


@overload
def grad(of: Tensor, wrt: Sequence[Tensor], gradient: Any = None) -> list[Tensor]: ...


def grad(of: Tensor, wrt: Sequence[Tensor] | Tensor, gradient: Any = None) -> Tensor | list[Tensor]:
    """d(of)/d(each of wrt), as tensors that can be differentiated again; of one tensor, one.

    Raises BadValue where `of` is not a scalar and no `gradient`, its adjoint, is given, or one of another shape;
    BadType for what is no tensor, or one of whole numbers or truth values.
    """
    if isinstance(wrt, Tensor):
        return grad(of, [wrt], gradient)[0]
    if not isinstance(of, Tensor):
        raise BadType(f"a gradient is of a tensor, not {of!r:.80}")
    if not isinstance(wrt, Sequence) or not all(isinstance(t, Tensor) for t in wrt):
        raise BadType(f"grad is with respect to a tensor or a list of them, not {wrt!r:.80}")
    _check_scalar(of, gradient)
    check_operands("grad", [of, *wrt, gradient])
    seed = ONE if gradient is None else (gradient if isinstance(gradient, Tensor) else Tensor(gradient)).node
    if seed is not ONE and seed.shape != of.shape:
        raise BadValue(f"gradient has shape {seed.shape}, the tensor {of.shape}")
    for t in wrt:
        if t.node.dtype.startswith(("int", "bool")):
            raise BadType(f"only floating-point tensors have gradients, not {t.dtype}")
    new = stable([of.node], kept={t.node for t in wrt})
    root, targets = new[of.node], [new.get(t.node, t.node) for t in wrt]
    active, sought = set[Node](), set(targets)
    for node in walk([root]):
        if node in sought or any(a in active for a in node.args):
            active.add(node)
    adjoint = backward(root, seed, active) if root in active else {}
    wants = any(t.requires_grad for t in wrt)
    return [Tensor.of_node(_as_like(adjoint[node], node), wants) if node in adjoint
            else Tensor(backends.current().xp.zeros(node.shape, t.dtype)) for t, node in zip(wrt, targets, strict=True)]


def as_operand(x: Any) -> Any:
    """x, a tensor or an expression; the tensor of anything else."""
    return x if isinstance(x, Operators) else Tensor(x)


def _as_like(g: Node, like: Node) -> Node:
    """g with like's shape, and its dtype where g came from numbers only."""
    return g * apply("ones_like", like) if g.shape != like.shape or g.dtype == "weak" else g


def _check_scalar(of: Tensor, gradient: Any) -> None:
    if of.shape != () and gradient is None:
        raise BadValue(f"a gradient is of a single number, and this tensor has shape {of.shape}; take its sum or mean, "
                       "or give gradient=")


def _owner(node: Node) -> Tensor | None:
    return node.attr("name").tensor()


def _to_array(data: Any, dtype: Any, what: str) -> Any:
    """A copy of data, which were given as `what`, on the backend in use, in a dtype that tensors have."""
    if isinstance(data, Tensor) and data.backend == backends.backend():
        data = data._value()
    array = entering(what, data)
    goal = taken(array.dtype, hasattr(data, "dtype")) if dtype is None else named(dtype)
    held = f"{', '.join(DTYPES[:-1])} or {DTYPES[-1]}"
    if array.dtype.kind not in "biuf":
        raise BadType(f"{what} {no_numbers(array)}; a tensor holds {held}")
    if goal not in DTYPES:
        raise BadType(f"a tensor holds {held}, not {goal}")
    if array.dtype.kind == "u" and array.size and goal in WHOLE and int(array.max()) > np.iinfo(goal).max:
        raise BadValue(f"{int(array.max())} is too large for {goal}")
    return backends.current().xp.array(array, goal)


def check_operands(op: str, args: Sequence[Any]) -> None:
    """Raise where something is given that another backend made, or where NumPy's arrays meet what lies on the GPU."""
    here = backends.backend()
    for k, a in enumerate(args):
        if isinstance(a, Operators) and not isinstance(a, Tensor):
            raise BadType(f"{op} is given a tensor and a quantity of a model, which is no array before the model runs; "
                          "give the array as an input, or as a weight")
        if not isinstance(a, Tensor):
            check_place(f"operand {k + 1} of {op}", a)
        elif a.backend != here:
            raise BadType(f"{op} is given {described(a)}, and the backend in use is {here}; make it anew with "
                          f'tr.Tensor(tr.asarray(x)), or go back with tr.use_backend("{a.backend}")')
    if here == "numpy":
        return
    host = next((a for a in args if isinstance(a, np.ndarray)), None)
    device = next((a for a in args if on_device(a)), None)
    if host is not None and device is not None:
        raise BadType(f"{op} is given {described(device)} and {described(host)}, and nothing is moved without being "
                      "asked to; take tr.asarray(x) of the second")


def _dropout(x: Any, rate: Any, shared: Any = None, seed: Any = None) -> Tensor:
    if shared is not None:
        raise BadValue("shared= names an index of a model, and tensors have none")
    x, rate = as_operand(x), check_rate(rate)
    kept = np.random.default_rng(None if seed is None else whole("seed", seed, at_least=0)).random(x.shape) >= rate
    return x * Tensor((kept / (1 - rate)).astype(floating(x.dtype)))
