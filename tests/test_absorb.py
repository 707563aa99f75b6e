"""Sums over large states are done in the loop that makes or reads them: the same numbers, and nothing out of turn."""

from __future__ import annotations

import architectures
import numpy as np
import pytest
from compiling import answer, compiling

import tinygrad_rnn as tr
from tinygrad_rnn import jit
from tinygrad_rnn.lowering import absorb
from tinygrad_rnn.lowering.absorb import absorbed
from tinygrad_rnn.lowering.lower import lowered
from tinygrad_rnn.node import walk
from tinygrad_rnn.passes.schedule import Loop, needed, schedule, vertices

FAST_WEIGHTS = """
    q[t] = Q @ x[t]
    k[t] = K @ x[t]
    F[t] = 0.9 * F[t-1] + outer(V @ x[t], k[t])
    y[t] = F[t] @ q[t]
    z[t] = tanh(y[t]) * (F[t-1] @ k[t])
    loss = mean(z[t]**2)
    x[t]: 3
    q[t]: 4
    y[t]: 5
"""
DELTA_RULE = """
    k[t] = softmax(K @ x[t])
    F[t] = F[t-1] + sigmoid(dot(b, x[t])) * outer(V @ x[t] - F[t-1] @ k[t], k[t])
    B[t] = tanh(B[t+1] + F[t])
    y[t] = F[t] @ (Q @ x[t]) + sum(B[t] * F[t], axis=1) + max(B[t], axis=1)
    loss = mean(squared_error(y[t], r[t]))
    x[t]: 3
    k[t]: 4
    y[t]: 5
"""


@pytest.fixture
def always(monkeypatch):
    """However small the pieces are."""
    monkeypatch.setattr(absorb, "LARGE", 1)
    monkeypatch.setattr(absorb, "LESS", 1)


def loops_of(text, n, **sizes):
    """The loops of a text's gradient for n examples, once sums are absorbed, and how many terms each has more."""
    model = tr.equations(text, **sizes)
    derived = model.grad("loss")
    wanted = needed(derived.system, ["loss", *derived.adjoints.values()])
    equations = lowered(derived.system, wanted, frozenset(), False)
    before = schedule(equations)
    after = absorbed(before, equations, lambda indices: n if "n" in set(indices) else 1)
    assert {v for item in before for v in vertices(item)} == {v for item in after for v in vertices(item)}
    size = {loop.items[0]: len(loop.items) for loop in before if isinstance(loop, Loop)}
    return [(loop, len(loop.items) - size[loop.items[0]]) for loop in after if isinstance(loop, Loop)]


@pytest.mark.skipif(not jit.installed(), reason="compiled plans need llvmlite")
@pytest.mark.parametrize("lengths", [None, [6, 2, 5]])
@pytest.mark.parametrize("text", [FAST_WEIGHTS, DELTA_RULE])
def test_gradients_are_those_of_all_steps_at_once(text, lengths, always):
    model, rng = tr.equations(text, dtype="float64"), np.random.default_rng(0)
    data = {name: rng.normal(size=(3, 6, model.system.quantities[name].type.shape[0]))
            for name in model.system.of_role("input")}
    found, expected = (answer(model, data, on, lengths=lengths, wrt=[*data, *model.weights]) for on in (True, False))
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-10, atol=1e-13, err_msg=key)
    outputs = [name for name in ("y", "z", "F", "B") if name in model.system.quantities]
    runs = []
    for on in (True, False):
        with compiling(on):
            runs.append(model.run(data, lengths=lengths, want=outputs))
    for name in outputs:
        np.testing.assert_allclose(runs[0][name], runs[1][name], rtol=1e-10, atol=1e-13)


@pytest.mark.skipif(not jit.installed(), reason="compiled plans need llvmlite")
@pytest.mark.parametrize("name", ["mlstm", "lstm", "bahdanau", "multihead", "bidirectional", "mdlstm"])
def test_ready_models_too(name, always):
    model = architectures.build(name)
    data = architectures.data(model, 3, architectures.steps_of(model, 5))
    found, expected = (answer(model, data, on) for on in (True, False))
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-10, atol=1e-12, err_msg=key)


def test_all_products_with_a_matrix_state_are_in_its_loops():
    (forward, more), (backward, many) = loops_of(FAST_WEIGHTS, 2**10, q=16, y=20)
    assert forward.direction == 1 and backward.direction == -1 and more and many
    inside = [v for loop in (forward, backward) for v in loop.vertices() if getattr(v, "op", "") == "contract"]
    assert len([v for v in inside if any(a.rank == 2 for a in v.args)]) == 6  # two going forward, two for each back


def test_small_states_leave_their_loops_as_they_are():
    assert [more for _, more in loops_of(FAST_WEIGHTS, 8, q=16, y=20)] == [0, 0]


def test_what_reads_a_later_step_stays_outside(always):
    text = "F[t] = 0.5 * F[t-1] + outer(x[t], x[t])\ny[t] = F[t+1] @ x[t]\nz[t] = F[t-2] @ x[t]\nw = F[T] @ x[1]\n" \
           "loss = mean(y[t]) + mean(z[t]) + mean(w)\nx[t]: 4"
    (forward, _), *_ = loops_of(text, 2)
    read = {str(v.attr("slots")[0]) for v in forward.vertices() if getattr(v, "op", "") == "ref"
            and v.attr("name") == "F"}
    assert read == {"t-1", "t-2"}


def test_a_product_with_an_outer_product_is_two_with_vectors():
    model = tr.equations("y[t] = sum(A[t] * outer(u[t], v[t]), axis=(0, 1))\nA[t]: (3, 4)")
    (eq,) = lowered(model.system, needed(model.system, ["y"]), frozenset(), False)
    assert [node.shape for node in walk([eq.rhs]) if node.op == "contract"] in ([(3,), ()], [(4,), ()])
    rng = np.random.default_rng(0)
    data = {"A": rng.normal(size=(2, 5, 3, 4)), "u": rng.normal(size=(2, 5, 3)), "v": rng.normal(size=(2, 5, 4))}
    expected = np.einsum("ntab,nta,ntb->nt", *data.values())
    np.testing.assert_allclose(model.run(data, want=["y"])["y"], expected, rtol=1e-4)
