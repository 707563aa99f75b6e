"""The CUDA C of a plan without a GPU: NumPy's arrays stand for the device's, and nothing is launched."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_rnn import backends
from tinygrad_rnn.cuda.program import Program
from tinygrad_rnn.fusion.lift import Host
from tinygrad_rnn.plans.feeds import prepared
from tinygrad_rnn.plans.plan import Plan


class Paper(Host):
    """A device that only takes kernels down."""

    fresh = True
    multiprocessors, shared = 132, 227 * 1024
    alone, captures, loops = True, True, "measured"

    def __init__(self) -> None:
        self.sources: dict[str, str] = {}
        self.choices: dict[str, bool] = {}
        self.programs: list[Program] = []

    def functions(self, launches: Any) -> dict[str, Any]:
        """None can be called."""
        self.sources |= {each.name: each.source for each in launches}
        return {}

    @staticmethod
    def owner(array: np.ndarray) -> Any:
        """As on the CPU."""
        return backends.numpy.owner(array)


class _Moved:
    """An array as if it lay elsewhere."""

    def __init__(self, array: np.ndarray, by: int):
        self.array = array
        place = array.__array_interface__["data"][0] + by
        self.__array_interface__ = {**array.__array_interface__, "strides": array.strides, "data": (place, False)}


class Nowhere(Paper):
    """One whose arrays lie where no process has memory: who looks into one does not live on."""

    far = 1 << 62

    def seen(self, array: Any) -> np.ndarray | None:
        """The array, far away."""
        if not isinstance(array, np.ndarray) or not array.size:
            return super().seen(array)
        return np.asarray(_Moved(array, self.far))

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Of a new one."""
        found = self.seen(np.empty(shape, dtype))
        assert found is not None
        return found

    @staticmethod
    def owner(array: np.ndarray) -> Any:
        """That of the array as it lies."""
        found: Any = array
        while getattr(found, "base", None) is not None:
            found = found.base
        return backends.numpy.owner(getattr(found, "array", found))


@contextlib.contextmanager
def on_paper(paper: Paper | None = None) -> Iterator[Paper]:
    """Within it plans are made as for a GPU; what comes is the device."""
    paper, numpy = paper or Paper(), backends.load("numpy")

    def program(segments: Any, public: set[int]) -> Program:
        paper.programs.append(Program(segments, public, paper))
        return paper.programs[-1]

    before = backends.current()
    fake = types.SimpleNamespace(**{**vars(numpy), "name": "paper", "matrices": True, "compiles": lambda: True,
                                    "program": program})
    backends._current = fake
    try:
        yield paper
    finally:
        backends._current = before


def planned(model: Any, inputs: dict[str, Any], want: tuple[str, ...], **more: Any) -> Plan:
    """The plan of a model, made but not run."""
    config, _ = prepared(model.system, want, inputs, **more)
    return Plan(model.system, config, model.weights.arrays, backends.current())
