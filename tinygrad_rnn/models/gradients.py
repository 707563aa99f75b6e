"""A scalar and its gradient: by a plan of the derived equations, or a replay of one that ran on such arrays before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ..arguments import named
from ..passes.demand import check_carried
from ..plans.carried import along
from ..plans.feeds import form
from ..plans.replay import Replay
from .plan_cache import MOST

if TYPE_CHECKING:
    from .model import Model


def differentiated(model: Model, data: Mapping[str, Any], of: str, wrt: Iterable[str] | None, lengths: Any,
                   steps: Any, state: Mapping[str, Any] | None, training: bool, seed: int, check: bool,
                   memory: str | None) -> tuple[Any, dict[str, Any]]:
    """See `Model.value_and_grad`, of a model that declares no data."""
    wrt = None if wrt is None else named("wrt", wrt, model.system.of_role("weight"))
    plain = lengths is None and steps is None and state is None and memory is None and not check
    again = form(data, "biuf") if plain and isinstance(of, str) else None
    if again is not None:
        again = (of, wrt, training, again)
        replay = model._replays.get(again)
        if replay is not None and replay.holds(model.weights.arrays):
            grads = replay(data)
            return grads.pop("")[()], grads
    names = tuple(model.system.of_role("weight")) if wrt is None else wrt
    derived = model.grad(of, names)
    if isinstance(state, Mapping):
        check_carried(model.system, (of,), along(model.system, (of,), state))
    wanted = {name: derived.adjoints[name] for name in names}
    plan = derived._computed((of, *(wanted[name] for name in model.weights.in_order(names))),
                             model._inputs(None, data), lengths=lengths, steps=steps, state=state,
                             training=training, seed=seed, check=check, memory=memory)
    lasting = [(key, replay) for key, replay in model._replays.items() if replay.lasts()]
    model._replays = dict(lasting[1 - MOST :])
    if again is not None and Replay.fits(plan) and not any(model.system.quantities[n].batched for n in names):
        plans = derived._plans
        model._replays[again] = Replay(plan, data, {"": of, **wanted}, partial(plans.holds, plan),
                                       plans.how if plan.shares else plans.how_alone)
    return plan.result(of)[()], {name: plan.result(adjoint) for name, adjoint in wanted.items()}
