"""Ctrl-C at a good moment: what must be done whole is, and then the interrupt is raised."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any


class Interrupts:
    """`with interrupts.awaited():` around the whole, `with interrupts:` around what is not to be interrupted.

    In there Ctrl-C (SIGINT) waits, and at the end does what it would have done at once. Where Python gets no signals,
    in other threads than the main one, and where the signal is ignored, nothing is done.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._caught: tuple[int, FrameType | None] | None = None
        self._usual: Callable[[int, FrameType | None], Any] | None = None

    @contextlib.contextmanager
    def awaited(self) -> Iterator[None]:
        """Within it the signal comes here; it takes some microseconds."""
        usual = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or not callable(usual):
            yield
            return
        self._usual = usual
        signal.signal(signal.SIGINT, self._come)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, usual)

    def _come(self, number: int, frame: FrameType | None) -> None:
        self._caught = number, frame
        self._deliver()

    def _deliver(self) -> None:
        if self._caught is not None and self._depth == 0 and self._usual is not None:
            caught, self._caught = self._caught, None
            self._usual(*caught)

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        self._deliver()
