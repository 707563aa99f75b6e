"""NumPy's functions of tensors and of quantities: values are NumPy's, gradients those of finite differences, and what
would lose a gradient is told."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr

RNG = np.random.default_rng(0)
A, B = RNG.uniform(0.5, 1.5, (2, 2, 3))
HALF = np.array([[True, False, True], [False, True, True]])

FUNCTIONS = {
    "elementwise": lambda x: np.tanh(x) + np.exp(x) * np.log(x) - np.sqrt(np.absolute(x)) + np.sin(np.cos(-x)),
    "two operands": lambda x: np.divide(np.subtract(B, x), np.add(x, B)) + np.maximum(x, B) + np.power(x, 3),
    "arrays left of operators": lambda x: B - x + B / x + np.float64(2) ** x + np.float32(2) * x,
    "an array times a tensor": lambda x: np.ones((4, 2)) @ x,
    "matmul": lambda x: np.matmul(x, B.T),
    "sum": lambda x: np.sum(x * x),
    "sum over an axis": lambda x: np.sum(x, 0) + np.sum(x, axis=1, keepdims=True)[0],
    "mean": lambda x: np.mean(x, axis=(0, 1)) * np.max(x, axis=0),
    "where": lambda x: np.where(x > 1, x * x, B) + np.where(HALF, x, 0),
    "conditions": lambda x: np.where(HALF & (x > 0.7) | np.logical_not(np.less(x, 1.2)), x, B),
    "clip": lambda x: np.clip(x, 0.8, 1.2),
    "concatenate": lambda x: np.concatenate([x, B, x * x], axis=1),
    "stack": lambda x: np.stack((x, x * B), axis=1),
    "shapes": lambda x: np.transpose(np.reshape(np.expand_dims(x, 0), (3, 2))) * np.squeeze(x[:, None], axis=1),
    "broadcast_to": lambda x: np.broadcast_to(x, (4, 2, 3)) * np.permute_dims(np.permute_dims(x, (1, 0)), (1, 0)),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, B),
    "likes": lambda x: x * np.ones_like(x) + np.zeros_like(x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_numpys_and_have_gradients(name):
    fn, x = FUNCTIONS[name], tr.Tensor(A, requires_grad=True)
    y = fn(x)
    assert isinstance(y, tr.Tensor)
    np.testing.assert_allclose(y.numpy(), fn(A), rtol=1e-12)
    weights = RNG.standard_normal(y.shape)
    np.sum(weights * y).backward()
    step = 1e-6
    for at in np.ndindex(A.shape):
        moved = [np.array(A), np.array(A)]
        moved[0][at] += step
        moved[1][at] -= step
        slope = sum((weights * fn(moved[0]) - weights * fn(moved[1])).ravel()) / (2 * step)
        assert x.grad.numpy()[at] == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(("call", "message"), [
    (lambda x: np.linalg.norm(x), "NumPy's norm is no operation of tensors, so no gradient would pass"),
    (lambda x: np.arctan(x), "NumPy's arctan is no operation .* such as tr.tanh, and x.numpy"),
    (lambda x: np.add.reduce(x), "NumPy's add is no operation"), (lambda x: np.vstack([B, x]), "NumPy's vstack"),
    (lambda x: np.dot(x, B.T), "NumPy's dot"), (lambda x: np.cumsum(x), "NumPy's cumsum"),
    (lambda x: np.sum(x, dtype="float32"), "NumPy's sum of a tensor is .*: sum has no argument 'dtype'"),
    (lambda x: np.squeeze(x), "NumPy's squeeze of a tensor is that of tinygrad_rnn: squeeze needs axis="),
    (lambda x: np.tanh(x, where=HALF), "tanh has no argument 'where'"),
    (lambda x: np.add(A, B, out=x), "out= is an array that is written to, and tensors are not"),
    (lambda x: A + tr.Tensor(np.ones(7)) * x, "do not broadcast"),
])
def test_what_would_lose_the_gradient_is_told(call, message):
    with pytest.raises(tr.Error, match=message):
        call(tr.Tensor(A, requires_grad=True))


def test_without_a_gradient_numpy_computes_of_the_values():
    x, y = tr.Tensor(A), tr.Tensor(A, requires_grad=True)
    assert np.linalg.norm(x) == np.linalg.norm(A) and np.std(np.vstack([x, B])) == np.std(np.vstack([A, B]))
    np.testing.assert_array_equal(np.add.reduce(x), A.sum(0))
    assert np.allclose(y, A) and not np.array_equal(y, B) and np.argmax(y) == A.argmax()
    assert np.shape(y) == (2, 3) and np.size(y) == 6 and np.isfinite(y).all()
    total = np.zeros((2, 3))
    total += y  # written to an array of the caller's
    np.add(total, y, out=total)
    np.copyto(total[:1], y[:1])
    np.testing.assert_allclose(total, [A[0], 2 * A[1]])


def test_of_quantities_of_a_model_they_are_expressions():
    m = tr.Model("m", dtype="float64")
    x, y = m.input("x", 3), m.state("y")
    y[tr.t] = np.sum(np.maximum(np.tanh(x[tr.t]), np.float32(0.5)) * np.concatenate([x[tr.t][:1], x[tr.t][1:]]),
                     axis=0)
    np.testing.assert_allclose(m.run(x=A[None])["y"], np.sum(np.maximum(np.tanh(A), 0.5) * A, axis=-1)[None])
    for wrong in (lambda: np.arctan(x[tr.t]), lambda: np.linalg.norm(x[tr.t]), lambda: np.add.reduce(y)):
        with pytest.raises(tr.Error, match="does not take a quantity of a model; the functions of the notation are"):
            wrong()
