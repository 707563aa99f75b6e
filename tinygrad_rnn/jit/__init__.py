"""Compiled programs: whole training steps as machine code, through LLVM. Used where `llvmlite` is installed.

Off by `TINYGRAD_RNN_JIT=0` or `tr.use_jit(False)`; so are the kernels that are generated for a GPU.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re

from ..arguments import flag

OLDEST = (0, 46)  # llvmlite before it writes pointers with types, which its own LLVM no longer reads

_switch: dict[str, bool] = {}


def use_jit(on: bool = True) -> None:
    """Run plans as compiled code (on the CPU where `llvmlite` is installed) or, with False, call by call.

    Raises BadType for what is neither True nor False.
    """
    _switch["on"] = flag("use_jit", on)


def enabled() -> bool:
    """Are plans compiled for this processor?"""
    return asked() and installed()


def asked() -> bool:
    """Are plans to be compiled, wherever there is a compiler?"""
    return _switch["on"] if "on" in _switch else _as_the_environment_says()


@functools.lru_cache(maxsize=1)
def _as_the_environment_says() -> bool:
    return os.environ.get("TINYGRAD_RNN_JIT", "1") != "0"


@functools.lru_cache(maxsize=1)
def installed() -> bool:
    """Is the compiler there, and new enough? Another package, such as Numba, may hold an older one."""
    if importlib.util.find_spec("llvmlite") is None:
        return False
    from llvmlite import __version__

    return tuple(map(int, re.findall(r"\d+", __version__)[:2])) >= OLDEST
