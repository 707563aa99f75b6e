"""One long text or series: parallel streams for truncated BPTT, and windows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import whole
from ..errors import BadType, BadValue, many
from ..keywords import told
from .rows import examples
from .splits import encoded


@dataclass(frozen=True, eq=False)
class Streams:
    """Batches of N parallel streams of one text or series, each batch going on where the one before it ended.

    Iterating gives len(self) dicts of the same fields, (N, T, ...), views of the arrays in `series`. Carry the state
    from batch to batch (`fit(..., carry_state=True)`): row k of each is one contiguous stream. At most the last
    N * T positions are left over.
    """

    series: Mapping[str, np.ndarray]
    batch: int
    steps: int

    def __repr__(self) -> str:
        return (f"<Streams of {', '.join(self.series)}: {len(self)} times "
                f"{many(self.batch, 'stream')} of {many(self.steps, 'step')}>")

    def __len__(self) -> int:
        return len(next(iter(self.series.values()))) // (self.batch * self.steps)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        used = len(self) * self.batch * self.steps
        rows = {name: a[:used].reshape(self.batch, -1, *a.shape[1:]) for name, a in self.series.items()}
        for start in range(0, len(self) * self.steps, self.steps):
            yield {name: a[:, start : start + self.steps] for name, a in rows.items()}


@told
def streams(data: Any, batch: int, steps: int) -> Streams:
    """`Streams` of N = batch streams, T = steps positions each at a time.

    data: an encoded text (one row of integers), which gives {"x": (N, T), "target": (N, T)} with target the
    character after x; or a dict of series of one length, (L, ...), which gives the same names, cut alike. Either
    may be a map of a file, as `mapped` gives it.

        model.fit(streams(vocabulary.encode(text), 32, 64), carry_state=True)
        model.fit(streams({"x": series[:-1], "target": series[1:]}, 8, 50), carry_state=True)

    Raises BadValue where the text is shorter than the N * T + 1 characters of a single batch, or a series than N * T.
    """
    batch, steps = whole("batch", batch, at_least=1), whole("steps", steps, at_least=1)
    if isinstance(data, Mapping):
        needed, count, what = batch * steps, examples(data), "the series have"
        series = {name: np.asarray(value) for name, value in data.items()}
    else:
        ids = encoded(data, '; give series by name, such as {"x": series[:-1], "target": series[1:]}')
        needed, count, what = batch * steps + 1, len(ids), "the text has"
        series = {"x": ids[:-1], "target": ids[1:]}
    if count < needed:
        unit = "positions" if isinstance(data, Mapping) else "characters"
        raise BadValue(f"{what} {count} {unit}; {batch} streams of {steps} steps need at least {needed}: "
                       "give more or a smaller batch or fewer steps")
    return Streams(series, batch, steps)


@told
def windows(series: Any, steps: int, *, every: int = 1) -> np.ndarray:
    """All windows of T = steps positions of a series (L, ...), a view of shape (N, T, ...), one every `every`.

    N = (L - T) // every + 1. Nothing is copied, also of a map of a file; `fit` takes what it needs batch by batch.

        data = {"x": windows(series[:-1], 24), "target": windows(series[1:], 24)}

    Raises BadValue where the series is shorter than one window.
    """
    array = np.asarray(series)
    steps, every = whole("steps", steps, at_least=1), whole("every", every, at_least=1)
    if array.ndim == 0:
        raise BadType(f"a series is an array of shape (length, ...), not {type(series).__name__}")
    if len(array) < steps:
        raise BadValue(f"the series has {len(array)} positions, fewer than the {steps} of one window")
    return np.moveaxis(np.lib.stride_tricks.sliding_window_view(array, steps, axis=0), -1, 1)[::every]
