"""Drawing a model: which view, then its layout, then the file that its ending names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from tinygrad_rnn.arguments import real
from tinygrad_rnn.errors import BadName, BadType, BadValue
from tinygrad_rnn.system import System

from . import foldedview, write_dot, write_svg
from . import unrolled as unrolledview
from .files import replaced, target
from .grid import layout
from .lines import with_twins
from .roles import roles
from .scene import Scene
from .view import View

VIEWS = ("folded", "unrolled", "backward")
ENDINGS = (".svg", ".png", ".pdf", ".dot")


class HasSystem(Protocol):
    """What can be drawn: a model."""

    @property
    def system(self) -> System: ...


Shares = Mapping[str, float] | None


def make_view(model: HasSystem, view: str = "folded", steps: int = 4, elide: bool = True,
              shares: Shares = None) -> View:
    """What a view shows, before it is laid out."""
    if view not in VIEWS:
        raise BadValue(f"view is {', '.join(map(repr, VIEWS[:-1]))} or {VIEWS[-1]!r}, not {view!r}")
    if isinstance(steps, bool) or not hasattr(steps, "__index__"):
        raise BadType(f"steps is a whole number, not {steps!r}")
    steps = steps.__index__()
    if steps < 1:
        raise BadValue(f"steps is at least 1, not {steps}")
    system = getattr(model, "system", None)
    if not isinstance(system, System):
        raise BadType(f"draw a model made by tinygrad_rnn.equations or Model, not {type(model).__name__}")
    found = roles(system)
    if shares is not None:
        _check_shares(shares, system, view)
    if view == "folded":
        return foldedview.folded(found, shares)
    make = unrolledview.unrolled if view == "unrolled" else unrolledview.backward
    return make(found, steps, elide)


def _check_shares(shares: Any, system: System, view: str) -> None:
    if view != "folded":
        raise BadValue(f"shares colour the folded view; view is {view!r}")
    if not isinstance(shares, Mapping):
        raise BadType(f"shares are numbers by quantity, {{name: number}}, not {type(shares).__name__}")
    for name, share in shares.items():
        if name not in system.quantities:
            raise BadName(f"the model has no quantity {name!r} to colour")
        if real(f"the share of {name}", share, at_least=0) > 1 + 1e-9:
            raise BadValue(f"the share of {name} must be at most 1, not {share!r}")


def make_scene(model: HasSystem, view: str = "folded", steps: int = 4, elide: bool = True,
               shares: Shares = None) -> Scene:
    """A view with every box and wire at its place."""
    return with_twins(layout(make_view(model, view, steps, elide, shares)))


def svg(model: HasSystem, view: str = "folded", steps: int = 4, elide: bool = True) -> str:
    """The picture of a model as the text of an SVG file; arguments as of `draw`."""
    return write_svg.svg(make_scene(model, view, steps, elide))


def draw(model: HasSystem, path: str | os.PathLike[str], view: str = "folded", steps: int = 4,
         elide: bool = True, shares: Shares = None) -> Path:
    """Draw a model into a file and return its path.

    path: ends in .svg, .png, .pdf or .dot; view: "folded" (loops as arcs), "unrolled" (a column a step) or "backward"
    (with the gradient's arrows); steps: how many columns; elide: above 8 steps show 1, 2, … and T;
    shares: of the folded view, numbers from 0 to 1 by quantity, shown as percentages and colours.
    Raises `BadValue`, `BadType` or `BadFile` (all `tinygrad_rnn.Error`).
    """
    file, ending = target(path, ENDINGS)
    if ending == ".dot":
        text = write_dot.dot(make_view(model, view, steps, elide, shares))
        return replaced(file, lambda f: _write_text(f, text))
    scene = make_scene(model, view, steps, elide, shares)
    if ending == ".svg":
        text = write_svg.svg(scene)
        return replaced(file, lambda f: _write_text(f, text))
    from . import write_mpl  # matplotlib takes a while to import, and SVG does without

    return replaced(file, lambda f: write_mpl.write(scene, f, ending[1:]))


def _write_text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", newline="\n")
