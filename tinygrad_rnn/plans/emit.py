"""From a schedule to recorded calls: where each term's value lives, and the calls that compute it.

Every `_emit` takes an env, the positions at which loops hold their indices; the same code emits a term for all
positions at once and for one step of a loop.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from ..backends.flat import stacked
from ..config import Feed
from ..fusion.program import Recorder
from ..node import BATCH, At, Node
from ..ops import TABLE
from ..passes.schedule import Item, Loop
from ..system import Equation
from . import classes, ragged
from .contract import Copies, contract
from .draw import FILLS
from .layout import Env, Layout

REARRANGED = {"patches", "reshape", "flatten", "transpose", "expand", "slice", "pick"}  # zero where what they read is
LEAVES = {"position", "last", "count", *FILLS}
FILL = {"max": -float("inf"), "logsumexp": -float("inf"), "softmax": -float("inf"), "log_softmax": -float("inf")}


class Emitter:
    """Emits each segment of a schedule into `segments`; `prelude` holds what must be filled in before each run.

    kept: terms that are read when a segment has been done.
    """

    def __init__(self, layout: Layout, segments: Sequence[Sequence[Item]], backend: Any, compiled: bool = False,
                 kept: Collection[Node] = ()):
        self.layout, self.backend, self.xp = layout, backend, backend.xp
        self.equations, self.kept = layout.equations, kept
        self.nodes = layout.lifetimes.nodes
        self.do = Recorder(backend, compiled)
        self.values: dict[Node, tuple[Any, tuple[str, ...]]] = {}
        self.aliases: dict[Node, str] = {}
        self.stacked: dict[Node, tuple[list[str], int]] = {}  # what is computed into several quantities, and the axis
        self.views: dict[Node, bool] = {}  # concatenations: is it one?
        self.constants: dict[float, Any] = {}
        self.copies: dict[tuple[Any, ...], Copies] = {}
        self.prelude: list[Any] = []
        self.drawn = False  # is anything new drawn for each run?
        self.counted: set[str] = set()  # indices whose positions enter: a state says how many are behind it
        self._storage()
        self.segments = [self._emitted(segment) for segment in segments]

    def _storage(self) -> None:
        """Give every term its place."""
        lay, needs = self.layout, {}
        for eq in self.equations:
            self._alias(eq)
        self._alias_stacked()
        for node in self.nodes:
            if node.op in LEAVES:
                self._leaf(node)
            elif (node.op == "ref" and self._gathered(node)) or not (self._is_ready(node) or node in self.stacked):
                held = set() if node.op == "ref" else lay.lifetimes.held_for_term(node)
                needs[node] = tuple(i for i in lay.labels(node) if i not in held)
        shared = {node: lay.need(node, labels, node in self.kept) for node, labels in needs.items()
                  if lay.grows(labels)}
        arrays = lay.arena.arrays(shared)
        for node, labels in needs.items():
            self.values[node] = arrays[node] if node in arrays else self._zeros(node, labels), labels

    def _is_view(self, node: Node) -> bool:
        """Is the value of a term part of another's, or what lies next to each other in memory anyway?"""
        if node.op == "concat" and node not in self.views:
            self.views[node] = all(a.op == "ref" and not self._gathered(a) for a in node.args) and (
                self._concat(node, {}) is not None)
        return (node.op == "slice" and node.args[0].op != "const") or self.views.get(node, False)

    def _concat(self, node: Node, env: Env) -> tuple[Any, tuple[str, ...]] | None:
        """The view of a concatenation whose parts lie next to each other."""
        return _side_by_side([self.view(a, env) for a in node.args], node.attr("axis"))

    def _alias_stacked(self) -> None:
        """Let a term of which named quantities are the slices, one after the other, be computed straight into them."""
        slices: dict[Node, dict[int, tuple[Node, str]]] = {}
        for eq in self.equations:
            if eq.rhs.op == "slice" and eq.rhs.attr("step") == 1 and self._fits(eq):
                slices.setdefault(eq.rhs.args[0], {}).setdefault(eq.rhs.attr("start"), (eq.rhs, eq.name))
        for whole, parts in slices.items():
            row, at = [], 0
            while at in parts:
                row.append(parts[at])
                at = parts[at][0].attr("stop")
            if not row or at != whole.shape[row[0][0].attr("axis")] or self._is_ready(whole):
                continue
            names, axis = [name for _, name in row], row[0][0].attr("axis")
            if self._quantities(names, axis, {}) is not None:
                self.stacked[whole] = names, axis
                self.aliases |= dict(row)

    def _quantities(self, names: Sequence[str], axis: int, env: Env) -> tuple[Any, tuple[str, ...]] | None:
        """The view of quantities that lie next to each other."""
        slots = [[At("free", i, 0) for i in self.layout.system.quantities[name].slots] for name in names]
        return _side_by_side([self.layout.named(name, at, env) for name, at in zip(names, slots, strict=True)], axis)

    def _zeros(self, node: Node, labels: tuple[str, ...]) -> Any:
        """Memory of its own for a term's value."""
        need = self.layout.need(node, labels, forever=True)
        return self.layout.arena.zeros(need.shape, need.dtype)

    def _alias(self, eq: Equation) -> None:
        """Let an equation's right side be computed straight into the quantity's buffer."""
        if self._fits(eq) and not self._is_ready(eq.rhs):
            self.aliases[eq.rhs] = eq.name

    def _fits(self, eq: Equation) -> bool:
        """Is the right side all that stands in the quantity's buffer?"""
        q, node = self.layout.system.quantities[eq.name], eq.rhs
        same = (*node.indices,) == q.type.indices and node.shape == q.type.shape and (
            self.layout.dtype(node.dtype) == q.type.dtype)
        return same and not eq.is_boundary and not self.layout.has_late_boundary(eq.name)

    def _is_ready(self, node: Node) -> bool:
        """Does the value have a place already?"""
        return node.op in LEAVES or node.op in ("ref", "const") or node in self.aliases or self._is_view(node)

    def _gathered(self, node: Node) -> bool:
        """Does the reference read a position that differs by example, such as h[T] with lengths?"""
        return bool(ragged.late_slots(self.layout, node.attr("name"), node.attr("slots")))

    def _leaf(self, node: Node) -> None:
        xp, op = self.xp, node.op
        dtype = self.layout.dtype(node.dtype)
        if op == "position":
            index = node.attr("index")
            positions = xp.arange(1, self.layout.size(index) + 1).astype(dtype)
            if BATCH in node.indices:
                positions = xp.broadcast_to(positions[:, None], (*positions.shape, self.layout.config.batch))
                self.counted.add(index)
            positions = self._counted_on(positions, index, BATCH in node.indices)
            self.values[node] = (positions, (index,))
        elif op == "last":
            value = xp.zeros(self.layout.config.batch, dtype)
            self.values[node] = (value, ())
            index = node.attr("index")
            lengths = self.layout.ends[self.layout.system.range_of(index)]
            self.prelude.append(lambda feed: xp.copyto(value, lengths + _behind(feed, index), "unsafe"))
        elif op == "count":
            self._count(node, dtype)
        else:
            labels = self.layout.labels(node)
            self.values[node] = array, _ = self._zeros(node, labels), labels
            self.drawn = True
            self.counted |= set(labels) - set(self.layout.system.static) if op == "noise" else set()
            self.prelude.append(lambda feed: FILLS[op](xp, array, labels, BATCH in node.indices, node, feed))

    def _counted_on(self, local: Any, index: str, by_example: bool) -> Any:
        """In a segment of time positions count on from where it begins, and those of examples from the state."""
        config = self.layout.config
        if self.layout.system.range_of(index) not in config.carried | config.cut:
            return local
        positions = self.xp.array(local)

        def fill(feed: Feed) -> None:
            self.xp.add(local, feed.offset.get(index, 0) + (_behind(feed, index) if by_example else 0), positions)

        self.prelude.append(fill)
        return positions

    def _count(self, node: Node, dtype: str) -> None:
        xp, over = self.xp, node.attr("over")
        value = xp.zeros(() if BATCH in over else self.layout.config.batch, dtype)
        self.values[node] = (value, ())
        lay = self.layout
        per_example = lay.whole_batch if BATCH in over else lay.ends
        factors = [lay.size(i) if lay.is_static(i) else per_example[lay.system.range_of(i)] for i in over if i != BATCH]

        def fill(feed: Feed) -> None:
            joint = xp.ones(lay.whole if BATCH in over else lay.config.batch, "float64")
            for factor in factors:
                joint = joint * factor
            xp.copyto(value, joint.sum() if BATCH in over else joint, "unsafe")

        changing = lay.config.lengths | lay.config.cut
        if any(lay.system.range_of(i) in changing for i in over if i != BATCH):
            self.prelude.append(fill)
        else:
            fill(Feed({}))

    def bytes(self) -> int:
        """What all arrays take that were made for this plan."""
        return self.layout.arena.bytes + sum(self.backend.owned(a) for a in self.do.scratch())

    def view(self, node: Node, env: Env) -> tuple[Any, tuple[str, ...]]:
        """node's value at the loop positions of env, and the indices left in it."""
        if node.op == "const":
            return node.attr("value"), ()
        if node in self.aliases:
            q = self.layout.system.quantities[self.aliases[node]]
            return self.layout.named(q.name, [At("free", i, 0) for i in q.slots], env)
        if node.op == "ref" and node not in self.values:
            return self.layout.named(node.attr("name"), node.attr("slots"), env)
        if node in self.stacked or self._is_view(node):
            return self._viewed(node, env)
        array, labels = self.values[node]
        if not labels:
            return array, ()
        return array[(*(env.get(i, slice(None)) for i in labels), ...)], tuple(i for i in labels if i not in env)

    def _viewed(self, node: Node, env: Env) -> tuple[Any, tuple[str, ...]]:
        """The value of a term that has no array of its own."""
        if node.op == "slice":
            array, labels = self.view(node.args[0], env)
            cut = slice(node.attr("start"), node.attr("stop"), node.attr("step"))
            return array[(*[slice(None)] * (len(labels) + node.attr("axis")), cut, ...)], labels
        found = self._concat(node, env) if node.op == "concat" else self._quantities(*self.stacked[node], env)
        assert found is not None
        return found

    def _emitted(self, items: Sequence[Item]) -> list[Any]:
        self.do.calls = []
        self._emit_items(items, {})
        return self.do.calls

    def _emit_items(self, items: Sequence[Item], env: Env) -> None:
        for item in items:
            if isinstance(item, Loop):
                self._emit_loop(item, env)
            elif isinstance(item, Equation):
                self.do.at(item.key)
                self._emit_equation(item, env)
            elif item.op == "ref":
                if item in self.values:
                    self.do.at(item)
                    ragged.emit_gather(self, item, env)
            elif item.op != "const" and item.op not in LEAVES and not self._is_view(item):
                self.do.at(item)
                self._emit_node(item, env)

    def _emit_loop(self, loop: Loop, env: Env) -> None:
        size = self.layout.size(loop.index)

        def emit(step: int) -> None:
            at = step if loop.direction > 0 else size - 1 - step
            self._emit_items(loop.items, {**env, loop.index: at})

        self.do.loop(size, emit)

    def _emit_node(self, node: Node, env: Env) -> None:
        out, labels = self.view(node, env)
        special = SPECIAL.get(node.op)
        if special is not None:
            special(self, node, env, out, labels)
            return
        row = TABLE[node.op]
        assert row.array is not None, node.op
        attrs = dict(node.attrs)
        if row.kind == "elementwise":
            row.array(self.do, out, *(self._fit(a, env, labels, node) for a in node.args), **attrs)
            return
        if row.kind == "axes":
            over, axis = attrs.pop("over", None) or (), attrs.pop("axis", node.args[0].rank - 1)
            joint = tuple(sorted({i for a in node.args for i in a.indices}.union(over) - {BATCH} - set(env),
                                 key=self.layout.order.__getitem__))
            batched = BATCH in over or any(BATCH in a.indices for a in node.args)
            ins = [self._full(a, env, joint, batched, over, FILL.get(node.op, 0.0)) for a in node.args]
            axis = () if axis is None else axis if isinstance(axis, tuple) else (axis,)
            axes = [joint.index(i) for i in over if i != BATCH] + [len(joint) + k for k in axis]
            axes += [ins[0].ndim - 1] * (BATCH in over)
            row.array(self.do, out, *ins, axes=tuple(sorted(axes)), **attrs)
            return
        ins = [self._full(a, env, labels, BATCH in node.indices) for a in node.args]
        row.array(self.do, out, *ins, lead=len(labels), ranks=(node.rank, *(a.rank for a in node.args)), **attrs)

    def _fit(self, arg: Node, env: Env, goal: tuple[str, ...], like: Node) -> Any:
        """An operand of an elementwise row: broadcastable against the result."""
        view, labels = self.view(arg, env)
        if arg.op == "const":
            return view
        key: list[Any] = [slice(None) if i in labels else None for i in goal]
        key += [slice(None)] * arg.rank if arg.rank else [None] * like.rank
        if BATCH in like.indices:
            key.append(slice(None) if BATCH in arg.indices else None)
        return view[(*key, ...)]

    def _constant(self, value: float) -> Any:
        """A number as an array, the same one at each step of a loop."""
        if value not in self.constants:
            self.constants[value] = self.xp.full((), value, self.layout.system.dtype)
        return self.constants[value]

    def _full(self, arg: Node, env: Env, goal: tuple[str, ...], batched: bool, over: tuple[str, ...] = (),
              fill: float = 0.0) -> Any:
        """An operand with every index of the goal, and `fill` in the padding of what is reduced over."""
        view, labels = self.view(arg, env)
        if arg.op == "const":
            view = self._constant(view)
        key = [slice(None) if i in labels else None for i in goal] + [slice(None)] * arg.rank
        key += [slice(None) if BATCH in arg.indices else None] * batched
        shape = (*(self.layout.size(i) for i in goal), *arg.shape, *[self.layout.config.batch] * batched)
        view = self.xp.broadcast_to(view[(*key, ...)], shape)
        return self._selected(view, goal, self._open_ended(goal, over, arg, env) if batched else [], env, fill)

    def _open_ended(self, labels: Sequence[str], over: Sequence[str], node: Node, env: Env) -> list[str]:
        """Of the labels, and the indices that loops hold, those whose padding a reduction of node would meet.

        Over the batch, all of them.
        """
        indices = [*labels, *(i for i in node.indices if i in env)]
        return [i for i in indices if self.layout.ragged(i) and (i in over or BATCH in over)]

    def _selected(self, view: Any, labels: Sequence[str], padded: Sequence[str], env: Env, fill: float) -> Any:
        """view, or a copy with `fill` in the padding of the given indices: selected, never multiplied."""
        if not padded:
            return view
        copy = self.do.temp(view.shape, view.dtype)
        self.do(self.xp.copyto, copy, view)
        for index in padded:
            self.do(self.xp.copyto, copy, fill, "unsafe", self.layout.pad(index, labels, view.ndim, env))
        return copy

    def _emit_equation(self, eq: Equation, env: Env) -> None:
        node = eq.rhs
        view, labels = self.layout.named(eq.name, eq.slots, env)
        padded = self.padded(eq)
        if ragged.late_slots(self.layout, eq.name, eq.slots):
            ragged.emit_scatter(self, eq, env)
            return
        aliased = self.aliases.get(node) == eq.name and not eq.is_boundary
        if self.layout.has_late_boundary(eq.name):
            valid = self.valid(view, labels, padded, env)
            self.do(self.xp.copyto, view, self.value(eq, env, labels), "same_kind", valid)
            return
        if not aliased:
            self.do(self.xp.copyto, view, self.value(eq, env, labels))
        for index in padded:
            self.do(self.xp.copyto, view, 0.0, "same_kind", self.layout.pad(index, labels, view.ndim, env))

    def padded(self, eq: Equation) -> list[str]:
        """The indices of an equation's left side whose range differs by example."""
        q = self.layout.system.quantities[eq.name]
        return [s.index for s in eq.slots if s.anchor == "free" and self.layout.ragged(s.index, q)]

    def valid(self, view: Any, labels: tuple[str, ...], padded: Sequence[str], env: Env) -> Any:
        """Where a view with those labels is no padding."""
        valid = self.do.temp(view.shape, bool)
        self.do(self.xp.copyto, valid, True)
        for index in padded:
            self.do(self.xp.copyto, valid, False, "same_kind", self.layout.pad(index, labels, view.ndim, env))
        return valid

    def value(self, eq: Equation, env: Env, labels: tuple[str, ...]) -> Any:
        """An equation's right side, broadcastable to a view of its quantity with those labels."""
        q = self.layout.system.quantities[eq.name]
        view, have = self.view(eq.rhs, env)
        if eq.rhs.op == "const":
            return view
        key: list[Any] = [slice(None) if i in have else None for i in labels]
        key += [slice(None)] * eq.rhs.rank if eq.rhs.rank else [None] * len(q.type.shape)
        if q.batched:
            key.append(slice(None) if BATCH in eq.rhs.indices else None)
        return view[(*key, ...)]

    def _operand(self, node: Node, letters: str, env: Env, over: tuple[str, ...]) -> tuple[Any, list[str], Copies]:
        """The array, its labels, and its copies in other orders: of a reference outside loops they serve all."""
        view, labels = self.view(node, env)
        if node.op == "const":
            view = self._constant(view)
        batched = BATCH in node.indices
        padded = self._open_ended(labels, over, node, env) if batched and not self._zero_in_padding(node) else []
        view = self._selected(view, labels, padded, env, 0.0)
        shared = (node.op == "ref" or self.views.get(node, False)) and not env
        copies = self.copies.setdefault((node, *padded), {}) if shared else {}
        return view, [*labels, *("." + c for c in letters), *[BATCH] * batched], copies

    def _zero_in_padding(self, node: Node) -> bool:
        while node.op in REARRANGED:
            node = node.args[0]
        if self.views.get(node, False):
            return all(map(self._zero_in_padding, node.args))
        return node.op == "ref" and not self.layout.has_late_boundary(node.attr("name")) and all(
            s.anchor == "free" and s.offset == 0 for s in node.attr("slots"))

    def _emit_contract(self, node: Node, env: Env, out: Any, labels: tuple[str, ...]) -> None:
        left, right, goal = node.attr("labels")
        over = node.attr("over")
        a, la, ca = self._operand(node.args[0], left, env, over)
        b, lb, cb = self._operand(node.args[1], right, env, over)
        lo = [*labels, *("." + c for c in goal), *[BATCH] * (BATCH in node.indices)]
        contract(self.do, out, lo, a, la, b, lb, (ca, cb))


def _behind(feed: Feed, index: str) -> Any:
    """How many positions of each example came before: bare positions count on from there, as draws do."""
    return feed.behind.get(index, 0)


SPECIAL = {"contract": Emitter._emit_contract, "pick_class": classes.emit_pick, "scatter_class": classes.emit_scatter}


def _side_by_side(parts: Sequence[tuple[Any, tuple[str, ...]]], axis: int) -> tuple[Any, tuple[str, ...]] | None:
    """Arrays with the same indices as one, along a feature axis; None where they do not lie so in memory."""
    arrays, (labels, *others) = [a for a, _ in parts], [own for _, own in parts]
    whole = None if any(other != labels for other in others) else stacked(arrays, len(labels) + axis)
    return None if whole is None else (whole, labels)
