"""Attention as the graph has it: weights over two ranges, what they weigh, what they are added up to, who asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tinygrad_rnn.node import Node, refs, walk
from tinygrad_rnn.system import Equation, System

from ..graph.names import PRODUCTS, Arrow
from ..graph.roles import Roles
from .reach import SAME_FEATURES

CARRIERS = ("where", "multiply")  # an operation on weights that leaves them weights: a mask
MULTIPLYING = ("multiply", *PRODUCTS)


@dataclass(frozen=True)
class Attention:
    """weights: their name; source, target: the indices of it that run over what is attended to and over who attends;
    others: its further indices, such as heads; contexts: the quantities that add up; read: what these weigh, or where
    nothing adds up, what the weights are computed from; features: the shape of its value, () of a single number."""

    weights: str
    source: str
    target: str
    others: tuple[str, ...]
    contexts: tuple[str, ...]
    read: tuple[str, ...]
    features: tuple[int, ...] = ()


def attentions(roles: Roles) -> list[Attention]:
    """Every quantity that weighs the positions of one range for each position of another, in the order of writing."""
    system = roles.system
    mains = [eq for eq in system.equations if not eq.is_boundary]
    axis: dict[str, int] = {}
    for eq in mains:
        for index in normalised(eq):
            if may_weigh(eq.name, system):
                axis.setdefault(eq.name, [s.index for s in eq.slots].index(index))
    for eq in mains:
        for weighing in _weighings(eq, system):
            if system.quantities[weighing.name].type.shape == ():
                axis.setdefault(weighing.name, weighing.axis)
    found = [_attention(name, axis[name], mains, roles) for name in system.quantities if name in axis]
    return [a for a in found if a is not None]


@dataclass(frozen=True)
class _Weighing:
    """sum(name[...] * others, over=index), the index in the name's slot `axis`."""

    node: Node
    name: str
    axis: int
    index: str
    others: tuple[Node, ...]


def may_weigh(name: str, system: System) -> bool:
    """Is it computed, for several indices?"""
    q = system.quantities.get(name)
    return q is not None and q.role == "defined" and len(q.slots) > 1


def _over(node: Node) -> str:
    """The one index that an operation runs over, or nothing."""
    over: tuple[str, ...] = dict(node.attrs).get("over") or ()
    return over[0] if len(over) == 1 else ""


def normalised(eq: Equation) -> Iterator[str]:
    """The indices of the left side over which the right side adds up to 1."""
    todo, own = [eq.rhs], {s.index for s in eq.slots}
    while todo:
        node = todo.pop()
        if node.op in CARRIERS:
            todo += node.args
        if node.op == "softmax" and _over(node) in own:
            yield _over(node)
        if node.op == "divide" and node.args[-1].op == "sum" and _over(node.args[-1]) in own:
            yield _over(node.args[-1])


def _weighings(eq: Equation, system: System) -> Iterator[_Weighing]:
    for node in walk([eq.rhs]):
        index = _over(node)
        if node.op != "sum" or not index:
            continue
        factors = _factors(node.args[0])
        for factor in factors:
            if factor.op != "ref" or not may_weigh(factor.attr("name"), system):
                continue
            slots = factor.attr("slots")
            axis = next((k for k, s in enumerate(slots) if s.anchor == "free" and s.index == index), None)
            further = {s.index for k, s in enumerate(slots) if k != axis and s.anchor == "free"} - set(system.static)
            others = tuple(f for f in factors if f is not factor)
            if axis is not None and any(index in f.indices for f in others) and not any(
                    further & set(f.indices) for f in others):
                yield _Weighing(node, factor.attr("name"), axis, index, others)


def _factors(node: Node) -> list[Node]:
    found, todo = [], [node]
    while todo:
        part = todo.pop()
        if part.op in MULTIPLYING or part.op in SAME_FEATURES:
            todo += reversed(part.args)
        else:
            found.append(part)
    return found


def _attention(name: str, axis: int, mains: list[Equation], roles: Roles) -> Attention | None:
    system = roles.system
    own = system.quantities[name].slots
    rest = [i for i in own if i != own[axis]]
    target = next((i for i in reversed(rest) if i not in system.static), None)
    if target is None:
        return None
    contexts: list[str] = []
    read: list[str] = []
    for eq in mains:
        for w in _weighings(eq, system):
            runs = any(system.range_of(i) == system.range_of(target) for i in system.quantities[eq.name].slots)
            if w.name == name and w.axis == axis and runs:
                contexts.append(eq.name)
                read += [r.attr("name") for r in refs(w.others) if any(s.index == w.index for s in r.attr("slots"))]
    others = tuple(i for i in rest if i != target)
    found = Attention(name, own[axis], target, others, tuple(dict.fromkeys(contexts)), (),
                      system.quantities[name].type.shape)
    read = read or [
        a.source for a in roles.arrows if a.target in scores(found, roles) and is_over(a.source, own[axis], system)
        and not is_matrix(a.source, found, system) and any(s.index == own[axis] for s in a.slots)]
    return replace(found, read=tuple(dict.fromkeys(read))) if read else None


def is_over(name: str, index: str, system: System) -> bool:
    """Has the quantity an index with the range of this one?"""
    return any(system.range_of(i) == system.range_of(index) for i in system.quantities[name].slots)


def is_matrix(name: str, attention: Attention, system: System) -> bool:
    """Does the quantity run over both ranges?"""
    ranges = [system.range_of(i) for i in system.quantities[name].slots]
    both = [system.range_of(i) for i in (attention.source, attention.target)]
    return all(r in ranges for r in both) and len(ranges) > 1 and (both[0] != both[1] or ranges.count(both[0]) > 1)


def is_row(name: str, roles: Roles) -> bool:
    """Does the quantity run over one range, layers apart?"""
    q, row = roles.system.quantities[name], roles.block_of(name).row
    return sum(i not in roles.system.static and i != row for i in q.slots) <= 1


def reached(names: Iterable[str], arrows: Iterable[Arrow], back: bool, inside: Iterable[str]) -> set[str]:
    """The names and all `inside` that they follow from (`back`), or that follow from them."""
    allowed, found = set(inside), set(names)
    steps: dict[str, list[str]] = {}
    for a in arrows:
        here, there = (a.target, a.source) if back else (a.source, a.target)
        steps.setdefault(here, []).append(there)
    todo = list(found)
    while todo:
        for name in steps.get(todo.pop(), ()):
            if name in allowed and name not in found:
                found.add(name)
                todo.append(name)
    return found


def scores(attention: Attention, roles: Roles) -> set[str]:
    """The weights and the quantities over both ranges that they follow from."""
    matrices = [n for n in roles.role if is_matrix(n, attention, roles.system)]
    return reached([attention.weights], [a for a in roles.arrows if not a.boundary], True, matrices)


def encoder(attention: Attention, roles: Roles) -> set[str]:
    """What is attended to, and what it follows from at its own positions, back to what is given or drawn there."""
    system = roles.system
    along = [n for n in roles.role if is_over(n, attention.source, system) and is_row(n, roles)]
    arrows = [a for a in beside(roles, attention.source) if roles.role[a.target] != "data"]
    return reached(attention.read, arrows, True, along)


def beside(roles: Roles, index: str) -> list[Arrow]:
    """The arrows at one position of an index or between its positions: none that reads all of them, none that sets the
    first or the last."""
    return [a for a in roles.arrows if not _is_end(a, index, roles.system) and all(
        s.anchor != "free" or s.index in roles.system.quantities[a.target].slots for s in a.slots)]


def _is_end(a: Arrow, index: str, system: System) -> bool:
    own = system.quantities[a.target].slots
    return any(s.anchor != "free" and system.range_of(i) == system.range_of(index)
               for s, i in zip(a.boundary, own, strict=False))


def decoder(attention: Attention, roles: Roles) -> set[str]:
    """What follows from the contexts, and what this and the weights follow from, at the positions that attend."""
    system, below = roles.system, encoder(attention, roles)
    along = [n for n in roles.role if n not in below and is_over(n, attention.target, system)
             and is_row(n, roles)]
    arrows = beside(roles, attention.target)
    after = reached(attention.contexts or [attention.weights], arrows, False, along)
    if system.range_of(attention.source) != system.range_of(attention.target):
        after |= {a.source for a in arrows if a.target in scores(attention, roles) and a.source in along}
    return reached(after, arrows, True, along) & set(along)


def queries(attention: Attention, roles: Roles, among: set[str]) -> list[Arrow]:
    """What of the decoder the weights are computed from."""
    inside = scores(attention, roles)
    return [a for a in roles.arrows if a.target in inside and a.source in among and not a.boundary]


def carried_over(attention: Attention, roles: Roles) -> list[Arrow]:
    """What the decoder reads of the encoder beside the attention, such as its last state."""
    below, above, system = encoder(attention, roles), decoder(attention, roles), roles.system
    return [a for a in roles.arrows if a.source in below and a.target in above and all(
        s.anchor != "free" or s.index in system.quantities[a.target].slots for s in a.slots)]


def stands_alone(name: str, system: System) -> bool:
    """Is a context nothing but the sum, rather than a cell that adds it to other terms?"""
    eq = next(e for e in system.equations if e.name == name and not e.is_boundary)
    inner = {r for w in _weighings(eq, system) for r in refs([w.node])}
    weights = set(system.of_role("weight"))
    return all(r in inner or r.attr("name") in weights for r in refs([eq.rhs]))
