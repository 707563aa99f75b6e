"""Values that are computed from no others: positions, the last of them, counts, and what is drawn for each run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..config import Feed
from ..node import BATCH, Node
from .draw import FILLS
from .layout import Layout, Value

LEAVES = {"position", "last", "count", *FILLS}


class Leaves:
    """Their arrays by node; `prelude` fills in what is not the same in each run.

    drawn: is anything drawn? counted: the indices whose positions enter; a state says how many are behind it.
    """

    def __init__(self, layout: Layout):
        self.layout, self.xp = layout, layout.xp
        self.values: dict[Node, Value] = {}
        self.prelude: list[Callable[[Feed], object]] = []
        self.drawn = False
        self.counted: set[str] = set()
        make = {"position": self._position, "last": self._last, "count": self._count}
        for node in layout.lifetimes.nodes:
            if node.op in LEAVES:
                self.values[node] = make.get(node.op, self._draw)(node)

    def _position(self, node: Node) -> Value:
        index, by_example, config = node.attr("index"), BATCH in node.indices, self.layout.config
        local = self.xp.arange(1, self.layout.size(index) + 1).astype(self.layout.dtype(node.dtype))
        if by_example:
            local = self.xp.broadcast_to(local[:, None], (*local.shape, config.batch))
            self.counted.add(index)
        if self.layout.system.range_of(index) not in config.carried | config.cut:
            return local, (index,)
        positions = self.xp.array(local)

        def fill(feed: Feed) -> None:
            """In a segment of time they count on from where it begins, and those of examples from the state."""
            before = feed.offset.get(index, 0) + (_behind(feed, index) if by_example else 0)
            self.xp.add(local, before, positions)

        self.prelude.append(fill)
        return positions, (index,)

    def _last(self, node: Node) -> Value:
        index, value = node.attr("index"), self.xp.zeros(self.layout.config.batch, self.layout.dtype(node.dtype))
        lengths = self.layout.ends[self.layout.system.range_of(index)]
        self.prelude.append(lambda feed: self.xp.copyto(value, lengths + _behind(feed, index), "unsafe"))
        return value, ()

    def _count(self, node: Node) -> Value:
        lay, xp, over = self.layout, self.xp, node.attr("over")
        joint, others = BATCH in over, [i for i in over if i != BATCH]
        value = xp.zeros(() if joint else lay.config.batch, lay.dtype(node.dtype))
        ends = lay.whole_batch if joint else lay.ends
        factors = [lay.size(i) if lay.is_static(i) else ends[lay.system.range_of(i)] for i in others]

        def fill(feed: Feed) -> None:
            by_example = xp.ones(lay.whole if joint else lay.config.batch, "float64")
            for factor in factors:
                by_example = by_example * factor
            xp.copyto(value, by_example.sum() if joint else by_example, "unsafe")

        if any(lay.system.range_of(i) in lay.config.lengths | lay.config.cut for i in others):
            self.prelude.append(fill)
        else:
            fill(Feed({}))
        return value, ()

    def _draw(self, node: Node) -> Value:
        labels, by_example = self.layout.labels(node), BATCH in node.indices
        array = self.layout.zeros(node, labels)
        self.drawn = True
        if node.op == "noise":
            self.counted |= set(labels) - set(self.layout.system.static)
        self.prelude.append(lambda feed: FILLS[node.op](self.xp, array, labels, by_example, node, feed))
        return array, labels


def _behind(feed: Feed, index: str) -> Any:
    """How many positions of each example came before: bare positions count on from there, as draws do."""
    return feed.behind.get(index, 0)
