"""Rows for images: convolution and pooling over the last two feature axes, height and width.

A convolution is a product of the kernel with patches of the image: with x (in, H, W), k (out, in, kh, kw) and
y (out, H', W') all three of conv2d, conv2d_transpose and conv2d_kernel come from the one trilinear form

    F(x, k, y) = sum over o, c, a, b, i, j of  y[o, i, j] k[o, c, a, b] x[c, i s + a - p, j s + b - p]

as its derivatives by y, by x and by k, so that each one's gradients are the other two.

max_pool and avg_pool are the largest and the mean number of each window, `size` high and wide, that moves by `stride`,
by default its size; padding is zeros to a mean and nothing to a maximum. max_unpool and avg_unpool are their adjoints,
max_pool_at(a, z) is a where z is largest; numbers that are equally large share. patches are the windows themselves,
(..., kh, kw, H', W'), and add_patches their adjoint. Axes before these only number images.
"""

from __future__ import annotations

import math
from typing import Any

from ..node import Node
from .sliding import Pair, at, bias, correlation, pair, patching, pooled, pooling, sized, slid, taps
from .table import REQUIRED, Do, Op, f, pairs, register, with_out

LEADING = "defgijklmnpqrstuvxyz"  # labels of axes that only number images


def _last(a: Node, end: int = 0) -> Pair:
    """The sizes of two axes, the last ones or those so many before."""
    return a.shape[-2 - end], a.shape[-1 - end]


# -- patches ---------------------------------------------------------------------------------------


def _padded(do: Do, a: Any, axis: int, padding: Pair) -> Any:
    if not any(padding):
        return a
    height, width = (n + 2 * p for n, p in zip(a.shape[axis : axis + 2], padding, strict=True))
    whole = do.temp((*a.shape[:axis], height, width, *a.shape[axis + 2 :]), a.dtype)
    inside = (slice(p, n - p) for n, p in zip((height, width), padding, strict=True))
    do(do.xp.copyto, whole, 0.0, "unsafe")
    do(do.xp.copyto, at(whole, axis, *inside), a)
    return whole


def _patches(do: Do, out: Any, a: Any, lead: int, ranks: tuple[int, ...], size: Any, stride: Any,
             padding: Any) -> None:
    axis = lead + ranks[1] - 2
    a = _padded(do, a, axis, pair(padding))
    for tap, pixels, _ in taps(a.shape[axis : axis + 2], pair(size), out.shape[axis + 2 : axis + 4], pair(stride),
                               (0, 0)):
        do(do.xp.copyto, at(out, axis, *tap), at(a, axis, *pixels))


def _add_patches(do: Do, out: Any, a: Any, lead: int, ranks: tuple[int, ...], stride: Any, padding: Any,
                 shape: Any) -> None:
    axis = lead + ranks[0] - 2
    do(do.xp.copyto, out, 0.0)
    for tap, pixels, found in taps(out.shape[axis : axis + 2], a.shape[axis : axis + 2],
                                   a.shape[axis + 2 : axis + 4], pair(stride), pair(padding)):
        goal = at(out, axis, *pixels)
        do(do.xp.add, goal, at(a, axis, *tap, *found), goal)


# -- convolution, by patches -----------------------------------------------------------------------


def _conv2d(f: Any, x: Node, k: Node, stride: Any, padding: Any) -> Node:
    lead = LEADING[: x.rank - 3]
    parts = f.patches(x, size=_last(k), stride=stride, padding=padding)
    return f.einsum(k, parts, spec=f"ocab,{lead}cabhw->{lead}ohw")


def _conv2d_transpose(f: Any, y: Node, k: Node, stride: Any, padding: Any, shape: Any) -> Node:
    lead = LEADING[: y.rank - 3]
    parts = f.einsum(k, y, spec=f"ocab,{lead}ohw->{lead}cabhw")
    return f.add_patches(parts, stride=stride, padding=padding, shape=shape)


def _conv2d_kernel(f: Any, x: Node, y: Node, stride: Any, padding: Any, shape: Any) -> Node:
    lead = LEADING[: x.rank - 3]
    exact = (n + 2 * p - (o - 1) * s for n, o, s, p in zip(_last(x), _last(y), pair(stride), pair(padding),
                                                           strict=True))
    parts = f.patches(x, size=shape or tuple(exact), stride=stride, padding=padding)
    return f.einsum(y, parts, spec=f"{lead}ohw,{lead}cabhw->ocab")


def _add_bias(do: Do, out: Any, z: Any, b: Any, lead: int, ranks: tuple[int, ...]) -> None:
    key = (*[slice(None)] * lead, *[None] * (ranks[0] - 3), slice(None), None, None, ...)
    do(do.xp.add, z, b[key], out)


def _add_bias_right(g: Node, y: Node, z: Node, b: Node) -> Node:
    return f.sum(g, axis=tuple(k for k in range(z.rank) if k != z.rank - 3))


# -- pooling ---------------------------------------------------------------------------------------


class _Pool:
    """A pooling's taps: as views of an image, and of what has one number a place."""

    def __init__(self, image: Any, pooled: Any, lead: int, rank: int, size: Any, stride: Any, padding: Any):
        self.axis = lead + rank - 2
        self.padding = pair(padding)
        sides = slice(self.axis, self.axis + 2)
        self.taps = list(taps(image.shape[sides], pair(size), pooled.shape[sides],
                              pair(size if stride is None else stride), self.padding))

    def views(self, image: Any, *pooled: Any) -> Any:
        """For each tap the pixels that it reads, and the places of each array where it does."""
        for _, pixels, found in self.taps:
            yield at(image, self.axis, *pixels), *(at(p, self.axis, *found) for p in pooled)

    def largest(self, do: Do, out: Any, z: Any) -> None:
        """out = the maximum of each window."""
        each = self.views(z, out)
        if any(self.padding):
            do(do.xp.copyto, out, -math.inf)
        else:
            do(do.xp.copyto, out, next(each)[0])
        for pixels, goal in each:
            do(with_out(do.xp.maximum), goal, pixels, goal)

    def hits(self, do: Do, z: Any, top: Any, *pooled: Any) -> Any:
        """As `views`, and before them where z is the maximum of its window."""
        hit = do.temp(top.shape, bool)
        for pixels, goal, where, *rest in self.views(z, top, hit, *pooled):
            do(do.xp.equal, pixels, goal, where)
            yield where, *rest

    def ties(self, do: Do, z: Any, top: Any, count: Any) -> None:
        """count = how often the maximum of each window occurs in it."""
        do(do.xp.copyto, count, 0.0)
        for where, goal in self.hits(do, z, top, count):
            do(do.xp.add, goal, where, goal)


def _max_pool(do: Do, out: Any, z: Any, lead: int, ranks: tuple[int, ...], **window: Any) -> None:
    _Pool(z, out, lead, ranks[0], **window).largest(do, out, z)


def _max_unpool(do: Do, out: Any, g: Any, z: Any, lead: int, ranks: tuple[int, ...], **window: Any) -> None:
    pool = _Pool(z, g, lead, ranks[0], **window)
    top, share, part = (do.temp(g.shape, out.dtype) for _ in range(3))
    pool.largest(do, top, z)
    pool.ties(do, z, top, share)
    do(do.xp.divide, g, share, share)
    do(do.xp.copyto, out, 0.0)
    goals = [pixels for pixels, in pool.views(out)]
    for goal, (where, own, mine) in zip(goals, pool.hits(do, z, top, share, part), strict=True):
        do(do.xp.multiply, own, where, mine)
        do(do.xp.add, goal, mine, goal)


def _max_pool_at(do: Do, out: Any, a: Any, z: Any, lead: int, ranks: tuple[int, ...], **window: Any) -> None:
    pool = _Pool(z, out, lead, ranks[0], **window)
    top, count, part = (do.temp(out.shape, out.dtype) for _ in range(3))
    pool.largest(do, top, z)
    pool.ties(do, z, top, count)
    do(do.xp.copyto, out, 0.0)
    sources = [pixels for pixels, in pool.views(a)]
    for source, (where, goal, mine) in zip(sources, pool.hits(do, z, top, out, part), strict=True):
        do(do.xp.multiply, source, where, mine)
        do(do.xp.add, goal, mine, goal)
    do(do.xp.divide, out, count, out)


def _avg_pool(do: Do, out: Any, z: Any, lead: int, ranks: tuple[int, ...], **window: Any) -> None:
    do(do.xp.copyto, out, 0.0)
    for pixels, goal in _Pool(z, out, lead, ranks[0], **window).views(z, out):
        do(do.xp.add, goal, pixels, goal)
    do(do.xp.multiply, out, 1.0 / math.prod(pair(window["size"])), out)


def _avg_unpool(do: Do, out: Any, g: Any, lead: int, ranks: tuple[int, ...], shape: Any, **window: Any) -> None:
    share = do.temp(g.shape, out.dtype)
    do(do.xp.multiply, g, 1.0 / math.prod(pair(window["size"])), share)
    do(do.xp.copyto, out, 0.0)
    for goal, own in _Pool(out, g, lead, ranks[0], **window).views(out, share):
        do(do.xp.add, goal, own, goal)


# -- rows ------------------------------------------------------------------------------------------


def _optional(least: int) -> Any:
    words, fits = pairs(least)
    return words, lambda value: value is None or fits(value)


SLIDE = {"stride": 1, "padding": 0}
POOL = {"size": 2, "stride": None, "padding": 0}
TAKES = {"size": pairs(1), "shape": _optional(1)}


def convolution(name: str, order: str, left: Any, right: Any, composed: Any, **more: Any) -> Op:
    """A row that is one of the derivatives of F."""
    return Op(name, "contract", correlation(order), (left, right), arity=2, composed=composed, takes=TAKES, **more)


def pool(name: str, order: str, array: Any, *vjp: Any, **more: Any) -> Op:
    """A row that works over the windows of a pooling."""
    more = {"params": POOL, "canon": pooled, **more}
    written = name.replace("_", "-")
    return Op(name, "feature", pooling(order), vjp, array, arity=len(vjp), takes={**TAKES, "stride": _optional(1)},
              latex=rf"\text{{{{{written}}}}}{{call}}", **more)


register(
    convolution("conv2d", "xky",
                lambda g, y, x, k, stride, padding: f.conv2d_transpose(
                    g, k, stride=stride, padding=padding, shape=_last(x)),
                lambda g, y, x, k, stride, padding: f.conv2d_kernel(
                    x, g, stride=stride, padding=padding, shape=_last(k)),
                _conv2d, params=SLIDE, canon=slid, symbol="∗", latex="{1} * {0}"),
    convolution("conv2d_transpose", "ykx",
                lambda g, x, y, k, stride, padding, shape: f.conv2d(g, k, stride=stride, padding=padding),
                lambda g, x, y, k, stride, padding, shape: f.conv2d_kernel(
                    g, y, stride=stride, padding=padding, shape=_last(k)),
                _conv2d_transpose, params={**SLIDE, "shape": None}, symbol="∗ᵀ", latex=r"{1} *^\top {0}",
                canon=sized(lambda args, size, shape: (shape, _last(args[1]), _last(args[0])))),
    convolution("conv2d_kernel", "xyk",
                lambda g, k, x, y, stride, padding, shape: f.conv2d_transpose(
                    y, g, stride=stride, padding=padding, shape=_last(x)),
                lambda g, k, x, y, stride, padding, shape: f.conv2d(x, g, stride=stride, padding=padding),
                _conv2d_kernel, params={**SLIDE, "shape": None}, symbol="⋆", latex=r"{1} \star {0}",
                canon=sized(lambda args, size, shape: (_last(args[0]), shape, _last(args[1])))),
    Op("add_bias", "feature", bias, (lambda g, y, z, b: g, _add_bias_right), _add_bias, arity=2,
       symbol="+", latex="{0} + {1}"),
    Op("patches", "feature", patching("ip"),
       (lambda g, y, a, size, stride, padding: f.add_patches(g, stride=stride, padding=padding, shape=_last(a)),),
       _patches, params={"size": REQUIRED, **SLIDE}, dtype="first", canon=slid, takes=TAKES),
    Op("add_patches", "feature", patching("pi"),
       (lambda g, y, a, stride, padding, shape: f.patches(g, size=_last(a, 2), stride=stride, padding=padding),),
       _add_patches, params={**SLIDE, "shape": None}, takes=TAKES,
       canon=sized(lambda args, size, shape: (shape, _last(args[0], 2), _last(args[0])))),
    pool("max_pool", "ip", _max_pool, lambda g, y, z, **window: f.max_unpool(g, z, **window)),
    pool("max_unpool", "pii", _max_unpool, lambda g, y, a, z, **window: f.max_pool_at(g, z, **window), None,
         no_gradient="where the maximum lies is piecewise constant"),
    pool("max_pool_at", "iip", _max_pool_at, lambda g, y, a, z, **window: f.max_unpool(g, z, **window), None,
         no_gradient="where the maximum lies is piecewise constant"),
    pool("avg_pool", "ip", _avg_pool, lambda g, y, z, **window: f.avg_unpool(g, shape=_last(z), **window)),
    pool("avg_unpool", "pi", _avg_unpool, lambda g, y, a, shape, **window: f.avg_pool(g, **window),
         params={**POOL, "shape": None},
         canon=sized(lambda args, size, shape: (shape, pair(size), _last(args[0])), pooled)),
)
