"""What segments of time hand to each other: a few steps of each quantity, from the border between two of them.

A frame is laid out as the quantity's buffer is, indices, features, batch, with the room that any of the plans has along
other indices than time, and all examples that go through the segments together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config import Config
from ..system import Quantity, System
from .part import Part

Frames = dict[str, Any]


class Borders:
    """The geometry of frames, for segments of one sequence.

    parts: one of each plan, which all begin with the same example, the first of config.batch; quantities: those of all
    plans; axes: the place of time among each one's indices.
    """

    def __init__(self, system: System, config: Config, parts: Sequence[Part], quantities: Mapping[str, Quantity],
                 axes: Mapping[str, int | None]):
        self.system, self.config, self.quantities = system, config, quantities
        self.xp, self.first = parts[0].xp, parts[0].first
        self.axes = {name: k for name, k in axes.items() if k is not None and quantities[name].role != "weight"}
        self.dtypes: dict[str, Any] = {}
        self.rooms: dict[str, list[tuple[int, int]]] = {}
        for layout in (part.layout for part in parts):
            for name in layout.used & self.axes.keys():
                known = self.rooms.get(name, layout.rooms[name])
                self.rooms[name] = [(max(a, c), max(b, d))
                                    for (a, b), (c, d) in zip(known, layout.rooms[name], strict=True)]
                self.dtypes[name] = layout.buffers[name].dtype

    def low(self, name: str) -> int:
        """How many steps before a segment are read."""
        return self.rooms[name][self.axes[name]][0]

    def high(self, name: str) -> int:
        """How many steps after a segment are read."""
        return self.rooms[name][self.axes[name]][1]

    def empty(self, name: str, steps: int) -> Any:
        """So many steps outside the sequence: zero; of classes, none."""
        q, sizes = self.quantities[name], dict(self.config.sizes)
        coded = name in self.config.coded
        lead = [low + sizes[self.system.range_of(i)] + high for (low, high), i in zip(self.rooms[name], q.slots,
                                                                                     strict=True)]
        lead[self.axes[name]] = steps
        shape = (*lead, *(() if coded else q.type.shape), *[self.config.batch] * q.batched)
        return self.xp.full(shape, -1 if coded else 0, self.dtypes[name])

    def rows(self, name: str, array: Any, first: int, stop: int) -> Any:
        """Some steps of a frame or a buffer."""
        return array[(*[slice(None)] * self.axes[name], slice(first, stop))]

    def inside(self, name: str, frame: Any) -> Any:
        """What of a frame is in the range of every other index."""
        return frame[tuple(slice(None) if k == self.axes[name] else slice(low, frame.shape[k] - high)
                           for k, (low, high) in enumerate(self.rooms[name]))]

    def window(self, part: Part, name: str, frame: Any) -> Any:
        """What of a frame a part's buffer holds: its examples, and as much room as it has."""
        key = [slice(None)] * frame.ndim
        for k, ((low, high), (most, above)) in enumerate(zip(part.layout.rooms[name], self.rooms[name], strict=True)):
            if k != self.axes[name]:
                key[k] = slice(most - low, frame.shape[k] - (above - high))
        if self.quantities[name].batched:
            key[-1] = slice(part.first - self.first, part.last - self.first)
        return frame[tuple(key)]

    def load(self, part: Part, past: Frames, future: Frames) -> None:
        """Fill a part's room before and after its segment."""
        for name in part.layout.used & self.axes.keys():
            k = self.axes[name]
            (low, high), buffer = part.layout.rooms[name][k], part.layout.buffers[name]
            if low:
                frame, steps = self.window(part, name, past[name]), self.low(name)
                self.xp.copyto(self.rows(name, buffer, 0, low), self.rows(name, frame, steps - low, steps))
            if high:
                frame, steps = self.window(part, name, future[name]), buffer.shape[k]
                self.xp.copyto(self.rows(name, buffer, steps - high, steps), self.rows(name, frame, 0, high))

    def body(self, parts: Sequence[Part], name: str, first: int, stop: int) -> Any:
        """Some steps of a segment that has just been computed, from 0."""
        frame = self.empty(name, stop - first)
        for part in parts:
            low = part.layout.rooms[name][self.axes[name]][0]
            self.window(part, name, frame)[...] = self.rows(name, part.layout.buffers[name], low + first, low + stop)
        return frame

    def ending(self, parts: Sequence[Part], name: str, past: Any, size: int, lengths: Any) -> Any:
        """The last steps up to each example's end in this segment, lengths (by example), or up to the segment's."""
        k, low = self.axes[name], self.low(name)
        if lengths is None or not self.quantities[name].batched:
            own = self.body(parts, name, max(size - low, 0), size)
            return own if size >= low else self.xp.concatenate([self.rows(name, past, size, low), own], k)
        both = self.xp.concatenate([past, self.body(parts, name, 0, size)], k)
        return self.taken(name, both, lengths[:, None] + self.xp.arange(low))

    def beginning(self, parts: Sequence[Part], name: str, future: Any, size: int) -> Any:
        """The first steps of a segment, and of what comes after it, as far as the segment before it reads."""
        high = self.high(name)
        own = self.body(parts, name, 0, min(size, high))
        return own if size >= high else self.xp.concatenate([own, self.rows(name, future, 0, high - size)],
                                                            self.axes[name])

    def taken(self, name: str, frame: Any, rows: Any) -> Any:
        """rows (batch, steps) of a frame, each example's own."""
        by_example = self.xp.moveaxis(frame, (-1, self.axes[name]), (0, 1))
        found = by_example[self.xp.arange(len(rows))[:, None], rows]
        return self.xp.moveaxis(found, (0, 1), (-1, self.axes[name]))

    def by_step(self, name: str, frame: Any) -> Any:
        """A frame as (batch, steps, other indices, features); the batch is 1 where there is none."""
        if self.quantities[name].batched:
            return self.xp.moveaxis(frame, (-1, self.axes[name]), (0, 1))
        return self.xp.moveaxis(frame, self.axes[name], 0)[None]
