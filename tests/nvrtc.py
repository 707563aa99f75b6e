"""NVIDIA's runtime compiler, which needs no GPU: from CUDA C to PTX."""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
import re
from pathlib import Path

PACKAGES = ("nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12")  # for CUDA 13, and for CUDA 12
VERBOSE = "--ptxas-options=-v"  # says of each kernel how many registers it takes, and what went to memory instead
RESOURCES = re.compile(r"^ptxas (?!warning|error).*\n?", re.M)
OLD = re.compile(r"nvrtc: warning: Architectures prior to .* are deprecated .*\n?")  # of GPUs, not of the source


def found() -> list[Path]:
    """The compilers that are installed."""
    paths = []
    for package in PACKAGES:
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        paths += [Path(str(f.locate())) for f in files if f.name.startswith("libnvrtc.so")][:1]
    return [path for path in paths if path.exists()]


@functools.cache
def library(path: Path) -> ctypes.CDLL:
    """A compiler."""
    return ctypes.CDLL(str(path))


def architectures(path: Path) -> list[int]:
    """What it compiles for: 80 for compute capability 8.0."""
    count = ctypes.c_int()
    assert library(path).nvrtcGetNumSupportedArchs(ctypes.byref(count)) == 0
    numbers = (ctypes.c_int * count.value)()
    assert library(path).nvrtcGetSupportedArchs(numbers) == 0
    return list(numbers)


def spilled(source: str, options: tuple[str, ...], path: Path, architecture: str) -> dict[str, int]:
    """By kernel: how many bytes of each thread's numbers lie in memory for want of registers."""
    log = _compiled(source, (*options, VERBOSE), path, architecture)[1]
    entries = re.findall(r"entry function '(\w+)'(?s:.*?)(\d+) bytes stack frame, (\d+) bytes spill stores", log)
    return {name: int(frame) + int(stores) for name, frame, stores in entries}


def ptx(source: str, options: tuple[str, ...], path: Path, architecture: str = "compute_80") -> str:
    """The source compiled, for "compute_80" to PTX and for "sm_80" to machine code too.

    Raises AssertionError with the compiler's log, warnings too.
    """
    return _compiled(source, options, path, architecture)[0]


def _compiled(source: str, options: tuple[str, ...], path: Path, architecture: str) -> tuple[str, str]:
    """The PTX, and what the compiler said."""
    lib, program = library(path), ctypes.c_void_p()
    assert lib.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None) == 0
    try:
        texts = [option.encode() for option in (f"--gpu-architecture={architecture}", *options)]
        status = lib.nvrtcCompileProgram(program, len(texts), (ctypes.c_char_p * len(texts))(*texts))
        log = OLD.sub("", _text(program, lib.nvrtcGetProgramLogSize, lib.nvrtcGetProgramLog))
        assert status == 0 and not RESOURCES.sub("", log).strip(), f"{log}\n{source}"
        return _text(program, lib.nvrtcGetPTXSize, lib.nvrtcGetPTX), log
    finally:
        lib.nvrtcDestroyProgram(ctypes.byref(program))


def _text(program: ctypes.c_void_p, size: object, get: object) -> str:
    length = ctypes.c_size_t()
    assert size(program, ctypes.byref(length)) == 0  # type: ignore[operator]
    buffer = ctypes.create_string_buffer(length.value)
    assert get(program, buffer) == 0  # type: ignore[operator]
    return buffer.value.decode()
