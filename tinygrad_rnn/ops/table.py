"""What a row of the op table is, and how a row becomes a typed node."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from .. import shapes
from ..errors import BadType, BadValue, Error, many, near
from ..node import WEAK, Node, Type, const, number, ordered


class Do(Protocol):
    """Where array code sends its calls: run now (tensors) or recorded into a plan (models)."""

    backend: Any
    xp: Any
    compiled: bool
    matrices: bool

    def __call__(self, fn: Callable[..., Any], *args: Any) -> None: ...

    def temp(self, shape: tuple[int, ...], dtype: Any) -> Any: ...


Kind = tuple[str, Callable[[Any], bool]]  # what a parameter may be, in words and as a test


@dataclass(frozen=True)
class Op:
    """One operation.

    shape: relation between the shapes of arguments and result (see `shapes`).
    vjp: one line per argument, (g, y, *args, **attrs) -> node, with g the adjoint of the result y.
         None stands for "no gradient"; then `no_gradient` says why.
    array: array code, (do, out, *arrays, **attrs); out is preallocated and aliases no argument.
    composed: the same value from simpler rows, (f, *args, **attrs) -> node, of a row without array code.
    takes: what its parameters may be, as in KINDS, where it is not what KINDS says of that name.
    kind: how arguments are laid out for the array code:
          "elementwise": broadcast against the result; "axes": `axes` lists the array axes worked over;
          "contract": a contraction by labels (`labels`); "feature": feature axes start at axis `lead`;
          "leaf": no array code, the executor knows it; "macro": written in other rows before anything is typed.
    params: attribute names with their defaults, in call order after the arguments; REQUIRED has none.
    arity: the number of arguments, None for any.
    """

    name: str
    kind: str
    shape: shapes.Rule
    vjp: tuple[Callable[..., Any] | None, ...] = ()
    array: Callable[..., None] | None = None
    arity: int | None = 1
    params: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float"  # "float", "bool", "first" (as the first argument) or "any" (as the arguments promote)
    symbol: str = ""
    latex: str = ""
    no_gradient: str = ""
    canon: Callable[..., dict[str, Any]] | None = None
    labels: Callable[..., tuple[list[str], str]] | None = None
    composed: Callable[..., Node] | None = None
    takes: dict[str, Kind] = field(default_factory=dict)
    leading: bool = False  # its one required parameter is written before the arguments (einsum)

    def __repr__(self) -> str:
        return f"<op {self.name}>"


@functools.cache
def with_out(fn: Callable[..., Any]) -> Callable[..., Any]:
    """fn(a, b, out), for functions that take out by name only."""

    def call(*args: Any) -> Any:
        return fn(*args[:-1], out=args[-1])

    call.scalar = fn.__name__  # type: ignore[attr-defined]  # what compiled code knows it by
    return call


REQUIRED = object()
MOST = 2**31  # numbers in one value; more is a slip of the pen, not a model
TABLE: dict[str, Op] = {}


def _whole(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)


def _wholes(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(map(_whole, value))


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def pairs(least: int) -> Kind:
    """A whole number for height and width alike, or a pair of them."""

    def fits(value: Any) -> bool:
        each = value if isinstance(value, tuple) and len(value) == 2 else (value,)
        return all(_whole(v) and least <= v <= MOST for v in each)

    return f"a whole number from {least} on, or a pair (height, width) of them,", fits


# What an argument of that name may be; axes are counted and checked by the rows.
KINDS: dict[str, Kind] = {
    "shape": ("a tuple of sizes with at most one -1", lambda v: (_whole(v) and v >= -1) or (
        _wholes(v) and min(v, default=0) >= -1 and v.count(-1) <= 1)),
    "axes": ("a tuple of whole numbers", lambda v: v is None or _wholes(v)),
    "size": (f"a whole number from 0 to {MOST}", lambda v: _whole(v) and 0 <= v <= MOST),
    "at": ("a whole number", _whole),
    "stride": pairs(1),
    "padding": pairs(0),
    "start": ("a whole number", lambda v: v is None or _whole(v)),
    "stop": ("a whole number", lambda v: v is None or _whole(v)),
    "step": ("a whole number other than 0", lambda v: v is None or (_whole(v) and v != 0)),
    **dict.fromkeys(("low", "high"), ("a number", lambda v: _number(v) and not math.isnan(v))),
    "eps": ("a number from 0 on", lambda v: _number(v) and 0 <= v < math.inf),
    **dict.fromkeys(("codes", "reverse"), ("True or False", lambda v: isinstance(v, bool))),
}


def register(*rows: Op) -> None:
    """Add rows to the table."""
    for row in rows:
        assert row.name not in TABLE, row.name
        TABLE[row.name] = row


def apply(name: str, *args: Any, **attrs: Any) -> Node:
    """A node for op `name`; typed if every argument is, and then checked."""
    row = TABLE.get(name)
    if row is None:
        raise BadValue(f"unknown function {name!r}{near(name, TABLE)}")
    nodes = tuple(as_node(a, name) for a in args)
    if row.arity is not None and len(nodes) != row.arity:
        raise BadType(f"{name} takes {many(row.arity, 'argument')}, not {len(nodes)}")
    if row.arity is None and not nodes:
        raise BadType(f"{name} needs at least one argument")
    for key, default in row.params.items():
        if key not in attrs:
            if default is REQUIRED:
                raise BadType(f"{name} needs {key}=")
            attrs[key] = default
    for key in attrs:
        if key not in row.params:
            raise BadType(f"{name} has no argument {key!r}; it takes {', '.join(row.params) or 'none'}")
        kind = row.takes.get(key) or KINDS.get(key)
        if kind is not None and row.kind != "leaf" and not kind[1](attrs[key]):
            raise BadValue(f"{name} takes {kind[0]} as {key}, not {attrs[key]!r:.80}")
    return make(row, nodes, attrs)


def make(row: Op, args: tuple[Node, ...], attrs: dict[str, Any]) -> Node:
    """The node of a row; typed, and then checked, if its arguments are."""
    if any(a.type is None for a in args) or (row.kind == "leaf" and not args):
        return Node(row.name, args, attrs.items(), leaf_type(row, attrs) if row.kind == "leaf" and not args else None)
    if row.dtype in ("float", "any") and row.name != "where":  # truth values count as numbers
        truths = [a.dtype == "bool" or (a.op == "const" and isinstance(a.attr("value"), bool)) for a in args]
        if all(truths) or row.kind in ("contract", "axes"):
            args = tuple(apply("where", a, 1.0, 0.0) if truth else a for a, truth in zip(args, truths, strict=True))
    if row.canon is not None:
        attrs = row.canon(args, **attrs)
    try:
        shape = shapes.infer(row.shape, [a.shape for a in args], attrs)
    except Error as error:
        error.args = (f"{row.name}: {error.args[0]}", *error.args[1:])
        raise
    if math.prod(shape) > MOST:
        raise BadValue(f"{row.name}: a value of shape {shape} is larger than {MOST} numbers")
    indices: set[str] = set().union(*(a.indices for a in args)) if args else set()
    over = attrs.get("over") or ()
    if row.kind != "axes" or row.shape is shapes.reduction:
        indices -= set(over)
    return Node(row.name, args, attrs.items(), Type(ordered(indices), shape, result_dtype(row, args, attrs)))


def leaf_type(row: Op, attrs: dict[str, Any]) -> Type | None:
    """position, last and count know their type from their attributes alone."""
    if row.name == "position":
        return Type((attrs["index"],), (), "weak")
    if row.name in ("last", "count"):
        return Type(() if "n" in attrs.get("over", ()) else ("n",), (), "weak")
    return None


def as_node(value: Any, where: str = "") -> Node:
    """A node for whatever stands in an expression: a node, a number, a name of a model."""
    if isinstance(value, Node):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        value = value.item()
    if isinstance(value, (bool, int, float)):
        try:
            return const(value, WEAK) if isinstance(value, bool) else number(value)
        except OverflowError:
            raise BadValue("a constant is too large for a floating-point number") from None
    as_ref = getattr(value, "as_node", None)  # a model's quantity or index
    if as_ref is not None:
        return as_ref()
    hint = "; an array is given as an input, or as a weight, which wrt= of fit leaves as it is" if hasattr(
        value, "__array__") or isinstance(value, (list, tuple)) else ""
    raise BadType(f"{where or 'an expression'} got a {type(value).__name__} where a quantity or a number is expected"
                  f"{hint}")


RANKING = ("bool", "int32", "int64", "weak", "float32", "float64")


def promote(dtypes: list[str]) -> str:
    """The dtype that holds all; a Python number ("weak") follows the others."""
    strong = [d for d in dtypes if d != "weak"]
    if not strong:
        return "weak"
    top = max(strong, key=_rank)
    return "weak" if top == "bool" and "weak" in dtypes else top


def _rank(dtype: str) -> int:
    return RANKING.index(dtype) if dtype in RANKING else 0


def floating(dtype: str) -> str:
    """The dtype of a function that leaves the integers."""
    if dtype == "bool":
        return "weak"
    return dtype if dtype in ("weak", "float32", "float64") else "float32"


def result_dtype(row: Op, args: tuple[Node, ...], attrs: Mapping[str, Any]) -> str:
    """The dtype of a row's result."""
    dtypes = [a.dtype for a in args]
    if row.dtype == "bool":
        return "bool"
    if row.dtype == "first":
        return dtypes[0]
    values = dtypes[1:] if row.name == "where" else dtypes
    joint = promote(values)
    if joint.startswith("int"):  # 0.5 times an integer is none
        numbers = [a.attr("value") if a.op == "const" else math.nan for a in args if a.dtype == "weak"]
        limits = [v for v in attrs.values() if isinstance(v, float) and not math.isinf(v)]
        joint = joint if all(_fits(float(v), joint) for v in numbers + limits) else "float32"
    return joint if row.dtype == "any" and joint != "bool" else floating(joint)


def _fits(value: float, dtype: str) -> bool:
    """Is value a whole number of that dtype?"""
    return value.is_integer() and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


class _Functions:
    """f.tanh(x) is apply("tanh", x): lets vjp rows read as mathematics."""

    def __getattr__(self, name: str) -> Callable[..., Node]:
        return functools.partial(apply, name)


f = _Functions()


def keep(r: Node, like: Node, axis: Any) -> Node:
    """r, whose feature axes `axis` were reduced, spread again over like's shape; a number goes with any."""
    for k in sorted(shapes.axes_of(axis)) if r.shape else ():
        r = f.expand(r, axis=k, size=like.shape[k])
    return r
