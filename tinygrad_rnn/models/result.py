"""What a run gives: arrays by name, and whatever is needed to go on from them or to look at them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import backends
from ..attributes import Advised
from ..errors import BadName, near

if TYPE_CHECKING:
    from .model import Model


class Result(dict[str, Any], Advised):
    """Arrays (batch, indices in left-hand order, features) by name.

    state carries on into the next `run(state=...)`; lengths: as they were given.
    """

    state: dict[str, Any]
    lengths: Any = None

    def __missing__(self, name: object) -> Any:
        raise BadName(f"there is no {name!r} among what was run, {', '.join(self) or 'nothing'}{near(name, self)}; "
                      "want= says what is")

    def _instead_of(self, name: str) -> str:
        """What there is in place of an attribute."""
        return f"; write result[{name!r}]" if name in self else super()._instead_of(name)


class Trace(Result):
    """A result with inputs and gradients in it; adjoints: quantity -> the name under which its gradient stands."""

    adjoints: Mapping[str, str]


def trace(model: Model, data: Mapping[str, Any], of: str, **options: Any) -> Trace:
    """Run the derived equations and keep all: see `Model.trace`."""
    derived = model.grad(of)
    own = [name for name in model.system.of_role("defined") if name not in model.hidden]
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
