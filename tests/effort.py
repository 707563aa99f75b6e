"""How much work a piece of code does, counted and not timed: the same on every machine, however busy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class TooMuch(BaseException):
    """More work than was allowed. No `except Exception` on the way out stops it."""


@contextmanager
def at_most(calls: int) -> Iterator[None]:
    """Raise as soon as more functions than that have been called inside, Python's and C's."""
    left, before = calls, sys.getprofile()

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal left
        left -= event in ("call", "c_call")
        if left < 0:
            raise TooMuch(f"more than {calls:,} calls")

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)


def calls(work: Callable[[], object]) -> int:
    """How many functions work() calls, Python's and C's."""
    count, before = 0, sys.getprofile()

    def one(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(one)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count
