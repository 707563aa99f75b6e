"""A whole loop as one kernel that stays on the GPU: the weights lie in the shared memory of its blocks all the while.

Launched step by step, a small product is read anew from far memory each time, and each launch costs microseconds. Here
every block keeps some rows of each weight matrix, and all blocks wait for each other between a product and what is
computed from it: a barrier over the whole grid, which a cooperative launch makes safe (Diamos et al., "Persistent RNNs:
Stashing Recurrent Weights On-Chip", 2016). Any loop will do whose body is products with matrices that it leaves alone,
and passes that keep the batch apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..fusion.lift import Memory, Operand, Product
from ..fusion.passes import Pass
from .chain import chained, letters
from .kernels import Kernel, Writer, decode, flat, kernel, product
from .launch import Launch, arguments
from .phases import mapping, totals
from .values import KINDS, Code

THREADS = 512  # of a block
LANES = 2  # examples of a block in passes with sums
CHUNK = 32  # rows of the state that lie in shared memory at a time
MICRO = 4  # rows and columns of a product that one thread has
NARROWEST = 16  # columns of a product that are worth a block of their own


@dataclass(frozen=True)
class Tile:
    """A product of a matrix (rows, inner) with the state (inner, columns), and the part of it that a block does.

    height, width: of the part; turned: does the matrix lie by columns?
    """

    kind: str
    rows: int
    columns: int
    inner: int
    height: int
    width: int
    turned: bool

    @property
    def across(self) -> int:
        """How many parts there are beside each other."""
        return -(-self.columns // self.width)

    @property
    def parts(self) -> int:
        """How many parts there are, one for a block."""
        return -(-self.rows // self.height) * self.across

    @property
    def held(self) -> int:
        """Numbers of the matrix that a block keeps."""
        return self.height * self.inner

    @property
    def groups(self) -> int:
        """How many threads share a micro tile, each with some of what is summed: a power of two."""
        micro = (self.height // MICRO) * (self.width // MICRO)
        return 1 << max(THREADS // micro, 1).bit_length() - 1 if micro <= THREADS else 0

    @property
    def scratch(self) -> int:
        """Numbers beside: a chunk of the state, then the parts of the sums."""
        return max(CHUNK * self.width, self.groups * self.height * self.width)


Phase = Product | list[Pass]


def resident(phases: Sequence[Phase], count: int, memory: Memory, multiprocessors: int, shared: int
             ) -> list[Launch] | None:
    """The loop as launches; None where it is not of that kind or does not fit.

    phases: products, and passes between them that `chained` lets follow each other, or single ones without sums.
    shared: bytes that a block may have.
    """
    products = [phase for phase in phases if isinstance(phase, Product)]
    if not products:
        return _by_examples(phases, count)
    if len({p.out.dtype for p in products}) != 1 or not all(_may_stay(p, phases, count) for p in products):
        return None
    tiles = _tiles(products, multiprocessors, shared)
    return None if tiles is None else _launches(phases, tiles, count, memory, multiprocessors)


def _by_examples(phases: Sequence[Phase], count: int) -> list[Launch] | None:
    """A loop without products: a block does all its steps for some examples, and waits for no other."""
    passes = [p for phase in phases if not isinstance(phase, Product) for p in phase]
    if not passes or not chained(passes):
        return None
    kernels = [kernel(p) for p in passes]
    name = f"loop_{hashlib.sha256(repr(kernels).encode()).hexdigest()[:16]}"
    args: list[Any] = [np.int64(count)]
    for p in passes:
        args += _moving_arguments(p)
    blocks = -(-passes[0].axes[-1][0] // LANES)
    return [Launch(name, source_by_examples(kernels, name), (blocks, 1, 1), (THREADS, 1, 1), 8 * THREADS, args, {},
                   [*phases])]


def _moving_arguments(p: Pass) -> list[Any]:
    return [*arguments(p)[0], *(np.int64(o.step // o.array.itemsize) for o in p.operands)]


def _may_stay(p: Product, phases: Sequence[Phase], count: int) -> bool:
    """Is it a matrix that the loop leaves alone, times a state whose innermost axis is the batch?"""
    f = p.fields
    if p.kernel != "blas" or f["count"] != 1 or f["turn_a"] or p.b.step or p.out.dtype not in ("float32", "float64"):
        return False
    low, high = p.b.low, p.b.high
    return not any(a < high and low < b for w in _written(phases) for a, b in [w.reach(count)])


def _written(phases: Sequence[Phase]) -> list[Operand]:
    found = []
    for phase in phases:
        if isinstance(phase, Product):
            found.append(phase.out)
        else:
            found += [o for p in phase for o in p.written]
    return found


def _tiles(products: Sequence[Product], blocks: int, shared: int) -> list[Tile] | None:
    """Parts of each product, as many as there are blocks: narrow ones while the matrices have room."""
    for narrow in range(5, -1, -1):
        tiles = [_tile(p, blocks, narrow) for p in products]
        if _shared(tiles) <= shared and all(t.parts <= blocks and t.groups for t in tiles):
            return tiles
    return None


def _shared(tiles: Sequence[Tile]) -> int:
    """Bytes that a block needs: its matrices, room to multiply, and a total for each thread."""
    size = 8 if tiles[0].kind == "double" else 4
    return size * (sum(t.held for t in tiles) + max(t.scratch for t in tiles)) + 8 * THREADS


def _tile(p: Product, blocks: int, narrow: int) -> Tile:
    f = p.fields  # which counts by columns: its m are our columns, its n our rows
    width = max(NARROWEST, _up(-(-f["m"] // 2**narrow), MICRO))
    width = min(width, _up(f["m"], MICRO))
    height = _up(-(-f["n"] // max(blocks // -(-f["m"] // width), 1)), MICRO)
    return Tile(KINDS[p.out.dtype], f["n"], f["m"], f["k"], height, width, bool(f["turn_b"]))


def _up(n: int, to: int) -> int:
    return -(-n // to) * to


def _launches(phases: Sequence[Phase], tiles: list[Tile], count: int, memory: Memory, multiprocessors: int
              ) -> list[Launch]:
    counter = Operand(memory.empty((1,), "int64"))
    args: list[Any] = [np.int64(count), np.uint64(counter.address)]
    for phase in phases:
        args += _product_arguments(phase) if isinstance(phase, Product) else []
    for p in (p for phase in phases if not isinstance(phase, Product) for p in phase):
        args += _moving_arguments(p)
    left = iter(tiles)
    structure = [next(left) if isinstance(phase, Product) else tuple(map(kernel, phase)) for phase in phases]
    barriers = _barriers(phases)
    name = f"loop_{hashlib.sha256(repr((structure, barriers)).encode()).hexdigest()[:16]}"
    clear = Launch("clear_counter", CLEAR, (1, 1, 1), (1, 1, 1), 0, [np.uint64(counter.address)], {}, [counter])
    loop = Launch(name, source(structure, barriers, name), (multiprocessors, 1, 1), (THREADS, 1, 1), _shared(tiles),
                  args, {}, [counter, *phases], cooperative=True)
    return [clear, loop]


def _product_arguments(p: Product) -> list[Any]:
    size = p.out.array.itemsize
    return [np.uint64(p.b.address), np.int64(p.fields["ldb"]),
            *(x for o, far in ((p.a, "lda"), (p.out, "ldc"))
              for x in (np.uint64(o.address), np.int64(p.fields[far]), np.int64(o.step // size)))]


def _barriers(phases: Sequence[Phase]) -> tuple[bool, ...]:
    """After which phases do all blocks wait? Products in a row that do not read each other need not."""
    found = []
    for phase, following in zip(phases, [*phases[1:], phases[0]], strict=True):
        alone = isinstance(phase, Product) and isinstance(following, Product) and following is not phases[0]
        found.append(not alone or any(_meet(x, y) for x in _outputs(phase) for y in _touched(following)))
    return tuple(found)


def _outputs(phase: Phase) -> list[Operand]:
    return [phase.out] if isinstance(phase, Product) else []


def _touched(phase: Phase) -> list[Operand]:
    return [phase.a, phase.out] if isinstance(phase, Product) else []


def _meet(x: Operand, y: Operand) -> bool:
    return x.low < y.high and y.low < x.high


CLEAR = 'extern "C" __global__ void clear_counter(unsigned *counter) {\n    *counter = 0;\n}\n'
BARRIER = """__device__ __forceinline__ void all_blocks(unsigned *counter, unsigned goal)
{
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        atomicAdd(counter, 1u);
        while (*(volatile unsigned *)counter < goal) __nanosleep(20);
        __threadfence();
    }
    __syncthreads();
}
"""


def source(structure: Sequence[Tile | tuple[Kernel, ...]], barriers: Sequence[bool], name: str) -> str:
    """The kernel's text: phase after phase, for each step."""
    code, parameters = Code(), ["const long long steps", "unsigned *counter"]
    tiles = [(k, phase) for k, phase in enumerate(structure) if isinstance(phase, Tile)]
    kind = tiles[0][1].kind
    code.line("extern __shared__ __align__(16) unsigned char shared[];")
    code.line("double *const held = (double *)shared;")
    code.line(f"{kind} *const scratch = ({kind} *)(held + {THREADS});")
    at = f"scratch + {max(t.scratch for _, t in tiles)}"
    for k, tile in tiles:
        parameters += _tile_parameters(k, tile)
        code.line(f"{kind} *const w{k} = {at};")
        at = f"w{k} + {tile.held}"
        _kept_rows(k, tile, code)
    code.line("unsigned goal = 0;")
    with code.block("for (long long step = 0; step < steps; step++)"):
        for k, (phase, barrier) in enumerate(zip(structure, barriers, strict=True)):
            if isinstance(phase, Tile):
                with code.block(f"if (blockIdx.x < {phase.parts})"):
                    _multiplied(k, phase, code)
            else:
                parameters += _parameters(phase, _prefixes(k, phase))
                _passes(phase, _prefixes(k, phase), code)
            code.line("__syncthreads();" if not barrier else "all_blocks(counter, goal += gridDim.x);")
    return _text(name, parameters, code)


def _tile_parameters(k: int, tile: Tile) -> list[str]:
    kind = tile.kind
    return [f"const {kind} *left{k}", f"const long long left{k}_far",
            f"const {kind} *state{k}", f"const long long state{k}_far", f"const long long state{k}_move",
            f"{kind} *out{k}", f"const long long out{k}_far", f"const long long out{k}_move"]


def _corner(tile: Tile, code: Code) -> None:
    code.line(f"const unsigned top = blockIdx.x / {tile.across} * {tile.height}, "
              f"first = blockIdx.x % {tile.across} * {tile.width};")


def _kept_rows(k: int, tile: Tile, code: Code) -> None:
    """The block's rows of the matrix, into shared memory, for all steps: w[inner][height], zero beyond the last row."""
    where = f"i * left{k}_far + top + r" if tile.turned else f"(top + r) * left{k}_far + i"
    with code.block(f"if (blockIdx.x < {tile.parts})"):
        _corner(tile, code)
        with code.block(f"for (unsigned e = threadIdx.x; e < {tile.held}u; e += {THREADS}u)"):
            # neighbouring threads read what lies beside each other
            i, r = (f"e / {tile.height}u", f"e % {tile.height}u") if tile.turned else (
                f"e % {tile.inner}u", f"e / {tile.inner}u")
            code.line(f"const unsigned i = {i}, r = {r};")
            code.line(f"w{k}[i * {tile.height}u + r] = top + r < {tile.rows}u ? left{k}[{where}] : 0;")
        code.line("(void)first;")


def _multiplied(k: int, tile: Tile, code: Code) -> None:
    """The block's part of the product, by micro tiles; the threads of a group have every so-manieth number to add."""
    kind, h, w, groups = tile.kind, tile.height, tile.width, tile.groups
    micro = (h // MICRO) * (w // MICRO)
    _corner(tile, code)
    code.line(f"const unsigned group = threadIdx.x / {micro}u, mine = threadIdx.x % {micro}u;")
    code.line(f"const unsigned row0 = mine / {w // MICRO}u * {MICRO}u, col0 = mine % {w // MICRO}u * {MICRO}u;")
    code.line(f"{kind} sum[{MICRO}][{MICRO}] = {{}};")
    with code.block(f"for (unsigned start = 0; start < {tile.inner}u; start += {CHUNK}u)"):
        code.line("__syncthreads();")
        with code.block(f"for (unsigned e = threadIdx.x; e < {CHUNK * w}u; e += {THREADS}u)"):
            code.line(f"const unsigned i = start + e / {w}u, n = first + e % {w}u;")
            code.line(f"scratch[e] = i < {tile.inner}u && n < {tile.columns}u"
                      f" ? __ldcg(&state{k}[step * state{k}_move + i * state{k}_far + n]) : 0;")
        code.line("__syncthreads();")
        code.line(f"const unsigned stop = {tile.inner}u - start < {CHUNK}u ? {tile.inner}u - start : {CHUNK}u;")
        with code.block(f"if (group < {groups}u) for (unsigned i = group; i < stop; i += {groups}u)"):
            aligned = f"(const {kind} *)__builtin_assume_aligned"
            code.line(f"const {kind} *const left = {aligned}(&w{k}[(start + i) * {h}u + row0], 16);")
            code.line(f"const {kind} *const right = {aligned}(&scratch[i * {w}u + col0], 16);")
            code.line("#pragma unroll")
            with code.block(f"for (int r = 0; r < {MICRO}; r++)"):
                code.line("#pragma unroll")
                code.line(f"for (int c = 0; c < {MICRO}; c++) sum[r][c] += left[r] * right[c];")
    code.line("__syncthreads();")
    with code.block(f"if (group < {groups}u)"):
        code.line(f"for (int r = 0; r < {MICRO}; r++) for (int c = 0; c < {MICRO}; c++) "
                  f"scratch[(group * {h}u + row0 + r) * {w}u + col0 + c] = sum[r][c];")
    code.line("__syncthreads();")
    with code.block(f"for (unsigned e = threadIdx.x; e < {h * w}u; e += {THREADS}u)"):
        code.line(f"const unsigned m = top + e / {w}u, n = first + e % {w}u;")
        code.line(f"{kind} all = scratch[e];")
        code.line(f"for (unsigned g = 1; g < {groups}u; g++) all += scratch[g * {h * w}u + e];")
        code.line(f"if (m < {tile.rows}u && n < {tile.columns}u) "
                  f"out{k}[step * out{k}_move + m * out{k}_far + n] = all;")


def source_by_examples(kernels: Sequence[Kernel], name: str) -> str:
    """The text of a kernel that goes through the steps for the examples of a block."""
    code, prefixes = Code(), _prefixes(0, kernels)
    code.line("extern __shared__ __align__(16) unsigned char shared[];")
    code.line("double *const held = (double *)shared;")
    with code.block("for (long long step = 0; step < steps; step++)"):
        _by_lanes(kernels, prefixes, code, f"blockIdx.x * {LANES}u")
        code.line("__syncthreads();")
    return _text(name, ["const long long steps", *_parameters(kernels, prefixes)], code)


def _prefixes(k: int, kernels: Sequence[Kernel]) -> list[str]:
    return [f"{letters(k)}{j}_" for j in range(len(kernels))]


def _parameters(kernels: Sequence[Kernel], prefixes: Sequence[str]) -> list[str]:
    """Those of each pass, and by how many elements each of its operands moves from step to step."""
    found = []
    for each, prefix in zip(kernels, prefixes, strict=True):
        found += each.parameters(prefix, alone=False)
        found += [f"const long long {prefix}m{j}" for j in range(len(each.accesses))]
    return found


def _text(name: str, parameters: Sequence[str], code: Code) -> str:
    head = f'extern "C" __global__ void __launch_bounds__({THREADS}) {name}(\n    '
    return head + ",\n    ".join(parameters) + ")\n{\n" + "\n".join(code.lines) + "\n}\n"


def _passes(kernels: Sequence[Kernel], prefixes: Sequence[str], code: Code) -> None:
    """A phase of passes: one without sums goes over the whole grid, others go by examples."""
    if len(kernels) == 1 and not kernels[0].folds:
        _everywhere(kernels[0], code, prefixes[0])
        return
    last = len(kernels[0].folded) - 1
    with code.block(f"for (unsigned base = blockIdx.x * {LANES}u; base < (unsigned){prefixes[0]}n{last}; "
                    f"base += gridDim.x * {LANES}u)"):
        _by_lanes(kernels, prefixes, code, "base")


def _by_lanes(kernels: Sequence[Kernel], prefixes: Sequence[str], code: Code, base: str) -> None:
    """The passes one after the other, for LANES examples."""
    code.line(f"const unsigned lanes = {LANES}u, lane = threadIdx.x % {LANES}u;")
    code.line(f"const unsigned row = threadIdx.x / {LANES}u, rows = {THREADS // LANES}u;")
    for j, (each, prefix) in enumerate(zip(kernels, prefixes, strict=True)):
        last = len(each.folded) - 1
        if j:
            code.line("__syncthreads();")
        with code.block(""):
            code.line(f"const unsigned i{last} = {base} + lane;")
            code.line(f"const bool mine = i{last} < (unsigned){prefix}n{last};")
            (totals if each.folds else mapping)(each, code, prefix, resident=True)


def _everywhere(each: Kernel, code: Code, prefix: str) -> None:
    with code.block(f"for (unsigned e = blockIdx.x * {THREADS}u + threadIdx.x; e < {product(each.axes, prefix)}; "
                    f"e += gridDim.x * {THREADS}u)"):
        flat(each, code, "rest", "e", each.axes)
        decode(code, "rest", each.axes, each.used, prefix)
        Writer(each, code, prefix, resident=True).element()
