"""Any text at all gives a model or an `Error`, quickly, and never another exception."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zoo import MODELS

import tinygrad_rnn as tr
from tinygrad_rnn.functions import IN_TEXT

CAREFUL = settings(max_examples=400, deadline=None, derandomize=True,
                   suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
NAMES = ["h", "x", "W", "t", "s", "n", "T", "S", "N", "loss", "y", "inf", "nan", "__class__", "é"]
NUMBERS = ["0", "1", "2", "-1", "1000", "1001", "10**9", "1e400", "1e39", "0.5", "1j", "0x10", "True", "None", '"t"']
SIGNS = ["+", "-", "*", "/", "**", "@", "<", "<=", "==", "!=", "&", "|", "~", "not", "and", "or", "//", "%", "<<", ".",
         ",", "=", ":", ":=", "(", ")", "[", "]", "{", "}", "[t]", "[t-1]", "[t+1]", "[T]", "[0]", "[n]", "[t,s]",
         "[0:2]", "[::0]", "over=t", "axis=0", "axis=5", "axis=t", "\n", ";", "#", "if", "else", "lambda", "for", "in",
         "\\", "'", '"', "\x00", "\t"]
TOKENS = st.sampled_from([*NAMES, *NUMBERS, *SIGNS, *sorted(IN_TEXT)])


def accepted(text: object, **sizes: object) -> tr.Model | None:
    """The model of a text, or None where it is refused; any other exception goes up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return tr.equations(text, **sizes)  # type: ignore[arg-type]
        except tr.Error as error:
            assert str(error).strip()
            return None


@CAREFUL
@given(st.text(max_size=200))
def test_random_text(text):
    accepted(text)


@CAREFUL
@given(st.lists(TOKENS, max_size=30), st.integers(0, 3))
def test_random_tokens(tokens, size):
    accepted("h[t] = " + " ".join(tokens), **({"x": size} if size else {}))


@CAREFUL
@given(st.data())
def test_changed_models(draw):
    text, sizes = MODELS[draw.draw(st.sampled_from(sorted(MODELS)))]
    for _ in range(draw.draw(st.integers(1, 4))):
        start = draw.draw(st.integers(0, len(text)))
        stop = start + draw.draw(st.integers(0, 6))
        text = text[:start] + draw.draw(st.one_of(TOKENS, st.text(max_size=3))) + text[stop:]
    sizes = {k: v for k, v in sizes.items() if draw.draw(st.integers(0, 9))}
    accepted(text, **sizes)


# Expressions that are mostly right, so that what is read gets as far as being run.
LEAVES = st.sampled_from(["x[t]", "h[t-1]", "h[t-2]", "x[t+1]", "b", "v", "2", "0.5", "t", "T", "x[T]", "h[0]", "x[1]"])
CALLS = [n for n in sorted(IN_TEXT) if n not in ("dropout_mask", "count")]


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    sign = st.sampled_from(["+", "-", "*", "/", "@", "<", "**"])
    option = st.sampled_from(["", "", "", ", axis=0", ", axis=-1", ", over=t", ", over=(t, n)", ", size=3",
                              ", axis=0, size=4"])
    return st.one_of(
        st.tuples(inner, sign, inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        st.tuples(st.sampled_from(CALLS), st.lists(inner, min_size=1, max_size=3), option).map(
            lambda p: f"{p[0]}({', '.join(p[1])}{p[2]})"),
        st.tuples(inner, st.sampled_from(["[0]", "[-1]", "[0:2]", "[::-1]", "[:, 0]"])).map("".join))


@settings(max_examples=600, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.recursive(LEAVES, larger, max_leaves=6), st.sampled_from(["mean", "sum", "max"]))
def test_expressions_that_are_accepted_run_derive_and_read_back(expression, reduce):
    model = accepted(f"h[t] = {expression}\nloss = {reduce}(h[t])\nx[t]: 3")
    if model is None:
        return
    data = {"x": np.random.default_rng(0).uniform(0.5, 1, (2, 4, 3))}
    try:
        flat = model.unroll(4)
        for other in (model, flat):
            other.value_and_grad(data)
        again = tr.equations(str(model))
        assert all(a.rhs is b.rhs for a, b in zip(again.system.equations, model.system.equations, strict=True))
        derived = model.grad("loss")
        again = tr.equations(str(derived))
        assert all(a.rhs is b.rhs for a, b in zip(again.system.equations, derived.system.equations, strict=True))
        model.latex()
        assert derived.latex()
    except tr.Error as error:
        assert "internal" not in str(error)
