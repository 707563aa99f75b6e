"""A view: blocks at (row, column) and links between their ports, before any coordinate is known.

The folded, unrolled and backward pictures differ only in the view that they build; one layout places them all, and
DOT text is written from the view itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .scene import Places
from .template import Template
from .text import Label

FIRST, LAST = -1, -2  # columns of what comes before the first step and after the last


@dataclass(frozen=True)
class Box:
    """One instance of a block. column: a number, FIRST, LAST, or None for the middle of the columns `among`, from the
    first to the last of these.

    position, layer: what its label shows; places: the same as numbers; beside: for initial values, the box and port at
    whose height they stand.
    """

    key: str
    template: Template
    row: int
    column: int | None
    position: str = ""
    layer: str = ""
    name: str = ""
    style: str = "plain"
    beside: tuple[str, str] | None = None
    places: Places = field(default_factory=dict)
    among: tuple[int, int] = (0, 0)

    @property
    def spot(self) -> int | tuple[int, int]:
        """Its column, or those in the middle of which it stands."""
        return self.among if self.column is None else self.column


@dataclass(frozen=True)
class Link:
    """A wire from a box's output to another's port. net: wires of one net may share their way."""

    source: str
    out: str
    target: str
    port: str
    net: str
    style: str
    sideways: bool = False
    gradient: bool = False
    dashed: bool = False
    label: Label = ()
    adjoint: Label = ()


@dataclass
class View:
    """columns: their labels from left to right; rows: the number of rows, from the bottom.

    segments: the first and the last column of each range of positions, by default one of all columns; ends: columns
    between them for initial values, +1 before the steps to which these belong, -1 after; track: from a wire to the next
    in a gutter between columns, and between rows; lane: the same between rows where some have labels, by default as
    much; fed: boxes that read what is not in the view.
    """

    title: str
    columns: list[str]
    rows: int = 0
    boxes: dict[str, Box] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    loops: list[Loop] = field(default_factory=list)
    legend: tuple[tuple[str, str], ...] = ()
    track: float = 11.0
    lane: float = 0.0
    segments: tuple[tuple[int, int], ...] = ()
    ends: dict[int, int] = field(default_factory=dict)
    fed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Loop:
    """A dashed arc at the right of a box: the quantity is read at a shift."""

    box: str
    label: Label
    style: str
    backward: bool = False
