"""Plans: cached, static, right at any length; state, streaming, files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from zoo import LSTM, build, data

import tinygrad_rnn as tr


def lstm(**sizes):
    return tr.equations(LSTM, **{"x": 8, "h": 32, "y": 5, **sizes})


def test_a_second_call_allocates_nothing_of_size():
    model, steps = lstm(), 200
    inputs = {"x": np.zeros((16, steps, 8), "float32"), "target": np.zeros((16, steps), int)}
    model.value_and_grad(inputs)
    one = 16 * steps * 32 * 4  # bytes of one quantity over all steps
    tracemalloc.start()
    model.value_and_grad(inputs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < one


def test_plans_are_made_once_per_set_of_shapes():
    model = lstm()
    for batch in (2, 3, 2, 3):
        model.run(x=np.zeros((batch, 4, 8)), want="h")
    assert len(model.plans._plans) == 2


def test_results_belong_to_the_caller():
    model = lstm()
    rng = np.random.default_rng(0)
    first = model.run(x=rng.standard_normal((2, 4, 8)), want="h")["h"]
    kept = first.copy()
    model.run(x=rng.standard_normal((2, 4, 8)), want="h")
    np.testing.assert_array_equal(first, kept)
    first[...] = 0


def test_weights_are_read_only_views_that_follow():
    model = lstm()
    view = model.weights["b_f"]
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1
    model.weights["b_f"] = np.ones(32)
    assert (view == 1).all()
    with pytest.raises(tr.Error, match=r"shape \(32,\), not \(3,\)"):
        model.weights["b_f"] = np.ones(3)
    with pytest.raises(tr.Error, match="no weight 'b_q'"):
        model.weights["b_q"]


def test_dtypes():
    x = np.zeros((1, 2, 8))
    assert lstm().run(x=x)["h"].dtype == np.float32
    assert tr.equations(LSTM, x=8, h=4, y=5, dtype="float64").run(x=x)["h"].dtype == np.float64


def test_a_state_carries_on():
    model = build("two_layers")
    x = data(model, 2, {"t": 9})["x"]
    whole = model.run(x=x, want=["h", "k"])
    state, parts = None, []
    for cut in (slice(0, 4), slice(4, 5), slice(5, 9)):
        out = model.run(x=x[:, cut], want=["h", "k"], state=state)
        state = out.state
        parts.append(out["k"])
    np.testing.assert_allclose(np.concatenate(parts, 1), whole["k"], rtol=1e-12, atol=1e-12)


def test_a_stepper_of_a_deep_model_carries_every_layer():
    model = tr.equations("""
        h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1] + V[l] @ h[l,t-2] + b[l])
        h[0,t] = E @ x[t]
        y[t] = h[2,t]""", l=2, h=4, x=3, dtype="float64")
    x = np.random.default_rng(0).normal(size=(2, 6, 3))
    step, whole = model.stepper(batch=2, want=["y"]), model.run(x=x, want="y")["y"]
    np.testing.assert_allclose(np.stack([step(x=x[:, k])["y"] for k in range(6)], 1), whole, rtol=1e-12, atol=1e-12)
    first = model.run(x=x[:, :3], want="y")
    np.testing.assert_allclose(model.run(x=x[:, 3:], want="y", state=first.state)["y"], whole[:, 3:],
                               rtol=1e-12, atol=1e-12)


def test_a_stepper_equals_a_run():
    model = build("lstm")
    x = data(model, 3, {"t": 5})["x"]
    step, whole = model.stepper(batch=3), model.run(x=x)
    for k in range(5):
        out = step(x=x[:, k])
        for name in ("h", "c", "y"):
            np.testing.assert_allclose(out[name], whole[name][:, k], rtol=1e-12, atol=1e-12)
    step.reset()
    np.testing.assert_allclose(step(x=x[:, 0])["h"], whole["h"][:, 0], rtol=1e-12, atol=1e-12)


def test_what_reads_the_future_cannot_be_stepped():
    model = build("bidirectional")
    with pytest.raises(tr.Error, match="needs the whole sequence"):
        model.stepper(want=["y"])(x=np.zeros((1, 3)))


def test_ten_thousand_steps_train():
    model = tr.equations(LSTM, x=3, h=8, y=2)
    rng = np.random.default_rng(0)
    inputs = {"x": rng.standard_normal((1, 10_000, 3)), "target": rng.integers(0, 2, (1, 10_000))}
    history = model.fit(inputs, optimizer=tr.Adam(1e-2), epochs=3, progress=False)
    assert history.loss[-1] < history.loss[0]


def test_a_saved_model_describes_itself(tmp_path):
    model = build("attention")
    model.save(tmp_path / "m.safetensors")
    again = tr.load(tmp_path / "m.safetensors")
    assert str(again) == str(model)
    inputs = data(model, 2, {"t": 3, "s": 4})
    assert model.run(inputs, want="loss")["loss"] == again.run(inputs, want="loss")["loss"]


# -- training ----------------------------------------------------------------------------------------


def examples(count=64):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((count, 6, 3))
    return {"x": x, "target": (x[..., 0] > 0).astype(int)}


@pytest.mark.parametrize("optimizer", [tr.SGD(0.5, momentum=0.9, nesterov=True), tr.RMSProp(1e-2), tr.Adam(3e-2),
                                       tr.AdamW(tr.Cosine(6e-2, 60))])
def test_fit_learns(optimizer):
    model = build("lstm", "float32")
    history = model.fit(examples(), optimizer=optimizer, epochs=30, clip=1.0, valid=examples(16), progress=False)
    assert history.valid_loss[-1] < 0.4 < history.valid_loss[0]
    assert [row["epoch"] for row in history.rows] == list(range(1, 31))


def test_fit_with_lengths_ignores_padding():
    model, spoilt = build("rnn"), examples(8)
    lengths = np.array([1, 2, 3, 4, 5, 6, 6, 1])
    clean = model.value_and_grad(spoilt, lengths=lengths)[1]
    for row, length in enumerate(lengths):
        spoilt["x"][row, length:], spoilt["target"][row, length:] = np.nan, -1
    again = build("rnn")
    again.fit({**spoilt, "lengths": lengths}, optimizer=tr.SGD(1.0), progress=False, shuffle=False)
    for name in model.weights:
        np.testing.assert_allclose(again.weights[name], model.weights[name] - clean[name], rtol=1e-12, atol=1e-12)


def test_truncation_carries_the_state_and_passes_no_gradient():
    model, cut = build("rnn"), build("rnn")
    inputs = data(model, 2, {"t": 6})
    cut.fit(inputs, optimizer=tr.SGD(0.1), truncate=3, progress=False, shuffle=False)
    state = None
    for part in (slice(0, 3), slice(3, 6)):
        segment = {k: v[:, part] for k, v in inputs.items()}
        out = model.run(segment, state=state)
        _, grads = model.value_and_grad(segment, state=state)
        state = out.state
        for name, g in grads.items():
            model.weights[name] = model.weights[name] - 0.1 * g
    for name in model.weights:
        np.testing.assert_allclose(cut.weights[name], model.weights[name], rtol=1e-12, atol=1e-12)


def test_early_stopping_puts_the_best_weights_back():
    model = build("lstm", "float32")
    best = []
    history = model.fit(examples(), optimizer=tr.Adam(0.3), epochs=200, valid=examples(16), patience=3, progress=False,
                        on_epoch=lambda row: best.append(row["valid_loss"]))
    assert len(history.rows) < 200 and len(history.rows) - 1 - int(np.argmin(best)) == 3
    assert model.run(examples(16), want="loss")["loss"] == pytest.approx(min(best), abs=1e-6)


def test_a_carried_state_is_no_gradient():
    model = tr.equations("h[t] = tanh(U @ h[t-1] + W @ x[t])\nh[0] = tanh(h0)\nloss = mean(h[t])", x=2, h=3,
                         dtype="float64")
    x = np.random.default_rng(0).normal(size=(2, 4, 2))
    state = model.run(x=x, want="loss").state
    assert set(state) == {"h", "[t]"} and list(state["[t]"]) == [4, 4]
    for _ in range(2):  # nothing of the run before is left over
        assert not model.value_and_grad(x=x, state=state)[1]["h0"].any()
        model.value_and_grad(x=x)


def test_a_resumed_run_repeats_an_uninterrupted_one(tmp_path):
    def make():
        return build("lstm", "float32")

    whole, cut = make(), make()
    whole.fit(examples(), optimizer=tr.Adam(1e-2), epochs=4, progress=False)
    cut.fit(examples(), optimizer=tr.Adam(1e-2), epochs=2, progress=False, checkpoint=tmp_path / "c.safetensors")
    again = make()
    history = again.fit(examples(), optimizer=tr.Adam(1e-2), epochs=4, progress=False, resume=True,
                        checkpoint=tmp_path / "c.safetensors", log=tmp_path / "log.csv")
    for name in whole.weights:
        np.testing.assert_array_equal(whole.weights[name], again.weights[name])
    assert len(history.rows) == 4
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 1 + len(history.steps)


def test_a_killed_fit_leaves_a_checkpoint_that_loads(tmp_path):
    code = f"""
import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
from test_plan import build, examples
import tinygrad_rnn as tr
build("lstm", "float32").fit(examples(), optimizer=tr.Adam(1e-2), epochs=100000, progress=False, save_every=0.0,
                  checkpoint={str(tmp_path / "c.safetensors")!r})
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        for _ in range(2400):
            if (tmp_path / "c.safetensors").exists():
                break
            time.sleep(0.05)
        time.sleep(0.3)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    tr.load(tmp_path / "c.safetensors")
    model = build("lstm", "float32")
    before = model.fit(examples(), optimizer=tr.Adam(1e-2), epochs=0, progress=False, resume=True,
                       checkpoint=tmp_path / "c.safetensors")
    done = len(before.rows)
    after = build("lstm", "float32").fit(examples(), optimizer=tr.Adam(1e-2), epochs=done + 2, progress=False,
                                         resume=True, checkpoint=tmp_path / "c.safetensors")
    assert len(after.rows) == done + 2


def test_a_loss_that_is_not_finite_stops_the_training():
    model = tr.equations("y[t] = w * x[t]\nloss = mean(y[t] * y[t])", x=2, w=())
    model.weights["w"] = 1.0
    with pytest.raises(tr.Error, match="lower the learning rate"):
        model.fit({"x": np.ones((4, 3, 2))}, optimizer=tr.SGD(1e30), epochs=5, progress=False)
