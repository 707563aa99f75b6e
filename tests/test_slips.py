"""Slips of the pen, as students make them: each is told where it is, and what to write instead; in texts and Python."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import Model, T, n, t, tanh

SIZES = {"x": 3, "h": 4}
# A text, the term under the carets, and what is said of it.
SLIPS = [
    # an operator that is missing, or another's
    ("h[t] = tanh(W x[t])", "W x", "between W and x an operator is missing"),
    ("h[t] = x[t] y[t]", "] y", "between x[t] and y an operator"),
    ("h[t] = tanh(2x[t])", "2x", "2 * x"),
    ("h[t] = (W @ x[t]) (U @ h[t-1])", "W @ x[t]", "operator, * or @"),
    ("h[t] = W(x[t])", "W", "operator, * or @"),
    ("h[t] = tanh W @ x[t]", "tanh W", "tanh(...)"),
    ("h[t] = W @ @ x[t]", "@ @", "a term is missing between @ and @"),
    ("h[t] = W @ x[t] +\n  U @ h[t-1]", "+", "a term is missing after +"),
    ("  h[t] = W @ x[t]\n    + U @ h[t-1]\n  z[t] = x[t]", "+ U @ h[t-1]", "several lines stands in brackets"),
    ("  h[t] = W @ x[t]\n    y[t] = tahn(W @ x[t])", "tahn", "did you mean 'tanh'"),
    ("for t in range(9):\n    h[t] = x[t]", "h[t] = x[t]", "no statements of Python"),
    ("h[t] = W @ x[t]\n+ U @ h[t-1]", "+ U @ h[t-1]", "several lines stands in brackets"),
    ("h[t] =", "=", "a term is missing after ="),
    ("h[t] = W^T @ x[t]", "W^T @ x[t]", "a power is written **"),
    ("h[t] = W.T @ x[t]", "W.T", "transpose(W)"),
    ("h[t] = W' @ x[t]", "'", "transpose(W)"),
    ("h[t] = x[t] && x[t-1]", "&&", "write and"),
    ("h[t] = |x[t]|", "|", "abs(...)"),
    ("h[t] = x[t] // the input", "//", "a comment begins with #"),
    ("h[t] = x[t] % input", "x[t] % input", "a comment begins with #"),
    ("h[t] = where(t % 2 == 0, x[t], h[t-1])", "t % 2", "a remainder is a - b * floor(a / b)"),
    # brackets
    ("h(t) = W @ x[t]", "h(t)", "h[t] = ..."),
    ("h[t] = W @ x(t)", "x", "square brackets"),
    ("h[t] = W @ hidden(t-1) + x[t]", "hidden", "square brackets"),
    ("h_t = W @ h_{t-1}", "{", "h[t-1]"),
    ("h[] = x[t]", "[]", "h[t]"),
    ("h[t] = W @ [x[t], h[t-1]]", "[x[t], h[t-1]]", "concat(a, b)"),
    ("h[t] = 0,5 * x[t]", "0,5 * x[t]", "decimal point"),
    ("= W @ x[t]", "=", "left of ="),
    ("h[t] - x[t] = 0", "h[t] - x[t]", "left of ="),
    ("2 = x[t]", "2", "left of ="),
    ("x[t]:\nh[t] = x[t]", ":", "a size is missing beside the colon"),
    (": 3\nh[t] = x[t]", ":", "a name is missing beside the colon"),
    ("h[t] = and x[t]", "= and", "a term is missing between = and and"),
    ("h[t] = x[t] <", "<", "a term is missing after <"),
    ("h[t] = where(x[t] > 0 & x[t] < 1, 1, 0)", "x[t] > 0 & x[t] < 1", "(a < b) and (b < c)"),
    ("h[t] = x[t] is 3", "x[t] is 3", "== tells whether"),
    # functions called otherwise
    ("h[t] = reshape(x[t], 3, 1)", "1", "reshape takes 1 operand, not 3; it is called reshape(a, shape)"),
    ("h[t] = dropout(x[t])", "dropout(x[t])", "dropout needs rate=; it is called dropout(x, rate)"),
    ("h[t] = where(x[t] > 0, 1)", "where(x[t] > 0, 1)", "it is called where(condition, a, b)"),
    ("h[t] = softmax(x[t], 0)", "0", "it is called softmax(a, over=None, axis=-1)"),
    # signs of equations
    ("h[t] := W @ x[t]", ":=", "one ="),
    ("h[t] == W @ x[t]", "h[t] == W @ x[t]", "one ="),
    ("h[t] <- W @ x[t]", "h[t] <- W @ x[t]", "one ="),
    ("w[t] ~ categorical(p[t])", "~", "w[t] = categorical(p[t])"),
    ("h[t] += x[t]", "h[t] += x[t]", "h[t] = h[t-1] + ..."),
    ("h[t] = where(t = T, x[t], 0)", "=", "=="),
    ("h[t=0] = b\nh[t] = x[t]", "=", "=="),
    # words
    ("h[t] = lambda * x[t]", "lambda", "lambda_"),
    ("for t in x: h[t] = x[t]", "for t in x: h[t] = x[t]", "without a loop"),
    ("in[t] = x[t]", "in", "word of Python's"),
    ("h[t] = np.tanh(x[t])", "np.tanh", "tanh(...)"),
    ("h[t] = \\tanh(x[t])", "\\", "LaTeX"),
    ("h[t] = x[t] > 0 ? 1 : 0", "?", "where(condition, a, b)"),
    # characters that a keyboard lacks, or that Python takes for others
    ("h[t] = h[t−1] + x[t]", "−", "write -"),
    ("h[t] = h[t–1] + x[t]", "–", "write -"),
    ("h[t] = W × x[t]", "×", "write *"),
    ("h[t] = W·x[t]", "·", "@ (matrix product)"),
    ("h[t] = Wᵀ @ x[t]", "ᵀ", "transpose(W)"),
    ("h[t] = x[t]²", "²", "** 2"),
    ("hₜ = W @ x[t]", "ₜ", "h[t]"),
    ("h₁[t] = W @ x[t]", "₁", "h_1"),
    ("h′[t] = W @ x[t]", "′", "h_p"),
    ("h[t] = tanh（x[t]）", "（", "write ("),
    ("h［t］ = x[t]", "［", "write ["),
    ("h[t] ＝ x[t]", "＝", "write ="),
    ("h[t] = x[t] ≤ 3", "≤", "write <="),
    ("h[t] = ∑ x[t]", "∑", "over=t"),
    ("h[t] =\u00a0x[t]", "\u00a0", "ordinary space"),
    ("\ufeffh[t] = x[t]", "\ufeff", "leave it out"),
    # functions
    ("h[t] = σ(x[t])", "σ", "sigmoid(...)"),
    ("h[t] = sigm(x[t])", "sigm", "sigmoid(...)"),
    ("h[t] = ReLU(x[t])", "ReLU", "'relu'"),
    ("h[t] = ln(x[t])", "ln", "log(...)"),
    ("h[t] = min(x[t], h[t-1])", "min", "minimum(a, b)"),
    ("h[t] = max(x[t], 0)", "0", "maximum(a, b)"),
    ("h[t] = max(x[t], h[t-1])", "h[t-1]", "maximum(a, b)"),
    ("h[t] = tanh(x[t], 2)", "2", "1 operand, not 2"),
    ("h[t] = sum(x[t], Over=t)", "Over=t", "did you mean 'over'"),
    ("h[t] = sum(x[t], dim=0)", "dim=0", "write axis=..."),
    ("h[t] = sum(x[t], where=0)", "where=0", "it takes over, axis"),
    ("h[t] = layer_norm(x[t], gain=g)", "gain=g", "no argument 'gain'"),
    ("h[t] = sum(x[t], axis=t)", "t", "over="),
    ("h[t] = cumsum(x[t], reverse=true)", "true", "reverse takes True or False"),
    ("h[t] = transpose(W, axes=k) @ x[t]", "k", "axes takes a tuple of whole numbers"),
    # indices and sizes
    ("h[t] = x[-1+t]", "t", "after the index"),
    ("h[t] = sum(W[k] @ x[t-k], over=k)", "k", "W_1 @ x[t-1] + W_2 @ x[t-2]"),
    ("h[t] = x[T-t]", "t", "a recurrence with t+1"),
    ("h[t] = E[w[t]] + x[t]", "w[t]", "embed(E, w[t])"),
    ("h[t] = round(x[t])", "round", "floor(z + 0.5)"),
    ("h[t] = x[t]\ny = h", "h", "h is defined as h[t], here it stands without an index"),
    ("h[t] = w[0] * x[t] + w[1] * x[t-1]", "w[0]", "one feature is w[:][0]"),
    ("h[t] = x[t,0] * x[t]", "x[t,0]", "one feature is x[t][0]"),
    ("y[t] = x[-1]", "x[-1]", "the last step x[T]"),
    ("p = softmax(w)\nh[t] = p[1] * x[t]", "p[1]", "p[:][1] is one of its features"),
    ("h[t] = tanh(sigmoid(x[t]) * W @ x[t-1] + x[t])", "sigmoid(x[t]) * W @ x[t-1]", "sigmoid(x[t]) * (W @ x[t-1])"),
    ("h[t] = tanh((1 - x[t]) * W @ x[t-1] + x[t])", "(1 - x[t]) * W @ x[t-1]", "dot((1 - x[t]) * W, x[t-1])"),
    ("g = sigmoid(b)\nh[t] = g * h[t-1] + (1 - g) * W @ x[t]", "(1 - g) * W", "write (1 - g) * (W @ x[t])"),
    ("y = img[n]\nh[t] = img[t]", "img[t]", "used as img[n]"),
    ("loss = x[t] * x[t]", "x[t]", "mean(...)"),
    ("h[t] = tanh(U @ h[t])\ny[t] = x[t]", "h[t] = tanh(U @ h[t])", "not shifted, as in t-1"),
    ("x[s]: 3\nh[t] = W @ x[t]", "x[s]", "the equations have x[t]"),
    ("x[t,s]: 3\nh[t] = W @ x[t]", "x[t,s]", "the equations have x[t]"),
    ("z: 3\nh[t] = W @ x[t]", "z", "z is not in the equations"),
    ("y[t] = x[t][1:9]", "x[t][1:9]", "beyond a feature axis of size 3"),
    ("y[t] = x[t][-9:]", "x[t][-9:]", "beyond a feature axis of size 3"),
    ("h[t] = W * x[t] + U * h[t-1]", "W * x[t] + U * h[t-1]", "W @ x[t]"),
    ("h[t] = W @ x[t]\ny[t] = W @ h[t]", "W @ h[t]", "h[t] has shape (4,)"),
]


def refused(text: str, **sizes: int) -> str:
    with pytest.raises(tr.Error) as error:
        tr.equations(text, **sizes)
    return str(error.value)


@pytest.mark.parametrize("text,term,said", SLIPS)
def test_a_slip_is_pointed_at(text: str, term: str, said: str) -> None:
    message = refused(text, **{name: size for name, size in SIZES.items() if f"{name}[t" in text.replace("[t=0", "")})
    *_, shown, carets = message.splitlines()
    assert shown[carets.index("^") :][: carets.count("^")] == term, message
    assert said in message


def test_what_only_looks_odd_is_read() -> None:
    odd = "\n".join(["# a comment − with × signs", "ｈ[ t ] = tanh( W@x [t-1] )  # h′ is ‘old’",
                     "y[t]=-h[t]--h[t-1]*1_0;", 'z[t] = einsum("i,i->", h[t], y[t])'])
    model = tr.equations(odd, x=3, h=2)
    assert [eq.left for eq in model.system.equations] == ["h[t]", "y[t]", "z[t]"]
    assert str(model).splitlines()[-3:] == ["h[t] = tanh(W @ x[t-1])  # h′ is ‘old’", "y[t] = -h[t] - -h[t-1] * 10",
                                            'z[t] = einsum("i,i->", h[t], y[t])']


def test_a_long_line_is_shown_around_its_term() -> None:
    message = refused("h[t] = x[t] " + "+ x[t] " * 800 + "+ tahn(x[t]) " + "+ x[t] " * 800, x=3)
    *_, shown, carets = message.splitlines()
    assert shown[carets.index("^") :][: carets.count("^")] == "tahn" and len(shown) < 200


def test_sizes_of_names_that_are_not_there() -> None:
    assert "they have h_t, W, x_t" in refused("h_t = W @ x_t", x=3, h=4)
    assert "did you mean 'x'" in refused("h[t] = W @ x[t]", X=3, h=4)


def test_one_name_has_one_number_of_indices() -> None:
    message = refused("h[t] = W @ x[t]\nh = b", x=3, h=4)
    assert "h[t] and h differ in the number of indices" in message and "line 1" in message and "line 2" in message


def test_pieces_that_were_put_together_begin_in_any_column() -> None:
    cell = """
        h[t] = tanh(W @ x[t]     # of this step
                    + U @ h[t-1])
    """
    model = tr.equations(cell + "y[t] = V @ h[t]\n" + "\tloss = mean(y[t])", x=3, h=4, y=2)
    assert str(model).endswith("h[t] = tanh(W @ x[t] + U @ h[t-1])\ny[t] = V @ h[t]\nloss = mean(y[t])")


# -- what is read, but hardly meant --------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["y = V @ h[-1]", "y = V @ x[0]", "y = V @ x[T+1]"])
def test_a_position_that_is_always_zero_warns(text: str) -> None:
    with pytest.warns(UserWarning, match="always zero"):
        tr.equations(f"h[t] = W @ x[t] + h[t-1]\n{text}", x=3, h=3, y=2)


@pytest.mark.parametrize("text", ["y[t] = h[4,t]", "y[t] = h[L-3,t] + W[0] @ x[t]", "y[t] = W[4] @ x[t]"])
def test_a_position_beyond_a_size_warns(text: str) -> None:
    layers = "h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1] + x[t])"
    with pytest.warns(UserWarning, match="always zero"):
        tr.equations(f"{layers}\n{text}", x=3, h=3, l=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tr.equations(f"{layers}\nh[0,t] = x[t]\nh[L+1,t] = x[t]\ny[t] = h[4,t] + h[0,t] + h[L-3,t] + h[3,t]", x=3, l=3)


@pytest.mark.parametrize("text", ["h[0] = b\ny = h[0]", "y = h[0]", "h[t] = U @ h[t-2] + x[t]\ny = h[-1] + h[0]",
                                  "y = x[1]", "h[t] = x[t] + h[t+1]\ny = h[T+1]"])
def test_a_position_that_something_may_set_does_not(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tr.equations(text if "h[t]" in text else f"h[t] = x[t] + h[t-1]\n{text}", x=3)


# -- models declared in Python -------------------------------------------------------------------------------


def wrong_index(m, x, h):
    h[t] = x[t, t]


def shifted_batch(m, x, h):
    h[t] = m.weight("W") @ x[n - 1]


def far_shift(m, x, h):
    h[t] = m.weight("W") @ x[t - 2000]


def twice_on_the_left(m, x, h):
    h[t, t] = x[t]


def numpy_function(m, x, h):
    h[t] = np.arctan(m.weight("W") @ x[t])


def numpy_array(m, x, h):
    h[t] = np.ones((4, 3)) @ x[t]


def comparison(m, x, h):
    h[t] = (t == T) * (m.weight("W") @ x[t])


def not_a_number(m, x, h):
    h[t] = m.weight("W") @ x[t] + float("nan")


def an_input_with_an_equation(m, x, h):
    x[t] = m.weight("W") @ h[t]


def a_state_without_one(m, x, h):
    m["y"] = m.weight("W") @ x[T]


def two_roles(m, x, h):
    h[t] = m.weight("x") @ x[t]


def an_index_as_a_weight(m, x, h):
    h[t] = tanh(m.weight("t") @ x[t])


def a_position_as_a_weight(m, x, h):
    h[t] = tanh(m.weight("T") @ x[t])


def a_word_of_python(m, x, h):
    h[t] = m.weight("lambda") @ x[t]


def a_raised_letter(m, x, h):
    h[t] = m.weight("Wᵀ") @ x[t]


def a_dot(m, x, h):
    h[t] = m.weight("W·x") @ x[t]


def a_slice_too_long(m, x, h):
    h[t] = m.weight("W") @ x[t][0:9]


WRONG = {wrong_index: "once in a bracket", shifted_batch: "never shifted", far_shift: "at most 1000",
         twice_on_the_left: "once on the left", numpy_function: "tr.tanh", numpy_array: "got a ndarray",
         comparison: "tr.equal", not_a_number: "nan", an_input_with_an_equation: "model.state('x')",
         a_state_without_one: "no equation defines it", two_roles: "as an input and as a weight",
         an_index_as_a_weight: "t is an index", a_position_as_a_weight: "T is an index", a_word_of_python: "lambda_",
         a_raised_letter: "'ᵀ'", a_dot: "'·'", a_slice_too_long: "size 3"}


@pytest.mark.parametrize("declare", WRONG, ids=lambda f: f.__name__)
def test_a_wrong_declaration_is_refused(declare) -> None:
    m = Model("wrong")
    with pytest.raises(tr.Error) as error:
        declare(m, m.input("x", 3), m.state("h", 4))
        m.system  # noqa: B018  # resolved at first use
    assert WRONG[declare] in str(error.value)


def test_numpy_computes_with_quantities() -> None:
    m = Model("right")
    x, h = m.input("x", 3), m.state("h")
    h[t] = np.tanh(np.float32(2) * x[t]) / np.float64(4)
    assert str(m).splitlines()[-1] == "h[t] = tanh(2 * x[t]) / 4"


def test_data_for_a_weight() -> None:
    model = tr.equations("y = softmax(V @ x[T])\nloss = mean(cross_entropy(y, target))", x=3, y=2)
    with pytest.raises(tr.Error, match=r"target is a weight.*target\[t\], or target\[n\]"):
        model.run(x=np.zeros((1, 2, 3)), target=np.zeros(1, int))


def test_what_is_advised_instead_of_a_function_is_of_the_notation() -> None:
    from tinygrad_rnn.notation.elsewhere import ELSEWHERE

    shapes = {"z": 4, "a": 4, "b": 4, "A": (4, 4), "B": (4, 4), "x": 4, "p": 4, "k": 4}
    for name, advice in ELSEWHERE.items():
        term = re.split(r", (?:or|a|which|1) (?!\*)", advice)[0].replace("(...)", "(z)")
        left, more = ("y[t]", {"y": 3}) if "x[t]" in term else ("y", {})
        used = {n: s for n, s in shapes.items() if re.search(rf"\b{n}\b(?!=)", term)}
        assert tr.equations(f"{left} = {term}", **used, **more), name
