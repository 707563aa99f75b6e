"""Array modules behind one flag. Each is one file, imported only when it is asked for."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from types import ModuleType

from ..errors import BadValue, Error, near

NAMES = ("numpy", "cupy")
PRECISIONS = ("float32", "tf32", "bfloat16")
_current: ModuleType | None = None
_precision = PRECISIONS[0]


def use_backend(name: str, precision: str = "float32") -> None:
    """Compute with "numpy", "cupy", or "auto" (CuPy where a GPU is usable). Models move their weights at the next call.

    precision: of matrix products of float32 on a GPU. "float32" is exact to rounding; "tf32" and "bfloat16" round the
    operands to 10 and 7 bits behind the point, and add up in float32. Everything else, weights too, stays float32, and
    models of float64 are as they were. "auto" without a GPU computes in float32.

    Raises with one line that says what is missing where the backend cannot be used.
    """
    global _current, _precision
    if precision not in PRECISIONS:
        raise BadValue(f"unknown precision {precision!r}; there are float32, tf32 and bfloat16"
                       f"{near(str(precision), PRECISIONS)}")
    module = load(name)
    if name == "auto" and module.name == "numpy":
        precision = PRECISIONS[0]
    if precision != PRECISIONS[0]:
        module.check_rounding(precision)
    _current, _precision = module, precision


def use_as_asked(name: str | None = None, precision: str | None = None) -> None:
    """`use_backend` with what is given, else TINYGRAD_RNN_BACKEND and TINYGRAD_RNN_PRECISION, else NumPy in float32."""
    use_backend(name or os.environ.get("TINYGRAD_RNN_BACKEND") or "numpy",
                precision or os.environ.get("TINYGRAD_RNN_PRECISION") or PRECISIONS[0])


def load(name: str) -> ModuleType:
    """The backend of that name, imported. Raises BadValue, saying what is missing, where it cannot be used."""
    if name == "auto":
        try:
            return load("cupy")
        except Error:
            return load("numpy")
    if name not in NAMES:
        raise BadValue(f"unknown backend {name!r}; there are numpy, cupy and auto{near(str(name), (*NAMES, 'auto'))}")
    module = importlib.import_module(f".{name}", __name__)
    module.check()
    return module


def current() -> ModuleType:
    """The backend in use: the one chosen, else TINYGRAD_RNN_BACKEND, else NumPy."""
    if _current is None:
        use_as_asked()
    assert _current is not None
    return _current


def backend() -> str:
    """The name of the backend in use, "numpy" or "cupy"."""
    return str(current().name)


def precision() -> str:
    """To what the operands of a float32 product are rounded: "float32" (not at all), "tf32" or "bfloat16"."""
    current()  # the environment may say it
    return _precision


@contextlib.contextmanager
def using(name: str) -> Iterator[ModuleType]:
    """Within it that backend is in use, with the precision as it is."""
    global _current
    before = current()
    _current = load(name)
    try:
        yield _current
    finally:
        _current = before
