"""Products of matrices that each example has of its own, as in attention: threads along the examples, in tiles.

C[m, n, e] = sum of A[m, k, e] B[k, n, e], with the examples innermost in all three. A pass that multiplies and adds up
takes two loads for each term; a block that has some rows and some columns loads each number once for all of them
(`batched_text`). Which way a contraction goes is told by its shape and layout alone, so that its bits are:

- Fewer than WORTH multiplications are done by a pass in the time of a launch, and a pass in a loop may become a part of
  a chain, or of a loop that stays, which a product between would break.
- Fewer than MICRO rows or columns, or than DEEP terms, would leave most of a thread's tile without use.
- What lies as cuBLAS takes it, as it does with one example, is done by cuBLAS. It wants one axis of each matrix
  contiguous; with several examples all three would be turned round for it, each number moved twice more. A score of a
  head of d features is 2 d operations, and to turn it takes the time of some hundred: for the usual 64 features it
  costs as much as it saves.
- All else is done in tiles, as large as leave FILL blocks; where there are still fewer, the sum is cut into parts,
  which a pass adds up.

Tiles multiply float32 as it is, or float64, and add up in the same: where the precision allows rounding, it is cuBLAS
that rounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..fusion.axes import Axis, by_operand, contracted, merged, of_all
from ..fusion.lift import FLOATS, Instruction, Memory, Operand, Product, Rule, fits, multiplied, reduced
from .batched_text import SECTOR, Tiles, source
from .kernels import named
from .launch import COUNT, Launch, too_many
from .products import as_it_lies, matmul

WORTH = 2**20  # multiplications
MICRO = 4  # rows and columns of a thread
LARGE = 8  # the same where there is enough to do, with half as many loads for each operation
DEEP = 4  # terms of a sum
FILL = 132  # blocks: one for each multiprocessor of a large GPU
THREADS = 512  # of a block at most
FEW = 128  # threads of a block, to which it is cut so that there are more; with fewer it takes more examples
WARP = 32  # threads that a block has at least
PART = 64  # terms in a part of a sum at least
PARTS = 64  # of a sum at most
NOWHERE: Axis = (1, (0, 0, 0))


@dataclass(frozen=True)
class Axes:
    """A contraction's axes, each with how far a, b and the result move along it, in bytes."""

    row: Axis
    column: Axis
    examples: Axis
    outer: tuple[Axis, ...]
    summed: tuple[Axis, ...]

    @property
    def terms(self) -> int:
        """Of each sum."""
        return math.prod(n for n, _ in self.summed)

    @property
    def multiplications(self) -> int:
        """All of them."""
        return math.prod(n for n, _ in (self.row, self.column, self.examples, *self.outer, *self.summed))


def _contraction(args: list[Any], memory: Memory) -> list[Instruction] | None:
    """What remains of contractions where products are recorded as such."""
    out, a, b, labels = args
    if not fits(out, a, b) or not out.dtype == a.dtype == b.dtype:
        return None
    return by_example(out, a, b, labels, memory) or multiplied(out, a, b, labels, memory)


def by_example(out: Operand, a: Operand, b: Operand, labels: Sequence[Sequence[str]], memory: Memory
               ) -> list[Instruction] | None:
    """out[lo] = sum of a[la] b[lb], by cuBLAS or in tiles; None where a pass is as good.

    Raises BadValue where a kernel cannot count so far.
    """
    axes = _axes(out, a, b, labels) if out.dtype in FLOATS else None
    if axes is None or axes.multiplications < WORTH or min(axes.row[0], axes.column[0]) < MICRO or axes.terms < DEEP:
        return None
    return _as_matrices(axes, out, a, b, memory) or _in_tiles(axes, out, a, b, labels, memory)


def _axes(out: Operand, a: Operand, b: Operand, labels: Sequence[Sequence[str]]) -> Axes | None:
    """None where there are no rows, no columns or no sum."""
    lo, la, lb = labels
    sizes = {**dict(zip(la, a.array.shape, strict=True)), **dict(zip(lb, b.array.shape, strict=True))}
    sa, sb, sc = own = [{x: s for x, s in zip(each, o.array.strides, strict=True) if sizes[x] != 1}
                        for o, each in ((a, la), (b, lb), (out, lo))]
    rows, columns, both = by_operand(sorted(sc, key=lambda x: -abs(sc[x])), sizes, own)
    summed = merged(contracted(own), sizes, [sa, sb])
    if not (rows and columns and summed):
        return None
    rows, columns = of_all(rows, [], []), of_all([], columns, [])
    row, column = (max(each, key=lambda axis: axis[0]) for each in (rows, columns))
    beside = both and both[-1][1] == (out.array.itemsize,) * 3
    outer = [*(axis for axis in (*rows, *columns) if axis is not row and axis is not column), *both]
    return Axes(row, column, outer.pop() if beside else NOWHERE, tuple(outer),
                tuple((n, (x, y, 0)) for n, (x, y) in summed))


def _view(o: Operand, k: int, axes: Sequence[Axis]) -> Operand:
    """Operand k of a, b and the result, along these axes: it does not move along those that it lacks."""
    return o.view(np.lib.stride_tricks.as_strided(o.array, [n for n, _ in axes], [moves[k] for _, moves in axes]))


def _as_matrices(axes: Axes, out: Operand, a: Operand, b: Operand, memory: Memory) -> list[Instruction] | None:
    """As one call of cuBLAS; None where it does not take all three as they lie."""
    stack, row, column = [x for x in (*axes.outer, axes.examples) if x[0] != 1], axes.row, axes.column
    if len(axes.summed) > 1 or len(stack) > 1:
        return None
    each = [_view(o, k, [*stack, *matrix]) for k, (o, matrix) in enumerate(
        [(a, (row, *axes.summed)), (b, (*axes.summed, column)), (out, (row, column))])]
    return matmul(list(each), memory) if all(map(as_it_lies, each)) else None


# -- in tiles ------------------------------------------------------------------------------------------


def _in_tiles(axes: Axes, out: Operand, a: Operand, b: Operand, labels: Sequence[Sequence[str]], memory: Memory
              ) -> list[Instruction] | None:
    tiles = _tiles(axes, out)
    blocks = _blocks(axes, tiles)
    if tiles.threads < WARP:
        return None
    most = max(blocks, axes.terms, axes.row[0], axes.column[0], axes.examples[0])
    if most >= COUNT:
        raise too_many(most)
    parts = min(FILL // blocks, axes.terms // PART, PARTS)
    if parts < 2:
        return [_product(axes, NOWHERE, axes.terms, tiles, out, a, b)]
    part = _up(-(-axes.terms // parts), tiles.deep)
    apart = Operand(memory.empty((-(-axes.terms // part), *out.array.shape), out.array.dtype))
    first = apart.view(apart.array[0, ...])
    found = _axes(first, a, b, labels)
    assert found is not None
    along = (apart.array.shape[0], (0, 0, apart.array.strides[0]))
    return [_product(found, along, part, _tiles(found, out), first, a, b), *reduced("sum", apart, (0,), out, memory)]


def _product(axes: Axes, parts: Axis, part: int, tiles: Tiles, out: Operand, a: Operand, b: Operand) -> Product:
    """All operands as views along all axes. part: terms of each of the parts of a sum."""
    every = [parts, *axes.outer, axes.row, axes.column, *axes.summed, axes.examples]
    a, b, out = (_view(o, k, every) for k, o in enumerate((a, b, out)))
    return Product(a, b, out, {**vars(tiles), "part": part}, kernel="batched")


def _tiles(axes: Axes, out: Operand) -> Tiles:
    """How the work is shared out: large micro tiles where they leave two blocks for each multiprocessor."""
    large = _square(axes, out, LARGE, THREADS // 2)
    square = large.threads == THREADS // 2 and min(large.down, large.across) >= MICRO
    if square and large.size == 4 and large.summed == 1 and _blocks(axes, large) >= 2 * FILL:
        return large  # else they want more registers than there are
    found = _square(axes, out, MICRO, THREADS)
    while _blocks(axes, found) < FILL and found.threads > FEW:
        found = found.cut()
    while found.threads < FEW and found.lanes < min(WARP, _power(axes.examples[0])):
        found = replace(found, lanes=2 * found.lanes)
    return found


def _square(axes: Axes, out: Operand, micro: int, threads: int) -> Tiles:
    """So many threads at most, with as many rows as columns if there are.

    A block has as few examples as memory gives at a time, since more rows and columns then share what is loaded.
    """
    size, lanes = out.array.itemsize, min(SECTOR // out.array.itemsize, _power(axes.examples[0]))
    down, across = (_power(-(-n // micro)) for n in (axes.row[0], axes.column[0]))
    by_terms = [int(abs(axes.summed[-1][1][k]) < abs(moves[k])) for k, (_, moves) in enumerate((axes.row, axes.column))]
    found = Tiles(size, micro, lanes, down, across, len(axes.outer), len(axes.summed), *by_terms)
    while found.threads > threads:
        found = found.cut()
    return found


def _blocks(axes: Axes, tiles: Tiles) -> int:
    """How many blocks there are for each part of the sum."""
    (rows, _), (columns, _), (examples, _) = axes.row, axes.column, axes.examples
    return math.prod([-(-rows // tiles.height), -(-columns // tiles.width), -(-examples // tiles.lanes),
                      *(n for n, _ in axes.outer)])


def _power(n: int) -> int:
    """The smallest power of two from n on."""
    return 1 << (n - 1).bit_length()


def _up(n: int, to: int) -> int:
    return -(-n // to) * to


def launch(p: Product) -> Launch:
    """Such a product as a launch: a grid of tiles, and beside it the parts of the sums."""
    tiles, part = Tiles(**{k: v for k, v in p.fields.items() if k != "part"}), p.fields["part"]
    operands, size = (p.a, p.b, p.out), p.out.array.itemsize
    moves = zip(*([s // size for s in o.array.strides] for o in operands), strict=True)
    (parts, apart), *rest = zip(p.out.array.shape, moves, strict=True)
    row, column, *summed, examples = rest[tiles.outer :]
    axes = Axes(row, column, examples, tuple(rest[: tiles.outer]), tuple(summed))
    numbers = [row[0], column[0], examples[0], axes.terms, part, row[1][0], column[1][1], row[1][2], column[1][2],
               apart[2]]
    for n, far in summed:
        numbers += [n, *far[:2]]
    for n, far in axes.outer:
        numbers += [n, *far]
    name = named("batched", tiles)
    return Launch(name, source(tiles, name), (_blocks(axes, tiles), parts, 1), (tiles.threads, 1, 1), tiles.shared,
                  [*(np.uint64(o.address) for o in operands), *map(np.int64, numbers)],
                  {k: o.step for k, o in enumerate(operands) if o.step}, [operands])


RULES: dict[str, Rule] = {"contraction": _contraction}
