"""`evaluate` beside plain loops over examples and steps: batches of any size, ragged data, streams, metrics."""

from __future__ import annotations

import numpy as np
import pytest
import zoo

import tinygrad_rnn as tr

TAGGER = """
    h[t] = tanh(U @ h[t-1] + W @ x[t] + b)
    y[t] = softmax(V @ dropout(h[t], 0.5) + c)
    loss = mean(cross_entropy(y[t], target[t]))
    accuracy = mean(dot(y[t], target[t]) == max(y[t], axis=0))
    first = mean(cross_entropy(softmax(V @ h[1] + c), target[1]))
    each = sum(cross_entropy(y[t], target[t]), over=t)
    centre = mean(h[t], over=(t, n))
"""
LENGTHS = [4, 1, 3, 2, 4, 1, 2]


def tagger():
    model = tr.equations(TAGGER, x=2, h=3, y=4, dtype="float64")
    return model.initialise(2, {"*": tr.Normal(0.7)})


def ragged():
    rng = np.random.default_rng(0)
    return {"x": [rng.standard_normal((n, 2)) for n in LENGTHS], "target": [rng.integers(0, 4, n) for n in LENGTHS]}


def scores(model, x, state=None):
    """The probabilities at each step of one example, and the last state."""
    w, h, found = {k: np.array(v) for k, v in model.weights.items()}, np.zeros(3) if state is None else state, []
    for now in x:
        h = np.tanh(w["U"] @ h + w["W"] @ now + w["b"])
        z = w["V"] @ h + w["c"]
        found.append(np.exp(z) / np.exp(z).sum())
    return np.array(found), h


def by_hand(model, data):
    surprises, hits, firsts = [], [], []
    for x, target in zip(data["x"], data["target"], strict=True):
        y, _ = scores(model, x)
        found = -np.log(y[np.arange(len(target)), target])
        surprises += list(found)
        hits += list(y.argmax(-1) == target)
        firsts.append(found[0])
    return {"loss": np.mean(surprises), "accuracy": np.mean(hits), "first": np.mean(firsts)}


@pytest.mark.parametrize("size", [1, 2, 3, 32])
@pytest.mark.parametrize("of", ["loss", "accuracy", "first"])
@pytest.mark.parametrize("given", ["lists", "padded", "bucketed"])
def test_the_mean_does_not_depend_on_how_the_data_are_cut(of, size, given):
    model, data = tagger(), ragged()
    expected = by_hand(model, data)[of]
    made = {"lists": data, "padded": tr.data.padded(data), "bucketed": tr.data.bucketed(data, size)}[given]
    assert model.evaluate(made, of=of, batch_size=size) == pytest.approx(expected, abs=1e-12)


NUMBERS = """
    h[t] = tanh(U @ h[t-1] + W @ x[t] + b)
    p[t] = sigmoid(dot(v, h[t]))
    said[t] = p[t] > 0.5
    hits = sum(said[t] * label[t])
    precision = hits / sum(said[t])
    recall = hits / sum(label[t])
    f1 = 2 * precision * recall / (precision + recall)
    far[t] = squared_error(p[t], label[t])
    rmse = sqrt(mean(far[t]))
    worst = max(far[t])
    soft = logsumexp(far[t]) - log(count(t, n))
    weighted = sum(m[t] * far[t]) / sum(m[t])
    ends = mean(p[T]) + mean(far[t]) + 0.1 * sum(U ** 2)
    centre = mean(h[t], over=(t, n))
    spread = mean(h[t] ** 2) - dot(centre, centre) / 3
    size = sum(v * v) / 2
"""


def numbers_by_hand(model, data):
    w, steps, ends = {k: np.array(v) for k, v in model.weights.items()}, [], []
    for x, label, m in zip(*data.values(), strict=True):
        h = np.zeros(3)
        for k in range(len(x)):
            h = np.tanh(w["U"] @ h + w["W"] @ x[k] + w["b"])
            p = 1 / (1 + np.exp(-w["v"] @ h))
            steps.append([p, label[k], m[k], *h])
        ends.append(p)
    p, label, m, *h = np.array(steps).T
    said, far, h = p > 0.5, (p - label) ** 2, np.array(h)
    right = (said & (label == 1)).sum()
    return {"hits": right, "precision": right / said.sum(), "recall": right / label.sum(),
            "f1": 2 * right / (said.sum() + label.sum()), "rmse": np.sqrt(far.mean()), "worst": far.max(),
            "soft": np.log(np.exp(far).mean()), "weighted": (m * far).sum() / m.sum(),
            "ends": np.mean(ends) + far.mean() + 0.1 * (w["U"] ** 2).sum(),
            "spread": (h**2).mean() - (h.mean(1) ** 2).sum() / 3, "size": (w["v"] ** 2).sum() / 2}


@pytest.mark.parametrize("size", [1, 2, 3, 32])
@pytest.mark.parametrize("given", ["lists", "padded"])
def test_what_is_made_of_sums_does_not_depend_on_it_either(size, given):
    model = tr.equations(NUMBERS, x=2, h=3, label=(), m=(), dtype="float64").initialise(2, {"*": tr.Normal(0.7)})
    rng = np.random.default_rng(3)
    data = {"x": [rng.standard_normal((n, 2)) for n in LENGTHS],
            "label": [rng.integers(0, 2, n).astype(float) for n in LENGTHS], "m": [rng.random(n) for n in LENGTHS]}
    made = data if given == "lists" else tr.data.padded(data)
    expected = numbers_by_hand(model, data)
    found = {of: model.evaluate(made, of=of, batch_size=size) for of in expected}
    assert found == pytest.approx(expected, abs=1e-12)
    assert {type(value) for value in found.values()} == {float}


@pytest.mark.parametrize("name", zoo.MODELS)
def test_the_loss_of_any_model_is_that_of_one_batch(name):
    model = zoo.build(name)
    lengths = {i: np.array([5, 1, 4, 2, 3]) for i in zoo.dynamic(model)}
    data = {**zoo.data(model, 5, dict.fromkeys(lengths, 5)), "lengths": lengths}
    whole = float(model.run(data, want=["loss"])["loss"])
    assert model.evaluate(data, batch_size=2) == pytest.approx(whole, rel=1e-12)


def test_what_no_sum_over_examples_gives_is_the_mean_of_the_batches():
    """Each batch counts for its steps."""
    text = "g[l,t] = x[t] * l\nq[l] = max(g[l,t], over=(t, n))\nworst = sum(q[l], over=l) / 3"
    model, x = tr.equations(text, x=(), l=2, dtype="float64"), np.array([[1.0, 5], [3, 2], [7, 0]])
    assert model.evaluate({"x": x}, of="worst", batch_size=2) == pytest.approx((4 * 5 + 2 * 7) / 6)
    assert model.evaluate({"x": x}, of="worst") == pytest.approx(7)


def test_it_is_the_validation_loss_of_fit():
    model, data = tagger(), ragged()
    history = model.fit(data, valid=data, epochs=2, optimizer=tr.SGD(0.1), batch_size=3, progress=False)
    assert model.evaluate(data) == pytest.approx(history.valid_loss[-1], abs=1e-12)
    assert model.evaluate(data) != pytest.approx(history.valid_loss[0], abs=1e-6)


def test_the_state_is_carried_from_batch_to_batch_if_asked():
    model, rng = tagger(), np.random.default_rng(1)
    x, target = rng.standard_normal((12, 2)), rng.integers(0, 4, 12)
    pieces = tr.data.streams({"x": x, "target": target}, 1, 4)
    y, _ = scores(model, x)
    whole = -np.log(y[np.arange(12), target]).mean()
    assert model.evaluate(pieces, carry_state=True) == pytest.approx(whole, rel=1e-12)
    apart = by_hand(model, {"x": np.split(x, 3), "target": np.split(target, 3)})["loss"]
    assert model.evaluate(pieces) == pytest.approx(apart, rel=1e-12)


def test_declared_data_are_observed():
    model = tr.equations("p[t] = sigmoid(a + u * w[t-1])\nw[t] = bernoulli(p[t])", a=(), u=(), dtype="float64")
    model.weights.update({"a": 0.3, "u": -1.0})
    w = np.array([[1.0, 0, 1], [0, 0, 1]])
    p = 1 / (1 + np.exp(-(0.3 - np.concatenate([np.zeros((2, 1)), w[:, :-1]], axis=1))))
    assert model.evaluate({"w": w}) == pytest.approx(-np.log(np.where(w == 1, p, 1 - p)).mean(), rel=1e-12)


@pytest.mark.parametrize(("options", "kind", "message"), [
    ({"of": "y"}, ValueError, r"single number, but y varies over t, n and has shape \(4,\); take a mean"),
    ({"of": "each"}, ValueError, "single number, but each varies over n; take a mean"),
    ({"of": "centre"}, ValueError, r"single number, but centre has shape \(3,\); take a mean"),
    ({"of": "accurate"}, KeyError, "no quantity 'accurate'; did you mean 'accuracy'"),
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
    ({"carry_state": 1}, TypeError, "carry_state is True or False"),
    ({"data": []}, ValueError, "no batches to evaluate on"),
    ({"data": {"x": np.zeros((1, 2, 2))}}, ValueError, "needs the input target"),
    ({"data": {"z": np.zeros((1, 2, 2))}}, KeyError, "no input 'z'"),
])
def test_mistakes_are_told(options, kind, message):
    with pytest.raises(tr.Error, match=message) as caught:
        tagger().evaluate(options.pop("data", ragged()), **options)
    assert isinstance(caught.value, kind)
