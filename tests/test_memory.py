"""memory="sqrt": the same losses and gradients by segments of time, in less memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from segmented import CAUSAL, assert_same, cut_into, made, ragged
from zoo import LSTM, MODELS, build, data, dynamic, spoilt

import tinygrad_rnn as tr
from tinygrad_rnn import jit
from tinygrad_rnn.plans import segments

MORE = {
    "starts": ("""
        h[t] = tanh(U @ h[t-1] + A @ h[t-2] + W @ x[t])
        h[0] = tanh(B @ h0)
        h[-1] = s[n]
        loss = mean(squared_error(h[t], x[t-1])) + mean(h[0] * h[0])""", {"x": 4, "h": 4, "h0": 3}),
    "deep_starts": ("""
        h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1] + A @ h[l-1,t-1] + b[l])
        h[0,t] = E @ x[t]
        h[l,0] = h0[l]
        loss = mean(h[3,t] * h[3,t]) + mean(h[2,T])""", {"l": 3, "x": 3, "h": 4}),
    "fixed_positions": ("""
        h[t] = tanh(U @ h[t-1] + W @ x[t])
        h[0] = h0
        y = V @ h[T] + A @ h[T-1] + B @ h[1] + C @ x[T] + D @ h[T-2]
        loss = mean(y * y)""", {"x": 3, "h": 4, "y": 2}),
    "the_last_step_in_a_sum": ("""
        h[t] = tanh(U @ h[t-1] + W @ x[t])
        loss = mean(h[t] * h[T])""", {"x": 3, "h": 4}),
    "positions": ("""
        h[t] = tanh(U @ h[t-1] + W @ x[t] / t)
        e[t] = where(t == T, squared_error(h[t], z[n]), 0.1 * h[t] * (T - t))
        loss = mean(e[t])""", {"x": 3, "h": 4}),
    "inputs_around": ("""
        h[t] = tanh(U @ h[t-1] + A @ x[t-3] + B @ x[t] + C @ x[t+2])
        loss = mean(squared_error(h[t], P @ x[t+1]))""", {"x": 3, "h": 4}),
    "read_out_of_all_steps": ("""
        G = U / sqrt(sum(U * U))
        h[t] = tanh(G @ h[t-1] + W @ x[t] + Q @ img[n])
        m = mean(h[t], over=t)
        g = tanh(V @ m)
        loss = mean(g * g) + 0.1 * sum(G * U) + mean(sum(h[t], over=t) * m)""",
        {"x": 3, "h": 4, "g": 2, "img": 3, "U": (4, 4)}),
    "weights_only_at_all_steps": ("""
        h[t] = tanh(u * h[t-1] + W @ x[t])
        m = sum(h[t] * h[t] + u * u, over=t)
        loss = mean(m * m) / sum(h[t] * h[t])""", {"x": 3, "h": 4, "u": 4}),
    "masks": ("""
        m[t] = dropout(h[t], 0.4)
        h[t] = tanh(W @ dropout(x[t], 0.3) + U @ dropout(h[t-1], 0.5, shared="t") + V @ m[t-1])
        loss = mean(m[t] * m[t])""", {"x": 3, "h": 4}),
    "far_back": ("""
        h[t] = tanh(U @ h[t-12] + W @ x[t-7])
        loss = mean(h[t] * h[t])""", {"x": 3, "h": 4}),
    "no_batch": ("""
        p[t] = e * p[t-1] + u
        h[t] = tanh(p[t] * h[t-1] + W @ x[t])
        loss = mean(h[t] * h[t])""", {"x": 3, "h": 4, "e": (), "u": ()}),
    "only_forward": ("""
        m[t] = 0.9 * m[t-1] + h[t-2]
        h[t] = tanh(U @ h[t-1] + W @ x[t])
        s = stop_gradient(mean(m[t], over=t))
        loss = mean(squared_error(h[T], s))""", {"x": 3, "h": 4}),
    "a_boundary_that_nobody_reads": ("""
        h[t] = tanh(W @ x[t])
        q[s] = B @ z[s]
        q[S+1] = e
        loss = mean(h[t]) + mean(q[s])""", {"x": 3, "h": 4, "z": 2, "q": 4}),
    "the_last_step_but_one": ("""
        h[t] = tanh(U @ h[t-1] + W @ x[t])
        h[0] = h0
        q = h[T-1]
        loss = mean(q * q)""", {"x": 3, "h": 4}),
    "another_letter": ("""
        h[t] = tanh(U @ h[t-1] + W @ x[t])
        k[s] = h[s] * 2
        m = mean(k[s], over=s)
        loss = mean(m * m)""", {"x": 3, "h": 4}),
    "encoder": ("""
        k[s] = tanh(A @ z[s] + B @ k[s-1])
        q[t] = tanh(W @ x[t] + U @ q[t-1])
        q[0] = k[S]
        a[t,s] = softmax(dot(q[t], k[s]), over=s)
        c[t] = sum(a[t,s] * k[s], over=s)
        loss = mean(squared_error(c[t], goal[t]))""", {"x": 3, "z": 2, "k": 4, "q": 4}),
}
SIZES = [None, 1, 3]  # as they are, or short ones: of one step, and shorter than what shifts reach


@pytest.fixture(params=SIZES)
def size(request, monkeypatch):
    cut_into(request.param, monkeypatch)


def cuts(*lengths):
    """Numbers of steps with the sizes of segments that cut them differently.

    Compiled only the most steps: fewer are as many kernels again, made for one run, of plans that are no others.
    """
    return pytest.mark.parametrize(("steps", "size"), [
        (steps, size) for steps in (lengths[-1:] if jit.enabled() else lengths)
        for size in SIZES if size is None or size < steps])


def test_segments_cover_the_sequence():
    for steps in (1, 2, 3, 17, 100, 10_000):
        found = segments.spans(steps)
        assert [p for s in found for p in range(s.offset, s.stop)] == list(range(steps))
        assert len({s.size for s in found}) <= 2 and found[0].size <= 2 * np.sqrt(steps) + 1


@pytest.mark.parametrize("name", CAUSAL)
@cuts(1, 2, 3, 17)
def test_the_same_gradients(name, steps, size, monkeypatch):
    cut_into(size, monkeypatch)
    model = build(name)
    assert_same(model, data(model, 3, {i: steps for i in dynamic(model)}), training=True)


@pytest.mark.parametrize("name", CAUSAL)
@cuts(3, 17)
def test_the_same_gradients_with_lengths(name, steps, size, monkeypatch):
    cut_into(size, monkeypatch)
    model = build(name)
    lengths = ragged(model, 4, steps)
    inputs = spoilt(model, data(model, 4, {i: steps for i in dynamic(model)}), lengths)
    assert_same(model, inputs, lengths=lengths, training=True)


@pytest.mark.parametrize("name", MORE)
@cuts(1, 2, 7)
def test_the_same_gradients_of_all_that_can_be_written(name, steps, size, monkeypatch):
    cut_into(size, monkeypatch)
    model = made(*MORE[name])
    inputs = data(model, 3, {i: steps for i in dynamic(model)})
    assert_same(model, inputs, training=True, seed=3)
    lengths = ragged(model, 3, steps)
    assert_same(model, spoilt(model, inputs, lengths), lengths=lengths, training=True, seed=3)


def test_the_same_gradients_of_inputs(size):
    model = build("two_layers")
    inputs = data(model, 3, {"t": 17})
    assert_same(model, inputs, wrt=["x", "A", "U"])
    assert_same(model, inputs, wrt=["x", "z"], lengths=np.array([1, 9, 17]))


def test_classes_as_inputs_are_read_across_borders(size):
    text = """
        h[t] = tanh(U @ h[t-1] + W @ w[t] + A @ w[t-2] + B @ w[t+1])
        loss = mean(cross_entropy(softmax(h[t]), w[t+1]))"""
    model, rng = made(text, {"w": 4, "h": 4}), np.random.default_rng(0)
    classes = rng.integers(0, 4, (3, 10))
    loss, grads = model.value_and_grad(w=classes, memory="sqrt")
    one_hot, expected = model.value_and_grad(w=np.eye(4)[classes])
    assert loss == pytest.approx(one_hot, rel=1e-10)
    for name, g in expected.items():
        np.testing.assert_allclose(grads[name], g, rtol=1e-12, atol=1e-12)


GOING_ON = {
    "lstm": MODELS["lstm"],
    "starts": ("""
        h[t] = tanh(U @ h[t-1] + A @ h[t-2] + W @ x[t])
        h[0] = tanh(B @ h0)
        loss = mean(squared_error(h[t], x[t-1]))""", {"x": 4, "h": 4, "h0": 3}),
    "inputs_before": ("""
        h[t] = tanh(U @ h[t-1] + A @ x[t-3] + B @ x[t])
        loss = mean(squared_error(h[t], P @ x[t-1]))""", {"x": 3, "h": 4}),
    "deep_starts": ("""
        h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1] + b[l])
        h[0,t] = E @ x[t]
        h[l,0] = h0[l]
        loss = mean(h[3,t] * h[3,t]) + mean(h[2,T])""", {"l": 3, "x": 3, "h": 4}),
}


@pytest.mark.parametrize("name", GOING_ON)
def test_a_state_goes_on(name, size):
    losses = []
    for memory in (None, "sqrt"):
        model = made(*GOING_ON[name])
        batches = [data(model, 3, {"t": 11}, seed) for seed in (1, 2)]
        options = {"optimizer": tr.SGD(0.1), "memory": memory, "progress": False,
                   "wrt": [w for w in model.weights if w not in ("B", "h0")]}
        steps = model.fit(batches, carry_state=True, epochs=2, **options).steps
        for cut in (4, 9):
            pieces = [{n: v[:, k : k + cut] for n, v in batch.items()} for batch in batches for k in range(0, 11, cut)]
            steps += model.fit(pieces, carry_state=True, **options).steps
            if "T]" not in str(model):  # what looks at the last step is not cut by fit
                steps += model.fit(batches, truncate=cut, **options).steps
        losses.append([row["loss"] for row in steps])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-10)


def test_a_given_state_leaves_the_starts_without_gradient():
    model = made(*GOING_ON["starts"])
    inputs = data(model, 3, {"t": 11})
    _, grads = model.value_and_grad(inputs, state=model.run(inputs).state, memory="sqrt")
    assert not grads["h0"].any() and not grads["B"].any() and grads["U"].any()


def test_a_state_of_examples_that_end(size):
    model = build("two_layers")
    inputs, lengths = data(model, 3, {"t": 11}), np.array([11, 2, 5])
    state = model.run(inputs, lengths=lengths).state
    derived = model.grad()
    want = ("loss", *derived.adjoints.values())[:3]
    plan, by_segments = (derived.computed(want, inputs, lengths=lengths, state=state, memory=m)
                         for m in (None, "sqrt"))
    for name, value in by_segments.state().items():
        np.testing.assert_allclose(value, plan.state()[name], rtol=1e-12, atol=1e-13, err_msg=name)


def test_a_fit_follows_the_same_losses():
    losses = []
    for memory in (None, "sqrt"):
        model = build("dropout")
        inputs = data(model, 6, {"t": 17})
        history = model.fit(inputs, optimizer=tr.Adam(1e-2), epochs=3, batch_size=4, clip=1.0, memory=memory,
                            valid=inputs, progress=False)
        losses.append(history.loss + history.valid_loss)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-9)


def test_a_long_sequence_takes_less_than_a_third_of_the_memory():
    peaks = []
    inputs = {"x": np.zeros((4, 4000, 8), "float32"), "target": np.zeros((4, 4000), int)}
    for memory in ("sqrt", None):
        tr.equations(LSTM, x=8, h=32, y=5).value_and_grad(inputs, memory=memory)  # what is compiled is kept
        model = tr.equations(LSTM, x=8, h=32, y=5)
        tracemalloc.start()
        model.value_and_grad(inputs, memory=memory)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < peaks[1] / 3


def test_what_is_beyond_the_end_of_an_index_that_is_not_cut(monkeypatch):
    """Its adjoint has no equation in the last stage, and is there from the one before."""
    cut_into(3, monkeypatch)
    model = tr.equations("""
        q[s] = mean(q[s+1], over=n) + s / S
        q[S+2] = W
        q[S+1] = img[n]
        h[t] = w
        r[s] = V @ sum(q[s+1], over=n)
        loss = sum(h[t-1] * h[t-1]) + sum(r[s] * r[s]) + mean(q[s]**2)""", img=2, q=2, r=2, w=(), dtype="float64")
    model.initialise(1, {"*": tr.Normal(0.5)})
    ranges = {"lengths": {"t": [5, 2], "s": [1, 1]}, "steps": {"t": 5, "s": 1}}
    assert_same(model, {"img": np.random.default_rng(1).standard_normal((2, 2))}, **ranges)
