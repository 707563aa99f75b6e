"""Scheduled sampling: of the data that are fed back in training, a share is drawn by the model itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..arguments import real
from ..errors import BadType, BadValue
from ..notation.declared import Pose
from ..plans.draw import grid, key_of, uniform

if TYPE_CHECKING:
    from ..models.model import Model
    from .batches import Batch


class Feeding:
    """The model in which declared data are fed back by `share`: a number in [0, 1], or a function of updates done.

    Source: Bengio et al. 2015, "Scheduled Sampling for Sequence Prediction with Recurrent Neural Networks", section 2.
    """

    def __init__(self, model: Model, share: float | Callable[[int], float], seed: int):
        if not model.declared:
            raise BadValue("scheduled_sampling= is for models that declare data, such as w[t] = categorical(p[t])")
        if isinstance(share, bool) or not (callable(share) or isinstance(share, (int, float))):
            raise BadType("scheduled_sampling is a share from 0 to 1, or a function of the updates done, not "
                          f"{share!r}")
        self.share, self.seed = share, seed
        self.model = model.posed(Pose(frozenset(model.declared), fed=True))
        self._share_at(0)

    def _share_at(self, step: int) -> float:
        share = real("scheduled_sampling", self.share(step) if callable(self.share) else self.share, at_least=0)
        if share > 1:
            raise BadValue(f"scheduled_sampling is a share, at most 1, not {share:g}")
        return share

    def mixed(self, data: Batch, step: int) -> Batch:
        """The batch, and which of its data are fed back as given."""
        share = self._share_at(step)
        found = dict(data)
        for name, (values, kept) in self.model.begun.items():
            slots = self.model.system.quantities[name].slots
            shape = np.shape(data[values])[: 1 + len(slots)] if values in data else ()
            found[kept] = (uniform(np, key_of(self.seed, step, kept), grid(np, shape)) >= share).astype("float32")
        return found
