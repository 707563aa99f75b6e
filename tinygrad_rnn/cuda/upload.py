"""Arrays of the host on their way to the GPU: through page-locked memory, on a stream of their own, ahead of use."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

DEEP = 3  # copies of one kind that may be under way
KINDS = 64  # of arrays, for which places are kept
PART = 8  # of the device's memory, one in so many bytes: more is kept for the last kind alone

log = logging.getLogger(__name__)


class Uploads:
    """A ring of places for each shape and dtype; what a place held is gone when the ring comes round to it."""

    def __init__(self, xp: Any):
        self.xp = xp
        self._stream = xp.cuda.Stream(non_blocking=True)
        self._rings: dict[tuple[Any, ...], list[_Place]] = {}
        self._room = int(xp.cuda.runtime.memGetInfo()[1]) // PART

    def __call__(self, kind: Any, array: np.ndarray) -> _Place:
        """The array on the GPU, in the next place of a ring; `kind` tells rings of the same shape apart.

        A ring grows only where its places are in use.
        """
        key = (kind, array.shape, array.dtype.str)
        ring = self._rings.pop(key, [])
        if not ring or (len(ring) < DEEP and not ring[0].free):
            ring.insert(0, _Place(self.xp, array))
        place = ring[0]
        self._rings[key] = [*ring[1:], place]  # the last used is the last in the ring, and among the rings
        while len(self._rings) > 1 and (len(self._rings) > KINDS or self._bytes() > self._room):
            for other in self._rings.pop(next(iter(self._rings))):
                other.end()
        place.fill(array, self._stream)
        return place

    def _bytes(self) -> int:
        """What all places hold of the device's memory."""
        return sum(int(place.array.nbytes) for ring in self._rings.values() for place in ring)


def _page_locked(xp: Any, like: np.ndarray) -> np.ndarray:
    """An array in page-locked memory; where the system gives none, in any: a copy from there is waited for."""
    try:
        locked = xp.cuda.alloc_pinned_memory(max(like.nbytes, 1))
    except xp.cuda.runtime.CUDARuntimeError as error:
        log.info("%d bytes are copied from memory that is not page-locked: %s", like.nbytes, error)
        return np.empty(like.shape, like.dtype)
    return np.frombuffer(locked, like.dtype, like.size).reshape(like.shape)


class _Place:
    """Page-locked memory, and memory of the device for the same array."""

    def __init__(self, xp: Any, like: np.ndarray):
        self.xp = xp
        self._host = _page_locked(xp, like)
        self.array = xp.empty(like.shape, like.dtype)
        self._copied, self._used = (xp.cuda.Event(disable_timing=True) for _ in range(2))
        self.release()  # the memory may have been another's, whose work is still to be done on the current stream

    @property
    def free(self) -> bool:
        """Has all been done that reads the array?"""
        return bool(self._used.done)

    def wait(self) -> None:
        """Until the last copy is done, at once unless the host is far ahead."""
        self._copied.synchronize()

    def end(self) -> None:
        """Until nobody reads its memory, which may then be given to others on any stream."""
        self.wait()
        self._used.synchronize()

    def fill(self, array: np.ndarray, stream: Any) -> None:
        """Begin the copy; what is launched from now on, on the current stream, waits for it."""
        self.wait()
        self._host[...] = array
        stream.wait_event(self._used)
        with stream:
            self.array.set(self._host, stream)
            self._copied.record(stream)
        self.xp.cuda.get_current_stream().wait_event(self._copied)

    def release(self) -> None:
        """What reads the array has been launched."""
        self._used.record(self.xp.cuda.get_current_stream())
