"""Where named quantities live: one buffer each, with room below 1 and above T for what shifts and boundaries reach.

An array has its named indices first, then its feature axes, then the batch, innermost. The room is zero, so that a
shift is a view and no step tests where it is. What only one step of a loop needs has no axis for the steps, and what
only a part of the schedule needs shares its memory with others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..config import Config
from ..lowering.chains import Chains
from ..node import BATCH, At, Node
from ..passes.schedule import Item, Loop
from ..system import Equation, Quantity, System
from .arena import FOREVER, Arena, Need
from .lifetimes import Lifetimes

Env = Mapping[str, int]  # the position, from 0, of each index that a loop holds fixed
Value = tuple[Any, tuple[str, ...]]  # an array, and the named indices that it has, in the global order


class Layout:
    """The buffers of a plan, and views of them."""

    def __init__(self, system: System, config: Config, equations: Sequence[Equation], items: Sequence[Item],
                 chains: Chains, weights: Mapping[str, Any], backend: Any, whole: int, first: int = 0):
        self.system, self.config, self.equations = system, config, equations
        self.xp, self.weights, self.chains = backend.xp, weights, chains
        self.sizes = dict(config.sizes)
        self.order = self._index_order(items)
        self.lifetimes = Lifetimes(equations, items)
        nodes = self.lifetimes.nodes
        self.read_back = {(n.attr("name"), k) for n in nodes if n.op == "ref" for k, s in enumerate(n.attr("slots"))
                          if s.anchor != "first" and s.offset < 0}  # with the place of the index
        self.used = {n.attr("name") for n in nodes if n.op == "ref"} | {eq.name for eq in equations} | set(config.want)
        self.rooms = self._rooms(nodes)
        self.late: dict[str, list[str]] = {}  # name -> indices at whose last position a boundary equation stands
        for eq in equations:
            for slot, own in zip(eq.slots, system.quantities[eq.name].slots, strict=True):
                if slot.anchor == "last":
                    self.late.setdefault(eq.name, []).append(own)
        self.arena = Arena(backend, self.sizes | {BATCH: config.batch})
        self.held = self._held()
        joint = self._in_one() | self._side_by_side()
        self.buffers = joint | self._apart(sorted(self.used - joint.keys()))
        self.per_example = {r: self.xp.full(config.batch, size, "int64") for r, size in config.sizes}
        self.whole = whole  # how many examples there are in all, where these are only a part of the batch
        self.whole_batch = {r: self.xp.full(whole, size, "int64") for r, size in config.sizes}
        # How far each example runs: as per_example says, but of a segment of time that of the whole sequence.
        self.ends = {r: lengths[first : first + config.batch] for r, lengths in self.whole_batch.items()}
        self.examples = self.xp.arange(config.batch)
        self.pads = {r: self.xp.zeros((self.sizes[r], config.batch), bool) for r in config.lengths}

    def is_static(self, index: str) -> bool:
        """Was the size of the index given with the model?"""
        return index in self.system.static

    def size(self, index: str) -> int:
        """How many positions the index has."""
        return self.sizes[self.system.range_of(index)]

    def dtype(self, name: str) -> str:
        """The dtype of an array; what only numbers entered has the model's."""
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
        """The named indices of a value, without the batch, in the global order."""
        return tuple(sorted((i for i in node.indices if i != BATCH), key=self.order.__getitem__))

    def _rooms(self, nodes: Iterable[Node]) -> dict[str, list[tuple[int, int]]]:
        """For each named quantity and slot, how far below 1 and above T references and boundaries reach."""
        reach = {name: [(0, 0)] * len(self.system.quantities[name].slots) for name in self.used}

        def extend(name: str, slots: tuple[At, ...]) -> None:
            for k, (slot, index) in enumerate(zip(slots, self.system.quantities[name].slots, strict=True)):
                low, high = reach[name][k]
                first, last = self._span(slot, self.size(index))
                reach[name][k] = (max(low, 1 - first), max(high, last - self.size(index)))

        for eq in self.equations:
            extend(eq.name, eq.slots)
        for node in nodes:
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

    def _held(self) -> dict[str, set[str]]:
        """By quantity the indices that it needs no axis for, since one loop makes it and uses it, step by step."""
        found: dict[str, set[str]] = {name: set() for name in self.used}
        if self.config.check:
            return found
        for name in self.used.difference(self.config.want):
            if self.system.quantities[name].role == "defined" and not self.has_room(name):
                found[name] = self.lifetimes.held_for_quantity(name)
        for names in self.chains:
            common = set.intersection(*(found.get(name, set()) for name in names))
            found |= {name: common for name in names if name in found}
        return found

    def _stored(self, name: str) -> list[tuple[str, int, int]]:
        """The indices for which the quantity has an axis, and the room below 1 and above T there."""
        q = self.system.quantities[name]
        return [(i, low, high) for i, (low, high) in zip(q.slots, self.rooms[name], strict=True)
                if i not in self.held[name]]

    def _in_one(self) -> dict[str, Any]:
        """Wanted results without a batch, the gradients of weights above all, as slices of one array.

        Single numbers come last, so that they do not push the others off the lines of the cache.
        """
        shapes = {}
        for name in self.config.want:
            q = self.system.quantities[name]
            plain = not q.batched and q.type.dtype == self.system.dtype and not self.has_room(name)
            if q.role == "defined" and plain:
                shapes[name] = (*(self.size(i) for i in q.slots), *q.type.shape)
        flat = self.arena.zeros((sum(map(math.prod, shapes.values())),), self.system.dtype)
        found, at = {}, 0
        for name, shape in sorted(shapes.items(), key=lambda item: item[1] == ()):
            found[name] = flat[at : at + math.prod(shape)].reshape(shape)
            at += math.prod(shape)
        return found

    def _side_by_side(self) -> dict[str, Any]:
        """Quantities that products read or write together: one buffer, of which each has some features."""
        found: dict[str, Any] = {}
        for names in self.chains:
            quantities = [self.system.quantities[name] for name in names]
            if all(q.slots or q.batched for q in quantities):
                found |= self._cut(names, quantities)
        return found

    def _cut(self, names: Sequence[str], quantities: Sequence[Quantity]) -> dict[str, Any]:
        q = quantities[0]
        stored = [self._stored(name) for name in names]
        rooms = [(each[0][0], max(low for _, low, _ in each), max(high for _, _, high in each))
                 for each in zip(*stored, strict=True)]
        features = sum(each.type.shape[0] for each in quantities)
        whole = self.arena.zeros(self._shape(rooms, (features, *q.type.shape[1:]), q.batched), q.type.dtype)
        self._lend(names, whole, rooms)
        found, first = {}, 0
        for name, each, own_rooms in zip(names, quantities, stored, strict=True):
            own = [slice(most - low, n - (above - high))
                   for (_, low, high), (_, most, above), n in zip(own_rooms, rooms, whole.shape, strict=False)]
            found[name] = whole[(*own, slice(first, first + each.type.shape[0]))]
            first += each.type.shape[0]
        return found

    def _shape(self, stored: Sequence[tuple[str, int, int]], features: Sequence[int], batched: bool) -> tuple[int, ...]:
        lead = [low + self.size(i) + high for i, low, high in stored]
        return (*lead, *features, *[self.config.batch] * batched)

    def _apart(self, names: Sequence[str]) -> dict[str, Any]:
        """Quantities with buffers of their own; those without room share memory where they can."""
        found = {name: self._buffer(name) for name in names if not self._may_share(name)}
        return found | self.arena.arrays({name: self._need(name) for name in names if name not in found})

    def _buffer(self, name: str) -> Any:
        q, rooms = self.system.quantities[name], self._stored(name)
        if q.role == "weight" and not self.has_room(name):
            return self.weights[name]
        if name in self.config.coded:
            found = self.arena.zeros(self._shape(rooms, (), q.batched), "int64")
            found -= 1  # no class
            return found
        found = self.arena.zeros(self._shape(rooms, q.type.shape, q.batched), q.type.dtype)
        self._lend([name], found, rooms)
        return found

    def _may_share(self, name: str) -> bool:
        """Is everything in the quantity's buffer computed anew in each run, and is it worth while?"""
        q = self.system.quantities[name]
        return q.role == "defined" and not self.has_room(name) and self.grows(i for i, _, _ in self._stored(name))

    def has_room(self, name: str) -> bool:
        """Is the quantity read or set below 1 or above T?"""
        return any(low or high for low, high in self.rooms[name])

    def grows(self, indices: Iterable[str]) -> bool:
        """Does an array with these indices grow with the lengths of sequences?"""
        return not all(map(self.is_static, indices))

    def _need(self, name: str) -> Need:
        q, labels = self.system.quantities[name], [i for i, _, _ in self._stored(name)]
        forever = self.config.check or name in self.config.want
        return self._needed(labels, q.type.shape, q.type.dtype, q.batched, self.lifetimes.of_quantity(name), forever)

    def need(self, node: Node, labels: Sequence[str], forever: bool) -> Need:
        """What a term's value needs that has these indices; forever: it is read when all has been done."""
        return self._needed(labels, node.shape, self.dtype(node.dtype), BATCH in node.indices,
                            self.lifetimes.of_term(node), forever)

    def zeros(self, node: Node, labels: Sequence[str]) -> Any:
        """Memory of its own for a term's value that has these indices."""
        need = self.need(node, labels, forever=True)
        return self.arena.zeros(need.shape, need.dtype)

    def _needed(self, labels: Sequence[str], features: Sequence[int], dtype: str, batched: bool,
                places: tuple[int, int], forever: bool) -> Need:
        shape = (*map(self.size, labels), *features, *[self.config.batch] * batched)
        first, last = places
        return Need(shape, dtype, self._extents(labels, batched), first, FOREVER if forever else last)

    def _extents(self, indices: Iterable[str], batched: bool) -> tuple[str, ...]:
        return (*(self.system.range_of(i) for i in indices), *[BATCH] * batched)

    def _lend(self, names: Sequence[str], buffer: Any, stored: Sequence[tuple[str, int, int]]) -> None:
        """Until quantities are computed, let others use their buffer, but for the room."""
        computed = all(self.system.quantities[name].role == "defined" and name not in self.late for name in names)
        if not computed or not self.grows(i for i, _, _ in stored) or any(low or high for _, low, high in stored[1:]):
            return
        index, low, _ = stored[0]
        first = min(self.lifetimes.of_quantity(name)[0] for name in names)
        extents = self._extents([i for i, _, _ in stored], self.system.quantities[names[0]].batched)
        self.arena.lend(buffer[low : low + self.size(index)], extents, first)

    def named(self, name: str, slots: Sequence[At], env: Env) -> Value:
        """A view of a named buffer at the slots, its remaining indices in global order."""
        q, rooms, buffer = self.system.quantities[name], self.rooms[name], self.buffers[name]
        key: list[Any] = []
        labels = []
        for slot, own, (low, _) in zip(slots, q.slots, rooms, strict=True):
            if own in self.held[name]:
                continue
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

    def copied_weights(self) -> list[str]:
        """Weights whose buffer has room around it, so that it is not the array itself."""
        return [name for name in self.used if self.system.quantities[name].role == "weight"
                and self.buffers[name] is not self.weights[name]]

    def interior(self, name: str) -> Any:
        """The values of a quantity at 1..T, indices in left-hand order, then features, then the batch."""
        key = tuple(slice(low, low + self.size(i)) for i, low, _ in self._stored(name))
        return self.buffers[name][(*key, ...)]

    def ragged(self, index: str, q: Quantity | None = None) -> bool:
        """Does the length of the index differ by example (in this quantity)?"""
        return self.system.range_of(index) in self.config.lengths and (q is None or q.batched)

    def pad(self, index: str, labels: Sequence[str], ndim: int, env: Env) -> Any:
        """Where positions of index are beyond an example's length, broadcastable to an array with those labels."""
        pad = self.pads[self.system.range_of(index)]
        if index in env:
            return pad[env[index]][(*[None] * (ndim - 1), slice(None))]
        key: list[Any] = [slice(None) if i == index else None for i in labels]
        return pad[(*key, *[None] * (ndim - len(labels) - 1), slice(None))]

    @staticmethod
    def pad_axis(pad: Any, axis: int, ndim: int) -> Any:
        """The padding (positions, batch), broadcastable to an array whose positions are at `axis`."""
        return pad[(*(slice(None) if j == axis else None for j in range(ndim - 1)), slice(None))]

    def has_late_boundary(self, name: str) -> bool:
        """Is there an r[T+1] = ..., at a position that differs by example?"""
        q = self.system.quantities[name]
        return any(self.ragged(index, q) for index in self.late.get(name, ()))
