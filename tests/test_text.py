"""The reader against text that nobody would write by hand: odd values, odd line ends, sizes that would take all day."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from effort import at_most

import tinygrad_rnn as tr
from tinygrad_rnn.notation.functions import IN_TEXT
from tinygrad_rnn.ops.table import REQUIRED

HUGE = "9" * 20
ODD = ["0", "-1", "7", HUGE, f"-{HUGE}", "0.5", "-2.5", "True", "-True", "None", "()", "(0,)", "(0, 0)", "(0.5,)",
       "(-1, -1)", "((0,),)", "(1, 'a')", "'a'", "''", "t", "x[t]", "inf", "-inf", "1j", "9**9"]
USUAL = {"axis": "0", "size": "3", "shape": "(3,)", "at": "0", "rate": "0.5"}
X = np.random.default_rng(0).uniform(0.5, 1, (2, 4, 3))


def refused(text: str, **sizes: object) -> str:
    """The message of the error that the text must be."""
    with pytest.raises(tr.Error) as error:
        tr.equations(text, **sizes)
    return str(error.value)


def parameters():
    return [(name, p) for name, function in sorted(IN_TEXT.items()) for p in function.params if name != "count"]


def call(name: str, parameter: str, value: str) -> str:
    function = IN_TEXT[name]
    operands = ["x[t]"] * (1 if function.arity is None else function.arity)
    if function.leading:
        return f"{name}({', '.join([value, 'x[t]', 'x[t]'])})"
    others = [f"{p}={USUAL[p]}" for p, default in function.params.items() if default is REQUIRED and p != parameter]
    return f"{name}({', '.join([*operands, f'{parameter}={value}', *others])})"


@pytest.mark.parametrize("name,parameter", parameters())
def test_an_odd_value_of_any_argument_is_refused_or_runs(name, parameter):
    for value in ODD:
        text = f"h[t] = {call(name, parameter, value)}\nx[t]: 3\nloss = mean(sum(h[t] ** 2, over=t))"
        try:
            model = tr.equations(text)
            found = model.value_and_grad(x=X, wrt=["x"])[1]["x"]
            assert found.shape == X.shape
            again = tr.equations(str(model))
        except tr.Error as error:
            assert str(error).strip(), text
            continue
        # A result that cannot be written down again would make a checkpoint that cannot be read.
        assert [eq.left for eq in again.system.equations] == [eq.left for eq in model.system.equations], text


@pytest.mark.parametrize("expr,fragments", [
    ("x[t][::0]", ["whole number other than 0", "not 0"]),
    ("slice(x[t], 0, 0.5)", ["whole number", "start", "0.5"]),
    ("expand(x[t], axis=0, size=-1)", ["size", "-1"]),
    (f"expand(x[t], axis=0, size={HUGE})", ["size", HUGE]),
    ("clip(x[t], None)", ["a number", "low", "None"]),
    ("layer_norm(x[t], eps=())", ["a number", "eps", "()"]),
    ("transpose(x[t], axes=0)", ["tuple", "axes", "not 0"]),
    ("reshape(x[t], (0.5,))", ["tuple", "shape", "0.5"]),
    ("reshape(x[t], (-1, -1, 3))", ["at most one -1"]),
    ("cumsum(x[t], axis=0, reverse=2)", ["True or False", "reverse", "2"]),
    ("one_hot(x[t], size=3, codes=-1)", ["True or False", "codes", "-1"]),
    (f"sum(x[t], axis={HUGE})", ["axis", HUGE]),
    (f"x[t][{HUGE}]", [HUGE, "size 3"]),
])
def test_an_odd_value_is_named(expr, fragments):
    message = refused(f"h[t] = {expr}\ny[t] = sum(h[t])", x=3)
    assert all(f in message for f in fragments), message
    assert message.endswith("^")


def test_one_size_for_a_reshape_needs_no_tuple():
    assert (tr.equations("h[t] = reshape(x[t], 3)", x=3).run(x=X)["h"] == X.astype("float32")).all()


# -- lines -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ";", "\n\n\n", " # a\x0cb\n", " # \u2028\n", "\n\x0c\n"])
def test_any_end_of_line_is_read_and_pointed_at(end):
    first = "h[t] = tanh(x[t])"
    assert len(tr.equations(f"{first}{end}y[t] = 2 * h[t]", x=3).system.equations) == 2
    message = refused(f"{first}{end}y[t] = tahn(h[t])", x=3)
    shown, carets = message.splitlines()[-2:]
    assert shown[carets.index("^") :][: carets.count("^")] == "tahn"


@pytest.mark.parametrize("text", ["h[t] = α * 2 + tahn(x[t])", "ĥ[t] = (β +\n ĥ[t-1] * 𝛼 - tahn(x[t]))",
                                  "h[t] = (x[t]\n + 2 * tahn(\n x[t]))", "h[t] = x[t] \\\n + tahn(x[t])",
                                  "h[t] = x[t]  # α\nÿ[t] = ÿ[t-1] * ÿ[t-2] + tahn(x[t])"])
def test_the_caret_stands_under_the_term(text):
    shown, carets = refused(text, x=3).splitlines()[-2:]
    assert shown[carets.index("^") :][: carets.count("^")] == "tahn"


def test_names_in_any_script():
    model = tr.equations("ĥ[t] = tanh(Ŵ @ ж[t] + β)", ж=3, ĥ=2)
    assert set(model.weights) == {"Ŵ", "β"}
    assert model.run(ж=X)["ĥ"].shape == (2, 4, 2)
    assert tr.equations(str(model)).weights.shapes == model.weights.shapes


@pytest.mark.parametrize("text", ["h[t] = x[t]\0", "h\0[t] = x[t]", "#\0\nh[t] = x[t]", "h[t] = x[t] # \ud800",
                                  "\udfff[t] = x[t]", "😀[t] = x[t]", "h[t] = x[t] \u202e+ 1", "\ufeffh[t] = x[t]",
                                  "h[t]\u00a0= x[t]", "h[t] = x[t]\x1c", "h[t] = \u0663 * x[t]", "h[t] = '\\N{no}'",
                                  "h[t] = \\", "h[t] = '''a", "h[t] = (", "h[t] = )", "", " ", "#", "\n\t\n"])
def test_what_is_no_text_is_refused(text):
    assert refused(text, x=3).strip()


# -- statements and terms of Python that are not of the notation ----------------------------------------------

STATEMENTS = ["from os import system", "def f(): pass", "while 1: h[t] = x[t]", "for t in x: h[t] = x[t]",
              "with x: h[t] = x[t]", "try:\n h[t] = x[t]\nexcept E: pass", "assert x", "global x", "return x",
              "raise x", "@a\ndef f(): pass", "async def f(): pass", "pass", "x", "h[t] = y[t] = x[t]", "a, b = x",
              "*a, = x", "[a] = x", "h.a = x[t]", "f(x)[t] = 1", "x: int = 3", "x: 'a'", "x: (1, 0.5)",
              "h[t]: 3 = x[t]", "(h)[t]: x"]
TERMS = ["().__class__.__bases__[0]", "x.__dict__[t]", "x[t].sum()", "eval('1')", "exec('1')", "getattr(x, 'a')",
         "lambda: x[t]", "(x[t] for x in y)", "sum(x[t] for q in y)", "{x[t]}", "{**x}", "f'{x}'",
         "sum(x[t], over=f't')", "yield", "None", "(x[t], 1)", "[x[t]]", "x[t] if x[t] else 0", "x[t] % 2", "x[t] // 2",
         "x[t] << 9999999999", "x[t] ^ 2", "x[t] is x[t]", "x[t] in x", "x[t] < x[t] < x[t]", "const(1)",
         "take(x[t], 1)", "scatter(x[t], 1)", "position('t')", "last('t')", "sum(x[t], axis=0, axis=1)",
         "sum(x[t], over=())", "sum(x[t], where=1)", "count(x[t])", "count()", "x[1.5]", "x[t:2]", "x[t, ...]", "x[*t]",
         "x[-t]", "x[t*2]", "x[2-t]", "x[t-0.5]", "x[t-True]", "x[t][t]", "x[t]['a']", "inf[t]", "nan", "nan[t]",
         "1[t]", "x(t)", "x[t](t)", "t()"]


@pytest.mark.parametrize("text", [*STATEMENTS, *(f"h[t] = {term} * x[t]" for term in TERMS)])
def test_python_that_is_not_of_the_notation_is_refused(text):
    message = refused(text, x=3)
    assert message.splitlines()[-1].strip().strip("^") == "", message


# -- bombs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    "h[t] = " + "(" * 10_000 + "x[t]" + ")" * 10_000,
    "h[t] = " + "tanh(" * 10_000 + "x[t]" + ")" * 10_000,
    "h[t] = x" + "[" * 10_000,
    "h[t] = x" + ".a" * 20_000,
    "h[t] = x" + "()" * 20_000,
    "h[t] = " + "-" * 10_000 + "x[t]",
    "h[t] = " + "not " * 10_000 + "x[t]",
    "h[t] = " + "2**" * 10_000 + "x[t]",
    "h[t] = " + "lambda:" * 10_000 + "x",
    "h[t] = " + "1 if x else " * 10_000 + "x",
    "h[t] = " + "9" * 6_000 + " * x[t]",
    "h[t] = 0x" + "f" * 100_000 + " * x[t]",
    "h[t] = 1e" + "9" * 1_000 + " * x[t]",
    "h[t] = einsum('" + "i" * 100_000 + "->i', x[t], x[t])",
    f"h[t] = x[t-{HUGE}]",
    f"h[t] = x[{HUGE}]",
    f"h[t] = x[t]\nh[-{HUGE}] = b",
    f"z[t]: {HUGE}\nh[t] = z[t]",
    "z[t]: (2000000000, 2000000000)\nh[t] = tanh(z[t])",
    "z[t]: 100000\ny[t] = outer(outer(z[t], z[t]), outer(z[t], z[t]))",
    "h[t] = x[t]\n" * 180_000,
    "#" * 2_000_000,
], ids=lambda text: text[:20])
def test_a_bomb_is_refused_at_once(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with at_most(50_000):  # however long it is
            assert refused(text, x=3)


@pytest.mark.parametrize("text", ["h[t] = x[t]" + "[0:1]" * 10_000, "h[t] = " + " * ".join(["x[t]"] * 20_000),
                                  "h[t] = " + " + ".join(["x[t]"] * 5_000)], ids=["slices", "product", "sum"])
def test_what_some_pythons_parse_is_read_or_refused(text):
    try:
        assert len(tr.equations(text, x=3).system.equations) == 1
    except tr.Error as error:
        assert "nested too deeply" in str(error)


@pytest.mark.parametrize("text,equations", [
    ("h[t] = concat(" + "x[t],\n" * 4_000 + "axis=0)", 1),
    ("h[t] = concat(" + "x[t], " * 4_000 + "axis=0)", 1),
    ("h[t] = " + " or ".join(["x[t] > 0"] * 2_000), 1),
    ("".join(f"h{k}[t] = h{k - 1}[t] + x[t]\n" if k else "h0[t] = x[t]\n" for k in range(1_000)), 1_000),
    ("h" * 100_000 + "[t] = x[t]", 1),
])
def test_much_text_takes_work_in_proportion(text, equations):
    with at_most(200 * len(text)):
        assert len(tr.equations(text, x=3).system.equations) == equations


def test_a_sum_of_2500_different_terms_is_read_run_and_read_back():
    model = tr.equations("y[t] = " + " + ".join(f"{k} * x[t]" for k in range(2_500)), x=1, dtype="float64")
    again = tr.equations(str(model), dtype="float64")
    assert model.run(x=np.ones((1, 1, 1)))["y"] == again.run(x=np.ones((1, 1, 1)))["y"] == 2_500 * 2_499 / 2
