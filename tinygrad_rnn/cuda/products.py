"""Matrix products as calls of cuBLAS: which operand is transposed, how far its columns lie apart, how many there are.

cuBLAS counts along columns first, so that it is given C' = B' A' of what is C = A B by rows. An operand neither of
whose axes is contiguous, or that runs backward, is copied first; products of more than one stack axis that is no run
are done one by one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..fusion.lift import FLOATS, Instruction, Map, Memory, Operand, Product, Rule
from .launch import COUNT, too_many


def matmul(args: list[Any], memory: Memory) -> list[Instruction] | None:
    """What `matmul(left, right, out)` is; None where these are no matrices of floats."""
    left, right, goal = args
    if not all(isinstance(o, Operand) and o.dtype in FLOATS for o in args) or len({o.dtype for o in args}) > 1:
        return None
    if goal.array.size == 0:
        return []
    if left.array.shape[-1] == 0:
        return [Map("copy", (0.0,), goal)]
    found: list[Instruction] = []
    left, right = (_contiguous(o, memory, found) for o in (left, right))
    out = goal if as_it_lies(goal) else Operand(memory.empty(goal.array.shape, goal.array.dtype))
    found += [_product(*each) for each in _singly(left, right, out)]
    if out is not goal:
        found.append(Map("copy", (out,), goal))
    return found


def _leading(o: Operand) -> tuple[bool, int] | None:
    """Do rows run along the last axis, and how many elements do they lie apart; None where no axis is contiguous.

    An axis of one position has any stride.
    """
    (m, n), size = o.array.shape[-2:], o.array.itemsize
    along_m, along_n = o.array.strides[-2:]
    if (along_n == size or n == 1) and (m == 1 or (along_m >= n * size and along_m % size == 0)):
        return True, max(along_m // size if m > 1 else n, n, 1)
    if (along_m == size or m == 1) and (n == 1 or (along_n >= m * size and along_n % size == 0)):
        return False, max(along_n // size if n > 1 else m, m, 1)
    return None


def as_it_lies(o: Operand) -> bool:
    """Can cuBLAS take it as it lies: one axis contiguous, and matrix after matrix?"""
    stack = zip(o.array.shape[:-2], o.array.strides[:-2], strict=True)
    return _leading(o) is not None and all(stride >= 0 for n, stride in stack if n != 1)


def _contiguous(o: Operand, memory: Memory, before: list[Instruction]) -> Operand:
    if as_it_lies(o):
        return o
    copy = Operand(memory.empty(o.array.shape, o.array.dtype))
    before.append(Map("copy", (o,), copy))
    return copy


def _singly(left: Operand, right: Operand, out: Operand) -> list[tuple[Operand, Operand, Operand]]:
    """The product as products of which each has at most one stack axis."""
    stack = out.array.shape[:-2]
    spread = [o.view(np.broadcast_to(o.array, (*stack, *o.array.shape[-2:]))) for o in (left, right, out)]
    axes = [k for k, n in enumerate(stack) if n != 1]
    inner = _run(axes, [o.array for o in spread])
    outer = axes[: len(axes) - len(inner)]
    found = []
    for at in itertools.product(*(range(stack[k]) for k in outer)):
        key = tuple(at[outer.index(k)] if k in outer else slice(None) if k in inner else 0 for k in range(len(stack)))
        found.append(tuple(_one_stack(o.view(o.array[key]), len(inner)) for o in spread))
    return found  # type: ignore[return-value]


def _run(axes: Sequence[int], arrays: Sequence[np.ndarray]) -> list[int]:
    """The last of the axes that are one run in all arrays, broadcast ones too."""
    inner = list(axes[-1:])
    for k in reversed(axes[:-1]):
        if any(a.strides[k] != a.strides[inner[0]] * a.shape[inner[0]] for a in arrays):
            break
        inner.insert(0, k)
    return inner


def _one_stack(o: Operand, count: int) -> Operand:
    """The first `count` axes, which are one run, as one; a new one where there is none."""
    shape = o.array.shape
    n = int(np.prod(shape[:count], dtype=int))
    stride = o.array.strides[count - 1] if count else 0
    return o.view(np.lib.stride_tricks.as_strided(o.array, (n, *shape[count:]), (stride, *o.array.strides[count:])))


def _product(left: Operand, right: Operand, out: Operand) -> Product:
    leading = [_leading(o) for o in (left, right, out)]
    (left_rows, left_far), (right_rows, right_far), (out_rows, out_far) = (x for x in leading if x is not None)
    if not out_rows:  # C' lies by rows: compute C' = right' left'
        return _product(_turned(right), _turned(left), _turned(out))
    count, rows, columns = out.array.shape
    size = out.array.itemsize
    fields = {"m": columns, "n": rows, "k": left.array.shape[-1], "count": count,
              "turn_a": int(not right_rows), "turn_b": int(not left_rows),
              "lda": right_far, "ldb": left_far, "ldc": out_far}
    if max(fields.values()) >= COUNT:  # these are C's int, the rest is not
        raise too_many(max(fields.values()))
    far = {f"far_{x}": o.array.strides[0] // size for x, o in zip("abc", (right, left, out), strict=True)}
    return Product(right, left, out, {**fields, **far}, kernel="blas")


def _turned(o: Operand) -> Operand:
    return o.view(o.array.swapaxes(-1, -2))


RULES: dict[str, Rule] = {"matmul": matmul}
