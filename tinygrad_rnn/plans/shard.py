"""Some examples of a long sequence, on their way through all of its segments: no segment waits for other examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..config import Config, Feed
from ..passes.stages import Stages
from ..system import System
from .carried import loaded
from .frames import Borders, Frames
from .part import Part


@dataclass(frozen=True)
class Span:
    """Positions offset + 1 to offset + size."""

    offset: int
    size: int

    @property
    def stop(self) -> int:
        """The last position."""
        return self.offset + self.size


@dataclass(frozen=True)
class Piece:
    """What computes a segment for some examples: parts of a plan, and a call that fills and runs them."""

    parts: Sequence[Part]
    run: Callable[[Feed], None]


Pieces = Mapping[int, Piece]  # by the size of segments


class Shard:
    """The segments of some examples, forward and back.

    give: loads into a part what stages that do not carry time have computed. r: the range that is cut.
    """

    def __init__(self, system: System, config: Config, stages: Stages, r: str, forward: Pieces, backward: Pieces,
                 give: Callable[[Part, Sequence[str]], None]):
        pieces = [*forward.values(), *backward.values()]
        parts = pieces[0].parts
        self.system, self.range, self.stages, self.give = system, r, stages, give
        self.forward, self.backward, self.xp = forward, backward, parts[0].xp
        self.quantities, self.axes = stages.torn.quantities, stages.torn.axes
        self.own = slice(parts[0].first, parts[-1].last)
        self.borders = Borders(system, replace(config, batch=self.own.stop - self.own.start),
                               [piece.parts[0] for piece in pieces], self.quantities, self.axes)
        self.states = [n for n in self.borders.rooms if self.quantities[n].role != "input" and self.borders.low(n)]
        self.inputs: Frames = {}  # those of its examples
        self.ends: Any = None  # how far each of its examples runs
        self.totals: Frames = {}  # what has been added up
        self.wanted: Frames = {}  # what has been collected, at all steps
        self.before: Frames = {}  # what is read before the first step
        self.last: Frames = {}  # the state after the last one
        self._starts: list[Frames] = []  # the state at the start of each segment

    # -- running -------------------------------------------------------------------------------------

    def begin(self, feed: Feed, given: Callable[[str], Any]) -> None:
        """What is before the first step: zero, what boundary equations say (as `given` has it), or a state."""
        borders, own = self.borders, self.own
        self.inputs, self.ends = {k: v[own] for k, v in feed.inputs.items()}, feed.ends[self.range][own]
        self.totals, self.wanted, self.last = {}, {}, {}
        self.before = {name: borders.empty(name, borders.low(name)) for name in borders.rooms if borders.low(name)}
        for name, frame in self.before.items():
            axis, steps, batched = self.axes[name], borders.low(name), self.quantities[name].batched
            assert axis is not None
            for offset, start in self.stages.torn.starts.get(name, {}).items():
                if steps + offset >= 1:
                    row = borders.inside(name, borders.rows(name, frame, steps + offset - 1, steps + offset))
                    value = given(start)
                    value = value[..., own] if self.quantities[start].batched else value
                    self.xp.copyto(row, self.xp.expand_dims(value, axis))
            if name in feed.state:
                state, target = feed.state[name], borders.by_step(name, frame)
                state = loaded(self.system, self.xp, name, axis, state[own] if batched else state, steps, target,
                               borders.rooms[name])
                self.xp.copyto(target, state, "unsafe")

    def go_forward(self, feed: Feed, spans: Sequence[Span]) -> None:
        """Keep the state at the start of each segment; totals that the way back needs are added up."""
        stage, self._starts = self.stages.forward, [{name: self.before[name] for name in self.states}]
        totals = [name for name in stage.want if self.axes[name] is None]
        for span in spans if totals else spans[:-1]:
            start: Frames = {}
            if self.forward:
                piece = self.forward[span.size]
                self._segment(piece, stage.given, feed, span, self._starts[-1], {})
                self._add(piece, totals)
                start = self._ended(piece, feed, span, self._starts[-1])
            self._starts.append(start)
        if not self.backward:
            self.last = self._starts[-1] | self._inputs_ended()

    def go_back(self, feed: Feed, spans: Sequence[Span], want: Iterable[str]) -> None:
        """Totals and wanted quantities, segment by segment from the last one."""
        stage, borders = self.stages.backward, self.borders
        totals = [name for name in stage.want if self.axes[name] is None]
        timed = [name for name in want if self.axes[name] is not None]
        steps = spans[-1].stop
        reaching = [name for name in borders.rooms if self.quantities[name].role != "input" and borders.high(name)]
        future = {name: borders.empty(name, borders.high(name)) for name in reaching}
        for span, past in reversed(list(zip(spans, self._starts, strict=False))):
            piece = self.backward[span.size]
            self._segment(piece, stage.given, feed, span, past, future)
            self._add(piece, totals)
            for name in timed:
                self._collect(piece, name, span, steps)
            if span is spans[-1]:
                self.last = self._ended(piece, feed, span, past) | self._inputs_ended()
            future = {name: borders.beginning(piece.parts, name, future[name], span.size) for name in reaching}

    def _segment(self, piece: Piece, given: Sequence[str], feed: Feed, span: Span, past: Frames, future: Frames
                 ) -> None:
        """Run one segment, its surroundings loaded."""
        inputs = {name: array if self.axes[name] is None else self._steps(name, array, span.offset, span.stop)
                  for name, array in feed.inputs.items()}
        lengths = {r: self._local(feed.ends[r], span) if r == self.range else n for r, n in feed.lengths.items()}
        offset = {i: span.offset for i in self.system.ranges if self.system.range_of(i) == self.range}
        past = past | self._inputs_around(span.offset, -1)
        future = future | self._inputs_around(span.stop, 1)

        def fill(part: Part) -> None:
            self.give(part, given)
            self.borders.load(part, past, future)

        piece.run(replace(feed, inputs=inputs, lengths=lengths, state={}, offset=offset, fill=fill))

    def _local(self, ends: Any, span: Span) -> Any:
        """How many of a segment's positions each example has."""
        return self.xp.clip(ends - span.offset, 0, span.size)

    # -- what a segment leaves -----------------------------------------------------------------------

    def _add(self, piece: Piece, totals: Iterable[str]) -> None:
        for name in totals:
            value = piece.parts[0].interior(name)
            if self.quantities[name].batched:
                value = self.xp.concatenate([part.interior(name) for part in piece.parts], -1)
            if name in self.totals:
                self.totals[name] += value
            else:
                self.totals[name] = self.xp.array(value)

    def _collect(self, piece: Piece, name: str, span: Span, steps: int) -> None:
        """Put a segment of a wanted quantity into its place."""
        body = self.borders.inside(name, self.borders.body(piece.parts, name, 0, span.size))
        if name not in self.wanted:
            whole = self.borders.inside(name, self.borders.empty(name, steps))
            self.wanted[name] = self.xp.zeros(whole.shape, whole.dtype)
        self.borders.rows(name, self.wanted[name], span.offset, span.stop)[...] = body

    def _ended(self, piece: Piece, feed: Feed, span: Span, past: Frames) -> Frames:
        """The state at the end of a segment."""
        lengths = self._local(self.ends, span) if self.range in feed.lengths else None
        return {name: self.borders.ending(piece.parts, name, past[name], span.size, lengths) for name in past}

    def by_step(self, name: str) -> Any:
        """The state after the last step: (batch, steps, other indices, features)."""
        return self.borders.by_step(name, self.last[name])

    # -- inputs at the borders -----------------------------------------------------------------------

    def _steps(self, name: str, array: Any, first: int, stop: int) -> Any:
        """Some steps of an input as it was given: (batch, indices, features)."""
        axis = self.axes[name]
        assert axis is not None
        return array[(slice(None), *[slice(None)] * axis, slice(first, stop))]

    def _inputs_around(self, border: int, side: int) -> Frames:
        """The steps of inputs before a border (side -1) or after it (1), without padding."""
        borders, found = self.borders, {}
        for name in self.inputs:
            steps = 0 if name not in borders.rooms else borders.low(name) if side < 0 else borders.high(name)
            if not steps:
                continue
            first = border - steps if side < 0 else border
            found[name] = frame = borders.empty(name, steps)
            begin = max(first, 0)
            if first < 0:
                known = self.before[name]
                borders.rows(name, frame, 0, -first)[...] = borders.rows(name, known, steps + first, steps)
            given = self.xp.moveaxis(self._steps(name, self.inputs[name], begin, first + steps), 0, -1)
            for k in range(given.shape[borders.axes[name]]):
                row = borders.rows(name, borders.inside(name, frame), begin - first + k, begin - first + k + 1)
                self.xp.copyto(row, borders.rows(name, given, k, k + 1), "unsafe", self.ends > begin + k)
        return found

    def _inputs_ended(self) -> Frames:
        """The last steps of inputs that are read later, each example's own."""
        borders, found = self.borders, {}
        for name in self.inputs:
            steps = borders.low(name) if name in borders.rooms else 0
            if steps:
                found[name] = frame = borders.empty(name, steps)
                array = self.xp.moveaxis(self.inputs[name], 1 + borders.axes[name], 1)
                rows = self.ends[:, None] - steps + self.xp.arange(steps)
                own = borders.by_step(name, borders.inside(name, frame))
                examples = self.xp.arange(len(rows))[:, None]
                own[...] = array[examples, self.xp.maximum(rows, 0)]
                whole, before = (borders.by_step(name, values) for values in (frame, self.before[name]))
                early = (rows < 0).reshape(*rows.shape, *[1] * (whole.ndim - 2))
                whole[...] = self.xp.where(early, before[examples, self.xp.minimum(steps + rows, steps - 1)], whole)
        return found
