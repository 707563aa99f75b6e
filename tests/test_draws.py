"""Declared data: observed where given, drawn where not, and searched for."""

from __future__ import annotations

import gc
import itertools

import numpy as np
import pytest
from compiling import compiling
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tinygrad_rnn.models.model import PosedModel
from tinygrad_rnn.notation.declared import Pose
from tinygrad_rnn.ops.draws import drawn_class

CHAIN = """
h[t] = tanh(W @ w[t-1] + U @ h[t-1] + b + 0.1 * t)
w[t] = categorical(softmax(V @ h[t] + c))
"""
TRANSLATOR = """
k[s] = tanh(A @ x[s] + B @ k[s-1])
h[0] = k[S]
e[t,s] = dot(g, tanh(P @ h[t-1] + Q @ k[s]))
alpha[t,s] = softmax(e[t,s], over=s)
c[t] = sum(alpha[t,s] * k[s], over=s)
h[t] = tanh(W @ w[t-1] + U @ h[t-1] + C @ c[t])
w[t] = categorical(softmax(V @ h[t]))
"""
SELF_ATTENTION = """
u[t] = embed(E, w[t-1]) + 0.1 * t
k[t] = K @ u[t]
q[t] = Q @ u[t]
e[t,s] = where(s <= t, dot(q[t], k[s]), -inf)
a[t,s] = softmax(e[t,s], over=s)
c[t] = sum(a[t,s] * u[s], over=s)
w[t] = categorical(softmax(V @ c[t] + d))
"""
VOICES = """
h[t] = tanh(A @ a[t-1] + B @ b[t-1] + U @ h[t-1])
a[t] = categorical(softmax(F @ h[t]))
b[t] = categorical(softmax(G @ h[t] + H @ a[t]))
"""
EVERYTHING = """
h[t] = tanh(W @ w[t-1] + R @ z[t-1] + U @ h[t-1] + b)
w[t] = categorical(softmax(V @ h[t]))
z[t] = normal(M @ h[t], exp(S @ h[t]))
o[t] = bernoulli(sigmoid(O @ h[t]))
k = categorical(softmax(K @ h[T]))
"""


def chain(**more: object) -> tr.Model:
    return tr.equations(CHAIN, w=5, h=8, **more)


def translator() -> tr.Model:
    return tr.equations(TRANSLATOR, x=4, k=6, h=6, w=5, g=7)


def self_attention() -> tr.Model:
    return tr.equations(SELF_ATTENTION, w=4, u=6, k=5)


def voices() -> tr.Model:
    return tr.equations(VOICES, a=3, b=4, h=6)


def everything() -> tr.Model:
    return tr.equations(EVERYTHING, w=5, z=2, o=3, h=8, k=4)


MODELS = {"chain": (chain, {}), "voices": (voices, {}), "self_attention": (self_attention, {}),
          "translator": (translator, {"x": np.random.default_rng(0).standard_normal((3, 6, 4))})}


# -- drawing from a distribution ---------------------------------------------------------------------------


def shares(p: list[float], **choice: object) -> np.ndarray:
    u = (np.arange(20_000) + 0.5) / 20_000
    return drawn_class(np, np.tile(p, (len(u), 1)), u, 1, **choice).mean(0)


@pytest.mark.parametrize("choice,expected", [
    ({}, [0.4, 0.1, 0.3, 0.2]),
    ({"temperature": 0.5}, [0.16 / 0.3, 0.01 / 0.3, 0.09 / 0.3, 0.04 / 0.3]),
    ({"temperature": 0}, [1, 0, 0, 0]),
    ({"top_k": 2}, [4 / 7, 0, 3 / 7, 0]),
    ({"top_p": 0.75}, [4 / 9, 0, 3 / 9, 2 / 9]),
    ({"top_p": 0.7}, [4 / 7, 0, 3 / 7, 0]),
    ({"top_k": 3, "temperature": 2.0}, np.sqrt([0.4, 0, 0.3, 0.2]) / np.sqrt([0.4, 0.3, 0.2]).sum()),
], ids=str)
def test_shares_are_those_of_the_distribution(choice, expected):
    np.testing.assert_allclose(shares([0.4, 0.1, 0.3, 0.2], **choice), expected, atol=1e-3)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0, 1, exclude_max=True))
@settings(max_examples=60)
def test_a_class_that_cannot_be_is_never_drawn(p, u):
    hot = drawn_class(np, np.array([p]), np.array([u]), 1)[0]
    if sum(p) == 0:
        assert np.isnan(hot).all()
    else:
        assert hot.sum() == 1 and p[int(hot.argmax())] > 0


def test_draws_have_the_distributions_that_the_model_says():
    m = tr.equations("w[t] = categorical(softmax(a))\nz[t] = normal(m, s)\no[t] = bernoulli(p)",
                     a=3, z=(), o=(), dtype="float64")
    m.weights["a"], m.weights["m"], m.weights["s"], m.weights["p"] = np.log([0.2, 0.5, 0.3]), 2.0, 0.5, 0.3
    out = m.run(steps=200, batch=100, seed=1)
    n = 20_000
    np.testing.assert_allclose(np.bincount(out["w"].ravel()) / n, [0.2, 0.5, 0.3], atol=4 / np.sqrt(n) / 2)
    assert abs(out["o"].mean() - 0.3) < 4 * np.sqrt(0.21 / n)
    assert abs(out["z"].mean() - 2.0) < 4 * 0.5 / np.sqrt(n) and abs(out["z"].std() - 0.5) < 4 * 0.5 / np.sqrt(2 * n)
    z = (np.sort(out["z"].ravel()) - 2.0) / 0.5
    from math import erf

    cdf = np.array([0.5 * (1 + erf(v / np.sqrt(2))) for v in z])
    assert np.abs(cdf - (np.arange(n) + 0.5) / n).max() < 1.95 / np.sqrt(n)  # Kolmogorov and Smirnov, 0.1 %
    assert abs(np.corrcoef(out["z"][:, 1:].ravel(), out["z"][:, :-1].ravel())[0, 1]) < 0.03


def test_one_law_is_of_each_number_of_what_is_declared():
    model = tr.equations("e[t] = normal(0, 1)\no[t] = bernoulli(0.25)\nz[t] = W @ x[t] + e[t] * o[t]\n"
                         "loss = mean(sum(z[t] ** 2, axis=0))", x=3, e=4, o=4, dtype="float64")
    x = np.random.default_rng(0).standard_normal((400, 10, 3))
    out = model.run(x=x, want=["e", "o", "z", "loss"], seed=2)
    for name, mean, var in (("e", 0, 1), ("o", 0.25, 3 / 16)):
        each = out[name].reshape(-1, 4)
        np.testing.assert_allclose(each.mean(0), mean, atol=5 * np.sqrt(var / len(each)))
        np.testing.assert_allclose(np.cov(each.T), var * np.eye(4), atol=0.1)
    flat = model.unroll(10).run(x=x, want=["e", "z"], seed=2)
    np.testing.assert_array_equal(flat["e"], out["e"])
    np.testing.assert_allclose(flat["z"], out["z"], rtol=1e-12, atol=1e-12)
    loss, grads = model.value_and_grad(x=x, seed=2)
    assert loss == pytest.approx(out["loss"])
    np.testing.assert_allclose(grads["W"], 2 * np.einsum("nti,ntj->ij", out["z"], x) / 4000, rtol=1e-9)
    quiet = model.run(x=x, want=["e", "o"], temperature=0)
    assert quiet["e"].shape == quiet["o"].shape == (400, 10, 4) and not quiet["e"].any() and not quiet["o"].any()
    seen = tr.equations("e[t] = normal(0, 1)\no[t] = bernoulli(0.25)", e=4, o=4, dtype="float64")
    assert tr.equations(str(seen)).system.quantities["e"].type.shape == (4,)
    likely = (out["e"] ** 2 + np.log(2 * np.pi)).sum(-1).mean() / 2
    likely += -np.log(np.where(out["o"] == 1, 0.25, 0.75)).sum(-1).mean()
    assert seen.value_and_grad(e=out["e"], o=out["o"])[0] == pytest.approx(likely)
    scalar = tr.equations("h[t] = tanh(W * o[t-1] + U @ h[t-1])\no[t] = normal(dot(v, h[t]), 1)", h=3)
    assert scalar.system.quantities["o"].type.shape == ()
    met = tr.equations("e[t] = normal(0, 1)\nz[t] = W @ x[t] + e[t] * exp(S @ x[t])\nb[t] = bernoulli(0.5)", x=3, z=2)
    assert {n: met.system.quantities[n].type.shape for n in "eb"} == {"e": (2,), "b": ()}


def test_what_training_is_not_given_is_drawn_anew_at_each_update():
    model = tr.equations("e[t] = normal(0, 1)\nz[t] = m + exp(s) * e[t]\n"
                         "loss = mean(sum((z[t] - x[t]) ** 2, axis=0))", x=2)
    x = np.random.default_rng(0).normal((1.0, -2.0), 1.0, (64, 10, 2))
    before = model.evaluate({"x": x})
    losses = model.fit({"x": x}, optimizer=tr.Adam(0.03), epochs=60, progress=False, valid={"x": x}).loss
    np.testing.assert_allclose(model.weights["m"], x.mean((0, 1)), atol=0.1)
    assert np.all(model.weights["s"] < -1.5) and losses[-1] < model.evaluate({"x": x}) * 1.2 < before


# -- observed ----------------------------------------------------------------------------------------------


def test_the_loss_is_what_it_would_be_if_it_were_written():
    drawn = everything().run(steps=6, lengths=[6, 4, 5], seed=3)
    data = {k: drawn[k] for k in "wzok"}
    text = EVERYTHING
    for line in ("w[t] = categorical(softmax(V @ h[t]))", "z[t] = normal(M @ h[t], exp(S @ h[t]))",
                 "o[t] = bernoulli(sigmoid(O @ h[t]))", "k = categorical(softmax(K @ h[T]))"):
        text = text.replace(line, "")
    written = tr.equations(text + """
l[t] = cross_entropy(softmax(V @ h[t]), w[t])
g[t] = sum((z[t] - M @ h[t]) ** 2 / (2 * exp(S @ h[t]) ** 2) + S @ h[t] + 0.9189385332046727, axis=0)
q[t] = sum(binary_cross_entropy(sigmoid(O @ h[t]), o[t]), axis=0)
loss = mean(l[t]) + mean(g[t]) + mean(q[t]) + mean(cross_entropy(softmax(K @ h[T]), k[n]))
""", w=5, z=2, o=3, h=8, k=4)
    model = everything()
    for name in model.weights:
        written.weights[name] = model.weights[name]
    loss, grads = model.value_and_grad(data, lengths=[6, 4, 5])
    other, expected = written.value_and_grad(data, lengths=[6, 4, 5])
    np.testing.assert_allclose(loss, other, rtol=1e-6)
    for name in grads:
        np.testing.assert_allclose(grads[name], expected[name], rtol=1e-4, atol=1e-6)
    model.check_gradient(data, lengths=[6, 4, 5])


def test_the_loss_is_of_what_is_observed():
    model = everything()
    drawn = model.run(steps=6, batch=3, seed=3)
    parts = [model.run({n: drawn[n] for n in names}, want=["loss"], steps=6, seed=3)["loss"]
             for names in ("w", "z", "o", "k", "wzok")]
    np.testing.assert_allclose(sum(parts[:4]), parts[4], rtol=1e-6)
    with pytest.raises(tr.Error, match="the loss is of observed data; give w or z or o or k="):
        model.value_and_grad(steps=3)
    with pytest.raises(tr.Error, match="the loss is of observed data"):
        model.run(steps=3, want=["loss"])


def test_a_written_loss_stays():
    model = tr.equations(CHAIN + "\nloss = sum(h[t] ** 2)", w=5, h=8)
    out = model.run(w=np.zeros((2, 3), int))
    assert out["loss"] == pytest.approx((out["h"] ** 2).sum())


def test_the_gradient_is_a_model_that_can_be_read_back():
    again = tr.equations(str(chain().grad()))
    assert again.system.quantities["w"].role == "input" and "d_V" in again.system.quantities


def test_a_file_keeps_the_declaration(tmp_path):
    model = chain()
    again = tr.load(model.save(tmp_path / "m.safetensors"))
    assert str(again) == str(model) and again.declared == ["w"]
    np.testing.assert_array_equal(again.run(steps=7, seed=5)["w"], model.run(steps=7, seed=5)["w"])


# -- drawn -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["chain", "voices", "translator"])
def test_scheduled_unrolled_stepped_streamed_and_resumed_draws_agree(name):
    make, data = MODELS[name]
    model, names = make(), make().declared
    options = {**data} if data else {"lengths": [7, 7, 7]}
    expected = model.run(steps=7, seed=4, **options)
    steps = {"t": 7, **({"s": 6} if data else {})}
    flat = model.unroll(steps).run(seed=4, **(data or {"batch": 3}))
    step = model.stepper(batch=3, seed=4, **data)
    stepped = [step() for _ in range(7)]
    streamed = list(model.stream(data, steps=7, seed=4, batch=3))
    for n in names:
        np.testing.assert_array_equal(flat[n], expected[n])
        np.testing.assert_array_equal(np.stack([s[n] for s in stepped], 1), expected[n])
        np.testing.assert_array_equal(np.stack([s[n] for s in streamed], 1), expected[n])
    if not data:
        first = model.run(steps=3, seed=4, batch=3)
        rest = model.run(steps=4, seed=4, state=first.state)
        for n in names:
            np.testing.assert_array_equal(np.concatenate([first[n], rest[n]], 1), expected[n])


def test_draws_do_not_depend_on_how_plans_are_run():
    with compiling(True):
        expected = everything().run(steps=9, batch=5, seed=2)
    with compiling(False):
        called = everything().run(steps=9, batch=5, seed=2)
    for name, value in called.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-5)


def test_an_examples_draws_do_not_depend_on_the_others():
    model = chain()
    many = model.run(steps=6, batch=5, seed=8)["w"]
    np.testing.assert_array_equal(model.run(steps=6, batch=2, seed=8)["w"], many[:2])
    assert (model.run(steps=6, batch=5, seed=9)["w"] != many).any()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("begun", [1, 4])
def test_a_prefix_is_kept_and_the_rest_drawn(name, begun):
    make, data = MODELS[name]
    model = make()
    batch = {} if data else {"batch": 3}
    whole = model.run(data, steps=6, seed=1, **batch)
    for n in model.declared:
        assert whole[n].shape == (3, 6)
    prefix = {n: whole[n][:, :begun] for n in model.declared}
    again = model.run({**data, **prefix}, steps=6, seed=1)
    streamed = list(model.stream({**data, **prefix}, steps=6, seed=1))
    for n in model.declared:
        np.testing.assert_array_equal(again[n], whole[n])
        np.testing.assert_array_equal(np.stack([s[n] for s in streamed], 1), whole[n][:, begun:])
    other = {n: (v + 1) % 3 for n, v in prefix.items()}
    for n, v in other.items():
        np.testing.assert_array_equal(model.run({**data, **other}, steps=6, seed=1)[n][:, :begun], v)


@pytest.mark.parametrize("name", ["chain", "translator", "self_attention"])
def test_a_stop_ends_an_example(name):
    make, data = MODELS[name]
    model = make()
    batch = {} if data else {"batch": 3}
    whole = model.run(data, steps=12, seed=1, **batch)["w"]
    stop = int(whole[0, 4])
    out = model.run(data, steps=12, seed=1, stop=stop, **batch)
    streamed = np.stack([s["w"] for s in model.stream(data, steps=12, seed=1, stop=stop, **batch)], 1)
    for k in range(3):
        hits = np.flatnonzero(whole[k] == stop)
        end = hits[0] + 1 if len(hits) else 12
        assert out.lengths[k] == end
        np.testing.assert_array_equal(out["w"][k, :end], whole[k, :end])
        assert (out["w"][k, end:] == 0).all()
        np.testing.assert_array_equal(streamed[k, :end], whole[k, :end])
    assert streamed.shape[1] == out.lengths.max()
    seen = next(n for n in ("h", "c") if n in out)
    lengths = out.lengths if name != "translator" else {"t": out.lengths}
    expected = model.run({**data, "w": out["w"]}, lengths=lengths)[seen]
    np.testing.assert_allclose(out[seen], expected, atol=1e-6)
    assert "loss" not in out


def test_a_stop_along_one_index_leaves_the_lengths_of_another():
    model = tr.equations("""
        h[t] = tanh(W @ x[t] + A @ h[t-1])
        k[u] = tanh(R @ k[u-1] + E @ w[u-1])
        k[0] = h[T]
        w[u] = categorical(softmax(V @ k[u]))""", x=2, h=3, k=3, w=4)
    x = np.random.default_rng(0).standard_normal((2, 5, 2))
    out = model.run(x=x, lengths=[1, 5], steps={"u": 8}, stop=0, seed=3, want=["w", "h"])
    named = model.run(x=x, lengths={"t": [1, 5]}, steps={"u": 8}, stop=0, seed=3, want=["w", "h"])
    assert not out["h"][0, 1:].any() and out["h"][1].all()
    for name in ("w", "h"):
        np.testing.assert_array_equal(out[name], named[name])


def test_temperature_and_choice_reach_the_draws():
    model = chain()
    p = tr.equations(CHAIN.replace("w[t] = categorical(softmax(V @ h[t] + c))", "p[t] = softmax(V @ h[t] + c)"),
                     w=5, h=8, p=5)
    for name in model.weights:
        p.weights[name] = model.weights[name]
    greedy = model.run(steps=8, batch=4, temperature=0)["w"]
    np.testing.assert_array_equal(p.run(w=greedy)["p"].argmax(-1), greedy)
    best = model.run(steps=8, batch=4, top_k=2, seed=3)["w"]
    ranks = (-p.run(w=best)["p"]).argsort(-1).argsort(-1)
    assert set(np.take_along_axis(ranks, best[..., None], -1).ravel()) == {0, 1}


def test_no_gradient_passes_a_draw():
    model = everything()
    data = model.run(steps=5, batch=2, seed=1)
    _, grads = model.value_and_grad(w=data["w"], steps=5, seed=1)
    assert not grads["M"].any() and not grads["O"].any() and grads["V"].any()


# -- scheduled sampling ------------------------------------------------------------------------------------


def test_a_share_of_zero_changes_nothing_and_of_one_feeds_only_draws():
    data = {"w": np.random.default_rng(0).integers(0, 5, (6, 9))}

    def losses(share: object) -> list[float]:
        return chain().fit(data, epochs=2, batch_size=3, progress=False, scheduled_sampling=share).loss

    assert losses(0.0) == losses(None) == losses(lambda step: 0.0)
    assert losses(1.0) != losses(0.0) and losses(0.5) not in (losses(0.0), losses(1.0))


def test_what_is_fed_back_is_drawn_from_the_model_itself():
    model = chain()
    fed = model.posed(Pose(frozenset(["w"]), fed=True))
    data = np.random.default_rng(0).integers(0, 5, (3, 7))
    kept = np.ones((3, 7))
    kept[:, 2] = 0
    out = fed.run(w=data, kept_w=kept, want=["fed_w", "h", "loss"], seed=6)
    drawn = model.run(w=data[:, :2], steps=7, seed=6)["w"][:, 2]
    np.testing.assert_array_equal(out["fed_w"].argmax(-1)[:, 2], drawn)
    changed = data.copy()
    changed[:, 2] = drawn
    np.testing.assert_allclose(out["h"], model.run(w=changed)["h"], atol=1e-6)


# -- beam search -------------------------------------------------------------------------------------------


def all_sequences(model: tr.Model, data: dict, classes: int, steps: int, stop: int | None, penalty: float):
    found = []
    for codes in itertools.product(range(classes), repeat=steps):
        end = codes.index(stop) + 1 if stop in codes else steps
        if any(codes[end:]):
            continue
        loss = float(model.run({**data, "w": np.array([codes[:end]])}, want=["loss"])["loss"])
        found.append((-loss * end / ((5 + end) / 6) ** penalty, codes))
    return sorted(found, key=lambda f: -f[0])


@pytest.mark.parametrize("penalty", [0.0, 0.8])
@pytest.mark.parametrize("name", ["chain", "translator", "self_attention"])
def test_a_wide_beam_finds_what_trying_everything_finds(name, penalty):
    make, data = MODELS[name]
    model, one = make(), {k: v[:1] for k, v in data.items()}
    classes = model.system.quantities["w"].type.shape[0]
    beams = model.beam_search(one, steps=3, width=classes**3, stop=1, length_penalty=penalty)
    expected = all_sequences(model, one, classes, 3, 1, penalty)
    finite = np.isfinite(beams.scores[0])
    assert finite.sum() == len(expected)
    np.testing.assert_allclose(beams.scores[0][finite], [score for score, _ in expected], rtol=1e-4)
    np.testing.assert_array_equal(beams.codes[0, 0], expected[0][1])


def test_a_beam_of_one_is_greedy():
    model = chain()
    np.testing.assert_array_equal(model.beam_search(steps=9, width=1, batch=2).codes[:, 0],
                                  model.run(steps=9, batch=2, temperature=0)["w"])


def test_beams_of_examples_do_not_mix():
    model, (_, data) = translator(), MODELS["translator"]
    together = model.beam_search(data, steps=5, width=3, stop=2, lengths={"s": [6, 3, 4]})
    for k, length in enumerate([6, 3, 4]):
        alone = model.beam_search(x=data["x"][k : k + 1, :length], steps=5, width=3, stop=2)
        np.testing.assert_array_equal(together.codes[k, 0, : together.lengths[k, 0]],
                                      alone.codes[0, 0, : alone.lengths[0, 0]])
        np.testing.assert_allclose(together.scores[k], alone.scores[0], rtol=1e-4)


@pytest.mark.parametrize("name", ["chain", "self_attention"])
def test_a_beam_goes_on_from_a_prefix(name):
    model = MODELS[name][0]()
    prefix = np.array([[2, 1], [0, 3]])
    beams = model.beam_search(w=prefix, steps=5, width=2)
    np.testing.assert_array_equal(beams.codes[:, :, :2], np.repeat(prefix[:, None], 2, axis=1))
    whole, begun = (model.run(w=w, want=["loss"])["loss"] for w in (beams.codes[:, 0], prefix))
    np.testing.assert_allclose(-beams.log_likelihoods[:, 0].mean() / 5, whole - begun * 2 / 5, rtol=1e-4)


# -- positions after a state -------------------------------------------------------------------------------


def test_positions_count_on_after_a_state():
    model = tr.equations("h[t] = h[t-1] + t * x[t]", x=2, h=2)
    x = np.random.default_rng(0).standard_normal((2, 6, 2)).astype("float32")
    whole = model.run(x=x)["h"]
    first = model.run(x=x[:, :4], lengths=[4, 2])
    second = model.run(x=np.stack([x[0, 4:6], x[1, 2:4]]), state=first.state)["h"]
    np.testing.assert_allclose(second, np.stack([whole[0, 4:6], whole[1, 2:4]]), rtol=1e-5)
    step = model.stepper(batch=2)
    np.testing.assert_allclose(np.stack([step(x=x[:, k])["h"] for k in range(6)], 1), whole, rtol=1e-5)


# -- errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call,message", [
    (lambda: tr.equations("w[t] = 2 * categorical(softmax(a))", a=3), "declared data are a quantity of their own"),
    (lambda: tr.equations("h[t] = x[t]\nh[0] = normal(a, b)", x=()), "declared data are a quantity of their own"),
    (lambda: tr.equations("w[t] = categorical(p)", p=()), "categorical"),
    (lambda: chain().run(), "no input says how far t runs"),
    (lambda: chain().run(w=np.zeros((1, 2), int), steps=3, batch=4), "w has 1 examples, and batch=4; leave batch= out"),
    (lambda: chain().run(w=np.zeros((1, 2), int), steps=3, want="loss"), "the loss is of observed data; give w="),
    (lambda: chain().run(steps=3, temperature=-1), "temperature must be at least 0"),
    (lambda: chain().run(steps=3, top_k=0), "top_k must be at least 1"),
    (lambda: chain().run(steps=3, top_p=2.0), "top_p is a share"),
    (lambda: chain().run(steps=3, stop=5), "stop= of w, a class, must be from 0 to 4, not 5"),
    (lambda: chain().run(steps=3, stop={"v": 1}), "stop= names 'v'"),
    (lambda: voices().run(steps=3, stop=1), "stop= is ambiguous"),
    (lambda: chain().run(steps=3, batch=0), "batch must be at least 1"),
    (lambda: tr.equations("h[t] = x[t]", x=2).run(x=np.ones((1, 2, 2)), stop=1), "this one declares no data"),
    (lambda: tr.equations("h[t] = x[t]", x=2).stream(x=np.ones((1, 2, 2))).__next__(), "declares no data to draw"),
    (lambda: voices().beam_search(steps=3), "this model draws a, b"),
    (lambda: chain().beam_search(steps=3, width=0), "width must be at least 1"),
    (lambda: chain().fit({"w": np.zeros((2, 3), int)}, scheduled_sampling=2.0), "a share, at most 1"),
    (lambda: tr.equations("loss = mean((a * x[t]) ** 2)", x=()).fit({"x": np.ones((2, 3))}, scheduled_sampling=0.5),
     "for models that declare data"),
    (lambda: tr.categorical(tr.Tensor(np.ones(3))), "categorical declares data of a model"),
    (lambda: chain().stepper(x=1), "the model has no input 'x'"),
])
def test_errors_speak(call, message):
    with pytest.raises(tr.Error, match=message):
        call()


def test_what_is_no_distribution_is_told():
    model = tr.equations("w[t] = categorical(a * x[t])", x=3, a=())
    model.weights["a"] = 1.0
    x = np.ones((2, 4, 3))
    x[1, 2, 0] = -1
    with pytest.raises(tr.Error, match="w cannot be drawn at example 1, t = 3"):
        model.run(x=x)
    out = model.run(x=np.where(x < 0, np.nan, x), lengths=[4, 2])
    assert (out["w"][1, 2:] == 0).all()


def test_lengths_may_stand_in_the_data():
    model, (_, data) = translator(), MODELS["translator"]
    batch = {**data, "lengths": {"s": np.array([6, 3, 4])}}
    apart = model.run(data, lengths=batch["lengths"], steps=4)
    np.testing.assert_array_equal(model.run(batch, steps=4)["w"], apart["w"])
    np.testing.assert_array_equal(np.stack([s["w"] for s in model.stream(batch, steps=4)], 1), apart["w"])
    assert model.beam_search(batch, steps=4).codes.shape == (3, 4, 4)
    with pytest.raises(tr.Error, match="lengths are given twice"):
        model.run(batch, steps=4, lengths={"s": [6, 6, 6]})


def test_a_model_keeps_few_of_the_models_that_it_draws_from():
    """Of a temperature that falls from run to run each has a model and plans of its own."""
    model = chain()
    trained = model.observing()
    for k in range(40):
        model.run(steps=3, batch=2, temperature=1 - k / 100)
        assert model.observing() is trained  # what is asked for again and again stays
    gc.collect()
    assert sum(isinstance(one, PosedModel) and one.weights is model.weights for one in gc.get_objects()) <= 16


def test_batches_in_a_list_are_given_the_same_names_all():
    model = tr.equations("e[t] = normal(0, 1)\nz[t] = m + e[t]\nloss = mean((z[t] - x[t]) ** 2)", x=())
    batch = {"x": np.zeros((2, 3))}
    assert len(model.fit([batch, batch], progress=False).steps) == 2
    assert model.evaluate([batch]) > 0
    noise = {**batch, "e": np.zeros((2, 3))}
    assert model.evaluate([noise]) == pytest.approx(float(model.weights["m"]) ** 2)
