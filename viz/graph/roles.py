"""What each quantity is for, told from the graph alone: inputs, states, gates, outputs, losses, attention; and the
blocks that are drawn as one: cells, attention, single quantities."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import networkx as nx

from tinygrad_rnn.node import At, Node, walk
from tinygrad_rnn.notation.declared import declarations
from tinygrad_rnn.system import Equation, System

from .names import PRODUCTS, Arrow, arrows, components

SQUASHING = ("tanh", "relu", "softplus", "sin", "cos")
LINE_OF = {"input": "input", "data": "input", "attention": "attention"}
ELEMENTWISE = ("add", "subtract", "multiply", "negative", "where")


@dataclass(frozen=True)
class Block:
    """Quantities that are drawn as one and stamped once per position.

    kind: "cell", "attention", "single" or "results"; column: the index that runs over columns, row: the one that runs
    over layers, "" where there is none; direction: +1 where the state comes from the left, -1 from the right, 0 without
    one. boundary: the slots, of a block that is a boundary equation along a layer index, such as h[0,t].
    """

    name: str
    quantities: tuple[str, ...]
    kind: str
    column: str = ""
    row: str = ""
    direction: int = 0
    boundary: tuple[At, ...] = ()


@dataclass(frozen=True)
class Roles:
    """role: input, state, gate, squashed, attention, output, data, loss or intermediate, by name; data are what a model
    draws, w[t] = categorical(p[t]), and no state, although later steps read them.
    additive: states that are carried on by sums and products alone, such as an LSTM's c."""

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
    blocks = _blocks(system, found, groups)
    group_of = {n: g for g in groups for n in g}
    column_of = {n: b.column for b in blocks for n in b.quantities}
    states = {a.source for a in found if a.target in group_of.get(a.source, ())
              and _shift(a, system, column_of[a.source])}
    if not any(column_of.values()):  # recurrent over layers only
        states = {a.source for a in found if a.target in group_of.get(a.source, ()) and a.shifts}
    inside = {n for b in blocks if b.kind == "attention" for n in b.quantities}
    read = {a.source for a in found}
    losses = _losses(system, found)
    ending = {a.source for a in found if a.target in data or a.target in losses}
    role: dict[str, str] = {}
    mains = {eq.name: eq.rhs for eq in system.equations if not eq.is_boundary}
    for name, q in system.quantities.items():
        if q.role == "weight":
            continue
        if q.role == "input":
            role[name] = "input"
        elif name in data:
            role[name] = "data"
        elif name in states:
            role[name] = "state"
        elif name in losses:
            role[name] = "loss"
        elif name in inside:
            role[name] = "attention"
        elif name not in read or (name in ending and name not in group_of):
            role[name] = "output"
        elif mains[name].op == "sigmoid":
            role[name] = "gate"
        else:
            role[name] = "squashed" if mains[name].op in SQUASHING else "intermediate"
    multiplied = _multiplied(system) if states else set()
    additive = frozenset(n for n in states if n not in multiplied and _is_additive(n, mains[n]))
    return Roles(system, tuple(found), role, additive, blocks)


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


def _shift(a: Arrow, system: System, index: str) -> int:
    """The shift of an arrow along the source's own index."""
    for slot, own in zip(a.slots, system.quantities[a.source].slots, strict=False):
        if own == index and slot.anchor == "free":
            return slot.offset
    return 0


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


# -- blocks ----------------------------------------------------------------------------------------


def _blocks(system: System, found: list[Arrow], groups: list[tuple[str, ...]]) -> tuple[Block, ...]:
    blocks: list[Block] = []
    layered: set[str] = set()
    cells: list[Block] = []
    within = _within(groups, found)
    shifts = [_shifts(group, system, own) for group, own in zip(groups, within, strict=True)]
    alone = {system.range_of(i) for of in shifts if len(of) == 1 for i in of if i not in system.static}
    for group, of, own in zip(groups, shifts, within, strict=True):
        column, row, direction = _axes(group, of, system, alone)
        cells += _each_way(Block(group[0], group, "cell", column, row, direction), system, own)
        layered |= {row} - {""}
    taken = {n for g in groups for n in g}
    for cell in cells:
        blocks += _split(cell, system, found)
    loose = [n for n, q in system.quantities.items() if q.role == "defined" and n not in taken]
    for name in [n for n, q in system.quantities.items() if q.role == "input"] + loose:
        slots = system.quantities[name].slots
        readers = {a.target for a in found if a.source == name}
        along = {cell.column for cell in cells if readers.intersection(cell.quantities)}  # where it stands step by step
        row = next((i for i in slots if i in layered and i not in along), "")
        column = _column(name, row, cells, system)
        blocks.append(Block(name, (name,), "single", column, row))
    blocks = _attention(blocks, system, found)
    boundaries = [eq for eq in system.equations if eq.is_boundary]
    for block in [b for b in blocks if b.row]:
        for eq in boundaries:
            if eq.name in block.quantities and _at_row(eq, block, system):
                blocks.append(Block(eq.left, (eq.name,), "single", block.column, "", 0, eq.slots))
    return tuple(blocks)


def _column(name: str, row: str, cells: list[Block], system: System) -> str:
    """The column index of a quantity that is no cell: that of a cell over the same ranges, or the first."""
    ranged = [i for i in system.quantities[name].slots if i not in system.static and i != row]
    ranges = {system.range_of(i) for i in ranged}
    for cell in cells if len(ranged) > 1 else ():
        own = [i for i in system.quantities[cell.name].slots if i not in system.static and i != cell.row]
        if cell.column and {system.range_of(i) for i in own} == ranges:
            return next(i for i in ranged if system.range_of(i) == system.range_of(cell.column))
    return ranged[0] if ranged else ""


def _at_row(eq: Equation, block: Block, system: System) -> bool:
    """Is a boundary a row of its own below or above the layers? A corner, r[0,0], is a place beside such a row."""
    fixed = {o for s, o in zip(eq.slots, system.quantities[eq.name].slots, strict=True) if s.anchor != "free"}
    return block.row in fixed and block.column not in fixed


def _within(groups: list[tuple[str, ...]], found: list[Arrow]) -> list[list[Arrow]]:
    """The arrows within each group."""
    number = {name: k for k, group in enumerate(groups) for name in group}
    own: list[list[Arrow]] = [[] for _ in groups]
    for a in found:
        k = number.get(a.source)
        if k is not None and number.get(a.target) == k:
            own[k].append(a)
    return own


def _shifts(group: tuple[str, ...], system: System, found: list[Arrow]) -> dict[str, list[int]]:
    """By index, the shifts at which a recurrent group reads itself."""
    shifts: dict[str, list[int]] = {}
    for a in found:
        if a.source in group and a.target in group and not a.boundary:
            for slot, name in zip(a.slots, system.quantities[a.source].slots, strict=True):
                if slot.anchor == "free" and slot.offset:
                    shifts.setdefault(name, []).append(slot.offset)
    return shifts


def _axes(group: tuple[str, ...], shifts: dict[str, list[int]], system: System,
          alone: set[str]) -> tuple[str, str, int]:
    """The column index, the layer index and the direction of a recurrent group, from its shifts.

    alone: ranges along which alone another group recurs; they are time, and time runs over columns. Layers are of all
    quantities of the group; an index that only some have, such as the places of a stack, stays inside of the cell.
    """
    ranged = [i for i in shifts if i not in system.static]
    own = system.quantities[group[0]].slots
    ranged.sort(key=lambda i: (system.range_of(i) in alone, own.index(i) if i in own else -1))
    column = ranged[-1] if ranged else ""
    rows = [i for i in shifts if i != column and all(i in system.quantities[name].slots for name in group)]
    rows.sort(key=lambda i: i not in system.static)
    if not column:
        column = next((i for i in own if i not in system.static and i not in rows), "")
    direction = 0 if column not in shifts else (-1 if shifts[column][0] > 0 else 1)
    return column, rows[0] if rows else "", direction


def _each_way(cell: Block, system: System, found: list[Arrow]) -> list[Block]:
    """A cell whose layers run both ways is a cell for each way, and what joins these; else it stays one.

    found: the arrows within it.
    """
    inside = [a for a in found if not a.boundary and not (cell.row and _shift(a, system, cell.row))]
    if len({x < 0 for x in _shifts(cell.quantities, system, inside).get(cell.column, ())}) < 2:
        return [cell]
    ways = {g: sum(1 if x < 0 else -1 for x in _shifts(g, system, inside).get(cell.column, ())[:1])
            for g in components(system, inside)}
    if not {1, -1} <= set(ways.values()):
        return [cell]
    group_of = {n: g for g in ways for n in g}
    parts = dict.fromkeys(group_of.get(n, (n,)) for n in cell.quantities)
    return [Block(g[0], g, "cell" if g in ways else "single", cell.column, cell.row, ways.get(g, 0)) for g in parts]


def _is_matrix(name: str, system: System, block: Block) -> bool:
    """Does the quantity run over two ranges, such as a[t,s]?"""
    ranged = [i for i in system.quantities[name].slots if i not in system.static and i != block.row]
    return len(ranged) > 1


def _split(cell: Block, system: System, found: list[Arrow]) -> list[Block]:
    """A cell whose loop goes through attention is two blocks, unless they need each other within one step."""
    matrices = {n for n in cell.quantities if _is_matrix(n, system, cell)}
    if not matrices:
        return [cell]
    apart = matrices | _contexts(matrices, cell.quantities, system, found)
    rest = tuple(n for n in cell.quantities if n not in apart)
    flow: nx.DiGraph[bool] = nx.DiGraph()
    for a in found:
        if {a.source, a.target} <= set(cell.quantities) and not a.boundary and not _shift(a, system, cell.column):
            flow.add_edge(a.source in apart, a.target in apart)
    flow.remove_edges_from([(u, v) for u, v in flow.edges if u == v])
    if not rest or not nx.is_directed_acyclic_graph(flow):
        return [cell]
    names = tuple(n for n in cell.quantities if n in apart)
    return [Block(names[0], names, "attention", cell.column, cell.row, 0),
            Block(rest[0], rest, "cell", cell.column, cell.row, cell.direction)]


def _contexts(matrices: set[str], among: tuple[str, ...], system: System, found: list[Arrow]) -> set[str]:
    """Quantities over one range that reduce a matrix over the other: sum(a[t,s] * k[s], over=s)."""
    return {a.target for a in found if a.source in matrices and a.target in among and a.target not in matrices
            and not a.boundary and not any(s.offset for s in a.slots)
            and len(system.quantities[a.target].slots) < len(system.quantities[a.source].slots)}


def _attention(blocks: list[Block], system: System, found: list[Arrow]) -> list[Block]:
    """Single matrix quantities that feed each other, and what reduces them, become one block."""
    singles = {b.name: b for b in blocks if b.kind == "single" and system.quantities[b.name].role == "defined"}
    matrices = {n for n, b in singles.items() if _is_matrix(n, system, b)}
    apart = matrices | _contexts(matrices, tuple(singles), system, found)
    links: nx.Graph[str] = nx.Graph()
    links.add_nodes_from(n for n in singles if n in apart)
    links.add_edges_from((a.source, a.target) for a in found if a.source in matrices and a.target in apart)
    done = [b for b in blocks if b.name not in apart]
    for names in nx.connected_components(links):
        group = tuple(n for n in singles if n in names)
        column = next((singles[n].column for n in group if n not in matrices and singles[n].column),
                      singles[group[0]].column)
        if column and nx.is_directed_acyclic_graph(_outer(group, found)):
            done.append(Block(group[0], group, "attention", column))
        else:
            done += [singles[n] for n in group]
    return done


def _outer(group: tuple[str, ...], found: list[Arrow]) -> nx.DiGraph[str]:
    """The name graph with the group as one vertex, without other loops."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for a in found:
        if not a.boundary and not a.shifts:
            source, target = ("" if n in group else n for n in (a.source, a.target))
            if source != target:
                graph.add_edge(source, target)
    return graph
