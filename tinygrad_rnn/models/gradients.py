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
    from ..plans.plan import Plan
    from .model import Model

Gradients = tuple[Any, dict[str, Any]]  # the scalar, and what was asked for by name


def differentiated(model: Model, replays: dict[Any, Replay], data: Mapping[str, Any], of: str,
                   wrt: Iterable[str] | None, options: Mapping[str, Any]) -> Gradients:
    """See `Model.value_and_grad`, of a model that declares no data; `options` are those of `prepared`.

    replays: those that there are, by what was asked for; one more is added where this call can be replayed.
    """
    wrt = None if wrt is None else named("wrt", wrt, model.system.of_role("weight"))
    plain = None is options["lengths"] is options["steps"] is options["state"] is options["memory"]
    arrays = form(data, "biuf") if plain and not options["check"] and isinstance(of, str) else None
    key = None if arrays is None else (of, wrt, options["training"], arrays)
    replay = replays.get(key)
    if replay is not None and replay.holds(model.weights.arrays):
        found = replay(data)
        return found.pop("")[()], found
    names = tuple(model.system.of_role("weight")) if wrt is None else wrt
    derived = model.grad(of, names)
    adjoints = {name: derived.adjoints[name] for name in names}
    plan = _computed(model, derived, data, of, names, options)
    _clear(replays)
    if key is not None and Replay.fits(plan) and not any(model.system.quantities[name].batched for name in names):
        plans = derived.plans
        replays[key] = Replay(plan, data, {"": of, **adjoints}, partial(plans.holds, plan),
                              plans.how if plan.shares else plans.how_alone)
    return plan.result(of)[()], {name: plan.result(adjoint) for name, adjoint in adjoints.items()}


def _computed(model: Model, derived: Model, data: Mapping[str, Any], of: str, names: Iterable[str],
              options: Mapping[str, Any]) -> Plan:
    """The plan that has computed the scalar and its gradient."""
    if isinstance(options["state"], Mapping):
        check_carried(model.system, (of,), along(model.system, (of,), options["state"]))
    adjoints = [derived.adjoints[name] for name in model.weights.in_order(names)]
    return derived.computed((of, *adjoints), model.given(None, data), **options)


def _clear(replays: dict[Any, Replay]) -> None:
    """Let those go whose plans are gone, and the oldest where there are too many for one more."""
    lasting = [key for key, replay in replays.items() if replay.lasts()]
    for key in replays.keys() - {*lasting[1 - MOST :]}:
        del replays[key]
