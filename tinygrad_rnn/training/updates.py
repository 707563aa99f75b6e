"""One update of the weights: the loss and its gradients by a plan, then clipping, then the optimiser."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..config import Feed
from .clipping import global_norm
from .optim import Optimizer


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
        self._seen: list[tuple[float, float]] = []

    def __call__(self, plan: Any, feed: Feed) -> None:
        """One update; where the loss is not finite, the weights stay as they are."""
        training = self.training
        plan.run(feed)
        loss, norm = float(plan.interior(training.of)), math.nan
        if math.isfinite(loss):
            grads = training.gradients(plan)
            norm = (training.clip or global_norm)(grads, plan.xp)
            training.optimizer.update(training.weights, grads)
        self._seen.append((loss, norm))

    def seen(self) -> list[tuple[float, float]]:
        """The loss and the norm of the gradient of every update since the last time."""
        found, self._seen = self._seen, []
        return found
