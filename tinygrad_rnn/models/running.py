"""What a model is run with: its weights, its plans, and what it is given and asked for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, TypeVar

from ..arguments import flag, named
from ..errors import BadType, BadValue
from ..keywords import check_elsewhere
from ..notation.declared import observed
from ..notation.declaring import Declaring
from ..passes.demand import check_carried, computable
from ..plans.feeds import check_names, prepared
from ..plans.plan import Plan
from .plan_cache import MOST, PlanCache
from .result import Result
from .weights import Weights

Found = TypeVar("Found")


class Running(Declaring):
    """Equations with weights and plans.

    adjoints: of derived equations, name -> the name of its adjoint; hidden: names that nobody wrote, such as the noise
    of what is drawn.
    """

    hidden: frozenset[str] = frozenset()

    def __init__(self, name: str, dtype: Any, **sizes: Any):
        super().__init__(name, dtype, **sizes)
        self.adjoints: dict[str, str] = {}

    def _forget(self) -> None:
        super()._forget()
        self._weights: Weights | None = None
        self._kept: dict[str, dict[Hashable, Any]] = {}
        self.plans = PlanCache()

    def kept(self, kind: str, key: Hashable, make: Callable[[], Found]) -> Found:
        """What is made of the model for a key, once, such as its gradient. Of a kind the last asked for stay."""
        with self.plans.alone:
            cache = self._kept.setdefault(kind, {})
            found: Found = cache.pop(key) if key in cache else make()
            cache[key] = found
            for other in [*cache][:-MOST]:
                del cache[other]
        return found

    @property
    def weights(self) -> Weights:
        """The weights by name: `model.weights["b_f"] = np.ones(64)`."""
        if self._weights is None:
            with self.plans.alone:  # one for all threads
                if self._weights is None:
                    self._weights = Weights(observed(self.system))
        return self._weights

    @weights.setter
    def weights(self, values: Any) -> None:
        """Set all of them, from another model's or a dict. Raises BadName, BadValue and BadType as setting one does."""
        own = self.weights
        if values is own:  # after model.weights |= {...}
            return
        if not isinstance(values, Mapping):
            raise BadType(f"weights are a dict of arrays by name, not {type(values).__name__}")
        missing = [name for name in own if name not in values]
        if missing:
            raise BadValue(f"there is no {missing[0]} among these weights; some of a model's weights are set with "
                           "model.weights.update({...})")
        own.update(values)

    def ran(self, data: Mapping[str, Any], names: tuple[str, ...], **options: Any) -> tuple[Result, Plan]:
        """The names, and the plan that has computed them; `options` are those of `prepared`."""
        with self.plans.alone:
            plan = self.computed(names, data, **options)
            result = Result({name: plan.result(name) for name in names})
            result.state = plan.state()
        result.lengths = options.get("lengths")
        return result, plan

    def computed(self, names: tuple[str, ...], data: Mapping[str, Any], **options: Any) -> Plan:
        """A plan that has just been run; `options` are those of `prepared`."""
        for name in ("training", "check"):
            flag(name, options.get(name, False))
        config, feed = prepared(self.system, names, data, **options)
        if config.carried and not self.adjoints:
            check_carried(self.system, names, config.carried)
        plan = self.plans.get(self.system, config, self.weights)
        plan.run(feed)
        if config.check:
            plan.check_finite()
        return plan

    def given(self, data: Mapping[str, Any] | None, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The data of a run and its keywords in one. Raises where a name is given twice, or is no input's."""
        if data is not None and not isinstance(data, Mapping):
            raise BadType(f"data is a dict of arrays by input name, not {type(data).__name__}")
        merged = {**(data or {}), **inputs}
        if len(merged) < len(data or {}) + len(inputs):
            twice = next(name for name in inputs if name in (data or {}))
            raise BadValue(f"{twice} is given twice, in the data and as {twice}=")
        check_elsewhere(merged, self.system.quantities)
        check_names(self.system, merged, self.declared)
        return merged

    def asked_for(self, want: Iterable[str] | None, data: Mapping[str, Any]) -> tuple[str, ...]:
        """The names of `want`; by default what the data determine."""
        if want is not None:
            return named("want", want)
        found = computable(self.system, data)
        if not found:
            first = self.system.of_role("input")
            raise BadValue(f"nothing can be computed from {', '.join(data) or 'no input'}; the model's inputs are "
                           f"{', '.join(first) or 'none'}")
        return tuple(found)
