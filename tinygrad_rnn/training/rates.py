"""Learning-rate schedules: the number of updates already done -> the rate of the next one.

The first update has step 0. Any callable of one integer serves; the classes here are those that papers name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..arguments import real, whole
from ..errors import BadType
from ..keywords import check_takes, told

Schedule = Callable[[int], float]
Rate = float | Schedule


def schedule(lr: Rate) -> Schedule:
    """A number as `Constant`; a schedule as it is."""
    return lr if callable(lr) else Constant(lr)


def check_rate(lr: Any) -> None:
    """Raise BadType or BadValue for what is neither a rate nor a function of the number of updates done."""
    if isinstance(lr, Iterable) and not isinstance(lr, str) and not hasattr(lr, "__float__"):
        raise BadType("an optimizer is given its rate, as in Adam(1e-3), and no weights: fit knows them, and "
                      f"update(model.weights, grads) names them; not {lr!r:.80}")
    if isinstance(lr, type):
        raise BadType(f"the rate is the class {lr.__name__}; give one of it, {lr.__name__}(...)")
    if callable(lr):
        check_takes("a schedule takes the number of updates done and gives the rate", lr, 1, "def rate(step): ...")
    schedule(lr)


@dataclass(frozen=True)
class Constant:
    """lr at every step. Raises BadType or BadValue unless lr is a finite number of at least 0."""

    lr: float

    def __post_init__(self) -> None:
        real("lr", self.lr, at_least=0)

    def __call__(self, step: int) -> float:
        return float(self.lr)


@told
@dataclass(frozen=True)
class StepDecay:
    """lr * factor ** floor(step / every)."""

    lr: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        real("lr", self.lr, at_least=0)
        whole("every", self.every, at_least=1)
        real("factor", self.factor, above=0)

    def __call__(self, step: int) -> float:
        return float(self.lr * self.factor ** (step // self.every))


@told
@dataclass(frozen=True)
class Exponential:
    """lr * factor ** (step / every): smooth decay by `factor` each `every` steps."""

    lr: float
    factor: float
    every: int = 1

    def __post_init__(self) -> None:
        real("lr", self.lr, at_least=0)
        real("factor", self.factor, above=0)
        whole("every", self.every, at_least=1)

    def __call__(self, step: int) -> float:
        return float(self.lr * self.factor ** (step / self.every))


@dataclass(frozen=True)
class _Falling:
    """A rise over `warmup` steps, then a fall from lr to floor that is complete at step `steps`."""

    lr: float
    steps: int
    warmup: int = 0
    floor: float = 0.0

    def __post_init__(self) -> None:
        real("lr", self.lr, at_least=0)
        real("floor", self.floor, at_least=0)
        whole("warmup", self.warmup, at_least=0)
        whole("steps (the whole length, warmup included)", self.steps, at_least=self.warmup + 1)

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        done = min(1.0, (step - self.warmup) / (self.steps - self.warmup))
        return self.floor + (self.lr - self.floor) * self._left(done)

    def _left(self, done: float) -> float:
        """The share of the fall still to come, from 1 at done=0 to 0 at done=1."""
        raise NotImplementedError


@told
@dataclass(frozen=True)
class Cosine(_Falling):
    """floor + (lr - floor) * (1 + cos(pi * (step - warmup) / (steps - warmup))) / 2, after a linear warmup.

    During the first `warmup` steps lr * (step + 1) / warmup; from step `steps` on, floor.
    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, equation 5.
    """

    def _left(self, done: float) -> float:
        return (1 + math.cos(math.pi * done)) / 2


@told
@dataclass(frozen=True)
class Linear(_Falling):
    """lr - (lr - floor) * (step - warmup) / (steps - warmup), after a linear warmup; from step `steps` on, floor."""

    def _left(self, done: float) -> float:
        return 1 - done


@told
@dataclass(frozen=True)
class Warmup:
    """min(1, (step + 1) / steps) * rate(step): a linear rise into a number or into any schedule.

    Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017, section 2.2.
    """

    rate: Rate
    steps: int

    def __post_init__(self) -> None:
        if not callable(self.rate):
            real("rate", self.rate, at_least=0)
        whole("steps", self.steps, at_least=1)

    def __call__(self, step: int) -> float:
        return min(1.0, (step + 1) / self.steps) * schedule(self.rate)(step)


def rate_at(rate: Schedule, step: int) -> float:
    """rate(step), checked: a schedule of a user's own may return anything."""
    value = rate(step)
    try:
        return real(f"the learning rate at step {step}", value, at_least=0)
    except BadType:
        raise BadType(f"the schedule {rate!r} returned {value!r} at step {step}; a number was expected") from None
