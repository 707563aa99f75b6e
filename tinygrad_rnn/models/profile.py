"""Where the time of a step goes: products, elementwise passes, copies, Python, and what is between them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import backends
from ..arguments import named, whole
from ..config import Feed
from ..errors import BadValue
from ..fusion.program import Interpreted
from ..fusion.timing import TimedCalls, Unit
from ..node import refs
from ..plans.feeds import prepared
from ..plans.part import Part
from ..plans.plan import Plan

if TYPE_CHECKING:
    from .model import Model

KINDS = ("products", "elementwise", "copies", "Python")
NAMELESS = "(no name)"
# A step is long, so that other processes hardly let one run through; its processor time is without them.
FINE = time.get_clock_info("thread_time").resolution <= 1e-6
WHOLE = time.thread_time if FINE else time.perf_counter
LEAST = 0.001  # the share below which units are printed together
MOST = 6  # names printed of one unit
SHAPES = ((384, 384, 384), (2048, 512, 64), (512, 2048, 128))  # products that the rate is measured on: short ones,
RUNS = 20  # and often, so that some run while nothing else does


@dataclass(frozen=True)
class Row:
    """Units of the program that do the same for the same quantities.

    kind: of KINDS; names: the named quantities whose equations they compute or help to; calls and seconds in a step;
    of products only, flop: floating-point operations in a step, reads: the named quantities that are multiplied.
    """

    kind: str
    names: tuple[str, ...]
    calls: int
    seconds: float
    flop: float = 0.0
    reads: tuple[str, ...] = ()

    def __str__(self) -> str:
        return _listed(self.names) + (f" from {_listed(self.reads)}" if self.reads else "")


@dataclass(frozen=True)
class Profile:
    """What `Model.profile` measured on one thread: the least of some runs, of every unit in its place and of the whole.

    seconds: of a whole step, from loading the inputs to copying the results out; rate: floating-point operations per
    second of NumPy's float32 products on one thread, measured just then.
    """

    rows: tuple[Row, ...]
    seconds: float
    rate: float
    model: Model = field(repr=False, compare=False)

    @property
    def by_kind(self) -> dict[str, float]:
        """The share of each kind in the step; "overhead" is what no unit accounts for."""
        found = {kind: sum(r.seconds for r in self.rows if r.kind == kind) / self.seconds for kind in KINDS}
        return {**found, "overhead": 1 - sum(found.values())}

    @property
    def by_name(self) -> dict[str, float]:
        """The share of each named quantity in what the units take; one that serves several counts evenly for each."""
        total = sum(r.seconds for r in self.rows) or 1.0
        found: dict[str, float] = {}
        for r in self.rows:
            for name in r.names:
                found[name] = found.get(name, 0.0) + r.seconds / total / len(r.names)
        return dict(sorted(found.items(), key=lambda pair: -pair[1]))

    def draw(self, path: str | os.PathLike[str], **options: Any) -> Path:
        """Draw the model, folded, coloured by the share of time that quantities and their gradients take."""
        system = self.model.system
        reader = {node.attr("name"): eq.name for eq in reversed(system.equations) for node in refs([eq.rhs])
                  if system.quantities[node.attr("name")].role == "weight"}
        shares: dict[str, float] = {}
        for name, share in self.by_name.items():
            plain = re.sub(r"(_\d+)+$", "", name)
            of = next((x for x in (name, plain, plain.removeprefix("d_a_"), plain.removeprefix("d_"))
                       if x in system.quantities), name)
            of = reader.get(of, of)  # what a weight's gradient costs belongs to the equation with the weight
            if of in system.quantities:
                shares[of] = shares.get(of, 0.0) + share
        return self.model.draw(path, shares=shares, **options)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        lines = [f"{'ms':>9}  {'share':>6}  {'calls':>6}  {'kind':<11}  {'GFLOP/s':>7}  {'of sgemm':>8}  for"]
        ordered = sorted(self.rows, key=lambda row: -row.seconds)
        large = [r for r in ordered if r.seconds >= LEAST * self.seconds]
        for r in large:
            speed = r.flop / r.seconds if r.flop and r.seconds else 0.0
            rate = f"{speed / 1e9:7.1f}  {speed / self.rate:8.0%}" if speed else " " * 17
            lines.append(f"{_time(r.seconds, self.seconds)}  {r.calls:6}  {r.kind:<11}  {rate}  {r}")
        if small := ordered[len(large) :]:
            lines.append(f"{_time(sum(r.seconds for r in small), self.seconds)}  {sum(r.calls for r in small):6}  "
                         f"{len(small)} smaller")
        lines += [f"{_time(share * self.seconds, self.seconds)}  {kind}" for kind, share in self.by_kind.items()]
        lines.append(f"{self.seconds * 1e3:9.3f}  one step, one thread; sgemm {self.rate / 1e9:.0f} GFLOP/s")
        return "\n".join(lines)


def _time(seconds: float, whole: float) -> str:
    return f"{seconds * 1e3:9.3f}  {seconds / whole:6.1%}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST
    if more > 0:
        return f"{', '.join(names[:MOST])} and {more} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def profile(model: Model, data: Mapping[str, Any] | None, *, of: str, wrt: Iterable[str] | None, gradient: bool,
            repeat: int, **options: Any) -> Profile:
    """See `Model.profile`."""
    whole("repeat", repeat, at_least=1)
    names = named("wrt", model.weights if wrt is None else wrt, model.weights)
    derived = model.grad(of, names) if gradient else model
    want = (of, *(derived.adjoints[n] for n in model.weights.in_order(names))) if gradient else (of,)
    config, feed = prepared(derived.system, want, data or {}, **options)
    backend = backends.current()
    if backend.name != "numpy":
        raise BadValue(f"profile measures what NumPy and compiled plans do, not the backend {backend.name!r}")
    with backend.single_threaded(), backend.quiet():
        return _measured(model, Plan(derived.system, config, model.weights.arrays, backend, parts=1), feed, repeat)


Beside = dict[tuple[str, tuple[str, ...]], float]  # kind, names of quantities -> seconds


@dataclass(frozen=True)
class _Step:
    """One run with clocks in it: the units of the program, and what loading and copying out took."""

    units: list[Unit]
    beside: Beside


def _measured(model: Model, plan: Plan, feed: Feed, repeat: int) -> Profile:
    """The least time of every unit in runs with clocks, and of the whole in runs without, by turns."""
    (part,) = plan.parts
    programs = [part.program, _timed(part.program)]
    whole, steps = [], []
    for _ in range(repeat + 1):
        part.program = programs[0]
        whole.append(_seconds(partial(_run, plan, feed), WHOLE))
        part.program = programs[1]
        steps.append(_step(plan, part, programs[1], feed))
    whole, steps = whole[1:], steps[1:]  # the first warmed up
    units = [replace(same[0], seconds=min(u.seconds for u in same))
             for same in zip(*(step.units for step in steps), strict=True)]
    flow = _Flow(plan, units)
    rows = [Row(*key, 1, min(step.beside[key] for step in steps)) for key in steps[0].beside]
    for k, unit in enumerate(units):
        rows.append(Row(unit.kind, flow.served(k), unit.calls, unit.seconds, unit.flop, flow.multiplied(k)))
    # Clocks may make the units longer than the whole where there is nothing between them.
    return Profile(_joined(rows), max(min(whole), sum(r.seconds for r in rows)), _sgemm(), model)


def _run(plan: Plan, feed: Feed) -> None:
    plan.run(feed)
    for name in plan.config.want:
        plan.result(name)


def _timed(program: Any) -> Any:
    if isinstance(program, Interpreted):
        return TimedCalls(program)
    from ..jit.timing import TimedProgram

    return TimedProgram(program)


def _step(plan: Plan, part: Part, program: Any, feed: Feed) -> _Step:
    program.reset()
    start = time.perf_counter()
    plan.run(feed)
    ran = time.perf_counter()
    beside: Beside = {("copies", (name,)): _seconds(partial(plan.result, name)) for name in plan.config.want}
    units = program.units()
    for key, spent in _loading(part, feed, ran - start - program.inside).items():
        beside[key] = beside.get(key, 0.0) + spent
    return _Step(units, beside)


def _loading(part: Part, feed: Feed, most: float) -> Beside:
    """What filling the inputs and draws takes, done once more; in all at most what the run did beside its program."""
    found: Beside = {("copies", (name,)): _seconds(partial(part.load, name, array))
                     for name, array in feed.inputs.items() if name in part.layout.used}
    if part.drawn:
        names = tuple(eq.name for eq in part.layout.equations if eq.rhs.op == "dropout_mask")
        found["Python", names or (NAMELESS,)] = sum(_seconds(partial(fill, feed)) for fill in part.prelude)
    again = sum(found.values())
    return {key: spent * min(1.0, most / again) for key, spent in found.items()}


class _Flow:
    """Which named quantities the units serve, followed from one array to the next."""

    def __init__(self, plan: Plan, units: Sequence[Unit]):
        self.owner, self.units = plan.backend.owner, units
        layout = plan.parts[0].layout
        self.defined = {name for name in layout.used if layout.system.quantities[name].role == "defined"}
        bounds = [(name, buffer, *np.lib.array_utils.byte_bounds(buffer)) for name, buffer in layout.buffers.items()]
        self.buffers = sorted(bounds, key=lambda each: each[2])
        self.copied: dict[int, tuple[str, ...]] = {}  # what owns a copy of quantities -> the quantities
        for unit in units:
            for reads, writes in unit.flow if unit.kind == "copies" else ():
                for sources in filter(None, map(self._read, reads)):
                    self.copied |= {id(self.owner(a)): sources for a in writes}

    def served(self, k: int) -> tuple[str, ...]:
        """What unit k writes; if nothing of that has a name, what the first makes of each part of it that has."""
        found = self._written(a for _, writes in self.units[k].flow for a in writes)
        if not found:
            made = {id(self.owner(a)) for _, writes in self.units[k].flow for a in writes}
            later = [flow for unit in self.units[k + 1 :] for flow in unit.flow]
            parts = sorted({_place(a) for reads, _ in later for a in reads if id(self.owner(a)) in made})
            found = tuple(dict.fromkeys(name for part in parts for name in self._leads_to(later, part)))
        return found or (NAMELESS,)

    def _leads_to(self, later: Sequence[tuple[Sequence[Any], Sequence[Any]]], part: tuple[Any, ...]) -> tuple[str, ...]:
        """The first names that are written from what is at a place."""
        made: set[int] = set()
        for reads, writes in later:
            if any(id(self.owner(a)) in made or _place(a) == part for a in reads):
                if found := self._written(writes):
                    return found
                made |= {id(self.owner(a)) for a in writes}
        return ()

    def multiplied(self, k: int) -> tuple[str, ...]:
        """The named quantities that a product reads, or copies of them."""
        if self.units[k].kind != "products":
            return ()
        return tuple(dict.fromkeys(name for reads, _ in self.units[k].flow for a in reads for name in self._read(a)))

    def _written(self, arrays: Iterable[Any]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for a in arrays for name in self._names(a) if name in self.defined))

    def _read(self, array: Any) -> tuple[str, ...]:
        return self._names(array) or self.copied.get(id(self.owner(array)), ())

    def _names(self, array: Any) -> tuple[str, ...]:
        """The quantities of whose buffers it is a part: several, where they lie next to each other."""
        low, high = np.lib.array_utils.byte_bounds(array)
        return tuple(name for name, buffer, start, stop in self.buffers if low < stop and start < high
                     and self.owner(array) is self.owner(buffer) and np.shares_memory(array, buffer))


def _place(array: Any) -> tuple[Any, ...]:
    return array.ctypes.data, array.shape, array.strides


def _seconds(task: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    task()
    return clock() - start


def _best(task: Callable[[], object], repeat: int) -> float:
    """The least time of some runs after a first one."""
    task()
    return min(_seconds(task) for _ in range(repeat))


def _joined(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Rows of one kind and the same names made one."""
    found: dict[tuple[Any, ...], Row] = {}
    for r in rows:
        key = (r.kind, r.names, r.reads)
        before = found.get(key, Row(r.kind, r.names, 0, 0.0))
        found[key] = Row(r.kind, r.names, before.calls + r.calls, before.seconds + r.seconds, before.flop + r.flop,
                         r.reads)
    return tuple(found.values())


def _sgemm() -> float:
    """Floating-point operations per second of the best float32 product."""
    rates = []
    for m, k, n in SHAPES:
        a, b, c = (np.ones(s, "float32") for s in ((m, k), (k, n), (m, n)))
        rates.append(2.0 * m * k * n / _best(partial(np.matmul, a, b, c), RUNS))
    return max(rates)
