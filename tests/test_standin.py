"""The stand-in for CuPy: what its arrays compute, what they refuse, and the memory that they take."""

from __future__ import annotations

import bisect
import importlib
import inspect
import json
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from on_standin import numbers, standin

EXPRESSIONS = [
    "a + b", "a - 2", "2 / a", "a * np.float32(3)", "-a", "abs(a)", "a ** 2", "a @ b.T", "a < b", "(a < b) & (b > 0)",
    "a.T", "a.reshape(2, 6)", "a.reshape(-1)", "a.transpose(1, 0)", "a.swapaxes(0, 1)", "a[1]", "a[:, ::-1]",
    "a[..., 0]", "a[None, 1:, 2]", "a[a > 0]", "a.sum()", "a.sum(axis=0, keepdims=True)", "a.max(1)",
    "a.argmax(axis=1)", "a.any()", "a.astype('int64')", "a.copy()", "a.ravel()", "a.mean(0)", "a.cumsum(1)",
    "xp.exp(a)", "xp.maximum(a, 0)", "xp.where(a > 0, a, b)", "xp.concatenate([a, b], axis=1)", "xp.stack([a, b])",
    "xp.moveaxis(a, 0, 1)", "xp.expand_dims(a, 1)", "xp.broadcast_to(a[0], (3, 4))", "xp.take_along_axis(a, k, 1)",
    "xp.argsort(a, axis=1)", "xp.sum(a, (0, 1))", "xp.max(a, axis=0)", "xp.clip(a, -0.5, 0.5)", "xp.flatnonzero(a > 0)",
    "xp.einsum('ij,kj->ik', a, b)", "xp.tensordot(a, b, axes=([1], [1]))", "xp.dot(a, b.T)", "xp.logaddexp(a, b)",
    "xp.zeros_like(a)", "xp.full((2, 3), 7.0)", "xp.arange(2, 11, 3)", "xp.isfinite(a)", "xp.count_nonzero(a)",
    "xp.allclose(a, a)", "xp.take(a, k[0], 1)", "xp.cumsum(a, axis=0)", "xp.vdot(a, b)", "xp.pad(a, 1)",
]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_what_is_computed_is_numpys(cp, text):
    values = {"a": numbers(3, 4), "b": numbers(3, 4, seed=1), "k": np.array([[0, 3], [2, 1], [1, 1]])}
    found = eval(text, {"xp": cp, "np": np, **{name: cp.asarray(value) for name, value in values.items()}})
    expected = np.asarray(eval(text, {"xp": np, "np": np, **values}))
    assert type(found) is cp.ndarray and found.shape == expected.shape and found.dtype == expected.dtype
    np.testing.assert_array_equal(found.get(), expected)


def test_functions_write_into_what_they_are_given(cp):
    a, b, out = (cp.asarray(numbers(3, 4, seed=k)) for k in range(3))
    assert cp.add(a, b, out)._a is out._a
    np.testing.assert_array_equal(out.get(), a.get() + b.get())
    cp.sum(a, axis=0, out=out[0])
    np.testing.assert_array_equal(out.get()[0], a.get().sum(0))
    cp.matmul(a, b.T, out=out[:, :3])
    np.testing.assert_array_equal(out.get()[:, :3], a.get() @ b.get().T)
    cp.copyto(out, 3)
    cp.copyto(out, a, where=a > 0)
    np.testing.assert_array_equal(out.get(), np.where(a.get() > 0, a.get(), 3))


def test_views_are_views(cp):
    a = cp.zeros((3, 4))
    for view in (a[1], a.T, a.reshape(4, 3), a.ravel(), a[:, ::2], a.view(), cp.moveaxis(a, 0, 1)):
        assert view.data.mem is a.data.mem
    a.T[2] = 7
    a[0] += 1
    assert a.tolist() == [[1, 1, 8, 1], [0, 0, 7, 0], [0, 0, 7, 0]]
    rows = cp.cuda.MemoryPointer(a.data.mem, a[0, 2].data.ptr - a.data.mem.ptr)
    column = cp.ndarray((3,), a.dtype, rows, (32,))
    assert column.tolist() == [8, 7, 7] and column.strides == (32,)
    with pytest.raises((ValueError, TypeError)):  # beyond its memory
        cp.ndarray((4,), a.dtype, rows, (32,))


def test_the_host_is_reached_by_asking_only(cp):
    host = numbers(3)
    a = cp.asarray(host)
    host[:] = 0
    assert a.any() and cp.asarray(a) is a and isinstance(a.get(), np.ndarray) and isinstance(a[0].item(), float)
    a.set(host)
    assert not a.any() and float(a[0]) == 0 and int(a[1]) == 0 and not bool(a[2])
    assert cp.asnumpy(a) is not a.get() and cp.asnumpy(host) is host


def test_numpys_functions_dispatch(cp):
    a = cp.asarray(numbers(3, 4))
    for found in (np.add(a, 1), np.exp(a), np.sum(a), np.concatenate([a, a]), np.float32(2) * a, np.moveaxis(a, 0, 1)):
        assert type(found) is cp.ndarray


def test_the_memory_is_told(cp):
    a = cp.asarray(numbers(3, 4))[:, 1:]
    said = a.__cuda_array_interface__
    assert said["data"] == (a.data.ptr, False) and said["strides"] == a.strides == (16, 4) and said["typestr"] == "<f4"
    shared = cp.asarray(SimpleNamespace(__cuda_array_interface__=said))
    again = cp.from_dlpack(SimpleNamespace(__dlpack__=a.__dlpack__, __dlpack_device__=a.__dlpack_device__))
    shared[0] = 7
    assert a[0].tolist() == again[0].tolist() == [7, 7, 7]


REFUSED = [
    ("np.asarray(a)", TypeError, "Implicit conversion"),
    ("a + h", TypeError, "Unsupported type <class 'numpy.ndarray'>"),
    ("h + a", TypeError, "Unsupported type <class 'numpy.ndarray'>"),
    ("np.add(h, a)", TypeError, "Unsupported type"),
    ("cp.maximum(a, h)", TypeError, "Unsupported type"),
    ("cp.where(h > 0, a, 0)", TypeError, "Unsupported type"),
    ("np.concatenate([a, h])", TypeError, "Unsupported type"),
    ("cp.exp([1.0])", TypeError, "Unsupported type"),
    ("cp.add(a, 1, out=h)", TypeError, "Unsupported type"),
    ("cp.add(a, 1, where=a > 0)", TypeError, "Wrong arguments"),
    ("a.__setitem__(slice(None), h)", ValueError, "non-scalar numpy.ndarray cannot be used for fill"),
    ("cp.copyto(a, h)", ValueError, "non-scalar numpy.ndarray cannot be used for copyto"),
    ("cp.copyto(a.astype('int64'), a)", TypeError, "Cannot cast"),
    ("cp.take(a, 0, 0, None, 'clip')", TypeError, "positional"),
    ("cp.take(a, [0], 0, out=cp.zeros((1, 4)))", TypeError, "Output dtype mismatch"),
    ("cp.matmul(a, a.T, cp.zeros((3, 3)))", TypeError, "positional|multiple values"),
    ("a[::10**20]", OverflowError, "too large"),
    ("cp.multiply.at(a, 0, 1)", NotImplementedError, "not supported yet"),
    ("cp.add.at(a.astype('int8'), [0], cp.ones(1, 'int8'))", TypeError, "only supports"),
    ("cp.subtract.at(a, [0], 1)", TypeError, "only supports int32, uint32"),
    ("cp.maximum.reduce(a)", NotImplementedError, "not supported yet"),
    ("cp.argsort(a, kind='quicksort')", ValueError, "stable"),
    ("cp.array(['text'])", ValueError, "Unsupported dtype"),
    ("cp.trapezium(a)", AttributeError, "no attribute"),
    ("np.from_dlpack(a)", (RuntimeError, BufferError), "device"),
    ("range(cp.asarray(3))", TypeError, "integer"),
    ("hash(a)", TypeError, "unhashable"),
    ("cp.asarray([a[0, 0], 1.0])", TypeError, "Implicit conversion"),
    ("cp.asarray([a[0], h[0]])", TypeError, "Implicit conversion"),
    ("cp.from_dlpack(h)", TypeError, "CPU arrays cannot be directly imported"),
    ("len(cp.cuda.alloc_pinned_memory(8))", TypeError, "len|NoneType"),
]
# What CuPy lets pass, and should not have been asked: an array of the host that stays there, a copy in any order.
REFUSED_HERE = [
    ("cp.sum(h)", TypeError, "Unsupported type"),
    ("a.__setitem__(slice(1, 3), a[:2])", RuntimeError, "overlapping"),
]


def refuses(cp: Any, text: str, kind: Any, words: str) -> None:
    h = numbers(3, 4)
    with pytest.raises(kind, match=words):
        eval(text, {"cp": cp, "np": np, "h": h, "a": cp.asarray(h)})


@pytest.mark.parametrize("text,kind,words", REFUSED + REFUSED_HERE, ids=lambda x: x if isinstance(x, str) else "")
def test_what_cupy_refuses_is_refused(cp, text, kind, words):
    refuses(cp, text, kind, words)


@pytest.mark.gpu
@pytest.mark.parametrize("text,kind,words", REFUSED, ids=lambda x: x if isinstance(x, str) else "")
def test_cupy_itself_refuses_it(text, kind, words):
    refuses(importlib.import_module("cupy"), text, kind, words)


def test_positions_out_of_range_wrap(cp):
    a = cp.arange(5.0)
    at = cp.asarray([7, -1])
    assert a[at].tolist() == a[np.array([7, -1])].tolist() == cp.take(a, at).tolist() == [2, 4]
    cp.add.at(a, at, cp.ones(2))
    a[[10]] = 50
    assert a.tolist() == [50, 1, 3, 3, 5]


def test_a_block_may_die_while_another_is_looked_up(cp, monkeypatch):
    """As where the interpreter collects what is unreachable within a call."""
    memory: Any = importlib.import_module("cupy._memory")
    arrays = sorted((cp.zeros(1000) for _ in range(8)), key=lambda a: a.data.ptr)
    last = arrays.pop()

    def bisect_right(*args: Any) -> int:
        found = bisect.bisect_right(*args)
        arrays.clear()
        return found

    monkeypatch.setattr(memory, "bisect", SimpleNamespace(**{**vars(bisect), "bisect_right": bisect_right}))
    assert memory.block_at(last.data.ptr + 8) is last.data.mem and not arrays
    assert memory.block_at(last.data.ptr + 8) is last.data.mem


def test_memory_is_counted_and_starts_as_nan(cp):
    assert np.isnan(cp.empty((2, 3)).get()).all() and np.isnan(cp.empty_like(cp.zeros(3, "float32")).get()).all()
    pool = cp.get_default_memory_pool()
    before = pool.used_bytes()
    a = cp.zeros(1000)
    assert pool.used_bytes() == before + 8000 and cp.cuda.runtime.memGetInfo()[0] % 8 == -pool.used_bytes() % 8
    view = a[5:]
    del a
    assert pool.used_bytes() == before + 8000
    del view
    assert pool.used_bytes() == before
    pool.set_limit(size=before + 5000)
    try:
        for make in (lambda: cp.empty(1000), lambda: cp.zeros(1000), lambda: cp.asarray(np.zeros(1000)),
                     lambda: cp.cuda.alloc(8000)):
            with pytest.raises(cp.cuda.memory.OutOfMemoryError, match="Out of memory allocating 8,000 bytes"):
                make()
    finally:
        pool.set_limit(size=0)


def test_arrays_without_elements_lie_nowhere(cp):
    empty, part = cp.empty((0, 3)), cp.zeros(3)[1:1]
    assert empty.data.ptr == empty.data.mem.ptr == empty.T.data.ptr == 0 and part.data.ptr
    assert cp.ndarray((0,), "float32", empty.data).data.ptr == 0


def test_other_orders_of_bytes_do_not_reach_the_device(cp):
    found = cp.asarray(np.arange(3, dtype=">f4"))
    assert found.dtype == np.dtype("<f4") and found.tolist() == [0, 1, 2]


def test_pinned_memory_is_rounded_up(cp):
    memory = cp.cuda.alloc_pinned_memory(12)
    assert memory.size() == 512 and np.frombuffer(memory, "float32").size == 128
    np.frombuffer(memory, "float32", 3)[...] = [1, 2, 3]
    assert np.frombuffer(memory, "float32", 3).tolist() == [1, 2, 3]


# Every public name of CuPy's, and of functions their parameters: name, how it is given, and whether it has to be.
ASK = """
import cupy, inspect, json
def told(f):
    if isinstance(f, (type, cupy.ufunc)) or not callable(f):
        return None
    try:
        return [[p.name, int(p.kind), p.default is p.empty] for p in inspect.signature(f).parameters.values()]
    except ValueError:
        return None
print(json.dumps([cupy.__version__, {n: told(getattr(cupy, n)) for n in dir(cupy) if n[0] != "_"}]))
"""


def test_the_names_are_those_of_cupy():
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "TINYGRAD_RNN_BACKEND")}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", ASK], env=clean, capture_output=True, text=True,
                          check=False)
    if done.returncode:
        pytest.skip("CuPy is not installed")
    version, names = json.loads(done.stdout)
    with standin():
        from cupy import __version__, _functions

        if version != __version__:
            pytest.skip(f"CuPy is {version}, the list of names was made from {__version__}")
        assert set(_functions.listed()) == set(names)
        for name, (kind, parameters) in _functions.listed().items():
            if kind == "function":
                scope: dict[str, Any] = {}
                exec(f"def stub{parameters}: pass", scope)
                stub = inspect.signature(scope["stub"]).parameters.values()
                assert [[p.name, int(p.kind), p.default is p.empty] for p in stub] == names[name], name
