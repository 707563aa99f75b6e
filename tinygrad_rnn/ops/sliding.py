"""How a window slides over the height and the width of an image: sizes as relations, and where each tap reads.

A window of size k moves by `stride` over an axis of n pixels with `padding` zeros at either end. It has
o = (n + 2 padding - k) // stride + 1 places; its tap a reads, at place i, pixel i stride + a - padding.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import BadValue
from ..node import Node
from ..shapes import Cell, Dim, Rule, Solver

Pair = tuple[int, int]
Place = tuple[slice, slice]
SMALLEST = {"image": 3, "kernel": 4, "patches": 5, "plane": 2}  # the least number of axes
WORDS = {"image": "(channels, height, width)", "kernel": "(out, in, height, width)", "plane": "(height, width)",
         "patches": "(channels, kernel height, kernel width, height, width)"}


def pair(value: int | Pair) -> Pair:
    """One number for height and width alike, or one for each."""
    rows, columns = value if isinstance(value, tuple) else (value, value)
    return int(rows), int(columns)


def brief(value: int | Pair) -> int | Pair:
    """The pair as it is written, one number where both are alike."""
    rows, columns = pair(value)
    return rows if rows == columns else (rows, columns)


# -- sizes -----------------------------------------------------------------------------------------


def places(u: Solver, image: Dim, window: Dim, count: Dim, stride: int, padding: int, exact: bool = False) -> None:
    """Relate the sizes of an image, of a window and of its places along one axis; any two may say the third.

    exact: whether the window's last place ends where the image ends, as always with a stride of 1.
    """
    n, k, o = (d.root().size for d in (image, window, count))
    if n is not None and k is not None:
        rest = n + 2 * padding - k
        if rest < 0:
            around = f" with {padding} on either side" if padding else ""
            raise BadValue(f"a window of size {k} is larger than an image of size {n}{around}")
        if exact and rest % stride:
            raise BadValue(f"sizes disagree: steps of {stride} with a kernel of size {k} do not end at {n}")
        u.size(count, rest // stride + 1)
    elif o is not None and (exact or stride == 1):
        span = (o - 1) * stride
        if k is not None:
            u.size(image, _there(span + k - 2 * padding, "image"))
        elif n is not None:
            u.size(window, _there(n + 2 * padding - span, "kernel"))


def _there(size: int, what: str) -> int:
    if size < 1:
        raise BadValue(f"sizes disagree: they leave no {what}, but one of size {size}")
    return size


def ends(images: Pair, windows: Pair, counts: Pair, stride: int | Pair, padding: int | Pair) -> bool:
    """Does the last place end where the padded image ends, so that any two of the sizes say the third?"""
    every = zip(images, windows, counts, pair(stride), pair(padding), strict=True)
    return all(n + 2 * p == k + (o - 1) * s for n, k, o, s, p in every)


def ranks(u: Solver, cells: list[Cell], what: str) -> bool:
    """Make the values of one rank, that of `what` unless one is known; false while it is not."""
    known = next((c for c in cells if c.dims is not None), None)
    rank = SMALLEST[what] if known is None else known.rank
    if rank is None or (known is None and not u.guess):
        return False
    if rank < SMALLEST[what]:
        raise BadValue(f"wrong rank: the last axes here are {WORDS[what]}, but the value has shape {known}")
    for cell in cells:
        u.rank(cell, rank)
    return True


def alike(u: Solver, a: list[Dim], b: list[Dim]) -> None:
    """Equal sizes, one by one."""
    for x, y in zip(a, b, strict=True):
        u.equal(x, y)


def along_both(u: Solver, image: list[Dim], window: list[Dim], count: list[Dim], attrs: dict[str, Any]) -> None:
    """`places` for height and for width. Without a `shape` where there could be one, sizes are exact."""
    exact = attrs.get("shape", ()) is None
    each = zip(image, window, count, pair(attrs["stride"]), pair(attrs["padding"]), strict=True)
    for n, k, o, stride, padding in each:
        places(u, n, k, o, stride, padding, exact)


def given(u: Solver, dims: list[Dim], attrs: dict[str, Any]) -> None:
    """The sizes that `shape` says, if it does."""
    if attrs.get("shape") is not None:
        for dim, size in zip(dims, pair(attrs["shape"]), strict=True):
            u.size(dim, size)


def correlation(order: str) -> Rule:
    """The relation of x (..., in, H, W), k (out, in, kh, kw) and y (..., out, H', W'); the last of `order` results."""

    def rule(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
        cells = dict(zip(order, [*args, out], strict=True))
        x, k, y = (cells[c] for c in "xky")
        if k.rank not in (None, 4):
            raise BadValue(f"wrong rank: a kernel has the axes {WORDS['kernel']}, not the shape {k}")
        u.rank(k, 4)
        if not ranks(u, [x, y], "image"):
            return
        assert x.dims is not None and k.dims is not None and y.dims is not None
        for image, channel, role in ((x, 1, "in"), (y, 0, "out")):
            _channels(u, image, k, channel, role)
        alike(u, x.dims[:-3], y.dims[:-3])
        given(u, (out.dims or [])[-2:], attrs)
        along_both(u, x.dims[-2:], k.dims[-2:], y.dims[-2:], attrs)

    return rule


def _channels(u: Solver, image: Cell, kernel: Cell, axis: int, role: str) -> None:
    a, b = (image.dims or [])[-3], (kernel.dims or [])[axis]
    have, want = a.root().size, b.root().size
    if have is not None and want is not None and have != want:
        raise BadValue(f"sizes disagree: an image of shape {image} has {have} channels, but a kernel of shape "
                       f"{kernel}, which is {WORDS['kernel']}, has {role} = {want}")
    u.equal(a, b)


def bias(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    """One number a channel, added to an image (..., channels, H, W)."""
    z, b = args
    if b.rank not in (None, 1):
        raise BadValue(f"wrong rank: a bias is a vector, one number a channel, but the value has shape {b}")
    u.rank(b, 1)
    if not ranks(u, [z, out], "image"):
        return
    u.same(z, out)
    assert z.dims is not None and b.dims is not None
    have, want = z.dims[-3].root().size, b.dims[0].root().size
    if have is not None and want is not None and have != want:
        raise BadValue(f"sizes disagree: an image of shape {z} has {have} channels, but its bias {want} numbers")
    u.equal(z.dims[-3], b.dims[0])


def pooling(order: str) -> Rule:
    """The relation of images "i" and pooled images "p", all of the same leading axes; the last of `order` results."""

    def rule(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
        if any(p >= k for p, k in zip(pair(attrs["padding"]), pair(attrs["size"]), strict=True)):
            raise BadValue(f"a window of size {attrs['size']} would lie in the padding of {attrs['padding']} alone; "
                           "the padding must be smaller")
        cells = [*args, out]
        if not ranks(u, cells, "image" if all(c.dims is None for c in cells) else "plane"):
            return
        dims = [c.dims or [] for c in cells]
        for other in dims[1:]:
            alike(u, dims[0][:-2], other[:-2])
        first = {c: dims[order.index(c)] for c in "ip"}
        for c, other in zip(order, dims, strict=True):
            alike(u, first[c], other)
        given(u, dims[-1][-2:], attrs)
        stride = attrs["size"] if attrs["stride"] is None else attrs["stride"]
        along_both(u, first["i"][-2:], [Dim(k) for k in pair(attrs["size"])], first["p"][-2:],
                   {**attrs, "stride": stride})

    return rule


def patching(order: str) -> Rule:
    """The relation of images "i" (..., H, W) and their patches "p" (..., kh, kw, H', W')."""

    def rule(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
        cells = dict(zip(order, [*args, out], strict=True))
        image, found = cells["i"], cells["p"]
        if image.rank is None and found.rank is None:
            ranks(u, [image], "image")
        if image.rank is None and found.rank is not None and found.rank > 3:
            u.rank(image, found.rank - 2)
        if image.dims is None and found.dims is None:
            return
        ranks(u, [image] if image.dims is not None else [found], "plane" if image.dims is not None else "patches")
        u.rank(found, (image.rank or 0) + 2)
        dims, parts = image.dims or [], found.dims or []
        alike(u, dims[:-2], parts[:-4])
        if "size" in attrs:
            for dim, size in zip(parts[-4:-2], pair(attrs["size"]), strict=True):
                u.size(dim, size)
        given(u, dims[-2:], attrs)
        along_both(u, dims[-2:], parts[-4:-2], parts[-2:], attrs)

    return rule


# -- attributes as they are kept -------------------------------------------------------------------


def slid(args: tuple[Node, ...], **attrs: Any) -> dict[str, Any]:
    """Pairs as they are written."""
    return {k: v if v is None else brief(v) for k, v in attrs.items()}


def pooled(args: tuple[Node, ...], **attrs: Any) -> dict[str, Any]:
    """`slid`, without a stride that is the window's size."""
    own = slid(args, **attrs)
    return {**own, "stride": None} if own["stride"] == own["size"] else own


def sized(measure: Callable[..., tuple[Pair, Pair, Pair]], plain: Callable[..., Any] = slid) -> Callable[..., Any]:
    """`plain`, without a `shape` that follows from the rest. measure: (args, size, shape) -> image, window, places."""

    def canon(args: tuple[Node, ...], **attrs: Any) -> dict[str, Any]:
        own = plain(args, **attrs)
        if own["shape"] is not None:
            own["shape"] = pair(own["shape"])
            sizes = measure(args, own.get("size"), own["shape"])
            if ends(*sizes, own.get("stride") or own["size"], own["padding"]):
                own["shape"] = None
        return own

    return canon


# -- where the taps read ---------------------------------------------------------------------------


def taps(image: Pair, size: Pair, count: Pair, stride: Pair, padding: Pair) -> Iterator[tuple[Pair, Place, Place]]:
    """For each tap of the window that ever meets the image: (row, column), the pixels and the places where it does."""
    rows, columns = (list(_runs(*axis)) for axis in zip(size, image, count, stride, padding, strict=True))
    for (a, pixels_a, places_a), (b, pixels_b, places_b) in itertools.product(rows, columns):
        yield (a, b), (pixels_a, pixels_b), (places_a, places_b)


def _runs(k: int, n: int, o: int, stride: int, padding: int) -> Iterator[tuple[int, slice, slice]]:
    for a in range(k):
        first = max(0, -((a - padding) // stride))
        last = min(o, (n - 1 + padding - a) // stride + 1)
        if first < last:
            start = first * stride + a - padding
            yield a, slice(start, start + (last - first - 1) * stride + 1, stride), slice(first, last)


def at(a: Any, axis: int, *keys: Any) -> Any:
    """The view of array a with the keys from that axis on."""
    return a[(*[slice(None)] * axis, *keys, ...)]
