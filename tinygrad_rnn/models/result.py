"""What a run gives: arrays by name, and whatever is needed to go on from them or to look at them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import backends

if TYPE_CHECKING:
    from .model import Model


class Result(dict[str, Any]):
    """Arrays (batch, indices in left-hand order, features) by name.

    state carries on into the next `run(state=...)`; lengths: as they were given.
    """

    state: dict[str, Any]
    lengths: Any = None


class Trace(Result):
    """A result with inputs and gradients in it; adjoints: quantity -> the name under which its gradient stands."""

    adjoints: Mapping[str, str]


def trace(model: Model, data: Mapping[str, Any], of: str, **options: Any) -> Trace:
    """Run the derived equations and keep all: see `Model.trace`."""
    derived = model.grad(of)
    hidden = getattr(model, "hidden", ())  # such as the noise of what is drawn
    own = [name for name in model.system.of_role("defined") if name not in hidden]
    adjoints = {name: derived.adjoints[name] for name in own if name in derived.adjoints}
    found = derived.run(data, want=(*own, *adjoints.values()), **options)
    xp, at = backends.current().xp, backends.current().asarray
    for name, adjoint in adjoints.items():
        if found[adjoint].ndim < found[name].ndim:  # it is the same for every example
            found[adjoint] = xp.array(xp.broadcast_to(found[adjoint], found[name].shape))
    inputs = {name: at(data[name]) for name in model.system.of_role("input") if name in data}
    result = Trace({**inputs, **found})
    result.state, result.lengths, result.adjoints = found.state, found.lengths, adjoints
    return result
