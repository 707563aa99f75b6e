"""Online use: one step a call, the state kept inside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from .demand import demand
from .errors import BadValue
from .node import walk
from .schedule import needed
from .system import System

if TYPE_CHECKING:
    from .model import Model


class Stepper:
    """`step(x=x1)` computes the next step of every quantity over the time index; x1 is (batch, features)."""

    def __init__(self, model: Model, batch: int = 1, want: Iterable[str] | None = None):
        if isinstance(batch, bool) or not hasattr(batch, "__index__") or batch < 1:
            raise BadValue(f"batch is a whole number, at least 1, not {batch!r}")
        self.model, self.batch = model, batch.__index__()
        self.index = _time(model.system)
        self.want = None if want is None else tuple(want)
        self.state: dict[str, Any] | None = None

    def reset(self) -> None:
        """Begin a new sequence."""
        self.state = None

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """One step: inputs (batch, features), or (batch,) integers for classes; results likewise."""
        system = self.model.system
        want = self.want or tuple(
            name for name in system.of_role("defined") if system.quantities[name].slots == (self.index,)
            and set(demand(system, [name]).inputs) <= set(inputs))
        check_causal(system, want, self.index)
        data = {}
        for name, value in inputs.items():
            q = system.quantities.get(name)
            array = np.asarray(value)
            if array.shape[:1] != (self.batch,):
                raise BadValue(f"{name} has shape {array.shape}; this stepper takes {self.batch} examples: "
                               f"({self.batch}, features)")
            data[name] = array[:, None] if q is not None and self.index in q.slots else array
        out = self.model.run(data, want=want, state=self.state)
        self.state = out.state
        return {name: value[:, 0] if system.quantities[name].batched else value[0] for name, value in out.items()}


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
