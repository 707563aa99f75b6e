"""What is inside a block: its operations at gate level, or its quantities, as a small graph with ports.

A gate swallows the affine map under it, `sigmoid(W @ x[t] + U @ h[t-1] + b)` is one box σ fed by x and h; sums and
products of quantities stay circles. Nothing here knows a cell by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tinygrad_rnn.node import At, Node
from tinygrad_rnn.ops import TABLE
from tinygrad_rnn.printing.printer import text
from tinygrad_rnn.system import System

from ..graph.groups import Block, is_inner
from ..graph.names import PRODUCTS, is_fixed
from ..graph.roles import SQUASHING, Roles
from ..ops import oplabels
from ..scene import Mark
from ..style import ROLE_FILL, SMALL
from ..text import COLUMN, ROW, Label, Span, formula, plain, quantity, slot_text, string, width

ROUND_MOST = 4  # wires into a circle; beyond, an operation is a box
FEW = 4  # a merge box lists at most this many of its sources
SIGNS = ("add", "subtract", "multiply", "divide", "negative")
KEEP_SHAPE = ("transpose", "reshape", "expand")  # of what a weight multiplies: no box of their own
SAME = ("expand", "reshape", "stop_gradient")  # of a weight: it is what it was
LONGEST = 60.0  # of what multiplies, where it is written in its box
SYMBOLS = {"matmul": "@", "power": "pow", "dot": "dot", "transpose": "(·)ᵀ"}  # others as in op graphs


@dataclass(frozen=True)
class Port:
    """A value that enters the block. state: over the side, from another step; otherwise from below."""

    key: str
    name: str
    slots: tuple[At, ...]
    state: bool
    shift: int = 0
    line: str = "plain"


@dataclass
class Part:
    """A box, a circle, or a dot where two lines join. sources: keys of ports or of other parts, in the order in which
    they are read; summed: are they the terms of a sum, W @ x[t] + U @ h[t-1], so that one line may bring them all? Of
    others, such as a condition and what it chooses, it matters which is which; line: of what leaves it."""

    key: str
    kind: str  # "box", "circle" or "dot"
    style: str
    sources: list[str]
    label: Label = ()
    caption: Label = ()
    line: str = "plain"
    name: str = ""
    mark: Mark | None = None
    summed: bool = False


class _Look(NamedTuple):
    """How an operation is drawn: its symbol, the terms that it reads, and whether these are those of a sum."""

    kind: str
    style: str
    symbol: Label
    terms: list[Node]
    summed: bool = False


@dataclass
class Inside:
    """The graph of a block. out: quantity -> the part that computes it; gradient: (source, box) of wires with a
    twin, (box, "") of those that leave."""

    parts: dict[str, Part] = field(default_factory=dict)
    ports: dict[str, Port] = field(default_factory=dict)
    out: dict[str, str] = field(default_factory=dict)
    gradient: set[tuple[str, str]] = field(default_factory=set)


def port_key(name: str, slots: tuple[At, ...]) -> str:
    """What a port is known by: h[t-1]."""
    return f"{name}[{','.join(map(str, slots))}]" if slots else name


def ports_of(block: Block, roles: Roles) -> dict[str, Port]:
    """What the block's equations read from outside the block or from its other steps, in the order of reading."""
    system = roles.system
    found: dict[str, Port] = {}
    for a in roles.arrows_into(block):
        if a.boundary != block.boundary:
            continue
        if a.source in block.quantities and not block.boundary and not _moved(a.slots):
            continue
        shift = _column_shift(a.source, a.slots, block, system) if a.source in block.quantities else 0
        key = port_key(a.source, a.slots)
        line = "attention" if is_fan(a.source, a.slots, block, system) else roles.line(a.source)
        found[key] = Port(key, a.source, a.slots, shift != 0, shift, line)
    return found


def _moved(slots: tuple[At, ...]) -> bool:
    return any(s.anchor != "free" or s.offset for s in slots)


def is_fan(name: str, slots: tuple[At, ...], block: Block, system: System) -> bool:
    """Does attention read all positions of the quantity at each step?"""
    ranged = any(i not in system.static for i in system.quantities[name].slots)
    return block.kind == "attention" and ranged and all(s.anchor == "free" and s.index != block.column for s in slots)


def _column_shift(name: str, slots: tuple[At, ...], block: Block, system: System) -> int:
    for slot, own in zip(slots, system.quantities[name].slots, strict=False):
        if slot.anchor == "free" and own == block.column:
            return slot.offset
    return 0


def by_quantities(block: Block, roles: Roles, live: frozenset[str] = frozenset()) -> Inside:
    """One box a quantity; live: the quantities with a gradient, whose wires get twins."""
    inside = Inside(ports=ports_of(block, roles))
    for name in block.quantities:
        sources: list[str] = []
        for a in roles.arrows:
            if a.target == name and a.boundary == block.boundary:
                key = port_key(a.source, a.slots)
                source = key if key in inside.ports else f"q:{a.source}"
                if source not in sources:
                    sources.append(source)
                if a.differentiable and {a.source, name} <= live:
                    inside.gradient.add((source, f"q:{name}"))
        style = ROLE_FILL[roles.role[name]]
        label = quantity(name, block_position(name, block, roles.system))
        inside.parts[f"q:{name}"] = Part(f"q:{name}", "box", style, sources, label, line=roles.line(name),
                                         name=string(label), mark=block_mark(name, block, roles.system), summed=True)
        inside.out[name] = f"q:{name}"
        if any(a.source == name and a.differentiable and a.target in live for a in roles.arrows):
            inside.gradient.add((f"q:{name}", ""))  # on its way out
    return _merged(inside)


def block_position(name: str, block: Block, system: System) -> str:
    """The position of a quantity as its label shows it, with COLUMN and ROW where it is stamped."""
    slots = block.boundary or tuple(At("free", i, 0) for i in system.quantities[name].slots)
    shown = []
    for slot, own in zip(slots, system.quantities[name].slots, strict=True):
        if slot.anchor != "free":
            shown.append(slot_text([slot]))
        else:
            shown.append(COLUMN if own == block.column else ROW if own == block.row else slot_text([slot]))
    return ",".join(shown)


def block_mark(name: str, block: Block, system: System) -> Mark:
    """A quantity of the block, with COLUMN and ROW where it is stamped."""
    own = system.quantities[name].slots
    slots = block.boundary or tuple(At("free", i, 0) for i in own)
    tokens = {block.column: COLUMN, block.row: ROW}
    found: list[tuple[str, int | str]] = []
    for slot, index in zip(slots, own, strict=True):
        if slot.anchor == "first":
            found.append((index, slot.offset))
        elif slot.anchor == "free" and index in tokens:
            found.append((index, tokens[index]))
    return Mark(name, tuple(found))


def by_operations(block: Block, roles: Roles) -> Inside:
    """One box or circle an operation, affine maps swallowed by what they feed."""
    return _merged(_Operations(block, roles).inside)


class _Operations:
    def __init__(self, block: Block, roles: Roles):
        self.block, self.roles, self.system = block, roles, roles.system
        self.inside = Inside(ports=ports_of(block, roles))
        self.fixed: dict[Node, bool] = {}
        self.keys: dict[Node, str] = {}
        self.todo: list[tuple[Node, str, str]] = []
        mains = {name: eq.rhs for name in block.quantities for eq in self.system.by_name[name]
                 if (eq.slots if eq.is_boundary else ()) == block.boundary}
        for name in block.quantities:
            self.inside.out[name] = f"q:{name}"
            self.todo.append((mains[name], f"q:{name}", name))
        self.ends = {name: [eq.rhs for eq in self.system.by_name[name] if is_inner(eq.slots, name, block, self.system)
                            and eq.is_boundary] for name in block.quantities}
        done = 0
        while done < len(self.todo):
            self.draw(*self.todo[done])
            done += 1

    def is_fixed(self, node: Node) -> bool:
        return is_fixed(node, self.system, self.fixed)

    def key(self, node: Node) -> str:
        """The key of what computes a term; a term met for the first time is put on the list."""
        if node.op == "ref":
            key = port_key(node.attr("name"), node.attr("slots"))
            return key if key in self.inside.ports else f"q:{node.attr('name')}"
        if node not in self.keys:
            self.keys[node] = f"n{len(self.keys)}"
            self.todo.append((node, self.keys[node], ""))
        return self.keys[node]

    def draw(self, node: Node, key: str, name: str) -> None:
        kind, style, label, terms, summed = self.look(node)
        sources = list(dict.fromkeys(self.key(term) for term in (*terms, *self.ends.get(name, ()))))
        kind = "box" if len(sources) > ROUND_MOST else kind
        line = self.roles.line(name) if name else "plain"
        caption = quantity(name) if name else ()
        if name and kind == "box":
            label, caption = (*label, *((Span(" "),) if label else ()), *quantity(name)), ()
        shown = self.roles.role.get(name) == "state"
        self.inside.parts[key] = Part(key, kind, style, sources, label, () if shown else caption, line, name,
                                      block_mark(name, self.block, self.system) if name else None, summed)

    def look(self, node: Node) -> _Look:
        """How an operation is drawn."""
        args = [a for a in node.args if not self.is_fixed(a)]
        if node.op == "ref":
            return _Look("box", "plain", (), [node])
        if node.op in ("add", "subtract"):
            return self.sum(node, args)
        if node.op == "multiply" or (node.op in PRODUCTS and len(args) == 1):
            return self.product(node, args)
        if node.op in SIGNS:
            return _Look("circle", "op", plain(TABLE[node.op].symbol), args)
        symbol = plain(SYMBOLS.get(node.op) or oplabels.symbol(node))
        if node.op == "sigmoid":
            return self.affine("gate", symbol, args)
        if len(node.args) > 1:
            return _Look("box", "attention" if node.op in PRODUCTS else "plain", symbol, args)
        if dict(node.attrs).get("over"):
            return _Look("box", "attention", symbol, args)
        return self.affine("tanh" if node.op in SQUASHING else "plain", symbol, args)

    def sum(self, node: Node, args: list[Node]) -> _Look:
        """W @ x[t] + b is a box, 1 - a a circle, and so are the terms of other sums."""
        if all(self.is_linear(t) for t in self.chain(node, ("add", "subtract"))):
            return self.affine("weight", plain("linear"), [node])
        if node.op == "subtract":
            return _Look("circle", "op", plain("1−" if self.is_one(node.args[0]) else "−"), args)
        sign = "1+" if self.is_beside_one(node) else "+"
        return _Look("circle", "op", plain(sign), self.chain(node, ("add",)))

    def product(self, node: Node, args: list[Node]) -> _Look:
        """W @ x[t] is a box, as are 2 * sigmoid(...) and a * a; a * b is a circle."""
        if len(args) == 1:
            number, term = next((a for a in node.args if a.op == "const"), None), args[0]
            if node.op == "multiply" and number is not None and term.op in ("sigmoid", *SQUASHING):
                look = self.look(term)  # 2σ and 2 tanh
                times = f"{number.attr('value'):g}".replace("-", "−") + " " * (len(string(look.symbol)) > 1)
                return look._replace(symbol=(*plain(times), *look.symbol))
            return self.affine("weight", self.weight_label(node), [node])
        factors = self.chain(node, ("multiply",))
        if len(args) == 2 and len(set(factors)) == 1:
            return _Look("box", "plain", (*plain("(·)"), Span(str(len(factors)), scale=0.72, rise=0.32)), factors)
        return _Look("circle", "op", plain("×"), factors)

    def affine(self, style: str, symbol: Label, terms: list[Node]) -> _Look:
        """A box that takes in the sums and products with weights that it reads."""
        return _Look("box", style, symbol, self.swallowed(terms), True)

    def is_one(self, node: Node) -> bool:
        return node.op == "const" and node.attr("value") == 1.0

    def is_beside_one(self, node: Node) -> bool:
        """Is it 1 - a or 1 + a, and a is no sum of products with weights? In sqrt(1 - a) the 1 is no mere bias."""
        return node.op in ("add", "subtract") and any(map(self.is_one, node.args)) and not any(
            map(self.is_linear, self.chain(node, ("add", "subtract"))))

    def is_linear(self, node: Node) -> bool:
        """Is the term a product with weights?"""
        fixed = [self.is_fixed(a) for a in node.args]
        return self.is_fixed(node) or (node.op in (*PRODUCTS, "multiply") and any(fixed))

    def weight_label(self, node: Node) -> Label:
        """The weight or the number that multiplies, or what is computed from weights; linear where that is long."""
        factor = next((a for a in node.args if self.is_fixed(a)), None)
        while factor is not None and factor.op in SAME:
            factor = factor.args[0]
        if factor is None:
            return plain("linear")
        if factor.op == "const":
            return plain(f"{factor.attr('value'):g}×".replace("-", "−"))
        label = quantity(factor.attr("name")) if factor.op == "ref" else formula(text(factor))
        return label if width(label, SMALL) <= LONGEST else plain("linear")

    def chain(self, node: Node, ops: tuple[str, ...]) -> list[Node]:
        """The terms of a chain of one kind of operation, without weights and constants."""
        out: list[Node] = []
        stack = list(reversed(node.args))
        while stack:
            n = stack.pop()
            if n.op in ops and not self.is_linear(n):
                stack.extend(reversed(n.args))
            elif not self.is_fixed(n):
                out.append(n)
        return out

    def swallowed(self, terms: list[Node]) -> list[Node]:
        """What remains of terms once sums and products with weights are taken into the box that reads them."""
        out: list[Node] = []
        stack = list(reversed(terms))
        while stack:
            node = stack.pop()
            args = [a for a in node.args if not self.is_fixed(a)]
            product = node.op in (*PRODUCTS, "multiply") and len(args) == 1
            if self.is_beside_one(node):
                out.append(node)
            elif node.op in ("add", "subtract", "negative", *KEEP_SHAPE) or product:
                stack.extend(reversed(args))
            elif not self.is_fixed(node):
                out.append(node)
        return out


def _merged(inside: Inside) -> Inside:
    """Where several boxes sum the same values from outside, these meet in one box: [h; x]."""
    groups: dict[tuple[str, ...], list[Part]] = {}
    for part in inside.parts.values():
        if part.kind == "box" and part.summed:
            entering = tuple(sorted(s for s in part.sources if s in inside.ports))
            if len(entering) > 1:
                groups.setdefault(entering, []).append(part)
    for entering, users in groups.items():
        if len(users) < 2:
            continue
        ports = sorted((inside.ports[s] for s in entering), key=lambda p: not p.state)
        key = f"m{len(inside.parts)}"
        label: tuple[Span, ...] = (Span("["),)
        for k, port in enumerate(ports[:FEW]):
            label += (*((Span("; "),) if k else ()), *quantity(port.name))
        label += (Span("; …]" if len(ports) > FEW else "]"),)
        for part in users:
            part.sources = [key, *(s for s in part.sources if s not in entering)]
            back = {s for s in entering if (s, part.key) in inside.gradient}
            inside.gradient |= {(s, key) for s in back} | ({(key, part.key)} if back else set())
        merge = Part(key, "box", "merge", [p.key for p in ports], label, name=string(label))
        inside.parts = {**inside.parts, key: merge}
    return inside


