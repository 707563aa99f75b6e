"""Parallel tracks for the wires of one channel, so that no two run on each other."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple, TypeVar

N = TypeVar("N", bound=Hashable)


class Span(NamedTuple):
    """The stretch of a channel that a net needs, and where it leaves to the first and to the second side."""

    low: float
    high: float
    first: tuple[float, ...] = ()
    second: tuple[float, ...] = ()


def assign(spans: dict[N, Span], near: float) -> tuple[dict[N, int], int]:
    """net -> track 0, 1, ...: nets that overlap differ, and at a shared leaving point the first side's is lower.

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
    return done, sum(done[b] >= done[net] for net, below in order for b in below)


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
