"""Ready models with arguments that make no model: every one is told, and none is taken for something else."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import tinygrad_rnn as tr

SIZES = {"inputs", "hidden", "outputs", "layers", "heads", "maxout", "projected", "kernels", "size", "states"}
WRONG = {
    **dict.fromkeys(SIZES, (0, 2.5, "x")),
    **dict.fromkeys(("rate_c", "rate_h", "rate_x"), (-0.1, 1, None, "0.2")),
    **dict.fromkeys(("head", "cell", "merge", "form", "score", "reset", "context", "shape", "nonlinearity", "forget",
                     "f"), ("x", [3])),
}
CALLS = [(name, argument, value) for name, make in tr.graphs.MODELS.items()
         for argument in inspect.signature(make).parameters for value in WRONG.get(argument, ())]


@pytest.mark.parametrize("name,argument,value", CALLS)
def test_arguments_that_make_no_model(name, argument, value):
    with pytest.raises(tr.Error):
        tr.graphs.MODELS[name](**{argument: value})


def test_every_argument_is_tried_or_free():
    free = {"dtype", "seed", "eos", "skip", "reverse", "feed", "causal"}
    assert {a for make in tr.graphs.MODELS.values() for a in inspect.signature(make).parameters} == {*WRONG, *free}


@pytest.mark.parametrize("name", ["lstm", "layernorm", "projection", "seq2seq", "bahdanau", "multihead", "ctc"])
def test_sizes_of_numpy(name):
    make, plain = tr.graphs.MODELS[name], dict.fromkeys(("inputs", "hidden", "outputs"), 4)
    assert str(make(**{k: np.int64(v) for k, v in plain.items()})) == str(make(**plain))


RUNNING = "h[t] = W @ x[t] + h[t-1]"


@pytest.mark.parametrize(("given", "kind", "message"), [
    ({"rules": 3}, TypeError, "rules of a cell is a dict of initialisers by name, not 3"),
    ({"sizes": [3]}, TypeError, r"sizes of a cell is a dict of sizes by name, not \[3\]"),
    ({"hidden": 3}, TypeError, "hidden is a name or a list of names, not 3"),
    ({"text": 5}, TypeError, "the text of a cell is text, not 5"), ({"name": None}, TypeError, "the name of a cell is"),
    ({"hidden": ("hh",)}, KeyError, "the cell mine gives 'hh' a size, which is not in its equations; did you mean 'h'"),
    ({"sizes": {"q": 3}}, KeyError, "the cell mine gives 'q' a size, which is not in its equations"),
])
def test_cells_that_are_none(given, kind, message):
    with pytest.raises(tr.Error, match=message) as caught:
        tr.graphs.stack(tr.graphs.Cell(**{"name": "mine", "text": RUNNING, **given}), 3, 4)
    assert isinstance(caught.value, kind)


def test_one_hidden_name_may_be_given_as_it_is():
    text = "state[t] = tanh(W @ x[t] + U @ state[t-1])\nh[t] = V @ state[t]"
    model = tr.graphs.stack(tr.graphs.Cell("mine", text, hidden="state", sizes={"h": 2}), 3, 7)
    assert model.system.quantities["state"].type.shape == (7,) and model.weights.shapes["V"] == (2, 7)
