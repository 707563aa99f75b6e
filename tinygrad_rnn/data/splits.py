"""Parts of the data: to train on, to choose by, to test with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from ..arguments import real, whole
from ..errors import BadType, BadValue
from ..keywords import told
from .rows import examples


@told
def split(data: Any, *shares: float, seed: int | None = None, groups: Iterable[Any] | None = None) -> tuple[Any, ...]:
    """The examples of data in parts of these shares, which make 1: `train, valid, test = split(data, 0.8, 0.1, 0.1)`.

    data: a dict of fields with one row per example, or one array, list or text; the parts are of the same kind, each
    in the order of the data. Without a seed the first part is the first examples, as a series in time wants it, and
    arrays are not copied; with one the examples are drawn. groups: for each example the group that it is of (a
    speaker, a document): no group is in two parts.
    Raises BadValue where the shares do not make 1, or a part would be empty.
    """
    if any(hasattr(share, "__len__") for share in shares):
        raise BadType("shares are numbers, such as 0.8, 0.2; arrays that are to be split alike go into one dict, such "
                      'as {"x": x, "target": target}')
    count = examples(data) if isinstance(data, Mapping) else _length(data)
    borders = _borders(shares)
    seed = None if seed is None else whole("seed", seed, at_least=0)
    rows = _alone(count, borders, seed) if groups is None else _together(list(groups), count, borders, seed)
    empty = [f"{share:g}" for share, part in zip(shares, rows, strict=True) if not _size(part)]
    if empty:
        what = "examples" if groups is None else "groups"
        raise BadValue(f"the part of {empty[0]} of {count} examples would be empty; give more {what} or other shares")
    return tuple(_taken(data, part) for part in rows)


def split_text(ids: Any, fraction: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """(training part, held-out part), the latter the last `fraction` of ids, rounded, and at least one of each.

    Raises BadValue unless fraction is between 0 and 1 and there are two ids to share.
    """
    array = encoded(ids)
    share = real("fraction", fraction, above=0, below=1)
    if len(array) < 2:
        raise BadValue(f"a text of {len(array)} cannot be split; at least 2 characters were expected")
    held_out = min(max(round(len(array) * share), 1), len(array) - 1)
    return array[:-held_out], array[-held_out:]


def encoded(ids: Any, instead: str = "") -> np.ndarray:
    """Encoded text as an array. Raises BadType where it is not one row of integers; instead: what else it may be."""
    array = np.asarray(ids)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise BadType(f"encoded text is one row of integers, not {array.dtype} of shape {array.shape}{instead}")
    return array


def _borders(shares: tuple[float, ...]) -> np.ndarray:
    found = np.cumsum([real("a share", share, above=0, below=1) for share in shares])
    if not len(found) or abs(found[-1] - 1) > 1e-9:
        listed = ", ".join(f"{s:g}" for s in shares)
        given = f"the shares {listed} make {found[-1]:g}" if shares else "there are no shares"
        raise BadValue(f"{given}; they must make 1, such as 0.8, 0.1, 0.1")
    return found


def _alone(count: int, borders: np.ndarray, seed: int | None) -> list[Any]:
    ends = [0, *np.round(borders * count).astype(int).tolist()]
    if seed is None:
        return [slice(a, b) for a, b in pairwise(ends)]
    order = np.random.default_rng(seed).permutation(count)
    return [np.sort(order[a:b]) for a, b in pairwise(ends)]


def _together(groups: list[Any], count: int, borders: np.ndarray, seed: int | None) -> list[Any]:
    """Whole groups, each to the part in which its middle falls when they stand one after another."""
    if len(groups) != count:
        raise BadValue(f"groups has {len(groups)} entries for {count} examples")
    numbers: dict[Any, int] = {}
    try:
        of = np.array([numbers.setdefault(group, len(numbers)) for group in groups])
    except TypeError as error:
        raise BadType(f"groups has a name or a number for each example, unlike these ({error})") from None
    order = np.arange(len(numbers)) if seed is None else np.random.default_rng(seed).permutation(len(numbers))
    sizes = np.bincount(of)[order]
    middles = (np.cumsum(sizes) - sizes / 2) / count
    part = np.empty(len(numbers), int)
    part[order] = np.searchsorted(borders[:-1], middles, side="right")
    return [np.flatnonzero(part[of] == k) for k in range(len(borders))]


def _size(rows: Any) -> int:
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)


def _length(data: Any) -> int:
    try:
        return len(data)
    except TypeError:
        raise BadType("data to split is a dict of fields, an array, a list or a text, not "
                      f"{type(data).__name__}") from None


def _taken(data: Any, rows: Any) -> Any:
    if isinstance(data, Mapping):
        return {name: _taken(value, rows) for name, value in data.items()}
    if isinstance(rows, slice) or hasattr(data, "shape"):
        return getattr(data, "iloc", data)[rows]  # pandas would take numbers for labels
    if isinstance(data, str):
        raise BadType("a text is split in order: give no seed and no groups, or a list of texts")
    return [data[row] for row in rows.tolist()]
