"""The ten lines of the README: an LSTM as its equations, drawn, differentiated and run.

python examples/lstm_equations.py [folder for the pictures]
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.examples.harness import into_folder

lstm = tr.equations("""
    i[t] = sigmoid(W_xi @ x[t] + W_hi @ h[t-1] + b_i)      # input gate
    f[t] = sigmoid(W_xf @ x[t] + W_hf @ h[t-1] + b_f)      # forget gate
    o[t] = sigmoid(W_xo @ x[t] + W_ho @ h[t-1] + b_o)      # output gate
    g[t] = tanh(W_xg @ x[t] + W_hg @ h[t-1] + b_g)
    c[t] = f[t] * c[t-1] + i[t] * g[t]
    h[t] = o[t] * tanh(c[t])
    y[t] = softmax(W_hy @ h[t] + b_y)
    loss = mean(cross_entropy(y[t], target[t]))
""", name="lstm", x=27, h=64, y=27)


def main(folder: Path) -> None:
    """Draw the three views, print the derived gradient, and compute both on random data."""
    for view, steps in (("folded", None), ("unrolled", 3), ("backward", 3)):
        print(lstm.draw(folder / f"lstm_{view}.svg", view=view, steps=steps))
    print(lstm.grad("loss"))
    rng = np.random.default_rng(0)
    data = {"x": rng.integers(0, 27, (16, 50)), "target": rng.integers(0, 27, (16, 50))}
    loss, grads = lstm.value_and_grad(data)
    print(f"loss {loss:.3f}; the largest gradient is in {max(grads, key=lambda n: abs(grads[n]).max())}")
    print(f"largest relative error against finite differences: {max(lstm.check_gradient(data).values()):.1e}")


if __name__ == "__main__":
    into_folder(main)
