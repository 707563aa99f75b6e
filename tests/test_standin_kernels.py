"""The stand-in for CuPy: kernels that are right and wrong, in any order of their threads."""

from __future__ import annotations

import shutil
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from on_standin import capture, numbers

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="kernels need g++, which is not installed")

ELEMENTWISE = r"""
__device__ __forceinline__ float squared(float x) { return x * x; }
extern "C" __global__ void __launch_bounds__(256) elementwise(
        const float *__restrict__ a, float *__restrict__ out, const long long n, const float scale) {
    const unsigned k = blockIdx.x * blockDim.x + threadIdx.x;
    if (k < n) out[k] = scale * squared(tanhf(a[k])) + (isnan(a[k]) ? 1.0f : 0.0f);
}
"""
REDUCTION = r"""
extern "C" __global__ void reduction(const float *a, double *out, long long n) {
    extern __shared__ __align__(16) unsigned char shared[];
    double *const held = (double *)shared;
    double total = 0;
    for (long long k = blockIdx.x * blockDim.x + threadIdx.x; k < n; k += gridDim.x * blockDim.x) total += a[k];
    held[threadIdx.x] = total;
    __syncthreads();
    for (unsigned far = blockDim.x / 2; far > 0; far /= 2) {
        if (threadIdx.x < far) held[threadIdx.x] += held[threadIdx.x + far];
        __syncthreads();
    }
    if (threadIdx.x == 0) out[blockIdx.x] = held[0];
}
"""
COOPERATIVE = r"""
__device__ __forceinline__ void barrier(unsigned *arrived, unsigned goal) {
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        atomicAdd(arrived, 1u);
        while (*(volatile unsigned *)arrived < goal) __nanosleep(20);
    }
    __syncthreads();
}
extern "C" __global__ void around(float *x, float *y, unsigned *arrived, long long steps, long long missing) {
    const unsigned n = gridDim.x * blockDim.x, k = blockIdx.x * blockDim.x + threadIdx.x;
    for (unsigned s = 0; s < steps; s++) {
        __stcg(y + k, __ldcg(x + (k + 1) % n) + 1);
        barrier(arrived, (2 * s + 1) * gridDim.x + missing);
        __stcg(x + k, __ldcg(y + k));
        barrier(arrived, (2 * s + 2) * gridDim.x);
    }
}
"""
ROTATION = r"""
extern "C" __global__ void rotation(float *a) {
    extern __shared__ __align__(16) unsigned char shared[];
    float *const held = (float *)shared;
    const unsigned k = threadIdx.x;
    held[k] = a[k];
    __syncthreads();
    const float next = held[(k + 1) % blockDim.x];
    BARRIER
    held[k] = k + 1 < blockDim.x ? next : held[k];
    __syncthreads();
    a[k] = held[k];
}
"""
WRONG = r"""
extern "C" __global__ void some(float *a) { if (threadIdx.x < 5) __syncthreads(); a[threadIdx.x] = 0; }
extern "C" __global__ void two(float *a) { if (threadIdx.x < 5) __syncthreads(); else
    __syncthreads(); }
extern "C" __global__ void spin(unsigned *a) { while (*(volatile unsigned *)a < 5) __nanosleep(10); }
extern "C" __global__ void behind(float *a) {
    extern __shared__ __align__(16) unsigned char shared[];
    ((float *)shared)[threadIdx.x] = 0;
}
extern "C" __global__ void unwritten(float *a) {
    extern __shared__ __align__(16) unsigned char shared[];
    a[threadIdx.x] = ((float *)shared)[threadIdx.x];
}
"""


def function(cp: ModuleType, code: str, name: str, cooperative: bool = False) -> Any:
    module = cp.RawModule(code=code, options=("--std=c++17",), enable_cooperative_groups=cooperative)
    return module.get_function(name)


@pytest.fixture(params=["0", "7", "12345"])
def order(request, monkeypatch) -> int:
    """Threads and blocks in order, and in two other orders."""
    monkeypatch.setenv("TINYGRAD_RNN_STANDIN_SEED", request.param)
    return int(request.param)


@needs_compiler
def test_an_elementwise_kernel(cp, order):
    host = numbers(100_003)
    host[5] = np.nan
    a, out = cp.asarray(host), cp.empty(len(host) + 1, "float32")
    args = (np.uint64(a.data.ptr), np.uint64(out.data.ptr), np.int64(len(host)), np.float32(3))
    function(cp, ELEMENTWISE, "elementwise")((-(-len(host) // 256), 1, 1), (256, 1, 1), args)
    expected = np.where(np.isnan(host), np.nan, 3 * np.tanh(host) ** 2)
    np.testing.assert_allclose(out.get()[:-1], expected, rtol=1e-5, atol=1e-7)
    assert np.isnan(out.get()[-1])


@needs_compiler
def test_a_reduction_in_shared_memory(cp, order):
    host = numbers(5000)
    a, out = cp.asarray(host), cp.zeros(7)
    function(cp, REDUCTION, "reduction")((7,), (64,), (a, out, len(host)), shared_mem=64 * 8)
    assert float(out.sum()) == pytest.approx(host.sum(dtype="float64"), rel=1e-12)


@needs_compiler
def test_blocks_that_wait_for_each_other(cp, order):
    x, y, arrived = cp.arange(8 * 32, dtype="float32"), cp.empty(8 * 32, "float32"), cp.zeros(1, "uint32")
    around = function(cp, COOPERATIVE, "around", cooperative=True)
    around((8,), (32,), (x, y, arrived, 20, 0))
    assert x.tolist() == [(k + 20) % 256 + 20 for k in range(256)] and int(arrived[0]) == 2 * 20 * 8
    arrived.fill(0)
    with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="a spin without an end"):
        around((8,), (32,), (x, y, arrived, 1, 1))


@needs_compiler
def test_blocks_that_cannot_be_there_at_once_are_left_out_with_a_warning(cp):
    """CuPy does that for a row of blocks, and refuses any other grid."""
    width = 4 * 32 * 32
    x, y, arrived = cp.zeros(width + 32, "float32"), cp.zeros(width + 32, "float32"), cp.zeros(1, "uint32")
    around = function(cp, COOPERATIVE, "around", cooperative=True)
    with pytest.warns(UserWarning, match="reduced from 129 to 128"):
        around((4 * 32 + 1,), (32,), (x, y, arrived, 1, 0))
    assert (x.get()[:width] == 1).all() and not x.get()[width:].any() and int(arrived[0]) == 2 * 128
    with pytest.raises(ValueError, match=r"\(129 \* 2 \* 1\) exceeds the limit \(128\)"):
        around((4 * 32 + 1, 2), (32,), (x, y, arrived, 1, 0))


@needs_compiler
def test_another_order_of_threads_finds_a_missing_barrier(cp, monkeypatch):
    def rotated(barrier: str, seed: int) -> bool:
        monkeypatch.setenv("TINYGRAD_RNN_STANDIN_SEED", str(seed))
        a = cp.arange(64, dtype="float32")
        function(cp, ROTATION.replace("BARRIER", barrier), "rotation")((1,), (64,), (a,), shared_mem=256)
        return a.tolist() == [*range(1, 64), 63]

    assert all(rotated("__syncthreads();", seed) for seed in range(4))
    assert rotated("", 0)  # in order nothing shows
    assert not any(rotated("", seed) for seed in range(1, 4))


@needs_compiler
@pytest.mark.parametrize("name,words", [("some", "reached by 5 of the 32 threads"), ("two", "different barriers"),
                                        ("spin", "not cooperative"), ("behind", "behind its 64 bytes")])
def test_what_goes_wrong_in_a_kernel_is_an_error(cp, name, words):
    with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match=words):
        function(cp, WRONG, name)((1,), (32,), (cp.zeros(32, "float32"),), shared_mem=64)


@needs_compiler
def test_shared_memory_starts_as_nan(cp):
    a = cp.zeros(32, "float32")
    function(cp, WRONG, "unwritten")((1,), (32,), (a,), shared_mem=128)
    assert np.isnan(a.get()).all()


@needs_compiler
def test_a_launch_has_the_limits_of_a_gpu(cp):
    plain, shared = function(cp, ELEMENTWISE, "elementwise"), function(cp, WRONG, "unwritten")
    a = cp.zeros(1024, "float32")
    args = (a, a, np.int64(3), np.float32(1))
    invalid = pytest.raises(cp.cuda.driver.CUDADriverError, match="INVALID_VALUE")
    for grid, block in [((0,), (1,)), ((1,), (257,)), ((1, 65536), (1,)), ((1, 1, 65536), (1,)), ((1,), (1, 1, 65))]:
        with invalid:
            plain(grid, block, args)
    with invalid:
        shared((1,), (1025,), (a,), shared_mem=16)
    with invalid:
        shared((1,), (1024,), (a,), shared_mem=(48 << 10) + 1)
    with invalid:
        shared.max_dynamic_shared_size_bytes = (227 << 10) + 1
    shared.max_dynamic_shared_size_bytes = 227 << 10
    shared((1,), (1024,), (a,), shared_mem=227 << 10)
    for wrong in (args[:3], (*args, a), (a, a, np.float32(3), np.float32(1)), (a, a, np.int64(3), 1.0)):
        with pytest.raises(TypeError):
            plain((1,), (32,), wrong)
    with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="no memory of the device"):
        plain((1,), (32,), (numbers(3).ctypes.data, a, 3, np.float32(1)))
    with pytest.raises(cp.cuda.driver.CUDADriverError, match="NOT_FOUND"):
        function(cp, ELEMENTWISE, "another")


@needs_compiler
def test_a_captured_kernel_runs_with_the_graph(cp):
    a = cp.zeros(32, "float32")
    kernel = function(cp, WRONG, "unwritten")
    _, graph = capture(cp, lambda: kernel((1,), (32,), (a,), shared_mem=128))
    assert not a.any()
    graph.launch()
    assert np.isnan(a.get()).all()


@needs_compiler
def test_source_that_does_not_compile_says_where(cp):
    with pytest.raises(cp.cuda.compiler.CompileException, match=r"kernels.cu:2.*mistake"):
        function(cp, 'extern "C" __global__ void f(float *a) {\n    *a = mistake; }', "f")
    with pytest.raises(cp.cuda.compiler.CompileException, match="include"):
        function(cp, "#include <math.h>\n" + ELEMENTWISE, "elementwise")


def test_without_a_compiler_the_reason_is_said(cp, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TINYGRAD_RNN_STANDIN_CACHE", str(tmp_path))
    with pytest.raises(cp.cuda.compiler.CompileException, match=r"g\+\+"):
        function(cp, ELEMENTWISE, "elementwise")
