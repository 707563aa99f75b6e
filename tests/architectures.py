"""The ready models in every form that they have, small and in double precision, and data for them."""

from __future__ import annotations

import numpy as np
from zoo import dynamic

from tinygrad_rnn.commands import catalogue, tasks

SIZES = {"inputs": 3, "hidden": 4, "outputs": 3, "dtype": "float64"}
FORMS = [(name, {}) for name in catalogue.models()] + [
    (name, {option: value}) for name in catalogue.models() for option, values in catalogue.choices(name).items()
    if option not in ("cell", "eos") for value in values if value != catalogue.standard(name, option)]
IDS = [f"{name}-{'-'.join(f'{k}={v}' for k, v in options.items())}".rstrip("-") for name, options in FORMS]


def build(name, **options):
    """The model with random weights."""
    model, rng = catalogue.make(name, **{**SIZES, **options}), np.random.default_rng(0)
    for weight in model.weights:
        model.weights[weight] = rng.standard_normal(model.weights[weight].shape) * 0.5
    return model


def data(model, batch, steps, seed=1):
    """Random inputs; classes where the model compares with classes."""
    rng, system, found = np.random.default_rng(seed), model.system, {}
    for name in tasks.given(model):
        q = system.quantities[name]
        lead = (batch, *(steps[system.range_of(i)] for i in q.slots))
        classes = name in ("target", "w", "k", "y") and q.type.shape
        found[name] = rng.integers(0, q.type.shape[0], lead) if classes else rng.standard_normal((*lead, *q.type.shape))
    return found


def steps_of(model, size):
    """So many positions of every index that has a range of its own."""
    return {index: size for index in dynamic(model)}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
