"""Sums of rows by class, what the gradient of a table of embeddings is, with the same bits each time.

The rows are sorted by class, and those of one class added up by one block in a fixed order; CuPy's `add.at` adds by
atomic operations, in whichever order they come.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from .device import Device
from .kernels import LANES, WIDE, function, tree
from .launch import ROWS, Launch
from .values import KINDS, Code


def add_rows(device: Device, out: Any, at: Any, rows: Any) -> None:
    """out[k] = the sum of the rows whose position is k.

    out: (size, ...), contiguous; at: (count,), each from 0 to size - 1; rows: (count, ...).
    """
    xp, width = device.xp, math.prod(out.shape[1:])
    if not out.size:
        return
    rows, order = xp.ascontiguousarray(rows), xp.argsort(at, kind="stable")
    starts = xp.searchsorted(at[order], xp.arange(len(out) + 1))  # of each class's rows, among the sorted ones
    arrays, kind = [out, rows, order, starts], KINDS[out.dtype.name]
    grid, block = (len(out) * -(-width // LANES), 1, 1), (LANES, ROWS, 1)
    launch = Launch(f"add_rows_{kind}", source(kind), grid, block, 8 * LANES * ROWS,
                    [*(np.uint64(a.data.ptr) for a in arrays), np.int64(width)], {}, arrays)
    launch.at(device.functions([launch]), 0)


@functools.cache
def source(kind: str) -> str:
    """The kernel's text: a block for each class and LANES features, whose rows of threads share the class's rows."""
    code, here = Code(), f"threadIdx.y * {LANES}u + threadIdx.x"
    code.line("extern __shared__ __align__(16) unsigned char shared[];")
    code.line("double *const held = (double *)shared;")
    code.line(f"const unsigned beside = ((unsigned)width + {LANES - 1}u) / {LANES}u;")
    code.line(f"const long long mine = blockIdx.x / beside, i = blockIdx.x % beside * {LANES}u + threadIdx.x;")
    code.line(f"{WIDE} total0 = 0;")
    with code.block("if (i < width)"):
        code.line("#pragma unroll 4")
        code.line(f"for (long long k = starts[mine] + threadIdx.y; k < starts[mine + 1]; k += {ROWS}) "
                  "total0 += rows[order[k] * width + i];")
    tree(code, "sum", 0, "threadIdx.y", f"{ROWS}u", here, f"{here} + far * {LANES}u")
    code.line("if (threadIdx.y == 0 && i < width) out[mine * width + i] = total0;")
    return function(f"add_rows_{kind}", [f"{kind} *__restrict__ out", f"const {kind} *__restrict__ rows",
                           "const long long *__restrict__ order", "const long long *__restrict__ starts",
                           "const long long width"], code, LANES * ROWS)
