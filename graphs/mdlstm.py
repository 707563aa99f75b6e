"""The LSTM over two dimensions."""

from __future__ import annotations

from tinygrad_rnn import Model, equations

MDLSTM = """
i[u,v] = sigmoid(W_i @ x[u,v] + U_i @ h[u-1,v] + V_i @ h[u,v-1] + p_i * c[u-1,v] + q_i * c[u,v-1] + b_i)  # input gate
f[u,v] = sigmoid(W_f @ x[u,v] + U_f @ h[u-1,v] + V_f @ h[u,v-1] + p_f * c[u-1,v] + b_f)  # forgets the row above
k[u,v] = sigmoid(W_k @ x[u,v] + U_k @ h[u-1,v] + V_k @ h[u,v-1] + q_k * c[u,v-1] + b_k)  # forgets the column before
g[u,v] = tanh(W_g @ x[u,v] + U_g @ h[u-1,v] + V_g @ h[u,v-1] + b_g)                      # candidate
c[u,v] = f[u,v] * c[u-1,v] + k[u,v] * c[u,v-1] + i[u,v] * g[u,v]                         # cell state
o[u,v] = sigmoid(W_o @ x[u,v] + U_o @ h[u-1,v] + V_o @ h[u,v-1] + p_o * c[u,v] + b_o)    # output gate
h[u,v] = o[u,v] * tanh(c[u,v])                                                           # hidden state
y = softmax(W_hy @ h[U,V] + b_y)
loss = mean(cross_entropy(y, target[n]))
"""


def mdlstm(inputs: int = 27, hidden: int = 64, outputs: int = 27, dtype: str = "float32", seed: int = 0) -> Model:
    """The multi-dimensional LSTM: c[u,v] = f c[u-1,v] + k c[u,v-1] + i g, h[u,v] = o tanh(c[u,v]).

    x[u,v] is what stands in row u and column v; every gate reads W x[u,v] + U h[u-1,v] + V h[u,v-1] + b and, by
    elementwise peepholes p and q, the cell states that it gates. y = softmax(W_hy h[U,V] + b_y) is one class per image.
    Sizes: x (inputs,), gates, c, h, p, q (hidden,), y (outputs,). The forget gates' biases start at 1, the peepholes
    at 0. Raises for sizes below 1.
    Source: Graves, Fernández and Schmidhuber 2007, "Multi-dimensional recurrent neural networks", the equations of the
    multi-dimensional LSTM, for two dimensions read in one direction.
    """
    model = equations(MDLSTM, name="mdlstm", dtype=dtype, x=inputs, h=hidden, y=outputs)
    return model.initialise(seed, {"b_f": 1.0, "b_k": 1.0})
