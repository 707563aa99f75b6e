"""Arguments by name that a function does not have, told in words."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tinygrad_rnn.errors import BadType, near

P = ParamSpec("P")
R = TypeVar("R")


def known_only(function: Callable[P, R]) -> Callable[P, R]:
    """The function, which raises `BadType` for an argument by a name that it does not know."""
    names = [n for n, p in inspect.signature(function).parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]

    @functools.wraps(function)
    def checked(*args: P.args, **options: P.kwargs) -> R:
        for name in options:
            if name not in names:
                raise BadType(f"a picture has no option {name!r}{near(name, names[2:])}; the options are "
                              f"{', '.join(names[2:])}")
        return function(*args, **options)

    return checked
