"""cuBLAS's C functions over NumPy: column-major products on bare addresses, recorded while the stream captures."""

from __future__ import annotations

import ctypes
import itertools
from dataclasses import dataclass
from typing import Any

import numpy
from cupy import _capture, _memory
from cupy.cuda.stream import stream_at

SUCCESS, NOT_INITIALIZED, INVALID_VALUE, EXECUTION_FAILED, INTERNAL_ERROR, NOT_SUPPORTED = 0, 1, 7, 13, 14, 15
R_32F, R_64F, R_16BF = 0, 1, 14
COMPUTE_32F, COMPUTE_64F, COMPUTE_32F_FAST_16BF, COMPUTE_32F_FAST_TF32 = 68, 70, 75, 77
TF32_MATH = 3
STORED = {R_32F: numpy.dtype("float32"), R_64F: numpy.dtype("float64"), R_16BF: numpy.dtype("uint16")}
TYPES = {  # of A and B, and of C, that a way of computing takes
    COMPUTE_32F: {(R_32F, R_32F), (R_16BF, R_32F), (R_16BF, R_16BF)},
    COMPUTE_32F_FAST_TF32: {(R_32F, R_32F)},
    COMPUTE_32F_FAST_16BF: {(R_32F, R_32F)},
    COMPUTE_64F: {(R_64F, R_64F)},
}
MANTISSA = {COMPUTE_32F_FAST_TF32: 10, COMPUTE_32F_FAST_16BF: 7}  # bits that a product's operands keep


@dataclass
class Handle:
    """What a handle remembers. To set a stream takes the workspace away, as in cuBLAS."""

    stream: int = 0
    workspace: int = 0
    math: int = 0


@dataclass
class Matrix:
    """`count` matrices in column-major order, `stride` numbers apart."""

    address: int
    kind: int
    rows: int
    columns: int
    leading: int
    stride: int
    count: int

    def view(self) -> numpy.ndarray:
        """All of them, (count, rows, columns), over the memory itself. Raises where it is not all of the device."""
        size = STORED[self.kind].itemsize
        block = _memory.block_at(self.address)
        last = (self.count - 1) * self.stride + (self.columns - 1) * self.leading + self.rows
        if block is None or self.address + last * size > block.ptr + block.size or self.stride < 0:
            raise ValueError(f"a matrix of {self.rows} x {self.columns} at {self.address:#x} goes beyond its memory")
        return numpy.ndarray((self.count, self.rows, self.columns), STORED[self.kind], block.bytes,
                             self.address - block.ptr, (self.stride * size, size, self.leading * size))

    def values(self) -> numpy.ndarray:
        """The numbers, whatever they are stored as."""
        found = self.view()
        return (found.astype("uint32") << 16).view("float32") if self.kind == R_16BF else found

    def store(self, values: numpy.ndarray) -> None:
        """Write the numbers, rounded to what they are stored as."""
        if self.kind == R_16BF:
            values = rounded(values.astype("float32"), 7).view("uint32") >> 16
        self.view()[...] = values


class Library:
    """What `ctypes.CDLL` of cuBLAS gives: functions that return a status, 0 where all is well."""

    def __init__(self) -> None:
        self._handles: dict[int, Handle] = {}
        self._next = itertools.count(0x51000, 0x100)
        self.calls = 0  # products so far

    def cublasCreate_v2(self, handle: Any) -> int:
        _capture.refuse_allocation()
        goal = handle._obj
        goal.value = next(self._next)
        self._handles[goal.value] = Handle()
        return SUCCESS

    def cublasDestroy_v2(self, handle: Any) -> int:
        return SUCCESS if self._handles.pop(_value(handle), None) else NOT_INITIALIZED

    def cublasSetStream_v2(self, handle: Any, stream: Any) -> int:
        return self._set(handle, stream=_value(stream) or 0, workspace=0)

    def cublasSetWorkspace_v2(self, handle: Any, workspace: Any, size: Any) -> int:
        address = _value(workspace) or 0
        if address % 256 and _memory.block_at(address) is None:
            return INVALID_VALUE
        return self._set(handle, workspace=address)

    def cublasSetMathMode(self, handle: Any, mode: Any) -> int:
        return self._set(handle, math=_value(mode))

    def _set(self, handle: Any, **values: int) -> int:
        found = self._handles.get(_value(handle))
        if found is None:
            return NOT_INITIALIZED
        for name, value in values.items():
            setattr(found, name, value)
        return SUCCESS

    def cublasGemmEx(self, handle: Any, transa: Any, transb: Any, m: Any, n: Any, k: Any, alpha: Any, a: Any,
                     atype: Any, lda: Any, b: Any, btype: Any, ldb: Any, beta: Any, c: Any, ctype: Any, ldc: Any,
                     compute: Any, algorithm: Any) -> int:
        """C = alpha op(A) op(B) + beta C."""
        return self.cublasGemmStridedBatchedEx(handle, transa, transb, m, n, k, alpha, a, atype, lda, 0, b, btype, ldb,
                                               0, beta, c, ctype, ldc, 0, 1, compute, algorithm)

    def cublasGemmStridedBatchedEx(self, handle: Any, transa: Any, transb: Any, m: Any, n: Any, k: Any, alpha: Any,
                                   a: Any, atype: Any, lda: Any, stridea: Any, b: Any, btype: Any, ldb: Any,
                                   strideb: Any, beta: Any, c: Any, ctype: Any, ldc: Any, stridec: Any, count: Any,
                                   compute: Any, algorithm: Any) -> int:
        """C[i] = alpha op(A[i]) op(B[i]) + beta C[i]."""
        found = self._handles.get(_value(handle))
        if found is None:
            return NOT_INITIALIZED
        m, n, k, count, way = map(_value, (m, n, k, count, compute))
        ta, tb, ka, kb, kc = map(_value, (transa, transb, atype, btype, ctype))
        if not all(0 <= x < 2**31 for x in (m, n, k, count)) or ta not in (0, 1, 2) or tb not in (0, 1, 2):
            return INVALID_VALUE
        if way not in TYPES or ka != kb or (ka, kc) not in TYPES[way]:
            return NOT_SUPPORTED
        lefts = Matrix(_value(a), ka, *((k, m) if ta else (m, k)), _value(lda), _value(stridea), count)
        rights = Matrix(_value(b), kb, *((n, k) if tb else (k, n)), _value(ldb), _value(strideb), count)
        goal = Matrix(_value(c), kc, m, n, _value(ldc), _value(stridec), count)
        if any(x.leading < max(1, x.rows) for x in (lefts, rights, goal)):
            return INVALID_VALUE
        scales = [_scalar(x, way) for x in (alpha, beta)]
        if m == 0 or n == 0 or count == 0:
            return SUCCESS
        if way == COMPUTE_32F and found.math == TF32_MATH:
            way = COMPUTE_32F_FAST_TF32
        return self._enqueue(found, lefts, rights, goal, (bool(ta), bool(tb)), scales, MANTISSA.get(way))

    def _enqueue(self, handle: Handle, a: Matrix, b: Matrix, c: Matrix, turned: tuple[bool, bool],
                 scales: list[float], bits: int | None) -> int:
        stream = stream_at(handle.stream)
        if stream.capture is not None and not handle.workspace:
            return INTERNAL_ERROR  # it would allocate a workspace within the capture
        work = [x for x in (a, b) if a.columns * a.rows] + [c]
        for matrix in work:
            matrix.view()  # raises now where it lies outside of the device's memory

        def task() -> None:
            with numpy.errstate(all="ignore"):
                multiply(a, b, c, turned, scales, bits)

        self.calls += 1
        stream.enqueue(task, [_memory.block_at(x.address) for x in work])
        return SUCCESS


def multiply(a: Matrix, b: Matrix, c: Matrix, turned: tuple[bool, bool], scales: list[float],
             bits: int | None) -> None:
    """C = alpha op(A) op(B) + beta C; where beta is 0, C is not read. bits: of the operands' mantissas, None: all."""
    alpha, beta = scales
    values = c.values()
    result = numpy.zeros(values.shape, values.dtype)
    if a.rows * a.columns and b.rows * b.columns:
        left, right = (x.values() if bits is None else rounded(x.values(), bits) for x in (a, b))
        left = left.swapaxes(1, 2) if turned[0] else left
        right = right.swapaxes(1, 2) if turned[1] else right
        result = numpy.multiply(left @ right, alpha, dtype=values.dtype)
    if beta:
        result = result + numpy.multiply(values, beta, dtype=values.dtype)
    c.store(result)


def rounded(values: numpy.ndarray, bits: int) -> numpy.ndarray:
    """float32 numbers with so many bits of mantissa, to the nearest, ties to even; NaN and infinity as they are."""
    low = 23 - bits
    raw = numpy.ascontiguousarray(values, "float32").view("uint32")
    half = numpy.uint32((1 << (low - 1)) - 1) + ((raw >> numpy.uint32(low)) & numpy.uint32(1))
    kept = ((raw + half) >> numpy.uint32(low)) << numpy.uint32(low)
    return numpy.where(numpy.isfinite(values), kept.view("float32"), values)


def _value(x: Any) -> Any:
    """A number, given as Python's, NumPy's or one of ctypes."""
    x = getattr(x, "value", x)
    return 0 if x is None else int(x)


def _scalar(x: Any, way: int) -> float:
    """alpha or beta: by reference to, or the address of, a float, or a double where doubles are computed."""
    kind = ctypes.c_double if way == COMPUTE_64F else ctypes.c_float
    if hasattr(x, "_obj"):
        if not isinstance(x._obj, kind):
            raise TypeError(f"alpha and beta are {kind.__name__} here, not {type(x._obj).__name__}")
        return x._obj.value
    return kind.from_address(_value(x)).value


__all__ = ["Library"]
