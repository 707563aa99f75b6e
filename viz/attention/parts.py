"""The two halves of the attention view, each a view of closed boxes: what is attended to, and what attends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import networkx as nx

from tinygrad_rnn.system import System

from ..blocks import blocks
from ..blocks.inside import block_mark, block_position
from ..graph.groups import Block
from ..graph.names import Arrow
from ..graph.roles import Roles
from ..graph.steps import Steps
from ..scene import Mark
from ..template import Template, simple
from ..text import COLUMN, ROW, Label, Span, plain, quantity, string
from ..view import FIRST, LAST, Box, Link, View
from .graph import Attention, beside, decoder, encoder, queries, stands_alone

STYLES = {"attention": "attention", "sum": "attention", "merge": "merge"}
MOST, HEAVIEST = 12, 6  # positions that are all drawn; of more, those with the largest weights
MOST_NAMES = 3  # in a box


@dataclass(frozen=True)
class Half:
    """A view; the keys of its boxes that the weights' lines attach to, by position; and what asks for the weights: keys
    of boxes and positions, with the name that is read."""

    view: View
    ends: dict[int, str]
    asked: tuple[tuple[str, int, str], ...] = ()


def encoder_half(attention: Attention, roles: Roles, positions: Steps, at: Mapping[str, int]) -> Half:
    """The rows from the inputs up to what is attended to. at: positions of other indices than that of the columns."""
    names = encoder(attention, roles)
    found = _blocks(names, (), roles, attention.source)
    found += [Block(n, (n,), "single", _column(n, roles, attention.source)) for n in attention.read
              if n not in roles.role]  # a memory that is learnt
    maker = _Maker(roles, found, (), positions, at)
    if len(attention.read) > 1:
        return maker.half(maker.merge(attention.read))
    return maker.half(next(b for b in found if attention.read[0] in b.quantities))


def decoder_half(attention: Attention, roles: Roles, positions: Steps, at: Mapping[str, int]) -> Half:
    """The row of the contexts, and above it what follows from them or asks for them."""
    names = decoder(attention, roles)
    contexts = attention.contexts
    alone = bool(contexts) and all(stands_alone(n, roles.system) for n in contexts)
    found = _blocks(names, contexts if alone else (), roles, attention.target)
    if alone:
        first = Block(contexts[0], contexts, "attention", _column(contexts[0], roles, attention.target))
    else:
        first = Block(attention.weights, (attention.weights,), "sum" if contexts else "attention", attention.target)
    maker = _Maker(roles, [first, *found], queries(attention, roles, names), positions, at, first)
    if not alone:
        maker.feed(first, contexts)
    return maker.half(first)


def _column(name: str, roles: Roles, index: str) -> str:
    system = roles.system
    return next(i for i in system.quantities[name].slots if system.range_of(i) == system.range_of(index))


def _blocks(names: set[str], apart: tuple[str, ...], roles: Roles, index: str) -> list[Block]:
    """The blocks of the model, as far as they are among the names."""
    found = []
    for b in roles.blocks:
        kept = tuple(n for n in b.quantities if n in names and n not in apart)
        if kept and not b.boundary:
            kind = "single" if b.kind == "attention" else b.kind
            found.append(Block(kept[0], kept, kind, _column(kept[0], roles, index), b.row, b.direction))
    return found


@dataclass(frozen=True)
class _Reading:
    """A block reads a quantity of another, or of itself, so many positions away."""

    source: Block
    name: str
    target: Block
    shift: int

    @property
    def port(self) -> str:
        return f"{self.name}[{self.shift}]"


def _is_asking(block: Block, a: Arrow, system: System) -> bool:
    """Is it the weights themselves that read?"""
    own = system.quantities[a.target].slots
    return block.kind in ("attention", "sum") and len([i for i in own if i not in system.static]) > 1


class _Maker:
    """Boxes at every position that is drawn and links between them.

    asked: what the weights are computed from; at: positions of indices other than that of the columns; floor: the
    block that stands alone at the bottom.
    """

    def __init__(self, roles: Roles, found: list[Block], asked: Iterable[Arrow], positions: Steps,
                 at: Mapping[str, int], floor: Block | None = None):
        self.roles, self.system, self.positions, self.at, self.floor = roles, roles.system, positions, at, floor
        self.blocks = found
        self.of = {n: b for b in found for n in b.quantities}
        self.readings = list(dict.fromkeys(self.inner()))
        self.asked = list(dict.fromkeys(self.asking(asked)))

    # -- who reads what ----------------------------------------------------------------------------

    def inner(self) -> Iterator[_Reading]:
        near = {b.column: set(beside(self.roles, b.column)) for b in self.blocks}
        for a in self.roles.arrows:
            if a.source not in self.of or a.target not in self.of or a not in near[self.of[a.target].column]:
                continue
            source, target = self.of[a.source], self.of[a.target]
            shift = self.shift(a, target.column)
            if shift is not None and (source != target or shift) and not _is_asking(target, a, self.system):
                yield _Reading(source, a.source, target, shift)

    def asking(self, asked: Iterable[Arrow]) -> Iterator[_Reading]:
        for a in asked:
            shift = self.shift(a, "")
            if self.floor is not None and self.of[a.source] != self.floor and shift in (0, -1):
                yield _Reading(self.of[a.source], a.source, self.floor, shift)

    def shift(self, a: Arrow, column: str) -> int | None:
        """Along the positions; None where the arrow reads a fixed one, or all."""
        own = self.of[a.source].column
        slot = a.slots[self.system.quantities[a.source].slots.index(own)]
        return slot.offset if slot.anchor == "free" and slot.index in (column or slot.index, own) else None

    def merge(self, names: tuple[str, ...]) -> Block:
        """A box above for several quantities that are attended to together."""
        block = Block(" ".join(names), names, "merge", self.of[names[0]].column)
        self.blocks.append(block)
        self.readings += [_Reading(self.of[n], n, block, 0) for n in names]
        return block

    def feed(self, block: Block, names: tuple[str, ...]) -> None:
        """A sum without a name of its own is read by what it stands in."""
        self.readings += [_Reading(block, block.name, self.of[n], 0) for n in names]

    # -- rows --------------------------------------------------------------------------------------

    def rows(self) -> dict[Block, int]:
        graph: nx.DiGraph[Block] = nx.DiGraph()
        graph.add_nodes_from(self.blocks)
        place = {b: k for k, b in enumerate(self.blocks)}
        for r in sorted(self.readings, key=lambda r: (r.shift != 0, place[r.source])):
            if r.target != self.floor and not nx.has_path(graph, r.target, r.source):
                graph.add_edge(r.source, r.target)
        order = list(nx.lexicographical_topological_sort(graph, key=place.__getitem__))
        depth: dict[Block, int] = {}
        for b in order:
            depth[b] = max((depth[p] + 1 for p in graph.predecessors(b)), default=0)
            if self.floor is not None and b != self.floor and not self.is_input(b):
                depth[b] = max(1, depth[b])
        for b in reversed(order):  # what reads nothing stands right below what reads it first
            later = [depth[s] for s in graph.successors(b)]
            if later and not list(graph.predecessors(b)) and b != self.floor:
                depth[b] = max(min(later) - 1, 0 if self.is_input(b) or self.floor is None else 1)
        rows: dict[tuple[int, int], list[Block]] = {}
        for k, b in enumerate(self.blocks):
            rows.setdefault((depth[b], 0 if b.kind != "cell" else k + 1), []).append(b)
        return {b: row for row, key in enumerate(sorted(rows)) for b in rows[key]}

    def is_input(self, block: Block) -> bool:
        return self.roles.role.get(block.quantities[0]) == "input"

    # -- boxes and links ---------------------------------------------------------------------------

    def half(self, end: Block) -> Half:
        row_of = self.rows()
        p = self.positions
        view = View(self.system.name, [p.label(k) for k in p.shown], 1 + max(row_of.values()))
        self.templates = {b: self.template(b) for b in self.blocks}
        gaps = {b: blocks.gap(t) for b, t in self.templates.items()}
        for b in self.blocks:
            for k, position in enumerate(p.shown):
                template = gaps[b] if position is None else self.templates[b]
                style = template.shapes[0].style if position is not None else "plain"
                key = f"{b.name}.{k}"
                view.boxes[key] = Box(key, template, row_of[b], k, p.label(position), b.row, ", ".join(b.quantities),
                                      style, places={COLUMN: position, ROW: None})
        links: dict[tuple[str, str, str], Link] = {}
        for r in self.readings:
            for link in self.links(r, view):
                links.setdefault((link.source, link.target, link.port), link)
        view.links = list(links.values())
        if self.floor is not None:
            view.fed = frozenset(f"{self.floor.name}.{k}" for k in range(len(p.shown)))
        asked = tuple((found, q, r.name) for r in self.asked for k, q in enumerate(p.shown)
                      if q is not None and (found := self.source(r, k, q, view)) is not None)
        return Half(view, {q: f"{end.name}.{k}" for k, q in enumerate(p.shown) if q is not None}, asked)

    def template(self, block: Block) -> Template:
        own = sorted((r for r in self.readings if r.target == block), key=lambda r: -abs(r.shift))
        side = [r.port for r in own if r.source == block]
        below = [r.port for r in own if r.source != block]
        passed = [r.name for r in self.readings if r.source == block]
        marks = {n: self.mark(n, block) for n in block.quantities if block.kind not in ("sum", "merge")}
        style = self.style(block)
        label = self.label(block)
        t = simple("output" if style == "attention" else style, label, string(label), below, side,
                   list(dict.fromkeys(passed)), block.direction, mark=marks.get(block.quantities[0]))
        for r in own:  # a state goes on at the height at which it came
            if r.source == block:
                t.rails[r.name] = t.rails[r.name]._replace(y=t.ins[r.port].y)
        t.shapes = [replace(s, style=style) for s in t.shapes]  # contexts are round where outputs are
        t.marks = marks
        return t

    def style(self, block: Block) -> str:
        if block.kind in STYLES:
            return STYLES[block.kind]
        return blocks.fill(block, self.roles) if block.quantities[0] in self.roles.role else "weight"

    def label(self, block: Block) -> Label:
        """h⟨2⟩, or c⟨2⟩, h⟨2⟩, or of what is attended to together [f⟨2⟩; b⟨2⟩]."""
        if block.kind == "sum":
            return plain("Σ")
        states = [n for n in block.quantities if self.roles.role.get(n) == "state"]
        names = states if states and block.kind == "cell" else block.quantities
        joint, ends = ("; ", "[]") if block.kind == "merge" else (", ", ("", ""))
        label: Label = ()
        for k, name in enumerate(names[:MOST_NAMES]):
            label += (Span(joint),) if k else ()
            label += quantity(name, self.place(name, block))
        more = (Span(f"{joint}…"),) if len(names) > MOST_NAMES else ()
        return (Span(ends[0]), *label, *more, Span(ends[1])) if ends[0] else (*label, *more)

    def place(self, name: str, block: Block) -> str:
        """The position of a quantity as its label shows it."""
        own = self.system.quantities[name].slots
        found = block_position(name, block, self.system).split(",")
        return ",".join(str(self.at.get(i, p)) for i, p in zip(own, found, strict=False))

    def mark(self, name: str, block: Block) -> Mark:
        found = {**self.at, **dict(block_mark(name, block, self.system).at)}
        return Mark(name, tuple((i, found[i]) for i in self.system.quantities[name].slots if i in found))

    def links(self, r: _Reading, view: View) -> Iterator[Link]:
        for k, position in enumerate(self.positions.shown):
            target = view.boxes[f"{r.target.name}.{k}"]
            if r.port not in target.template.ins:
                continue
            key = self.source(r, k, position, view)
            if key is None:
                continue
            source = view.boxes[key]
            fed_back = self.roles.role.get(r.name) == "data" and r.shift and source.row > target.row
            sideways = r.source == r.target or source.column in (FIRST, LAST) or bool(fed_back)
            if r.name in (source.template.rails if sideways else source.template.outs):
                yield Link(key, r.name, target.key, r.port, f"{r.source.name}:{r.name}.{key}", self.line(r), sideways)

    def line(self, r: _Reading) -> str:
        style = self.roles.line(r.name)
        return "attention" if r.source == self.floor and style == "plain" else style

    def source(self, r: _Reading, k: int, position: int | None, view: View) -> str | None:
        """The key of the box that a reading finds at column k."""
        shown, step = self.positions.shown, 1 if r.shift > 0 else -1
        if position is None:
            near = k + step
            return f"{r.source.name}.{near}" if r.shift and 0 <= near < len(shown) else None
        at = position + r.shift
        if not 1 <= at <= self.positions.total:
            return self.initial(r, at, k, view)
        if at in shown:
            return f"{r.source.name}.{shown.index(at)}"
        near = k + step
        is_gap = 0 <= near < len(shown) and shown[near] is None
        return f"{r.source.name}.{near}" if is_gap and r.source == r.target else None

    def initial(self, r: _Reading, at: int, k: int, view: View) -> str | None:
        """The box of a state before the first position or after the last."""
        key = f"{r.source.name}:{r.name}[{at}]"
        if key in view.boxes:
            return key
        if r.source != r.target:
            return None
        text = str(at).replace("-", "−") if at < 1 or self.positions.capital.isdigit() else (
            f"{self.positions.capital}+{at - self.positions.total}")
        label = quantity(r.name, self.place(r.name, r.source).replace(COLUMN, text))
        mark = self.mark(r.name, r.source)
        template = simple("initial", label, string(label), [], [], [r.name], 1 if at < 1 else -1, mark=mark)
        template.marks = {r.name: mark}
        view.boxes[key] = Box(key, template, view.boxes[f"{r.source.name}.0"].row, FIRST if at < 1 else LAST,
                              layer=r.source.row, name=string(label), style="initial",
                              beside=(f"{r.target.name}.{k}", r.port), places={COLUMN: at, ROW: None})
        return key


def drawn(total: int, weights: Iterable[float] | None, focus: int | None, last: str) -> Steps:
    """Which positions are drawn: all up to MOST; else the first, the last, and those that count.

    weights: the largest of them count; focus: it and its neighbours; neither: the first two.
    """
    if total <= MOST:
        return Steps.of(total, False, last)
    kept = {1, total}
    if weights is not None:
        ranked = sorted(enumerate(weights, 1), key=lambda pair: -abs(pair[1]))
        kept |= {p for p, _ in ranked[:HEAVIEST]}
    elif focus is not None:
        kept |= {p for p in (focus - 1, focus, focus + 1) if 1 <= p <= total}
    else:
        kept.add(2)
    shown: list[int | None] = []
    for p in sorted(kept):
        left_out = p - 1 - (shown[-1] if shown and shown[-1] is not None else 0)
        if left_out == 1:
            shown.append(p - 1)
        elif left_out > 1:
            shown.append(None)
        shown.append(p)
    return Steps(total, tuple(shown), last)
