"""Names and positions as LaTeX: W_{hx}, \\hat{y}, h^{\\langle t-1 \\rangle} or h_{t-1}."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from ..node import At
from .symbols import ACCENTS, GREEK, GREEK_BELOW, NAME_OF, Names, Symbol, symbol

LETTERS_APART = 2  # xf is x and f, out is a word
WIDE = {"hat": "widehat", "tilde": "widetilde", "bar": "overline"}  # accents of words
ACCENTED = tuple(rf"\{accent}{{" for accent in (*ACCENTS, *WIDE.values()))
LOOKS_LIKE = str.maketrans("οΑΒΕΖΗΙΚΜΝΟΡΤΧ", "oABEZHIKMNOPTX")  # Greek letters for which TeX has no others
ADJOINT = r"\delta "


@dataclass(frozen=True)
class Letters:
    """How quantities are written.

    notation: positions as a "superscript", in the manner of x with <t>, or as a "subscript", after what stands there;
    names: those of the system, which say what is an adjoint; without, whatever begins with d_.
    """

    notation: str = "superscript"
    names: Names | None = None

    def __call__(self, name: str, slots: tuple[At, ...] = ()) -> str:
        """W_hx -> W_{hx}; d_h -> \\delta h, the adjoint; alpha -> \\alpha; y_hat -> \\hat{y}; longer words upright."""
        s = self.symbol(name)
        alike = name in self._alike
        s = Symbol(name) if alike else s
        base = _upright(name) if alike else _word(s.base)
        accent = WIDE.get(s.accent, s.accent) if base.startswith(r"\text{") else s.accent
        base = rf"\{accent}{{{base}}}" if accent else base
        positions = ",".join(map(str, slots))
        below = [_below(part) for part in s.subscript.split(",") if part]
        below += [positions] if positions and self.notation == "subscript" else []
        raised = rf"^{{\langle {positions} \rangle}}" if positions and self.notation == "superscript" else ""
        lowered = f"_{{{','.join(below)}}}" if below else ""
        signs = "".join(rf"\delta_{{{number}}} " if number else ADJOINT for number in s.adjoint)
        return signs + base + lowered + raised

    def symbol(self, name: str) -> Symbol:
        """What a name stands for."""
        return symbol(name) if self.names is None else self.names.symbol(name)

    @cached_property
    def _alike(self) -> frozenset[str]:
        """Names that would look like a shorter one, such as x_1 beside x1: they stay as they are."""
        seen, found = set[Symbol](), list[str]()
        for name in sorted(self.names.known if self.names else (), key=len):
            read = self.symbol(name)
            found += [name] * (read in seen)
            seen.add(read)
        return frozenset(found)


def name_latex(name: str) -> str:
    """A name alone, as a symbol."""
    return Letters()(name)


def _word(word: str) -> str:
    """The name of a Greek letter as that letter, others upright."""
    return rf"\{word}" if word in GREEK else _upright(word)


def _upright(word: str) -> str:
    """A word in the text's font; a letter by itself as a variable."""
    found = []
    for kind, run in groupby(word.translate(LOOKS_LIKE), _kind):
        letters = "".join(run)
        plain = len(letters) == 1 and letters.isascii() and "_" not in word
        found.append({"Greek": "".join(rf"\{NAME_OF.get(c)} " for c in letters), "lines": r"\_" * len(letters),
                      "letters": letters if plain else rf"\text{{{letters}}}"}[kind])
    return "".join(found).strip()


def _kind(c: str) -> str:
    return "Greek" if c in NAME_OF else "lines" if c == "_" else "letters"


def _below(part: str) -> str:
    """A part of a subscript: a Greek letter, letters that each mean something, or a word; an accent on what it is."""
    part, _, accent = part.partition("_")
    if accent:
        return rf"\{accent}{{{_below(part)}}}"
    if part in GREEK_BELOW:
        return rf"\{part}"
    if part in GREEK or (part.isascii() and sum(map(str.isalpha, part)) <= LETTERS_APART):
        return part
    return _word(part)
