"""New names for women, men and families, letter by letter: one kind in, a name out.

One-to-many: the kind gives the first state, and each letter is drawn given those before it. What is learned is the
distribution of names, so the model is judged by how probable it finds names that it has never seen.
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.examples.datasets import KINDS, person_names
from tinygrad_rnn.examples.harness import Run, example, told

EQUATIONS = """
    h[0] = tanh(E @ kind[n])                                        # what kind of name it is to be
    z[t] = sigmoid(W_z @ w[t-1] + U_z @ h[t-1] + b_z)               # update gate
    r[t] = sigmoid(W_r @ w[t-1] + U_r @ h[t-1] + b_r)               # reset gate
    g[t] = tanh(W_g @ w[t-1] + U_g @ (r[t] * h[t-1]) + b_g)         # candidate
    h[t] = z[t] * h[t-1] + (1 - z[t]) * g[t]
    d[t] = dropout(h[t], 0.2)
    w[t] = categorical(softmax(V @ d[t] + c))                       # the next letter, or the end
"""
END = "<END>"


@example(architecture="gated recurrent unit of 192 units, one-to-many", data="94,293 names of the US census of 1990")
def main(run: Run) -> None:
    """Train on names with their kind, measure unseen names, and write new ones."""
    parts = person_names()
    letters = tr.data.Vocabulary("".join(parts[0]["name"]), specials=[END])
    train, valid, test = ({"w": [letters.encode([*name, END]) for name in part["name"]], "kind": part["kind"]}
                          for part in (run.pick(part, {k: v[:600] for k, v in part.items()}) for part in parts))

    model = tr.equations(EQUATIONS, name="namer", w=len(letters), h=run.pick(192, 16), kind=len(KINDS))
    model.initialise(run.seed)
    batches, epochs = tr.data.bucketed(train, 64, seed=run.seed), run.pick(12, 1)
    history = model.fit(batches, valid=tr.data.bucketed(valid, 256), epochs=epochs, clip=1.0, patience=3, seed=run.seed,
                        optimizer=tr.Adam(tr.Cosine(3e-3, epochs * len(batches), floor=1e-5)),
                        progress=False, on_epoch=run.epoch)

    trigram = Trigram(train, len(letters), len(KINDS))
    strength = min((0.1, 1, 2, 4, 8, 16, 32), key=lambda a: trigram.loss(valid, a))
    batch = tr.data.padded(test)
    run.figure("nats per letter of unseen names", float(model.run(**batch, want=["loss"])["loss"]),
               below=trigram.loss(test, strength), baseline="the goal, an interpolated trigram model")
    known = set(parts[0]["name"])
    drawn = samples(model, letters, run.pick(500, 20), run.seed)
    new = {kind: [name for name in names if name not in known] for kind, names in drawn.items()}
    run.figure("share of drawn names not in the training set",
               sum(map(len, new.values())) / sum(map(len, drawn.values())), at_least=0.5, baseline=0)

    lists = [f"{kind}: {', '.join(dict.fromkeys(names[:40]))}" for kind, names in new.items()]
    run.write("samples.txt", "\n\n".join(lists) + "\n")
    run.say(*(f"{kind}: {', '.join(names[:8])}" for kind, names in new.items()))
    run.curve({"training": history.loss, "unseen names": history.valid_loss}, what="nats per letter",
              levels={"trigram model": trigram.loss(valid, strength)})
    run.draw(model, "folded.svg")
    run.draw(model, "unrolled.svg", view="unrolled", steps=4)
    model.save(run.out / "model.safetensors", meta={"vocabulary": letters.to_json()})


def samples(model: tr.Model, letters: tr.data.Vocabulary, count: int, seed: int) -> dict[str, list[str]]:
    """`count` names of each kind, drawn from the model."""
    out = model.run(kind=np.repeat(np.arange(len(KINDS)), count), steps=30, stop=letters[END], seed=seed)
    rows = zip(tr.to_numpy(out["w"]), tr.to_numpy(out.lengths), strict=True)
    names = ["".join(letters.decode(w[: n - 1])) for w, n in rows]
    return {kind: names[k * count : (k + 1) * count] for k, kind in enumerate(KINDS)}


class Trigram:
    """p(c | kind, a, b) = (count(kind, a, b, c) + strength p(c | kind, b)) / (count(kind, a, b) + strength), and so on.

    MacKay and Peto (1995), "A hierarchical Dirichlet language model", with one strength for all levels; the last
    level is uniform.
    """

    def __init__(self, data: dict, letters: int, kinds: int):
        self.counts = np.zeros((kinds, letters + 1, letters + 1, letters))  # the last letter but one stands for none
        for where in self.places(data):
            np.add.at(self.counts, where, 1)

    def places(self, data: dict) -> list[tuple]:
        """(kind, letter before the last, last, next), as arrays over each name."""
        none = self.counts.shape[-1]
        padded = [np.concatenate([[none, none], w]) for w in data["w"]]
        return [(kind, w[:-2], w[1:-1], w[2:]) for kind, w in zip(data["kind"], padded, strict=True)]

    def loss(self, data: dict, strength: float) -> float:
        """The mean of -log p over all letters, the end of a name being one."""
        p = np.full(self.counts.shape[-1], 1 / self.counts.shape[-1])
        for axes in ((1, 2), (1,), ()):
            counts = self.counts.sum(axis=axes, keepdims=True)
            p = (counts + strength * p) / (counts.sum(axis=-1, keepdims=True) + strength)
        return float(-np.concatenate([np.log(p[where]) for where in self.places(data)]).mean())


if __name__ == "__main__":
    told(main)
