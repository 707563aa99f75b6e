"""In which order boxes stand side by side in one row and column, so that few of their wires cross.

Told at the widest column of each row, for all of them alike: boxes change places with their neighbours as long as that
saves crossings, after Sugiyama et al. 1981; else they stand as they are written.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..template import Place
from ..view import Box, Link
from .ports import EDGE
from .routes import FAR, Routes

MOST = 40  # boxes beside each other that are looked at
SWEEPS = 2  # up and down

Ends = dict[str, list[tuple[float, str]]]  # box -> where its wires go, and what they are one with there


def sort(grid: Routes) -> None:
    """Let the boxes of each row stand in a good order."""
    into: dict[str, list[Link]] = {}
    out_of: dict[str, list[Link]] = {}
    for link in grid.view.links:
        out_of.setdefault(link.source, []).append(link)
        into.setdefault(link.target, []).append(link)
    widest: dict[int, list[Box]] = {}
    for (row, spot), found in grid.cells.items():
        if spot not in grid.facing and len(found) > max(1, len(widest.get(row, ()))):
            widest[row] = found
    rows = [row for row in sorted(widest) if len(widest[row]) <= MOST]
    for _ in range(SWEEPS):
        moved = False
        for row in [*rows, *reversed(rows)]:
            moved |= _sorted(grid, row, widest[row], into, out_of)
        if not moved:
            break
    grid.beside()


def _sorted(grid: Routes, row: int, found: list[Box], into: Mapping[str, list[Link]],
            out_of: Mapping[str, list[Link]]) -> bool:
    """Put boxes of one row and column in order; does any change its place?"""
    above: Ends = {b.key: [_end(grid, li) for li in out_of.get(b.key, ()) if _is_upright(grid, li)] for b in found}
    below: Ends = {b.key: [_start(grid, li) for li in into.get(b.key, ()) if _is_upright(grid, li)] for b in found}
    order = sorted(found, key=lambda b: grid.dx[b.key])
    moved = True
    changed = False
    while moved:
        moved = False
        for k in range(len(order) - 1):
            if _may_pass(grid, order[k], order[k + 1]) and _saved(order[k].key, order[k + 1].key, above, below) > 0:
                order[k : k + 2] = order[k + 1], order[k]
                moved = changed = True
    if changed:
        grid.turn |= {grid.kind(box): k for k, box in enumerate(order)}
        grid.again(row)
    return changed


def _may_pass(grid: Routes, a: Box, b: Box) -> bool:
    """May two boxes change places? Not what is given and what is computed, nor one quantity's for each layer."""
    return a.name != b.name and (a.key in grid.given) == (b.key in grid.given)


def _saved(a: str, b: str, *sides: Ends) -> int:
    """How many crossings are saved where b stands at the left of a and not at its right."""
    return sum(_crossed(ends[a], ends[b]) - _crossed(ends[b], ends[a]) for ends in sides)


def _crossed(left: list[tuple[float, str]], right: list[tuple[float, str]]) -> int:
    """How often the wires of two boxes cross."""
    return sum(x > y + EDGE and one != other for x, one in left for y, other in right)


def _is_upright(grid: Routes, link: Link) -> bool:
    """Does a wire go from the top of a box to the foot of another?"""
    return grid.out(link).side == "top" and grid.view.boxes[link.target].template.ins[link.port].side == "bottom"


def _end(grid: Routes, link: Link) -> tuple[float, str]:
    """Where a wire goes to from the channel above its source: the gutter that it takes, or else the box."""
    gutter = _gutter(grid, link, 1)
    target = grid.view.boxes[link.target]
    place = target.template.ins[link.port] if target.template.panels else Place(target.template.w / 2, 0, "")
    return (grid.port_x(target, place) if gutter is None else gutter), link.net


def _start(grid: Routes, link: Link) -> tuple[float, str]:
    """Where a wire comes from in the channel below its target."""
    gutter = _gutter(grid, link, -1)
    source = grid.view.boxes[link.source]
    place = Place(source.template.w / 2, 0, "")
    return (grid.port_x(source, place) if gutter is None else gutter), link.net


def _gutter(grid: Routes, link: Link, way: int) -> float | None:
    found = [number for kind, number in grid.walk(link)[::way] if kind == "gutter"]
    return 2 * found[0] * FAR if found else None
