"""Elementwise instructions grouped into passes: as many in one as nothing stands between."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .lift import FLOATS, Fold, Foreign, Instruction, Map, Operand, Repeated, Table, writes

LOOK_BACK = 48  # units that an instruction may move over to join a group
LARGEST = 96  # instructions in one pass: more would not stay in registers, and take long to compile


class Group:
    """Maps and folds over one space, done in one pass, in order."""

    def __init__(self, first: Map | Fold):
        self.items: list[Map | Fold] = [first]
        self.space, self.strided = space(first), strided(first)

    @property
    def reads(self) -> list[Operand]:
        """What its items read, each other's results among it."""
        return [o for i in self.items for o in i.reads]

    @property
    def writes(self) -> list[Operand]:
        """What its items write."""
        return [i.out for i in self.items]

    def over(self, change: Callable[[Operand], Operand]) -> Group:
        """The same instructions over other operands."""

        def changed(term: Any) -> Any:
            if isinstance(term, Map):
                return Map(term.op, tuple(map(changed, term.args)), changed(term.out), term.more)
            return change(term) if isinstance(term, Operand) else term

        first, *others = [Fold(i.op, changed(i.arg), changed(i.out), i.fresh) if isinstance(i, Fold)
                          else changed(i) for i in self.items]
        group = Group(first)
        group.items += others
        return group

    @property
    def dtype(self) -> str:
        """Of its numbers."""
        return next((o.dtype for i in self.items for o in (*i.reads, i.out) if o.dtype in FLOATS), "float32")


Unit = Group | Instruction


def unit_writes(unit: Unit) -> list[Operand]:
    """What a unit writes."""
    return unit.writes if isinstance(unit, Group) else writes(unit)


def space(item: Map | Fold) -> tuple[int, ...]:
    """The extents that the item runs over."""
    return tuple(n for n in (item.arg if isinstance(item, Fold) else item.out).array.shape if n != 1)


def strided(item: Map | Fold) -> bool:
    """Does the innermost axis jump in some operand? In a table it does anyway."""
    return any(_inner(o) not in (0, o.array.itemsize) for o in (*item.reads, item.out) if not isinstance(o, Table))


def _inner(o: Operand) -> int:
    pairs = zip(reversed(o.array.shape), reversed(o.array.strides), strict=True)
    return next((stride for n, stride in pairs if n != 1), 0)


class _Fuser:
    def __init__(self, count: int, alike_folds: bool, operands: float):
        self.count, self.alike_folds, self.operands = count, alike_folds, operands
        self.units: list[Unit] = []

    def add(self, item: Instruction) -> None:
        """Put the item into the last group that it can join, or behind all; with a fold goes what it alone reads.

        Products, and what depends on nothing (the start value of a sum), go as early as they can: out of others' way.
        In a loop whose passes are launches, what depends on nothing stays beside other passes, and goes with them.
        """
        first = place = len(self.units)
        for k in range(first - 1, max(-1, first - 1 - LOOK_BACK), -1):
            unit = self.units[k]
            if isinstance(item, (Map, Fold)) and isinstance(unit, Group) and self._accepts(unit, item):
                unit.items.append(item)
                self._fetch(item, k)
                return
            if conflict(item, unit, self.count) or (not isinstance(item, (Map, Fold)) and not isinstance(unit, Group)):
                break
            place = k
        if isinstance(item, (Map, Fold)):
            beside = self.alike_folds and self.count > 1
            self.units.insert(first if item.reads or beside else place, Group(item))
            self._fetch(item, first)
        else:
            self.units.insert(first if isinstance(item, Foreign) else place, item)

    def _fetch(self, fold: Map | Fold, place: int) -> None:
        """Bring the map whose result is made for the fold alone, if it went into an earlier group, to the fold's own.

        Of the size of the whole space, it would be written to memory and read back for nothing.
        """
        goal = self.units[place]
        if not isinstance(fold, Fold) or not isinstance(goal, Group):
            return
        for k in range(place - 1, max(-1, place - 1 - LOOK_BACK), -1):
            source = self.units[k]
            item = next((i for i in source.items if i.out is fold.arg), None) if isinstance(source, Group) else None
            if isinstance(source, Group) and item is not None:
                passed_over = [*source.items[source.items.index(item) + 1 :], *self.units[k + 1 : place]]
                if self._goes_before(item, goal) and not any(conflict(item, u, self.count) for u in passed_over):
                    source.items.remove(item)
                    goal.items.insert(len(goal.items) - 1, item)
                    self.units[k : k + 1] = [source] if source.items else []
                return

    def _goes_before(self, item: Map | Fold, group: Group) -> bool:
        """May the item be done in the same pass as a group, before the last of its items, which reads what it makes?"""
        *others, last = group.items
        if any(self._overlap(o, last.out) for o in item.reads) or strided(item):
            return False
        if not others:
            return True
        before = Group(others[0])
        before.items = others
        return self._accepts(before, item)

    def _accepts(self, group: Group, item: Map | Fold) -> bool:
        """May the item be done in the same pass: does it meet the group's writes in the same places, or not at all?"""
        if len(group.items) == LARGEST or group.strided or strided(item) or space(item) != group.space:
            return False
        if len({o.key for i in (*group.items, item) for o in (*i.reads, i.out)}) > self.operands:
            return False
        if {o.dtype for i in (*group.items, item) for o in (*i.reads, i.out)} >= set(FLOATS):
            return False
        if self.alike_folds and isinstance(item, Fold) and any(
                folded(item) != folded(other) for other in group.items if isinstance(other, Fold)):
            return False
        for other in group.items:
            for o in item.reads:
                if self._overlap(o, other.out) and not self._same(o, other.out, item, other):
                    return False
            for o in (*other.reads, other.out):
                if self._overlap(item.out, o) and not self._same(item.out, o, item, other):
                    return False
        return True

    @staticmethod
    def _same(x: Operand, y: Operand, item: Map | Fold, other: Map | Fold) -> bool:
        return (isinstance(item, Map) and isinstance(other, Map) and x.key == y.key) or (
            isinstance(other, Map) and isinstance(item, Fold) and x is item.arg and x.key == y.key)

    def _overlap(self, x: Operand, y: Operand) -> bool:
        return overlap(x, y, self.count)


def overlap(x: Operand, y: Operand, count: int = 1) -> bool:
    """May they touch the same byte, in one step of a loop of so many?"""
    if x.step == y.step:
        return x.low < y.high and y.low < x.high
    (a, b), (c, d) = x.reach(count), y.reach(count)
    return a < d and c < b


def conflict(one: Unit, other: Unit, count: int = 1) -> bool:
    """May one write what the other reads or writes, in one step of a loop of so many?"""
    new, old = unit_writes(one), unit_writes(other)
    return any(overlap(w, o, count) for w in new for o in (*other.reads, *old)) or any(
        overlap(o, w, count) for o in one.reads for w in old)


def folded(fold: Fold) -> list[bool]:
    """Of each axis, is it summed?"""
    return [s == 0 for n, s in zip(fold.out.array.shape, fold.out.array.strides, strict=True) if n != 1]


def fused(body: Repeated, alike_folds: bool = False, operands: float = math.inf) -> list[Unit]:
    """The body's units, in an order that computes the same.

    alike_folds: one pass sums along the same axes only; operands: so many it has at most.
    """
    fuser = _Fuser(body.count, alike_folds, operands)
    for item in body.instructions:
        fuser.add(item)
    return fuser.units


def loads(group: Group) -> Sequence[Operand]:
    """What the group takes from memory: what it reads before it has made it."""
    made: set[object] = set()
    found = []
    for item in group.items:
        for o in item.reads:
            if (isinstance(item, Fold) and o is item.out) or o.key not in made:
                found.append(o)
        if isinstance(item, Map):
            made.add(item.out.key)
    return found


def needs(bodies: Sequence[tuple[Repeated, Sequence[Unit]]], public: set[int], owner: Callable[[Any], Any]
          ) -> Callable[[Operand], bool]:
    """Is what a group makes read by others, or from outside, so that it has to go to memory?

    public: the owners of what is read from outside.
    """
    read = {id(owner(o.array)) for _, units in bodies for unit in units
            for o in (loads(unit) if isinstance(unit, Group) else unit.reads)}

    def needed(o: Operand) -> bool:
        who = id(owner(o.array))
        return who in public or who in read

    return needed
