"""The ready cells against the reference evaluator of ONNX, an implementation from elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from architectures import build

from tinygrad_rnn import graphs

onnx = pytest.importorskip("onnx")
evaluator = pytest.importorskip("onnx.reference").ReferenceEvaluator

STEPS, BATCH, INPUTS, HIDDEN = 6, 2, 3, 4
X = np.random.default_rng(1).standard_normal((BATCH, STEPS, INPUTS))


def evaluated(kind, tensors, direction="forward", **attributes):
    """Y of the operator, (T, directions, batch, hidden); tensors: X, W, R, B, ... by their place, None for none."""
    names = [f"t{k}" if array is not None else "" for k, array in enumerate(tensors)]
    node = onnx.helper.make_node(kind, names, ["Y", "Y_h"], hidden_size=HIDDEN, direction=direction, **attributes)
    given = {n: np.ascontiguousarray(a) for n, a in zip(names, tensors, strict=True) if n}
    double = onnx.TensorProto.DOUBLE
    graph = onnx.helper.make_graph(
        [node], kind, [onnx.helper.make_tensor_value_info(n, double, a.shape) for n, a in given.items()],
        [onnx.helper.make_tensor_value_info(n, double, None) for n in ("Y", "Y_h")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)])
    return evaluator(model).run(["Y"], given)[0]


def packed(w, gates, after="", recurrent_bias=()):
    """W, R and B of ONNX: the gates one upon the other, with a first axis of one direction."""
    matrices = [np.concatenate([w[f"W_{s}{g}{after}"] for g in gates])[None] for s in "xh"]
    here = np.concatenate([w[f"b_{g}{after}"] for g in gates])
    there = np.concatenate([w[f"b_h{g}"] if g in recurrent_bias else np.zeros(HIDDEN) for g in gates])
    return [*matrices, np.concatenate([here, there])[None]]


def same(model, y, want="h"):
    np.testing.assert_allclose(model.run(x=X, want=want)[want], y[:, 0].transpose(1, 0, 2), rtol=1e-12, atol=1e-12)


def test_rnn():
    model = build("rnn")
    same(model, evaluated("RNN", [X.transpose(1, 0, 2), *packed(model.weights, "h")]))


def test_lstm():
    model = build("lstm")
    same(model, evaluated("LSTM", [X.transpose(1, 0, 2), *packed(model.weights, "iofg")]))


def test_peephole():
    model = build("peephole")
    peepholes = np.concatenate([model.weights[f"w_c{g}"] for g in "iof"])[None]
    same(model, evaluated("LSTM", [X.transpose(1, 0, 2), *packed(model.weights, "iofg"), None, None, None, peepholes]))


@pytest.mark.parametrize("reset", ["before", "after"])
def test_gru(reset):
    model = build("gru", reset=reset)
    tensors = packed(model.weights, "zrg", recurrent_bias="g" if reset == "after" else "")
    same(model, evaluated("GRU", [X.transpose(1, 0, 2), *tensors], linear_before_reset=int(reset == "after")))


@pytest.mark.parametrize("cell,kind,gates", [("rnn", "RNN", "h"), ("lstm", "LSTM", "iofg"), ("gru", "GRU", "zrg")])
def test_bidirectional(cell, kind, gates):
    """Each direction on its own, as the evaluator runs only one; the backward one on the mirrored sequence."""
    model = build("bidirectional", cell=cell)
    found = model.run(x=X, want="h")["h"]
    sides = []
    for side, order in (("_f", slice(None)), ("_b", slice(None, None, -1))):
        y = evaluated(kind, [X.transpose(1, 0, 2)[order], *packed(model.weights, gates, side)])
        sides.append(y[order, 0].transpose(1, 0, 2))
    np.testing.assert_allclose(found, np.concatenate(sides, -1), rtol=1e-12, atol=1e-12)


def test_a_second_layer():
    model = graphs.lstm(INPUTS, HIDDEN, 2, layers=2, dtype="float64")
    first = evaluated("LSTM", [X.transpose(1, 0, 2), *packed(model.weights, "iofg", "1")])[:, 0]
    second = evaluated("LSTM", [first, *packed(model.weights, "iofg", "2")])
    same(model, second, "h2")
