"""Mistakes of a user: what was given, what was expected, where. Each is tr.Error and the built-in type that fits."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
from zoo import LSTM

import tinygrad_rnn as tr
from tinygrad_rnn.checkpoints import save_checkpoint

ZEROS = np.zeros((2, 3, 2))


def declared():
    return tr.equations("h[t] = tanh(W @ x[t] + U @ h[t-1])\ny[t] = softmax(V @ h[t])\n"
                        "loss = mean(cross_entropy(y[t], k[t]))", x=2, h=3, y=4)


# text, sizes, what the message says; every one must point at its place with a caret
WRONG_TEXT = [
    ("h[t] = tahn(x[t])", {"x": 2}, ["unknown function 'tahn'", "did you mean 'tanh'"]),
    ("h[t] = x[t] + zeros(3)", {"x": 3}, ["unknown function 'zeros'", "write expand(0, 0, 4)"]),
    ("h[t] = x[t] / norm(x[t])", {"x": 3}, ["write sqrt(dot(z, z))"]),
    ("h[t] = x[t] * (w . x[t])", {"x": 3}, ["a dot", "a scalar product is dot(a, b)"]),
    ("h[k] = K @ x[k]", {"x": 3, "h": 2},
     ["K (the last position of k) has shape ()", "K is no weight, as k is an index"]),
    ("h[t] = 1\ny[t] = x[t] * h[t]", {"x": 3, "h": 3}, ["one number does not fill a vector, as expand(1, 0, 3) does"]),
    ("d[t] = sigmoid(w @ h[t])\nh[t] = tanh(x[t])", {"x": 3, "d": ()}, ["left of @ stands a matrix", "dot(w, h[t])"]),
    ("p[0] = b\np[t] = sum(x[t], axis=0)", {"x": 3, "b": 3}, ["p[0] has shape (), its right side (3,)"]),
    ("h[t] = (1 - a) * h[t-1] + a * W @ x[t]", {"x": 3, "h": 4},
     ["a has shape (4,)", "write a * (W @ x[t])", "say so: a=()"]),
    ("h[t] = tanh(W @ x[t])", {}, ["size", "not determined", "x=..."]),
    ("h[t] = A @ x[t]", {"A": (2, 3, 4)}, ["a line such as x[t]: (2, 4, 8)"]),
    ("h[t] = sum(x[t], axis=t)", {"x": 3}, ["axis takes a number; an index is named by over="]),
    ("h[t] = sum(x[t], axis=h[t])", {"x": 3}, ["axis takes a number\n"]),
    ("h[t] = x[t][0:2:0]", {"x": 3}, ["other than 0 as step, not 0"]),
    ("h[t] = max_pool(x[t], 5)", {"x": (3, 4)}, ["a window of size 5 is larger than an image of size 3"]),
    ("h[t] = W @ x[t] + x[t]", {"x": 3, "h": 4}, ["(4,)", "(3,)", "disagree"]),
    ("h[t] = tanh(x[t])\ny = V @ h[t]", {"x": 3, "y": 2}, ["index t free", "y[t]", "over=t", "position T"]),
    ("h[t] = (W @ x[t]) @ (W @ x[t]) @ x[t]", {"W": (2, 3)}, ["wrong rank"]),
    ("y[t] = softmax(x[t])", {"x": ()}, ["scalar", "over="]),
    ("y[t] = sum(x[t])", {"x": 3}, ["bare sum", "over=t"]),
    ("y[t] = softmax(x[t], over=s)\nz[s] = q[s]", {"x": 3, "q": 3}, ["no index s"]),
    ("y[t] = x[t-2000]", {"x": 3}, ["1000"]),
    ("y[t] = x[t] * 1e39", {"x": 3}, ["too large for float32"]),
    ("y[t] = x[t] * 1e999", {"x": 3}, ["too large"]),
    ("n = x[t]", {"x": 3}, ["cannot be assigned"]),
    ("h[n] = x[n]", {"x": 3}, ["batch index n is not written on the left"]),
    ("t = x[t]", {"x": 3}, ["t is an index", "cannot be assigned"]),
    ("T = x[t]", {"x": 3}, ["last position of index t"]),
    ("h[t+1] = x[t]", {"x": 3}, ["plain index"]),
    ("h[t] = x[t]\nh[1] = b", {"x": 3}, ["inside the range", "where(t == 1, a, b)"]),
    ("h[t] = x[t]\nh[t] = 2 * x[t]", {"x": 3}, ["h[t] is defined twice"]),
    ("h[0] = b", {"b": 3}, ["no equation for the range"]),
    ("h[t] = x[t]\ny[t] = h[t,t]", {"x": 3}, ["once in a bracket"]),
    ("h[t] = x[t]\ny[s] = h[s,3]", {"x": 3}, ["2 indices"]),
    ("h[t] = n * x[t]", {"x": 3}, ["n is the batch index"]),
    ("h[t] = x[t.size]", {"x": 3}, ["inside the first bracket"]),
    ("h[t] = dropout(x[t], 1.5)", {"x": 3}, ["[0, 1)", "1.5"]),
    ("h[t] = dropout(x[t], 0.5, shared='s')", {"x": 3}, ["shared='s'", 'shared="t"']),
    ("h[t] = x[t] if t else x[t]", {"x": 3}, ["where(condition"]),
    ("h[t] = x[t] +", {"x": 3}, ["not an equation"]),
    ("h[t] < x[t]", {"x": 3}, ["a line is an equation"]),
    ("h[t] = einsum(\"ij,j\", A, x[t])", {"x": 3}, ["ij,j->i"]),
    ("h[t] = transpose(x[t], axes=(1, 0))", {"x": 3}, ["axes=(1, 0) is not an order of the 1 feature axes"]),
    ("h[t] = x[t][5]", {"x": 3}, ["position 5", "size 3"]),
    ("x[t]: 0\nh[t] = x[t]", {}, ["at least 1"]),
    ("w[0] = 2\nw[t] = categorical(softmax(U @ w[t-1]))", {"w": 3}, ["2 in every element", "one_hot(2, size)"]),
]


@pytest.mark.parametrize("text,sizes,fragments", WRONG_TEXT)
def test_a_wrong_equation_is_pointed_at(text, sizes, fragments):
    with pytest.raises(tr.Error) as error:
        tr.equations(text, **sizes)
    message = str(error.value)
    assert isinstance(error.value, (ValueError, TypeError))
    assert all(f in message for f in fragments), message
    carets = [line for line in message.splitlines() if line.strip() and set(line) <= set(" ^")]
    assert message.endswith("^") and len(carets) == (2 if "twice" in message else 1)


# a call, the built-in type, what the message says
WRONG_CALLS = [
    (lambda m: tr.equations("h[t] = x[t]", x=3, q=2), ValueError, ["'q'", "not in the equations"]),
    (lambda m: tr.equations("h[t] = x[t]", x=-1), ValueError, ["from 1 to", "-1"]),
    (lambda m: tr.equations("h[t] = x[t]", x="3"), TypeError, ["whole number", "'3'"]),
    (lambda m: tr.equations("h[t] = x[t]", x=3, dtype="float16"), ValueError, ["float32", "float16"]),
    (lambda m: tr.equations("h[t] = x[t]", x=3, dtype=np.int64), ValueError, ["float64", "'int64'"]),
    (lambda m: m.fit({"x": ZEROS}, optimizer="adam"), TypeError, ["tr.Adam(1e-3)", "'adam'"]),
    (lambda m: tr.equations(""), ValueError, ["at least one equation"]),
    (lambda m: tr.equations(3), TypeError, ["text, not int"]),
    (lambda m: tr.equations("h[t] = x[t]", x=np.array([3])), TypeError, ["the size of x is a whole number"]),
    (lambda m: tr.equations("h[t] = x[t]", x=3, name=7), TypeError, ["the name of a model is text, not 7"]),
    (lambda m: tr.last("t"), TypeError, ["that of an index", "'t'"]),
    (lambda m: m.extend(3), TypeError, ["text, not int"]),
    (lambda m: m.run(x=ZEROS, training="yes"), TypeError, ["training is True or False, not 'yes'"]),
    (lambda m: m.value_and_grad(x=ZEROS, check=2), TypeError, ["check is True or False, not 2"]),
    (lambda m: m.value_and_grad(x=ZEROS, of=["loss"]), TypeError, ["of= is the name of a scalar", "['loss']"]),
    (lambda m: m.evaluate({"x": ZEROS}, of=["loss"]), KeyError, ["no quantity ['loss']"]),
    (lambda m: tr.Adam(10**400), ValueError, ["lr must be finite"]),
    (lambda m: tr.equations("h[l,t] = tanh(h[l-1,t] + x[t])", x=2, l=3).unroll({"l": 2, "t": 3}), ValueError,
     ["steps of l are 2, but its range is 3"]),
    (lambda m: m.unroll(10**9), ValueError, ["more than 1,000,000", "fewer steps"]),
    (lambda m: m.stepper(seed="a"), TypeError, ["seed is a whole number", "'a'"]),
    (lambda m: m.stepper(top_k=2), ValueError, ["declares no data"]),
    (lambda m: tr.equations("z[t] = normal(x[t], 1)", x=2).run(x=ZEROS, top_p=0.5), ValueError, ["draws z, no class"]),
    (lambda m: m.profile(x=ZEROS, gradient="no"), TypeError, ["gradient is True or False"]),
    (lambda m: m.run(x=ZEROS, want=["q"]), KeyError, ["no quantity 'q'", "summary() lists them"]),
    (lambda m: m.run(x=ZEROS, want=5), TypeError, ["want is a name or a list of names", "5"]),
    (lambda m: m.value_and_grad(x=ZEROS, wrt=5), TypeError, ["wrt is a name or a list of names"]),
    (lambda m: m.run(x=ZEROS, steps="4"), TypeError, ["steps is a whole number", "'4'"]),
    (lambda m: m.run(z=ZEROS), KeyError, ["no input 'z'", "its inputs are x, k"]),
    (lambda m: m.run(W=ZEROS), KeyError, ["W is a weight"]),
    (lambda m: m.run(want=["h"]), ValueError, ["needs the input x"]),
    (lambda m: m.run(x=np.zeros((2, 3, 5))), ValueError, ["(2, 3, 5)", "(batch, T, 2)"]),
    (lambda m: m.run(x=np.zeros((2, 3))), ValueError, ["(2, 3)", "float64", "integers from 0 to 1"]),
    (lambda m: m.run(x=np.zeros((2, 3, 2), complex)), TypeError, ["complex128"]),
    (lambda m: m.run(x=[["a"]]), TypeError, ["numbers are expected"]),
    (lambda m: m.run(x=[[1], [1, 2]]), ValueError, ["not an array"]),
    (lambda m: m.run(x=np.zeros((0, 3, 2))), ValueError, ["batch is empty", "(0, 3, 2)"]),
    (lambda m: m.run(x=np.zeros((2, 0, 2))), ValueError, ["no positions in t"]),
    (lambda m: m.run(x=ZEROS, k=np.zeros((3, 3), int)), ValueError, ["k has 3 examples, x has 2"]),
    (lambda m: m.run(x=ZEROS, k=np.zeros((2, 4), int)), ValueError, ["k has 4 positions in t", "x has 3"]),
    (lambda m: m.run(x=ZEROS, k=np.array([[0, 1, 2], [3, 4, 0]])), ValueError, ["k is class 4 at example 1, t = 2",
                                                                                   "0 to 3"]),
    (lambda m: m.run(x=ZEROS, lengths=[3, 4]), ValueError, ["example 1 has length 4", "between 1 and 3"]),
    (lambda m: m.run(x=ZEROS, lengths=[0, 3]), ValueError, ["example 0 has length 0"]),
    (lambda m: m.run(x=ZEROS, lengths=[3]), ValueError, ["2 whole numbers"]),
    (lambda m: m.run(x=ZEROS, lengths=[1.5, 2]), ValueError, ["whole numbers", "float64"]),
    (lambda m: m.run(x=ZEROS, lengths={"q": [1, 2]}), KeyError, ["'q'", "the model has t"]),
    (lambda m: m.run(x=ZEROS, steps={"q": 3}), KeyError, ["steps names index 'q'", "the model has t"]),
    (lambda m: m.run(x=ZEROS, steps=4), ValueError, ["steps=4", "x has 3"]),
    (lambda m: tr.equations("h[s] = x[s]\ng[u] = z[u]", x=2, z=2).run(x=ZEROS, z=ZEROS, lengths=[1, 2]), ValueError,
     ["lengths is ambiguous: the model has the indices s, u", 'write lengths={"s": ...}']),
    (lambda m: tr.equations("h[t] = tanh(U @ h[t-1])\nh[0] = b", h=2).run(), ValueError, ["give steps="]),
    (lambda m: m.run([1, 2]), TypeError, ["a dict of arrays"]),
    (lambda m: m.value_and_grad(x=ZEROS, of="h"), ValueError, ["single number", "h[t]", "varies over t, n"]),
    (lambda m: m.value_and_grad(x=ZEROS, wrt=["Q"]), KeyError, ["no quantity 'Q'"]),
    (lambda m: m.grad("x"), ValueError, ["not defined by an equation"]),
    (lambda m: m.unroll(0), ValueError, ["at least 1", "0"]),
    (lambda m: m.unroll(3).value_and_grad(x=ZEROS, wrt="Q"), KeyError, ["no quantity 'Q'"]),
    (lambda m: m.unroll(3).value_and_grad(x=ZEROS, of="h"), ValueError, ["single number", "h[t]"]),
    (lambda m: m.stepper(batch=0), ValueError, ["batch", "at least 1"]),
    (lambda m: m.stepper(batch=2)(x=np.zeros((1, 2))), ValueError, ["takes (2, 2)"]),
    (lambda m: m.initialise(rules={"Wx": 1.0}), KeyError, ["Wx"]),
    (lambda m: m.fit({"x": ZEROS, "k": np.zeros((2, 3), int)}, optimizer="adam"), TypeError, ["SGD", "'adam'"]),
    (lambda m: m.fit({"x": ZEROS, "k": np.zeros((3, 3), int)}), ValueError, ["x 2", "k 3"]),
    (lambda m: m.fit([], progress=False), ValueError, ["no batches"]),
    (lambda m: m.fit(3), TypeError, ["an iterable of such dicts"]),
    (lambda m: m.fit(iter([{"x": ZEROS, "k": np.zeros((2, 3), int)}]), epochs=2, progress=False), ValueError,
     ["only once"]),
    (lambda m: tr.load("/nowhere/at/all"), OSError, ["/nowhere/at/all"]),
    (lambda m: m.save("/proc/nothing/m.safetensors"), OSError, ["/proc/nothing"]),
    (lambda m: tr.use_backend("torch"), ValueError, ["unknown backend 'torch'", "numpy, cupy and auto"]),
    (lambda m: tr.Tensor(np.ones(2)) + tr.Tensor(np.ones(3)), ValueError, ["(2,) and (3,)"]),
    (lambda m: tr.sum(tr.Tensor(np.ones(2)), over="t"), ValueError, ["tensors have none; sum takes axis="]),
    (lambda m: tr.softmax(tr.Tensor(np.ones(2)), over=0), TypeError, ["not 0; a feature axis is named by axis=0"]),
    (lambda m: tr.squeeze(tr.Tensor(np.ones((1, 3))), 1), ValueError, ["axis 1 has size 3, not 1"]),
    (lambda m: tr.Tensor(1.0).backward(), ValueError, ["requires_grad"]),
    (lambda m: tr.Tensor(np.ones(2), requires_grad=True).tanh().backward(), ValueError, ["shape (2,)"]),
    (lambda m: tr.Tensor(np.ones(2, int), requires_grad=True), TypeError, ["int64"]),
    (lambda m: tr.Tensor(np.ones(3))[3], ValueError, ["position 3", "size 3"]),
    (lambda m: tr.cross_entropy(tr.Tensor(np.ones((2, 3))), np.array([0, 3])), ValueError, ["class 3", "0 to 2"]),
    (lambda m: m.draw("x.gif"), ValueError, [".gif"]),
]


@pytest.mark.parametrize("call,kind,fragments", WRONG_CALLS)
def test_a_wrong_call_says_what_was_expected(call, kind, fragments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind) as error:
        call(declared())
    assert isinstance(error.value, tr.Error)
    message = str(error.value)
    assert all(f in message for f in fragments), message
    assert not list(tmp_path.iterdir())


def test_a_nan_is_named_with_where_it_first_appears():
    model, x = declared(), np.zeros((2, 5, 2))
    x[1, 3, 0] = np.nan
    with pytest.raises(tr.Error, match="input x is NaN, first at example 1, t = 4"):
        model.run(x=x, want="h", check=True)
    model.run(x=x, want="h", lengths=np.array([5, 3]), check=True)
    root = tr.equations("r[t] = sqrt(x[t])\ns[t] = 2 * r[t]", x=2)
    x = np.ones((2, 5, 2))
    x[0, 2] = -1
    with pytest.raises(tr.Error, match="r is NaN, first at example 0, t = 3"):
        root.run(x=x, check=True)


@pytest.mark.parametrize("shift, first", [("t-1", 2), ("t+1", 4)])
def test_of_a_loop_the_nan_is_named_that_came_first(shift, first):
    """Not that of the equation which stands first: what reads it at the next step comes later."""
    loop = tr.equations(f"a[t] = b[{shift}] + x[t]\nb[t] = sqrt(x[t]) + a[t]", x=3)
    x = np.ones((2, 5, 3))
    x[1, first - 1, 2] = -1
    with pytest.raises(tr.Error, match=f"^b is NaN, first at example 1, t = {first}"):
        loop.run(x=x, check=True)


def test_near_twins_warn():
    with pytest.warns(UserWarning, match="b_f and b_F"):
        tr.equations("y[t] = x[t] * b_f + b_F", x=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tr.equations("y[t] = V @ x[t] + dot(v, x[t]) * w", x=2, y=3)


@pytest.mark.parametrize("text", ["y[t] = sin(2 * pi * x[t])", "y[t] = x[t] * cos(pi * t)", "y[t] = x[t] / (pi / T)"])
def test_a_pi_that_would_be_trained_warns(text):
    with pytest.warns(UserWarning, match="pi is a weight here"):
        tr.equations(text, x=2)


@pytest.mark.parametrize("text, sizes", [
    ("y[t] = sin(2 * pi * x[t])", {"pi": ()}), ("a[t] = a[t-1] + x[t]\na[0] = pi", {}),
    ("a[t] = x[t] + where(t == 1, log(pi), 0)", {})])
def test_a_pi_that_is_meant_does_not(text, sizes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tr.equations(text, x=2, **sizes)


def test_a_model_that_was_made_before_warns_no_more(tmp_path):
    with pytest.warns(UserWarning):
        model = tr.equations("y[t] = x[t] * b_f + b_F", x=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert str(tr.load(model.save(tmp_path / "m.safetensors"))) == str(copy.deepcopy(model)) == str(model)


HOSTILE = ["y[t] = x[t].__class__", "y[t] = __import__('os')", "y[t] = (lambda: 0)()", "y[t] = [a for a in x]",
           "y[t] = f'{x}'", "y[t] = (a := x[t])", "import os", "y[t] = x[t]; exec('1')", "del x", "y[t], z[t] = x[t]",
           "y[t] = x[t](1)", "y[t] = tanh(*x)", "y[t] = tanh(**x)", "y[t] = open('a')", "y[t] = x['t']", "y[t] += x[t]",
           "y[t] = await x", "y[t] = {1: 2}", "y[t] = 'text'", "y[t] = b'1'", "y[t] = 1j * x[t]", "y[t] = ...",
           "y[t] = x[t] and", "y[t] = x\0", "y[t] = \ud800", "class a: pass", "y[t] = data(x)", "y[t] = ref(x)",
           "y[t] = " + "(" * 10_000 + "1" + ")" * 10_000, "y[t] = " + "-" * 100_000 + "1", "y" + "[t]" * 5_000,
           "y[t] = " + "9" * 10_000, "x[t]: " + "9" * 30, "y[t] = one_hot(x[t], " + "9" * 20 + ")",
           "y[t] = expand(x[t], axis=0, size=9999999999)", "y[t] = x[t-" + "9" * 50 + "]", " " * 2_000_000,
           "y[t] = " + "+".join("x" * 250_000), "y" + "[0]" * 100_000]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_an_error_and_nothing_else(text):
    with pytest.raises(tr.Error):
        tr.equations(text, x=3)


def test_powers_are_not_computed_while_reading():
    assert np.isinf(tr.equations("y[t] = 9**9**9**9 * x[t]", x=1).run(x=np.ones((1, 1, 1)))["y"]).all()


def test_a_long_sum_is_no_trouble():
    model = tr.equations("y[t] = " + " + ".join(["x[t]"] * 2_500), x=1)
    assert model.run(x=np.ones((1, 1, 1)))["y"] == 2_500
    assert str(model).startswith("x[t]: 1\n\ny[t] = x[t] + x[t] + ")


def test_the_readme_lstm_is_read():
    assert len(tr.equations(LSTM, x=27, h=64, y=27).system.equations) == 8


def test_a_mistake_in_a_file_names_the_file(tmp_path):
    model, path = declared(), tmp_path / "m.safetensors"
    arrays = {f"weight.{name}": array for name, array in model.weights.items()}
    save_checkpoint(path, arrays, {**model.description(), "equations": "h[t] = W x[t]"})
    with pytest.raises(tr.Error, match=r"m\.safetensors: this is not an equation") as error:
        tr.load(path)
    assert "line 1: h[t] = W x[t]" in str(error.value)


def test_memory_that_cannot_be_had_is_told_with_what_it_was_for(monkeypatch):
    def none(*args, **options):
        raise MemoryError("no room")

    monkeypatch.setattr(np.linalg, "qr", none)
    with pytest.raises(tr.Error, match=r"the weight U of shape \(3, 3\) needs more memory than there is") as error:
        declared().run(x=ZEROS)
    assert isinstance(error.value, MemoryError)
