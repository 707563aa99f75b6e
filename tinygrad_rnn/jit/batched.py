"""Products of matrices that each example has of its own, as in attention: vectors along the examples.

C[m, n, e] = sum of A[m, k, e] B[k, n, e], where all three are contiguous along e. A tile is some rows times some
columns, one vector of examples each: a step of k loads a vector for each row and each column and multiplies all with
all. The last tile of a line overlaps the one before it, so that all are of one size, and leaves alone what that one has
done. Where there are more examples than a vector has numbers, the vectors of one tile lie too far apart for the cache,
so those of a chunk of k are laid out one after the other first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from ..fusion.axes import by_operand, contracted, merged, of_all
from ..fusion.lift import Instruction, Operand, Product
from .build import FLOATS, POINTER, Builder, i64
from .gemm import BYTES, ceil, lanes, least, tile
from .walks import Places, moved, opened

DEEP = 4  # terms of a sum, below which a pass that multiplies and adds up is as good
CHUNK = 64  # terms that are done before the next tile, so that a tile's rows stay in the nearest cache
BLOCK = 2**18  # bytes of columns that go through all rows together, from the cache behind that
FIELDS = ("a", "a_step", "b", "b_step", "c", "c_step", "m", "n", "each", "k2", "k1", "a_m", "a_k2", "a_k1", "b_k2",
          "b_k1", "b_n", "c_m", "c_n", "packs", "scratch", "outer1", "outer2", "a_outer1", "b_outer1", "c_outer1",
          "a_outer2", "b_outer2", "c_outer2")


def by_example(out: Operand, a: Operand, b: Operand, order: Sequence[str], strides: Sequence[dict[str, int]],
               sizes: dict[str, int]) -> list[Instruction] | None:
    """The contraction for the kernel below, where each example has two matrices, and their numbers lie side by side.

    order: the axes of out that are longer than 1; strides: of a, b and out, by axis.
    """
    sa, sb, _ = strides
    size = out.array.itemsize
    rows, columns, stack = by_operand(order, sizes, strides)
    summed = merged(contracted(strides), sizes, [sa, sb])
    if not (rows and columns and summed and stack) or stack[-1][1] != (size, size, size):
        return None
    (*rows, row), (*columns, column), (*stack, (each, _)) = rows, columns, stack
    outer = of_all(rows, columns, stack)
    terms = [(1, (0, 0))] * (2 - len(summed)) + summed
    if len(outer) > 2 or len(terms) > 2 or terms[0][0] * terms[1][0] < DEEP:
        return None
    fields = {"m": row[0], "a_m": row[1][0], "c_m": row[1][1], "n": column[0], "b_n": column[1][0], "c_n": column[1][1],
              "each": each}
    for name, (n, (x, y)) in zip(("k2", "k1"), terms, strict=True):
        fields |= {name: n, f"a_{name}": x, f"b_{name}": y}
    for k, (n, (x, y, z)) in enumerate(outer + [(1, (0, 0, 0))] * (2 - len(outer)), 1):
        fields |= {f"outer{k}": n, f"a_outer{k}": x, f"b_outer{k}": y, f"c_outer{k}": z}
    most = (6, 4) if tile().lanes == 16 else (3, 3)  # a tile, a vector of each column and one of a row fill registers
    width = min(lanes(out.dtype), 1 << (each - 1).bit_length())
    height, breadth = min(most[0], row[0]), min(most[1], column[0])
    fields["packs"] = int(each > width)
    scratch = CHUNK * width * (height + breadth * _block(width * size, breadth)) if fields["packs"] else 0
    return [Product(a, b, out, fields, scratch, f"batched {width} {height} {breadth}")]


def _block(line: int, breadth: int) -> int:
    """How many tiles of columns go through all rows together, of vectors of so many bytes."""
    return max(1, BLOCK // (CHUNK * line * breadth))


def make_batched(dtype: str, width: int, height: int, breadth: int, module: ir.Module, name: str) -> None:
    """Write the kernel for vectors of so many examples and tiles of so many rows and columns; its record has FIELDS."""
    b = _Batched(dtype, width, height, breadth, module, name)
    with b.loop(b.at["outer2"]) as two, b.loop(b.at["outer1"]) as one:
        here = b.moved(b.moved(b.start, "outer2", two), "outer1", one)
        with b.loop(b.whole, step=width) as first:
            b.products(b.examples(here, first), None)
        with b.ir.if_then(b.ir.icmp_signed("<", b.whole, b.at["each"])):
            b.products(b.examples(here, b.whole), b.mask(b.ir.sub(b.at["each"], b.whole), width))
    b.finish()


class _Batched(Builder):
    """Such a kernel being written."""

    def __init__(self, dtype: str, width: int, height: int, breadth: int, module: ir.Module, name: str):
        super().__init__(module, name)
        self.height, self.breadth, self.size = height, breadth, BYTES[dtype]
        self.at, self.start = opened(self, FIELDS)
        self.vector = ir.VectorType(FLOATS[dtype], width)
        self.sums = [[self.ir.alloca(self.vector) for _ in range(breadth)] for _ in range(height)]  # registers
        self.whole = self.ir.mul(self.ir.sdiv(self.at["each"], i64(width)), i64(width))
        self.line, self.block = width * self.size, _block(width * self.size, breadth)
        self.packs = self.ir.icmp_signed("!=", self.at["packs"], i64(0))
        self.rows_pack = self.ir.inttoptr(self.at["scratch"], POINTER)
        self.columns_pack = self.offset(self.rows_pack, i64(CHUNK * height * self.line))
        # From one term to the next and from one row or column to the next, as tiles read them.
        self.steps = {x: (self.ir.select(self.packs, i64(many * self.line), self.at[f"{x}_k1"]),
                          self.ir.select(self.packs, i64(self.line), self.at[f"{x}_{axis}"]))
                      for x, axis, many in (("a", "m", height), ("b", "n", breadth))}

    def moved(self, here: Places, axis: str, by: Any) -> Places:
        """The places so many positions further along an axis."""
        return moved(self, here, self.at, axis, by)

    def examples(self, here: Places, first: Any) -> Places:
        """The places of an example and those after it."""
        return {x: self.offset(p, self.ir.mul(first, i64(self.size))) for x, p in here.items()}

    def products(self, here: Places, mask: Any) -> None:
        """For one vector of examples: by chunks of k, by blocks of columns, by tiles of rows, by tiles of columns."""
        across = ceil(self, self.at["n"], i64(self.breadth))
        with self.loop(self.at["k2"]) as k2, self.loop(self.at["k1"], step=CHUNK) as k1:
            deep = least(self, i64(CHUNK), self.ir.sub(self.at["k1"], k1))
            again = self.ir.icmp_signed(">", self.ir.add(k2, k1), i64(0))
            chunk = self.moved(self.moved(here, "k2", k2), "k1", k1)
            with self.loop(across, step=self.block) as first:
                last = least(self, across, self.ir.add(first, i64(self.block)))
                with self.ir.if_then(self.packs), self.loop(last, first) as j:
                    _, column = self._begin(j, self.breadth, "n")
                    self._pack(self._packed(j, first), self.moved(chunk, "n", column)["b"], "b", "n", deep, mask)
                with self.loop(ceil(self, self.at["m"], i64(self.height))) as i:
                    self._row_of_tiles(i, chunk, first, last, deep, again, mask)

    def _row_of_tiles(self, i: Any, chunk: Places, first: Any, last: Any, deep: Any, again: Any, mask: Any) -> None:
        done_rows, row = self._begin(i, self.height, "m")
        line = self.moved(chunk, "m", row)
        with self.ir.if_then(self.packs):
            self._pack(self.rows_pack, line["a"], "a", "m", deep, mask)
        left = self.ir.select(self.packs, self.rows_pack, line["a"])
        with self.loop(last, first) as j:
            done_columns, column = self._begin(j, self.breadth, "n")
            corner = self.moved(line, "n", column)
            right = self.ir.select(self.packs, self._packed(j, first), corner["b"])
            self._multiply(left, right, deep, mask)
            self._put(corner["c"], done_rows, done_columns, again, mask)

    def _begin(self, k: Any, many: int, axis: str) -> tuple[Any, Any]:
        """How many rows or columns of tile k the one before it has done, and where it begins."""
        begin = least(self, self.ir.mul(k, i64(many)), self.ir.sub(self.at[axis], i64(many)))
        return self.ir.sub(self.ir.mul(k, i64(many)), begin), begin

    def _packed(self, j: Any, first: Any) -> Any:
        """Where the columns of tile j are laid out."""
        return self.offset(self.columns_pack, self.ir.mul(self.ir.sub(j, first), i64(CHUNK * self.breadth * self.line)))

    def _pack(self, goal: Any, source: Any, x: str, axis: str, deep: Any, mask: Any) -> None:
        """Lay the rows or columns of one tile out, term by term."""
        many = self.height if x == "a" else self.breadth
        with self.loop(deep) as k:
            there = self.offset(source, self.ir.mul(k, self.at[f"{x}_k1"]))
            here = self.offset(goal, self.ir.mul(k, i64(many * self.line)))
            for r in range(many):
                value = self.load(self.offset(there, self.ir.mul(self.at[f"{x}_{axis}"], i64(r))), self.vector, mask)
                self.store(value, self.offset(here, i64(r * self.line)))

    def _multiply(self, left: Any, right: Any, deep: Any, mask: Any) -> None:
        """All rows with all columns of a tile, summed over a chunk."""
        (a_k, a_m), (b_k, b_n) = self.steps["a"], self.steps["b"]
        for slot in (s for row in self.sums for s in row):
            self.ir.store(ir.Constant(self.vector, None), slot)
        with self.loop(deep) as k:
            rows, columns = self.offset(left, self.ir.mul(k, a_k)), self.offset(right, self.ir.mul(k, b_k))
            across = [self.load(self.offset(columns, self.ir.mul(b_n, i64(c))), self.vector, mask)
                      for c in range(self.breadth)]
            for r, line in enumerate(self.sums):
                x = self.load(self.offset(rows, self.ir.mul(a_m, i64(r))), self.vector, mask)
                for slot, y in zip(line, across, strict=True):
                    total = self.ir.load(slot, typ=self.vector)
                    self.ir.store(self.intrinsic("fmuladd", self.vector, x, y, total), slot)

    def _put(self, goal: Any, done_rows: Any, done_columns: Any, again: Any, mask: Any) -> None:
        """A tile's sums into C, but for the rows and columns that have been done."""
        for r, line in enumerate(self.sums):
            with self.ir.if_then(self.ir.icmp_signed("<=", done_rows, i64(r))):
                for c, slot in enumerate(line):
                    with self.ir.if_then(self.ir.icmp_signed("<=", done_columns, i64(c))):
                        there = self.moved(self.moved({"c": goal}, "m", i64(r)), "n", i64(c))
                        self.put(slot, self.vector, there["c"], again, mask)
