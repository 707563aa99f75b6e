"""The examples by name, for the command line. The examples themselves stand over the engine."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Any

from ..errors import BadValue, near

PACKAGE = "tinygrad_rnn.examples"


def examples() -> dict[str, Any]:
    """Every example by name: what `@example` of its script makes, with summary, architecture and data."""
    found: dict[str, Any] = {}
    example = importlib.import_module(f"{PACKAGE}.harness").Example
    for module in pkgutil.iter_modules(importlib.import_module(PACKAGE).__path__):
        main = getattr(importlib.import_module(f"{PACKAGE}.{module.name}"), "main", None)
        if isinstance(main, example):
            found[module.name] = main
    return found


def listing() -> str:
    """What each example does, by what model, on which data."""
    found = examples()
    width = max(map(len, found))
    gap = " " * (width + 2)
    return "\n".join(f"{name:<{width}}  {one.summary}\n{gap}model: {one.architecture}\n{gap}data: {one.data}"
                     for name, one in found.items())


def run(name: str, arguments: Sequence[str]) -> None:
    """Run an example. Raises BadValue for a name that none has."""
    found = examples()
    if name not in found:
        raise BadValue(f"{name!r} is not an example{near(name, found)}; there are {', '.join(found)}")
    found[name](arguments)
