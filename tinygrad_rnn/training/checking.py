"""Gradients against finite differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import backends
from ..arguments import named, real
from ..errors import BadValue
from ..keywords import told
from ..node import walk
from ..passes.schedule import needed

if TYPE_CHECKING:
    from ..models.model import Model


@told
def check_gradient(model: Model, data: Mapping[str, Any] | None = None, /, *, of: str = "loss",
                   wrt: Iterable[str] | None = None, seed: int = 0, step: float = 1e-5, tolerance: float = 1e-6,
                   lengths: Any = None, steps: Any = None, **inputs: Any) -> dict[str, float]:
    """For each weight, |g.v - (f(w + e v) - f(w - e v)) / 2e| relative to its size, along a random v of norm 1.

    Computed on a float64 copy of the model. wrt: the weights to check, by name or pattern, all by default. step: e;
    seed: of v. data and inputs, lengths, steps: as in `Model.run`. Raises where an error exceeds the tolerance, naming
    the weight, and where step or tolerance is not above 0.
    """
    from ..models.model import of_description

    step, tolerance = real("step", step, above=0), real("tolerance", tolerance, above=0)
    names = named("wrt", model.weights if wrt is None else wrt, model.weights)
    for name in names:
        if name not in model.weights:
            raise BadValue(f"check_gradient is of weights, and the model has no weight {name!r}")
    copy = of_description({**model.description(), "dtype": "float64"})
    for name in copy.weights:
        copy.weights[name] = model.weights[name]
    options = {"lengths": lengths, "steps": steps}
    data = {**(data or {}), **inputs}
    _, grads = copy.value_and_grad(data, of=of, wrt=names, **options)
    rng, to_host = np.random.default_rng(seed), backends.current().to_host
    errors = {}
    for name in names:
        v = rng.standard_normal(grads[name].shape)
        v /= np.linalg.norm(v)
        here = np.array(to_host(copy.weights[name]))
        values = []
        for sign in (1, -1):
            copy.weights[name] = here + sign * step * v
            values.append(float(copy.run(data, want=[of], **options)[of]))
        copy.weights[name] = here
        numeric, exact = (values[0] - values[1]) / (2 * step), float(np.sum(to_host(grads[name]) * v))
        errors[name] = abs(numeric - exact) / max(abs(numeric), abs(exact), 1e-3)
    wrong = [n for n, e in errors.items() if not e <= tolerance]
    if wrong:
        name = wrong[0]
        raise BadValue(f"the gradient of {name} differs from finite differences by {errors[name]:.1e} of its size"
                       f"{_why(copy, of)}")
    return errors


def _why(model: Model, of: str) -> str:
    """What a difference sees and a gradient does not, and where it is."""
    for eq in needed(model.system, [of]):
        for node in walk([eq.rhs]):
            if node.op == "stop_gradient":
                return (f"; no gradient passes stop_gradient in {eq.left}, where the differences do, so without it, or "
                        f"for weights that it does not hold back, they agree\n{eq.show(node)}")
    return ""
