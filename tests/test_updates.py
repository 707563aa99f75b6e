"""What `fit` keeps when an update goes wrong or nobody looks, on NumPy and on the stand-in for CuPy alike."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import pytest
from on_standin import settings, standin

import tinygrad_rnn as tr
from tinygrad_rnn import backends
from tinygrad_rnn.checkpoints import load_checkpoint
from tinygrad_rnn.lowering import work
from tinygrad_rnn.training import fit

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


def check_nothing_was_changed(bad, path, message, **options):
    """Training that a third batch stops leaves the weights, and its checkpoint, as two batches had made them."""
    found = []
    for batches in ([batch(1), batch(2)], [batch(1), batch(2), bad, batch(4)]):
        trained, goes_wrong = model(), len(batches) > 2
        with pytest.raises(tr.Error, match=message) if goes_wrong else contextlib.nullcontext():
            trained.fit(batches, optimizer=tr.Adam(0.1), progress=False, checkpoint=path if goes_wrong else None,
                        **options)
        found.append({name: tr.to_numpy(w).copy() for name, w in trained.weights.items()})
    for name, weight in found[0].items():
        np.testing.assert_array_equal(found[1][name], weight, err_msg=name)
    arrays, _ = load_checkpoint(path)
    assert int(arrays["optimizer.step"]) == 2
    assert all(np.isfinite(a).all() for name, a in arrays.items() if not name.startswith("history."))


def test_a_loss_that_is_not_finite_leaves_all_as_it_was_before(backend, tmp_path):
    check_nothing_was_changed(spoilt(3), tmp_path / "c.safetensors", "the loss is nan at update 3", carry_state=True)


def of_gates(x):
    """The loss is finite where x is not, since tanh ends; the gradient is not."""
    found = batch(3)
    found["x"][0, 2, 1] = x
    return found


@pytest.mark.parametrize("clip", [None, 1.0, tr.ClipValue(1.0)])
@pytest.mark.parametrize("carry", [False, True])
def test_a_gradient_that_is_not_finite_changes_nothing_either(backend, clip, carry, tmp_path):
    message = "the gradient is not finite at update 3; lower the learning rate"
    check_nothing_was_changed(of_gates(np.inf), tmp_path / "c.safetensors", message, clip=clip, carry_state=carry)


def test_an_infinite_gradient_is_clipped_by_value(backend):
    linear = tr.equations("loss = sum(a * b * w * x[t])", a=(), b=(), w=(), x=())
    linear.weights.update({"a": 0.0, "b": 1e30, "w": 1e30})
    history = linear.fit({"x": np.ones((1, 1))}, optimizer=tr.SGD(0.5), clip=tr.ClipValue(1.0), progress=False)
    assert not math.isfinite(history.steps[0]["gradient_norm"])
    assert float(linear.weights["a"]) == -0.5


def test_it_is_told_where_the_first_nan_is():
    for spoil, message in (
            (spoilt, "the loss is nan at update 2; .*in its batch the input x is NaN, first at example 0, t = 1"),
            (lambda seed: of_gates(np.inf), "the gradient is not finite at update 2; .*d_W is NaN")):
        with pytest.raises(tr.Error, match=message):
            model().fit([batch(1), spoil(2)], progress=False)
    with pytest.raises(tr.Error, match=r"the loss is nan at update 1; .*run\(..., check=True\) tells where"):
        model().fit([spoilt(1)], memory="sqrt", progress=False)


def test_the_global_norm_of_large_gradients(backend):
    linear = tr.equations("y[t] = W @ x[t]\nloss = mean(y[t])", x=1, y=1, dtype="float32")
    linear.weights["W"] = np.array([[0.5]])
    history = linear.fit({"x": np.full((1, 2, 1), 1e20, "float32")}, optimizer=tr.SGD(1.0), clip=1.0, progress=False)
    assert history.steps[0]["gradient_norm"] == pytest.approx(1e20, rel=1e-6)
    np.testing.assert_allclose(tr.to_numpy(linear.weights["W"]), [[-0.5]], rtol=1e-6)


@pytest.mark.device
@pytest.mark.parametrize("wrt", [None, ["W", "b"], ["b", "U"]])
@pytest.mark.parametrize("make", [lambda: tr.SGD(0.1, momentum=0.9), lambda: tr.Adam(0.05)])
def test_a_loop_of_one_s_own_is_that_of_fit(backend, wrt, make):
    fitted, looped, optimizer, clip = model(), model(), make(), tr.ClipNorm(0.1)
    fitted.fit([batch(1)] * 4, optimizer=make(), wrt=wrt, clip=0.1, progress=False)
    for _ in range(4):
        _, grads = looped.value_and_grad(batch(1), wrt=wrt)
        clip(grads)
        optimizer.update(looped.weights, grads)
    for name, weight in fitted.weights.items():
        np.testing.assert_allclose(tr.to_numpy(looped.weights[name]), tr.to_numpy(weight), rtol=1e-5, atol=1e-6)
    assert optimizer.step == 4


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
    shown, show = [], fit._show
    monkeypatch.setattr(fit, "SHOWN_EVERY", -math.inf)
    monkeypatch.setattr(fit, "_show", lambda bar, numbers: (shown.append(numbers), show(bar, numbers)))
    history = model().fit([batch(k) for k in range(3)], valid=batch(4), progress=True)
    losses = np.array([row["loss"] for row in history.steps])
    np.testing.assert_allclose([s["loss"] for s in shown[:3]], np.cumsum(losses) / [1, 2, 3])
    assert shown[3:] == [{"loss": history.loss[0], "valid_loss": history.valid_loss[0]}]
    last = capsys.readouterr().err.split("\r")[-1]
    assert "3/3 [" in last and f"loss={history.loss[0]:.4g}, valid_loss={history.valid_loss[0]:.4g}]" in last


def test_without_a_bar_nothing_is_printed(backend, capsys):
    model().fit([batch(1)], valid=batch(2), progress=False)
    assert capsys.readouterr() == ("", "")
