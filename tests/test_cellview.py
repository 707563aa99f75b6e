"""The inside of a cell as a picture: what stands where, and what is connected with what, for cells of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
import zoo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tinygrad_rnn.viz.blocks.inside import by_operations, port_key
from tinygrad_rnn.viz.cell.view import cell_scene
from tinygrad_rnn.viz.graph.roles import Roles, roles
from tinygrad_rnn.viz.scene import Point, Scene, Shape, Wire
from tinygrad_rnn.viz.style import SMALL
from tinygrad_rnn.viz.text import string, width
from tinygrad_rnn.viz.writers.mpl import write
from tinygrad_rnn.viz.writers.svg import svg

OWN: dict[str, tuple[str, dict[str, Any]]] = {
    "minimal gated unit": ("""
        f[t] = sigmoid(W_f @ x[t] + U_f @ h[t-1] + b_f)
        g[t] = tanh(W_h @ x[t] + U_h @ (f[t] * h[t-1]) + b_h)
        h[t] = (1 - f[t]) * h[t-1] + f[t] * g[t]""", {"x": 3, "h": 4}),
    "peephole LSTM": ("""
        i[t] = sigmoid(W_i @ x[t] + U_i @ h[t-1] + P_i * c[t-1] + b_i)
        f[t] = sigmoid(W_f @ x[t] + U_f @ h[t-1] + P_f * c[t-1] + b_f)
        g[t] = tanh(W_g @ x[t] + U_g @ h[t-1] + b_g)
        c[t] = f[t] * c[t-1] + i[t] * g[t]
        o[t] = sigmoid(W_o @ x[t] + U_o @ h[t-1] + P_o * c[t] + b_o)
        h[t] = o[t] * tanh(c[t])
        y[t] = softmax(V @ h[t])""", {"x": 3, "h": 4, "y": 2}),
    "LayerNorm-LSTM": ("""
        i[t] = sigmoid(layer_norm(W_i @ x[t] + U_i @ h[t-1], g_i, b_i))
        f[t] = sigmoid(layer_norm(W_f @ x[t] + U_f @ h[t-1], g_f, b_f))
        o[t] = sigmoid(layer_norm(W_o @ x[t] + U_o @ h[t-1], g_o, b_o))
        g[t] = tanh(layer_norm(W_g @ x[t] + U_g @ h[t-1], g_g, b_g))
        c[t] = f[t] * c[t-1] + i[t] * g[t]
        h[t] = o[t] * tanh(layer_norm(c[t], g_c, b_c))
        y[t] = softmax(V @ h[t])""", {"x": 3, "h": 4, "y": 2}),
    "three states": ("""
        f[t] = sigmoid(A @ x[t] + B @ h[t-1] + C @ m[t-1])
        e[t] = sigmoid(A_2 @ x[t] + B_2 @ h[t-1] + C_2 @ m[t-1])
        g[t] = tanh(A_3 @ x[t] + B_3 @ h[t-1])
        c[t] = f[t] * c[t-1] + (1 - f[t]) * g[t]
        m[t] = e[t] * m[t-1] + c[t] * g[t]
        h[t] = tanh(m[t]) * tanh(c[t])
        y[t] = softmax(V @ h[t] + Z @ m[t])""", {"x": 3, "h": 4, "y": 2}),
    "reset after the product": ("""
        z[t] = sigmoid(W_z @ x[t] + U_z @ h[t-1] + b_z)
        r[t] = sigmoid(W_r @ x[t] + U_r @ h[t-1] + b_r)
        g[t] = tanh(W_g @ x[t] + r[t] * (U_g @ h[t-1] + b_g))
        h[t] = z[t] * h[t-1] + (1 - z[t]) * g[t]
        y = softmax(V @ h[T])""", {"x": 3, "h": 4, "y": 2}),
    "sum": ("s[t] = s[t-1] + x[t]", {"x": 3}),
    "what two gates need": ("""
        z[t] = tanh(W_z @ x[t])
        f[t] = sigmoid(W_f @ x[t])
        c[t] = f[t] * c[t-1] + (1 - f[t]) * z[t]""", {"x": 3, "c": 4}),
    "two directions": ("""
        i[t] = sigmoid(W_i @ x[t] + U_i @ h[t-1])
        f[t] = sigmoid(W_f @ x[t] + U_f @ h[t-1])
        g[t] = tanh(W_g @ x[t] + U_g @ h[t-1])
        c[t] = f[t] * c[t-1] + i[t] * g[t]
        h[t] = tanh(c[t])
        j[t] = sigmoid(Q_i @ x[t] + R_i @ k[t+1])
        e[t] = tanh(Q_g @ x[t] + R_g @ k[t+1])
        d[t] = (1 - j[t]) * d[t+1] + j[t] * e[t]
        k[t] = tanh(d[t])
        y[t] = softmax(V @ concat(h[t], k[t]))""", {"x": 3, "h": 4, "k": 4, "y": 2}),
    "deep LSTM": ("""
        i[l,t] = sigmoid(W_i[l] @ h[l-1,t] + U_i[l] @ h[l,t-1] + b_i[l])
        f[l,t] = sigmoid(W_f[l] @ h[l-1,t] + U_f[l] @ h[l,t-1] + b_f[l])
        o[l,t] = sigmoid(W_o[l] @ h[l-1,t] + U_o[l] @ h[l,t-1] + b_o[l])
        g[l,t] = tanh(W_g[l] @ h[l-1,t] + U_g[l] @ h[l,t-1] + b_g[l])
        c[l,t] = f[l,t] * c[l,t-1] + i[l,t] * g[l,t]
        h[l,t] = o[l,t] * tanh(c[l,t])
        h[0,t] = E @ x[t]
        y = softmax(V @ h[3,T])""", {"l": 3, "x": 5, "h": 4, "y": 2}),
    "recurrent highway": ("""
        s[t] = tanh(W @ x[t] + R @ h[t-1])
        g[t] = sigmoid(W_2 @ x[t] + R_2 @ h[t-1])
        k[t] = s[t] * g[t] + h[t-1] * (1 - g[t])
        s2[t] = tanh(R_3 @ k[t])
        g2[t] = sigmoid(R_4 @ k[t])
        h[t] = s2[t] * g2[t] + k[t] * (1 - g2[t])
        y[t] = V @ h[t]""", {"x": 3, "h": 4, "y": 2}),
    "states change places": ("""
        a[t] = tanh(W @ x[t] + U @ b[t-1])
        b[t] = tanh(Q @ x[t] + V @ a[t-1])
        y[t] = Y @ b[t]""", {"x": 3, "a": 4, "b": 4, "y": 2}),
    "long names": ("""
        the_very_long_gate[t] = sigmoid(W @ measurement[t] + U @ hidden_state[t-1] + P @ context[t])
        hidden_state[t] = the_very_long_gate[t] * hidden_state[t-1] + tanh(V @ context[t] + Q @ measurement[t])
        y[t] = Y @ hidden_state[t]""", {"measurement": 3, "context": 2, "hidden_state": 4, "y": 2}),
    "rotation": ("""
        a = r * cos(u)
        b = r * sin(u)
        k = sqrt(1 - r ** 2)
        p[t] = a * p[t-1] - b * q[t-1] + k * (B @ x[t])
        q[t] = a * q[t-1] + b * p[t-1] + k * (C @ x[t])
        y[t] = P @ p[t] + Q @ q[t]""", {"x": 3, "p": 4, "y": 2}),
    "many readers": ("""
        h[t] = tanh(W @ x[t] + U @ h[t-1] + A @ h[t-2] + B @ h[t-3] + C @ z[t] + D @ v[t-1] + E @ v[t])
        k[t] = maximum(h[t], k[t-1]) * h[t]
        y[t] = V @ concat(h[t], k[t])""", {"x": 3, "z": 2, "v": 2, "h": 4, "y": 2}),
}
MODELS = {**{name: m for name, m in zoo.MODELS.items() if name != "no_recurrence"}, **OWN}


def found_roles(text: str, sizes: dict[str, Any]) -> Roles:
    return roles(tr.equations(text, **sizes).system)


def drawn(name: str) -> tuple[Roles, Scene]:
    found = found_roles(*MODELS[name])
    return found, cell_scene(found)


# -- geometry --------------------------------------------------------------------------------------


def is_dot(s: Shape) -> bool:
    return s.kind == "circle" and s.w < 10


def apart(a: Shape, b: Shape) -> bool:
    return a.x + a.w <= b.x + 0.01 or b.x + b.w <= a.x + 0.01 or a.y + a.h <= b.y + 0.01 or b.y + b.h <= a.y + 0.01


def lines(scene: Scene) -> list[Wire]:
    return [w for w in scene.wires if w.name != "bridge"]


def pieces(wire: Wire) -> Iterator[tuple[float, float, float, float]]:
    for a, b in pairwise(wire.points):
        yield min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1])


def ends_on(scene: Scene, p: Point) -> Shape | None:
    return next((s for s in scene.shapes if s.on_border(p)), None)


def check_geometry(scene: Scene) -> None:
    for a, b in combinations(scene.shapes, 2):
        assert apart(a, b), (string(a.label), string(b.label))
    for a, b in combinations(scene.panels, 2):
        assert apart(a, b)
    for s in [*scene.shapes, *scene.panels]:
        assert s.x >= 0 and s.y >= 0 and s.x + s.w <= scene.width and s.y + s.h <= scene.height
    for wire in lines(scene):
        assert all(abs(a[0] - b[0]) < 0.01 or abs(a[1] - b[1]) < 0.01 for a, b in pairwise(wire.points)), wire
        assert ends_on(scene, wire.points[0]) and ends_on(scene, wire.points[-1]), wire
        for left, top, right, bottom in pieces(wire):
            for s in scene.shapes:
                assert right <= s.x + 1 or left >= s.x + s.w - 1 or bottom <= s.y + 1 or top >= s.y + s.h - 1, (
                    wire.name, string(s.label))
        for p in scene.panels:
            title = Shape("box", p.x + 12, p.y + 7, width(p.label, SMALL) if p.label else 0, 12, "none")
            for left, top, right, bottom in pieces(wire):
                assert apart(title, Shape("box", left, top, right - left, bottom - top, "none")), wire.name
    check_crossings(scene)


def net(wire: Wire) -> str:
    return wire.name.split(" ->")[0]


def check_crossings(scene: Scene) -> None:
    """No line runs along another's, and each crossing has its bridge."""
    crossings = set()
    for a, b in combinations(lines(scene), 2):
        for p in pieces(a):
            for q in pieces(b):
                across = (min(p[2], q[2]) - max(p[0], q[0]), min(p[3], q[3]) - max(p[1], q[1]))
                if min(across) < -0.01:
                    continue
                assert max(across) < 2, (a.name, b.name, p, q)  # longer: one along the other
                x, y = max(p[0], q[0]), max(p[1], q[1])
                if not any(is_dot(s) and abs(x - s.centre[0]) < 4 and abs(y - s.centre[1]) < 4 for s in scene.shapes):
                    crossings.add((round(x), round(y)))
    bridges = {tuple(round((w.points[0][k] + w.points[1][k]) / 2) for k in (0, 1))
               for w in scene.wires if w.name == "bridge"}
    assert crossings == bridges


# -- what is connected with what -------------------------------------------------------------------


def reached(scene: Scene) -> set[tuple[int, int]]:
    """Pairs of shapes, by their numbers, that lines connect through dots alone, in the direction of their lines."""
    number = {id(s): k for k, s in enumerate(scene.shapes)}
    after: dict[int, list[int]] = {}
    for wire in lines(scene):
        start, end = ends_on(scene, wire.points[0]), ends_on(scene, wire.points[-1])
        after.setdefault(number[id(start)], []).append(number[id(end)])
    found = set()
    for k, s in enumerate(scene.shapes):
        stack = list(after.get(k, ())) if not is_dot(s) else []
        seen = set()
        while stack:
            at = stack.pop()
            if at not in seen:
                seen.add(at)
                if is_dot(scene.shapes[at]):
                    stack += after.get(at, [])
                else:
                    found.add((k, at))
    return found


def drawn_edges(scene: Scene) -> list[tuple[str, str]]:
    """The connections by what the shapes are called: a quantity's name, or the operation's symbol."""
    def called(s: Shape) -> str:
        return s.name or string(s.label)

    return sorted((called(scene.shapes[a]), called(scene.shapes[b])) for a, b in reached(scene))


def read_edges(found: Roles) -> list[tuple[str, str]]:
    """The same, from the operations of the equations."""
    edges = []
    for block in found.blocks:
        if block.kind != "cell" or not block.direction:
            continue
        inside = by_operations(block, found)
        called = {k: i.name or string(i.label) for k, i in inside.parts.items()}
        for key, inner in inside.parts.items():
            if inner.style == "merge":
                continue
            for s in inner.sources:
                merged = s in inside.parts and inside.parts[s].style == "merge"
                for source in inside.parts[s].sources if merged else [s]:
                    edges.append((entry(inside.ports[source]) if source in inside.ports else called[source],
                                  called[key]))
        slots = {n: ",".join(found.system.quantities[n].slots) for n in block.quantities}
        states = {p.name for p in inside.ports.values() if p.state}
        outside = [a.source for a in found.arrows if a.source in block.quantities
                   and (a.target not in block.quantities or a.boundary)]
        outside += [p.name for p in inside.ports.values() if p.name in block.quantities and not p.state]
        for n in [*states, *dict.fromkeys(outside)]:
            edges.append((called[inside.out[n]], f"{n}⟨{slots[n]}⟩"))
    return sorted(edges)


def entry(port: Any) -> str:
    key = port_key(port.name, port.slots).replace("[", "⟨").replace("]", "⟩")
    return key.replace("-", "−")


# -- the tests -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_nothing_meets_and_every_line_has_two_ends(name: str) -> None:
    check_geometry(drawn(name)[1])


@pytest.mark.parametrize("name", MODELS)
def test_the_lines_connect_what_the_equations_read(name: str) -> None:
    found, scene = drawn(name)
    assert drawn_edges(scene) == read_edges(found)


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


# -- random cells ----------------------------------------------------------------------------------


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
