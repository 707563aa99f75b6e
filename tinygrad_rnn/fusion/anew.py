"""What is cheaply made from less is made anew in each pass that reads it, and not kept.

A one-hot vector follows from its class, a mask from positions, what is centred from a number for each vector: a pass
that reads the little that they are made of need not fetch them, and where all passes do so they are never stored.
"""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .fuse import overlap
from .lift import Instruction, Map, Operand, Repeated, Table, Term, writes

CHEAP = frozenset({"less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "logical_and", "logical_or",
                   "logical_not", "copy", "where", "add", "subtract", "negative", "maximum", "minimum"})
SUMS = ("add", "subtract")
QUICK, FAR = frozenset({"exp"}), 2**24  # in float32 quicker than so many bytes to memory and back, which no cache holds
STEPS = 8  # that something is made in, at most
MORE = 1.25  # times its own bytes, that what it is made of may have


@dataclass(frozen=True)
class _Recipe:
    """How what lies somewhere in memory was made from what still lies elsewhere."""

    made: Map
    steps: int

    @functools.cached_property
    def touched(self) -> tuple[Operand, ...]:
        """What must stay as it is."""
        return (*self.made.reads, self.made.out)

    def met(self, written: Operand, count: int) -> bool:
        """Is something of that written? As `overlap` says; most of what is asked is of arrays that move alike."""
        low, high, step = written.low, written.high, written.step
        for o in self.touched:
            if (o.low < high and low < o.high) if o.step == step else overlap(o, written, count):
                return True
        return False

    @functools.cached_property
    def pays(self) -> bool:
        """Is not much more to be fetched for it than the result is?"""
        sources = {o.key: o for o in self.made.reads}
        return sum(map(_bytes, sources.values())) <= MORE * _bytes(self.made.out)


def made_anew(bodies: Sequence[Repeated]) -> list[Repeated]:
    """The program, with terms in the place of what can be made anew from them."""
    found, known = [], _Known(_islands(bodies))
    for body in bodies:
        if body.count > 1:
            for item in body.instructions:  # which come before each other, in the next step
                known.forget(writes(item), body.count)
        before = len(known.learnt)
        found.append(Repeated(body.count, [known.done(item, body.count) for item in body.instructions]))
        if body.count > 1:
            known.unlearn(before)
    return found


def read(segments: Sequence[Sequence[Repeated]], public: set[int], owner: Callable[[Any], Any]) -> list[list[Repeated]]:
    """The segments of a program without what nobody reads. public: the owners of what is read from outside.

    What is left over would still stand between others: its memory is shared with what comes before and after it.
    """
    while True:
        wanted = public | {id(owner(o.array)) for bodies in segments for body in bodies
                           for item in body.instructions for o in item.reads}
        found = [[Repeated(body.count, [item for item in body.instructions
                                        if not isinstance(item, Map) or id(owner(item.out.array)) in wanted])
                  for body in bodies] for bodies in segments]
        if _count(found) == _count(segments):
            return found
        segments = found


def _count(segments: Sequence[Sequence[Repeated]]) -> int:
    return sum(len(body.instructions) for bodies in segments for body in bodies)


def _islands(bodies: Sequence[Repeated]) -> list[int]:
    """Where pieces of memory begin, of which no operand touches two."""
    found: list[int] = []
    end = -math.inf
    for low, high in sorted({o.reach(body.count) for body in bodies for item in body.instructions
                             for o in (*item.reads, *writes(item))}):
        if low >= end:
            found.append(low)
        end = max(end, high)
    return found


class _Known:
    """What can be made anew at some place of the program, by the key of where it lies.

    islands: in order; what is written can meet only the recipes that touch the same. One, where none are given.
    """

    def __init__(self, islands: Sequence[int] = ()) -> None:
        self.recipes: dict[object, _Recipe] = {}
        self.learnt: list[object] = []  # the keys, in order, of all that was known at any time
        self._islands, self._touching = islands, dict[int, set[object]]()
        self._products: set[object] = set()

    def done(self, item: Instruction, count: int) -> Instruction:
        """An instruction in the form that reads little; what it makes is known from then on."""
        if not isinstance(item, Map):
            self.forget(writes(item), count)
            return item
        recipe = self._recipe(item)
        item = replace(item, args=tuple(self._instead(a, item.out, count) for a in item.args))
        self.forget([item.out], count)
        (self._products.add if item.op == "multiply" else self._products.discard)(item.out.key)
        if recipe is not None and not any(overlap(o, item.out, count) for o in recipe.made.reads):
            self.recipes[item.out.key] = recipe
            self.learnt.append(item.out.key)
            for o in recipe.touched:
                self._touching.setdefault(self._island(o), set()).add(item.out.key)
        return item

    def unlearn(self, count: int) -> None:
        """Forget all but the first so many recipes."""
        for key in self.learnt[count:]:
            self.recipes.pop(key, None)
        del self.learnt[count:]

    def _island(self, o: Operand) -> int:
        return bisect.bisect(self._islands, o.low)

    def forget(self, written: Sequence[Operand], count: int) -> None:
        """What is made of, or lies, where something else is written, cannot be made or is no longer there."""
        for o in written:
            near = self._touching.get(self._island(o), set())
            gone = [key for key in near if key not in self.recipes or self.recipes[key].met(o, count)]
            for key in gone:
                near.discard(key)
                self.recipes.pop(key, None)

    def _recipe(self, item: Map) -> _Recipe | None:
        cheap = item.op in CHEAP or (item.op in QUICK and item.out.dtype == "float32" and _bytes(item.out) >= FAR)
        if not cheap or item.out.array.size <= 1 or self._rounds_once(item):
            return None
        args, steps = [], 1
        for a in item.args:
            inner = self._of(a)
            args.append(a if inner is None else inner.made)
            steps += _steps(a) if inner is None else inner.steps
        return _Recipe(replace(item, args=tuple(args)), steps) if steps <= STEPS else None

    def _rounds_once(self, item: Map) -> bool:
        """Is it a sum that is rounded together with a product in it, where both are in one pass, and else is not?"""
        return item.op in SUMS and any(isinstance(a, Operand) and a.key in self._products for a in item.args)

    def _instead(self, term: Term, out: Operand, count: int) -> Term:
        """A term, or how it was made: not where the result is written over what that reads, in another order."""
        recipe = self._of(term)
        if recipe is None or not recipe.pays:
            return term
        spoilt = any(overlap(o, out, count) and o.key != out.key for o in recipe.made.reads)
        return term if spoilt else recipe.made

    def _of(self, term: Term) -> _Recipe | None:
        return self.recipes.get(term.key) if isinstance(term, Operand) and not isinstance(term, Table) else None


def _steps(term: Term) -> int:
    return 1 + sum(map(_steps, term.args)) if isinstance(term, Map) else 0


def _bytes(o: Operand) -> int:
    """What an operand has to be fetched of."""
    sizes = [n for n, s in zip(o.array.shape, o.array.strides, strict=True) if s]
    return math.prod(sizes) * o.array.itemsize
