"""Any cell, read from both ends."""

from __future__ import annotations

from tinygrad_rnn import Model

from .cells import Cell
from .combine import both_ways
from .stack import stack


def bidirectional(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 1, cell: Cell | str = "rnn",
                  merge: str = "concat", head: str = "softmax", dtype: str = "float32", seed: int = 0) -> Model:
    """The bidirectional network: h_f[t] reads x[1..t], h_b[t] reads x[t..T], h[t] = concat(h_f[t], h_b[t]).

    cell: a name such as "rnn", "lstm", "gru", or a `Cell`; the equations of h_b are those of h_f with every shift
    negated. merge: "concat", or "sum" for h[t] = h_f[t] + h_b[t]. Each layer reads the merged h of the one below.
    Sizes: x (inputs,), h_f and h_b (hidden,), h (2 hidden,) or (hidden,), y (outputs,). A head on the last step sees
    little of h_b. Raises for another merge or cell, and as `stack` does.
    Sources: Schuster and Paliwal 1997, "Bidirectional recurrent neural networks"; Graves and Schmidhuber 2005,
    "Framewise phoneme classification with bidirectional LSTM and other neural network architectures".
    """
    two = both_ways(cell, merge)
    return stack(two, inputs, hidden, outputs, layers, head, dtype, seed, name="bidirectional")
