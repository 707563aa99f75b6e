"""What `fit` is asked for: which weights, how clipped, from which state. Each is told before anything is computed."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..arguments import named
from ..errors import BadName, BadType, BadValue, near
from ..keywords import check_takes
from ..node import refs
from ..passes.demand import check_carried
from ..passes.schedule import needed
from ..plans.carried import along
from .batches import Batches, Stream
from .clipping import ClipNorm, ClipValue, of_own

if TYPE_CHECKING:
    from ..models.model import Model


def given(data: Any) -> Iterable[str] | None:
    """The names in the batches, where one can be looked at beforehand: declared data that are not there are drawn."""
    first = data[0] if isinstance(data, Sequence) and len(data) else data
    return first if isinstance(first, Mapping) else None


def trained(model: Model, wrt: Iterable[str] | None) -> list[str]:
    """The weights to train. Raises where a name is none, or there are none."""
    names = list(named("wrt", model.weights if wrt is None else wrt, model.weights.shapes))
    for name in names:
        if name not in model.weights.shapes:
            raise BadName(f"wrt names {name!r}, which is no weight of the model; its weights are "
                          f"{', '.join(model.weights.shapes) or 'none'}{near(name, model.weights.shapes)}")
    if not names:
        raise BadValue("there is no weight to train")
    return names


def nothing_learnt(weights: Mapping[str, Any]) -> str:
    """What to say where the gradient of the first update is zero."""
    zero = [name for name, array in weights.items() if not array.any()]
    why = "does the loss depend on the weights that are trained?"
    if zero:
        why = (f"{', '.join(zero)} are zero, as vectors and numbers are at first; where two such weights multiply each "
               f'other neither changes, so begin with others, as model.initialise(rules={{"{zero[0]}": '
               "tr.Normal(0.1)})")
    return f"the gradient is zero, so nothing is learnt: {why}"


def clipping(clip: Any) -> Callable[..., float] | None:
    """The function that clips: of a number by the global norm. Raises BadType for anything else."""
    if clip is None or isinstance(clip, (ClipNorm, ClipValue)):
        return clip
    if callable(clip) and not isinstance(clip, type):
        check_takes("a function that clips is given the gradients and their array module, and returns the norm", clip,
                    2, "def clip(grads, xp): ...")
        return of_own(clip)
    if isinstance(clip, bool) or not isinstance(clip, numbers.Real):
        raise BadType(f"clip is a number, ClipNorm or ClipValue, not {clip!r}")
    return ClipNorm(float(clip))


def check_order(data: Any, batches: Batches | Stream, carry_state: bool, shuffle: bool) -> None:
    """A state goes from batch to batch of a dict only where its examples are said to be in order."""
    if carry_state and shuffle and isinstance(data, Mapping) and (batches.count() or 0) > 1:
        raise BadValue("carry_state=True lets each batch go on where the one before it ended; give batches in that "
                       "order, such as tr.data.streams, or shuffle=False where the examples are in it")


def check_carries(model: Model, of: str) -> None:
    """A state can be carried on only where nothing reads the future, or positions counted from the beginning."""
    system = model.system
    carried = along(system, (of,))
    check_carried(system, (of,), carried)
    for eq in needed(system, [of]):
        for node in refs([eq.rhs]):
            if any(s.anchor == "free" and s.offset > 0 and system.range_of(s.index) in carried
                   for s in node.attr("slots")):
                raise BadValue(f"{eq.left} reads the future, so no state can be carried on\n{eq.show(node)}")
