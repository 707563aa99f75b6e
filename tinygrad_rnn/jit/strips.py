"""Sums over a long axis of the same arrays, done together in strips: what one has read, the next finds in the cache.

After a loop over time the gradients of its weights and biases all read the adjoints that it has left. Those of a long
sequence would come from memory once for each of them. To do chains of passes so, such as a normalisation of all steps,
was tried and brought nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..fusion.fuse import Group, Unit, conflict
from ..fusion.lift import Fold, Operand, Product, Repeated, Table
from .gemm import CHUNK

STRIP = 2**18  # bytes that are read in a strip, so that they stay in a core's own cache
WORTH = 2**20  # bytes that would stay there anyway

Body = tuple[Repeated, list[Unit]]
Line = tuple[int, int]  # where a moving operand begins, and how many bytes it moves from one position to the next


@dataclass(frozen=True)
class _Cut:
    """How a unit that sums along an axis of `extent` positions is cut there, into multiples of `grain`.

    axes: of each operand that has the axis, which one it is; field: of a product, what it is called there.
    """

    unit: Unit
    extent: int
    grain: int
    axes: dict[Operand, int]
    field: str = ""

    def strip(self, first: int, count: int, step: int = 0, again: bool = True) -> Unit:
        """Positions first to first + count, `step` further each time. again: what there is already is added to."""

        def cut(o: Operand) -> Operand:
            if o not in self.axes:
                return o
            axis = self.axes[o]
            key = (slice(None),) * axis + (slice(first, first + count),)
            return Operand(o.array[key], step * o.array.strides[axis])

        if isinstance(self.unit, Product):
            fields = {**self.unit.fields, self.field: count, "add": int(again)}
            return replace(self.unit, a=cut(self.unit.a), b=cut(self.unit.b), fields=fields)
        assert isinstance(self.unit, Group)
        return self.unit.over(cut)

    @functools.cached_property
    def lines(self) -> set[Line]:
        """What it reads."""
        read = set(self.unit.reads)
        return {(o.low, abs(o.array.strides[axis])) for o, axis in self.axes.items()
                if o.array.strides[axis] and o in read}

    def meets(self, others: Iterable[_Cut]) -> bool:
        """Does it read the same as another at the same positions?"""
        return any(self.extent == other.extent and _near(a, b)
                   for other in others for a in self.lines for b in other.lines)


def striped(bodies: Iterable[Body]) -> list[Body]:
    """The program with runs of such sums in strips."""
    return [piece for body in bodies for piece in (_striped(body[1]) if body[0].count == 1 else [body])]


def _striped(units: list[Unit]) -> list[Body]:
    cuts = [_cut(unit) for unit in units]
    for k, first in enumerate(cuts):
        if first is None or first.extent * sum(stride for _, stride in first.lines) < WORTH // 4:
            continue
        run, before, after = [first], units[:k], list[Unit]()
        for other, cut in zip(units[k + 1 :], cuts[k + 1 :], strict=True):
            if any(conflict(other, u) for u in (*after, *(c.unit for c in run))):
                after.append(other)
            elif cut is not None and cut.meets(run):
                run.append(cut)
            else:
                before.append(other)
        if (len(run) > 1 or isinstance(first.unit, Group)) and (strips := _strips(run)):  # a product walks so by itself
            return [*_striped(before), *strips, *_striped(after)]
    return _flat(units)


def _flat(units: list[Unit]) -> list[Body]:
    return [(Repeated(1), units)] if units else []


def _strips(run: Sequence[_Cut]) -> list[Body]:
    """The first strip, all that are like it, and the rest; none where it is not worth while."""
    run = sorted(run, key=lambda cut: isinstance(cut.unit, Product))  # a pass comes through memory quicker than a tile
    lines: list[Line] = []
    for line in (line for cut in run for line in cut.lines):
        if not any(_near(line, other) for other in lines):
            lines.append(line)
    extent, position = run[0].extent, sum(stride for _, stride in lines)
    if extent * position <= WORTH:
        return []
    grain = max(cut.grain for cut in run)
    count = max(STRIP // position // grain, 1) * grain
    if extent < 2 * count:
        return []
    whole = extent // count
    found = _flat([cut.strip(0, count, again=False) for cut in run])
    found.append((Repeated(whole - 1), [cut.strip(count, count, count) for cut in run]))
    return found + (_flat([cut.strip(whole * count, extent % count) for cut in run]) if extent % count else [])


def _near(one: Line, other: Line) -> bool:
    return one[1] == other[1] and abs(one[0] - other[0]) < one[1]


def _cut(unit: Unit) -> _Cut | None:
    if isinstance(unit, Group):
        return _cut_of_pass(unit)
    return _cut_of_product(unit) if isinstance(unit, Product) and unit.kernel == "gemm" else None


def _cut_of_pass(group: Group) -> _Cut | None:
    """Along the axis with the longest way from one position to the next, where that is summed."""
    folds = [i for i in group.items if isinstance(i, Fold)]
    operands = [o for i in group.items for o in (*i.reads, i.out)]
    if not folds or any(isinstance(o, Table) for o in operands):
        return None
    axes = {o: [k for k, n in enumerate(o.array.shape) if n != 1] for o in operands}
    guide = folds[0].arg
    if not axes[guide]:
        return None
    place = max(range(len(axes[guide])), key=lambda p: abs(guide.array.strides[axes[guide][p]]))
    if any(f.out.array.strides[axes[f.out][place]] for f in folds):
        return None
    return _Cut(group, guide.array.shape[axes[guide][place]], 1, {o: own[place] for o, own in axes.items()})


def _cut_of_product(unit: Product) -> _Cut | None:
    """Along the outer of the axes that it sums over, in pieces after which its kernel puts sums into memory anyway."""
    field = "k2" if unit.fields["k2"] > 1 else "k1"
    extent = unit.fields[field]
    axes = {}
    for o, stride in ((unit.a, unit.fields[f"a_{field}"]), (unit.b, unit.fields[f"b_{field}"])):
        found = [k for k, (n, s) in enumerate(zip(o.array.shape, o.array.strides, strict=True))
                 if (n, s) == (extent, stride)]
        if len(found) != 1 or extent == 1:
            return None
        axes[o] = found[0]
    grain = max(CHUNK // unit.fields["k1"], 1) if field == "k2" else CHUNK
    return _Cut(unit, extent, grain, axes, field)
