"""Running the tests on another backend: the stand-in for CuPy, and results brought to the host where tests get them."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import os
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

TESTS = Path(__file__).parent
STANDIN = TESTS / "standin"

# Where arrays of the backend come back to a person: module, class, method.
RESULTS = (
    ("models.model", "Model", "run"), ("models.model", "Model", "value_and_grad"), ("models.model", "Model", "trace"),
    ("models.unrolled", "UnrolledModel", "run"), ("models.unrolled", "UnrolledModel", "value_and_grad"),
    ("models.stepper", "Stepper", "__call__"), ("models.weights", "Weights", "__getitem__"),
    ("models.model", "Model", "stream"), ("models.model", "Model", "beam_search"),
    ("plans.plan", "Plan", "result"), ("plans.plan", "Plan", "state"),
    ("plans.segments", "Segments", "result"), ("plans.segments", "Segments", "state"),
)

# Tests of what only the NumPy backend has, by the beginning of their names: why they are skipped on others.
NUMPY_ONLY = {
    **{f"test_{name}.py": "they are about programs that LLVM compiles" for name in (
        "batched", "compiled", "compiled_classes", "compiled_programs", "few_columns", "handoff", "scans", "strips")},
    "test_profile.py": "profiles are of NumPy's plans",
    "test_reprs.py::test_a_profile_is_shown": "profiles are of NumPy's plans",
    "test_given.py::test_a_batch_with_its_lengths_is_taken_wherever_data_are": "profiles are of NumPy's plans",
    "test_front_pages.py::test_diagrams_runs": "profiles are of NumPy's plans",
    "test_front_pages.py::test_howto_runs": "the page computes with NumPy's arrays",
    "test_copies.py::test_weights_change_through_their_name_alone": "a device's arrays have no flag against writing",
    "test_merge.py::test_an_lstm_has_one_product_of_each_kind": "it counts calls of NumPy's matmul",
    "test_merge.py::test_products_that_are_called_are_not_made_too_large": "the limit is that of NumPy's products",
    "test_merge.py::test_weights_lie_in_stacks": "it looks into the memory of NumPy's arrays",
    "test_plan.py::test_a_second_call_allocates_nothing_of_size": "it traces the memory of the host",
    "test_plan.py::test_weights_are_read_only_views_that_follow": "a device's arrays have no flag against writing",
}

_bringing = True


def use_standin() -> None:
    """Let `import cupy` find the stand-in, and compute on it. Before tinygrad_rnn is imported."""
    sys.path.insert(0, str(STANDIN))
    os.environ["TINYGRAD_RNN_BACKEND"] = "cupy"
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(STANDIN), os.environ.get("PYTHONPATH")]))
    ours: Any = importlib.import_module("tinygrad_rnn.cuda.cublas")
    library = importlib.import_module("cublas").Library()
    ours.library = lambda: library
    device: Any = importlib.import_module("tinygrad_rnn.cuda.device")
    device.Device.loops = "launched"  # to measure both ways takes long here; tests of their own take each of them


def bring_results_to_the_host() -> None:
    """Wrap the methods of RESULTS, so that tests compare NumPy's arrays whatever the backend is."""
    for module, owner, method in RESULTS:
        cls = getattr(importlib.import_module(f"tinygrad_rnn.{module}"), owner)
        setattr(cls, method, _hosted(getattr(cls, method)))
    tensor: Any = importlib.import_module("tinygrad_rnn.tensors.tensor")
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


def broken() -> bool:
    """Does the GPU refuse whatever this process asks of it, as it does for good after an illegal access?"""
    cupy: Any = sys.modules.get("cupy")
    if cupy is None or getattr(cupy, "is_standin", False):
        return False
    for _ in range(2):  # an error that does not last is told once
        try:
            cupy.cuda.runtime.deviceSynchronize()
            return False
        except cupy.cuda.runtime.CUDARuntimeError:
            pass
    return True


def numpy_only(name: str) -> str:
    """Why the test of that name, file::test, runs on NumPy alone; "" where it does not."""
    return next((why for begin, why in NUMPY_ONLY.items() if name.startswith(begin)), "")


def _hosted(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = method(*args, **kwargs)
        return _to_host(result) if _bringing and _asked_by_a_test() else result

    return wrapped


def _asked_by_a_test() -> bool:
    """Is what called a test, rather than the project itself? What is installed, such as collections.abc, is neither."""
    frame = sys._getframe(2)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(TESTS.parent) and "site-packages" not in path.parts:
            return path.is_relative_to(TESTS)
        frame = frame.f_back  # type: ignore[assignment]
    return True


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
        for name in vars(value) if hasattr(value, "__dict__") else ():
            setattr(value, name, _to_host(getattr(value, name)))
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **{f.name: _to_host(getattr(value, f.name))
                                             for f in dataclasses.fields(value)})
    if isinstance(value, types.GeneratorType):
        return map(_to_host, value)
    if isinstance(value, (tuple, list)):
        return type(value)(map(_to_host, value))
    return value.get()[()] if hasattr(value, "__cuda_array_interface__") and hasattr(value, "get") else value
