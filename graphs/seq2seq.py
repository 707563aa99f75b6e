"""Encoder and decoder, of any cell."""

from __future__ import annotations

from tinygrad_rnn import Model, equations
from tinygrad_rnn.arguments import one_of, whole

from .cells import Cell
from .decoding import OBSERVED, classes
from .named import cell_of

CONTEXTS = ("initial", "every")


def seq2seq(inputs: int = 27, hidden: int = 64, outputs: int = 27, cell: Cell | str = "lstm",
            context: str = "initial", reverse: bool = True, eos: bool = True, dtype: str = "float32",
            seed: int = 0) -> Model:
    """Sequence to sequence: an encoder reads x[s] into a vector v, a decoder writes w[t] from it.

    v = h_e[S], or with the source reversed, where the encoder runs from S to 1, v = h_e[1]. The decoder starts where
    the encoder ends, h_d[0] = v (and c_d[0] = c_e[S]), reads the class before, w[t-1], and gives y[t] = softmax(W_hy
    h_d[t] + b_y), the distribution of w[t]. context: "initial", or "every" where each step reads v once more beside the
    embedded class, u[t] = concat(E w[t-1], v). eos: w has one class more, the last, which ends it.
    Sizes: x (inputs,), h_e, h_d and v (hidden,), w and y (outputs + 1,) with eos. Encoder and decoder are any `cell`,
    by name or a `Cell`, each with weights of its own. Raises for another cell or context and sizes below 1.
    Sources: Sutskever, Vinyals and Le 2014, "Sequence to sequence learning with neural networks", sections 2 and 3.3;
    v at every step: Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder", section 2.2.
    """
    one_of("context", context, CONTEXTS)
    hidden = whole("hidden", hidden, at_least=1)
    kind = cell_of(cell)
    encoder = (kind.backward() if reverse else kind).renamed(lambda n: f"{n}_e").over("s")
    decoder = kind.renamed(lambda n: f"{n}_d").reading("w[t-1]" if context == "initial" else "u[t]")
    ends = "1" if reverse else "S"
    lines = [encoder.text, f"v = h_e[{ends}]  # the context vector"]
    if context == "every":
        lines.append("u[t] = concat(E @ w[t-1], v)")
    lines.append(decoder.text)
    lines += [f"{n}_d[0] = {'v' if n == 'h' else f'{n}_e[{ends}]'}" for n in kind.states]
    lines += ["y[t] = softmax(W_hy @ h_d[t] + b_y)", OBSERVED]
    sizes = dict.fromkeys((*encoder.hidden, *decoder.hidden), hidden) | {"x": inputs, "y": classes(outputs, eos)}
    if context == "every":
        sizes["u"] = 2 * hidden
    model = equations("\n".join(lines), name="seq2seq", dtype=dtype, **{**sizes, **encoder.sizes, **decoder.sizes})
    return model.initialise(seed, {**encoder.rules, **decoder.rules})
