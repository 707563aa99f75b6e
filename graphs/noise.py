"""Cells that are trained with noise: zoneout, and dropout with one mask for all steps."""

from __future__ import annotations

from tinygrad_rnn import Model
from tinygrad_rnn.arguments import real

from .cells import Cell
from .stack import stack


def _rate(name: str, given: float) -> float:
    return real(name, given, at_least=0, below=1)


ZONEOUT = """
i[t] = sigmoid(W_xi @ x[t] + W_hi @ h[t-1] + b_i)                       # input gate
f[t] = sigmoid(W_xf @ x[t] + W_hf @ h[t-1] + b_f)                       # forget gate
o[t] = sigmoid(W_xo @ x[t] + W_ho @ h[t-1] + b_o)                       # output gate
g[t] = tanh(W_xg @ x[t] + W_hg @ h[t-1] + b_g)                          # candidate
s[t] = f[t] * c[t-1] + i[t] * g[t]                                      # the new cell state, before zoneout
c[t] = c[t-1] + {keep_c} * dropout(s[t] - c[t-1], {cell})               # some units keep their old value
h[t] = h[t-1] + {keep_h} * dropout(o[t] * tanh(s[t]) - h[t-1], {hidden})
"""


def zoneout(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, rate_c: float = 0.5,
            rate_h: float = 0.05, head: str = "softmax", dtype: str = "float32", seed: int = 0) -> Model:
    """The LSTM with zoneout: in training each unit of c and h keeps its old value with a probability.

    c[t] = d_c c[t-1] + (1 - d_c) (f c[t-1] + i g), h[t] = d_h h[t-1] + (1 - d_h) o tanh(f c[t-1] + i g), with masks
    d of mean rate_c and rate_h, drawn at each step; outside training d is its mean. It is written with `dropout`, whose
    mask is (1 - d) / (1 - rate). Sizes: x (inputs,), gates, c and h (hidden,), y (outputs,). The forget gate's bias
    starts at 1. Raises for rates outside [0, 1), and as `stack` does.
    Source: Krueger et al. 2017, "Zoneout: regularizing RNNs by randomly preserving hidden activations", section 3;
    the rates are its choice for characters.
    """
    cell, hide = _rate("rate_c", rate_c), _rate("rate_h", rate_h)
    text = ZONEOUT.format(cell=cell, hidden=hide, keep_c=round(1 - cell, 12), keep_h=round(1 - hide, 12))
    return stack(Cell("zoneout", text, {"b_f": 1.0}), inputs, hidden, outputs, layers, head, dtype, seed)


VARIATIONAL = """
u[t] = dropout(x[t], {x}, shared="t")                  # one mask for all steps
k[t] = dropout(h[t-1], {h}, shared="t")                # another, as well for all steps
i[t] = sigmoid(W_xi @ u[t] + W_hi @ k[t] + b_i)        # input gate
f[t] = sigmoid(W_xf @ u[t] + W_hf @ k[t] + b_f)        # forget gate
o[t] = sigmoid(W_xo @ u[t] + W_ho @ k[t] + b_o)        # output gate
g[t] = tanh(W_xg @ u[t] + W_hg @ k[t] + b_g)           # candidate
c[t] = f[t] * c[t-1] + i[t] * g[t]                     # cell state
h[t] = o[t] * tanh(c[t])                               # hidden state
"""


def variational(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, rate_x: float = 0.25,
                rate_h: float = 0.25, head: str = "softmax", dtype: str = "float32", seed: int = 0) -> Model:
    """The LSTM with variational dropout: the masks of x[t] and h[t-1] are the same at every step of a sequence.

    i, f, o = sigmoid(W_x (x[t] z_x) + W_h (h[t-1] z_h) + b), g = tanh(...), the rest as in the LSTM; the masks z are
    drawn per example, are 0 with rate_x and rate_h, else 1 / (1 - rate), and shared by the gates ("tied").
    Sizes: x (inputs,), gates, c and h (hidden,), y (outputs,). The forget gate's bias starts at 1. Raises for rates
    outside [0, 1), and as `stack` does.
    Source: Gal and Ghahramani 2016, "A theoretically grounded application of dropout in recurrent neural networks",
    section 4.
    """
    cell = Cell("variational", VARIATIONAL.format(x=_rate("rate_x", rate_x), h=_rate("rate_h", rate_h)), {"b_f": 1.0})
    return stack(cell, inputs, hidden, outputs, layers, head, dtype, seed)
