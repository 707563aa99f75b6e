"""Labels as LaTeX: names in italics, positions raised, and every character as something that plain pdflatex sets."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from itertools import groupby

from tinygrad_rnn.printing.symbols import ACCENTS, GREEK

from ..text import Label, Span, clean

SYMBOLS = {
    "−": "-", "×": r"\times", "÷": r"\div", "·": r"\cdot", "⊙": r"\odot", "⊗": r"\otimes", "∘": r"\circ", "±": r"\pm",
    "∂": r"\partial", "√": r"\surd", "∑": r"\sum", "∏": r"\prod", "∞": r"\infty", "∇": r"\nabla", "…": r"\ldots",
    "⋮": r"\vdots", "⟨": r"\langle", "⟩": r"\rangle", "≤": r"\leq", "≥": r"\geq", "≠": r"\neq", "≈": r"\approx",
    "∈": r"\in", "→": r"\rightarrow", "←": r"\leftarrow", "↑": r"\uparrow", "↓": r"\downarrow", "¬": r"\neg",
    "∧": r"\wedge", "∨": r"\vee", "ℓ": r"\ell", "°": r"{}^{\circ}", "ᵀ": r"{}^{\top}", "²": "{}^{2}", "³": "{}^{3}",
    "′": r"{}^{\prime}", "<": "<", ">": ">", "|": "|", "*": r"\ast", "\\": r"\backslash", "{": r"\{", "}": r"\}",
    **{letter: rf"\{name}" for name, letter in GREEK.items()},
    "ι": r"\iota", "υ": r"\upsilon", "Υ": r"\Upsilon", "ο": "o", "ϕ": r"\varphi", "ϵ": r"\varepsilon",
}
ESCAPES = {"#": r"\#", "$": r"\$", "%": r"\%", "&": r"\&", "_": r"\_", "~": r"\textasciitilde{}",
           "^": r"\textasciicircum{}", '"': r"{\ttfamily\char34}", "'": r"{\ttfamily\char39}",
           "`": r"{\ttfamily\char96}", "-": "-{}", " ": "~"}
LETTERS = {"ß": r"{\ss}", "æ": r"{\ae}", "Æ": r"{\AE}", "œ": r"{\oe}", "Œ": r"{\OE}", "ø": r"{\o}", "Ø": r"{\O}",
           "ł": r"{\l}", "Ł": r"{\L}", "ı": r"{\i}", "’": "'", "‘": r"{\ttfamily\char39}", "–": "--", "—": "---"}
# Combining characters: LaTeX's command in text and in mathematics.
TEXT_ACCENTS = {"\u0300": r"\`", "\u0301": r"\'", "\u0302": r"\^", "\u0303": r"\~", "\u0304": r"\=", "\u0306": r"\u",
                "\u0307": r"\.", "\u0308": r'\"', "\u030a": r"\r", "\u030b": r"\H", "\u030c": r"\v", "\u0327": r"\c"}
MATH_ACCENTS = {mark: rf"\{name}" for name, mark in ACCENTS.items()}
IN_MATHEMATICS = frozenset("0123456789+=()[],.:;/!")
LETTERS_APART = 2  # xf is x and f, out is a word
MISSING = r"\noglyph"


def label_tex(label: Label, colour_name: Callable[[str], str]) -> str:
    """The label as LaTeX. colour_name: the name under which LaTeX knows a colour."""
    out = ""
    for colour, spans in groupby(label, key=lambda span: span.colour):
        inner = _joined(list(spans))
        out += rf"\textcolor{{{colour_name(colour)}}}{{{inner}}}" if colour else inner
    return out


def unknown(label: Label) -> set[str]:
    """The characters of a label for which pdflatex has no sign; they are set as `MISSING` with their code."""
    return {c for span in label for c in _characters(span.text) if MISSING in _character(c)}


def _joined(spans: list[Span]) -> str:
    """Spans on the line as text, single letters as mathematics, raised and lowered ones at what they follow."""
    out: list[tuple[bool, str]] = []  # is it mathematics?
    for height, group in groupby(spans, key=lambda s: (s.rise > 0) - (s.rise < 0)):
        if height:
            inner = "".join(mathematics(s.text) for s in group)
            out.append((True, f"{'^' if height > 0 else '_'}{{{inner}}}"))
        else:
            out += [(_is_symbol(s), mathematics(s.text) if _is_symbol(s) else text(s.text, s.italic)) for s in group]
    return "".join("".join(t for _, t in group) if not math else f"${''.join(t for _, t in group)}$"
                   for math, group in groupby(out, key=lambda piece: piece[0]))


def _is_symbol(span: Span) -> bool:
    """One slanted letter, with or without an accent: a variable."""
    return span.italic and len(_characters(span.text)) == 1


def _characters(string: str) -> list[str]:
    """Letters with their accents; characters that are made of others as these."""
    found: list[str] = []
    for c in unicodedata.normalize("NFD", clean(string)):
        if unicodedata.combining(c) and found:
            found[-1] += c
        else:
            found.append(c)
    return found


def text(string: str, italic: bool = False) -> str:
    """LaTeX that sets the string in a paragraph."""
    inner = "".join(map(_character, _characters(string)))
    return rf"\textit{{{inner}}}" if italic and inner else inner


def _character(c: str) -> str:
    base, marks = c[0], c[1:]
    if base in SYMBOLS or base in GREEK.values():
        return f"${mathematics(c)}$"
    known = ESCAPES.get(base) or LETTERS.get(base) or (base if base.isascii() else "")
    if not known or any(mark not in TEXT_ACCENTS for mark in marks):
        return rf"{MISSING}{{{'+'.join(f'{ord(x):X}' for x in c)}}}"
    for mark in marks:
        known = f"{TEXT_ACCENTS[mark]}{{{known}}}"
    return known


def mathematics(string: str) -> str:
    """LaTeX that sets the string as a formula: one or two letters as variables, longer words as words."""
    out = ""
    for letters, group in groupby(_characters(string), key=lambda c: c.isascii() and c.isalpha()):
        run = list(group)
        if letters:
            out += "".join(run) if len(run) <= LETTERS_APART else rf"\mathit{{{''.join(run)}}}"
        else:
            out += "".join(map(_formula_character, run))
    return out


def _formula_character(c: str) -> str:
    base, marks = c[0], c[1:]
    inner = base if base.isascii() and base.isalpha() else SYMBOLS.get(base, base if base in IN_MATHEMATICS else "")
    if not inner or any(mark not in MATH_ACCENTS for mark in marks):
        return rf"\text{{{_character(c)}}}"
    inner += " " if inner.startswith("\\") and inner[-1].isalpha() else ""
    for mark in marks:
        inner = rf"{MATH_ACCENTS[mark]}{{{inner.strip()}}}"
    return inner
