"""Equations as mathematics: LaTeX that compiles, signs between what is multiplied, numbers, and lines that are cut."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import zoo

import tinygrad_rnn as tr
from tinygrad_rnn.viz.api import make_scene
from tinygrad_rnn.viz.text import formula

TEXT = """
    g[t] = h[t] ** 2 - 1e9 * (h[t] > 0) + z[t] * h[t] * h[t] + 2.5e-5 * h[t]
    e[t,s] = dot(v, tanh(A @ h[t] + B @ g[s]))
    a[t,s] = softmax(where(s <= t, e[t,s], -1e9), over=s)
    h[t] = tanh(x[t]) * 3"""


def model() -> tr.Model:
    return tr.equations(TEXT, x=3, z=(), v=4)


def by_name(latex: str) -> dict[str, str]:
    """Left side -> right side of every row."""
    rows = [row.strip().removesuffix(r"\\").strip() for row in latex.splitlines()[1:-1]]
    return dict(row.split(" &= ", 1) for row in rows)


def test_latex_of_products_and_numbers() -> None:
    rows = by_name(model().latex())
    at = {i: rf"^{{\langle {i} \rangle}}" for i in ("t", "s", "t,s")}
    h = "h" + at["t"]
    assert rows["g" + at["t"]] == (rf"({h})^{{2}} - 10^{{9}} ({h} > 0) + "
                                   rf"z{at['t']} {h} \odot {h} + 2.5 \cdot 10^{{-5}} {h}")
    assert rows["e" + at["t,s"]] == rf"v^\top \tanh(A {h} + B g{at['s']})"
    assert rows["a" + at["t,s"]].count("-10^{9}") == 1 and r"s \le t" in rows["a" + at["t,s"]]
    assert rows[h] == rf"3 \tanh(x{at['t']})"


@pytest.mark.parametrize("text,shown", [
    ("a * -1000000000", "a ⊙ −109"), ("2.5e-05 @ h[t]", "2.5·10−5 h⟨t⟩"),
    ("0.001 @ x[t] + 99999", "0.001 x⟨t⟩ + 99999"),
    ("transpose(W[l]) @ h[l,t-1]", "W⟨l⟩ᵀ h⟨l,t−1⟩"), ('einsum("hd,hd->h", q[t])', 'einsum("hd,hd->h", q⟨t⟩)'),
    ("where(s <= t, s != 1, t >= 2)", "where(s ≤ t, s ≠ 1, t ≥ 2)"), ("h1 + x2y", "h1 + x2y"),
    ("clip(W_mu @ h[t], low=-5, high=5)", "clip(Wμ h⟨t⟩, low=−5, high=5)"),
    ("sum(x[t], over=(t, n))", "sum(x⟨t⟩, over=(t, n))"),
])
def test_formulas(text: str, shown: str) -> None:
    assert "".join(span.text for span in formula(text)) == shown


def test_long_names_are_words() -> None:
    latex = tr.equations("h[t] = W_input_to_hidden_cell @ x[t] + b_in", x=3, h=3).latex()
    assert r"\text{W}\_\text{input}\_\text{to}\_\text{hidden}\_\text{cell}" in latex and "b_{in}" in latex


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_takes_every_model_and_its_gradient(tmp_path) -> None:
    shown = [model().latex()]
    for name in zoo.MODELS:
        shown += [zoo.build(name).latex(), zoo.build(name).grad("loss").latex()]
    compiled(shown, tmp_path)


def compiled(shown: list[str], tmp_path) -> None:
    page = "\n".join(rf"\[{latex}\]" for latex in shown)
    (tmp_path / "a.tex").write_text(
        r"\documentclass{article}\usepackage{amsmath}\usepackage[paperwidth=2000mm,paperheight=2000mm]{geometry}"
        rf"\begin{{document}}{page}\end{{document}}", encoding="utf-8")
    done = subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"], cwd=tmp_path,
                          capture_output=True, text=True, errors="replace")
    assert not re.findall(r"^!.*", done.stdout, re.MULTILINE) and done.returncode == 0


NAMES = ["x_hat", "x_dot_i", "A_bar", "x_tilde_t", "d_x_hat", "h__x", "_h", "W_", "h12", "abc1", "alpha_beta",
         "lambda_", "W_1_2", "_", "pi", "bar_x", "W_hidden_to_output_layer", "xi_xi"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_takes_every_name(tmp_path) -> None:
    form = "{0}[t] = x[t] * q_{0}x ** {0}_w\ny[t] = {0}[t-1]**2 + transpose(outer({0}[t], {0}[t])) @ embed(E_{0}, x[t])"
    compiled([tr.equations(form.format(name), x=3).latex() for name in NAMES], tmp_path)


def lines_of(text: str, **sizes: int) -> list[str]:
    """The lines of the first equation in the equations view, without its left side."""
    scene = make_scene(tr.equations(text, **sizes), "equations")
    notes = ["".join(s.text for s in n.label) for n in scene.notes if n.anchor == "start" and n.size == 14]
    return notes


def test_lines_are_cut_outside_brackets() -> None:
    inner = " + ".join(f"W_{k} @ x[t]" for k in range(4))
    lines = lines_of(f"y[t] = tanh({inner}) + tanh({inner}) - sigmoid({inner}) * tanh({inner})", x=2, y=2)
    assert len(lines) > 2 and all(line.count("(") == line.count(")") for line in lines)


def test_what_is_too_long_in_brackets_is_cut_there() -> None:
    inner = " + ".join(f"W_{k} @ x[t]" for k in range(20))
    lines = lines_of(f"y[t] = x[t] + tanh({inner}) * x[t]", x=2, y=2)
    assert lines[0] == "=  x⟨t⟩" and lines[1].startswith("+ tanh(W0") and lines[-1].endswith(") ⊙ x⟨t⟩")
    assert all(line.startswith(("=", "+")) for line in lines)


def test_what_goes_from_x_to_i_is_no_greek_letter():
    model = tr.equations("i[t] = sigmoid(W_xi @ x[t] + b_mu)", x=3, i=4)
    assert "W_{xi}" in model.latex() and r"b_{\mu}" in model.latex()
