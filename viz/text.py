"""Labels: pieces of text with a style, the notation h⟨t⟩, and how wide they are.

Widths are those of DejaVu Sans, the widest of the common sans-serif fonts: what fits here fits everywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from tinygrad_rnn.node import At
from tinygrad_rnn.ops.draws import DECLARED
from tinygrad_rnn.printing.symbols import ACCENTS, GREEK, GREEK_BELOW, Names, Symbol, scientific, symbol

COLUMN, ROW = "\x00", "\x01"  # stand for a step and a layer in what is stamped many times
SUPERSCRIPT = 0.72  # size of a superscript beside its base

# Advances of U+0020 to U+007E in thousandths of an em.
ASCII = (318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636, 636, 636,
         636, 636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656,
         557, 863, 748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500, 500, 613,
         635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818,
         592, 592, 525, 636, 337, 636, 838)
OTHER = {"⟨": 390, "⟩": 390, "·": 318, "ᵀ": 385, "²": 401, "∂": 517, "σ": 634, "Σ": 632, "√": 637, "…": 1000, "⋮": 1000}
SIGN, WIDE, USUAL = 838, 1000, 700


@dataclass(frozen=True)
class Span:
    """Text in one style. rise: in ems of the label's size, upward; source: what it stands for, as it was written;
    colour: in place of the label's."""

    text: str
    italic: bool = False
    scale: float = 1.0
    rise: float = 0.0
    source: str | None = None
    colour: str | None = None


Label = tuple[Span, ...]


def clean(text: str) -> str:
    """text without what no picture can show: control characters, lone surrogates and non-characters."""
    kept = []
    for c in text:
        bad = unicodedata.category(c) in ("Cc", "Cs") or ord(c) & 0xFFFE == 0xFFFE
        kept.append("\N{REPLACEMENT CHARACTER}" if bad else c)
    return "".join(kept)


def decimal(value: float) -> str:
    """A coordinate with at most two digits after the point."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def plain(text: str) -> Label:
    """Upright text as a label."""
    return (Span(clean(text)),)


def slot_text(slots: Iterable[At]) -> str:
    """Positions as they are written in brackets, with a minus that is one."""
    return ",".join(str(s) for s in slots).replace("-", "−")


def named(name: str, s: Symbol | None = None) -> Label:
    """A name as a symbol: Greek letters, accents, and what follows an underscore below the line.

    s: what it stands for, where its system says more of it than the name alone.
    """
    s = symbol(clean(name)) if s is None else s
    base, below = GREEK.get(s.base, s.base), s.subscript.split(",")
    if len(base) > 1:  # no accent is as wide as a word
        below.insert(0, s.accent)
    else:
        base = _accented(base, s.accent)
    signs: Label = ()
    for numbered, run in groupby(s.adjoint, bool):
        numbers = list(run)
        signs += (Span("δ" * len(numbers), source=""),) if not numbered else tuple(
            span for number in numbers for span in (Span("δ", source=""), _subscript(number)))
    lowered = ",".join(_accented(GREEK_BELOW.get(letter, letter), accent) for letter, _, accent in (
        part.partition("_") for part in filter(None, below)))
    return (*signs, Span(base, italic=True, source=name), *((_subscript(lowered),) if lowered else ()))


def _accented(letter: str, accent: str) -> str:
    return unicodedata.normalize("NFC", letter + ACCENTS.get(accent, ""))


def _subscript(text: str) -> Span:
    return Span(text, scale=SUPERSCRIPT, rise=-0.2, source="")


def read_by(label: Label, names: Names) -> Label:
    """The label with every name that begins with d_ as its system says: an adjoint, one of its terms, or neither."""
    out: Label = ()
    at = 0
    while at < len(label):
        own = next((s.source for s in label[at:] if s.source), "") if label[at].source == "" else ""
        usual = named(own) if own.startswith("d_") else ()
        if usual and tuple(replace(s, colour=None) for s in label[at : at + len(usual)]) == usual:
            out += tuple(replace(s, colour=label[at].colour) for s in named(own, names.symbol(own)))
            at += len(usual)
        else:
            out += (label[at],)
            at += 1
    return out


def quantity(name: str, position: str = "") -> Label:
    """h, or h⟨t−1⟩ with the position raised. COLUMN and ROW in the position are filled in when stamped."""
    base = named(name)
    return (*base, Span(f"⟨{position}⟩", scale=SUPERSCRIPT, rise=0.32)) if position else base


def filled_text(text: str, column: str, row: str) -> str:
    """A text with its positions."""
    return text.replace(COLUMN, column).replace(ROW, row)


def filled(label: Label, column: str, row: str) -> Label:
    """A label with its positions."""
    return tuple(replace(s, text=filled_text(s.text, column, row)) for s in label)


def string(label: Label) -> str:
    """The label as it was written."""
    return "".join(s.text if s.source is None else s.source for s in label)


def _advance(c: str) -> int:
    if " " <= c <= "~":
        return ASCII[ord(c) - 32]
    if unicodedata.combining(c):
        return 0
    if c in (COLUMN, ROW):
        return 2 * ASCII[ord("0") - 32]
    if ord(c) > 0x2FFF or unicodedata.east_asian_width(c) in "WF":
        return 2 * USUAL
    return OTHER.get(c, {"Sm": SIGN, "So": WIDE, "Po": WIDE}.get(unicodedata.category(c), USUAL))


def width(label: Label, size: float) -> float:
    """How wide the label is at a font size, in the font's unit."""
    total = 0.0
    for span in label:
        total += sum(map(_advance, span.text)) * span.scale
    return total * size / 1000


def shortened(label: Label, size: float, room: float) -> Label:
    """The label, cut at the end with … where it is wider than `room`."""
    if width(label, size) <= room:
        return label
    kept: list[Span] = []
    for span in label:
        text = ""
        for c in span.text:
            if width((*kept, replace(span, text=text + c + "…")), size) > room:
                return (*kept, replace(span, text=text + "…"))
            text += c
        kept.append(span)
    return tuple(kept)


_PART = re.compile(rf"""
    (?P<drawn>(?:[ ]=[ ])?(?:{"|".join(DECLARED)})(?=\())""" + r"""
    | (?P<upright>(?<=[ (])[^\W\d]\w*=(?:\([^)]*\)|-?[\w.]+)|\binf\b|"[^"]*")
    | (?P<logic>[ ](?:and|or)[ ]|\bnot[ ])
    | (?P<name>[^\W\d]\w*)\[(?P<position>[^\]:\"]*)\]
    | transpose\((?P<transposed>[^\W\d]\w*)(?:\[(?P<where>[^\]:\"]*)\])?\)
    | (?P<function>sigmoid|sqrt)(?=\() | (?P<plain>[^\W\d]\w*)(?!\w|\()
    | (?<![\w.])(?P<number>\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?![\w.])
    | [ ]\*\*[ ](?P<power>-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?![\w.])
    | (?P<sign>[ ]\*\*[ ]|[ ]@[ ]|[ ]\*[ ]|[<>!]=|==|-)""", re.VERBOSE)
SIGNS = {"sigmoid": "σ", "sqrt": "√", " and ": " ∧ ", " or ": " ∨ ", "not ": "not ", " @ ": " ", " * ": " ⊙ ",
         " ** ": " ^ ", "-": "−", "<=": "≤", ">=": "≥", "!=": "≠", "==": "="}


def formula(text: str, colours: Mapping[str, str] | None = None) -> Label:
    """An equation's text as it is printed, typeset: names slanted, indices raised, products as in mathematics.

    colours: of names.
    """
    spans: list[Span] = []
    end, raised = 0, -1  # raised: where a label with a position begins that nothing follows as yet

    def upright(piece: str) -> None:
        if piece:
            spans.append(Span(clean(piece)))

    for m in _PART.finditer(text):
        upright(text[end : m.start()])
        base = raised if end == m.start() else -1
        end, raised = m.end(), -1
        name = m["name"] or m["transposed"] or m["plain"]
        if name:
            label = quantity(name, (m["position"] or m["where"] or "").replace("-", "−"))
            label += (Span("ᵀ"),) if m["transposed"] else ()
            raised = len(spans) if label[-1].rise > 0 else -1
            spans.extend(replace(s, colour=(colours or {}).get(name)) for s in label)
        elif m["drawn"]:  # w ∼ Categorical(p)
            _, equals, kind = m["drawn"].rpartition(" = ")
            upright(f"{' ∼ ' if equals else ''}{kind.capitalize()}")
        elif m["upright"]:
            upright("∞" if m["upright"] == "inf" else m["upright"].replace("=-", "=−"))
        elif m["number"]:
            spans.extend(number(m["number"]))
        elif m["power"]:
            if base >= 0:  # beside a position a power would be read as part of it
                spans[base:] = [Span("("), *spans[base:], Span(")")]
            spans.append(Span(m["power"].replace("-", "−"), scale=SUPERSCRIPT, rise=0.32))
        else:
            upright(SIGNS[m["function"] or m["sign"] or m["logic"]])
    upright(text[end:])
    return tuple(spans)


def number(text: str) -> Label:
    """A number as it is written, 10⁹ and 2·10⁻⁵ where it would have many zeros."""
    digits, power = scientific(float(text))
    if not power:
        return (Span(digits, source=text),)
    return (Span(f"{digits}·10" if digits else "10", source=text),
            Span(str(power).replace("-", "−"), scale=SUPERSCRIPT, rise=0.32, source=""))
