"""The cupy backend on the stand-in for CuPy, within a session that computes with NumPy."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tinygrad_rnn import backends, jit
from tinygrad_rnn.cuda import cublas
from tinygrad_rnn.cuda.device import Device
from tinygrad_rnn.cuda.launch import Launch
from tinygrad_rnn.cuda.program import Program
from tinygrad_rnn.fusion.lift import Operand, Product
from tinygrad_rnn.fusion.passes import Pass
from tinygrad_rnn.fusion.program import Interpreted, Recorder

STANDIN = str(Path(__file__).parent / "standin")
BACKEND = "tinygrad_rnn.backends.cupy"
_kept: dict[str, Any] = {}  # the stand-in's modules between one use and the next


def _ours(name: str) -> bool:
    return name.partition(".")[0] in ("cupy", "cupy_backends", "cupyx", "cublas") or name == BACKEND


def _taken() -> dict[str, Any]:
    return {name: sys.modules.pop(name) for name in list(sys.modules) if _ours(name)}


@contextlib.contextmanager
def standin() -> Iterator[Device]:
    """Within it `import cupy` finds the stand-in and models compute on it, compiled; what comes is the device.

    Before and after it all is as it was: a CuPy that is installed, and the backend in use.
    """
    session = getattr(sys.modules.get("cupy"), "is_standin", False)  # the whole session runs on it
    before = backends._current, backends._precision, dict(jit._switch), cublas.library, list(sys.path)
    others = {} if session else _taken()
    try:
        if not session:
            sys.modules.update(_kept)
            sys.path.insert(0, STANDIN)
        jit.use_jit(True)
        backends.use_backend("cupy")
        products = _kept.setdefault("cublas", importlib.import_module("cublas"))
        if not session:
            products.one = getattr(products, "one", None) or products.Library()
            cublas.library = lambda: products.one
        yield backends.current().device()
    finally:
        if not session:
            _kept.update(_taken())
            sys.modules.update(others)
        backends._current, backends._precision, switch, cublas.library, sys.path[:] = before
        jit._switch.clear()
        jit._switch.update(switch)


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Within it, and within `standin`, every access of a kernel to memory is looked at; a fault raises.

    Faults are races, reading what nobody wrote, and touching what a launch was not given: a program's launches are
    given what their operands reach, other kernels the blocks of memory that their arguments point to.
    """
    raw: Any = importlib.import_module("cupy._raw")
    launch_at = Launch.at

    def at(self: Launch, functions: Any, step: int) -> None:
        raw.reach = [*_reach(self, self.keep, step)]
        try:
            launch_at(self, functions, step)
        finally:
            raw.reach = None

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYGRAD_RNN_STANDIN_WATCHED", "1")
        patch.setattr(Launch, "at", at)
        yield


def _reach(launch: Launch, kept: Any, step: int) -> Iterator[tuple[int, int, int]]:
    """Of what a launch keeps, at a step or as a loop that goes through all: the address, the begin and the end."""
    if isinstance(kept, Operand):
        low, high = kept.reach(1 if launch.moves else int(launch.args[0]))
        far = kept.step * step if launch.moves else 0
        yield kept.address + far, low + far, high + far
    elif hasattr(kept, "data"):
        yield kept.data.ptr, kept.data.ptr, kept.data.ptr + kept.nbytes
    elif kept is not None:
        parts = {Pass: lambda p: p.operands, Product: lambda p: (p.a, p.b, p.out)}.get(type(kept), iter)(kept)
        for part in parts:
            yield from _reach(launch, part, step)


@contextlib.contextmanager
def settings(device: Device, **values: Any) -> Iterator[None]:
    """Within it the device has these attributes: how loops are done, whether programs become graphs."""
    before = dict(vars(device))
    vars(device).update(values)
    try:
        yield
    finally:
        for name in values:
            vars(device).pop(name)
        vars(device).update({name: before[name] for name in values if name in before})


@contextlib.contextmanager
def compiled_together(device: Device) -> Iterator[None]:
    """Within it programs are made whose kernels are compiled at its end, all at once."""
    launches: list[Launch] = []
    functions: dict[str, Any] = {}

    def later(some: list[Launch]) -> dict[str, Any]:
        launches.extend(some)
        return functions

    with settings(device, functions=later):
        yield
    functions |= device.functions(launches)


def recorded(record: Callable[..., None], public: list[Any]) -> Program:
    """What `record(do)` records, as a program; public: the arrays that are looked at afterwards."""
    backend = backends.current()
    do = Recorder(backend, compiled=True)
    record(do)
    return Program([do.calls], {id(backend.owner(a)) for a in public}, backend.device())


def interpreted(record: Callable[..., None]) -> None:
    """What `record(do)` records, done call by call by NumPy."""
    do = Recorder(backends.load("numpy"))
    record(do)
    with np.errstate(all="ignore"):
        Interpreted([do.calls]).run(0)


def numbers(*shape: int, dtype: str = "float32", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def capture(cp: ModuleType, issue: Callable[[], Any], mode: int | None = None) -> tuple[Any, Any]:
    """What `issue` gives while a stream of its own captures, and the graph."""
    with cp.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture(mode)
        try:
            found = issue()
        finally:
            graph = stream.end_capture()
    return found, graph
