"""A plan: one system and one set of shapes, compiled once into programs over static buffers, and replayed."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from ..arguments import first_true
from ..config import Config, Feed
from ..errors import BadValue
from ..lowering.absorb import absorbed
from ..lowering.levels import Level, levels
from ..lowering.lower import lowered
from ..lowering.merge import merged
from ..lowering.sink import sunk
from ..lowering.work import Work, extents
from ..node import BATCH, Node, walk
from ..passes.rewrite import numbered, stabilised
from ..passes.schedule import Item, Loop, needed, schedule
from ..system import Equation, System
from . import cores
from .part import Part

Given = TypeVar("Given")

LONGEST = 10_000  # terms that are worth compiling: seconds of waiting, which some hundred runs make up for
FEW = 2**18  # numbers of inputs, up to which one thread takes no longer to fill them in than to wake another
SMALL = 2**24  # multiplications of a product in a loop, below which one thread is enough


class Plan:
    """Compiled once; `run(feed)` fills the buffers and computes, `result(name)` copies one out.

    parts: into how many parts the batch is cut, each with a thread of its own; fewer where it cannot be. By default
    `threads`, where it shares: where the work is worth it.
    """

    def __init__(self, system: System, config: Config, weights: Mapping[str, Any], backend: Any,
                 parts: int | None = None, threads: int = 1):
        self.config, self.backend, self.xp, self.system = config, backend, backend.xp, numbered(stabilised(system))
        equations = needed(self.system, config.want)
        if config.carried:
            equations = [eq for eq in equations if not _is_initial(self.system, eq, config.carried)]
        self.compiled = (backend.compiles()
                         and sum(1 for _ in walk(eq.rhs for eq in equations)) < LONGEST)
        anew = self.compiled and not backend.matrices
        equations = lowered(self.system, equations, config.coded, config.training, self.compiled, anew)
        found = merged(self.system, config, equations, schedule(equations), weights,
                       always=self.compiled or backend.name != "numpy")
        equations, self.schedule = found.equations, schedule(found.equations)
        items = self.schedule
        if self.compiled and backend.name == "numpy":  # elsewhere each pass of a step is a launch
            items = absorbed(items, equations, extents(self.system, config))
        items = sunk(items) if self.compiled else items
        cut = levels(items, equations)
        self.levels = [Level(list(items))] if cut is None else cut
        work = Work(items, self.system, config)
        self.shares = work.is_worth_sharing(self.compiled)
        parts = (threads if self.shares else 1) if parts is None else parts
        parts = 1 if cut is None else min(parts, config.batch)
        cuts = [config.batch * k // parts for k in range(parts + 1)]
        self.parts = [Part(self.system, replace(config, batch=end - first), equations, self.levels, found.chains,
                           weights, backend, self.compiled, first, config.batch)
                      for first, end in itertools.pairwise(cuts)]
        self.heavy = [any(isinstance(item, Loop) or (isinstance(item, Node) and BATCH in item.indices)
                          for item in level.items) for level in self.levels]
        self.direct = self._is_direct()
        self.single = parts > 1 or 0 < work.step < SMALL

    def interior(self, name: str) -> Any:
        """The buffer of a quantity that has no batch, at 1..T: indices in left-hand order, features."""
        return self.parts[0].interior(name)

    def _is_direct(self) -> bool:
        """Can its parts be filled by one thread, and then be computed by calls of machine code alone?"""
        if not self.compiled or self.backend.name != "numpy":
            return False
        return len(self.parts) == 1 or sum(
            part.interior(name).size for part in self.parts for name in part.layout.used
            if self.system.quantities[name].role == "input") <= FEW

    def calls(self) -> list[Any]:
        """Machine code that is level 0 of each part, where that is all of it; else nothing."""
        found = [part.program.native(0) for part in self.parts] if self.direct else []
        return [] if None in found else found

    def run(self, feed: Feed) -> None:
        """Fill the inputs and replay the programs."""
        with self.one_thread():
            self.replay([part.fill for part in self.parts], feed)

    def one_thread(self) -> contextlib.AbstractContextManager[Any]:
        """Within it products take one thread, where the parts have threads of their own or the work is small."""
        return self.backend.single_threaded() if self.single and not self.compiled else contextlib.nullcontext()

    @property
    def meets_at_the_end(self) -> bool:
        """Do its parts only join their sums, and compute nothing from them?"""
        return not any(part.program.segments[k] for part in self.parts for k in range(1, len(self.levels)))

    @property
    def added(self) -> frozenset[str]:
        """The quantities that need sums over the batch: those sums, where the parts meet at the end."""
        return frozenset(item.name for level in self.levels[1:] for item in level.items if isinstance(item, Equation))

    def replay(self, fills: Sequence[Callable[[Given], object]], given: Given) -> None:
        """Fill each part with what is given, then do level 0, then the other levels."""
        calls = self.calls()
        if calls:
            for fill in fills:
                fill(given)
            cores.at_once(calls)
        else:
            cores.together([partial(part.start, fill, given) for part, fill in zip(self.parts, fills, strict=True)])
        self._join(0)
        for k in range(1, len(self.levels)):
            tasks = [partial(part.run, k) for part in self.parts if part.program.segments[k]]
            if tasks and self.heavy[k]:
                cores.together(tasks)
            else:
                for task in tasks:
                    task()
            self._join(k)

    def fill(self, feed: Feed) -> None:
        """Fill the buffers, and compute nothing."""
        for part in self.parts:
            part.fill(feed)

    def compute(self) -> None:
        """Compute from what is in the buffers, where there is one part."""
        (part,) = self.parts
        for k in range(len(self.levels)):
            part.run(k)

    @property
    def bytes(self) -> int:
        """What its arrays take, without the weights."""
        return sum(part.bytes for part in self.parts)

    def launches(self) -> float:
        """How many launches a computation takes on a GPU; infinite where not all of it is launches."""
        counts: list[float] = [part.program.count() if self.compiled else math.inf for part in self.parts]
        return sum(counts)

    def _join(self, k: int) -> None:
        """Add up the sums over the batch; every part gets the whole."""
        for j in range(len(self.levels[k].sums) if len(self.parts) > 1 else 0):
            first, *others = (part.sums[k][j] for part in self.parts)
            for other in others:
                self.xp.add(first, other, first)
            for other in others if k + 1 < len(self.levels) else []:
                self.xp.copyto(other, first)

    def check_finite(self) -> None:
        """Raise where a computed quantity is NaN, naming the first in the order of computation and where."""
        for item in self.schedule:
            loop = item if isinstance(item, Loop) else None
            found = [(first, eq) for eq in self._in_order([item])
                     if not eq.is_boundary and (first := self._first_nan(eq, loop)) is not None]
            if found:
                (_, at), eq = min(found, key=lambda each: each[0][0])  # of those at one step the first in it
                raise BadValue(f"{eq.name} is NaN, first at {self.system.quantities[eq.name].place(at)}\n{eq.show()}")

    def _first_nan(self, eq: Equation, loop: Loop | None) -> tuple[int, tuple[int, ...]] | None:
        """When in the loop around it what is computed has a NaN first, the earlier the smaller, and where."""
        q, value = self.system.quantities[eq.name], self.backend.to_host(self.result(eq.name))
        bad, ranges = value != value, [self.system.range_of(i) for i in q.slots]
        if loop is None or self.system.range_of(loop.index) not in ranges:
            at = first_true(bad)
            return None if at is None else (0, at)
        axis = ranges.index(self.system.range_of(loop.index)) + q.batched
        along = bad.swapaxes(0, axis)
        steps = along.any(tuple(range(1, along.ndim))).nonzero()[0]
        if not steps.size:
            return None
        here = int(steps[0] if loop.direction > 0 else steps[-1])
        at = first_true(bad.take(here, axis))
        assert at is not None
        return here * loop.direction, (*at[:axis], here, *at[axis:])

    def _in_order(self, items: Sequence[Item]) -> list[Equation]:
        found: list[Equation] = []
        for item in items:
            if isinstance(item, Loop):
                found += self._in_order(item.items)
            elif isinstance(item, Equation):
                found.append(item)
        return found

    def state(self) -> dict[str, Any]:
        """The last values of what is read at an earlier step: (batch, steps, other indices, features)."""
        states = [part.state() for part in self.parts]
        return {name: self._joined(name, [s[name] for s in states]) for name in states[0]}

    def result(self, name: str) -> Any:
        """A copy of a quantity: (batch, indices in left-hand order, features)."""
        if not self.system.quantities[name].batched:
            return self.parts[0].result(name)
        return self._joined(name, [part.result(name) for part in self.parts])

    def _joined(self, name: str, arrays: list[Any]) -> Any:
        if len(arrays) == 1 or (name in self.system.quantities and not self.system.quantities[name].batched):
            return arrays[0]
        return self.xp.concatenate(arrays)


def _is_initial(system: System, eq: Equation, carried: Collection[str]) -> bool:
    """Does the equation set a position before the first, which a carried state replaces?"""
    own = system.quantities[eq.name].slots
    return any(s.anchor == "first" and system.range_of(i) in carried for s, i in zip(eq.slots, own, strict=True))
