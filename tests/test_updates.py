"""What `fit` keeps when an update goes wrong or nobody looks, on NumPy and on the stand-in for CuPy alike."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import pytest
from on_standin import settings, standin

import tinygrad_rnn as tr
from tinygrad_rnn import backends
from tinygrad_rnn.files import load_checkpoint
from tinygrad_rnn.lowering import work

ELMAN = """
    h[t] = tanh(U @ h[t-1] + W @ x[t] + b)
    loss = mean(squared_error(h[t], target[t]))
"""


@pytest.fixture(params=["numpy", "cupy"])
def backend(request):
    """Either backend, for the length of a test."""
    if request.param == "numpy":
        with backends.using("numpy"):
            yield request.param
        return
    with standin() as device, settings(device, loops="launched"):
        yield request.param


def model(hidden=4):
    return tr.equations(ELMAN, x=3, h=hidden)


def batch(seed, examples=2, steps=5, hidden=4):
    rng = np.random.default_rng(seed)
    return {"x": rng.standard_normal((examples, steps, 3)), "target": rng.standard_normal((examples, steps, hidden))}


def spoilt(seed):
    found = batch(seed)
    found["x"][0, 0] = np.nan
    return found


def test_a_loss_that_is_not_finite_leaves_all_as_it_was_before(backend, tmp_path):
    path = tmp_path / "c.safetensors"
    found = []
    for batches in ([batch(1), batch(2)], [batch(1), batch(2), spoilt(3), batch(4)]):
        trained, goes_wrong = model(), len(batches) > 2
        end = pytest.raises(tr.Error, match="the loss is nan at update 3") if goes_wrong else contextlib.nullcontext()
        with end:
            trained.fit(batches, optimizer=tr.Adam(0.1), carry_state=True, progress=False,
                        checkpoint=path if goes_wrong else None)
        found.append({name: tr.to_numpy(w).copy() for name, w in trained.weights.items()})
    for name, weight in found[0].items():
        np.testing.assert_array_equal(found[1][name], weight, err_msg=name)
    arrays, _ = load_checkpoint(path)
    assert int(arrays["optimizer.step"]) == 2
    assert all(np.isfinite(a).all() for name, a in arrays.items() if not name.startswith("history."))


def test_the_global_norm_of_large_gradients(backend):
    linear = tr.equations("y[t] = W @ x[t]\nloss = mean(y[t])", x=1, y=1, dtype="float32")
    linear.weights["W"] = np.array([[0.5]])
    history = linear.fit({"x": np.full((1, 2, 1), 1e20, "float32")}, optimizer=tr.SGD(1.0), clip=1.0, progress=False)
    assert history.steps[0]["gradient_norm"] == pytest.approx(1e20, rel=1e-6)
    np.testing.assert_allclose(tr.to_numpy(linear.weights["W"]), [[-0.5]], rtol=1e-6)


def test_data_of_the_other_byte_order(backend):
    one, other = model(), model()
    data = batch(1)
    swapped = {name: a.astype(a.dtype.newbyteorder()) for name, a in data.items()}
    losses = [m.fit(d, epochs=2, progress=False).loss for m, d in ((one, data), (other, swapped))]
    assert losses[0] == losses[1]


def test_a_checkpoint_of_several_threads_goes_on_elsewhere(backend, tmp_path, monkeypatch):
    monkeypatch.setattr(work, "COMPILED", 0)
    path, data = tmp_path / "c.safetensors", batch(1, examples=8)
    options = {"optimizer": tr.Adam(0.1), "checkpoint": path, "progress": False, "shuffle": False, "batch_size": 4}
    with backends.using("numpy"):
        first = model()
        monkeypatch.setattr(backends.current(), "threads", lambda: 2)
        first.fit(data, epochs=1, **options)
        whole = model()
        losses = whole.fit(data, epochs=2, **{**options, "checkpoint": None, "optimizer": tr.Adam(0.1)}).loss
    second = model()
    history = second.fit(data, epochs=2, resume=True, **{**options, "optimizer": tr.Adam(0.1)})
    np.testing.assert_allclose(history.loss, losses, rtol=1e-5)


def test_the_bar_shows_the_loss(backend, capsys, monkeypatch):
    monkeypatch.setattr("tinygrad_rnn.training.fit.SHOWN_EVERY", -math.inf)
    model().fit([batch(k) for k in range(3)], progress=True)
    assert "loss=" in capsys.readouterr().err
