"""The text of a kernel that multiplies matrices which each example has of its own.

A block has some rows and columns of the result for some examples, and goes through the sum by chunks: all its threads
fetch a chunk of both matrices into shared memory, the next one on its way meanwhile, and each adds up a micro tile for
its example. The rows of a micro tile, and its columns, are not neighbours: those of neighbouring threads are, so that
the threads of a warp read numbers beside each other, each from a bank of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .kernels import function
from .values import Code

SECTOR = 32  # bytes beside each other that memory gives at least
TOGETHER = 512  # threads of a multiprocessor at least, so that one may have 128 registers
FETCHED = 64  # bytes that a thread has under way at most
TERMS = 16  # for which a thread has rows or columns in registers at most
SIZES = {4: "float", 8: "double"}


@dataclass(frozen=True)
class Tiles:
    """How the work is divided, which the text knows. All but the last four are powers of two.

    size: bytes of a number; micro: rows and columns that a thread has; lanes: examples of a block; down, across: its
    threads for each example; outer, summed: how many axes there are beside, and in a sum; a_by_terms, b_by_terms: do
    terms lie closer together than rows, or columns?
    """

    size: int
    micro: int
    lanes: int
    down: int
    across: int
    outer: int
    summed: int
    a_by_terms: int
    b_by_terms: int

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.lanes * self.down * self.across

    @property
    def height(self) -> int:
        """Rows of a block."""
        return self.micro * self.down

    @property
    def width(self) -> int:
        """Columns of a block."""
        return self.micro * self.across

    @property
    def deep(self) -> int:
        """Terms of a chunk: as many as memory gives at a time, if there are registers for what is under way."""
        deep = SECTOR // self.size
        while deep > 1 and deep * (self.height + self.width) * self.size > FETCHED * self.down * self.across:
            deep //= 2
        return deep

    def pitch(self, many: int) -> int:
        """From one term to the next in shared memory; a little more than what there is, so that banks differ."""
        return (many + 1) * self.lanes

    @property
    def shared(self) -> int:
        """Bytes of shared memory."""
        return self.size * self.deep * (self.pitch(self.height) + self.pitch(self.width))

    def cut(self) -> Tiles:
        """Half as large."""
        if self.down >= self.across:
            return replace(self, down=self.down // 2)
        return replace(self, across=self.across // 2)


@dataclass(frozen=True)
class _Side:
    """One of the two matrices: its name, the variable where the block begins and how many there are, its extent."""

    name: str
    first: str
    end: str
    many: int
    by_terms: bool


def source(tiles: Tiles, name: str) -> str:
    """The kernel's text."""
    kind, code = SIZES[tiles.size], Code()
    a = _Side("a", "top", "m", tiles.height, bool(tiles.a_by_terms))
    b = _Side("b", "left", "n", tiles.width, bool(tiles.b_by_terms))
    code.line("extern __shared__ __align__(16) unsigned char shared[];")
    code.line(f"{kind} *const held_a = ({kind} *)shared;")
    code.line(f"{kind} *const held_b = held_a + {tiles.deep * tiles.pitch(tiles.height)};")
    _begin(tiles, code)
    for side in (a, b):
        _prepared(tiles, side, code)
    code.line(f"{kind} sum[{tiles.micro}][{tiles.micro}] = {{}};")
    for side in (a, b):
        code.line(f"{kind} next_{side.name}[{_loads(tiles, side)}];")
        _fetched(tiles, side, "begin", code)
    with code.block(f"for (unsigned start = begin; start < end; start += {tiles.deep}u)"):
        code.line("__syncthreads();")
        for side in (a, b):
            _laid_out(tiles, side, code)
        code.line("__syncthreads();")
        for side in (a, b):
            _fetched(tiles, side, f"start + {tiles.deep}u", code)
        _multiplied(tiles, kind, code)
    _stored(tiles, code)
    return function(name, _parameters(tiles, kind), code, f"{tiles.threads}, {max(1, TOGETHER // tiles.threads)}")


def _parameters(tiles: Tiles, kind: str) -> list[str]:
    names = ["m", "n", "each", "terms", "part", "a_m", "b_n", "c_m", "c_n", "c_part"]
    names += [f"{x}{j}" for j in range(tiles.summed) for x in ("terms", "a_term", "b_term")]
    names += [f"{x}{j}" for j in range(tiles.outer) for x in ("outer", "a_outer", "b_outer", "c_outer")]
    return [f"const {kind} *__restrict__ a", f"const {kind} *__restrict__ b", f"{kind} *__restrict__ c",
            *(f"const long long {name}" for name in names)]


def _begin(tiles: Tiles, code: Code) -> None:
    """What the block has: `top` and `left`, where its rows and columns begin, its examples, and its part of the sum."""
    code.line(f"const unsigned lane = threadIdx.x % {tiles.lanes}u, place = threadIdx.x / {tiles.lanes}u;")
    code.line(f"const unsigned i = place / {tiles.across}u, j = place % {tiles.across}u;")
    code.line("unsigned block = blockIdx.x;")
    for goal, size, many in (("first", "each", tiles.lanes), ("left", "n", tiles.width), ("top", "m", tiles.height)):
        code.line(f"const unsigned {goal}s = ((unsigned){size} + {many - 1}u) / {many}u, "
                  f"{goal} = block % {goal}s * {many}u;")
        code.line(f"block /= {goal}s;")
    code.line("const unsigned example = first + lane;")
    code.line("const bool there = example < (unsigned)each;")
    code.line("const unsigned begin = blockIdx.y * (unsigned)part, rest = (unsigned)terms - begin;")
    code.line("const unsigned end = begin + (rest < (unsigned)part ? rest : (unsigned)part);")
    code.line("a += example, b += example, c += example + blockIdx.y * c_part;")
    for axis in reversed(range(tiles.outer)):
        with code.block(""):
            code.line(f"const unsigned k = block % (unsigned)outer{axis};")
            code.line(f"block /= (unsigned)outer{axis};")
            code.line(f"a += k * a_outer{axis}, b += k * b_outer{axis}, c += k * c_outer{axis};")


def _loads(tiles: Tiles, side: _Side) -> int:
    """How many numbers of a chunk a thread fetches."""
    return -(-side.many * tiles.deep // (tiles.down * tiles.across))


def _further(tiles: Tiles, side: _Side, k: int) -> tuple[int, int]:
    """By how many rows, or columns, and by how many terms a thread's k-th number is further than its first."""
    fast = tiles.deep if side.by_terms else side.many
    slow, near = divmod(k * tiles.down * tiles.across, fast)
    return (slow, near) if side.by_terms else (near, slow)


def _prepared(tiles: Tiles, side: _Side, code: Code) -> None:
    """Where a thread's first number is, in the block's part of the matrix and in memory."""
    x, fast = side.name, tiles.deep if side.by_terms else side.many
    near, slow = f"place % {fast}u", f"place / {fast}u"
    row, term = (slow, near) if side.by_terms else (near, slow)
    code.line(f"const unsigned {x}_row = {row}, {x}_term = {term};")
    code.line(f"{x} += ({side.first} + {x}_row) * {x}_{side.end};")
    if tiles.summed == 1:
        code.line(f"{x} += (begin + {x}_term) * {x}_term0;")


def _fetched(tiles: Tiles, side: _Side, start: str, code: Code) -> None:
    """A thread's numbers of a chunk, on their way into registers; zero where there is none."""
    x, each = side.name, SIZES[tiles.size]
    for k in range(_loads(tiles, side)):
        rows, terms = _further(tiles, side, k)
        row, term = f"{side.first} + {x}_row + {rows}u", f"{start} + {x}_term + {terms}u"
        inside = f"there && {row} < (unsigned){side.end} && {term} < end"
        if tiles.summed == 1:
            code.line(f"next_{x}[{k}] = {inside} ? {x}[{rows} * {x}_{side.end} + {terms} * {x}_term0] : 0;")
            continue
        with code.block(""):
            code.line(f"unsigned term = {term};")
            code.line(f"long long at = {rows} * {x}_{side.end};")
            for axis in reversed(range(tiles.summed)):
                code.line(f"at += term % (unsigned)terms{axis} * {x}_term{axis};")
                code.line(f"term /= (unsigned)terms{axis};")
            code.line(f"next_{x}[{k}] = {inside} ? {x}[at] : ({each})0;")
    if tiles.summed == 1:
        code.line(f"{x} += {tiles.deep} * {x}_term0;")


def _laid_out(tiles: Tiles, side: _Side, code: Code) -> None:
    """What a thread has fetched, into shared memory: by terms, then by rows or columns, then by examples."""
    x, pitch = side.name, tiles.pitch(side.many)
    spare = tiles.down * tiles.across > side.many * tiles.deep
    for k in range(_loads(tiles, side)):
        rows, terms = _further(tiles, side, k)
        guard = f"if ({x}_term < {tiles.deep}u && {x}_row < {side.many}u) " if spare else ""
        code.line(f"{guard}held_{x}[({x}_term + {terms}u) * {pitch}u + ({x}_row + {rows}u) * {tiles.lanes}u + lane] = "
                  f"next_{x}[{k}];")


def _multiplied(tiles: Tiles, kind: str, code: Code) -> None:
    """A chunk, all of a thread's rows with all of its columns; a few terms at a time, as registers are few."""
    code.line(f"#pragma unroll {TERMS // tiles.micro}")
    with code.block(f"for (unsigned k = 0; k < {tiles.deep}u; k++)"):
        for name, side, many, own, far in (("x", "a", tiles.height, "i", tiles.down),
                                           ("y", "b", tiles.width, "j", tiles.across)):
            code.line(f"{kind} {name}[{tiles.micro}];")
            code.line("#pragma unroll")
            code.line(f"for (unsigned r = 0; r < {tiles.micro}u; r++) {name}[r] = held_{side}["
                      f"k * {tiles.pitch(many)}u + ({own} + r * {far}u) * {tiles.lanes}u + lane];")
        code.line("#pragma unroll")
        with code.block(f"for (unsigned r = 0; r < {tiles.micro}u; r++)"):
            code.line("#pragma unroll")
            code.line(f"for (unsigned q = 0; q < {tiles.micro}u; q++) sum[r][q] += x[r] * y[q];")


def _stored(tiles: Tiles, code: Code) -> None:
    """A thread's rows and columns of the result, where there are such."""
    code.line("#pragma unroll")
    with code.block(f"for (unsigned r = 0; r < {tiles.micro}u; r++)"):
        code.line("#pragma unroll")
        with code.block(f"for (unsigned q = 0; q < {tiles.micro}u; q++)"):
            code.line(f"const unsigned row = top + i + r * {tiles.down}u, column = left + j + q * {tiles.across}u;")
            code.line("if (there && row < (unsigned)m && column < (unsigned)n) "
                      "c[row * c_m + column * c_n] = sum[r][q];")
