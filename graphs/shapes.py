"""The five shapes of what goes in and what comes out."""

from __future__ import annotations

from tinygrad_rnn import Model, equations
from tinygrad_rnn.arguments import one_of

from .decoding import OBSERVED

SHAPES = {
    "one-to-one": """
h = tanh(W_xh @ x[n] + b_h)
y = softmax(W_hy @ h + b_y)
loss = mean(cross_entropy(y, target[n]))
""",
    "one-to-many": f"""
h[t] = tanh(W_wh @ w[t-1] + W_hh @ h[t-1] + b_h)       # w[t-1] is the class before; there is none before the first
h[0] = tanh(W_xh @ x[n] + b_0)                         # x goes in once
y[t] = softmax(W_hy @ h[t] + b_y)
{OBSERVED}
""",
    "many-to-one": """
h[t] = tanh(W_xh @ x[t] + W_hh @ h[t-1] + b_h)
y = softmax(W_hy @ h[T] + b_y)
loss = mean(cross_entropy(y, target[n]))
""",
    "many-to-many": """
h[t] = tanh(W_xh @ x[t] + W_hh @ h[t-1] + b_h)
y[t] = softmax(W_hy @ h[t] + b_y)
loss = mean(cross_entropy(y[t], target[t]))
""",
    "many-to-many-unequal": f"""
e[s] = tanh(W_xe @ x[s] + W_ee @ e[s-1] + b_e)         # reads all of x
h[t] = tanh(W_wh @ w[t-1] + W_hh @ h[t-1] + b_h)       # writes w
h[0] = e[S]
y[t] = softmax(W_hy @ h[t] + b_y)
{OBSERVED}
""",
}


def shapes(inputs: int = 27, hidden: int = 64, outputs: int = 27, shape: str = "many-to-many",
           dtype: str = "float32", seed: int = 0) -> Model:
    """The five shapes of a recurrent network, each with h[t] = tanh(W_xh x[t] + W_hh h[t-1] + b_h).

    shape: "one-to-one", x[n] to y, without a recurrence; "one-to-many", x[n] to w[t]; "many-to-one", x[t] to y;
    "many-to-many", x[t] to y[t], as long (Tx = Ty); "many-to-many-unequal", x[s] to w[t], of any lengths (Tx != Ty).
    Where w is written it is read back a step later, w[t-1]. Sizes: x (inputs,), h (hidden,), y and w (outputs,).
    Raises for another shape and sizes below 1.
    Source: Karpathy 2015, "The unreasonable effectiveness of recurrent neural networks", its first figure.
    """
    one_of("shape", shape, SHAPES)
    return equations(SHAPES[shape], name=shape.replace("-", "_"), dtype=dtype, x=inputs, h=hidden,
                     y=outputs).initialise(seed)
