"""The simple recurrent network."""

from __future__ import annotations

from tinygrad_rnn import Identity, Model
from tinygrad_rnn.errors import BadValue

from .stack import Cell, stack

NONLINEARITIES = ("tanh", "relu")


def rnn(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, nonlinearity: str = "tanh",
        head: str = "softmax", dtype: str = "float32", seed: int = 0) -> Model:
    """Elman's network, h[t] = f(W_xh x[t] + W_hh h[t-1] + b_h), with f tanh or relu.

    Sizes: x (inputs,), h (hidden,), y (outputs,). A relu network starts with W_hh the identity.
    Raises for another nonlinearity, and as `stack` does.
    Sources: Elman 1990, "Finding structure in time", figure 2; relu with the identity: Le, Jaitly and Hinton 2015,
    "A simple way to initialize recurrent networks of rectified linear units", section 2.
    """
    if nonlinearity not in NONLINEARITIES:
        raise BadValue(f"nonlinearity is {' or '.join(NONLINEARITIES)}, not {nonlinearity!r}")
    text = f"h[t] = {nonlinearity}(W_xh @ x[t] + W_hh @ h[t-1] + b_h)"
    rules = {"W_hh": Identity()} if nonlinearity == "relu" else {}
    return stack(Cell("rnn", text, rules), inputs, hidden, outputs, layers, head, dtype, seed)
