"""This project's side: models declared by `tr.equations`, timed through `value_and_grad`."""

from __future__ import annotations

from functools import partial

import numpy as np

import tinygrad_rnn as tr

from . import clocks, machine, problem
from .cells import CELLS, LSTM, Cell, Size
from .problem import HOST, Arrays, Place, Prepared

BACKENDS = {"cpu": "numpy", "cuda": "cupy"}


def use(place: Place) -> None:
    """Compute there from now on."""
    tr.use_backend(BACKENDS[place.device], precision=place.precision)


def release() -> None:
    """Give memory that is not in use back to the GPU, for the other sides."""
    if tr.backends.current().name == "cupy":
        tr.backends.current().xp.get_default_memory_pool().free_all_blocks()


def facts(device: str) -> dict[str, str]:
    """What this side runs on."""
    use(Place(device))
    return machine.gpu(tr.backends.current().xp) if device == "cuda" else {}


def staying() -> bool:
    """Has a loop been run as one kernel since the last time, because that was faster?"""
    choices = tr.backends.current().choices()
    found = any(choices.values())
    choices.clear()
    return found


def timed(place: Place) -> Arrays:
    """How steps are timed there, as arguments of `Prepared`."""
    return {"elapsed": clocks.of_cupy(), "together": clocks.TOGETHER} if place.device == "cuda" else {}


def on_device(size: Size) -> Arrays:
    """The data as arrays of the backend in use."""
    return dict(zip("xr", map(tr.backends.current().asarray, problem.data(size)), strict=True))


def on_host(arrays: Arrays) -> Arrays:
    """Arrays of the backend in use as NumPy's."""
    return {name: tr.backends.current().to_host(a) for name, a in arrays.items()}


def merged(cell: Cell, arrays: Arrays) -> Arrays:
    """Arrays under the names of the equations, as the merged ones."""
    host = on_host(arrays)
    return {name: np.concatenate([host[part] for part in parts.split()]) for name, (_, parts) in cell.weights.items()}


def declare(cell: Cell, size: Size) -> tr.Model:
    """The model of a cell, with the weights of the problem."""
    model = tr.equations(cell.text(size), x=size.inputs, h=size.hidden)
    for name, whole in problem.weights(cell, size).items():
        parts = cell.weights[name][1].split()
        for part, value in zip(parts, np.split(whole, len(parts)), strict=True):
            model.weights[part] = value
    return model


def training_step(cell: Cell, size: Size, place: Place = HOST) -> Prepared:
    """Forward and all weight gradients."""
    model = declare(cell, size)
    data = on_device(size)

    def answer() -> Arrays:
        _, grads = model.value_and_grad(**data)
        h = model.run(x=data["x"], want=["h"])
        return {**on_host({"h": h["h"]}), **merged(cell, grads)}

    return Prepared(lambda: model.value_and_grad(**data), answer, **timed(place))


def whole_step(size: Size, place: Place = HOST) -> Prepared:
    """A training step with clipping and Adam, through `fit` over many batches; its start is counted in."""
    model = declare(LSTM, size)
    batch = on_device(size)

    def fit(trained: tr.Model, updates: int) -> None:
        trained.fit([batch] * updates, optimizer=tr.Adam(problem.RATE), clip=problem.CLIP, progress=False)

    def answer() -> Arrays:
        fresh = declare(LSTM, size)
        fit(fresh, problem.UPDATES_COMPARED)
        return merged(LSTM, dict(fresh.weights))

    return Prepared(lambda: fit(model, problem.UPDATES_TIMED), answer, steps=problem.UPDATES_TIMED, **timed(place))


def online_step(size: Size, place: Place = HOST) -> Prepared:
    """One step of the LSTM through `model.stepper`."""
    model = declare(LSTM, size)
    x, _ = problem.data(size)
    step = model.stepper(batch=size.batch)
    first = np.ascontiguousarray(x[:, 0])

    def answer() -> Arrays:
        step.reset()
        return {"h": np.stack([step(x=x[:, k])["h"] for k in range(size.steps)], 1)}

    return Prepared(lambda: step(x=first), answer)


PREPARE = {name: partial(training_step, cell) for name, cell in CELLS.items()} | {"training": whole_step,
                                                                                 "stepper": online_step}
