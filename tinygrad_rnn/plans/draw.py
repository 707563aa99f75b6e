"""Counter-based draws: a number depends on seed, step, name, example and position, on nothing else."""

from __future__ import annotations

import math
import zlib
from typing import Any

# Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators": the finaliser of SplitMix64.
_GOLDEN, _MIX1, _MIX2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MASK = 2**64 - 1


def _mixed(z: int) -> int:
    z = (z + _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * _MIX1) & _MASK
    z = ((z ^ (z >> 27)) * _MIX2) & _MASK
    return z ^ (z >> 31)


def _scrambled(xp: Any, z: Any) -> Any:
    """The same finaliser on an array of uint64."""
    z = z + xp.uint64(_GOLDEN)
    z = (z ^ (z >> xp.uint64(30))) * xp.uint64(_MIX1)
    z = (z ^ (z >> xp.uint64(27))) * xp.uint64(_MIX2)
    return z ^ (z >> xp.uint64(31))


def uniform(xp: Any, key: int, coordinates: list[Any]) -> Any:
    """Numbers in [0, 1), one for each point of the broadcast integer coordinates."""
    z = xp.asarray(key, dtype="uint64")
    for c in coordinates:
        z = _scrambled(xp, z ^ xp.asarray(c).astype("uint64"))
    return (z >> xp.uint64(11)).astype("float64") * 2.0**-53


def grid(xp: Any, shape: tuple[int, ...]) -> list[Any]:
    """The position along each axis of an array of that shape, each broadcastable to it."""
    return [xp.arange(size).reshape([-1 if j == k else 1 for j in range(len(shape))]) for k, size in enumerate(shape)]


def key_of(seed: int, step: int, name: str) -> int:
    """The key of one name's draws at one step."""
    return _mixed(_mixed(_mixed(seed & _MASK) ^ (step & _MASK)) ^ zlib.crc32(name.encode()))


def _drawn(xp: Any, out: Any, labels: tuple[str, ...], batched: bool, node: Any, feed: Any, key: str) -> Any:
    """Uniform numbers for an array whose axes are labels, features, batch."""
    at = dict(node.attr("at"))
    axes = []
    for k, axis in enumerate(grid(xp, out.shape)):
        if batched and k == out.ndim - 1:
            axis = axis + feed.first_example
        before = feed.offset.get(labels[k], 0) + feed.behind.get(labels[k], 0) if k < len(labels) else 0
        axes.append(axis + before)
    positions = {**at, **dict(zip(labels, axes, strict=False))}
    # The example, the positions by index name, the features: the order of mixing is part of the draw.
    coordinates = [axes.pop()] if batched else []
    coordinates += [positions[i] for i in sorted(positions)] + axes[len(labels):]
    return uniform(xp, key_of(feed.seed, feed.step, key), coordinates)


def fill_mask(xp: Any, out: Any, labels: tuple[str, ...], batched: bool, node: Any, feed: Any) -> None:
    """out = 0 with probability `rate`, else 1 / (1 - rate); its axes are labels, features, batch.

    Source: Srivastava et al. 2014, "Dropout", in the inverted form.
    """
    rate = node.attr("rate")
    u = _drawn(xp, out, labels, batched, node, feed, node.attr("key"))
    xp.copyto(out, xp.where(u < rate, 0.0, 1.0 / (1.0 - rate)), "unsafe")


def fill_noise(xp: Any, out: Any, labels: tuple[str, ...], batched: bool, node: Any, feed: Any) -> None:
    """out = uniform numbers in [0, 1), or standard normal ones by the method of Box and Muller (1958)."""
    key = node.attr("key")
    u = _drawn(xp, out, labels, batched, node, feed, key)
    if node.attr("kind") == "normal":
        angle = _drawn(xp, out, labels, batched, node, feed, key + ", the angle")
        u = xp.sqrt(-2.0 * xp.log1p(-u)) * xp.cos(2.0 * math.pi * angle)
    else:
        u = xp.minimum(u, 1.0 - 2.0**-24)  # as float32 it would be rounded to 1
    xp.copyto(out, u, "unsafe")


FILLS = {"dropout_mask": fill_mask, "noise": fill_noise}
