"""How many values a loss is the mean of in a batch: what the batch counts for among others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..node import BATCH, Node
from ..plans.feeds import lengths_by_index, on_host
from ..system import System

if TYPE_CHECKING:
    from .batches import Batch


def counted(system: System, of: str) -> frozenset[str]:
    """The ranges, beside the batch, over which the mean in `of` is taken.

    loss = mean(cross_entropy(y[t], target[t])) counts steps, loss = mean(cross_entropy(y, k[n])) examples. Where there
    are several means, of different ranges, or none, it is the range of time, which is as good as any.
    """
    found = {frozenset(system.range_of(i) for i in mean.args[0].indices if i != BATCH and i not in system.static)
             for mean in _means(system, of)}
    if len(found) == 1:
        return found.pop()
    dynamic = [i for i in system.ranges if i not in system.static]
    return frozenset(system.range_of(i) for i in (["t"] if "t" in dynamic else dynamic[:1]))


def _means(system: System, of: str) -> list[Node]:
    """The means over the batch that make up a number, also through the names of other numbers."""
    found, seen = list[Node](), {of}
    equations = system.by_name
    todo = [eq.rhs for eq in equations.get(of, [])]
    while todo:
        node = todo.pop()
        if node.op == "mean" and BATCH in node.attr("over"):
            found.append(node)
            continue
        todo += node.args
        if node.op == "ref" and node.attr("name") not in seen and not system.quantities[node.attr("name")].type.indices:
            seen.add(node.attr("name"))
            todo += [eq.rhs for eq in equations.get(node.attr("name"), [])]
    return found


def positions(system: System, over: frozenset[str], data: Batch, lengths: Any = None) -> int:
    """How many valid positions of these ranges a batch has, in all its examples."""
    sizes: dict[str, int] = {}
    examples = 1
    for name, value in data.items():
        q, shape = system.quantities.get(name), np.shape(value)
        if q is not None and q.role == "input" and shape:
            examples = shape[0]
            sizes |= {system.range_of(i): n for i, n in zip(q.slots, shape[1:], strict=False)}
    if lengths is None:
        return examples * math.prod(sizes.get(r, 1) for r in over)
    ends = {system.range_of(i): n.astype("int64") for i, n in lengths_by_index(system, on_host(lengths)).items()}
    count = np.ones(examples, "int64")
    for r in over:
        count = count * ends.get(r, sizes.get(r, 1))
    return int(count.sum())
