"""Equations and factors as they are written inside boxes: whole, in lines that are not too long, and true."""

from __future__ import annotations

import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.viz.api import make_scene
from tinygrad_rnn.viz.blocks.blocks import LONGEST
from tinygrad_rnn.viz.blocks.breaks import broken
from tinygrad_rnn.viz.style import SMALL
from tinygrad_rnn.viz.text import Label, formula, string, width

LONG = """
    hidden_representation[t] = tanh(W_input @ token_embedding[t] + U_recurrent @ hidden_representation[t-1]
        + V_previous @ token_embedding[t-1] + bias_of_the_cell)
"""


def long_cell() -> tr.Model:
    return tr.equations(LONG, token_embedding=3, hidden_representation=4)


def chain(count: int) -> tr.Model:
    """A cell of so many equations."""
    lines = [f"a{k}[t] = tanh(a{k - 1}[t])" for k in range(1, count)]
    first = f"a0[t] = tanh(W @ x[t] + U @ a0[t-1] + a{count - 1}[t-1])"
    return tr.equations("\n".join([first, *lines]), x=3, a0=4)


def inside(model: tr.Model) -> list[Label]:
    (cell,) = [s for s in make_scene(model, "folded").shapes if s.style == "state"]
    return list(cell.lines)


def shown(label: Label) -> str:
    return "".join(s.text for s in label)


def test_a_long_equation_stands_whole_in_several_lines():
    lines = inside(long_cell())
    assert len(lines) > 1 and all(width(line, SMALL) <= LONGEST for line in lines)
    text = "".join(map(string, lines))
    assert "…" not in text and text.endswith("bias_of_the_cell)")
    assert all(text.count(name) == n for name, n in (("W_input", 1), ("U_recurrent", 1), ("token_embedding", 2)))


def test_lines_together_are_the_equation():
    text = "y[t] = softmax(V_output @ (a[t] * first_of_all[t] * second_of_all[t]) + c[t]) * where(x[t] > 0, u, 1.5)"
    for room in (80.0, 150.0, 300.0, 1000.0):
        lines = broken(text, SMALL, room)
        assert "".join(map(shown, lines)).replace(" ", "") == shown(formula(text)).replace(" ", "")
        assert len(lines) == 1 or room < 1000.0
        assert not any("*" in shown(line) for line in lines)  # which is written as ⊙ at the beginning of a line too


@pytest.mark.parametrize("count", [11, 12, 13])
def test_no_line_says_that_there_is_one_more(count):
    assert len(inside(chain(count))) == count


def test_many_equations_are_counted():
    *lines, last = inside(chain(20))
    assert len(lines) == 12 and shown(last) == "… and 8 more"


@pytest.mark.parametrize("factor,label", [("b", "b"), ("(1 - b)", "1 − b"), ("exp(-b)", "exp(−b)"), ("W_ho @", "Who"),
                                          ("0.5 *", "0.5×"), ("transpose(W_ho) @", "Whoᵀ"),
                                          ("sigmoid(softplus(b) + exp(b) + b)", "linear")])
def test_a_box_says_by_what_it_multiplies(factor, label):
    by = factor if factor[-1] in "@*" else f"{factor} *"
    model = tr.equations(f"h[t] = tanh(U @ h[t-1]) + {by} exp(x[t])", x=4, h=4)
    found = {shown(s.label) for s in make_scene(model, "cell").shapes if s.style == "weight"}
    assert found == {label}


def test_the_symbols_in_boxes_are_seen():
    model = tr.equations("M[t] = tanh(M[t-1]) + outer(x[t], x[t])\ns[t] = dot(transpose(M[t-1]) @ x[t], x[t]) * s[t-1]",
                         x=3)
    texts = {shown(s.label).split(" ")[0] for s in make_scene(model, "unrolled", 1).shapes if s.label}
    assert {"(·)ᵀ", "dot"} <= texts
