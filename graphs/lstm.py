"""Long short-term memory and its variants."""

from __future__ import annotations

from tinygrad_rnn import Model
from tinygrad_rnn.arguments import whole

from .cells import Cell
from .stack import stack

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


PEEPHOLE = Cell("peephole", """
    i[t] = sigmoid(W_xi @ x[t] + W_hi @ h[t-1] + w_ci * c[t-1] + b_i)      # input gate
    f[t] = sigmoid(W_xf @ x[t] + W_hf @ h[t-1] + w_cf * c[t-1] + b_f)      # forget gate
    g[t] = tanh(W_xg @ x[t] + W_hg @ h[t-1] + b_g)                         # candidate
    c[t] = f[t] * c[t-1] + i[t] * g[t]                                     # cell state
    o[t] = sigmoid(W_xo @ x[t] + W_ho @ h[t-1] + w_co * c[t] + b_o)        # output gate
    h[t] = o[t] * tanh(c[t])                                               # hidden state
""", {"b_f": 1.0})


def peephole(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, head: str = "softmax",
             dtype: str = "float32", seed: int = 0) -> Model:
    """The LSTM whose gates see the cell state: i and f read w_c c[t-1], o reads w_co c[t], elementwise.

    i, f = sigmoid(W_x x[t] + W_h h[t-1] + w_c c[t-1] + b), g = tanh(W_xg x[t] + W_hg h[t-1] + b_g),
    c[t] = f c[t-1] + i g, o = sigmoid(W_xo x[t] + W_ho h[t-1] + w_co c[t] + b_o), h[t] = o tanh(c[t]).
    Sizes: x (inputs,), gates, c, h and the w_c (hidden,), y (outputs,). The peepholes start at 0, the forget gate's
    bias at 1. Raises as `stack` does.
    Sources: Gers and Schmidhuber 2000, "Recurrent nets that time and count"; in this form Graves 2013, "Generating
    sequences with recurrent neural networks", equations 7 to 11.
    """
    return stack(PEEPHOLE, inputs, hidden, outputs, layers, head, dtype, seed)


COUPLED = Cell("coupled", """
    i[t] = sigmoid(W_xi @ x[t] + W_hi @ h[t-1] + b_i)      # input gate
    f[t] = 1 - i[t]                                        # forget gate: what comes in takes the place of what goes
    o[t] = sigmoid(W_xo @ x[t] + W_ho @ h[t-1] + b_o)      # output gate
    g[t] = tanh(W_xg @ x[t] + W_hg @ h[t-1] + b_g)         # candidate
    c[t] = f[t] * c[t-1] + i[t] * g[t]                     # cell state
    h[t] = o[t] * tanh(c[t])                               # hidden state
""", {"b_i": -1.0})


def coupled(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, head: str = "softmax",
            dtype: str = "float32", seed: int = 0) -> Model:
    """The LSTM with coupled input and forget gates: f = 1 - i, so c[t] = (1 - i) c[t-1] + i g.

    i, o = sigmoid(W_x x[t] + W_h h[t-1] + b), g = tanh(...), h[t] = o tanh(c[t]).
    Sizes: x (inputs,), gates, c and h (hidden,), y (outputs,). The input gate's bias starts at -1, so that of the
    forget gate is 1. Raises as `stack` does.
    Source: Greff, Srivastava, Koutník, Steunebrink and Schmidhuber 2017, "LSTM: a search space odyssey", the variant
    CIFG, here without peepholes.
    """
    return stack(COUPLED, inputs, hidden, outputs, layers, head, dtype, seed)


PROJECTION = """
i[t] = sigmoid(W_xi @ x[t] + W_hi @ h[t-1] + b_i)      # input gate
f[t] = sigmoid(W_xf @ x[t] + W_hf @ h[t-1] + b_f)      # forget gate
o[t] = sigmoid(W_xo @ x[t] + W_ho @ h[t-1] + b_o)      # output gate
g[t] = tanh(W_xg @ x[t] + W_hg @ h[t-1] + b_g)         # candidate
c[t] = f[t] * c[t-1] + i[t] * g[t]                     # cell state
m[t] = o[t] * tanh(c[t])                               # what the cell gives out
h[t] = W_mh @ m[t]                                     # its projection, which is fed back
"""


def projection(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, projected: int | None = None,
               head: str = "softmax", dtype: str = "float32", seed: int = 0) -> Model:
    """The LSTM with a recurrent projection: h[t] = W_mh (o tanh(c[t])) is smaller than the cell and is fed back.

    i, f, o = sigmoid(W_x x[t] + W_h h[t-1] + b), g = tanh(...), c[t] = f c[t-1] + i g.
    Sizes: x (inputs,), gates, c and m (hidden,), h (projected,), half of hidden unless given, y (outputs,). The forget
    gate's bias starts at 1. Raises as `stack` does.
    Source: Sak, Senior and Beaufays 2014, "Long short-term memory recurrent neural network architectures for large
    scale acoustic modeling", section 2, LSTMP, here without peepholes; h is its r.
    """
    size = max(1, whole("hidden", hidden, at_least=1) // 2) if projected is None else projected
    cell = Cell("projection", PROJECTION, {"b_f": 1.0}, hidden=("m",), sizes={"h": size})
    return stack(cell, inputs, hidden, outputs, layers, head, dtype, seed)


LAYERNORM = """
a[t] = layer_norm(W_h @ h[t-1], alpha_h, beta_h) + layer_norm(W_x @ x[t], alpha_x, beta_x) + b  # of all gates
i[t] = sigmoid(a[t][0:{one}])                              # input gate
f[t] = sigmoid(a[t][{one}:{two}])                          # forget gate
o[t] = sigmoid(a[t][{two}:{three}])                        # output gate
g[t] = tanh(a[t][{three}:{four}])                          # candidate
c[t] = f[t] * c[t-1] + i[t] * g[t]                         # cell state
h[t] = o[t] * tanh(layer_norm(c[t], alpha_c, beta_c))      # hidden state
"""


def layernorm(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, head: str = "softmax",
              dtype: str = "float32", seed: int = 0) -> Model:
    """The layer-normalised LSTM: (i, f, o, g) from LN(W_h h[t-1]) + LN(W_x x[t]) + b, h[t] = o tanh(LN(c[t])).

    LN(z) = alpha (z - mean z) / std z + beta, over the four gates together. c[t] = sigmoid(f) c[t-1] + sigmoid(i)
    tanh(g). Sizes: x (inputs,), a (4 hidden,), gates, c and h (hidden,), y (outputs,). The gains alpha start at 1, the
    rest at 0. Raises as `stack` does.
    Source: Ba, Kiros and Hinton 2016, "Layer normalization", the equations of the LSTM in its supplementary material.
    """
    hidden = whole("hidden", hidden, at_least=1)
    text = LAYERNORM.format(one=hidden, two=2 * hidden, three=3 * hidden, four=4 * hidden)
    cell = Cell("layernorm", text, {"alpha_h": 1.0, "alpha_x": 1.0, "alpha_c": 1.0}, sizes={"a": 4 * hidden})
    return stack(cell, inputs, hidden, outputs, layers, head, dtype, seed)
