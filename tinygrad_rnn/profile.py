"""Where the time of a step goes: products, elementwise passes, copies, Python, and what is between them."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import backends
from .arguments import whole
from .config import Feed
from .feeds import prepared
from .node import refs
from .plan import Plan
from .program import Block, Interpreted, Moving, Unit

if TYPE_CHECKING:
    from .model import Model

KINDS = ("products", "elementwise", "copies", "Python")
PRODUCTS, COPIES = ("matmul", "contraction", "vdot"), ("copyto", "rearrange")
SHAPES = ((1024, 1024, 1024), (2048, 512, 64), (512, 2048, 128))  # products that the rate is measured on


@dataclass(frozen=True)
class Row:
    """One unit of the program.

    kind: of KINDS; names: the named quantities that it computes or helps to; calls in a step; seconds in a step; flop:
    floating-point operations in a step, of products only.
    """

    kind: str
    names: tuple[str, ...]
    calls: int
    seconds: float
    flop: float = 0.0


@dataclass(frozen=True)
class Profile:
    """What `Model.profile` measured, on one thread.

    seconds: a whole step; rate: floating-point operations per second of NumPy's float32 products, measured just then.
    """

    rows: tuple[Row, ...]
    seconds: float
    rate: float
    model: Model = field(repr=False, compare=False)

    @property
    def by_kind(self) -> dict[str, float]:
        """The share of each kind in the step; "overhead" is what no unit accounts for, waiting for memory above all."""
        found = {kind: sum(r.seconds for r in self.rows if r.kind == kind) / self.seconds for kind in KINDS}
        return {**found, "overhead": 1 - sum(found.values())}

    @property
    def by_name(self) -> dict[str, float]:
        """The share of each named quantity in what the units take."""
        total = sum(r.seconds for r in self.rows) or 1.0
        found: dict[str, float] = {}
        for r in self.rows:
            for name in r.names:
                found[name] = found.get(name, 0.0) + r.seconds / total / len(r.names)
        return dict(sorted(found.items(), key=lambda pair: -pair[1]))

    def draw(self, path: str | os.PathLike[str]) -> Path:
        """Draw the model, each quantity coloured by the share of time that it and its gradient take."""
        system = self.model.system
        reader = {node.attr("name"): eq.name for eq in reversed(system.equations) for node in refs([eq.rhs])
                  if system.quantities[node.attr("name")].role == "weight"}
        shares: dict[str, float] = {}
        for name, share in self.by_name.items():
            plain = re.sub(r"(_\d+)+$", "", name)
            of = next((x for x in (name, plain, plain.removeprefix("d_a_"), plain.removeprefix("d_"))
                       if x in system.quantities), name)
            of = reader.get(of, of)  # what a weight's gradient costs belongs to the equation with the weight
            shares[of] = shares.get(of, 0.0) + share
        return self.model.draw(path, shares=shares)

    def __str__(self) -> str:
        lines = [f"{'ms':>9}  {'share':>6}  {'calls':>6}  {'kind':<11}  {'GFLOP/s':>7}  {'of sgemm':>8}  for"]
        for r in sorted(self.rows, key=lambda row: -row.seconds):
            speed = r.flop / r.seconds if r.flop and r.seconds else 0.0
            rate = f"{speed / 1e9:7.1f}  {speed / self.rate:8.0%}" if speed else " " * 17
            lines.append(f"{r.seconds * 1e3:9.3f}  {r.seconds / self.seconds:6.1%}  {r.calls:6}  {r.kind:<11}  {rate}  "
                         f"{', '.join(r.names)}")
        lines += [f"{share * self.seconds * 1e3:9.3f}  {share:6.1%}  {kind}" for kind, share in self.by_kind.items()]
        lines.append(f"{self.seconds * 1e3:9.3f}  one step, one thread; sgemm {self.rate / 1e9:.0f} GFLOP/s")
        return "\n".join(lines)


def profile(model: Model, data: Mapping[str, Any] | None, *, of: str, wrt: Iterable[str] | None, gradient: bool,
            repeat: int, **options: Any) -> Profile:
    """See `Model.profile`."""
    whole("repeat", repeat, at_least=1)
    names = tuple(model.weights) if wrt is None else (wrt,) if isinstance(wrt, str) else tuple(wrt)
    derived = model.grad(of, names) if gradient else model
    want = (of, *(derived.adjoints[n] for n in names)) if gradient else (of,)
    config, feed = prepared(derived.system, want, data or {}, **options)
    backend = backends.current()
    with backend.single_threaded(), backend.quiet():
        return _measured(model, Plan(derived.system, config, model.weights.arrays, backend, parts=1), feed, repeat)


def _measured(model: Model, plan: Plan, feed: Feed, repeat: int) -> Profile:
    (part,) = plan.parts
    seconds = _best(partial(plan.run, feed), repeat)
    names = _Names(plan)
    rows = [Row("copies", (name,), 1, _best(partial(part.load, name, array), repeat))
            for name, array in feed.inputs.items() if name in part.layout.used]
    units = _called(part.program, repeat) if isinstance(part.program, Interpreted) else part.program.timed(
        partial(_best, repeat=repeat))
    for k, unit in enumerate(units):
        rows.append(Row(unit.kind, names.of(units[k:]), unit.calls, unit.seconds, unit.flop))
    plan.run(feed)  # the units were run out of order
    return Profile(_joined(rows), max(seconds, sum(r.seconds for r in rows)), _sgemm(), model)


class _Names:
    """The named quantity that a unit serves: what it writes, or what the next unit makes of that."""

    def __init__(self, plan: Plan):
        self.owner = plan.backend.owner
        layout = plan.parts[0].layout
        self.ranges = {name: np.lib.array_utils.byte_bounds(layout.buffers[name]) for name in layout.used
                       if layout.system.quantities[name].role == "defined"}

    def of(self, units: Sequence[Unit]) -> tuple[str, ...]:
        """The names that the first of the units serves."""
        served: set[int] = set()
        for unit in units:
            if unit is not units[0] and not any(id(self.owner(a)) in served for a in unit.reads):
                continue
            found = dict.fromkeys(name for array in unit.writes if (name := self._name(array)) is not None)
            if found:
                return tuple(found)
            served |= {id(self.owner(a)) for a in unit.writes}
        return ("(no name)",)

    def _name(self, array: Any) -> str | None:
        at = array.ctypes.data
        return next((name for name, (low, high) in self.ranges.items() if low <= at < high), None)


def _best(task: Callable[[], object], repeat: int) -> float:
    """The least time of some runs after a first one."""
    task()
    best = math.inf
    for _ in range(repeat):
        start = time.perf_counter()
        task()
        best = min(best, time.perf_counter() - start)
    return best


def _called(program: Interpreted, repeat: int) -> list[Unit]:
    found = []
    for calls in program.segments:
        for item in calls:
            for fn, columns, count in _sites(item):
                arrays = [c.array[0, ...] if isinstance(c, Moving) else c for c in columns]
                arrays = [a for a in arrays if isinstance(a, np.ndarray)]
                name = str(getattr(fn, "scalar", None) or getattr(fn, "__name__", ""))
                seconds = _best(partial(_all_steps, fn, columns, count), repeat)
                kind = "products" if name in PRODUCTS else "copies" if name in COPIES else (
                    "elementwise" if isinstance(fn, np.ufunc) or hasattr(fn, "scalar") else "Python")
                flop = 2.0 * count * arrays[-1].size * arrays[0].shape[-1] if name == "matmul" else 0.0
                out = arrays[0] if name == "copyto" else arrays[-1]
                found.append(Unit(kind, arrays, [out], count, seconds, flop))
    return found


def _sites(item: Any) -> list[tuple[Any, Any, int]]:
    if isinstance(item, Block):
        return [(fn, columns, item.count) for fn, columns in zip(item.functions, item.columns, strict=True)]
    return [(item[0], item[1], 1)]


def _all_steps(fn: Callable[..., Any], columns: Sequence[Any], count: int) -> None:
    for step in range(count):
        fn(*(c.array[step, ...] if isinstance(c, Moving) else c for c in columns))


def _joined(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Rows of one kind and the same names made one."""
    found: dict[tuple[str, tuple[str, ...]], Row] = {}
    for r in rows:
        before = found.get((r.kind, r.names), Row(r.kind, r.names, 0, 0.0))
        found[r.kind, r.names] = Row(r.kind, r.names, before.calls + r.calls, before.seconds + r.seconds,
                                     before.flop + r.flop)
    return tuple(found.values())


def _sgemm() -> float:
    """Floating-point operations per second of the best float32 product."""
    rates = []
    for m, k, n in SHAPES:
        a, b, c = (np.ones(s, "float32") for s in ((m, k), (k, n), (m, n)))
        rates.append(2.0 * m * k * n / _best(partial(np.matmul, a, b, c), 3))
    return max(rates)
