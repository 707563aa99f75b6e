"""A plan: one system, one set of shapes, compiled once into a flat program over static buffers and replayed.

Layout: a value's array has its named indices first, then its feature axes, then the batch, innermost. A named
quantity's buffer has its own indices in left-hand order with room before 1 and after T for what shifts and
boundaries reach; that room is zero, so that no shift needs a test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import program
from .contract import contract
from .draw import fill_mask
from .errors import BadValue
from .lower import lowered
from .node import BATCH, At, Node, walk
from .ops import TABLE
from .rewrite import stabilised
from .schedule import Item, Loop, Vertex, needed, schedule
from .system import Equation, Quantity, System

Env = Mapping[str, int]


@dataclass(frozen=True)
class Config:
    """What a plan is made for; its cache key.

    sizes: range -> longest length; lengths: ranges whose length differs by example; coded: inputs given as
    integer classes; carried: whether earlier values come from a state instead of boundary equations.
    """

    want: tuple[str, ...]
    batch: int
    sizes: tuple[tuple[str, int], ...]
    lengths: frozenset[str] = frozenset()
    coded: frozenset[str] = frozenset()
    training: bool = False
    carried: bool = False


@dataclass
class Feed:
    """What changes from run to run: arrays (batch, indices, features), lengths by range, state, and the draws' key."""

    inputs: dict[str, Any]
    lengths: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    step: int = 0
    first_example: int = 0


class Plan:
    """Compiled once; `run(feed)` fills the buffers, `result(name)` copies one out."""

    def __init__(self, system: System, config: Config, weights: Mapping[str, Any], backend: Any):
        self.system, self.config, self.backend = system, config, backend
        self.xp = backend.xp
        self.weights = weights
        self.sizes = dict(config.sizes)
        system = stabilised(system)
        equations = needed(system, config.want)
        if config.carried:
            equations = [eq for eq in equations if not any(s.anchor == "first" and s.offset <= 0 and not
                         self._is_static(i) for s, i in zip(eq.slots, system.quantities[eq.name].slots, strict=True))]
        self.equations = lowered(system, equations, config.coded, config.training)
        self.schedule = schedule(self.equations)
        self.order = self._index_order(self.schedule)
        self.nodes = list(walk(eq.rhs for eq in self.equations))
        self.used = {n.attr("name") for n in self.nodes if n.op == "ref"} | {eq.name for eq in self.equations}
        self.do = program.Recorder(backend)
        self.values: dict[Node, tuple[Any, tuple[str, ...]]] = {}
        self.rooms = self._rooms()
        self.buffers = {name: self._buffer(name) for name in self.used}
        self.per_example = {r: self.xp.full(config.batch, size, "int64") for r, size in config.sizes}
        self.pads = {r: self.xp.zeros((self.sizes[r], config.batch), bool) for r in config.lengths}
        self.aliases: dict[Node, str] = {}
        self.prelude: list[Any] = []
        self._storage()
        self._emit_items(self.schedule, {})
        self.calls = self.do.calls
        for call in self.calls:
            if isinstance(call, program.Block):
                call.prepare()

    # -- shapes and buffers ------------------------------------------------------------------------

    def _is_static(self, index: str) -> bool:
        return index in self.system.static

    def size(self, index: str) -> int:
        return self.sizes[self.system.range_of(index)]

    def dtype(self, name: str) -> str:
        return self.system.dtype if name == "weak" else name

    def _index_order(self, items: Sequence[Item]) -> dict[str, int]:
        """A global order of index labels: loops first, outermost first, so that one step is contiguous."""
        found: dict[str, int] = {}

        def visit(items: Sequence[Item]) -> None:
            for item in items:
                if isinstance(item, Loop):
                    found.setdefault(item.index, len(found))
                    visit(item.items)

        visit(items)
        for index in sorted(self.system.ranges):
            found.setdefault(index, len(found))
        return found

    def labels(self, node: Node) -> tuple[str, ...]:
        return tuple(sorted((i for i in node.indices if i != BATCH), key=self.order.__getitem__))

    def _rooms(self) -> dict[str, list[tuple[int, int]]]:
        """For each named quantity and slot, how far below 1 and above T references and boundaries reach."""
        reach = {name: [(0, 0)] * len(self.system.quantities[name].slots) for name in self.used}

        def extend(name: str, slots: tuple[At, ...]) -> None:
            for k, (slot, index) in enumerate(zip(slots, self.system.quantities[name].slots, strict=True)):
                low, high = reach[name][k]
                first, last = self._span(slot, self.size(index))
                reach[name][k] = (max(low, 1 - first), max(high, last - self.size(index)))

        for eq in self.equations:
            extend(eq.name, eq.slots)
        for node in self.nodes:
            if node.op == "ref":
                extend(node.attr("name"), node.attr("slots"))
        return reach

    @staticmethod
    def _span(slot: At, size: int) -> tuple[int, int]:
        if slot.anchor == "free":
            return 1 + slot.offset, size + slot.offset
        if slot.anchor == "first":
            return slot.offset, slot.offset
        return min(1, 1 + slot.offset), size + slot.offset

    def _buffer(self, name: str) -> Any:
        q = self.system.quantities[name]
        rooms = self.rooms[name]
        lead = tuple(low + self.size(i) + high for (low, high), i in zip(rooms, q.slots, strict=True))
        if q.role == "weight" and not any(low or high for low, high in rooms):
            return self.weights[name]
        coded = name in self.config.coded
        shape = (*lead, *(() if coded else q.type.shape), *((self.config.batch,) if q.batched else ()))
        return self.xp.zeros(shape, "int64" if coded else q.type.dtype)

    def _named(self, name: str, slots: Sequence[At], env: Env) -> tuple[Any, tuple[str, ...]]:
        """A view of a named buffer at the slots, its remaining indices in global order."""
        q, rooms, buffer = self.system.quantities[name], self.rooms[name], self.buffers[name]
        key: list[Any] = []
        labels = []
        for slot, own, (low, _) in zip(slots, q.slots, rooms, strict=True):
            size = self.size(own)
            if slot.anchor == "free" and slot.index in env:
                key.append(env[slot.index] + slot.offset + low)
            elif slot.anchor == "free":
                key.append(slice(slot.offset + low, slot.offset + low + size))
                labels.append(slot.index)
            else:
                key.append(slot.offset - 1 + low + (size if slot.anchor == "last" else 0))
        view = buffer[(*key, ...)]
        order = sorted(range(len(labels)), key=lambda k: self.order[labels[k]])
        view = view.transpose(*order, *range(len(labels), view.ndim))
        return view, tuple(labels[k] for k in order)

    def interior(self, name: str) -> Any:
        """The values of a quantity at 1..T, indices in left-hand order, then features, then the batch."""
        q, rooms = self.system.quantities[name], self.rooms[name]
        key = tuple(slice(low, low + self.size(i)) for (low, _), i in zip(rooms, q.slots, strict=True))
        return self.buffers[name][(*key, ...)]

    # -- where values live -------------------------------------------------------------------------

    def _storage(self) -> None:
        paths: dict[Vertex, tuple[Loop, ...]] = {}

        def visit(items: Sequence[Item], path: tuple[Loop, ...]) -> None:
            for item in items:
                if isinstance(item, Loop):
                    visit(item.items, (*path, item))
                else:
                    paths[item] = path

        visit(self.schedule, ())
        users: dict[Node, list[Vertex]] = {}
        for node in self.nodes:
            for arg in node.args:
                users.setdefault(arg, []).append(node)
        for eq in self.equations:
            users.setdefault(eq.rhs, []).append(eq)
        for eq in self.equations:
            self._alias(eq)
        for node in self.nodes:
            if node in self.aliases or node.op in ("ref", "const"):
                if node.op == "ref" and self._gathered(node):
                    self._allocate(node, self.labels(node))
                continue
            if node.op in LEAVES:
                self._leaf(node)
                continue
            local = {loop.index for loop in paths[node]
                     if all(loop in paths[user] for user in users.get(node, []))}
            self._allocate(node, tuple(i for i in self.labels(node) if i not in local))

    def _allocate(self, node: Node, labels: tuple[str, ...]) -> None:
        shape = (*(self.size(i) for i in labels), *node.shape, *((self.config.batch,) * (BATCH in node.indices)))
        self.values[node] = (self.xp.zeros(shape, self.dtype(node.dtype)), labels)

    def _alias(self, eq: Equation) -> None:
        """Let an equation's right side be computed straight into the quantity's buffer."""
        q, node = self.system.quantities[eq.name], eq.rhs
        ready = node.op in LEAVES or node.op in ("ref", "const") or node in self.aliases
        same = (*node.indices,) == q.type.indices and node.shape == q.type.shape and (
            self.dtype(node.dtype) == q.type.dtype)
        if not ready and same and not eq.is_boundary and not self._has_late_boundary(eq.name):
            self.aliases[node] = eq.name

    def _has_late_boundary(self, name: str) -> bool:
        """Is there an r[T+1] = ..., at a position that differs by example?"""
        q = self.system.quantities[name]
        return any(slot.anchor == "last" and self._ragged(own, q)
                   for eq in self.equations if eq.name == name for slot, own in zip(eq.slots, q.slots, strict=True))

    def _ragged(self, index: str, q: Quantity | None = None) -> bool:
        return self.system.range_of(index) in self.config.lengths and (q is None or q.batched)

    def _gathered(self, node: Node) -> bool:
        """Does the reference read a position that differs by example, such as h[T] with lengths?"""
        q = self.system.quantities[node.attr("name")]
        return any(slot.anchor == "last" and self._ragged(own, q)
                   for slot, own in zip(node.attr("slots"), q.slots, strict=True))

    def _leaf(self, node: Node) -> None:
        xp, op = self.xp, node.op
        dtype = self.dtype(node.dtype)
        if op == "position":
            index = node.attr("index")
            self.values[node] = (xp.arange(1, self.size(index) + 1).astype(dtype), (index,))
        elif op == "last":
            value = xp.zeros(self.config.batch, dtype)
            self.values[node] = (value, ())
            lengths = self.per_example[self.system.range_of(node.attr("index"))]
            self.prelude.append(lambda feed: xp.copyto(value, lengths, "unsafe"))
        elif op == "count":
            self._count(node, dtype)
        else:
            self._allocate(node, self.labels(node))
            array, labels = self.values[node]
            self.prelude.append(lambda feed: fill_mask(xp, array, labels, BATCH in node.indices, node, feed))

    def _count(self, node: Node, dtype: str) -> None:
        xp, over = self.xp, node.attr("over")
        value = xp.zeros(() if BATCH in over else self.config.batch, dtype)
        self.values[node] = (value, ())
        factors = [self.size(i) if self._is_static(i) else self.per_example[self.system.range_of(i)]
                   for i in over if i != BATCH]

        def fill(feed: Feed) -> None:
            joint = xp.ones(self.config.batch, "float64")
            for factor in factors:
                joint = joint * factor
            xp.copyto(value, joint.sum() if BATCH in over else joint, "unsafe")

        self.prelude.append(fill)

    # -- emission ----------------------------------------------------------------------------------

    def view(self, node: Node, env: Env) -> tuple[Any, tuple[str, ...]]:
        """node's value at the loop positions of env, and the indices left in it."""
        if node.op == "const":
            return node.attr("value"), ()
        if node in self.aliases:
            q = self.system.quantities[self.aliases[node]]
            return self._named(q.name, [At("free", i, 0) for i in q.slots], env)
        if node.op == "ref" and node not in self.values:
            return self._named(node.attr("name"), node.attr("slots"), env)
        array, labels = self.values[node]
        return array[(*(env.get(i, slice(None)) for i in labels), ...)], tuple(i for i in labels if i not in env)

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
                    self._emit_gather(item, env)
            elif item.op != "const" and item.op not in LEAVES:
                self.do.at(item)
                self._emit_node(item, env)

    def _emit_loop(self, loop: Loop, env: Env) -> None:
        size = self.size(loop.index)

        def emit(step: int) -> None:
            at = step if loop.direction > 0 else size - 1 - step
            self._emit_items(loop.items, {**env, loop.index: at})

        self.do.loop(size, emit)

    def _emit_node(self, node: Node, env: Env) -> None:
        out, labels = self.view(node, env)
        if node.op in SPECIAL:
            SPECIAL[node.op](self, node, env, out, labels)
            return
        row = TABLE[node.op]
        assert row.array is not None, node.op
        attrs = dict(node.attrs)
        if row.kind == "elementwise":
            row.array(self.do, out, *(self._fit(a, env, labels, node) for a in node.args), **attrs)
            return
        if row.kind == "axes":
            over, axis = attrs.pop("over", None) or (), attrs.pop("axis", node.args[0].rank - 1)
            joint = tuple(sorted({i for a in node.args for i in a.indices} - {BATCH} - set(env),
                                 key=self.order.__getitem__))
            ins = [self._full(a, env, joint, over, node.op) for a in node.args]
            axis = () if axis is None else axis if isinstance(axis, tuple) else (axis,)
            axes = [joint.index(i) for i in over if i != BATCH] + [len(joint) + k for k in axis]
            axes += [ins[0].ndim - 1] * (BATCH in over)
            row.array(self.do, out, *ins, axes=tuple(sorted(axes)), **attrs)
            return
        ins = [self._full(a, env, labels, (), node.op) for a in node.args]
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

    def _full(self, arg: Node, env: Env, goal: tuple[str, ...], over: tuple[str, ...], op: str) -> Any:
        """An operand with every index of the goal, and padding replaced where it is reduced over."""
        batch = any(BATCH in a.indices for a in (arg,)) or self._joint_batch(goal, over)
        view, labels = self.view(arg, env)
        if arg.op == "const":
            view = self.xp.full((), view, self.system.dtype)
        key = [slice(None) if i in labels else None for i in goal] + [slice(None)] * arg.rank
        has = BATCH in arg.indices
        view = view[(*key, *([slice(None)] if has else [None] * batch), ...)]
        shape = (*(self.size(i) for i in goal), *arg.shape, *((self.config.batch,) if batch else ()))
        view = self.xp.broadcast_to(view, shape)
        ragged = [i for i in over if i != BATCH and self._ragged(i) and batch]
        if BATCH in over:
            ragged += [i for i in goal if self._ragged(i) and i not in ragged]
        return self._padded_with(view, goal, ragged, FILL.get(op, 0.0), env, goal) if ragged else view

    def _joint_batch(self, goal: tuple[str, ...], over: tuple[str, ...]) -> bool:
        return BATCH in over

    def _padded_with(self, view: Any, labels: tuple[str, ...], ragged: Sequence[str], fill: float, env: Env,
                     goal: tuple[str, ...]) -> Any:
        """A copy of view in which the padding of the ragged indices is `fill`: selected, never multiplied."""
        copy = self.do.temp(view.shape, view.dtype)
        self.do(self.xp.copyto, copy, view)
        for index in ragged:
            self.do(self.xp.copyto, copy, fill, "same_kind", self._pad(index, labels, view.ndim, env))
        return copy

    def _pad(self, index: str, labels: tuple[str, ...], ndim: int, env: Env) -> Any:
        """Where positions of index are beyond an example's length, broadcastable to an array with those labels."""
        pad = self.pads[self.system.range_of(index)]
        if index in env:
            key = [None] * (ndim - 1)
            return pad[env[index]][(*key, slice(None))]
        key = [slice(None) if i == index else None for i in labels]
        return pad[(*key, *[None] * (ndim - len(labels) - 1), slice(None))]

    def _emit_equation(self, eq: Equation, env: Env) -> None:
        q = self.system.quantities[eq.name]
        node = eq.rhs
        view, labels = self._named(eq.name, eq.slots, env)
        ragged = [s.index for s in eq.slots if s.anchor == "free" and self._ragged(s.index, q)]
        late = [k for k, s in enumerate(eq.slots) if s.anchor == "last" and self._ragged(q.slots[k], q)]
        if late:
            self._emit_late_boundary(eq, env, late)
            return
        aliased = self.aliases.get(node) == eq.name and not eq.is_boundary
        if self._has_late_boundary(eq.name) and not eq.is_boundary:
            valid = self._valid(view, labels, ragged, env)
            self.do(self.xp.copyto, view, self._value(eq, env, labels, q), "same_kind", valid)
            return
        if not aliased:
            self.do(self.xp.copyto, view, self._value(eq, env, labels, q))
        for index in ragged:
            self.do(self.xp.copyto, view, 0.0, "same_kind", self._pad(index, labels, view.ndim, env))

    def _valid(self, view: Any, labels: tuple[str, ...], ragged: Sequence[str], env: Env) -> Any:
        valid = self.do.temp(view.shape, bool)
        self.do(self.xp.copyto, valid, True)
        for index in ragged:
            self.do(self.xp.copyto, valid, False, "same_kind", self._pad(index, labels, view.ndim, env))
        return valid

    def _value(self, eq: Equation, env: Env, labels: tuple[str, ...], q: Quantity) -> Any:
        view, have = self.view(eq.rhs, env)
        if eq.rhs.op == "const":
            return view
        key: list[Any] = [slice(None) if i in have else None for i in labels]
        key += [slice(None)] * eq.rhs.rank if eq.rhs.rank else [None] * len(q.type.shape)
        if q.batched:
            key.append(slice(None) if BATCH in eq.rhs.indices else None)
        return view[(*key, ...)]

    def _emit_late_boundary(self, eq: Equation, env: Env, late: list[int]) -> None:
        """r[T+1] = ... where T differs by example: scattered to each example's own position."""
        q, buffer, rooms = self.system.quantities[eq.name], self.buffers[eq.name], self.rooms[eq.name]
        whole = self.do.temp((*self._named(eq.name, eq.slots, env)[0].shape,), buffer.dtype)
        labels = self._named(eq.name, eq.slots, env)[1]
        self.do(self.xp.copyto, whole, self._value(eq, env, labels, q))
        view, positions, order = self._front(eq.name, eq.slots, env, late)
        free = [i for i in order if i in labels]
        value = self.xp.moveaxis(whole, -1, 0)
        value = value.transpose(0, *(1 + labels.index(i) for i in free), *range(1 + len(labels), value.ndim))

        def scatter() -> None:
            view[(*(p() for p in positions), self.xp.arange(self.config.batch))] = value

        self.do(scatter)
        del rooms

    def _emit_gather(self, node: Node, env: Env) -> None:
        """h[T] where T differs by example."""
        name, slots = node.attr("name"), node.attr("slots")
        q = self.system.quantities[name]
        late = [k for k, s in enumerate(slots) if s.anchor == "last" and self._ragged(q.slots[k], q)]
        view, positions, order = self._front(name, slots, env, late)
        out, labels = self.view(node, env)
        result = self.xp.moveaxis(out, -1, 0)
        result = result.transpose(0, *(1 + labels.index(i) for i in order), *range(1 + len(labels), result.ndim))

        def gather() -> None:
            self.xp.copyto(result, view[(*(p() for p in positions), self.xp.arange(self.config.batch))])

        self.do(gather)

    def _front(self, name: str, slots: Sequence[At], env: Env, late: list[int]) -> tuple[Any, list[Any], list[str]]:
        """The buffer with its per-example slots and the batch in front, what positions to take, and the rest's order."""
        q, rooms, buffer = self.system.quantities[name], self.rooms[name], self.buffers[name]
        key: list[Any] = []
        order = []
        for k, (slot, own, (low, _)) in enumerate(zip(slots, q.slots, rooms, strict=True)):
            size = self.size(own)
            if k in late:
                key.append(slice(None))
            elif slot.anchor == "free" and slot.index not in env:
                key.append(slice(slot.offset + low, slot.offset + low + size))
                order.append(slot.index)
            elif slot.anchor == "free":
                key.append(env[slot.index] + slot.offset + low)
            else:
                key.append(slot.offset - 1 + low + (size if slot.anchor == "last" else 0))
        view = buffer[(*key, ...)]
        kept = [k for k, x in enumerate(key) if isinstance(x, slice)]
        front = [kept.index(k) for k in late]
        rest = [k for k in range(view.ndim - 1) if k not in front]
        view = view.transpose(*front, view.ndim - 1, *rest)

        def position(k: int) -> Any:
            lengths = self.per_example[self.system.range_of(q.slots[k])]
            offset = slots[k].offset - 1 + rooms[k][0]
            return lambda: lengths + offset

        return view, [position(k) for k in late], order

    # -- contractions ------------------------------------------------------------------------------

    def _operand(self, node: Node, letters: str, env: Env, over: tuple[str, ...]) -> tuple[Any, list[str]]:
        view, labels = self.view(node, env)
        if node.op == "const":
            view = self.xp.full((), view, self.system.dtype)
        batch = [BATCH] * (BATCH in node.indices)
        ragged = [i for i in over if i in labels and batch and self._ragged(i)]
        if BATCH in over:
            ragged += [i for i in labels if i not in ragged and batch and self._ragged(i)]
        if ragged and not self._zero_in_padding(node):
            view = self._padded_with(view, labels, ragged, 0.0, env, labels)
        return view, [*labels, *("." + c for c in letters), *batch]

    def _zero_in_padding(self, node: Node) -> bool:
        return node.op == "ref" and all(s.anchor == "free" and s.offset == 0 for s in node.attr("slots"))

    def _emit_contract(self, node: Node, env: Env, out: Any, labels: tuple[str, ...]) -> None:
        left, right, goal = node.attr("labels")
        over = node.attr("over")
        a, la = self._operand(node.args[0], left, env, over)
        b, lb = self._operand(node.args[1], right, env, over)
        lo = [*labels, *("." + c for c in goal), *[BATCH] * (BATCH in node.indices)]
        contract(self.do, out, lo, a, la, b, lb)

    def _class_positions(self, code: Node, env: Env, size: int) -> tuple[Any, tuple[str, ...]]:
        """Classes as positions from 0 to size, where `size` stands for every class out of range."""
        codes, labels = self.view(code, env)
        bad, at = self.do.temp(codes.shape, bool), self.do.temp(codes.shape, "int64")
        self.do(self.xp.copyto, at, codes)
        for outside in (self.xp.less, self.xp.greater_equal):
            self.do(outside, codes, 0 if outside is self.xp.less else size, bad)
            self.do(self.xp.copyto, at, size, "same_kind", bad)
        return at, labels

    def _emit_pick_class(self, node: Node, env: Env, out: Any, labels: tuple[str, ...]) -> None:
        """A product with a one-hot vector: the class's row of a table, or element of a vector; zero out of range."""
        a, code = node.args
        view, have = self.view(a, env)
        axis = len(have) + node.attr("axis")
        size = view.shape[axis]
        at, code_labels = self._class_positions(code, env, size)
        if a.indices:
            joint = [*labels, *[BATCH] * (BATCH in node.indices)]
            rows = self._labelled(view, [*have, "", *[BATCH] * (BATCH in a.indices)], ["", *joint])
            where = self._labelled(at, [*code_labels, *[BATCH] * (BATCH in code.indices)], joint)
            self.do(pick_elements, self.xp, rows, where, out)
            return
        table = self.do.temp((size + 1, *(s for k, s in enumerate(view.shape) if k != axis)), view.dtype)
        self.do(self.xp.copyto, table[:size], self.xp.moveaxis(view, axis, 0))
        taken = self.do.temp((*at.shape, *table.shape[1:]), view.dtype)
        self.do(self.backend.take_rows, table, at, taken)
        batch = BATCH in code.indices
        if batch:  # rows come after the batch, features belong before it
            taken = self.xp.moveaxis(taken, len(code_labels), -1)
        self.do(self.xp.copyto, out, taken)

    def _labelled(self, view: Any, labels: list[str], goal: list[str]) -> Any:
        """view with the goal's labels, in its order; axes of size 1 for those that it lacks."""
        view = view.transpose([labels.index(x) for x in goal if x in labels])
        return view[(*(slice(None) if x in labels else None for x in goal), ...)]

    def _emit_scatter_class(self, node: Node, env: Env, out: Any, labels: tuple[str, ...]) -> None:
        """The sum of rows by class: what the gradient of a table of embeddings is."""
        a, code = node.args
        size = node.shape[node.attr("axis")]
        at, code_labels = self._class_positions(code, env, size)
        for index in code_labels:
            if self._ragged(index):
                self.do(self.xp.copyto, at, size, "same_kind", self._pad(index, code_labels, at.ndim, env))
        view, have = self.view(a, env)
        joint = [*code_labels, *[BATCH] * (BATCH in code.indices)]
        features = ["." + str(k) for k in range(a.rank)]
        rows = self._labelled(view, [*have, *features, *[BATCH] * (BATCH in a.indices)], [*joint, *features])
        total = self.do.temp((size + 1, *a.shape), out.dtype)
        shape = (*at.shape, *a.shape)
        flat = self.do.temp(shape, out.dtype)
        self.do(self.xp.copyto, flat, rows)
        self.do(self.backend.add_rows, total, at.reshape(-1), flat.reshape(-1, *a.shape))
        self.do(self.xp.copyto, out, self.xp.moveaxis(total[:size], 0, node.attr("axis")))

    # -- running -----------------------------------------------------------------------------------

    def run(self, feed: Feed) -> None:
        """Fill the inputs and replay the program."""
        xp = self.xp
        for r, size in self.config.sizes:
            xp.copyto(self.per_example[r], feed.lengths.get(r, size))
        for r, pad in self.pads.items():
            xp.greater(xp.arange(1, self.sizes[r] + 1)[:, None], self.per_example[r], pad)
        for name in self.used:
            if self._has_late_boundary(name):
                self.buffers[name][...] = 0
        for name, array in feed.inputs.items():
            if name in self.used:
                self._load(name, array)
        for name in self.used:
            if self.system.quantities[name].role == "weight" and self.buffers[name] is not self.weights[name]:
                xp.copyto(self.interior(name), self.weights[name])
        for name, array in feed.state.items():
            self._load_state(name, array)
        with self.backend.quiet():
            for fill in self.prelude:
                fill(feed)
            program.run(self.calls)

    def _load(self, name: str, array: Any) -> None:
        q = self.system.quantities[name]
        target = self.interior(name)
        source = self.backend.asarray(array)
        self.xp.copyto(target, self.xp.moveaxis(source, 0, -1), "unsafe")
        for k, index in enumerate(q.slots):
            if self._ragged(index):
                pad = self.pads[self.system.range_of(index)]
                self.xp.copyto(target, 0, "unsafe", self._pad_axis(pad, k, target.ndim))

    @staticmethod
    def _pad_axis(pad: Any, axis: int, ndim: int) -> Any:
        """The padding (positions, batch), broadcastable to an array whose positions are at `axis`."""
        return pad[(*(slice(None) if j == axis else None for j in range(ndim - 1)), slice(None))]

    def _load_state(self, name: str, array: Any) -> None:
        """(batch, steps, features): the values at ..., -1, 0."""
        if name not in self.used:
            return
        (low, _), = self.rooms[name]
        source = self.xp.moveaxis(self.backend.asarray(array), 0, -1)
        if low > source.shape[0]:
            raise BadValue(f"the state of {name} holds {source.shape[0]} steps, {low} are needed")
        self.xp.copyto(self.buffers[name][:low], source[source.shape[0] - low :], "unsafe")

    def check_finite(self) -> None:
        """Raise where a computed quantity is NaN, naming the first in the order of computation and where."""
        for eq in self._in_order(self.schedule):
            if eq.is_boundary:
                continue
            q, value = self.system.quantities[eq.name], self.backend.to_host(self.result(eq.name))
            bad = value != value
            if bad.any():
                at = [int(i[0]) for i in bad.nonzero()]
                axes = [*(["example"] * q.batched), *q.slots]
                places = [f"{a} {p}" if a == "example" else f"{a} = {p + 1}" for a, p in zip(axes, at, strict=False)]
                raise BadValue(f"{eq.name} is NaN, first at {', '.join(places) or 'its only value'}\n{eq.show()}")

    def _in_order(self, items: Sequence[Item]) -> list[Equation]:
        found: list[Equation] = []
        for item in items:
            if isinstance(item, Loop):
                found += self._in_order(item.items)
            elif isinstance(item, Equation):
                found.append(item)
        return found

    def state(self) -> dict[str, Any]:
        """The last values of every quantity that is read at an earlier step: (batch, steps, features)."""
        found = {}
        for name, rooms in self.rooms.items():
            q = self.system.quantities[name]
            if q.role == "weight" or len(rooms) != 1 or not rooms[0][0] or self._is_static(q.slots[0]):
                continue
            low = rooms[0][0]
            lengths = self.per_example[self.system.range_of(q.slots[0])]
            buffer = self.buffers[name]
            if not q.batched:
                found[name] = self.xp.array(buffer[self.size(q.slots[0]) :][:low])[None]
                continue
            steps = [self.xp.moveaxis(buffer, -1, 0)[self.xp.arange(self.config.batch), lengths + k]
                     for k in range(low)]
            found[name] = self.xp.stack(steps, axis=1)
        return found

    def result(self, name: str) -> Any:
        """A copy of a quantity: (batch, indices in left-hand order, features)."""
        q, value = self.system.quantities[name], self.interior(name)
        if self._has_late_boundary(name):
            value = value.copy()
            for k, index in enumerate(q.slots):
                if self._ragged(index):
                    pad = self.pads[self.system.range_of(index)]
                    self.xp.copyto(value, 0, "unsafe", self._pad_axis(pad, k, value.ndim))
        if q.batched:
            value = self.xp.moveaxis(value, -1, 0)
        return self.xp.ascontiguousarray(value).copy() if value.ndim else value.copy()


LEAVES = {"position", "last", "count", "dropout_mask"}
FILL = {"max": -float("inf"), "logsumexp": -float("inf"), "softmax": -float("inf"), "log_softmax": -float("inf")}
SPECIAL = {"contract": Plan._emit_contract, "pick_class": Plan._emit_pick_class,
           "scatter_class": Plan._emit_scatter_class}


def pick_elements(xp: Any, rows: Any, at: Any, out: Any) -> None:
    """out = rows[at], class first in rows; 0 where the class is out of range."""
    size = rows.shape[0]
    found = xp.take_along_axis(xp.broadcast_to(rows, (size, *out.shape)),
                               xp.broadcast_to(xp.minimum(at, size - 1), out.shape)[None], 0)[0]
    xp.copyto(out, xp.where(at < size, found, 0))
