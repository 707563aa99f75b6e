"""Small models in double precision whose gradient is looked at on its way back, and data for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from zoo import LSTM_CELL

import tinygrad_rnn as tr

T, N, X, H = 7, 5, 3, 4
RNN = "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)\nloss = mean(squared_error(h[T], z[n]))"
LSTM = LSTM_CELL + "    loss = mean(squared_error(h[T], z[n]))"
LAYERS = """
    h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1])
    h[0,t] = E @ x[t]
    loss = mean(squared_error(h[2,T], z[n]))
"""


def model(text: str, **sizes: Any) -> tr.Model:
    made = tr.equations(text, dtype="float64", **{"x": X, "h": H, **sizes})
    rng = np.random.default_rng(3)
    for name, shape in made.weights.shapes.items():
        made.weights[name] = rng.normal(0, 0.5, shape)
    return made

def mirrored() -> tr.Model:
    """The RNN that reads the sequence from its end."""
    return model(RNN.replace("t-1", "t+1").replace("h[T]", "sum(where(t == 1, h[t], 0), over=t)"))


def data(steps: int = T) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {"x": rng.standard_normal((N, steps, X)), "z": rng.standard_normal((N, H))}


def many() -> dict[str, tr.Model]:
    """Models by label, one of which is hard to write."""
    return {"RNN": model(RNN), "LSTM": model(LSTM), "_a$b$ <é> & \"c\"": model(LAYERS, l=2)}
