"""Matrix products by cuBLAS, called directly: CuPy's own calls set the stream anew, which a capture refuses.

The library is the one that CuPy uses, found by `cuda.pathfinder`. A handle has a workspace of ours, set ahead, since
cuBLAS would else allocate one while a graph is captured.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from ..errors import Error

WORKSPACE = 32 * 2**20  # bytes, what NVIDIA recommends for Hopper
FLOAT32, FLOAT64 = 0, 1  # cudaDataType_t: CUDA_R_32F, CUDA_R_64F
DEFAULT_ALGORITHM = -1  # CUBLAS_GEMM_DEFAULT
# cublasComputeType_t by precision: operands stay in float32 in memory, and are rounded on their way into the product.
COMPUTE = {"float32": 68, "tf32": 77, "bfloat16": 75}
COMPUTE_FLOAT64 = 70
SCALAR = {"float32": ctypes.c_float, "float64": ctypes.c_double}
STATUS = {1: "NOT_INITIALIZED", 3: "ALLOC_FAILED", 7: "INVALID_VALUE", 8: "ARCH_MISMATCH", 11: "MAPPING_ERROR",
          13: "EXECUTION_FAILED", 14: "INTERNAL_ERROR", 15: "NOT_SUPPORTED"}
FULL = (1, 3)  # what it says where the device has no memory left for it
TYPE = {"float32": FLOAT32, "float64": FLOAT64}


@functools.lru_cache(maxsize=1)
def library() -> Any:
    """The library's C functions. Raises `Error` where it cannot be found."""
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        return ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path)
    except Exception as error:  # its own errors, those of ctypes, and a missing package come to the same
        raise Error(f"cuBLAS cannot be loaded: {error}; it comes with the extras cuda12 and cuda13, and with CUDA's "
                    "toolkit") from None


class BlasError(Error):
    """cuBLAS refused."""


class Blas:
    """A handle, and products on it."""

    def __init__(self, device: Any):
        self._device = device
        self._handle = ctypes.c_void_p()
        self._checked(library().cublasCreate_v2(ctypes.byref(self._handle)), "cublasCreate")
        self._workspace = device.xp.empty(WORKSPACE, "uint8")
        self._stream: int | None = None
        self._numbers = {dtype: (ctypes.byref(kind(1)), ctypes.byref(kind(0))) for dtype, kind in SCALAR.items()}

    def gemm(self, dtype: str, precision: str, a: int, b: int, c: int, fields: dict[str, int]) -> None:
        """c = op(a) op(b), column by column, with the fields that `products` makes; on the current stream.

        a, b, c: addresses on the device. Raises BlasError where cuBLAS refuses.
        """
        f, (one, zero), kind = fields, self._numbers[dtype], TYPE[dtype]
        compute = COMPUTE_FLOAT64 if dtype == "float64" else COMPUTE[precision]
        turns = (self._handle, f["turn_a"], f["turn_b"], f["m"], f["n"], f["k"], one)
        a_, b_, c_ = (ctypes.c_void_p(p) for p in (a, b, c))
        far = [ctypes.c_longlong(f[name]) for name in ("far_a", "far_b", "far_c")]
        with self._device.turn:
            self._on_stream()
            if f["count"] == 1:
                status = library().cublasGemmEx(*turns, a_, kind, f["lda"], b_, kind, f["ldb"], zero, c_, kind,
                                                f["ldc"], compute, DEFAULT_ALGORITHM)
            else:
                status = library().cublasGemmStridedBatchedEx(
                    *turns, a_, kind, f["lda"], far[0], b_, kind, f["ldb"], far[1], zero, c_, kind, f["ldc"], far[2],
                    f["count"], compute, DEFAULT_ALGORITHM)
        self._checked(status, "cublasGemm")

    def _on_stream(self) -> None:
        stream = self._device.stream()
        if stream == self._stream:
            return
        self._checked(library().cublasSetStream_v2(self._handle, ctypes.c_void_p(stream)), "cublasSetStream")
        # Setting the stream puts the library's own workspace back, so ours is set after it.
        memory = ctypes.c_void_p(self._workspace.data.ptr)
        self._checked(library().cublasSetWorkspace_v2(self._handle, memory, ctypes.c_size_t(WORKSPACE)),
                      "cublasSetWorkspace")
        self._stream = stream

    @staticmethod
    def _checked(status: int, what: str) -> None:
        if status != 0:
            why = "; the GPU has too little memory left, or none: see nvidia-smi" if status in FULL else ""
            raise BlasError(f"{what} failed with status {status} ({STATUS.get(status, 'unknown')}){why}")
