"""Slips of the pen: what somebody meant whose text is no syntax of the notation, and what to write instead."""

from __future__ import annotations

import itertools
import keyword
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..inference.brackets import in_names, wrong_name
from ..ops import TABLE

SEVERAL_LINES = "a right side of several lines stands in brackets, (...)"
LEFT = "left of = stands a name with its indices in square brackets: h[t] = ..."
OPERATORS = "write * (element by element) or @ (matrix product)"
# What stands for something that a keyboard lacks; what else has an ASCII form (full width letters) is found by that.
INSTEAD = {"×": OPERATORS, "·": OPERATORS, "⋅": OPERATORS, "∙": OPERATORS, "•": OPERATORS, "∗": OPERATORS,
           "⊙": "write *", "∘": "write *", "⊗": "write outer(a, b)", "⊤": "write transpose(W)", "÷": "write /",
           "−": "write -", "≤": "write <=", "≥": "write >=", "≠": "write !=", "←": "write =", "≔": "write =",
           "∞": "write inf", "√": "write sqrt(...)", "∑": "write sum(..., over=t)",
           "∂": "a gradient is model.grad(\"loss\")",
           "′": "a prime is written as in h_p", "∧": "write and", "∨": "write or", "¬": "write not",
           "〈": "an index stands in square brackets: h[t]", "⟨": "an index stands in square brackets: h[t]"}
# What stands in the text of other notations and languages, in the order of trying.
FOREIGN = {"'": "a prime is written as in h_p, the transpose of W transpose(W)", '"': "text stands only in einsum",
           "{": "an index stands in square brackets: h[t-1]", "$": "LaTeX is not read: write h[t] = tanh(W @ x[t])",
           "\\": "LaTeX is not read: write h[t] = tanh(W @ x[t])", "?": "a choice is written where(condition, a, b)",
           "//": "a comment begins with #", ":=": "an equation has one =", "<-": "an equation has one =",
           "->": "an equation has one =", "=>": "an equation has one =, a comparison >=", "<>": "write !=",
           "&&": "write and", "||": "write or", "!": "write not", "|": "write abs(...)",
           "~": "what is drawn is written w[t] = categorical(p[t])", "...": "all terms are written out"}
LOGIC = ("and", "or", "not")
CHOICE = ("if", "else")
WORDS = ("True", "False", "None", *LOGIC, *CHOICE)
_SKIPPED = re.compile(r"#.*|\"[^\"\n]*\"|'[^'\n]*'")
_TOKEN = re.compile(r"(?P<blank>\s+)|(?P<number>0[xXoObB]\w+|(\d[\d_]*\.?[\d_]*|\.\d+)([eE][+-]?\d+)?)"
                    r"|(?P<name>[^\W\d]\w*)|(?P<text>\"[^\"]*\"|'[^']*')|(?P<sign>:=|<-|->|=>|<>|&&|\|\||//|\*\*|<=|>=|==|!=|\.\.\.|.)")
_PARAMETERS = {name for row in TABLE.values() for name in row.params}


class Slip(NamedTuple):
    """What to say, and the characters of the line that it is about."""

    message: str
    start: int
    stop: int


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    stop: int
    depth: int  # of brackets


# -- characters --------------------------------------------------------------------------------------------


def strange_character(line: str) -> Slip | None:
    """The first character outside comments that is in no name of the notation, though it may be in one of Python's."""
    if line.isascii():
        return None
    plain = _SKIPPED.sub(lambda found: " " * len(found[0]), line)
    for k, sign in enumerate(plain):
        if not sign.isascii() and not in_names(sign):
            return Slip(f"{_named(sign)} is not part of the notation; {_instead(sign)}", k, k + 1)
    return None


def _named(sign: str) -> str:
    shown = f"{sign!r} " if sign.isprintable() else ""
    return f"{shown}(U+{ord(sign):04X}, {unicodedata.name(sign, 'without a name').lower()})"


def _instead(sign: str) -> str:
    plain, kind = unicodedata.normalize("NFKC", sign), unicodedata.category(sign)
    decomposed = unicodedata.decomposition(sign)
    if sign in INSTEAD or plain in INSTEAD:
        return INSTEAD.get(sign) or INSTEAD[plain]
    if decomposed.startswith("<super>"):
        return f"a power is written ** {plain}" if plain.isdigit() else "a transpose is written transpose(W)"
    if decomposed.startswith("<sub>"):
        return f"an index stands in square brackets, as in h[t]; of a name, {plain!r} is written as in h_{plain}"
    if kind in ("Pd", "Pi", "Pf"):
        return "write -" if kind == "Pd" else "nothing is quoted"
    if kind.startswith("Z"):
        return "write an ordinary space"
    if plain.isascii() and plain.strip():
        return f"write {plain}"
    return "leave it out" if kind.startswith("C") else "names are letters, digits and _"


# -- words and signs ---------------------------------------------------------------------------------------


def slip(line: str) -> Slip | None:
    """The likeliest reason why Python's grammar refuses the line, or None."""
    tokens = list(_tokens(line))
    for rule in RULES:
        found = rule(tokens)
        if found is not None:
            return found
    return None


def _tokens(line: str) -> Iterator[_Token]:
    depth = 0
    for found in _TOKEN.finditer(line):
        kind, text = str(found.lastgroup), found[0]
        if text == "#":
            return
        if kind != "blank":
            depth -= text in (")", "]")
            yield _Token(kind, text, *found.span(), depth)
            depth += text in ("(", "[")


def _keyword(tokens: list[_Token]) -> Slip | None:
    for token in tokens:
        if keyword.iskeyword(token.text) and token.text not in WORDS:
            return Slip(str(wrong_name(token.text)), token.start, token.stop)
    return None


def _choice(tokens: list[_Token]) -> Slip | None:
    for token in tokens:
        if token.text in CHOICE:
            return Slip("a choice is written where(condition, a, b)", token.start, token.stop)
    return None


def _foreign(tokens: list[_Token]) -> Slip | None:
    for token in tokens:
        if token.text in FOREIGN:
            return Slip(FOREIGN[token.text], token.start, token.stop)
    return None


def _left(tokens: list[_Token]) -> Slip | None:
    """Round brackets left of =, or nothing."""
    sign = next((k for k, token in enumerate(tokens) if token.text == "=" and token.depth == 0), None)
    if sign is None or (sign > 0 and tokens[sign - 1].text != ")"):
        return None
    start = tokens[0].start
    return Slip(LEFT, start, max(start + 1, tokens[max(0, sign - 1)].stop))


def _equal_inside(tokens: list[_Token]) -> Slip | None:
    for before, token in itertools.pairwise(tokens):
        if token.text == "=" and token.depth > 0 and before.text not in _PARAMETERS:
            return Slip("inside brackets = names an argument; a comparison is written ==", token.start, token.stop)
    return None


def _side_by_side(tokens: list[_Token]) -> Slip | None:
    """Two terms without an operator between, such as W x[t] or 2x."""
    for a, b in itertools.pairwise(tokens):
        ends = a.text in (")", "]") or (a.kind in ("name", "number") and a.text not in WORDS)
        begins = (b.kind in ("name", "number") and b.text not in WORDS) or (b.text == "(" and a.kind == "number")
        if ends and begins and a.text in TABLE:
            return Slip(f"a function takes brackets: {a.text}(...)", a.start, b.stop)
        if ends and begins and a.kind == "number":
            return Slip(f"between {a.text} and {b.text} an operator is missing: {a.text} * {b.text}", a.start, b.stop)
        if ends and begins:
            return Slip(f"between {_shown(tokens, a)} and {b.text} an operator is missing: @ is the product of a "
                        "matrix, * is element by element", a.start, b.stop)
    return None


def _shown(tokens: list[_Token], last: _Token) -> str:
    """A term by its last token: x[t], not the bracket alone."""
    if last.text not in (")", "]"):
        return last.text
    opening = next((k for k in range(tokens.index(last) - 1, -1, -1) if tokens[k].depth == last.depth
                    and tokens[k].text in "(["), 0)
    named = opening > 0 and tokens[opening - 1].kind == "name"
    return "".join(token.text for token in tokens[opening - named : tokens.index(last) + 1])


def _dangling(tokens: list[_Token]) -> Slip | None:
    """An operator without a term after it, or the colon of a size without a name or a size."""
    for a, b in itertools.zip_longest(tokens, tokens[1:]):
        if a.text == ":" and a.depth == 0 and (b is None or a is tokens[0]):
            return Slip(f"a {'name' if b else 'size'} is missing beside the colon; a size is written x[t]: 27",
                        a.start, a.stop)
        if a.text not in ("+", "-", "*", "/", "@", "**", "=", "<", ">", "<=", ">=", "==", "!=", *LOGIC):
            continue
        if b is None:
            return Slip(f"a term is missing after {a.text}; {SEVERAL_LINES}",
                        a.start, a.stop)
        if (b.kind == "sign" and b.text not in "([+-") or b.text in ("and", "or"):
            return Slip(f"a term is missing between {a.text} and {b.text}", a.start, b.stop)
    return None


def _empty(tokens: list[_Token]) -> Slip | None:
    for a, b in itertools.pairwise(tokens):
        if (a.text, b.text) == ("[", "]"):
            return Slip("square brackets hold indices: h[t], h[t-1]", a.start, b.stop)
    return None


RULES: tuple[Callable[[list[_Token]], Slip | None], ...] = (
    _keyword, _choice, _foreign, _left, _equal_inside, _side_by_side, _empty, _dangling)
