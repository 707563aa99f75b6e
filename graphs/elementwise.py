"""Cells whose recurrence is elementwise: every product with a matrix is outside the loop."""

from __future__ import annotations

from tinygrad_rnn import Model, Uniform
from tinygrad_rnn.arguments import whole

from .cells import Cell
from .stack import stack

INDRNN = Cell("indrnn", "h[t] = relu(W_xh @ x[t] + u_h * h[t-1] + b_h)", {"u_h": Uniform(1.0)})


def indrnn(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, head: str = "softmax",
           dtype: str = "float32", seed: int = 0) -> Model:
    """The independently recurrent network: each unit reads its own past only, h[t] = relu(W x[t] + u h[t-1] + b).

    u h is elementwise. Sizes: x (inputs,), h and u_h (hidden,), y (outputs,). u_h starts uniform on [-1, 1). Raises as
    `stack` does.
    Source: Li, Li, Cook, Zhu and Gao 2018, "Independently recurrent neural network (IndRNN)", section 3.
    """
    return stack(INDRNN, inputs, hidden, outputs, layers, head, dtype, seed)


SRU = """
f[t] = sigmoid(W_xf @ x[t] + v_f * c[t-1] + b_f)       # forget gate
c[t] = f[t] * c[t-1] + (1 - f[t]) * (W_xc @ x[t])      # cell state
r[t] = sigmoid(W_xr @ x[t] + v_r * c[t-1] + b_r)       # reset gate
h[t] = r[t] * c[t] + (1 - r[t]) * {x}                  # highway past the cell
"""


def sru(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, head: str = "softmax",
        dtype: str = "float32", seed: int = 0) -> Model:
    """The simple recurrent unit: c[t] = f c[t-1] + (1 - f) W x[t], h[t] = r c[t] + (1 - r) x[t].

    f, r = sigmoid(W x[t] + v c[t-1] + b), v c elementwise. Sizes: x (inputs,), f, r, c and h (hidden,), y (outputs,).
    Where a layer's input has another size than h, the highway carries W_xs x[t]. Raises as `stack` does.
    Source: Lei, Zhang, Wang, Dai and Artzi 2018, "Simple recurrent units for highly parallelizable recurrence",
    equations 1 to 4.
    """
    layers = whole("layers", layers, at_least=1)
    first, other = (Cell("sru", SRU.format(x=x)) for x in ("x[t]" if inputs == hidden else "(W_xs @ x[t])", "x[t]"))
    return stack([first, *[other] * (layers - 1)], inputs, hidden, outputs, 1, head, dtype, seed)


MINGRU = Cell("mingru", """
    z[t] = sigmoid(W_xz @ x[t] + b_z)                # update gate
    g[t] = W_xg @ x[t] + b_g                         # candidate
    h[t] = (1 - z[t]) * h[t-1] + z[t] * g[t]         # hidden state
""")


def mingru(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, head: str = "softmax",
           dtype: str = "float32", seed: int = 0) -> Model:
    """The minGRU: gate and candidate read the input alone, h[t] = (1 - z) h[t-1] + z g.

    z = sigmoid(W_xz x[t] + b_z), g = W_xg x[t] + b_g. Sizes: x (inputs,), z, g and h (hidden,), y (outputs,). Raises as
    `stack` does.
    Source: Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024, "Were RNNs all we needed?", section 3.1.
    """
    return stack(MINGRU, inputs, hidden, outputs, layers, head, dtype, seed)


MINLSTM = Cell("minlstm", """
    f[t] = sigmoid(W_xf @ x[t] + b_f)                # forget gate
    i[t] = sigmoid(W_xi @ x[t] + b_i)                # input gate
    g[t] = W_xg @ x[t] + b_g                         # candidate
    p[t] = f[t] / (f[t] + i[t])                      # the gates scaled to sum to 1
    q[t] = i[t] / (f[t] + i[t])
    h[t] = p[t] * h[t-1] + q[t] * g[t]               # hidden state
""")


def minlstm(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, head: str = "softmax",
            dtype: str = "float32", seed: int = 0) -> Model:
    """The minLSTM: gates read the input alone and are scaled to sum to 1, h[t] = p h[t-1] + q g.

    f, i = sigmoid(W_x x[t] + b), g = W_xg x[t] + b_g, p = f / (f + i), q = i / (f + i), the f' and i' of the paper.
    Sizes: x (inputs,), f, i, p, q, g and h (hidden,), y (outputs,). Raises as `stack` does.
    Source: Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024, "Were RNNs all we needed?", section 3.2.
    """
    return stack(MINLSTM, inputs, hidden, outputs, layers, head, dtype, seed)
