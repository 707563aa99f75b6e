"""Drawing a model: which view, then its layout, then its colours, then the file that its ending names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from tinygrad_rnn.arguments import one_of, real
from tinygrad_rnn.errors import BadType, BadValue
from tinygrad_rnn.files import replacing, with_ending, write_atomic
from tinygrad_rnn.printing.printer import equation_text
from tinygrad_rnn.printing.symbols import NOTATIONS
from tinygrad_rnn.system import System

from . import colouring, notation
from .arguments import known_only
from .attention import view as attentionview
from .blocks.blocks import DETAILS
from .blocks.segments import USUAL, Totals, counted
from .cell import view as cellview
from .graph.roles import Roles, roles
from .layout.grid import layout
from .page import page
from .scene import Scene
from .values import Values
from .view import View
from .views import equations as equationview
from .views import folded as foldedview
from .views import unrolled as unrolledview
from .writers import dot as write_dot
from .writers import mermaid as write_mermaid
from .writers import svg as write_svg
from .writers import tikz as write_tikz
from .writers.lines import with_twins


class HasSystem(Protocol):
    """What can be drawn: a model."""

    @property
    def system(self) -> System: ...


@dataclass(frozen=True)
class Options:
    """How a view is drawn: see `draw`."""

    steps: Any = None
    elide: bool = True
    detail: str | None = None
    notation: str = "superscript"
    shares: Mapping[str, float] | None = None
    values: Values | None = None
    colour: str = "value"
    focus: int | None = None
    quantity: str | None = None

    @property
    def columns(self) -> Totals:
        """How many steps are drawn, of all ranges or by range; what nothing says is left to the view."""
        if isinstance(self.steps, int):
            return self.steps
        found = {} if self.values is None else {self.values.system.range_of(i): n for i, n in self.values.sizes.items()}
        return {**found, **(self.steps or {})}


# Views that are boxes and links on a grid, and may be written as text for other programs to lay out.
GRAPHS: dict[str, Callable[[Roles, Options], View]] = {
    "folded": lambda r, o: foldedview.folded(r, o.shares, o.detail),
    "unrolled": lambda r, o: unrolledview.unrolled(r, o.columns, o.elide, o.detail),
    "backward": lambda r, o: unrolledview.backward(r, o.columns, o.elide, o.detail),
}
# Views that have places of their own.
PICTURES: dict[str, Callable[[Roles, Options], Scene]] = {
    "cell": lambda r, o: cellview.cell_scene(r),
    "attention": lambda r, o: attentionview.attention_scene(
        r, o.values, o.focus, USUAL if o.steps is None else o.steps, o.quantity),
    "equations": lambda r, o: equationview.beside(
        with_twins(layout(foldedview.folded(r, None, o.detail or "ops"))), r),
}
VIEWS = (*GRAPHS, *PICTURES)
MOST_READ = 40  # equations that are read out
# Which arguments only some views have.
ONLY = {"shares": ("folded",), "focus": ("attention",), "quantity": ("attention",),
        "detail": ("folded", "unrolled", "backward", "equations"),
        "steps": ("unrolled", "backward", "attention"), "elide": ("unrolled", "backward")}


def _written(make: Callable[[Scene], str]) -> Callable[[Scene, Path], None]:
    def write(scene: Scene, file: Path) -> None:
        file.write_bytes(make(scene).encode())

    return write


def _by_matplotlib(kind: str) -> Callable[[Scene, Path], None]:
    def write(scene: Scene, file: Path) -> None:
        from .writers import mpl as write_mpl  # matplotlib takes a while to import, and the others do without

        write_mpl.write(scene, file, kind)

    return write


# What a file's ending says: of a scene, and of a view before it is laid out.
SCENES: dict[str, Callable[[Scene, Path], None]] = {
    ".svg": _written(write_svg.svg), ".png": _by_matplotlib("png"), ".pdf": _by_matplotlib("pdf"),
    ".tex": _written(write_tikz.tikz),
}
TEXTS: dict[str, Callable[[View], str]] = {".dot": write_dot.dot, ".mmd": write_mermaid.mermaid}
PAGE = ".html"
ENDINGS = (*SCENES, *TEXTS, PAGE)


def make_view(model: HasSystem, view: str = "folded", steps: Totals | None = None, elide: bool = True,
              **options: Any) -> View:
    """What a view of boxes and links shows, before it is laid out; options as of `draw`."""
    found = roles(_system(model))
    return _view(found, view, _checked(found.system, view, Options(steps, elide, **options)))


def make_scene(model: HasSystem, view: str = "folded", steps: Totals | None = None, elide: bool = True,
               **options: Any) -> Scene:
    """A view with every box and wire at its place, and coloured by its values; options as of `draw`."""
    found = roles(_system(model))
    return _scene(found, view, _checked(found.system, view, Options(steps, elide, **options)))


def svg(model: HasSystem, view: str = "folded", steps: Totals | None = None, elide: bool = True,
        **options: Any) -> str:
    """The picture of a model as the text of an SVG file; options as of `draw`."""
    return write_svg.svg(make_scene(model, view, steps, elide, **options))


@known_only
def draw(model: HasSystem, path: str | os.PathLike[str], view: str | None = None, steps: Totals | None = None,
         elide: bool | None = None, detail: str | None = None, notation: str = "superscript",
         values: Mapping[str, Any] | None = None, colour: str = "value", example: int = 0, focus: int | None = None,
         quantity: str | None = None, shares: Mapping[str, float] | None = None) -> Path:
    """Draw a model into a file and return its path.

    path: ends in .svg, .png, .pdf, .tex (TikZ), .dot, .mmd (Mermaid) or .html (one page that needs nothing else, to
    walk through). view: "folded" (loops as arcs), "unrolled" (a column a step; what .html shows by default),
    "backward" (with the gradient's arrows), "cell" (the inside of one step), "attention" (what is looked at, from
    where) or "equations" (beside the folded diagram).

    steps: how many columns, by default as many as the values have, or 4, fewer where cells are wide; also by index, as
    in {"s": 5, "t": 3}, each range of which has columns of its own; elide: above 8 steps show 1, 2, … and T, by default
    in everything but .html; both only of views that have columns. detail: how much of a cell's inside is shown:
    "closed", "gates" (its quantities; what "backward" shows, but in pictures of cells that would be too wide) or "ops"
    (its operations; what "unrolled" shows, but for cells that would be too wide); notation: positions as a
    "superscript", h⟨t⟩, or a "subscript".

    values: what `Model.run` or `Model.trace` gave, to colour every box by what `example` had there, or in "attention"
    to draw its weights; colour: by "value" or by "gradient". focus, quantity: of "attention", the step that looks and
    the weights' name. shares: of "folded", numbers from 0 to 1 by quantity, shown as percentages and colours.

    Raises `BadValue`, `BadName`, `BadType` or `BadFile` (all `tinygrad_rnn.Error`).
    """
    file, ending = with_ending("a picture", path, ENDINGS)
    found = roles(_system(model))
    if view is None:
        view = "unrolled" if ending == PAGE else "folded"
    one_of("view", view, VIEWS)
    _check_goes_with(view, {"steps": steps, "elide": elide})
    if values is None and example != 0:
        raise BadValue(f"example={example!r} is one of the values, and there are none; give values=")
    run = None if values is None else Values(found.system, values, example=example)
    options = _checked(found.system, view, Options(
        steps, ending != PAGE if elide is None else elide, detail, notation, shares, run, colour, focus, quantity))
    if ending in TEXTS:
        if run is not None:
            raise BadValue(f"values colour a picture, and a {ending} file is text; write an .svg")
        return write_atomic(file, TEXTS[ending](_view(found, view, options)).encode())
    if ending == PAGE:
        bare = replace(options, values=None, steps=options.columns) if view in GRAPHS else options
        if view == "backward":  # cells can be closed there, and opened again
            bare = replace(bare, detail=options.detail or "gates")
        text = page.page(_scene(found, view, bare), found.system, run)  # which colours by itself
        return write_atomic(file, text.encode())
    scene = _scene(found, view, options)
    with replacing(file) as part:
        SCENES[ending](scene, part)
    return file


def _view(found: Roles, view: str, options: Options) -> View:
    if view not in GRAPHS:
        raise BadValue(f"the {view} view is a picture and has no text form; write an .svg, .png, .pdf or .tex")
    return GRAPHS[view](found, options)


def _scene(found: Roles, view: str, options: Options) -> Scene:
    scene = PICTURES[view](found, options) if view in PICTURES else with_twins(layout(GRAPHS[view](found, options)))
    scene = notation.with_adjoints(scene, found.system)
    if options.values is not None and view != "attention":
        scene = colouring.coloured(scene, found, options.values, options.colour)
    scene = notation.lowered(scene) if options.notation == "subscript" else scene
    return replace(scene, described=_described(found.system, view))


def _described(system: System, view: str) -> str:
    """What a picture shows, for who hears it read: the view and the equations."""
    lines = [equation_text(eq) for eq in system.equations[:MOST_READ]]
    more = len(system.equations) - MOST_READ
    return f"{view} view of {'; '.join(lines)}" + (f"; and {more} more" if more > 0 else "")


def _system(model: HasSystem) -> System:
    system = getattr(model, "system", None)
    if not isinstance(system, System):
        raise BadType(f"draw a model made by tinygrad_rnn.equations or Model, not {type(model).__name__}")
    return system


def _checked(system: System, view: str, o: Options) -> Options:
    one_of("view", view, VIEWS)
    one_of("notation", o.notation, NOTATIONS)
    one_of("colour", o.colour, colouring.COLOURS)
    if o.colour != "value" and o.values is None:
        raise BadValue(f"colour={o.colour!r} needs values=, which Model.trace gives")
    if o.detail is not None:
        one_of("detail", o.detail, DETAILS)
    _check_goes_with(view, {name: getattr(o, name) for name in ("shares", "focus", "quantity", "detail")})
    if o.shares is not None:
        _check_shares(o.shares, system)
    if not isinstance(o.elide, bool):
        raise BadType(f"elide is True or False, not {o.elide!r}")
    return o if o.steps is None else replace(o, steps=counted(o.steps, system))


def _check_goes_with(view: str, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if value is not None and view not in ONLY[name]:
            raise BadValue(f"{name}= goes with the view {' or '.join(map(repr, ONLY[name]))}; view is {view!r}")


def _check_shares(shares: Any, system: System) -> None:
    if not isinstance(shares, Mapping):
        raise BadType(f"shares are numbers by quantity, {{name: number}}, not {type(shares).__name__}")
    system.require(shares)
    for name, share in shares.items():
        if real(f"the share of {name}", share, at_least=0) > 1 + 1e-9:
            raise BadValue(f"the share of {name} must be at most 1, not {share!r}")
