"""What is right of the layout of every picture: each check yields what is wrong with one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from tinygrad_rnn.viz.graph.roles import Roles
from tinygrad_rnn.viz.layout.grid import layout
from tinygrad_rnn.viz.scene import Note, Scene, Shape
from tinygrad_rnn.viz.style import FILLS
from tinygrad_rnn.viz.text import string, width
from tinygrad_rnn.viz.view import View
from tinygrad_rnn.viz.views.folded import folded
from tinygrad_rnn.viz.views.unrolled import backward, unrolled
from tinygrad_rnn.viz.writers.lines import with_twins

NEAR = 0.01


class Picture:
    """A scene with what each of its items belongs to.

    boxes: left, top, right, bottom of each shape; owner: the box of the view that it is part of; parts: the straight
    parts of all wires, as left, top, right, bottom; wire_of: the wire of each.
    """

    def __init__(self, view: View, spoil: Callable[[Scene], None] = lambda scene: None):
        self.view = view
        before = layout(view)
        self.scene: Scene = with_twins(before)
        spoil(self.scene)
        self.owner, self.panel_owner = [], []
        inner: dict[tuple[tuple[int, int], ...], str] = {}  # where a wire goes -> the box inside which it does
        for box in view.boxes.values():
            of = box.template
            if of.panels:
                dx = before.panels[len(self.panel_owner)].x - of.panels[0].x
                dy = before.panels[len(self.panel_owner)].y - of.panels[0].y
                inner |= {tuple((round(x + dx), round(y + dy)) for x, y in w.points): box.key for w in of.wires}
            self.owner += [box.key] * len(of.shapes)
            self.panel_owner += [box.key] * len(of.panels)
        owners = [inner.get(tuple((round(x), round(y)) for x, y in w.points), "") for w in before.wires]
        self.wire_owner = [k for k, w in zip(owners, before.wires, strict=True) for _ in range(1 + w.gradient)]
        self.links_from = sum(1 for k in self.wire_owner if k)
        self.values = [(li.source, li.out, twin) for li in view.links for twin in range(1 + li.gradient)]
        self.wires = [w for w in self.scene.wires if w.name != "legend"]
        self.shapes, self.panels = self.scene.shapes, self.scene.panels
        self.boxes = corners(self.shapes)
        self.panel_boxes = corners(self.panels)
        ends = [(k, a, b) for k, w in enumerate(self.wires) for a, b in pairwise(w.points)]
        self.wire_of = np.array([k for k, _, _ in ends], int)
        self.parts = np.array([(min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]))
                               for _, a, b in ends]).reshape(-1, 4)


def corners(shapes: list[Shape]) -> np.ndarray:
    return np.array([(s.x, s.y, s.x + s.w, s.y + s.h) for s in shapes]).reshape(-1, 4)


def overlaps(a: np.ndarray, b: np.ndarray, near: float = NEAR) -> np.ndarray:
    """Which of the boxes a overlap which of the boxes b, by more than `near`."""
    a, b = a[:, None], b[None]
    return ((a[..., 0] < b[..., 2] - near) & (b[..., 0] < a[..., 2] - near)
            & (a[..., 1] < b[..., 3] - near) & (b[..., 1] < a[..., 3] - near))


def contains(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    outer, inner = outer[:, None], inner[None]
    return ((outer[..., :2] <= inner[..., :2] + NEAR) & (inner[..., 2:] <= outer[..., 2:] + NEAR)).all(-1)


def pairs(found: np.ndarray) -> Iterator[tuple[int, int]]:
    return zip(*(axis.tolist() for axis in np.nonzero(found)), strict=True)


def note_box(note: Note) -> tuple[float, float, float, float]:
    w = width(note.label, note.size)
    left = note.x - {"start": 0.0, "middle": w / 2, "end": w}[note.anchor]
    return left, note.y - note.size * 0.5, left + w, note.y + note.size * 0.5


def nets(p: Picture) -> list[int]:
    """The net of each wire: wires that share an end, or carry one value between boxes; twins apart from their wires."""
    parent = list(range(len(p.wires)))

    def find(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = parent[k]
        return k

    at: dict[object, int] = {}
    links = p.links_from
    for k, w in enumerate(p.wires):
        ends: list[object] = [(round(x, 1), round(y, 1)) for x, y in (w.points[0], w.points[-1])]
        for end in (*ends, *p.values[k - links : k - links + 1]) if k >= links else ends:
            parent[find(k)] = find(at.setdefault(end, k))
    return [find(k) for k in range(len(p.wires))]


# -- what is asserted ------------------------------------------------------------------------------


def on_the_page(p: Picture) -> Iterator[str]:
    s = p.scene
    numbers = [s.width, s.height, *p.boxes.flat, *p.parts.flat, *p.panel_boxes.flat]
    numbers += [v for n in s.notes for v in (n.x, n.y)]
    if not all(map(math.isfinite, numbers)):
        yield "a coordinate is not finite"
    page = np.array([[0.0, 0.0, s.width, s.height]])
    for what, found in (("shape", p.boxes), ("panel", p.panel_boxes), ("wire", p.parts),
                        ("note", np.array([note_box(n) for n in s.notes]).reshape(-1, 4))):
        if not contains(page, found).all():
            yield f"a {what} is off the page"
    for shape in p.shapes:
        for label, size in ((shape.label, shape.size), *((line, 11.0) for line in shape.lines)):
            if width(label, size) > shape.w + 0.5:
                yield f"text spills out of {shape.name}"


def boxes_apart(p: Picture) -> Iterator[str]:
    for a, b in pairs(np.triu(overlaps(p.boxes, p.boxes), 1)):
        yield f"{p.shapes[a].name or string(p.shapes[a].label)} on {p.shapes[b].name or string(p.shapes[b].label)}"
    for a, b in pairs(np.triu(overlaps(p.panel_boxes, p.panel_boxes), 1)):
        yield f"panel {string(p.panels[a].label)} on {string(p.panels[b].label)}"
    inside, touched = contains(p.panel_boxes, p.boxes), overlaps(p.panel_boxes, p.boxes)
    own = np.array([[a == b for b in p.owner] for a in p.panel_owner], bool).reshape(inside.shape)
    for a, b in pairs((own & ~inside) | (~own & touched)):
        yield f"panel of {p.panel_owner[a]} and {p.shapes[b].name}"


def wires_attached(p: Picture) -> Iterator[str]:
    """Wires are horizontal and vertical, and go from border to border; at a panel's they join another wire."""
    slanted = np.minimum(p.parts[:, 2] - p.parts[:, 0], p.parts[:, 3] - p.parts[:, 1]) > NEAR
    for k in np.nonzero(slanted)[0]:
        yield f"{p.wires[p.wire_of[k]].name} is slanted"
    real = [s for s in p.shapes if FILLS[s.style].stroke != "none"]
    at_box, at_panel = border_of(real), border_of(p.panels)
    at_hidden = border_of([s for s in p.shapes if FILLS[s.style].stroke == "none"])
    starts = {(round(x, 1), round(y, 1)) for w in p.wires for x, y in [w.points[0]]}
    ends = {(round(x, 1), round(y, 1)) for w in p.wires for x, y in [w.points[-1]]}
    for w, owner in zip(p.wires, p.wire_owner, strict=False):
        for point, last, others in ((w.points[0], False, ends), (w.points[-1], True, starts)):
            if at_box(point):
                continue
            if last and w.head and (owner or not at_panel(point)):
                yield f"the head of {w.name} is in the air"
            elif not at_panel(point) and not at_hidden(point):
                yield f"{w.name} {'ends' if last else 'starts'} in the air"
            elif not owner and not (last and w.head) and (round(point[0], 1), round(point[1], 1)) not in others and (
                    at_panel(point)):
                yield f"{w.name} meets no wire in the panel"


def border_of(shapes: list[Shape]) -> Callable[[tuple[float, float]], bool]:
    """Is a point on the border of one of the shapes?"""
    left, top, right, low = (corners(shapes) + np.array([-1, -1, 1, 1])).T

    def at(point: tuple[float, float]) -> bool:
        x, y = point
        near = np.nonzero((left <= x) & (x <= right) & (top <= y) & (y <= low))[0]
        return any(shapes[k].on_border(point) for k in near)

    return at


def wires_clear(p: Picture) -> Iterator[str]:
    """No wire runs through a box, and none from outside through a panel."""
    inner = p.boxes + np.array([1.5, 1.5, -1.5, -1.5])
    for k, s in enumerate(p.shapes):
        if s.kind == "circle":  # its box has empty corners
            inner[k] = (s.x + s.w * 0.2, s.y + s.h * 0.2, s.x + s.w * 0.8, s.y + s.h * 0.8)
        if FILLS[s.style].stroke == "none" and not s.label:
            inner[k] = 0
    for a, b in pairs(overlaps(p.parts, inner, -NEAR)):
        yield f"{p.wires[p.wire_of[a]].name} runs through {p.shapes[b].name or string(p.shapes[b].label)}"
    panel = p.panel_boxes + np.array([1.5, 1.5, -1.5, -1.5])
    own = np.array([[p.wire_owner[w] == b for b in p.panel_owner] for w in p.wire_of], bool).reshape(len(p.parts), -1)
    for a, b in pairs(overlaps(p.parts, panel, -NEAR) & ~own):
        yield f"{p.wires[p.wire_of[a]].name} runs through the panel of {p.panel_owner[b]}"


def nets_apart(p: Picture) -> Iterator[str]:
    """No two wires of different nets lie on each other over a length."""
    net = np.array(nets(p))[p.wire_of] if len(p.parts) else np.zeros(0, int)
    for low, high, at in ((0, 2, 1), (1, 3, 0)):
        flat = np.nonzero(p.parts[:, at + 2] - p.parts[:, at] < NEAR)[0]
        q, n = p.parts[flat], net[flat]
        shared = np.minimum(q[:, None, high], q[None, :, high]) - np.maximum(q[:, None, low], q[None, :, low])
        found = (np.abs(q[:, None, at] - q[None, :, at]) < 1.5) & (shared > 1.0) & (n[:, None] != n[None])
        for a, b in pairs(np.triu(found, 1)):
            here = f"{'xy'[at]} = {q[a, at]:.0f}, from {max(q[a, low], q[b, low]):.0f} for {shared[a, b]:.0f}"
            yield f"{p.wires[p.wire_of[flat[a]]].name} on {p.wires[p.wire_of[flat[b]]].name} at {here}"


def notes_clear(p: Picture) -> Iterator[str]:
    notes = np.array([note_box(n) for n in p.scene.notes]).reshape(-1, 4)
    for a, b in pairs(overlaps(notes, p.boxes)):
        yield f"label {string(p.scene.notes[a].label)} on {p.shapes[b].name}"
    for a, b in pairs(np.triu(overlaps(notes, notes), 1)):
        yield f"label {string(p.scene.notes[a].label)} on {string(p.scene.notes[b].label)}"
    left, top, right, low = p.panel_boxes.T
    borders = np.concatenate([np.stack(side, -1) for side in (
        (left, top, left, low), (right, top, right, low), (left, top, right, top), (left, low, right, low))])
    for a, _ in pairs(overlaps(notes, borders, -NEAR)):
        yield f"label {string(p.scene.notes[a].label)} on a panel's border"
    for a, b in pairs(overlaps(notes, p.parts, -NEAR)):
        yield f"{p.wires[p.wire_of[b]].name} through the label {string(p.scene.notes[a].label)}"


def a_grid(p: Picture) -> Iterator[str]:
    """A column a step, with the same offsets in each of a range; rows from the bottom up."""
    corner: dict[str, tuple[float, float, float, float]] = {}
    for keys, found in ((p.panel_owner, p.panel_boxes), (p.owner, p.boxes)):
        for key, (left, top, right, low) in zip(keys, found.tolist(), strict=True):
            corner.setdefault(key, (left, top, right, low))
    steps: dict[int, dict[str, tuple[float, float]]] = {}
    rows: dict[int, list[tuple[float, float]]] = {}
    for box in p.view.boxes.values():
        left, top, right, low = corner[box.key]
        rows.setdefault(box.row, []).append((top, low))
        if box.column is not None and box.column >= 0 and box.position and p.view.columns[box.column] != "…":
            steps.setdefault(box.column, {})[box.key.rsplit(".", 1)[0]] = left, top
    segments = p.view.segments or ((0, len(p.view.columns) - 1),)
    within = [sorted(k for k in steps if first <= k <= last) for first, last in segments]
    for before, here in ((steps[a], steps[b]) for of in within for a, b in pairwise(of)):
        if before.keys() != here.keys():
            yield f"steps differ in {before.keys() ^ here.keys()}"
        elif np.ptp([here[k][0] - before[k][0] for k in here]) > NEAR:
            yield "units stand differently from step to step"
        elif any(abs(here[k][1] - before[k][1]) > NEAR for k in here):
            yield "a step stands higher than another"
    for below, above in pairwise(sorted(rows)):
        if max(low for _, low in rows[above]) > min(top for top, _ in rows[below]) + NEAR:
            yield f"row {above} reaches below row {below}"


def states_straight(p: Picture) -> Iterator[str]:
    """Between direct neighbours a state goes straight to its next step."""
    named = {}
    for w in p.wires:
        named.setdefault(w.name, []).append(w)
    for li in p.view.links:
        a, b = p.view.boxes[li.source], p.view.boxes[li.target]
        unit = li.source.rsplit(".", 1)[0], li.target.rsplit(".", 1)[0]
        port = b.template.ins[li.port]
        if unit[0] != unit[1] or None in (a.column, b.column) or abs(a.column - b.column) != 1 or port.side not in (
                "left", "right"):
            continue
        if "…" in (p.view.columns[a.column], p.view.columns[b.column]):
            continue
        nearest = [k for k in b.template.ins if k.split("[")[0] == li.out and b.template.ins[k].side == port.side]
        if nearest[0] == li.port and not any(len(w.points) == 2 for w in named[f"{li.source} -> {li.target}"]):
            yield f"{li.source} -> {li.target} ({li.out}) is not straight"


CHECKS = (on_the_page, boxes_apart, wires_attached, wires_clear, nets_apart, notes_clear, a_grid, states_straight)


def faults(found: Roles, view: str, steps: int, detail: str | None = None) -> list[str]:
    """What is wrong with a picture of a model of these roles, by the checks."""
    if view == "folded":
        picture = Picture(folded(found, detail=detail))
    else:
        picture = Picture({"unrolled": unrolled, "backward": backward}[view](found, steps, True, detail))
    return [f"{check.__name__}: {fault}" for check in CHECKS for fault in check(picture)]
