"""The sizes and the cells of the benchmark: equations, weights and floating-point operations."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class Size:
    """Steps, examples, inputs and hidden units of one measurement."""

    name: str
    steps: int
    batch: int
    inputs: int
    hidden: int


SIZES = {s.name: s for s in (
    Size("S1", 32, 1, 32, 32),
    Size("S2", 50, 16, 64, 64),
    Size("S3", 64, 32, 128, 128),
    Size("S4", 100, 64, 256, 256),
    Size("S5", 100, 64, 512, 512),
)}
GPU_SIZES = {s.name: s for s in (SIZES["S3"], SIZES["S4"], SIZES["S5"], Size("L", 200, 128, 1024, 1024))}
SMOKE_SIZES = {s.name: s for s in (Size("tiny", 5, 3, 8, 16), Size("small", 9, 4, 16, 16))}
ALL_SIZES = SIZES | GPU_SIZES | SMOKE_SIZES


@dataclass(frozen=True)
class Cell:
    """A cell as equations, and its weights as every side stores them.

    weights: the name of a merged array -> (its rows in units of `hidden`, the names it is split into in the equations).
    """

    equations: str
    weights: dict[str, tuple[int, str]]

    def text(self, size: Size) -> str:
        """The equations with the loss, sum(h r) over everything, for one size."""
        h = size.hidden
        return self.equations.format(H=h, H2=2 * h, H3=3 * h, H4=4 * h) + "loss = sum(h[t] * r[t])\n"

    def shape(self, name: str, size: Size) -> tuple[int, ...]:
        """The shape of a merged array: W_x* multiplies x, W_h* multiplies h, others are vectors."""
        rows = self.weights[name][0] * size.hidden
        columns = {"W_x": (size.inputs,), "W_h": (size.hidden,)}
        return (rows, *columns.get(name[:3], ()))

    def gflop(self, size: Size) -> float:
        """2 M K N for each product of a step: forward, gradients of weights and state, not of the input."""
        per_position = 2 * self.rows("W_x") * size.inputs + 3 * self.rows("W_h") * size.hidden
        return 2e-9 * size.steps * size.batch * size.hidden * per_position

    def gigabytes(self, size: Size, bytes_each: int = 4) -> float:
        """What a step that keeps its gates moves through memory at least: each array once for each time it is needed.

        x is read for its products and for their gradient, r once; gates and their adjoints are written and read, h
        likewise; weights are read forward and backward, and their gradients are written.
        """
        per_position = 2 * size.inputs + size.hidden * (1 + 2 + 4 * max(self.rows("W_x"), self.rows("W_h")))
        numbers = size.steps * size.batch * per_position + 3 * sum(prod(self.shape(w, size)) for w in self.weights)
        return 1e-9 * bytes_each * numbers

    def rows(self, kind: str) -> int:
        """The rows of all matrices whose names begin so, in units of `hidden`."""
        return sum(rows for name, (rows, _) in self.weights.items() if name.startswith(kind))


LSTM = Cell("""
i[t] = sigmoid(W_xi @ x[t] + W_hi @ h[t-1] + b_i)
f[t] = sigmoid(W_xf @ x[t] + W_hf @ h[t-1] + b_f)
g[t] = tanh(W_xg @ x[t] + W_hg @ h[t-1] + b_g)
o[t] = sigmoid(W_xo @ x[t] + W_ho @ h[t-1] + b_o)
c[t] = f[t] * c[t-1] + i[t] * g[t]
h[t] = o[t] * tanh(c[t])
""", {"W_x": (4, "W_xi W_xf W_xg W_xo"), "W_h": (4, "W_hi W_hf W_hg W_ho"), "b": (4, "b_i b_f b_g b_o")})

# The reset gate after the product, with a bias inside it: nn.GRU.
GRU = Cell("""
r_[t] = sigmoid(W_xr @ x[t] + W_hr @ h[t-1] + b_r)
z[t] = sigmoid(W_xz @ x[t] + W_hz @ h[t-1] + b_z)
n[t] = tanh(W_xn @ x[t] + b_xn + r_[t] * (W_hn @ h[t-1] + b_hn))
h[t] = (1 - z[t]) * n[t] + z[t] * h[t-1]
""", {"W_x": (3, "W_xr W_xz W_xn"), "W_h": (3, "W_hr W_hz W_hn"), "b": (3, "b_r b_z b_xn"), "b_hn": (1, "b_hn")})

RNN = Cell("""
h[t] = tanh(W_x @ x[t] + W_h @ h[t-1] + b)
""", {"W_x": (1, "W_x"), "W_h": (1, "W_h"), "b": (1, "b")})

# Layer norm over the four gates together, once for each product, and over the cell: Ba et al. 2016, equations 20 to 22.
LAYERNORM = Cell("""
a[t]: {H4}
a[t] = layer_norm(W_x @ x[t], gain_x, b_x) + layer_norm(W_h @ h[t-1], gain_h, b_h)
i[t] = sigmoid(a[t][0:{H}])
f[t] = sigmoid(a[t][{H}:{H2}])
g[t] = tanh(a[t][{H2}:{H3}])
o[t] = sigmoid(a[t][{H3}:{H4}])
c[t] = f[t] * c[t-1] + i[t] * g[t]
h[t] = o[t] * tanh(layer_norm(c[t], gain_c, b_c))
""", {"W_x": (4, "W_x"), "gain_x": (4, "gain_x"), "b_x": (4, "b_x"),
      "W_h": (4, "W_h"), "gain_h": (4, "gain_h"), "b_h": (4, "b_h"),
      "gain_c": (1, "gain_c"), "b_c": (1, "b_c")})

PEEPHOLE = Cell("""
i[t] = sigmoid(W_xi @ x[t] + W_hi @ h[t-1] + p_i * c[t-1] + b_i)
f[t] = sigmoid(W_xf @ x[t] + W_hf @ h[t-1] + p_f * c[t-1] + b_f)
g[t] = tanh(W_xg @ x[t] + W_hg @ h[t-1] + b_g)
c[t] = f[t] * c[t-1] + i[t] * g[t]
o[t] = sigmoid(W_xo @ x[t] + W_ho @ h[t-1] + p_o * c[t] + b_o)
h[t] = o[t] * tanh(c[t])
""", LSTM.weights | {"p": (3, "p_i p_f p_o")})

# The minimal gated unit: Zhou et al. 2016, one gate that forgets and resets.
MGU = Cell("""
f[t] = sigmoid(W_xf @ x[t] + W_hf @ h[t-1] + b_f)
g[t] = tanh(W_xg @ x[t] + W_hg @ (f[t] * h[t-1]) + b_g)
h[t] = (1 - f[t]) * h[t-1] + f[t] * g[t]
""", {"W_x": (2, "W_xf W_xg"), "W_h": (2, "W_hf W_hg"), "b": (2, "b_f b_g")})

# A cell that no library has: two gates, a multiplicative path and a softplus.
MADE_UP = Cell("""
u[t] = sigmoid(W_xu @ x[t] + W_hu @ h[t-1] + b_u)
v[t] = sigmoid(W_xv @ x[t] + W_hv @ h[t-1] + b_v)
m[t] = (W_xm @ x[t] + b_m) * (W_hm @ h[t-1])
g[t] = tanh(W_xg @ x[t] + W_hg @ h[t-1] + m[t] + b_g)
c[t] = u[t] * c[t-1] + (1 - u[t]) * g[t]
h[t] = v[t] * softplus(c[t])
""", {"W_x": (4, "W_xu W_xv W_xm W_xg"), "W_h": (4, "W_hu W_hv W_hm W_hg"), "b": (4, "b_u b_v b_m b_g")})

# The delta rule: a matrix of fast weights for each example. Schlag, Irie and Schmidhuber 2021, equations 22 to 24.
DELTA = Cell("""
q[t]: {H}
q[t] = softmax(W_xq @ x[t] + b_q)
k[t] = softmax(W_xk @ x[t] + b_k)
v[t] = W_xv @ x[t] + b_v
s[t] = sigmoid(W_xs @ x[t] + b_s)
F[t] = F[t-1] + outer(s[t] * (v[t] - F[t-1] @ k[t]), k[t])
h[t] = F[t] @ q[t]
""", {"W_x": (4, "W_xq W_xk W_xv W_xs"), "b": (4, "b_q b_k b_v b_s")})

# Causal self-attention with one head: Vaswani et al. 2017, equation 1.
ATTENTION = Cell("""
q[t]: {H}
q[t] = W_xq @ x[t]
k[t] = W_xk @ x[t]
v[t] = W_xv @ x[t]
a[t,s] = softmax(where(s <= t, dot(q[t], k[s]) / sqrt({H}), -inf), over=s)
h[t] = sum(a[t,s] * v[s], over=s)
""", {"W_x": (3, "W_xq W_xk W_xv")})

CELLS = {"lstm": LSTM, "gru": GRU, "rnn": RNN, "layernorm": LAYERNORM, "peephole": PEEPHOLE, "mgu": MGU,
         "made_up": MADE_UP, "delta": DELTA, "attention": ATTENTION}
