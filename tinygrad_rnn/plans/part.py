"""A part of the batch (or all of it) with buffers and a program of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..config import Config, Feed
from ..fusion.program import Interpreted
from ..lowering.chains import Chains
from ..lowering.levels import Level
from ..system import Equation, Quantity, System
from .carried import along, fitted, loaded, open_axes, others, position_key, rooms
from .emit import Emitter
from .layout import Layout


class Part:
    """Examples `first` to `first + config.batch` of `whole`."""

    def __init__(self, system: System, config: Config, equations: Sequence[Equation], levels: Sequence[Level],
                 chains: Chains, weights: Mapping[str, Any], backend: Any, compiled: bool, first: int, whole: int):
        self.config, self.backend, self.xp, self.weights = config, backend, backend.xp, weights
        self.first, self.last, self.whole = first, first + config.batch, whole
        items = [item for level in levels for item in level.items]
        self.layout = Layout(system, config, equations, items, chains, weights, backend, whole, first)
        sums = {node for level in levels for node in level.sums}
        emitter = Emitter(self.layout, [level.items for level in levels], backend, compiled, sums)
        self.prelude, self.drawn, self.counted = emitter.leaves.prelude, emitter.leaves.drawn, emitter.leaves.counted
        self.behind: Mapping[str, Any] = {}  # index -> how many positions come before those of the last run
        self.sums = [[emitter.view(node, {})[0] for node in level.sums] for level in levels]
        self.bytes = emitter.bytes()
        self._plain: dict[str, Any] = {}
        self._by_step: dict[tuple[str, int], Any] = {}
        self._loaders: dict[str, Callable[[Any], None]] = {}
        ranges = config.carried or along(system, config.want)
        self.carried = self._carried(ranges)
        self._passed = [i for i in sorted(self.counted) if system.range_of(i) in ranges]  # with nothing carried, too
        self._kept = {name: others(rooms(system, name), axis) for name, axis, _ in self.carried}  # the room in a state
        self.late = [name for name in self.layout.used if self.layout.has_late_boundary(name)]
        self.copied = self.layout.copied_weights()
        self.program: Any = self._compiled(emitter.segments) if compiled else Interpreted(emitter.segments)

    def _compiled(self, segments: list[list[Any]]) -> Any:
        public = [buffer for name, buffer in self.layout.buffers.items()
                  if self.config.check or name in self.config.want or self.layout.has_room(name)]
        public += [array for level in self.sums for array in level]
        return self.backend.program(segments, {id(self.backend.owner(b)) for b in public})

    def start(self, fill: Callable[[Any], object], given: Any) -> None:
        """Fill the buffers, by `fill` from what is given of the whole batch, and compute level 0."""
        fill(given)
        self.run(0)

    def fill(self, feed: Feed) -> None:
        """Fill the buffers from the feed of the whole batch."""
        with self.backend.quiet():
            self.program.settle()
            self._fill(self._own(feed), feed)

    def run(self, level: int) -> None:
        """Compute a level."""
        with self.backend.quiet():
            self.program.run(level)

    def _own(self, feed: Feed) -> Feed:
        if self.config.batch == self.whole:
            return feed
        cut = slice(self.first, self.last)
        quantities = self.layout.system.quantities
        state = {k: v[cut] if k not in quantities or quantities[k].batched else v for k, v in feed.state.items()}
        return replace(feed, inputs={k: v[cut] for k, v in feed.inputs.items()}, state=state,
                       behind={k: v[cut] for k, v in feed.behind.items()},
                       lengths={k: v[cut] for k, v in feed.lengths.items()},
                       first_example=feed.first_example + self.first)

    def _fill(self, feed: Feed, whole: Feed) -> None:
        xp, layout = self.xp, self.layout
        self.behind = feed.behind
        for r, pad in layout.pads.items():
            xp.copyto(layout.per_example[r], feed.lengths[r])
            xp.copyto(layout.whole_batch[r], whole.lengths[r])
            xp.greater(xp.arange(1, layout.sizes[r] + 1)[:, None], layout.per_example[r], pad)
        for r, ends in feed.ends.items():
            xp.copyto(layout.whole_batch[r], ends)
        for name in self.late:
            layout.buffers[name][...] = 0
        for name, array in feed.inputs.items():
            if name in layout.used:
                self.load(name, array)
        for name in self.copied:
            xp.copyto(layout.interior(name), self.weights[name])
        for name, array in feed.state.items():
            self._load_state(name, array)
        if feed.fill is not None:
            feed.fill(self)
        for fill in self.prelude:
            fill(feed)

    def interior(self, name: str) -> Any:
        """The values of a quantity at 1..T: indices in left-hand order, features, batch."""
        if name not in self._plain:
            self._plain[name] = self.layout.interior(name)
        return self._plain[name]

    def loader(self, name: str) -> Callable[[Any], None]:
        """What copies an input, its part of the batch first, into its buffer."""
        if name not in self._loaders:
            self._loaders[name] = self.backend.loader(self.interior(name))
        return self._loaders[name]

    def load(self, name: str, array: Any) -> None:
        """Fill an input's buffer; what is padding becomes zero, or no class."""
        q = self.layout.system.quantities[name]
        target = self.interior(name)
        self.loader(name)(array)
        for k, index in enumerate(q.slots):
            if self.layout.ragged(index):
                pad = self.layout.pads[self.layout.system.range_of(index)]
                self.xp.copyto(target, -1 if name in self.config.coded else 0, "unsafe",
                               self.layout.pad_axis(pad, k, target.ndim))

    def _load_state(self, name: str, array: Any) -> None:
        """(batch, steps, other indices, features): the values at ..., -1, 0."""
        if name not in self.layout.used:
            return
        for axis, low in [(axis, low) for other, axis, low in self.carried if other == name]:
            source, target = self._coded_alike(name, self.backend.asarray(array)), self.by_step(name, axis)[:, :low]
            source = loaded(self.layout.system, self.xp, name, axis, source, low, target, self.layout.rooms[name])
            self.xp.copyto(target, source, "unsafe")

    def _coded_alike(self, name: str, state: Any) -> Any:
        """A state of classes as the buffer holds them, by number or as one-hot vectors; -1 is the zero vector."""
        q = self.layout.system.quantities[name]
        held, xp = state.ndim - 1 - len(q.slots), self.xp
        if name in self.config.coded and held == 1:
            return xp.where((state != 0).any(-1), state.argmax(-1), -1)
        if name not in self.config.coded and held == 0 and q.type.rank == 1:
            return state[..., None] == xp.arange(q.type.shape[0])
        return state

    def _carried(self, ranges: Collection[str]) -> list[tuple[str, int, int]]:
        """What is read at earlier steps of those ranges: the name, the axis of time, how many steps back."""
        found = []
        for name, room in self.layout.rooms.items():
            q, system = self.layout.system.quantities[name], self.layout.system
            axes = [k for k in open_axes(system, name) if system.range_of(q.slots[k]) in ranges
                    and room[k][0] and (name, k) in self.layout.read_back]
            if q.role != "weight" and len(axes) == 1:
                found.append((name, axes[0], room[axes[0]][0]))
        return found

    def by_step(self, name: str, axis: int) -> Any:
        """A buffer as (batch, steps, other indices, features); the batch is 1 where there is none."""
        if (name, axis) not in self._by_step:
            buffer, batched = self.layout.buffers[name], self.layout.system.quantities[name].batched
            self._by_step[name, axis] = (self.xp.moveaxis(buffer, (-1, axis), (0, 1)) if batched
                                         else self.xp.moveaxis(buffer, axis, 0)[None])
        return self._by_step[name, axis]

    def state(self) -> dict[str, Any]:
        """The last values of what is read at an earlier step: (batch, steps, other indices, features)."""
        found = {}
        indices = set(self._passed)
        for name, axis, low in self.carried:
            q = self.layout.system.quantities[name]
            indices.add(q.slots[axis])
            found[name] = fitted(self.xp, self._last(q, axis, low), others(self.layout.rooms[name], axis),
                                 self._kept[name])
        for index in indices:
            lengths = self.layout.per_example[self.layout.system.range_of(index)]
            found[position_key(index)] = lengths + self.behind.get(index, 0)
        return found

    def _last(self, q: Quantity, axis: int, low: int) -> Any:
        """A copy of a quantity's last steps, each example's own."""
        values, index = self.by_step(q.name, axis), q.slots[axis]
        if not self.layout.ragged(index, q):
            return values[:, self.layout.size(index) :][:, :low].copy()
        lengths = self.layout.per_example[self.layout.system.range_of(index)]
        return self.xp.stack([values[self.layout.examples, lengths + k] for k in range(low)], axis=1)

    def result(self, name: str) -> Any:
        """A copy of a quantity: (batch, indices in left-hand order, features)."""
        q, value = self.layout.system.quantities[name], self.interior(name)
        if name in self.late:
            value = value.copy()
            for k, index in enumerate(q.slots):
                if self.layout.ragged(index):
                    pad = self.layout.pads[self.layout.system.range_of(index)]
                    self.xp.copyto(value, 0, "unsafe", self.layout.pad_axis(pad, k, value.ndim))
        if not q.batched:
            return value.copy()
        value = value.transpose(value.ndim - 1, *range(value.ndim - 1))
        out = self.xp.empty(value.shape, value.dtype)
        self.backend.rearrange(out, value)
        return out
