"""Equations as an aligned block of LaTeX, in lines that fit a slide or a column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate, chain, pairwise, zip_longest

from ..arguments import matching, named, one_of, real
from ..errors import BadValue
from ..ops import TABLE
from ..ops.draws import DECLARED
from ..system import Equation, System
from .latex import bracketed, expression_latex
from .letters import Letters
from .measure import measure
from .symbols import NOTATIONS, Names
from .typeset import typeset

WIDTH = 34.0  # ems: a column of text on A4 at 10 points, a beamer slide of 16:9 at 11
DRAWN = (*DECLARED, "dropout_mask", "noise")
SURE = 0.97  # of a width is filled, for what is measured is an estimate
EQUALS = 1.34  # the width of = with its spaces
INDENT = {False: r"\quad ", True: r"\qquad "}  # of a line that goes on, outside brackets and inside
DEEPEST = 2.0  # the width of the larger of them
# Where a line may end: after a comma, before a sign; the less it binds the better, and last where factors touch.
_BREAK = re.compile(r"(?P<comma>(?<!\\)[,;] )|(?P<logic> \\(?:wedge|vee) )|(?P<relation> (?:[<>=]|\\[lg]e|\\neq?) )"
                    r"|(?P<sum> [+-] )|(?P<product> \\odot )"
                    r"|(?P<factors>(?:(?<=\))|(?<=\\rangle\})|(?<=\\top\})) \\, )")
_RANK = {name: rank for rank, name in enumerate(_BREAK.groupindex)}
_SIGN = re.compile(r"[+<>=-] |\\(?:odot|wedge|vee|[lg]e|neq?) ")
_CASES = re.compile(r"\\begin\{cases\} ((?:(?!\\begin\{cases\}).)*?) \\end\{cases\}")
_GROUP = re.compile(r"\\begin\{\w+\}|\\end\{\w+\}|\\left\b.|\\right\b.|\\.|[{}()\[\]]")
_GROWING = re.compile(r"\\(left|right)\b(.)")
_DEEPER = {"(": 1, "[": 1, r"\left(": 1, ")": -1, "]": -1, r"\right)": -1}


def block_latex(equations: Iterable[Equation], system: System, notation: str = "superscript",
                width: float | None = WIDTH) -> str:
    """The equations in one `aligned` block (amsmath), a row each, or more where one is wider than `width` ems.

    system: whose names they hold, which say what is an adjoint.
    Raises BadValue and BadType for another notation, and for what is no width.
    """
    one_of("notation", notation, NOTATIONS)
    if width is not None:
        width = SURE * real("width", width, above=0)
    letters = Letters(notation, Names(system))
    rows = [_sides(eq, letters) for eq in equations]
    room = None if width is None else width - EQUALS - max((measure(left) for left, _, _ in rows), default=0.0)
    lines = [line for left, sign, right in rows for line in _lines(left, sign, right, room)]
    return "\\begin{aligned}\n" + " \\\\\n".join(f"  {line}" for line in lines) + "\n\\end{aligned}"


def chosen(system: System, want: str | Iterable[str] | None) -> list[Equation]:
    """The equations of the names, or of those that match a pattern such as "d_*", in the system's order; None: all.

    Raises BadName for a name or pattern of no quantity, BadValue for one without an equation, and for none.
    """
    if want is None:
        return list(system.equations)
    found: set[str] = set()
    defined = {eq.name for eq in system.equations}
    for pattern in named("want", want):
        names = set(matching(pattern, system.quantities))
        if not names:
            system.require([pattern])
        if not names & defined:
            role = system.quantities[min(names)].role
            raise BadValue(f"{pattern} has no equation: it is {'an input' if role == 'input' else 'a weight'}")
        found |= names
    if not found:
        raise BadValue("want is empty: name quantities whose equations are to be shown")
    return [eq for eq in system.equations if eq.name in found]


def _sides(eq: Equation, letters: Letters) -> tuple[str, str, str]:
    """Left side, sign and right side."""
    sign = r"\sim" if eq.rhs.op in DRAWN else "="
    right = expression_latex(typeset(eq).rhs, letters, bare=not eq.slots)
    condition = TABLE[eq.rhs.op].dtype == "bool"  # m = (a = b)
    return letters(eq.name, eq.slots), sign, bracketed(right) if condition else right


def _lines(left: str, sign: str, right: str, room: float | None) -> Iterator[str]:
    """The lines of one equation, aligned at its sign."""
    depth = 0
    for k, piece in enumerate([right] if room is None else cut(right, room)):
        if room is not None:
            piece = _narrower(piece, room - (DEEPEST if k else 0.0))
        piece = _of_one_line(piece.strip())
        yield f"&{INDENT[depth > 0]}{_going_on(piece)}" if k else f"{left} &{sign} {piece}"
        depth += _brackets(piece)


def _going_on(piece: str) -> str:
    """The piece as it begins a line: signs keep their spaces, and factors that touched get one."""
    if piece.startswith(r"\, "):
        piece = r"\cdot" + piece[2:]
    return ("{}" if _SIGN.match(piece) or piece.startswith(r"\cdot ") else "") + piece


def _narrower(piece: str, room: float) -> str:
    """The piece, with cases in more rows where it is too wide: values or conditions go on in the next row, or each
    condition stands below its value."""
    for found in _CASES.finditer(piece) if measure(piece) > room else ():
        rows = [row.split(" & ") for row in found[1].split(r" \\ ")]
        if any(len(row) != 2 for row in rows):
            continue
        widest = [max(measure(row[k]) for row in rows) for k in (0, 1)]
        inner = room - (measure(piece) - sum(widest))  # for both columns
        first = inner - widest[1] if widest[1] < inner / 2 else min(widest[0], inner / 2)
        cells = [[_pieces(value, first), _pieces(condition, inner - first)] for value, condition in rows]
        if sum(max(map(measure, chain(*column))) for column in zip(*cells, strict=True)) <= inner:
            lines = [" & ".join(row) for cell in cells for row in zip_longest(*cell, fillvalue="")]
        else:
            lines = [line for value, condition in rows for line in _below(value, condition, inner)]
        return piece[: found.start(1)] + r" \\ ".join(lines) + piece[found.end(1) :]
    return piece


def _below(value: str, condition: str, room: float) -> list[str]:
    """A case in one column."""
    beside = rf"{value} \quad {condition}"
    if measure(beside) <= room:
        return [beside]
    under = _pieces(condition, room - measure(INDENT[False]))
    return [*_pieces(value, room), *(INDENT[False] + line for line in under)]


def _pieces(cell: str, room: float) -> list[str]:
    """The lines of a cell: it goes on a little to the right."""
    first, *more = [_of_one_line(piece.strip()) for piece in cut(cell, room)]
    return [first, *(INDENT[False] + _going_on(piece) for piece in more)]


def cut(text: str, room: float) -> list[str]:
    """A formula in pieces of at most that width, where that can be: outside brackets rather than inside, between the
    terms of a sum rather than the factors of a product."""
    if measure(text) <= room:
        return [text]
    places = _places(text)
    levels, at = [level for level, _ in places], [0, *(place for _, place in places), len(text)]
    until = [0.0, *accumulate(measure(text[a:b]) for a, b in pairwise(at))]  # the width up to each place
    lines, begin = list[str](), 0
    stack = [(0, len(at) - 1, True)]  # from which place to which, and whether a line begins there
    while stack:
        first, last, begins = stack.pop()
        if not begins and until[last] - until[begin] <= room - DEEPEST:
            lines[-1] += text[at[first] : at[last]]
        elif last == first + 1 or until[last] - until[first] <= room - DEEPEST:
            lines.append(text[at[first] : at[last]])
            begin = first
        else:  # only what is too long by itself is cut further inside
            outermost = min(levels[first : last - 1])
            edges = [first, *(k for k in range(first + 1, last) if levels[k - 1] == outermost), last]
            stack.extend(reversed([(a, b, a == first) for a, b in pairwise(edges)]))
    return lines


def _places(text: str) -> list[tuple[tuple[int, int], int]]:
    """(how deep in brackets and how tightly what is parted binds, where) for each place where a line may end.

    None is within braces or an environment, which TeX sets in one line.
    """
    groups = depth = 0
    found, events = [], sorted([(m.start(), m) for m in _GROUP.finditer(text)]
                               + [(m.start(), m) for m in _BREAK.finditer(text)], key=lambda event: event[0])
    for at, m in events:
        if m.lastgroup:
            if not groups:
                found.append(((depth, _RANK[m.lastgroup]), m.end() - 1 if m.lastgroup == "comma" else at))
        elif m[0] == "{" or m[0].startswith(r"\begin"):
            groups += 1
        elif m[0] == "}" or m[0].startswith(r"\end"):
            groups -= 1
        elif not groups:
            depth += _DEEPER.get(m[0], 0)
    return found


def _brackets(text: str) -> int:
    """How many brackets are open at the end."""
    return sum(_DEEPER.get(c, 0) for c in text)


def _of_one_line(piece: str) -> str:
    """The piece, with a fixed size for brackets that grow and whose other one is in another line."""
    alone: list[re.Match[str]] = []
    for m in _GROWING.finditer(piece):
        if m[1] == "right" and alone and alone[-1][1] == "left":
            alone.pop()
        else:
            alone.append(m)
    for m in reversed(alone):
        piece = piece[: m.start()] + rf"\bigg{m[1][0]}{m[2]}" + piece[m.end() :]
    return piece
