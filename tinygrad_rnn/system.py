"""A system of equations over named quantities: what every pass reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from .errors import BadName, caret, many, near
from .node import BATCH, At, Node, Type, placed, walk

Key = tuple[str, tuple[At, ...]]


@dataclass(frozen=True, eq=False)
class Source:
    """Where an equation was written: its text, line, and the span of each term."""

    text: str
    line: int
    spans: Mapping[Node, tuple[int, int]] = field(default_factory=dict)

    def show(self, node: object = None) -> str:
        """The text with carets under a term."""
        start, end = self.spans.get(node, (0, len(self.text)))  # type: ignore[call-overload]
        return caret(self.text, start, end, self.line)


@dataclass(frozen=True, eq=False)
class Equation:
    """name[slots] = rhs. All slots free: the main equation; otherwise a boundary such as h[0] or r[T+1]."""

    name: str
    slots: tuple[At, ...]
    rhs: Node
    source: Source | None = None
    comment: str = ""

    def __repr__(self) -> str:
        return f"{self.left} = {self.rhs!r}"

    @property
    def key(self) -> Key:
        """What identifies the equation in its system."""
        return self.name, self.slots

    @property
    def is_boundary(self) -> bool:
        """Does it set a boundary, such as h[0], rather than the range?"""
        return any(slot.anchor != "free" for slot in self.slots)

    @property
    def left(self) -> str:
        """The left side as text."""
        return placed(self.name, self.slots)

    def show(self, node: object = None) -> str:
        """The equation for an error message, with carets under `node`."""
        return self.source.show(node) if self.source is not None else f"  in the equation of {self.left}"


@dataclass(frozen=True)
class Quantity:
    """A name of the system: an "input", a "weight" or "defined" by equations.

    slots: its own index names in left-hand order, without the batch; type: with the batch where it varies by example.
    """

    name: str
    role: str
    slots: tuple[str, ...]
    type: Type

    @property
    def batched(self) -> bool:
        """Does it vary by example? Every input does."""
        return BATCH in self.type.indices

    def place(self, at: Sequence[int]) -> str:
        """Where an element of its array (batch, indices, features) stands, for an error: "example 0, t = 4"."""
        example, positions = ([f"example {at[0]}"], at[1:]) if self.batched else ([], at)
        where = [*example, *(f"{i} = {p + 1}" for i, p in zip(self.slots, positions, strict=False))]
        return ", ".join(where) or "its only value"


def grouped(equations: Iterable[Equation]) -> dict[str, list[Equation]]:
    """The equations of each name, in their order."""
    found: dict[str, list[Equation]] = {}
    for eq in equations:
        found.setdefault(eq.name, []).append(eq)
    return found


@dataclass(frozen=True)
class System:
    """Equations, the quantities they relate, and the ranges of their indices.

    static: sizes of indices known ahead (`l=3`); ranges: index -> the index whose range it shares;
    declared: the sizes that were given, from which the others follow, and those of weights that are numbers;
    dtype: "float32" or "float64"; demands, configs: what was found for a question before, see `demand` and `prepared`.
    """

    name: str
    equations: tuple[Equation, ...]
    quantities: Mapping[str, Quantity]
    static: Mapping[str, int]
    ranges: Mapping[str, str]
    declared: Mapping[str, tuple[int, ...]]
    dtype: str = "float32"
    demands: dict[tuple[str, ...], Any] = field(default_factory=dict, init=False, compare=False, repr=False)
    configs: dict[tuple[Any, ...], Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __repr__(self) -> str:
        return f"<System {self.name}: {many(len(self.equations), 'equation')}>"

    @cached_property
    def by_name(self) -> dict[str, list[Equation]]:
        """The equations of each name, the main one first."""
        return grouped(sorted(self.equations, key=lambda e: e.is_boundary))

    def of_role(self, role: str) -> list[str]:
        """The names of that role."""
        return [name for name, q in self.quantities.items() if q.role == role]

    @property
    def open_indices(self) -> list[str]:
        """The indices whose ranges were not given with the model, in order of first appearance."""
        return [i for i in self.ranges if i not in self.static]

    @property
    def time(self) -> str | None:
        """The index of time: t, or the first of the only range that was not given with the model; else there is none.
        """
        found = self.open_indices
        if "t" in found:
            return "t"
        return found[0] if len(set(map(self.range_of, found))) == 1 else None

    def require(self, names: Iterable[object], hint: str = "") -> None:
        """Raise BadName for what is no quantity, with the name that is nearest to it."""
        for name in names:
            if not isinstance(name, str) or name not in self.quantities:
                meant = near(name, self.quantities) or "; model.summary() lists them" * (not hint)
                raise BadName(f"the model has no quantity {name!r}{meant}{hint}")

    def range_of(self, index: str) -> str:
        """The index that stands for all that share this one's range."""
        return self.ranges.get(index, index)

    def runs_over(self, name: str, index: str) -> bool:
        """Has the quantity an index that shares the range of this one?"""
        r = self.range_of(index)
        return any(self.range_of(i) == r for i in self.quantities[name].slots)

    def with_equations(self, equations: Iterable[Equation], quantities: Mapping[str, Quantity], **more: Any) -> System:
        """The system with other equations and quantities."""
        return replace(self, equations=tuple(equations), quantities=dict(quantities), **more)


def fresh(name: str, taken: Any) -> str:
    """name, or the first of name_2, name_3, ... that is not taken."""
    k, candidate = 2, name
    while candidate in taken:
        candidate, k = f"{name}_{k}", k + 1
    return candidate


def closure(start: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    """The names, and all that edges lead to from them."""
    found, todo = set[str](), list(start)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += edges.get(name, ())
    return found


def meets(slot: At, target: At) -> bool:
    """May a reference's slot read a position that an equation with left-hand slot `target` sets?

    Main equations set 1..T, so `free` targets mean the range; `first` targets are at most 0 and `last`
    ones above T.
    """
    if target.anchor == "free":
        if slot.anchor == "free":
            return True
        return slot.offset >= 1 if slot.anchor == "first" else slot.offset <= 0
    if slot.anchor == "free":
        shift, at = slot.offset, target.offset
        return shift < 0 and at >= 1 + shift if target.anchor == "first" else shift > 0 and at <= shift
    if slot.anchor == target.anchor:
        return slot.offset == target.offset
    if target.anchor == "first":  # T + slot.offset == target.offset for some T >= 1
        return target.offset - slot.offset >= 1
    return slot.offset - target.offset >= 1


def sources(equations: Iterable[Equation], reference: Node) -> list[Equation]:
    """The equations among those of the referred name that the reference may read."""
    slots = reference.attr("slots")
    return [eq for eq in equations if all(map(meets, slots, eq.slots))]


def least(equations: Sequence[Equation], names: Iterable[str], holds: Callable[[Node, Set[Node]], bool]) -> set[str]:
    """The least set with these names and that of each equation whose right side holds; a reference to one of them does.

    holds: does another term, given all others that do? A term is tried again only when one that it is made of does.
    """
    found, true = set(names), set[Node]()
    terms = list(walk(eq.rhs for eq in equations))
    users: dict[object, list[Node]] = {}  # of a term, and of a name
    for node in terms:
        for used in (node.attr("name"),) if node.op == "ref" else node.args:
            users.setdefault(used, []).append(node)
    sides: dict[Node, list[str]] = {}
    for eq in equations:
        sides.setdefault(eq.rhs, []).append(eq.name)
    todo = terms[::-1]
    while todo:
        node = todo.pop()
        if node in true or not (node.attr("name") in found if node.op == "ref" else holds(node, true)):
            continue
        true.add(node)
        todo += users.get(node, ())
        for name in sides.get(node, ()):
            if name not in found:
                found.add(name)
                todo += users.get(name, ())
    return found
