"""A matrix of weights as a heat map: a row for each step that attends, a column for each position attended to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..colouring import colour_of
from ..scene import Mark, Note, Scene, Shape, Wire
from ..style import FAINT, INK, PAPER, SMALL
from ..text import Label, Span, plain, width

# Light to dark in one hue, so that it is read alike by the colour-blind and in print.
TOPS = (0.05, 0.1, 0.25, 1.0)  # what the darkest colour may stand for
DARK = 0.72  # from here on numbers in cells are white
SIDE = 320.0  # the longer side of a map, about
LARGEST_CELL, NUMBERED = 36.0, 10  # cells of up to so many rows and columns have their number in them
APART, GAP = 8.0, 1.0  # from this size on, cells stand apart
FRAME = "#DCE5E4"  # behind the cells and between them
DIGITS = 10.0  # the font of numbers in cells
SHADES = 100  # of colours
OVER = 0.4  # smaller ones reach over the next, so that no line shows between them
MOST = 200  # rows or columns; more are drawn by the largest of several
BAR, SWATCHES = 12.0, 40
TICKS = (1, 2, 5, 10, 20, 25, 50)


@dataclass(frozen=True)
class Weights:
    """matrix: over (attending, attended); name, rows, columns: of the matrix and its axes; mark: of the weight at a row
    and a column; focus: a row. Positions count from 1."""

    matrix: np.ndarray
    name: Label
    rows: Label
    columns: Label
    mark: Callable[[int, int], Mark]
    focus: int

    @property
    def ends(self) -> tuple[float, float]:
        """What the lightest and the darkest colour stand for: 0 and 1 but where all are small, or some are not weights
        in the strict sense."""
        finite = self.matrix[np.isfinite(self.matrix)]
        largest = float(np.max(np.abs(finite), initial=0.0))
        top = next((t for t in TOPS if t >= largest), largest)
        return (-top if np.any(finite < 0) else 0.0), top


def binned(matrix: np.ndarray, most: int = MOST) -> tuple[np.ndarray, int]:
    """The matrix with at most so many rows and columns, each the largest of a square; and the square's side."""
    by = math.ceil(max(matrix.shape) / most)
    for axis in (0, 1):
        matrix = np.maximum.reduceat(matrix, np.arange(0, matrix.shape[axis], by), axis=axis)
    return matrix, by


def heat_map(w: Weights) -> Scene:
    """The map with its axes, the row in focus outlined, and a bar for the colours."""
    cells, by = binned(w.matrix)
    rows, columns = cells.shape
    size = max(1.5, min(LARGEST_CELL, math.floor(2 * SIDE / max(rows, columns)) / 2))
    places = _places(cells, w.ends)
    left, top = 26.0 + width(plain(str(w.matrix.shape[0])), SMALL), 50.0
    scene = Scene(0, 0)
    numbered = by == 1 and max(rows, columns) <= NUMBERED
    edge = GAP if size >= APART else 2 * GAP
    scene.panels.append(_frame(left - GAP, top - GAP, columns * size + edge, rows * size + edge))
    for i, j, count in _runs(places, size >= APART):
        x, y = left + j * size, top + i * size
        label = _number(float(cells[i, j]), places[i, j]) if numbered else ()
        mark = w.mark(i + 1, j + 1) if by == count == 1 else None
        right, low = (-GAP if size >= APART else OVER * inside for inside in (j + count < columns, i < rows - 1))
        scene.panels.append(Shape("box", x, y, count * size + right, size + low, "swatch", label, DIGITS, mark=mark,
                                  fill=colour_of("attention", places[i, j])))
    scene.notes += _ticks(w, left, top, size, by)
    y = top + ((w.focus - 1) // by) * size
    scene.wires.append(_outline(left, y, columns * size, size))
    right, bottom = left + columns * size, top + rows * size
    scene.notes.append(Note((left + right) / 2, 12, w.name, 14, INK))
    end = _bar(scene, w, right + 18, top, max(rows * size, 90.0))
    if by > 1:
        text = plain(f"each cell: the largest of {by} × {by} weights")
        scene.notes.append(Note(left, bottom + 14, text, SMALL, FAINT, "start"))
        bottom += 22
    scene.width, scene.height = end, max(bottom, top + 90.0) + 10
    return scene


def _frame(x: float, y: float, w: float, h: float) -> Shape:
    return Shape("box", x, y, w, h, "swatch", fill=FRAME)


def _places(cells: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """From 0 to 1 between the ends, in as many steps as the eye tells apart; NaN where a weight is not finite."""
    places = (cells - ends[0]) / (ends[1] - ends[0])
    return np.where(np.isfinite(places), np.round(places * SHADES) / SHADES, np.nan)


def _runs(places: np.ndarray, apart: bool) -> Iterator[tuple[int, int, int]]:
    """(row, column, how many) of cells to draw; where cells touch, those of one colour beside each other are one."""
    for i, row in enumerate(places):
        start = 0
        for j in range(1, len(row) + 1):
            if j == len(row) or apart or row[j] != row[start]:
                yield i, start, j - start
                start = j


def _number(value: float, place: float) -> Label:
    colour = PAPER if place >= DARK else None
    return tuple(replace(s, colour=colour) for s in plain(written(value)))


def written(value: float) -> str:
    """A weight as it is read, with two digits; 0 where it is exactly that."""
    return f"{value:.2f}".replace("-", "−") if value else "0"


def _ticks(w: Weights, left: float, top: float, size: float, by: int) -> Iterator[Note]:
    rows, columns = w.matrix.shape
    yield Note(left + (columns / by) * size / 2, top - 22, w.columns, SMALL, FAINT)
    yield Note(left - 12 - width(plain(str(rows)), SMALL), top - 10, w.rows, SMALL, FAINT, "end")
    room = width(plain(str(columns)), SMALL) + 6
    for column in _ticked(columns, size / by, room):
        yield Note(left + ((column - 1) // by + 0.5) * size, top - 8, plain(str(column)), SMALL - 1, FAINT)
    for row in _ticked(rows, size / by, 14.0):
        yield Note(left - 6, top + ((row - 1) // by + 0.5) * size, plain(str(row)), SMALL - 1, FAINT, "end")


def _ticked(count: int, size: float, room: float) -> list[int]:
    """The positions with a number: all where there is room, else the first and round ones."""
    step = next((s for k in (1, 100, 10_000) for s in (t * k for t in TICKS) if s * size >= room), count)
    return [1, *(k for k in range(step, count + 1, step) if (k - 1) * size >= room)]


def _outline(x: float, y: float, w: float, h: float) -> Wire:
    a, b, c, d = x - 1.5, y - 1.5, x + w + 0.5, y + h + 0.5
    middle = (a + c) / 2
    corners = ((middle, b), (c, b), (c, d), (a, d), (a, b), (middle, b))
    return Wire(corners, "attention", head=False, tail=False, name="focus", width=2.0, colour="#C04E00")


def _bar(scene: Scene, w: Weights, x: float, top: float, height: float) -> float:
    """A bar for the colours from 0 to the largest; its right end."""
    step = height / SWATCHES
    scene.panels.append(_frame(x - GAP, top - GAP, BAR + 2 * GAP, height + 2 * GAP))
    for k in range(SWATCHES):
        fill = colour_of("attention", 1 - (k + 0.5) / SWATCHES)
        over = OVER if k < SWATCHES - 1 else 0.0
        scene.panels.append(Shape("box", x, top + k * step, BAR, step + over, "swatch", fill=fill))
    low, high = w.ends
    labels = {top + height * k / 2: f"{high - (high - low) * k / 2:.3g}".replace("-", "−") for k in range(3)}
    for y, text in labels.items():
        scene.notes.append(Note(x + BAR + 5, y, (Span(text),), SMALL - 1, FAINT, "start"))
    return x + BAR + 8 + max(width(plain(t), SMALL - 1) for t in labels.values())
