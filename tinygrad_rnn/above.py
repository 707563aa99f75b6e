"""The packages that stand over the engine, which looks them up only when it is asked for what they do."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def graphs() -> Any:
    """The ready models."""
    return import_module(f"{__package__}.graphs")


def viz() -> Any:
    """The diagrams."""
    return import_module(f"{__package__}.viz")
