"""How every block looks in the unrolled views: how much of its inside is shown, and how many steps fit on the page."""

from __future__ import annotations

from dataclasses import dataclass

from tinygrad_rnn.errors import BadValue
from tinygrad_rnn.node import refs
from tinygrad_rnn.system import closure

from ..blocks import blocks
from ..blocks.results import panel, with_results
from ..blocks.segments import USUAL, Totals, total
from ..graph.groups import Block
from ..graph.roles import Roles
from ..graph.steps import MOST, Steps
from ..template import Template

MOST_BOXES = 20_000  # each with all that is inside of it: 60 MB for an LSTM of two layers
LEAST = 2  # steps that are drawn however wide they are, where nothing says how many
WIDE, HIGH = 2500.0, 2200.0  # of all steps of a range that nothing says the number of
BETWEEN = {False: 60.0, True: 140.0}  # steps, without and with the gradient's arrows


@dataclass(frozen=True)
class Forms:
    """roles: with what is drawn together; steps: of the ranges; live: the quantities whose gradients are drawn, or None
    where none are."""

    roles: Roles
    templates: dict[Block, Template]
    steps: Totals
    live: frozenset[str] | None


def forms(roles: Roles, steps: Totals, elide: bool, detail: str | None, twins: bool) -> Forms:
    """The form of every block at a level of detail, by default the highest one at which the steps can be read; twins:
    are gradients drawn? Raises `BadValue` for more boxes than a picture can have."""
    roles = with_results(roles)
    _check_size(roles, steps, elide)
    live = _with_gradients(roles) if twins else None
    ranges = len({roles.system.range_of(b.column) for b in roles.blocks if b.column})

    def form(block: Block) -> Template:
        if block.kind == "results":
            return panel(block, roles)
        if detail is not None:
            return blocks.opened(block, roles, detail, live)
        columns = Steps.of(total(block.column, steps, roles.system), elide, "").positions if block.column else ()
        return blocks.usual(block, roles, len(columns), ranges, live)

    templates = {b: form(b) for b in roles.blocks}
    return Forms(roles, templates, _fitting(steps, templates, roles, twins), live)


def _check_size(roles: Roles, steps: Totals, elide: bool) -> None:
    def shown(index: str) -> int:
        n = total(index, steps, roles.system) if index else 1
        return len(Steps.of(MOST + 1, elide, "").shown) if elide and n > MOST else n

    columns = max((shown(b.column) for b in roles.blocks), default=1)
    boxes = sum(shown(b.column) * shown(b.row) for b in roles.blocks)
    if not elide and boxes > MOST_BOXES:
        fewer = max(1, columns * MOST_BOXES // boxes)
        raise BadValue(f"{columns} steps that are all drawn are a picture of {boxes} boxes, more than {MOST_BOXES}; "
                       f"give steps={fewer} or fewer, or elide=True, which draws 1, 2, … and the last one")


def _fitting(steps: Totals, templates: dict[Block, Template], roles: Roles, twins: bool) -> Totals:
    """The steps that are told, and of other ranges as many of the usual number as can be read beside each other."""
    if isinstance(steps, int):
        return steps
    system = roles.system
    found: dict[str, int] = {}
    for block, t in templates.items():
        fit = min(int(WIDE // (t.w + BETWEEN[twins])), int(HIGH // (t.h + BETWEEN[twins])) if block.row else USUAL)
        for index in {block.column, block.row} - {"", *system.static}:  # a grid is as wide as it is high
            name = system.range_of(index)
            found[name] = min(found.get(name, USUAL), max(LEAST, fit))
    return {**found, **steps}


def _with_gradients(roles: Roles) -> frozenset[str]:
    """Those from which a loss, or an output where there is none, follows."""
    role, system = roles.role, roles.system
    ends = [n for n, r in role.items() if r == "loss"] or [n for n, r in role.items() if r == "output"]
    ends = ends or [n for n, r in role.items() if r != "input"]
    given = {n for n, q in system.quantities.items() if q.role == "input" or not any(
        True for _ in refs(eq.rhs for eq in system.by_name.get(n, ())))}  # data, draws and numbers
    read: dict[str, list[str]] = {}
    for a in roles.arrows:
        if a.differentiable and a.source not in given:
            read.setdefault(a.target, []).append(a.source)
    return frozenset(closure(ends, read))
