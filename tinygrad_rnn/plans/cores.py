"""Threads for parts of the batch, kept for the next time; they sleep while they have nothing to do."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

Task = Callable[[], object]


class _Worker:
    def __init__(self) -> None:
        self.tasks: SimpleQueue[Task] = SimpleQueue()
        self.results: SimpleQueue[BaseException | None] = SimpleQueue()
        threading.Thread(target=self._work, name="tinygrad_rnn", daemon=True).start()

    def _work(self) -> None:
        while True:
            task = self.tasks.get()
            try:
                task()
            except BaseException as error:
                self.results.put(error)
            else:
                self.results.put(None)


@functools.lru_cache(maxsize=64)
def _worker(process: int, caller: int, k: int) -> _Worker:
    """Worker k of a thread of a process: a fork has none of its parent's threads."""
    return _Worker()


def together(tasks: Sequence[Task]) -> None:
    """Do all tasks at the same time, the first in this thread. Raises what the first that failed raised."""
    first, *others = tasks
    workers = [_worker(os.getpid(), threading.get_ident(), k) for k in range(len(others))]
    for worker, task in zip(workers, others, strict=True):
        worker.tasks.put(task)
    try:
        first()
    finally:
        errors = [worker.results.get() for worker in workers]
    for error in errors:
        if error is not None:
            raise error
