"""A plan that keeps, of a long sequence, the states at the borders of its segments, and computes the rest again.

With segments of about sqrt(T) steps both take memory in proportion to sqrt(T), for one more pass forward.
Source: Chen, Xu, Zhang and Guestrin 2016, "Training deep nets with sublinear memory cost"; for recurrent networks
Gruslys et al. 2016, "Memory-efficient backpropagation through time".
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ..config import Config, Feed
from ..passes.rewrite import stabilised
from ..passes.stages import Stage, check_cut, staged
from ..passes.tear import cut_index
from ..system import System
from . import cores
from .carried import Room, fitted, others, position_key, rooms
from .frames import Frames
from .part import Part
from .plan import Plan
from .shard import Piece, Pieces, Shard, Span

LENGTH = 2  # times sqrt(T): a step of a segment takes more memory than a state that is kept, but a segment takes time


def spans(steps: int) -> list[Span]:
    """Segments of one size, in proportion to sqrt(steps); the last may be shorter."""
    size = math.ceil(LENGTH * math.sqrt(steps))
    return [Span(first, min(size, steps - first)) for first in range(0, steps, size)]


class Segments:
    """To its users a plan: `run(feed)`, `interior`, `result` and `state`.

    Raises `Error`, naming the equation, where what is wanted first (of what the rest are gradients) cannot be computed
    by segments from the first to the last, or the rest from the last to the first.
    """

    def __init__(self, system: System, config: Config, weights: Mapping[str, Any], backend: Any, threads: int = 1):
        self.config, self.backend, self.xp, self.system = config, backend, backend.xp, stabilised(system)
        self.range = r = system.range_of(cut_index(system))
        check_cut(self.system, config.want[0], bool(config.carried))
        self.stages = staged(self.system, config.want, bool(config.carried))
        self.quantities, self.axes = self.stages.torn.quantities, self.stages.torn.axes
        self.steps = dict(config.sizes)[r]
        self.spans = spans(self.steps)
        whole = replace(config, carried=frozenset(), memory=None)

        def plan(stage: Stage, size: int | None = None, parts: int | None = None) -> Plan:
            own = replace(whole, want=stage.want)
            if size is not None:
                sizes = tuple((other, size if other == r else n) for other, n in config.sizes)
                own = replace(own, sizes=sizes, cut=frozenset({r}))
            return Plan(stage.system, own, weights, backend, parts, threads)

        self.whole = [(stage, plan(stage) if stage.want else None)
                      for stage in (self.stages.before, self.stages.between, self.stages.after)]
        sizes = sorted({span.size for span in self.spans}, reverse=True)
        self.plans: list[dict[int, Plan]] = [{}, {}]  # forward and backward, by size
        parts = None  # as many as the most work is worth: the way back over a segment that is not the last
        for found, stage in reversed(list(zip(self.plans, (self.stages.forward, self.stages.backward), strict=True))):
            for size in sizes if stage.want else ():
                found[size] = plan(stage, size, parts)
                parts = len(found[size].parts)
        self.added = frozenset().union(*(plan.added for found in self.plans for plan in found.values()))
        self.shards = self._sharded()
        self.values: Frames = {}  # what has been computed, as buffers have it: without time, or wanted
        self.beyond: dict[str, tuple[Any, list[Room]]] = {}  # the same, with what boundary equations set, and how far
        self.behind: dict[str, Any] = {}  # how many positions are behind the state after the last step

    def _sharded(self) -> list[Shard]:
        """One for each part of the batch where they need not meet before the last segment; else one for all."""
        forward, backward = self.plans
        plans = [*forward.values(), *backward.values()]
        count = len(plans[0].parts)
        alone = all(len(plan.parts) == count and plan.meets_at_the_end for plan in plans) and all(
            self.axes[name] is None for name in self.added)

        def pieces(found: Mapping[int, Plan], k: int) -> Pieces:
            if not alone:
                return {size: Piece(plan.parts, plan.run) for size, plan in found.items()}
            return {size: Piece([part], partial(part.start, part.fill)) for size, plan in found.items()
                    for part in [plan.parts[k]]}

        return [Shard(self.system, self.config, self.stages, self.range, pieces(forward, k), pieces(backward, k),
                      self._give) for k in range(count if alone else 1)]

    @property
    def bytes(self) -> int:
        """What the arrays of its plans take, without the weights."""
        plans = [*(plan for _, plan in self.whole if plan is not None), *self.plans[0].values(),
                 *self.plans[1].values()]
        return sum(plan.bytes for plan in plans)

    # -- running -------------------------------------------------------------------------------------

    def run(self, feed: Feed) -> None:
        """Forward over the segments, and back."""
        at, lengths = self.backend.asarray, feed.lengths.get(self.range)
        ends = self.xp.full(self.config.batch, self.steps, "int64") if lengths is None else at(lengths)
        feed = replace(feed, inputs={k: at(v) for k, v in feed.inputs.items()}, ends={self.range: ends},
                       state={k: at(v) for k, v in feed.state.items()})
        index = next(i for i in self.system.ranges if self.system.range_of(i) == self.range)
        self.behind = {position_key(index): ends + feed.behind.get(index, 0)}
        self.values = {}
        self._at_once(0, feed)
        for shard in self.shards:
            shard.begin(feed, self.values.__getitem__)
        self._together(0, [partial(shard.go_forward, feed, self.spans) for shard in self.shards])
        self._at_once(1, feed)
        if self.plans[1]:
            self._together(1, [partial(shard.go_back, feed, self.spans, self.config.want) for shard in self.shards])
        self._at_once(2, feed)

    def _at_once(self, number: int, feed: Feed) -> None:
        """What does not carry time."""
        stage, plan = self.whole[number]
        if plan is not None:
            plan.run(replace(feed, state={}, fill=lambda part: self._give(part, stage.given)))
            self.values |= {name: self._of_parts(name, [part.interior(name) for part in plan.parts])
                            for name in stage.want}
            for name in stage.want:
                room = rooms(stage.system, name)
                if any(map(any, room)):
                    self.beyond[name] = self._with_room(plan, name, room), room

    def _together(self, way: int, tasks: Sequence[cores.Task]) -> None:
        """All shards at the same time, and then what they leave for all."""
        plans = self.plans[way]
        with next(iter(plans.values())).one_thread() if plans else contextlib.nullcontext():
            cores.together(tasks)
        for found in ("totals", "wanted"):
            each = [getattr(shard, found) for shard in self.shards]
            self.values |= {name: self._of_shards(name, [own[name] for own in each]) for name in each[0]}

    def _of_shards(self, name: str, arrays: list[Any]) -> Any:
        """What each shard has of a quantity, put together: sums over the batch are added."""
        if name in self.added and len(arrays) > 1:
            return sum(arrays[1:], arrays[0])
        return self._of_parts(name, arrays)

    # -- values without time -------------------------------------------------------------------------

    def _give(self, part: Part, given: Sequence[str]) -> None:
        """Load what earlier stages have computed."""
        for name in given:
            if name in part.layout.used:
                value, own = self.values[name], slice(part.first, part.last)
                target = part.interior(name)
                if name in self.beyond:
                    (value, room), layout = self.beyond[name], part.layout
                    value, target = fitted(self.xp, value, room, layout.rooms[name], first=0), layout.buffers[name]
                self.xp.copyto(target, value[..., own] if self.quantities[name].batched else value)

    def _with_room(self, plan: Plan, name: str, room: list[Room]) -> Any:
        """The values of a quantity, as far as boundary equations set it."""
        return self._of_parts(name, [fitted(self.xp, part.layout.buffers[name], part.layout.rooms[name], room, first=0)
                                     for part in plan.parts])

    def _of_parts(self, name: str, arrays: list[Any]) -> Any:
        """A copy of what each part of the batch has of a quantity."""
        return self.xp.concatenate(arrays, -1) if self.quantities[name].batched else self.xp.array(arrays[0])

    # -- results -------------------------------------------------------------------------------------

    def interior(self, name: str) -> Any:
        """The values of a wanted quantity: indices in left-hand order, features, batch."""
        return self.values[name]

    def result(self, name: str) -> Any:
        """A copy of a wanted quantity: (batch, indices in left-hand order, features)."""
        value = self.values[name]
        return self.xp.array(self.xp.moveaxis(value, -1, 0) if self.quantities[name].batched else value)

    def state(self) -> dict[str, Any]:
        """The last values of what is read at an earlier step: (batch, steps, other indices, features)."""
        found, borders = {}, self.shards[0].borders
        for name in self.shards[0].last:
            axis, batched = borders.axes[name], self.quantities[name].batched
            states = [shard.by_step(name) for shard in self.shards if batched or shard is self.shards[0]]
            found[name] = fitted(self.xp, self.xp.concatenate(states), others(borders.rooms[name], axis),
                                 others(rooms(self.system, name), axis))
        return {**found, **self.behind} if found else found
