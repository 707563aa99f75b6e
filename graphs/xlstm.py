"""The two cells of the extended LSTM: exponential gates, and a state that is a matrix."""

from __future__ import annotations

from tinygrad_rnn import Model
from tinygrad_rnn.arguments import one_of

from .cells import Cell
from .stack import stack

# log f of each forget gate; a_f is what goes into it.
FORGETS = {"sigmoid": "-softplus(-a_f[t])", "exp": "a_f[t]"}
SLSTM = """
a_i[t] = W_xi @ x[t] + W_hi @ h[t-1] + b_i             # log of the input gate
a_f[t] = W_xf @ x[t] + W_hf @ h[t-1] + b_f
l[t] = {log_f}                                         # log of the forget gate
m[t] = maximum(l[t] + m[t-1], a_i[t])                  # stabiliser: the larger of the two logs
i[t] = exp(a_i[t] - m[t])                              # input gate, stabilised
f[t] = exp(l[t] + m[t-1] - m[t])                       # forget gate, stabilised
o[t] = sigmoid(W_xo @ x[t] + W_ho @ h[t-1] + b_o)      # output gate
z[t] = tanh(W_xz @ x[t] + W_hz @ h[t-1] + b_z)         # cell input
c[t] = f[t] * c[t-1] + i[t] * z[t]                     # cell state
n[t] = f[t] * n[t-1] + i[t]                            # normaliser state
h[t] = o[t] * (c[t] / n[t])                            # hidden state
"""


def slstm(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, forget: str = "sigmoid",
          head: str = "softmax", dtype: str = "float32", seed: int = 0) -> Model:
    """The sLSTM: exponential input gate, normaliser n[t] = f n[t-1] + i, h[t] = o c[t] / n[t].

    i = exp(W_xi x[t] + W_hi h[t-1] + b_i), f = sigmoid(...) or exp(...) as `forget` says, o = sigmoid(...),
    z = tanh(...), c[t] = f c[t-1] + i z; i and f are both divided by exp(m[t]), m[t] = max(log f + m[t-1], log i),
    which changes no h. One head: the recurrent matrices are whole. Sizes: x (inputs,), all else (hidden,),
    y (outputs,). The bias of the forget gate starts at 1. Raises for another forget, and as `stack` does.
    Source: Beck et al. 2024, "xLSTM: extended long short-term memory", section 2.2.
    """
    one_of("forget", forget, FORGETS)
    cell = Cell("slstm", SLSTM.format(log_f=FORGETS[forget]), {"b_f": 1.0})
    return stack(cell, inputs, hidden, outputs, layers, head, dtype, seed)


MLSTM = """
q[t] = W_xq @ x[t] + b_q                               # query
k[t] = (W_xk @ x[t]) / sqrt({hidden}) + b_k                    # key
v[t] = W_xv @ x[t] + b_v                               # value
a_i[t] = dot(w_i, x[t]) + b_i                          # log of the input gate, a number
a_f[t] = dot(w_f, x[t]) + b_f
l[t] = {log_f}                                         # log of the forget gate, a number
m[t] = maximum(l[t] + m[t-1], a_i[t])                  # stabiliser
i[t] = exp(a_i[t] - m[t])                              # input gate, stabilised
f[t] = exp(l[t] + m[t-1] - m[t])                       # forget gate, stabilised
o[t] = sigmoid(W_xo @ x[t] + b_o)                      # output gate
C[t] = f[t] * C[t-1] + i[t] * outer(v[t], k[t])        # cell state, a matrix
n[t] = f[t] * n[t-1] + i[t] * k[t]                     # normaliser state
h[t] = o[t] * (C[t] @ q[t]) / maximum(abs(dot(n[t], q[t])), exp(-m[t]))
"""


def mlstm(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, forget: str = "sigmoid",
          head: str = "softmax", dtype: str = "float32", seed: int = 0) -> Model:
    """The mLSTM: a matrix C[t] = f C[t-1] + i v k^T stores values by keys, h[t] = o C[t] q / max(|n[t] q|, 1).

    q, v = W x[t] + b, k = W_xk x[t] / sqrt(hidden) + b_k, n[t] = f n[t-1] + i k; i = exp(w_i x[t] + b_i) and
    f = sigmoid(...) or exp(...), as `forget` says, are numbers. C, n, i and f are divided by exp(m[t]),
    m[t] = max(log f + m[t-1], log i), so the 1 becomes exp(-m[t]) and no h changes. One head.
    Sizes: x (inputs,), q, k, v, n, o and h (hidden,), C (hidden, hidden), y (outputs,). The bias of the forget gate
    starts at 1. Raises for another forget, and as `stack` does.
    Source: Beck et al. 2024, "xLSTM: extended long short-term memory", section 2.3.
    """
    one_of("forget", forget, FORGETS)
    text = MLSTM.format(log_f=FORGETS[forget], hidden=hidden)
    cell = Cell("mlstm", text, {"b_f": 1.0}, hidden=("h", "q", "k", "v"))
    return stack(cell, inputs, hidden, outputs, layers, head, dtype, seed)
