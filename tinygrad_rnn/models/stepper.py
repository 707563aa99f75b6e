"""Online use: one step a call, the state kept inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import backends
from ..arguments import named, whole
from ..backends.places import entering
from ..config import Feed
from ..errors import BadType, BadValue, many
from ..node import walk
from ..notation.declared import Pose, Sampling, computable_ahead
from ..passes.demand import check_carried, computable, demand
from ..passes.schedule import needed
from ..plans.carried import position_key
from ..plans.feeds import are_classes, check_names
from ..system import System
from .generate import check_sampling, codes

if TYPE_CHECKING:
    from ..plans.plan import Plan
    from ..system import Quantity
    from .model import Model


class Stepper:
    """`step(x=x1)` computes the next step of every quantity over the time index; x1 is (batch, features).

    want: names; by default all whose only open index is time. data: inputs without time, such as the sentence to
    translate, given once; what follows from them alone is computed once. lengths: of their indices. Declared data that
    a step is not given are drawn, by seed, temperature, top_k and top_p as in `Model.run`. Results are (batch, indices
    other than time, features).

    The first two steps go through `Model.run`, which checks everything; from then on the plan of one step is replayed
    with its state left where it is.
    """

    def __init__(self, model: Model, batch: int = 1, want: Iterable[str] | None = None,
                 data: Mapping[str, Any] | None = None, /, *, lengths: Any = None, seed: int = 0,
                 temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None, **inputs: Any):
        self.batch = whole("batch", batch, at_least=1)
        self.model, self.index = model, time_of(model.system)
        self.want = None if want is None else named("want", want)
        model.system.require(self.want or ())
        self.lengths, self.seed = lengths, whole("seed", seed, at_least=0)
        self.sampling = Sampling(temperature, top_k, top_p)
        check_sampling(model, self.sampling)
        self._whole = {name: entering(name, value) for name, value in model.given(data, inputs).items()}
        for name in self._whole:
            if self.index in model.system.quantities[name].slots:
                raise BadValue(f"{name} has a value at each {self.index}: give it step by step, step({name}=...)")
        self._declares = bool(model.declared)
        self._ahead: dict[str, Any] | None = None
        self._state: dict[str, Any] | None = None
        self._live: _Live | None = None

    @property
    def state(self) -> dict[str, Any] | None:
        """What the next step goes on from, by name: (batch, steps, other indices, features); None at the beginning."""
        return self._state if self._live is None else self._live.state()

    @state.setter
    def state(self, state: dict[str, Any] | None) -> None:
        if state is not None and not isinstance(state, Mapping):
            raise BadType("state is what a stepper or a run left, a dict of arrays by name, not "
                          f"{type(state).__name__}")
        self._state, self._live = state, None

    def reset(self) -> None:
        """Begin a new sequence."""
        self.state = None

    def __getstate__(self) -> dict[str, Any]:
        """For copy and pickle: a copy goes on from where this one is, and each by itself."""
        return {**vars(self), "_state": self.state, "_live": None}

    def __repr__(self) -> str:
        return f"<Stepper of {self.model.name}, {many(self.batch, 'example')} at a time>"

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """One step: inputs (batch, features), or (batch,) integers for classes; results likewise."""
        live = self._live
        if live is not None and live.takes(inputs):
            found = live.step(inputs)
            return self._done(found, inputs) if self._declares else found
        check_names(self.model.system, inputs, self.model.declared)
        model = self.model.posed(self.pose(inputs)) if self._poses() else self.model
        system, state = model.system, self.state if self.state is None else _moved(self.state)
        data = {**self.given_ahead(), **self._with_time(inputs)}
        follows = {*computable(system, data)}
        want = self.want or tuple(name for name in self.model.system.of_role("defined")
                                  if name in follows and self._is_of_time(system.quantities[name]))
        if not want:
            others = [n for n in system.of_role("defined") if n in follows and system.runs_over(n, self.index)]
            if others:
                raise BadValue(f"only quantities with another open index than {self.index} follow from "
                               f"{', '.join(data) or 'no input'}; name those that are wanted: want={others[:3]}")
            known = system.of_role("input")
            ahead = ", ".join(f"{n}=..." for n in known if n not in data and not system.runs_over(n, self.index))
            raise BadValue(f"nothing can be computed from {', '.join(data) or 'no input'}; a step of this model takes "
                           f"{', '.join(n for n in known if system.runs_over(n, self.index))}"
                           f"{ahead and f'; the stepper is given {ahead} when it is made'}")
        check_causal(system, want, self.index)
        given = {n: data[n] for n in demand(system, want).inputs if n in data}
        with model.plans.alone:  # until the state lies where no other run comes
            out, plan = model.ran(given, want, state=state, lengths=self.lengths_of(system, want), seed=self.seed,
                                  batch=self.batch, steps=self._one_step(system, want))
            self.state = out.state
            if state is not None and len(plan.parts) == len(plan.levels) == 1 and not self.lengths:
                self._live = _Live(model, plan, inputs, want, self.seed, out.state, self.index)
                model.plans.lend(plan, self._live)
        found = {name: _only_step(value, system, system.quantities[name], self.index) for name, value in out.items()}
        return self._done(found, inputs)

    def _is_of_time(self, q: Quantity) -> bool:
        """Has it no open index but that of time?"""
        return [i for i in q.slots if i not in self.model.system.static] == [self.index]

    def _done(self, found: dict[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        drawn = [name for name in self.model.declared if name in found and name not in inputs]
        return codes(self.model, drawn, found) if drawn else found

    # -- what is computed once -----------------------------------------------------------------------

    def _poses(self) -> bool:
        return bool(self.model.declared or self._whole)

    def pose(self, inputs: Iterable[str]) -> Pose:
        """What is given, drawn, and there already."""
        given = frozenset(n for n in self.model.declared if n in inputs or n in self._whole)
        return Pose(given, sampling=self.sampling, ahead=frozenset(self.given_ahead()) - set(self._whole))

    def given_ahead(self) -> dict[str, Any]:
        """The inputs without time, and what follows from them alone."""
        if self._ahead is None:
            self._ahead = self._whole
            posed = self.model.posed(Pose(frozenset(n for n in self.model.declared if n in self._whole)))
            follows = {*computable(posed.system, self._whole)}
            names = [n for n in computable_ahead(posed.system, posed.system.equations, self.index)
                     if n not in posed.hidden and n != "loss" and n in follows] if self._whole else []
            if names:
                out = posed.run({n: self._whole[n] for n in demand(posed.system, names).inputs}, want=names,
                                lengths=self.lengths_of(posed.system, names))
                self._ahead = {**self._whole, **out}
        self._ahead = _moved(self._ahead)
        return self._ahead

    def lengths_of(self, system: System, want: Iterable[str]) -> Any:
        """Of the lengths those whose index is in what is computed."""
        if self.lengths is None:
            return None
        lengths, time = self.lengths, system.range_of(self.index)
        if not isinstance(lengths, Mapping):
            others = [i for i in system.open_indices if i != self.index]
            lengths = {others[0] if others else self.index: lengths}
        used = {system.range_of(i) for name in demand(system, tuple(want)).inputs
                for i in system.quantities[name].slots}
        if time in used and any(system.ranges.get(i) == time for i in lengths):
            raise BadValue(f"a step is one position of {self.index}; give lengths of other indices only")
        return {i: n for i, n in lengths.items() if i not in system.ranges or system.range_of(i) in used} or None

    def _one_step(self, system: System, want: tuple[str, ...]) -> dict[str, int] | None:
        carried = any(system.runs_over(name, self.index) for name in demand(system, want).inputs)
        return None if carried else {self.index: 1}

    def _with_time(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs as `run` takes them, one position long."""
        data, system = {}, self.model.system
        for name, value in inputs.items():
            q, array = system.quantities[name], entering(name, value)
            self._check_step(q, array)
            data[name] = one_step(system, q, array, self.index)
        return data

    def _check_step(self, q: Quantity, array: Any) -> None:
        """Raise where one step of an input has another shape, or another number of examples."""
        system, sizes, shape = self.model.system, q.type.shape, tuple(array.shape)
        others = [i for i in q.slots if system.range_of(i) != system.range_of(self.index)]
        first = 1 + len(others)
        classes = len(sizes) == 1 and sizes != (1,)
        coded = classes and len(shape) == first and array.dtype.kind in "iu"
        if shape[:1] != (self.batch,) or (shape[first:] != sizes and not coded):
            expected = (self.batch, *(system.static.get(i, i.upper()) for i in others), *sizes)
            dtype = f" and dtype {array.dtype}" if classes and len(shape) == first else ""
            raise BadValue(f"{q.name} has shape {shape}{dtype}; a step of this stepper takes "
                           f"({', '.join(map(str, expected))})" + ", or classes without the last axis" * classes)


class _Live:
    """A plan of one step whose buffers hold the state."""

    def __init__(self, model: Model, plan: Plan, inputs: Mapping[str, Any], want: Iterable[str], seed: int,
                 state: Mapping[str, Any], index: str):
        self.model, self.plan, self.index, (part,) = model, plan, index, plan.parts
        quantities = model.system.quantities
        self._weights, self._arrays = model.weights, part.weights
        arrays = {name: entering(name, value) for name, value in inputs.items()}
        self._shapes = {name: (array.shape, array.dtype) for name, array in arrays.items()}
        self._kinds, self._at = (np.ndarray, plan.xp.ndarray), plan.backend.asarray
        self._on_device = plan.xp is not np
        self._precision = backends.precision()
        self._inputs = [(name, self._here(part.interior(name), quantities[name])) for name in inputs
                        if name in part.layout.used]
        self._copies = [(name, self._here(part.interior(name), quantities[name]).copy) for name in want]
        self._classes = [(name, quantities[name].type.shape[0]) for name in inputs if name in plan.config.coded]
        self._rolls = [(part.by_step(name, axis)[:, :low], part.by_step(name, axis)[:, 1 : 1 + low])
                       for name, axis, low in part.carried]
        self._compiled, self._prelude = plan.compiled, part.prelude
        self._run = next(iter(plan.calls()), partial(part.program.run, 0))
        self._moving = bool(part.counted)
        self._behind = {i: state[position_key(i)] for i in model.system.ranges if position_key(i) in state}
        self._feed, self._done = Feed({}, seed=seed), 0

    def _here(self, value: Any, q: Quantity) -> Any:
        """The only position: (batch, other indices, features)."""
        value = self.plan.xp.moveaxis(value, -1, 0) if q.batched else value
        return _only_step(value, self.model.system, q, self.index)

    def takes(self, inputs: Mapping[str, Any]) -> bool:
        """Are these inputs like those that it was made for, and weights and precision still the same?"""
        shapes = self._shapes
        if len(inputs) != len(shapes) or self._weights.arrays is not self._arrays:
            return False
        if self._on_device and self._precision != backends.precision():
            return False
        for name, value in inputs.items():
            if type(value) not in self._kinds or (value.shape, value.dtype) != shapes.get(name):
                return False
        for name, size in self._classes:  # noqa: SIM110 - a generator costs more than the rest of these questions
            if not are_classes(inputs[name], size):
                return False
        return True

    def state(self) -> dict[str, Any]:
        """What the next step goes on from."""
        return {**self.plan.state(), **{position_key(i): n + self._done for i, n in self._behind.items()}}

    def step(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Move the state back by one position, and compute the next."""
        for earlier, later in self._rolls:
            earlier[...] = later
        for name, target in self._inputs:
            target[...] = self._at(inputs[name]) if self._on_device else inputs[name]
        if self._moving:
            feed = replace(self._feed, behind={i: n + self._done for i, n in self._behind.items()})
            for fill in self._prelude:
                fill(feed)
        self._done += 1
        if self._compiled:
            self._run()
        else:
            with self.plan.backend.quiet():
                self._run()
        return {name: copy() for name, copy in self._copies}


def _only_step(value: Any, system: System, q: Quantity, index: str) -> Any:
    """The value (batch, indices, features) at its only position in time, without that axis."""
    axis = time_axis(system, q, index)
    return value if axis is None else value[(*[slice(None)] * (axis + q.batched), 0)]


def one_step(system: System, q: Quantity, array: Any, index: str) -> Any:
    """One step (batch, other indices, features) of an input as `run` takes it: with an axis for time, if it has one."""
    axis = time_axis(system, q, index)
    return array if axis is None or array.ndim < 1 + axis else array[(*[slice(None)] * (1 + axis), None)]


def time_axis(system: System, q: Quantity, index: str) -> int | None:
    """The place of time among the indices of a quantity."""
    return next((k for k, i in enumerate(q.slots) if system.range_of(i) == system.range_of(index)), None)


def _moved(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays on the backend in use, which may be another one than at the step before."""
    return {name: backends.current().asarray(a) for name, a in arrays.items()}


def time_of(system: System) -> str:
    """The index of time. Raises where there is none."""
    if system.time is None:
        raise BadValue("a stepper needs a model with one index of time")
    return system.time


def check_causal(system: System, want: Iterable[str], index: str) -> None:
    """Raise where a wanted quantity needs steps that have not arrived yet, or are behind and not in a state."""
    r = system.range_of(index)
    check_carried(system, want, [r])
    for eq in needed(system, want):
        for node in walk([eq.rhs]):
            attrs = dict(node.attrs)
            late = node.op == "ref" and any(
                (s.anchor == "free" and system.range_of(s.index) == r and s.offset > 0)
                or (s.anchor == "last" and system.range_of(s.index) == r) for s in attrs["slots"])
            over = any(system.range_of(i) == r for i in attrs.get("over") or ())
            if late or (node.args and over) or (node.op == "last" and system.range_of(attrs["index"]) == r):
                raise BadValue(f"{eq.left} needs the whole sequence, so it cannot be computed step by step or "
                               f"carried on from a state\n{eq.show()}")
