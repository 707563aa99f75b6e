"""Beam search for the likeliest of declared classes, beside trying all of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from declared_models import MODELS, chain, translator

import tinygrad_rnn as tr


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
