"""From a system as written to one that the executor computes well; by rewriting, after differentiation.

Means become sums over counts, products become contractions by labels with their sums inside, integer data
becomes one-hot vectors that are never made where a row can be picked or scattered instead.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from ..node import Node, Type, ordered, rebuild, walk
from ..ops import TABLE, apply, f
from ..ops.elementwise import least
from ..ops.reduction import counted
from ..ops.table import floating, keep, promote
from ..passes.rewrite import ONE, remade
from ..system import Equation, System

LETTERS = string.ascii_letters
DENSE, DENSE_BY_CALLS = 16, 256  # up to so many classes a product with one-hot vectors beats a sum by class


def lowered(system: System, equations: Iterable[Equation], coded: frozenset[str], training: bool,
            compiled: bool = False, anew: bool = False) -> list[Equation]:
    """The equations, rewritten.

    coded: inputs given as integers, one-hot vectors of which only the class is known; compiled: whether passes over
    memory will be fused, so that what several rows compute inside is worth naming and sharing; anew: whether, beyond
    that, each pass makes for itself what is cheaply made, such as a one-hot vector, so that it is never stored.
    """
    equations = list(equations)
    scores = {node.args[0] for node in walk(eq.rhs for eq in equations) if anew and node.op == "softmax_cross_entropy"}
    rules = {**RULES, **(SHARED if compiled else {}), "mean": lambda node: _mean(node, system.static)}
    masks = set() if training else {eq.name for eq in system.equations if eq.rhs.op == "dropout_mask"}

    def change(node: Node, args: tuple[Node, ...]) -> Node:
        if node.op == "ref" and node.attr("name") in coded:
            codes = Node("ref", (), node.attrs, Type(node.indices, (), "int64"))
            return Node("one_hot", (codes,), (("size", node.shape[0]), ("codes", False)), node.type)
        if node.op == "ref" and node.attr("name") in masks:
            return ONE
        shared = OF_SCORES.get(node.op) if node.args and node.args[0] in scores else None
        node = remade(node, args)
        made = None if shared is None else shared(node)
        if made is not None:
            return made
        composed = TABLE[node.op].composed
        if composed is not None:
            return composed(lower, *node.args, **dict(node.attrs))
        rule = rules.get(node.op)
        return rule(node) if rule is not None else node

    lower = _Lowered(rules)
    new = rebuild((eq.rhs for eq in equations), change)
    dense = DENSE if anew else DENSE_BY_CALLS
    made = rebuild(new.values(), lambda node, args: _dense(_with(node, args), dense))
    return [replace(eq, rhs=ONE if eq.name in masks else made[new[eq.rhs]]) for eq in equations]


def _with(node: Node, args: tuple[Node, ...]) -> Node:
    """A lowered node with other arguments of the same types."""
    return node if args == node.args else Node(node.op, args, node.attrs, node.type)


class _Lowered:
    """As `f`, with what it makes lowered at once."""

    def __init__(self, rules: dict[str, Callable[[Node], Node]]):
        self.rules = rules

    def __getattr__(self, name: str) -> Callable[..., Node]:
        return lambda *args, **attrs: self.rules.get(name, lambda node: node)(apply(name, *args, **attrs))


def _one_hot(node: Node) -> Node:
    """What is a one-hot vector already stays, and with it that only its class is stored."""
    return node.args[0] if is_coded(node.args[0]) and node.args[0].shape == node.shape else node


def _mean(node: Node, static: Mapping[str, int]) -> Node:
    """A sum over how many there are: as a number, where no example has a number of its own of them."""
    a, over, axis = node.args[0], node.attr("over"), node.attr("axis")
    size = float(math.prod([*(a.shape[k] for k in axis), *(static[i] for i in over if i in static)]))
    rest = tuple(i for i in over if i not in static)
    return f.divide(_sum(f.sum(a, over=over, axis=axis)), counted(a, rest, static) * size if rest else size)


def _multiply(node: Node) -> Node:
    a, b = node.args
    return a if b is ONE else b if a is ONE else node


def contraction(a: Node, b: Node, labels: tuple[str, str, str], over: Iterable[str] = ()) -> Node:
    """The sum of a * b over the feature labels not in the last string, and over the named indices `over`."""
    left, right, out = labels
    for k, arg in enumerate((a, b)):
        if arg.op == "transpose":  # read as it lies, with its labels in the other order
            inner, axes = arg.args[0], arg.attr("axes")
            text = (left, right)[k]
            text = "".join(text[axes.index(j)] for j in range(len(axes)))
            if k == 0:
                return contraction(inner, b, (text, right, out), over)
            return contraction(a, inner, (left, text, out), over)
    sizes = dict(zip(left + right, a.shape + b.shape, strict=True))
    over = tuple(over)
    for table, rows, one_hot, label in ((a, left, b, right), (b, right, a, left)):
        if is_coded(one_hot) and not is_coded(table):
            made = _by_class(table, rows, one_hot.args[0], label, out, over, one_hot.shape[0])
            if made is not None:
                return made
    for outer, there, other, here in ((b, right, a, left), (a, left, b, right)):
        made = _one_by_one(other, here, outer, there, out, over)
        if made is not None:
            return made
    indices = ordered((set(a.indices) | set(b.indices)) - set(over))
    dtype = floating(promote([a.dtype, b.dtype]))
    kind = Type(indices, tuple(sizes[c] for c in out), dtype)
    return Node("contract", (a, b), (("labels", (left, right, out)), ("over", over)), kind)


def _one_by_one(x: Node, letters: str, outer: Node, own: str, out: str, over: tuple[str, ...]) -> Node | None:
    """A product with an outer product of p and q: first with q, which leaves less, then with p."""
    if outer.op != "contract" or not sums_nothing(outer):
        return None
    lp, lq, goal = outer.attr("labels")
    named = dict(zip(goal, own, strict=True))
    sides = [(arg, "".join(named[c] for c in text)) for arg, text in zip(outer.args, (lp, lq), strict=True)]
    for (p, of_p), (q, of_q) in (sides, sides[::-1]):
        if of_q and set(of_q) <= set(letters) - {*of_p, *out}:
            rest = "".join(c for c in letters if c not in of_q)
            return contraction(contraction(x, q, (letters, of_q, rest)), p, (rest, of_p, out), over)
    return None


def sums_nothing(node: Node) -> bool:
    """Is a product one number times another for each of its results?"""
    left, right, out = node.attr("labels")
    return not node.attr("over") and set(left) | set(right) == set(out)


def is_coded(node: Node) -> bool:
    """Is node a one-hot vector of which only the class is stored?"""
    return node.op == "one_hot" and node.rank == 1 and node.args[0].dtype == "int64"


def _by_class(a: Node, rows: str, code: Node, label: str, out: str, over: tuple[str, ...], size: int) -> Node | None:
    """A product with a one-hot vector: pick its class, or, summed over all that the class varies over, scatter."""
    rest = rows.replace(label, "")
    if label in rows and label not in out and (not rest or not a.indices) and rest == out:
        kind = Type(ordered({*a.indices, *code.indices}), tuple(a.shape[rows.index(c)] for c in out), a.dtype)
        picked = Node("pick_class", (a, code), (("axis", rows.index(label)),), kind)
        return f.sum(picked, over=over, axis=()) if over else picked
    summed = {*a.indices, *code.indices} == set(over) == set(code.indices)
    if label in out and label not in rows and summed and out.replace(label, "") == rows:
        axis = out.index(label)
        kind = Type((), (*a.shape[:axis], size, *a.shape[axis:]), a.dtype)
        return Node("scatter_class", (a, code), (("axis", axis), ("over", over)), kind)
    return None


def _dense(node: Node, most: int) -> Node:
    """A sum by class as a product with one-hot vectors, where these are short."""
    if node.op != "scatter_class" or node.shape[node.attr("axis")] > most:
        return node
    (a, code), axis = node.args, node.attr("axis")
    size, letters = node.shape[axis], LETTERS[: node.rank]
    hot = Node("one_hot", (code,), (("size", size), ("codes", False)), Type(code.indices, (size,), a.dtype))
    labels = (letters[:axis] + letters[axis + 1 :], letters[axis], letters)
    return Node("contract", (a, hot), (("labels", labels), ("over", node.attr("over"))), node.type)


def _contract(node: Node) -> Node:
    a, b = node.args
    if node.op == "embed" and b.rank == 0:
        b = f.one_hot(b, size=a.shape[0])
    row = TABLE[node.op]
    assert row.labels is not None
    (left, right), out = row.labels([a.rank, b.rank], **dict(node.attrs))
    return contraction(a, b, (left, right, out))


def _sum(node: Node) -> Node:
    """A sum of a product is one contraction; sums of contractions merge; a sum over an absent index is a factor."""
    a, over, axis = node.args[0], node.attr("over"), node.attr("axis")
    absent = tuple(i for i in over if i not in a.indices)
    if absent:
        present = tuple(i for i in over if i in a.indices)
        if "n" in absent and present:
            return node  # joint counts of ragged examples: done as written
        inner = a * f.count(over=absent)
        return _sum(f.sum(inner, over=present, axis=axis)) if present or axis else inner
    if not over and not axis:
        return a
    if is_coded(a) and axis == (0,):
        return _sum(f.sum(_is_class(a), over=over, axis=()))
    if a.op == "contract":
        left, right, out = a.attr("labels")
        kept = "".join(c for k, c in enumerate(out) if k not in axis)
        return contraction(a.args[0], a.args[1], (left, right, kept), (*a.attr("over"), *over))
    if a.op == "multiply" and all(x.op != "const" for x in a.args):
        x, y = a.args
        letters = LETTERS[: a.rank]
        kept = "".join(c for k, c in enumerate(letters) if k not in axis)
        return contraction(x, y, (letters if x.rank else "", letters if y.rank else "", kept), over)
    return node


def _is_class(one_hot: Node) -> Node:
    """The sum of a one-hot vector: 1, or 0 where its class is out of range."""
    (code,) = one_hot.args
    return f.where(f.logical_and(f.greater_equal(code, 0.0), f.less(code, float(one_hot.shape[0]))), 1.0, 0.0)


def _exponentials(z: Node, axis: int) -> tuple[Node, Node, Node]:
    """The largest of z, what e is raised to z less that is, and the sum of it: loss and gradient need all three."""
    top = f.maximum(f.max(z, over=(), axis=(axis,)), float(np.finfo(z.dtype).min))
    raised = f.exp(z - keep(top, z, axis))
    return top, raised, f.sum(raised, over=(), axis=(axis,))


def _softmax_of_scores(node: Node) -> Node | None:
    z, axis = node.args[0], node.attr("axis")
    if axis is None:
        return None
    _, raised, total = _exponentials(z, axis)
    return raised / keep(f.maximum(total, least(z)), z, axis)


def _entropy_of_scores(node: Node) -> Node | None:
    """The logarithm of a softmax at one class alone, where that is given as a number."""
    z, k = node.args
    if not is_coded(k) or not z.indices:
        return None
    top, _, total = _exponentials(z, 0)
    kind = Type(ordered({*z.indices, *k.indices}), (), z.dtype)
    picked = Node("pick_class", (z, k.args[0]), (("axis", 0),), kind)
    return f.where(_is_class(k), f.log(total) - (picked - top), 0.0)


OF_SCORES = {"softmax": _softmax_of_scores, "softmax_cross_entropy": _entropy_of_scores}


def _centred(z: Node, axis: int) -> Node:
    mean = f.mean(z, axis=(axis,), over=())
    return z - keep(_mean(mean, {}), z, axis)


def _rstd(node: Node) -> Node:
    """1 / sqrt(mean of the centred squares + eps)."""
    z, (axis,), eps = node.args[0], node.attr("axis"), node.attr("eps")
    centred = _centred(z, axis)
    variance = f.divide(f.sum(centred * centred, over=(), axis=(axis,)), float(z.shape[axis]))
    return 1.0 / f.sqrt(variance + eps)


def _layer_norm(node: Node) -> Node:
    """What is centred times 1 / std: both are shared with the gradient."""
    z, axis = node.args[0], node.attr("axis")
    return _centred(z, axis) * keep(_rstd(f.rstd(z, axis=axis, eps=node.attr("eps"))), z, axis)


SHARED: dict[str, Callable[[Node], Node]] = {"layer_norm": _layer_norm, "rstd": _rstd}
RULES: dict[str, Callable[[Node], Node]] = {
    "sum": _sum, "multiply": _multiply, "one_hot": _one_hot,
    "matmul": _contract, "dot": _contract, "outer": _contract, "einsum": _contract, "embed": _contract,
}
