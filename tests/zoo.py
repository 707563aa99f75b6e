"""Declared models of every kind, and data for them."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_rnn as tr

LSTM_CELL = """
    i[t] = sigmoid(W_xi @ x[t] + W_hi @ h[t-1] + b_i)      # input gate
    f[t] = sigmoid(W_xf @ x[t] + W_hf @ h[t-1] + b_f)      # forget gate
    o[t] = sigmoid(W_xo @ x[t] + W_ho @ h[t-1] + b_o)      # output gate
    g[t] = tanh(W_xg @ x[t] + W_hg @ h[t-1] + b_g)
    c[t] = f[t] * c[t-1] + i[t] * g[t]
    h[t] = o[t] * tanh(c[t])
"""
LSTM = LSTM_CELL + """
    y[t] = softmax(W_hy @ h[t] + b_y)
    loss = mean(cross_entropy(y[t], target[t]))
"""
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn": ("""
        h[t] = tanh(U @ h[t-1] + W @ x[t] + b)
        y[t] = softmax(V @ h[t] + c)
        loss = mean(cross_entropy(y[t], target[t]))""", {"x": 3, "h": 4, "y": 2}),
    "lstm": (LSTM, {"x": 3, "h": 4, "y": 2}),
    "gru": ("""
        z[t] = sigmoid(W_xz @ x[t] + W_hz @ h[t-1] + b_z)
        r[t] = sigmoid(W_xr @ x[t] + W_hr @ h[t-1] + b_r)
        g[t] = tanh(W_xg @ x[t] + W_hg @ (r[t] * h[t-1]) + b_g)
        h[t] = z[t] * h[t-1] + (1 - z[t]) * g[t]
        y = softmax(V @ h[T])
        loss = mean(cross_entropy(y, label[n]))""", {"x": 3, "h": 4, "y": 2}),
    "bidirectional": ("""
        h[t] = tanh(U @ h[t-1] + W @ x[t])
        r[t] = tanh(Q @ r[t+1] + P @ x[t])
        h[0] = h0
        r[T+1] = r0
        y[t] = softmax(V @ concat(h[t], r[t]))
        loss = mean(cross_entropy(y[t], target[t]))""", {"x": 3, "h": 4, "r": 4, "y": 2}),
    "two_layers": ("""
        h[t] = tanh(U @ h[t-2] + A @ h[t-1] + W @ x[t])
        k[t] = tanh(B @ k[t-1] + C @ h[t] + D @ x[t-1])
        loss = mean(squared_error(k[T], z[n]))""", {"x": 3, "h": 4, "k": 4}),
    "static_index": ("""
        h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1] + b[l])
        h[0,t] = E @ x[t]
        y = softmax(V @ h[3,T])
        loss = mean(cross_entropy(y, label[n]))""", {"l": 3, "x": 5, "h": 4, "y": 2}),
    "attention": ("""
        q[t] = tanh(W @ x[t] + U @ q[t-1] + V @ c[t-1])
        q[0] = tanh(M @ k[S])
        k[s] = tanh(A @ z[s] + B @ k[s-1])
        e[t,s] = dot(q[t], k[s])
        a[t,s] = softmax(where(s <= t + 1, e[t,s], -inf), over=s)
        c[t] = sum(a[t,s] * k[s], over=s)
        loss = mean(squared_error(c[T], goal[n]))""", {"x": 3, "z": 4, "k": 5, "q": 5}),
    "self_attention": ("""
        h[t] = tanh(W @ x[t] + U @ h[t-1])
        k[t] = K @ h[t]
        a[t,s] = softmax(dot(h[t], k[s]), over=s)
        c[t] = sum(a[t,s] * k[s], over=s)
        loss = mean(sum(c[t] * c[t], axis=0))""", {"x": 3, "h": 4}),
    "two_dimensional": ("""
        h[i,j] = tanh(W @ x[i,j] + U @ h[i-1,j] + V @ h[i,j-1])
        loss = mean(squared_error(h[I,J], goal[n]))""", {"x": 2, "h": 3}),
    "reductions": ("""
        h[t] = layer_norm(W @ x[t] + U @ h[t-1], g, b)
        p[t] = cumsum(sum(h[t], axis=0), over=t)
        y[t] = logsumexp(h[t], axis=0) + max(h[t], axis=0) + p[t] - mean(h[t], over=t)[1]
        loss = mean(y[t] * y[t])""", {"x": 3, "h": 4}),
    "no_recurrence": ("y[t] = W @ relu(V @ x[t] + b)\nloss = mean(y[t] * y[t])", {"x": 3, "b": 5, "y": 2}),
    "dropout": ("""
        h[t] = tanh(W @ dropout(x[t], 0.3) + U @ dropout(h[t-1], 0.5, shared="t"))
        loss = mean(h[t] * h[t])""", {"x": 3, "h": 4}),
}


def build(name: str, dtype: str = "float64", seed: int = 0) -> tr.Model:
    """The model of that name with random weights."""
    text, sizes = MODELS[name]
    model = tr.equations(text, name=name, dtype=dtype, **sizes)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        model.weights[weight] = rng.standard_normal(model.weights[weight].shape) * 0.5
    return model


def dynamic(model: tr.Model) -> list[str]:
    """Its indices with a range of their own, other than static ones."""
    s = model.system
    return [i for i in s.ranges if i not in s.static and s.range_of(i) == i]


def data(model: tr.Model, batch: int, steps: dict[str, int], seed: int = 1) -> dict[str, Any]:
    """Random inputs; classes for targets and labels."""
    rng, s, found = np.random.default_rng(seed), model.system, {}
    for name in s.of_role("input"):
        q = s.quantities[name]
        lead = (batch, *(steps[s.range_of(i)] for i in q.slots))
        classes = name in ("target", "label")
        found[name] = rng.integers(0, q.type.shape[0], lead) if classes else rng.standard_normal((*lead, *q.type.shape))
    return found


def spoilt(model: tr.Model, inputs: dict[str, Any], lengths: dict[str, Any]) -> dict[str, Any]:
    """The inputs with NaN, or class -1, in their padding."""
    s, found = model.system, {k: v.copy() for k, v in inputs.items()}
    for name, array in found.items():
        for axis, index in enumerate(s.quantities[name].slots):
            for example, length in enumerate(lengths.get(s.range_of(index), ())):
                key = [slice(None)] * array.ndim
                key[0], key[1 + axis] = example, slice(int(length), None)
                array[tuple(key)] = np.nan if array.dtype.kind == "f" else -1
    return found
