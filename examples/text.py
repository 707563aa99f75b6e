"""A deep LSTM that writes text, letter by letter, learnt from Python's own help, or from any text.

python examples/text.py [--quick] [--stdin] [--out DIR] [--seed N]
python examples/text.py --stdin < my.txt

Two layers, with dropout on the way up but not along time. The text runs in parallel streams whose state is carried from
batch to batch. It is measured on the last tenth, which it has not seen, in bits per character.
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.commands.text_model import bits, first_of, sample
from tinygrad_rnn.examples.datasets import python_docs
from tinygrad_rnn.examples.harness import Run, example, told
from tinygrad_rnn.graphs import Cell, stack

CELL = Cell("lstm", """
    i[t] = sigmoid(W_xi @ x[t] + W_mi @ m[t-1] + b_i)               # input gate
    f[t] = sigmoid(W_xf @ x[t] + W_mf @ m[t-1] + b_f)               # forget gate
    o[t] = sigmoid(W_xo @ x[t] + W_mo @ m[t-1] + b_o)               # output gate
    g[t] = tanh(W_xg @ x[t] + W_mg @ m[t-1] + b_g)                  # candidate
    c[t] = f[t] * c[t-1] + i[t] * g[t]                              # cell state
    m[t] = o[t] * tanh(c[t])                                        # hidden state
    h[t] = dropout(m[t], 0.25)                                      # what the layer above reads
""", {"b_f": 1.0}, hidden=("m",))


@example(architecture="two layers of LSTM, 192 units each, dropout between them", data="the help topics of Python",
         stdin="learn from the text on standard input")
def main(run: Run) -> None:
    """Train on most of the text, measure the rest in bits per character, and write."""
    text = tr.data.read_text("/dev/stdin") if run.args.stdin else "".join(python_docs())
    text = text[: run.pick(None, 20_000)]
    symbols = tr.data.Vocabulary(text)
    train, held_out = tr.data.split_text(symbols.encode(text), 0.1)
    model = stack(CELL, inputs=len(symbols), hidden=run.pick(192, 16), outputs=len(symbols), layers=2, seed=run.seed)
    run.say(model, "", f"{len(text):,} characters, {len(symbols)} different", "")

    epochs = run.pick(14, 1)
    given, unseen = tr.data.streams(train, 32, 64), tr.data.streams(held_out, 8, 128)
    rate = tr.Cosine(5e-3, epochs * len(given), warmup=run.pick(100, 2))
    history = model.fit(given, optimizer=tr.Adam(rate), epochs=epochs, valid=unseen, clip=5.0, carry_state=True,
                        seed=run.seed, progress=False, on_epoch=run.epoch)

    pairs = pair_bits(train, held_out, len(symbols))
    run.curve({"training": [bits(v) for v in history.loss], "held out": [bits(v) for v in history.valid_loss]},
              what="bits per character", levels={"given the letter before": pairs})
    run.draw(model, "unrolled.svg", view="unrolled", steps=4)
    run.draw(model, "cell.svg", view="cell")
    model.save(run.out / "model.safetensors", {"vocabulary": symbols.to_json()})
    drawn = {warmth: sample(model, symbols, run.pick(600, 60), warmth, run.seed, first_of(symbols))
             for warmth in (0.5, 0.8, 1.0)}
    run.write("samples.txt", "\n\n".join(f"-- temperature {warmth} --\n{one}\n" for warmth, one in drawn.items()))
    run.say(drawn[0.8][:300])
    run.figure("bits per character", bits(history.valid_loss[-1]), at_most=1.85,
               baseline=f"{pairs:.3f}, given the letter before")


def pair_bits(train: np.ndarray, test: np.ndarray, size: int) -> float:
    """Bits per character of a model that knows how often each letter follows each."""
    counts = np.full((size, size), 0.1)
    np.add.at(counts, (train[:-1], train[1:]), 1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    return float(-np.log2(shares[test[:-1], test[1:]]).mean())


if __name__ == "__main__":
    told(main)
