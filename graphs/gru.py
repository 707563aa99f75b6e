"""The gated recurrent unit in its two forms, and the minimal gated unit."""

from __future__ import annotations

from tinygrad_rnn import Model
from tinygrad_rnn.arguments import one_of

from .cells import Cell
from .stack import stack

CANDIDATES = {
    "before": "g[t] = tanh(W_xg @ x[t] + W_hg @ (r[t] * h[t-1]) + b_g)",
    "after": "g[t] = tanh(W_xg @ x[t] + b_g + r[t] * (W_hg @ h[t-1] + b_hg))",
}
GATES = """
z[t] = sigmoid(W_xz @ x[t] + W_hz @ h[t-1] + b_z)      # update gate
r[t] = sigmoid(W_xr @ x[t] + W_hr @ h[t-1] + b_r)      # reset gate
{}  # candidate
h[t] = z[t] * h[t-1] + (1 - z[t]) * g[t]               # hidden state
"""
GRU = Cell("gru", GATES.format(CANDIDATES["before"]))
GRU_AFTER = Cell("gru_after", GATES.format(CANDIDATES["after"]))


def gru(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, reset: str = "before",
        head: str = "softmax", dtype: str = "float32", seed: int = 0) -> Model:
    """The GRU: z, r = sigmoid(W_x x[t] + W_h h[t-1] + b), h[t] = z h[t-1] + (1 - z) g.

    reset="before" applies the reset gate before the product, g = tanh(W_xg x + W_hg (r h) + b_g), as the paper does;
    "after" applies it to the product, g = tanh(W_xg x + b_g + r (W_hg h + b_hg)), as cuDNN, PyTorch and Keras do.
    Sizes: x (inputs,), gates and h (hidden,), y (outputs,). Raises for another reset, and as `stack` does.
    Sources: Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder", equations 5 to 8; the second
    form: its first version on arXiv, and the cuDNN documentation of CUDNN_GRU.
    """
    one_of("reset", reset, CANDIDATES)
    return stack(Cell("gru", GATES.format(CANDIDATES[reset])), inputs, hidden, outputs, layers, head, dtype, seed)


MGU = Cell("mgu", """
    f[t] = sigmoid(W_xf @ x[t] + W_hf @ h[t-1] + b_f)         # the only gate
    g[t] = tanh(W_xg @ x[t] + W_hg @ (f[t] * h[t-1]) + b_g)   # candidate
    h[t] = (1 - f[t]) * h[t-1] + f[t] * g[t]                  # hidden state
""")


def mgu(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, head: str = "softmax",
        dtype: str = "float32", seed: int = 0) -> Model:
    """The minimal gated unit: a GRU whose reset and update gates are one, h[t] = (1 - f) h[t-1] + f g.

    f = sigmoid(W_xf x[t] + W_hf h[t-1] + b_f), g = tanh(W_xg x[t] + W_hg (f h[t-1]) + b_g).
    Sizes: x (inputs,), f, g and h (hidden,), y (outputs,). Raises as `stack` does.
    Source: Zhou, Wu, Zhang and Zhou 2016, "Minimal gated unit for recurrent neural networks", section 3.
    """
    return stack(MGU, inputs, hidden, outputs, layers, head, dtype, seed)
