"""Batches of sequences of about one length: little padding, and few shapes, for each of which a plan is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arguments import whole
from ..errors import many
from ..keywords import told
from .sequences import Over, Sequences

FINEST = 512  # pieces among which borders are sought


class Bucketed:
    """Batches of examples of about one length, in a new order every epoch; what `bucketed` gives.

    Iterating goes through epoch 0; `epoch(k)` gives the batches of any epoch, always the same for the same k, which is
    how `fit` asks for them and goes on after a stop.
    """

    def __init__(self, data: Any, batch: int, *, over: Over | None = None, buckets: int = 8, fill: Any = 0,
                 seed: int | None = 0):
        self.fields = Sequences(data, over, fill)
        self.batch = whole("batch", batch, at_least=1)
        self.seed = None if seed is None else whole("seed", seed, at_least=0)
        lengths = np.array([*self.fields.lengths.values()]).reshape(-1, self.fields.examples)
        order = np.lexsort([*lengths, lengths.sum(axis=0)])
        self.buckets = _cut(order, lengths, self.batch, whole("buckets", buckets, at_least=1))
        self.sizes = [self.fields.longest(rows) for rows in self.buckets]

    def __repr__(self) -> str:
        return f"<Bucketed: {many(self.fields.examples, 'example')}, {self.batch} at a time>"

    def __len__(self) -> int:
        return -(-self.fields.examples // self.batch)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.epoch(0)

    def epoch(self, number: int) -> Iterator[dict[str, Any]]:
        """The batches of one epoch."""
        rng = None if self.seed is None else np.random.default_rng([self.seed, number])
        batches = [(rows[start : start + self.batch], sizes)
                   for bucket, sizes in zip(self.buckets, self.sizes, strict=True)
                   for rows in [bucket if rng is None else rng.permutation(bucket)]
                   for start in range(0, len(rows), self.batch)]
        for k in range(len(batches)) if rng is None else rng.permutation(len(batches)):
            yield self.fields.batch(*batches[k])


@told
def bucketed(data: Any, batch: int, *, over: Over | None = None, buckets: int = 8, fill: Any = 0,
             seed: int | None = 0) -> Bucketed:
    """Batches of `batch` examples for `fit`, each padded only to the longest of its bucket.

    The examples are sorted by length and cut into at most `buckets` of whole batches, where that leaves the least
    padding; only the last batch of all may be smaller. So there are at most buckets + 1 shapes. Within a bucket the
    examples, and all the batches, come in an order drawn anew for each epoch; seed=None keeps that of the lengths.
    data, over, fill and what is raised: as in `padded`.

        model.fit(bucketed({"x": xs, "target": ys}, 32), epochs=5)
        model.fit(bucketed({"source": a, "w": b}, 32, over={"source": "s"}), epochs=5)
    """
    return Bucketed(data, batch, over=over, buckets=buckets, fill=fill, seed=seed)


def _cut(order: np.ndarray, lengths: np.ndarray, batch: int, buckets: int) -> list[np.ndarray]:
    """The rows in that order in at most `buckets` parts of whole batches, such that the fewest steps are computed.

    A part costs its examples times its greatest lengths, added over the indices; the best borders are found by
    dynamic programming over batches, or over a few together where there are very many.
    """
    starts = np.arange(0, len(order), batch * -(-len(order) // (batch * FINEST)))
    longest = np.maximum.reduceat(lengths[:, order], starts, axis=1)
    ends = np.append(starts, len(order))
    cost = np.full((buckets + 1, len(ends)), np.inf)  # of the first j pieces in k parts
    last = np.zeros((buckets + 1, len(ends)), int)  # where the last of those parts begins
    cost[0, 0] = 0
    for j in range(1, len(ends)):
        reach = np.maximum.accumulate(longest[:, :j][:, ::-1], axis=1)[:, ::-1].sum(axis=0)
        total = cost[:-1, :j] + reach * (ends[j] - ends[:j])
        last[1:, j], cost[1:, j] = total.argmin(axis=1), total.min(axis=1)
    parts = int(cost[:, -1].argmin())
    borders = [len(ends) - 1]
    for k in range(parts, 0, -1):
        borders.append(int(last[k, borders[-1]]))
    return np.split(order, ends[borders[-2:0:-1]])
