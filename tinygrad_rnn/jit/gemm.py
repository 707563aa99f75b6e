"""Matrix products: C[m, n] = sum of A[m, k] B[k, n], with any strides, by tiles that stay in registers.

A tile is 8 rows x 2 vectors, say: each step of k loads two vectors of B and broadcasts 8 numbers of A. In a loop over
time that beats a BLAS, which lays both matrices out anew at each call: a state whose innermost axis is the batch is
read as it lies, and so are weights. What B lacks in contiguity is mended panel by panel. While a tile is at work, lines
that the next rows will need of A are fetched: those of a sum over time lie too far apart for the processor to foresee.
The way of tiling is that of Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 34(3),
2008.
"""

from __future__ import annotations

import functools
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from ..backends.numpy import LINE_BYTES
from .build import FLOATS, I64, POINTER, Builder, i64
from .native import features, machine
from .shuffles import transposed
from .walks import moved, opened

BYTES = {"float32": 4, "float64": 8}
CHUNK = 256  # positions of k that are done before the next rows of C, so that what B needs stays in the cache
AHEAD = 4  # positions of k2 from what is laid out to what is fetched meanwhile

# What a record holds, in order. Steps move a pointer from one step of the loop to the next; strides are in bytes.
FIELDS = ("a", "a_step", "b", "b_step", "c", "c_step", "m", "n", "k2", "k1", "a_m", "a_k2", "a_k1", "b_k2", "b_k1",
          "b_n", "c_m", "add", "scratch", "tiles", "pack", "outer1", "outer2",
          "a_outer1", "b_outer1", "c_outer1", "add_outer1", "a_outer2", "b_outer2", "c_outer2", "add_outer2")


class Tile(NamedTuple):
    """How many numbers a register holds (of 32 bits), and how many rows a tile has."""

    lanes: int
    rows: int


@functools.lru_cache(maxsize=1)
def tile() -> Tile:
    """The tile for this processor: it has to leave registers for B and A."""
    if features().get("avx512f"):
        return Tile(16, 8)
    if features().get("avx2"):
        return Tile(8, 6)
    return Tile(4, 6)


ROW_FIELDS = ("a", "a_step", "b", "b_step", "c", "c_step", "m", "k", "a_m", "c_m")


def make_rows(dtype: str, module: ir.Module, name: str) -> None:
    """Write the kernel of a matrix of contiguous rows times a vector: C[m] = sum of A[m, k] B[k]."""
    b = Builder(module, name)
    at, start = opened(b, ROW_FIELDS)
    count, size, height = lanes(dtype), BYTES[dtype], 8
    vector = ir.VectorType(FLOATS[dtype], count)
    whole = b.ir.mul(b.ir.sdiv(at["k"], i64(count)), i64(count))
    tail = b.mask(b.ir.sub(at["k"], whole), count)
    totals = [b.ir.alloca(vector) for _ in range(height)]

    def rows(first: Any, many: int) -> None:
        lines = [b.offset(start["a"], b.ir.mul(b.ir.add(first, i64(r)), at["a_m"])) for r in range(many)]
        for total in totals[:many]:
            b.ir.store(ir.Constant(vector, None), total)

        def add(k: Any, mask: Any) -> None:
            there = b.ir.mul(k, i64(size))
            right = b.load(b.offset(start["b"], there), vector, mask)
            for line, total in zip(lines, totals, strict=False):
                left = b.load(b.offset(line, there), vector, mask)
                b.ir.store(b.intrinsic("fmuladd", vector, left, right, b.ir.load(total, typ=vector)), total)

        with b.loop(whole, step=count) as k:
            add(k, None)
        with b.ir.if_then(b.ir.icmp_signed("<", whole, at["k"])):
            add(whole, tail)
        for r in range(many):
            value = b.sum(b.ir.load(totals[r], typ=vector))
            b.ir.store(value, b.offset(start["c"], b.ir.mul(b.ir.add(first, i64(r)), at["c_m"])), align=size)

    most = b.ir.mul(b.ir.sdiv(at["m"], i64(height)), i64(height))
    with b.loop(most, step=height) as first:
        rows(first, height)
    with b.loop(at["m"], start=most) as first:
        rows(first, 1)
    b.finish()


def lanes(dtype: str) -> int:
    """How many numbers one vector holds."""
    return tile().lanes * 4 // BYTES[dtype]


class _Micro(NamedTuple):
    """What one tile needs, as values. ahead: how far from A a line begins that the next rows need; fetched: its bytes.
    """

    a: Any
    b: Any
    c: Any
    k2: Any
    k1: Any
    a_m: Any
    a_k2: Any
    a_k1: Any
    b_k2: Any
    b_k1: Any
    c_m: Any
    add: Any
    width: Any
    ahead: Any
    fetched: Any


MICRO = ir.FunctionType(ir.VoidType(), [POINTER] * 3 + [I64] * 12)


def _make_tile(dtype: str, rows: int, vectors: int, masked: bool, module: ir.Module, name: str) -> None:
    """Write a tile of rows x vectors (0: half a vector): all of it in registers from the first k to the last."""
    b = Builder(module, name, MICRO)
    at = _Micro(*b.function.args)
    count, size = lanes(dtype) if vectors else lanes(dtype) // 2, BYTES[dtype]
    vectors = max(vectors, 1)
    vector = ir.VectorType(FLOATS[dtype], count)
    mask = b.mask(b.ir.sub(at.width, i64((vectors - 1) * count)), count) if masked else None
    zero = ir.Constant(vector, None)
    tiles = [[b.ir.alloca(vector) for _ in range(vectors)] for _ in range(rows)]  # registers, once optimised
    for slot in (s for row in tiles for s in row):
        b.ir.store(zero, slot)
    a_rows = [b.ir.mul(at.a_m, i64(r)) for r in range(rows)]
    with b.loop(at.k2) as k2:
        a_start = b.offset(at.a, b.ir.mul(k2, at.a_k2))
        b_start = b.offset(at.b, b.ir.mul(k2, at.b_k2))
        with b.loop(at.fetched, step=LINE_BYTES) as line:
            b.prefetch(b.offset(a_start, b.ir.add(at.ahead, line)))
        with b.loop(at.k1) as k1:
            pa, pb = b.offset(a_start, b.ir.mul(k1, at.a_k1)), b.offset(b_start, b.ir.mul(k1, at.b_k1))
            right = [b.load(b.offset(pb, i64(v * count * size)), vector, mask if v == vectors - 1 else None)
                     for v in range(vectors)]
            for r in range(rows):
                left = b.splat(b.ir.load(b.offset(pa, a_rows[r]), typ=FLOATS[dtype], align=size), count)
                for v in range(vectors):
                    old = b.ir.load(tiles[r][v], typ=vector)
                    b.ir.store(b.intrinsic("fmuladd", vector, left, right[v], old), tiles[r][v])
    add = b.ir.icmp_signed("!=", at.add, i64(0))
    for r in range(rows):
        for v in range(vectors):
            where = b.offset(b.offset(at.c, b.ir.mul(at.c_m, i64(r))), i64(v * count * size))
            b.put(tiles[r][v], vector, where, add, mask if v == vectors - 1 else None)
    b.finish()


FEW, WIDE = 2, 6  # rows, up to which a tile is so many vectors wide, as for a product with a vector; others are of two
# Where the code of tiles is, by [rows - 1][vectors][masked], as far as products have asked for it.
TILES = {dtype: np.zeros((8, WIDE + 1, 2), "int64") for dtype in BYTES}


def pieces(dtype: str, m: int, n: int, packs: bool) -> dict[str, int]:
    """Fields of a record: where the code is that a product of m rows and n columns needs beside its kernel.

    Of all tiles a product needs a few, and to compile each takes as long as many a kernel.
    """
    table, count, most = TILES[dtype], lanes(dtype), tile().rows
    panel = (WIDE if m <= FEW else 2) * count
    for rows in {min(m, most), m % most} - {0}:
        for width in {min(n, panel), n % panel} - {0}:
            vectors = -(-width // count) if width > count // 2 else 0
            masked = width != (vectors * count or count // 2)
            table[rows - 1, vectors, int(masked)] = machine().address(
                f"tile {dtype} {rows} {vectors} {masked}",
                functools.partial(_make_tile, dtype, rows, vectors, masked))
    pack = machine().address(f"pack {dtype}", functools.partial(_make_pack, dtype)) if packs else 0
    return {"tiles": table.ctypes.data, "pack": pack}


def make_gemm(dtype: str, module: ir.Module, name: str) -> None:
    """Write the kernel whose record has FIELDS."""
    b = Builder(module, name)
    at, start = opened(b, FIELDS)
    with b.loop(at["outer2"]) as two, b.loop(at["outer1"]) as one:
        here = moved(b, moved(b, start, at, "outer2", two), at, "outer1", one)
        again = b.ir.add(b.ir.mul(two, at["add_outer2"]), b.ir.mul(one, at["add_outer1"]))
        add = b.ir.or_(at["add"], again)
        _chunks(b, at, here, add, dtype)
    b.finish()


def least(b: Builder, x: Any, y: Any) -> Any:
    """The smaller of two numbers."""
    return b.ir.select(b.ir.icmp_signed("<", x, y), x, y)


def _chunks(b: Builder, at: dict[str, Any], here: dict[str, Any], add: Any, dtype: str) -> None:
    """Walk over k in chunks; in each over rows, and over columns inside, where what is read of B stays in the cache."""
    size, count = BYTES[dtype], lanes(dtype)
    packs = b.ir.icmp_signed("!=", at["b_n"], i64(size))
    few = b.ir.icmp_signed("<=", at["m"], i64(FEW))
    vectors = b.ir.select(few, i64(WIDE), i64(2))
    panel = b.ir.mul(vectors, i64(count))
    chunk2 = b.ir.sdiv(i64(CHUNK), at["k1"])
    chunk2 = b.ir.select(b.ir.icmp_signed("<", chunk2, i64(1)), i64(1), chunk2)
    with b.loop(b.ir.sdiv(b.ir.add(at["k2"], b.ir.sub(chunk2, i64(1))), chunk2)) as chunk:
        first = b.ir.mul(chunk, chunk2)
        k2 = least(b, chunk2, b.ir.sub(at["k2"], first))
        a_chunk = b.offset(here["a"], b.ir.mul(first, at["a_k2"]))
        b_chunk = b.offset(here["b"], b.ir.mul(first, at["b_k2"]))
        deep = b.ir.mul(k2, at["k1"])
        again = b.ir.or_(add, b.ir.zext(b.ir.icmp_signed(">", chunk, i64(0)), I64))
        row_bytes = b.ir.mul(panel, i64(size))
        panel_bytes = b.ir.mul(deep, row_bytes)
        with b.ir.if_then(packs), b.loop(ceil(b, at["n"], panel)) as p:
            column = b.ir.mul(p, panel)
            b.ir.call(b.ir.inttoptr(at["pack"], ir.PointerType(PACK)), [b.offset(b_chunk, b.ir.mul(column, at["b_n"])),
                             b.offset(b.ir.inttoptr(at["scratch"], POINTER), b.ir.mul(p, panel_bytes)),
                             k2, at["k1"], at["b_k2"], at["b_k1"], at["b_n"],
                             least(b, panel, b.ir.sub(at["n"], column)), panel])
        b_k2 = b.ir.select(packs, b.ir.mul(at["k1"], row_bytes), at["b_k2"])
        b_k1 = b.ir.select(packs, row_bytes, at["b_k1"])
        b_panel = b.ir.select(packs, panel_bytes, row_bytes)
        b_start = b.ir.select(packs, b.ir.inttoptr(at["scratch"], POINTER), b_chunk)
        fetched = b.ir.select(b.ir.icmp_signed(">", k2, i64(1)), b.ir.mul(at["k1"], i64(size)), i64(0))
        rows = i64(tile().rows)
        with b.loop(ceil(b, at["m"], rows)) as block, b.loop(ceil(b, at["n"], panel)) as p:
            row, column = b.ir.mul(block, rows), b.ir.mul(p, panel)
            width, height = least(b, panel, b.ir.sub(at["n"], column)), least(b, rows, b.ir.sub(at["m"], row))
            narrow = b.ir.icmp_signed("<=", width, i64(count // 2))
            wide = b.ir.select(narrow, i64(0), ceil(b, width, i64(count)))
            full = b.ir.select(narrow, i64(count // 2), b.ir.mul(wide, i64(count)))
            masked = b.ir.zext(b.ir.icmp_signed("!=", full, width), I64)
            cell = b.ir.add(b.ir.mul(b.ir.sub(height, i64(1)), i64(2 * (WIDE + 1))),
                            b.ir.add(b.ir.mul(wide, i64(2)), masked))
            code = b.ir.load(b.offset(b.ir.inttoptr(at["tiles"], POINTER), b.ir.mul(cell, i64(8))), typ=I64, align=8)
            args = [b.offset(a_chunk, b.ir.mul(row, at["a_m"])), b.offset(b_start, b.ir.mul(p, b_panel)),
                    b.offset(b.offset(here["c"], b.ir.mul(row, at["c_m"])), b.ir.mul(column, i64(size))),
                    k2, at["k1"], at["a_m"], at["a_k2"], at["a_k1"], b_k2, b_k1, at["c_m"], again, width,
                    b.ir.mul(at["a_m"], b.ir.add(rows, b.ir.srem(p, rows))), fetched]
            b.ir.call(b.ir.inttoptr(code, ir.PointerType(MICRO)), args)


def ceil(b: Builder, x: Any, y: Any) -> Any:
    """The whole number of times that y goes into x, and once more where something is left."""
    return b.ir.sdiv(b.ir.add(x, b.ir.sub(y, i64(1))), y)


PACK = ir.FunctionType(ir.VoidType(), [POINTER, POINTER] + [I64] * 7)


def _make_pack(dtype: str, module: ir.Module, name: str) -> None:
    """Lay out columns of B as [k][panel], zeros after the last: by square blocks, turned round in registers.

    A column at a time would fetch a line of the cache for each number where columns lie far apart. Of a long sequence
    each position is elsewhere in memory, and a processor waits for it unless it was asked for in time.
    """
    b = Builder(module, name, PACK)
    source, goal, k2s, k1s, s_k2, s_k1, s_n, width, panel = b.function.args
    kind, size, side = FLOATS[dtype], BYTES[dtype], lanes(dtype)
    vector = ir.VectorType(kind, side)
    row_bytes = b.ir.mul(panel, i64(size))
    contiguous = b.ir.icmp_signed("==", s_k1, i64(size))
    blocks = b.ir.sdiv(panel, i64(side))
    apart = b.ir.select(b.ir.icmp_signed("<", s_n, i64(LINE_BYTES)), i64(LINE_BYTES), s_n)
    fetched = b.ir.select(b.ir.icmp_signed(">", k2s, i64(1)), ceil(b, b.ir.mul(s_n, i64(side)), apart), i64(0))
    with b.loop(k2s) as k2, b.loop(ceil(b, k1s, i64(side))) as high, b.loop(blocks) as wide:
        k1, n = b.ir.mul(high, i64(side)), b.ir.mul(wide, i64(side))
        start = b.offset(b.offset(source, b.ir.mul(k2, s_k2)), b.ir.mul(k1, s_k1))
        rows = b.offset(goal, b.ir.mul(b.ir.add(b.ir.mul(k2, k1s), k1), row_bytes))
        rows = b.offset(rows, b.ir.mul(n, i64(size)))
        height = least(b, i64(side), b.ir.sub(k1s, k1))
        later = b.offset(start, b.ir.mul(s_k2, i64(AHEAD)))
        with b.loop(fetched) as line:
            b.prefetch(b.offset(later, b.ir.mul(line, apart)))

        def column(c: Any) -> tuple[Any, Any]:
            """Whether there is such a column, and where it begins."""
            at = b.ir.add(n, c)
            inside = b.ir.icmp_signed("<", at, width)
            return inside, b.offset(start, b.ir.mul(b.ir.select(inside, at, i64(0)), s_n))

        def turn(mask: Any = None) -> None:
            columns = [column(i64(c)) for c in range(side)]
            block = [b.ir.select(inside, b.load(where, vector, mask), ir.Constant(vector, None))
                     for inside, where in columns]
            for k, row in enumerate(transposed(b, block)):
                with b.ir.if_then(b.ir.icmp_signed("<", i64(k), height)) if mask is not None else nullcontext():
                    b.store(row, b.offset(rows, b.ir.mul(row_bytes, i64(k))))

        with b.ir.if_else(contiguous) as (turned, one_by_one):
            with turned, b.ir.if_else(b.ir.icmp_signed("==", height, i64(side))) as (whole, part):
                with whole:
                    turn()
                with part:
                    turn(b.mask(height, side))
            with one_by_one, b.loop(height) as k, b.loop(i64(side)) as c:
                inside, where = column(c)
                value = b.ir.load(b.offset(where, b.ir.mul(k, s_k1)), typ=kind, align=size)
                value = b.ir.select(inside, value, ir.Constant(kind, 0.0))
                out = b.offset(b.offset(rows, b.ir.mul(k, row_bytes)), b.ir.mul(c, i64(size)))
                b.ir.store(value, out, align=size)
    b.finish()
