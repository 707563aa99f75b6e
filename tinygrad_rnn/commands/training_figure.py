"""The figure of a training: the loss of each epoch, and what the model says of examples that it has not seen."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ..files import replacing
from ..models.model import Model
from ..tensors.arrays import to_numpy
from .tasks import Task

SHOWN = 12  # examples beside each other where each has one value


def draw(model: Model, task: Task, history: Any, path: Path) -> Path:
    """Write the figure as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.8), layout="constrained")
    curve, said = figure.subplots(1, 2, width_ratios=(1, 1.25))
    _curve(curve, task, history.loss)
    data = task.make(np.random.default_rng(1), SHOWN)
    lengths = data.pop("lengths", None)
    value = to_numpy(model.run(data, want=[task.shown], lengths=lengths)[task.shown])
    wanted = data.get(task.wanted)
    if value.dtype.kind == "f" and wanted is not None and wanted.dtype.kind == "f":
        _scatter(said, value, wanted)
    elif value.ndim == 2:
        _heat(said, value, wanted, "example")
    else:
        steps = _first_lengths(lengths)
        shown = value[0][tuple(slice(n) for n in steps)] if steps else value[0]
        _heat(said, np.exp(shown) if wanted is None else shown, None if wanted is None else wanted[0][: len(shown)],
              "t", "u" if wanted is None else "class")
    with replacing(path) as part:
        figure.savefig(part, dpi=100, format="png")
    return path


def _first_lengths(lengths: Any) -> list[int]:
    """How long the first example is, along the last of its indices that are written."""
    if lengths is None:
        return []
    if not isinstance(lengths, dict):
        return [int(lengths[0])]
    return [int(lengths[index][0]) for index in ("t", "u") if index in lengths]


def _curve(axes: Any, task: Task, loss: list[float]) -> None:
    axes.plot(range(1, len(loss) + 1), loss, color="#1f4e9c", label="loss")
    if not math.isnan(task.chance):
        axes.axhline(task.chance, color="#888", lw=0.8, ls="--", label="knowing nothing")
    if max(loss) > 10 * min(loss):
        axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_title("training loss", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)


def _heat(axes: Any, value: np.ndarray, wanted: np.ndarray | None, along: str, rows: str = "class") -> None:
    """A column a position, a row a class; a ring where the wanted class is."""
    axes.imshow(value.T, cmap="Blues", vmin=0, vmax=1, aspect="auto", origin="lower",
                extent=(0.5, len(value) + 0.5, -0.5, value.shape[1] - 0.5) if rows == "class" else
                (0.5, len(value) + 0.5, 0.5, value.shape[1] + 0.5))
    if wanted is not None:
        axes.plot(np.arange(1, len(value) + 1), wanted, "o", mfc="none", mec="#c2410c", ms=8, label="wanted")
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(integer=True)
    axes.set_xlabel(along)
    axes.set_ylabel(rows)
    axes.set_title("probability of each class, and the wanted one" if rows == "class" else
                   "probability of having come so far", fontsize=10)


def _scatter(axes: Any, value: np.ndarray, wanted: np.ndarray) -> None:
    last = value[:, -1] if value.ndim == 2 else value
    axes.plot(wanted, last, "o", mfc="none", mec="#c2410c")
    ends = [min(wanted.min(), last.min()), max(wanted.max(), last.max())]
    axes.plot(ends, ends, color="#888", lw=0.8)
    axes.set_xlabel("wanted")
    axes.set_ylabel("given")
    axes.set_title("the last value", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
