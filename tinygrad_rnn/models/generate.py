"""Runs of models with declared data: what is given is observed, a prefix is gone on from, the rest is drawn."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .. import backends
from ..arguments import first_true, named
from ..arguments import whole as whole_number
from ..backends.places import entering
from ..errors import BadName, BadValue, near
from ..notation.declared import Pose, Sampling
from ..ops.draws import law
from ..plans.feeds import check_classes, dynamic_slots, is_coded, lengths_by_index, steps_by_index
from ..system import System
from .prefixes import Prefix
from .result import Result

if TYPE_CHECKING:
    from .model import Model, PosedModel

Values = TypeVar("Values", bound=dict[str, Any])


def generated(model: Model, data: Mapping[str, Any], want: Iterable[str] | None, stop: Any, sampling: Sampling,
              **options: Any) -> Result:
    """`Model.run` of a model with declared data; `options` are those of `prepared`."""
    stops = stop_classes(model, stop)
    whole, begun = _parted(model, data, options["steps"])
    for name, prefix in begun.items():
        check_prefix(model, name, prefix.values, options["lengths"])
    want = None if want is None else named("want", want)
    if want is not None and "loss" in want:
        model.observing(whole)  # tells where nothing is observed that a loss could be of
    given = {**whole, **{name: prefix.values for name, prefix in begun.items()}}
    options["batch"] = _examples(given, options["batch"])
    begun = {name: prefix for name, prefix in begun.items() if prefix.values.shape[1]}
    pose = Pose(frozenset(whole) & set(model.declared), frozenset(begun), sampling=sampling)
    posed = model.posed(pose)
    filled = {**whole, **_filled_up(posed, begun, _sizes(model.system, whole, options["steps"]))}
    names = tuple(n for n in posed.asked_for(want, filled) if want is not None or n not in posed.hidden)
    drawn = [name for name in model.declared if name not in pose.given]
    if posed.ordered and not stops:
        return codes(model, drawn, _public(posed, posed.ran(filled, names, **options)[0]))
    if posed.ordered:
        first: dict[str, Any] = codes(model, drawn, posed.ran(filled, tuple(drawn), **options)[0])
    else:
        first = _drawn_one_by_one(model, whole, begun, drawn, sampling, options)
        options = {**options, "steps": None}
    return _completed(model, whole, names, first, stops, begun, options)


def check_sampling(model: Model, sampling: Sampling, stop: Any = None) -> None:
    """Raise where a model is told how to draw what it does not draw."""
    if not model.declared and (stop is not None or sampling != Sampling()):
        raise BadValue("stop=, temperature=, top_k= and top_p= are for models that draw; this one declares no data, "
                       "such as w[t] = categorical(p[t])")
    of_classes = (sampling.top_k, sampling.top_p) != (None, None)
    if of_classes and all(kind_of(model, name) != "categorical" for name in model.declared):
        raise BadValue(f"top_k= and top_p= are of classes, w[t] = categorical(p[t]), and this model draws "
                       f"{', '.join(model.declared)}, no class")


def _examples(data: Mapping[str, Any], batch: int | None) -> int | None:
    """How many examples there are, where batch= or what is given says it, be it a prefix of no steps."""
    sizes = {len(v) for v in data.values() if v.ndim}
    for name, value in data.items():
        if batch is not None and value.ndim and len(value) != batch:
            raise BadValue(f"{name} has {len(value)} examples, and batch={batch!r}; leave batch= out, or give as many, "
                           f"such as np.repeat({name}, {batch!r}, axis=0)")
    return sizes.pop() if batch is None and len(sizes) == 1 else batch


def check_prefix(model: Model, name: str, array: Any, lengths: Any = None) -> None:
    """Raise where what is given of declared data has another shape, or a class out of range that is no padding."""
    system = model.system
    coded = is_coded(system, system.quantities[name], array)
    if not len(array):
        raise BadValue(f"the batch is empty: {name} has shape {tuple(array.shape)}")
    if coded and array.size:
        by_index = lengths_by_index(system, lengths)
        ends = {system.range_of(i): n for i, n in by_index.items() if n.shape == array.shape[:1]}
        check_classes(system, [name], {name: array}, ends)


def _completed(model: Model, whole: Mapping[str, Any], names: tuple[str, ...], first: Mapping[str, Any],
               stops: Mapping[str, int], begun: Mapping[str, Prefix], options: dict[str, Any]) -> Result:
    """What was drawn, cut behind the first stop of each example; then everything else, with it given."""
    found, lengths = dict(first), options["lengths"]
    if stops:
        index = stop_index(model, next(iter(stops)))
        lengths = _ends(first, stops, begun, index, lengths_by_index(model.system, lengths))
        found = {name: _cut(model, name, value, index, lengths[index]) for name, value in first.items()}
    rest = tuple(n for n in names if n not in found)
    result = Result({n: found[n] for n in names if n in found})
    result.state = {}
    if rest:
        everything = model.posed(Pose(frozenset({*whole, *found} & set(model.declared))))
        out, _ = everything.ran({**whole, **found}, rest, **{**options, "lengths": lengths, "batch": None})
        result = Result({n: out[n] if n in out else found[n] for n in names})
        result.state = out.state
    result.lengths = lengths if not isinstance(lengths, Mapping) or len(lengths) > 1 else next(iter(lengths.values()))
    return result


def _ends(first: Mapping[str, Any], stops: Mapping[str, int], begun: Mapping[str, Prefix], index: str,
          given: Mapping[str, Any]) -> dict[str, Any]:
    """Lengths by index: up to the first stop that was drawn; a prefix is kept whatever is in it."""
    steps, backend = first[next(iter(stops))].shape[1], backends.current()
    xp = backend.xp
    ends = backend.asarray(given.get(index, xp.full(len(first[next(iter(stops))]), steps)))
    for name, stop in stops.items():
        hit = first[name] == stop
        if name in begun:
            hit &= ~begun[name].kept(steps)
        ends = xp.minimum(ends, xp.where(hit.any(1), hit.argmax(1) + 1, steps))
    return {**given, index: ends}


def _cut(model: Model, name: str, value: Any, index: str, ends: Any) -> Any:
    """The value with zeros behind the end of each example."""
    system, value, xp = model.system, value.copy(), backends.current().xp
    for k, i in enumerate(system.quantities[name].slots):
        if system.range_of(i) == system.range_of(index):
            beyond = xp.arange(1, value.shape[k + 1] + 1) > ends[:, None]
            xp.moveaxis(value, k + 1, 1)[beyond] = 0
    return value


def _drawn_one_by_one(model: Model, whole: Mapping[str, Any], begun: Mapping[str, Prefix], drawn: list[str],
                      sampling: Sampling, options: Mapping[str, Any]) -> dict[str, Any]:
    """All that is drawn along the open index, each position after those before it."""
    system = model.system
    index = next(i for n in drawn for i in dynamic_slots(system, n))
    sizes = _sizes(system, {n: v for n, v in whole.items() if n not in model.declared}, options["steps"])
    if system.range_of(index) not in sizes:
        raise BadValue(f"no input says how far {index} runs in {drawn[0]}[{index}]; give steps=")
    steps = one_by_one(model, whole, begun, index, sampling, **{k: options[k] for k in ("lengths", "batch", "seed")})
    columns = list(itertools.islice(steps, sizes[system.range_of(index)]))
    return {name: backends.current().xp.stack([c[name] for c in columns], axis=1) for name in columns[0]}


def one_by_one(model: Model, whole: Mapping[str, Any], begun: Mapping[str, Prefix], index: str, sampling: Sampling, *,
               lengths: Any = None, batch: int | None = None, seed: int = 0) -> Iterator[dict[str, Any]]:
    """What is drawn at each step, from the model computed anew with all that came before.

    whole: inputs, those over time for all steps; begun: prefixes of declared data.
    """
    begun = {n: p.of_classes() if kind_of(model, n) == "categorical" else p for n, p in begun.items()}
    examples = batch or next((len(v) for v in (*whole.values(), *(p.ends for p in begun.values()))), 1)
    draws = _OneByOne(model, whole, index, sampling, examples, {"lengths": lengths, "seed": seed})
    for k in itertools.count():
        now: dict[str, Any] = {}
        for name in draws.names:
            if name in begun and begun[name].gives(k):
                now[name] = begun[name].values[:, k]
            else:
                drawn = draws.drawn(name, k, now)
                now[name] = begun[name].over(drawn, k) if name in begun else drawn
        draws.go_on(now)
        yield now


class _OneByOne:
    """Draws of one step after another. names: those that are drawn; past: their values up to the step before."""

    def __init__(self, model: Model, whole: Mapping[str, Any], index: str, sampling: Sampling, examples: int,
                 options: Mapping[str, Any]):
        self.model, self.whole, self.examples, self.options = model, whole, examples, options
        self.range, self.xp = model.system.range_of(index), backends.current().xp
        quantities = model.system.quantities
        self.names = [n for n in model.declared if n not in whole and index in quantities[n].slots]
        self.timed = {n: 1 + k for n in whole for k, i in enumerate(quantities[n].slots)
                      if model.system.range_of(i) == self.range}
        given = frozenset({*self.names, *whole} & set(model.declared))
        self.posed = model.posed(Pose(given, peeked=True, sampling=sampling))
        self.past = {n: _nothing(model, n, examples, 0) for n in self.names}

    def drawn(self, name: str, k: int, now: Mapping[str, Any]) -> Any:
        """A draw of step k, counted from 0. now: what has been drawn of the same step."""
        data = {n: v[(*[slice(None)] * self.timed[n], slice(k + 1))] if n in self.timed else v
                for n, v in self.whole.items()}
        for other, before in self.past.items():
            here = now[other][:, None] if other in now else _nothing(self.model, other, self.examples, 1)
            data[other] = self.xp.concatenate([before, here], axis=1)
        peek, lengths = self.posed.peeks[name], _up_to(self.options["lengths"], self.model.system, self.range, k + 1)
        out, _ = self.posed.ran(data, (peek,), lengths=lengths, seed=self.options["seed"])
        return codes(self.model, [name], {name: out[peek]})[name][:, k]

    def go_on(self, now: Mapping[str, Any]) -> None:
        """Let a step be past."""
        self.past = {n: self.xp.concatenate([v, now[n][:, None]], axis=1) for n, v in self.past.items()}


def _up_to(lengths: Any, system: System, r: str, steps: int) -> dict[str, Any]:
    """The lengths of indices other than that of time, and of time as far as it has come."""
    by_index = lengths_by_index(system, lengths)
    return {i: np.minimum(n, steps) if system.range_of(i) == r else n for i, n in by_index.items()}


def _nothing(model: Model, name: str, examples: int, steps: int) -> Any:
    """Something to stand where nothing is known yet and nothing looks."""
    xp = backends.current().xp
    if kind_of(model, name) == "categorical":
        return xp.zeros((examples, steps), "int64")
    return xp.full((examples, steps, *model.system.quantities[name].type.shape), 0.5)


def stop_index(model: Model, name: str) -> str:
    """The index along which a stop ends an example."""
    found = dynamic_slots(model.system, name)
    if len(found) != 1:
        raise BadValue(f"stop= ends sequences of classes along one index; {name} has "
                       f"{', '.join(found) or 'none whose range is open'}")
    return found[0]


def stop_classes(model: Model, stop: Any) -> dict[str, int]:
    """stop= as a class by name. Raises where it is no class of what is drawn."""
    if stop is None:
        return {}
    open_names = [n for n in model.declared if kind_of(model, n) == "categorical" and dynamic_slots(model.system, n)]
    if not isinstance(stop, Mapping):
        if len(open_names) != 1:
            raise BadValue(f"stop= is ambiguous: the model draws {', '.join(open_names) or 'no sequence of classes'}; "
                           'write stop={"w": 0}')
        stop = {open_names[0]: stop}
    found = {}
    for name, value in stop.items():
        if name not in open_names:
            raise BadName(f"stop= names {name!r}{near(str(name), open_names)}; sequences of classes are "
                          f"{', '.join(open_names) or 'none'}")
        size = model.system.quantities[name].type.shape[0]
        found[name] = whole_number(f"stop= of {name}, a class,", value, at_least=0, at_most=size - 1)
    indices = {model.system.range_of(stop_index(model, name)) for name in found}
    if len(indices) > 1:
        raise BadValue("stop= names data over different indices")
    return found


def kind_of(model: Model, name: str) -> str:
    """"categorical", "pointer" (a categorical over an index), "bernoulli" or "normal"."""
    return law(model.declarations[name].rhs)


def _sizes(system: System, given: Mapping[str, Any], steps: Any) -> dict[str, int]:
    """How far each range runs that steps= or an input tells of."""
    sizes = {system.range_of(i): n for i, n in steps_by_index(system, steps).items()}
    for name, value in given.items():
        for size, index in zip(np.shape(value)[1:], system.quantities[name].slots, strict=False):
            sizes.setdefault(system.range_of(index), size)
    return sizes


def _parted(model: Model, data: Mapping[str, Any], steps: Any) -> tuple[dict[str, Any], dict[str, Prefix]]:
    """What is given for all positions, and the prefixes of declared data."""
    system, asarray = model.system, backends.current().asarray
    whole = {name: asarray(entering(name, value)) for name, value in data.items() if name not in model.declared}
    sizes, begun = _sizes(system, whole, steps), dict[str, Prefix]()
    for name in model.declared:
        if name not in data:
            continue
        open_slots = dynamic_slots(system, name)
        size = sizes.get(system.range_of(open_slots[0])) if open_slots else None
        prefix = None if size is None else Prefix.of(name, data[name], size)
        if prefix is None:
            whole[name] = asarray(entering(name, data[name]))
            continue
        if system.quantities[name].slots != tuple(open_slots[:1]):
            raise BadValue(f"a prefix is of data over one index; {name} has "
                           f"{', '.join(system.quantities[name].slots)}")
        begun[name] = prefix
    return {name: whole[name] for name in data if name in whole}, begun


def _filled_up(posed: PosedModel, begun: Mapping[str, Prefix], sizes: Mapping[str, int]) -> dict[str, Any]:
    """Prefixes as inputs of the whole length, and where they are kept."""
    found, xp = {}, backends.current().xp
    for name, prefix in begun.items():
        (index,), (values, kept) = posed.system.quantities[name].slots, posed.begun[name]
        size, array = sizes[posed.system.range_of(index)], prefix.values
        found[values] = xp.pad(array, [(0, size - array.shape[1] if k == 1 else 0) for k in range(array.ndim)])
        found[kept] = prefix.kept(size).astype("float32")
    return found


def codes(model: Model, drawn: Iterable[str], out: Values) -> Values:
    """Drawn classes as integers. Raises where there was no distribution to draw from."""
    for name in drawn:
        if name not in out:
            continue
        value = out[name]
        bad = first_true(value != value)
        if bad is not None:
            eq = model.declarations[name]
            raise BadValue(f"{name} cannot be drawn at {model.system.quantities[name].place(bad)}: what stands in "
                           f"{eq.rhs.op}(...) is no distribution there (NaN, negative, or all zero)\n{eq.show()}")
        if kind_of(model, name) == "categorical":
            out[name] = value.argmax(-1)
        elif kind_of(model, name) == "pointer":
            out[name] = value.astype("int64")
    return out


def _public(posed: PosedModel, out: Result) -> Result:
    """The result without what only the pose has in its state."""
    out.state = {k: v for k, v in out.state.items() if k not in posed.hidden}
    return out
