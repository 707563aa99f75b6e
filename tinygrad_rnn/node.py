"""The one node type: frozen, structurally shared, with or without a type.

A node is an operation on other nodes. Its value has named indices (`t`, `s`, the batch `n`), aligned by
name, and after them positional feature axes. A leaf is a constant, an array, or a reference to a named
quantity whose slots carry integer shifts; cycles pass through names only, so an expression is acyclic.
Equal subgraphs are one object: `is` compares graphs.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from .attributes import OF_QUANTITIES, Advised
from .errors import BadType
from .forks import held_over

BATCH = "n"


class Type(NamedTuple):
    """What a value is: its named indices (sorted, the batch last), its feature shape, its dtype."""

    indices: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str

    @property
    def rank(self) -> int:
        """The number of feature axes."""
        return len(self.shape)


WEAK = Type((), (), "weak")  # of a number that follows the dtype of what it meets


def ordered(indices: Iterable[str]) -> tuple[str, ...]:
    """Indices in their canonical order: by name, the batch last."""
    return tuple(sorted(set(indices), key=lambda i: (i == BATCH, i)))


class At(NamedTuple):
    """One slot of a reference or of a left side: `t-1` is free, `0` is first, `T+1` is last.

    index: the index's name where free; of a `last` slot the index whose capital was written.
    """

    anchor: str  # "free", "first" or "last"
    index: str  # type: ignore[assignment]  # tuple.index is of no use here
    offset: int

    def __str__(self) -> str:
        base = {"free": self.index, "first": "", "last": self.index.upper()}[self.anchor]
        if not base:
            return str(self.offset)
        return base if self.offset == 0 else f"{base}{self.offset:+d}"

    def moved(self, by: int) -> At:
        """The slot so many positions on."""
        return self._replace(offset=self.offset + by)


def placed(name: str, slots: Sequence[At | str]) -> str:
    """A name at a position, as it is written: h[t-1,s]."""
    return f"{name}[{','.join(map(str, slots))}]" if slots else name


def free(index: str) -> At:
    """The slot of an index."""
    return At("free", index, 0)


class Operators(Advised):
    """Python's operators, written once for nodes and tensors; `_apply` builds the result."""

    __slots__ = ()

    _apply: Callable[..., Any]
    _elsewhere = OF_QUANTITIES

    def __add__(self, other: Any) -> Any: return self._apply("add", self, other)
    def __radd__(self, other: Any) -> Any: return self._apply("add", other, self)
    def __sub__(self, other: Any) -> Any: return self._apply("subtract", self, other)
    def __rsub__(self, other: Any) -> Any: return self._apply("subtract", other, self)
    def __mul__(self, other: Any) -> Any: return self._apply("multiply", self, other)
    def __rmul__(self, other: Any) -> Any: return self._apply("multiply", other, self)
    def __truediv__(self, other: Any) -> Any: return self._apply("divide", self, other)
    def __rtruediv__(self, other: Any) -> Any: return self._apply("divide", other, self)
    def __pow__(self, other: Any) -> Any: return self._apply("power", self, other)
    def __rpow__(self, other: Any) -> Any: return self._apply("power", other, self)
    def __matmul__(self, other: Any) -> Any: return self._apply("matmul", self, other)
    def __rmatmul__(self, other: Any) -> Any: return self._apply("matmul", other, self)
    def __neg__(self) -> Any: return self._apply("negative", self)
    def __pos__(self) -> Any: return self
    def __abs__(self) -> Any: return self._apply("abs", self)
    def __lt__(self, other: Any) -> Any: return self._apply("less", self, other)
    def __le__(self, other: Any) -> Any: return self._apply("less_equal", self, other)
    def __gt__(self, other: Any) -> Any: return self._apply("greater", self, other)
    def __ge__(self, other: Any) -> Any: return self._apply("greater_equal", self, other)
    def __and__(self, other: Any) -> Any: return self._apply("logical_and", self, other)
    def __rand__(self, other: Any) -> Any: return self._apply("logical_and", other, self)
    def __or__(self, other: Any) -> Any: return self._apply("logical_or", self, other)
    def __ror__(self, other: Any) -> Any: return self._apply("logical_or", other, self)
    def __invert__(self) -> Any: return self._apply("logical_not", self)

    def __mod__(self, other: Any) -> NoReturn: _refuse("%", "the remainder is a - b * floor(a / b)")
    def __floordiv__(self, other: Any) -> NoReturn: _refuse("//", "the quotient is floor(a / b)")
    def __divmod__(self, other: Any) -> NoReturn: _refuse("divmod", "the quotient is floor(a / b)")
    def __xor__(self, other: Any) -> NoReturn: _refuse("^", "a power is a ** b, one of two truth values a != b")
    def __lshift__(self, other: Any) -> NoReturn: _refuse("<<", "it is a * 2 ** b")
    def __rshift__(self, other: Any) -> NoReturn: _refuse(">>", "it is floor(a / 2 ** b)")
    __rmod__, __rfloordiv__, __rdivmod__ = __mod__, __floordiv__, __divmod__
    __rxor__, __rlshift__, __rrshift__ = __xor__, __lshift__, __rshift__

    def __float__(self) -> float:
        raise BadType("a quantity has no value before its model runs; functions of it are tinygrad_rnn's, as tr.tanh")

    def _instead_of(self, name: str) -> str:
        """What there is in place of an attribute."""
        from .notation.functions import FUNCTIONS

        if name in FUNCTIONS and name not in self._elsewhere:
            return f"; tr.{name}(x) is a function"
        return super()._instead_of(name)

    def __array_ufunc__(self, function: Any, method: str, *args: Any, **options: Any) -> Any:
        return from_numpy(function, method, args, options)

    def __array_function__(self, function: Any, types: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        return from_numpy(function, "__call__", args, options)


def from_numpy(function: Any, method: str, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """What NumPy was asked to compute of quantities or tensors: np.float32(2) * x[t], np.tanh(x)."""
    from .notation.from_numpy import from_numpy

    return from_numpy(function, method, args, options)


def _refuse(sign: str, instead: str) -> NoReturn:
    raise BadType(f"there is no {sign} of quantities and tensors; {instead}")


_SHARED: weakref.WeakValueDictionary[Hashable, Node] = weakref.WeakValueDictionary()
_TURN = held_over(threading.RLock())


class Node(Operators):
    """op(args; attrs), frozen and shared. `type` is None until sizes are known."""

    __slots__ = ("__weakref__", "args", "attrs", "op", "type")
    op: str
    args: tuple[Node, ...]
    attrs: tuple[tuple[str, Any], ...]
    type: Type | None

    def __new__(cls, op: str, args: tuple[Node, ...] = (), attrs: Any = (), type: Type | None = None) -> Node:
        attrs = tuple(sorted(dict(attrs).items())) if attrs else ()
        # Constants 1, 1.0 and True are equal in Python and must not be one node, nor 0.0 and -0.0.
        key = (op, tuple(map(id, args)), repr(attrs) if op == "const" else attrs, type)
        found = _SHARED.get(key)
        if found is not None:
            return found
        node = object.__new__(cls)
        for name, value in (("op", op), ("args", args), ("attrs", attrs), ("type", type)):
            object.__setattr__(node, name, value)
        with _TURN:  # of threads that build the same at once one has the node that all get
            return _SHARED.setdefault(key, node)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a node is frozen")

    def __reduce__(self) -> Any:
        return Node, (self.op, self.args, self.attrs, self.type)

    def __repr__(self) -> str:
        from .printing.printer import brief

        return brief(self)

    def __bool__(self) -> bool:
        raise BadType("an expression has no truth value; write where(condition, a, b)")

    def __iter__(self) -> Any:
        raise BadType("an expression has no elements to go through; sum(q[t], axis=...) reduces it, q[t][0] is one")

    def __contains__(self, value: object) -> bool:
        raise BadType("an expression is not searched; sum(equal(q[t], value), axis=...) counts")

    def attr(self, name: str) -> Any:
        """One attribute by name."""
        for key, value in self.attrs:
            if key == name:
                return value
        raise KeyError(name)

    def _apply(self, op: str, *args: Any, **attrs: Any) -> Any:
        from .ops import apply

        return apply(op, *without_truth(args), **attrs)

    def __getitem__(self, key: Any) -> Any:
        from .ops.feature_parts import sliced

        return sliced(self, key)

    @property
    def indices(self) -> tuple[str, ...]:
        """The named indices of a typed node."""
        return self._typed().indices

    @property
    def shape(self) -> tuple[int, ...]:
        """The feature shape of a typed node."""
        return self._typed().shape

    @property
    def dtype(self) -> str:
        """The dtype of a typed node."""
        return self._typed().dtype

    @property
    def rank(self) -> int:
        """The number of feature axes of a typed node."""
        return len(self._typed().shape)

    def _typed(self) -> Type:
        if self.type is None:
            raise BadType("an expression of a model has no shape and no values outside of its model; run the model")
        return self.type


def without_truth(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Operands, of which none is true or false: in Python `t == T` compares objects, and is never a condition."""
    for a in args:
        if isinstance(a, bool):
            raise BadType(f"{a} is no quantity; == between quantities is written tr.equal(a, b) in Python, != "
                          "tr.not_equal(a, b), and both are read in texts")
    return args


def ref(name: str, slots: tuple[At, ...] = (), type: Type | None = None, batch: bool = False) -> Node:
    """A reference to a named quantity; `batch` marks `img[n]`, one value per example."""
    return Node("ref", (), (("name", name), ("slots", slots), ("batch", batch)), type)


def const(value: float | bool, type: Type | None = None) -> Node:
    """A constant."""
    return Node("const", (), (("value", value),), type)


def number(value: float) -> Node:
    """A constant that follows the dtype of what it meets."""
    return const(float(value), WEAK)


def walk(roots: Iterable[Node]) -> Iterator[Node]:
    """Every node under roots once, arguments before their users; iterative."""
    seen: set[Node] = set()
    stack: list[Node | None] = list(roots)
    stack.reverse()
    while stack:
        node = stack.pop()
        if node is None:  # the arguments of what lies below have been done
            yield stack.pop()  # type: ignore[misc]  # never None
        elif node not in seen:
            seen.add(node)
            args = node.args
            if args:
                stack += (node, None)
                stack += args[::-1]
            else:
                yield node


def rebuild(roots: Iterable[Node], change: Callable[[Node, tuple[Node, ...]], Node]) -> dict[Node, Node]:
    """Map every node under roots bottom-up: change(node, new_args) -> new node; iterative."""
    new: dict[Node, Node] = {}
    for node in walk(roots):
        new[node] = change(node, tuple([new[a] for a in node.args]))
    return new


def rebuilt(root: Node, change: Callable[[Node, tuple[Node, ...]], Node]) -> Node:
    """One root, rebuilt."""
    return rebuild([root], change)[root]


def refs(roots: Iterable[Node]) -> list[Node]:
    """The references under roots, in order of first use."""
    return [node for node in walk(roots) if node.op == "ref"]
