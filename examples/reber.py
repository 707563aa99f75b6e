"""Strings of the embedded Reber grammar, whose second symbol comes back as the last but one.

It must be remembered: between the two, T or P, stands a string of Reber's own grammar, of any length, which says
nothing about them. Hochreiter and Schmidhuber (1997), "Long short-term memory", experiment 1. The network reads a
string and says at each step which symbol comes next. Elman's network learns it with some seeds and not with others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.examples.harness import Run, example, told

GRAMMAR = {  # state: its symbols, each with the state that follows; all are equally likely
    "start": [("B", "one")], "one": [("T", "two"), ("P", "three")], "two": [("S", "two"), ("X", "four")],
    "three": [("T", "three"), ("V", "five")], "four": [("X", "three"), ("S", "six")],
    "five": [("P", "four"), ("V", "six")], "six": [("E", "end")],
}
symbols = tr.data.Vocabulary("BTPSXVE")
LSTM = """
    i[t] = sigmoid(W_i @ w[t-1] + U_i @ h[t-1] + b_i)           # input gate
    f[t] = sigmoid(W_f @ w[t-1] + U_f @ h[t-1] + b_f)           # forget gate
    o[t] = sigmoid(W_o @ w[t-1] + U_o @ h[t-1] + b_o)           # output gate
    g[t] = tanh(W_g @ w[t-1] + U_g @ h[t-1] + b_g)
    c[t] = f[t] * c[t-1] + i[t] * g[t]
    h[t] = o[t] * tanh(c[t])
"""
ELMAN = "h[t] = tanh(W @ w[t-1] + U @ h[t-1] + b)"
SMALL = {"*": tr.Uniform(0.2)}  # the weights that such networks began with in the paper
NEXT = """
    p[t] = softmax(V @ h[t] + d)
    w[t] = categorical(p[t])
"""


@example(architecture="LSTM of 16 units beside Elman's network", data="strings made by the grammar")
def main(run: Run) -> None:
    """Train both networks, and judge what they say of unseen strings and what they draw."""
    rng = np.random.default_rng(run.seed)
    strings = [embedded(rng) for _ in range(run.pick(6000, 200))]
    train, test = tr.data.split(strings, 0.8, 0.2, seed=run.seed, groups=strings)
    models = {"LSTM": tr.equations(LSTM + NEXT, name="lstm", w=len(symbols), h=16).initialise(run.seed, {"b_f": 1.0}),
              "Elman": tr.equations(ELMAN + NEXT, name="elman", w=len(symbols), h=16).initialise(run.seed, SMALL)}
    curves = {name: trained(run, model, train) for name, model in models.items()}

    outer, legal, grammatical = ({name: judge(model, test, run) for name, model in models.items()}
                                 for judge in (outer_right, steps_legal, drawn_right))
    run.figure("outer symbols right, unseen strings", outer["LSTM"], at_least=1.0,
               baseline=f"{outer['Elman']:.3f}, Elman's network", published="1, Hochreiter and Schmidhuber 1997")
    run.figure("strings whose every next symbol is legal", legal["LSTM"], baseline=legal["Elman"])
    run.figure("drawn strings that are grammatical", grammatical["LSTM"], baseline=grammatical["Elman"])
    run.say(f"{len(set(train))} strings to train on, {len(set(test))} others to test with, of up to "
            f"{max(map(len, test))} symbols")

    run.curve({name: history.loss for name, history in curves.items()}, what="nats per symbol")
    run.draw(models["LSTM"], "folded.svg")
    long = max(test, key=len)
    memory(run, models["LSTM"], [long, long[0] + "TP"[long[1] == "T"] + long[2:]])


def embedded(rng: np.random.Generator) -> str:
    """B, then T or P, a string of the grammar, the same T or P again, E."""
    outer, inner, state = rng.choice(["T", "P"]), "", "start"
    while state != "end":
        symbol, state = GRAMMAR[state][rng.integers(len(GRAMMAR[state]))]
        inner += symbol
    return f"B{outer}{inner}{outer}E"


def legal_next(string: str) -> list[str]:
    """At each step of an embedded string the symbols that may come."""
    found, state = ["B", "TP"], "start"
    for symbol in string[2:-2]:
        ways = dict(GRAMMAR[state])
        found.append("".join(ways))
        state = ways[symbol]
    return [*found, string[1], "E"]


def batch(strings: list[str]) -> dict:
    """All the strings, padded."""
    return tr.data.padded({"w": [symbols.encode(string) for string in strings]})


def trained(run: Run, model: tr.Model, strings: list[str]) -> Any:
    """Train on the strings; the history."""
    epochs, data = run.pick(20, 1), {"w": [symbols.encode(string) for string in strings]}
    batches = tr.data.bucketed(data, 32, seed=run.seed)
    return model.fit(batches, epochs=epochs, clip=1.0, seed=run.seed, progress=False, on_epoch=run.epoch,
                     optimizer=tr.Adam(tr.Cosine(1e-2, epochs * len(batches), floor=1e-4)))


def outer_right(model: tr.Model, strings: list[str], run: Run) -> float:
    """The share of strings in which the last but one symbol is found likeliest where it is due."""
    said = tr.to_numpy(model.run(**batch(strings), want=["p"])["p"]).argmax(-1)
    return float(np.mean([symbols[one[-2]] == row[len(one) - 2] for one, row in zip(strings, said, strict=True)]))


def steps_legal(model: tr.Model, strings: list[str], run: Run) -> float:
    """The share of strings in which at every step the k symbols that may come are the k likeliest."""
    ranked = np.argsort(-tr.to_numpy(model.run(**batch(strings), want=["p"])["p"]))
    legal = [[set(symbols.encode(may)) == set(row[: len(may)]) for may, row in zip(legal_next(one), rows, strict=False)]
             for one, rows in zip(strings, ranked, strict=True)]
    return float(np.mean([all(steps) for steps in legal]))


def drawn_right(model: tr.Model, strings: list[str], run: Run) -> float:
    """The share of strings drawn from the model that the grammar could have made."""
    out = model.run(batch=run.pick(1000, 20), steps=80, seed=run.seed)
    return float(np.mean([grammatical("".join(symbols.decode(w))) for w in tr.to_numpy(out["w"])]))


def grammatical(text: str) -> bool:
    """Does an embedded string stand at the start of the text?"""
    state, at = "start", 2
    while state != "end":
        ways = dict(GRAMMAR[state])
        if at >= len(text) or text[at] not in ways:
            return False
        state, at = ways[text[at]], at + 1
    return text[0] == "B" and text[1] in "TP" and text[at : at + 2] == text[1] + "E"


def memory(run: Run, model: tr.Model, strings: list[str]) -> None:
    """The cell states over one string and over the same with the other outer symbol."""
    cells = tr.to_numpy(model.run(**batch(strings), want=["c"])["c"])
    with run.plot("memory.png", rows=2, size=(8, 4.6)) as ((first,), (second,)):
        for axes, string, c in zip((first, second), strings, cells, strict=True):
            axes.imshow(c.T, cmap="RdBu", vmin=-4, vmax=4, aspect="auto")
            axes.set(ylabel="cell", title=f"cell states after {string[:2]}")
            axes.set_xticks(range(len(string)), string)


if __name__ == "__main__":
    told(main)
