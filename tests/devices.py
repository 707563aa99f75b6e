"""Running the tests on another backend: the stand-in for CuPy, and results brought to the host where tests get them."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

STANDIN = Path(__file__).parent / "standin"

# Where arrays of the backend come back to a person: module, class, method.
RESULTS = (
    ("model", "Model", "run"), ("model", "Model", "value_and_grad"), ("model", "Model", "trace"),
    ("unrolled", "UnrolledModel", "run"), ("unrolled", "UnrolledModel", "value_and_grad"),
    ("stepper", "Stepper", "__call__"), ("weights", "Weights", "__getitem__"),
)

_bringing = True


def use_standin() -> None:
    """Let `import cupy` find the stand-in, and compute on it. Before tinygrad_rnn is imported."""
    sys.path.insert(0, str(STANDIN))
    os.environ["TINYGRAD_RNN_BACKEND"] = "cupy"
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(STANDIN), os.environ.get("PYTHONPATH")]))
    try:
        ours = importlib.import_module("tinygrad_rnn.cuda.cublas")
    except ModuleNotFoundError:
        return
    library = importlib.import_module("cublas").Library()
    ours.library = lambda: library  # type: ignore[attr-defined]


def bring_results_to_the_host() -> None:
    """Wrap the methods of RESULTS, so that tests compare NumPy's arrays whatever the backend is."""
    for module, owner, method in RESULTS:
        cls = getattr(importlib.import_module(f"tinygrad_rnn.{module}"), owner)
        setattr(cls, method, _hosted(getattr(cls, method)))
    tensor: Any = importlib.import_module("tinygrad_rnn.tensor")
    tensor.Tensor.__array__ = _instead(tensor.Tensor.__array__, _tensor_on_the_host)
    tensor.check_operands = _instead(tensor.check_operands, functools.partial(_only_tensors, tensor.check_operands))


@contextmanager
def left_on_the_device() -> Iterator[None]:
    """Within it, results stay where they are."""
    global _bringing
    _bringing = False
    try:
        yield
    finally:
        _bringing = True


def gpu_missing() -> str:
    """Why tests that need a GPU cannot run; "" where they can."""
    try:
        import cupy
    except ImportError:
        return "CuPy is not installed"
    if getattr(cupy, "is_standin", False):
        return "the stand-in for CuPy is no GPU"
    try:
        return "" if cupy.cuda.runtime.getDeviceCount() else "there is no GPU"
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"there is no GPU: {error}"


def _hosted(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = method(*args, **kwargs)
        return _to_host(result) if _bringing else result

    return wrapped


def _instead(method: Callable[..., Any], hosted: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return (hosted if _bringing else method)(*args, **kwargs)

    return wrapped


def _tensor_on_the_host(tensor: Any, dtype: Any = None, copy: Any = None) -> np.ndarray:
    return np.asarray(tensor.numpy(), dtype)


def _only_tensors(check: Callable[..., Any], op: str, args: Sequence[Any]) -> None:
    """The operands of a tensor's operation may be NumPy's, as if they had been made tensors."""
    check(op, [a for a in args if not isinstance(a, np.ndarray)])


def _to_host(value: Any) -> Any:
    """The arrays in a result; a dict stays the same object, with its attributes."""
    if isinstance(value, dict):
        for name in value:
            value[name] = _to_host(value[name])
        if getattr(value, "state", None):
            _to_host(value.state)
        return value
    if isinstance(value, (tuple, list)):
        return type(value)(map(_to_host, value))
    if not hasattr(value, "__cuda_array_interface__"):
        return value
    return value.get()[()]
