"""Rewrites of typed expressions that keep their value: substitution, stable losses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from ..node import At, Node, Type, const, free, number, ordered, rebuild, rebuilt, ref, walk
from ..ops import TABLE, f
from ..ops.table import make
from ..system import Equation, System

ONE, ZERO = number(1), number(0)


def is_const(node: Node, value: float) -> bool:
    """Is node this number?"""
    return node.op == "const" and node.attr("value") == value


def remade(node: Node, args: tuple[Node, ...]) -> Node:
    """node with other arguments, typed anew: as before, where all of them are of the types that there were."""
    if args == node.args:
        return node
    if all(map(_is_like, args, node.args)):
        return Node(node.op, args, node.attrs, node.type)
    return make(TABLE[node.op], args, dict(node.attrs))


def _is_like(a: Node, b: Node) -> bool:
    """Does a term of which one is an argument have the type that it has with the other? Numbers enter by value."""
    return a is b or (a.type == b.type and a.type is not None and a.op != "const" and b.op != "const")


def filled(z: Node, shape: tuple[int, ...]) -> Node:
    """z with that shape: one number as an array of it."""
    for axis in range(len(shape) if z.rank == 0 else 0):
        z = f.expand(z, axis=axis, size=shape[axis])
    return z


def numbered(system: System) -> System:
    """The system with a number for the last position of each static index, which its text goes on calling L."""

    def change(node: Node, args: tuple[Node, ...]) -> Node:
        size = system.static.get(node.attr("index")) if node.op == "last" else None
        return remade(node, args) if size is None else const(float(size), node.type)

    return _each_side(system, change)


def _each_side(system: System, change: Callable[[Node, tuple[Node, ...]], Node]) -> System:
    new = rebuild((eq.rhs for eq in system.equations), change)
    return replace(system, equations=tuple(replace(eq, rhs=new[eq.rhs]) for eq in system.equations))


# -- substitution of an index ----------------------------------------------------------------------


def substituted(expr: Node, moves: Mapping[str, At]) -> Node:
    """expr with each free index i of `moves` read at moves[i]: another index, or a fixed position.

    Valid only where expr is defined at those positions; indices bound inside expr must differ from all involved.
    """
    kept = {i: at for i, at in moves.items() if at != free(i)}
    if not kept:
        return expr

    def change(node: Node, args: tuple[Node, ...]) -> Node:
        if node.op == "ref":
            slots = tuple(kept[s.index].moved(s.offset) if s.anchor == "free" and s.index in kept else s
                          for s in node.attr("slots"))
            indices = [s.index for s in slots if s.anchor == "free"] + [i for i in node.indices if i == "n"]
            return ref(node.attr("name"), slots, Type(ordered(indices), node.shape, node.dtype), node.attr("batch"))
        if node.op == "position" and node.attr("index") in kept:
            return position_of(kept[node.attr("index")])
        return remade(node, args)

    return rebuilt(expr, change)


def position_of(at: At) -> Node:
    """The number of a position: t-1, 3, T+1."""
    if at.anchor == "first":
        return number(at.offset)
    base = f.position(index=at.index) if at.anchor == "free" else f.last(index=at.index)
    if at.offset < 0:
        return f.subtract(base, float(-at.offset))
    return f.add(base, float(at.offset)) if at.offset else base


def bound(expr: Node) -> set[str]:
    """The indices that some term of expr reduces or works over."""
    return {i for node in walk([expr]) for i in dict(node.attrs).get("over") or ()}


# -- losses computed from what goes into softmax and sigmoid ---------------------------------------

STABLE: dict[tuple[str, str], Callable[..., Node | None]] = {
    ("cross_entropy", "softmax"): lambda z, k, over, axis: (
        None if over or axis != z.rank - 1 else f.softmax_cross_entropy(z, k)),
    ("binary_cross_entropy", "sigmoid"): f.sigmoid_cross_entropy,
    ("log", "softmax"): lambda z, over, axis: f.log_softmax(z, over=over or None, axis=axis),
    ("log", "sigmoid"): lambda z: -f.softplus(-z),
}


def stable(roots: Iterable[Node], kept: Collection[Node] = ()) -> dict[Node, Node]:
    """Each node under roots, where cross_entropy(softmax(z), k) and its like are computed from z.

    kept: nodes, such as a softmax whose own gradient is wanted, past which nothing is computed.
    """

    def change(node: Node, args: tuple[Node, ...]) -> Node:
        form = None if not args or node.args[0] in kept else from_inside(node.op, args[0], args[1:])
        return remade(node, args) if form is None else form

    return rebuild(roots, change)


def from_inside(op: str, inner: Node, rest: tuple[Node, ...]) -> Node | None:
    """op(inner, *rest), a loss, from what goes into the softmax or sigmoid `inner`; None where it is no such loss."""
    rule = STABLE.get((op, inner.op))
    return None if rule is None else rule(inner.args[0], *rest, **dict(inner.attrs))


def stabilised(system: System, kept: Collection[str] = ()) -> System:
    """cross_entropy(softmax(z), k) computed from z by log-sum-exp, and its like, seen through all names but `kept`."""
    mains = {eq.name: eq for eq in system.equations if not eq.is_boundary and eq.name not in kept}

    def change(node: Node, args: tuple[Node, ...]) -> Node:
        node = remade(node, args)
        if args and any(outer == node.op for outer, _ in STABLE):
            form = from_inside(node.op, _seen_through(args[0], mains), args[1:])
            return node if form is None else form
        return node

    return _each_side(system, change)


def _seen_through(node: Node, mains: Mapping[str, Equation]) -> Node:
    """What the name stands for at the referred position, where that is inside the range; else the node."""
    for _ in range(len(mains)):
        eq = mains.get(node.attr("name")) if node.op == "ref" else None
        if eq is None:
            return node
        slots = node.attr("slots")
        inside = all((s.anchor == "free" and s.offset == 0) or s[::2] in (("last", 0), ("first", 1)) for s in slots)
        if not inside or eq.rhs.type is None:
            return node
        moves = {own.index: s for own, s in zip(eq.slots, slots, strict=True) if s != own}
        clash = bound(eq.rhs) & {*moves, *(s.index for s in moves.values())}
        if clash or eq.rhs.op not in ("ref", "softmax", "sigmoid"):
            return node
        node = substituted(eq.rhs, moves)
    return node
