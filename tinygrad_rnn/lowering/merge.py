"""Products that share an operand are made one: fewer and larger calls, of matrices that lie next to each other anyway.

    W_1 @ h, W_2 @ h, ...               are the slices of  concat(W_1, W_2, ...) @ h
    W_1ᵀ @ d_1 + W_2ᵀ @ d_2 + ...       is                 concat(W_1, W_2, ...)ᵀ @ concat(d_1, d_2, ...)
    sum(outer(d_1, h)), sum(outer(d_2, h)), ...  are the slices of  sum(outer(concat(d_1, d_2, ...), h))

Nothing is copied for it. Weights that are multiplied by the same lie next to each other in memory (`stacks`), so that
their concatenation is a view; and so will the quantities that the pass names (`chains`), for which a plan keeps one
buffer. Where that cannot be, in an order that serves another product already, products stay apart.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..backends.flat import address, stacked
from ..config import Config
from ..node import BATCH, Node, Type, rebuild, walk
from ..ops import f
from ..passes.schedule import Item, Loop, Vertex, schedule, vertices
from ..system import Equation, System, grouped
from .chains import Chains
from .lower import lowered

# Multiplications up to which a product that is called is quick: OpenBLAS then reads both matrices as they lie, where
# above it lays them out anew first. Products from below are merged up to here, those beyond with each other.
QUICK = 1_000_000


class Rows(NamedTuple):
    """Rows of an operand become rows of the result: which argument has them, and along which axis of the result."""

    operand: int
    axis: int


def _rows(node: Node) -> Rows | None:
    """How terms like this one may be stacked, if their other operand is the same."""
    if node.op == "contract":
        *sides, out = node.attr("labels")
        for k, (own, other) in enumerate(((sides[0], sides[1]), (sides[1], sides[0]))):
            if own and own[0] in out and own[0] not in other and node.args[k].op == "ref":
                return Rows(k, out.index(own[0]))
    table = node.op == "pick_class" and node.attr("axis") == 1 and node.args[0].rank == 2
    total = node.op == "sum" and not node.attr("axis") and node.rank == 1
    return Rows(0, 0) if (table or total) and node.args[0].op == "ref" else None


def _summed(node: Node) -> int | None:
    """Which argument is a matrix whose rows are summed with the other's."""
    if node.op != "contract":
        return None
    left, right, out = node.attr("labels")
    if left and right and left[0] == right[0] and left[0] not in out and all(a.op == "ref" for a in node.args):
        return next((k for k, a in enumerate(node.args) if not a.indices), None)
    return None


def _is_plain(node: Node) -> bool:
    """Is the reference to a whole quantity, at positions relative to the present?"""
    return all(slot.anchor == "free" for slot in node.attr("slots"))


Places = dict[object, tuple[int, ...]]


def _placed(items: Sequence[Item], path: tuple[int, ...] = ()) -> Places:
    """The loops around each term and equation."""
    found: Places = {}
    for item in items:
        if isinstance(item, Loop):
            found |= _placed(item.items, (*path, id(item)))
        else:
            found[item] = path
    return found


def _alike(node: Node, rows: Rows, places: Places) -> Hashable:
    """Equal for terms that may be stacked."""
    own = node.args[rows.operand]
    others = tuple(a for k, a in enumerate(node.args) if k != rows.operand)
    return (node.op, node.attrs, rows, others, own.attr("slots"), own.indices, own.shape[1:], own.dtype, node.indices,
            places[node])


def stacks(system: System) -> Chains:
    """Weights that are multiplied by the same, and so belong next to each other in memory, in the system's order."""
    order = {name: k for k, name in enumerate(system.of_role("weight"))}
    equations = lowered(system, system.equations, frozenset(), training=True)
    places = _placed(schedule(equations))
    groups: dict[Hashable, dict[str, None]] = {}
    for node in walk(eq.rhs for eq in equations):
        rows = _rows(node)
        name = None if rows is None else node.args[rows.operand].attr("name")
        if rows is not None and name in order and not system.quantities[name].slots:
            groups.setdefault(_alike(node, rows, places), {})[name] = None
    chains = Chains()
    for group in groups.values():
        names = sorted(group, key=order.__getitem__)
        for a, b in itertools.pairwise(names):
            chains.extend([(a, b)])
    return chains


def _read(vertex: Vertex, by_name: Mapping[str, list[Equation]]) -> Sequence[Vertex]:
    """What has to be there first."""
    if isinstance(vertex, Equation):
        return [vertex.rhs]
    return by_name.get(vertex.attr("name"), []) if vertex.op == "ref" else vertex.args


@dataclass(frozen=True)
class Merged:
    """The equations, and the quantities that have to lie next to each other for it."""

    equations: list[Equation]
    chains: Chains


def merged(system: System, config: Config, equations: Sequence[Equation], items: Sequence[Item],
           weights: Mapping[str, Any], always: bool) -> Merged:
    """The equations of a plan with products that share an operand made one.

    items: their schedule; weights: the arrays, of which those next to each other are stacked; always: a product is
    never slower for being merged, as where it is compiled; else only up to QUICK and beyond.
    """
    merger = _Merger(system, config, equations, items, weights, always)
    merger.find()
    return Merged(merger.rewritten(), merger.chains)


Runs = dict[Node, list[Node]]  # terms that are merged, by the first of them


class _Merger:
    def __init__(self, system: System, config: Config, equations: Sequence[Equation], items: Sequence[Item],
                 weights: Mapping[str, Any], always: bool):
        self.system, self.equations, self.weights, self.always = system, equations, weights, always
        results = (name for name in config.want if not system.quantities[name].batched)
        self.results = {name: k for k, name in enumerate(results)}  # in this order they lie in memory
        self.sizes = {**dict(config.sizes), BATCH: config.batch}
        self.nodes = list(walk(eq.rhs for eq in equations))
        self.places, self.chains = _placed(items), Chains()
        self.uses: dict[Node, int] = {}
        for node in [*(a for n in self.nodes for a in n.args), *(eq.rhs for eq in equations)]:
            self.uses[node] = self.uses.get(node, 0) + 1
        self.levels = self._levels(items)
        self.written = self._written()
        self.stacked: dict[Node, tuple[list[Node], Rows]] = {}  # a term -> all that it is stacked with, in order
        self.joined: dict[Node, tuple[list[Node], Runs]] = {}  # a sum -> its terms, and those that are one product

    def _levels(self, items: Sequence[Item]) -> dict[object, int]:
        """How far from the end each term outside loops is needed: no two of one level need each other."""
        level: dict[object, int] = {}
        used: dict[object, int] = {}
        by_name = grouped(self.equations)
        for item in reversed(items):
            inside = list(vertices(item))
            own = 1 + max((used.get(v, -1) for v in inside), default=-1)
            for v in inside:
                level[v] = own
                for other in _read(v, by_name):
                    used[other] = max(used.get(other, -1), own)
        return level

    def _written(self) -> dict[Node, str]:
        """The quantity into whose buffer a term is computed."""
        late = {eq.name for eq in self.equations if any(s.anchor == "last" for s in eq.slots)}
        found: dict[Node, str] = {}
        for eq in self.equations:
            q = self.system.quantities[eq.name]
            if not eq.is_boundary and eq.rhs.type == q.type and eq.name not in late:
                found.setdefault(eq.rhs, eq.name)
        return found

    # -- what can be merged --------------------------------------------------------------------------

    def find(self) -> None:
        """First what follows from how weights lie, then what quantities can be laid out for."""
        rows: dict[Hashable, list[Node]] = {}
        how: dict[Node, Rows] = {}
        for node in self.nodes:
            found = _rows(node)
            if found is None or not (key := self._stackable(node, found)):
                continue
            how[node] = found
            rows.setdefault(key, []).append(node)
        groups = [(group, how[group[0]]) for group in sorted(rows.values(), key=lambda group: group[0].op == "sum")]
        for of_weights in (True, False):
            for group, found in groups:
                if self._is_weight(group[0].args[found.operand]) == of_weights:
                    for run in self._runs(group, [found.operand], found.axis):
                        self.stacked |= dict.fromkeys(run, (run, found))
            if of_weights:
                self._find_sums()

    def _is_weight(self, node: Node) -> bool:
        return self.system.quantities[node.attr("name")].role == "weight"

    def _stackable(self, node: Node, rows: Rows) -> Hashable:
        """What the terms have in common with which it may be stacked; nothing where there can be none."""
        own = node.args[rows.operand]
        q = self.system.quantities[own.attr("name")]
        if q.role == "weight" and not q.slots:
            return _alike(node, rows, self.places)
        # Other operands have to be there at once: none may follow from another of the products.
        if q.role == "defined" and _is_plain(own) and not self.places[node]:
            return _alike(node, rows, self.places), self.levels[node]
        return None

    def _find_sums(self) -> None:
        """Sums of products of which both operands can be stacked."""
        inner: set[Node] = set()
        for node in reversed(self.nodes):
            if node.op != "add" or node in inner:
                continue
            terms, todo = [], [node]
            while todo:
                x = todo.pop()
                if x is node or (x.op == "add" and x.type == node.type and self.uses[x] == 1 and x not in self.written):
                    inner.add(x)
                    todo += reversed(x.args)
                else:
                    terms.append(x)
            self._join(node, terms)

    def _join(self, root: Node, terms: list[Node]) -> None:
        groups: dict[Hashable, list[Node]] = {}
        for x in terms:
            k = _summed(x)
            if k is None or self.uses[x] != 1 or x.type != root.type:
                continue
            w, d = x.args[k], x.args[1 - k]
            defined = self.system.quantities[d.attr("name")].role == "defined" and _is_plain(d)
            if defined and self._is_weight(w) and not w.attr("slots"):
                key = (k, x.attrs, d.attr("slots"), d.indices, d.shape[1:], w.shape[1:], self.places[x])
                groups.setdefault(key, []).append(x)
        runs = {run[0]: run for group in groups.values() for run in self._runs(group, [0, 1], None)}
        if runs:
            self.joined[root] = terms, runs

    def _runs(self, group: list[Node], operands: list[int], axis: int | None) -> list[list[Node]]:
        """The group cut into what can lie next to each other: the operands, and the results along an axis."""
        order = sorted(group, key=lambda node: self._rank(node, operands))
        runs = [[order[0]]]
        for node in order[1:]:
            if self._pays([*runs[-1], node]) and self._follows(runs[-1][-1], node, operands, axis):
                runs[-1].append(node)
            else:
                runs.append([node])
        return [run for run in runs if len(run) > 1]

    def _pays(self, run: list[Node]) -> bool:
        """Is one product of them no slower?"""
        each = [self._multiplications(node) for node in run]
        return self.always or sum(each) <= QUICK or min(each) > QUICK

    def _multiplications(self, node: Node) -> int:
        """Of a product, at one position of each index that it does not sum over."""
        if node.op != "contract":
            return 0
        left, right, _ = node.attr("labels")
        features = dict(zip(left + right, node.args[0].shape + node.args[1].shape, strict=True))
        indices = {*node.attr("over"), *(i for i in node.indices if i == BATCH)}
        return math.prod([*features.values(), *(self.sizes[self.system.range_of(i)] for i in indices)])

    def _rank(self, node: Node, operands: list[int]) -> int:
        """Weights in the order of memory, results in that in which they are wanted."""
        for k in operands:
            if self._is_weight(node.args[k]):
                return address(self.weights[node.args[k].attr("name")])
        return self.results.get(self.written.get(node, ""), len(self.results))

    def _follows(self, a: Node, b: Node, operands: list[int], axis: int | None) -> bool:
        """Let b be stacked under a, if it can be."""
        links = []
        for k in operands:
            names = a.args[k].attr("name"), b.args[k].attr("name")
            if not self._is_weight(a.args[k]):
                links.append(names)
            elif stacked([self.weights[name] for name in names], 0) is None:
                return False
        if any(a.op == "sum" and self.chains.after.get(x) != y for x, y in links):
            return False  # a call less is not worth a place that a product may want
        if axis is not None:
            goals = self.written.get(a), self.written.get(b)
            if goals[0] is not None and goals[1] is not None and axis == 0:
                links.append((goals[0], goals[1]))
            elif goals != (None, None):
                return False
        return all(self._may_lie_beside(x, y) for x, y in links) and self.chains.extend(links)

    def _may_lie_beside(self, a: str, b: str) -> bool:
        """Are the quantities alike but for how many features they have? Results stay in the order of the wanted."""
        p, q = (self.system.quantities[name] for name in (a, b))
        alike = (p.slots, p.type.indices, p.type.shape[1:], p.type.dtype) == (
            q.slots, q.type.indices, q.type.shape[1:], q.type.dtype)
        if a not in self.results and b not in self.results:
            return alike
        return alike and not p.slots and self.results.get(a, -2) + 1 == self.results.get(b, -2)

    # -- the equations rewritten ---------------------------------------------------------------------

    def rewritten(self) -> list[Equation]:
        """The equations, with one product for each run."""
        new: dict[Node, Node] = {}
        whole: dict[Node, Node] = {}  # by the first in a run

        def change(node: Node, args: tuple[Node, ...]) -> Node:
            if node in self.stacked:
                run, rows = self.stacked[node]
                if run[0] not in whole:
                    whole[run[0]] = _whole(args, run, rows)
                made = _piece(whole[run[0]], node, run, rows.axis)
            elif node in self.joined:
                made = _total(*self.joined[node], new)
            else:
                made = node if args == node.args else Node(node.op, args, node.attrs, node.type)
            new[node] = made
            return made

        found = rebuild((eq.rhs for eq in self.equations), change) if self.stacked or self.joined else {}
        return [replace(eq, rhs=found.get(eq.rhs, eq.rhs)) for eq in self.equations]


def _whole(args: tuple[Node, ...], run: list[Node], rows: Rows) -> Node:
    """All terms of a run as one, its other operand from the arguments of any of them."""
    node, operands = run[0], list(args)
    operands[rows.operand] = f.concat(*(x.args[rows.operand] for x in run), axis=0)
    shape = list(node.shape)
    shape[rows.axis] = sum(x.shape[rows.axis] for x in run)
    return Node(node.op, tuple(operands), node.attrs, Type(node.indices, tuple(shape), node.dtype))


def _piece(whole: Node, node: Node, run: list[Node], axis: int) -> Node:
    """A term of a run as a slice of all of them."""
    first = sum(x.shape[axis] for x in run[: run.index(node)])
    return f.slice(whole, axis=axis, start=first, stop=first + node.shape[axis])


def _total(terms: list[Node], runs: Runs, new: Mapping[Node, Node]) -> Node:
    """A sum with each run as one product, where its first term stood."""
    gone = {x for run in runs.values() for x in run[1:]}
    parts = []
    for x in terms:
        if x in runs:
            both = (f.concat(*(y.args[k] for y in runs[x]), axis=0) for k in (0, 1))
            parts.append(Node(x.op, tuple(both), x.attrs, x.type))
        elif x not in gone:
            parts.append(new[x])
    total = parts[0]
    for part in parts[1:]:
        total = f.add(total, part)
    return total
