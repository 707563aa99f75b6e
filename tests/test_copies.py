"""Copies and pickles of what users hold go on by themselves; weights are a mapping as others are."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 6, 4)).astype("float32")
DATA = {"x": X, "target": RNG.integers(0, 4, (3, 6))}
WAYS = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda one: pickle.loads(pickle.dumps(one))}


@pytest.fixture
def model() -> tr.Model:
    return tr.graphs.lstm(inputs=4, hidden=5, outputs=4)


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def copied(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return request.param


def test_a_copied_model_trains_apart(model: tr.Model, copied: Callable, tmp_path: Any) -> None:
    model.save(tmp_path / "m.safetensors", {"of": "mine"})
    model = tr.load(tmp_path / "m.safetensors")
    twin = copied(model)
    assert twin.weights == model.weights and twin.meta == {"of": "mine"}
    twin.fit(DATA, epochs=1, progress=False)
    assert twin.weights != model.weights


def test_copied_weights_are_numbers_of_their_own(model: tr.Model, copied: Callable) -> None:
    """What is kept aside while a model goes on, and put back later."""
    best = copied(model.weights)
    before = {name: array.copy() for name, array in model.weights.items()}
    model.fit(DATA, epochs=1, progress=False)
    assert best == before and model.weights != before
    model.weights.update(best)
    assert model.weights == best
    best["b_i"] = 7.0
    assert (best["b_i"] == 7).all() and (model.weights["b_i"] == before["b_i"]).all()


@pytest.mark.parametrize("steps", [0, 1, 2, 4])
def test_a_copied_stepper_goes_on_from_there(model: tr.Model, copied: Callable, steps: int) -> None:
    step = model.stepper(batch=3)
    for t in range(steps):
        step(x=X[:, t])
    branch = copied(step)
    aside = np.zeros_like(X[:, 0])
    for t in range(steps, 6):  # in turns: each has its own state
        found, other = step(x=X[:, t]), branch(x=aside)
    assert np.allclose(found["y"], model.run(x=X)["y"][:, -1], atol=1e-6)
    instead = np.concatenate([X[:, :steps], np.zeros_like(X[:, steps:])], 1)
    assert np.allclose(other["y"], model.run(x=instead)["y"][:, -1], atol=1e-6)
    assert repr(branch) == "<Stepper of lstm, 3 examples at a time>"


def test_weights_are_joined_in_place(model: tr.Model) -> None:
    weights = model.weights
    weights |= {"b_i": np.ones(5)}
    model.weights |= {"b_f": np.full(5, 2.0)}
    assert weights is model.weights and (weights["b_i"] == 1).all() and (weights["b_f"] == 2).all()


def test_all_weights_are_set_at_once(model: tr.Model) -> None:
    other = tr.graphs.lstm(inputs=4, hidden=5, outputs=4, seed=1)
    held = model.weights
    model.weights = other.weights
    assert model.weights is held and held == other.weights
    with pytest.raises(tr.Error, match=r"no b_y among .* model\.weights\.update") as caught:
        model.weights = {name: array for name, array in other.weights.items() if name != "b_y"}
    assert isinstance(caught.value, ValueError)
    with pytest.raises(tr.Error, match="a dict of arrays by name, not list"):
        model.weights = [1, 2]


def test_weights_are_compared_by_names_and_numbers(model: tr.Model) -> None:
    same = dict(model.weights)
    assert model.weights == same and same == model.weights
    assert model.weights != {**same, "b_i": same["b_i"] + 1} and model.weights != {"b_i": same["b_i"]}
    assert model.weights != {**same, "b_i": "text"} and model.weights != 3
    assert model.weights._ipython_key_completions_() == list(same)


def test_a_model_is_not_gone_through(model: tr.Model) -> None:
    """Without a word of its own it would be for ever: there is a name for every index."""
    with pytest.raises(tr.Error, match=r"model\.weights has its weights"):
        list(model)
    with pytest.raises(TypeError):
        "h" in model  # noqa: B015


def test_weights_change_through_their_name_alone(model: tr.Model) -> None:
    with pytest.raises(ValueError, match="read-only"):
        model.weights["b_i"] += 1
    with pytest.raises(ValueError, match="read-only"):
        model.weights["b_i"][0] = 1
    model.weights["b_i"] = model.weights["b_i"] + 1
    assert (model.weights["b_i"] == 1).all()


def test_a_model_keeps_few_gradients(model: tr.Model) -> None:
    """As of training a few weights at a time, others in every step; each has equations and plans of its own."""
    names = list(model.weights)
    expected = model.value_and_grad(DATA)[1]
    whole = model.grad()
    for first in range(12):
        for second in range(first + 1, 14, 2):
            found = model.value_and_grad({**DATA, "target": np.eye(4)[DATA["target"]]},
                                         wrt=[names[first], names[second]])[1]
            assert np.allclose(found[names[second]], expected[names[second]], atol=1e-6)
            assert model.grad() is whole
    gc.collect()
    models = [one for one in gc.get_objects() if isinstance(one, tr.Model)]
    derived = [one for one in models if vars(one).get("_weights") is model.weights]  # others may still be written
    assert len(derived) <= 2 + 16 + 16  # the model and those that are kept, as such and for replays


def test_a_slip_is_told_once_and_not_of_copies() -> None:
    with pytest.warns(UserWarning, match="nearly the same name"):
        model = tr.equations("h[t] = tanh(b_f * x[t] + b_F * h[t-1])\nloss = sum(h[t])", x=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy.deepcopy(model).run(x=X[..., :2])
        model.check_gradient(x=X[..., :2])
