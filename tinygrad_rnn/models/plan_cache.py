"""A bounded cache of plans: one for each set of shapes, the one not used for longest goes first."""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Mapping
from functools import partial
from types import ModuleType
from typing import Any

from .. import backends
from ..config import Config
from ..errors import Error, out_of_memory
from ..forks import unlocked
from ..plans.footprint import footprint
from ..plans.plan import Plan
from ..plans.segments import Segments
from ..system import System
from .weights import Weights

MOST = 16


class PlanCache:
    """The plans of one model.

    threads: into how many parts the batch may be cut; None: as many as may work. Sums over the batch are added part
    by part, so that a run repeats its bits only with the same number: a checkpoint keeps it.
    alone: held from the start of a run until its results are copied, since a plan has one set of buffers.
    """

    def __init__(self) -> None:
        self._plans: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._back: deque[tuple[tuple[Any, ...], Any]] = deque()  # plans that were lent and are free again
        self.threads: int | None = None
        self.alone = threading.RLock()
        unlocked(self)

    def get(self, system: System, config: Config, weights: Weights) -> Any:
        """The plan for config on the backend in use, or `Segments` in its place, made if it is not there."""
        while self._back:
            self._keep(*self._back.popleft())
        arrays, how = weights.arrays, self.how()
        key = (*how, id(arrays), config)  # a plan keeps its arrays, and so their id
        plan = self._plans.get(key)
        if plan is None:
            plan = self._made(system, config, arrays, backends.current(), how[-1])
            self._keep(key, plan)
        self._plans.move_to_end(key)
        return plan

    def how(self) -> tuple[str, str, bool, int]:
        """How plans are made now: backend, precision of products, compiled or not, threads."""
        return *self.how_alone(), backends.current().threads() if self.threads is None else self.threads

    def how_alone(self) -> tuple[str, str, bool]:
        """The same of plans that are for one thread."""
        backend = backends.current()
        return backend.name, backends.precision(), backend.compiles()

    def _keep(self, key: tuple[Any, ...], plan: Any) -> None:
        self._plans[key] = plan
        while len(self._plans) > 1 and (len(self._plans) > MOST or self._crowding()):
            _, gone = self._plans.popitem(last=False)
            if gone.backend.collects:
                gc.collect()

    def _crowding(self) -> bool:
        """Do the plans take more memory than they leave free?"""
        free = backends.current().free_memory()
        return free is not None and sum(plan.bytes for plan in self._plans.values()) > free

    def holds(self, plan: Any) -> bool:
        """Is the plan still kept?"""
        return any(kept is plan for kept in self._plans.values())

    def lend(self, plan: Any, to: object) -> None:
        """Leave the plan to one user, who goes on from what is in its buffers; when `to` is gone it comes back.

        `to` may go in any thread, and in the middle of anything, so the plan then waits for the next `get`.
        """
        for key in [key for key, kept in self._plans.items() if kept is plan]:
            del self._plans[key]
            weakref.finalize(to, self._back.append, (key, plan)).atexit = False

    def _made(self, system: System, config: Config, arrays: Mapping[str, Any], backend: ModuleType, threads: int
              ) -> Any:
        """A new plan. Where memory does not suffice, the others go, and then an error says how much it takes."""

        def plan(config: Config, parts: int | None = None) -> Plan:
            return Plan(system, config, arrays, backend, parts=parts, threads=threads)

        for _ in range(2):
            with contextlib.suppress(*backend.memory_errors):
                if config.memory is None:
                    return plan(config)
                return Segments(system, config, arrays, backend, threads=threads)
            self._plans.clear()
            gc.collect()
        needed = None
        if config.memory is None:
            with contextlib.suppress(*backend.memory_errors, Error):  # such as of a model that needs longer ranges
                needed = footprint(system, config, partial(plan, parts=1))  # small ones are not shared out all alike
        what = "a training step" if config.training else "a run"
        raise out_of_memory(needed, backend.free_memory(), f"{what} of {config.batch} examples")
