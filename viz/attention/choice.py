"""Which weights are drawn: by name, of which head; and why quantities that look like weights are none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tinygrad_rnn.errors import BadName, BadType, BadValue
from tinygrad_rnn.node import walk
from tinygrad_rnn.system import Equation, System

from ..graph.roles import Roles
from .graph import Attention, attentions, may_weigh, normalised

_NUMBERED = re.compile(r"(\w+)\[(\d+(?:\s*,\s*\d+)*)\]")
NEEDED = "weights over two ranges, such as a[t,s] = softmax(..., over=s)"


@dataclass(frozen=True)
class Choice:
    """The attention that is drawn, of all that there are; at: the positions of its further indices; head: which of its
    features, counted from 1, or () for their mean."""

    attention: Attention
    found: tuple[Attention, ...]
    at: dict[str, int]
    head: tuple[int, ...] = ()


def chosen(roles: Roles, quantity: str | None) -> Choice:
    """The attention of that name, by default the first.

    quantity: a name, or of several heads one, such as "a[2]". Raises `BadValue`, `BadName` or `BadType`.
    """
    found = {a.weights: a for a in attentions(roles)}
    if not found:
        reasons = [f"\n  {reason}" for reason in rejected(roles.system)]
        said = ":" + "".join(reasons) if reasons else ""
        raise BadValue(f"view='attention' needs {NEEDED}, and this model has none{said}")
    if quantity is None:
        quantity = next(iter(found))
    if not isinstance(quantity, str):
        raise BadType(f"quantity is the name of the weights, such as {next(iter(found))!r}, not {quantity!r}")
    numbered = _NUMBERED.fullmatch(quantity)
    name, rest = numbered.groups() if numbered else (quantity, "")
    if name not in found:
        raise BadName(f"quantity {quantity!r} is no attention; the model's weights are {', '.join(found)}")
    attention = found[name]
    given = [int(n) for n in rest.split(",")] if rest else [1] * len(attention.others)
    sizes = [*(roles.system.static.get(i) for i in attention.others), *attention.features]
    whole = len(given) in (len(attention.others), len(sizes))
    if not whole or not all(1 <= n <= (size or n) for n, size in zip(given, sizes, strict=False)):
        heads = ", ".join(_sizes(attention, roles.system))
        raise BadValue(f"quantity {quantity!r} chooses among {heads or 'no further index'}")
    cut = len(attention.others)
    return Choice(attention, tuple(found.values()), dict(zip(attention.others, given, strict=False)),
                  tuple(given[cut:]))


def _sizes(attention: Attention, system: System) -> Iterator[str]:
    for index in attention.others:
        yield f"{index} from 1 to {system.static.get(index) or index.upper()}"
    for size in attention.features:
        yield f"features 1 to {size}"


def rejected(system: System) -> list[str]:
    """Of every quantity that might be weights, why it is drawn as none."""
    mains = [eq for eq in system.equations if not eq.is_boundary]
    return [f"{eq.left} {reason}" for eq in mains if (reason := _reason(eq, system))]


def _reason(eq: Equation, system: System) -> str:
    own = [s.index for s in eq.slots]
    over = next(normalised(eq), "")
    ranges = [i for i in own if i not in system.static]
    if over and len(own) == 1:
        return f"is normalised over {over}, and has no second index that attends"
    if over and not any(i != over for i in ranges):
        return f"is normalised over {over}, and of its other indices none is a range"
    inner = next((i for n in walk([eq.rhs]) if n.op == "softmax" for i in dict(n.attrs).get("over") or ()
                  if i not in own), "")
    if inner:
        return f"has its weights inside; give softmax(..., over={inner}) a name and an equation of its own"
    if may_weigh(eq.name, system) and len(ranges) > 1 and not over:
        return "is neither normalised over one of its indices nor a number that a sum weighs with"
    return ""
