"""The stand-in for CuPy's products: what cuBLAS computes and refuses, now and in a capture."""

from __future__ import annotations

import ctypes
import itertools
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from on_standin import capture, numbers


@pytest.fixture(scope="module")
def blas(cp: ModuleType) -> Any:
    """A library with a handle that has a workspace, on the default stream."""
    import cublas

    library, handle = cublas.Library(), ctypes.c_void_p()
    assert library.cublasCreate_v2(ctypes.byref(handle)) == 0
    return SimpleNamespace(library=library, handle=handle, workspace=cp.empty(1024, "uint8"))


def product(blas: Any, a: Any, b: Any, c: Any, turned: tuple[int, int] = (0, 0), compute: int = 68, alpha: float = 1,
            beta: float = 0, **changed: Any) -> int:
    """cublasGemmEx on matrices that lie in column-major order: as arrays, their transposes."""
    scalar, kind = (ctypes.c_double, 1) if a.dtype == "float64" else (ctypes.c_float, 0)
    fields = {"m": c.shape[1], "n": c.shape[0], "k": a.shape[1 - (not turned[0])], "lda": a.shape[1],
              "ldb": b.shape[1], "ldc": c.shape[1], **changed}
    return blas.library.cublasGemmEx(
        blas.handle, *turned, fields["m"], fields["n"], fields["k"], ctypes.byref(scalar(alpha)),
        ctypes.c_void_p(a.data.ptr), kind, fields["lda"], b.data.ptr, kind, fields["ldb"],
        ctypes.byref(scalar(beta)), c.data.ptr, kind, fields["ldc"], compute, -1)


@pytest.mark.parametrize("turn_a,turn_b", [*itertools.product((0, 1), repeat=2)])
@pytest.mark.parametrize("dtype,compute,tolerance", [
    ("float32", 68, 1e-6), ("float64", 70, 1e-14), ("float32", 77, 2e-3), ("float32", 75, 2e-2)])
def test_products(cp, blas, turn_a, turn_b, dtype, compute, tolerance):
    left, right, add = numbers(5, 64, dtype=dtype), numbers(64, 7, dtype=dtype, seed=1), numbers(5, 7, dtype=dtype)
    a = cp.asarray(left.T if not turn_a else left, order="C").copy()
    b = cp.asarray(right.T if not turn_b else right, order="C").copy()
    c = cp.asarray(add.T).copy()
    assert product(blas, a, b, c, (turn_a, turn_b), compute, alpha=2, beta=0.5) == 0
    expected = 2 * left.astype("float64") @ right + 0.5 * add
    error = np.abs(c.get().T - expected).max() / np.abs(expected).max()
    assert error < tolerance
    if compute in (75, 77):  # the operands are rounded, and it shows
        assert error > tolerance / 100


def test_products_in_a_batch(cp, blas):
    left, right = numbers(3, 4, 5), numbers(3, 5, 6, seed=1)
    a, b = cp.asarray(left), cp.asarray(right)  # row-major: c' = b' a'
    c = cp.empty((3, 4, 6), "float32")
    one, zero = ctypes.byref(ctypes.c_float(1)), ctypes.byref(ctypes.c_float(0))
    arguments = (6, 4, 5, one, b.data.ptr, 0, 6, 30, a.data.ptr, 0, 5, 20, zero, c.data.ptr, 0, 6, 24, 3, 68, -1)
    assert blas.library.cublasGemmStridedBatchedEx(blas.handle, 0, 0, *arguments) == 0
    np.testing.assert_allclose(c.get(), left @ right, rtol=1e-5, atol=1e-6)  # NaN in c was not read


def test_products_refuse_what_cublas_does(cp, blas):
    a, b, c = (cp.zeros((4, 4), "float32") for _ in range(3))
    assert product(blas, a, b, c, lda=3) == product(blas, a, b, c, ldc=3) == product(blas, a, b, c, m=-1) == 7
    assert product(blas, a, b, c, compute=70) == 15 and product(blas, a, b, c, m=0) == 0
    nobody = SimpleNamespace(library=blas.library, handle=ctypes.c_void_p(12))
    assert product(nobody, a, b, c) == 1
    with pytest.raises(ValueError, match="beyond its memory"):
        product(blas, a, b, c, n=5)


def test_a_captured_product_needs_a_workspace_and_runs_with_the_graph(cp, blas):
    library, handle = blas.library, blas.handle
    a, b, c = cp.ones((4, 4), "float32"), cp.ones((4, 4), "float32"), cp.zeros((4, 4), "float32")

    def issue(workspace: bool) -> int:
        assert library.cublasSetStream_v2(handle, cp.cuda.get_current_stream().ptr) == 0
        if workspace:
            assert library.cublasSetWorkspace_v2(handle, blas.workspace.data.ptr, 1024) == 0
        return product(blas, a, b, c)

    try:
        assert capture(cp, lambda: issue(False))[0] == 14
        status, graph = capture(cp, lambda: issue(True))
        assert status == 0 and not c.any()
        graph.launch()
        assert (c.get() == 4).all()
    finally:
        library.cublasSetStream_v2(handle, 0)
