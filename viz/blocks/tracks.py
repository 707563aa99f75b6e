"""Parallel tracks for the wires of one channel, so that no two run on each other."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Iterator
from typing import NamedTuple, TypeVar

N = TypeVar("N", bound=Hashable)


FIRM = 1000  # crossings as which it counts that two wires run on each other
CLOSE = 24  # how many of the nets that began last are looked at, where very many overlap


class Span(NamedTuple):
    """The stretch of a channel that a net needs, and where it leaves to the first and to the second side, in order;
    afar: the same where only the way is known as yet, by which it leaves, and not the very place."""

    low: float
    high: float
    first: tuple[float, ...] = ()
    second: tuple[float, ...] = ()
    afar: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())

    def crossed(self, upper: Span) -> int:
        """How often the two cross where this one's track is the lower."""
        return (_within(upper.first, self) + _within(upper.afar[0], self) + _within(self.second, upper)
                + _within(self.afar[1], upper))


def assign(spans: dict[N, Span], near: float) -> tuple[dict[N, int], int]:
    """net -> track 0, 1, ...: nets that overlap differ, at a shared leaving point the first side's is lower, and few
    cross.

    Where those wishes form a circle, the one found last gives way; also the number of such wishes.
    """
    order = _ordered(spans, near)
    tracks: list[list[tuple[float, float]]] = []
    done: dict[N, int] = {}
    for net, below in order:
        low, high = spans[net].low - near, spans[net].high + near
        k = max((done[b] + 1 for b in below if b in done), default=0)
        while k < len(tracks) and any(a < high and low < b for a, b in _around(tracks[k], low)):
            k += 1
        while k >= len(tracks):
            tracks.append([])
        tracks[k].append((low, high))
        done[net] = k
    place = _sorted(_costs(spans, done, order, len(tracks)))
    done = {net: place[k] for net, k in done.items()}
    return done, sum(done[b] >= done[net] for net, below in order for b in below)


def _within(places: tuple[float, ...], span: Span) -> int:
    """How many places, in order, lie inside a stretch."""
    if not places:
        return 0
    return max(0, bisect_left(places, span.high - 0.5) - bisect_right(places, span.low + 0.5))


def _costs(spans: dict[N, Span], at: dict[N, int], order: list[tuple[N, list[N]]], count: int) -> list[list[int]]:
    """[a][b]: how many crossings there are because track a is lower than track b."""
    cost = [[0] * count for _ in range(count)]
    for net, below in order:
        for lower in below:
            cost[at[net]][at[lower]] += FIRM
    for one, other in _overlapping(spans) if count > 1 else ():
        a, b = at[one], at[other]
        cost[a][b] += spans[one].crossed(spans[other])
        cost[b][a] += spans[other].crossed(spans[one])
    return cost


def _overlapping(spans: dict[N, Span]) -> Iterator[tuple[N, N]]:
    """The pairs of nets that need one stretch."""
    open_: list[N] = []
    for net in sorted(spans, key=lambda n: spans[n].low):
        open_ = [o for o in open_ if spans[o].high > spans[net].low]
        yield from ((o, net) for o in open_[:CLOSE] + open_[CLOSE:][-CLOSE:])
        open_.append(net)


def _sorted(cost: list[list[int]]) -> list[int]:
    """The place of each track, so that there are few crossings: one after another goes where it has the fewest."""
    more = [[one - other for one, other in zip(row, column, strict=True)] for row, column in zip(
        cost, zip(*cost, strict=True), strict=True)]  # [a][b]: crossings by a below b and not above it
    order = list(range(len(cost)))
    moved = True
    while moved:
        moved = False
        for track in range(len(cost)):
            at = order.index(track)
            saved = best = 0
            to = at
            own = more[track]
            for k in range(at - 1, -1, -1):
                saved -= own[order[k]]
                if saved > best:
                    best, to = saved, k
            saved = 0
            for k in range(at + 1, len(order)):
                saved += own[order[k]]
                if saved > best:
                    best, to = saved, k
            if to != at:
                order.insert(to, order.pop(at))
                moved = True
    place = [0] * len(order)
    for k, track in enumerate(order):
        place[track] = k
    return place


def _around(taken: list[tuple[float, float]], low: float) -> Iterable[tuple[float, float]]:
    """The stretches of a track that may reach beyond low; nets come from left to right, mostly."""
    return [t for t in taken[-24:] if t[1] > low] if len(taken) > 24 else taken


def _ordered(spans: dict[N, Span], near: float) -> list[tuple[N, list[N]]]:
    """Nets from left to right, each after those that must lie below it."""
    firsts: dict[int, list[tuple[float, N]]] = {}
    for net, span in spans.items():
        for x in span.first:
            firsts.setdefault(round(x / near), []).append((x, net))
    below: dict[N, list[N]] = {}
    for net, span in spans.items():
        found = dict.fromkeys(other for x in span.second for cell in range(round(x / near) - 1, round(x / near) + 2)
                              for at, other in firsts.get(cell, ()) if abs(at - x) < near and other != net)
        below[net] = list(found)
    todo = sorted(spans, key=lambda n: (spans[n].low, spans[n].high))
    out: list[tuple[N, list[N]]] = []
    state: dict[N, int] = {}
    for root in todo:
        stack = [root]
        while stack:
            net = stack[-1]
            if state.get(net) == 2:
                stack.pop()
                continue
            waiting = [b for b in below[net] if b not in state]
            if state.get(net) is None:
                state[net] = 1
            if waiting:
                stack.append(waiting[0])
            else:
                state[net] = 2
                out.append((net, below[net]))
                stack.pop()
    return out
