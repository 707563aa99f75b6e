"""Expressions as mathematics writes them: what is scaled by a number has no sign between, a dot product is u^T v."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

from ..node import Node, Type, ordered, rebuilt
from ..system import Equation


def typeset(eq: Equation) -> Equation:
    """The equation, of the same value, in the form in which it is typeset rather than run."""
    return replace(eq, rhs=rebuilt(eq.rhs, _written))


def _written(node: Node, args: tuple[Node, ...]) -> Node:
    for rule in RULES.get(node.op, ()):
        found = rule(node, args)
        if found is not None:
            return found
    return node if args == node.args else Node(node.op, args, node.attrs, node.type)


def _scaled(node: Node, args: tuple[Node, ...]) -> Node | None:
    """multiply stays for products of equal shapes, element by element; a number that scales comes first, 2 x."""
    if not any(_is_number(a) for a in node.args):
        return None
    first, second = args
    turned = _is_number(second) and second.op != "position" and (
        not _is_number(first) or (second.op == "const" and first.op != "const"))
    return Node("matmul", (second, first) if turned else (first, second), (), node.type)


def _column(node: Node, args: tuple[Node, ...]) -> Node | None:
    """x W is a row: W^T x."""
    if not (_is_vector(node.args[0]) and _is_matrix(node.args[1])):
        return None
    vector, matrix = args
    kind = None if matrix.type is None else matrix.type._replace(shape=matrix.shape[::-1])
    column = matrix.args[0] if matrix.op == "transpose" else Node("transpose", (matrix,), {"axes": (1, 0)}, kind)
    return Node("matmul", (column, vector), (), node.type)


def _straight(node: Node, args: tuple[Node, ...]) -> Node | None:
    """What is transposed twice is as it was."""
    return args[0].args[0] if args[0].op == "transpose" and _is_matrix(node) else None


def _dotted(node: Node, args: tuple[Node, ...]) -> Node | None:
    """A product of two vectors is u^T v, or has a dot between them."""
    if not all(_is_vector(a) for a in node.args):
        return None
    found = _dot(args, node.type)
    return Node("dot", args, (), node.type) if found is None else found


def _dot(vectors: tuple[Node, ...], kind: Type | None) -> Node | None:
    """u^T v, with a name as u; None where neither is one."""
    first, second = vectors
    if first.op != "ref" and second.op == "ref":
        first, second = second, first
    if first.op != "ref":
        return None
    return Node("matmul", (Node("transpose", (first,), {"axes": (0,)}, first.type), second), (), kind)


def _summed_product(node: Node, args: tuple[Node, ...]) -> Node | None:
    """The sum of the elements of u times v is a dot product."""
    product, (over, axis) = args[0], map(node.attr, ("over", "axis"))
    if not axis or product.op != "multiply" or product.type is None or not _is_vector(product):
        return None
    found = _dot(product.args, product.type._replace(shape=()))
    return found if found is None or not over else Node("sum", (found,), {"over": over, "axis": ()}, node.type)


def _log_of_sum(node: Node, args: tuple[Node, ...]) -> Node | None:
    """Of numbers that are told one by one: log(exp(a) + exp(b))."""
    if args[0].op != "stack" or node.attr("over") or not _is_vector(args[0]):
        return None
    powers = [Node("exp", (a,), (), a.type) for a in args[0].args]
    return Node("log", (functools.reduce(_plus, powers),), (), node.type)


def _plus(a: Node, b: Node) -> Node:
    kind = None if a.type is None else a.type._replace(indices=ordered({*a.indices, *b.indices}))
    return Node("add", (a, b), (), kind)


def _minus(node: Node, args: tuple[Node, ...]) -> Node | None:
    """T - 1, not T + (-1)."""
    first, second = args
    if second.op == "negative":
        return Node("subtract", (first, *second.args), (), node.type)
    if second.op != "const" or not second.attr("value") < 0:
        return None
    return Node("subtract", (first, Node("const", (), {"value": -second.attr("value")}, second.type)), (), node.type)


def _is_matrix(node: Node) -> bool:
    return node.type is not None and node.type.rank == 2


def _is_number(node: Node) -> bool:
    return node.type is not None and node.type.shape == ()


def _is_vector(node: Node) -> bool:
    return node.type is not None and node.type.rank == 1


Rule = Callable[[Node, tuple[Node, ...]], Node | None]
RULES: dict[str, tuple[Rule, ...]] = {
    "multiply": (_scaled,), "transpose": (_straight,), "matmul": (_column, _dotted), "dot": (_dotted,),
    "sum": (_summed_product,), "logsumexp": (_log_of_sum,), "add": (_minus,)}
