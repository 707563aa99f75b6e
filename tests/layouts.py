"""Weights and gradients by name: as slices of one array, or apart, in every way in which they may lie in memory."""

from __future__ import annotations

import numpy as np

from tinygrad_rnn.backends.flat import cut

LARGE = {"W": (100, 97), "empty": (0, 5), "b": (37,), "s": (), "U": (2, 3, 3)}  # enough for compiled code, and a rest


def laid_out(a: np.ndarray, layout: str) -> np.ndarray:
    if layout == "view" and a.ndim:
        wide = np.full((*a.shape[:-1], 2 * a.shape[-1]), 99.0, a.dtype)
        wide[..., ::2] = a
        return wide[..., ::2]
    return np.array(a, order="F" if layout == "F" else "C")


def in_one(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = cut(np.empty(sum(a.size for a in arrays.values()), next(iter(arrays.values())).dtype), arrays)
    for name, a in arrays.items():
        found[name][...] = a
    return found


def apart(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: a.copy() for name, a in arrays.items()}


def with_gaps(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    wide = in_one({f"{name}{k}": np.resize(a, max(a.size, 1)) for name, a in arrays.items() for k in range(2)})
    return {name: wide[f"{name}0"][: a.size].reshape(a.shape) for name, a in arrays.items()}


def reordered(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = in_one(dict(reversed(arrays.items())))
    return {name: found[name] for name in arrays}


def strided(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: laid_out(a, "view") for name, a in arrays.items()}


def fortran(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: laid_out(a, "F") for name, a in arrays.items()}


def frozen(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = in_one(arrays)
    for a in found.values():
        a.flags.writeable = False
    return found


APART = [apart, with_gaps, reordered, strided, fortran]


def large(steps: int = 0, dtype: str = "float32") -> list[dict[str, np.ndarray]]:
    """Weights, and gradients for so many steps."""
    rng = np.random.default_rng(3)
    return [{k: np.asarray(rng.standard_normal(s), dtype) for k, s in LARGE.items()} for _ in range(steps + 1)]


def joined(grads: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([np.ravel(g) for g in grads.values()])
