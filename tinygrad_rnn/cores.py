"""Threads for parts of the batch: as many as the user lets the process have, kept for the next time."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any


@functools.lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=max(1, (os.cpu_count() or 2) - 1), thread_name_prefix="tinygrad_rnn")


def together(tasks: Sequence[Callable[[], Any]]) -> None:
    """Do all tasks at the same time, the first in this thread. Raises what the first that failed raised."""
    first, *others = tasks
    waiting = [_pool().submit(task) for task in others]
    try:
        first()
    finally:
        errors = [f.exception() for f in waiting]
    for error in errors:
        if error is not None:
            raise error
