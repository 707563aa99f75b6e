"""Which quantities are drawn as one: cells, attention, single quantities."""

from __future__ import annotations

from dataclasses import dataclass, replace

import networkx as nx

from tinygrad_rnn.node import At
from tinygrad_rnn.system import Equation, System

from .names import Arrow, components, shift_along


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


def is_inner(slots: tuple[At, ...], name: str, block: Block, system: System) -> bool:
    """Does a boundary equation set something inside of a block, and neither the ends of its columns nor a layer?"""
    own = system.quantities[name].slots
    return bool(slots) and all(s.anchor == "free" or i not in (block.column, block.row)
                               for s, i in zip(slots, own, strict=True))


def drawn_as_one(system: System, found: list[Arrow], groups: list[tuple[str, ...]]) -> tuple[Block, ...]:
    """The blocks of a system. found: all arrows; groups: the recurrent groups of names among them."""
    cells = _cells(system, found, groups)
    layered = {cell.row for cell in cells} - {""}
    taken = {n for cell in cells for n in cell.quantities}
    blocks = [part for cell in cells for part in _split(cell, system, found)]
    loose = [n for n, q in system.quantities.items() if q.role == "defined" and n not in taken]
    for name in [n for n, q in system.quantities.items() if q.role == "input"] + loose:
        readers = {a.target for a in found if a.source == name}
        along = {cell.column for cell in cells if readers.intersection(cell.quantities)}  # where it stands step by step
        row = next((i for i in system.quantities[name].slots if i in layered and i not in along), "")
        blocks.append(Block(name, (name,), "single", _column(name, row, cells, along, system), row))
    blocks = _attention(blocks, system, found)
    boundaries = [eq for eq in system.equations if eq.is_boundary]
    ends = [Block(eq.left, (eq.name,), "single", block.column, "", 0, eq.slots) for block in blocks if block.row
            for eq in boundaries if eq.name in block.quantities and _at_row(eq, block, system)]
    return (*blocks, *ends)


def _cells(system: System, found: list[Arrow], groups: list[tuple[str, ...]]) -> list[Block]:
    """What recurs, each way of a group that does so both ways by itself."""
    within = _within(groups, found)
    shifts = [_shifts(group, system, own) for group, own in zip(groups, within, strict=True)]
    alone = {system.range_of(i) for of in shifts if len(of) == 1 for i in of if i not in system.static}
    cells: list[Block] = []
    for group, of, own in zip(groups, shifts, within, strict=True):
        cells += _each_way(Block(group[0], group, "cell", *_axes(group, of, system, alone)), system, own)
    return [_over_columns(cell, system) for cell in cells]


def _column(name: str, row: str, cells: list[Block], along: set[str], system: System) -> str:
    """The column index of a quantity that is no cell: of several that of a cell over the same ranges, or one of those
    along which cells read it, or the first."""
    ranged = [i for i in system.quantities[name].slots if i not in system.static and i != row]
    if len(ranged) < 2:
        return ranged[0] if ranged else ""
    ranges = {system.range_of(i) for i in ranged}
    alike = [c.column for c in cells if c.column and ranges == {
        system.range_of(i) for i in system.quantities[c.name].slots if i not in system.static and i != c.row}]
    wished = [system.range_of(i) for i in [*alike[:1], *sorted(along - {""})]]
    return next((i for r in wished for i in ranged if system.range_of(i) == r), ranged[0])


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
    inside = [a for a in found if not a.boundary and not (cell.row and shift_along(a, system, cell.row))]
    if len({x < 0 for x in _shifts(cell.quantities, system, inside).get(cell.column, ())}) < 2:
        return [cell]
    ways = {g: sum(1 if x < 0 else -1 for x in _shifts(g, system, inside).get(cell.column, ())[:1])
            for g in components(system, inside)}
    if not {1, -1} <= set(ways.values()):
        return [cell]
    group_of = {n: g for g in ways for n in g}
    parts = dict.fromkeys(group_of.get(n, (n,)) for n in cell.quantities)
    return [Block(g[0], g, "cell" if g in ways else "single", cell.column, cell.row, ways.get(g, 0)) for g in parts]


def _over_columns(cell: Block, system: System) -> Block:
    """The cell without what has no place in a column, such as a mean over all of them, and so stands by itself."""
    if not cell.column:
        return cell
    own = tuple(n for n in cell.quantities if system.runs_over(n, cell.column))
    return replace(cell, name=own[0], quantities=own)


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
        if {a.source, a.target} <= set(cell.quantities) and not a.boundary and not shift_along(a, system, cell.column):
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
    """Single matrix quantities that feed each other, and what reduces them, become one block for each of its stages."""
    singles = {b.name: b for b in blocks if b.kind == "single" and system.quantities[b.name].role == "defined"}
    matrices = {n for n, b in singles.items() if _is_matrix(n, system, b)}
    apart = matrices | _contexts(matrices, tuple(singles), system, found)
    links: nx.Graph[str] = nx.Graph()
    links.add_nodes_from(n for n in singles if n in apart)
    links.add_edges_from((a.source, a.target) for a in found if a.source in matrices and a.target in apart)
    flow = nx.DiGraph((a.source, a.target) for a in found if not a.boundary and not a.shifts and a.source != a.target)
    flow.add_nodes_from(singles)
    order = list(nx.topological_sort(flow)) if nx.is_directed_acyclic_graph(flow) else []
    done: dict[str, Block] = {}
    for names in nx.connected_components(links) if order else ():
        group = tuple(n for n in singles if n in names)
        column = next((singles[n].column for n in group if n not in matrices and singles[n].column),
                      singles[group[0]].column)
        inside = {n for n in group if column and column in system.quantities[n].slots}
        for stage in _stages(inside, flow, order):
            members = tuple(n for n in group if n in stage)
            done |= dict.fromkeys(members, Block(members[0], members, "attention", column))
    return [b for b in blocks if b.name not in done] + list(dict.fromkeys(done.values()))


def _stages(inside: set[str], flow: nx.DiGraph[str], order: list[str]) -> list[set[str]]:
    """The quantities of a block in stages: in a later one is what follows from an earlier one by way of others, as
    a[t,s] / sum(a[t,s], over=t) does of attention at each t. order: all quantities, those first that others read.
    """
    stage: dict[str, int] = {}
    for name in order:
        before = [stage[s] + (name in inside and s not in inside) for s in flow.predecessors(name) if s in stage]
        if before or name in inside:
            stage[name] = max(before, default=0)
    found: dict[int, set[str]] = {}
    for name in inside:
        found.setdefault(stage[name], set()).add(name)
    return [found[k] for k in sorted(found)]
