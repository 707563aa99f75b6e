"""Products with few columns, such as a matrix times the states of some examples: vectors along the rows.

C[m, n] = sum of A[m, k] B[k, n], where A is contiguous along m, and C as a whole. A tile is some vectors of rows times
all columns: each step of k loads the vectors and broadcasts n numbers of B. Where tiles are small, steps of k go to
several sums in turn, since an addition must otherwise wait for the one before it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llvmlite import ir

from ..fusion.lift import Product
from .build import FLOATS, I64, POINTER, Builder, i64
from .gemm import BYTES, lanes, tile
from .shuffles import interleaved
from .walks import moved, opened

FIELDS = ("a", "a_step", "b", "b_step", "c", "c_step", "m", "k2", "k1", "a_k2", "a_k1", "b_k2", "b_k1", "b_n", "add",
          "outer1", "outer2", "a_outer1", "b_outer1", "c_outer1", "a_outer2", "b_outer2", "c_outer2")
HEIGHTS = (8, 4, 2, 1)  # vectors of a tile
BUSY = 8  # sums under way, from which on none has to wait


def few_columns(product: Product) -> Product | None:
    """The product for the kernel below, where it has few columns, no whole vectors of them, in one piece of memory.

    Its field a_m is what lies between rows of A: the kernel takes A only where that is one number.
    """
    at, size = product.fields, product.out.array.itemsize
    if product.kernel == "rows":
        fields = {"m": at["m"], "k1": at["k"], "a_m": at["a_m"], "a_k1": size, "b_k1": size, "c_m": at["c_m"]}
        return _narrow(product, 1, fields | {"k2": 1, "outer1": 1, "outer2": 1})
    if product.kernel != "gemm" or at["add_outer1"] or at["add_outer2"]:
        return None
    if at["m"] == 1:
        turned = {**at, "m": at["n"], "a_m": at["b_n"], "b_n": at["a_m"], "c_m": size}
        for x in ("k1", "k2", "outer1", "outer2"):
            turned |= {f"a_{x}": at[f"b_{x}"], f"b_{x}": at[f"a_{x}"]}
        return _narrow(replace(product, a=product.b, b=product.a), 1, turned)
    return _narrow(product, at["n"], at)


def _narrow(product: Product, columns: int, fields: dict[str, int]) -> Product | None:
    size, few = product.out.array.itemsize, columns <= 3 * _registers() // 4 and columns % lanes(product.out.dtype)
    if not few or fields["m"] <= columns or fields["c_m"] != columns * size:
        return None
    fields = {f: fields.get(f, 0) for f in (*FIELDS[6:], "a_m")}
    return replace(product, fields=fields | {"n": columns}, scratch=0, kernel=f"narrow {columns}")


# the kernel's record, where A, B and C begin, and how many rows are left
MICRO = ir.FunctionType(ir.VoidType(), [POINTER] * 4 + [I64])


def _registers() -> int:
    return 32 if tile().lanes == 16 else 16


def make_narrow(dtype: str, columns: int, module: ir.Module, name: str) -> None:
    """Write the kernel for so many columns, whose record has FIELDS."""
    heights = [v for v in HEIGHTS if v * (columns + 1) < _registers()] or [1]
    micros = {v: _micro(module, f"{name}_{v}", v, columns, dtype) for v in heights}
    rest = _micro(module, f"{name}_rest", 1, columns, dtype, masked=True)
    b = Builder(module, name)
    record, _ = b.function.args
    at, start = opened(b, FIELDS)
    with b.loop(at["outer2"]) as two, b.loop(at["outer1"]) as one:
        here = moved(b, moved(b, start, at, "outer2", two), at, "outer1", one)

        def call(micro: ir.Function, row: Any) -> None:
            bytes_down = b.ir.mul(row, i64(BYTES[dtype]))
            b.ir.call(micro, [record, b.offset(here["a"], bytes_down), here["b"],
                              b.offset(here["c"], b.ir.mul(bytes_down, i64(columns))), b.ir.sub(at["m"], row)])

        done: Any = i64(0)
        for v in heights:
            rows = i64(v * lanes(dtype))
            stop = b.ir.add(done, b.ir.mul(b.ir.sdiv(b.ir.sub(at["m"], done), rows), rows))
            with b.loop(stop, done, v * lanes(dtype)) as row:
                call(micros[v], row)
            done = stop
        with b.ir.if_then(b.ir.icmp_signed("<", done, at["m"])):
            call(rest, done)
    b.finish()


def _fields(b: Builder, record: Any, *names: str) -> dict[str, Any]:
    return {name: b.load_i64(record, FIELDS.index(name)) for name in names}


def _micro(module: ir.Module, name: str, vectors: int, columns: int, dtype: str, masked: bool = False) -> ir.Function:
    """A tile of so many vectors of rows, of one that is not full where `masked`."""
    b = Builder(module, name, MICRO)
    b.function.linkage = "internal"
    b.function.attributes.add("noinline")
    record, a, right_side, c_start, height = b.function.args
    at = _fields(b, record, "k2", "k1", "a_k2", "a_k1", "b_k2", "b_k1", "b_n", "add")
    count, size = lanes(dtype), BYTES[dtype]
    vector = ir.VectorType(FLOATS[dtype], count)
    turns = max(1, BUSY // (vectors * columns))
    sums = [[[b.ir.alloca(vector) for _ in range(columns)] for _ in range(vectors)] for _ in range(turns)]
    for slot in (s for turn in sums for row in turn for s in row):
        b.ir.store(ir.Constant(vector, None), slot)
    inside = b.mask(height, count) if masked else None
    n_bytes = [b.ir.mul(at["b_n"], i64(c)) for c in range(columns)]

    def add(turn: int, pa: Any, pb: Any) -> None:
        left = [b.load(b.offset(pa, i64(v * count * size)), vector, inside) for v in range(vectors)]
        for c in range(columns):
            right = b.splat(b.ir.load(b.offset(pb, n_bytes[c]), typ=FLOATS[dtype], align=size), count)
            for v in range(vectors):
                slot = sums[turn][v][c]
                b.ir.store(b.intrinsic("fmuladd", vector, left[v], right, b.ir.load(slot, typ=vector)), slot)

    whole = b.ir.mul(b.ir.sdiv(at["k1"], i64(turns)), i64(turns))
    with b.loop(at["k2"]) as k2:
        a_start, b_start = b.offset(a, b.ir.mul(k2, at["a_k2"])), b.offset(right_side, b.ir.mul(k2, at["b_k2"]))
        with b.loop(whole, step=turns) as k1:
            for turn in range(turns):
                k = b.ir.add(k1, i64(turn))
                add(turn, b.offset(a_start, b.ir.mul(k, at["a_k1"])), b.offset(b_start, b.ir.mul(k, at["b_k1"])))
        if turns > 1:
            with b.loop(at["k1"], whole) as k:
                add(0, b.offset(a_start, b.ir.mul(k, at["a_k1"])), b.offset(b_start, b.ir.mul(k, at["b_k1"])))
    adds = b.ir.icmp_signed("!=", at["add"], i64(0))
    for v in range(vectors):
        totals = [_total(b, [b.ir.load(turn[v][c], typ=vector) for turn in sums]) for c in range(columns)]
        for j, value in enumerate(interleaved(b, totals)):
            there = b.offset(c_start, i64((v * columns + j) * count * size))
            mask = b.mask(b.ir.sub(b.ir.mul(height, i64(columns)), i64(j * count)), count) if masked else None
            b.ir.store(value, sums[0][v][j])
            b.put(sums[0][v][j], vector, there, adds, mask)
    return b.finish()


def _total(b: Builder, values: list[Any]) -> Any:
    """Their sum, in pairs."""
    while len(values) > 1:
        values = [b.ir.fadd(x, y) for x, y in zip(values[::2], values[1::2], strict=True)]
    return values[0]
