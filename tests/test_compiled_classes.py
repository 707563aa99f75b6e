"""Whole numbers in compiled plans: comparisons, picks and sums by class, one-hot vectors that are never stored."""

from __future__ import annotations

import architectures
import numpy as np
import pytest
import zoo

import tinygrad_rnn as tr
from tinygrad_rnn import backends, jit
from tinygrad_rnn.fusion.program import Interpreted, Recorder
from tinygrad_rnn.ops.table import with_out
from tinygrad_rnn.plans.classes import _pick_elements, sum_by_class
from tinygrad_rnn.plans.feeds import prepared
from tinygrad_rnn.plans.plan import Plan
from tinygrad_rnn.plans.ragged import _gather

pytest.importorskip("llvmlite", reason="compiled plans need llvmlite")

from tinygrad_rnn.fusion import anew
from tinygrad_rnn.fusion.fuse import Group
from tinygrad_rnn.fusion.lift import Foreign, Map, Operand
from tinygrad_rnn.fusion.passes import passed
from tinygrad_rnn.jit.compiled import Program

pytestmark = pytest.mark.skipif(not jit.enabled(), reason="compiled code is off")
BACKEND = backends.current()
COMPARE = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")


def compiled(record, public):
    """Do the calls that `record(do)` records, compiled; public: the arrays that count. None of them stays a call."""
    do = Recorder(BACKEND, compiled=True)
    record(do)
    program = Program([do.calls], {id(BACKEND.owner(a)) for a in public}, BACKEND.owner)
    assert not calls_of(program)
    program.run(0)
    return program


def units_of(program):
    return [unit for segment in program.segmented for _, units in segment for unit in units]


def calls_of(program):
    """The functions that are called through Python."""
    return [unit.fn.__name__ for unit in units_of(program) if isinstance(unit, Foreign)]


def stored(program, size):
    """How many arrays of so many numbers the passes write to memory."""
    passes = [passed(unit, program._needed) for unit in units_of(program) if isinstance(unit, Group)]
    return sum(1 for p in passes if p is not None for o in p.written if o.array.size == size and all(o.array.strides))


# -- arithmetic ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 5, 16, 37])
@pytest.mark.parametrize("other", ["whole", "number", "half", "float32", "float64", "bool"])
@pytest.mark.parametrize("name", COMPARE)
def test_comparisons_are_exact(name, other, n):
    rng = np.random.default_rng(n)
    a = rng.integers(-3, 4, (3, n)) + rng.choice([0, 2**53, -(2**62)], (3, n))
    b = {"whole": a + rng.integers(-1, 2, (3, n)), "number": 2.0, "half": 0.5, "float32": a.astype("float32"),
         "float64": a.astype("float64") + 0.5, "bool": a > 0}[other]
    out, hot = np.zeros((3, n), bool), np.zeros((3, n), "float32" if other != "float64" else other)

    def record(do):
        do(getattr(np, name), a, b, out)
        do(np.copyto, hot, out)

    compiled(record, [out, hot])
    expected = getattr(np, name)(a, b)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(hot, expected)


@pytest.mark.parametrize("view", [np.s_[:, :], np.s_[:, ::2], np.s_[::-1, ::-1]])
def test_arithmetic_is_numpys(view):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-2**40, 2**40, (6, 34))[view] for _ in range(2))
    for fn in (np.add, np.subtract, np.multiply, with_out(np.maximum), with_out(np.minimum)):
        out, expected = np.zeros(a.shape, "int64"), np.zeros(a.shape, "int64")
        compiled(lambda do, fn=fn, out=out: do(fn, a, b, out), [out])
        fn(a, b, expected)
        np.testing.assert_array_equal(out, expected)
    for fn in (np.negative, np.absolute):
        out = np.zeros(a.shape, "int64")
        compiled(lambda do, fn=fn, out=out: do(fn, a, out), [out])
        np.testing.assert_array_equal(out, fn(a))


def test_numbers_become_whole_and_back():
    x, mask = np.array([[-2.7, -0.5, 0.0, 1.5, 7.9]], "float32"), np.array([[True, False, True, False, True]])
    whole, back, kept = np.zeros((1, 5), "int64"), np.zeros((1, 5), "float32"), np.full((1, 5), 9)

    def record(do):
        do(np.copyto, whole, x, "unsafe")
        do(np.copyto, back, whole)
        do(np.copyto, kept, whole, "unsafe", mask)
        do(np.copyto, kept, mask, "unsafe", whole == 1)

    compiled(record, [whole, back, kept])
    np.testing.assert_array_equal(whole, [[-2, 0, 0, 1, 7]])
    np.testing.assert_array_equal(back, whole)
    np.testing.assert_array_equal(kept, [[-2, 9, 0, 9, 7]])


# -- places that the data say --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", ["rows", "columns"])
@pytest.mark.parametrize("n", [1, 3, 16, 21])
def test_picks_by_class(n, order, dtype):
    """out[t, f, n] = table[class[t, n], f], from a table in either order; what is no class gives 0."""
    rng, classes, features = np.random.default_rng(n), 7, 18
    table = rng.standard_normal((classes, features) if order == "rows" else (features, classes)).astype(dtype)
    rows = table if order == "rows" else table.T
    at = rng.integers(-2, classes + 2, (4, n))
    at[0, 0], at[1, 0] = 2**40, -(2**63)
    out = np.ones((4, features, n), dtype)
    compiled(lambda do: do(_pick_elements, np, rows[:, None, :, None], at[:, None, :], out), [out])
    for t, f, k in np.ndindex(out.shape):
        c = at[t, k]
        assert out[t, f, k] == (rows[c, f] if 0 <= c < classes else 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", ["rows", "columns"])
@pytest.mark.parametrize("features", [(), (1,), (5,), (40,), (3, 17)])
def test_sums_by_class(features, order, dtype):
    """In the order of the positions, whatever was there before."""
    rng, classes, steps, n = np.random.default_rng(0), 6, 5, 3
    x = rng.standard_normal((steps, *features, n)).astype(dtype)
    at = rng.integers(-1, classes + 1, (steps, n))
    whole = np.full((classes, *features) if order == "rows" else (*features, classes), 8, dtype)
    out, rows = whole if order == "rows" else np.moveaxis(whole, -1, 0), np.moveaxis(x, -1, 1)
    compiled(lambda do: do(sum_by_class, BACKEND, out, at, rows), [whole])
    expected = np.zeros(out.shape, dtype)
    for t, k in np.ndindex(at.shape):
        if 0 <= at[t, k] < classes:
            expected[at[t, k]] += rows[t, k]
    np.testing.assert_array_equal(out, expected)
    again = np.empty_like(out)
    sum_by_class(BACKEND, again, at, rows)
    np.testing.assert_allclose(again, expected, rtol=1e-5, atol=1e-5)


def test_the_last_position_of_each_example():
    values, lengths = np.random.default_rng(0).standard_normal((6, 4, 3)).astype("float32"), np.array([2, 6, 1])
    out = np.zeros((3, 4), "float32")
    view = values.transpose(0, 2, 1)
    compiled(lambda do: do(_gather, view, out, np.arange(3), lengths, -1), [out])
    np.testing.assert_array_equal(out, [values[length - 1, :, k] for k, length in enumerate(lengths)])


# -- what is cheaply made is made anew -----------------------------------------------------------------------


def test_a_one_hot_vector_that_passes_read_is_never_stored():
    rng, shape = np.random.default_rng(0), (5, 30, 7)
    z, out, total = rng.standard_normal(shape).astype("float32"), np.zeros(shape, "float32"), np.zeros(5, "float32")
    classes, at = np.arange(30)[None, :, None], rng.integers(0, 30, (5, 1, 7))
    hit, hot, product = np.zeros(shape, bool), np.zeros(shape, "float32"), np.zeros(shape, "float32")

    def record(do):
        do(np.equal, at, classes, hit)
        do(np.copyto, hot, hit)
        do(np.multiply, z, hot, product)
        do(np.sum, product, (1, 2), None, total)
        do(np.tanh, z, z)
        do(np.subtract, z, hot, out)

    expected = np.array(z)
    program = compiled(record, [out, total, z])
    one_hot = at == classes
    np.testing.assert_allclose(total, (expected * one_hot).sum((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(out, np.tanh(expected) - one_hot, rtol=1e-6, atol=1e-6)
    assert stored(program, z.size) == 2  # z and out
    assert not hot.any()


def source_overwritten(do, x, y, out, given):
    do(np.negative, x, y)
    do(np.exp, x, x)
    do(np.tanh, y, out[0])


def result_overwritten(do, x, y, out, given):
    do(np.negative, x, y)
    do(np.exp, x, y)
    do(np.tanh, y, out[0])


def onto_the_source_in_another_order(do, x, y, out, given):
    do(np.negative, x, y)
    do(np.tanh, y, x.T)


def from_itself(do, x, y, out, given):
    do(np.add, x, 1.0, x)
    do(np.tanh, x, out[0])


def overwritten_later_in_a_loop(do, x, y, out, given):
    do(np.negative, x, y)

    def step(t):
        do(np.tanh, y, out[t])
        do(np.copyto, x, given[t])

    do.loop(4, step)


def made_in_the_step_before(do, x, y, out, given):
    def step(t):
        do(np.copyto, x, given[t])
        do(np.tanh, y, out[t])
        do(np.negative, x, y)

    do.loop(4, step)


def made_in_the_last_step(do, x, y, out, given):
    do.loop(4, lambda t: do(np.negative, given[t], y))
    do(np.tanh, y, out[0])


def half_overwritten(do, x, y, out, given):
    do(np.negative, x, y)
    do(np.copyto, x[2:4], given[0, 2:4])
    do(np.tanh, y, out[0])


@pytest.mark.parametrize("record", [
    source_overwritten, result_overwritten, onto_the_source_in_another_order, from_itself, overwritten_later_in_a_loop,
    made_in_the_step_before, made_in_the_last_step, half_overwritten], ids=lambda record: record.__name__)
def test_nothing_is_made_anew_from_what_was_overwritten(record):
    def arrays():
        rng = np.random.default_rng(0)
        return [*rng.standard_normal((2, 40, 40)).astype("float32"), np.zeros((4, 40, 40), "float32"),
                rng.standard_normal((4, 40, 40)).astype("float32")]

    expected, found = arrays(), arrays()
    plain = Recorder(BACKEND)
    record(plain, *expected)
    Interpreted([plain.calls]).run(0)
    compiled(lambda do: record(do, *found), [found[0], found[2]])
    for k in (0, 2):  # y is no result: it need not be kept
        np.testing.assert_allclose(found[k], expected[k], rtol=1e-6, atol=1e-7)


def test_a_sum_with_a_product_is_rounded_as_where_it_is_made():
    known = anew._Known()
    a, b, c, d = (Operand(np.zeros((4, 5), "float32")) for _ in range(4))
    known.done(Map("multiply", (a, 2.0), b), 1)
    known.done(Map("add", (b, 1.0), c), 1)
    assert not known.recipes
    known.done(Map("add", (a, 1.0), d), 1)
    assert [recipe.made.op for recipe in known.recipes.values()] == ["add"]


# -- models --------------------------------------------------------------------------------------------------


LM = """
    h[t] = tanh(U @ h[t-1] + {read} + b)
    y[t] = softmax(V @ h[t] + c)
    loss = mean(cross_entropy(y[t], target[t]))
"""


def language_model(read, classes, dtype):
    model = tr.equations(LM.format(read=read), w=classes, h=6, y=classes, dtype=dtype)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        model.weights[weight] = rng.standard_normal(model.weights[weight].shape) * 0.5
    return model


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("classes", [5, 40])
@pytest.mark.parametrize("read", ["W @ w[t]", "embed(E, w[t-1])"])
def test_a_model_of_classes_is_the_model(read, classes, ragged, dtype):
    rng = np.random.default_rng(1)
    data = {"w": rng.integers(0, classes, (5, 7)), "target": rng.integers(0, classes, (5, 7))}
    lengths = np.array([7, 1, 4, 6, 2]) if ragged else None
    if ragged:
        data["w"][1, 1:] = -1
    found = []
    for on in (True, False):
        tr.use_jit(on)
        found.append(language_model(read, classes, dtype).value_and_grad(data, lengths=lengths))
    bound = 1e-5 if dtype == "float32" else 1e-12
    assert found[0][0] == pytest.approx(found[1][0], rel=bound)
    for name, gradient in found[1][1].items():
        np.testing.assert_allclose(found[0][1][name], gradient, rtol=bound, atol=bound, err_msg=name)


def test_a_loss_of_classes_keeps_no_one_hot_vectors():
    """Numbers for each class and position are the scores, e to their power, that over its sum, and the gradient."""
    model, rng = language_model("embed(E, w[t])", 50, "float32"), np.random.default_rng(0)
    derived = model.grad("loss")
    data = {name: rng.integers(0, 50, (4, 9)) for name in ("w", "target")}
    config, feed = prepared(derived.system, ("loss", *derived.adjoints.values()), data)
    plan = Plan(derived.system, config, model.weights.arrays, BACKEND)
    plan.run(feed)
    program = plan.parts[0].program
    assert not calls_of(program)
    assert stored(program, 9 * 50 * 4) == 4
    assert "scatter 1" in {getattr(unit, "kernel", "") for unit in units_of(program)}


@pytest.mark.parametrize("name,options", architectures.FORMS, ids=architectures.IDS)
def test_no_ready_model_goes_back_to_python(name, options):
    model = architectures.build(name, **options)
    derived, steps = model.grad("loss"), architectures.steps_of(model, 4)
    want, data = ("loss", *derived.adjoints.values()), architectures.data(model, 3, steps)
    ragged = {i: np.array([4, 2, 3]) for i in zoo.dynamic(model)}
    for lengths in (None, ragged) if steps else (None,):
        config, _ = prepared(derived.system, want, data, lengths=lengths, training=True)
        plan = Plan(derived.system, config, model.weights.arrays, BACKEND, parts=1)
        assert set(calls_of(plan.parts[0].program)) <= {"_scatter", "cumsum"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("examples", [5, 8, 16, 17, 40])
def test_what_is_picked_by_class_is_summed_over_time_for_each_example(examples, dtype):
    """More examples than a vector has numbers: the sums go on column by column, and so do the places in the table."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(examples, 3, 5)), rng.integers(0, 5, (examples, 3))
    model = tr.equations("each = sum(dot(x[t], y[t]), over=t)", x=5, dtype=dtype)
    expected = np.take_along_axis(x, y[..., None], -1)[..., 0].sum(1)
    np.testing.assert_allclose(model.run(x=x, y=y, want=["each"])["each"], expected, rtol=1e-4, atol=1e-6)
