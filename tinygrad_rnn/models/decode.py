"""Declared data step by step: a stream of draws, and beam search for the likeliest."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import backends
from ..arguments import real, whole
from ..backends.places import entering
from ..errors import BadValue, allocating
from ..notation.declared import Pose, Sampling
from ..passes.demand import demand
from ..passes.schedule import needed
from ..plans.feeds import apart
from .generate import check_prefix, kind_of, one_by_one, stop_classes, stop_index
from .prefixes import Prefix, check_even
from .stepper import Stepper, check_causal, one_step, time_axis, time_of

if TYPE_CHECKING:
    from .model import Model


def stream(model: Model, data: Mapping[str, Any] | None = None, /, *, steps: int | None = None, stop: Any = None,
           batch: int | None = None, lengths: Any = None, seed: int = 0, temperature: float = 1.0,
           top_k: int | None = None, top_p: float | None = None, **inputs: Any) -> Iterator[dict[str, Any]]:
    """Yield what is drawn at each step, a dict of arrays (batch, ...) by name, and under "done" which examples ended.

    The draws are those of `Model.run` with the same seed. Inputs over time are taken step by step; declared data that
    are given are a prefix, which is not yielded. It ends after `steps`, where inputs over time end, or when every
    example has met its stop; without any of them it does not end. A model that looks at all that was drawn before (by
    attention, say) is computed anew at each step. Raises `Error` as `Model.run` does.
    """
    data, lengths = apart(model.system, data, lengths)
    given = model.given(data, inputs)
    if not model.declared:
        raise BadValue("this model declares no data to draw, such as w[t] = categorical(p[t])")
    stops = stop_classes(model, stop)
    index = stop_index(model, next(iter(stops))) if stops else time_of(model.system)
    parts = _Parts(model, given, index, batch, lengths)
    options = {"seed": seed, "temperature": temperature, "top_k": top_k, "top_p": top_p}
    last = parts.last(None if steps is None else whole("steps", steps, at_least=1))
    names = [n for n in model.declared if n not in parts.whole]
    if parts.causal(names):
        drawn = _by_state(model, parts, lengths, options)
    else:
        begun = {name: Prefix.even(values) for name, values in parts.prefix.items()}
        drawn = one_by_one(model, {**parts.whole, **parts.steps}, begun, index,
                           Sampling(temperature, top_k, top_p), lengths=lengths, batch=parts.batch, seed=seed)
    done = backends.current().xp.zeros(parts.batch, bool)
    for number, values in enumerate(drawn, start=1):
        if number > parts.begun:
            for name, value in stops.items():
                done = done | (values[name] == value)
            yield {**{n: values[n] for n in names if n in values}, "done": done}
        if number == last or done.all():
            return


class _Parts:
    """What is given: whole inputs, inputs step by step, and prefixes of declared data."""

    def __init__(self, model: Model, given: Mapping[str, Any], index: str, batch: int | None, lengths: Any):
        self.model, self.index = model, index

        def timed(name: str) -> bool:
            return model.system.runs_over(name, index)

        check_even({n: v for n, v in given.items() if n in model.declared})
        given = {n: backends.current().asarray(entering(n, v)) for n, v in given.items()}
        self.whole = {n: v for n, v in given.items() if not timed(n)}
        self.prefix = {n: v for n, v in given.items() if timed(n) and n in model.declared}
        self.steps = {n: v for n, v in given.items() if timed(n) and n not in model.declared}
        for name, array in self.prefix.items():
            check_prefix(model, name, array, lengths)
        self.begun = max((v.shape[1] for v in self.prefix.values()), default=0)
        sizes = {len(v) for v in given.values()}
        if batch is not None:
            sizes.add(whole("batch", batch, at_least=1))
        if len(sizes) > 1:
            raise BadValue(f"what is given has different numbers of examples: {', '.join(map(str, sorted(sizes)))}")
        self.batch = sizes.pop() if sizes else 1

    def last(self, steps: int | None) -> int | None:
        """How many steps there are at most."""
        ends = [v.shape[self._axis(n)] for n, v in self.steps.items()]
        last = min([*ends, *([] if steps is None else [steps])], default=None)
        if last is not None and self.begun > last:
            raise BadValue(f"{', '.join(self.prefix)} has {self.begun} steps, more than the {last} that there are")
        return last

    def _axis(self, name: str) -> int:
        """Along which axis of what is given its steps lie."""
        system = self.model.system
        return 1 + (time_axis(system, system.quantities[name], self.index) or 0)

    def causal(self, names: list[str]) -> bool:
        """Can the names be computed step by step?"""
        try:
            check_causal(self.model.system, names, self.index)
        except BadValue:
            return False
        return not any(self.model.system.range_of(i) == self.model.system.range_of(self.index) and i != self.index
                       for eq in needed(self.model.system, names) for i in self.model.system.quantities[eq.name].slots)

    def at(self, k: int) -> dict[str, Any]:
        """What a step is given, counted from 0."""
        return {**{n: v[(*[slice(None)] * self._axis(n), k)] for n, v in self.steps.items()},
                **{n: v[:, k] for n, v in self.prefix.items() if k < v.shape[1]}}


def _by_state(model: Model, parts: _Parts, lengths: Any, options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    step = Stepper(model, parts.batch, None, parts.whole, lengths=lengths, **options)
    for k in itertools.count():
        now = parts.at(k)
        yield {**step(**now), **now}


@dataclass(frozen=True)
class Beams:
    """The likeliest sequences of each example, best first.

    codes: (batch, width, steps), zero behind the end; lengths: (batch, width), with the stop; log_likelihoods: (batch,
    width); scores: the same divided by the length penalty, by which they are ordered. -inf where there are fewer.
    """

    codes: Any
    lengths: Any
    log_likelihoods: Any
    scores: Any


def beam_search(model: Model, data: Mapping[str, Any] | None = None, /, *, steps: int, width: int = 4, stop: Any = None,
                length_penalty: float = 0.0, batch: int | None = None, lengths: Any = None, **inputs: Any) -> Beams:
    """The likeliest values of declared classes by beam search: at each step the `width` best beginnings are kept.

    steps: how far at most; stop: the class that ends a sequence, inclusive. length_penalty: a, by which sequences
    compete with log p / ((5 + length) / 6) ** a (Wu et al. 2016, "Google's Neural Machine Translation System",
    equation 14). Declared data that are given are a prefix. The model declares one sequence of classes.
    Raises `Error` for other models.
    """
    data, lengths = apart(model.system, data, lengths)
    given = model.given(data, inputs)
    open_names = [n for n in model.declared if n not in given or n in stop_names(model)]
    if len(open_names) != 1 or kind_of(model, open_names[0]) != "categorical":
        raise BadValue(f"beam search looks for one sequence of classes, w[t] = categorical(p[t]); this model draws "
                       f"{', '.join(open_names) or 'nothing'}")
    (name,) = open_names
    width, steps = whole("width", width, at_least=1), whole("steps", steps, at_least=1)
    penalty = real("length_penalty", length_penalty)
    classes = stop_classes(model, stop if stop is None or isinstance(stop, Mapping) else {name: stop})
    parts = _Parts(model, given, stop_index(model, name), batch, lengths)
    kind = _Carried if parts.causal([name]) else _Anew
    with allocating(f"a beam search of width {width}"):
        return _Search(kind(model, name, parts, width, lengths), width, classes.get(name), penalty).run(
            parts.last(steps) or steps)


def stop_names(model: Model) -> list[str]:
    """The declared sequences of classes."""
    return [n for n in model.declared if kind_of(model, n) == "categorical" and model.system.quantities[n].slots]


def _repeated(value: Any, width: int) -> Any:
    """Each example `width` times, one after another: of an array, or of a dict of them."""
    if isinstance(value, Mapping):
        return {name: _repeated(v, width) for name, v in value.items()}
    return None if value is None else value.repeat(width, axis=0)


class _Carried:
    """The distribution of the next class by one step from a state."""

    def __init__(self, model: Model, name: str, parts: _Parts, width: int, lengths: Any):
        self.name, self.parts, self.width = name, parts, width
        self.stepper = Stepper(model, parts.batch * width, [name], _repeated(parts.whole, width),
                               lengths=_repeated(lengths, width))
        self.dummy = np.zeros(parts.batch * width, "int64")
        pose = self.stepper.pose([name])
        self.model = model.posed(Pose(pose.given, scored=name, ahead=pose.ahead))
        self.state: dict[str, Any] | None = None
        self.k = 0

    def likelihoods(self) -> Any:
        """(batch * width, classes) of the next step."""
        system, score = self.model.system, self.model.score
        assert score is not None
        now = {n: one_step(system, self.parts.model.system.quantities[n], v, self.stepper.index)
               for n, v in _repeated(self.parts.at(self.k), self.width).items()}
        data = {**self.stepper.given_ahead(), **now, self.name: self.dummy[:, None]}
        needs = demand(system, (score,)).inputs
        out, _ = self.model.ran({n: data[n] for n in needs if n in data}, (score,), state=self.state,
                                batch=len(self.dummy), lengths=self.stepper.lengths_of(system, (score,)),
                                steps=None if self.name in needs else {self.stepper.index: 1})
        self.pending = out.state
        return out[score][:, 0]

    def take(self, parents: Any, classes: Any) -> None:
        """Go on from the rows `parents` with those classes."""
        at = backends.current().asarray
        parents, classes = at(parents), at(classes)
        self.state = {k: v[parents] if len(v) == len(parents) else v for k, v in self.pending.items()}
        if self.name in self.state:
            self.state[self.name][:, -1] = classes
        self.k += 1


class _Anew:
    """The distribution of the next class from all that came before."""

    def __init__(self, model: Model, name: str, parts: _Parts, width: int, lengths: Any):
        self.name, self.parts, self.width = name, parts, width
        self.model = model.posed(Pose(frozenset([name, *(n for n in parts.whole if n in model.declared)]), scored=name))
        self.whole, self.lengths = _repeated(parts.whole, width), _repeated(lengths, width)
        self.history = np.zeros((parts.batch * width, 0), "int64")

    def likelihoods(self) -> Any:
        """(batch * width, classes) of the next step."""
        k, score = self.history.shape[1] + 1, self.model.score
        assert score is not None
        timed = _repeated({n: v[:, :k] for n, v in self.parts.steps.items()}, self.width)
        now = np.concatenate([self.history, np.zeros((len(self.history), 1), "int64")], axis=1)
        out, _ = self.model.ran({**self.whole, **timed, self.name: now}, (score,), lengths=self.lengths)
        return out[score][:, -1]

    def take(self, parents: Any, classes: Any) -> None:
        """Go on from the rows `parents` with those classes."""
        self.history = np.concatenate([self.history[parents], classes[:, None]], axis=1)


class _Search:
    """The beams of a batch: rows are examples times width."""

    def __init__(self, model: _Carried | _Anew, width: int, stop: int | None, penalty: float):
        self.model, self.width, self.stop, self.penalty = model, width, stop, penalty
        self.batch, self.to_host = model.parts.batch, backends.current().to_host  # which beams go on, the host decides
        self.prefix = None if model.name not in model.parts.prefix else self._classes(model.parts.prefix[model.name])
        self.total = np.full((self.batch, width), -math.inf)
        self.total[:, 0] = 0.0
        self.done = np.zeros((self.batch, width), bool)
        self.lengths = np.zeros((self.batch, width), "int64")
        self.codes = np.zeros((self.batch, width, 0), "int64")

    def _classes(self, prefix: Any) -> Any:
        """Classes, also of one-hot vectors."""
        prefix = self.to_host(prefix)
        return prefix if prefix.ndim == 2 else prefix.argmax(-1)

    def run(self, steps: int) -> Beams:
        for k in range(steps):
            with np.errstate(divide="ignore"):
                log_p = np.log(self.to_host(self.model.likelihoods()).astype("float64"))
            self._extend(log_p.reshape(self.batch, self.width, -1), k)
            if self.done.all():
                break
        order = np.argsort(-self._score(self.total, self.lengths), axis=1, kind="stable")
        codes, lengths, total = (np.take_along_axis(a, order.reshape(*order.shape, *[1] * (a.ndim - 2)), 1)
                                 for a in (self.codes, self.lengths, self.total))
        return Beams(*map(backends.current().asarray, (codes, lengths, total, self._score(total, lengths))))

    def _score(self, total: Any, lengths: Any) -> Any:
        return total / ((5.0 + lengths) / 6.0) ** self.penalty

    def _extend(self, log_p: Any, k: int) -> None:
        """Each beam by each class; one that has ended stays as it is."""
        classes = log_p.shape[2]
        begun = None if self.prefix is None or k >= self.prefix.shape[1] else self.prefix[:, k, None, None]
        if begun is not None:
            log_p = np.where(np.arange(classes) == begun, 0.0, -math.inf)
        stays = np.where(np.arange(classes) == 0, 0.0, -math.inf)
        total = self.total[:, :, None] + np.where(self.done[:, :, None], stays, log_p)
        longer = self.lengths + ~self.done
        score = self._score(total, longer[:, :, None])
        best = np.argsort(-score.reshape(self.batch, -1), axis=1, kind="stable")[:, : self.width]
        parent, code = best // classes, best % classes
        self.total = np.take_along_axis(total.reshape(self.batch, -1), best, 1)
        self.lengths = np.take_along_axis(longer, parent, 1)
        ended = np.take_along_axis(self.done, parent, 1)
        code = np.where(ended, 0, code)
        self.codes = np.concatenate([np.take_along_axis(self.codes, parent[:, :, None], 1), code[:, :, None]], axis=2)
        self.done = ended | ((code == self.stop) if self.stop is not None and begun is None else False)
        rows = (np.arange(self.batch)[:, None] * self.width + parent).reshape(-1)
        self.model.take(rows, code.reshape(-1))
