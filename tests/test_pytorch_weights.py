"""Weights of PyTorch's layers, in and out, against loops that read them as its documentation says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_rnn as tr

INPUTS, HIDDEN, PROJECTED = 3, 4, 2
RNG = np.random.default_rng(0)
X, LENGTHS = RNG.normal(size=(3, 5, INPUTS)), [5, 1, 3]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def rnn_cell(x, h, c, p):
    return np.tanh(p["weight_ih"] @ x + p["bias_ih"] + p["weight_hh"] @ h + p["bias_hh"]), c


def lstm_cell(x, h, c, p):
    i, f, g, o = np.split(p["weight_ih"] @ x + p["bias_ih"] + p["weight_hh"] @ h + p["bias_hh"], 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return (p["weight_hr"] @ h if "weight_hr" in p else h), c


def gru_cell(x, h, c, p):
    (xr, xz, xn), (hr, hz, hn) = (np.split(p[f"weight_{k}"] @ v + p[f"bias_{k}"], 3) for k, v in (("ih", x), ("hh", h)))
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    return (1 - z) * np.tanh(xn + r * hn) + z * h, c


CELLS = {"rnn": (rnn_cell, 1), "lstm": (lstm_cell, 4), "gru_after": (gru_cell, 3), "projection": (lstm_cell, 4)}


def state_dict(kind, layers, both):
    """As a module of PyTorch with these layers has it."""
    out, rows, found = PROJECTED if kind == "projection" else HIDDEN, CELLS[kind][1] * HIDDEN, {}
    for layer, way in itertools.product(range(layers), ("", "_reverse")[: 1 + both]):
        end = f"l{layer}{way}"
        below = INPUTS if layer == 0 else out * (1 + both)
        shapes = {"weight_ih": (rows, below), "weight_hh": (rows, out), "bias_ih": rows, "bias_hh": rows}
        if kind == "projection":
            shapes["weight_hr"] = (out, HIDDEN)
        found |= {f"{name}_{end}": RNG.normal(size=shape) * 0.5 for name, shape in shapes.items()}
    return found


def outputs(kind, state, x, layers, both):
    """The top layer's h at every step of one example."""
    cell, _ = CELLS[kind]
    for layer in range(layers):
        sides = []
        for way in ("", "_reverse")[: 1 + both]:
            end = f"_l{layer}{way}"
            p = {key.removesuffix(end): value for key, value in state.items() if key.endswith(end)}
            h, c, found = np.zeros(p["weight_hh"].shape[1]), np.zeros(HIDDEN), []
            for step in x[::-1] if way else x:
                h, c = cell(step, h, c, p)
                found.append(h)
            sides.append(np.array(found[::-1] if way else found))
        x = np.concatenate(sides, 1)
    return x


def model(kind, layers, both):
    cell = kind
    if kind == "projection":
        text = str(tr.graphs.projection(head="none")).split("\n\n")[1]
        cell = tr.graphs.Cell("projection", text, hidden=("m",), sizes={"h": PROJECTED})
    return tr.graphs.stack(tr.graphs.both_ways(cell) if both else cell, INPUTS, HIDDEN, layers=layers, head="none",
                           dtype="float64")


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("layers, both", [(1, False), (1, True), (2, False), (3, True)])
def test_layers_of_pytorch_in_and_out(kind, layers, both):
    state = state_dict(kind, layers, both)
    ours = model(kind, layers, both)
    ours.weights |= tr.graphs.from_torch({f"encoder.{key}": value for key, value in state.items()}, prefix="encoder.")
    top = f"h{layers}" if layers > 1 else "h"
    found = ours.run(x=X, lengths=LENGTHS, want=[top])[top]
    back = tr.graphs.to_torch(ours.weights)
    assert {key: value.shape for key, value in back.items()} == {key: value.shape for key, value in state.items()}
    for n, length in enumerate(LENGTHS):
        for weights in (state, back):
            expected = outputs(kind, weights, X[n, :length], layers, both)
            np.testing.assert_allclose(found[n, :length], expected, rtol=1e-12, atol=1e-12)


def test_without_biases_they_are_zero():
    state = {key: value for key, value in state_dict("gru_after", 1, False).items() if "bias" not in key}
    found = tr.graphs.from_torch(state)
    assert found.keys() == tr.graphs.gru(reset="after", head="none").weights.keys()
    assert not any(value.any() for name, value in found.items() if name.startswith("b_"))


def test_the_rest_of_a_model_is_left_out():
    weights = tr.graphs.lstm().weights
    assert set(tr.graphs.to_torch(weights)) == {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}


@pytest.mark.parametrize("state, told", [
    ({"head.weight": np.zeros(3)}, "weight_ih_l0; they have head.weight"),
    ({"lstm.weight_ih_l0": np.zeros((4, 3))}, "they have lstm.weight_ih_l0")])
def test_what_is_no_layer_is_told(state, told):
    with pytest.raises(tr.Error, match=told):
        tr.graphs.from_torch(state)
    with pytest.raises(tr.Error, match="no such prefix"):
        tr.graphs.from_torch(state, prefix="decoder.")


def test_what_pytorch_has_no_layer_of_is_told():
    for other in (tr.graphs.mgu(), tr.graphs.gru()):  # the GRU of the paper applies r before the product
        with pytest.raises(tr.Error, match='of a GRU with reset="after"'):
            tr.graphs.to_torch(other.weights)
