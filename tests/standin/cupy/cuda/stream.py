"""cupy.cuda.stream."""

from __future__ import annotations

import itertools
import time
import weakref
from typing import Any

from .. import _capture
from .._capture import ILLEGAL_STATE, IMPLICIT, UNJOINED, UNMATCHED, Capture, CUDARuntimeError, Graph
from . import runtime

_pointers = itertools.count(0x1000, 0x10)
_capturing: list[Any] = []
_all: weakref.WeakValueDictionary[int, Stream] = weakref.WeakValueDictionary()


def capturing_streams() -> list[Any]:
    """The streams that take part in a capture."""
    return _capturing


def stream_at(pointer: int) -> Stream:
    """The stream that a library was given by its pointer."""
    found = _all.get(pointer)
    if found is None:
        raise CUDARuntimeError(400, f"cudaErrorInvalidResourceHandle: no stream is at {pointer:#x}")
    return found


class Stream:
    """A queue of work; what is enqueued is done at once, unless the stream captures."""

    null: Stream
    ptds: Stream

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False,
                 priority: int | None = None):
        self.ptr = 0 if null else 2 if ptds else next(_pointers)
        self.non_blocking = self.is_non_blocking = non_blocking
        self.priority = priority or 0
        self.device_id = -1 if null else 0
        self.capture: Capture | None = None
        _all[self.ptr] = self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.ptr == other.ptr

    def __hash__(self) -> int:
        return hash(self.ptr)

    def __enter__(self) -> Stream:
        _capture.push(self)
        return self

    def __exit__(self, *error: Any) -> None:
        _capture.pop()

    def use(self) -> Stream:
        """Make this the current stream from now on."""
        _capture.replace(self)
        return self

    def enqueue(self, task: Any, memory: Any) -> None:
        """Do it now, or record it."""
        if self.capture is not None:
            self.capture.tasks.append((task, [weakref.ref(block) for block in memory]))
            if self.capture.origin is not self:
                self.capture.unjoined[self] = len(self.capture.tasks)
            return
        if self.ptr == 0 and any(not s.non_blocking for s in _capturing):
            raise CUDARuntimeError(*IMPLICIT)
        task()

    @property
    def done(self) -> bool:
        self._refuse("cudaStreamQuery")
        return True

    def synchronize(self) -> None:
        """Wait for what was enqueued."""
        self._refuse("cudaStreamSynchronize")

    def _refuse(self, what: str) -> None:
        with self:
            _capture.refuse(what)

    def is_capturing(self) -> bool:
        return self.capture is not None

    def begin_capture(self, mode: int | None = None) -> None:
        """Record from now on what is enqueued, and do none of it."""
        if self.ptr == 0:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        if self.capture is not None:
            raise CUDARuntimeError(*ILLEGAL_STATE)
        self.capture = Capture(self, runtime.streamCaptureModeRelaxed if mode is None else mode)
        _capturing.append(self)

    def end_capture(self) -> Graph:
        """What was recorded, as a graph."""
        capture = self.capture
        if capture is None:
            raise CUDARuntimeError(*ILLEGAL_STATE)
        if capture.origin is not self:
            raise CUDARuntimeError(*UNMATCHED)
        for stream in [s for s in _capturing if s.capture is capture]:
            stream.capture = None
            _capturing.remove(stream)
        if capture.unjoined:
            raise CUDARuntimeError(*UNJOINED)
        return Graph(capture.tasks)

    def record(self, event: Event | None = None) -> Event:
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Work from now on is done after the event; a wait for an event of a capture joins that capture."""
        capture = event.capture
        if capture is None or capture.origin.capture is not capture:
            return
        if self.capture is None:
            self.capture = capture
            _capturing.append(self)
            capture.unjoined[self] = len(capture.tasks)
        elif self is capture.origin and capture.unjoined.get(event.stream, -1) <= event.place:
            capture.unjoined.pop(event.stream, None)

    def add_callback(self, callback: Any, arg: Any) -> None:
        self._refuse("cudaStreamAddCallback")
        callback(self, 0, arg)

    def launch_host_func(self, callback: Any, arg: Any) -> None:
        self.enqueue(lambda: callback(arg), [])

    def __repr__(self) -> str:
        return f"<Stream {self.ptr} (device {self.device_id})>"


class ExternalStream(Stream):
    """A stream that something else has made."""

    def __init__(self, ptr: int, device_id: int = -1):
        super().__init__()
        self.ptr = ptr
        self.capture = stream_at(ptr).capture


Stream.null = Stream(null=True)
Stream.ptds = Stream(ptds=True)


class Event:
    """A place in the queue of a stream."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False):
        self.ptr = next(_pointers)
        self.disable_timing = disable_timing
        self.time: float | None = None
        self.capture: Capture | None = None
        self.stream: Stream | None = None
        self.place = -1

    def record(self, stream: Stream | None = None) -> None:
        self.stream = _capture.current() if stream is None else stream
        self.capture = self.stream.capture
        if self.capture is not None:
            self.place = len(self.capture.tasks)
        self.time = time.perf_counter()

    @property
    def done(self) -> bool:
        return True

    def synchronize(self) -> None:
        if self.capture is not None:
            raise CUDARuntimeError(*_capture.UNSUPPORTED)


def get_elapsed_time(start: Event, end: Event) -> float:
    """Milliseconds between two events."""
    if start.time is None or end.time is None or start.disable_timing or end.disable_timing:
        raise CUDARuntimeError(400, "cudaErrorInvalidResourceHandle: invalid resource handle")
    return (end.time - start.time) * 1000


def get_current_stream(device_id: int = -1) -> Stream:
    """The stream in use in this thread."""
    return _capture.current()
