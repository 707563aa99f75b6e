"""Self-attention with several heads."""

from __future__ import annotations

import numpy as np

from tinygrad_rnn import Model, equations
from tinygrad_rnn.arguments import whole
from tinygrad_rnn.errors import BadValue

MULTIHEAD = """
z[t] = E @ x[t] + sin(omega * t + phi)                              # the class, and where it stands
q[m,t] = W_q[m] @ z[t]                                              # query of head m
k[m,s] = W_k[m] @ z[s]                                              # key
v[m,s] = W_v[m] @ z[s]                                              # value
e[m,t,s] = dot(q[m,t], k[m,s]) / sqrt({size})                             # scaled dot product
a[m,t,s] = softmax({e}, over=s)
c[m,t] = sum(a[m,t,s] * v[m,s], over=s)
h[t] = sum(W_o[m] @ c[m,t], over=m)                                 # the heads side by side, times one matrix
y[t] = softmax(W_hy @ h[t] + b_y)
loss = mean(cross_entropy(y[t], target[t]))
"""
REACH = {True: "where(s <= t, e[m,t,s], -inf)", False: "e[m,t,s]"}


def multihead(inputs: int = 27, hidden: int = 64, outputs: int = 27, heads: int = 2, causal: bool = True,
              dtype: str = "float32", seed: int = 0) -> Model:
    """Multi-head self-attention: a[m,t,s] = softmax over s of q[m,t] . k[m,s] / sqrt(d), h[t] = sum of W_o[m] c[m,t].

    q, k, v = W[m] z[t] of each head m, z[t] = E x[t] + sin(omega t + phi), c[m,t] = sum over s of a v. causal: only
    s <= t is seen. The sum over m of W_o[m] c[m,t] is Concat(head_1, ...) W^O. omega and phi start as the paper's sines
    and cosines and are weights as any other. Sizes: x (inputs,), z and h (hidden,), q, k, v, c (d,) with
    d = hidden / heads, y (outputs,). Raises where heads does not divide hidden, and for sizes below 1.
    Source: Vaswani et al. 2017, "Attention is all you need", equation 1, sections 3.2.2 and 3.5.
    """
    heads, hidden = whole("heads", heads, at_least=1), whole("hidden", hidden, at_least=1)
    if hidden % heads:
        raise BadValue(f"heads divides hidden, and {heads} does not divide {hidden}")
    size = hidden // heads
    text = MULTIHEAD.format(size=size, e=REACH[bool(causal)])
    model = equations(text, name="multihead", dtype=dtype, x=inputs, z=hidden, h=hidden, q=size, k=size, v=size,
                      y=outputs, m=heads, omega=hidden, phi=hidden)
    position = np.arange(hidden)
    return model.initialise(seed, {"omega": 10000.0 ** (-2 * (position // 2) / hidden),
                                   "phi": np.where(position % 2, np.pi / 2, 0.0)})
