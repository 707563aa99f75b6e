"""Rows that reduce, normalise or accumulate, over feature axes (`axis=`) or named indices (`over=`)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection
from typing import Any

from ..errors import BadValue
from ..node import BATCH, Node, ordered
from ..shapes import along_axis, axes_of, normal_axis, reduction, signature
from .elementwise import least
from .positional import reached
from .table import Do, Op, f, keep, register, with_out


def _reduce_canon(args: tuple[Node, ...], over: Any, axis: Any) -> dict[str, Any]:
    """A bare reduction covers everything; axes are counted from the front."""
    (a,) = args
    if over is None and axis is None:
        return {"over": a.indices, "axis": tuple(range(a.rank))}
    axes = [normal_axis(k, a.rank) for k in axes_of(axis)]
    if len(set(axes)) < len(axes):
        raise BadValue(f"axis={axis} names an axis twice", a)
    return {"over": ordered(over or ()), "axis": tuple(sorted(axes))}


def _along_canon(args: tuple[Node, ...], over: Any, axis: Any, **rest: Any) -> dict[str, Any]:
    """Over a named index, or along one feature axis, the last by default."""
    a = args[0]
    if over:
        missing = [i for i in over if i not in a.indices]
        if missing:
            raise BadValue(f"over={missing[0]}: the value has no index {missing[0]}", a)
        if "reverse" in rest and (len(over) > 1 or BATCH in over):
            raise BadValue(f"a cumulative sum runs along one index, in order, not over ({', '.join(over)})", a)
        return {"over": ordered(over), "axis": None, **rest}
    if a.rank == 0:
        raise BadValue("a scalar has no feature axis to work along; name an index with over=", a)
    return {"over": (), "axis": normal_axis(-1 if axis is None else axis, a.rank), **rest}


def _of_some(canon: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """`canon` of a row that looks for a largest number, and so needs one."""

    @functools.wraps(canon)
    def checked(args: tuple[Node, ...], **attrs: Any) -> dict[str, Any]:
        own = canon(args, **attrs)
        axis = own["axis"]
        if any(args[0].shape[k] == 0 for k in axes_of(axis)):
            raise BadValue(f"a value of shape {args[0].shape} has no largest number along axis {axis}", args[0])
        return own

    return checked


def counted(a: Node, over: tuple[str, ...], static: Collection[str] = ()) -> Node:
    """How many valid positions a mean of a has: over the batch, at each position the examples that reach it. static:
    indices whose positions every example reaches."""
    own = [i for i in ordered({*a.indices, *over}) if i != BATCH and i not in static]
    if BATCH not in over or set(own) <= set(over):
        return f.count(over=over)
    each = [f.where(reached(i), 1.0, 0.0) for i in own]
    return f.sum(functools.reduce(f.multiply, each), over=over, axis=())


def total(x: Node, over: tuple[str, ...], axis: Any) -> Node:
    """sum(x) over the same axes as another row, spread again over x's shape."""
    return keep(f.sum(x, over=over, axis=axes_of(axis)), x, axis)


def _sum(do: Do, out: Any, a: Any, axes: tuple[int, ...]) -> None:
    do(do.xp.sum, a, axes, None, out)


def _mean(do: Do, out: Any, a: Any, axes: tuple[int, ...]) -> None:
    do(do.xp.mean, a, axes, None, out)


def _max(do: Do, out: Any, a: Any, axes: tuple[int, ...]) -> None:
    do(do.xp.max, a, axes, out)


def _kept(a: Any, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if k in axes else s for k, s in enumerate(a.shape))


def _logsumexp(do: Do, out: Any, a: Any, axes: tuple[int, ...]) -> None:
    top, e = do.temp(_kept(a, axes), out.dtype), do.temp(a.shape, out.dtype)
    _finite_max(do, a, axes, top)
    do(with_out(do.xp.minimum), top, float(do.xp.finfo(top.dtype).max), top)  # inf stays inf
    do(do.xp.subtract, a, top, e)
    do(do.xp.exp, e, e)
    do(do.xp.sum, e, axes, None, out)
    do(do.xp.log, out, out)
    do(do.xp.add, out, top.reshape(out.shape), out)


def _finite_max(do: Do, a: Any, axes: tuple[int, ...], top: Any) -> None:
    """The maximum, or the lowest finite number where all are -inf, so that no inf - inf arises."""
    do(do.xp.max, a, axes, top, True)
    do(with_out(do.xp.maximum), top, float(do.xp.finfo(top.dtype).min), top)


def _softmax(do: Do, out: Any, a: Any, axes: tuple[int, ...]) -> None:
    top, part = (do.temp(_kept(a, axes), out.dtype) for _ in range(2))  # apart, so that a sum is done where it is made
    _finite_max(do, a, axes, top)
    do(do.xp.subtract, a, top, out)
    do(do.xp.exp, out, out)
    do(do.xp.sum, out, axes, None, part, True)
    do(with_out(do.xp.maximum), part, float(do.xp.finfo(out.dtype).tiny), part)  # where all are -inf, all are 0
    do(do.xp.divide, out, part, out)


def _log_softmax(do: Do, out: Any, a: Any, axes: tuple[int, ...]) -> None:
    top, part = (do.temp(_kept(a, axes), out.dtype) for _ in range(2))
    e = do.temp(a.shape, out.dtype)
    _finite_max(do, a, axes, top)
    do(do.xp.subtract, a, top, out)
    do(do.xp.exp, out, e)
    do(do.xp.sum, e, axes, None, part, True)
    do(do.xp.log, part, part)
    do(do.xp.subtract, out, part, out)


def _cumsum(do: Do, out: Any, a: Any, axes: tuple[int, ...], reverse: bool) -> None:
    (axis,) = axes
    back = tuple(slice(None, None, -1) if k == axis and reverse else slice(None) for k in range(a.ndim))
    do(do.xp.cumsum, a[back], axis, None, out[back])


def _layer_norm(do: Do, out: Any, a: Any, axes: tuple[int, ...], eps: float) -> None:
    part, square = do.temp(_kept(a, axes), out.dtype), do.temp(a.shape, out.dtype)
    do(do.xp.mean, a, axes, None, part, True)
    do(do.xp.subtract, a, part, out)
    do(do.xp.multiply, out, out, square)
    _reciprocal_std(do, square, axes, eps, part)
    do(do.xp.multiply, out, part, out)


def _reciprocal_std(do: Do, square: Any, axes: tuple[int, ...], eps: float, part: Any) -> None:
    do(do.xp.mean, square, axes, None, part, True)
    do(do.xp.add, part, eps, part)
    do(do.xp.sqrt, part, part)
    do(do.xp.divide, 1.0, part, part)


def _rstd(do: Do, out: Any, a: Any, axes: tuple[int, ...], eps: float) -> None:
    part, square = do.temp(_kept(a, axes), out.dtype), do.temp(a.shape, out.dtype)
    do(do.xp.mean, a, axes, None, part, True)
    do(do.xp.subtract, a, part, square)
    do(do.xp.multiply, square, square, square)
    _reciprocal_std(do, square, axes, eps, part)
    do(do.xp.copyto, out, part.reshape(out.shape))


def _norm_canon(args: tuple[Node, ...], axis: int, eps: float) -> dict[str, Any]:
    return {"axis": _along_canon(args, None, axis)["axis"], "eps": eps}


def _rstd_canon(args: tuple[Node, ...], axis: Any, eps: float) -> dict[str, Any]:
    axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
    return {"axis": (normal_axis(axis, args[0].rank),), "eps": eps}


def _layer_norm_vjp(g: Node, y: Node, z: Node, axis: int, eps: float) -> Node:
    size = z.shape[axis]
    centred = g - total(g, (), axis) / size - y * (total(g * y, (), axis) / size)
    return centred * keep(f.rstd(z, axis=axis, eps=eps), z, axis)


def _cross_entropy(do: Do, out: Any, p: Any, k: Any, axes: tuple[int, ...]) -> None:
    """-sum k log p, where 0 log 0 is 0."""
    e = do.temp(p.shape, out.dtype)
    do(with_out(do.xp.maximum), p, float(do.xp.finfo(out.dtype).tiny), e)
    do(do.xp.log, e, e)
    do(do.xp.multiply, e, k, e)
    do(do.xp.sum, e, axes, None, out)
    do(do.xp.negative, out, out)


def _softmax_cross_entropy(do: Do, out: Any, z: Any, k: Any, axes: tuple[int, ...]) -> None:
    """-sum k log_softmax(z)."""
    e = do.temp(z.shape, out.dtype)
    _log_softmax(do, e, z, axes)
    do(do.xp.multiply, e, k, e)
    do(do.xp.sum, e, axes, None, out)
    do(do.xp.negative, out, out)


def _last(x: Node) -> int:
    return x.rank - 1


OVER = {"over": None, "axis": None}
REDUCING = ("sum", "mean", "max", "logsumexp")  # what reduces everything where it says nothing else
CLASSES = signature("(...,k),(...,k)->(...)")


def reducer(name: str, vjp: Any, array: Any, **more: Any) -> Op:
    """A row that reduces over indices and feature axes."""
    more.setdefault("canon", _reduce_canon)
    return Op(name, "axes", reduction, (vjp,), array, params=dict(OVER), **more)


def along(name: str, vjp: Any, array: Any, params: Any = None, **more: Any) -> Op:
    """A row that works along an index or a feature axis and keeps the shape."""
    more = {"shape": along_axis, "canon": _along_canon, **more}
    return Op(name, "axes", vjp=(vjp,), array=array, params=dict(OVER, **(params or {})), **more)


def _max_vjp(g: Node, y: Node, a: Node, over: tuple[str, ...], axis: tuple[int, ...]) -> Node:
    """Ties share the gradient."""
    top = f.where(f.equal(a, keep(y, a, axis)), 1.0, f.zeros_like(a))
    return keep(g, a, axis) * (top / total(top, over, axis))


def _logsumexp_vjp(g: Node, y: Node, a: Node, over: tuple[str, ...], axis: tuple[int, ...]) -> Node:
    """softmax(a), which is 0 where all are -inf: there the value is log 0, however they change a little."""
    if len(axis) + bool(over) == 1:
        return keep(g, a, axis) * f.softmax(a, over=over or None, axis=axis[0] if axis else None)
    return keep(g, a, axis) * f.exp(a - keep(f.where(f.equal(y, -math.inf), 0.0, y), a, axis))


register(
    reducer("sum", lambda g, y, a, over, axis: keep(g, a, axis), _sum, dtype="any",
            symbol="Σ", latex=r"\sum{0}"),
    reducer("mean", lambda g, y, a, over, axis: keep(
        g / (float(math.prod(a.shape[k] for k in axis)) * counted(a, over) if over
             else math.prod(a.shape[k] for k in axis)), a, axis), _mean,
        symbol="mean", latex=r"\text{{mean}}{0}"),
    reducer("max", _max_vjp, _max, dtype="any", canon=_of_some(_reduce_canon), symbol="max", latex=r"\max{0}"),
    reducer("logsumexp", _logsumexp_vjp, _logsumexp, canon=_of_some(_reduce_canon),
            symbol="log Σ exp", latex=r"\log \sum e^{{{0}}}"),
    along("softmax", lambda g, y, a, over, axis: y * (g - total(g * y, over, axis)), _softmax,
          canon=_of_some(_along_canon), latex=r"\text{{softmax}}{0}"),
    along("log_softmax", lambda g, y, a, over, axis: g - f.exp(y) * total(g, over, axis), _log_softmax,
          canon=_of_some(_along_canon), latex=r"\log \text{{softmax}}{0}"),
    along("cumsum", lambda g, y, a, over, axis, reverse: f.cumsum(
        g, over=over or None, axis=axis, reverse=not reverse), _cumsum, {"reverse": False},
        symbol="cumsum", latex=r"\text{{cumsum}}{0}", dtype="any"),
    Op("layer_norm", "axes", along_axis, (_layer_norm_vjp,), _layer_norm, params={"axis": -1, "eps": 1e-5},
       canon=_norm_canon, symbol="norm", latex=r"\text{{LN}}{0}"),
    Op("rstd", "axes", reduction, (lambda g, y, z, axis, eps: keep(-(g * y**2) / z.shape[axis[0]], z, axis)
                                   * f.layer_norm(z, axis=axis[0], eps=eps),), _rstd,
       params={"axis": -1, "eps": 1e-5}, canon=_rstd_canon, symbol="1/std", latex=r"\frac{{1}}{{\text{{std}}{0}}}"),
    Op("cross_entropy", "axes", CLASSES,
       (lambda g, y, p, k: -(keep(g, p, _last(p)) * k / f.maximum(p, least(y))),
        lambda g, y, p, k: -(keep(g, p, _last(p)) * f.log(f.maximum(p, least(y))))),
       _cross_entropy, arity=2, symbol="CE", latex=r"\text{{CE}}{call}"),
    Op("softmax_cross_entropy", "axes", CLASSES,
       (lambda g, y, z, k: keep(g, z, _last(z)) * (f.softmax(z) * total(k, (), _last(k)) - k),
        lambda g, y, z, k: -(keep(g, z, _last(z)) * f.log_softmax(z))),
       _softmax_cross_entropy, arity=2, symbol="CE∘softmax",
       latex=r"\text{{CE}}(\text{{softmax}}{0}, {1})"),
)
