"""A plan that keeps, of a long sequence, the states at the borders of its segments, and computes the rest again.

With segments of about sqrt(T) steps both take memory in proportion to sqrt(T), for one more pass forward.
Source: Chen, Xu, Zhang and Guestrin 2016, "Training deep nets with sublinear memory cost"; for recurrent networks
Gruslys et al. 2016, "Memory-efficient backpropagation through time".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..config import Config, Feed
from ..passes.rewrite import stabilised
from ..passes.stages import Stage, check_cut, staged
from ..passes.tear import cut_index
from ..system import System
from .carried import Room, fitted, loaded, others, position_key, rooms
from .frames import Borders, Frames
from .part import Part
from .plan import Plan


@dataclass(frozen=True)
class Span:
    """Positions offset + 1 to offset + size."""

    offset: int
    size: int

    @property
    def stop(self) -> int:
        """The last position."""
        return self.offset + self.size


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

        def plan(stage: Stage, size: int | None = None) -> Plan:
            own = replace(whole, want=stage.want)
            if size is not None:
                sizes = tuple((other, size if other == r else n) for other, n in config.sizes)
                own = replace(own, sizes=sizes, cut=frozenset({r}))
            return Plan(stage.system, own, weights, backend, threads=threads)

        sizes = {span.size for span in self.spans}
        forward, backward = self.stages.forward, self.stages.backward
        self.whole = [(stage, plan(stage) if stage.want else None)
                      for stage in (self.stages.before, self.stages.between, self.stages.after)]
        self.forward = {size: plan(forward, size) for size in sizes if forward.want}
        self.backward = {size: plan(backward, size) for size in sizes if backward.want}
        plans = [*self.forward.values(), *self.backward.values()]
        self.borders = Borders(self.system, config, plans, r, self.quantities, self.axes)
        self.states = [n for n in self.borders.rooms if self.quantities[n].role != "input" and self.borders.low(n)]
        self.values: Frames = {}  # what has been computed, as buffers have it: without time, or wanted
        self.beyond: dict[str, tuple[Any, list[Room]]] = {}  # the same, with what boundary equations set, and how far
        self.before: Frames = {}  # what is read before the first step
        self.last: Frames = {}  # the state after the last one
        self.behind: dict[str, Any] = {}  # and how many positions are behind it

    @property
    def bytes(self) -> int:
        """What the arrays of its plans take, without the weights."""
        plans = [*(plan for _, plan in self.whole), *self.forward.values(), *self.backward.values()]
        return sum(plan.bytes for plan in plans if plan is not None)

    # -- running -------------------------------------------------------------------------------------

    def run(self, feed: Feed) -> None:
        """Forward over the segments, and back."""
        at, lengths = self.backend.asarray, feed.lengths.get(self.range)
        ends = self.xp.full(self.config.batch, self.steps, "int64") if lengths is None else at(lengths)
        feed = replace(feed, inputs={k: at(v) for k, v in feed.inputs.items()}, ends={self.range: ends})
        index = next(i for i in self.system.ranges if self.system.range_of(i) == self.range)
        self.behind = {position_key(index): ends + feed.behind.get(index, 0)}
        self.values = {}
        self._at_once(0, feed)
        self.before = self._start(feed)
        starts = self._forward(feed)
        self._at_once(1, feed)
        if self.backward:
            self._backward(feed, starts)
        else:
            self.last = starts[-1] | self._inputs_ended(feed)
        self._at_once(2, feed)

    def _at_once(self, number: int, feed: Feed) -> None:
        """What does not carry time."""
        stage, plan = self.whole[number]
        if plan is not None:
            plan.run(replace(feed, state={}, fill=lambda part: self._give(part, stage)))
            self.values |= {name: self._joined(plan, name) for name in stage.want}
            for name in stage.want:
                room = rooms(stage.system, name)
                if any(map(any, room)):
                    self.beyond[name] = self._with_room(plan, name, room), room

    def _forward(self, feed: Feed) -> list[Frames]:
        """The state at the start of each segment; totals that the way back needs are added up."""
        stage, starts = self.stages.forward, [{name: self.before[name] for name in self.states}]
        totals = [name for name in stage.want if self.axes[name] is None]
        for span in self.spans if totals else self.spans[:-1]:
            if self.forward:
                plan = self.forward[span.size]
                self._segment(plan, stage, feed, span, starts[-1], {})
                self._add(plan, totals)
                starts.append(self._ended(plan, feed, span, starts[-1]))
            else:
                starts.append({})
        return starts

    def _backward(self, feed: Feed, starts: list[Frames]) -> None:
        """Totals and wanted quantities, segment by segment from the last one."""
        stage, borders = self.stages.backward, self.borders
        reaching = [name for name in borders.rooms if self.quantities[name].role != "input" and borders.high(name)]
        future = {name: borders.empty(name, borders.high(name)) for name in reaching}
        for span, past in reversed(list(zip(self.spans, starts, strict=False))):
            plan = self.backward[span.size]
            self._segment(plan, stage, feed, span, past, future)
            self._add(plan, (name for name in stage.want if self.axes[name] is None))
            for name in self.config.want:
                if self.axes[name] is not None:
                    self._collect(plan, name, span)
            if span is self.spans[-1]:
                self.last = self._ended(plan, feed, span, past) | self._inputs_ended(feed)
            future = {name: borders.beginning(plan, name, future[name], span.size) for name in reaching}

    def _segment(self, plan: Plan, stage: Stage, feed: Feed, span: Span, past: Frames, future: Frames) -> None:
        """Run one segment, its surroundings loaded."""
        inputs = {name: array if self.axes[name] is None else self._steps(name, array, span.offset, span.stop)
                  for name, array in feed.inputs.items()}
        lengths = {r: self._local(feed, span) if r == self.range else n for r, n in feed.lengths.items()}
        offset = {i: span.offset for i in self.system.ranges if self.system.range_of(i) == self.range}
        past = past | self._inputs_around(feed, span.offset, -1)
        future = future | self._inputs_around(feed, span.stop, 1)

        def fill(part: Part) -> None:
            self._give(part, stage)
            self.borders.load(part, past, future)

        plan.run(replace(feed, inputs=inputs, lengths=lengths, state={}, offset=offset, fill=fill))

    def _local(self, feed: Feed, span: Span) -> Any:
        """How many of a segment's positions each example has."""
        return self.xp.clip(feed.ends[self.range] - span.offset, 0, span.size)

    # -- values without time -------------------------------------------------------------------------

    def _give(self, part: Part, stage: Stage) -> None:
        """Load what earlier stages have computed."""
        for name in stage.given:
            if name in part.layout.used:
                value, own = self.values[name], slice(part.first, part.last)
                target = part.interior(name)
                if name in self.beyond:
                    (value, room), layout = self.beyond[name], part.layout
                    value, target = fitted(self.xp, value, room, layout.rooms[name], first=0), layout.buffers[name]
                self.xp.copyto(target, value[..., own] if self.quantities[name].batched else value)

    def _joined(self, plan: Plan, name: str) -> Any:
        return self._of_all(name, [part.interior(name) for part in plan.parts])

    def _with_room(self, plan: Plan, name: str, room: list[Room]) -> Any:
        """The values of a quantity, as far as boundary equations set it."""
        return self._of_all(name, [fitted(self.xp, part.layout.buffers[name], part.layout.rooms[name], room, first=0)
                                   for part in plan.parts])

    def _of_all(self, name: str, arrays: list[Any]) -> Any:
        """A copy of what each part of the batch has of a quantity."""
        return self.xp.concatenate(arrays, -1) if self.quantities[name].batched else self.xp.array(arrays[0])

    def _add(self, plan: Plan, totals: Iterable[str]) -> None:
        for name in totals:
            value = self._joined(plan, name)
            if name in self.values:
                value += self.values[name]
            self.values[name] = value

    # -- values at the borders -----------------------------------------------------------------------

    def _start(self, feed: Feed) -> Frames:
        """What is before the first step: zero, what boundary equations say, or a state."""
        borders = self.borders
        frames = {name: borders.empty(name, borders.low(name)) for name in borders.rooms if borders.low(name)}
        for name, frame in frames.items():
            axis, steps = self.axes[name], borders.low(name)
            assert axis is not None
            for offset, start in self.stages.torn.starts.get(name, {}).items():
                if steps + offset >= 1:
                    row = borders.inside(name, borders.rows(name, frame, steps + offset - 1, steps + offset))
                    self.xp.copyto(row, self.xp.expand_dims(self.values[start], axis))
            if name in feed.state:
                state, target = self.backend.asarray(feed.state[name]), borders.by_step(name, frame)
                state = loaded(self.system, self.xp, name, axis, state, steps, target, borders.rooms[name])
                self.xp.copyto(target, state, "unsafe")
        return frames

    def _ended(self, plan: Plan, feed: Feed, span: Span, past: Frames) -> Frames:
        """The state at the end of a segment."""
        lengths = self._local(feed, span) if self.range in feed.lengths else None
        return {name: self.borders.ending(plan, name, past[name], span.size, lengths) for name in past}

    def _steps(self, name: str, array: Any, first: int, stop: int) -> Any:
        """Some steps of an input as it was given: (batch, indices, features)."""
        axis = self.axes[name]
        assert axis is not None
        return array[(slice(None), *[slice(None)] * axis, slice(first, stop))]

    def _inputs_around(self, feed: Feed, border: int, side: int) -> Frames:
        """The steps of inputs before a border (side -1) or after it (1), without padding."""
        borders, found = self.borders, {}
        for name in feed.inputs:
            steps = 0 if name not in borders.rooms else borders.low(name) if side < 0 else borders.high(name)
            if not steps:
                continue
            first = border - steps if side < 0 else border
            found[name] = frame = borders.empty(name, steps)
            begin = max(first, 0)
            if first < 0:
                known = self.before[name]
                borders.rows(name, frame, 0, -first)[...] = borders.rows(name, known, steps + first, steps)
            given = self.xp.moveaxis(self._steps(name, feed.inputs[name], begin, first + steps), 0, -1)
            for k in range(given.shape[borders.axes[name]]):
                row = borders.rows(name, borders.inside(name, frame), begin - first + k, begin - first + k + 1)
                self.xp.copyto(row, borders.rows(name, given, k, k + 1), "unsafe", feed.ends[self.range] > begin + k)
        return found

    def _inputs_ended(self, feed: Feed) -> Frames:
        """The last steps of inputs that are read later, each example's own."""
        borders, found = self.borders, {}
        for name in feed.inputs:
            steps = borders.low(name) if name in borders.rooms else 0
            if steps:
                found[name] = frame = borders.empty(name, steps)
                array = self.xp.moveaxis(feed.inputs[name], 1 + borders.axes[name], 1)
                rows = feed.ends[self.range][:, None] - steps + self.xp.arange(steps)
                own = borders.by_step(name, borders.inside(name, frame))
                examples = self.xp.arange(len(rows))[:, None]
                own[...] = array[examples, self.xp.maximum(rows, 0)]
                whole, before = (borders.by_step(name, values) for values in (frame, self.before[name]))
                early = (rows < 0).reshape(*rows.shape, *[1] * (whole.ndim - 2))
                whole[...] = self.xp.where(early, before[examples, self.xp.minimum(steps + rows, steps - 1)], whole)
        return found

    # -- results -------------------------------------------------------------------------------------

    def _collect(self, plan: Plan, name: str, span: Span) -> None:
        """Put a segment of a wanted quantity into its place."""
        body = self.borders.inside(name, self.borders.body(plan, name, 0, span.size))
        if name not in self.values:
            whole = self.borders.inside(name, self.borders.empty(name, self.steps))
            self.values[name] = self.xp.zeros(whole.shape, whole.dtype)
        self.borders.rows(name, self.values[name], span.offset, span.stop)[...] = body

    def interior(self, name: str) -> Any:
        """The values of a wanted quantity: indices in left-hand order, features, batch."""
        return self.values[name]

    def result(self, name: str) -> Any:
        """A copy of a wanted quantity: (batch, indices in left-hand order, features)."""
        value = self.values[name]
        return self.xp.array(self.xp.moveaxis(value, -1, 0) if self.quantities[name].batched else value)

    def state(self) -> dict[str, Any]:
        """The last values of what is read at an earlier step: (batch, steps, other indices, features)."""
        found = {name: fitted(self.xp, self.borders.by_step(name, frame),
                              others(self.borders.rooms[name], self.borders.axes[name]),
                              others(rooms(self.system, name), self.borders.axes[name]))
                 for name, frame in self.last.items()}
        return {**found, **self.behind} if found else found
