"""The gated recurrent unit, in its two forms."""

from __future__ import annotations

from tinygrad_rnn import Model
from tinygrad_rnn.errors import BadValue

from .stack import Cell, stack

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


def gru(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, reset: str = "before",
        head: str = "softmax", dtype: str = "float32", seed: int = 0) -> Model:
    """The GRU: z, r = sigmoid(W_x x[t] + W_h h[t-1] + b), h[t] = z h[t-1] + (1 - z) g.

    reset="before" applies the reset gate before the product, g = tanh(W_xg x + W_hg (r h) + b_g), as the paper does;
    "after" applies it to the product, g = tanh(W_xg x + b_g + r (W_hg h + b_hg)), as cuDNN, PyTorch and Keras do.
    Sizes: x (inputs,), gates and h (hidden,), y (outputs,). Raises for another reset, and as `stack` does.
    Sources: Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder", equations 5 to 8; the second
    form: its first version on arXiv, and the cuDNN documentation of CUDNN_GRU.
    """
    if reset not in CANDIDATES:
        raise BadValue(f'reset is "before" or "after" the product, not {reset!r}')
    return stack(Cell("gru", GATES.format(CANDIDATES[reset])), inputs, hidden, outputs, layers, head, dtype, seed)
