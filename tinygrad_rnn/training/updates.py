"""One update of the weights: the loss and its gradients by a plan, then clipping, then the optimiser."""

from __future__ import annotations

import math
import operator
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..config import Feed
from .clipping import global_norm
from .optim import Optimizer, Pass


class Numbers(NamedTuple):
    """Of one update: the loss, the norm of the gradient, and whether it was done; if not, the weights are as before."""

    loss: float
    norm: float
    done: bool


@dataclass(frozen=True)
class Training:
    """What is trained, and how. adjoints: weight -> the name of its gradient."""

    of: str
    adjoints: Mapping[str, str]
    weights: Mapping[str, Any]
    clip: Callable[..., float] | None
    optimizer: Optimizer

    def gradients(self, plan: Any) -> dict[str, Any]:
        """The gradients of a plan that was run, by weight."""
        return {name: plan.interior(self.adjoints[name]) for name in self.weights}


class AtOnce:
    """Updates whose numbers are there when they are done. `wait`: numbers to wait for before they are asked for."""

    wait = 1

    def __init__(self, training: Training):
        self.training = training
        self._seen: list[Numbers] = []
        self._known: weakref.WeakKeyDictionary[Any, tuple[dict[str, Any], list[Pass]]] = weakref.WeakKeyDictionary()

    def __call__(self, plan: Any, feed: Feed) -> None:
        """One update; where the loss or the clipped gradient is not finite, the weights stay as they are."""
        training = self.training
        plan.run(feed)
        loss, norm, done = float(plan.interior(training.of)), math.nan, False
        if math.isfinite(loss):
            grads = training.gradients(plan)
            norm = (training.clip or global_norm)(grads, plan.xp)
            done = math.isfinite(norm) or all(bool(plan.xp.isfinite(g).all()) for g in grads.values())
        if done:
            training.optimizer.advance(self._passes(plan, grads))
        self._seen.append(Numbers(loss, norm, done))

    def _passes(self, plan: Any, grads: dict[str, Any]) -> list[Pass]:
        """How the optimiser goes through these gradients; found once where a plan leaves them in the same arrays."""
        known, passes = self._known.get(plan, ({}, []))
        if len(known) != len(grads) or not all(map(operator.is_, known.values(), grads.values())):
            passes = self.training.optimizer.passes(self.training.weights, grads)
            self._known[plan] = grads, passes
        return passes

    def seen(self) -> list[Numbers]:
        """The numbers of every update since the last time."""
        found, self._seen = self._seen, []
        return found
