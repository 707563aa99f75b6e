"""Mistakes in Python that no other test makes: what declares a model there, and calls of functions and models."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import S, T, s, t
from tinygrad_rnn.checkpoints import save_checkpoint

GRID = "h[u,v] = tanh(x[u,v] + W @ h[u-1,v] + R @ h[u,v-1])"
PAIR = "k[s] = tanh(A @ x[s])\nh[t] = tanh(W @ z[t] + U @ h[t-1]) + k[S]"
VOICES = "a[t] = categorical(softmax(A @ a[t-1]))\nb[s] = categorical(softmax(B @ b[s-1]))"


def x() -> tr.Tensor:
    return tr.Model().input("x", 3)


def small(text: str = "h[t] = tanh(W @ x[t] + U @ h[t-1])", **sizes: object) -> tr.Model:
    return tr.equations(text, **(sizes or {"x": 3, "h": 3}))


def written(tmp_path, *lost: str):
    """A file of a model without some of what it holds."""
    model = small()
    arrays = {f"weight.{name}": array for name, array in model.weights.items() if name not in lost}
    meta = {key: text for key, text in model.description().items() if key not in lost}
    save_checkpoint(tmp_path / "m.safetensors", arrays, meta)
    return tmp_path / "m.safetensors"


# what is called, the built-in type that fits, what the message says
MISTAKES = [
    (lambda: tr.index("T"), ValueError, "an index is a lower-case name, not 'T'"),
    (lambda: x()[t - 0.5], TypeError, "a shift is a whole number, not 0.5"),
    (lambda: x()["t"], TypeError, "stand indices (t, t-1, 0, T), not 't'"),
    (lambda: x()[2 * t], TypeError, "stand indices (t, t-1, 0, T), not 2 * t"),
    (lambda: x() + 1, TypeError, "the input x is used with its index: x[t], or x[n]"),
    (lambda: tr.Model().weight("a b"), ValueError, "a quantity's name is an identifier, not 'a b'"),
    (lambda: bool(x()[t]), TypeError, "has no truth value; write where(condition, a, b)"),
    (lambda: x()[t].shape, TypeError, "has no shape and no values outside of its model"),
    (lambda: x()[T] + 10**400, ValueError, "a constant is too large"),
    (lambda: tr.softmax(x()[t], ovr=s), TypeError, "softmax has no argument 'ovr'; did you mean 'over'?"),
    (lambda: tr.tanh(x()[t], 1, 2), TypeError, "tanh takes 1 operand, not 3"),
    (lambda: tr.layer_norm(), TypeError, "layer_norm takes a value, and perhaps gain and bias, not 0 operands"),
    (lambda: tr.einsum(x()[t], x()[t]), TypeError, 'takes its labels first: einsum("ij,j->i", a, b)'),
    (lambda: tr.concat(), TypeError, "concat needs at least one argument"),
    (lambda: tr.one_hot(x()[t]), TypeError, "one_hot needs size="),
    (lambda: tr.split(x()[t], 2), ValueError, "name those of the pieces: split(x, [64, 64])"),
    (lambda: tr.split(tr.ones((3,)), 2), ValueError, "an axis of size 3 cannot be cut into 2 equal pieces"),
    (lambda: tr.expand(tr.ones((2**20,)), 0, 2**20), ValueError, "is larger than 2147483648 numbers"),
    (lambda: small("h[t] = x[t]\ny[t] = h[n]", x=3), ValueError, "n is never written for a quantity that has"),
    (lambda: small("h[l,t] = W[l] @ h[l-1,t]\nh[0,t] = x[t]", x=3, l=(2, 3)), ValueError,
     "l is an index; its size is one number, not (2, 3)"),
    (lambda: small("x.y: 3\nh[t] = x[t]"), ValueError, "a size line names a quantity: x[t]: 27"),
    (lambda: small().weights.pop("W"), TypeError, "a weight cannot be removed from a model"),
    (lambda: small("h[t] = x[t] @ W", x=2**16, h=2**17).weights, ValueError, "more than 2147483648 numbers"),
    (lambda: small().run(), ValueError, "nothing can be computed from no input; the model's inputs are x"),
    (lambda: small(GRID, x=2).stepper(), ValueError, "a stepper needs a model with one index of time"),
    (lambda: small(PAIR, x=3, z=2, k=4).unroll({"t": 3}), ValueError, "unroll needs the number of positions of s"),
    (lambda: small().stepper(x=np.ones((1, 4, 3))), ValueError, "x has a value at each t: give it step by step"),
    (lambda: next(small("h[t] = x[n] + h[t-1]\nw[t] = categorical(softmax(h[t]))", x=3).stream(
        x=np.ones((2, 3)), batch=3)), ValueError, "different numbers of examples: 2, 3"),
    (lambda: small(VOICES, a=3, b=4).run(steps={"t": 3, "s": 3}, stop={"a": 0, "b": 0}), ValueError,
     "stop= names data over different indices"),
    (lambda: small().run(x=np.ones((1, 4, 3)), state={"h": np.full((1, 1, 3), "a")}), TypeError,
     "the state of h has dtype <U1; numbers are expected"),
    (lambda: small(VOICES, a=3, b=4).run(steps=2**63), ValueError, "steps must be at most 2147483647"),
    (lambda: small().check_gradient(x=np.ones((1, 4, 3)), of="h", step=0), ValueError, "step must be above 0, not 0"),
    (lambda: small().check_gradient(x=np.ones((1, 4, 3)), of="h", step="a"), TypeError, "step is a number, not 'a'"),
    (lambda: tr.Adam().update(3, {}), TypeError, "weights are model.weights, or a dict of arrays by name, not int"),
    (lambda: tr.Adam().update({"a": np.ones(3)}, {"a": None}), TypeError, "there is no gradient of a"),
    (lambda: tr.embed(tr.ones((3, 2)), 0.5), TypeError, "embed takes classes, which are whole numbers"),
    (lambda: tr.embed(tr.ones((3, 2)), np.array([0, 3])), ValueError, "class 3 at [1] is out of range"),
    (lambda: tr.one_hot(np.array([-1]), 3), ValueError, "class -1 at [0] is out of range; the classes are 0 to 2"),
    (lambda: tr.zeros((2**40, 2**40)), ValueError, "is larger than 2147483648 numbers"),
    (lambda: tr.data.grouped(3, "a"), TypeError, "a table is a dict of columns by name"),
    (lambda: tr.use_jit("yes"), TypeError, "use_jit is True or False, not 'yes'"),
    (lambda: small().run(x=None), TypeError, "x is None; numbers are expected"),
    (lambda: small().run(x=[[[1, 2, None]]]), TypeError, "x has dtype object, with None at [0, 0, 2]; numbers"),
    (lambda: small().run(x=np.ones((1, 4, 3), object)), TypeError, "although it holds numbers, of which astype(float)"),
    (lambda: small()(x=np.ones((1, 4, 3))), TypeError, 'a model is run by name: model.run(x=...)["y"]'),
    (lambda: small().initialise(rules={"W": lambda shape: np.zeros(shape)}), TypeError,
     "def rule(rng, shape): ...; this one cannot be called so"),
    (lambda: S + small(), TypeError, "got a Model where a quantity or a number is expected"),
]


@pytest.mark.parametrize("call,kind,message", MISTAKES)
def test_a_mistake_says_what_was_expected(call, kind, message):
    with pytest.raises(tr.Error) as caught:
        call()
    assert isinstance(caught.value, kind) and message in str(caught.value)


@pytest.mark.parametrize("lost,message", [("equations", "has no equations: it was not written by Model.save"),
                                          ("U", "lacks the weight U")])
def test_a_file_that_lacks_a_part_is_told(lost, message, tmp_path):
    assert tr.load(written(tmp_path)).weights.keys() == {"W", "U"}
    with pytest.raises(OSError, match=message) as caught:
        tr.load(written(tmp_path, lost))
    assert isinstance(caught.value, tr.Error)
