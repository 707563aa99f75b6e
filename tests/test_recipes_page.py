"""The code of docs/recipes.md runs, and gives what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tr

TEXT = (Path(__file__).parents[1] / "docs" / "recipes.md").read_text(encoding="utf-8")
RNG = np.random.default_rng(0)
N, T = 16, 40
X, Y, L = RNG.normal(size=(N, T, 27)), RNG.integers(0, 27, (N, T)), RNG.integers(20, T + 1, N)
SHAPES = {"weight_ih_l0": (256, 27), "weight_hh_l0": (256, 64), "bias_ih_l0": 256, "bias_hh_l0": 256}
STATE = {name: 0.2 * RNG.normal(size=shape) for name, shape in SHAPES.items()}
COUNTS = RNG.integers(3, 9, N)


def section(title, **given):
    """The names that the code of a section leaves."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.S | re.M)
    for block in re.findall(r"```python\n(.*?)```", found[1], re.S):
        exec(compile(block, title, "exec"), given)
    return given


@pytest.fixture
def lstm():
    return tr.graphs.lstm(dtype="float64")


@pytest.fixture(scope="module")
def layers():
    return section("Layers, directions, dropout, words", tr=tr, words=RNG.integers(0, 1000, (N, T)), L=L,
                   tags=RNG.integers(0, 9, (N, T)), label=RNG.integers(0, 5, N))


def test_every_section_with_code_has_a_test_here():
    tested = Path(__file__).read_text(encoding="utf-8")
    for part in TEXT.split("\n## ")[1:]:
        if "```python" in part:
            assert f'section("{part.splitlines()[0]}"' in tested, part.splitlines()[0]


def test_weights_of_pytorch(lstm):
    head = {"weight": RNG.normal(size=(27, 64)), "bias": RNG.normal(size=27)}
    theirs = section("Weights of PyTorch", tr=tr, lstm=lstm, state=STATE, head=head)["theirs"]
    np.testing.assert_array_equal(lstm.weights["W_xg"], STATE["weight_ih_l0"][128:192])  # rows i, f, g, o
    np.testing.assert_allclose(theirs["bias_ih_l0"], STATE["bias_ih_l0"] + STATE["bias_hh_l0"])
    np.testing.assert_array_equal(theirs["weight_hh_l0"], STATE["weight_hh_l0"])
    np.testing.assert_array_equal(lstm.weights["W_hy"], head["weight"])


def test_layers(layers):
    tagger, grads = layers["tagger"], layers["grads"]
    assert tagger.weights["W_xi_f3"].shape == (64, 128) and tagger.weights["E"].shape == (1000, 32)
    inputs = {"w": layers["words"], "target": layers["tags"], "lengths": L}
    at_rest, training = (tagger.run(inputs, training=act, want=["h2", "h1"]) for act in (False, True))
    np.testing.assert_array_equal(at_rest["h2"], at_rest["h1"])
    inside = np.arange(T) < L[:, None]
    assert (training["h2"] == 0)[inside].mean() == pytest.approx(0.3, abs=0.02)
    out = layers["reader"].run(w=layers["words"], lengths=L, want=["y", "h_f", "h_b"])
    ends = np.concatenate([out["h_f"][np.arange(N), L - 1], out["h_b"][:, 0]], 1)
    scores = np.exp(ends @ layers["reader"].weights["V"].T + layers["reader"].weights["b"])
    np.testing.assert_allclose(out["y"], scores / scores.sum(1, keepdims=True), rtol=1e-4)
    assert grads["V"].shape == (5, 128)


def test_a_first_state_of_ones_own(lstm):
    started = lstm.extend("h[0] = h0\nc[0] = c0")
    assert started.weights["h0"].shape == started.weights["c0"].shape == (64,)


def test_lines_to_put_together():
    pieces = section("Lines to put together", tr=tr)["pieces"]
    rng = np.random.default_rng(1)
    for name, shape in pieces.weights.shapes.items():
        pieces.weights[name] = rng.normal(size=shape)
    x, info, w = rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 3)), pieces.weights
    out = pieces.run(x=x, info=info, want=["loss"])
    losses = []
    for one, features in zip(x, info, strict=True):
        around = np.concatenate([np.zeros((1, 4)), one, np.zeros((1, 4))])
        h, k, ks = np.zeros(16), np.zeros(8), []
        for t in range(1, 6):
            z = np.maximum(w["A"] @ around[t - 1] + w["B"] @ around[t] + w["C"] @ around[t + 1], 0)
            h = np.tanh(w["W"] @ z + w["U"] @ h + w["S"] @ features)
            k = np.tanh(w["K"] @ h) if t % 2 == 0 else k
            ks.append(k)
        e = np.exp([w["v"] @ np.tanh(w["P"] @ k) for k in ks])
        c, d = e / e.sum() @ np.array(ks), np.zeros(8)
        for t in range(5):
            d = np.tanh(w["Q"] @ c + w["g"] * w["V"] / np.linalg.norm(w["V"]) @ d)
            losses.append((w["R"] @ d - one[t]) ** 2)
    np.testing.assert_allclose(out["loss"], np.mean(losses), rtol=1e-5)


def test_a_regularised_language_model():
    awd = section("A regularised language model", tr=tr)["awd"]
    words = RNG.integers(0, 1000, (N, T))
    out = awd.run(w=words, target=words, training=True)
    assert out["mask_h"].shape == (64, 64)  # no axis of examples or steps
    dropped = out["x"] == 0
    assert (dropped == dropped[:, :1]).all() and dropped.mean() == pytest.approx(0.4, abs=0.05)
    before = np.concatenate([np.zeros((N, 1, 64)), out["h"][:, :-1]], 1)
    ce = -np.log(np.take_along_axis(out["y"], words[..., None], -1)).mean()
    loss = ce + 2 * (out["d"] ** 2).mean() + ((out["h"] - before) ** 2).mean()
    np.testing.assert_allclose(out["loss"], loss, rtol=1e-4)


def test_losses(lstm):
    costs = RNG.random(27)
    out = section("Losses", lstm=lstm, X=X, Y=Y, L=L, costs=costs)["out"]
    y, inside = lstm.run(x=X, lengths=L, want=["y"])["y"], np.arange(T) < L[:, None]
    logs = np.log(np.where(inside[..., None], y, 1))
    ce = -np.take_along_axis(logs, Y[..., None], -1)[..., 0]
    m = costs[Y] * inside
    np.testing.assert_allclose(out["weighted"], (m * ce).sum() / m.sum())
    np.testing.assert_allclose(out["smooth"], (0.9 * ce - 0.1 * logs.mean(-1)).sum() / inside.sum())
    np.testing.assert_allclose(out["focal"], ((1 - np.exp(-ce)) ** 2 * ce).sum() / inside.sum())
    np.testing.assert_allclose(out["each"], ce.sum(1) / L)


def test_ctc(layers):
    spoken = RNG.integers(0, 12, (N, 8))
    made = section("CTC", tr=tr, both=layers["both"], spoken=spoken, counts=COUNTS, L=L,
                   sound=RNG.normal(size=(N, T, 20)))
    assert np.isfinite(made["loss"]) and made["grads"]["W_hi_b"].any()
    for text, row, length in zip(made["texts"], made["best"], L, strict=True):
        expected = [c for k, c in enumerate(row[:length]) if c != 12 and (k == 0 or row[k - 1] != c)]
        assert text == expected


def test_translation():
    words, written = RNG.integers(0, 1000, (N, T)), RNG.integers(0, 40, (N, 9))
    written[np.arange(N), COUNTS - 1] = 40
    made = section("Translation: attention, teacher forcing, beams", tr=tr, words=words, written=written, L=L,
                   written_lengths=COUNTS)
    assert made["greedy"].shape[0] == N and made["beams"].codes.shape[:2] == (N, 4)
    assert len(made["history"].loss) == 1


def test_forecasts():
    values, known = RNG.normal(size=(N, T, 1)), RNG.normal(size=(N, T, 3))
    made = section("Forecasts", tr=tr, values=values, known=known)
    so_far = values[:, :30]
    for t in range(30, T):  # by hand: each forecast is given as if it had been seen
        seen = np.concatenate([so_far, np.zeros((N, 1, 1))], 1)
        m = made["forecaster"].run(v=seen, u=known[:, : t + 1], want=["m"])["m"][:, t]
        np.testing.assert_allclose(made["ahead"][:, t - 30], m, rtol=1e-3, atol=1e-5)
        so_far = np.concatenate([so_far, m[:, None]], 1)


def test_gradients_of_other_things(lstm):
    direction, step = RNG.normal(size=(64, 64)), 1e-5
    made = section("Gradients of other things", lstm=lstm, X=X, Y=Y, direction=direction)
    y, k = lstm.run(x=X, want=["y"])["y"][:, -1], Y[:, -1]
    moved = X.copy()
    moved[3, 20, 5] += step
    change = lstm.run(x=moved, want=["y"])["y"][3, -1, k[3]] - y[3, k[3]]
    np.testing.assert_allclose(made["saliency"][3, 20, 5], change / step, rtol=1e-3, atol=1e-9)
    before, sides = lstm.weights["W_hf"].copy(), []
    for sign in (1, -1):
        lstm.weights["W_hf"] = before + sign * step * direction
        sides.append(lstm.value_and_grad(x=X, target=Y, wrt=["W_hf"])[1]["W_hf"])
    np.testing.assert_allclose(made["product"], (sides[0] - sides[1]) / (2 * step), rtol=1e-4, atol=1e-8)


def test_a_training_loop(lstm):
    before = {name: w.copy() for name, w in lstm.weights.items()}
    grads = lstm.value_and_grad(x=X, target=Y)[1]  # of both halves at once
    made = section("A training loop of one's own", tr=tr, lstm=lstm, X=X, Y=Y)
    assert not made["grads"].keys() & {"W_hy", "b_y"}
    first = {name: before[name] - (1e-3 if name in ("W_hy", "b_y") else 1e-4) * np.sign(grads[name]) for name in grads}
    for name in ("W_hy", "W_xi"):  # Adam's first updates go by the sign; the average follows by a hundredth each
        moved = made["average"][name] - before[name]
        assert np.corrcoef(moved.ravel(), (first[name] - before[name]).ravel())[0, 1] > 0.8
    np.testing.assert_array_equal(lstm.weights["W_hy"], made["average"]["W_hy"])


def test_a_service(lstm):
    first = {key: 0 * value for key, value in lstm.run(x=X[:1]).state.items()}
    answer = section("A service with sessions", np=np, lstm=lstm, first=first)["answer"]
    expected, seen = lstm.run(x=X[:3], want=["y"])["y"], {"a": 0, "b": 0, "c": 0}
    for names in (["a", "b"], ["b"], ["c", "a"], ["a", "b", "c"]):
        found = answer({name: X["abc".index(name), seen[name]] for name in names})
        for name in names:
            np.testing.assert_allclose(found[name], expected["abc".index(name), seen[name]], atol=1e-12)
            seen[name] += 1
