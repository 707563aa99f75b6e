"""What is written in short: dropout(e, rate) stands for e times a mask, which is a quantity of its own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from ..errors import BadValue, located
from ..node import BATCH, Node, rebuilt, ref, refs, walk
from ..ops.draws import DECLARED, law
from ..ops.positional import check_rate
from ..system import Equation, fresh


def expanded(equations: list[Equation]) -> list[Equation]:
    """The equations with e * mask[t] for dropout(e, rate), and an equation for each mask.

    Raises where a mask, or declared data, stands inside a term.
    """
    defined = {eq.name for eq in equations}
    taken = defined | {r.attr("name") for r in refs(eq.rhs for eq in equations)}
    indices = {slot.index for eq in equations for slot in eq.slots}
    done: list[Equation] = []
    for eq in equations:
        _check_apart(eq)
        with located(eq.show):
            done += _with_masks(eq, indices, defined, taken)
    return done


def _check_apart(eq: Equation) -> None:
    """Raise where what is a quantity of its own, declared data or a mask, stands inside a term."""
    for node in walk([eq.rhs]):
        if node.op in DECLARED and (node is not eq.rhs or eq.is_boundary):
            raise BadValue(f"declared data are a quantity of their own: w[t] = {node.op}(...)\n{eq.show(node)}")
        if node.op == "dropout_mask" and node is not eq.rhs:
            raise BadValue("a mask is a quantity of its own: m[t] = dropout_mask(0.5)\n" + eq.show(node))
    if law(eq.rhs) == "pointer":
        _check_position(eq)


def _with_masks(eq: Equation, indices: Collection[str], defined: Collection[str], taken: set[str]) -> list[Equation]:
    """The equation without dropout, after those of its masks, each keyed by its name, so that no two are one."""
    masks: list[Equation] = []

    def mask(name: str, rate: Any, shared: Collection[str]) -> Node:
        of_all = (BATCH,) if BATCH in shared else None
        return Node("dropout_mask", (), (("rate", rate), ("shared", of_all), ("key", name), ("at", ())))

    def change(node: Node, args: tuple[Node, ...]) -> Node:
        if node.op == "dropout_mask":
            return mask(eq.name, node.attr("rate"), _shared(node, {BATCH}))
        if node.op != "dropout":
            return node if args == node.args else Node(node.op, args, node.attrs, None)
        shared, rate = _shared(node, {*indices, BATCH}), check_rate(node.attr("rate"), node)
        if _of_weights(args[0], defined):
            shared = {*indices, BATCH}
        slots = tuple(s for s in eq.slots if s.index not in shared and s.anchor == "free")
        name = fresh(f"mask_{eq.name}", taken)
        taken.add(name)
        masks.append(Equation(name, slots, mask(name, rate, shared), eq.source))
        return Node("multiply", (args[0], ref(name, slots)))

    rhs = rebuilt(eq.rhs, change)
    return [*masks, eq if rhs is eq.rhs else replace(eq, rhs=rhs)]


def _shared(node: Node, indices: Collection[str]) -> Collection[str]:
    """The indices over which one mask is kept."""
    given = node.attr("shared")
    shared = (given,) if isinstance(given, str) else given or ()
    for index in shared:
        if index not in indices:
            what = "no index on a left side" if node.op == "dropout" else "not n: a mask has the indices on its left"
            raise BadValue(f'shared={index!r} is {what}; dropout(..., shared="t") keeps one mask over t, '
                           "shared=(t, n) over t and all examples", node)
    return shared


def _of_weights(node: Node, defined: Collection[str]) -> bool:
    """Is it made of weights without an index alone? Then it is the same everywhere, and so is its mask."""
    names = list(refs([node]))
    return bool(names) and not any(r.attr("slots") or r.attr("batch") or r.attr("name") in defined for r in names)


def _check_position(eq: Equation) -> None:
    """Raise where w[t] = categorical(p[t,s], over=s) is of several indices, or of one that the left side carries."""
    over = eq.rhs.attr("over")
    if len(over) != 1 or BATCH in over:
        raise BadValue(f"a position is of one index: categorical(p[t,s], over=s), not over=({', '.join(over)})\n"
                       + eq.show(eq.rhs))
    if over[0] in {s.index for s in eq.slots}:
        raise BadValue(f"{eq.left} would be a position of {over[0]} for each {over[0]}; the left side does not carry it"
                       f"\n{eq.show()}")
