"""What is said of mistakes in asking for the gradient's way back, and names that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flows import RNN, H, N, T, X, data, model

import tinygrad_rnn as tr
from tinygrad_rnn.errors import BadFile, BadName, BadType, BadValue
from tinygrad_rnn.viz.fading.fading import fading
from tinygrad_rnn.viz.flow.flow import gradient_flow


def zeroed(m: tr.Model, name: str) -> tr.Model:
    m.weights[name] = np.zeros(m.weights.shapes[name])
    return m


BAD: list[tuple[dict[str, Any], type[tr.Error], str]] = [
    ({"models": {"A": model("h[t] = tanh(W @ x[t])\nloss = mean(squared_error(h[T], z[n]))")}}, BadValue,
     "the model 'A': no quantity is recurrent"),
    ({"of": "h"}, BadValue, "the model 'A': a gradient is of a single number, but h"),
    ({"of": "lss"}, BadName, "no quantity 'lss'; did you mean 'loss'"),
    ({"data": {**data(), "x": np.where(np.arange(T)[:, None] == 2, np.nan, data()["x"])}}, BadValue,
     "the model 'A': the input x is NaN, first at example 0, t = 3"),
    ({"data": data(1)}, BadValue, "the model 'A': h has one step; a gradient over t needs at least 2"),
    ({"data": {"x": data()["x"]}}, BadValue, "needs the input z"),
    ({"data": [1]}, BadType, "data is a dict of arrays"),
    ({"data": {"B": data()}}, BadName, "data is given for 'B'; the models are 'A'"),
    ({"models": {"A": model(RNN), "B": model(RNN)}, "data": {"A": data()}}, BadName, "lacks that of 'B'"),
    ({"models": model(RNN)}, BadType, "models are given by label"),
    ({"models": {}}, BadValue, "no model to show"),
    ({"models": {"A": "lstm"}}, BadType, "the model 'A': a model made by tinygrad_rnn.equations"),
    ({"state": "hh"}, BadName, "no quantity 'hh'; did you mean 'h'"),
    ({"state": "U"}, BadValue, "U is a weight"),
    ({"state": "loss"}, BadValue, "loss has no index to run along"),
    ({"state": 3}, BadType, "state is the name of a quantity"),
    ({"state": {"B": "h"}}, BadName, "state is given for 'B'"),
    ({"models": {"A": model("k[t] = tanh(P @ x[t] + Q @ k[t-1])\n" + RNN, k=2)}, "state": "k"}, BadValue,
     "with respect to k is zero at every step: loss does not depend on it; name another with state=, such as 'h'"),
    ({"models": {"A": model(RNN.replace("h[T], z", "where(h[T] > 0, 1, 0), z"))}}, BadValue,
     "zero at every step: loss depends on it only through what has no derivative"),
    ({"models": {"A": zeroed(model(RNN.replace("h[T], z", "V @ h[T], z"), V=(H, H)), "V")}}, BadValue,
     "zero at every step: V, between it and loss, is all zero"),
    ({"example": N}, BadValue, "example must be from 0 to 4, not 5"),
    ({"example": 0.5}, BadType, "example is a whole number"),
    ({"title": 3}, BadType, "title is text"),
    ({"path": "a.xyz"}, BadValue, "ends in .xyz"),
    ({"path": "a"}, BadValue, "has no ending"),
    ({"path": "missing/a.png"}, BadFile, "cannot write"),
]


@pytest.mark.parametrize("draw", [gradient_flow, fading])
@pytest.mark.parametrize("given, kind, said", BAD)
def test_mistakes_are_named(draw: Any, given: dict[str, Any], kind: type[tr.Error], said: str, tmp_path: Path) -> None:
    call = {"models": {"A": model(RNN)}, "data": data(), "path": "a.png", **given}
    with pytest.raises(kind) as raised:
        draw(call.pop("models"), call.pop("data"), tmp_path / call.pop("path"), **call)
    assert said in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_rows_of_an_animation_have_the_same_steps(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="the model 'B' has 4 steps and 'A' has 7"):
        fading({"A": model(RNN), "B": model(RNN)}, {"A": data(), "B": data(4)}, tmp_path / "a.gif")
    gradient_flow({"A": model(RNN), "B": model(RNN)}, {"A": data(), "B": data(4)}, tmp_path / "a.png")


@pytest.mark.parametrize("name", ["alpha_hat", "état", "h_1_2", "状態", "d_h", "y_dot", "_", "W__x"])
def test_any_name_of_a_state_is_drawn(name: str, tmp_path: Path) -> None:
    m = tr.equations(RNN.replace("h[", f"{name}["), x=X, **{name: H})
    for ending in ("a.png", "a.gif", "a.html"):
        (gradient_flow if ending == "a.png" else fading)({"A": m}, data(3), tmp_path / ending)
