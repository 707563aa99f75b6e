"""A number of all the data from its parts in each batch: sums and counts are added, of maxima the largest is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Set
from graphlib import TopologicalSorter
from typing import Any

import numpy as np

from ..node import BATCH, Node, Type, ref, refs, walk
from ..ops import f
from ..ops.reduction import counted
from ..passes.rewrite import remade
from ..passes.schedule import needed
from ..system import Equation, Quantity, System, fresh, least
from ..tensors.evaluate import evaluate

Joined = Callable[[Any, Any], Any]  # of the values of two halves of the data
JOINED: dict[str, Joined] = {"sum": np.add, "count": np.add, "max": np.maximum, "logsumexp": np.logaddexp}


class Totals:
    """The number `of` as a function of parts, each a number or an array by batch.

    system: has the parts as quantities, `names`; those among `shares` are no totals, such as a weight, or a mean over
    steps of a mean over the batch: of them the mean over the batches is taken, each for what it counts.
    """

    def __init__(self, system: System, of: str):
        self._before = system
        self._quantities, self._equations = dict(system.quantities), list(system.equations)
        self._named: dict[Node, Node] = {}  # part -> what stands for it
        self._joined: dict[str, Joined] = {}
        self.shares = set[str]()
        self._root = self._made_of(of)
        self.system = system.with_equations(self._equations, self._quantities)
        self.names = tuple(node.attr("name") for node in self._named.values())

    def joined(self, total: Mapping[str, Any], found: Mapping[str, Any], weight: float) -> dict[str, Any]:
        """The parts of all batches so far and of one more, which counts for `weight`."""
        new = {name: np.asarray(found[name], "float64") * (weight if name in self.shares else 1) for name in self.names}
        return {name: self._joined[name](total[name], value) if total else value for name, value in new.items()}

    def value(self, total: Mapping[str, Any], weight: float) -> float:
        """`of`, from the parts of all batches, which count for `weight` together."""
        known = {node: total[name] / (weight if name in self.shares else 1)
                 for node in self._named.values() for name in [node.attr("name")]}
        return float(evaluate([self._root], known)[0])

    # -- taking it apart -----------------------------------------------------------------------------

    def _made_of(self, of: str) -> Node:
        """`of` as an expression of the parts; numbers that it is made of by name are put in their place."""
        single = {eq.name: eq for eq in needed(self._before, [of]) if not eq.slots}
        wholes = least(list(single.values()), (), _is_whole)
        uses = {name: [n.attr("name") for n in refs([single[name].rhs])] for name in single}
        found: dict[str, Node] = {}
        for name in TopologicalSorter(uses).static_order():
            if name in wholes:
                found[name] = self._of_parts(single[name].rhs, found)
        return found[of] if of in found else self._share(single[of].rhs if of in single else ref(
            of, (), self._before.quantities[of].type))

    def _of_parts(self, rhs: Node, found: Mapping[str, Node]) -> Node:
        new: dict[Node, Node] = {}
        for node in walk([rhs]):
            if node.op == "ref":
                if node.attr("name") in found:
                    new[node] = found[node.attr("name")]
            elif _is_whole(node, new.keys()):
                new[node] = self._total(node) if _over_batch(node) else remade(
                    node, tuple(new[a] if a in new else self._share(a) for a in node.args))
        return new[rhs]

    def _total(self, node: Node) -> Node:
        if node.op != "mean":
            return self._part(node, node.op)
        arg, over, axis, static = node.args[0], node.attr("over"), node.attr("axis"), self._before.static
        size = float(math.prod([*(arg.shape[k] for k in axis), *(static[i] for i in over if i in static)]))
        count = counted(arg, tuple(i for i in over if i not in static), static)
        return self._part(f.sum(arg, over=over, axis=axis), "sum") / (self._part(count, "count") * size)

    def _share(self, node: Node) -> Node:
        if node.op == "const":
            return node
        part = self._part(node, "sum")
        self.shares.add(part.attr("name"))
        return part

    def _part(self, node: Node, kind: str) -> Node:
        if node not in self._named:
            name = fresh(f"part_{len(self._named) + 1}", {*self._quantities, *self._before.ranges})
            own = self._before.dtype if node.dtype == "weak" else node.dtype
            self._quantities[name] = Quantity(name, "defined", (), Type(node.indices, node.shape, own))
            self._equations.append(Equation(name, (), node))
            self._joined[name] = JOINED[kind]
            self._named[node] = ref(name, (), Type((), node.shape, "float64"))
        return self._named[node]


def _over_batch(node: Node) -> bool:
    return BATCH in (dict(node.attrs).get("over") or ()) and node.op in ("mean", *JOINED)


def _is_whole(node: Node, wholes: Set[Node]) -> bool:
    """Is it one value made of sums over all examples?"""
    return not node.indices and (_over_batch(node) or any(a in wholes for a in node.args))
