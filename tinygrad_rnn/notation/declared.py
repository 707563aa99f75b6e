"""Declared data: what `w[t] = categorical(p[t])` means when w is given, begun, or left to be drawn.

Each question to a model poses its data anew, as a system that has none: what is given becomes an input, with its
negative log-likelihood in the loss; what is not is drawn, by noise that depends on seed, step, name, example and
position.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from ..arguments import real, whole
from ..errors import BadValue
from ..inference.infer import retyped
from ..node import BATCH, At, Node, Type, free, ordered, rebuilt, ref, refs
from ..ops import f
from ..ops.draws import DECLARED, law
from ..passes.rewrite import filled, position_of, remade, substituted
from ..system import Equation, Quantity, System, fresh, meets


@dataclass(frozen=True)
class Sampling:
    """How data are drawn: temperature (0: the likeliest), of classes only the top_k or those with the share top_p."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        real("temperature", self.temperature, at_least=0)
        if self.top_k is not None:
            whole("top_k", self.top_k, at_least=1)
        if self.top_p is not None and real("top_p", self.top_p, above=0) > 1:
            raise BadValue(f"top_p is a share, at most 1, not {self.top_p!r}")


@dataclass(frozen=True)
class Pose:
    """A question: which declared data are given, begun by a prefix, or given but fed back as partly drawn ones.

    peeked: what would be drawn in the place of given data is wanted too, and read by nothing. scored: whose
    distribution is wanted, under a name of its own; ahead: quantities that have been computed already.
    """

    given: frozenset[str] = frozenset()
    begun: frozenset[str] = frozenset()
    fed: bool = False
    peeked: bool = False
    scored: str | None = None
    ahead: frozenset[str] = frozenset()
    sampling: Sampling = Sampling()


@dataclass(frozen=True)
class Posed:
    """The system of a pose. begun: name -> the inputs (values, where they are kept) of a prefix or of what is fed
    back; peeks: name -> what would be drawn in its place; hidden: names that the model does not have; score: the name
    of the wanted distribution."""

    system: System
    begun: dict[str, tuple[str, str]]
    peeks: dict[str, str]
    hidden: frozenset[str]
    score: str | None


def declarations(system: System) -> dict[str, Equation]:
    """What is declared as data, by name."""
    return {eq.name: eq for eq in system.equations if eq.rhs.op in DECLARED}


def _categorical(q: Quantity, rhs: Node, noise: Callable[..., Node], how: Sampling) -> Node:
    p = rhs.args[0]
    return f.draw_class(p, noise("uniform", ()), temperature=how.temperature, top_k=how.top_k, top_p=how.top_p)


def _pointer(q: Quantity, rhs: Node, noise: Callable[..., Node], how: Sampling) -> Node:
    """The first position at which the sum of probabilities is beyond a share of their total; no number where they are
    no distribution."""
    p, over = rhs.args[0], rhs.attr("over")
    bad = f.sum(f.where(f.less(p, 0.0), 1.0, 0.0), over=over, axis=())
    largest = f.max(p, over=over, axis=())
    if how.temperature == 0:
        before = f.cumsum(f.where(f.equal(p, largest), 1.0, 0.0), over=over)
        found = 1.0 + f.sum(f.where(f.equal(before, 0.0), 1.0, 0.0), over=over, axis=())
    else:
        sums = f.cumsum(p if how.temperature == 1 else f.power(p / largest, 1.0 / how.temperature), over=over)
        share = noise("uniform", ()) * f.max(sums, over=over, axis=())
        found = 1.0 + f.sum(f.where(f.less_equal(sums, share), 1.0, 0.0), over=over, axis=())
    whole = f.where(f.greater(bad, 0.0), 0.0, f.sum(p, over=over, axis=()))
    return found * (whole / whole)


def _bernoulli(q: Quantity, rhs: Node, noise: Callable[..., Node], how: Sampling) -> Node:
    p = filled(rhs.args[0], q.type.shape)
    if how.temperature == 0:
        return f.where(f.greater(p, 0.5), 1.0, f.zeros_like(p))
    if how.temperature != 1.0:
        yes, no = f.power(p, 1.0 / how.temperature), f.power(1.0 - p, 1.0 / how.temperature)
        p = yes / (yes + no)
    return f.where(f.less(noise("uniform", q.type.shape), p), 1.0, f.zeros_like(p))


def _normal(q: Quantity, rhs: Node, noise: Callable[..., Node], how: Sampling) -> Node:
    mean, std = rhs.args
    return mean + std * how.temperature * noise("normal", q.type.shape)


def _of_classes(w: Node, rhs: Node) -> Node:
    return f.cross_entropy(rhs.args[0], w)


def _of_positions(w: Node, rhs: Node) -> Node:
    """That of a position that there is not is infinite."""
    p, over = rhs.args[0], rhs.attr("over")
    here = f.equal(f.position(index=over[0]), w)
    met = f.sum(f.where(here, 1.0, 0.0), over=over, axis=())
    return f.where(f.greater(met, 0.0), -f.sum(f.where(here, f.log(p), 0.0), over=over, axis=()), math.inf)


def _of_truths(w: Node, rhs: Node) -> Node:
    return f.binary_cross_entropy(rhs.args[0], w)


def _of_numbers(w: Node, rhs: Node) -> Node:
    mean, std = rhs.args
    return f.log(std) + 0.5 * f.power((w - mean) / std, 2.0) + 0.5 * math.log(2 * math.pi)


# How each is drawn, and its negative log-likelihood.
DRAWN: dict[str, Callable[..., Node]] = {
    "categorical": _categorical, "pointer": _pointer, "bernoulli": _bernoulli, "normal": _normal}
SURPRISE: dict[str, Callable[..., Node]] = {
    "categorical": _of_classes, "pointer": _of_positions, "bernoulli": _of_truths, "normal": _of_numbers}


def posed(system: System, pose: Pose) -> Posed:
    """The system of a pose, in which nothing is declared."""
    return _Posing(system, pose).posed()


def observed(system: System) -> System:
    """The system with all declared data given, as in training."""
    names = declarations(system)
    return posed(system, Pose(frozenset(names))).system if names else system


class _Posing:
    def __init__(self, system: System, pose: Pose):
        self.system, self.pose = system, pose
        self.quantities = dict(system.quantities)
        self.taken = set(system.quantities) | set(system.ranges)
        self.equations: list[Equation] = []
        self.begun: dict[str, tuple[str, str]] = {}
        self.peeks: dict[str, str] = {}
        self.surprises: list[Node] = []

    def posed(self) -> Posed:
        score = None
        renamed: dict[str, str] = {}
        for eq in self.system.equations:
            if eq.name in self.pose.ahead:
                self.quantities[eq.name] = replace(self.quantities[eq.name], role="input")
            elif eq.rhs.op not in DECLARED:
                self.equations.append(eq)
            else:
                if eq.name == self.pose.scored:
                    score = self._new(f"p_{eq.name}", eq, eq.rhs.args[0].type)
                    self.equations.append(Equation(score, eq.slots, eq.rhs.args[0], eq.source))
                self._declaration(eq, renamed)
        if renamed:
            self.equations = [self._fed_back(eq, renamed) for eq in self.equations]
        for name in self.pose.given - set(renamed):
            self._without_boundaries(name)
        if self.surprises and "loss" not in self.system.quantities:
            total = functools.reduce(f.add, self.surprises)
            self.quantities["loss"] = Quantity("loss", "defined", (), Type((), (), self.system.dtype))
            self.equations.append(Equation("loss", (), total))
        hidden = frozenset(self.quantities) - set(self.system.quantities) - {"loss"}
        sizes = {n: self.system.quantities[n].type.shape for n in self.system.quantities if n in self.pose.given}
        system = self.system.with_equations(self.equations, self.quantities, declared={**self.system.declared, **sizes})
        return Posed(system, self.begun, self.peeks, hidden, score)

    def _declaration(self, eq: Equation, renamed: dict[str, str]) -> None:
        q, name = self.system.quantities[eq.name], eq.name
        if name not in self.pose.given | self.pose.begun:
            self.equations.append(replace(eq, rhs=self._drawn(eq)))
            return
        mixed = name in self.pose.begun or self.pose.fed
        if name in self.pose.given:
            self.quantities[name] = replace(q, role="input")
            here = ref(name, eq.slots, q.type)
            surprise = SURPRISE[law(eq.rhs)](here, eq.rhs)
            if surprise.rank:
                surprise = f.sum(surprise, over=(), axis=tuple(range(surprise.rank)))
            self.surprises.append(f.mean(surprise))
        if self.pose.peeked:
            self.peeks[name] = self._new(f"drawn_{name}", eq, q.type)
            self.equations.append(replace(eq, name=self.peeks[name], rhs=self._drawn(eq)))
        if mixed:
            values, into = (self._new(f"given_{name}", eq, q.type), name) if name in self.pose.begun else (
                name, self._new(f"fed_{name}", eq, q.type))
            kept = self._new(f"kept_{name}", eq, Type(ordered({*q.slots, BATCH}), (), self.system.dtype))
            for source in {kept, values}:
                self.quantities[source] = replace(self.quantities[source], role="input")
            self.begun[name] = values, kept
            keep = f.greater(ref(kept, eq.slots, self.quantities[kept].type), 0.5)
            chosen = f.where(keep, ref(values, eq.slots, q.type), self._drawn(eq))
            self.equations.append(replace(eq, name=into, rhs=chosen))
            if into != name:
                renamed[name] = into

    def _without_boundaries(self, name: str) -> None:
        """Given data, such as classes, hold no other values: what reads beyond them reads what is set there itself."""
        shape, ends = self.system.quantities[name].type.shape, [eq for eq in self.equations if eq.name == name]
        if not ends:
            return

        def change(node: Node, args: tuple[Node, ...]) -> Node:
            if node.op != "ref" or node.attr("name") != name:
                return remade(node, args)
            value = node
            for eq in ends:
                pairs = list(zip(node.attr("slots"), eq.slots, strict=True))
                if all(meets(at, end) for at, end in pairs):
                    moves = {end.index: at for at, end in pairs if end.anchor == "free"}
                    there = substituted(filled(eq.rhs, shape), moves)
                    met = [self._is_at(at, end) for at, end in pairs
                           if at != (free(at.index) if end.anchor == "free" else end)]
                    value = f.where(functools.reduce(f.logical_and, met), there, value) if met else there
            return value

        self.equations = [replace(eq, rhs=rebuilt(eq.rhs, change)) for eq in self.equations if eq.name != name]

    def _is_at(self, at: At, end: At) -> Node:
        """Is the position of a reference that of a boundary, or inside the range that it runs over?"""
        if end.anchor != "free":
            return f.equal(self._place(at), self._place(end))
        last = f.last(index=at.index or end.index)
        return f.logical_and(f.less_equal(1.0, self._place(at)), f.less_equal(self._place(at), last))

    def _place(self, at: At) -> Node:
        if at.anchor != "free":
            return position_of(at)
        return retyped(f.position(index=at.index), (), {}, self.system.static) + float(at.offset)

    def _drawn(self, eq: Equation) -> Node:
        """The right side that draws, from noise that is a quantity of its own."""
        q = self.system.quantities[eq.name]

        def noise(kind: str, shape: tuple[int, ...]) -> Node:
            found = Type(ordered({*q.slots, BATCH}), shape, self.system.dtype)
            name = self._new(f"noise_{eq.name}", eq, found)
            leaf = Node("noise", (), {"kind": kind, "key": eq.name, "at": ()}.items(), found)
            self.equations.append(Equation(name, eq.slots, leaf, eq.source))
            return ref(name, eq.slots, found)

        return f.stop_gradient(DRAWN[law(eq.rhs)](q, eq.rhs, noise, self.pose.sampling))

    def _new(self, wish: str, eq: Equation, type: Type | None) -> str:
        """A quantity beside that of an equation, under a fresh name."""
        name = fresh(wish, self.taken)
        self.taken.add(name)
        assert type is not None
        self.quantities[name] = Quantity(name, "defined", self.system.quantities[eq.name].slots, type)
        return name

    def _fed_back(self, eq: Equation, renamed: dict[str, str]) -> Equation:
        """References to other positions of given data read what is fed back in their place; so do their boundaries."""

        def change(node: Node, args: tuple[Node, ...]) -> Node:
            if node.op == "ref" and node.attr("name") in renamed:
                slots = node.attr("slots")
                here = all(s.anchor == "free" and s.offset == 0 for s in slots)
                return node if here else ref(renamed[node.attr("name")], slots, node.type, node.attr("batch"))
            return remade(node, args)

        name = renamed.get(eq.name, eq.name) if eq.is_boundary else eq.name
        return replace(eq, name=name, rhs=rebuilt(eq.rhs, change))


def computable_ahead(system: System, equations: Iterable[Equation], index: str) -> frozenset[str]:
    """Quantities that vary by example but not over the range of `index`, and read nothing that does."""
    equations = list(equations)
    reads: dict[str, set[str]] = {}
    for eq in equations:
        reads.setdefault(eq.name, set()).update(node.attr("name") for node in refs([eq.rhs]))
    found = {name for name in reads if not system.runs_over(name, index)}
    while True:
        gone = {name for name in found if any(system.runs_over(other, index) or (other in reads and other not in found)
                                              for other in reads[name])}
        if not gone:
            break
        found -= gone
    apart = {eq.name for eq in equations if eq.is_boundary or eq.rhs.op in DECLARED}
    return frozenset(name for name in found - apart if system.quantities[name].batched)
