"""Streams: what is enqueued is done at once, but while a stream captures it is recorded, and a graph does it."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any

Task = Callable[[], Any]

_thread = threading.local()


class CUDARuntimeError(RuntimeError):
    """What a call of the CUDA runtime answers where it fails."""

    def __init__(self, status: int, text: str = ""):
        super().__init__(text or f"cudaError {status}")
        self.status = status


UNSUPPORTED = (900, "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing")
UNMATCHED = (903, "cudaErrorStreamCaptureUnmatched: the capture was not initiated in this stream")
UNJOINED = (904, "cudaErrorStreamCaptureUnjoined: capturing stream has unjoined work")
IMPLICIT = (906, "cudaErrorStreamCaptureImplicit: operation would make the legacy stream depend on a capturing "
                 "blocking stream")
ILLEGAL_STATE = (401, "cudaErrorIllegalState: the operation cannot be performed in the present state")


class Capture:
    """What was recorded so far, and the streams that take part."""

    def __init__(self, origin: Any, mode: int):
        self.origin, self.mode = origin, mode
        self.tasks: list[tuple[Task, list[weakref.ref[Any]]]] = []
        self.unjoined: dict[Any, int] = {}  # by stream that joined: the place of its last work


class Graph:
    """Recorded work, to be launched any number of times."""

    def __init__(self, tasks: list[tuple[Task, list[weakref.ref[Any]]]]):
        self._tasks = tasks
        self.graph = self.graphExec = id(tasks)

    def launch(self, stream: Any = None) -> None:
        """Do all of it, in order."""
        stream = current() if stream is None else stream
        for _, memory in self._tasks:
            if any(block() is None for block in memory):
                raise RuntimeError("the graph works on memory that was freed after it was captured")
        stream.enqueue(self._replay, [])

    def _replay(self) -> None:
        for task, _ in self._tasks:
            task()

    def upload(self, stream: Any = None) -> None:
        """Make ready; there is nothing to be done here."""

    def __len__(self) -> int:
        return len(self._tasks)


def current() -> Any:
    """The stream in use in this thread."""
    from .cuda.stream import Stream

    stack = getattr(_thread, "stack", None)
    return stack[-1] if stack else Stream.null


@contextlib.contextmanager
def using(stream: Any) -> Any:
    """Within it, the stream is the current one."""
    push(stream)
    try:
        yield stream
    finally:
        pop()


def push(stream: Any) -> None:
    if not hasattr(_thread, "stack"):
        _thread.stack = []
    _thread.stack.append(stream)


def pop() -> None:
    _thread.stack.pop()


def replace(stream: Any) -> None:
    """Make the stream the current one from now on."""
    if getattr(_thread, "stack", None):
        _thread.stack[-1] = stream
    else:
        push(stream)


def captures() -> list[Capture]:
    """All captures under way."""
    from .cuda.stream import capturing_streams

    return list({id(s.capture): s.capture for s in capturing_streams()}.values())


def capturing() -> Capture | None:
    """The capture that the current stream takes part in."""
    return current().capture


def enqueue(task: Task, memory: Iterable[Any]) -> None:
    """Do it on the current stream: at once, or when the graph is launched. memory: the blocks that it works on."""
    current().enqueue(task, memory)


def refuse(what: str) -> None:
    """Raise where the current stream captures: `what` waits for the device, or is not work of a stream."""
    if capturing() is not None:
        raise CUDARuntimeError(UNSUPPORTED[0], f"{UNSUPPORTED[1]} ({what})")


def refuse_copy(way: str) -> None:
    """Raise, as CuPy does before it asks CUDA, where the current stream captures: H2D or D2H would be awaited."""
    if capturing() is not None:
        raise RuntimeError(f"the current stream is capturing, so {way} transfers are disallowed")


def refuse_anywhere(what: str) -> None:
    """Raise where any stream captures."""
    if captures():
        raise CUDARuntimeError(UNSUPPORTED[0], f"{UNSUPPORTED[1]} ({what})")


def refuse_allocation() -> None:
    """Raise where memory cannot be allocated: a capture that is not relaxed forbids it."""
    from .cuda.runtime import streamCaptureModeRelaxed

    if any(c.mode != streamCaptureModeRelaxed for c in captures()):
        raise CUDARuntimeError(UNSUPPORTED[0], f"{UNSUPPORTED[1]} (cudaMalloc, where the mode is not relaxed)")
