"""Every view of a model: what docs/diagrams.md shows.

python examples/diagrams.py [folder for the pictures]
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
    g[t] = tanh(W_xg @ x[t] + W_hg @ h[t-1] + b_g)         # candidate
    c[t] = f[t] * c[t-1] + i[t] * g[t]                     # cell state
    h[t] = o[t] * tanh(c[t])                               # hidden state
    y_hat[t] = softmax(W_hy @ h[t] + b_y)
    loss = mean(cross_entropy(y_hat[t], y[t]))
""", name="lstm", x=8, h=6, y_hat=8)

# An encoder over s, a decoder over t that looks at all of it. Bahdanau, Cho and Bengio 2015, equations 4 to 6.
translator = tr.equations("""
    k[s] = tanh(A @ z[s] + B @ k[s-1])                     # encoder
    e[t,s] = dot(g, tanh(P @ q[t-1] + Q @ k[s]))           # score
    alpha[t,s] = softmax(e[t,s], over=s)                   # where to look
    c[t] = sum(alpha[t,s] * k[s], over=s)                  # context
    q[t] = tanh(W @ x[t] + U @ q[t-1] + V @ c[t])          # decoder
    y_hat[t] = softmax(R @ q[t])
    loss = mean(cross_entropy(y_hat[t], y[t]))
""", name="translator", z=8, k=12, q=12, g=10, x=8, y_hat=8)


# What writes: w is drawn from p and read by the next step.
writer = tr.equations("""
    h[t] = tanh(W @ w[t-1] + U @ h[t-1] + b)
    p[t] = softmax(V @ h[t] + c)
    w[t] = categorical(p[t])
""", name="writer", w=27, h=64)


def reversal(examples: int, steps: int, seed: int) -> dict[str, np.ndarray]:
    """Sequences of classes, and the same from the end: what `translator` learns to say."""
    source = np.random.default_rng(seed).integers(1, 8, (examples, steps))
    target = source[:, ::-1]
    said = np.concatenate([np.zeros((examples, 1), int), target[:, :-1]], axis=1)
    return {"z": source, "x": said, "y": target}


def main(folder: Path) -> None:
    """Draw every view, with and without a run's values."""

    def draw(model: tr.Model, name: str, **options: object) -> None:
        print(model.draw(folder / f"{name}.svg", **options))

    for detail in ("closed", "gates", "ops"):
        draw(lstm, f"folded_{detail}", detail=detail)
    for view in ("cell", "equations"):
        draw(lstm, view, view=view)
    draw(lstm, "unrolled_closed", view="unrolled", detail="closed", steps=5)
    draw(lstm, "unrolled_long", view="unrolled", steps=60)
    draw(writer, "writer", view="unrolled", steps=4)
    draw(lstm.grad(), "derived")
    rng = np.random.default_rng(0)
    trace = lstm.trace(x=rng.integers(0, 8, (4, 3)), y=rng.integers(0, 8, (4, 3)))
    draw(lstm, "values", view="unrolled", values=trace)
    draw(lstm, "gradient", view="backward", values=trace, colour="gradient")
    translator.fit(reversal(2000, 6, 0), optimizer=tr.Adam(1e-2), epochs=40, batch_size=50, progress=False)
    looked = translator.trace(reversal(1, 6, 1))
    draw(translator, "attention", view="attention", values=looked, focus=2)
    print(translator.draw(folder / "translator.html", values=looked))


if __name__ == "__main__":
    into_folder(main)
