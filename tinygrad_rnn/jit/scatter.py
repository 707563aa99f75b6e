"""Sums of rows by class, what a product with one-hot vectors is: each row is added where its class says.

C[class of p, f] += A[p, f] for positions p and features f; B holds the classes, and what is no class adds nothing. The
positions are gone through in order, so that the sums have one order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .build import FLOATS, I1, I64, Builder, i64
from .gemm import lanes
from .walks import Places, moved, nested, opened

POSITIONS, FEATURES = 3, 2  # axes that a kernel walks over
FIELDS = ("a", "a_step", "b", "b_step", "c", "c_step", "far", "count",
          *(f"{x}{k}" for k in range(POSITIONS) for x in ("p", "a_p", "b_p")),
          *(f"{x}{k}" for k in range(FEATURES) for x in ("f", "a_f", "c_f")))


def make_scatter(dtype: str, contiguous: int, module: ir.Module, name: str) -> None:
    """Write the kernel, whose record has FIELDS. contiguous: do the features of a class lie next to each other?

    Then whole rows are added one after the other; else all numbers of a feature, so that its sums stay in the cache.
    """
    b = Builder(module, name)
    at, start = opened(b, FIELDS)
    last = f"f{FEATURES - 1}"
    positions, features = ([f"{x}{k}" for k in range(n)] for x, n in (("p", POSITIONS), ("f", FEATURES)))

    def by_class(here: Places, body: Callable[[Places], None]) -> None:
        place = b.load_i64(here["b"], 0)
        with b.ir.if_then(b.ir.icmp_unsigned("<", place, at["count"])):  # below 0 is beyond all
            body(here | {"c": b.offset(here["c"], b.ir.mul(place, at["far"]))})

    def row(here: Places) -> None:
        count = lanes(dtype)
        whole = b.ir.mul(b.ir.sdiv(at[last], i64(count)), i64(count))
        for first, end, width in ((i64(0), whole, count), (whole, at[last], 1)):
            with b.loop(end, first, width) as i:
                _add(dtype, b, width, moved(b, here, at, last, i), at[f"a_{last}"])

    def rows(here: Places) -> None:
        nested(b, here, at, features[:-1], row)

    if contiguous:
        nested(b, start, at, positions, lambda here: by_class(here, rows))
    else:
        nested(b, start, at, [*features, *positions], lambda here: by_class(
            here, lambda found: _add(dtype, b, 1, found, i64(0))))
    b.finish()


def _add(dtype: str, b: Builder, width: int, here: Places, stride: Any) -> None:
    """So many numbers, a stride apart, to those that lie next to each other."""
    kind = ir.VectorType(FLOATS[dtype], width)
    far, start = b.splat(stride, width), b.splat(b.ir.ptrtoint(here["a"], I64), width)
    addresses = b.ir.add(start, b.ir.mul(far, ir.Constant(far.type, list(range(width)))))
    every = ir.Constant(ir.VectorType(I1, width), [1] * width)
    b.store(b.ir.fadd(b.load(here["c"], kind), b.gather(addresses, kind, every)), here["c"])
