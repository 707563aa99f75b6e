"""Leaves (references, constants, arrays, positions, counts, draws) and the rows that know one-hot vectors."""

from __future__ import annotations

from typing import Any

from ..errors import BadValue
from ..node import Node
from ..shapes import Cell, Solver, signature, unrelated
from .table import REQUIRED, Do, Op, f, register


def reached(index: str) -> Node:
    """Does the example reach the position of an index, which then is no padding?"""
    return f.less_equal(f.position(index=index), f.last(index=index))


def _one_hot_shape(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    """A scalar class becomes a vector; what is a one-hot vector already stays (but integer `codes`)."""
    size, (a,) = attrs["size"], args
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise BadValue(f"one_hot needs a whole number of classes, at least 1, not {size!r}")
    if a.rank is None and (u.guess or out.rank == 0):
        u.rank(a, 1)
    if a.dims is not None:
        u.rank(out, len(a.dims) + (not a.dims or attrs["codes"]))
        for x, y in zip(a.dims, out.dims or (), strict=False):
            u.equal(x, y)
    if out.dims:
        u.size(out.dims[-1], size)


def _one_hot(do: Do, out: Any, a: Any, lead: int, ranks: tuple[int, ...], size: int, codes: bool) -> None:
    if ranks[0] == ranks[1]:
        do(do.xp.copyto, out, a)
        return
    axis = lead + ranks[0] - 1
    classes = do.temp(tuple(size if k == axis else 1 for k in range(out.ndim)), "int64")
    classes[...] = do.xp.arange(size).reshape(classes.shape)
    hit = do.temp(out.shape, bool)
    do(do.xp.equal, do.xp.expand_dims(a, axis), classes, hit)
    do(do.xp.copyto, out, hit)


def _one_hot_vjp(g: Node, y: Node, a: Node, size: int, codes: bool) -> Node | None:
    return g if a.rank == y.rank else None


def _embed_left(g: Node, y: Node, table: Node, i: Node) -> Node:
    return f.outer(f.one_hot(i, size=table.shape[0]), g)


def _embed_right(g: Node, y: Node, table: Node, i: Node) -> Node | None:
    """A one-hot vector has an adjoint, an integer has none."""
    return table @ g if i.rank else None


def leaf(name: str, latex: str, why: str, *required: str, symbol: str = "", **optional: Any) -> Op:
    """A row without arguments that have adjoints; `why` says so."""
    params = dict.fromkeys(required, REQUIRED) | optional
    return Op(name, "leaf", unrelated, (), None, arity=0, params=params, symbol=symbol or name, latex=latex,
              no_gradient=why)


register(
    leaf("ref", "{name}", "a name's adjoint is an equation of its own", "name", "slots", batch=False),
    leaf("const", "{value}", "constant", "value"),
    leaf("data", "{name}", "the front end keeps its adjoint", "name"),
    leaf("position", "{index}", "an integer", "index"),
    leaf("last", "{index}", "an integer", "index"),
    leaf("count", r"\text{{count}}_{{{over}}}", "an integer", "over", symbol="#"),
    leaf("dropout_mask", r"\text{{Bernoulli}}({kept}) / {kept}", "no gradient passes a draw", "rate",
         symbol="mask", shared=None, key="", at=()),
    Op("one_hot", "feature", _one_hot_shape, (_one_hot_vjp,), _one_hot, params={"size": REQUIRED, "codes": False},
       latex=r"\text{{onehot}}{0}", no_gradient="classes are integers; what is a vector already passes"),
    Op("embed", "contract", signature("(v,d),(v)->(d)", "(v,d),()->(d)"),
       (_embed_left, _embed_right), None, arity=2,
       labels=lambda ranks, **_: (["vd", "v"], "d"), latex=r"{0}_{{{1}}}"),
)


def check_rate(rate: Any, node: Node | None = None) -> float:
    """A dropout rate in [0, 1)."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1:
        raise BadValue(f"a dropout rate lies in [0, 1), not {rate!r}", node)
    return float(rate)
