"""Every row of the op table, as tensor code and inside a model: values, and gradients of first and second order."""

from __future__ import annotations

import re

import numpy as np
import pytest
from compiling import compiling
from hypothesis import given, settings
from hypothesis import strategies as st
from op_references import CASES, Case, draw

import tinygrad_rnn as tr
from tinygrad_rnn.notation.functions import FUNCTIONS
from tinygrad_rnn.ops import TABLE
from tinygrad_rnn.ops.draws import DECLARED

# Rows that are tested by a test of their own below.
LEAVES = {"ref", "const", "data", "position", "last", "count", "dropout_mask", "noise"}
DRAWN = {*DECLARED, "draw_class"}
WITH_POSITIONS = {"take", "scatter"}
PARAMETERS = [pytest.param(name, k, id=f"{name}-{k}") for name, cases in CASES.items() for k in range(len(cases))]
# Tensors have no named indices, and their dropout always acts.
ON_TENSORS = [p for p in PARAMETERS if p.values[0] != "dropout" and not CASES[p.values[0]][p.values[1]].over]


def test_every_row_is_tested():
    assert set(TABLE) == set(CASES) | LEAVES | DRAWN | WITH_POSITIONS


@pytest.mark.parametrize("name", TABLE)
def test_every_row_has_a_gradient_or_says_why_not(name):
    row = TABLE[name]
    lines = row.vjp if row.arity != len(row.vjp) else row.vjp[: row.arity]
    complete = bool(lines) and None not in lines and (row.arity is None or len(lines) == row.arity)
    assert complete or row.no_gradient, f"{name} lacks a line of its vjp and gives no reason"


# -- operands ----------------------------------------------------------------------------------------------


def operands(case: Case, rng: np.random.Generator, lead: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
    others = (rng.permutation(4) + 1).tolist()  # they differ, so that what is swapped is seen
    sizes = {"i": int(rng.integers(1, 5)), **dict(zip("jkmp", others, strict=True))}
    found = {}
    for place, (axes, domain) in enumerate(zip(case.axes.split(","), domains(case), strict=False)):
        shape = (*lead, *(int(x) if x.isdigit() else sizes[x] for x in axes))
        found["abc"[place]] = draw(rng, domain, shape, place)
    return found


def domains(case: Case) -> list[str]:
    return case.domain.split(",") if "," in case.domain else [case.domain] * 3


def directions(case: Case, values: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A random direction for each operand, zero for those that cannot be moved a little."""
    return {k: rng.standard_normal(v.shape) * (d not in ("bits", "classes"))
            for (k, v), d in zip(values.items(), domains(case), strict=False)}


def moved(values, step, direction):
    return {k: v + step * direction[k] for k, v in values.items()}


def inner(a, b):
    return sum(float(np.sum(a[k] * b[k])) for k in a)


def slope(f, values, direction, step=1e-4):
    """df/d(direction) by differences of fourth order."""
    one, two = (f(moved(values, k * step, direction)) - f(moved(values, -k * step, direction)) for k in (1, 2))
    return (8 * one - two) / (12 * step)


def check(exact, numeric):
    np.testing.assert_allclose(exact, numeric, rtol=1e-8, atol=1e-8)


# -- as tensors --------------------------------------------------------------------------------------------


def on_tensors(expr: str, values: dict[str, np.ndarray]) -> tuple[tr.Tensor, list[tr.Tensor]]:
    leaves = {k: tr.Tensor(np.asarray(v), requires_grad=True) for k, v in values.items()}
    return eval(expr, {**FUNCTIONS, "slice": slice}, leaves), list(leaves.values())


@pytest.mark.parametrize("name,k", ON_TENSORS)
@settings(max_examples=4)
@given(seed=st.integers(0, 2**32 - 1))
def test_tensors(name, k, seed):
    case = CASES[name][k]
    rng = np.random.default_rng(seed)
    values = operands(case, rng)
    y, leaves = on_tensors(case.expr, values)
    expected = np.asarray(case.value(*values.values()), float)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)
    assert y.shape == expected.shape

    weight = rng.standard_normal(y.shape)
    u, v = directions(case, values, rng), directions(case, values, rng)

    def gradients(at):
        y, leaves = on_tensors(case.expr, at)
        return dict(zip(at, tr.grad((y * weight).sum(), leaves), strict=True))

    def loss(at):
        return 0.0 if name == "stop_gradient" else float(np.sum(case.value(*at.values()) * weight))

    def along_v(at):
        return inner({n: g.numpy() for n, g in gradients(at).items()}, v)

    check(along_v(values), slope(loss, values, v))
    y, leaves = on_tensors(case.expr, values)
    first = tr.grad((y * weight).sum(), leaves)
    total = sum(((g * v[n]).sum() for n, g in zip(values, first, strict=True)), tr.Tensor(np.zeros(())))
    second = dict(zip(values, (g.numpy() for g in tr.grad(total, leaves)), strict=True))
    check(inner(second, u), slope(along_v, values, u))


# -- in a model --------------------------------------------------------------------------------------------

BATCH, STEPS = 2, 3


def declared(case: Case, values: dict[str, np.ndarray]) -> tr.Model:
    sizes = {k: v.shape[2:] for k, v in values.items()}
    indexed = re.sub(r"\b([abc])\b(?!\w)", r"\1[t]", case.expr)
    left = "y" if case.over and name_of(case.expr) in ("sum", "mean", "max", "logsumexp") else "y[t]"
    weighted = f"loss = sum({left} * {left.replace('y', 'r')})" if left == "y[t]" else "loss = sum(y * r[n])"
    return tr.equations(f"{left} = {indexed}\n{weighted}", dtype="float64", **sizes)


def name_of(expr: str) -> str:
    return expr.partition("(")[0]


def expected_value(case: Case, values: dict[str, np.ndarray]) -> np.ndarray:
    if case.over:
        return np.stack([case.value(*(v[n] for v in values.values())) for n in range(BATCH)])
    return np.array([[case.value(*(v[n, t] for v in values.values())) for t in range(STEPS)] for n in range(BATCH)],
                    float)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "called"])
@pytest.mark.parametrize("name,k", PARAMETERS)
@settings(max_examples=2)
@given(seed=st.integers(0, 2**32 - 1))
def test_models(name, k, compiled, seed):
    with compiling(compiled):
        compare(name, CASES[name][k], seed)


def compare(name: str, case: Case, seed: int) -> None:
    """A row in a model to its reference: the value, and along random directions the first and second derivative."""
    rng = np.random.default_rng(seed)
    values = operands(case, rng, (BATCH, STEPS))
    model, wrt = declared(case, values), list(values)
    expected = expected_value(case, values)
    weight = rng.standard_normal(expected.shape)
    data = {**values, "r": weight}
    np.testing.assert_allclose(model.run(values, want=["y"])["y"], expected, rtol=1e-12, atol=1e-12)

    u, v = directions(case, values, rng), directions(case, values, rng)

    def loss(at):
        return 0.0 if name == "stop_gradient" else float(np.sum(expected_value(case, at) * weight))

    def along_v(at):
        return inner(model.value_and_grad({**at, "r": weight}, wrt=wrt)[1], v)

    value = model.value_and_grad(data, wrt=wrt)[0]
    np.testing.assert_allclose(value, np.sum(expected * weight), rtol=1e-11, atol=1e-11)
    check(along_v(values), slope(loss, values, v))

    derived = model.grad("loss", wrt)
    slopes = " + ".join(f"sum({derived.adjoints[n]}[t] * v_{n}[t])" for n in wrt)
    twice = derived.extend(f"slope = {slopes}", **{f"v_{n}": v[n].shape[2:] for n in wrt})
    data |= {f"v_{n}": v[n] for n in wrt}
    value, second = twice.value_and_grad(data, of="slope", wrt=wrt)
    np.testing.assert_allclose(value, along_v(values), rtol=1e-11, atol=1e-11)
    check(inner(second, u), slope(along_v, values, u))


# -- rows that stand alone ----------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
def test_take_gathers_and_its_gradient_scatters(axis):
    rng = np.random.default_rng(0)
    a, at = rng.standard_normal((4, 5)), np.array([[0, 3, 3], [1, 0, 3]])
    x = tr.Tensor(a, requires_grad=True)
    y = tr.take(x, tr.Tensor(at), axis=axis)
    np.testing.assert_array_equal(y.numpy(), np.take(a, at, axis))
    weight = rng.standard_normal(y.shape)
    (g,) = tr.grad((y * y * weight).sum(), [x])
    expected = np.zeros_like(a)
    for place in np.ndindex(*y.shape):
        source = [place[0], *place[1:]]
        source[axis : axis + 2] = [at[place[axis : axis + 2]]]
        expected[tuple(source)] += 2 * a[tuple(source)] * weight[place]
    np.testing.assert_allclose(g.numpy(), expected, rtol=1e-12, atol=1e-12)
    v = rng.standard_normal(a.shape)
    (second,) = tr.grad((g * v).sum(), [x])
    np.testing.assert_allclose(second.numpy() * a, expected * v, rtol=1e-12, atol=1e-12)  # the loss is quadratic


def test_scatter_adds_and_its_gradient_gathers():
    rng = np.random.default_rng(1)
    a, at = rng.standard_normal((3, 2)), np.array([4, 1, 4])
    x = tr.Tensor(a, requires_grad=True)
    y = tr.scatter(x, tr.Tensor(at), axis=0, size=5)
    expected = np.zeros((5, 2))
    for row, place in enumerate(at):
        expected[place] += a[row]
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-15)
    weight = rng.standard_normal((5, 2))
    (g,) = tr.grad((y * weight).sum(), [x])
    np.testing.assert_array_equal(g.numpy(), weight[at])


def test_positions_counts_and_constants():
    model = tr.equations("""
        p[t] = t + 10 * T
        q[t,s] = where(s < t, s, S)
        c = count(t, n) + x[T] - x[T]
        d = count(n)
        e[t] = 2 * x[t] + 0.5 - 1e-3
        f[s] = z[s] + s""", x=(), z=())
    x = np.arange(6.0).reshape(2, 3)
    out = model.run(x=x, z=np.zeros((2, 4)), lengths={"t": np.array([3, 2]), "s": np.array([4, 1])})
    np.testing.assert_array_equal(out["p"], [[31, 32, 33], [21, 22, 0]])
    np.testing.assert_array_equal(out["q"][0], [[4, 4, 4, 4], [1, 4, 4, 4], [1, 2, 4, 4]])
    np.testing.assert_array_equal(out["q"][1], [[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(out["c"], [5, 5])
    assert out["d"] == 2
    np.testing.assert_allclose(out["e"], [[0.499, 2.499, 4.499], [6.499, 8.499, 0]], rtol=1e-6)
    np.testing.assert_array_equal(out["f"], [[1, 2, 3, 4], [1, 0, 0, 0]])


def test_dropout_in_training_is_a_product_with_its_mask():
    model = tr.equations("y[t] = dropout(a[t] * a[t], 0.25)\nloss = sum(y[t] * r[t])", a=40, dtype="float64")
    rng = np.random.default_rng(0)
    a, r = rng.uniform(1, 2, (3, 5, 40)), rng.standard_normal((3, 5, 40))
    mask = model.run(a=a, training=True, seed=3, want="y")["y"] / a**2
    np.testing.assert_allclose(np.unique(mask.round(12)), [0, 4 / 3], rtol=1e-12, atol=1e-12)
    _, grads = model.value_and_grad(a=a, r=r, wrt="a", training=True, seed=3)
    np.testing.assert_allclose(grads["a"], 2 * a * mask * r, rtol=1e-12, atol=1e-12)
    slope = model.grad("loss", "a").extend("slope = sum(d_a[t] * v[t])", v=40)
    _, second = slope.value_and_grad(a=a, r=r, v=r, of="slope", wrt="a", training=True, seed=3)
    np.testing.assert_allclose(second["a"], 2 * mask * r * r, rtol=1e-12, atol=1e-12)


def test_a_maximum_shares_its_gradient_between_ties():
    (g,) = tr.grad(tr.max(x := tr.Tensor([1.0, 3.0, 3.0, 2.0], requires_grad=True)), [x])
    np.testing.assert_array_equal(g.numpy(), [0, 0.5, 0.5, 0])


@pytest.mark.parametrize("expr", ["softmax(a)", "log_softmax(a)", "logsumexp(a, axis=0)", "sigmoid(a)", "softplus(a)",
                                  "tanh(a)", "sigmoid_cross_entropy(a, 1.0)"])
def test_no_overflow_far_from_zero(expr):
    a = np.array([-1000.0, 0.0, 1000.0])
    y, leaves = on_tensors(expr, {"a": a})
    assert np.isfinite(y.numpy()).all() and np.isfinite(tr.grad(y.sum(), leaves)[0].numpy()).all()


def test_nothing_is_not_a_number_where_everything_is_excluded():
    y, _ = on_tensors("softmax(where(a > 10, a, -inf))".replace("inf", "1e999"), {"a": np.zeros(3)})
    np.testing.assert_array_equal(y.numpy(), 0)
