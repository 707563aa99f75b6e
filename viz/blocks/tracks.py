"""Parallel tracks for the wires of one channel, so that no two run on each other."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterator
from typing import NamedTuple, TypeVar

N = TypeVar("N", bound=Hashable)


FIRM, WORSE = 1000, 20  # crossings as which it counts that two wires run too near to each other, and how often that
TOUCH = 0.6  # of what is near: where they run on each other, or one on the other's twin
CLOSE = 24  # how many of the nets that began last are looked at, where very many overlap
LATEST = 24  # how many of the stretches of a track that came last, since nets come from left to right, mostly
MOST_EXCHANGED = 400  # nets of a channel of which single ones change places
REACH, SWEEPS = 60, 8  # how many tracks away a track is put at most, and how often all are looked at


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

    Where those wishes form a circle, some give way; also how many do, by their weight.
    """
    order = _ordered(spans, near)
    tracks: list[list[tuple[float, float]]] = []
    done: dict[N, int] = {}
    for net, below in order:
        low, high = spans[net].low - near, spans[net].high + near
        k = max((done[b] + 1 for b in below if b in done), default=0)
        while k < len(tracks) and _is_taken(tracks[k], low, high):
            k += 1
        while k >= len(tracks):
            tracks.append([])
        tracks[k].append((low, high))
        done[net] = k
    cost = _costs(spans, order, near) if len(tracks) > 1 else {}
    for _ in range(SWEEPS):
        place = _sorted(_of_tracks(cost, done, len(tracks)))
        done = {net: place[k] for net, k in done.items()}
        if len(spans) > MOST_EXCHANGED or not _exchange(spans, done, cost, near):
            break
    return done, sum(_weight(apart, near) for net, below in order for b, apart in below.items()
                     if done[b] >= done[net])


def _weight(apart: float, near: float) -> int:
    return WORSE if apart < TOUCH * near else 1


def _is_taken(track: list[tuple[float, float]], low: float, high: float) -> bool:
    """Does a stretch meet one of a track's? Mostly it is the one that came last."""
    if not track:
        return False
    a, b = track[-1]
    return (a < high and low < b) or any(a < high and low < b for a, b in track[-2 : -LATEST - 1 : -1])


def _within(places: tuple[float, ...], span: Span) -> int:
    """How many places, in order, lie inside a stretch."""
    if not places:
        return 0
    if len(places) == 1:
        return span.low + 0.5 < places[0] < span.high - 0.5
    return max(0, bisect_left(places, span.high - 0.5) - bisect_right(places, span.low + 0.5))


def _costs(spans: dict[N, Span], order: list[tuple[N, dict[N, float]]], near: float) -> dict[N, dict[N, int]]:
    """[a][b]: how many crossings more there are where net a is lower than net b than where it is not."""
    cost: dict[N, dict[N, int]] = {net: {} for net in spans}

    def add(a: N, b: N, more: int) -> None:
        if more:
            cost[a][b] = cost[a].get(b, 0) + more
            cost[b][a] = cost[b].get(a, 0) - more

    for net, below in order:
        for lower, apart in below.items():
            add(net, lower, FIRM * _weight(apart, near))
    for a, b in _overlapping(spans):
        add(a, b, spans[a].crossed(spans[b]) - spans[b].crossed(spans[a]))
    return cost


def _of_tracks(cost: dict[N, dict[N, int]], at: dict[N, int], count: int) -> list[dict[int, int]]:
    """The same of tracks, with all that is in them."""
    found: list[dict[int, int]] = [{} for _ in range(count)]
    for net, own in cost.items():
        row = found[at[net]]
        for other, more in own.items():
            if at[other] != at[net]:
                row[at[other]] = row.get(at[other], 0) + more
    return found


def _overlapping(spans: dict[N, Span]) -> Iterator[tuple[N, N]]:
    """The pairs of nets that need one stretch."""
    open_: list[N] = []
    for net in sorted(spans, key=lambda n: spans[n].low):
        open_ = [o for o in open_ if spans[o].high > spans[net].low]
        yield from ((o, net) for o in open_[:CLOSE] + open_[CLOSE:][-CLOSE:])
        open_.append(net)


def _sorted(cost: list[dict[int, int]]) -> list[int]:
    """The place of each track, so that there are few crossings: one after another goes where it has the fewest."""
    order = list(range(len(cost)))
    for _ in range(SWEEPS):
        moved = False
        for track, own in enumerate(cost):
            if not own:
                continue
            at = order.index(track)
            saved = best = 0
            to = at
            for k in range(at - 1, max(-1, at - REACH), -1):
                saved -= own.get(order[k], 0)
                if saved > best:
                    best, to = saved, k
            saved = 0
            for k in range(at + 1, min(len(order), at + REACH)):
                saved += own.get(order[k], 0)
                if saved > best:
                    best, to = saved, k
            if to != at:
                order.insert(to, order.pop(at))
                moved = True
        if not moved:
            break
    place = [0] * len(order)
    for k, track in enumerate(order):
        place[track] = k
    return place


def _exchange(spans: dict[N, Span], at: dict[N, int], cost: dict[N, dict[N, int]], near: float) -> bool:
    """Let two nets change tracks where fewer cross so and nothing else is in their way, since a track was put with all
    that is in it. Did any?"""
    members: dict[int, set[N]] = {}
    for net, k in at.items():
        members.setdefault(k, set()).add(net)

    def worth(net: N, k: int, without: N) -> int:
        return sum(more for other, more in cost[net].items() if other != without and k < at[other])

    def fits(net: N, k: int, without: N) -> bool:
        low, high = spans[net].low - 2 * near, spans[net].high + 2 * near
        return all(m == without or spans[m].high <= low or high <= spans[m].low for m in members[k])

    pairs = list(_overlapping(spans)) if cost else []
    any_moved = False
    for _ in range(SWEEPS):
        moved = False
        for a, b in pairs:
            i, j = at[a], at[b]
            own = cost[a].get(b, 0) * (1 if i < j else -1)
            gain = own + worth(a, i, b) + worth(b, j, a) - worth(a, j, b) - worth(b, i, a)
            if i != j and gain > 0 and fits(a, j, b) and fits(b, i, a):
                at[a], at[b] = j, i
                members[i] ^= {a, b}
                members[j] ^= {a, b}
                moved = any_moved = True
        if not moved:
            break
    return any_moved


def _ordered(spans: dict[N, Span], near: float) -> list[tuple[N, dict[N, float]]]:
    """Nets from left to right, each after those that must lie below it, with how far apart the two leave."""
    firsts: dict[int, list[tuple[float, N]]] = {}
    for net, span in spans.items():
        for x in span.first:
            firsts.setdefault(round(x / near), []).append((x, net))
    below: dict[N, dict[N, float]] = {}
    for net, span in spans.items():
        below[net] = {}
        for x in span.second:
            for cell in range(round(x / near) - 1, round(x / near) + 2):
                for at, other in firsts.get(cell, ()):
                    if abs(at - x) < near and other != net:
                        below[net][other] = min(abs(at - x), below[net].get(other, near))
    todo = sorted(spans, key=lambda n: (spans[n].low, spans[n].high))
    out: list[tuple[N, dict[N, float]]] = []
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
