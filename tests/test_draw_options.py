"""Options of pictures: unknown ones, sizes on the command line, and which way time runs in graphs of operations."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.cli import main
from tinygrad_rnn.errors import BadType
from tinygrad_rnn.viz.api import make_scene
from tinygrad_rnn.viz.blocks import blocks
from tinygrad_rnn.viz.views import forms


@pytest.mark.parametrize("draw,said", [
    (lambda f: tr.Tensor(np.ones(2)).draw(f, foo=3), r"no option 'foo'; the options are title, collapse, scopes"),
    (lambda f: tr.Tensor(np.ones(2)).draw(f, colapse=3), r"no option 'colapse'; did you mean 'collapse'\?"),
    (lambda f: tr.graphs.lstm().draw(f, vews="cell"), r"no option 'vews'; did you mean 'view'\?"),
    (lambda f: tr.graphs.lstm().unroll(2).draw(f, view="ops", elide=False), r"no option 'elide'; the options are"),
])
def test_unknown_options_are_told(draw, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadType, match=said):
        draw(tmp_path / "a.svg")


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    file = tmp_path / "cell.txt"
    file.write_text("h[t] = tanh(W @ x[t] + U @ h[t-1])\ny[t] = V @ h[t]\n", encoding="utf-8")
    return file


def test_sizes_on_the_command_line(cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "a.svg")
    assert main(["draw", str(cell), "-o", out, "--size", "x=5", "--size", "V=2,3"]) == 0
    assert main(["draw", "lstm", "-o", out, "--size", "hidden=5"]) == 0
    capsys.readouterr()
    for wrong, said in ((["x=5"], "or beside the command: --size NAME=SIZE"),
                        (["x"], "--size is a name and a size"), (["x=a"], "--size is"),
                        (["x=5", "V=2,3", "z=4"], "'z', which is not in the equations")):
        sizes = [part for size in wrong for part in ("--size", size)]
        assert main(["draw", str(cell), "-o", out, *sizes]) == 2
        assert said in capsys.readouterr().err
    assert main(["draw", "lstm", "-o", out, "--size", "hiden=5"]) == 2
    assert "the model lstm has no size 'hiden'" in capsys.readouterr().err
    assert main(["draw", "nowhere", "-o", out, "--size", "x=5"]) == 2
    saved = tmp_path / "m.safetensors"
    tr.equations("y[t] = W @ x[t]", x=2, y=2).save(saved)
    assert main(["draw", str(saved), "-o", out, "--size", "x=5"]) == 2
    assert "is a saved model" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("model", [
    tr.equations("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)\ny[t] = V @ h[t]", x=3, h=4, y=2),
    tr.equations("f[t] = sigmoid(W @ x[t] + U @ h[t-1])\nh[t] = f[t] * h[t-1] + tanh(V @ x[t])", x=3, h=4)])
def test_time_runs_from_left_to_right(model: tr.Model, tmp_path: Path) -> None:
    """Each step's frame begins and ends to the right of the one before, and begins nearer to its end."""
    file = model.unroll(4).draw(tmp_path / "a.dot", view="ops")
    placed = subprocess.run(["dot", "-Tdot", str(file)], capture_output=True, text=True, check=True).stdout
    edges = [tuple(float(v) for v in found) for _, *found in sorted(re.findall(
        r'subgraph "cluster t = (\d)" \{\s*graph \[bb="([\d.]+),[\d.]+,([\d.]+),', placed))]
    assert len(edges) == 4
    for (left, right), (next_left, next_right) in pairwise(edges):
        assert left < next_left and right < next_right and next_left > (left + right) / 2


def test_graphs_without_steps_run_downward(tmp_path: Path) -> None:
    file = tr.Tensor(np.ones(2)).tanh().draw(tmp_path / "a.dot")
    assert 'rankdir="TB"' in file.read_text(encoding="utf-8")


MOGRIFIER = """
    x1[t] = 2 * sigmoid(Q1 @ h[t-1]) * x[t]
    h2[t] = 2 * sigmoid(R2 @ x1[t]) * h[t-1]
    x3[t] = 2 * sigmoid(Q3 @ h2[t]) * x1[t]
    h4[t] = 2 * sigmoid(R4 @ x3[t]) * h2[t]
    x5[t] = 2 * sigmoid(Q5 @ h4[t]) * x3[t]
    f[t] = sigmoid(W_f @ x5[t] + U_f @ h4[t])
    g[t] = tanh(W_g @ x5[t] + U_g @ h4[t])
    c[t] = f[t] * c[t-1] + (1 - f[t]) * g[t]
    h[t] = tanh(c[t])
"""


def test_a_cell_that_is_a_long_chain_shows_its_quantities() -> None:
    """A Mogrifier (Melis et al. 2020): operations one after another are no picture that can be read."""
    model = tr.equations(MOGRIFIER, x=3, h=3)

    def shape(of: tr.Model, **options: Any) -> tuple[float, int, set[str]]:
        scene = make_scene(of, "unrolled", **options)
        return scene.panels[0].w, len(scene.panels), {s.label[0].text for s in scene.shapes if s.label}

    wide, columns, shown = shape(model)
    assert columns == 3 and 4 * (wide + 60) > forms.WIDE >= 3 * (wide + 60)  # fewer of what is wide, if nobody says
    assert "×" not in shown and "x" in shown
    assert shape(model, detail="gates") == (wide, columns, shown)
    assert shape(model, steps=4) == (wide, 4, shown)
    long = shape(model, detail="ops")
    assert long[0] > blocks.WIDEST and long[1] == 2 and "×" in long[2] and shape(model, steps=2) == long
    lstm = tr.graphs.lstm()
    assert shape(lstm) == shape(lstm, detail="ops") and shape(lstm)[1] == 4 and "×" in shape(lstm)[2]
