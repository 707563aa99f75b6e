"""Simple recurrent networks: Elman's, Jordan's, and the form of Goodfellow's book."""

from __future__ import annotations

from tinygrad_rnn import Identity, Model, equations
from tinygrad_rnn.arguments import one_of

from .cells import Cell
from .stack import stack

NONLINEARITIES = ("tanh", "relu")
RNN = Cell("rnn", "h[t] = tanh(W_xh @ x[t] + W_hh @ h[t-1] + b_h)")


def rnn(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, nonlinearity: str = "tanh",
        head: str = "softmax", dtype: str = "float32", seed: int = 0) -> Model:
    """Elman's network, h[t] = f(W_xh x[t] + W_hh h[t-1] + b_h), with f tanh or relu.

    Sizes: x (inputs,), h (hidden,), y (outputs,). A relu network starts with W_hh the identity.
    Raises for another nonlinearity, and as `stack` does.
    Sources: Elman 1990, "Finding structure in time", figure 2; relu with the identity: Le, Jaitly and Hinton 2015,
    "A simple way to initialize recurrent networks of rectified linear units", section 2.
    """
    one_of("nonlinearity", nonlinearity, NONLINEARITIES)
    rules = {"W_hh": Identity()} if nonlinearity == "relu" else {}
    cell = Cell("rnn", RNN.text.replace("tanh", nonlinearity), rules)
    return stack(cell, inputs, hidden, outputs, layers, head, dtype, seed)


JORDAN = """
h[t] = sigmoid(W_xh @ x[t] + W_yh @ y[t-1] + b_h)      # hidden units read the last output
y[t] = softmax(W_hy @ h[t] + b_y)
loss = mean(cross_entropy(y[t], target[t]))
"""


def jordan(inputs: int = 27, hidden: int = 64, outputs: int = 27, dtype: str = "float32", seed: int = 0) -> Model:
    """Jordan's network: the output is fed back, h[t] = sigmoid(W_xh x[t] + W_yh y[t-1] + b_h).

    y[t] = softmax(W_hy h[t] + b_y). Sizes: x (inputs,), h (hidden,), y (outputs,). The state is the last output alone,
    without a decaying sum of those before it. Raises for sizes below 1.
    Source: Jordan 1986, "Serial order: a parallel distributed processing approach", in the form of its comparison with
    Elman's network; the softmax is of classes.
    """
    return equations(JORDAN, name="jordan", dtype=dtype, x=inputs, h=hidden, y=outputs).initialise(seed)


GOODFELLOW = """
a[t] = b + W @ h[t-1] + U @ x[t]
h[t] = tanh(a[t])
o[t] = c + V @ h[t]
y_hat[t] = softmax(o[t])
L[t] = cross_entropy(y_hat[t], y[t])
loss = mean(sum(L[t], over=t))                         # summed over time, a mean over the batch
"""


def goodfellow(inputs: int = 27, hidden: int = 64, outputs: int = 27, dtype: str = "float32", seed: int = 0) -> Model:
    """The network in the letters of the book "Deep Learning": a[t] = b + W h[t-1] + U x[t], o[t] = c + V h[t].

    h[t] = tanh(a[t]), y_hat[t] = softmax(o[t]), and the loss is summed over t. The observed class is y[t].
    Sizes: x (inputs,), a and h (hidden,), o and y_hat (outputs,). Raises for sizes below 1.
    Source: Goodfellow, Bengio and Courville 2016, "Deep Learning", equations 10.8 to 10.11 and figure 10.3.
    """
    return equations(GOODFELLOW, name="goodfellow", dtype=dtype, x=inputs, h=hidden, o=outputs).initialise(seed)
