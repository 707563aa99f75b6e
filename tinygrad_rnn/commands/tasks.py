"""Small tasks that a model learns in seconds, one for each kind of inputs: for pages and tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import BadValue
from ..models.model import Model

Data = dict[str, Any]
CLASSES = 6


@dataclass(frozen=True)
class Task:
    """What is to be learnt, and what to look at once it is.

    make: so many examples, drawn with rng; sizes: of the model; shown: the quantity that is looked at; wanted: the
    input that it should equal; chance: the loss of knowing nothing, NaN where it has no such number.
    """

    what: str
    make: Callable[[np.random.Generator, int], Data]
    sizes: dict[str, int] = field(default_factory=lambda: {"inputs": CLASSES, "outputs": CLASSES, "hidden": 24})
    shown: str = "y"
    wanted: str = ""
    chance: float = math.log(CLASSES)
    rate: float = 0.01


def given(model: Model) -> list[str]:
    """What a model is given to learn from: its inputs, and the data that it declares."""
    return [*model.system.of_role("input"), *model.declared]


def kind(model: Model) -> frozenset[str]:
    """What a model is given, with its indices, which is what a task is chosen by: {"x[t]", "target[t]"}."""
    found = model.system.quantities
    return frozenset(f"{name}[{','.join(found[name].slots) or 'n'}]" for name in given(model))


def task_of(model: Model) -> Task:
    """The task for models with such inputs. Raises where there is none."""
    found = TASKS.get(kind(model))
    if found is None:
        raise BadValue(f"there is no small task for a model that reads {', '.join(sorted(kind(model)))}")
    return found


def _recall(rng: np.random.Generator, count: int) -> Data:
    x = rng.integers(0, CLASSES, (count, 12))
    target = np.zeros_like(x)
    target[:, 2:] = x[:, :-2]
    return {"x": x, "target": target}


def _recall_as_y(rng: np.random.Generator, count: int) -> Data:
    found = _recall(rng, count)
    return {"x": found["x"], "y": found["target"]}


def _first(rng: np.random.Generator, count: int) -> Data:
    x = rng.integers(0, CLASSES, (count, 10))
    return {"x": x, "target": x[:, 0], "lengths": rng.integers(3, 11, count)}


def _sectors(rng: np.random.Generator, count: int) -> Data:
    x = rng.standard_normal((count, 2))
    return {"x": x, "target": (np.arctan2(x[:, 1], x[:, 0]) // (2 * math.pi / CLASSES)).astype(int) + CLASSES // 2}


def _counting(rng: np.random.Generator, count: int) -> Data:
    x = rng.integers(0, CLASSES, count)
    return {"x": x, "w": (x[:, None] + np.arange(8)) % CLASSES}


def _reversal(rng: np.random.Generator, count: int) -> Data:
    lengths = rng.integers(2, 6, count)
    x = rng.integers(0, CLASSES, (count, 5))
    w = np.full((count, 6), CLASSES)  # the class that ends a sequence
    for row, source, length in zip(w, x, lengths, strict=True):
        row[:length] = source[:length][::-1]
    return {"x": x, "w": w, "lengths": {"s": lengths, "t": lengths + 1}}


def _described(rng: np.random.Generator, count: int) -> Data:
    """A bar (0) or a square (1), above (2) or below (3), on the left (4) or the right (5)."""
    words = rng.integers(0, 2, (count, 3))
    image = 0.2 * rng.standard_normal((count, 1, 8, 8))
    for pixels, (shape, row, column) in zip(image[:, 0], words, strict=True):
        top, left = 5 * row + rng.integers(0, 2), 4 * column + rng.integers(0, 2)
        pixels[top : top + 1 + shape, left : left + 3 - shape] += 1
    w = np.concatenate([words + np.array([0, 2, 4]), np.full((count, 1), CLASSES)], axis=1)
    return {"image": image, "w": w}


def _lines(rng: np.random.Generator, count: int) -> Data:
    target, at = rng.integers(0, 3, count), rng.integers(0, 5, count)
    x = 0.2 * rng.standard_normal((count, 5, 5, 1))
    along = np.arange(5)
    for image, which, k in zip(x[..., 0], target, at, strict=True):
        rows, columns = ((k, along), (along, k), (along, along))[which]
        image[rows, columns] += 1
    return {"x": x, "target": target}


def _unaligned(rng: np.random.Generator, count: int) -> Data:
    """Labels, each shown for one to three steps after as many without one, where x is noise alone."""
    labels = rng.integers(0, CLASSES, (count, 3))
    x = 0.2 * rng.standard_normal((count, 18, CLASSES))
    lengths = np.zeros(count, int)
    for n, row in enumerate(labels):
        t = 0
        for label in row:
            t += int(rng.integers(1, 4))
            shown = int(rng.integers(1, 4))
            x[n, t : t + shown, label] += 1
            t += shown
        lengths[n] = t
    k = np.full((count, 7), CLASSES)
    k[:, 1::2] = labels
    return {"x": x, "k": k, "lengths": {"t": lengths, "u": np.full(count, 7)}}


def _weight(rng: np.random.Generator, count: int) -> Data:
    x = rng.standard_normal((count, 3))
    found = np.zeros(count)
    for t in range(3):
        found = 1 / (1 + np.exp(-(found + 1.5 * x[:, t])))
    return {"x": x, "y": found}


NO_CHANCE = math.nan
TASKS: dict[frozenset[str], Task] = {
    frozenset({"x[t]", "target[t]"}): Task(
        "at every step, the class of two steps before; the first two steps want class 0", _recall, wanted="target"),
    frozenset({"x[t]", "y[t]"}): Task(
        "at every step, the class of two steps before; the first two steps want class 0", _recall_as_y, shown="y_hat",
        wanted="y", chance=12 * math.log(CLASSES)),
    frozenset({"x[t]", "target[n]"}): Task(
        "after three to ten classes, the first of them", _first, wanted="target"),
    frozenset({"x[n]", "target[n]"}): Task(
        "which of six sectors a point of the plane lies in", _sectors,
        {"inputs": 2, "outputs": CLASSES, "hidden": 24}, wanted="target"),
    frozenset({"x[n]", "w[t]"}): Task(
        "counting on from a class, and from the last to the first again", _counting, wanted="w"),
    frozenset({"x[s]", "w[t]"}): Task(
        "two to five classes in reverse order, then the class that ends them", _reversal, wanted="w",
        chance=math.log(CLASSES + 1)),
    frozenset({"image[n]", "w[t]"}): Task(
        "whether a noisy picture of 8 by 8 shows a bar or a square, above or below, on the left or the right",
        _described, {"inputs": 1, "outputs": CLASSES, "hidden": 24}, wanted="w", chance=math.log(CLASSES + 1)),
    frozenset({"x[u,v]", "target[n]"}): Task(
        "whether the line in a noisy picture of 5 by 5 is a row, a column or the diagonal", _lines,
        {"inputs": 1, "outputs": 3, "hidden": 12}, wanted="target", chance=math.log(3)),
    frozenset({"x[t]", "k[u]"}): Task(
        "three classes of unknown place and length in a noisy sequence", _unaligned, shown="alpha", chance=NO_CHANCE),
    frozenset({"x[t]", "y[n]"}): Task(
        "the number that the chain of sigmoids with w = 1.5 gives for three inputs", _weight, {}, shown="O", wanted="y",
        chance=NO_CHANCE),
}
