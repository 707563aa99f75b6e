"""Online use: one step a call, the state kept inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .demand import demand
from .errors import BadValue
from .node import walk
from .schedule import needed
from .system import System

if TYPE_CHECKING:
    from .model import Model
    from .plan import Plan
    from .system import Quantity


class Stepper:
    """`step(x=x1)` computes the next step of every quantity over the time index; x1 is (batch, features).

    The first two steps go through `Model.run`, which checks everything; from then on the plan of one step is replayed
    with its state left where it is.
    """

    def __init__(self, model: Model, batch: int = 1, want: Iterable[str] | None = None):
        if isinstance(batch, bool) or not hasattr(batch, "__index__") or batch < 1:
            raise BadValue(f"batch is a whole number, at least 1, not {batch!r}")
        self.model, self.batch = model, batch.__index__()
        self.index = _time(model.system)
        self.want = None if want is None else tuple(want)
        self._state: dict[str, Any] | None = None
        self._live: _Live | None = None

    @property
    def state(self) -> dict[str, Any] | None:
        """What the next step goes on from, by name: (batch, steps, other indices, features); None at the beginning."""
        return self._state if self._live is None else self._live.plan.state()

    @state.setter
    def state(self, state: dict[str, Any] | None) -> None:
        self._state, self._live = state, None

    def reset(self) -> None:
        """Begin a new sequence."""
        self.state = None

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """One step: inputs (batch, features), or (batch,) integers for classes; results likewise."""
        if self._live is not None and self._live.takes(inputs):
            return self._live.step(inputs)
        state, system = self.state, self.model.system
        want = self.want or tuple(
            name for name in system.of_role("defined") if system.quantities[name].slots == (self.index,)
            and set(demand(system, [name]).inputs) <= set(inputs))
        check_causal(system, want, self.index)
        out, plan = self.model._ran(self._with_time(inputs), want, state)
        self.state = out.state
        if state is not None and len(plan.parts) == len(plan.levels) == 1 and not plan.parts[0].drawn:
            self._live = _Live(self.model, plan, inputs, want)
        return {name: value[:, 0] if system.quantities[name].batched else value[0] for name, value in out.items()}

    def _with_time(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs as `run` takes them, one position long."""
        data = {}
        for name, value in inputs.items():
            q = self.model.system.quantities.get(name)
            array = np.asarray(value)
            if array.shape[:1] != (self.batch,):
                raise BadValue(f"{name} has shape {array.shape}; this stepper takes {self.batch} examples: "
                               f"({self.batch}, features)")
            data[name] = array[:, None] if q is not None and self.index in q.slots else array
        return data


class _Live:
    """A plan of one step whose buffers hold the state."""

    def __init__(self, model: Model, plan: Plan, inputs: Mapping[str, Any], want: Iterable[str]):
        self.model, self.plan, (part,) = model, plan, plan.parts
        quantities = model.system.quantities
        self._arrays = part.weights
        self._shapes = {name: (np.shape(value), np.asarray(value).dtype) for name, value in inputs.items()}
        self._inputs = [(name, self._here(part.interior(name), quantities[name])) for name in inputs
                        if name in part.layout.used]
        self._results = [(name, self._here(part.interior(name), quantities[name])) for name in want]
        self._rolls = [(part.by_step(name, axis)[:, :low], part.by_step(name, axis)[:, 1 : 1 + low])
                       for name, axis, low in part.carried()]
        self._run, self._compiled = part.program.run, plan.compiled

    @staticmethod
    def _here(value: Any, q: Quantity) -> Any:
        """The only position: (batch, features)."""
        value = np.moveaxis(value, -1, 0) if q.batched else value
        at_time = value[:, 0] if q.batched and q.slots else value[0] if q.slots else value
        return at_time

    def takes(self, inputs: Mapping[str, Any]) -> bool:
        """Are these inputs like those that it was made for, and the weights still the same arrays?"""
        if len(inputs) != len(self._shapes) or self.model.weights.arrays is not self._arrays:
            return False
        for name, value in inputs.items():
            if type(value) is not np.ndarray or (value.shape, value.dtype) != self._shapes.get(name):
                return False
        return True

    def step(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Move the state back by one position, and compute the next."""
        for earlier, later in self._rolls:
            earlier[...] = later
        for name, target in self._inputs:
            target[...] = inputs[name]
        if self._compiled:
            self._run(0)
        else:
            with self.plan.backend.quiet():
                self._run(0)
        return {name: array.copy() for name, array in self._results}


def _time(system: System) -> str:
    dynamic = [i for i in system.ranges if i not in system.static]
    if "t" in dynamic:
        return "t"
    if len(dynamic) != 1:
        raise BadValue("a stepper needs a model with one index of time")
    return dynamic[0]


def check_causal(system: System, want: Iterable[str], index: str) -> None:
    """Raise where a wanted quantity needs steps that have not arrived yet."""
    for eq in needed(system, want):
        for node in walk([eq.rhs]):
            attrs = dict(node.attrs)
            late = node.op == "ref" and any(
                (s.anchor == "free" and s.index == index and s.offset > 0) or (s.anchor == "last" and s.index == index)
                for s in attrs["slots"])
            if late or (node.args and index in (attrs.get("over") or ())) or (
                    node.op == "last" and attrs["index"] == index):
                raise BadValue(f"{eq.left} needs the whole sequence, so it cannot be computed step by step or "
                               f"carried on from a state\n{eq.show()}")
