"""A text of equations and its syntax tree, read by the standard library's `ast`, never evaluated; and places in it."""

from __future__ import annotations

import ast
import inspect
import io
import itertools
import re
import tokenize
import warnings
from typing import Any

from ..errors import BadType, BadValue, caret
from .slips import LEFT, Slip, slip, strange_character

LONGEST = 1_000_000  # characters; a model is a page, not a book
MOST_SIGNS = 60_000  # far more in one chain would overflow the stack of some Pythons' own parser
BRACKETS = re.compile(r"never closed|unmatched|does not match|nested|leading zeros")  # Python says it well


class Written:
    """A text that is Python's syntax: its lines, its tree, its comments by line. Raises `Error` for any other."""

    def __init__(self, text: str):
        if not isinstance(text, str):
            raise BadType(f"equations are text, not {type(text).__name__}")
        if len(text) > LONGEST:
            raise BadValue(f"the text has {len(text)} characters, more than {LONGEST}")
        if sum(map(text.count, "+-*/@%<>&|^([.")) > MOST_SIGNS:
            raise BadValue(f"the text has more than {MOST_SIGNS} operations")
        if "\0" in text:
            raise BadValue("the text holds a null character, which no text does")
        if not text.isprintable() and any("\ud800" <= sign <= "\udfff" for sign in text):
            raise BadValue("the text holds half a character (a surrogate), which no text does")
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        text = inspect.cleandoc("\n".join("" if line.lstrip().startswith("#") else line for line in lines))
        self.lines = text.split("\n")
        try:
            self.tree = _parsed(self.lines)
        except _Uneven:  # pieces that were put together; how far a line stands in means nothing
            self.lines = [line.lstrip() for line in self.lines]
            self.tree = _parsed(self.lines)
        self.starts = list(itertools.accumulate((len(line) + 1 for line in self.lines), initial=0))
        self.comments = _comments("\n".join(self.lines))

    def fail(self, node: ast.AST, message: str) -> Any:
        """Raise `Error` with carets under a node of the tree."""
        line = getattr(node, "lineno", 1)
        shown = self.lines[line - 1]
        start = _column(shown, getattr(node, "col_offset", 0))
        same = getattr(node, "end_lineno", line) == line
        end = _column(shown, getattr(node, "end_col_offset", 0)) if same else len(shown)
        raise BadValue(f"{message}\n{caret(shown, start, end, line)}")

    def span(self, node: ast.AST, first: int) -> tuple[int, int]:
        """Where a node of the tree stands, in characters from the beginning of line `first`."""
        def offset(line: int, column: int) -> int:
            return self.starts[line - 1] - self.starts[first - 1] + _column(self.lines[line - 1], column)

        return (offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
                offset(node.end_lineno, node.end_col_offset))  # type: ignore[attr-defined]


class _Uneven(Exception):
    """Equations that do not begin in one column."""


def _parsed(lines: list[str]) -> ast.Module:
    for number, line in enumerate(lines, 1):
        found = strange_character(line)
        if found is not None:
            raise _refused(found, line, number)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse("\n".join(lines))
    except SyntaxError as error:
        if isinstance(error, IndentationError) and not error.msg.startswith("expected"):
            raise _Uneven from None
        number = error.lineno or 1
        line = lines[number - 1] if number <= len(lines) else ""
        raise _refused(_reason(error, line), line, number) from None
    except (RecursionError, MemoryError):
        raise BadValue("the text is nested too deeply to be an equation; give its parts names of their own") from None
    except (ValueError, UnicodeError) as error:
        raise BadValue(f"the text cannot be read: {error}") from None


def _refused(what: Slip, line: str, number: int) -> BadValue:
    return BadValue(f"this is not an equation: {what.message}\n{caret(line, what.start, what.stop, number)}")


def _reason(error: SyntaxError, line: str) -> Slip:
    """Python's reason, where it is about brackets; else what the line looks like; its advice is on Python."""
    if isinstance(error, IndentationError):
        return Slip("only equations and sizes are read, no statements of Python", len(line) - len(line.lstrip()),
                    len(line))
    found = None if BRACKETS.search(error.msg) else slip(line)
    if found is not None:
        return found
    start = max(0, min((error.offset or 1) - 1, len(line)))
    stop = error.end_offset - 1 if error.end_offset and error.end_lineno == error.lineno else start + 1
    said = re.sub(r"[.?] (Perhaps|Maybe|Did) .*", "", error.msg)
    return Slip(LEFT if said.startswith("cannot assign to") else said, start, stop)


def _comments(text: str) -> dict[int, str]:
    found = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                found[token.start[0]] = token.string.lstrip("# ").rstrip()
    except (tokenize.TokenError, SyntaxError):
        pass
    return found


def _column(line: str, byte: int) -> int:
    """ast counts bytes, people count characters."""
    if line.isascii():
        return min(byte, len(line))
    return len(line.encode("utf-8", "surrogatepass")[:byte].decode("utf-8", "ignore"))
