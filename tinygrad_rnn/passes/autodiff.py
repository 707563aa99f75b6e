"""Differentiation of a system: reverse every arrow, negate its shift, sum over indices that a quantity lacks.

The result is again a system. Each equation sends, through its own expression, one adjoint to every reference
in it; the adjoint of a name is the sum of what arrives, moved back along the reference's shift. No order of
evaluation is needed, so cycles cost nothing: the scheduler orders the adjoint equations like any others.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace

from ..errors import BadValue
from ..inference.infer import retyped
from ..node import BATCH, At, Node, Type, free, ordered, placed, rebuild, rebuilt, ref, refs, walk
from ..ops import TABLE, f
from ..shapes import reduction
from ..system import Equation, Quantity, System, closure, fresh, least, sources
from .adjoints import backward, fitted, spread
from .rewrite import ONE, ZERO, position_of, remade, stabilised, substituted
from .simplify import simplified

ARITHMETIC = ("add", "subtract", "multiply", "negative")
# Functions whose argument the literature calls the pre-activation, a.
SQUASHING = ("tanh", "sigmoid", "relu", "softplus", "softmax")


def gradient(system: System, of: str, wrt: Iterable[str] | None = None) -> tuple[System, dict[str, str]]:
    """The system with the equations of d(of)/d(name) added, and the name of each adjoint.

    wrt: names whose gradients are wanted; every weight by default.
    Raises where `of` is not a scalar, or no equation relates it to what is asked for.
    """
    names = system.of_role("weight") if wrt is None else list(wrt)
    return _Gradient(stabilised(system, kept=names), of, names).system()


@dataclass
class _Arrow:
    """A reference in an equation, and the adjoint that arrives at it."""

    equation: Equation
    reference: Node
    adjoint: Node


def check_scalar(system: System, of: str, wrt: Iterable[str]) -> None:
    """Raise where `of` is not a single number that is computed, or something in `wrt` is no quantity."""
    system.require([of], "; a gradient is of a scalar, such as loss = mean(...), that of= names")
    system.require(wrt)
    q = system.quantities[of]
    if q.role != "defined":
        raise BadValue(f"{of!r} is not defined by an equation; a gradient is of a scalar such as loss = ...")
    if q.type.indices or q.type.shape:
        varies = f" and varies over {', '.join(q.type.indices)}" if q.type.indices else ""
        raise BadValue(f"a gradient is of a single number, but {placed(of, q.slots)} has shape {q.type.shape}{varies}; "
                       "take a sum or mean of it")


class _Temporaries:
    """Adjoints with names of their own, such as d_a_h or d_h_1, so that they are computed and printed once.

    quantities and equations are theirs, the equations by the quantity in whose equation they arise.
    """

    def __init__(self, base: System, taken: set[str]):
        self.base, self.taken = base, taken
        self.quantities: dict[str, Quantity] = {}
        self.equations: dict[str, list[Equation]] = {}
        self._known: dict[object, Node] = {}
        self._numbers: dict[str, Iterator[int]] = {}

    def named(self, eq: Equation, value: Node, indices: Iterable[str], label: str = "") -> Node:
        """The name of a value over these indices that arises in an equation: its label, else d_h_1, d_h_2, ..."""
        key = eq.key, value, tuple(indices)
        if key not in self._known:
            self._known[key] = self._made(eq.name, value, tuple(indices), label)
        return self._known[key]

    def _made(self, owner: str, value: Node, indices: tuple[str, ...], label: str) -> Node:
        numbers = self._numbers.setdefault(owner, itertools.count(1))
        name = fresh(label, self.taken) if label else next(
            name for k in numbers if (name := f"d_{owner}_{k}") not in self.taken)
        self.taken.add(name)
        slots = tuple(map(free, indices))
        batched = BATCH in value.indices or self.are_ragged(indices)
        kind = Type(ordered([*indices, *[BATCH] * batched]), value.shape, self.base.dtype)
        self.quantities[name] = Quantity(name, "defined", indices, kind)
        self.equations.setdefault(owner, []).append(Equation(name, slots, value))
        return ref(name, slots, kind)

    def are_ragged(self, indices: Iterable[str]) -> bool:
        """May the range of one of the indices differ by example?"""
        return any(i != BATCH and i not in self.base.static for i in indices)


class _Gradient:
    """The derivation: names for the adjoints, what each equation sends, and what arrives at each name.

    arriving: what an equation's left side has been sent, by name and slots; preactivations: labels of what a tanh or
    another squashing function is of.
    """

    def __init__(self, system: System, of: str, wrt: list[str]):
        check_scalar(system, of, wrt)
        self.base, self.of, self.wrt = system, of, wrt
        self.by_name = system.by_name
        self.active = self._active()
        self.taken = set(system.quantities) | set(system.ranges)
        self.names = {}
        for name in system.quantities:
            if name in self.active or name in wrt or name == of:
                self.names[name] = fresh(f"d_{name}", self.taken)
                self.taken.add(self.names[name])
        self.forward = {adjoint: name for name, adjoint in self.names.items()}
        self.temporaries = _Temporaries(system, self.taken)
        self.written = set(walk(eq.rhs for eq in system.equations))
        mains = [eq for eq in system.equations if not eq.is_boundary and eq.rhs.args]
        self.named_values = {eq.rhs: self._ref(eq.name, eq.slots, system.quantities[eq.name].type) for eq in mains}
        self.preactivations = {eq.rhs.args[0]: f"d_a_{eq.name}" for eq in mains if eq.rhs.op in SQUASHING}
        self.arriving: dict[tuple[str, tuple[At, ...]], list[Node]] = {}

    def _active(self) -> set[str]:
        """Names on a path from wrt to `of`."""
        reads = {eq_name: {r.attr("name") for eq in eqs for r in _reached(eq.rhs)}
                 for eq_name, eqs in self.by_name.items()}
        above = closure([self.of], reads)
        users: dict[str, set[str]] = {}
        for name, read in reads.items():
            for other in read:
                users.setdefault(other, set()).add(name)
        return above & closure(self.wrt, users)

    def system(self) -> tuple[System, dict[str, str]]:
        """The system with the derived equations, those of each name followed by its temporaries; and the adjoints."""
        for eq in reversed(self.base.equations):
            if eq.name in self.active:
                self._equation(eq)
        order = [eq.name for eq in reversed(self.base.equations) if eq.name in self.names]
        order += [name for name in self.names if name not in self.by_name]
        equations = [*self.base.equations]
        for name in dict.fromkeys(order):
            equations += [*self._adjoint_equations(name), *self.temporaries.equations.get(name, ())]
        new = {adjoint: replace(self.base.quantities[name], name=adjoint, role="defined")
               for name, adjoint in self.names.items()} | self.temporaries.quantities
        read = {r.attr("name") for r in refs(eq.rhs for eq in self.base.equations)} | set(self.by_name)
        unread = {name: self.base.quantities[name].type.shape for name in self.wrt if name not in read}
        result = self.base.with_equations(equations, {**self.base.quantities, **new},
                                          declared={**self.base.declared, **unread})
        return _settled(result, set(new)), self.names

    # -- one equation sends its adjoints -----------------------------------------------------------

    def _seed(self, eq: Equation) -> Node:
        """The adjoint of an equation's left side."""
        if eq.name == self.of:
            return ONE
        q = self.base.quantities[eq.name]
        return self._ref(self.names[eq.name], eq.slots, q.type)

    def _ref(self, name: str, slots: tuple[At, ...], like: Type) -> Node:
        """A reference to a quantity of that type, at slots of which some may be fixed."""
        indices = [s.index for s in slots if s.anchor == "free"] + [BATCH] * (BATCH in like.indices)
        return ref(name, slots, Type(ordered(indices), like.shape, like.dtype))

    def _equation(self, eq: Equation) -> None:
        """Send each reference of an equation its adjoint."""
        active: set[Node] = set()
        for node in walk([eq.rhs]):
            if (node.op == "ref" and node.attr("name") in self.names) or any(a in active for a in node.args):
                active.add(node)
        if eq.rhs not in active:
            return
        q = self.base.quantities[eq.name]
        value = self._ref(eq.name, eq.slots, q.type)
        seed = self._seed(eq)
        if seed is not ONE:
            seed = fitted(seed, value, eq.rhs)  # a boundary value may vary over less than its quantity
        adjoint = backward(eq.rhs, seed, active, value if eq.rhs.type == value.type else None, self.base.open_indices)
        leaves = [r for r in refs([eq.rhs]) if r in adjoint and r in active]
        simple = simplified(adjoint.values(), self.named_values, self.written)
        labels = {simple[g]: self.preactivations[node] for node, g in adjoint.items() if node in self.preactivations}
        arrows = [_Arrow(eq, r, spread(simple[adjoint[r]], r)) for r in leaves]
        self._name_shared(eq, arrows, labels)
        for arrow in arrows:
            self._send(arrow)

    def _name_shared(self, eq: Equation, arrows: list[_Arrow], labels: Mapping[Node, str]) -> None:
        """Adjoints used more than once become temporaries, under their labels where they have one."""
        order = list(walk(a.adjoint for a in arrows))
        uses = Counter(itertools.chain((a.adjoint for a in arrows), *(node.args for node in order)))
        forward = set(walk([eq.rhs]))
        new: dict[Node, Node] = {}
        for node in order:
            new[node] = remade(node, tuple(new[a] for a in node.args))
            plain = not node.args or node.dtype == "bool" or (node.op == "negative" and node.args[0].op == "ref")
            if BATCH not in node.indices and self.temporaries.are_ragged(node.indices):
                continue  # a name would end where each example does, which the term does not
            if uses[node] > 1 and not plain and node not in forward and (node.indices or node.shape):
                own = [i for i in node.indices if i != BATCH]
                new[node] = self.temporaries.named(eq, new[node], own, labels.get(node, ""))
        for a in arrows:
            a.adjoint = new[a.adjoint]

    # -- and each adjoint arrives at the equations that its reference reads -------------------------

    def _send(self, arrow: _Arrow) -> None:
        """Let an adjoint arrive at each equation that its reference may read; an input or a weight has none."""
        name, slots = arrow.reference.attr("name"), arrow.reference.attr("slots")
        own = tuple(free(i) for i in self.base.quantities[name].slots)
        targets = [eq.slots for eq in sources(self.by_name.get(name, []), arrow.reference)]
        for target in targets if name in self.by_name else [own]:
            self.arriving.setdefault((name, target), []).append(self._arrival(arrow, slots, target))

    def _arrival(self, arrow: _Arrow, slots: tuple[At, ...], target: tuple[At, ...]) -> Node:
        """The adjoint over the target's indices: the reference's arrow reversed, its shifts negated."""
        moves: dict[str, At] = {}
        conditions: list[Node] = []
        for slot, goal in zip(slots, target, strict=True):
            if slot.anchor == "free":
                anchor = At("last", slot.index, goal.offset) if goal.anchor == "last" else goal
                moves[slot.index] = anchor.moved(-slot.offset)
            elif goal.anchor == "free" or goal.anchor != slot.anchor:
                conditions.append(f.equal(self._number(goal), self._number(slot)))
        value = self._moved(arrow, moves)
        for condition in conditions:
            value = f.where(condition, value, 0.0)
        return value

    def _number(self, at: At) -> Node:
        """That of a position; of a static index it is the same for all examples."""
        number = position_of(at)
        if at.index not in self.base.static:
            return number
        return rebuilt(number, lambda node, args: retyped(node, args, {}, self.base.static))

    def _moved(self, arrow: _Arrow, moves: dict[str, At]) -> Node:
        value = arrow.adjoint
        away = {i: at for i, at in moves.items() if at != free(i)}
        if not away:
            return value
        if self._vanishes_outside(value, away):
            return substituted(value, away)
        indices = [i for i in ordered([*value.indices, *away]) if i != BATCH]
        return substituted(self.temporaries.named(arrow.equation, value, indices), away)

    def _vanishes_outside(self, value: Node, away: dict[str, At]) -> bool:
        """Is value, moved, zero where the unmoved one would be outside the range, and cheap to write moved?

        So are sums of such, products of an adjoint with sums and products of names and constants, and matrix
        products with weights: the adjoint itself is zero there, and the others are numbers. Names with boundaries of
        their own may be anything there.
        """
        found: set[Node] = set()
        for node in walk([value]):
            if self._vanishes(node, found, away):
                found.add(node)
        return value in found

    def _vanishes(self, node: Node, others: set[Node], away: dict[str, At]) -> bool:
        """The same of a term, once it is known of its arguments."""
        if node.op == "ref":
            name = node.attr("name")
            own = {s.index for s in node.attr("slots") if s.anchor == "free" and s.offset == 0}
            derived = name in self.forward or name in self.temporaries.quantities
            return derived and not self._is_bounded(self.forward.get(name, "")) and set(away) <= own
        if node.op in ("negative", "add", "subtract"):
            return others.issuperset(node.args)
        if node.op == "multiply":
            a, b = node.args
            return any(x in others and self._is_number_outside(y) for x, y in ((a, b), (b, a)))
        if node.op == "matmul":
            left, right = node.args
            return not left.indices and right in others
        return False

    def _is_bounded(self, name: str) -> bool:
        return any(eq.is_boundary for eq in self.by_name.get(name, []))

    def _is_number_outside(self, root: Node) -> bool:
        """Is it finite where all names are zero, and cheap to compute twice?"""
        return all(node.op in ARITHMETIC or (node.op == "const" and math.isfinite(node.attr("value"))) or
                   (node.op == "ref" and not self._is_bounded(node.attr("name"))) for node in walk([root]))

    def _adjoint_equations(self, name: str) -> Iterator[Equation]:
        """The equations of a name's adjoint, for its range and for each boundary at which something arrives."""
        q, adjoint = self.base.quantities[name], self.names[name]
        main = tuple(map(free, q.slots))
        if name == self.of:
            yield Equation(adjoint, main, ONE)
            return
        targets = [eq.slots for eq in self.by_name.get(name, [])] or [main]  # the main one first
        for target in targets:
            parts = self.arriving.get((name, target), [])
            if not parts and any(slot.anchor != "free" for slot in target):
                continue
            total = functools.reduce(f.add, parts, ZERO)
            total = simplified([total], written=self.written)[total]
            if target == main and (name in self.wrt or total is ZERO):
                total = self._whole(total, self._ref(name, main, q.type))
            yield Equation(adjoint, target, total)

    @staticmethod
    def _whole(total: Node, of: Node) -> Node:
        """An adjoint that was asked for says by itself what shape it has, and that it varies by example."""
        if total.shape == of.shape and (BATCH in total.indices) == (BATCH in of.indices):
            return total
        return f.zeros_like(of) if total is ZERO else total * f.ones_like(of)


def _settled(system: System, new: set[str]) -> System:
    """The system with the new names varying by example only where their equations do, as when it is read back."""
    batched = {name for name, q in system.quantities.items() if q.batched and (
        name not in new or any(i not in system.static for i in q.slots))}
    equations = [eq for eq in system.equations if eq.name in new]
    batched = least(equations, batched, lambda node, varying: _varies(node, varying, system.static))
    wrong = [name for name in new if system.quantities[name].batched and name not in batched]
    quantities = dict(system.quantities)
    for name in wrong:
        q = quantities[name]
        indices = tuple(i for i in q.type.indices if i != BATCH)
        quantities[name] = replace(q, type=q.type._replace(indices=indices))
    typed = rebuild((eq.rhs for eq in equations), lambda node, args: node if args and args == node.args else
                    retyped(node, args, quantities, system.static))
    return system.with_equations([replace(eq, rhs=typed.get(eq.rhs, eq.rhs)) for eq in system.equations], quantities)


def _varies(node: Node, varying: Set[Node], static: Mapping[str, int]) -> bool:
    """Does a term vary by example, given the others that do? So does how far an index runs."""
    if not node.args:
        return BATCH in node.indices
    over = dict(node.attrs).get("over") or ()
    reduced = TABLE[node.op].shape is reduction and BATCH in over
    return not reduced and (not varying.isdisjoint(node.args) or any(i not in static for i in over))


def _reached(root: Node) -> list[Node]:
    """The references under root to which some gradient can flow."""
    found: dict[Node, None] = {}
    stack, seen = [root], {root}
    while stack:
        node = stack.pop()
        if node.op == "ref":
            found[node] = None
        row = TABLE[node.op]
        lines = row.vjp * len(node.args) if row.arity is None and len(row.vjp) == 1 else row.vjp
        for arg, line in zip(node.args, lines, strict=False):
            if line is not None and arg not in seen:
                seen.add(arg)
                stack.append(arg)
    return list(found)
