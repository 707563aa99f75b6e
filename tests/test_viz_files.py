"""Pictures as files: every ending, any names, and what goes wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest
from pictured import HOSTILE, MODELS, TEXTS, renamed

import tinygrad_rnn as tr
from tinygrad_rnn import viz
from tinygrad_rnn.errors import BadFile, BadName, BadType, BadValue

# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["folded", "unrolled", "backward"])
@pytest.mark.parametrize("ending,magic", [("png", b"\x89PNG\r\n\x1a\n"), ("pdf", b"%PDF-"), ("svg", b"<svg"),
                                          ("dot", b"digraph")])
def test_every_ending(tmp_path, monkeypatch, view: str, ending: str, magic: bytes) -> None:
    monkeypatch.setenv("PATH", "")  # no Graphviz
    file = viz.draw(MODELS["gru"], tmp_path / f"a.{ending}", view=view, steps=None if view == "folded" else 3)
    assert file == tmp_path / f"a.{ending}"
    data = file.read_bytes()
    assert data.startswith(magic)
    assert data.endswith((b"IEND\xaeB`\x82", b"%%EOF\n", b"</svg>\n", b"}\n"))
    if ending == "svg":
        ET.fromstring(data)
    assert os.listdir(tmp_path) == [f"a.{ending}"]


@pytest.mark.parametrize("name", MODELS)
def test_the_same_model_gives_the_same_text(tmp_path, name: str) -> None:
    text, sizes = TEXTS[name]
    again = tr.equations(text, **sizes)
    for view in ("folded", "unrolled", "backward"):
        assert viz.svg(MODELS[name], view, 3) == viz.svg(again, view, 3)
        one, two = (viz.draw(m, tmp_path / "a.dot", view).read_text() for m in (MODELS[name], again))
        assert one == two


def test_text_does_not_depend_on_the_hash_seed(tmp_path) -> None:
    code = ("import sys, tinygrad_rnn as tr; from tinygrad_rnn import viz; "
            f"m = tr.equations({TEXTS['made_up'][0]!r}, **{TEXTS['made_up'][1]!r}); "
            "sys.stdout.buffer.write(viz.svg(m, 'unrolled', 3).encode())")
    out = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True,
                          env={**os.environ, "PYTHONHASHSEED": seed}).stdout for seed in ("1", "2")}
    assert len(out) == 1


@pytest.mark.parametrize("view", ["folded", "unrolled", "backward"])
def test_hostile_names_are_escaped(tmp_path, view: str) -> None:
    names = dict(zip(("h", "y", "W", "x", "target"), HOSTILE, strict=True))
    model = SimpleNamespace(system=renamed(MODELS["rnn"].system, names))
    text = viz.svg(model, view, 3)
    root = ET.fromstring(text.encode())
    tags = {element.tag.rsplit("}", 1)[-1] for element in root.iter()}
    assert tags <= {"svg", "title", "desc", "rect", "circle", "path", "g", "text", "tspan"}
    assert HOSTILE[0] in "".join(root.itertext()) and "<script" not in text
    for ending in ("png", "pdf", "dot"):
        assert viz.draw(model, tmp_path / f"a.{ending}", view).stat().st_size > 200
    dot = (tmp_path / "a.dot").read_text(encoding="utf-8")
    assert '"\\\\\\"]; }' in dot  # backslash and quote are both escaped


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not installed")
@pytest.mark.parametrize("view", ["folded", "unrolled", "backward"])
def test_graphviz_reads_the_dot_text(tmp_path, view: str) -> None:
    file = viz.draw(MODELS["attention"], tmp_path / "a.dot", view)
    assert subprocess.run(["dot", "-Tsvg", file], capture_output=True).returncode == 0


# -- mistakes --------------------------------------------------------------------------------------


STEPLESS = ("folded", "cell", "equations")
MISTAKES = [  # a file, the options, and what is said
    ("a.svg", {"view": "upside_down"}, BadValue, r"view is 'folded', 'unrolled', .* not 'upside_down'"),
    ("a.jpg", {}, BadValue, r"ends in \.jpg; a picture ends in \.svg, \.png, \.pdf, "),
    ("a", {}, BadValue, "has no ending"),
    ("missing/a.svg", {}, BadFile, "cannot write"),
    *[("a.svg", {"view": "unrolled", "steps": steps}, error, said) for steps, error, said in (
        (0, BadValue, "at least 1, not 0"), (2.5, BadType, "steps is a whole number"),
        ("3", BadType, "steps is a whole number"), (True, BadType, "steps is a whole number"),
        ({"t": 0}, BadValue, "steps of t must be at least 1"), ({"t": "3"}, BadType, "whole number"),
        ({"s": 3}, BadName, "steps names 's'; the indices that have steps are t"))],
    *[("a.svg", {"view": view, "steps": 3}, BadValue, "steps= goes with the view 'unrolled' or 'backward' or 'att")
      for view in STEPLESS],
    *[("a.svg", {"view": view, "elide": False}, BadValue, "elide= goes with") for view in STEPLESS],
    *[("a.svg", {"view": "unrolled", "elide": elide}, BadType, "elide is True or False, not ") for elide in ("no", 0)],
]


@pytest.mark.parametrize(("file", "options", "error", "said"), MISTAKES)
def test_mistakes_leave_no_file(tmp_path, file: str, options: dict, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        viz.draw(MODELS["rnn"], tmp_path / file, **options)
    assert not os.listdir(tmp_path)


def test_indices_of_one_range_have_the_same_steps(tmp_path) -> None:
    with pytest.raises(BadValue, match="t and s run over the same range, which cannot have both 3 and 4 steps"):
        viz.draw(MODELS["self_attention"], tmp_path / "a.svg", view="unrolled", steps={"t": 3, "s": 4})


def test_what_is_no_model_no_path_and_no_file(tmp_path) -> None:
    with pytest.raises(BadType, match="a file is named by"):
        viz.draw(MODELS["rnn"], 7)
    with pytest.raises(BadType, match="draw a model"):
        viz.draw("h[t] = x[t]", tmp_path / "a.svg")
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(BadFile, match="cannot write"):
        viz.draw(MODELS["rnn"], tmp_path / "folder.svg")
    assert os.listdir(tmp_path) == ["folder.svg"]


def test_a_png_too_wide_is_refused(tmp_path) -> None:
    old = tmp_path / "a.png"
    old.write_text("kept")
    with pytest.raises(BadValue, match=r"more than 32000; write an \.svg"):
        viz.draw(MODELS["lstm"], old, view="unrolled", steps=100, elide=False)
    assert old.read_text() == "kept" and os.listdir(tmp_path) == ["a.png"]
    assert viz.draw(MODELS["lstm"], tmp_path / "a.svg", view="unrolled", steps=100, elide=False).stat().st_size


# -- op graphs -------------------------------------------------------------------------------------


def test_op_graph_without_graphviz(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    roots = [eq.rhs for eq in MODELS["rnn"].system.equations]
    file = viz.op_graph(roots, tmp_path / "ops.dot", title='a "title"')
    text = file.read_text(encoding="utf-8")
    assert 'label="a \\"title\\""' in text and '"tanh\\n[t,n] 4"' in text
    assert text == viz.op_graph(roots, tmp_path / "again.dot", title='a "title"').read_text(encoding="utf-8")
    with pytest.raises(BadFile, match="not on the PATH: install it"):
        viz.op_graph(roots, tmp_path / "ops.svg")
    with pytest.raises(BadType, match="drawn of nodes"):
        viz.op_graph(["h"], tmp_path / "ops.dot")


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not installed")
def test_op_graph(tmp_path) -> None:
    roots = [MODELS["lstm"].system.equations[0].rhs]
    for ending, magic in (("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")):
        assert viz.op_graph(roots, tmp_path / f"a.{ending}").read_bytes().startswith(magic)


def test_op_graph_of_a_deep_expression(tmp_path) -> None:
    node = MODELS["rnn"].system.equations[0].rhs
    for _ in range(3000):
        node = node + node
    assert viz.op_graph([node], tmp_path / "deep.dot").stat().st_size > 100_000
