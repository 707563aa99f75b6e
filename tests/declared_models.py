"""Models that declare data, by their equations."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr

CHAIN = """
h[t] = tanh(W @ w[t-1] + U @ h[t-1] + b + 0.1 * t)
w[t] = categorical(softmax(V @ h[t] + c))
"""
TRANSLATOR = """
k[s] = tanh(A @ x[s] + B @ k[s-1])
h[0] = k[S]
e[t,s] = dot(g, tanh(P @ h[t-1] + Q @ k[s]))
alpha[t,s] = softmax(e[t,s], over=s)
c[t] = sum(alpha[t,s] * k[s], over=s)
h[t] = tanh(W @ w[t-1] + U @ h[t-1] + C @ c[t])
w[t] = categorical(softmax(V @ h[t]))
"""
SELF_ATTENTION = """
u[t] = embed(E, w[t-1]) + 0.1 * t
k[t] = K @ u[t]
q[t] = Q @ u[t]
e[t,s] = where(s <= t, dot(q[t], k[s]), -inf)
a[t,s] = softmax(e[t,s], over=s)
c[t] = sum(a[t,s] * u[s], over=s)
w[t] = categorical(softmax(V @ c[t] + d))
"""
VOICES = """
h[t] = tanh(A @ a[t-1] + B @ b[t-1] + U @ h[t-1])
a[t] = categorical(softmax(F @ h[t]))
b[t] = categorical(softmax(G @ h[t] + H @ a[t]))
"""
EVERYTHING = """
h[t] = tanh(W @ w[t-1] + R @ z[t-1] + U @ h[t-1] + b)
w[t] = categorical(softmax(V @ h[t]))
z[t] = normal(M @ h[t], exp(S @ h[t]))
o[t] = bernoulli(sigmoid(O @ h[t]))
k = categorical(softmax(K @ h[T]))
"""


def chain() -> tr.Model:
    return tr.equations(CHAIN, w=5, h=8)


def translator() -> tr.Model:
    return tr.equations(TRANSLATOR, x=4, k=6, h=6, w=5, g=7)


def self_attention() -> tr.Model:
    return tr.equations(SELF_ATTENTION, w=4, u=6, k=5)


def voices() -> tr.Model:
    return tr.equations(VOICES, a=3, b=4, h=6)


def everything() -> tr.Model:
    return tr.equations(EVERYTHING, w=5, z=2, o=3, h=8, k=4)


MODELS = {"chain": (chain, {}), "voices": (voices, {}), "self_attention": (self_attention, {}),
          "translator": (translator, {"x": np.random.default_rng(0).standard_normal((3, 6, 4))})}
