"""Arrays of the host on their way to the GPU: through page-locked memory, on a stream of their own, ahead of use."""

from __future__ import annotations

from typing import Any

import numpy as np

DEEP = 3  # copies of one kind that may be under way


class Uploads:
    """A ring of places for each shape and dtype; what a place held is gone when the ring comes round to it."""

    def __init__(self, xp: Any):
        self.xp = xp
        self._stream = xp.cuda.Stream(non_blocking=True)
        self._rings: dict[tuple[Any, ...], list[_Place]] = {}

    def __call__(self, kind: Any, array: np.ndarray) -> _Place:
        """The array on the GPU, in the next place of a ring; `kind` tells rings of the same shape apart."""
        key = (kind, array.shape, array.dtype.str)
        ring = self._rings.pop(key, None) or [_Place(self.xp, array) for _ in range(DEEP)]
        self._rings[key] = [*ring[1:], ring[0]]  # the last used is the last in the ring, and among the rings
        if len(self._rings) > KINDS:
            self._rings.pop(next(iter(self._rings))).clear()
        ring[0].fill(array, self._stream)
        return ring[0]


KINDS = 64  # rings that are kept


class _Place:
    """Page-locked memory, and memory of the device for the same array."""

    def __init__(self, xp: Any, like: np.ndarray):
        self.xp = xp
        self._locked = xp.cuda.alloc_pinned_memory(max(like.nbytes, 1))
        self._host = np.frombuffer(self._locked, like.dtype, like.size).reshape(like.shape)
        self.array = xp.empty(like.shape, like.dtype)
        self._copied, self._used = (xp.cuda.Event(disable_timing=True) for _ in range(2))

    def fill(self, array: np.ndarray, stream: Any) -> None:
        """Begin the copy; what is launched from now on, on the current stream, waits for it."""
        self._copied.synchronize()  # long done, unless the host is DEEP arrays ahead
        self._host[...] = array
        stream.wait_event(self._used)
        with stream:
            self.array.set(self._host, stream)
            self._copied.record(stream)
        self.xp.cuda.get_current_stream().wait_event(self._copied)

    def release(self) -> None:
        """What reads the array has been launched."""
        self._used.record(self.xp.cuda.get_current_stream())
