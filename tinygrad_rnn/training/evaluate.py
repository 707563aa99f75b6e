"""A number of data that come in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import backends
from ..arguments import flag
from ..errors import BadValue
from ..keywords import told
from .asked import given
from .batches import Batches, Stream, as_batches
from .counts import counted, positions
from .segments import check_examples
from .totals import Totals

if TYPE_CHECKING:
    from ..models.model import Model


@told
def evaluate(model: Model, data: Any, *, of: str = "loss", batch_size: int = 32, carry_state: bool = False) -> float:
    """The value of `of` for all the data together, dropout off: what `fit` tells of `valid` after each epoch.

    data, batch_size, carry_state: as in `fit`; the order is that of the data. of: a single number, such as the loss, or
    accuracy = mean(dot(y[t], target[t]) == max(y[t], axis=0)). Its means, sums and maxima over the examples are those
    over all the data, and what is made of them, such as a ratio of sums or the square root of a mean, is made of
    these, so the result does not depend on how the data are cut. Where examples look at each other before, as in a
    softmax over n, they look at those of their batch.
    Raises `Error` for data that do not fit the model, and where `of` is no single number.
    """
    seen = model.observing(given(data))
    seen.system.require((of,))
    q = seen.system.quantities[of]
    if q.type.indices or q.type.shape:
        what = [f"varies over {', '.join(q.type.indices)}"] * bool(q.type.indices)
        what += [f"has shape {q.type.shape}"] * bool(q.type.shape)
        raise BadValue(f"evaluate gives a single number, but {of} {' and '.join(what)}; take a mean of it, or use run")
    batches = as_batches(data, batch_size, False, 0, seen.system)
    return mean_over(seen, of, batches, carry=flag("carry_state", carry_state))


def mean_over(seen: Model, of: str, batches: Batches | Stream, *, carry: bool = False,
              memory: str | None = None) -> float:
    """The number `of` over all the batches. seen: the model with all data given."""
    totals, parts = seen.kept("totals", of, lambda: _in_parts(seen, of))
    over = counted(seen.system, of)
    total, count, state = dict[str, Any](), 0, None
    for number, batch in enumerate(batches.epoch(0)):
        lengths = batch.pop("lengths", None)
        check_examples(state, batch, number)
        out, _ = parts.ran(batch, totals.names, state=state, lengths=lengths, memory=memory)
        state = out.state if carry else None
        weight = positions(seen.system, over, batch, lengths)
        total = totals.joined(total, {name: backends.current().to_host(out[name]) for name in totals.names}, weight)
        count += weight
    if not count:
        raise BadValue("there are no batches to evaluate on")
    with backends.using("numpy"):
        return totals.value(total, count)


def _in_parts(seen: Model, of: str) -> tuple[Totals, Model]:
    totals = Totals(seen.system, of)
    return totals, type(seen).of_system(totals.system, seen.weights)
