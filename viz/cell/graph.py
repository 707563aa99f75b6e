"""What the inside of a cell shows: its operations, the lines that join on their way in, and the straight states.

Everything is told from the graph: a state that goes through circles from step to step runs straight along the top, and
what boxes read from outside together is joined into one line before it reaches them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import networkx as nx

from ..blocks.alike import collapsed
from ..blocks.inside import Inside, Part, Port, block_position, by_operations
from ..graph.groups import Block
from ..graph.roles import Roles
from ..style import LINES
from ..text import Label, filled_text, quantity, slot_text

MOST_ROUND = 3  # values into a circle; it has four sides, and one is for what leaves
DETOUR = 100  # what a box on a straight state's way counts, in circles


@dataclass
class Inner:
    """The inside of one cell.

    parts: in the order of the equations; ports: what enters; states: port -> the state that it carries over the side;
    straight: state -> its port and the parts through which it runs along the top; joins: the dots of each joined line
    from left to right; out: quantity -> what computes it; right, top: the quantities that leave there.
    """

    parts: dict[str, Part]
    ports: dict[str, Port]
    states: dict[str, str]
    out: dict[str, str]
    right: list[str]
    top: list[str]
    straight: dict[str, list[str]] = field(default_factory=dict)
    joins: list[list[str]] = field(default_factory=list)

    def users(self, key: str) -> list[str]:
        """The parts that read a part or a port."""
        return [k for k, p in self.parts.items() if key in p.sources]

    def line(self, key: str) -> str:
        """The style of the line that leaves a part or a port."""
        return self.parts[key].line if key in self.parts else self.ports[key].line


def inner_of(block: Block, roles: Roles, passed: list[str]) -> Inner:
    """The inside of a cell; passed: the quantities that other blocks read."""
    inside = by_operations(block, roles)
    states = {key: port.name for key, port in inside.ports.items() if port.state}
    risen = [p.name for p in inside.ports.values() if p.name in block.quantities and not p.state]  # to the next layer
    inside = collapsed(inside, [*states.values(), *passed, *risen])
    parts = _parts(inside, block, roles)
    near = sorted(states, key=lambda key: (block.quantities.index(states[key]), abs(inside.ports[key].shift)))
    states = {key: states[key] for key in near}
    right = list(dict.fromkeys(states.values()))
    found = Inner(parts, inside.ports, states, inside.out, right, list(dict.fromkeys([*passed, *risen])))
    for name in sorted(right, key=lambda n: n not in roles.additive):
        _straighten(found, name, name in roles.additive)
    _join(found)
    return found


def _parts(inside: Inside, block: Block, roles: Roles) -> dict[str, Part]:
    """The boxes and circles, without those that only say what is read together."""
    parts: dict[str, Part] = {}
    for key, part in inside.parts.items():
        if part.style == "merge":
            continue
        sources: list[str] = []
        for s in part.sources:
            merged = s in inside.parts and inside.parts[s].style == "merge"
            sources += inside.parts[s].sources if merged else [s]
        label, caption = part.label, part.caption
        if part.kind == "box" and part.name in roles.role and label != quantity(part.name):
            own = len(quantity(part.name)) + 1  # the name after the operation: beside the box instead
            label, caption = label[:-own], quantity(part.name)
        if caption and roles.role.get(part.name) == "state":
            caption = ()  # told by the line that leaves
        elif caption and part.name in roles.role:
            caption = own_label(part.name, block, roles)
        kind = "box" if part.kind == "box" or len(set(sources)) > MOST_ROUND else "circle"
        mark = part.mark.placed({}) if part.mark else None
        parts[key] = replace(part, kind=kind, sources=list(dict.fromkeys(sources)), label=label, caption=caption,
                             mark=mark)
    return parts


def own_label(name: str, block: Block, roles: Roles) -> Label:
    """A quantity of this step: h⟨t⟩."""
    return quantity(name, filled_text(block_position(name, block, roles.system), block.column, block.row))


def port_label(port: Port) -> Label:
    """A value that enters: h⟨t−1⟩."""
    return quantity(port.name, slot_text(port.slots))


def _straighten(inner: Inner, state: str, additive: bool) -> None:
    """Find a state's way along the top, from the nearest step's port, and give it the state's line."""
    port = next(key for key, name in inner.states.items() if name == state)
    goal, taken = inner.out[state], {k for path in inner.straight.values() for k in path}
    graph: nx.DiGraph[str] = nx.DiGraph()
    for key, part in inner.parts.items():
        if key not in taken and (part.kind == "circle" or key == goal or additive):
            for s in part.sources:
                if s not in taken and (s == port or s in inner.parts):
                    graph.add_edge(s, key, weight=1 if part.kind == "circle" else DETOUR)
    if goal in taken or port not in graph or goal not in graph or not nx.has_path(graph, port, goal):
        return
    path: list[str] = nx.dijkstra_path(graph, port, goal)
    if not additive and not any(inner.parts[k].kind == "circle" for k in path[1:]):
        return  # one box that reads it: a plain recurrent network
    inner.straight[state] = path
    for key in path[1:]:
        inner.parts[key].line = inner.ports[port].line


def _join(inner: Inner) -> None:
    """Give what boxes sum from outside one line: h and x meet in a dot, and z in another."""
    apart = {path[0] for path in inner.straight.values() if inner.ports[path[0]].line == "c"}
    reads: dict[str, frozenset[str]] = {}
    for key, part in inner.parts.items():
        entering = frozenset(s for s in part.sources if s in inner.ports and s not in apart)
        if part.kind == "box" and part.summed and len(entering) > 1:
            reads[key] = entering
    order = {key: k for k, key in enumerate([*inner.states, *(p for p in inner.ports if p not in inner.states)])}
    done: dict[frozenset[str], str] = {}
    for entering in sorted(set(reads.values()), key=lambda e: (len(e), sorted(order[s] for s in e))):
        base = max((e for e in done if e < entering), key=len, default=frozenset())
        rest = sorted(entering - base, key=order.__getitem__)
        last = done[base] if base else rest.pop(0)
        chain: list[str] = []
        for s in rest:
            key = f"join{sum(map(len, inner.joins)) + len(chain)}"
            inner.parts[key] = Part(key, "dot", "swatch", [last, s], line=_stronger(inner.line(last), inner.line(s)))
            chain.append(key)
            last = key
        inner.joins.append(chain)
        done[entering] = last
    for key, entering in reads.items():
        part = inner.parts[key]
        inner.parts[key] = replace(part, sources=[done[entering], *(s for s in part.sources if s not in entering)])


def _stronger(a: str, b: str) -> str:
    return max(a, b, key=lambda line: LINES[line].width)
