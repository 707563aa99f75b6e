"""What is read at places that the data say: rows of a table by class, elements by class, values at a last position.

The calls are those that `classes` and `ragged` record; as instructions they become part of passes, and of graphs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .lift import Instruction, Map, Memory, Operand, Rule, Table, fits, spread


def _rows(args: list[Any], memory: Memory) -> list[Instruction] | None:
    """take_rows(table, at, out): out = table[at]."""
    table, at, out = args
    if not fits(table, at, out) or at.dtype != "int64" or out.array.size == 0:
        return None
    return [_take(table, at.view(_behind(at.array, table.array.ndim - 1)), out)]


def _elements(args: list[Any], memory: Memory) -> list[Instruction] | None:
    """_pick_elements(xp, rows, at, out): out = rows[at], class first in rows; 0 where there is no such class."""
    _, rows, at, out = args
    if not fits(rows, at, out) or at.dtype != "int64" or out.array.size == 0:
        return None
    return [_take(rows, at, out)]


def _gather(args: list[Any], memory: Memory) -> list[Instruction] | None:
    """_gather(view, out, examples, lengths, offset, ...): out[n] = view[lengths[n] + offset, ..., n]."""
    view, out, _, *positions = args
    if not fits(view, out, *positions) or out.array.size == 0:
        return None
    found: list[Instruction] = []
    axes = range(len(positions) // 2)
    far = [view.array.strides[k] // view.array.itemsize for k in axes]
    places = [Operand(memory.empty(lengths.array.shape, "int64")) for lengths in positions[::2]]
    for place, lengths, offset, each in zip(places, positions[::2], positions[1::2], far, strict=True):
        found += [Map("add", (lengths, offset), place), Map("multiply", (place, each), place)]
    found += [Map("add", (places[0], place), places[0]) for place in places[1:]]
    last = sum((view.array.shape[k] - 1) * far[k] for k in axes)
    first = Table(view.array[(*[0] * len(axes), ...)], view)
    by_example = places[0].view(_behind(places[0].array, out.array.ndim - 1))
    terms = (spread(first, out.array.shape), spread(by_example, out.array.shape))
    return [*found, Map("take", terms, out, (1, last + 1))]


def _take(table: Operand, place: Operand, out: Operand) -> Map:
    """out = what lies at the places along the table's first axis."""
    far, count = table.array.strides[0] // table.array.itemsize, table.array.shape[0]
    first = Table(table.array[0, ...], table)
    return Map("take", (spread(first, out.array.shape), spread(place, out.array.shape)), out, (far, count))


def _behind(array: np.ndarray, count: int) -> np.ndarray:
    """The array with so many axes of one position behind."""
    return array[(..., *[None] * count)]


RULES: dict[str, Rule] = {"take_rows": _rows, "_pick_elements": _elements, "_gather": _gather}
