"""From a schedule to recorded calls.

Every `_emit` takes an env, the positions at which loops hold their indices; the same code emits a term for all
positions at once and for one step of a loop.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from ..fusion.program import Recorder
from ..node import BATCH, Node
from ..ops import TABLE
from ..passes.schedule import Item, Loop
from ..system import Equation
from . import classes, ragged
from .contract import Copies, contract
from .layout import Env, Layout
from .leaves import LEAVES, Leaves
from .values import Values

REARRANGED = {"patches", "reshape", "flatten", "transpose", "expand", "slice", "pick"}  # zero where what they read is
FILL = {"max": -float("inf"), "logsumexp": -float("inf"), "softmax": -float("inf"), "log_softmax": -float("inf")}


class Emitter:
    """Emits each segment of a schedule into `segments`; `leaves` says what must be filled in before each run.

    kept: terms that are read when a segment has been done.
    """

    def __init__(self, layout: Layout, segments: Sequence[Sequence[Item]], backend: Any, compiled: bool = False,
                 kept: Collection[Node] = ()):
        self.layout, self.backend, self.xp = layout, backend, backend.xp
        self.do = Recorder(backend, compiled)
        self.leaves = Leaves(layout)
        self.values = Values(layout, self.leaves.values, kept)
        self.view = self.values.view
        self.constants: dict[float, Any] = {}
        self.copies: dict[tuple[Any, ...], Copies] = {}
        self.segments = [self._emitted(segment) for segment in segments]

    def bytes(self) -> int:
        """What all arrays take that were made for this plan."""
        return self.layout.arena.bytes + sum(self.backend.owned(a) for a in self.do.scratch())

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
                if self.values.gathered(item):
                    self.do.at(item)
                    ragged.emit_gather(self, item, env)
            elif item.op != "const" and item.op not in LEAVES and not self.values.is_view(item):
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
        aliased = self.values.is_in(node, eq.name) and not eq.is_boundary
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
        shared = (node.op == "ref" or self.values.joins(node)) and not env
        copies = self.copies.setdefault((node, *padded), {}) if shared else {}
        return view, [*labels, *("." + c for c in letters), *[BATCH] * batched], copies

    def _zero_in_padding(self, node: Node) -> bool:
        while node.op in REARRANGED:
            node = node.args[0]
        if self.values.joins(node):
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


SPECIAL = {"contract": Emitter._emit_contract, "pick_class": classes.emit_pick, "scatter_class": classes.emit_scatter}


