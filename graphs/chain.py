"""The smallest recurrent network: numbers, one weight."""

from __future__ import annotations

from tinygrad_rnn import Model, equations
from tinygrad_rnn.arguments import one_of

FUNCTIONS = ("sigmoid", "tanh", "relu")


def chain(f: str = "sigmoid", dtype: str = "float32", seed: int = 0) -> Model:
    """The scalar chain that backpropagation through time is taught with: O[t] = f(O[t-1] + x[t] w), one weight w.

    Of three inputs: O1 = f(x1 w), O2 = f(O1 + x2 w), O3 = f(O2 + x3 w), and the loss is (O[T] - y)^2 for the number y
    that is wanted. Sizes: x, O, y and w are numbers. w starts at 0.5 for every seed. Raises for another f.
    Source: Werbos 1990, "Backpropagation through time: what it does and how to do it", in its smallest case.
    """
    one_of("f", f, FUNCTIONS)
    text = f"O[t] = {f}(O[t-1] + x[t] * w)\nloss = mean(squared_error(O[T], y[n]))"
    return equations(text, name="chain", dtype=dtype, x=(), O=(), w=()).initialise(seed, {"w": 0.5})
