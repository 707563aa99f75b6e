"""A group of instructions as one pass: what it loads, computes and stores for each element, and the loops around."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .fuse import Group
from .lift import Fold, Map, Operand

LOADS = ("load", "take")  # steps whose first argument is an operand
WHOLE = frozenset({"add", "subtract", "multiply", "negative", "absolute", "maximum", "minimum",  # of integers is one
                   "copy", "where", "take"})
Axes = list[tuple[int, tuple[int, ...]]]  # loops, outermost first: the extent, and the stride of each operand


@dataclass(frozen=True)
class Pass:
    """What one pass does.

    steps: ("load", operand), ("const", number), ("take", operand, step, how far, how many), ("truth", step),
    ("whole", step), ("number", step) or (name in SCALARS, step, ...).
    stores: (operand, step). folds: (operand, step, name in FOLDS), where the operand has no stride along what is
    folded. reduced: how many of the last axes every fold runs over; at least one.
    """

    dtype: str
    operands: list[Operand]
    axes: Axes
    steps: tuple[tuple[Any, ...], ...]
    stores: tuple[tuple[int, int], ...]
    folds: tuple[tuple[int, int, str], ...]

    @property
    def written(self) -> list[Operand]:
        """What it stores and sums into."""
        return [self.operands[k] for k in sorted({k for k, _ in self.stores} | {k for k, _, _ in self.folds})]

    @property
    def reduced(self) -> int:
        """How many of the last axes every fold sums over; at least the last is looked at by itself."""
        count = 0
        while self.folds and count < len(self.axes) and all(
                self.axes[-1 - count][1][k] == 0 for k, _, _ in self.folds):
            count += 1
        return max(count, 1)


def _kind(term: Any) -> str:
    """The dtype of a term; of a number that is whole "constant", since beside integers it is one."""
    if isinstance(term, Map):
        return term.out.dtype
    return term.dtype if isinstance(term, Operand) else "constant" if float(term).is_integer() else "float64"


class _Steps:
    """The steps of a kernel, each once, and the operands that they load."""

    def __init__(self) -> None:
        self.steps: list[tuple[Any, ...]] = []
        self.operands: list[Operand] = []
        self._step_of: dict[str, int] = {}
        self._operand_of: dict[Any, int] = {}
        self.values: dict[Any, int] = {}  # what memory holds by now, by the operand's key

    def step(self, *step: Any) -> int:
        """The number of a step."""
        key = repr(step)
        if key not in self._step_of:
            self._step_of[key] = len(self.steps)
            self.steps.append(step)
        return self._step_of[key]

    def operand(self, o: Operand) -> int:
        """The number of an operand."""
        if o.key not in self._operand_of:
            self._operand_of[o.key] = len(self.operands)
            self.operands.append(o)
        return self._operand_of[o.key]

    def made(self, item: Map) -> int:
        """The step that gives an instruction's result, as a number of the kind that it is kept as."""
        value, goal = self.computed(item), item.out.dtype
        terms = item.args[1:] if item.op == "where" else item.args[:1] if item.op == "take" else item.args
        kinds = [_kind(a) for a in terms]
        if goal == "bool":
            return self.step("truth", value)
        if goal == "int64":
            return value if item.op in WHOLE and set(kinds) <= {"int64", "constant"} else self.step("whole", value)
        return self.step("number", value) if "int64" in kinds else value

    def computed(self, item: Map) -> int:
        """The step that does an instruction."""
        if item.op == "take":
            table, place = item.args
            assert isinstance(table, Operand)
            return self.step("take", self.operand(table), self.term(place), *item.more)
        return self.step(item.op, *map(self.term, item.args))

    def term(self, term: Any) -> int:
        """The step that gives an argument."""
        if isinstance(term, Map):
            return self.made(term)
        if not isinstance(term, Operand):
            return self.step("const", term)
        if term.key not in self.values:
            self.values[term.key] = self.step("load", self.operand(term))
        return self.values[term.key]


def passed(group: Group, needed: Callable[[Operand], bool], apart: bool = False) -> Pass | None:
    """The pass of a group; None where nothing that it makes is needed.

    apart: the arrays' last axis is a loop of its own, the innermost one, whatever its extent.
    """
    s, made, folds = _Steps(), {}, []
    for item in group.items:
        if isinstance(item, Fold):
            folds.append((item.out, s.term(item.arg), item.op))
        else:
            s.values[item.out.key] = s.made(item)
            made[item.out.key] = item.out
    stores = [(o, s.values[key]) for key, o in made.items() if needed(o)]
    if not stores and not folds:
        return None
    live = _live(s.steps, [step for _, step in stores] + [step for _, step, _ in folds])
    number = {k: j for j, k in enumerate(live)}
    operands: list[Operand] = []

    def use(o: Operand) -> int:
        if all(o.key != u.key for u in operands):
            operands.append(o)
        return next(k for k, u in enumerate(operands) if u.key == o.key)

    steps = []
    for name, *args in (s.steps[k] for k in live):
        if name in LOADS:
            args[0] = use(s.operands[args[0]])
        for k in _needed(name, args):
            args[k] = number[args[k]]
        steps.append((name, *args))
    store_at = tuple((use(o), number[step]) for o, step in stores)
    fold_at = tuple((use(o), number[step], op) for o, step, op in folds)
    axes = _last_apart(group, operands) if apart else _axes(group, operands)
    return Pass(group.dtype, operands, axes, tuple(steps), store_at, fold_at)


def _live(steps: list[tuple[Any, ...]], roots: list[int]) -> list[int]:
    """The steps that the roots need, in order."""
    todo, live = list(roots), set()
    while todo:
        k = todo.pop()
        if k not in live:
            live.add(k)
            name, *args = steps[k]
            todo += [args[k] for k in _needed(name, args)]
    return sorted(live)


def _needed(name: str, args: list[Any]) -> range:
    """Which of a step's arguments are steps."""
    return range(1, 2) if name == "take" else range(0 if name in ("load", "const") else len(args))


def _axes(group: Group, operands: list[Operand]) -> Axes:
    """The loops: in the order of memory, neighbours that are one run in every operand made one."""
    first = group.items[0]
    guide = first.arg if isinstance(first, Fold) else first.out
    folded = [item.out for item in group.items if isinstance(item, Fold)]
    own = [[s for n, s in zip(o.array.shape, o.array.strides, strict=True) if n != 1] for o in (guide, *operands)]
    extents = [n for n in guide.array.shape if n != 1]
    order = sorted(range(len(extents)), key=lambda k: -abs(own[0][k]))
    if group.strided:  # the axis that another operand runs along comes next to the innermost: the two go in tiles
        sizes, last = [o.array.itemsize for o in operands], order.pop()
        order.sort(key=lambda k: any(s[k] == n for s, n in zip(own[1:], sizes, strict=True)))
        order.append(last)
    else:
        order = _summed_last(order, [own[1 + k] for k, o in enumerate(operands) if any(o is f for f in folded)])
    return _joined([(extents[k], tuple(s[k] for s in own[1:])) for k in order]) or [(1, (0,) * len(operands))]


def _last_apart(group: Group, operands: list[Operand]) -> Axes:
    """The loops, the arrays' last axis the innermost: along it all is alike, as for the examples of a batch.

    An axis of one position counts as contiguous. Other axes are in the order of memory, and merged, as in `_axes`.
    """
    first = group.items[0]
    arrays = [o.array for o in ((first.arg if isinstance(first, Fold) else first.out), *operands)]
    own = [[s for n, s in zip(a.shape[:-1], a.strides[:-1], strict=True) if n != 1] for a in arrays]
    extents = [n for n in arrays[0].shape[:-1] if n != 1]
    order = sorted(range(len(extents)), key=lambda k: -abs(own[0][k]))
    last = arrays[0].shape[-1], tuple(a.strides[-1] if a.shape[-1] != 1 else a.itemsize for a in arrays[1:])
    return [*_joined([(extents[k], tuple(s[k] for s in own[1:])) for k in order]), last]


def _joined(axes: Axes) -> Axes:
    """Neighbours that are one run in every operand made one."""
    found: Axes = []
    for n, strides in axes:
        if found and all(before == n * s for before, s in zip(found[-1][1], strides, strict=True)):
            found[-1] = (found[-1][0] * n, strides)
        else:
            found.append((n, strides))
    return found


def _summed_last(order: list[int], folds: list[list[int]]) -> list[int]:
    """The axes that are summed moved behind the others, where the innermost is summed: one total serves them all."""
    summed = [k for k in order if folds and all(strides[k] == 0 for strides in folds)]
    if not summed or summed[-1] != order[-1]:
        return order
    return [k for k in order if k not in summed] + summed
