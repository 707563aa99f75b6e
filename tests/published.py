"""A published model: its text, and a plain loop over examples and steps that is of its paper, not of the text.

A loop works on complex numbers too, so a derivative is that along an imaginary step, exact to rounding (Squire and
Trapp 1998, "Using Complex Variables to Estimate Derivatives of Real Functions").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray]
Found = tuple[dict[str, list[np.ndarray]], Any]  # per example what stands at each step, by name; the loss


@dataclass(frozen=True)
class Published:
    """loop(weights, inputs of each example without padding) gives values by name, and the loss.

    classes: how many each input of integers has; causal: whether a stepper computes what the loop names.
    """

    text: str
    loop: Callable[[Arrays, list[dict[str, np.ndarray]]], Found]
    sizes: dict[str, Any]
    classes: dict[str, int] = field(default_factory=dict)
    causal: bool = True


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def logsumexp(z: Any, axis: int = 0) -> Any:
    top = z.real.max(axis, keepdims=True)
    return np.log(np.exp(z - top).sum(axis)) + top.squeeze(axis)


def softmax(z: Any) -> Any:
    return np.exp(z - logsumexp(z))


def joined(of: Sequence[Any]) -> Any:
    return np.concatenate([np.atleast_1d(part) for part in of])
