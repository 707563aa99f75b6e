"""Every mistake of a user is a `tinygrad_rnn.Error`, and also of the built-in type that fits."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator


class Error(Exception):
    """A user's mistake: what was given, what was expected, where, and what to do."""

    def __init__(self, message: str, node: object = None):
        super().__init__(message)
        self.node = node  # the term at fault, so that a front end can point at it

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""  # KeyError and OSError would show it otherwise


class BadValue(Error, ValueError):
    """A value that cannot be right: a size, a name, an equation."""


class Undetermined(BadValue):
    """A size that neither the equations nor the person say."""


class BadType(Error, TypeError):
    """An argument of the wrong kind."""


class BadAttribute(Error, AttributeError):
    """An attribute that there is not."""


class BadCall(BadType):
    """A call that does not fit: an argument that there is not, one too many, one that lacks."""


class OutOfMemory(Error, MemoryError):
    """More memory is needed than there is."""


class BadFile(Error, OSError):
    """A file that cannot be read or written."""


class BadName(Error, KeyError):
    """A name that the model does not have."""


def many(count: int, what: str) -> str:
    """1 equation, 2 equations."""
    return f"{count} {what}{'s' * (count != 1)}"


def near(name: object, known: Iterable[object]) -> str:
    """'; did you mean ...?' where a known name is close."""
    import difflib  # which only errors need

    small = {str(one).lower(): one for one in known}
    close = difflib.get_close_matches(str(name).lower(), list(small), 1)
    return f"; did you mean {small[close[0]]!r}?" if close else ""


GIB, MIB = 2**30, 2**20


def out_of_memory(needed: int | None, free: int | None, what: str) -> OutOfMemory:
    """The error where `what`, such as "a training step of 64 examples", needs more bytes than are free.

    needed, free: None where nobody can say.
    """
    there = "" if free is None else f", and {_amount(free)} can be had"
    much = "more memory than there is" if needed is None else f"about {_amount(needed)} of memory"
    return OutOfMemory(f"{what} needs {much}{there}; take fewer examples at a time (batch_size= in fit), or "
                       'in fit and value_and_grad memory="sqrt", which keeps only the states between segments of time')


@contextlib.contextmanager
def allocating(what: str) -> Iterator[None]:
    """Say of memory that cannot be had inside what it was for."""
    try:
        yield
    except OutOfMemory:
        raise
    except MemoryError as error:
        raise OutOfMemory(f"{what} needs more memory than there is ({error})") from None


def _amount(count: int) -> str:
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / MIB:.1f} MiB"


WIDEST = 160  # characters of a line that an error shows
_POINTED = re.compile(r"\n *\^+$")  # a message that already points at its term


def caret(text: str, start: int, end: int, line: int | None = None) -> str:
    """The equation with carets under characters start..end, as an error shows it."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", start)
    shown = text[first:] if last < 0 else text[first:last]
    width = max(1, min(end, first + len(shown)) - start)
    head = "  " if line is None else f"  line {line}: "
    shown, at = _window(shown, start - first)
    return f"{head}{shown}\n{' ' * (len(head) + at)}{'^' * max(1, min(width, len(shown) - at))}"


def _window(line: str, at: int) -> tuple[str, int]:
    """So much of a long line around a place as a screen shows, and the place in that."""
    if len(line) <= WIDEST:
        return line, at
    start = max(0, at - WIDEST // 2)
    head, tail = "... " * (start > 0), " ..." * (start + WIDEST < len(line))
    return f"{head}{line[start : start + WIDEST]}{tail}", at - start + len(head)


@contextlib.contextmanager
def about(what: str) -> Iterator[None]:
    """Say of any `Error` raised inside what it is about."""
    try:
        yield
    except Error as error:
        error.args = (f"{what}: {error.args[0]}", *error.args[1:])
        raise


@contextlib.contextmanager
def located(show: Callable[[object], str]) -> Iterator[None]:
    """Add `show(node)`, a drawing of the place, to any `Error` raised inside."""
    try:
        yield
    except Error as error:
        if not _POINTED.search(str(error.args[0])):
            place = show(error.node)
            error.args = (f"{error.args[0]}\n{place}", *error.args[1:])
        raise
