"""The text of kernels that stay on the GPU for a whole loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .chain import letters
from .kernels import Kernel, Writer, decode, flat, function, product
from .phases import in_turn, room
from .values import Code

THREADS = 512  # of a block
LANES = 2  # examples of a block in passes with sums
MICRO = 4  # rows and columns of a product that one thread has
CHUNK = 4096  # numbers of the state that lie in shared memory at a time, about
GROUPS = 16  # threads at most that share what is summed for a micro tile


@dataclass(frozen=True)
class Tile:
    """A product of a matrix (rows, inner) with the state (inner, columns), and the part of it that a block does.

    The rows are `stacked` times as many as there are `units`, as those of all gates are. A block has the rows of `each`
    units, in all the stack, and `width` columns. turned: does the matrix lie by columns?
    """

    kind: str
    stacked: int
    units: int
    columns: int
    inner: int
    each: int
    width: int
    turned: bool

    @property
    def rows(self) -> int:
        """Of a block."""
        return self.stacked * self.each

    @property
    def height(self) -> int:
        """The rows of a block, and as many without use as make whole micro tiles."""
        return -(-self.rows // MICRO) * MICRO

    @property
    def across(self) -> int:
        """How many parts there are beside each other."""
        return -(-self.columns // self.width)

    @property
    def parts(self) -> int:
        """How many parts there are, one for a block."""
        return -(-self.units // self.each) * self.across

    @property
    def held(self) -> int:
        """Numbers of the matrix that a block keeps."""
        return self.height * self.inner

    @property
    def chunk(self) -> int:
        """Rows of the state that lie in shared memory at a time."""
        return max(1, min(self.inner, CHUNK // self.width))

    @property
    def micro(self) -> int:
        """Micro tiles of a block."""
        return (self.height // MICRO) * (self.width // MICRO)

    @property
    def groups(self) -> int:
        """How many threads share a micro tile, each with some of what is summed: a power of two; 0: too few threads."""
        return min(GROUPS, 1 << (THREADS // self.micro).bit_length() - 1) if self.micro <= THREADS else 0

    @property
    def scratch(self) -> int:
        """Numbers beside: a chunk of the state, then the parts of the sums."""
        return max(self.chunk * self.width, self.groups * self.height * self.width)


@dataclass(frozen=True)
class Phase:
    """A product or passes. wait: do all blocks wait after it, or only the threads of a block for each other?"""

    wait: bool
    tile: Tile | None = None
    kernels: tuple[Kernel, ...] = ()


CLEAR = 'extern "C" __global__ void clear_counter(unsigned *counter) {\n    *counter = 0;\n}\n'
BARRIER = """#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 700
#define __nanosleep(n) ((void)(n))
#endif
__device__ __forceinline__ void all_blocks(unsigned *counter, unsigned goal)
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


def source(plan: Sequence[Phase], name: str) -> str:
    """The kernel's text: phase after phase, for each step. Passes that nobody waited before are of the tile's own."""
    code, parameters = Code(), ["const long long steps", "unsigned *counter"]
    tiles = [(k, phase.tile) for k, phase in enumerate(plan) if phase.tile is not None]
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
        for k, phase in enumerate(plan):
            before = plan[k - 1] if k else phase
            if phase.tile is not None:
                with code.block(f"if (blockIdx.x < {phase.tile.parts})"):
                    _multiplied(k, phase.tile, code)
            else:
                prefixes = _prefixes(k, phase.kernels)
                parameters += _parameters(phase.kernels, prefixes)
                if before.tile is not None and not before.wait:
                    _own(phase.kernels[0], prefixes[0], before.tile, code)
                else:
                    _passes(phase.kernels, prefixes, code)
            code.line("all_blocks(counter, goal += gridDim.x);" if phase.wait else "__syncthreads();")
    return function(name, parameters, code, THREADS)


def _tile_parameters(k: int, tile: Tile) -> list[str]:
    kind = tile.kind
    return [f"const {kind} *left{k}", f"const long long left{k}_far",
            f"const {kind} *state{k}", f"const long long state{k}_far", f"const long long state{k}_move",
            f"{kind} *out{k}", f"const long long out{k}_far", f"const long long out{k}_move"]


def _corner(tile: Tile, code: Code) -> None:
    code.line(f"const unsigned top = blockIdx.x / {tile.across} * {tile.each}, "
              f"first = blockIdx.x % {tile.across} * {tile.width};")


def _row(tile: Tile, r: str) -> tuple[str, str]:
    """The row of the whole matrix that is a block's row r, and whether there is such a row."""
    unit = f"top + {r} % {tile.each}u"
    return f"({r} / {tile.each}u * {tile.units}u + {unit})", f"{r} < {tile.rows}u && {unit} < {tile.units}u"


def _kept_rows(k: int, tile: Tile, code: Code) -> None:
    """The block's rows of the matrix, into shared memory, for all steps: w[inner][height], zero where there is none."""
    row, there = _row(tile, "r")
    where = f"i * left{k}_far + {row}" if tile.turned else f"{row} * left{k}_far + i"
    with code.block(f"if (blockIdx.x < {tile.parts})"):
        code.line(f"const unsigned top = blockIdx.x / {tile.across} * {tile.each};")
        with code.block(f"for (unsigned e = threadIdx.x; e < {tile.held}u; e += {THREADS}u)"):
            # neighbouring threads read what lies beside each other
            i, r = (f"e / {tile.height}u", f"e % {tile.height}u") if tile.turned else (
                f"e % {tile.inner}u", f"e / {tile.inner}u")
            code.line(f"const unsigned i = {i}, r = {r};")
            code.line(f"w{k}[i * {tile.height}u + r] = {there} ? left{k}[{where}] : 0;")


def _multiplied(k: int, tile: Tile, code: Code) -> None:
    """The block's part of the product, by micro tiles; the threads of a group have every so-manieth number to add."""
    kind, h, w, groups = tile.kind, tile.height, tile.width, tile.groups
    _corner(tile, code)
    code.line(f"const unsigned group = threadIdx.x / {tile.micro}u, mine = threadIdx.x % {tile.micro}u;")
    code.line(f"const unsigned row0 = mine / {w // MICRO}u * {MICRO}u, col0 = mine % {w // MICRO}u * {MICRO}u;")
    code.line(f"{kind} sum[{MICRO}][{MICRO}] = {{}};")
    with code.block(f"for (unsigned start = 0; start < {tile.inner}u; start += {tile.chunk}u)"):
        code.line("__syncthreads();")
        with code.block(f"for (unsigned e = threadIdx.x; e < {tile.chunk * w}u; e += {THREADS}u)"):
            code.line(f"const unsigned i = start + e / {w}u, n = first + e % {w}u;")
            code.line(f"scratch[e] = i < {tile.inner}u && n < {tile.columns}u"
                      f" ? __ldcg(&state{k}[step * state{k}_move + i * state{k}_far + n]) : 0;")
        code.line("__syncthreads();")
        code.line(f"const unsigned left = {tile.inner}u - start, stop = left < {tile.chunk}u ? left : {tile.chunk}u;")
        with code.block(f"if (group < {groups}u) for (unsigned i = group; i < stop; i += {groups}u)"):
            aligned = f"(const {kind} *)__builtin_assume_aligned"
            code.line(f"const {kind} *const a = {aligned}(&w{k}[(start + i) * {h}u + row0], 16);")
            code.line(f"const {kind} *const b = {aligned}(&scratch[i * {w}u + col0], 16);")
            code.line("#pragma unroll")
            with code.block(f"for (int r = 0; r < {MICRO}; r++)"):
                code.line("#pragma unroll")
                code.line(f"for (int c = 0; c < {MICRO}; c++) sum[r][c] += a[r] * b[c];")
    code.line("__syncthreads();")
    with code.block(f"if (group < {groups}u)"):
        code.line(f"for (int r = 0; r < {MICRO}; r++) for (int c = 0; c < {MICRO}; c++) "
                  f"scratch[(group * {h}u + row0 + r) * {w}u + col0 + c] = sum[r][c];")
    code.line("__syncthreads();")
    row, there = _row(tile, "r")
    with code.block(f"for (unsigned e = threadIdx.x; e < {tile.rows * w}u; e += {THREADS}u)"):
        code.line(f"const unsigned r = e / {w}u, n = first + e % {w}u;")
        code.line(f"{kind} all = scratch[e];")
        code.line(f"for (unsigned g = 1; g < {groups}u; g++) all += scratch[g * {h * w}u + e];")
        code.line(f"if ({there} && n < {tile.columns}u) out{k}[step * out{k}_move + {row} * out{k}_far + n] = all;")


def _own(each: Kernel, prefix: str, tile: Tile, code: Code) -> None:
    """A pass over the units and columns of which this block has just computed the product."""
    with code.block(f"if (blockIdx.x < {tile.parts})"):
        _corner(tile, code)
        with code.block(f"for (unsigned e = threadIdx.x; e < {tile.each * tile.width}u; e += {THREADS}u)"):
            code.line(f"const unsigned i0 = top + e / {tile.width}u, i1 = first + e % {tile.width}u;")
            with code.block(f"if (i0 < {tile.units}u && i1 < {tile.columns}u)"):
                Writer(each, code, prefix, resident=True).element()


def by_examples(kernels: Sequence[Kernel], name: str) -> str:
    """The text of a kernel that goes through the steps for the examples of a block."""
    code, prefixes = Code(), _prefixes(0, kernels)
    room(kernels, code)
    with code.block("for (long long step = 0; step < steps; step++)"):
        _by_lanes(kernels, prefixes, code, f"blockIdx.x * {LANES}u")
        code.line("__syncthreads();")
    return function(name, ["const long long steps", *_parameters(kernels, prefixes)], code, THREADS)


def _prefixes(k: int, kernels: Sequence[Kernel]) -> list[str]:
    return [f"{letters(k)}{j}_" for j in range(len(kernels))]


def _parameters(kernels: Sequence[Kernel], prefixes: Sequence[str]) -> list[str]:
    """Those of each pass, and by how many elements each of its operands moves from step to step."""
    found = []
    for each, prefix in zip(kernels, prefixes, strict=True):
        found += each.parameters(prefix, alone=False)
        found += [f"const long long {prefix}m{j}" for j in range(len(each.accesses))]
    return found


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
    code.line(f"const unsigned lane = threadIdx.x % {LANES}u;")
    code.line(f"const unsigned row = threadIdx.x / {LANES}u, rows = {THREADS // LANES}u;")
    if any(each.folds for each in kernels):
        code.line(f"const unsigned lanes = {LANES}u;")
    in_turn(kernels, prefixes, code, f"{base} + lane", resident=True)


def _everywhere(each: Kernel, code: Code, prefix: str) -> None:
    with code.block(f"for (unsigned e = blockIdx.x * {THREADS}u + threadIdx.x; e < {product(each.axes, prefix)}; "
                    f"e += gridDim.x * {THREADS}u)"):
        flat(each, code, "rest", "e", each.axes)
        decode(code, "rest", each.axes, each.used, prefix)
        Writer(each, code, prefix, resident=True).element()
