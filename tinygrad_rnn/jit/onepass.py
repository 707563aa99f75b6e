"""An optimiser's rule in one pass over memory, with the bits that it has through NumPy: nothing is rounded less often.

The rule is written down by calling it with names in the place of arrays; its numbers may differ from call to call.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir

from ..backends.numpy import pointer
from ..fusion.trace import MOST, Make, Step, traced
from .build import FLOATS, POINTER, Builder, i64
from .gemm import BYTES, lanes
from .native import KERNEL, machine

DTYPES = (np.dtype("float32"), np.dtype("float64"))
SMALL = 2**11  # elements below which calls one by one take no longer


class OnePass:
    """Updates of one weight w by its gradient g, compiled for large contiguous arrays of one dtype.

    What a compiled one leaves in scratch is undefined.
    """

    def __init__(self, w: Any, g: Any, slots: tuple[Any, ...], s: Any, names: tuple[str, ...]):
        self._arrays, self._names = (w, g, slots, s), ("w", "g", *names)
        self._fits = _fit((w, g, *slots))
        self._numbers = np.zeros(MOST, w.dtype)
        self._record = np.array([w.size, *map(pointer, (self._numbers, w, g, *slots))], "int64")
        self._at = pointer(self._record)
        self._steps: list[Step] = []
        self._kernel: Any = None

    def __call__(self, make: Make) -> None:
        """One update by the rule make(numpy)."""
        if not self._fits:
            make(np)(*self._arrays)
            return
        trace = traced(make, self._names)
        if trace.steps != self._steps:
            self._steps = trace.steps
            self._kernel = _kernel(self._numbers.dtype.name, self._names, tuple(trace.steps))
        self._numbers[: len(trace.numbers)] = trace.numbers
        self._kernel(self._at, 0)


def _fit(arrays: tuple[Any, ...]) -> bool:
    first = arrays[0]
    return first.size >= SMALL and first.dtype in DTYPES and all(
        a.flags.carray and a.dtype == first.dtype and a.shape == first.shape for a in arrays)


@functools.lru_cache(maxsize=64)
def _kernel(dtype: str, names: tuple[str, ...], steps: tuple[Step, ...]) -> Any:
    make = functools.partial(_make, dtype, names, steps)
    return KERNEL(machine().address(f"one pass {dtype} {names} {steps}", make))


def _make(dtype: str, names: tuple[str, ...], steps: tuple[Step, ...], module: ir.Module, name: str) -> None:
    """The record: how many elements, the address of the numbers, those of the arrays."""
    b = Builder(module, name)
    record, _ = b.function.args
    count, (start, *at) = b.load_i64(record, 0), (_address(b, record, k + 1) for k in range(len(names) + 1))
    vector = ir.VectorType(FLOATS[dtype], lanes(dtype))
    numbers = {k: _number(b, start, k, vector) for _, _, args in steps for k in args if isinstance(k, int)}

    def body(i: Any, mask: Any) -> None:
        here = {n: b.offset(p, b.ir.mul(i, i64(BYTES[dtype]))) for n, p in zip(names, at, strict=True)}
        values: dict[Any, Any] = dict(numbers)
        for op, out, args in steps:
            for a in args:
                if a not in values:
                    values[a] = b.load(here[str(a)], vector, mask)
            values[out] = _computed(b, op, [values[a] for a in args])
        for n in sorted({out for _, out, _ in steps} & set(names)):
            b.store(values[n], here[n], mask)

    whole = b.ir.mul(b.ir.sdiv(count, i64(vector.count)), i64(vector.count))
    with b.loop(whole, step=vector.count) as i:
        body(i, None)
    rest = b.ir.sub(count, whole)
    with b.ir.if_then(b.ir.icmp_signed(">", rest, i64(0))):
        body(whole, b.mask(rest, vector.count))
    b.finish()


def _address(b: Builder, record: Any, k: int) -> Any:
    return b.ir.inttoptr(b.load_i64(record, k), POINTER)


def _number(b: Builder, start: Any, k: int, vector: Any) -> Any:
    where = b.ir.gep(start, [i64(k)], source_etype=vector.element)
    return b.splat(b.ir.load(where, typ=vector.element), vector.count)


def _computed(b: Builder, op: str, args: list[Any]) -> Any:
    """Without flags, so that no product is fused with a sum."""
    if op == "sqrt":
        return b.intrinsic("sqrt", args[0].type, *args)
    return {"add": b.ir.fadd, "subtract": b.ir.fsub, "multiply": b.ir.fmul, "divide": b.ir.fdiv}[op](*args)
