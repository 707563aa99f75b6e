"""Long short-term memory."""

from __future__ import annotations

from tinygrad_rnn import Model

from .stack import Cell, stack

LSTM = Cell("lstm", """
    i[t] = sigmoid(W_xi @ x[t] + W_hi @ h[t-1] + b_i)      # input gate
    f[t] = sigmoid(W_xf @ x[t] + W_hf @ h[t-1] + b_f)      # forget gate
    o[t] = sigmoid(W_xo @ x[t] + W_ho @ h[t-1] + b_o)      # output gate
    g[t] = tanh(W_xg @ x[t] + W_hg @ h[t-1] + b_g)         # candidate
    c[t] = f[t] * c[t-1] + i[t] * g[t]                     # cell state
    h[t] = o[t] * tanh(c[t])                               # hidden state
""", {"b_f": 1.0})


def lstm(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, head: str = "softmax",
         dtype: str = "float32", seed: int = 0) -> Model:
    """The LSTM with a forget gate and without peepholes.

    i, f, o = sigmoid(W_x x[t] + W_h h[t-1] + b), g = tanh(...), c[t] = f c[t-1] + i g, h[t] = o tanh(c[t]), the
    products elementwise. Sizes: x (inputs,), gates, c and h (hidden,), y (outputs,). The forget gate's bias starts
    at 1. Raises as `stack` does.
    Sources: Hochreiter and Schmidhuber 1997, "Long short-term memory"; the forget gate: Gers, Schmidhuber and Cummins
    2000, "Learning to forget", equations 3.1 to 3.3; its bias: Jozefowicz, Zaremba and Sutskever 2015, section 2.2.
    """
    return stack(LSTM, inputs, hidden, outputs, layers, head, dtype, seed)
