"""NVIDIA's runtime compiler, which needs no GPU: from CUDA C to PTX."""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
from pathlib import Path

PACKAGES = ("nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12")
OPTIONS = ("--gpu-architecture=compute_80", "--std=c++17")


@functools.lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The compiler, where one of its packages is installed."""
    for package in PACKAGES:
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found = [Path(f.locate()) for f in files if f.name.startswith("libnvrtc.so")]
        if found:
            return ctypes.CDLL(str(found[0]))
    return None


def ptx(source: str, options: tuple[str, ...] = OPTIONS) -> str:
    """The source compiled. Raises AssertionError with the compiler's log, warnings too."""
    lib, program = library(), ctypes.c_void_p()
    assert lib is not None
    assert lib.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None) == 0
    try:
        texts = [option.encode() for option in options]
        status = lib.nvrtcCompileProgram(program, len(texts), (ctypes.c_char_p * len(texts))(*texts))
        log = _text(program, lib.nvrtcGetProgramLogSize, lib.nvrtcGetProgramLog)
        assert status == 0 and not log.strip(), f"{log}\n{source}"
        return _text(program, lib.nvrtcGetPTXSize, lib.nvrtcGetPTX)
    finally:
        lib.nvrtcDestroyProgram(ctypes.byref(program))


def _text(program: ctypes.c_void_p, size: object, get: object) -> str:
    length = ctypes.c_size_t()
    assert size(program, ctypes.byref(length)) == 0
    buffer = ctypes.create_string_buffer(length.value)
    assert get(program, buffer) == 0
    return buffer.value.decode()
