"""The GPU as programs see it: its arrays, compiled kernels, cuBLAS, streams and graphs. CuPy comes in as `xp`."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np

from .cublas import Blas, BlasError
from .kernels import PRELUDE
from .launch import Launch
from .resident_text import BARRIER

OPTIONS = ("--std=c++17",)
COMMON = 48 * 1024  # bytes of shared memory that every kernel may have
NAMES = {"amax": "max", "true_divide": "divide"}  # functions that CuPy calls otherwise
PREFIX = "cupy_"  # of CuPy's elementwise functions


class _Seen:
    """Device memory in the shape of an array that NumPy takes for its own; nobody may look into it."""

    def __init__(self, array: Any):
        self.array = array
        self.__array_interface__ = {"shape": array.shape, "typestr": array.dtype.str, "strides": array.strides,
                                    "data": (int(array.data.ptr), False), "version": 3}


class Device:
    """The current GPU. It is what `fusion` calls a memory.

    captures: whether programs become graphs; loops: whether they are "launched" step by step, are "staying" as one
    kernel, where they can, or are "measured", and then done in the faster way, which `choices` keeps.
    """

    fresh = True
    captures = True
    loops = "measured"

    def __init__(self, xp: Any):
        self.xp = xp
        self._functions: dict[str, Any] = {}
        self.choices: dict[str, bool] = {}  # of loops: is it faster when they stay?
        self.alone = True  # does a program make graphs of its own, or is it part of a larger one?
        self.turn = threading.RLock()  # a stream captures, and streams follow each other, for one thread at a time
        self._last: Any = None  # the stream that has had work of ours last
        self._capturing = False

    # -- arrays ------------------------------------------------------------------------------------

    def seen(self, array: Any) -> np.ndarray | None:
        """The same memory as NumPy's array; None for what is no array of this device."""
        if not isinstance(array, self.xp.ndarray):
            return None
        return np.asarray(_Seen(array)) if array.size else np.empty(array.shape, array.dtype)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """A new array, seen so."""
        found = self.seen(self.xp.empty(shape, dtype))
        assert found is not None
        return found

    def name(self, fn: Callable[..., Any]) -> str:
        """What `fusion` calls a function of CuPy's."""
        name = str(getattr(fn, "scalar", None) or getattr(fn, "__name__", "")).removeprefix(PREFIX)
        return NAMES.get(name, name)

    @staticmethod
    def owner(array: np.ndarray) -> Any:
        """What owns the memory of an array that is seen."""
        found: Any = array
        while getattr(found, "base", None) is not None:
            found = found.base
        return found.array.data.mem if isinstance(found, _Seen) else found

    # -- kernels -----------------------------------------------------------------------------------

    def functions(self, launches: Collection[Launch]) -> Mapping[str, Any]:
        """Compiled kernels by name: those that are not there yet in one go. CuPy keeps what it compiled on disk."""
        for cooperative in (False, True):
            missing = {each.name: each for each in launches
                       if each.cooperative == cooperative and each.name not in self._functions}
            if missing:
                text = "\n".join([PRELUDE, BARRIER * cooperative, *(each.source for each in missing.values())])
                module = self.xp.RawModule(code=text, options=OPTIONS, enable_cooperative_groups=cooperative)
                self._functions |= {name: module.get_function(name) for name in missing}
        for each in launches:
            if each.shared > COMMON:
                self._functions[each.name].max_dynamic_shared_size_bytes = self.shared
        return self._functions

    @functools.cached_property
    def multiprocessors(self) -> int:
        """How many blocks can work at the same time, at least."""
        return int(self.xp.cuda.Device().attributes["MultiProcessorCount"])

    @functools.cached_property
    def shared(self) -> int:
        """Bytes of shared memory that a block may have."""
        return int(self.xp.cuda.Device().attributes["MaxSharedMemoryPerBlockOptin"])

    def milliseconds(self, work: Callable[[], None], times: int = 3) -> float:
        """How long the work takes on the device, after a first time that is not counted."""
        work()
        begin, end = self.xp.cuda.Event(), self.xp.cuda.Event()
        begin.record()
        for _ in range(times):
            work()
        end.record()
        end.synchronize()
        return float(self.xp.cuda.get_elapsed_time(begin, end)) / times

    @functools.cached_property
    def blas(self) -> Blas:
        """Products."""
        return Blas(self)

    # -- streams and graphs ------------------------------------------------------------------------

    def stream(self) -> int:
        """The current stream, as one whose turn it is: it waits for the work of the one before.

        All programs have one workspace of cuBLAS, so that two of them cannot be under way on two streams.
        """
        stream = self.xp.cuda.get_current_stream()
        with self.turn:
            if not self._capturing and (self._last is None or self._last.ptr != stream.ptr):
                if self._last is not None:
                    stream.wait_event(self._last.record(self.xp.cuda.Event(disable_timing=True)))
                self._last = stream
        return int(stream.ptr)

    @functools.cached_property
    def _side(self) -> Any:
        """A stream to capture on: the default one refuses."""
        return self.xp.cuda.Stream(non_blocking=True)

    @property
    def errors(self) -> tuple[type[BaseException], ...]:
        """What CUDA's runtime, its driver and cuBLAS raise."""
        return self.xp.cuda.runtime.CUDARuntimeError, self.xp.cuda.driver.CUDADriverError, BlasError

    @contextlib.contextmanager
    def one_by_one(self) -> Iterator[None]:
        """Within it programs launch what they have to, and make no graphs; one thread is there at a time."""
        with self.turn:
            before, self.alone = self.alone, False
            try:
                yield
            finally:
                self.alone = before

    def captured(self, issue: Callable[[], None]) -> Callable[[], None]:
        """What `issue` launches, as one graph; calling it does all of that, on the stream that is then current."""
        with self.one_by_one(), self._side as stream:
            stream.begin_capture(self.xp.cuda.runtime.streamCaptureModeRelaxed)
            self._capturing = True
            try:
                issue()
            finally:
                self._capturing = False
                graph = stream.end_capture()
        return functools.partial(self._replay, graph)

    def _replay(self, graph: Any) -> None:
        with self.turn:
            self.stream()
            graph.launch()
