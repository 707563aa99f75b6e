"""Plain graphs, computed at once: the values of nodes without named indices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from .. import backends
from ..node import Node
from ..ops import TABLE, f
from ..passes.rewrite import from_inside
from ..plans.contract import contract


class Now:
    """Array code's `do` that calls as it goes.

    dtype: of the result; into whole numbers go whole numbers, so that `x + 2` and `max(x, -inf)` stay as they are.
    """

    compiled, matrices = False, True

    def __init__(self, backend: Any, dtype: str = "float64"):
        self.backend, self.xp = backend, backend.xp
        self.range = np.iinfo(dtype) if dtype.startswith("int") else None

    def __call__(self, fn: Callable[..., Any], *args: Any) -> None:
        r = self.range
        fn(*args if r is None else (int(min(max(a, r.min), r.max)) if isinstance(a, float) else a for a in args))

    def temp(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """A scratch array."""
        return self.xp.empty(shape, dtype)


def evaluate(roots: Iterable[Node], known: Mapping[Node, Any]) -> list[Any]:
    """The arrays of roots. known: values that need not be computed again; others go as soon as they were used."""
    roots = list(roots)
    backend = backends.current()
    order = _order(roots, known)
    uses: dict[Node, int] = {}
    for node in [*(a for read in order.values() for a in read), *roots]:
        uses[node] = uses.get(node, 0) + 1
    values: dict[Node, Any] = {}

    def value(node: Node) -> Any:
        return known[node] if node in known else values[node]

    with backend.quiet():
        for node, read in order.items():
            ins = [value(a) for a in read]
            values[node] = _computed(backend, node, ins) if read is node.args else ins[0]
            for arg in read:
                uses[arg] -= 1
                if not uses[arg]:
                    values.pop(arg, None)
    return [value(root) for root in roots]


def _order(roots: list[Node], known: Mapping[Node, Any]) -> dict[Node, tuple[Node, ...]]:
    """What must be computed, arguments first, and from what."""
    order: dict[Node, tuple[Node, ...]] = {}
    reads: dict[Node, tuple[Node, ...]] = {}
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, done = stack.pop()
        if done:
            order[node] = reads[node]
        elif node not in reads and node not in known:
            reads[node] = _read(node)
            stack.append((node, True))
            stack.extend((arg, False) for arg in reversed(reads[node]))
    return order


def _read(node: Node) -> tuple[Node, ...]:
    """What a node is computed from: its arguments, or the same value in a form that loses no digits."""
    form = from_inside(node.op, node.args[0], node.args[1:]) if node.args else None
    return node.args if form is None else (form,)


def _computed(backend: Any, node: Node, ins: list[Any]) -> Any:
    attrs, xp = dict(node.attrs), backend.xp
    if node.op == "const":
        return attrs["value"]
    if node.op == "data":
        return attrs["name"].array
    row = TABLE[node.op]
    if row.composed is not None:
        made = row.composed(f, *node.args, **attrs)
        return evaluate([made], dict(zip(node.args, ins, strict=True)))[0]
    dtype = "float64" if node.dtype == "weak" else node.dtype  # what only numbers entered is a number
    do, out = Now(backend, dtype), xp.empty(node.shape, dtype)
    if row.kind == "elementwise":
        assert row.array is not None, node.op
        row.array(do, out, *ins, **attrs)
        return out
    ins = [xp.full((), x, dtype) if isinstance(x, (bool, float)) else x for x in ins]
    if row.kind == "contract":
        assert row.labels is not None
        (la, lb), lo = row.labels([a.rank for a in node.args], **attrs)
        contract(do, out, list(lo), ins[0], list(la), ins[1], list(lb))
        return out
    assert row.array is not None, node.op
    if row.kind == "axes":
        attrs.pop("over", None)
        axis = attrs.pop("axis", node.args[0].rank - 1)
        row.array(do, out, *ins, axes=axis if isinstance(axis, tuple) else (axis,), **attrs)
    else:
        row.array(do, out, *ins, lead=0, ranks=(node.rank, *(a.rank for a in node.args)), **attrs)
    return out

