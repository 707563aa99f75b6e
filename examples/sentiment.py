"""Is a sentence of a film review kind? An LSTM reads it from both ends.

python examples/sentiment.py [--quick] [--out DIR] [--seed N]

Many to one. With 8,000 sentences and no other text to learn words from, what counts is not to learn by heart: half of
each word's vector is dropped while training, and rare words are one unknown word. Capitals are the way back.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.examples.datasets import movie_reviews
from tinygrad_rnn.examples.harness import Run, example, told

EQUATIONS = """
    v[t] = dropout(embed(E, w[t]), 0.5)                             # the word as a vector
    i[t] = sigmoid(W_vi @ v[t] + W_hi @ f[t-1] + b_i)               # from the first word on: input gate
    k[t] = sigmoid(W_vk @ v[t] + W_hk @ f[t-1] + b_k)               # forget gate
    o[t] = sigmoid(W_vo @ v[t] + W_ho @ f[t-1] + b_o)               # output gate
    c[t] = k[t] * c[t-1] + i[t] * tanh(W_vg @ v[t] + W_hg @ f[t-1] + b_g)
    f[t] = o[t] * tanh(c[t])
    I[t] = sigmoid(V_vi @ v[t] + V_hi @ b[t+1] + c_i)               # from the last word on
    K[t] = sigmoid(V_vk @ v[t] + V_hk @ b[t+1] + c_k)
    O[t] = sigmoid(V_vo @ v[t] + V_ho @ b[t+1] + c_o)
    C[t] = K[t] * C[t+1] + I[t] * tanh(V_vg @ v[t] + V_hg @ b[t+1] + c_g)
    b[t] = O[t] * tanh(C[t])
    h = dropout(max(concat(f[t], b[t]), over=t), 0.5)               # the strongest of each feature
    y = sigmoid(dot(w_y, h) + b_y)                                  # how likely it is kind
    loss = mean(binary_cross_entropy(y, kind[n]))
"""


def words(text: str) -> list[str]:
    """Its words in small letters, and its marks of punctuation."""
    return re.findall(r"[a-z]+|[0-9]+|[^\sa-z0-9]", text.lower().replace("'", ""))


def encoded(part: dict[str, Any], vocabulary: tr.data.Vocabulary) -> dict[str, Any]:
    """{"w": numbers of words, "kind": 1 where it is rated above 0}."""
    return {"w": [vocabulary.encode(words(text)) for text in part["text"]],
            "kind": (part["rating"] > 0).astype(np.float32)}


@example(architecture="bidirectional LSTM of 2 x 64 units, the greatest over time",
         data="10,605 sentences of film reviews")
def main(run: Run) -> None:
    """Train on rated sentences, tell unseen ones, and leave those of which it is surest."""
    train, valid, test = (run.pick(part, {name: value[::20] for name, value in part.items()})
                          for part in movie_reviews())
    vocabulary = tr.data.Vocabulary((word for text in train["text"] for word in words(text)), least=3, unknown="<?>")
    data, choose, judge = (encoded(part, vocabulary) for part in (train, valid, test))
    hidden = run.pick(64, 8)
    model = tr.equations(EQUATIONS, name="sentiment", E=(len(vocabulary), hidden), f=hidden, b=hidden, w_y=2 * hidden,
                         kind=())
    model.initialise(run.seed, {"b_k": 1.0, "c_k": 1.0, "E": tr.Normal(0.1), "w_y": tr.Normal(0.1)})
    run.say(model, "")

    history = model.fit(tr.data.bucketed(data, 32), optimizer=tr.Adam(1e-3), epochs=run.pick(12, 1),
                        valid=tr.data.bucketed(choose, 128), clip=1.0, patience=3, seed=run.seed, progress=False,
                        on_epoch=run.epoch)

    run.curve({"training": history.loss, "validation": history.valid_loss}, what="nats per sentence",
              levels={"guessing": float(np.log(2))})
    run.draw(model, "unrolled.svg", view="unrolled", steps=3)
    said = tr.to_numpy(model.run(**tr.data.padded({"w": judge["w"]}), want=["y"])["y"])
    right = (said > 0.5) == (judge["kind"] > 0.5)
    order = np.argsort(said)
    lines = [f"{said[k]:.3f}  rated {test['rating'][k]:+.1f}  {test['text'][k]}" for k in [*order[:20], *order[-20:]]]
    run.write("samples.txt", "\n".join(lines) + "\n")
    run.say(*lines[:3], *lines[-3:])
    majority = max(judge["kind"].mean(), 1 - judge["kind"].mean())
    run.figure("sentences told right", float(right.mean()), at_least=0.73,
               baseline=f"{majority:.3f}, always one answer; {counted(data, judge, len(vocabulary)):.3f}, naive Bayes")


def counted(train: dict[str, Any], test: dict[str, Any], size: int) -> float:
    """The share that naive Bayes tells right: each word speaks for how much oftener it stands in kind sentences."""
    seen = np.ones((2, size))
    for sentence, kind in zip(train["w"], train["kind"], strict=True):
        seen[int(kind), sentence] += 1
    weight = np.log(seen[1] / seen[1].sum()) - np.log(seen[0] / seen[0].sum())
    said = np.array([weight[np.unique(sentence)].sum() > 0 for sentence in test["w"]])
    return float((said == (test["kind"] > 0.5)).mean())


if __name__ == "__main__":
    told(main)
