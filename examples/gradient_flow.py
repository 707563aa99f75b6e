"""How far back the gradient of a loss at the last step reaches, in an RNN, a GRU and LSTMs of 32 units each.

python examples/gradient_flow.py [folder for the pictures]

None of them is trained: what is shown is how each one starts. The RNN's gradient shrinks by about a quarter at every
step. The LSTM's cell state keeps most of its own at every step, since its forget gate starts mostly open, at a bias of
1; at a bias of log T it is told to remember as long as the sequence, and the gradient hardly fades (Tallec and Ollivier
2018, "Can recurrent neural networks warp time?", section 2). The GRU's update gate starts half open, at a bias of 0,
and its gradient fades even faster than the RNN's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.examples.harness import into_folder
from tinygrad_rnn.viz.fading.fading import fading
from tinygrad_rnn.viz.flow.flow import gradient_flow, gradient_norms

UNITS, STEPS, EXAMPLES, INPUTS, CLASSES = 32, 30, 64, 8, 4
CAPTION = (f"{UNITS} units each, untrained: recurrent matrices orthogonal, others Glorot, biases 0 but the LSTM's "
           "forget gate as told. Random input, loss at the last step.")


def main(folder: Path) -> None:
    """Plot the norms, and show them as an animated picture and as a page."""
    rng = np.random.default_rng(0)
    data = {"x": rng.standard_normal((EXAMPLES, STEPS, INPUTS)), "target": rng.integers(0, CLASSES, EXAMPLES)}
    sizes = {"inputs": INPUTS, "hidden": UNITS, "outputs": CLASSES, "head": "softmax_last", "seed": 0}
    rnn, gru, lstm = (tr.graphs.MODELS[name](**sizes) for name in ("rnn", "gru", "lstm"))
    remembering = tr.graphs.lstm(**sizes)
    lstm.weights["b_f"] = np.ones(UNITS)
    remembering.weights["b_f"] = np.full(UNITS, np.log(STEPS))

    models = {"RNN": rnn, "GRU": gru, "LSTM, forget bias 1": lstm, "LSTM, forget bias log T": remembering}
    state = {label: "c" for label in models if label.startswith("LSTM")}
    print(gradient_flow(models, data, folder / "gradient_flow.png", state=state, title=CAPTION))
    for ending in ("gif", "html"):
        print(fading(models, data, folder / f"gradient_fading.{ending}", state=state, title=CAPTION))
    for label, model in models.items():
        norms = gradient_norms(model, data, state=state.get(label, "h"))
        print(f"{label}: of the gradient at t = {STEPS}, {norms[0] / norms[-1]:.1e} arrives at t = 1")


if __name__ == "__main__":
    into_folder(main)
