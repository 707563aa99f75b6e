"""Where quantities without steps stand: in the column that they read, or where they are read, or in the middle."""

from __future__ import annotations

from dataclasses import replace

from ..blocks.segments import Segments
from ..graph.steps import GAP
from ..view import View


def settle(view: View, segments: Segments, loose: list[str]) -> None:
    """Give all boxes their columns. loose: those without steps, which stand in the middle of the columns of all ranges
    that they have to do with, where no single one is theirs."""
    if not segments.steps:
        view.boxes = {key: replace(box, column=0) for key, box in view.boxes.items()}
        return
    loose = sorted(loose, key=lambda key: view.boxes[key].row)
    among = _beside_others(view, segments, loose)
    segments.settle(view, {key: ranges or set(segments.steps) for key, ranges in among.items()})
    _where_wires_pass(view, loose)


def _beside_others(view: View, segments: Segments, loose: list[str]) -> dict[str, set[str]]:
    """Put those that have to do with one column alone there; the ranges of the others, by key."""
    read: dict[str, list[str]] = {key: [] for key in view.boxes}
    readers: dict[str, list[str]] = {key: [] for key in view.boxes}
    for link in view.links:
        read[link.target].append(link.source)
        readers[link.source].append(link.target)
    among: dict[str, set[str]] = {}
    for others, order in ((read, loose), (readers, loose[::-1])):
        for key in order:
            if view.boxes[key].column is not None:
                continue
            found = {view.boxes[o].column for o in others[key]
                     if others is readers or view.boxes[o].column is not None or read[o]}
            if len(found) == 1:
                view.boxes[key] = replace(view.boxes[key], column=found.pop())
            among[key] = among.get(key) or segments.among(found)
    return among


def _where_wires_pass(view: View, loose: list[str]) -> None:
    """Put boxes in the middle column beside which others stand, or which wires pass, and what follows from them."""
    settled = {view.boxes[key].row for key in loose if view.boxes[key].column is not None}
    for key in loose:
        box = view.boxes[key]
        read = {link.source for link in view.links if link.target == key}
        under = view.boxes[read.pop()] if len(read) == 1 and read <= set(loose) else None
        if box.column is None and under is not None and under.column is not None:
            view.boxes[key] = replace(box, column=under.column)
        elif box.column is None and (box.row in settled or box.row < view.rows - 1):
            view.boxes[key] = replace(box, column=_middle(view, box.among))


def _middle(view: View, among: tuple[int, int]) -> int:
    """The middle one of columns, but no gap, nor one for initial values, which are stacked there."""
    middle = sum(among) // 2
    while view.columns[middle] == GAP or middle in view.ends:
        middle -= 1
    return middle
