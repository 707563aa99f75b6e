"""Array modules behind one flag. Each is one file, imported only when it is asked for."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

from ..errors import BadValue
from ..ops.table import near

NAMES = ("numpy", "cupy")
_current: ModuleType | None = None


def use_backend(name: str) -> None:
    """Compute with "numpy", "cupy", or "auto" (CuPy where a GPU is usable). Models move their weights at the next call.

    Raises with one line that says what is missing where the backend cannot be used.
    """
    global _current
    _current = load(name)


def load(name: str) -> ModuleType:
    """The backend of that name, imported."""
    if name == "auto":
        try:
            return load("cupy")
        except BadValue:
            return load("numpy")
    if name not in NAMES:
        raise BadValue(f"unknown backend {name!r}{near(name, NAMES)}; there are numpy, cupy and auto")
    module = importlib.import_module(f".{name}", __name__)
    module.check()
    return module


def current() -> ModuleType:
    """The backend in use: the one chosen, else TINYGRAD_RNN_BACKEND, else NumPy."""
    global _current
    if _current is None:
        _current = load(os.environ.get("TINYGRAD_RNN_BACKEND", "numpy"))
    return _current
