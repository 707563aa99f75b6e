"""What several tests share: finite differences, data that fits a model, and a dozen declared models."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

import tinygrad_rnn as tr

LSTM = """
    i[t] = sigmoid(W_xi @ x[t] + W_hi @ h[t-1] + b_i)      # input gate
    f[t] = sigmoid(W_xf @ x[t] + W_hf @ h[t-1] + b_f)      # forget gate
    o[t] = sigmoid(W_xo @ x[t] + W_ho @ h[t-1] + b_o)      # output gate
    g[t] = tanh(W_xg @ x[t] + W_hg @ h[t-1] + b_g)
    c[t] = f[t] * c[t-1] + i[t] * g[t]
    h[t] = o[t] * tanh(c[t])
    y[t] = softmax(W_hy @ h[t] + b_y)
    loss = mean(cross_entropy(y[t], target[t]))
"""

# name: (equations, sizes, inputs that are integer classes)
MODELS: dict[str, tuple[str, dict[str, object], tuple[str, ...]]] = {
    "rnn": ("""
        h[t] = tanh(U @ h[t-1] + W @ x[t] + b)
        y[t] = softmax(V @ h[t] + c)
        loss = mean(cross_entropy(y[t], target[t]))""", dict(x=3, h=4, y=2), ("target",)),
    "lstm": (LSTM, dict(x=3, h=4, y=2), ("target",)),
    "gru": ("""
        z[t] = sigmoid(W_z @ x[t] + U_z @ h[t-1] + b_z)
        r[t] = sigmoid(W_r @ x[t] + U_r @ h[t-1] + b_r)
        a[t] = tanh(W_a @ x[t] + U_a @ (r[t] * h[t-1]) + b_a)
        h[t] = (1 - z[t]) * a[t] + z[t] * h[t-1]
        loss = mean(squared_error(V @ h[t], target[t]))""", dict(x=3, h=4, target=2), ()),
    "bidirectional": ("""
        h[t] = tanh(U @ h[t-1] + W @ x[t])
        h[0] = h_first
        r[t] = tanh(Q @ r[t+1] + P @ x[t])
        r[T+1] = r_last
        y[t] = softmax(V @ concat(h[t], r[t]))
        loss = mean(cross_entropy(y[t], target[t]))""", dict(x=3, h=4, r=4, y=2), ("target",)),
    "two layers": ("""
        h[t] = tanh(U @ h[t-1] + W @ x[t])
        k[t] = tanh(B @ k[t-1] + C @ h[t] + D @ x[t-1])
        loss = mean(squared_error(k[T], z[n]))""", dict(x=3, h=4, k=4), ()),
    "longer shifts": ("""
        h[t] = tanh(U @ h[t-2] + A @ h[t-1] + B @ h[t-4] + W @ x[t])
        h[-1] = before
        loss = sum(h[t] * h[t]) / 7""", dict(x=3, h=4), ()),
    "attention": ("""
        q[t] = tanh(W @ x[t] + U @ q[t-1] + V @ c[t-1])
        q[0] = tanh(M @ k[S])
        k[s] = tanh(A @ z[s] + B @ k[s-1])
        e[t,s] = dot(q[t], k[s])
        a[t,s] = softmax(where(s <= t + 1, e[t,s], -inf), over=s)
        c[t] = sum(a[t,s] * k[s], over=s)
        loss = mean(squared_error(c[T], target[n]))""", dict(x=3, z=4, k=5, q=5), ()),
    "self-attention": ("""
        h[t] = tanh(W @ x[t] + U @ h[t-1])
        k[t] = K @ h[t]
        a[t,s] = softmax(dot(h[t], k[s]), over=s)
        c[t] = sum(a[t,s] * k[s], over=s)
        loss = mean(sum(c[t] * c[t], axis=0))""", dict(x=3, h=4), ()),
    "deep": ("""
        h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1] + b[l])
        h[0,t] = E @ x[t]
        y = softmax(V @ h[3,T])
        loss = mean(cross_entropy(y, label[n]))""", dict(l=3, x=5, h=4, y=2), ("label",)),
    "grid": ("""
        h[i,j] = tanh(W @ x[i,j] + U @ h[i-1,j] + V @ h[i,j-1])
        loss = mean(squared_error(h[I,J], y[n]))""", dict(x=2, h=3), ()),
    "norm": ("""
        h[t] = layer_norm(W @ x[t] + U @ h[t-1], g, b)
        y[t] = logsumexp(h[t], axis=0) + max(h[t], axis=0) + cumsum(sum(h[t], axis=0), over=t)
        loss = mean(y[t] * y[t])""", dict(x=3, h=4), ()),
    "embedding": ("""
        h[t] = tanh(embed(E, w[t]) + U @ h[t-1] + W @ v[t])
        loss = mean(cross_entropy(softmax(V @ h[t]), target[t]))""",
                  dict(E=(5, 4), v=3, h=4, target=5), ("w", "v", "target")),
    "dropout": ("""
        h[t] = tanh(W @ dropout(x[t], 0.3) + U @ dropout(h[t-1], 0.5, shared="t"))
        loss = mean(h[t] * h[t])""", dict(x=3, h=4), ()),
}


def model(name: str, seed: int = 0, scale: float = 0.5) -> tr.Model:
    """One of MODELS in float64, with random weights everywhere."""
    text, sizes, _ = MODELS[name]
    return with_random_weights(tr.equations(text, dtype="float64", **sizes), seed, scale)


def with_random_weights(m: tr.Model, seed: int = 0, scale: float = 0.5) -> tr.Model:
    rng = np.random.default_rng(seed)
    for name in m.weights:
        m.weights[name] = scale * rng.standard_normal(m.weights[name].shape)
    return m


def ranges(m: tr.Model, steps: Mapping[str, int]) -> dict[str, int]:
    """The size of each range of the model's indices; steps: sizes of those that are not static."""
    system = m.system
    return {system.range_of(i): system.static[i] if i in system.static else steps[i]
            for i in system.ranges if i in system.static or i in steps}


def data_for(m: tr.Model, batch: int, steps: Mapping[str, int], classes: tuple[str, ...] = (),
             seed: int = 0) -> dict[str, np.ndarray]:
    """Random arrays for every input: (batch, positions..., features)."""
    rng, sizes, found = np.random.default_rng(seed), ranges(m, steps), {}
    for name in m.system.of_role("input"):
        q = m.system.quantities[name]
        lead = (batch, *(sizes[m.system.range_of(i)] for i in q.slots))
        if name in classes:
            found[name] = rng.integers(0, q.type.shape[0], lead)
        else:
            found[name] = rng.standard_normal((*lead, *q.type.shape))
    return found


def slope(f: Callable[[np.ndarray], float], x: np.ndarray, v: np.ndarray, step: float = 1e-5) -> float:
    """df(x)/dv by central differences."""
    return float(f(x + step * v) - f(x - step * v)) / (2 * step)


def close(actual: object, expected: object, tolerance: float = 1e-10) -> None:
    """Equal to within `tolerance` of the larger of 1 and the value's size."""
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)
