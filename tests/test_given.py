"""What a person gives beside the data, and asks for: states, ranges, names, seeds, and Python's own words."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr

TEXT = "h[t] = tanh(U @ h[t-1] + W @ x[t])\nq[t] = 2*q[t-1] + 1\nloss = sum(h[t]**2)"
X = np.ones((3, 4, 2))


@pytest.fixture
def model():
    return tr.equations(TEXT, x=2, h=3, q=(), dtype="float64")


@pytest.mark.parametrize("shape", [(3,), (3, 4)])
def test_whole_numbers_of_size_one_are_no_classes(shape):
    """Read as classes, the labels 0 and 1 of one output would be the vectors [1] and [0]."""
    index = "n" if len(shape) == 1 else "t"
    model = tr.equations(f"loss = mean(binary_cross_entropy(sigmoid(b), k[{index}]))", k=1, dtype="float64")
    labels = np.random.default_rng(0).integers(0, 2, shape)
    with pytest.raises(tr.Error, match=r"k\[\.\.\., None\]"):
        model.run(k=labels)
    model.weights["b"] = [0.7]
    expected = np.mean(np.where(labels, np.log1p(np.exp(-0.7)), np.log1p(np.exp(0.7))))
    assert model.run(k=labels[..., None])["loss"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loss", ["squared_error(y[t], k[t])", "squared_error(k[t], y[t])",
                                  "binary_cross_entropy(sigmoid(y[t]), k[t])", "cross_entropy(softmax(y[t]), k[t])"])
def test_the_target_of_any_loss_is_a_class_in_range(loss):
    model = tr.equations(f"y[t] = W @ x[t]\nloss = mean({loss})", x=2, y=3)
    with pytest.raises(tr.Error, match="k is class 3 at example 1, t = 4; the classes are 0 to 2"):
        model.value_and_grad(x=X[:2], k=[[0, 1, 2, 0], [0, 0, 1, 3]])
    assert np.isfinite(model.run(x=X[:2], k=[[0, 1, 2, 0], [0, 0, 1, 3]], lengths=[4, 3], want="loss")["loss"])


def test_a_mask_is_not_lost(model):
    masked = np.ma.masked_equal(np.arange(24.0).reshape(3, 4, 2), 5)
    for given in (lambda: model.run(x=masked), lambda: tr.Tensor(masked), lambda: model.fit({"x": masked})):
        with pytest.raises(tr.Error, match="masked array"):
            given()
    np.testing.assert_array_equal(model.run(x=np.ma.array(X))["h"], model.run(x=X)["h"])


# -- states --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "kind", "message"), [
    (5, TypeError, r"a dict of arrays by name, not int"),
    ({"h": np.ones((3, 3))}, ValueError, r"the state of h has shape \(3, 3\), expected \(3, last steps of t, 3\)"),
    ({"h": np.ones((2, 1, 3))}, ValueError, r"shape \(2, 1, 3\), expected \(3, last steps of t, 3\)"),
    ({"h": np.ones((3, 1, 4))}, ValueError, r"expected \(3, last steps of t, 3\)"),
    ({"h": np.ones(())}, ValueError, r"shape \(\)"),
    ({"hh": np.ones((3, 1, 3))}, KeyError, r"the state holds 'hh'.*which is no quantity"),
    ({"[t]": np.ones((3, 2), int)}, ValueError, r"the state of \[t\] has shape \(3, 2\), expected \(3\)"),
])
def test_a_state_that_is_none(model, state, kind, message):
    with pytest.raises(tr.Error, match=message) as caught:
        model.run(x=X, state=state)
    assert isinstance(caught.value, kind)


def test_a_state_that_was_left_is_taken(model):
    whole = model.run(x=X, want=["h"])["h"]
    first = model.run(x=X[:, :2], want=["h"])
    then = model.run(x=X[:, 2:], want=["h"], state=first.state)
    assert np.allclose(then["h"], whole[:, 2:], rtol=1e-12)


# -- what is asked for ---------------------------------------------------------------------------------


def test_any_quantity_can_be_asked_for(model):
    found = model.run(x=X, want=["x", "W", "h"])
    assert np.array_equal(found["x"], X) and np.array_equal(found["W"], model.weights["W"])
    assert np.array_equal(model.run(x=X, want=["x"])["x"], X)


def test_data_that_are_given_say_how_far_an_index_runs(model):
    """Also where nothing that is asked for reads them: an index has one range."""
    alone = model.run(x=X, want=["q"])["q"]
    assert np.array_equal(alone, [[1, 3, 7, 15]] * 3)
    assert np.array_equal(model.run(x=X, want=["q", "h"])["q"], alone)


def test_lengths_of_what_is_not_asked_for():
    model = tr.equations("e[s] = tanh(A @ x[s])\nd[t] = tanh(B @ u[t])", x=2, u=2, e=3, d=3)
    data = {"x": np.ones((2, 4, 2)), "u": np.ones((2, 5, 2))}
    lengths = {"s": [4, 2], "t": [5, 1]}
    both = model.run(data, want=["e", "d"], lengths=lengths)
    assert np.array_equal(model.run(data, want=["e"], lengths=lengths)["e"], both["e"])


def test_a_range_that_nobody_says():
    with pytest.raises(tr.Error, match="no input says how far t runs in q; give steps="):
        tr.equations("q[t] = 2*q[t-1] + 1\np = q[0] + b", q=(), b=()).run(want=["p"])


@pytest.mark.parametrize("seed", [1.5, -1, "a", None])
def test_seeds(model, seed):
    with pytest.raises(tr.Error, match="seed"):
        model.run(x=X, seed=seed)
    with pytest.raises(tr.Error, match="seed"):
        model.fit({"x": X}, seed=seed)


def test_on_epoch_is_looked_at_before_anything_is_trained(model):
    with pytest.raises(tr.Error, match="on_epoch is called with the row of each epoch, and this is 3"):
        model.fit({"x": X}, on_epoch=3)


@pytest.mark.parametrize("value", [None, "no", np.ones((3, 2)) * 1j])
def test_weights_are_numbers(model, value):
    before = model.weights["W"].copy()
    with pytest.raises(tr.Error, match="the weight W"):
        model.weights["W"] = value
    assert np.array_equal(model.weights["W"], before)


@pytest.mark.parametrize("wrt", [3, [3], None])
def test_grad_is_of_tensors(wrt):
    x = tr.Tensor(2.0, requires_grad=True)
    with pytest.raises(tr.Error, match="grad is with respect to a tensor or a list of them"):
        tr.grad(x * x, wrt)


@pytest.mark.parametrize(("options", "message"), [
    ({"shuffle": "no"}, "shuffle is True or False, not 'no'"), ({"save_every": -1}, "save_every must be at least 0"),
    ({"checkpoint": 3}, "a file is named by a string or a Path, not by 3")])
def test_options_of_fit(model, options, message):
    with pytest.raises(tr.Error, match=message):
        model.fit({"x": X}, **options)


@pytest.mark.parametrize("path", [None, 3])
def test_paths(model, path):
    for use in (model.save, tr.load):
        with pytest.raises(tr.Error, match="a file is named by a string or a Path, not by"):
            use(path)


def test_an_index_that_is_not_there_is_pointed_at():
    with pytest.raises(tr.Error, match=r"over=q: the model has no index q\n  line 2: y.t. = sum\(x.t., over=q\)\n +\^"):
        tr.equations("a[t] = 2*x[t]\ny[t] = sum(x[t], over=q)", x=3)


# -- Python's own words, over terms --------------------------------------------------------------------


@pytest.mark.parametrize("use", [sum, list, max, lambda v: 3 in v, lambda v: [u for u in v]])
def test_a_term_is_not_gone_through(use):
    model = tr.Model("m")
    x, t = model.input("x", 3), tr.index("t")
    for what in (x, x[t]):
        with pytest.raises(tr.Error, match=r"no elements to go through|is not searched"):
            use(what)


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.int64(2), np.array(0.5)[()]])
def test_numbers_of_numpy(number):
    model = tr.Model("m")
    x, y, t = model.input("x", 3), model.state("y"), tr.index("t")
    y[t] = number * x[t] + number
    assert np.allclose(model.run(x=np.ones((1, 2, 3)), want=["y"])["y"], 2 * float(number))


# -- texts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["name", "dtype", "self"])
def test_quantities_named_as_arguments_are(name):
    found = tr.equations(f"{name}[t]: 3\ny[t] = W @ {name}[t]", y=2).run({name: np.ones((1, 4, 3))}, want=["y"])
    assert found["y"].shape == (1, 4, 2)


def test_comments_may_stand_anywhere():
    text = "\n# one\n    # two\n    h[t] = tanh(h[t-1] + x[t])  # three\n# four\n    loss = sum(h[t])\n"
    assert str(tr.equations(text, x=3)) == str(tr.equations(
        "h[t] = tanh(h[t-1] + x[t])  # three\nloss = sum(h[t])", x=3))


def test_two_sizes():
    tr.equations("x[t]: 3\nx[t]: 3\ny[t] = 2*x[t]")
    with pytest.raises(tr.Error, match=r"x has two sizes, \(3,\) and \(4,\)"):
        tr.equations("x[t]: 3\nx[t]: 4\ny[t] = 2*x[t]")


def test_data_of_a_form_that_was_seen_before_are_looked_at_all_the_same():
    """Shapes and dtypes are checked once for each form, but not what differs from call to call."""
    model, rng = tr.graphs.lstm(inputs=4, hidden=3, outputs=4), np.random.default_rng(0)
    k = rng.integers(0, 4, (2, 5))
    losses = [model.value_and_grad(x=k, target=k)[0] for _ in range(3)]
    assert losses[1:] == losses[:2]
    bad = np.where(k == k[1, 2], 4, k)
    lengths = np.array([5, 2])
    for given, message in (({"target": bad}, "target is class 4"), ({"target": bad[:, :4]}, "target has 4 positions"),
                           ({"target": k, "lengths": lengths - 2}, "example 1 has length 0"),
                           ({"target": k, "lengths": lengths + 1}, "example 0 has length 6")):
        for _ in range(2):
            with pytest.raises(tr.Error, match=message):
                model.value_and_grad(x=k, **given)
            model.value_and_grad(x=k, target=k, lengths=lengths)
    assert model.value_and_grad(x=k, target=k)[0] == losses[0]
    out = model.run(x=k, want=["h"])
    again = model.run(x=k, want=["h"], state=out.state)
    for _ in range(2):
        with pytest.raises(tr.Error, match="the state of h has shape"):
            model.run(x=k, want=["h"], state={**out.state, "h": out.state["h"][:1]})
        np.testing.assert_array_equal(model.run(x=k, want=["h"], state=out.state)["h"], again["h"])


def test_two_sizes_of_what_is_declared_again():
    model = tr.Model("twice")
    model.input("x", 2)
    assert model.input("x", 2).name == model.input("x").name == "x"
    with pytest.raises(tr.Error, match=r"x is declared twice, with the sizes \(2,\) and \(3,\)"):
        model.input("x", 3)


def test_lengths_of_a_range_that_two_indices_share():
    model = tr.equations("a[t,s] = dot(x[t], x[s])", x=2)
    expected = model.run(x=X, lengths=[4, 1, 2])["a"]
    for lengths in ({"s": [4, 1, 2]}, {"t": [4, 1, 2], "s": [4, 1, 2]}):
        np.testing.assert_array_equal(model.run(x=X, lengths=lengths)["a"], expected)
    with pytest.raises(tr.Error, match="lengths of s are others than those of an index whose range it shares"):
        model.run(x=X, lengths={"t": [4, 1, 2], "s": [4, 4, 4]})


def test_a_batch_with_its_lengths_is_taken_wherever_data_are(model):
    batch, apart = {"x": X, "lengths": [4, 1, 2]}, {"lengths": [4, 1, 2]}
    flat = model.unroll(4)
    expected = model.run(x=X, **apart)["loss"]
    for found in (model.run(batch)["loss"], flat.run(batch)["loss"], flat.value_and_grad(batch)[0]):
        assert found == pytest.approx(expected, rel=1e-12)
    assert model.profile(batch, repeat=1).rows
    for given in (model.run, model.value_and_grad, flat.run, model.trace):
        with pytest.raises(tr.Error, match="x is given twice, in the data and as x="):
            given({"x": X}, x=X)
