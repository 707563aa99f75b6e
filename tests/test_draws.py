"""Declared data: drawn where they are not given, alike however a model is run."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from compiling import compiling
from declared_models import CHAIN, MODELS, chain, everything, translator, voices

import tinygrad_rnn as tr
from tinygrad_rnn.models.model import PosedModel


def test_a_file_keeps_the_declaration(tmp_path):
    model = chain()
    again = tr.load(model.save(tmp_path / "m.safetensors"))
    assert str(again) == str(model) and again.declared == ["w"]
    np.testing.assert_array_equal(again.run(steps=7, seed=5)["w"], model.run(steps=7, seed=5)["w"])


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


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("ends", [[1, 4, 2], [0, 3, 0], [5, 1, 0]])
def test_prefixes_of_different_lengths_are_kept_each(name, ends):
    """Each example is drawn as among examples whose prefixes are all as long as its own."""
    make, data = MODELS[name]
    model = make()
    whole = model.run(data, steps=6, seed=1, **({} if data else {"batch": 3}))
    other = {n: (whole[n] + 1) % 3 for n in model.declared}
    ragged = {n: [list(row[:end]) for row, end in zip(v, ends, strict=True)] for n, v in other.items()}
    found = model.run({**data, **ragged}, steps=6, seed=1)
    for k, end in enumerate(ends):
        even = model.run({**data, **{n: v[:, :end] for n, v in other.items()}}, steps=6, seed=1)
        for n in model.declared:
            np.testing.assert_array_equal(found[n][k], even[n][k])
            np.testing.assert_array_equal(found[n][k, :end], other[n][k, :end])


@pytest.mark.parametrize("name", ["chain", "self_attention"])
def test_a_prefix_of_one_hot_vectors_is_that_of_its_classes(name):
    make, data = MODELS[name]
    model, classes, ragged = make(), np.array([[1, 2], [0, 2], [2, 1]]), [[1, 2], [0], []]
    size = model.system.quantities["w"].type.shape[0]
    for w, one_hot in ((classes, np.eye(size)[classes]), (ragged, [np.eye(size)[np.array(w, int)] for w in ragged])):
        found = [model.run({**data, "w": given}, steps=5, seed=2)["w"] for given in (w, one_hot)]
        np.testing.assert_array_equal(*found)


def test_a_stop_ends_an_example_behind_its_own_prefix():
    model, prefixes = chain(), [[0, 2], [1], [2, 0, 0]]
    whole, cut = (model.run(w=prefixes, steps=300, seed=1, stop=stop) for stop in (None, 0))
    for row, found, length, prefix in zip(whole["w"], cut["w"], cut.lengths, prefixes, strict=True):
        assert list(row[: len(prefix)]) == prefix
        assert length == row.tolist().index(0, len(prefix)) + 1
        np.testing.assert_array_equal(found, np.where(np.arange(300) < length, row, 0))


@pytest.mark.parametrize(("use", "message"), [
    (lambda m, w: m.run(w=w, steps=2), "example 1 of w has 3 steps, more than the 2 that there are"),
    (lambda m, w: m.run(w=[[1], [1, 5]], steps=4), "w is class 5 at example 1, t = 2; the classes are 0 to 4"),
    (lambda m, w: m.run(w=w), "w is not an array: its rows differ in length"),
    (lambda m, w: list(m.stream(w=w, steps=4)), "w is given in different lengths, which run goes on from"),
    (lambda m, w: m.beam_search(w=w, steps=4), "w is given in different lengths, which run goes on from"),
])
def test_prefixes_of_different_lengths_are_checked(use, message):
    with pytest.raises(tr.Error, match=message):
        use(chain(), [[1], [1, 2, 0]])


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
