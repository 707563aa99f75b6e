"""A bounded cache of plans: one for each set of shapes, the oldest unused one goes first."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from . import backends
from .config import Config
from .plan import Plan
from .segments import Segments
from .system import System
from .weights import Weights

MOST = 16


class PlanCache:
    """The plans of one model.

    threads: into how many parts the batch may be cut; None: as many as may work. Sums over the batch are added part
    by part, so that a run repeats its bits only with the same number: a checkpoint keeps it.
    """

    def __init__(self) -> None:
        self._plans: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self.threads: int | None = None

    def get(self, system: System, config: Config, weights: Weights) -> Any:
        """The plan for config on the backend in use, or `Segments` in its place, made if it is not there."""
        backend, arrays = backends.current(), weights.arrays
        threads = backend.threads() if self.threads is None else self.threads
        how = (backend.name, backends.precision(), backend.compiles(), threads)
        key = (*how, id(arrays), config)  # a plan keeps its arrays, and so their id
        if key not in self._plans:
            kind = Plan if config.memory is None else Segments
            self._plans[key] = kind(system, config, arrays, backend, threads=threads)
            if len(self._plans) > MOST:
                self._plans.popitem(last=False)
        self._plans.move_to_end(key)
        return self._plans[key]
