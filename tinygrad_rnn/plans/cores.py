"""Threads for parts of the batch, kept for the next time; they sleep while they have nothing to do."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ..jit.compiled import Native

Task = Callable[[], object]
Work = TypeVar("Work", bound=Task)


class _Worker:
    """A thread that works for another one. What it is given is done before anything new is, also after an interrupt."""

    def __init__(self) -> None:
        self.tasks: SimpleQueue[Task | None] = SimpleQueue()  # None: there will be no more
        self.bell: SimpleQueue[None] = SimpleQueue()  # rung when something is done; once too often does no harm
        self.error: BaseException | None = None
        self.busy = False  # with a task
        self.giver: int | None = None  # the core of who gave it
        self.handoff: Any = None  # for calls of machine code, once there was one
        threading.Thread(target=self._work, name="tinygrad_rnn", daemon=True).start()

    def _work(self) -> None:
        while (task := self.tasks.get()) is not None:
            _leave(self.giver)
            task()

    def _wake(self, task: Task) -> None:
        self.giver = _core()
        self.tasks.put(task)

    def give(self, task: Task) -> None:
        """Have a task done; `finished` waits for it."""
        self._settle()
        if self.handoff is not None:
            self.handoff.rouse()
        self.error, self.busy = None, True
        self._wake(functools.partial(self._do, task))

    def _do(self, task: Task) -> None:
        try:
            task()
        except BaseException as error:
            self.error = error
        self.busy = False
        self.bell.put(None)

    def finished(self) -> BaseException | None:
        """Wait for the task; what it raised, or an interrupt that came meanwhile."""
        interrupt = self._awaited(lambda: not self.busy)
        return self.error or interrupt

    def hand_over(self, call: Native) -> None:
        """Have a call done; `returned` waits for it."""
        self._settle()
        if self.handoff is None:
            from ..jit.handoff import Handoff

            self.handoff = Handoff()
        if not self.handoff.post(call.driver, *call.args):
            self._wake(self._serve)

    def _serve(self) -> None:
        if self.handoff.serve():
            self.bell.put(None)

    def returned(self) -> BaseException | None:
        """Wait for the call; an interrupt that came meanwhile."""
        return self._awaited(self.handoff.wait)

    def _settle(self) -> None:
        """Wait for what an interrupt has left, whether the worker was woken for it or not."""
        if self.busy or (self.handoff is not None and not self.handoff.is_done):
            if self.handoff is not None:
                self.tasks.put(self.handoff.serve)
            idle: SimpleQueue[None] = SimpleQueue()
            self.tasks.put(functools.partial(idle.put, None))
            idle.get()
            self.busy = False

    def _awaited(self, is_done: Callable[[], bool]) -> BaseException | None:
        """Wait until it is done, also where an interrupt comes: till then arrays are in use. The interrupt."""
        interrupt = None
        while not is_done():
            try:
                self.bell.get()
            except BaseException as error:
                interrupt = error
        while not self.bell.empty():
            self.bell.get()
        return interrupt


@functools.lru_cache(maxsize=1)
def _asks() -> Callable[[], int] | None:
    """What tells on which core a thread runs, where there is such a thing and threads can be moved."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    return getattr(ctypes.PyDLL(None), "sched_getcpu", None)


def _core() -> int | None:
    ask = _asks()
    return None if ask is None else ask()


def _leave(core: int | None) -> None:
    """Go to another core than this one, on which another thread works: some systems leave both there for long."""
    if core is None or core != _core():
        return
    with contextlib.suppress(OSError):  # where that is forbidden it stays
        allowed = os.sched_getaffinity(0)
        if len(allowed) > 1:
            os.sched_setaffinity(0, allowed - {core})
            os.sched_setaffinity(0, allowed)


class _Crew:
    """The workers of one thread, which end with it."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.workers: list[_Worker] = []
        weakref.finalize(self, _dismiss, self.workers).atexit = False


def _dismiss(workers: Iterable[_Worker]) -> None:
    for worker in workers:
        worker.tasks.put(None)


_own = threading.local()


def _workers(count: int) -> list[_Worker]:
    """So many workers of this thread."""
    crew = getattr(_own, "crew", None)
    if crew is None or crew.process != os.getpid():  # a fork has none of its parent's threads
        crew = _own.crew = _Crew()
    while len(crew.workers) < count:
        crew.workers.append(_Worker())
    return list(crew.workers[:count])


def together(tasks: Sequence[Task]) -> None:
    """Do all tasks at the same time, the first in this thread. Raises what the first that failed raised."""
    _shared(tasks, _Worker.give, _Worker.finished)


def at_once(calls: Sequence[Native]) -> None:
    """Do all calls at the same time, the first in this thread."""
    _shared(calls, _Worker.hand_over, _Worker.returned)


def _shared(works: Sequence[Work], give: Callable[[_Worker, Work], None],
            wait: Callable[[_Worker], BaseException | None]) -> None:
    first, *others = works
    if not others:
        first()
        return
    workers = _workers(len(others))
    for worker, work in zip(workers, others, strict=True):
        give(worker, work)
    try:
        first()
    finally:
        errors = [wait(worker) for worker in workers]
    for error in errors:
        if error is not None:
            raise error
