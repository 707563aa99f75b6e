"""The layout of every picture, proved right on declared models of every kind: ready ones, the zoo, and random ones."""

from __future__ import annotations

import math
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import zoo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tinygrad_rnn.catalogue import models
from tinygrad_rnn.viz import write_svg
from tinygrad_rnn.viz.foldedview import folded
from tinygrad_rnn.viz.grid import layout
from tinygrad_rnn.viz.lines import with_twins
from tinygrad_rnn.viz.roles import roles
from tinygrad_rnn.viz.scene import Note, Scene, Shape, Wire
from tinygrad_rnn.viz.style import FILLS, INK
from tinygrad_rnn.viz.text import plain, string, width
from tinygrad_rnn.viz.unrolled import backward, unrolled
from tinygrad_rnn.viz.view import View

VIEWS = [*(("folded", 1, detail) for detail in ("closed", "gates", "ops")),
         *(("unrolled", n, "ops") for n in (1, 2, 4, 20)), ("unrolled", 3, "closed"), ("unrolled", 3, "gates"),
         *(("backward", n, "gates") for n in (1, 2, 4, 20)), ("backward", 3, "closed")]
NEAR = 0.01

# -- what is looked at -----------------------------------------------------------------------------


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
    starts = {(round(x, 1), round(y, 1)) for w in p.wires for x, y in [w.points[0]]}
    ends = {(round(x, 1), round(y, 1)) for w in p.wires for x, y in [w.points[-1]]}
    for w, owner in zip(p.wires, p.wire_owner, strict=False):
        for point, last, others in ((w.points[0], False, ends), (w.points[-1], True, starts)):
            if any(s.on_border(point) for s in around(p, real, point)):
                continue
            if last and w.head and (owner or not any(s.on_border(point) for s in around(p, p.panels, point))):
                yield f"the head of {w.name} is in the air"
            elif not any(s.on_border(point) for s in around(p, p.panels, point)) and not any(
                    s.on_border(point) for s in p.shapes if FILLS[s.style].stroke == "none"):
                yield f"{w.name} {'ends' if last else 'starts'} in the air"
            elif not owner and not (last and w.head) and (round(point[0], 1), round(point[1], 1)) not in others and any(
                    s.on_border(point) for s in p.panels):
                yield f"{w.name} meets no wire in the panel"


def around(p: Picture, shapes: list[Shape], point: tuple[float, float]) -> list[Shape]:
    x, y = point
    return [s for s in shapes if s.x - 1 <= x <= s.x + s.w + 1 and s.y - 1 <= y <= s.y + s.h + 1]


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


def faults(model: tr.Model, view: str, steps: int, detail: str | None = None) -> list[str]:
    found = roles(model.system)
    if view == "folded":
        picture = Picture(folded(found, detail=detail))
    else:
        picture = Picture({"unrolled": unrolled, "backward": backward}[view](found, steps, True, detail))
    return [f"{check.__name__}: {fault}" for check in CHECKS for fault in check(picture)]


# -- models of every kind --------------------------------------------------------------------------

READY = {name: zoo.build(name) for name in zoo.MODELS} | {f"ready {name}": make() for name, make in models().items()}
READY |= {"two layers of lstm": tr.graphs.lstm(layers=2), "three layers of gru": tr.graphs.gru(layers=3)}
READY |= {f"gradient of {name}": model.grad("loss") for name, model in list(READY.items())}


def move(items: list, k: int, **by: float) -> None:
    items[k] = replace(items[k], **{name: getattr(items[k], name) + d for name, d in by.items()})


def bend(wires: list[Wire], k: int, dx: float, dy: float) -> None:
    wires[k] = replace(wires[k], points=tuple((x + dx, y + dy) for x, y in wires[k].points))


def lay_on(wires: list[Wire], k: int, other: int) -> None:
    """Put a wire on another of two points, a little shorter."""
    (x, y), (z, _) = wires[other].points
    wires[k] = replace(wires[k], points=((x + 3, y), (z - 3, y)))


def straight(scene: Scene) -> int:
    return next(k for k, w in enumerate(scene.wires) if len(w.points) == 2 and w.points[0][1] == w.points[1][1]
                and w.points[1][0] - w.points[0][0] > 20)


SPOILS: dict[str, tuple[str, Callable[[Scene], None]]] = {
    "a box on another": ("boxes_apart", lambda s: move(s.shapes, 0, x=s.shapes[1].x - s.shapes[0].x,
                                                       y=s.shapes[1].y - s.shapes[0].y)),
    "a panel too small": ("boxes_apart", lambda s: move(s.panels, 0, w=-40.0)),
    "a box off the page": ("on_the_page", lambda s: move(s.shapes, 0, y=1e4)),
    "a coordinate that is none": ("on_the_page", lambda s: move(s.shapes, 0, y=math.nan)),
    "a wire off its box": ("wires_attached", lambda s: bend(s.wires, 0, 0.0, 30.0)),
    "a wire through a panel": ("wires_clear", lambda s: bend(s.wires, -1, -20.0, 150.0)),
    "a wire on another": ("nets_apart", lambda s: lay_on(s.wires, 0, straight(s))),
    "a label on a box": ("notes_clear", lambda s: s.notes.append(Note(*s.shapes[0].centre, plain("h"), 11.0, INK))),
    "a label on a wire": ("notes_clear", lambda s: s.notes.append(Note(*s.wires[0].points[0], plain("h"), 11.0, INK))),
    "a step to the right": ("a_grid", lambda s: move(s.panels, 1, x=5.0)),
    "a state that bends": ("states_straight", lambda s: s.wires.__setitem__(slice(None), [
        replace(w, points=(w.points[0], w.points[0], w.points[-1])) for w in s.wires])),
}


@pytest.mark.parametrize("what", SPOILS)
def test_the_checks_can_fail(what: str) -> None:
    check, spoil = SPOILS[what]
    view = unrolled(roles(READY["lstm"].system), 3, True)
    assert not any(any(c(Picture(view))) for c in CHECKS)
    assert check in {c.__name__ for c in CHECKS if any(c(Picture(view, spoil)))}


@pytest.mark.parametrize("name", READY)
def test_ready_models(name: str) -> None:
    for case in VIEWS:
        assert not (found := faults(READY[name], *case)), f"{case}: {found[:5]}"


# -- random models ---------------------------------------------------------------------------------

NAMES = ["h", "c", "k", "q", "state_with_a_long_name", "m", "p", "ü", "v2", "u"]
SQUASH = ["tanh", "sigmoid", "relu", "sin"]


class _Writer:
    """Declares a random model, equation by equation; every quantity has 3 features."""

    def __init__(self, draw: st.DrawFn):
        self.draw = draw
        self.lines: list[str] = []
        self.names = list(NAMES)
        self.weights = 0
        self.below = ["x[t]"]
        if self.flip():
            self.below.append("another_input[t]")

    def flip(self, odds: int = 2) -> bool:
        return self.draw(st.integers(0, odds - 1)) == odds - 1

    def one(self, found: list[str]) -> str:
        return self.draw(st.sampled_from(found))

    def weight(self) -> str:
        self.weights += 1
        return self.one(["W", "U", "R_x"]) + f"_{self.weights}"

    def name(self, prefix: str = "") -> str:
        return prefix + self.names.pop(self.draw(st.integers(0, len(self.names) - 1))) if self.names else (
            f"{prefix}z{len(self.lines)}")

    def say(self, left: str, right: str) -> None:
        self.lines.append(f"{left} = {right}")

    def mixed(self, terms: list[str], most: int = 3) -> str:
        """An affine map of some terms, squashed, or a sum of products."""
        chosen = self.draw(st.lists(st.sampled_from(terms), min_size=1, max_size=most, unique=True))
        affine = " + ".join(f"{self.weight()} @ {term}" for term in chosen)
        kind = self.draw(st.integers(0, 3))
        if kind == 0:
            return " * ".join(chosen)
        if kind == 1:
            return f"{chosen[0]} + {self.one(SQUASH)}({affine})"
        return f"{self.one(SQUASH)}({affine} + {self.weight()})" if kind == 2 else f"{self.one(SQUASH)}({affine})"

    def cell(self) -> None:
        """States that read each other at a shift, with gates before them and perhaps a boundary."""
        shifts = self.one(["t-1", "t-1", "t-1", "t+1", "t-2", "t-1 t-2", "t+1 t+3"]).split()
        states = [self.name() for _ in range(self.draw(st.integers(1, 3)))]
        before = [f"{name}[{shift}]" for name in states for shift in shifts]
        below = self.below[-3:]
        gates = []
        for _ in range(self.draw(st.integers(0, 4))):
            gate = self.name("g_")
            self.say(f"{gate}[t]", self.mixed(below + before + gates))
            gates.append(f"{gate}[t]")
        done: list[str] = []
        for state in states:
            own = f"{state}[{self.one(shifts)}]"
            new = self.mixed(below + gates + before + done)
            self.say(f"{state}[t]", f"{self.one(gates or below)} * {own} + {new}" if self.flip() else
                     f"{new} + {self.weight()} @ {own}")
            done.append(f"{state}[t]")
            if self.flip(4):
                last = "T+1" if "+" in shifts[0] else "0"
                self.say(f"{state}[{last}]", self.one([f"tanh({self.weight()} @ img[n])", f"tanh({self.weight()})"]))
        self.below = [*self.below, *done]

    def plain(self) -> None:
        terms = self.below[-4:]
        if self.flip(3):
            terms = [*terms, *(term.replace("[t]", self.one(["[t-1]", "[t+1]", "[t-2]"])) for term in terms)]
        name = self.name()
        self.say(f"{name}[t]", self.mixed(terms, 4))
        self.below.append(f"{name}[t]")

    def deep(self) -> None:
        """A network whose layers are an index."""
        name, below = self.name(), self.below[-1]
        self.say(f"{name}[l,t]", f"tanh(W[l] @ {name}[l-1,t] + U[l] @ {name}[l,t-1] + b[l])")
        self.say(f"{name}[0,t]", f"E @ {below}")
        self.below.append(f"{name}[3,t]")

    def attention(self) -> None:
        own, scores, alpha, context = self.below[-1], self.name("e_"), self.name("a_"), self.name("ctx_")
        memory = "z[s]" if self.flip() else self.below[-1].replace("t]", "s]")
        if self.flip():
            self.say(f"{scores}[t,s]", f"dot({own}, {memory})")
            scored = f"{scores}[t,s]"
        else:
            scored = f"dot({self.weight()} @ {own}, {memory})"
        self.say(f"{alpha}[t,s]", f"softmax({scored}, over=s)")
        self.say(f"{context}[t]", f"sum({alpha}[t,s] * {memory}, over=s)")
        self.below.append(f"{context}[t]")

    def read_out(self) -> None:
        """Outputs a step or of the sequence, and perhaps a loss."""
        top = self.below[-1]
        for k in range(self.draw(st.integers(0, 3))):
            term = self.one(self.below[-4:])
            last = term.replace("t]", "T]")
            kind = self.draw(st.integers(0, 3))
            if kind == 0:
                self.say(f"out{k}[t]", f"softmax({self.weight()} @ {term})")
                top = f"out{k}[t]"
            else:
                whole = [f"V{k} @ {last}", f"sum({term}, over=t)", f"mean({term}, over=t) + {last}"]
                self.say(f"out{k}", whole[kind - 1])
        if self.flip():
            self.say("loss", self.one([f"mean(squared_error({top}, target[t]))", f"mean({top} * {top})",
                                       f"mean(cross_entropy(softmax({top}), target[t]))"]))


@st.composite
def declared(draw: st.DrawFn) -> str:
    writer = _Writer(draw)
    for part in draw(st.lists(st.sampled_from(["cell", "cell", "cell", "plain", "plain", "deep", "attention"]),
                              min_size=1, max_size=4)):
        if part != "deep" or "W[l]" not in "".join(writer.lines):
            getattr(writer, part)()
    writer.read_out()
    return "\n".join(writer.lines)


def built(text: str) -> tr.Model | None:
    """The model of a text; None for one that has no order of computing."""
    vectors = set(re.findall(r"(\w+)\[", text)) | set(re.findall(r"^(\w+) =", text, re.M))
    sizes = {name: 3 for name in vectors if not name.startswith(("e_", "a_", "target", "W", "U", "b", "loss"))}
    sizes |= {"l": 3} if "[l," in text else {}
    try:
        return tr.equations(text, **sizes)
    except tr.Error:
        return None


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(declared(), st.sampled_from([1, 2, 4, 20]), st.booleans())
def test_random_models(text: str, steps: int, derived: bool) -> None:
    model = built(text)
    if model is None:
        return
    if derived and "loss" in model.system.quantities:
        model = model.grad("loss")
    for view, count in (("folded", 1), ("unrolled", steps), ("backward", steps)):
        assert not (found := faults(model, view, count)), f"{view}, {count} steps: {found[:5]}\n{text}"


# -- what is written -------------------------------------------------------------------------------


def drawn(d: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where the path of an SVG file starts and ends."""
    at, start = (0.0, 0.0), None
    for kind, numbers in re.findall(r"([MmLlQqZ])([^MmLlQqZ]*)", d):
        values = [float(v) for v in numbers.split()]
        if kind in "ml" or kind == "q":
            x, y = values[-2:] if kind == "q" else (sum(values[0::2]), sum(values[1::2]))
            at = at[0] + x, at[1] + y
        elif kind in "ML":
            at = values[-2], values[-1]
        start = start or at
    assert start is not None
    return start, at


@pytest.mark.parametrize("view", ["unrolled", "backward"])
def test_svg_draws_the_scene(view: str) -> None:
    """Every line starts and ends where its wire does, the end under the head, whose tip is there; circles alike."""
    make = {"unrolled": unrolled, "backward": backward}[view]
    scene = with_twins(layout(make(roles(READY["ready lstm"].system), 3, True)))
    root = ET.fromstring(write_svg.svg(scene))
    paths = [e for e in root.iter() if e.tag.endswith("path")]
    for w in scene.wires:
        start, end = drawn(paths.pop(0).get("d", ""))
        assert math.dist(start, w.points[0]) < 0.02 and math.dist(end, w.points[-1]) < (11 if w.head else 0.1)
        if w.head:
            tip = re.match(r"M(\S+) (\S+)m(\S+) (\S+)l", paths.pop(0).get("d", ""))
            assert tip is not None
            x, y, dx, dy = map(float, tip.groups())
            assert math.dist((x + dx, y + dy), w.points[-1]) < 0.02
    assert not paths
    found = [(float(e.get("cx", 0)), float(e.get("cy", 0))) for e in root.iter() if e.tag.endswith("circle")]
    assert np.allclose(found, [s.centre for s in scene.shapes if s.kind == "circle"], atol=0.006)
    titles = [e.text for e in root.iter() if e.tag.endswith("title")]
    assert {s.name for s in scene.shapes if s.name} <= set(titles)


# -- what is asked of some pictures ----------------------------------------------------------------


def test_many_results_stand_in_one_panel() -> None:
    """The gradients of an LSTM's weights: each in a box with its equation, one wire a step for each quantity read."""
    found = roles(READY["gradient of ready lstm"].system)
    view = unrolled(found, 3, True)
    template = view.boxes[" results"].template
    shown = [s.mark.name for s in template.shapes if s.mark and s.lines]
    assert sorted(shown) == sorted(f"d_{name}" for name in READY["ready lstm"].weights)
    assert set(template.ins) == {"x[t]", "h[t]", *(f"d_a_{gate}[t]" for gate in "ifogy")}
    into = [(li.source, li.port) for li in view.links if li.target == " results"]
    assert len(into) == len(set(into)) == 3 * 7
    few = unrolled(roles(READY["gradient of ready rnn"].system), 3, True)
    assert " results" not in few.boxes and "d_W_hh" in few.boxes
    scene = layout(view)
    assert 0.6 < scene.width / scene.height < 2.2


def test_a_constant_that_nothing_reads_is_left_out() -> None:
    model = READY["gradient of ready rnn"]
    assert "d_loss" in model.system.quantities
    for make in (unrolled, backward):
        view = make(roles(model.system), 3, True)
        linked = {key for li in view.links for key in (li.source, li.target)}
        assert set(view.boxes) == linked
    alone = tr.equations("k = 2")
    assert len(unrolled(roles(alone.system), 3, True).boxes) == 1


def test_initial_values_feed_all_that_reads_them() -> None:
    """The gradient's cell reads c[t-1]: at the first step that is the initial value of c."""
    view = unrolled(roles(READY["gradient of ready lstm"].system), 3, True)
    assert {li.target for li in view.links if li.source == "i:c[0]"} == {"i.0", "d_h.0"}


def test_no_gradient_comes_from_nowhere() -> None:
    """Nothing reads the last c from outside its cell, so that no twin enters there; its own line goes on."""
    scene = with_twins(layout(backward(roles(READY["ready lstm"].system), 3, True)))
    assert sum(w.name == "c ->" for w in scene.wires) == 3
    assert sum(w.name == "gradient of c ->" for w in scene.wires) == 2


def test_the_cost_is_linear() -> None:
    """Four times the steps take about four times as many calls of functions."""
    def calls(steps: int) -> int:
        count = 0

        def counted(frame: object, event: str, argument: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(counted)
        try:
            write_svg.svg(with_twins(layout(backward(roles(READY["ready gru"].system), steps, False))))
        finally:
            sys.setprofile(None)
        return count

    calls(10)
    assert calls(160) < 4.4 * calls(40)
