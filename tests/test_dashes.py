"""Dashes of gradients that share a stretch lie on each other there, so that they are still seen as dashes."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import pytest
from pages import model_of

from tinygrad_rnn.viz.api import make_scene
from tinygrad_rnn.viz.scene import Point, Wire
from tinygrad_rnn.viz.style import DASHES
from tinygrad_rnn.viz.writers.lines import path

PERIOD = sum(DASHES)
PIECES = 200  # in which a turn is measured


def lengths(wire: Wire) -> list[tuple[Point, Point, float]]:
    """The straight parts of a line as it is drawn, each with how far it is along the line to its start."""
    found, passed, at = [], 0.0, wire.points[0]
    for move in path(wire.points)[1:]:
        if move.kind == "L":
            found.append((at, move.points[0], passed))
            passed += math.dist(at, move.points[0])
        else:
            corner, end = move.points
            curve = [tuple((1 - u) ** 2 * a + 2 * u * (1 - u) * c + u * u * b for a, c, b in zip(
                at, corner, end, strict=True)) for u in (k / PIECES for k in range(PIECES + 1))]
            passed += sum(math.dist(a, b) for a, b in pairwise(curve))
        at = move.points[-1]
    return found


def shared(one: Wire, other: Wire, least: float) -> list[float]:
    """Of every stretch of more than `least` that both have, by how much of a period their dashes are apart."""
    apart = []
    for a, b, passed in lengths(one):
        for c, d, also in lengths(other):
            for along in (0, 1):
                flat = all(abs(p[1 - along] - a[1 - along]) < 0.05 for p in (b, c, d))
                low, high = (f(min(a[along], b[along]), min(c[along], d[along])) if f is max else f(
                    max(a[along], b[along]), max(c[along], d[along])) for f in (max, min))
                if flat and high - low > least and (a[along] < b[along]) == (c[along] < d[along]):
                    here, there = (w.phase + far + abs(low - start[along]) for w, far, start in (
                        (one, passed, a), (other, also, c)))
                    off = (here - there) % PERIOD
                    apart.append(min(off, PERIOD - off))
    return apart


# Where wires leave to both sides, as to an encoder below, those to one side cannot meet those to the other as well,
# with which they share a few points.
@pytest.mark.parametrize("name,steps,least", [
    ("attention", {"s": 3, "t": 3}, 60), ("rnn", 4, 30), ("many_to_one", 4, 30)])
def test_dashes_meet_where_gradients_share_a_way(name: str, steps: object, least: float) -> None:
    scene = make_scene(model_of(name), "backward", steps=steps)
    twins = [w for w in scene.wires if w.style == "gradient" and w.name != "legend"]
    apart = [off for one, other in combinations(twins, 2) for off in shared(one, other, least)]
    assert max(apart, default=0.0) < 0.5
    assert name != "attention" or len(apart) > 9
