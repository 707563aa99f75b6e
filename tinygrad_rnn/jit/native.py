"""Machine code: LLVM modules compiled for this processor, one per kernel, kept on disk by what they do."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import threading
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
from llvmlite import ir

from .. import fusion
from ..errors import BadFile
from ..files import write_atomic
from ..forks import held_over

_TURN = held_over(threading.RLock())  # of threads; a child would otherwise find the compiler halfway
SEAL = 16  # bytes before the code of a kept kernel, by which damage is seen


def _seal(code: bytes) -> bytes:
    return hashlib.sha256(code).digest()[:SEAL]


def _version() -> str:
    """What the generated code depends on beside its key: the sources of this package, and of what it writes down."""
    digest = hashlib.sha256()
    for package in (__package__, fusion.__name__):  # which may lie in an archive
        sources = {each.name: each for each in resources.files(package).iterdir() if each.name.endswith(".py")}
        for _, source in sorted(sources.items()):
            digest.update(source.read_bytes())
    return digest.hexdigest()


def cache_folder() -> Path:
    """Where compiled kernels are kept: TINYGRAD_RNN_CACHE, or the user's cache folder."""
    given = os.environ.get("TINYGRAD_RNN_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or _home() / ".cache"
    return Path(base) / "tinygrad_rnn"


def _home() -> Path:
    """The user's folder; where the system knows of none, as in some containers, what can hold no file."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(os.devnull)


@functools.lru_cache(maxsize=1)
def features() -> dict[str, bool]:
    """What this processor has, by LLVM's names ("avx512f": True)."""
    return dict(llvm.get_host_cpu_features())


class _Machine:
    """The compiler for this processor, and the kernels that were loaded into this process."""

    def __init__(self) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        host = "".join(sorted(f"{k}{v}" for k, v in features().items()))
        self.identity = "|".join((_version(), llvmlite.__version__, platform.machine(), llvm.get_host_cpu_name(), host))
        self.target = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, jit=True)
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), self.target)
        self.loaded: dict[str, int] = {}

    def address(self, key: str, make: Callable[[ir.Module, str], None]) -> int:
        """The address of the function for `key`; `make(module, name)` writes it where it was never compiled."""
        with _TURN:
            return self._address(key, make)

    def _address(self, key: str, make: Callable[[ir.Module, str], None]) -> int:
        if key not in self.loaded:
            digest = hashlib.sha256(f"{self.identity}|{key}".encode()).hexdigest()[:32]
            name = f"tr_{digest}"
            self.engine.add_object_file(llvm.ObjectFileRef.from_data(self._code(digest, name, make)))
            self.engine.finalize_object()
            self.loaded[key] = self.engine.get_function_address(name)
        return self.loaded[key]

    def _code(self, digest: str, name: str, make: Callable[[ir.Module, str], None]) -> bytes:
        path = cache_folder() / f"{digest}.o"
        with contextlib.suppress(OSError):
            kept = path.read_bytes()
            seal, code = kept[:SEAL], kept[SEAL:]
            if seal == _seal(code):  # a damaged file is made anew
                return code
        module = ir.Module()
        module.triple = llvm.get_default_triple()
        make(module, name)
        code = self._compiled(str(module))
        with contextlib.suppress(OSError, BadFile):  # without a folder to write in the next process compiles again
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, _seal(code) + code, lasting=False)
        return code

    def _compiled(self, text: str) -> bytes:
        module = llvm.parse_assembly(text)
        module.verify()
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False  # written as vectors
        builder = llvm.create_pass_builder(self.target, options)
        builder.getModulePassManager().run(module, builder)
        return bytes(self.target.emit_object(module))


_machine = functools.lru_cache(maxsize=1)(_Machine)


def machine() -> _Machine:
    """The one of this process. Threads that ask at once get the same: with another one its code would go."""
    with _TURN:
        return _machine()


KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)

