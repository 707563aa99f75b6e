"""Rows that are contractions: each says its labels, one way of computing serves them all (`contract`)."""

from __future__ import annotations

import string
from typing import Any

from ..errors import BadValue
from ..node import Node
from ..shapes import Cell, Solver, signature
from .table import REQUIRED, Op, f, register

# Letters past these are free for whatever leads (`...` in a shape form).
LEAD = string.ascii_uppercase


def matmul_labels(ranks: list[int], **attrs: Any) -> tuple[list[str], str]:
    """Labels of a @ b: matrices in the last two axes, equal stacks before them, or a stack beside one matrix."""
    lead = LEAD[: max(*ranks, 2) - 2]
    a, b = ("k" if rank == 1 else lead[: rank - 2] + pair for rank, pair in zip(ranks, ("mk", "kp"), strict=True))
    return [a, b], lead + "m" * (ranks[0] > 1) + "p" * (ranks[1] > 1)


def dot_labels(ranks: list[int], **attrs: Any) -> tuple[list[str], str]:
    """Labels of dot: the last axes are summed, the others aligned from the right."""
    lead = LEAD[: max(ranks) - 1]
    return [lead[len(lead) - r + 1 :] + "k" for r in ranks], lead


def outer_labels(ranks: list[int], **attrs: Any) -> tuple[list[str], str]:
    """Labels of outer: all axes of a, then all of b."""
    a, b = string.ascii_lowercase[: ranks[0]], string.ascii_lowercase[ranks[0] : sum(ranks)]
    return [a, b], a + b


def einsum_labels(ranks: list[int], spec: str, **attrs: Any) -> tuple[list[str], str]:
    """Labels as they are written."""
    return split_spec(spec)


def split_spec(spec: Any) -> tuple[list[str], str]:
    """The labels of "ij,j->i"; raises where the notation is wrong."""
    text = str(spec).replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    letters = set(left) - {","}
    good = arrow and all(c.islower() and c.isascii() for c in letters | set(right)) and set(right) <= letters
    if not good or any(len(set(p)) != len(p) for p in [*parts, right]):
        raise BadValue(f'einsum takes labels such as "ij,j->i", each once in a term, not {spec!r}')
    return parts, right


def _einsum_shape(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    parts, right = split_spec(attrs["spec"])
    form = ",".join("(" + ",".join(p) + ")" for p in parts) + "->(" + ",".join(right) + ")"
    signature(form)(u, args, out, attrs)


def _matmul_shape(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    deep = max(a.rank or 0 for a in args)
    (STACKED if deep > 2 else MATMUL)(u, args, out, attrs)


MATMUL = signature("(m,k),(k)->(m)", "(m,k),(k,p)->(m,p)", "(k),(k,p)->(p)", "(k),(k)->()")
STACKED = signature("(...,m,k),(...,k,p)->(...,m,p)", "(...,m,k),(k)->(...,m)", "(k),(...,k,p)->(...,p)",
                    "(...,m,k),(k,p)->(...,m,p)", "(m,k),(...,k,p)->(...,m,p)")
DOT = signature("(...,k),(...,k)->(...)", "(...,k),(k)->(...)", "(k),(...,k)->(...)")


def _outer_shape(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    a, b = args
    if a.rank is None and b.rank is None and out.rank == 2:
        u.rank(a, 1)
    if a.rank is None and b.rank is not None and out.rank is not None:
        u.rank(a, out.rank - b.rank)
    if b.rank is None and a.rank is not None and out.rank is not None:
        u.rank(b, out.rank - a.rank)
    if u.guess and (a.rank is None or b.rank is None):
        u.rank(a if a.rank is None else b, 1)
    if a.dims is not None and b.dims is not None:
        u.rank(out, len(a.dims) + len(b.dims))
        for x, y in zip([*a.dims, *b.dims], out.dims or (), strict=True):
            u.equal(x, y)


def _einsum_vjp(k: int) -> Any:
    def vjp(g: Node, y: Node, *args: Node, spec: str) -> Node:
        parts, right = split_spec(spec)
        others = [(parts[j], a) for j, a in enumerate(args) if j != k]
        have = set(right).union(*(set(p) for p, _ in others))
        absent = [c for c in parts[k] if c not in have]
        target = "".join(c for c in parts[k] if c in have)
        terms = [(right, g), *others]
        r = f.einsum(*[a for _, a in terms], spec=",".join(p for p, _ in terms) + "->" + target)
        for c in absent:
            axis = parts[k].index(c)
            r = f.expand(r, axis=axis, size=args[k].shape[axis])
        return r

    return vjp


def _matrix_transpose(a: Node) -> Node:
    if a.rank == 2:
        return f.transpose(a)
    return f.transpose(a, axes=(*range(a.rank - 2), a.rank - 1, a.rank - 2))


def _matmul_left(g: Node, y: Node, a: Node, b: Node) -> Node:
    if a.rank == 1:
        return g * b if b.rank == 1 else b @ g if b.rank == 2 else f.einsum(b, g, spec=_swap(b, "kp", "p", "k"))
    if b.rank == 1:
        return f.outer(g, b)
    if a.rank < b.rank:  # one matrix for all of a stack
        return f.einsum(g, b, spec=_swap(b, "mp", "kp", "mk"))
    return g @ _matrix_transpose(b)


def _matmul_right(g: Node, y: Node, a: Node, b: Node) -> Node:
    if b.rank == 1:
        return g * a if a.rank == 1 else f.einsum(a, g, spec=_swap(a, "mk", "m", "k")) if a.rank > 2 else (
            f.transpose(a) @ g)
    if a.rank == 1:
        return f.outer(a, g) if b.rank == 2 else f.einsum(a, g, spec=_swap_outer(b))
    if b.rank < a.rank:
        return f.einsum(a, g, spec=_swap(a, "mk", "mp", "kp"))
    return _matrix_transpose(a) @ g


def _swap(stack: Node, matrix: str, other: str, out: str) -> str:
    """The labels of a sum over a stack: of matrices times other matrices, or vectors, of as large a stack."""
    lead = LEAD[: stack.rank - 2].lower()
    return f"{lead}{matrix},{lead}{other}->{out}"


def _swap_outer(stack: Node) -> str:
    lead = LEAD[: stack.rank - 2].lower()
    return f"k,{lead}p->{lead}kp"


def _dot_vjp(g: Node, y: Node, a: Node, b: Node) -> Node:
    """Adjoint of a in dot(a, b)."""
    letters = string.ascii_lowercase
    wide = max(a.rank, b.rank)
    labels = {r: letters[wide - r : wide] for r in (a.rank, b.rank)}
    if wide == 1:
        return g * b
    return f.einsum(g, b, spec=f"{letters[: wide - 1]},{labels[b.rank]}->{labels[a.rank]}")


def _outer_spec(a: Node, b: Node, form: str) -> str:
    (la, lb), lg = outer_labels([a.rank, b.rank])
    return "".join({"a": la, "b": lb, "g": lg}.get(c, c) for c in form)


def contraction(name: str, shape: Any, labels: Any, *vjp: Any, **more: Any) -> Op:
    """A row that is a contraction of two operands."""
    return Op(name, "contract", shape, vjp, None, arity=2, labels=labels, **more)


register(
    contraction("matmul", _matmul_shape, matmul_labels, _matmul_left, _matmul_right, symbol="@", latex="{0} {1}"),
    contraction("dot", DOT, dot_labels, _dot_vjp,
                lambda g, y, a, b: _dot_vjp(g, y, b, a), symbol="·", latex=r"{0} \cdot {1}"),
    contraction("outer", _outer_shape, outer_labels,
                lambda g, y, a, b: g @ b if (a.rank, b.rank) == (1, 1) else f.einsum(
                    g, b, spec=_outer_spec(a, b, "g,b->a")),
                lambda g, y, a, b: f.transpose(g) @ a if (a.rank, b.rank) == (1, 1) else f.einsum(
                    g, a, spec=_outer_spec(a, b, "g,a->b")),
                symbol="⊗", latex=r"{0} \, {transposed}"),
    contraction("einsum", _einsum_shape, einsum_labels, _einsum_vjp(0), _einsum_vjp(1), params={"spec": REQUIRED},
                symbol="einsum", latex=r"\text{{einsum}}_{{{spec}}}{call}", leading=True),
)
