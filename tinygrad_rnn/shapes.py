"""Feature shapes as relations: ranks first, then sizes, by unification.

A `Cell` is the shape of one value: None while its rank is unknown, else a list of `Dim`s that are shared
where sizes must be equal. A rule relates the cells of an operation's arguments to the cell of its result
and is called until nothing changes, so it works in every direction: sizes flow from inputs to weights as
well as from weights to inputs. With known arguments a rule is an ordinary shape check.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from .errors import BadValue


class Dim:
    """A size, known or not yet; equal ones share a root."""

    __slots__ = ("parent", "size")

    def __init__(self, size: int | None = None):
        self.parent: Dim = self
        self.size = size

    def root(self) -> Dim:
        """The one that stands for all equal sizes."""
        dim = self
        while dim.parent is not dim:
            dim.parent = dim.parent.parent
            dim = dim.parent
        return dim


class Cell:
    """The shape of one value. `undeclared` is the role ("weight", "input", "noise") of a name whose rank nobody gave.

    It is "weight" too of what is worked out of undeclared weights element by element, exp(a) or 1 - a: it takes the
    rank that it meets, and gives it to them. A number that is written as one or is a position says "constant".
    """

    __slots__ = ("dims", "undeclared")

    def __init__(self, shape: Sequence[int] | None = None, undeclared: str = ""):
        self.dims: list[Dim] | None = None if shape is None else [Dim(s) for s in shape]
        self.undeclared = undeclared

    @property
    def rank(self) -> int | None:
        """The number of axes, None while unknown."""
        return None if self.dims is None else len(self.dims)

    def sizes(self) -> list[int | None]:
        """The sizes, None where unknown."""
        return [d.root().size for d in self.dims or []]

    def __str__(self) -> str:
        if self.dims is None:
            return "(?)"
        inner = ", ".join("?" if s is None else str(s) for s in self.sizes())
        return f"({inner},)" if len(self.dims) == 1 else f"({inner})"


class Solver:
    """Holds whether anything was learnt, and whether rules may guess where the notation has a default.

    numbers: whether they may also make a number of what has met no other shape, which is tried last of all.
    """

    def __init__(self) -> None:
        self.changed = False
        self.guess = False
        self.numbers = False

    def equal(self, a: Dim, b: Dim) -> None:
        """Make two sizes equal, or raise."""
        a, b = a.root(), b.root()
        if a is b:
            return
        if a.size is not None and b.size is not None and a.size != b.size:
            raise BadValue(f"sizes disagree: {a.size} and {b.size}")
        if a.size is None:
            a.parent = b
        else:
            b.parent = a
        if a.size != b.size:
            self.changed = True

    def size(self, dim: Dim, size: int) -> None:
        """Make a size this number, or raise."""
        self.equal(dim, Dim(size))

    def rank(self, cell: Cell, rank: int) -> None:
        """Make a rank this number, or raise."""
        if cell.dims is None:
            cell.dims = [Dim() for _ in range(rank)]
            self.changed = True
        elif len(cell.dims) != rank:
            raise BadValue(f"wrong rank: a value of shape {cell} stands where {rank} feature axes are expected")

    def leave_open(self, cell: Cell) -> None:
        """Mark what undeclared weights are worked into, see `Cell`."""
        if cell.dims is None and not cell.undeclared:
            cell.undeclared = "weight"
            self.changed = True

    def same(self, a: Cell, b: Cell) -> None:
        """Both cells have one shape (as far as either is known)."""
        if a.dims is None and b.dims is None:
            return
        self.rank(a, len(b.dims or ()) if a.dims is None else len(a.dims))
        self.rank(b, len(a.dims or ()))
        for x, y in zip(a.dims or (), b.dims or (), strict=True):
            self.equal(x, y)


Rule = Callable[[Solver, list[Cell], Cell, dict[str, Any]], None]


def elementwise(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    """Equal shapes; a scalar combines with anything."""
    shaped = [a for a in args if a.rank]
    unknown = [a for a in args if a.dims is None]
    if not shaped and unknown and all(a.undeclared == "weight" for a in unknown):
        u.leave_open(out)
    if shaped:
        for a in shaped:
            u.same(a, out)
    elif not unknown:
        u.rank(out, 0)
    elif out.rank == 0:
        for a in unknown:
            u.rank(a, 0)
    elif len(args) == 1 or (out.rank and len(unknown) == 1):
        u.same(unknown[0], out)
    if u.guess and out.rank:
        for a in unknown:
            if a.undeclared:
                u.same(a, out)
    elif u.numbers and len(args) > 1 and unknown and all(a.undeclared for a in unknown):
        u.rank(unknown[0], 0)


def added(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    """As `elementwise`, but what is added to a number is a number too, if nothing says else: b in dot(w, x[t]) + b.
    A factor may be either, as in exp(-a * dt[t]), and so may what stands beside a constant, as in 1 - a."""
    unsettled = out.dims is None and not any(a.rank for a in args) and any(a.dims is None for a in args)
    if not unsettled or all(a.rank != 0 or a.undeclared == "constant" for a in args):
        elementwise(u, args, out, attrs)
    elif u.numbers:
        u.rank(out, 0)


def scaled(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    """As `elementwise`, but where weights make a matrix the first is a number: alpha * W @ x[t]."""
    if u.guess and (out.rank or 0) > 1 and all(a.dims is None and a.undeclared == "weight" for a in args):
        if u.numbers:
            u.rank(args[0], 0)
        return
    elementwise(u, args, out, attrs)


def signature(*forms: str) -> Rule:
    """A rule from forms like "(m,k),(k)->(m)"; "..." stands for any leading axes. The first form is the default."""
    parsed = [_parse(form) for form in forms]

    def rule(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
        cells = [*args, out]
        fitting = [form for form in parsed if _fits(form, cells)]
        if not fitting:
            given = ", ".join(str(a) for a in args)
            raise BadValue(f"wrong rank: shapes {given} fit none of {' or '.join(forms)}")
        if args[0].undeclared == "weight" and args[0].dims is None:  # an undeclared weight left of `@` is a matrix
            default = len(parsed[0][0][1])
            fitting = [form for form in fitting if len(form[0][1]) == default] or fitting
        if len(fitting) == 1 or u.guess:
            _impose(u, fitting[0], cells)

    return rule


def _parse(form: str) -> list[tuple[bool, list[str]]]:
    parts = re.findall(r"\(([^)]*)\)", form)
    letters = [[x for x in part.split(",") if x] for part in parts]
    return [("..." in xs, [x for x in xs if x != "..."]) for xs in letters]


def _fits(form: list[tuple[bool, list[str]]], cells: list[Cell]) -> bool:
    lead: set[int] = set()
    for (open_ended, letters), cell in zip(form, cells, strict=True):
        if cell.dims is None:
            continue
        extra = len(cell.dims) - len(letters)
        if extra < 0 or (extra and not open_ended):
            return False
        if open_ended:
            lead.add(extra)
    return len(lead) <= 1


def _impose(u: Solver, form: list[tuple[bool, list[str]]], cells: list[Cell]) -> None:
    leads = [len(c.dims) - len(x) for (o, x), c in zip(form, cells, strict=True) if o and c.dims is not None]
    if any(o for o, _ in form) and not leads and not u.guess:
        return
    lead = leads[0] if leads else 0
    known: dict[str, Dim] = {}
    for (open_ended, letters), cell in zip(form, cells, strict=True):
        names = [f".{i}" for i in range(lead)] * open_ended + letters
        u.rank(cell, len(names))
        for name, dim in zip(names, cell.dims or (), strict=True):
            if name in known:
                u.equal(known[name], dim)
            else:
                known[name] = dim


def reduction(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    """The reduced feature axes go; with neither `axis` nor `over` all of them."""
    (a,) = args
    axis = attrs.get("axis")
    if axis is None and attrs.get("over") is None:
        u.rank(out, 0)
        return
    given = axes_of(axis)
    if a.dims is None and out.dims is not None:
        u.rank(a, len(out.dims) + len(given))
    if a.dims is not None:
        axes = {normal_axis(k, len(a.dims)) for k in given}
        u.rank(out, len(a.dims) - len(axes))
        kept = [d for k, d in enumerate(a.dims) if k not in axes]
        for x, y in zip(kept, out.dims or (), strict=True):
            u.equal(x, y)


def unrelated(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    """Nothing follows: there are no arguments, and where the shape comes from the executor knows."""


def along_axis(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    """The first argument's shape; where `axis` is used it must exist."""
    u.same(args[0], out)
    if args[0].undeclared == "weight":
        u.leave_open(out)
    axis = attrs.get("axis")
    if args[0].dims is not None and axis is not None:
        if not args[0].dims:
            raise BadValue("a scalar has no feature axis to work along; name an index with over=")
        normal_axis(axis, len(args[0].dims))


def axes_of(axis: Any) -> tuple[Any, ...]:
    """What `axis` names: no axis, one, or several."""
    return () if axis is None else axis if isinstance(axis, tuple) else (axis,)


def normal_axis(axis: Any, rank: int) -> int:
    """axis counted from the front; raises where it is no whole number, or the value has no such axis."""
    if isinstance(axis, bool) or not hasattr(axis, "__index__"):
        raise BadValue(f"an axis is a whole number, counted from 0, or from -1 at the end, not {axis!r:.80}")
    if not -rank <= operator.index(axis) < rank:
        raise BadValue(f"axis {axis} does not exist in a value of {rank} feature axes")
    return operator.index(axis) % rank


def infer(rule: Rule, shapes: Sequence[tuple[int, ...]], attrs: dict[str, Any]) -> tuple[int, ...]:
    """The result's shape where every argument's shape is known; the same question is answered once."""
    key = (rule, *shapes), repr(attrs)  # 1 and True are equal, and as an axis only one of them is right
    found = _ANSWERS.get(key)
    if found is None:
        if len(_ANSWERS) >= MOST_ANSWERS:
            _ANSWERS.clear()
        found = _ANSWERS[key] = _inferred(rule, shapes, attrs)
    return found


_ANSWERS: dict[Hashable, tuple[int, ...]] = {}
MOST_ANSWERS = 10_000


def _inferred(rule: Rule, shapes: Sequence[tuple[int, ...]], attrs: dict[str, Any]) -> tuple[int, ...]:
    u, out = Solver(), Cell()
    args = [Cell(s) for s in shapes]
    rule(u, args, out, attrs)
    if out.dims is None:
        u.guess = u.numbers = True
        rule(u, args, out, attrs)
    sizes = out.sizes()
    assert out.dims is not None and None not in sizes
    return tuple(s for s in sizes if s is not None)
