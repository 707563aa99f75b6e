"""A torn system in stages: segments forward in time, segments backward, and what stands before, between and after.

Forward is what reads the past and the present only, backward what may read the future too. In the backward segments
everything that goes forward is computed again, from the state at the segment's start.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from ..errors import BadValue
from ..node import Node, placed, refs
from ..system import Equation, System, closure
from .schedule import needed
from .tear import Torn, refused, torn


@dataclass(frozen=True)
class Stage:
    """What is computed, and what it is given by the stages before it."""

    system: System
    want: tuple[str, ...]
    given: tuple[str, ...]


@dataclass(frozen=True)
class Stages:
    """The stages in their order, and the tear that they come from."""

    before: Stage
    forward: Stage
    between: Stage
    backward: Stage
    after: Stage
    torn: Torn


@dataclass(frozen=True)
class _Read:
    """A reference in an equation; shift is None where what it reads does not carry time."""

    eq: Equation
    node: Node
    name: str
    shift: int | None

    @property
    def of_the_future(self) -> bool:
        return self.shift is not None and self.shift > 0

    @property
    def of_the_past(self) -> bool:
        return self.shift is not None and self.shift < 0


def staged(system: System, want: Sequence[str], carried: bool = False) -> Stages:
    """The stages that compute the wanted names. carried: what is before the first step comes from a state.

    Raises `Error`, naming the equation, where one pass forward and one backward do not do.
    """
    sorting = _Sorting(system, torn(system, want, carried))
    sorting.check_backward()
    return sorting.stages(want)


def check_cut(system: System, of: str, carried: bool = False) -> None:
    """Raise, naming the equation, where a model as it was written cannot be trained by segments of time."""
    tear = torn(system, (of,), carried)
    _Sorting(system, tear).check_forward()
    for eq in needed(system, (of,)) if carried else ():
        for node in refs([eq.rhs]):
            k = tear.axes[node.attr("name")]
            at = None if k is None else node.attr("slots")[k]
            if at is not None and (at.offset < 1 if at.anchor == "first" else at.offset < 0 and at.anchor == "last"):
                raise refused(eq, node, f"reads {at}, which may lie in the sequence before this one")


class _Sorting:
    """Which names are computed when, found from what each of them reads.

    before: those without time that follow from no step; forward, backward: those of time; early: totals that are whole
    after the way forward; between: those without time that follow from these and from what is before.
    """

    def __init__(self, system: System, tear: Torn):
        self.system, self.tear, self.axes = system, tear, tear.axes
        self.equations = [*tear.equations, *tear.totals.values()]
        self.computed = {eq.name for eq in self.equations}  # another name is zero wherever it is read
        self.reads: dict[str, list[_Read]] = {}
        for eq in self.equations:
            self.reads.setdefault(eq.name, []).extend(self._reads(eq))
        self.timed = [name for name in self.reads if self.axes[name] is not None]
        plain = [name for name in self.reads if self.axes[name] is None and name not in tear.totals]
        self.before = self._closed(plain, lambda r: False)
        self.reasons: dict[str, _Read] = {}  # why a quantity with time does not go forward
        self.forward = self._closed(self.timed, lambda r: self._is_input(r) or r.name in self.before, self.reasons)
        self.backward = set(self.timed) - self.forward
        self.early = {name for name in tear.totals if all(
            self._is_input(r) or r.name in self.before or (r.name in self.forward and not r.of_the_future)
            for r in self.reads[name])}
        self.between = self._closed(set(plain) - self.before, lambda r: r.name in self.before | self.early)

    def _reads(self, eq: Equation) -> list[_Read]:
        found = []
        for node in refs([eq.rhs]):
            name, k = node.attr("name"), self.axes[node.attr("name")]
            if k is None:
                if name in self.computed:
                    found.append(_Read(eq, node, name, None))
                continue
            slot = node.attr("slots")[k]
            found.append(_Read(eq, node, name, slot.offset))
            found += [_Read(eq, node, start, None) for offset, start in self.tear.starts.get(name, {}).items()
                      if slot.offset < 0 and offset >= 1 + slot.offset]
        return found

    def _is_input(self, r: _Read) -> bool:
        return self.tear.quantities[r.name].role == "input"

    def _closed(self, names: Iterable[str], also: Callable[[_Read], bool],
                reasons: dict[str, _Read] | None = None) -> set[str]:
        """The most of the names that read no future, and only each other and what `also` allows."""
        found = set(names)
        while True:
            gone = {}
            for name in found:
                wrong = [r for r in self.reads[name] if not also(r) and (r.name not in found or r.of_the_future)]
                if wrong:
                    gone[name] = wrong[0]
            if not gone:
                return found
            found -= gone.keys()
            if reasons is not None:
                reasons |= gone

    # -- what cannot be ------------------------------------------------------------------------------

    def check_forward(self) -> None:
        """Raise where a quantity with time does not go forward, naming the one that is the cause."""
        for name in self.timed:
            r = self.reasons.get(name)
            if r is not None and (r.of_the_future or r.name not in self.backward):
                raise self._explained(r)

    def check_backward(self) -> None:
        """Raise where a quantity cannot be computed in segments from the last to the first."""
        ready = self.before | self.between | self.early | self.forward
        for name in [*self.timed, *self.tear.totals]:
            for r in self.reads[name] if name not in self.forward | self.early else ():
                if not (self._is_input(r) or r.name in ready or (r.name in self.backward and not r.of_the_past)):
                    raise self._explained(r)

    def _check_starts(self, read: Collection[str]) -> None:
        """Raise where what is before the first step, and read, is not known when the first segment is computed."""
        for eq in self.system.equations:
            k = self.axes[eq.name]
            if eq.name in read and k is not None and eq.slots[k].anchor == "first":
                start = self.tear.starts.get(eq.name, {}).get(eq.slots[k].offset)
                if start is not None and start not in self.before:
                    raise refused(eq, None, "follows from the whole sequence, and is read at its first steps")

    def _explained(self, r: _Read) -> BadValue:
        shown = placed(r.node.attr("name"), r.node.attr("slots"))
        if r.of_the_future:
            return refused(r.eq, r.node, f"reads the future, {shown}")
        if r.shift is not None:
            return refused(r.eq, r.node, f"reads {shown}, which goes from the last step to the first")
        return refused(r.eq, r.node, "reads at each step what follows from all of them")

    # -- what is done when ---------------------------------------------------------------------------

    def stages(self, want: Sequence[str]) -> Stages:
        """The stages; a total is taken on the way forward only where something on the way back needs it."""
        late = set(self.tear.totals) - self.early
        soon = self._upstream(r.name for name in self.backward | late for r in self.reads[name])
        if not self.backward and not late and not any(name in self.timed for name in want):
            soon |= self.early  # there is no way back
        early, between = self.early & soon, self.between & soon
        rest = [name for name in self.tear.totals if name not in early]
        totals = [*(name for name in want if name in rest), *(name for name in rest if name not in want)]
        after = set(self.reads) - self.before - between - set(self.timed) - set(self.tear.totals)
        past = dict.fromkeys(r.name for reads in self.reads.values() for r in reads
                             if r.of_the_past and r.name in self.forward)
        back = dict.fromkeys([*(name for name in want if name in self.timed), *totals])
        back |= past if back else {}
        self._check_starts(past)
        starts = {name for q in past for name in self.tear.starts.get(q, {}).values()}
        return Stages(
            self._stage(self.before, self._asked(self.before, want, starts)),
            self._stage(self.forward | early, [*past, *sorted(early)]),
            self._stage(between, self._asked(between, want)),
            self._stage({*self.timed, *totals}, back),
            self._stage(after, [name for name in want if name in after]), self.tear)

    def _asked(self, names: set[str], want: Sequence[str], more: Iterable[str] = ()) -> list[str]:
        """Of the names those that are read from outside, or wanted."""
        outside = {r.name for name, reads in self.reads.items() if name not in names for r in reads}
        return [name for name in self.reads if name in names and name in {*outside, *want, *more}]

    def _upstream(self, names: Iterable[str]) -> set[str]:
        """The names, and what without time they follow from."""
        return closure(names, {name: [r.name for r in reads if r.shift is None] for name, reads in self.reads.items()})

    def _stage(self, names: set[str], want: Iterable[str]) -> Stage:
        """The equations of these names; whatever else they read is given."""
        quantities = {name: replace(q, role="input") if name in self.computed - names else q
                      for name, q in self.tear.quantities.items()}
        system = self.system.with_equations((eq for eq in self.equations if eq.name in names), quantities)
        want = tuple(want)
        given: dict[str, None] = {}
        for eq in needed(system, want):
            for node in refs([eq.rhs]):
                name = node.attr("name")
                if name in self.computed - names:
                    given[name] = None
        return Stage(system, want, tuple(given))
