"""What may stand in the first bracket of a quantity, and as its name: one answer for text and for Python."""

from __future__ import annotations

import keyword
import unicodedata

from ..node import BATCH, At

LARGEST_SHIFT = 1000
NUMBERS = ("inf", "nan")
IN_RANGE = "is inside the range, there write where({0} == {1}, a, b); a boundary is at 0 or below, or above"


def wrong_read(slots: tuple[At, ...]) -> tuple[int | None, str] | None:
    """Why a quantity cannot be read at these slots, and which of them is at fault; None where all may."""
    for k, slot in enumerate(slots):
        if abs(slot.offset) > LARGEST_SHIFT:
            what = "position" if slot.anchor == "first" else "shift"
            return k, f"a {what} is at most {LARGEST_SHIFT} in size"
        if slot.anchor == "last" and slot.index == BATCH:
            return k, "the batch has no last position; it is written only in img[n] and over=(t, n)"
        if slot.index == BATCH and (slot.offset or len(slots) > 1):
            return k, "the batch index n stands alone and is never shifted: img[n]"
    return None if _once(slots) else (None, "an index stands once in a bracket; a diagonal is not supported")


def wrong_left(slots: tuple[At, ...]) -> tuple[int | None, str] | None:
    """Why there is no equation with these slots on the left, and which of them is at fault; None where there is."""
    for k, slot in enumerate(slots):
        if slot.index == BATCH:
            return k, "the batch index n is not written on the left; every quantity may vary by example"
        if slot.anchor == "free" and slot.offset:
            return k, f"the left side takes the plain index: write {slot.index}, and shift the right side"
        if (slot.anchor == "first" and slot.offset > 0) or (slot.anchor == "last" and slot.offset < 1):
            index = slot.index or "t"
            return k, f"{slot} {IN_RANGE.format(index, slot)} {index.upper()}"
    if not _once(slots):
        return None, "an index stands once on the left side"
    return wrong_read(slots)


def _once(slots: tuple[At, ...]) -> bool:
    names = [s.index for s in slots if s.anchor == "free"]
    return len(set(names)) == len(names)


def wrong_name(name: object) -> str | None:
    """Why no quantity has that name, or None."""
    if not isinstance(name, str) or not name.isidentifier():
        return f"a quantity's name is an identifier, not {name!r}"
    if keyword.iskeyword(name):
        return f"{name} is a word of Python's and no name of a quantity; {name}_ is one"
    if name in NUMBERS:
        return f"{name} is a number"
    for sign in name:
        if not in_names(sign):
            return f"a quantity's name has no {sign!r}"
    return None


def in_names(sign: str) -> bool:
    """Is that a character of names? Python takes raised and lowered letters for plain ones, so that W and a raised T
    would be the name WT.
    """
    small = unicodedata.decomposition(sign).startswith(("<super>", "<sub>"))
    return f"a{sign}".isidentifier() and not small and unicodedata.normalize("NFKC", sign) != "·"
