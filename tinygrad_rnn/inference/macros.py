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
    taken = {eq.name for eq in equations} | {r.attr("name") for r in refs(eq.rhs for eq in equations)}
    indices = {slot.index for eq in equations for slot in eq.slots}
    done: list[Equation] = []
    for eq in equations:
        _check_apart(eq)
        with located(eq.show):
            done += _with_masks(eq, indices, taken)
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


def _with_masks(eq: Equation, indices: Collection[str], taken: set[str]) -> list[Equation]:
    """The equation without dropout, after those of its masks, each keyed by its name, so that no two are one."""
    masks: list[Equation] = []

    def mask(name: str, rate: Any) -> Node:
        return Node("dropout_mask", (), (("rate", rate), ("key", name), ("at", ())))

    def change(node: Node, args: tuple[Node, ...]) -> Node:
        if node.op == "dropout_mask":
            return mask(eq.name, node.attr("rate"))
        if node.op != "dropout":
            return node if args == node.args else Node(node.op, args, node.attrs, None)
        shared, rate = _checked_shared(node, indices), check_rate(node.attr("rate"), node)
        slots = tuple(s for s in eq.slots if s.index != shared and s.anchor == "free")
        name = fresh(f"mask_{eq.name}", taken)
        taken.add(name)
        masks.append(Equation(name, slots, mask(name, rate), eq.source))
        return Node("multiply", (args[0], ref(name, slots)))

    rhs = rebuilt(eq.rhs, change)
    return [*masks, eq if rhs is eq.rhs else replace(eq, rhs=rhs)]


def _checked_shared(dropout: Node, indices: Collection[str]) -> str | None:
    shared: str | None = dropout.attr("shared")
    if shared is not None and shared not in indices:
        raise BadValue(f'shared={shared!r} is no index on a left side; shared="t" keeps one mask over t', dropout)
    return shared


def _check_position(eq: Equation) -> None:
    """Raise where w[t] = categorical(p[t,s], over=s) is of several indices, or of one that the left side carries."""
    over = eq.rhs.attr("over")
    if len(over) != 1 or BATCH in over:
        raise BadValue(f"a position is of one index: categorical(p[t,s], over=s), not over=({', '.join(over)})\n"
                       + eq.show(eq.rhs))
    if over[0] in {s.index for s in eq.slots}:
        raise BadValue(f"{eq.left} would be a position of {over[0]} for each {over[0]}; the left side does not carry it"
                       f"\n{eq.show()}")
