"""The ways in which a recurrent network can be deep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tinygrad_rnn import Model, equations
from tinygrad_rnn.arguments import one_of, whole

Lines = Iterator[str]


def deep(inputs: int = 27, hidden: int = 64, outputs: int = 27, layers: int = 2, form: str = "stacked",
         skip: bool = False, dtype: str = "float32", seed: int = 0) -> Model:
    """The deep recurrent networks: `layers` layers where `form` says, y[t] = softmax(W_hy h[t] + b_y).

    form: "stacked", h_k[t] = tanh(W h_(k-1)[t] + U h_k[t-1] + b), a name for each layer; "index", the same as one
    equation, h[l,t] = tanh(W[l] h[l-1,t] + U[l] h[l,t-1] + b[l]), h[0,t] = E x[t]; "input", layers between x[t] and
    h[t]; "transition", layers between h[t-1] and h[t]; "output", layers between h[t] and y[t].
    skip: connections past the layers: of stacked and index, x[t] into each layer and each layer into y[t]; of the
    others, x[t] or h[t-1] or h[t] past the layers between. Sizes: x (inputs,), each layer (hidden,), y (outputs,).
    Raises for another form, and sizes or layers below 1.
    Sources: Pascanu, Gulcehre, Cho and Bengio 2014, "How to construct deep recurrent neural networks", section 3;
    x[t] into each layer and each layer into y[t]: Graves 2013, "Generating sequences with recurrent neural networks",
    section 2.
    """
    one_of("form", form, FORMS)
    layers = whole("layers", layers, at_least=1)
    sizes: dict[str, Any] = {"x": inputs, "y": outputs}
    lines = [*FORMS[form](layers, skip, hidden, sizes), "loss = mean(cross_entropy(y[t], target[t]))"]
    return equations("\n".join(lines), name="deep", dtype=dtype, **sizes).initialise(seed)


def _stacked(layers: int, skip: bool, hidden: int, sizes: dict[str, Any]) -> Lines:
    for k in range(1, layers + 1):
        below = "x" if k == 1 else f"h{k - 1}"
        past = f" + S{k} @ x[t]" if skip and k > 1 else ""
        yield f"h{k}[t] = tanh(W{k} @ {below}[t] + U{k} @ h{k}[t-1]{past} + b{k})"
        sizes[f"h{k}"] = hidden
    read = range(1 if skip else layers, layers + 1)
    yield f"y[t] = softmax({' + '.join(f'V{k} @ h{k}[t]' for k in read)} + b_y)"


def _index(layers: int, skip: bool, hidden: int, sizes: dict[str, Any]) -> Lines:
    sizes |= {"l": layers, "h": hidden}
    yield "h[0,t] = E @ x[t]"
    yield f"h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1]{' + S[l] @ x[t]' if skip else ''} + b[l])"
    yield f"y[t] = softmax({'sum(V[l] @ h[l,t], over=l)' if skip else f'V @ h[{layers},t]'} + b_y)"


def _input(layers: int, skip: bool, hidden: int, sizes: dict[str, Any]) -> Lines:
    yield from _between("u", layers, "x[t]", hidden, sizes)
    sizes["h"] = hidden
    yield f"h[t] = tanh(W_uh @ u{layers}[t] + W_hh @ h[t-1]{' + S @ x[t]' if skip else ''} + b_h)"
    yield "y[t] = softmax(W_hy @ h[t] + b_y)"


def _transition(layers: int, skip: bool, hidden: int, sizes: dict[str, Any]) -> Lines:
    yield "k1[t] = tanh(W_xk @ x[t] + W_hk @ h[t-1] + b_k)"
    sizes |= {"k1": hidden, "h": hidden}
    yield from _between("k", layers, "k1[t]", hidden, sizes, first=2)
    yield f"h[t] = tanh(W_kh @ k{layers}[t]{' + S @ h[t-1]' if skip else ''} + b_h)"
    yield "y[t] = softmax(W_hy @ h[t] + b_y)"


def _output(layers: int, skip: bool, hidden: int, sizes: dict[str, Any]) -> Lines:
    sizes["h"] = hidden
    yield "h[t] = tanh(W_xh @ x[t] + W_hh @ h[t-1] + b_h)"
    yield from _between("o", layers, "h[t]", hidden, sizes)
    yield f"y[t] = softmax(W_oy @ o{layers}[t]{' + S @ h[t]' if skip else ''} + b_y)"


def _between(name: str, layers: int, below: str, hidden: int, sizes: dict[str, Any], first: int = 1) -> Lines:
    """Layers without a recurrence of their own."""
    for k in range(first, layers + 1):
        yield f"{name}{k}[t] = tanh(W{k} @ {below} + b{k})"
        below = f"{name}{k}[t]"
        sizes[f"{name}{k}"] = hidden


FORMS: dict[str, Callable[[int, bool, int, dict[str, Any]], Lines]] = {
    "stacked": _stacked, "index": _index, "input": _input, "transition": _transition, "output": _output,
}
