"""What stands at fixed positions, as unrolling reads it: a copy of each quantity, zero where nothing sets it.

Where a range ends by example, a copy is selected by the length: h at 3 is where(3 <= length_t, h_3, 0), and h[T] the
sum of where(length_t == 1, h_1, 0), where(length_t == 2, h_2, 0), ...
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..node import BATCH, At, Node, Type, free, number, ref
from ..ops import f
from ..system import Quantity, System, fresh, grouped
from .rewrite import ONE, ZERO, filled

Positions = tuple[int, ...]
Here = Mapping[str, int]  # a position of each index
HARMLESS = 0.5  # to compute with in padding: no pole of anything


class Ranges:
    """How far indices run. lengths: of each range that ends by example, the input that says where."""

    def __init__(self, system: System, sizes: Mapping[str, int], ragged: Iterable[str]):
        self.sizes, self.range_of = sizes, system.range_of
        kind = Type((BATCH,), (), system.dtype)
        self.lengths = {r: Quantity(fresh(f"length_{r}", system.quantities), "input", (), kind) for r in sorted(ragged)}

    def size(self, index: str) -> int:
        """Up to where the longest example goes."""
        return self.sizes[self.range_of(index)]

    def is_ragged(self, index: str) -> bool:
        """Does the range of the index end by example?"""
        return self.range_of(index) in self.lengths

    def last(self, index: str) -> Node:
        """The last position: a number, or each example's own."""
        length = self.lengths.get(self.range_of(index))
        return number(self.size(index)) if length is None else ref(length.name, (), length.type, batch=True)

    def reached(self, index: str, p: int) -> Node:
        """Which examples reach a position."""
        return f.less_equal(float(p), self.last(index))

    def count(self, over: Sequence[str]) -> Node:
        """How many positions there are, or how many of all examples."""
        total = functools.reduce(f.multiply, [self.last(i) for i in over if i != BATCH], ONE)
        if BATCH not in over:
            return total
        return f.sum(total, over=(BATCH,)) if BATCH in total.indices else total * f.count(over=(BATCH,))

    def all(self, indices: Iterable[str]) -> Iterator[dict[str, int]]:
        """Every combination of positions of the indices, in the order of time."""
        indices = list(indices)
        for where in itertools.product(*(range(1, self.size(i) + 1) for i in indices)):
            yield dict(zip(indices, where, strict=True))

    def at(self, slot: At, here: Here) -> int:
        """The position of a slot, t-1 or T+1; the last one is that of the longest example."""
        base = {"free": here.get(slot.index, 0), "first": 0, "last": self.size(slot.index) if slot.index else 0}
        return base[slot.anchor] + slot.offset


class Copies:
    """A quantity without indices for every position of a quantity at which it is set or read.

    names: (name, positions) -> the name of the copy; quantities: the copies by name.
    """

    def __init__(self, base: System, ranges: Ranges):
        self.base, self.ranges = base, ranges
        self.boundaries = grouped(eq for eq in base.equations if eq.is_boundary)
        self.names: dict[tuple[str, Positions], str] = {}
        self.quantities = {q.name: q for q in ranges.lengths.values()}
        for name, q in base.quantities.items():
            if not q.slots:
                self.name(name, ())
        self._values: dict[tuple[str, Positions], Node] = {}

    def name(self, name: str, where: Positions) -> str:
        """The name of a copy, made when it is first asked for: h at 3 is h_3, a at (0, 2) a_0_2, h at -1 h_m1."""
        known = self.names.get((name, where))
        if known is not None:
            return known
        q = self.base.quantities[name]
        own = fresh("_".join([name, *(str(p).replace("-", "m") for p in where)]), self.quantities)
        kind = q.type._replace(indices=(BATCH,) if q.batched else ())
        self.names[name, where] = own
        self.quantities[own] = Quantity(own, q.role, (), kind)
        return own

    def read(self, reference: Node, here: Here) -> Node:
        """What a reference such as h[t-1] or h[T] reads here."""
        name, slots = reference.attr("name"), reference.attr("slots")
        q = self.base.quantities[name]
        ends = [k for k, slot in enumerate(slots) if slot.anchor == "last" and self._ends(q, k)]
        where = tuple(self.ranges.at(slot, here) for slot in slots)
        if ends:
            return self._read_at_ends(q, slots, where, ends)
        value = self.value(name, where)
        for slot in slots if q.batched else ():
            # What comes of padding is selected away, but its gradient would be 0 times whatever the slope is there.
            if slot.anchor == "free" and self.ranges.is_ragged(slot.index):
                value = f.where(self.ranges.reached(slot.index, here[slot.index]), value, HARMLESS)
        return value

    def _read_at_ends(self, q: Quantity, slots: tuple[At, ...], where: Positions, ends: list[int]) -> Node:
        """h[T] where T differs by example: h at each position that T may be, in the examples that end there."""
        found: list[Node] = []
        sizes = {k: self.ranges.size(q.slots[k]) for k in ends}
        for at in itertools.product(*(range(1 - size, size + slots[k].offset + 1) for k, size in sizes.items())):
            there = dict(zip(ends, at, strict=True))
            value = self.value(q.name, tuple(there.get(k, p) for k, p in enumerate(where)))
            if value is not self._zero(q):
                found.append(selected([self._is_last(q.slots[k], slots[k], p) for k, p in there.items()], value, ZERO))
        return functools.reduce(f.add, found) if found else self._zero(q)

    def value(self, name: str, where: Positions) -> Node:
        """A quantity at a position, zero in padding and wherever nothing sets it."""
        if (name, where) not in self._values:
            self._values[name, where] = self._value(name, where)
        return self._values[name, where]

    def _value(self, name: str, where: Positions) -> Node:
        """What sets the quantity there, of its range and its boundary equations; of several the last."""
        q, value = self.base.quantities[name], ZERO
        for slots in (tuple(map(free, q.slots)), *(eq.slots for eq in self.boundaries.get(name, ()))):
            conditions = [self._is_set(q, k, slot, p) for k, (slot, p) in enumerate(zip(slots, where, strict=True))]
            if False in conditions:
                continue
            own = tuple(self.ranges.at(slot, {slot.index: p}) for slot, p in zip(slots, where, strict=True))
            copy = self.quantities[self.name(name, own)]
            value = selected([c for c in conditions if isinstance(c, Node)],
                             ref(copy.name, (), copy.type, batch=copy.role == "input"), value)
        return filled(value, q.type.shape)

    def _is_set(self, q: Quantity, k: int, slot: At, p: int) -> Node | bool:
        """Is index k of a quantity, at position p, where a left side's slot says? A condition if that goes by example.
        """
        index, ends = q.slots[k], self._ends(q, k)
        if slot.anchor == "first":
            return slot.offset == p
        if slot.anchor == "last":
            return self._is_last(index, slot, p) if ends else self.ranges.size(index) + slot.offset == p
        inside = 1 <= p <= self.ranges.size(index)
        return self.ranges.reached(index, p) if inside and ends else inside

    def _is_last(self, index: str, slot: At, p: int) -> Node:
        """In which examples T, T+1, ... is a position."""
        return f.equal(self.ranges.last(index) + float(slot.offset), float(p))

    def _ends(self, q: Quantity, k: int) -> bool:
        """Does the quantity end by example along its index k?"""
        return q.batched and self.ranges.is_ragged(q.slots[k])

    def _zero(self, q: Quantity) -> Node:
        return filled(ZERO, q.type.shape)


def selected(conditions: Iterable[Node], value: Node, otherwise: Node | float) -> Node:
    """The value where all conditions hold."""
    for condition in conditions:
        value = f.where(condition, value, otherwise)
    return value
