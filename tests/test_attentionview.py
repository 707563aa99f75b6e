"""The attention view: lines as wide as a run's weights, which positions are drawn, files, and mistakes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from attending import MODELS, cells, fan, place, ran, scene, structure

from tinygrad_rnn.errors import BadName, BadType, BadValue
from tinygrad_rnn.node import Node, rebuild, ref
from tinygrad_rnn.viz.api import make_scene
from tinygrad_rnn.viz.attention.parts import drawn
from tinygrad_rnn.viz.attention.view import attention_scene, blended
from tinygrad_rnn.viz.graph.roles import roles
from tinygrad_rnn.viz.style import LINES
from tinygrad_rnn.viz.text import string
from tinygrad_rnn.viz.values import Values
from tinygrad_rnn.viz.writers import mpl as write_mpl
from tinygrad_rnn.viz.writers import svg as write_svg

HOSTILE = ['<b title="x">&amp;', "a$x^2$\\n'", "é漢字🙂]]>"]


def test_lines_are_as_wide_as_the_weights_of_the_run() -> None:
    model, run = ran("seq2seq", s=5, t=3)
    scores = run["e"][1]
    weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    drawing = attention_scene(roles(model.system), Values(model.system, run, example=1), focus=2)
    lines = fan(drawing, "alpha")
    assert len(lines) == 15
    strong = {place(w, "t", "s"): w for w in lines if w.colour == LINES["attention"].colour}
    assert sorted(strong) == [(2, s) for s in range(1, 6)]
    for (_, s), wire in strong.items():
        assert wire.width == pytest.approx(0.6 + 4 * weights[1, s - 1], abs=1e-12)
    assert all(w.head == (weights[1, int(s) - 1] >= 0.005) for (_, s), w in strong.items())
    pale = [w for w in lines if w not in strong.values()]
    assert {w.width for w in pale} == {0.9} and {w.colour for w in pale} == {blended(LINES["attention"].colour, 0.22)}
    assert max(drawing.wires.index(w) for w in pale) < min(drawing.wires.index(w) for w in strong.values())


def test_pale_is_twenty_two_percent_of_the_colour() -> None:
    assert blended("#000000", 0.22) == "#C7C7C7" and blended("#12706B", 1.0) == "#12706B"


def test_weights_beyond_one_say_what_the_widest_line_stands_for() -> None:
    model, run = ran("not normalised")
    drawing = attention_scene(roles(model.system), Values(model.system, run), focus=1)
    largest = np.abs(run["a"][0]).max()
    assert largest > 1
    for wire in fan(drawing, "a"):
        if place(wire, "t") == (1,):
            value = run["a"][0, 0, int(place(wire, "s")[0]) - 1]
            assert wire.width == pytest.approx(0.6 + 4 * abs(value) / largest)
    assert any(f"a weight of {largest:.3g}" in string(n.label) for n in drawing.notes)


def test_padding_is_not_drawn() -> None:
    lengths = {"s": np.array([5, 3]), "t": np.array([4, 2])}
    drawing = scene("zoo attention", example=1, lengths=lengths, steps={"s": 5, "t": 4})
    assert sorted({place(w, "t", "s") for w in fan(drawing, "a")}) == [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3)]
    assert sorted(cells(drawing)) == [(t, s) for t in (1, 2) for s in (1, 2, 3)]
    names = {s.name for s in drawing.shapes}
    assert {"k⟨3⟩", "z⟨3⟩", "q⟨2⟩", "c⟨2⟩"} <= names and not names & {"k⟨4⟩", "q⟨3⟩", "c⟨3⟩"}
    first = scene("zoo attention", lengths=lengths, steps={"s": 5, "t": 4})
    assert len(cells(first)) == 20


def test_of_self_attention_both_ranges_end_at_the_length() -> None:
    drawing = scene("self", example=1, lengths=np.array([4, 3]))
    assert sorted(cells(drawing)) == [(t, s) for t in (1, 2, 3) for s in (1, 2, 3)]
    lower = {s.name[2:-1]: s.centre[0] for s in drawing.shapes if s.name.startswith("v⟨")}
    upper = {s.name[2:-1]: s.centre[0] for s in drawing.shapes if s.name.startswith("c⟨")}
    assert lower == pytest.approx(upper)  # one above the other
    assert sorted(place(w, "t", "s") for w in fan(drawing, "a")) == [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3)]


def test_without_values_the_structure() -> None:
    drawing = structure("seq2seq", steps={"s": 4, "t": 3}, focus=2)
    lines = fan(drawing, "alpha")
    assert len(lines) == 12 and len({w.width for w in lines if w.head}) == 1
    assert not drawing.panels and not cells(drawing)
    assert [s.name for s in drawing.shapes if s.name.startswith("y")] == ["y⟨1⟩", "y⟨2⟩", "y⟨3⟩"]
    assert len(fan(structure("seq2seq"), "alpha")) == 16
    shared = structure("self", steps={"s": 3})  # s and t have one range
    assert sorted(place(w, "t", "s") for w in fan(shared, "a")) == [(t, s) for t in (1, 2, 3) for s in range(1, t + 1)]


def test_many_positions_are_elided_and_it_is_said() -> None:
    model, run = ran("seq2seq", s=40, t=30)
    drawing = attention_scene(roles(model.system), Values(model.system, run), focus=17)
    row = run["alpha"][0, 16]
    kept = {int(place(w, "s")[0]) for w in fan(drawing, "alpha")}
    assert {1, 40} | {int(k) + 1 for k in np.argsort(-row)[:6]} <= kept and len(kept) <= 14
    assert {place(w, "t")[0] for w in fan(drawing, "alpha")} == {1, 16, 17, 18, 30}
    said = " ".join(string(n.label) for n in drawing.notes)
    rest = 1 - row[[k - 1 for k in kept]].sum()
    assert f"{len(kept)} of 40 positions s are drawn" in said and f"{rest:.2f} together" in said
    assert "5 of 30 positions t" in said
    free = structure("seq2seq", steps=20)
    assert {"h⟨S⟩", "y⟨T⟩"} <= {s.name.split(", ")[-1] for s in free.shapes}


@pytest.mark.parametrize("total,weights,focus,shown", [
    (3, None, None, (1, 2, 3)), (12, None, 5, tuple(range(1, 13))), (13, None, None, (1, 2, None, 13)),
    (20, None, 10, (1, None, 9, 10, 11, None, 20)), (20, None, 3, (1, 2, 3, 4, None, 20)),
    (20, None, 20, (1, None, 19, 20)),
    (30, [0.0] * 14 + [1.0] + [0.0] * 15, None, (1, 2, 3, 4, 5, None, 15, None, 30)),
])
def test_which_positions_are_drawn(total: int, weights: Any, focus: int | None, shown: tuple[int | None, ...]) -> None:
    assert drawn(total, weights, focus, "T").shown == shown


def test_classes_stand_under_their_inputs() -> None:
    model = MODELS["seq2seq"]
    x, y = np.array([[3, 0, 5, 1]]), np.array([[2, 1, 0]])
    drawing = attention_scene(roles(model.system), Values(model.system, model.trace(x=x, target=y)))
    under = {s.name: [string(n.label) for n in drawing.notes if abs(n.x - s.centre[0]) < 1 and 0 < n.y - s.y - s.h < 16]
             for s in drawing.shapes if s.name.startswith("x")}
    assert under == {"x⟨1⟩": ["3"], "x⟨2⟩": ["0"], "x⟨3⟩": ["5"], "x⟨4⟩": ["1"]}


def test_every_file(tmp_path) -> None:
    drawing = scene("seq2seq", steps={"s": 4, "t": 3})
    text = write_svg.svg(drawing)
    root = ET.fromstring(text.encode())
    widths = {float(e.get("stroke-width", 0)) for e in root.iter() if e.tag.endswith("path")}
    assert {round(w.width or 0, 2) for w in fan(drawing, "alpha")} <= widths
    for kind, magic in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        write_mpl.write(drawing, tmp_path / f"a.{kind}", kind)
        assert (tmp_path / f"a.{kind}").read_bytes().startswith(magic)
    assert text == write_svg.svg(scene("seq2seq", steps={"s": 4, "t": 3}))


def test_names_are_escaped(tmp_path) -> None:
    system = MODELS["self"].system
    names = dict(zip(("a", "v", "c"), HOSTILE, strict=True))

    def change(node: Any, args: Any) -> Any:
        if node.op == "ref" and node.attr("name") in names:
            return ref(names[node.attr("name")], node.attr("slots"), node.type, node.attr("batch"))
        return node if args == node.args else Node(node.op, args, node.attrs, node.type)

    equations = [replace(eq, name=names.get(eq.name, eq.name), rhs=rebuild([eq.rhs], change)[eq.rhs])
                 for eq in system.equations]
    quantities = {names.get(n, n): replace(q, name=names.get(n, n)) for n, q in system.quantities.items()}
    other = system.with_equations(equations, quantities)
    drawing = attention_scene(roles(other), None)
    text = write_svg.svg(drawing)
    root = ET.fromstring(text.encode())
    tags = {e.tag.rsplit("}", 1)[-1] for e in root.iter()}
    assert tags <= {"svg", "title", "rect", "circle", "path", "g", "text", "tspan"}
    assert HOSTILE[0] in "".join(root.itertext()) and "<b" not in text
    write_mpl.write(drawing, tmp_path / "a.png", "png")
    assert attention_scene(roles(other), None, quantity=HOSTILE[0]).width == drawing.width


def test_mistakes() -> None:
    model, run = ran("seq2seq", s=4, t=3)
    found, values = roles(model.system), Values(model.system, run)
    for focus in (0, 4, -1):
        with pytest.raises(BadValue, match=f"focus, a position of t, must be from 1 to 3, not {focus}"):
            attention_scene(found, values, focus=focus)
    for wrong in (1.5, "2", True):
        with pytest.raises(BadType, match="focus, a position of t, is a whole number"):
            attention_scene(found, values, focus=wrong)  # type: ignore[arg-type]
    with pytest.raises(BadValue, match="from 1 to 5, not 6"):
        attention_scene(found, None, focus=6, steps=5)
    with pytest.raises(BadName, match="'e' is no attention; the model's weights are alpha"):
        attention_scene(found, values, quantity="e")
    with pytest.raises(BadValue, match=r"'alpha\[1\]' chooses among no further index"):
        attention_scene(found, values, quantity="alpha[1]")
    with pytest.raises(BadType, match="quantity is the name"):
        attention_scene(found, values, quantity=3)  # type: ignore[arg-type]
    with pytest.raises(BadValue, match="j from 1 to 2"):
        attention_scene(roles(MODELS["heads"].system), None, quantity="a[3]")
    with pytest.raises(BadValue, match="steps must be at least 1, not 0"):
        make_scene(model, "attention", steps=0)
    with pytest.raises(BadType, match="steps is a whole number"):
        make_scene(model, "attention", steps=2.5)  # type: ignore[arg-type]
    with pytest.raises(BadName, match="steps names 'r'; the indices that have steps are"):
        make_scene(model, "attention", steps={"r": 3})
    with pytest.raises(BadValue, match="the values have no alpha; run with want="):
        attention_scene(found, Values(model.system, {"h": run["h"]}))
