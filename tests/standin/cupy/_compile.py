"""CUDA C++ to a library of the host: g++ behind a header that defines what generated kernels use."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

NATIVE = Path(__file__).parent / "native"
SHARED = re.compile(r"extern\s+__shared__\s+__align__\(\s*16\s*\)\s+unsigned\s+char\s+(\w+)\s*\[\s*\]\s*;")
KERNEL = re.compile(r"__global__\s+void\s+(?:__launch_bounds__\(([^()]*)\)\s+)?(\w+)\s*\(")
BOUNDS_FIRST = re.compile(r"__launch_bounds__\(([^()]*)\)\s*(?:void\s+)?(\w+)\s*\(")
WAITS = {"__syncthreads", "__nanosleep", "__shared__"}
# Most kernels run once or twice on a few numbers: to optimise them takes longer than it saves. No -ffast-math either
# way, so that both compute the same bits.
QUICK = ("-O0",)
# A call before each access to memory, of native/watch.h's functions in place of the sanitizer's. GCC 11 or later.
WATCH = ("-O1", "-fsanitize=thread", "--param=tsan-distinguish-volatile=1", "-nodefaultlibs", "-lm", "-lc", "-lgcc")


class CompileException(Exception):
    """The compiler's own words, and the source."""

    def __init__(self, message: str, source: str):
        super().__init__(message)
        self._msg, self.source = message, source

    def get_message(self) -> str:
        return self._msg

    def __str__(self) -> str:
        return self._msg


def compiler() -> str:
    """The path of g++. Raises where there is none."""
    found = shutil.which("g++")
    if found is None:
        raise CompileException("the stand-in for CuPy compiles kernels with g++, which is not installed", "")
    return found


def watched() -> bool:
    """Are kernels' accesses to memory looked at, as native/watch.h does?"""
    return os.environ.get("TINYGRAD_RNN_STANDIN_WATCHED") == "1"


def library(source: str, watch: bool) -> ctypes.CDLL:
    """The compiled module of a CUDA C++ source."""
    scheduler()
    if "#include" in source:
        raise CompileException("generated kernels include nothing, since NVRTC has no headers of the host", source)
    exported = "\n".join(f"STANDIN_EXPORT({name})" for name in kernels(source))
    text = f'#include "device.h"\n#line 1 "kernels.cu"\n{SHARED.sub(_shared, source)}\n{exported}\n'
    return ctypes.CDLL(str(_built(text, ("device.h", "state.h"), WATCH if watch else QUICK)))


def _shared(found: re.Match[str]) -> str:
    return f"unsigned char* const {found[1]} = standin.shared;"


@functools.cache
def scheduler() -> ctypes.CDLL:
    """What runs the threads of a block, for all modules."""
    text, headers = (NATIVE / "threads.cpp").read_text(), ("shadow.h", "state.h", "switch.h", "watch.h")
    return ctypes.CDLL(str(_built(text, headers, ("-O2",))), mode=ctypes.RTLD_GLOBAL)


def _built(text: str, headers: tuple[str, ...], flags: tuple[str, ...]) -> Path:
    folder = Path(os.environ.get("TINYGRAD_RNN_STANDIN_CACHE") or Path(tempfile.gettempdir()) / "tinygrad_rnn_standin")
    whole = "\0".join([text, platform.machine(), *flags, *((NATIVE / h).read_text() for h in headers)])
    path = folder / f"{hashlib.sha256(whole.encode()).hexdigest()[:32]}.so"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        made, source = Path(work) / "made.so", Path(work) / "kernels.cpp"
        source.write_text(text)
        done = subprocess.run([compiler(), "-std=c++17", "-shared", "-fPIC", "-w", "-fno-strict-aliasing",
                               "-fmax-errors=5", f"-I{NATIVE}", str(source), "-o", str(made), *flags],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise CompileException(done.stderr, text)
        os.replace(made, path)
    return path


def kernels(source: str) -> dict[str, str]:
    """The launch bounds, "" where there are none, by kernel."""
    found = {name: bounds or "" for bounds, name in KERNEL.findall(source)}
    for bounds, name in BOUNDS_FIRST.findall(source):
        if name in found or re.search(rf"__global__[^;{{]*\b{name}\s*\(", source):
            found[name] = bounds
    return found


@functools.lru_cache(maxsize=64)
def waiting(source: str) -> frozenset[str]:
    """The functions and macros whose threads wait for each other or share memory, themselves or by what they call."""
    words = {name: set(re.findall(r"\w+", body)) for name, body in _bodies(source)}
    found = {name for name, body in words.items() if body & WAITS}
    while True:
        more = {name for name, body in words.items() if body & found} - found
        if not more:
            return frozenset(found)
        found |= more


def _bodies(source: str) -> list[tuple[str, str]]:
    found = [(m[1], m[2]) for m in re.finditer(r"#define\s+(\w+)(.*)", source)]
    depth, start, head = 0, 0, 0
    for m in re.finditer(r"[{};]", source):
        if m[0] == "{":
            if depth == 0:
                start = m.end()
                names = re.findall(r"(\w+)\s*\(", source[head:m.start()])
                name = next((n for n in names if not n.startswith("__")), "")
            depth += 1
        elif m[0] == "}":
            depth -= 1
            if depth == 0:
                found.append((name, source[start:m.start()]))
        if depth == 0:
            head = m.end()
    return found
