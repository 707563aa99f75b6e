"""A stand-in for CuPy on machines without a GPU: the same module over NumPy, that refuses what CuPy refuses.

Device memory is the host's; kernels are compiled by g++ and run on the processor; a graph does what was captured.
"""

from __future__ import annotations

from typing import Any

from . import cuda
from ._array import ndarray
from ._functions import OWN, listed, made
from ._raw import RawKernel, RawModule
from ._ufuncs import ufunc
from .cuda import compiler, driver  # noqa: F401  (they need what stands above)

__version__ = "14.2.0"
is_standin = True

globals().update(OWN)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    globals()[name] = found = made(name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *listed()})


__all__ = ["RawKernel", "RawModule", "cuda", "ndarray", "ufunc"]
