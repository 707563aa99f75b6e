"""Many boxes of a cell that are alike, as one: forty gates that read the same and feed the same."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace

from ..text import Label, Span, plain
from .inside import ROUND_MOST, Inside, Part

MOST = 6  # boxes that are alike and are all drawn


def collapsed(inside: Inside, leaving: Iterable[str]) -> Inside:
    """The inside with one box for more than `MOST` that are alike: of one kind, reading what is alike, and read by what
    is alike, all the way up and down. leaving: quantities that other blocks read, which stay apart."""
    apart = {inside.out[name] for name in leaving}
    classes = _classes(inside, apart)
    members: dict[int, list[str]] = {}
    for key, number in classes.items():
        members.setdefault(number, []).append(key)
    many = {found[0]: found for found in members.values() if len(found) > MOST}
    if not many:
        return inside
    stands = {key: first for first, found in many.items() for key in found}
    parts: dict[str, Part] = {}
    for key, box in inside.parts.items():
        if stands.get(key, key) == key:
            sources = list(dict.fromkeys(stands.get(s, s) for s in box.sources))
            box = replace(box, sources=sources)
            if box.kind == "box" and box.style == "op" and len(sources) <= ROUND_MOST:
                box = _round(box)
            parts[key] = _joint(box, [inside.parts[k] for k in many[key]]) if key in many else box
    gradient = {(stands.get(a, a), stands.get(b, b)) for a, b in inside.gradient}
    return Inside(parts, inside.ports, {q: stands.get(k, k) for q, k in inside.out.items()}, gradient)


def _classes(inside: Inside, apart: set[str]) -> dict[str, int]:
    """The coarsest classes of boxes of which none is told from another by what it reads or what reads it."""
    users: dict[str, list[str]] = {key: [] for key in inside.parts}
    for key, box in inside.parts.items():
        for s in box.sources:
            if s in users:
                users[s].append(key)
    kinds: dict[str, Hashable] = {key: key if key in apart or box.style == "merge" else _kind(box)
                                  for key, box in inside.parts.items()}
    found = _numbered(kinds)
    while True:
        finer = _numbered({key: (found[key], tuple(found.get(s, s) for s in box.sources),
                                 tuple(sorted({found[u] for u in users[key]})))
                           for key, box in inside.parts.items()})
        if len(set(finer.values())) == len(set(found.values())):
            return finer
        found = finer


def _kind(box: Part) -> Hashable:
    """What a box is, whatever the quantity's name is."""
    symbol = box.label[: _shared_start(box)] if box.name else box.label
    return box.kind, box.style, box.line, symbol


def _shared_start(box: Part) -> int:
    """How many spans of a label come before the quantity's name."""
    return next((k for k, span in enumerate(box.label) if span.italic or span.source == ""), len(box.label))


def _numbered(keys: dict[str, Hashable]) -> dict[str, int]:
    numbers: dict[Hashable, int] = {}
    return {name: numbers.setdefault(key, len(numbers)) for name, key in keys.items()}


def _round(box: Part) -> Part:
    """A circle again, its name beside it unless the line that leaves tells it."""
    start = _shared_start(box)
    caption = box.label[start:] if box.line == "plain" else ()
    return replace(box, kind="circle", label=box.label[: max(1, start - 1)], caption=caption)


def _joint(box: Part, members: list[Part]) -> Part:
    """The box that stands for all: g1 … g40, and how many they are."""
    first, last = members[0], members[-1]
    count = f"{len(members)} alike"
    if box.kind == "circle":
        return replace(box, caption=plain(count), name=count, mark=None)
    label: Label = first.label
    if last.label != first.label:
        label = (*label, Span(" … "), *last.label[_shared_start(last):])
    names = ", ".join(m.name for m in members if m.name)
    return replace(box, label=(*label, Span(f"   {count}")), caption=(), name=names, mark=None)
