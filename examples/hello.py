"""Three units learn to go on with a word: h, e, l, l are read, and e, l, l, o are said.

Karpathy (2015), "The unreasonable effectiveness of recurrent neural networks", his first figure. After the first l
another l is right, after the second an o: the same letter is read, so only what is remembered in h tells them apart.
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.examples.harness import Run, example, told

WORD = "hello"
letters = tr.data.Vocabulary(WORD)


@example(architecture="Elman's network with 3 hidden units", data="the word hello")
def main(run: Run) -> None:
    """Train on the one word, and show the scores at each step."""
    model = tr.equations("""
        h[t] = tanh(W_xh @ x[t] + W_hh @ h[t-1] + b_h)     # what is remembered
        y[t] = W_hy @ h[t]                                 # a score for each letter
        p[t] = softmax(y[t])
        loss = mean(cross_entropy(p[t], target[t]))
    """, name="hello", x=4, h=3, y=4).initialise(run.seed)
    codes = letters.encode(WORD)
    data = {"x": codes[None, :-1], "target": codes[None, 1:]}

    history = model.fit(data, optimizer=tr.Adam(0.05), epochs=run.pick(200, 100), progress=False, on_epoch=run.epoch)

    out = model.run(data, want=["h", "y", "p"])
    y = tr.to_numpy(out["y"])
    run.say(scores(y[0]))
    right = int((y.argmax(-1) == data["target"]).sum())
    run.figure("letters right, of 4", right, at_least=4, baseline="3, without memory")
    run.figure("loss", history.loss[-1], below=0.1, baseline=f"{np.log(4):.3g}, knowing nothing")
    run.curve({"loss": history.loss}, levels={"knowing nothing": np.log(4)})
    run.draw(model, "folded.svg")
    run.draw(model, "unrolled.svg", view="unrolled", steps=4)
    run.draw(model, "walk.html", values=model.trace(data))
    with run.plot("scores.png", columns=4, size=(7, 2.6), sharey=True) as columns:
        for t, axes in enumerate(columns[0]):
            colours = ["#2f855a" if c == WORD[t + 1] else "#b0b7c3" for c in letters]
            axes.barh(list(letters), y[0, t], color=colours)
            axes.axvline(0, color="#666", lw=0.8)
            axes.set(title=f"t = {t + 1}: reads {WORD[t]}", xlabel="score")
        axes.invert_yaxis()


def scores(y: np.ndarray) -> str:
    """The scores as a table, a row a step; the greatest in brackets."""
    lines = ["reads  wants  " + "".join(f"{c:>9}" for c in letters.symbols)]
    for t, row in enumerate(y):
        cells = [f"[{value:.2f}]" if value == row.max() else f"{value:.2f} " for value in row]
        lines.append(f"{WORD[t]:<7}{WORD[t + 1]:<7}" + "".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    told(main)
