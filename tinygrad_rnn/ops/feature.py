"""Rows that rearrange feature axes: reshape, transpose, expand, concatenate, stack."""

from __future__ import annotations

import math
import operator
from typing import Any

from ..errors import BadValue
from ..node import Node
from ..shapes import Cell, Solver, normal_axis
from .table import REQUIRED, Do, Op, f, register


def at_axis(a: Any, lead: int, axis: int, key: Any) -> tuple[Any, ...]:
    """An index of array a that applies key at feature axis `axis`; the result is a view, even of no axes."""
    return (*(key if k == lead + axis else slice(None) for k in range(a.ndim)), ...)


# -- reshape ---------------------------------------------------------------------------------------


def _reshape_shape(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    shape, (a,) = attrs["shape"], args
    shape = shape if isinstance(shape, (tuple, list)) else (shape,)
    u.rank(out, len(shape))
    for dim, size in zip(out.dims or (), shape, strict=True):
        if size != -1:
            u.size(dim, size)
    sizes = a.sizes()
    if a.dims is None or None in sizes:
        return
    total, rest = math.prod(s for s in sizes if s is not None), math.prod(s for s in shape if s != -1)
    if (-1 not in shape and total != rest) or (-1 in shape and (rest == 0 or total % rest)):
        raise BadValue(f"a value of shape {a} cannot be reshaped to {shape}: {total} numbers do not fit")
    if -1 in shape:
        u.size((out.dims or [])[shape.index(-1)], total // rest)


def _reshape_canon(args: tuple[Node, ...], shape: Any) -> dict[str, Any]:
    shape = tuple(map(operator.index, shape if isinstance(shape, (tuple, list)) else (shape,)))
    if -1 in shape:
        rest = math.prod(s for s in shape if s != -1)
        whole = math.prod(args[0].shape)
        if rest and whole % rest == 0:
            shape = tuple(whole // rest if s == -1 else s for s in shape)
    return {"shape": shape}


def _reshape(do: Do, out: Any, a: Any, lead: int, ranks: tuple[int, ...], shape: tuple[int, ...]) -> None:
    do(do.xp.copyto, out.reshape(a.shape), a)


def _flatten_shape(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    (a,) = args
    u.rank(out, 1)
    if a.rank is None and u.guess:
        u.rank(a, 1)
    total, sizes = (out.dims or [])[0], a.sizes()
    if a.dims is None:
        return
    if None not in sizes:
        u.size(total, math.prod(s for s in sizes if s is not None))
    elif sizes.count(None) == 1 and total.root().size is not None:
        whole, rest = total.root().size, math.prod(s for s in sizes if s is not None)
        if rest == 0 or whole is None or whole % rest:
            raise BadValue(f"a value of shape {a} cannot have {whole} numbers")
        u.size(a.dims[sizes.index(None)], whole // rest)


def _flatten(do: Do, out: Any, a: Any, lead: int, ranks: tuple[int, ...]) -> None:
    do(do.xp.copyto, out.reshape(a.shape), a)


# -- transpose, expand -----------------------------------------------------------------------------


def _transpose_shape(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    (a,), axes = args, attrs["axes"]
    rank = len(axes) if axes is not None else a.rank if a.rank is not None else out.rank
    if rank is None:
        if not u.guess:
            return
        rank = 2
    if a.rank not in (None, rank):
        raise BadValue(f"axes={axes} is not an order of the {a.rank} feature axes")
    u.rank(a, rank)
    u.rank(out, rank)
    axes = tuple(reversed(range(rank))) if axes is None else axes
    if sorted(normal_axis(k, rank) for k in axes) != list(range(rank)):
        raise BadValue(f"axes={axes} is not an order of the {rank} feature axes")
    for k, source in enumerate(axes):
        u.equal((out.dims or [])[k], (a.dims or [])[source])


def _transpose_canon(args: tuple[Node, ...], axes: Any) -> dict[str, Any]:
    rank = args[0].rank
    axes = tuple(reversed(range(rank))) if axes is None else tuple(axes)
    return {"axes": tuple(normal_axis(k, rank) for k in axes)}


def _transpose(do: Do, out: Any, a: Any, lead: int, ranks: tuple[int, ...], axes: tuple[int, ...]) -> None:
    tail = range(lead + len(axes), a.ndim)
    do(do.xp.copyto, out, a.transpose(*range(lead), *(lead + k for k in axes), *tail))


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=lambda k: axes[k]))


def _expand_shape(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    (a,), size, axis = args, attrs["size"], attrs["axis"]
    if a.rank is None and out.rank is not None:
        u.rank(a, out.rank - 1)
    elif a.rank is None and u.numbers and a.undeclared:  # the least of which there is such an axis
        u.rank(a, axis if axis >= 0 else -axis - 1)
    if a.dims is not None:
        u.rank(out, len(a.dims) + 1)
        dims = list(out.dims or [])
        u.size(dims.pop(normal_axis(axis, len(a.dims) + 1)), size)
        for x, y in zip(a.dims, dims, strict=True):
            u.equal(x, y)


def _expand(do: Do, out: Any, a: Any, lead: int, ranks: tuple[int, ...], axis: int, size: int) -> None:
    do(do.xp.copyto, out, do.xp.expand_dims(a, lead + axis))


# -- concat, stack ---------------------------------------------------------------------------------


def _concat_shape(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    rank = next((c.rank for c in [*args, out] if c.rank is not None), 1 if u.guess else None)
    if rank is None:
        return
    axis = normal_axis(attrs["axis"], rank)
    for cell in [*args, out]:
        u.rank(cell, rank)
    for k in range(rank):
        column = [(c.dims or [])[k] for c in args]
        goal = (out.dims or [])[k]
        if k != axis:
            for dim in column:
                u.equal(dim, goal)
            continue
        sizes = [d.root().size for d in column]
        whole = goal.root().size
        if None not in sizes:
            u.size(goal, sum(s for s in sizes if s is not None))
        elif whole is not None and sizes.count(None) == 1:
            rest = whole - sum(s for s in sizes if s is not None)
            if rest < 1:
                raise BadValue(f"sizes disagree: the parts of {whole} that are known leave {rest}")
            u.size(column[sizes.index(None)], rest)


def axis_canon(args: tuple[Node, ...], axis: int, **rest: Any) -> dict[str, Any]:
    """An axis of the first argument, counted from the front."""
    return {"axis": normal_axis(axis, args[0].rank), **rest}


def _axis_canon_out(args: tuple[Node, ...], axis: int, **rest: Any) -> dict[str, Any]:
    return {"axis": normal_axis(axis, args[0].rank + 1), **rest}


def _concat(do: Do, out: Any, *ins: Any, lead: int, ranks: tuple[int, ...], axis: int) -> None:
    start = 0
    for a in ins:
        stop = start + a.shape[lead + axis]
        do(do.xp.copyto, out[at_axis(out, lead, axis, slice(start, stop))], a)
        start = stop


def _concat_vjp(g: Node, y: Node, *args: Node, axis: int) -> list[Node]:
    parts, start = [], 0
    for a in args:
        parts.append(f.slice(g, axis=axis, start=start, stop=start + a.shape[axis]))
        start += a.shape[axis]
    return parts


def _stack_shape(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    for a in args[1:]:
        u.same(args[0], a)
    if u.guess and args[0].rank is None:
        u.rank(args[0], 0)
    _expand_shape(u, args[:1], out, {"axis": attrs["axis"], "size": len(args)})


def _stack(do: Do, out: Any, *ins: Any, lead: int, ranks: tuple[int, ...], axis: int) -> None:
    for k, a in enumerate(ins):
        do(do.xp.copyto, out[at_axis(out, lead, axis, k)], a)


register(
    Op("reshape", "feature", _reshape_shape, (lambda g, y, a, shape: f.reshape(g, shape=a.shape),), _reshape,
       params={"shape": REQUIRED}, dtype="first", canon=_reshape_canon, latex=r"\text{{reshape}}_{{{shape}}}{0}"),
    Op("flatten", "feature", _flatten_shape, (lambda g, y, a: f.reshape(g, shape=a.shape),), _flatten, dtype="first",
       symbol="flat", latex=r"\text{{flatten}}{0}"),
    Op("transpose", "feature", _transpose_shape, (lambda g, y, a, axes: f.transpose(g, axes=_inverse(axes)),),
       _transpose, params={"axes": None}, dtype="first", canon=_transpose_canon, symbol="ᵀ", latex="{transposed}"),
    Op("expand", "feature", _expand_shape, (lambda g, y, a, axis, size: f.sum(g, axis=axis),), _expand,
       params={"axis": REQUIRED, "size": REQUIRED}, dtype="first", canon=_axis_canon_out,
       latex=r"\text{{expand}}{0}"),
    Op("concat", "feature", _concat_shape, (_concat_vjp,), _concat, arity=None, params={"axis": 0}, dtype="any",
       canon=axis_canon, symbol="[;]", latex=r"[{stacked}]"),
    Op("stack", "feature", _stack_shape,
       (lambda g, y, *args, axis: [f.pick(g, axis=axis, at=k) for k in range(len(args))],), _stack, arity=None,
       params={"axis": 0}, dtype="any", canon=_axis_canon_out, latex=r"\text{{stack}}{call}"),
)
