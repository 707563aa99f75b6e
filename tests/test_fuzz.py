"""Any text at all gives a model or an `Error`, quickly, and never another exception."""

from __future__ import annotations

import warnings

import numpy as np
from compiling import compiling
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zoo import MODELS

import tinygrad_rnn as tr
from tinygrad_rnn import jit
from tinygrad_rnn.notation.functions import IN_TEXT
from tinygrad_rnn.ops import TABLE

CAREFUL = settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
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
LEAVES = st.sampled_from(["x[t]", "x[t]", "h[t-1]", "h[t-2]", "x[t+1]", "b", "v", "2", "0.5", "t", "T", "x[T]", "h[0]",
                          "x[1]", "w[t]", "k[t]", "k[t-1]"])
CALLS = {"einsum": '("i,j->ij", {0}, {1})', "reshape": "({0}, (-1,))", "one_hot": "({0}, size=3)",
         "expand": "({0}, axis=0, size=2)", "place": "({0}, axis=0, size=6, start=1, stop=4)",
         "pick": "({0}, axis=0, at=0)", "slice": "({0}, axis=0, start=0, stop=2)", "dropout": "({0}, 0.5)"}
REDUCED = ["", "", ", axis=0", ", axis=-1", ", over=t", ", over=(t, n)"]


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def call(parts: tuple[str, list[str], str]) -> str:
        name, args, option = parts
        if name in CALLS:
            return name + CALLS[name].format(*args)
        row = TABLE[name]
        args = args[: row.arity or 2]
        return f"{name}({', '.join(args)}{option if 'over' in row.params else ''})"

    names = st.sampled_from([n for n in sorted(IN_TEXT) if n not in ("dropout_mask", "count")])
    return st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "@", "<", "**", "=="]), inner).map(
            lambda p: f"({p[0]} {p[1]} {p[2]})"),
        st.tuples(names, st.lists(inner, min_size=3, max_size=3), st.sampled_from(REDUCED)).map(call),
        st.tuples(inner, st.sampled_from(["[0]", "[-1]", "[0:2]", "[::-1]"])).map("".join))


EXPRESSIONS = st.recursive(LEAVES, larger, max_leaves=5)


def same_graph(one: tr.Model, text: str) -> None:
    again = tr.equations(text, dtype="float64")
    for a, b in zip(again.system.equations, one.system.equations, strict=True):
        assert a.rhs is b.rhs, f"{a.left} is read back as {a.rhs}, not {b.rhs}"
    for said in ("quantities", "static", "ranges", "declared", "dtype"):
        assert getattr(again.system, said) == getattr(one.system, said), said


@settings(max_examples=1500, suppress_health_check=list(HealthCheck))
@given(EXPRESSIONS, EXPRESSIONS, st.sampled_from(["mean", "sum", "max"]), st.booleans(), st.integers(0, 3))
def test_what_is_accepted_runs_and_reads_back(first, second, reduce, ragged, compiled):
    """Scheduled and unrolled agree, in values and gradients, and both texts say the same graph.

    The graphs without loops are called; of the others one in four is compiled: compiling takes most of the time.
    """
    text = f"h[t] = {first}\nk[t] = {second}\nloss = {reduce}(h[t] * k[t] + 0 * sum(x[t], axis=0))\nx[t]: 3"
    model = accepted(text + "\nw[t]: 3" * ("w[t]" in text), dtype="float64")
    if model is None or not set(model.system.of_role("input")) <= {"x", "w"}:
        return
    rng = np.random.default_rng(0)
    for name in model.weights:
        model.weights[name] = rng.uniform(0.5, 1, model.weights[name].shape)
    data = {"x": rng.uniform(0.5, 1, (2, 3, 3))}
    if "w[t]" in text:
        data["w"] = rng.integers(0, 3, (2, 3))
    options = {"lengths": np.array([3, 2]) if ragged else None, "training": True}
    derived = model.grad("loss")
    for one in (model, derived):
        same_graph(one, str(one))
    assert model.latex().count("{") == model.latex().count("}")
    with compiling(jit.asked() and not compiled):
        compare(model, data, options)


def compare(model: tr.Model, data: dict[str, np.ndarray], options: dict[str, object]) -> None:
    """The model to its unrolled graph."""
    value, grads = model.value_and_grad(data, **options)
    if not np.isfinite(value) or abs(value) > 1e8 or any(not np.isfinite(g).all() for g in grads.values()):
        return
    with compiling(False):
        flat_value, flat_grads = model.unroll(3).value_and_grad(data, **options)
    np.testing.assert_allclose(flat_value, value, rtol=1e-9, atol=1e-9)
    for name, g in grads.items():
        np.testing.assert_allclose(flat_grads[name], g, rtol=1e-6, atol=1e-6 * (1 + abs(g).max()), err_msg=name)
