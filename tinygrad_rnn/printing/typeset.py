"""Expressions as mathematics writes them: what is scaled by a number has no sign between, a dot product is u^T v."""

from __future__ import annotations

from dataclasses import replace

from ..node import Node, rebuild
from ..system import Equation


def typeset(eq: Equation) -> Equation:
    """The equation, of the same value, in the form in which it is typeset rather than run."""
    return replace(eq, rhs=rebuild([eq.rhs], _written)[eq.rhs])


def _written(node: Node, args: tuple[Node, ...]) -> Node:
    """multiply stays for products of equal shapes, element by element; of others nothing but order is left."""
    if node.op == "multiply" and any(_is_number(a) for a in node.args):
        first, second = args
        turned = second.op == "const" and first.op != "const"  # 2 x, not x 2
        return Node("matmul", (second, first) if turned else (first, second), (), node.type)
    if node.op == "matmul" and _is_vector(node.args[0]) and _is_matrix(node.args[1]):  # x W is a row: W^T x
        vector, matrix = args
        kind = None if matrix.type is None else matrix.type._replace(shape=matrix.shape[::-1])
        column = matrix.args[0] if matrix.op == "transpose" else Node("transpose", (matrix,), {"axes": (1, 0)}, kind)
        return Node("matmul", (column, vector), (), node.type)
    if node.op in ("dot", "matmul") and all(_is_vector(a) for a in node.args):
        first, second = args
        if first.op != "ref" and second.op == "ref":
            first, second = second, first
        if first.op == "ref":
            return Node("matmul", (Node("transpose", (first,), {"axes": (0,)}, first.type), second), (), node.type)
    return node if args == node.args else Node(node.op, args, node.attrs, node.type)


def _is_matrix(node: Node) -> bool:
    return node.type is not None and node.type.rank == 2


def _is_number(node: Node) -> bool:
    return node.type is not None and node.type.shape == ()


def _is_vector(node: Node) -> bool:
    return node.type is not None and node.type.rank == 1
