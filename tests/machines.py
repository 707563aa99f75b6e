"""Machines with and without a GPU and CuPy, as told, and arrays and a model to try them with."""

from __future__ import annotations

import contextlib
import sys
import types

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn import backends

PACKAGES = ("cupy", "cupy_backends", "cupyx")


class CudaError(RuntimeError):
    """As CuPy's: the text starts with CUDA's name of the error, the number is in `status`."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class OutOfMemory(MemoryError):
    pass


def fake(count=1, driver=12040, needed=12090, capability="90", zeros=np.zeros):
    """A module named cupy on a machine as told; an exception in place of the count of GPUs is raised."""
    def count_gpus():
        if isinstance(count, Exception):
            raise count
        return count

    runtime = types.SimpleNamespace(getDeviceCount=count_gpus, CUDARuntimeError=CudaError,
                                    driverGetVersion=lambda: driver, runtimeGetVersion=lambda: needed)
    module = types.ModuleType("cupy")
    module.ndarray, module.zeros, module.asarray = np.ndarray, zeros, np.asarray
    module.cuda = types.SimpleNamespace(
        runtime=runtime, memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemory),
        Device=lambda: types.SimpleNamespace(compute_capability=capability))
    return module


def failing(error):
    def zeros(shape):
        raise error
    return zeros


def is_of_cupy(name):
    return name.partition(".")[0] in PACKAGES or name == "tinygrad_rnn.backends.cupy"


@contextlib.contextmanager
def only(module=None):
    """Within it, `import cupy` finds nothing but that module (or a loader's error), and no backend is chosen yet."""
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if is_of_cupy(name)}
    chosen = backends._current, backends._precision
    backends._current, backends._precision = None, "float32"
    if module is not None:
        sys.modules["cupy"] = module
    try:
        yield
    finally:
        for name in [name for name in sys.modules if is_of_cupy(name)]:
            del sys.modules[name]
        sys.modules.update(kept)
        backends._current, backends._precision = chosen


class Broken:
    """A finder in whose hands the import of cupy fails."""

    def __init__(self, error):
        self.error = error

    def find_spec(self, name, path=None, target=None):
        if name == "cupy":
            raise self.error


@contextlib.contextmanager
def machine(module, monkeypatch, driver=None):
    """A machine as told; `driver` loads the driver's library."""
    with monkeypatch.context() as m:
        m.setattr("ctypes.CDLL", driver or failing(OSError("no libcuda")))
        if isinstance(module, Exception):
            m.setattr(sys, "meta_path", [Broken(module), *sys.meta_path])
        elif module is None:
            m.setattr(sys, "meta_path", [Broken(ModuleNotFoundError("No module named 'cupy'", name="cupy")),
                                         *sys.meta_path])
        with only(module if isinstance(module, types.ModuleType) else None):
            yield


def cupy():
    import cupy

    return cupy


X, K = np.linspace(-1, 1, 24).reshape(2, 4, 3).astype("float32"), np.ones((2, 4, 2), "float32")


def model():
    return tr.equations("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)\nloss = mean(squared_error(h[t], k[t]))", x=3, h=2)
