"""Training beside plain NumPy: the forward pass by loops, gradients by complex steps, the optimisers from their papers.

A complex step (Squire and Trapp 1998) gives the derivative of an analytic function to the last digits: the imaginary
part of f(x + ih) / h has no difference in it that could cancel.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_rnn as tr

STEP = 1e-30


def surprise(z, k):
    top = z.real.max()
    return top + np.log(np.exp(z - top).sum()) - z[k]


def ends(batch, name):
    return batch.get("lengths", [batch[name].shape[1]] * len(batch[name]))


# -- models: equations, sizes, the same loss by loops, data ----------------------------------------------------------

TAGGER = """
    h[t] = tanh(U @ h[t-1] + W @ x[t] + b)
    y[t] = softmax(V @ h[t] + c)
    loss = mean(cross_entropy(y[t], target[t]))
"""


def tagger_loss(w, batch):
    found = []
    for n, steps in enumerate(ends(batch, "x")):
        h = np.zeros(3)
        for t in range(steps):
            h = np.tanh(w["U"] @ h + w["W"] @ batch["x"][n, t] + w["b"])
            found.append(surprise(w["V"] @ h + w["c"], batch["target"][n, t]))
    return sum(found) / len(found)


def tagger_data(rng, n, steps):
    return {"x": rng.standard_normal((n, steps, 2)), "target": rng.integers(0, 4, (n, steps))}


CLASSIFIER = """
    h[t] = tanh(U @ h[t-1] + W @ embed(E, w[t]) + I @ img[n] + b)
    y = softmax(V @ h[T] + c)
    loss = mean(cross_entropy(y, k[n]))
"""


def classifier_loss(w, batch):
    found = []
    for n, steps in enumerate(ends(batch, "w")):
        h = np.zeros(3)
        for t in range(steps):
            h = np.tanh(w["U"] @ h + w["W"] @ w["E"][batch["w"][n, t]] + w["I"] @ batch["img"][n] + w["b"])
        found.append(surprise(w["V"] @ h + w["c"], batch["k"][n]))
    return sum(found) / len(found)


def classifier_data(rng, n, steps):
    return {"w": rng.integers(0, 5, (n, steps)), "img": rng.standard_normal((n, 3)), "k": rng.integers(0, 4, n)}


DEEP = """
    h[0,t] = E @ x[t]
    h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1] + b[l])
    loss = mean(squared_error(V @ h[L,t], target[t]))
"""


def deep_loss(w, batch):
    total, count = 0, 0
    for n, steps in enumerate(ends(batch, "x")):
        h = [np.zeros(3), np.zeros(3)]
        for t in range(steps):
            below = w["E"] @ batch["x"][n, t]
            for k in range(2):
                below = h[k] = np.tanh(w["W"][k] @ below + w["U"][k] @ h[k] + w["b"][k])
            error = w["V"] @ below - batch["target"][n, t]
            total, count = total + (error * error).sum(), count + len(error)
    return total / count


def deep_data(rng, n, steps):
    return {"x": rng.standard_normal((n, steps, 2)), "target": rng.standard_normal((n, steps, 2))}


BOTH_WAYS = """
    f[t] = tanh(U @ f[t-1] + W @ x[t])
    r[t] = sigmoid(P @ r[t+1] + Q @ x[t])
    loss = mean(cross_entropy(softmax(A @ f[t] + B @ r[t]), target[t]))
"""


def both_ways_loss(w, batch):
    found = []
    for n, steps in enumerate(ends(batch, "x")):
        f, r, h, g = {}, {}, np.zeros(2), np.zeros(2)
        for t in range(steps):
            f[t] = h = np.tanh(w["U"] @ h + w["W"] @ batch["x"][n, t])
        for t in reversed(range(steps)):
            r[t] = g = 1 / (1 + np.exp(-(w["P"] @ g + w["Q"] @ batch["x"][n, t])))
        found += [surprise(w["A"] @ f[t] + w["B"] @ r[t], batch["target"][n, t]) for t in range(steps)]
    return sum(found) / len(found)


WRITER = """
    h[t] = tanh(W @ w[t-1] + U @ h[t-1] + b)
    w[t] = categorical(softmax(V @ h[t]))
"""


def writer_loss(w, batch):
    found = []
    for n, steps in enumerate(ends(batch, "w")):
        h, before = np.zeros(3), np.zeros(4)
        for t in range(steps):
            h = np.tanh(w["W"] @ before + w["U"] @ h + w["b"])
            found.append(surprise(w["V"] @ h, batch["w"][n, t]))
            before = np.eye(4)[batch["w"][n, t]]
    return sum(found) / len(found)


def writer_data(rng, n, steps):
    return {"w": rng.integers(0, 4, (n, steps))}


MODELS = {
    "tagger": (TAGGER, {"x": 2, "h": 3, "y": 4}, tagger_loss, tagger_data),
    "classifier": (CLASSIFIER, {"h": 3, "y": 4, "E": (5, 2), "img": 3}, classifier_loss, classifier_data),
    "deep": (DEEP, {"x": 2, "h": 3, "target": 2, "l": 2}, deep_loss, deep_data),
    "both ways": (BOTH_WAYS, {"x": 2, "f": 2, "r": 2, "target": 4}, both_ways_loss, tagger_data),
    "writer": (WRITER, {"w": 4, "h": 3}, writer_loss, writer_data),
}

# -- optimisers: (w, g, memory of this weight, number of the update from 1, rate) -> w -------------------------------


def nesterov(w, g, s, k, lr):
    g = g + 0.02 * w
    s["b"] = 0.8 * s.get("b", 0) + g
    return w - lr * (g + 0.8 * s["b"])


def adam_direction(g, s, k):
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g * g
    return s["m"] / (1 - 0.9**k) / (np.sqrt(s["v"] / (1 - 0.999**k)) + 1e-8)


def rms(w, g, s, k, lr):
    s["v"] = 0.8 * s.get("v", 0) + 0.2 * g * g
    s["b"] = 0.5 * s.get("b", 0) + g / (np.sqrt(s["v"]) + 1e-5)
    return w - lr * s["b"]


def cosine(k):  # k updates done: a rise over 4, then a fall to 0.01 that ends at 12
    if k < 4:
        return 0.05 * (k + 1) / 4
    return 0.01 + 0.04 * (1 + math.cos(math.pi * min(1, (k - 4) / 8))) / 2


OPTIMISERS = {
    "SGD": (lambda: tr.SGD(tr.Exponential(0.05, 0.5, 7)), lambda w, g, s, k, lr: w - lr * g,
            lambda k: 0.05 * 0.5 ** (k / 7)),
    "Nesterov": (lambda: tr.SGD(tr.Linear(0.05, 20, 3, 0.01), momentum=0.8, nesterov=True, weight_decay=0.02), nesterov,
                 lambda k: 0.05 * (k + 1) / 3 if k < 3 else 0.05 - 0.04 * min(1, (k - 3) / 17)),
    "Adam": (lambda: tr.Adam(tr.Cosine(0.05, 12, 4, 0.01)),
             lambda w, g, s, k, lr: w - lr * adam_direction(g, s, k), cosine),
    "AdamW": (lambda: tr.AdamW(tr.Warmup(tr.StepDecay(0.05, 5, 0.5), 6), weight_decay=0.1),
              lambda w, g, s, k, lr: w * (1 - lr * 0.1) - lr * adam_direction(g, s, k),
              lambda k: min(1, (k + 1) / 6) * 0.05 * 0.5 ** (k // 5)),
    "RMSProp": (lambda: tr.RMSProp(lambda k: 0.05 / (1 + k), 0.8, 1e-5, 0.5), rms, lambda k: 0.05 / (1 + k)),
}


def by_norm(grads):
    norm = math.sqrt(sum((g**2).sum() for g in grads.values()))
    return {k: g * min(1, 0.3 / norm) for k, g in grads.items()}


CLIPS = {"none": (None, dict), "norm": (0.3, by_norm),
         "value": (tr.ClipValue(0.05), lambda grads: {k: np.clip(g, -0.05, 0.05) for k, g in grads.items()})}


def gradient(loss, weights, batch):
    grads = {}
    for name, value in weights.items():
        grads[name] = np.zeros(value.shape)
        for at in np.ndindex(value.shape):
            moved = value.astype(complex)
            moved[at] += STEP * 1j
            grads[name][at] = loss({**weights, name: moved}, batch).imag / STEP
    return grads


def trained(loss, weights, batches, optimiser, clip, weigh):
    """Weights, losses, norms and mean losses after three epochs of these batches."""
    _, rule, rate = optimiser
    memory = {name: {} for name in weights}
    losses, norms, means = [], [], []
    for _ in range(3):
        shares = []
        for batch in batches:
            grads = gradient(loss, weights, batch)
            losses.append(float(loss(weights, batch)))
            norms.append(math.sqrt(sum((g**2).sum() for g in grads.values())))
            shares.append((losses[-1], weigh(batch)))
            k = len(losses)
            weights = {name: rule(w, clip(grads)[name], memory[name], k, rate(k - 1)) for name, w in weights.items()}
        means.append(sum(a * n for a, n in shares) / sum(n for _, n in shares))
    return weights, losses, norms, means


CASES = [(model, *rest) for model, rest in zip(
    [m for m in MODELS for _ in range(2)],
    [("SGD", "none", True), ("AdamW", "norm", False), ("Adam", "value", True), ("RMSProp", "none", True),
     ("Nesterov", "norm", True), ("Adam", "none", False), ("AdamW", "value", True), ("SGD", "norm", False),
     ("RMSProp", "norm", True), ("Nesterov", "none", False)], strict=True)]


@pytest.mark.parametrize(("name", "optimiser", "clip", "ragged"), CASES)
@pytest.mark.parametrize("given", ["arrays", "batches", "segments"])
def test_training_is_that_of_loops(name, optimiser, clip, ragged, given):
    text, sizes, loss, data_of = MODELS[name]
    if given == "segments" and name == "both ways":
        pytest.skip("reads the future, which segments do not")
    model = tr.equations(text, **sizes, dtype="float64").initialise(1, {"*": tr.Normal(0.5)})
    rng = np.random.default_rng(3)
    data = data_of(rng, 5, 4)
    if ragged:
        data["lengths"] = np.array([2, 4, 1, 3, 4])
        for key in set(data) & {"x", "w", "target"}:
            for row, end in zip(data[key], data["lengths"], strict=True):
                row[end:] = -1 if row.dtype.kind == "i" else np.nan
    batches = [{k: v[i : i + 2] for k, v in data.items()} for i in range(0, 5, 2)]
    over = (lambda b: len(b["k"])) if name == "classifier" else lambda b: sum(ends(b, "w" if name == "writer" else "x"))
    start = {k: np.array(v) for k, v in model.weights.items()}
    weights, losses, norms, means = trained(loss, start, batches, OPTIMISERS[optimiser], CLIPS[clip][1], over)
    history = model.fit(batches if given == "batches" else data, optimizer=OPTIMISERS[optimiser][0](), epochs=3,
                        clip=CLIPS[clip][0], batch_size=2, shuffle=False, progress=False,
                        memory="sqrt" if given == "segments" else None)
    for key, value in weights.items():
        np.testing.assert_allclose(model.weights[key], value, rtol=1e-12, atol=1e-12, err_msg=key)
    np.testing.assert_allclose([row["loss"] for row in history.steps], losses, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose([row["gradient_norm"] for row in history.steps], norms, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose([row["lr"] for row in history.steps],
                               [OPTIMISERS[optimiser][2](k) for k in range(len(losses))], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(history.loss, means, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_validation_loss_does_not_depend_on_the_batches(name, size):
    text, sizes, loss, data_of = MODELS[name]
    model = tr.equations(text, **sizes, dtype="float64")
    data = {**data_of(np.random.default_rng(1), 5, 4), "lengths": np.array([4, 1, 3, 2, 1])}
    history = model.fit(data, optimizer=tr.SGD(0.0), valid=data, batch_size=size, progress=False)
    whole = float(loss({k: np.array(v) for k, v in model.weights.items()}, data))
    assert history.valid_loss == pytest.approx([whole], abs=1e-12) == history.loss


def test_means_of_several_ranges_are_weighed_by_steps():
    text = "h[t] = w * x[t]\ng = mean(h[T])\nloss = mean(h[t]) + g + 0.5 * mean(V * V)"
    model = tr.equations(text, x=1, V=(2, 2), w=())
    model.weights["w"] = 1.0
    model.weights["V"] = 0.0
    data = {"x": np.array([[[1.0], [2.0], [3.0]], [[4.0], [0.0], [0.0]]]), "lengths": np.array([3, 1])}
    history = model.fit(data, optimizer=tr.SGD(0.0), batch_size=1, shuffle=False, progress=False)
    assert history.loss == pytest.approx([(3 * (2 + 3) + 1 * (4 + 4)) / 4])
