"""A scene coloured by what a run produced: activations, how far gates are open, gradients, and NaN in red."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tinygrad_rnn.errors import BadValue

from .graph.roles import Roles
from .scene import Mark, Note, Scene, Shape
from .style import FAINT, FILLS, HATCHED, MARGIN, RAMPS, SMALL, WRONG
from .text import Label, Span, plain, string, width
from .values import Values

DECADES = 6.0  # of the largest gradient, down to which the colours reach
SWATCHES, SWATCH, BAR = 24, 5.0, 10.0


def rms(a: np.ndarray) -> float:
    """The root of the mean square."""
    return float(np.sqrt(np.mean(np.square(a, dtype="float64"))))


class Scale(NamedTuple):
    """How numbers become colours: one number of an array, its place from 0 to 1 where `top` is the largest of all."""

    title: str
    ramp: str
    number: Callable[[np.ndarray], float]
    place: Callable[[float, float], float]
    low: str
    high: str


SCALES = {
    "activation": Scale("root mean square", "activation", rms, lambda v, top: v, "0", "1 and above"),
    "gate": Scale("mean openness", "gate", lambda a: float(np.mean(a)), lambda v, top: v, "closed", "open"),
    "loss": Scale("value", "", lambda a: float(np.mean(a)), lambda v, top: v, "", ""),  # which keeps its colour
    "gradient": Scale("gradient norm", "gradient", lambda a: float(np.linalg.norm(a)),
                      lambda v, top: 1 + math.log10(v / top) / DECADES if v > 0 else 0.0, "{low:.0e}", "{top:.2g}"),
}
COLOURS = ("value", "gradient")
WITHOUT = {"value": "a class, or no number here", "gradient": "no gradient here"}  # of what is hatched


def colour_of(ramp: str, place: float) -> str:
    """The colour at a place from 0 to 1 of a ramp; a loud one for none, which is NaN."""
    if math.isnan(place):
        return WRONG
    colours = RAMPS[ramp]
    at = min(max(place, 0.0), 1.0) * (len(colours) - 1)
    k = min(int(at), len(colours) - 2)
    parts = [[int(c[j : j + 2], 16) for j in (1, 3, 5)] for c in colours[k : k + 2]]
    return "#" + "".join(f"{round(a + (b - a) * (at - k)):02X}" for a, b in zip(*parts, strict=True))


def coloured(scene: Scene, roles: Roles, values: Values, colour: str = "value") -> Scene:
    """The scene with every box whose quantity the run has in the colour of its number, all others hatched, and what the
    colours mean.

    colour: "value" (root mean square, or for gates the mean) or "gradient" (the norm, relative to the largest).
    Raises `BadValue` where the run has nothing that the scene shows.
    """
    if colour == "gradient" and not values.adjoints:
        raise BadValue("these values have no gradients; Model.trace gives them")
    found: dict[Mark, tuple[str, float]] = {}
    for shape in scene.shapes:
        if shape.mark is not None and shape.mark not in found:
            number = _number(shape.mark, roles, values, colour)
            if number is not None:
                found[shape.mark] = number
    if not found:
        raise BadValue("the values have none of the quantities and positions that the picture shows")
    tops = {name: max((v for n, v in found.values() if n == name and math.isfinite(v)), default=0.0) or 1.0
            for name in {n for n, _ in found.values()}}
    shapes = [_painted(s, found, tops) for s in scene.shapes]
    return _with_legend(replace(scene, shapes=shapes), tops, WITHOUT[colour])


def _number(mark: Mark, roles: Roles, values: Values, colour: str) -> tuple[str, float] | None:
    """The scale of a quantity and its number at a position."""
    role = roles.role.get(mark.name)
    array = values.at(mark) if colour == "value" else values.gradient_at(mark)
    if array is None or not array.size or array.dtype.kind != "f" or (role == "loss" and colour == "gradient"):
        return None
    name = "gradient" if colour == "gradient" else role if role in ("gate", "loss") else "activation"
    number = SCALES[name].number(array)
    return name, number if np.isfinite(array).all() else math.nan


def _painted(shape: Shape, found: Mapping[Mark, tuple[str, float]], tops: Mapping[str, float]) -> Shape:
    if FILLS[shape.style].stroke == "none":
        return shape
    if shape.mark is None or shape.mark not in found:
        return replace(shape, fill=HATCHED)
    name, number = found[shape.mark]
    scale = SCALES[name]
    if math.isnan(number):
        return replace(shape, fill=WRONG, name=f"{_name(shape)}: not finite")
    fill = colour_of(scale.ramp, scale.place(number, tops[name])) if scale.ramp else None
    return replace(shape, fill=fill, name=f"{_name(shape)}: {scale.title} {number:.3g}")


def _name(shape: Shape) -> str:
    assert shape.mark is not None
    at = ",".join(str(p) for _, p in shape.mark.at)
    return f"{shape.mark.name}⟨{at}⟩" if at else shape.name or string(shape.label)


def _with_legend(scene: Scene, tops: Mapping[str, float], without: str) -> Scene:
    """A bar for each scale, at the lower left, and what hatched boxes are where there are some."""
    y = scene.height + 6
    shapes, notes, right = list(scene.shapes), list(scene.notes), scene.width
    titles = {name: plain(SCALES[name].title) for name in SCALES if name in tops and SCALES[name].ramp}
    room = max((width(t, SMALL) for t in titles.values()), default=0.0) + 12
    for name, title in titles.items():
        scale, top = SCALES[name], tops[name]
        low, high = (text.format(low=top * 10**-DECADES, top=top) for text in (scale.low, scale.high))
        x = MARGIN + room + width(plain(low), SMALL) + 8
        notes.append(Note(MARGIN, y, title, SMALL, FAINT, "start"))
        notes.append(Note(x - 6, y, _written(low), SMALL, FAINT, "end"))
        for k in range(SWATCHES):
            fill = colour_of(scale.ramp, (k + 0.5) / SWATCHES)
            shapes.append(Shape("box", x + k * SWATCH, y - BAR / 2, SWATCH, BAR, "swatch", fill=fill))
        end = x + SWATCHES * SWATCH + 6
        notes.append(Note(end, y, _written(high), SMALL, FAINT, "start"))
        right = max(right, end + width(plain(high), SMALL) + MARGIN)
        y += 18
    if any(s.fill == HATCHED for s in scene.shapes):
        shapes.append(Shape("box", MARGIN, y - BAR / 2 - 2, 28, BAR + 4, "op", fill=HATCHED))
        notes.append(Note(MARGIN + 36, y, plain(without), SMALL, FAINT, "start"))
        right = max(right, MARGIN + 36 + width(plain(without), SMALL) + MARGIN)
        y += 18
    return replace(scene, shapes=shapes, notes=notes, width=right, height=y + MARGIN / 2)


def _written(number: str) -> Label:
    """1e-06 as 10⁻⁶ and the like, raised."""
    mantissa, mark, exponent = number.partition("e")
    if not mark or not exponent.lstrip("+-").isdigit():
        return plain(number)
    power = Span(str(int(exponent)).replace("-", "−"), scale=0.72, rise=0.32)
    return (Span("10" if mantissa == "1" else f"{mantissa}·10"), power)
