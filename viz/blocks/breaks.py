"""Where an equation's text goes on in the next line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from ..text import Label, formula, width

PLACES = re.compile(r"(?<!^) (?=([+\-*/]|and|or) )|(?<=(,)) ")  # before an operator, after a comma
PRODUCTS = ("*", "/")


def broken(text: str, size: float, room: float, colours: Mapping[str, str] | None = None) -> list[Label]:
    """An equation's text typeset in lines, which are no wider than `room` at a font size where that is possible: cut
    before an operator or after a comma, outside brackets where that is enough. colours: of names."""
    first, *more = (formula(piece, colours) for piece in _cut(text, size, room))
    return [first, *((replace(line[0], text=line[0].text.lstrip(" ")), *line[1:]) for line in more)]


def _cut(text: str, size: float, room: float) -> list[str]:
    places = [((_depth(text[: m.start()]), m[1] in PRODUCTS), m.start()) for m in PLACES.finditer(text)]
    if width(formula(text), size) <= room or not places:
        return [text]
    outermost = min(level for level, _ in places)
    edges = [0, *(at for level, at in places if level == outermost), len(text)]
    found: list[str] = []
    for piece in (text[a:b] for a, b in pairwise(edges)):
        if found and width(formula(found[-1] + piece), size) <= room:
            found[-1] += piece
        else:  # only what is too long by itself is cut further inside
            found += _cut(piece, size, room)
    return found


def _depth(text: str) -> int:
    """How many brackets are open at the end."""
    return sum((c in "([") - (c in ")]") for c in text)
