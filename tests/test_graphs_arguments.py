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
