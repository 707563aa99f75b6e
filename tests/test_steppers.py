"""Steppers beside a run of the whole: several of one model at once, what they may be asked for, what a state holds."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import tinygrad_rnn as tr

DEEP = """
    h[0,t] = E @ x[t]
    h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1])
    y[t] = h[L,t] * t
    s = sum(E)
    q = V @ img[n]
    z[t] = h[L,t] + q
    p[l] = sum(W[l] * 2, axis=1)
"""
X, IMG = np.random.default_rng(0).standard_normal((2, 7, 2)), np.array([[1.0, 2.0], [3.0, -1.0]])


def deep():
    return tr.equations(DEEP, x=2, h=3, l=2, img=2, dtype="float64")


def elman():
    return tr.equations("h[t] = tanh(U @ h[t-1] + W @ x[t])\nout[t] = V @ h[t-1]", x=2, h=3, out=2, dtype="float64")


def test_steppers_of_one_model_do_not_disturb_each_other():
    model = elman()
    whole = model.run(x=X)
    steppers = [model.stepper(), model.stepper(), model.stepper(batch=2)]
    rows = [slice(0, 1), slice(1, 2), slice(0, 2)]
    for t in range(7):
        for step, row in zip(steppers, rows, strict=True):
            found = step(x=X[row, t])
            for name, value in found.items():
                np.testing.assert_allclose(value, whole[name][row, t], rtol=1e-12, atol=1e-14)
            model.run(x=X[row, :1])  # of one step, as theirs are
            if t:
                model.run(x=X[row, :1], state=steppers[0].state if row == rows[0] else None)


def test_a_stepper_that_begins_anew_or_is_gone_leaves_its_plan_to_the_next():
    model = elman()
    for _ in range(3):
        step = model.stepper()
        for _ in range(2):
            for t in range(4):
                step(x=X[:1, t])
            step.reset()
        del step
    model.stepper()(x=X[:1, 0])  # what was lent comes back when a plan is asked for
    assert len(model.plans._plans) == 2  # a first step and a later one


@pytest.mark.parametrize("name", ["x", "h", "s", "E", "q", "p", "z"])
def test_a_step_gives_any_quantity_without_the_axis_of_time(name):
    model = deep()
    whole, step = model.run(x=X, img=IMG, want=[name, "y"]), model.stepper(batch=2, want=[name, "y"], img=IMG)
    for t in range(4):
        found = step(x=X[:, t])
        axis = {"h": 2}.get(name, 1)
        expected = np.take(whole[name], t, axis) if name in ("x", "h", "z") else whole[name]
        np.testing.assert_allclose(found[name], expected, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(found["y"], whole["y"][:, t], rtol=1e-12, atol=1e-14)


def test_one_name_is_a_text():
    assert set(elman().stepper(want="out")(x=X[:1, 0])) == {"out"}


@pytest.mark.parametrize(("call", "message"), [
    (lambda m: m.stepper(want=["nope"]), "no quantity 'nope'"),
    (lambda m: m.stepper(want=5), "want is a name or a list of names"),
    (lambda m: m.stepper()(y=X[:1, 0]), "no input 'y'"),
    (lambda m: m.stepper()(x=X[:1, 0], h=X[:1, 0]), "h is defined by an equation"),
    (lambda m: tr.equations("y[t] = 2 * x[t]", x=2).stepper()(), "nothing can be computed from no input; .* takes x"),
    (lambda m: tr.equations("y[t] = x[t] * z[n]", x=2).stepper()(x=X[:1, 0]), "takes x; the stepper is given z=... w"),
    (lambda m: setattr(m.stepper(), "state", 5), "state is what a stepper or a run left"),
    (lambda m: m.stepper(lengths=[1])(x=X[:1, 0]), "a step is one position of t"),
    (lambda m: m.stepper(batch=3)(x=X[:2, 0]), r"x has shape \(2, 2\); a step of this stepper takes \(3, 2\), or cl"),
    (lambda m: m.stepper()(x=X[:1, :1]), r"x has shape \(1, 1, 2\); a step of this stepper takes \(1, 2\)"),
    (lambda m: m.stepper()(x=1), r"x has shape \(\); a step of this stepper takes \(1, 2\)"),
])
def test_a_stepper_tells_what_is_wrong(call, message):
    with pytest.raises(tr.Error, match=message):
        call(elman())


FIXED = ["y[t] = h[1] + h[t]", "y[t] = h[t] - x[1]", "y[t] = h[t] - h[0]\nh[0] = h0"]


@pytest.mark.parametrize("line", FIXED)
@pytest.mark.parametrize("use", [
    lambda m, state: m.run(x=X, want="y", state=state),
    lambda m, state: m.value_and_grad(x=X, state=state),
    lambda m, state: m.stepper(2, ["y"])(x=X[:, 0]),
    lambda m, state: m.fit({"x": X}, truncate=3, progress=False),
])
def test_a_position_counted_from_the_beginning_is_in_no_state(line, use):
    model = tr.equations(f"h[t] = tanh(U @ h[t-1] + W @ x[t])\n{line}\nloss = mean(y[t])", x=2, h=2)
    state = model.run(x=X, want="h").state
    with pytest.raises(tr.Error, match="counted from the beginning, which a state does not hold") as told:
        use(model, state)
    assert "^" in str(told.value)
    model.run(x=X, want="h", state=state)  # h itself can be carried on


def test_a_position_of_another_index_than_time_may_be_fixed():
    model = tr.equations("e[s] = tanh(P @ e[s-1] + Q @ source[s])\nh[t] = tanh(U @ h[t-1] + W @ x[t] + e[1])",
                         x=2, h=2, source=2)
    source = np.random.default_rng(1).standard_normal((2, 3, 2))
    whole, step = model.run(x=X, source=source)["h"], model.stepper(2, source=source)
    for t in range(4):
        np.testing.assert_allclose(step(x=X[:, t])["h"], whole[:, t], atol=1e-6)


def test_a_quantity_that_keeps_the_first_step_is_what_the_message_says():
    model = tr.equations("k[t] = where(t == 1, x[t], k[t-1])\ny[t] = x[t] - k[t]", x=2, dtype="float64")
    step = model.stepper(2)
    for t in range(5):
        np.testing.assert_array_equal(step(x=X[:, t])["y"], X[:, t] - X[:, 0])


@pytest.mark.parametrize("wrong", [[0.0, 1.0], [True, False]])
def test_what_is_no_step_of_classes_is_told_as_it_was_given(wrong):
    step = tr.equations("h[t] = tanh(W @ w[t] + U @ h[t-1])", w=5, h=3).stepper(batch=2)
    with pytest.raises(tr.Error, match=r"w has shape \(2,\) and dtype (bool|float64); a step .* takes \(2, 5\), or cl"):
        step(w=wrong)


# -- declared data ---------------------------------------------------------------------------------------------------

WRITER = "h[t] = tanh(W @ w[t-1] + U @ h[t-1] + b)\np[t] = softmax(V @ h[t] + c)\nw[t] = categorical(p[t])"


def writer():
    return tr.equations(WRITER, w=4, h=3, dtype="float64").initialise(1, {"*": tr.Normal(1.0)})


@pytest.mark.parametrize("use", [lambda m, w: m.run(w=w, steps=4), lambda m, w: m.beam_search(w=w, steps=4),
                                 lambda m, w: list(m.stream(w=w, steps=4))])
@pytest.mark.parametrize(("prefix", "message"), [
    ([[1], [4]], "w is class 4 at example 1, t = 1; the classes are 0 to 3"),
    ([[-1]], "w is class -1 at example 0, t = 1"),
    ([[0.5]], "w has shape .* or integers from 0 to 3"),
    ([1, 2], "w has shape"),
    (np.zeros((0, 2), int), "the batch is empty: w has shape"),
    ([[1, 2, 3, 1, 2]], "w has 5"),
])
def test_a_prefix_is_checked(use, prefix, message):
    with pytest.raises(tr.Error, match=message):
        use(writer(), prefix)


def test_padding_of_a_prefix_may_be_anything():
    given, padded = np.array([[1, 2, 3], [2, 1, 1]]), np.array([[1, 2, -1], [2, 1, 1]])
    found = [writer().run(w=w, steps=5, lengths=[2, 5])["w"] for w in (given, padded)]
    np.testing.assert_array_equal(*found)


def test_a_prefix_of_no_steps_says_how_many_examples():
    empty = np.zeros((3, 0), int)
    model = writer()
    np.testing.assert_array_equal(model.run(w=empty, steps=4)["w"], model.run(batch=3, steps=4)["w"])
    assert model.beam_search(w=empty, steps=2).codes.shape[0] == 3
    assert len(next(model.stream(w=empty))["w"]) == 3


def test_a_prefix_of_one_hot_vectors_is_that_of_its_classes():
    model, classes = writer(), np.array([[1, 3], [0, 2]])
    for one, other in ((model.run(w=w, steps=4, seed=2)["w"], model.beam_search(w=w, steps=4).codes)
                       for w in (np.eye(4)[classes],)):
        np.testing.assert_array_equal(one, model.run(w=classes, steps=4, seed=2)["w"])
        np.testing.assert_array_equal(other, model.beam_search(w=classes, steps=4).codes)


def likelihoods(steps, stop, prefix, shaped):
    """Every sequence and its probability, by loops over all of them."""
    w = {k: np.array(v) for k, v in writer().weights.items()}
    found = {}
    for codes in itertools.product(range(4), repeat=steps):
        h, before, p, length = np.zeros(3), np.zeros(4), 1.0, steps
        for t, code in enumerate(codes):
            h = np.tanh(w["W"] @ before + w["U"] @ h + w["b"])
            z = np.exp(w["V"] @ h + w["c"])
            p *= float(code == prefix[t]) if t < len(prefix) else shaped(z / z.sum())[code]
            before = np.eye(4)[code]
            if code == stop and t >= len(prefix):
                length = t + 1
                break
        if p > 0 and not any(codes[length:]):
            found[codes, length] = p
    return found


def shaped(temperature=1.0, top_k=4, top_p=1.0):
    def shape(p):
        q = p ** (1 / temperature)
        order = np.argsort(-q)
        q[order[top_k:]] = 0
        q /= q.sum()
        before = np.cumsum(q[order]) - q[order]
        q[order[before >= top_p]] = 0
        return q / q.sum()
    return shape


@pytest.mark.parametrize("how", [{}, {"temperature": 0.5}, {"temperature": 2.0, "top_k": 2}, {"top_p": 0.7},
                                 {"temperature": 0.7, "top_k": 3, "top_p": 0.8}])
@pytest.mark.parametrize(("stop", "prefix"), [(None, ()), (1, ()), (0, (1, 0))])
def test_draws_have_the_distribution_of_the_equations(how, stop, prefix):
    count = 20_000
    given = {"w": np.tile(prefix, (count, 1))} if prefix else {"batch": count}
    out = writer().run(steps=3, seed=3, stop=stop, **given, **how)
    lengths = np.full(count, 3) if out.lengths is None else out.lengths
    expected = likelihoods(3, stop, prefix, shaped(**how))
    seen = dict.fromkeys(expected, 0)
    for codes, length in zip(out["w"].tolist(), lengths.tolist(), strict=True):
        seen[tuple(codes), length] += 1  # a KeyError is a sequence that cannot be
    often = [k for k, p in expected.items() if p * count > 5]
    statistic = sum((seen[k] - expected[k] * count) ** 2 / (expected[k] * count) for k in often)
    freedom = max(len(often) - 1, 1)  # Wilson and Hilferty 1931: the cube root of chi-square is nearly normal
    assert ((statistic / freedom) ** (1 / 3) - 1 + 2 / (9 * freedom)) / math.sqrt(2 / (9 * freedom)) < 4


@pytest.mark.parametrize("penalty", [0.0, 0.6, -0.5])
@pytest.mark.parametrize(("stop", "prefix"), [(None, ()), (2, ()), (0, (1,))])
def test_a_beam_that_holds_everything_finds_the_best(penalty, stop, prefix):
    every = likelihoods(3, stop, prefix, lambda p: p)
    ranked = [(math.log(p) / ((5 + n) / 6) ** penalty, codes, n) for (codes, n), p in every.items()]
    ranked.sort(reverse=True)
    given = {"w": [prefix]} if prefix else {}
    beams = writer().beam_search(steps=3, width=64, stop=stop, length_penalty=penalty, **given)
    for k, (score, codes, length) in enumerate(ranked):
        assert beams.scores[0, k] == pytest.approx(score, abs=1e-12)
        assert (tuple(beams.codes[0, k]), beams.lengths[0, k]) == (codes, length)
    assert np.isneginf(beams.scores[0, len(ranked):]).all()


def test_a_step_with_a_class_out_of_range_is_told_and_changes_nothing():
    model = tr.equations("h[t] = tanh(U @ h[t-1] + W @ w[t])", w=3, h=2)
    step = model.stepper(batch=2)
    steps = [np.array(k) for k in ([0, 1], [2, 2], [1, 0], [0, 2])]
    for k in steps[:3]:
        step(w=k)
    for wrong in (-1, 3):
        with pytest.raises(tr.Error, match=f"w is class {wrong} at example 1"):
            step(w=np.array([0, wrong]))
    expected = model.run(w=np.stack(steps, 1))["h"][:, -1]
    np.testing.assert_allclose(step(w=steps[3])["h"], expected, rtol=1e-6)
