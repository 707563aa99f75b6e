"""What each quantity is for, told from the graph alone: inputs, states, gates, outputs, losses, attention."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from tinygrad_rnn.node import At, Node, walk
from tinygrad_rnn.notation.declared import declarations
from tinygrad_rnn.system import System

from .groups import Block, drawn_as_one, is_inner
from .names import PRODUCTS, Arrow, arrows, components, shift_along

SQUASHING = ("tanh", "relu", "softplus", "sin", "cos")
LINE_OF = {"input": "input", "data": "input", "attention": "attention"}
ELEMENTWISE = ("add", "subtract", "multiply", "negative", "where")


@dataclass(frozen=True)
class Roles:
    """arrows: those of boundaries that are set inside of a block are as if of main equations; role: input, state, gate,
    squashed, attention, output, data, loss or intermediate, by name; data are what a model draws,
    w[t] = categorical(p[t]), and no state, although later steps read them; additive: states that are carried on by sums
    and products alone, such as an LSTM's c."""

    system: System
    arrows: tuple[Arrow, ...]
    role: dict[str, str]
    additive: frozenset[str]
    blocks: tuple[Block, ...]

    def block_of(self, name: str) -> Block:
        """The block that computes a quantity within its range."""
        return self._block_of[name]

    @cached_property
    def _block_of(self) -> dict[str, Block]:
        return {name: b for b in reversed(self.blocks) if not b.boundary for name in b.quantities}

    def arrows_into(self, block: Block) -> list[Arrow]:
        """The arrows to the quantities of a block, in their order."""
        return self._at(block, self._into)

    def arrows_from(self, block: Block) -> list[Arrow]:
        """The arrows from the quantities of a block, in their order."""
        return self._at(block, self._from)

    def _at(self, block: Block, numbers: dict[str, list[int]]) -> list[Arrow]:
        return [self.arrows[k] for k in sorted(k for name in block.quantities for k in numbers.get(name, ()))]

    @cached_property
    def _into(self) -> dict[str, list[int]]:
        return _numbered(a.target for a in self.arrows)

    @cached_property
    def _from(self) -> dict[str, list[int]]:
        return _numbered(a.source for a in self.arrows)

    @cached_property
    def boundaries(self) -> frozenset[tuple[At, ...]]:
        """The slots of boundary equations that are blocks of their own."""
        return frozenset(b.boundary for b in self.blocks if b.boundary)

    def line(self, name: str) -> str:
        """The style of wires that carry the quantity."""
        role = self.role[name]
        if role == "state":
            return "c" if name in self.additive else "h"
        return LINE_OF.get(role, "plain")


def _numbered(names: Iterable[str]) -> dict[str, list[int]]:
    """name -> where it stands."""
    found: dict[str, list[int]] = {}
    for k, name in enumerate(names):
        found.setdefault(name, []).append(k)
    return found


def roles(system: System) -> Roles:
    """What every quantity of a system is for, and which quantities are drawn as one block."""
    found = arrows(system)
    data = frozenset(declarations(system))
    groups = components(system, [a for a in found if a.source not in data])
    blocks = drawn_as_one(system, found, groups)
    block_of = {name: b for b in reversed(blocks) if not b.boundary for name in b.quantities}
    mains = {eq.name: eq.rhs for eq in system.equations if not eq.is_boundary}
    states = _states(system, found, groups, block_of)
    losses = _losses(system, found)
    read = {a.source for a in found}
    ending = {a.source for a in found if a.target in data or a.target in losses} - {n for g in groups for n in g}
    members: dict[str, Collection[str]] = {  # the first of which a quantity is one says its role
        "input": {n for n, q in system.quantities.items() if q.role == "input"}, "data": data, "state": states,
        "loss": losses, "attention": {n for b in blocks if b.kind == "attention" for n in b.quantities},
        "output": {n for n in system.quantities if n not in read or n in ending}}
    role = {name: next((r for r, names in members.items() if name in names), "") or _role_by_operation(mains[name])
            for name, q in system.quantities.items() if q.role != "weight"}
    multiplied = _multiplied(system) if states else set()
    additive = frozenset(n for n in states if n not in multiplied and _is_additive(n, mains[n]))
    return Roles(system, tuple(_as_main(a, block_of[a.target], system) for a in found), role, additive, blocks)


def _states(system: System, found: list[Arrow], groups: list[tuple[str, ...]], block_of: dict[str, Block]) -> set[str]:
    """What a recurrent group reads of its other steps; where nothing has steps, of its other layers."""
    group_of = {n: g for g in groups for n in g}
    inside = [a for a in found if a.target in group_of.get(a.source, ())]
    if not any(b.column for b in block_of.values()):
        return {a.source for a in inside if a.shifts}
    return {a.source for a in inside if shift_along(a, system, block_of[a.source].column)}


def _role_by_operation(rhs: Node) -> str:
    if rhs.op == "sigmoid":
        return "gate"
    return "squashed" if rhs.op in SQUASHING else "intermediate"


def _as_main(a: Arrow, block: Block, system: System) -> Arrow:
    """The arrow as one of a main equation, where it belongs to a boundary that is set inside of a block."""
    return replace(a, boundary=()) if is_inner(a.boundary, a.target, block, system) else a


def _losses(system: System, found: list[Arrow]) -> set[str]:
    """What is called loss, or without one the numbers for all examples together that nothing reads; and its parts."""
    readers: dict[str, set[str]] = {}
    for a in found:
        readers.setdefault(a.source, set()).add(a.target)
    numbers = [n for n, q in system.quantities.items()
               if q.role == "defined" and not q.slots and not q.batched and q.type.shape == ()]
    losses = {"loss"}.intersection(numbers) or {n for n in numbers if n not in readers}
    while parts := {n for n in numbers if n not in losses and n in readers and readers[n] <= losses}:
        losses |= parts
    return losses


def _is_additive(name: str, rhs: Node) -> bool:
    """Is the state carried on elementwise?"""
    kept: set[Node] = set()
    for node in walk([rhs]):
        if node.op == "ref":
            if node.attr("name") == name and any(s.offset for s in node.attr("slots")):
                kept.add(node)
        elif node.op in ELEMENTWISE and any(a in kept for a in node.args):
            kept.add(node)
    return rhs in kept


def _multiplied(system: System) -> set[str]:
    """What is read at a shift by a product with a weight."""
    return {a.attr("name") for node in walk(eq.rhs for eq in system.equations if not eq.is_boundary)
            if node.op in PRODUCTS for a in node.args if a.op == "ref" and any(s.offset for s in a.attr("slots"))}
