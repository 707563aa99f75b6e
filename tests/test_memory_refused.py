"""What memory="sqrt" cannot cut into segments, and says so."""

from __future__ import annotations

import numpy as np
import pytest
from segmented import made
from zoo import build, data, dynamic

import tinygrad_rnn as tr

REFUSED = {
    "the future": ("""
        h[t] = tanh(U @ h[t-1] + W @ x[t])
        r[t] = tanh(Q @ r[t+1] + P @ h[t])
        loss = mean(r[t] * r[t])""", r"r\[t\] reads the future, r\[t\+1\](.|\n)*line 2"),
    "a later step": ("""
        h[t] = tanh(U @ h[t-1] + W @ x[t])
        y[t] = h[t] - h[t+1]
        loss = mean(y[t] * y[t])""", r"y\[t\] reads the future, h\[t\+1\]"),
    "after the end": ("""
        h[t] = tanh(U @ h[t-1] + W @ x[t])
        h[T+1] = e
        loss = mean(h[t] * h[t+1])""", r"h\[T\+1\] sets a position beyond the last one"),
    "a start that follows from all": ("""
        h[t] = W @ x[t]
        h[0] = V @ x[T]
        loss = mean(h[t-1])""", r"h\[0\] follows from the whole sequence, and is read at its first steps"),
    "softmax over time": ("""
        h[t] = tanh(U @ h[t-1] + W @ x[t])
        a[t] = softmax(dot(v, h[t]), over=t)
        loss = mean(a[t] * a[t])""", r"a\[t\] has a softmax over t"),
    "the mean at each step": ("""
        h[t] = tanh(U @ h[t-1] + W @ x[t])
        m = mean(h[t], over=t)
        y[t] = h[t] - m
        loss = mean(y[t] * y[t])""", r"y\[t\] reads at each step what follows from all of them"),
    "the last step at each step": ("""
        h[t] = tanh(U @ h[t-1] + W @ x[t])
        y[t] = h[t] * h[T]
        loss = mean(y[t] * y[t])""", r"y\[t\] reads at each step what follows from all of them"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_cut_is_told(name):
    text, message = REFUSED[name]
    model = tr.equations(text, x=3, h=4, **({"r": 2} if "r[t]" in text else {}))
    inputs = {"x": np.zeros((2, 5, 3))}
    with pytest.raises(tr.Error, match=message) as caught:
        model.value_and_grad(inputs, memory="sqrt")
    assert "memory=None" in str(caught.value) and "^" in str(caught.value)
    with pytest.raises(tr.Error, match=message):
        model.fit(inputs, memory="sqrt", progress=False)


@pytest.mark.parametrize("name", ["bidirectional", "self_attention", "reductions", "two_dimensional"])
def test_models_of_the_zoo_that_cannot_be_cut(name):
    model = build(name)
    with pytest.raises(tr.Error, match='memory="sqrt"'):
        model.value_and_grad(data(model, 2, {i: 5 for i in dynamic(model)}), memory="sqrt")


def test_other_ways_are_told():
    model = build("rnn")
    inputs = data(model, 2, {"t": 5})
    for memory in ("log", 2, True, ""):
        with pytest.raises(tr.Error, match=r'memory is None .* or "sqrt"'):
            model.fit(inputs, memory=memory, progress=False)
        with pytest.raises(tr.Error, match=r'memory is None .* or "sqrt"'):
            model.value_and_grad(inputs, memory=memory)
    with pytest.raises(tr.Error, match="check=True"):
        model.value_and_grad(inputs, memory="sqrt", check=True)
    with pytest.raises(tr.Error, match="nothing that is asked for runs over it"):
        made("k[t] = W @ x[t]\nloss = mean(V * V)", {"x": 2, "k": 2, "V": (2,)}).value_and_grad(
            x=np.zeros((1, 3, 2)), memory="sqrt", wrt="V")
