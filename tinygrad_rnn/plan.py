"""A plan: one system and one set of shapes, compiled once into a flat program over static buffers, and replayed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from . import program
from .config import Config, Feed
from .emit import Emitter
from .errors import BadValue
from .layout import Layout
from .lower import lowered
from .rewrite import stabilised
from .schedule import Item, Loop, needed, schedule
from .system import Equation, System

SMALL = 2**24  # multiplications of a product in a loop, below which one thread is enough


class Plan:
    """Compiled once; `run(feed)` fills the buffers, `result(name)` copies one out."""

    def __init__(self, system: System, config: Config, weights: Mapping[str, Any], backend: Any):
        self.config, self.backend, self.xp, self.weights = config, backend, backend.xp, weights
        system = stabilised(system)
        equations = needed(system, config.want)
        if config.carried:
            equations = [eq for eq in equations if not _is_initial(system, eq)]
        equations = lowered(system, equations, config.coded, config.training)
        self.schedule = schedule(equations)
        self.layout = Layout(system, config, equations, self.schedule, weights, backend)
        emitter = Emitter(self.layout, self.schedule, backend)
        self.prelude, self.calls = emitter.prelude, emitter.do.calls
        self.small = 0 < emitter.step_work < SMALL
        for call in self.calls:
            if isinstance(call, program.Block):
                call.prepare()

    def interior(self, name: str) -> Any:
        """The buffer of a quantity at 1..T: indices in left-hand order, features, batch."""
        return self.layout.interior(name)

    def run(self, feed: Feed) -> None:
        """Fill the inputs and replay the program."""
        xp = self.xp
        for r, size in self.layout.config.sizes:
            xp.copyto(self.layout.per_example[r], feed.lengths.get(r, size))
        for r, pad in self.layout.pads.items():
            xp.greater(xp.arange(1, self.layout.sizes[r] + 1)[:, None], self.layout.per_example[r], pad)
        for name in self.layout.used:
            if self.layout.has_late_boundary(name):
                self.layout.buffers[name][...] = 0
        for name, array in feed.inputs.items():
            if name in self.layout.used:
                self._load(name, array)
        for name in self.layout.copied_weights():
            xp.copyto(self.layout.interior(name), self.weights[name])
        for name, array in feed.state.items():
            self._load_state(name, array)
        with self.backend.quiet(), self.backend.single_threaded() if self.small else contextlib.nullcontext():
            for fill in self.prelude:
                fill(feed)
            program.run(self.calls)

    def _load(self, name: str, array: Any) -> None:
        q = self.layout.system.quantities[name]
        target = self.layout.interior(name)
        source = self.backend.asarray(array)
        self.xp.copyto(target, self.xp.moveaxis(source, 0, -1), "unsafe")
        for k, index in enumerate(q.slots):
            if self.layout.ragged(index):
                pad = self.layout.pads[self.layout.system.range_of(index)]
                self.xp.copyto(target, 0, "unsafe", self.layout.pad_axis(pad, k, target.ndim))

    def _load_state(self, name: str, array: Any) -> None:
        """(batch, steps, features): the values at ..., -1, 0."""
        if name not in self.layout.used:
            return
        (low, _), = self.layout.rooms[name]
        source = self.xp.moveaxis(self.backend.asarray(array), 0, -1)
        if low > source.shape[0]:
            raise BadValue(f"the state of {name} holds {source.shape[0]} steps, {low} are needed")
        self.xp.copyto(self.layout.buffers[name][:low], source[source.shape[0] - low :], "unsafe")

    def check_finite(self) -> None:
        """Raise where a computed quantity is NaN, naming the first in the order of computation and where."""
        for eq in self._in_order(self.schedule):
            if eq.is_boundary:
                continue
            q, value = self.layout.system.quantities[eq.name], self.backend.to_host(self.result(eq.name))
            bad = value != value
            if bad.any():
                at = [int(i[0]) for i in bad.nonzero()]
                axes = [*(["example"] * q.batched), *q.slots]
                places = [f"{a} {p}" if a == "example" else f"{a} = {p + 1}" for a, p in zip(axes, at, strict=False)]
                raise BadValue(f"{eq.name} is NaN, first at {', '.join(places) or 'its only value'}\n{eq.show()}")

    def _in_order(self, items: Sequence[Item]) -> list[Equation]:
        found: list[Equation] = []
        for item in items:
            if isinstance(item, Loop):
                found += self._in_order(item.items)
            elif isinstance(item, Equation):
                found.append(item)
        return found

    def state(self) -> dict[str, Any]:
        """The last values of every quantity that is read at an earlier step: (batch, steps, features)."""
        found = {}
        for name, rooms in self.layout.rooms.items():
            q = self.layout.system.quantities[name]
            if q.role == "weight" or len(rooms) != 1 or not rooms[0][0] or self.layout.is_static(q.slots[0]):
                continue
            low = rooms[0][0]
            lengths = self.layout.per_example[self.layout.system.range_of(q.slots[0])]
            buffer = self.layout.buffers[name]
            if not q.batched:
                found[name] = self.xp.array(buffer[self.layout.size(q.slots[0]) :][:low])[None]
                continue
            steps = [self.xp.moveaxis(buffer, -1, 0)[self.xp.arange(self.layout.config.batch), lengths + k]
                     for k in range(low)]
            found[name] = self.xp.stack(steps, axis=1)
        return found

    def result(self, name: str) -> Any:
        """A copy of a quantity: (batch, indices in left-hand order, features)."""
        q, value = self.layout.system.quantities[name], self.layout.interior(name)
        if self.layout.has_late_boundary(name):
            value = value.copy()
            for k, index in enumerate(q.slots):
                if self.layout.ragged(index):
                    pad = self.layout.pads[self.layout.system.range_of(index)]
                    self.xp.copyto(value, 0, "unsafe", self.layout.pad_axis(pad, k, value.ndim))
        if q.batched:
            value = self.xp.moveaxis(value, -1, 0)
        return self.xp.ascontiguousarray(value).copy() if value.ndim else value.copy()


def _is_initial(system: System, eq: Equation) -> bool:
    """Does the equation set a position before the first, which a carried state replaces?"""
    own = system.quantities[eq.name].slots
    return any(s.anchor == "first" and i not in system.static for s, i in zip(eq.slots, own, strict=True))
