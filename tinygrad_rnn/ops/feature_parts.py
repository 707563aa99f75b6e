"""Rows that take parts of feature axes, and put them back: slices, single positions, arrays of positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import WHOLE
from ..errors import BadType, BadValue
from ..node import Node
from ..shapes import Cell, Solver, normal_axis
from .feature import at_axis, axis_canon
from .table import REQUIRED, Do, Op, f, register

# -- slices ----------------------------------------------------------------------------------------


def _slice_shape(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    (a,) = args
    if a.rank is None and out.rank is not None:
        u.rank(a, out.rank)
    if a.dims is None:
        return
    axis = normal_axis(attrs["axis"], len(a.dims))
    u.rank(out, len(a.dims))
    for k, (x, y) in enumerate(zip(a.dims, out.dims or (), strict=True)):
        size = x.root().size
        if k != axis:
            u.equal(x, y)
        elif size is not None:
            u.size(y, len(range(*slice(attrs["start"], attrs["stop"], attrs["step"]).indices(size))))


def _slice_canon(args: tuple[Node, ...], axis: int, start: Any, stop: Any, step: Any) -> dict[str, Any]:
    (a,) = args
    axis = normal_axis(axis, a.rank)
    for value in (start, stop, step):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise BadValue(f"a slice takes whole numbers, not {value!r}", a)
    if step == 0:
        raise BadValue("a slice's step cannot be 0", a)
    size = a.shape[axis]
    start, stop, _ = slice(start, stop, step).indices(size)
    return {"axis": axis, "start": start, "stop": stop if stop >= 0 else None, "step": _near(step, size) or 1}


def _near(number: int | None, size: int) -> int | None:
    """A border or a step of a slice, no larger than makes a difference: CuPy takes none beyond 64 bits."""
    return None if number is None else max(-size - 1, min(number, size + 1))


def _slice(do: Do, out: Any, a: Any, lead: int, ranks: tuple[int, ...], axis: int, start: Any, stop: Any,
           step: Any) -> None:
    do(do.xp.copyto, out, a[at_axis(a, lead, axis, slice(start, stop, step))])


def _place_shape(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    (a,) = args
    if a.rank is None and out.rank is not None:
        u.rank(a, out.rank)
    if a.dims is not None:
        u.rank(out, len(a.dims))
        axis = normal_axis(attrs["axis"], len(a.dims))
        for k, (x, y) in enumerate(zip(a.dims, out.dims or (), strict=True)):
            if k == axis:
                u.size(y, attrs["size"])
                u.size(x, len(range(*slice(attrs["start"], attrs["stop"], attrs["step"]).indices(attrs["size"]))))
            else:
                u.equal(x, y)


def _place_canon(args: tuple[Node, ...], axis: int, size: int, start: Any, stop: Any, step: Any) -> dict[str, Any]:
    near = {"start": _near(start, size), "stop": _near(stop, size), "step": _near(step, size)}
    return {**axis_canon(args, axis, size=size), **near}


def _place(do: Do, out: Any, a: Any, lead: int, ranks: tuple[int, ...], axis: int, size: int, start: Any, stop: Any,
           step: Any) -> None:
    do(do.xp.copyto, out, 0.0)
    do(do.xp.copyto, out[at_axis(out, lead, axis, slice(start, stop, step))], a)


def _pick_shape(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    (a,), at = args, attrs["at"]
    if a.rank is None and out.rank is not None:
        u.rank(a, out.rank + 1)
    if a.dims is None:
        return
    axis = normal_axis(attrs["axis"], len(a.dims))
    size = a.dims[axis].root().size
    if size is not None and not -size <= at < size:
        raise BadValue(f"position {at} is outside a feature axis of size {size}; positions count from 0")
    u.rank(out, len(a.dims) - 1)
    for x, y in zip([d for k, d in enumerate(a.dims) if k != axis], out.dims or (), strict=True):
        u.equal(x, y)


def _pick_canon(args: tuple[Node, ...], axis: int, at: int) -> dict[str, Any]:
    axis = normal_axis(axis, args[0].rank)
    size = args[0].shape[axis]
    return {"axis": axis, "at": at % size if -size <= at < size else at}


def _pick(do: Do, out: Any, a: Any, lead: int, ranks: tuple[int, ...], axis: int, at: int) -> None:
    do(do.xp.copyto, out, a[at_axis(a, lead, axis, at)])


def _pick_vjp(g: Node, y: Node, a: Node, axis: int, at: int) -> Node:
    return f.place(f.expand(g, axis=axis, size=1), axis=axis, size=a.shape[axis], start=at, stop=at + 1)


def sliced(x: Any, key: Any) -> Any:
    """x[key] as rows: each int picks, each slice slices, in order of axes; `...` needs a known rank."""
    keys = [_plain(k) for k in (key if isinstance(key, tuple) else (key,))]
    if Ellipsis in [k for k in keys if not isinstance(k, slice)]:
        hole = keys.index(Ellipsis)
        keys[hole : hole + 1] = [slice(None)] * (len(x.shape) - len(keys) + 1)
    axis = 0
    for k in keys:
        if isinstance(k, bool) or not isinstance(k, (int, slice)):
            raise BadType(f"a feature axis is indexed by whole numbers and slices, not {k!r}")
        if isinstance(k, int):
            x = x._apply("pick", x, axis=axis, at=k)
            continue
        if k != slice(None):
            x = x._apply("slice", x, axis=axis, start=k.start, stop=k.stop, step=k.step)
        axis += 1
    return x


def _plain(key: Any) -> Any:
    """A key with Python's whole numbers in place of NumPy's."""
    if isinstance(key, slice):
        return slice(*map(_plain, (key.start, key.stop, key.step)))
    return int(key) if isinstance(key, np.integer) else key


# -- gather by integer arrays ----------------------------------------------------------------------


def _take_shape(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    a, i = args
    if a.dims is None or i.dims is None:
        return
    axis = normal_axis(attrs["axis"], len(a.dims))
    dims = [*a.dims[:axis], *i.dims, *a.dims[axis + 1 :]]
    u.rank(out, len(dims))
    for x, y in zip(dims, out.dims or (), strict=True):
        u.equal(x, y)


def _take_canon(args: tuple[Node, ...], axis: int) -> dict[str, Any]:
    if args[1].dtype not in WHOLE:
        raise BadType(f"take needs integer positions, not {args[1].dtype}", args[1])
    return axis_canon(args, axis)


def _take(do: Do, out: Any, a: Any, i: Any, lead: int, ranks: tuple[int, ...], axis: int) -> None:
    do(do.xp.take, a, i, lead + axis, out)


def _scatter_shape(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    g, i = args
    if g.dims is None or i.dims is None:
        return
    axis, size = attrs["axis"], attrs["size"]
    u.rank(out, len(g.dims) - len(i.dims) + 1)
    rest = [*g.dims[:axis], None, *g.dims[axis + len(i.dims) :]]
    for x, y in zip(rest, out.dims or (), strict=True):
        if x is None:
            u.size(y, size)
        else:
            u.equal(x, y)


def _scatter_canon(args: tuple[Node, ...], axis: int, size: int) -> dict[str, Any]:
    g, i = args
    return {"axis": normal_axis(axis, g.rank - i.rank + 1), "size": size}


def _scatter(do: Do, out: Any, g: Any, i: Any, lead: int, ranks: tuple[int, ...], axis: int, size: int) -> None:
    if out.dtype.kind != "f" or not i.size:  # the order of whole numbers makes no difference
        do(do.xp.copyto, out, 0.0)
        do(do.xp.add.at, out, (*[slice(None)] * axis, i), g)
        return
    rows = do.xp.moveaxis(g, range(axis, axis + i.ndim), range(i.ndim))
    total = do.temp((size, *rows.shape[i.ndim :]), out.dtype)
    do(do.backend.add_rows, total, i.reshape(-1), rows.reshape(-1, *total.shape[1:]))
    do(do.xp.copyto, out, do.xp.moveaxis(total, 0, axis))


register(
    Op("slice", "feature", _slice_shape,
       (lambda g, y, a, axis, start, stop, step: f.place(g, axis=axis, size=a.shape[axis], start=start, stop=stop,
                                                         step=step),), _slice,
       params={"axis": REQUIRED, "start": None, "stop": None, "step": None}, dtype="first", canon=_slice_canon,
       symbol="[:]", latex="{0}[{part}]"),
    Op("place", "feature", _place_shape,
       (lambda g, y, a, axis, size, start, stop, step: f.slice(g, axis=axis, start=start, stop=stop, step=step),),
       _place, params={"axis": REQUIRED, "size": REQUIRED, "start": None, "stop": None, "step": None}, dtype="any",
       canon=_place_canon, latex=r"\text{{place}}_{{{part}}}{0}"),
    Op("pick", "feature", _pick_shape, (_pick_vjp,), _pick, params={"axis": REQUIRED, "at": REQUIRED}, dtype="first",
       canon=_pick_canon, symbol="[i]", latex="{0}[{part}]"),
    Op("take", "feature", _take_shape,
       (lambda g, y, a, i, axis: f.scatter(g, i, axis=axis, size=a.shape[axis]), None), _take, arity=2,
       params={"axis": 0}, dtype="first", canon=_take_canon, latex=r"{0}[{1}]", no_gradient="positions are integers"),
    Op("scatter", "feature", _scatter_shape, (lambda g, y, a, i, axis, size: f.take(g, i, axis=axis), None), _scatter,
       arity=2, params={"axis": REQUIRED, "size": REQUIRED}, dtype="first", canon=_scatter_canon,
       latex=r"\text{{scatter}}{call}", no_gradient="positions are integers"),
)
