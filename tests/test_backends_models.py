"""Models on CuPy as on NumPy: their weights move at the next call, their results are arrays of the backend in use."""

from __future__ import annotations

import numpy as np
import pytest
from machines import K, X, cupy, model

import tinygrad_rnn as tr
from tinygrad_rnn import backends
from tinygrad_rnn.plans.feeds import form, prepared

pytestmark = pytest.mark.device


def test_models_move_their_weights_at_the_next_call_both_ways(gpu):
    m = model()
    expected, grads = m.value_and_grad(x=X, k=K)
    before = {name: np.array(w) for name, w in m.weights.items()}
    untouched = model()  # its weights are drawn on the other backend
    untouched.weights  # noqa: B018
    tr.use_backend("cupy")
    for given in ((X, K), (gpu(X), gpu(K)), (gpu(X), K), (X.tolist(), tr.Tensor(K))):
        loss, found = m.value_and_grad(x=given[0], k=given[1])
        assert np.allclose(backends.current().to_host(loss), expected)
        for name, gradient in grads.items():
            assert np.allclose(backends.current().to_host(found[name]), gradient, atol=1e-6)
    for name, w in m.weights.items():
        assert isinstance(w, cupy().ndarray) and (w.get() == before[name]).all()
    m.weights["b"] = gpu(np.array([1.0, 2.0]))
    m.weights["U"] = np.eye(2)
    assert (untouched.weights["W"].get() == before["W"]).all()
    tr.use_backend("numpy")
    assert m.weights["b"].tolist() == [1.0, 2.0] and m.weights["U"].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert type(m.weights["W"]) is np.ndarray and (m.weights["W"] == before["W"]).all()
    m.weights.update(before)
    loss, found = m.value_and_grad(x=X, k=K)
    assert loss == expected and all((found[name] == g).all() for name, g in grads.items())


def test_what_is_checked_is_checked_where_it_lies(gpu, monkeypatch):
    m = tr.equations("y[t] = softmax(W @ x[t])\nloss = mean(cross_entropy(y[t], k[t]))", x=3, y=4)
    tr.use_backend("cupy")
    classes = gpu(np.array([[0, 1, 3, 9], [3, 2, 1, 0]]))
    get = cupy().ndarray.get

    def small(a, *args, **options):
        assert a.size <= 2, "an array was brought to the host"
        return get(a, *args, **options)

    monkeypatch.setattr(cupy().ndarray, "get", small)
    with pytest.raises(tr.Error, match="k is class 9 at example 0, t = 4; the classes are 0 to 3"):
        prepared(m.system, ("loss",), {"x": gpu(X), "k": classes})
    monkeypatch.undo()
    loss, _ = m.value_and_grad(x=gpu(X), k=classes, lengths=[3, 4])
    lengths = gpu(np.array([3, 4]))
    assert float(m.value_and_grad(x=gpu(X), k=classes, lengths=lengths)[0]) == float(loss)
    bad = X.copy()
    bad[1, 2, 0] = np.nan
    with pytest.raises(tr.Error, match="the input x is NaN, first at example 1, t = 3"):
        m.run(x=gpu(bad), want="y", check=True)


def test_a_state_goes_on_from_either_side(gpu):
    m = model()
    whole = m.run(x=X)["h"]
    on_host = m.run(x=X[:, :2]).state
    tr.use_backend("cupy")
    host = backends.current().to_host
    assert np.allclose(host(m.run(x=X[:, 2:], state=on_host)["h"]), whole[:, 2:], atol=1e-6)
    state = {name: gpu(host(value)) for name, value in m.run(x=X[:, :2]).state.items()}
    assert np.allclose(host(m.run(x=X[:, 2:], state=state)["h"]), whole[:, 2:], atol=1e-6)


def text():
    return tr.equations("h[t] = tanh(W @ w[t-1] + U @ h[t-1] + A @ x[t])\nw[t] = categorical(softmax(V @ h[t]))",
                        w=3, h=2, x=3)


def fitted(at, m, **options):
    history = m.fit({"x": at(X), "k": at(K)}, epochs=2, batch_size=1, progress=False, **options)
    return {"loss": history.loss, **m.weights}


def stepped(at, m):
    step = m.stepper(batch=2)
    return {"h": [step(x=at(X[:, k]))["h"] for k in range(4)], "state": step.state}


WORDS, AT = np.array([[0, 1, 2, 1], [2, 2, 1, 0]]), np.array([2, 4])
RUNS = {
    "run": lambda at: model().run(x=at(X), lengths=at(AT)),
    "its state": lambda at: model().run(x=at(X)).state,
    "gradients": lambda at: dict(enumerate(model().value_and_grad(x=at(X), k=at(K), wrt=["W", "x"]))),
    "segments": lambda at: model().value_and_grad(x=at(X), k=at(K), memory="sqrt")[1],
    "trace": lambda at: model().trace(x=at(X), k=at(K)),
    "steps": lambda at: stepped(at, model()),
    "unrolled": lambda at: model().unroll(4).run(x=at(X), lengths=at(AT)),
    "unrolled gradients": lambda at: model().unroll(4).value_and_grad(x=at(X), k=at(K), lengths=AT)[1],
    "drawn": lambda at: text().run(x=at(X), seed=1),
    "drawn to a stop": lambda at: text().run(x=at(X), seed=1, stop=1, lengths=at(AT)),
    "gone on from a prefix": lambda at: text().run(x=at(X), w=at(WORDS[:, :2]), seed=1),
    "gone on from prefixes": lambda at: text().run(x=at(X), w=[w[:k] for k, w in enumerate(WORDS.tolist())], seed=1),
    "observed": lambda at: text().value_and_grad(x=at(X), w=at(np.where(np.arange(4) < AT[:, None], WORDS, -1)),
                                                 lengths=AT)[1],
    "stream": lambda at: dict(enumerate(text().stream(x=at(X), seed=3, stop=1))),
    "beams": lambda at: vars(text().beam_search(x=at(X), steps=4, stop=1)),
    "a weight by a rule": lambda at: dict(model().initialise(rules={"W": at(K[0, :2, :1].repeat(3, 1))}).weights),
    "fit": lambda at: fitted(at, model(), clip=1.0, valid={"x": at(X), "k": at(K)}, patience=1),
    "fit by segments": lambda at: fitted(at, model(), truncate=2),
}


def leaves(found):
    for value in found.values() if isinstance(found, dict) else found:
        yield from leaves(value) if isinstance(value, (dict, list, tuple)) else [value]


@pytest.mark.parametrize("what", RUNS)
def test_results_are_the_same_arrays_of_the_backend_in_use(what, gpu):
    expected = list(leaves(RUNS[what](lambda a: a)))
    tr.use_backend("cupy")
    for at in (gpu, lambda a: a):
        found = list(leaves(RUNS[what](at)))
        assert {type(a) for a in found} <= {cupy().ndarray, float}
        for a, b in zip(found, expected, strict=True):
            assert np.shape(a) == np.shape(b) and np.allclose(tr.to_numpy(a), b, atol=1e-5)


def test_a_stepper_goes_on_where_the_backend_changes(gpu):
    expected = stepped(lambda a: a, model())["h"]
    step = model().stepper(batch=2)
    for k, name in enumerate(("numpy", "numpy", "cupy", "numpy")):
        tr.use_backend(name)
        assert np.allclose(tr.to_numpy(step(x=X[:, k])["h"]), expected[k], atol=1e-6)


def test_another_precision_is_another_plan(gpu):
    tr.use_backend("cupy")
    m = model()
    step = m.stepper(batch=2)
    for k in range(3):
        step(x=X[:, k])
    live, before = step._live, m.plans.how()
    step(x=X[:, 0])
    assert step._live is live and before == m.plans.how()
    assert len(m.plans._plans) == 1  # beside the one that the stepper has to itself
    tr.use_backend("cupy", "tf32")
    step(x=X[:, 0])
    assert step._live is not live and before != m.plans.how()
    del live  # with it the other plan comes back, when one is asked for
    tr.use_backend("cupy")
    m.stepper(batch=2)(x=X[:, 0])
    assert len(m.plans._plans) == 2
    assert form({"x": gpu(X)}, "f") == form({"x": gpu(2 * X)}, "f")
    assert form({"x": X}, "f") is None  # it is not where a replay takes it from


def test_training_resumes_and_results_are_drawn_on_cupy(gpu, tmp_path):
    tr.use_backend("cupy")
    options = {"checkpoint": tmp_path / "m.safetensors", "batch_size": 1, "progress": False, "carry_state": True,
               "shuffle": False}
    whole, cut = model(), model()
    data = {"x": gpu(X), "k": gpu(K)}
    whole.fit(data, epochs=3, **options)
    cut.fit(data, epochs=1, **options)
    cut = model()
    cut.fit(data, epochs=3, resume=True, **options)
    assert all(np.allclose(tr.to_numpy(whole.weights[name]), tr.to_numpy(w)) for name, w in cut.weights.items())
    values = cut.trace(data)
    assert cut.draw(tmp_path / "m.svg", view="unrolled", values=values).exists()
    assert isinstance(values["h"], cupy().ndarray)
    assert max(cut.check_gradient(data).values()) < 1e-6
