"""Rewrites of typed expressions that keep their value: substitution, simplification, stable losses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from .node import At, Node, Type, const, free, ordered, rebuild, ref, walk
from .ops import TABLE, f
from .ops.table import make
from .system import Equation, System

ONE = const(1.0, Type((), (), "weak"))
ZERO = const(0.0, Type((), (), "weak"))


def is_const(node: Node, value: float) -> bool:
    """Is node this number?"""
    return node.op == "const" and node.attr("value") == value


def remade(node: Node, args: tuple[Node, ...]) -> Node:
    """node with other arguments, typed anew."""
    return node if args == node.args else make(TABLE[node.op], args, dict(node.attrs))


# -- simplification: only for what the project derives, never for what a person wrote --------------


def _add(a: Node, b: Node) -> Node | None:
    if is_const(a, 0.0):
        return b
    if is_const(b, 0.0):
        return a
    if a is b:
        return f.multiply(2.0, a)
    return f.subtract(a, b.args[0]) if b.op == "negative" else None


def _subtract(a: Node, b: Node) -> Node | None:
    if is_const(b, 0.0):
        return a
    return f.add(a, b.args[0]) if b.op == "negative" else -b if is_const(a, 0.0) else None


def _multiply(a: Node, b: Node) -> Node | None:
    if is_const(a, 1.0):
        return b
    if is_const(b, 1.0):
        return a
    if is_const(a, 0.0) or is_const(b, 0.0):
        return ZERO
    for x, y in ((a, b), (b, a)):
        if x.op == "negative":
            return f.negative(f.multiply(x.args[0], y) if x is a else f.multiply(y, x.args[0]))
        if x.op == "divide" and is_const(x.args[0], 1.0):
            return f.divide(y, x.args[1])
    return None


def _divide(a: Node, b: Node) -> Node | None:
    if is_const(b, 1.0):
        return a
    return ZERO if is_const(a, 0.0) else None


def _power(a: Node, b: Node) -> Node | None:
    return a if is_const(b, 1.0) else None


def _folded(node: Node) -> Node | None:
    """Arithmetic between two constants."""
    values = [a.attr("value") for a in node.args if a.op == "const"]
    if len(values) != len(node.args) or not values:
        return None
    work: dict[str, Callable[..., float]] = {"add": lambda x, y: x + y, "subtract": lambda x, y: x - y,
                                             "multiply": lambda x, y: x * y, "negative": lambda x: -x}
    return const(work[node.op](*values), Type((), (), "weak")) if node.op in work else None


# Operations that are zero where one argument is.
LINEAR = {"sum", "mean", "cumsum", "matmul", "dot", "outer", "einsum", "embed", "reshape", "transpose", "expand",
          "slice", "place", "pick", "flatten", "conv2d", "conv2d_transpose", "conv2d_kernel", "patches", "add_patches",
          "avg_pool", "avg_unpool"}
LIKE = {"ones_like", "zeros_like"}  # of their argument only the shape and the indices count
SIMPLER: dict[str, Callable[..., Node | None]] = {
    "add": _add, "subtract": _subtract, "multiply": _multiply, "divide": _divide, "power": _power,
    "negative": lambda a: a.args[0] if a.op == "negative" else None,
}


def _as_large(simple: Node, node: Node) -> Node:
    """What has been made of node, with the shape and the indices that it may have lost."""
    if _alike(simple, node):
        return simple
    if is_const(simple, 0.0):
        return f.zeros_like(node)
    ones = f.ones_like(node)
    return ones if is_const(simple, 1.0) else f.multiply(simple, ones)


def _alike(a: Node, b: Node) -> bool:
    return (a.shape, a.indices) == (b.shape, b.indices)


def simplified(roots: Iterable[Node], names: Mapping[Node, Node] | None = None) -> dict[Node, Node]:
    """Each node under roots, without terms such as 1 * x, x + 0 or --x; the value is the same.

    names: values that have a name; the name is written in their place.
    """
    names = names or {}

    def change(node: Node, args: tuple[Node, ...]) -> Node:
        if node in names and names[node].type == node.type:
            return names[node]
        if node.op in LIKE:
            args = tuple(a if _alike(a, old) else old for a, old in zip(args, node.args, strict=True))
        elif TABLE[node.op].kind != "elementwise":
            if node.op in LINEAR and any(a is ZERO and old is not ZERO for a, old in zip(args, node.args, strict=True)):
                return ZERO
            args = tuple(map(_as_large, args, node.args))
        node = remade(node, args)
        for _ in range(4):
            rule = SIMPLER.get(node.op)
            new = _folded(node)
            if new is None and rule is not None:
                new = rule(*node.args)
            if new is None:
                break
            node = new
        return node

    return rebuild(roots, change)


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

    return rebuild([expr], change)[expr]


def position_of(at: At) -> Node:
    """The number of a position: t-1, 3, T+1."""
    if at.anchor == "first":
        return const(float(at.offset), Type((), (), "weak"))
    base = f.position(index=at.index) if at.anchor == "free" else f.last(index=at.index)
    return base if at.offset == 0 else f.add(base, float(at.offset))


def bound(expr: Node) -> set[str]:
    """The indices that some term of expr reduces or works over."""
    return {i for node in walk([expr]) for i in dict(node.attrs).get("over") or ()}


# -- losses computed from what goes into softmax and sigmoid ---------------------------------------

STABLE: dict[tuple[str, str], Callable[..., Node]] = {
    ("cross_entropy", "softmax"): lambda z, k: f.softmax_cross_entropy(z, k),
    ("binary_cross_entropy", "sigmoid"): lambda z, k: f.sigmoid_cross_entropy(z, k),
    ("log", "softmax"): lambda z: f.log_softmax(z),
    ("log", "sigmoid"): lambda z: -f.softplus(-z),
}


def stabilised(system: System) -> System:
    """cross_entropy(softmax(z), k) computed from z by log-sum-exp, and its like, seen through names."""
    mains = {eq.name: eq for eq in system.equations if not eq.is_boundary}

    def change(node: Node, args: tuple[Node, ...]) -> Node:
        node = remade(node, args)
        if args and any(outer == node.op for outer, _ in STABLE):
            inner = _seen_through(args[0], mains)
            rule = STABLE.get((node.op, inner.op))
            if rule is not None and _last_axis(inner):
                return rule(inner.args[0], *args[1:])
        return node

    new = rebuild((eq.rhs for eq in system.equations), change)
    return replace(system, equations=tuple(replace(eq, rhs=new[eq.rhs]) for eq in system.equations))


def _last_axis(node: Node) -> bool:
    return node.op != "softmax" or (not node.attr("over") and node.attr("axis") == node.rank - 1)


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
        moves = {own.index: s for own, s in zip(eq.slots, slots, strict=True)}
        clash = bound(eq.rhs) & {s.index for s in slots}
        if clash or eq.rhs.op not in ("ref", "softmax", "sigmoid"):
            return node
        node = substituted(eq.rhs, moves)
    return node
