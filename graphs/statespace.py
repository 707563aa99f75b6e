"""State space models: linear recurrences, elementwise, between products that are outside the loop."""

from __future__ import annotations

import math

import numpy as np

from tinygrad_rnn import Model, Uniform
from tinygrad_rnn.arguments import whole

from .cells import Cell
from .stack import stack


def _rings(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """nu of eigenvalues whose size is spread so that they fill the unit disk evenly, up to 0.999."""
    return np.log(-np.log(np.sqrt(rng.uniform(0.0, 0.999**2, shape))))


def _phases(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """theta of phases spread over the circle."""
    return np.log(rng.uniform(1e-3, 2 * math.pi, shape))


LRU = Cell("lru", """
    r = exp(-exp(nu))                                                  # the size of each eigenvalue a
    a_re = r * cos(exp(theta))
    a_im = r * sin(exp(theta))
    k = sqrt(1 - r ** 2)                                               # scale of what comes in
    s_re[t] = a_re * s_re[t-1] - a_im * s_im[t-1] + k * (B_re @ x[t])  # state, a complex number
    s_im[t] = a_re * s_im[t-1] + a_im * s_re[t-1] + k * (B_im @ x[t])
    o[t] = C_re @ s_re[t] - C_im @ s_im[t] + D @ x[t]                  # the real part of C s, past it D x
    h[t] = (W_h @ o[t] + b_h) * sigmoid(W_g @ o[t] + b_g)              # gated linear unit
""", {"nu": _rings, "theta": _phases}, hidden=("h", "o", "s_re", "s_im"))


def lru(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, head: str = "softmax",
        dtype: str = "float32", seed: int = 0) -> Model:
    """The linear recurrent unit: complex eigenvalues a, s[t] = a s[t-1] + k B x[t], o[t] = Re(C s[t]) + D x[t].

    a = exp(-exp(nu) + i exp(theta)) is below 1 in size, so nothing explodes; k = sqrt(1 - |a|^2) is what the paper's
    gamma starts as. A gated linear unit follows, h = (W_h o + b_h) sigmoid(W_g o + b_g). Real and imaginary parts are
    quantities of their own. Sizes: x (inputs,), s_re, s_im, o and h (hidden,), y (outputs,). At the start the a fill
    the unit disk evenly. Raises as `stack` does.
    Source: Orvieto, Smith, Gu, Fernando, Gulcehre, Pascanu and De 2023, "Resurrecting recurrent neural networks for
    long sequences", section 3.
    """
    return stack(LRU, inputs, hidden, outputs, layers, head, dtype, seed)


MAMBA = """
u[t] = W_u @ x[t]                                                                  # inner channels
v[t] = k_0 * u[t] + k_1 * u[t-1] + k_2 * u[t-2] + k_3 * u[t-3] + b_v               # convolution of each
a[t] = v[t] * sigmoid(v[t])
q[t] = W_q @ a[t]
d[t] = softplus(W_d @ q[t] + b_d)                                                  # step size of each channel
b[t] = W_b @ a[t]                                                                  # what each state takes in
c[t] = W_c @ a[t]                                                                  # what is read of each state
S[t] = exp(-einsum("i,ij->ij", d[t], exp(A))) * S[t-1] + outer(d[t] * a[t], b[t])  # state of each channel, a row
o[t] = S[t] @ c[t] + D * a[t]
z[t] = W_z @ x[t]                                                                  # gate
h[t] = W_h @ (o[t] * z[t] * sigmoid(z[t]))
"""


def _rates(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """log 1, log 2, ...: at which rates the states of each channel forget."""
    return np.broadcast_to(np.log(np.arange(1, shape[1] + 1)), shape)


def _step_sizes(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The softplus of it is spread over 0.001 to 0.1, evenly by its logarithm."""
    size = np.exp(rng.uniform(math.log(0.001), math.log(0.1), shape))
    return size + np.log(-np.expm1(-size))


def mamba(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, states: int = 16,
          head: str = "softmax", dtype: str = "float32", seed: int = 0) -> Model:
    """The Mamba block, a state space that selects: S[t] = exp(-d exp(A)) S[t-1] + (d a) b^T, o[t] = S[t] c + D a.

    Step sizes d = softplus(W_d q + b_d), q = W_q a, and b = W_b a and c = W_c a follow from a = silu(v), where v is a
    convolution of width 4 over u = W_u x; h = W_h (o silu(z)), z = W_z x, silu(v) = v sigmoid(v). Sizes: x (inputs,),
    u, v, a, d, o and z (2 hidden,), q (hidden / 16, rounded up), b and c (states,), S (2 hidden, states), h (hidden,),
    y (outputs,). At the start exp(A) is 1, 2, ... in each row, D is 1, and d is 0.001 to 0.1 where W_d q is 0.
    Raises for states below 1, and as `stack` does.
    Source: Gu and Dao 2023, "Mamba: linear-time sequence modeling with selective state spaces", algorithm 2 and
    section 3.4.
    """
    hidden = whole("hidden", hidden, at_least=1)
    sizes = {"u": 2 * hidden, "q": math.ceil(hidden / 16), "b": whole("states", states, at_least=1)}
    rules = {"A": _rates, "D": 1.0, "b_d": _step_sizes, "W_d": Uniform(sizes["q"] ** -0.5),
             **{f"k_{back}": Uniform(0.5) for back in range(4)}}
    return stack(Cell("mamba", MAMBA, rules, sizes=sizes), inputs, hidden, outputs, layers, head, dtype, seed)
