"""Equations as LaTeX: what it is worth, how it reads, where lines end, and which equations are shown."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo
from latex_checks import assert_well_formed
from tex_values import Value

import tinygrad_rnn as tr
from tinygrad_rnn.commands import catalogue
from tinygrad_rnn.printing.measure import measure
from tinygrad_rnn.printing.rows import WIDTH

NOTATIONS = ("superscript", "subscript")
COLUMN = 22.0  # a column of two on A4


def body(latex: str) -> list[str]:
    """The lines between the first and the last, without what ends them."""
    return [line.strip().removesuffix(r"\\").strip() for line in latex.splitlines()[1:-1]]


def whole(latex: str) -> list[str]:
    """The equations, each in one line."""
    text = re.sub(r" \\\\\n  &\\q?quad (?:\{\})?(?:(\\)cdot )?", joined, latex)
    text = re.sub(r"(?<=begin\{cases\} )((?:(?!\\begin\{cases\}).)*?)(?= \\end\{cases\})", of_two_columns, text)
    return body(text.replace(r"\biggl", r"\left").replace(r"\biggr", r"\right"))


def joined(end: re.Match[str]) -> str:
    """What stood where a line ends: factors that touched have a sign there."""
    return r" \, " if end[1] else " "


def of_two_columns(cases: re.Match[str]) -> str:
    """Cases with a row each: what goes on in further rows is further in, a condition may stand below its value."""
    found: list[list[str]] = []
    for row in cases[1].split(r" \\ "):
        cells = row.split(" & ") if " & " in row else re.split(r"(?:^| )\\quad (?=\\text\{(?:if|otherwise))", row)
        cells = [cells[0], "".join(cells[1:])]
        if cells[0] and not cells[0].startswith(r"\quad "):
            found.append(cells)
            continue
        for k, cell in enumerate(cells):
            k = 1 if " & " not in row and found[-1][1] else k
            more = re.sub(r"^\\quad (?:\{\})?(?:(\\)cdot )?", joined, cell) if cell.startswith(r"\quad ") else cell
            found[-1][k] += more if more.startswith(" ") or not found[-1][k] else f" {more}" * bool(more)
    return r" \\ ".join(" & ".join(cells) for cells in found)


# -- what it is worth --------------------------------------------------------------------------------------

GROWN: dict[str, list[str]] = {
    "vector": ["V + V", "V - V", "V * V", "N * V", "V * N", "M @ V", "tanh(V)", "sigmoid(V)", "-V", "(V) ** 2",
               "tanh(V) ** 2", "exp(V)", "V / (2 + V * V)", "concat(V, V)[1:4]", "V @ M", "relu(V)", "M @ (M @ V)",
               "2 * V", "V * -0.5", "(V + V) * (V - V)", "abs(V)", "where(V > 0, V, 0) + V", "softmax(V)", "-(V - V)"],
    "number": ["V @ V", "sum(V)", "sum(V * V)", "N + N", "N - N", "N * N", "dot(V, V)", "-N", "abs(N)", "mean(V)",
               "log(1 + N * N)", "max(V)", "N / (1 + N * N)"],
    "matrix": ["M @ M", "N * M", "outer(V, V)", "transpose(M)", "M + M", "M * M", "M - M"]}
LEAVES = {"V": "uvw", "N": "rs", "M": "AB"}
KINDS = {"V": "vector", "N": "number", "M": "matrix"}
IN_NUMPY = {"tanh": np.tanh, "exp": np.exp, "log": np.log, "abs": np.abs, "sum": np.sum, "mean": np.mean, "max": np.max,
            "dot": np.dot, "outer": np.outer, "transpose": np.transpose, "where": np.where,
            "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "relu": lambda x: np.maximum(x, 0),
            "softmax": lambda x: np.exp(x) / np.exp(x).sum(), "concat": lambda *x: np.concatenate(x)}
FLAT = [form for form in GROWN["vector"] if "where" not in form]  # cases are no formula in one line


def grown(rng: random.Random, kind: str, depth: int) -> str:
    """A random expression, fully in brackets where Python needs them."""
    if depth == 0:
        return rng.choice(LEAVES[kind])
    forms = FLAT if kind == "V" else GROWN[KINDS[kind]]
    form = re.sub(r"\b[VNM]\b", lambda m: f"({grown(rng, m[0], depth - 1)})", rng.choice(forms))
    return form


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # a logarithm of what is negative
@pytest.mark.parametrize("seed", range(60))
def test_a_formula_is_worth_what_the_text_is(seed: int) -> None:
    rng, draw = random.Random(seed), np.random.default_rng(seed)
    text = grown(rng, rng.choice("VVNM"), 3)
    shapes: dict[str, Any] = {"A": (3, 3), "B": (3, 3), "u": 3, "v": 3, "w": 3, "r": (), "s": ()}
    shapes = {name: shape for name, shape in shapes.items() if re.search(rf"\b{name}\b", text)}
    values = {name: np.round(draw.uniform(-1, 1, shape), 2) for name, shape in shapes.items()}
    latex = tr.equations(f"y = {text}", dtype="float64", **shapes).latex(width=None)
    assert_well_formed(latex)
    columns = {name: value.reshape(-1, 1) if value.ndim == 1 else value for name, value in values.items()}
    found = Value(body(latex)[0].partition(" &= ")[2], columns).value()
    expected = eval(text, dict(IN_NUMPY), values)
    np.testing.assert_allclose(np.asarray(found).reshape(np.shape(expected)), expected,
                               rtol=1e-12, atol=1e-12, err_msg=latex)


@pytest.mark.parametrize("text,latex", [
    ("(A @ u) * v", r"(A u) \odot v"), ("A @ (u * v)", r"A (u \odot v)"), ("A @ (B @ u)", "A B u"),
    ("u + (v - w)", "u + v - w"), ("u - (v - w)", "u - (v - w)"), ("u * (v * w)", r"u \odot v \odot w"),
    ("(u @ v) * w", r"(u^\top v) w"), ("w * (u @ v)", r"(u^\top v) w"), ("r * (A @ u)", "r A u"),
    ("r * (u * v)", r"r u \odot v"), ("(r * u) * v", r"r u \odot v"), ("sum(u) * v", r"(\mathbf{1}^\top u) v"),
    ("sum(u * v)", r"u^\top v"), ("tanh(u) ** 2", r"\tanh^{2}(u)"), ("sigmoid(u) ** 2", r"\sigma(u)^{2}"),
    ("(u / v) ** 2", r"\left(\frac{u}{v}\right)^{2}"), ("exp(u) ** 2", r"(e^{u})^{2}"), ("u + -v", "u - v"),
    ("where(u > 0, v, 0) + w", r"\mathbf{1}_{u > 0} \, v + w"), ("where(u > 0, v, 0 * w)", r"\begin{cases}"),
    ("exp(u / v)", r"\exp\left(\frac{u}{v}\right)"), ("concat(u, v)", "[u; v]"), ("abs(u)", r"\lvert u \rvert"),
    ("floor(u - v)", r"\lfloor u - v \rfloor"), ("floor(u / v)", r"\left\lfloor \frac{u}{v} \right\rfloor"),
    ("logsumexp(stack(r, s, 2))", r"\log(e^{r} + e^{s} + e^{2})"), ("outer(u, v)", r"u \, v^\top")])
def test_brackets_stand_where_they_are_needed(text: str, latex: str) -> None:
    shapes: dict[str, Any] = {"A": (3, 3), "B": (3, 3), "u": 3, "v": 3, "w": 3, "r": (), "s": ()}
    used = {name: shape for name, shape in shapes.items() if re.search(rf"\b{name}\b", text)}
    shown = body(tr.equations(f"y = {text}", **used).latex())[0].removeprefix("y &= ")
    assert shown.startswith(latex) if latex.startswith(r"\begin") else shown == latex


def test_a_sum_of_a_vector_is_not_a_sum_of_vectors() -> None:
    model = tr.equations("h[t] = tanh(x[t])\np = sum(h[t], over=(t, n))\nq = sum(h[t])\nr = sum(h[t] * h[t])", x=3)
    h = r"h^{\langle t \rangle"
    assert body(model.latex())[1:] == [rf"p &= \sum_{{t,n}} {h}}}", rf"q &= \sum_{{t,n}} \mathbf{{1}}^\top {h}}}",
                                       rf"r &= \sum_{{t,n}} {h} \top}} {h}}}"]


def test_a_mask_keeps_what_dropout_leaves() -> None:
    model = tr.equations("h[t] = dropout(x[t], 0.05)", x=3)
    assert body(model.latex(notation="subscript"))[0].endswith(r"&\sim \text{Bernoulli}(0.95) / 0.95")


# -- every model -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", catalogue.models())
def test_every_model_is_well_formed_and_fits(name: str) -> None:
    model = catalogue.make(name)
    for one in (model, model.grad()):
        for notation in NOTATIONS:
            plain = one.latex(notation=notation, width=None)
            assert len(body(plain)) == len(one.system.equations)
            assert "operatorname" not in plain  # a web page of Markdown may refuse it
            for width in (WIDTH, COLUMN):
                latex = one.latex(notation=notation, width=width)
                assert_well_formed(latex)
                assert whole(latex) == body(plain)
                assert all(measure(line.replace("&", "", 1)) <= width for line in body(latex))
        assert r"\langle" not in one.latex(notation="subscript")




@pytest.mark.parametrize("golden,name,options", [
    ("lstm", "lstm", {"notation": "subscript"}),
    ("lstm_backward", "lstm", {"width": COLUMN, "want": ["d_a_y", "d_h", "d_[cg]", "d_a_g", "d_W_hg"]}),
    ("attention_backward", "bahdanau", {"want": ["e", "a", "c", "d_a", "d_e*", "d_W_a"], "notation": "subscript"}),
    ("layernorm_backward", "layernorm", {"want": ["a", "d_a", "d_a_2"]})])
def test_papers_write_it_so(golden: str, name: str, options: dict[str, Any]) -> None:
    model = catalogue.make(name)
    found = (model.grad() if golden.endswith("backward") else model).latex(**options)
    assert found + "\n" == (Path(__file__).parent / "golden" / f"{golden}.tex").read_text(encoding="utf-8")


# -- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name,shown", [
    ("W_xi", "W_{xi,t}"), ("alpha_t", r"\alpha_{t,t}"), ("h_tilde", r"\tilde{h}_{t}"), ("x1", "x_{1,t}"),
    ("delta", r"\delta_{t}"), ("_private", r"\_\text{private}_{t}"), ("d_1", "d_{1,t}"), ("d_c", "d_{c,t}"),
    ("d_d_h", "d_{d,h,t}"), ("α", r"\alpha_{t}"), ("θ_μ", r"\theta_{\mu,t}"), ("Δt", r"\Delta t_{t}"),
    ("é", r"\text{é}_{t}"), ("ο", "o_{t}"), ("W_loss1", r"W_{\text{loss1},t}"), ("W_xi1", "W_{xi1,t}"),
    ("a_sigma_hat", r"a_{\hat{\sigma},t}"), ("W_x_bar_y", r"W_{\bar{x},y,t}"), ("W_in_hat", r"W_{in,\text{hat},t}"),
    ("next_hat", r"\widehat{\text{next}}_{t}"), ("alpha_bar", r"\bar{\alpha}_{t}"),
    ("W_hidden_forget", r"W_{\text{hidden},\text{forget},t}"),
    ("state_of_the_lower_layer", r"\text{state}\_\text{of}\_\text{the}\_\text{lower}\_\text{layer}_{t}")])
def test_names_below_which_positions_stand(name: str, shown: str) -> None:
    model = tr.equations(f"{name}[t] = tanh(q[t])", q=2)
    assert body(model.latex(notation="subscript"))[0].split(" &= ")[0] == shown


def test_no_two_names_look_alike() -> None:
    text = "x_1[t] = tanh(x1[t] + alpha * α)\nd_x_1[t] = x_1[t] + x1[t-1]\nloss = sum(x_1[t])\nd_loss = 1"
    rows = body(tr.equations(text, x1=2, alpha=2, **{"α": 2}).latex(notation="subscript"))[:2]
    assert rows == [r"\text{x}\_\text{1}_{t} &= \tanh(x_{1,t} + \text{alpha} \odot \alpha)",
                    r"\delta x_{1,t} &= \text{x}\_\text{1}_{t} + x_{1,t-1}"]


def test_temporaries_are_no_positions() -> None:
    """d_h_1 is the first temporary of the adjoint of h, or the adjoint of h_1; h[1] is h at 1."""
    text = "h[t] = tanh(W @ h[t-1] + x[t]) * sigmoid(W @ h[t-1])\nh[0] = tanh(g)\nloss = sum(h[T]) + sum(h[1])"
    derived = tr.equations(text, x=3, g=3).grad(wrt=["W", "g"])
    assert "d_h_1" in derived.system.quantities
    latex = derived.latex(notation="subscript")
    assert r"\delta_{1} h" in latex and not re.search(r"\\delta h_\{1", latex)
    layers = tr.equations("h_1[t] = tanh(x[t] * w)\nloss = sum(h_1[t])", x=3).grad()
    assert r"\delta h_{1,t} &= " in layers.latex(notation="subscript")


def test_an_adjoint_has_an_equation_and_is_of_a_quantity() -> None:
    """A weight d_k is a name like any other beside a quantity k, and so is a d_z without a z."""
    text = "k[t] = tanh(W @ x[t] + U @ k[t-1] + d_k)\nd_z[t] = k[t] * k[t-1] * tanh(k[t])\nloss = mean(d_z[t] ** 2)"
    model = tr.equations(text, x=3, k=2)
    assert r"\delta" not in model.latex() and "+ d_{k})" in model.latex() and "d_{z}" in model.latex()
    derived = model.grad()
    assert derived.adjoints["d_k"] == "d_d_k" and "d_d_z_1" in derived.system.quantities
    for latex in (derived.latex(), tr.equations(str(derived)).latex()):  # as text it says as much
        assert r"\delta d_{k} &= " in latex and r"\delta_{1} d_{z}" in latex and r"\delta a_{k}" in latex
        assert "+ d_{k})" in latex and r"\delta k)" not in latex


OWN = """
    x[t] = W @ u[t]
    d_x[t] = x[t] - x[t-1]
    h[t] = tanh(U @ h[t-1] + V @ d_x[t])
    d_h = sum(h[T])
    loss = mean(squared_error(h[t], x[t]))"""


def test_a_difference_of_ones_own_is_no_adjoint() -> None:
    """An adjoint is what follows from a seed, d_loss = 1, and nothing from which the loss follows."""
    model = tr.equations(OWN, u=2, x=3, h=3)
    assert r"\delta" not in model.latex() and "d_{x}" in model.latex() and "d_{h}" in model.latex()
    derived = model.grad("loss")
    text = str(derived)
    for one in (derived, tr.equations(text), tr.equations("d_loss = 1\n" + text.replace("d_loss = 1", ""))):
        latex = one.latex()
        assert "V d_{x}^" in latex and r"\delta d_{x}^" in latex and r"\delta V &= " in latex
    own = tr.equations("a[t] = tanh(x[t])\na_a[t] = tanh(a[t])\nloss = sum(a_a[t])", x=2).grad("loss", "x").latex()
    assert r"\delta a_{a}^" in own and r"\delta a^" in own
    assert r"\delta W &= " in tr.equations("h[t] = x[t]\nloss = sum(h[t]) + 0 * sum(stop_gradient(W @ x[t]))",
                                           x=2, W=(2, 2)).grad("loss", "W").latex()


def test_a_condition_that_is_a_quantity_stands_in_brackets() -> None:
    model = tr.equations("m[t] = t - 2 * floor(t / 2) == 0\np[t] = x[t] > 0 and m[t]", x=())
    rows = body(model.latex(notation="subscript"))
    assert rows[0].startswith(r"m_{t} &= \left(t - 2") and rows[0].endswith(r"= 0\right)")
    assert rows[1] == r"p_{t} &= ((x_{t} > 0) \wedge m_{t})"


def test_what_a_sigmoid_reads_is_told_from_a_term() -> None:
    text = "g[t] = sigmoid(W @ x[t] + b)\na[t] = softmax(g[t])\nloss = mean(a[t] * g[t])"
    assert r"\delta a_{g}" in tr.equations(text, x=3, g=2).grad().latex()


def test_a_term_of_an_adjoint_is_differentiated_too() -> None:
    text = "h[t] = x[t] * x[t-1]\nd_h_1[t] = x[t] * h[t]\nd_d_h_1[t] = x[t] * d_h_1[t]\nq = sum(h[T])\nd_q = 1"
    rows = body(tr.equations(text, x=3).latex(notation="subscript"))
    assert rows[1].startswith(r"\delta_{1} h_{t} &= ") and rows[2].startswith(r"\delta \delta_{1} h_{t} &= ")


# -- which equations, and how wide -------------------------------------------------------------------------


def test_second_derivatives_have_two_signs() -> None:
    first = tr.equations("h[t] = tanh(U @ h[t-1] + x[t])\nloss = sum(h[T])", x=3).grad()
    second = tr.equations(f"{first}\nq = sum(d_U * d_U)").grad("q")
    rows = body(second.latex(want="d_d_*", notation="subscript"))
    assert rows[0] == r"\delta \delta U &= 2 \delta U"
    assert rows[1] == r"\delta_{1} \delta U_{t} &= \delta \delta U^\top \delta a_{h,t}"
    assert r"\delta \delta U h_{t-1} + U \delta \delta h_{t-1}" in rows[2]


def test_derived_equations_alone() -> None:
    model = zoo.build("lstm")
    derived = model.grad("loss")
    own, added = body(model.latex()), body(derived.latex(want="d_*"))
    assert [row.split(" &")[0] for row in body(derived.latex(width=None))] == [
        row.split(" &")[0] for row in own + body(derived.latex(want="d_*", width=None))]
    assert added[0] == r"\delta \text{loss} &= 1" and all(row.startswith((r"\delta ", "&")) for row in added)
    assert body(derived.latex(want=["h", "c"])) == [row for row in own if row[0] in "hc"]  # in the model's order
    assert body(derived.latex(want="d_W_h[io]")) == [row for row in added if re.match(r"\\delta W_\{h[io]\}", row)]


@pytest.mark.parametrize("options,error,said", [
    ({"want": "hh"}, tr.Error, "did you mean 'h'"), ({"want": "x"}, ValueError, "x has no equation: it is an input"),
    ({"want": "U*"}, ValueError, "U* has no equation: it is a weight"), ({"want": []}, ValueError, "want is empty"),
    ({"want": 3}, TypeError, "not 3"), ({"want": [3]}, TypeError, "not 3"),
    ({"want": "q*"}, tr.Error, "no quantity 'q*'"),
    ({"notation": "below"}, ValueError, "notation is 'superscript' or 'subscript', not 'below'"),
    ({"width": 0}, ValueError, "above 0"), ({"width": "a"}, TypeError, "width is a number")])
def test_mistakes(options: dict[str, Any], error: type[Exception], said: str) -> None:
    model = zoo.build("rnn")
    with pytest.raises(tr.Error) as caught:
        model.latex(**options)
    assert isinstance(caught.value, error) and said in str(caught.value)


def test_lines_end_outside_brackets_where_they_can() -> None:
    inner = " + ".join(f"W_{k} @ x[t]" for k in range(9))
    model = tr.equations(f"y[t] = sigmoid({inner}) * x[t] + tanh({inner}) - x[t]", x=2)
    lines = body(model.latex(notation="subscript"))
    assert lines[0].startswith(r"y_{t} &= \sigma(W_{0} x_{t} + ") and all(measure(line) <= WIDTH for line in lines)
    assert [line for line in lines if line.startswith(r"&\quad {}+ \tanh")] and lines[-1].endswith(") - x_{t}")
    assert any(line.startswith(r"&\qquad {}+ W_{8}") for line in lines)  # further in within brackets
    assert len(body(model.latex(width=None))) == 1 < len(lines) < len(body(model.latex(width=10)))


def test_what_cannot_be_cut_stays_and_deep_terms_end() -> None:
    name = "a_name_that_is_far_too_long_for_a_line_of_any_width"
    latex = tr.equations(f"y[t] = {name} * x[t] / (1 + x[t])", x=2).latex(width=3)
    assert_well_formed(latex)
    deep = "tanh(x[t] + " * 90 + "x[t]" + ")" * 90
    latex = tr.equations(f"y[t] = {deep}", x=2).latex(width=30)
    assert_well_formed(latex)
    assert "".join(whole(latex)).count(r"\tanh(") == 90


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_widths_are_those_of_tex(tmp_path) -> None:
    rows = {row.replace("&", "") if "cases" not in row else row.replace("&", "", 1)
            for name in ("lstm", "layernorm", "bahdanau", "mlstm", "ctc")
            for notation in NOTATIONS for row in body(catalogue.make(name).grad().latex(notation=notation))}
    boxes = [rf"\setbox0\hbox{{$\displaystyle {row}$}}\typeout{{width \the\wd0}}" for row in sorted(rows)]
    source = [r"\documentclass{article}\usepackage{amsmath}\begin{document}", *boxes, r"\end{document}"]
    (tmp_path / "a.tex").write_text("\n".join(source), encoding="utf-8")
    said = subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"], cwd=tmp_path,
                          capture_output=True, text=True, errors="replace").stdout
    found = [float(width) / 10 for width in re.findall(r"^width ([\d.]+)pt", said, re.MULTILINE)]
    for row, width in zip(sorted(rows), found, strict=True):
        assert abs(measure(row) - width) <= max(0.12 * width, 0.5), (row, width)


# -- where it is shown -------------------------------------------------------------------------------------


def test_unrolled_positions_stand_at_their_quantities() -> None:
    model = zoo.build("rnn")
    unrolled = model.unroll(3)
    assert body(unrolled.latex(want="h", notation="subscript"))[1] == r"h_{2} &= \tanh(U h_{1} + W x_{2} + b)"
    assert body(unrolled.latex())[0] == (r"h^{\langle 1 \rangle} &= \tanh(U \mathbf{0} + W x^{\langle 1 \rangle} + b)")
    assert len(body(unrolled.latex(width=None))) == len(unrolled.system.equations)
    with pytest.raises(tr.Error, match="no quantity 'h_1'"):
        unrolled.latex(want="h_1")


def test_a_notebook_prints_a_formula() -> None:
    model = zoo.build("rnn")
    assert model._repr_mimebundle_()["text/latex"] == rf"$\displaystyle {model.latex()}$"
