"""Tidying of derived expressions, which keeps their value: what a lecturer would not write is not printed either.

Only for what the project derives, never for what a person wrote.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Iterable, Mapping

from ..node import Node, number, rebuild
from ..ops import TABLE, f
from .rewrite import ZERO, is_const, remade


def _alike(a: Node, b: Node) -> bool:
    return (a.shape, a.indices) == (b.shape, b.indices)


def _covers(a: Node, b: Node) -> bool:
    """Has a product of the two a's shape and indices?"""
    return a.shape == b.shape and set(b.indices) <= set(a.indices)


def _scaled(node: Node) -> tuple[float, Node | None]:
    """A number and what it multiplies, None where that is 1."""
    if node.op == "const":
        return node.attr("value"), None
    if node.op == "multiply" and node.args[0].op == "const":
        return node.args[0].attr("value"), node.args[1]
    return 1.0, node


def _times(value: float, node: Node | None) -> Node:
    if node is None:
        return number(value)
    return node if value == 1 else f.multiply(number(value), node)


def _common_factor(a: Node, b: Node) -> Node | None:
    """u * v + u * w is u * (v + w), with what stands for both; None where there is none."""
    same = a.op == b.op == "multiply" and a.args[0] is b.args[0] and a.args[0].op != "const"
    return a.args[0] if same and _alike(a, b) and _alike(a.args[1], b.args[1]) else None


def _terms(node: Node) -> list[Node]:
    """The terms of a sum, in order."""
    found, stack = list[Node](), [node]
    while stack:
        node = stack.pop()
        if node.op == "add":
            stack.extend(reversed(node.args))
        else:
            found.append(node)
    return found


def _side_by_side(a: Node, b: Node) -> Node | None:
    """A sum of parts, each at its place among zeros: those that fill all places one after another, and the others."""
    terms = [*_terms(a), *_terms(b)]
    axis, size = map((b if b.op == "place" else a).attr, ("axis", "size"))
    parts, where = dict[tuple[int, int], Node](), dict[int, tuple[int, int]]()
    for k, x in enumerate(terms):
        if x.op == "place" and (x.attr("axis"), x.attr("size")) == (axis, size):
            start, stop, step = slice(*map(x.attr, ("start", "stop", "step"))).indices(size)
            if step == 1:
                where[k] = start, stop
                parts[start, stop] = f.add(parts[start, stop], x.args[0]) if (start, stop) in parts else x.args[0]
    ways = {0: list[tuple[int, int]]()}
    for start, stop in sorted(parts):
        if start in ways:
            ways.setdefault(stop, [*ways[start], (start, stop)])
    if size not in ways:
        return None
    first, *more = (parts[part] for part in ways[size])
    whole = f.concat(first, *more, axis=axis) if more else first
    return functools.reduce(f.add, [*(x for k, x in enumerate(terms) if where.get(k) not in ways[size]), whole])


def _add(a: Node, b: Node) -> Node | None:
    if is_const(a, 0.0):
        return b
    if is_const(b, 0.0):
        return a
    if "place" in (a.op, b.op) and (whole := _side_by_side(a, b)) is not None:
        return whole
    if a is b:
        return f.multiply(2.0, a)
    factor = _common_factor(a, b)
    if factor is not None:
        return f.multiply(factor, f.add(a.args[1], b.args[1]))
    if b.op in ("add", "subtract"):  # a + (b - c) without brackets
        return (f.add if b.op == "add" else f.subtract)(f.add(a, b.args[0]), b.args[1])
    return f.subtract(a, b.args[0]) if b.op == "negative" else None


def _subtract(a: Node, b: Node) -> Node | None:
    if is_const(b, 0.0):
        return a
    factor = _common_factor(a, b)
    if factor is not None:
        return f.multiply(factor, f.subtract(a.args[1], b.args[1]))
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
        if x.op == "divide" and (is_const(x.args[0], 1.0) or (x.args[0].op == "ones_like" and _covers(y, x.args[0]))):
            return f.divide(y, x.args[1])
        if x.op == "ones_like" and _covers(y, x):
            return y
    if a.op == "const" and b.op == "multiply" and b.args[0].op == "const":  # 0.5 (2 x)
        return _times(a.attr("value") * b.args[0].attr("value"), b.args[1])
    return None


def _divide(a: Node, b: Node) -> Node | None:
    if is_const(b, 1.0):
        return a
    if is_const(a, 0.0):
        return ZERO
    (p, top), (q, bottom) = _scaled(a), _scaled(b)
    common = math.gcd(int(p), int(q)) if float(p).is_integer() and float(q).is_integer() else 1
    if common < 2 or (top is None and bottom is None):
        return None
    below = _times(q / common, bottom)  # 2 x / (4 y) is x / (2 y)
    return _times(p / common, top) if is_const(below, 1.0) else f.divide(_times(p / common, top), below)


def _power(a: Node, b: Node) -> Node | None:
    return a if is_const(b, 1.0) else None


def _folded(node: Node) -> Node | None:
    """Arithmetic between two constants."""
    values = [a.attr("value") for a in node.args if a.op == "const"]
    if len(values) != len(node.args) or not values:
        return None
    work: dict[str, Callable[..., float]] = {"add": lambda x, y: x + y, "subtract": lambda x, y: x - y,
                                             "multiply": lambda x, y: x * y, "negative": lambda x: -x}
    return number(work[node.op](*values)) if node.op in work else None


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


def simplified(roots: Iterable[Node], names: Mapping[Node, Node] | None = None,
               written: Collection[Node] = ()) -> dict[Node, Node]:
    """Each node under roots, without terms such as 1 * x, x + 0 or --x; the value is the same.

    names: values that have a name; the name is written in their place. written: what a person wrote, which stays.
    """
    names = names or {}

    def change(node: Node, args: tuple[Node, ...]) -> Node:
        if node in names and names[node].type == node.type:
            return names[node]
        if node in written:
            return remade(node, args)
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
