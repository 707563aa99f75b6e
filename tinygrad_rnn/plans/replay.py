"""The same call again: arrays of the same shapes into the same plan, with nothing looked up or checked twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from .feeds import check_classes
from .part import Part
from .plan import Plan


class Replay:
    """A plan without draws: copy the inputs in, run, copy results out.

    lasts: is the plan still kept? When it is not, a replay must go too, for it holds the plan's memory. how: says how
    plans are made now, with how many threads and so on.
    """

    def __init__(self, plan: Plan, inputs: Mapping[str, Any], results: Mapping[str, str], lasts: Callable[[], bool],
                 how: Callable[[], object]):
        self.lasts, self.plan, self.weights, self._how = lasts, plan, plan.parts[0].weights, how
        self._made = how()
        used = [name for name in inputs if name in plan.parts[0].layout.used]
        self._fills = [partial(_fill, part, [(name, part.loader(name)) for name in used]) for part in plan.parts]
        self._coded = plan.config.coded
        self._results = {name: plan.interior(wanted) for name, wanted in results.items()}

    def holds(self, weights: Mapping[str, Any]) -> bool:
        """Would a plan for these weights be made as this one was?"""
        return self.weights is weights and self._how() == self._made

    @staticmethod
    def fits(plan: Plan) -> bool:
        """Can calls of this plan be replayed?"""
        part = plan.parts[0]
        return (plan.compiled and not part.drawn and not part.late and not part.layout.pads
                and not part.copied)

    def __call__(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """The results by name; those that have no batch, as they are."""
        if self._coded:
            check_classes(self.plan.system, self._coded, arrays, {})
        self.plan.replay(self._fills, arrays)
        return self.plan.backend.copies(self._results)


def _fill(part: Part, loaders: Sequence[tuple[str, Callable[[Any], None]]], arrays: Mapping[str, Any]) -> None:
    for name, load in loaders:
        load(arrays[name][part.first : part.last])
