"""The layout of every picture, proved right on declared models of every kind: ready ones, the zoo, and random ones."""

from __future__ import annotations

import math
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import zoo
from geometry import CHECKS, Picture, faults
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_declared import built, declared

import tinygrad_rnn as tr
from tinygrad_rnn.commands.catalogue import models
from tinygrad_rnn.viz.graph.roles import roles
from tinygrad_rnn.viz.layout.grid import layout
from tinygrad_rnn.viz.scene import Note, Scene, Wire
from tinygrad_rnn.viz.style import INK
from tinygrad_rnn.viz.text import plain
from tinygrad_rnn.viz.views.unrolled import backward, unrolled
from tinygrad_rnn.viz.writers import svg as write_svg
from tinygrad_rnn.viz.writers.lines import with_twins

VIEWS = [*(("folded", 1, detail) for detail in ("closed", "gates", "ops")),
         *(("unrolled", n, "ops") for n in (1, 2, 4, 20)), ("unrolled", 3, "closed"), ("unrolled", 3, "gates"),
         *(("backward", n, "gates") for n in (1, 2, 4, 20)), ("backward", 3, "closed")]

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
    found = roles(READY[name].system)
    for case in VIEWS:
        assert not (wrong := faults(found, *case)), f"{case}: {wrong[:5]}"


# -- random models ---------------------------------------------------------------------------------


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(declared(), st.sampled_from([1, 2, 4, 20]), st.booleans())
def test_random_models(text: str, steps: int, derived: bool) -> None:
    model = built(text)
    if model is None:
        return
    if derived and "loss" in model.system.quantities:
        model = model.grad("loss")
    found = roles(model.system)
    for view, count in (("folded", 1), ("unrolled", steps), ("backward", steps)):
        assert not (wrong := faults(found, view, count)), f"{view}, {count} steps: {wrong[:5]}\n{text}"


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
