"""This project's side: models declared by `tr.equations`, timed through `value_and_grad`."""

from __future__ import annotations

from functools import partial

import numpy as np

import tinygrad_rnn as tr

from . import problem
from .cells import CELLS, LSTM, Cell, Size
from .problem import Arrays, Prepared


def declare(cell: Cell, size: Size) -> tr.Model:
    """The model of a cell, with the weights of the problem."""
    model = tr.equations(cell.text(size), x=size.inputs, h=size.hidden)
    for name, merged in problem.weights(cell, size).items():
        parts = cell.weights[name][1].split()
        for part, value in zip(parts, np.split(merged, len(parts)), strict=True):
            model.weights[part] = value
    return model


def training_step(cell: Cell, size: Size) -> Prepared:
    """Forward and all weight gradients."""
    model = declare(cell, size)
    x, r = problem.data(size)

    def answer() -> Arrays:
        _, grads = model.value_and_grad(x=x, r=r)
        merged = {name: np.concatenate([grads[part] for part in parts.split()])
                  for name, (_, parts) in cell.weights.items()}
        return {"h": model.run(x=x, want=["h"])["h"], **merged}

    return Prepared(lambda: model.value_and_grad(x=x, r=r), answer)


def online_step(size: Size) -> Prepared:
    """One step of the LSTM through `model.stepper`."""
    model = declare(LSTM, size)
    x, _ = problem.data(size)
    step = model.stepper(batch=size.batch)
    first = np.ascontiguousarray(x[:, 0])

    def answer() -> Arrays:
        step.reset()
        return {"h": np.stack([step(x=x[:, k])["h"] for k in range(size.steps)], 1)}

    return Prepared(lambda: step(x=first), answer)


PREPARE = {name: partial(training_step, cell) for name, cell in CELLS.items()} | {"stepper": online_step}
