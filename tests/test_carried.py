"""What goes on from a state: positions, losses and gradients are those of the whole sequence, cut where it is."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr

CELL = "h[t] = tanh(U @ h[t-1] + W @ x[t])\n"
MODELS = {
    "positions": CELL + "loss = mean(h[t] * t)",
    "a first step": "h[t] = where(t == 1, W @ x[t], tanh(U @ h[t-1]))\nloss = mean(h[t])",
    "a mean so far": "h[t] = h[t-1] + W @ x[t]\nloss = mean(squared_error(h[t] / t, 1))",
    "the last position": CELL + "loss = mean(where(t == T, h[t], h[t-1] * t) / T)",
    "the last step": CELL + "loss = mean(squared_error(V @ h[T], 1))",
    "far back": "h[t] = tanh(U @ h[t-2] + W @ x[t-3])\nh[0] = a\nh[-1] = b\nloss = mean(squared_error(h[t], t))",
}
X = np.random.default_rng(0).standard_normal((3, 9, 2))


def model(name):
    sizes = {"x": 2, "h": 2, **({"V": (2, 2)} if "V" in MODELS[name] else {})}
    return tr.equations(MODELS[name], **sizes, dtype="float64").initialise(1, {"*": tr.Normal(0.7)})


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("lengths", [None, [3, 5, 1]])
def test_the_gradient_from_a_state_is_that_of_the_loss_from_it(name, memory, lengths):
    m = model(name)
    given = {"x": X[:, 4:], "lengths": lengths, "state": m.run(x=X[:, :4], want="h", lengths=[4, 2, 3]).state}

    def loss():
        return float(m.run(want="loss", **given)["loss"])

    value, grads = m.value_and_grad(memory=memory, **given)
    assert value == pytest.approx(loss(), abs=1e-12)
    for weight, grad in grads.items():
        before = np.array(m.weights[weight])
        for at in np.ndindex(before.shape):
            found = []
            for side in (1e-6, -1e-6):
                moved = before.copy()
                moved[at] += side
                m.weights[weight] = moved
                found.append(loss())
            m.weights[weight] = before
            assert (found[0] - found[1]) / 2e-6 == pytest.approx(grad[at], abs=1e-7), (weight, at)


@pytest.mark.parametrize("line", ["y = h[T-1] + x[T]", "y = x[T-2] + h[T]", "y = h[T-3] * h[T]"])
def test_positions_before_the_last_may_lie_in_the_state(line):
    m = tr.equations(CELL + line, x=2, h=2, dtype="float64")
    state = m.run(x=X[:, :4], lengths=[4, 3, 4]).state
    found = m.run(x=X[:, 4:], lengths=[1, 2, 5], state=state)["y"]
    for k, (before, more) in enumerate(((4, 1), (3, 2), (4, 5))):
        whole = np.concatenate([X[k : k + 1, :before], X[k : k + 1, 4 : 4 + more]], axis=1)
        np.testing.assert_allclose(found[k : k + 1], m.run(x=whole)["y"], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["positions", "a first step", "a mean so far", "far back"])
@pytest.mark.parametrize("memory", [None, "sqrt"])
@pytest.mark.parametrize("options", [{"truncate": 1}, {"truncate": 4}, {"carry_state": True}])
def test_training_by_pieces_sees_the_positions_of_the_whole(name, memory, options):
    m = model(name)
    pieces = [{"x": X[:, k : k + 3]} for k in (0, 3, 6)] if "carry_state" in options else {"x": X}
    history = m.fit(pieces, optimizer=tr.SGD(0.0), valid=pieces, memory=memory, progress=False, **options)
    whole = float(m.run(x=X, want="loss")["loss"])
    assert history.loss == pytest.approx([whole], rel=1e-12) and history.valid_loss == pytest.approx([whole], rel=1e-12)


def test_truncated_backpropagation_is_that_of_loops():
    m = tr.equations("h[t] = tanh(u * h[t-1] + w * x[t] * t)\nloss = mean(squared_error(h[t], 0.5))", x=(), h=(), u=(),
                     w=(), dtype="float64")
    m.weights["u"], m.weights["w"] = 0.7, 0.3
    x = X[:1, :, 0]
    m.fit({"x": x}, truncate=3, optimizer=tr.SGD(0.2), epochs=2, progress=False)
    weights, step = np.array([0.7, 0.3]), 1e-30
    for _ in range(2):
        h = 0.0
        for first in (0, 3, 6):
            slope = np.zeros(2)
            for k in range(2):
                u, w = weights + 1j * step * np.eye(2)[k]
                here, total = h + 0j, 0.0
                for t in range(first, first + 3):
                    here = np.tanh(u * here + w * x[0, t] * (t + 1))
                    total += (here - 0.5) ** 2 / 3
                slope[k] = total.imag / step
            h, weights = here.real, weights - 0.2 * slope
    np.testing.assert_allclose([m.weights["u"], m.weights["w"]], weights, rtol=1e-12, atol=1e-12)


BY_STEPS = """
    h[t] = tanh(u * h[t-1] + w * x[t])
    e[t] = squared_error(h[t], 0.5)
"""


@pytest.mark.parametrize("text", [
    "loss = mean(e[t])", "loss = mean(sum(e[t], over=t) / count(t))", "q = mean(e[t], over=t)\nloss = mean(m[n] * q)",
    "loss = sqrt(sum(e[t]) / count(t, n))", "q = sum(e[t], over=t)\nloss = mean(e[t]) - mean(2 - q / m[n])",
])
def test_segments_train_on_sums_over_their_steps(text):
    """With a rate of 0 each segment's loss is that of a run over it from the state before."""
    m = tr.equations(BY_STEPS + text, x=(), h=(), u=(), w=(), dtype="float64", **{"m": ()} if "m[n]" in text else {})
    data = {"x": X[:, :, 0], **({"m": np.array([1.0, 2.0, 0.5])} if "m[n]" in text else {})}
    state, expected = None, []
    for k in (0, 3, 6):
        out = m.run({**data, "x": data["x"][:, k : k + 3]}, state=state)
        state = out.state
        expected.append(float(out["loss"]))
    found = m.fit(data, truncate=3, optimizer=tr.SGD(0.0), progress=False).steps
    np.testing.assert_allclose([row["loss"] for row in found], expected, rtol=1e-12)


@pytest.mark.parametrize(("text", "at"), [
    ("loss = mean(squared_error(v * h[T], k[n]))", "h[T]"),
    ("y = sigmoid(v * h[T])\nloss = mean(binary_cross_entropy(y, k[n]))", "h[T]"),
    ("y = sigmoid(v * mean(h[t], over=t))\nloss = mean(squared_error(y, k[n]))", "sigmoid(v * mean(h[t], over=t))"),
    ("q = sum(where(t == T, h[t], 0), over=t)\nloss = mean(q * k[n])", "T"),
    ("loss = mean(squared_error(h[t] - mean(h[t], over=t), k[n]))", "h[t] - mean(h[t], over=t)"),
    ("loss = mean(max(e[t], over=t) * k[n])", "max(e[t], over=t)"),
    ("c[t] = cumsum(e[t], over=t)\nloss = mean(c[t] * k[n])", "cumsum(e[t], over=t)"),
    ("a[t,s] = softmax(h[t] * g[s], over=s)\ng[t] = x[t]\nloss = mean(sum(a[t,s] * g[s], over=s) * k[n])",
     "softmax(h[t] * g[s], over=s)"),
    ("loss = mean(k[n] / sum(e[t], over=t))", "k[n] / sum(e[t], over=t)"),
])
def test_what_needs_the_whole_sequence_is_not_cut(text, at):
    m = tr.equations(BY_STEPS + text, x=(), h=(), u=(), w=(), k=(), **{"v": ()} if "v *" in text else {})
    m.initialise(1, {"*": tr.Normal(0.7)})
    data = {"x": X[:, :, 0], "k": np.ones(3)}
    with pytest.raises(tr.Error, match="needs the whole sequence, and truncate= trains on each segment") as caught:
        m.fit(data, truncate=3, progress=False)
    line, marks = str(caught.value).splitlines()[-2:]
    assert line[marks.index("^") : marks.rindex("^") + 1] == at
    assert len(m.fit([data], carry_state=True, progress=False).steps) == 1  # a batch may have a label of its own


@pytest.mark.parametrize("text", ["z[t] = W @ x[t] * t", "e[t] = normal(0, 1)\nz[t] = W @ x[t] + e[t]",
                                  "p[t] = softmax(W @ x[t])\nw[t] = categorical(p[t])"])
def test_positions_count_on_where_nothing_else_is_carried(text):
    name = text.splitlines()[-1][0]
    model = tr.equations(text, x=2, **{k: 3 for k in "zpe" if f"{k}[t]" in text}, dtype="float64")
    x = np.random.default_rng(0).standard_normal((3, 6, 2))
    whole = model.run(x=x, want=[name], seed=4)[name]
    first = model.run(x=x[:, :2], want=[name], lengths=[2, 2, 1], seed=4)
    np.testing.assert_array_equal(first.state["[t]"], [2, 2, 1])
    rest = model.run(x=x[:2, 2:], want=[name], seed=4, state={"[t]": first.state["[t]"][:2]})[name]
    np.testing.assert_allclose(rest, whole[:2, 2:], rtol=1e-12, atol=1e-12)
    step = model.stepper(batch=3, want=[name], seed=4)
    np.testing.assert_allclose(np.stack([step(x=x[:, t])[name] for t in range(6)], 1), whole, rtol=1e-12, atol=1e-12)
