"""A program on the GPU: launches of generated kernels and of cuBLAS, captured as graphs and replayed.

What stays a call of CuPy's cannot be captured safely (it may allocate): it stands between two graphs, and a loop with
such a call in it is launched step by step. A loop that can stay on the GPU as one kernel is done that way where that
was faster when it was first run.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from .. import backends
from ..fusion.fuse import Group, Unit, fused, needs
from ..fusion.invariant import unchanging_first
from ..fusion.lift import Foreign, Product, Repeated, lifted
from ..fusion.passes import Pass, passed
from ..fusion.program import Block, Call
from ..fusion.takes import RULES as TAKES
from . import batched, chain, products
from .device import Device
from .launch import Launch, launches
from .resident import Work, resident

RULES = {**products.RULES, **batched.RULES, **TAKES}
OPERANDS = 60  # of one pass: with their strides they have to go into the 4 KiB of a kernel's arguments
LARGEST = 50_000  # launches in one graph; more take longer to put together than they save
Step = Callable[[int], None]

log = logging.getLogger(__name__)


@dataclass
class Steps:
    """`count` repetitions of what is launched at each step; or, as one kernel, `stay`, where there is that way.

    name: of that kernel and how often it goes round; staying: is that how it is done? None: that is to be measured.
    """

    count: int
    steps: list[Step]
    stay: list[Step] | None = None
    name: str = ""
    staying: bool | None = False

    def issue(self, staying: bool) -> None:
        """Launch all of it, in one way or the other."""
        if staying and self.stay is not None:
            in_turns(1, self.stay)
        else:
            in_turns(self.count, self.steps)

    def launches(self, staying: bool) -> int:
        """How many that are."""
        return len(self.stay) if staying and self.stay is not None else self.count * len(self.steps)


class Program:
    """Segments of launches. public: the owners of arrays that are read from outside.

    when: a truth value of the device; where it is false nothing is done. It is for segments without loops and sums.
    uncaptured: why what is launched one by one is not in a graph.
    """

    def __init__(self, segments: Sequence[Sequence[Call | Block]], public: set[int], device: Device,
                 when: Any = None):
        self.device, self.loops = device, device.loops
        self._when = when
        self.precision = backends.precision()
        self.uncaptured: list[str] = []
        self.launches: list[Launch] = []
        bodies = [[(body, fused(body, alike_folds=True, operands=OPERANDS))
                   for body in unchanging_first(lifted(calls, RULES, device))] for calls in segments]
        self._needed = needs([pair for segment in bodies for pair in segment], public, device.owner)
        self.segments = [self._segment(segment) for segment in bodies]
        self._functions = device.functions(self.launches)

    def settle(self) -> None:
        """Measure how loops are done best; whatever the arrays of the program hold by then is spoilt."""
        for action in itertools.chain(*self.segments):
            if isinstance(action, Graph):
                action.settle()

    def run(self, segment: int) -> None:
        """Do one segment."""
        for action in self.segments[segment]:
            action()

    def count(self) -> float:
        """How many launches all segments make; infinite where some of it is not launches."""
        graphs = [action for actions in self.segments for action in actions if isinstance(action, Graph)]
        return math.inf if self.uncaptured else sum(graph.launches for graph in graphs)

    def note(self, reason: str) -> None:
        """Note why something is launched by itself."""
        if reason not in self.uncaptured:
            self.uncaptured.append(reason)
            log.info("not captured: %s", reason)

    # -- from units to launches --------------------------------------------------------------------

    def _segment(self, bodies: Sequence[tuple[Repeated, list[Unit]]]) -> list[Callable[[], None]]:
        actions: list[Callable[[], None]] = []
        waiting: list[Steps] = []

        def flush() -> None:
            if waiting:
                actions.append(Graph(self, list(waiting)))
                waiting.clear()

        for body, units in bodies:
            if body.count == 1:
                for unit in units:
                    if isinstance(unit, Foreign):
                        flush()
                        actions.append(partial(self._steps(unit)[0], 0))
                    else:
                        waiting.append(Steps(1, self._steps(unit)))
            elif any(isinstance(unit, Foreign) for unit in units):
                flush()
                actions.append(partial(in_turns, body.count, [s for unit in units for s in self._steps(unit)]))
            else:
                waiting.append(self._loop(body.count, units))
        flush()
        return actions

    def _loop(self, count: int, units: Sequence[Unit]) -> Steps:
        """A loop's body, passes that follow each other in one launch where they may."""
        steps: list[Step] = []
        phases: list[Work] | None = []
        for _, each in itertools.groupby(units, lambda unit: isinstance(unit, Group)):
            run = list(each)
            passes = self._chain(run, count)
            made = chain.launch(passes, self.device.multiprocessors) if passes and len(passes) > 1 else None
            if made is not None and made.fits:
                steps += self._made([made])
            else:
                steps += [s for unit in run for s in self._steps(unit)]
            phases = _with(phases, run, passes)
        stay = self._staying_launches(count, phases)
        name = f"{stay[-1].name}*{count}" if stay else ""
        staying = {"launched": False, "staying": True}.get(self.loops) if stay else False
        return Steps(count, steps, self._made(stay) if stay else None, name, staying)

    def _chain(self, units: Sequence[Unit], count: int) -> list[Pass] | None:
        """The groups' passes where a block may do all of them for its examples."""
        groups = [unit for unit in units if isinstance(unit, Group)]
        if len(groups) < len(units):
            return None
        batch = groups[0].items[0].out.array.shape[-1:]
        if not batch or not all(chain.fits(group, batch[0]) for group in groups):
            return None
        found = [p for group in groups if (p := passed(group, self._needed, apart=True)) is not None]
        return found if chain.chained(found, count) else None

    def _staying_launches(self, count: int, phases: list[Work] | None) -> list[Launch] | None:
        """The loop as one kernel that stays; rounded products are the tensor cores', which it does not use."""
        if phases is None or self.loops == "launched" or self.precision != "float32":
            return None
        made = resident(phases, count, self.device, self.device.multiprocessors, self.device.shared)
        return made if made is not None and all(each.fits for each in made) else None

    def _steps(self, unit: Unit) -> list[Step]:
        """What a unit does at one step of its loop."""
        if isinstance(unit, Foreign):
            self.note(f"{getattr(unit.fn, '__name__', unit.fn)} is a call of CuPy's")
            return [unit.at]
        if isinstance(unit, Product):
            return [partial(self._product, unit)] if unit.kernel == "blas" else self._made([batched.launch(unit)])
        assert isinstance(unit, Group)
        found = passed(unit, self._needed)
        return [] if found is None else self._made(launches(
            found, self.device, self.device.multiprocessors, self._when))

    def _made(self, made: Sequence[Launch]) -> list[Step]:
        self.launches += made
        return [partial(self._launch, each) for each in made]

    def _launch(self, launch: Launch, step: int) -> None:
        launch.at(self._functions, step)

    def _product(self, unit: Product, step: int) -> None:
        a, b, out = (o.address + o.step * step for o in (unit.a, unit.b, unit.out))
        self.device.blas.gemm(unit.out.dtype, self.precision, a, b, out, unit.fields)


class Graph:
    """Launches in loops, put together as one graph when they were done once.

    Libraries load what they need at first use, which a capture does not suffer.
    """

    def __init__(self, program: Program, parts: list[Steps]):
        self._program, self._parts = program, parts
        self._replay: Callable[[], None] | None = None
        self._refused = False

    def __call__(self) -> None:
        self.settle()
        if not self._program.device.alone:
            self._issue()
        elif self._replay is not None:
            self._replay()
        else:
            self._issue()
            self._replay = self._put_together()

    @property
    def launches(self) -> int:
        """How many there are."""
        return sum(part.launches(bool(part.staying)) for part in self._parts)

    def settle(self) -> None:
        """Find out which loops are to stay, where nobody said."""
        for part in self._parts:
            if part.staying is None:
                part.staying = self._faster(part)

    def _issue(self) -> None:
        for part in self._parts:
            part.issue(bool(part.staying))

    def _faster(self, part: Steps) -> bool:
        """Is it faster if the loop stays?"""
        choices = self._program.device.choices
        if part.name not in choices:
            launched = self._measured(part, staying=False)
            try:
                choices[part.name] = self._measured(part, staying=True) < launched
            except self._program.device.errors as error:
                self._program.note(f"CUDA refused a loop that stays: {error}")
                choices[part.name] = False
        return choices[part.name]

    def _measured(self, part: Steps, staying: bool) -> float:
        """Milliseconds of a loop, done in that way."""
        device, issue = self._program.device, partial(part.issue, staying)
        issue()
        try:
            replay = device.captured(issue) if device.captures and part.launches(staying) <= LARGEST else None
        except device.errors:
            replay = None
        return device.milliseconds(replay or issue)

    def _put_together(self) -> Callable[[], None] | None:
        """All launches as one graph; None, and why, where there is none."""
        if not self._program.device.captures or self._refused:
            return None
        if self.launches > LARGEST:
            self._program.note(f"{self.launches} launches are more than {LARGEST}")
            return None
        try:
            return self._program.device.captured(self._issue)
        except self._program.device.errors as error:
            self._refused = True
            self._program.note(f"CUDA refused: {error}")
            return None


def _with(phases: list[Work] | None, run: Sequence[Unit], passes: list[Pass] | None) -> list[Work] | None:
    """The phases of a loop that stays, and another run of units; None where they cannot be phases."""
    if phases is None:
        return None
    if passes is None:
        products = [unit for unit in run if isinstance(unit, Product)]
        return [*phases, *products] if len(products) == len(run) else None
    return [*phases, passes] if passes else phases


def in_turns(count: int, steps: Sequence[Step]) -> None:
    """Every step's launches, step after step."""
    for k in range(count):
        for step in steps:
            step(k)
