"""How wide a formula of LaTeX is set, in ems: the letters of Computer Modern, in display style.

An estimate for what `printing/latex.py` writes, to cut lines by; within an eighth of what TeX measures.
"""

from __future__ import annotations

import re

from .symbols import GREEK

_TOKEN = re.compile(r"\\begin\{\w+\}|\\end\{\w+\}|\\[a-zA-Z]+|\\.| (?:[-+=<>]|\\[a-z]+) | |[^\\ ]")
_ITALIC = {"abcdeghknopquvxyz": 0.51, "fijlrst": 0.4, "mw": 0.8, "ABCDEFGHKLNOPQRSTUVXYZ": 0.74, "IJ": 0.52, "MW": 1.05,
           "0123456789": 0.5, "()": 0.39, "[].:|!": 0.28, ",;": 0.445, "+-=<>": 0.78, "*": 0.95, "/": 0.5}
_LETTERS = {letter: width for letters, width in _ITALIC.items() for letter in letters}
_BINARY, _RELATION = 0.444, 0.556  # spaces around a sign
_SIGNS = {"+": 0.78 + _BINARY, "-": 0.78 + _BINARY, "=": 0.78 + _RELATION, "<": 0.78 + _RELATION,
          ">": 0.78 + _RELATION, r"\odot": 0.78 + _BINARY, r"\cdot": 0.28 + _BINARY, r"\star": 0.5 + _BINARY,
          r"\times": 0.78 + _BINARY, r"\wedge": 0.67 + _BINARY, r"\vee": 0.67 + _BINARY, r"\le": 0.78 + _RELATION,
          r"\ge": 0.78 + _RELATION, r"\ne": 0.78 + _RELATION, r"\neq": 0.78 + _RELATION, r"\to": 1.0 + _RELATION}
_COMMANDS = {**dict.fromkeys((rf"\{name}" for name in GREEK), 0.55), r"\,": 0.167, r"\quad": 1.0, r"\qquad": 2.0,
             r"\sum": 1.61, r"\top": 0.78, r"\infty": 1.0, r"\langle": 0.39, r"\rangle": 0.39, r"\lvert": 0.28,
             r"\rvert": 0.28, r"\lfloor": 0.44, r"\rfloor": 0.44, r"\left": 0.2, r"\right": 0.2, r"\biggl": 0.35,
             r"\biggr": 0.35, r"\star": 0.5,
             r"\sqrt": 0.85, r"\tanh": 2.1, r"\sin": 1.4, r"\cos": 1.5, r"\log": 1.45, r"\exp": 1.6, r"\max": 2.05,
             r"\min": 1.9, r"\_": 0.5}
_SMALL = 0.8  # a superscript beside its base
_GAP, _BRACE = 1.0, 0.9  # between the columns of cases, and the brace before them
_LIMITS = (r"\sum", r"\max", r"\min")  # what has its subscript under it


def measure(latex: str) -> float:
    """The width of a formula in ems."""
    open_groups: list[list[str | float]] = [[]]
    for token in _TOKEN.findall(latex):
        if token == "{" or token.startswith(r"\begin"):
            open_groups.append([])
        elif token == "}" or token.startswith(r"\end"):
            group = open_groups.pop()
            open_groups[-1].append(_row(group) if token == "}" else _cases(group))
        elif token != " ":
            open_groups[-1].append(token)
    return _row(open_groups[0])


def _cases(group: list[str | float]) -> float:
    """A column of values and one of conditions."""
    columns, row, place = [0.0, 0.0], list[str | float](), 0
    for item in [*group, r"\\"]:
        if item in ("&", r"\\"):
            columns[place] = max(columns[place], _row(row))
            row, place = [], int(item == "&")
        else:
            row.append(item)
    return _BRACE + columns[0] + _GAP + columns[1]


def _row(items: list[str | float]) -> float:
    """The widths of groups and tokens side by side; what stands above and below one place counts once."""
    total, k, last = 0.0, 0, ""
    while k < len(items):
        item = items[k]
        if item in ("_", "^"):
            scripts = 0.0
            while k + 1 < len(items) and items[k] in ("_", "^"):
                scripts = max(scripts, _SMALL * _width(items[k + 1]))
                k += 2
            total += max(0.0, scripts - _width(last)) if last in _LIMITS else scripts
        elif item == r"\frac":
            total += max(_width(items[k + 1]), _width(items[k + 2])) + 0.24
            k += 3
        else:
            total += _width(item)
            k += 1
        last = item if isinstance(item, str) else ""
    return total


def _width(item: str | float) -> float:
    if isinstance(item, float):
        return item
    if item.startswith(" "):
        return _SIGNS.get(item.strip(), _COMMANDS.get(item.strip(), 0.0))
    return _COMMANDS.get(item, _LETTERS.get(item, 0.0 if item.startswith("\\") else 0.6))
