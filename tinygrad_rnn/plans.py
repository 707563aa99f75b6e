"""A bounded cache of plans: one for each set of shapes, the oldest unused one goes first."""

from __future__ import annotations

from collections import OrderedDict

from . import backends
from .config import Config
from .plan import Plan
from .system import System
from .weights import Weights

MOST = 16


class PlanCache:
    """The plans of one model."""

    def __init__(self) -> None:
        self._plans: OrderedDict[tuple[str, Config], Plan] = OrderedDict()

    def get(self, system: System, config: Config, weights: Weights) -> Plan:
        """The plan for config on the backend in use, made if it is not there."""
        backend = backends.current()
        arrays = weights.arrays
        key = (backend.name, config)
        if key not in self._plans:
            self._plans[key] = Plan(system, config, arrays, backend, backend.threads())
            if len(self._plans) > MOST:
                self._plans.popitem(last=False)
        self._plans.move_to_end(key)
        return self._plans[key]
