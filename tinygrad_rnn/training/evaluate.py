"""The mean of a number over data that come in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..arguments import flag
from ..errors import BadValue
from .asked import given
from .batches import Batches, Stream, as_batches
from .counts import counted, positions

if TYPE_CHECKING:
    from ..models.model import Model


def evaluate(model: Model, data: Any, *, of: str = "loss", batch_size: int = 32, carry_state: bool = False) -> float:
    """The mean of `of` over data, dropout off: what `fit` tells of `valid` after each epoch.

    data, batch_size, carry_state: as in `fit`; the order is that of the data. of: a scalar, such as the loss, or
    accuracy = mean(dot(y[t], target[t]) == max(y[t], axis=0)). Each batch counts as much as the mean in `of` counts in
    it, valid steps or examples, so the result does not depend on how they are cut.
    Raises `Error` for data that do not fit the model, and where `of` is no single number.
    """
    seen = model.observing(given(data))
    seen.system.require((of,))
    q = seen.system.quantities[of]
    if q.type.indices or q.type.shape:
        raise BadValue(f"evaluate gives a single number, but {of} has shape {q.type.shape} and varies over "
                       f"{', '.join(q.type.indices) or 'nothing'}; take a mean of it, or use run")
    batches = as_batches(data, batch_size, False, 0, seen.system)
    return mean_over(seen, of, batches, carry=flag("carry_state", carry_state))


def mean_over(seen: Model, of: str, batches: Batches | Stream, *, carry: bool = False,
              memory: str | None = None) -> float:
    """The mean of `of` over batches, each counting as much as its own mean counts in it. seen: all data given."""
    over = counted(seen.system, of)
    total, count, state = 0.0, 0, None
    for batch in batches.epoch(0):
        lengths = batch.pop("lengths", None)
        out, _ = seen._ran(batch, (of,), state=state, lengths=lengths, memory=memory)
        state = out.state if carry else None
        weight = positions(seen.system, over, batch, lengths)
        total, count = total + float(out[of]) * weight, count + weight
    if not count:
        raise BadValue("there are no batches to take the mean over")
    return total / count
