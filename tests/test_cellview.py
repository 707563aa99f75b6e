"""The inside of a cell as a picture: what stands where, and what is connected with what, for cells of every kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import zoo
from cells_drawn import (
    MODELS,
    apart,
    check_geometry,
    drawn,
    drawn_edges,
    found_roles,
    is_dot,
    lines,
    pieces,
    read_edges,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tinygrad_rnn.viz.cell.view import cell_scene
from tinygrad_rnn.viz.graph.roles import roles
from tinygrad_rnn.viz.scene import Scene, Shape, Wire
from tinygrad_rnn.viz.text import string
from tinygrad_rnn.viz.writers.mpl import write
from tinygrad_rnn.viz.writers.svg import svg


@pytest.mark.parametrize("name", MODELS)
def test_nothing_meets_and_every_line_has_two_ends(name: str) -> None:
    check_geometry(drawn(name)[1])


@pytest.mark.parametrize("name", MODELS)
def test_the_lines_connect_what_the_equations_read(name: str) -> None:
    found, scene = drawn(name)
    assert drawn_edges(scene) == read_edges(found)


def bent(wire: Wire, dx: float, dy: float) -> Wire:
    return replace(wire, points=((wire.points[0][0] + dx, wire.points[0][1] + dy), *wire.points[1:]))


SPOILS: dict[str, Callable[[Scene], None]] = {
    "a box on another": lambda s: s.shapes.__setitem__(0, replace(s.shapes[0], x=s.shapes[1].x, y=s.shapes[1].y)),
    "a box off the page": lambda s: s.shapes.__setitem__(0, replace(s.shapes[0], x=-20.0)),
    "a line that slants": lambda s: s.wires.__setitem__(0, bent(s.wires[0], 1.0, 1.0)),
    "a line from nowhere": lambda s: s.wires.__setitem__(0, bent(s.wires[0], 500.0, 500.0)),
    "a line on another": lambda s: s.wires.append(s.wires[0]),
    "a crossing without its bridge": lambda s: s.wires.__setitem__(slice(None), lines(s)),
}


@pytest.mark.parametrize("what", SPOILS)
def test_the_checks_can_fail(what: str) -> None:
    _, scene = drawn("gru")
    SPOILS[what](scene)
    with pytest.raises(AssertionError):
        check_geometry(scene)


def test_a_line_that_is_missing_is_seen() -> None:
    found, scene = drawn("gru")
    scene.wires[:] = scene.wires[1:]
    assert drawn_edges(scene) != read_edges(found)


def at(scene: Scene, label: str) -> Shape:
    return next(s for s in scene.shapes if string(s.label) == label)


@pytest.mark.parametrize(("name", "states"), [
    ("lstm", "c"), ("peephole LSTM", "c"), ("LayerNorm-LSTM", "c"), ("three states", "cm"), ("sum", "s"), ("gru", "h"),
    ("minimal gated unit", "h"), ("recurrent highway", "h"), ("reset after the product", "h")])
def test_states_run_straight_along_the_top(name: str, states: str) -> None:
    scene = drawn(name)[1]
    heights = []
    for state in states:
        start, end = at(scene, f"{state}⟨t−1⟩"), [s for s in scene.shapes if string(s.label) == f"{state}⟨t⟩"]
        out = max(end, key=lambda s: s.x)
        y = start.centre[1]
        assert abs(out.centre[1] - y) < 0.01
        spans = sorted((p[0], p[2]) for w in lines(scene) for p in pieces(w) if abs(p[1] - y) < 0.01 and p[1] == p[3])
        for (_, right), (left, _) in pairwise(spans):
            assert left - right < 35  # a circle, or a dot
        assert spans[0][0] <= start.x + start.w + 0.01 and spans[-1][1] >= out.x - 0.01
        heights.append(y)
    operations = [s for s in scene.shapes if s.style in ("gate", "tanh", "op", "plain", "weight")]
    assert heights == sorted(heights)
    assert all(s.centre[1] >= heights[0] - 0.01 for s in operations)


@pytest.mark.parametrize("name", MODELS)
def test_gates_stand_in_a_row(name: str) -> None:
    scene = drawn(name)[1]
    for panel in scene.panels:
        gates = {round(s.centre[1], 2) for s in scene.shapes if s.style == "gate" and not apart(s, panel)}
        assert len(gates) <= 1


def test_the_lstm_is_drawn_as_in_the_literature() -> None:
    found, scene = drawn("lstm")
    boxes = sorted((s for s in scene.shapes if s.kind == "box" and s.style in ("gate", "tanh")), key=lambda s: s.x)
    line = [s for s in boxes if s.style == "gate" or s.name]
    assert [s.name for s in line] == ["f", "i", "g", "o"]
    assert [string(s.label) for s in line] == ["σ", "σ", "tanh", "σ"]
    assert len({s.centre[1] for s in line}) == 1
    top = at(scene, "c⟨t−1⟩").centre[1]
    assert [string(s.label) for s in sorted(scene.shapes, key=lambda s: s.x)
            if s.kind == "circle" and not is_dot(s) and s.centre[1] == top] == ["×", "+"]
    forget, plus = line[0], at(scene, "+")
    assert forget.centre[0] == min(s.x + s.w / 2 for s in scene.shapes if string(s.label) == "×")
    assert plus.centre[0] == next(s for s in line if s.name == "g").centre[0]
    enters = at(scene, "h⟨t−1⟩").centre[1]
    assert enters > line[0].y + line[0].h and at(scene, "x⟨t⟩").centre[1] > enters
    outs = [s for s in scene.shapes if string(s.label) == "h⟨t⟩"]
    assert sorted(s.centre[1] < top for s in outs) == [False, True] and enters in {s.centre[1] for s in outs}
    assert {string(s.label) for s in scene.shapes if s.style == "none"} == {
        "f⟨t⟩", "i⟨t⟩", "g⟨t⟩", "o⟨t⟩", "c⟨t−1⟩", "h⟨t−1⟩", "x⟨t⟩", "c⟨t⟩", "h⟨t⟩"}
    assert found.additive == {"c"}


def test_what_enters_a_part_that_stands_on_another_comes_from_its_right() -> None:
    """f⟨t⟩ goes to 1 − as well, from which the same column goes on: z⟨t⟩ need not pass through there."""
    _, scene = drawn("what two gates need")
    (z,) = [w for w in scene.wires if w.name.startswith("z[t] -> ")]
    assert len(z.points) == 3 and z.points[-2][0] > z.points[-1][0]  # straight up, then to the left
    (a, b), (c, d) = pairwise(z.points)
    for left, top, right, low in (part for w in scene.wires if w.name.startswith("f[t]") for part in pieces(w)):
        assert not (left < a[0] < right and b[1] < top < a[1]) and not (d[0] < left < c[0] and top < c[1] < low)


def test_a_cell_is_no_higher_than_what_is_in_it() -> None:
    scene = cell_scene(roles(tr.equations("s[t] = 0.9 * s[t-1] + 0.1 * x[t]", x=()).system))
    (panel,), (box,) = scene.panels, [s for s in scene.shapes if s.style == "weight"]
    assert box.y - panel.y < 60 and panel.y + panel.h - (box.y + box.h) < 60


def test_each_cell_has_a_panel_and_a_title() -> None:
    scene = drawn("two directions")[1]
    forward, backward = sorted(scene.panels, key=lambda p: -p.y)  # from the bottom, as layers are
    assert (forward.style, backward.style) == ("panel", "panel_backward")
    assert string(forward.label) == "c, h" and at(scene, "d, k")
    assert at(scene, "k⟨t+1⟩").x > backward.x + backward.w and at(scene, "d⟨t⟩").x < backward.x


def test_the_picture_is_the_same_each_time() -> None:
    assert svg(drawn("gru")[1]) == svg(drawn("gru")[1])


def test_it_is_written(tmp_path: Path) -> None:
    write(drawn("lstm")[1], tmp_path / "lstm.png", "png")
    assert (tmp_path / "lstm.png").stat().st_size > 5000


@pytest.mark.parametrize("text,sizes,why", [
    (*zoo.MODELS["no_recurrence"], r"no quantity follows from itself at another step, as h\[t\] does from h\[t-1\]"),
    ("y[t] = W @ x[t-1]", {"x": 3, "y": 2}, "no quantity follows from itself at another step"),
    ("s[0,t] = s[L,t-1]\ns[l,t] = tanh(W[l] @ s[l-1,t] + x[t])", {"x": 3, "l": 2},
     r"its steps go through the boundary s\[0,t\], which reads s\[L,t-1\]; view='folded' shows how")])
def test_a_model_without_recurrence_is_refused(text: str, sizes: dict[str, int], why: str) -> None:
    with pytest.raises(tr.Error, match=rf"view='cell' shows the inside of a recurrent cell, .* has none: {why}"):
        cell_scene(found_roles(text, sizes))


@st.composite
def cells(draw: st.DrawFn) -> str:
    """Gates over some of the inputs and states, and states that gates let through."""
    states = "hcm"[: draw(st.integers(1, 3))]
    gates = "figor"[: draw(st.integers(1, 5))]
    rows, before = [], [f"{s}[t-1]" for s in states] + ["x[t]", "z[t]"]
    for g in gates:
        reads = draw(st.lists(st.sampled_from(before), min_size=1, max_size=4, unique=True))
        terms = " + ".join(f"W_{g}{k} @ {r}" for k, r in enumerate(reads))
        f = draw(st.sampled_from(["sigmoid", "sigmoid", "tanh"]))
        rows.append(f"{g}[t] = {f}({terms})")
    done = [f"{g}[t]" for g in gates]
    for s in states:
        a, b, c = (draw(st.sampled_from([*done, f"tanh({done[-1]})", f"(1 - {done[0]})"])) for _ in range(3))
        rows.append(draw(st.sampled_from([
            f"{s}[t] = {a} * {s}[t-1] + {b} * {c}", f"{s}[t] = {a} * tanh({b})", f"{s}[t] = {s}[t-1] + {a}",
            f"{s}[t] = tanh(V_{s} @ {a} + U_{s} @ {s}[t-1]) * {b}", f"{s}[t] = {a} + {b} * {s}[t-1] + {c}"])))
        done.append(f"{s}[t]")
    return "\n".join([*rows, f"y[t] = softmax(Y @ {states[-1]}[t])"])


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(cells())
def test_random_cells(text: str) -> None:
    sizes = {name: 4 for name in "xzhcmfigor" if f"{name}[t" in text}
    found = found_roles(text, {**sizes, "y": 2})
    try:
        scene = cell_scene(found)
    except tr.Error as error:
        assert "this model has none" in str(error)
        return
    check_geometry(scene)
    assert drawn_edges(scene) == read_edges(found)
