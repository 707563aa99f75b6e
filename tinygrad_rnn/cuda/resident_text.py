"""The text of kernels that stay on the GPU for a whole loop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .chain import letters
from .element import Kernel, Writer
from .kernels import decode, flat, function, product
from .phases import Links, in_turn, room
from .tiles import MICRO, THREADS, Tile
from .values import Code

BOUNDS = f"{THREADS}, 1"  # of which a multiprocessor has one, so that a thread may have 128 registers
LANES = 2  # examples of a block in passes with sums
SECTOR = 8  # numbers beside each other that are fetched together
VECTORS = {("float", 4): "float4", ("double", 2): "double2"}  # what one load takes, by how many numbers


@dataclass(frozen=True)
class Phase:
    """A product or passes. wait: do all blocks wait after it, or only the threads of a block for each other?

    A pass that nobody waited before is done by the blocks that have the product's parts; `made` are those of its
    operands that are parts of the product's stack: (operand, which part). links: as `in_turn` takes them.
    """

    wait: bool
    tile: Tile | None = None
    kernels: tuple[Kernel, ...] = ()
    made: tuple[tuple[int, int], ...] = ()
    links: Links = ()


CLEAR = 'extern "C" __global__ void clear_counter(unsigned *counter) {\n    *counter = 0;\n}\n'
# One thread fences for its block, whose threads have waited for each other. To release and to acquire is enough;
# __threadfence also orders all fences of the device among each other. The counter may run over in a long loop.
BARRIER = """#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 700
#define __nanosleep(n) ((void)(n))
#elif defined(__CUDACC_RTC__)
#define __threadfence() asm volatile("fence.acq_rel.gpu;" ::: "memory")
#endif
__device__ __forceinline__ void all_blocks(unsigned *counter, unsigned goal)
{
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        atomicAdd(counter, 1u);
        while ((int)(*(volatile unsigned *)counter - goal) < 0) __nanosleep(20);
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
            if phase.tile is not None:
                _product(plan, k, phase.tile, code)
            elif _own(plan, k) is None:
                _passes(phase, _prefixes(k, phase.kernels), code)
            if _own(plan, k + 1) is None:
                code.line("all_blocks(counter, goal += gridDim.x);" if phase.wait else "__syncthreads();")
    for k, phase in enumerate(plan):
        parameters += _parameters(phase.kernels, _prefixes(k, phase.kernels))
    return function(name, parameters, code, BOUNDS)


def _product(plan: Sequence[Phase], k: int, tile: Tile, code: Code) -> None:
    """Phase k, a product, by the blocks that have a part of it; and the pass over what they have just multiplied."""
    own = _own(plan, k + 1)
    with code.block(f"if ({_part(tile)} < {tile.parts}u)"):
        _corner(tile, code)
        if own is None:
            _multiplied(k, tile, code)
            _stored(k, tile, code)
        else:
            _multiplied_and_passed(k, tile, own, code)


def _own(plan: Sequence[Phase], k: int) -> Phase | None:
    """Phase k, if it is a pass over what its own block has just multiplied."""
    if not 0 < k < len(plan):
        return None
    before, phase = plan[k - 1 : k + 1]
    return phase if before.tile is not None and not before.wait and phase.kernels else None


def _tile_parameters(k: int, tile: Tile) -> list[str]:
    kind = tile.kind
    return [f"const {kind} *left{k}", f"const long long left{k}_far",
            f"const {kind} *state{k}", f"const long long state{k}_far", f"const long long state{k}_move",
            f"{kind} *out{k}", f"const long long out{k}_far", f"const long long out{k}_move"]


def _part(tile: Tile) -> str:
    """Which part of the product the block has; a block that has none gets a number beyond all."""
    return f"(blockIdx.x - {tile.first}u)" if tile.first else "blockIdx.x"


def _top(tile: Tile, code: Code) -> None:
    code.line(f"const unsigned top = {_part(tile)} / {tile.across}u * {tile.each}u;")


def _corner(tile: Tile, code: Code) -> None:
    _top(tile, code)
    code.line(f"const unsigned first = {_part(tile)} % {tile.across}u * {tile.width}u;")


def _row(tile: Tile, r: str) -> tuple[str, str]:
    """The row of the whole matrix that is a block's row r, and whether there is such a row."""
    unit = f"top + {r} % {tile.each}u"
    return f"({r} / {tile.each}u * {tile.units}u + {unit})", f"{r} < {tile.rows}u && {unit} < {tile.units}u"


def _kept_rows(k: int, tile: Tile, code: Code) -> None:
    """The block's rows of the matrix, into shared memory, for all steps: w[depth][height], zero where there is none.

    Neighbouring threads read what lies beside each other, but not so much of a row that all write to the same bank.
    """
    row, there = _row(tile, "r")
    where = f"i * left{k}_far + {row}" if tile.turned else f"{row} * left{k}_far + i"
    run = 1 if tile.turned else math.gcd(tile.depth, SECTOR)
    with code.block(f"if ({_part(tile)} < {tile.parts}u)"):
        _top(tile, code)
        with code.block(f"for (unsigned e = threadIdx.x; e < {tile.held}u; e += {THREADS}u)"):
            code.line(f"const unsigned i = e / {run * tile.height}u * {run}u + e % {run}u, "
                      f"r = e / {run}u % {tile.height}u;")
            code.line(f"w{k}[i * {tile.height}u + r] = i < {tile.inner}u && {there} ? left{k}[{where}] : 0;")


def _multiplied(k: int, tile: Tile, code: Code, meanwhile: Sequence[str] = ()) -> None:
    """The block's part of the product, by micro tiles; the threads of a group have every so-manieth number to add.

    What each of them has added up lies in scratch[group][row][column] in the end. While a chunk of the state is
    multiplied, the next one is on its way. meanwhile: lines to be done on the way of the first.
    """
    kind, w = tile.kind, tile.width
    vector = VECTORS.get((kind, tile.vector), kind)
    loads = -(-tile.chunk * w // (tile.vector * THREADS))
    code.line(f"const unsigned group = threadIdx.x / {tile.micro}u, mine = threadIdx.x % {tile.micro}u;")
    code.line(_micro_tile(tile))
    code.line(f"{kind} sum[{MICRO}][{MICRO}] = {{}};")
    code.line(f"{vector} next[{loads}];")
    _fetched(k, tile, vector, loads, "0u", code)
    for line in meanwhile:
        code.line(line)
    with code.block(f"for (unsigned start = 0; start < {tile.depth}u; start += {tile.chunk}u)"):
        code.line("__syncthreads();")
        code.line("#pragma unroll")
        with code.block(f"for (unsigned k = 0; k < {loads}u; k++)"):
            code.line(f"const unsigned e = (k * {THREADS}u + threadIdx.x) * {tile.vector}u;")
            code.line(f"if (e < {tile.chunk * w}u) *({vector} *)&scratch[e] = next[k];")
        code.line("__syncthreads();")
        with code.block(f"if (start + {tile.chunk}u < {tile.depth}u)"):
            _fetched(k, tile, vector, loads, f"start + {tile.chunk}u", code)
        with code.block(f"if (group < {tile.groups}u)"):
            _micro_product(k, tile, code)
    code.line("__syncthreads();")
    with code.block(f"if (group < {tile.groups}u)"):
        code.line("#pragma unroll")
        with code.block(f"for (int r = 0; r < {MICRO}; r++)"):
            code.line(f"{kind} *const place = ({kind} *)__builtin_assume_aligned("
                      f"&scratch[(group * {tile.height}u + row0 + r) * {w}u + col0], 16);")
            code.line("#pragma unroll")
            code.line(f"for (int c = 0; c < {MICRO}; c++) place[c] = sum[r][c];")
    code.line("__syncthreads();")


def _micro_product(k: int, tile: Tile, code: Code) -> None:
    """What a thread adds to its micro tile of a chunk: every so-manieth row of the state."""
    kind, w, h, groups = tile.kind, tile.width, tile.height, tile.groups
    aligned = f"(const {kind} *)__builtin_assume_aligned"
    code.line(f"const {kind} *const a = {aligned}(&w{k}[(start + group) * {h}u + row0], 16);")
    code.line(f"const {kind} *const b = {aligned}(&scratch[group * {w}u + col0], 16);")
    code.line("#pragma unroll 4")
    with code.block(f"for (unsigned j = 0; j < {tile.chunk // groups}u; j++)"):
        code.line("#pragma unroll")
        with code.block(f"for (int r = 0; r < {MICRO}; r++)"):
            code.line("#pragma unroll")
            code.line(f"for (int c = 0; c < {MICRO}; c++) "
                      f"sum[r][c] += a[j * {groups * h}u + r] * b[j * {groups * w}u + c];")


def _micro_tile(tile: Tile) -> str:
    """Where a thread's micro tile begins: neighbours form squares, so that pairs of them read the same numbers."""
    down, across = tile.height // MICRO, tile.width // MICRO
    if down % 2 or across % 2:
        row, column = f"mine / {across}u", f"mine % {across}u"
    else:
        row = f"(mine / {2 * across}u * 2u + mine / 2u % 2u)"
        column = f"(mine / 4u % {across // 2}u * 2u + mine % 2u)"
    return f"const unsigned row0 = {row} * {MICRO}u, col0 = {column} * {MICRO}u;"


def _fetched(k: int, tile: Tile, vector: str, loads: int, start: str, code: Code) -> None:
    """A chunk of the state, on its way into registers; zero where there is none."""
    across = tile.width // tile.vector
    code.line("#pragma unroll")
    with code.block(f"for (unsigned k = 0; k < {loads}u; k++)"):
        code.line(f"const unsigned e = k * {THREADS}u + threadIdx.x;")
        code.line(f"const unsigned i = {start} + e / {across}u, n = first + e % {across}u * {tile.vector}u;")
        code.line(f"next[k] = e < {tile.chunk * across}u && i < {tile.inner}u && n < {tile.columns}u ? "
                  f"__ldcg((const {vector} *)&state{k}[step * state{k}_move + i * state{k}_far + n]) : {vector}{{}};")


def _total(tile: Tile, name: str, place: str, code: Code) -> None:
    """What the threads of a group have added up for one place of the block, together."""
    code.line(f"{tile.kind} {name} = scratch[{place}];")
    code.line("#pragma unroll 8")
    code.line(f"for (unsigned g = 1; g < {tile.groups}u; g++) "
              f"{name} += scratch[g * {tile.height * tile.width}u + {place}];")


def _stored(k: int, tile: Tile, code: Code) -> None:
    """The product, to where it belongs."""
    row, there = _row(tile, "r")
    with code.block(f"for (unsigned e = threadIdx.x; e < {tile.rows * tile.width}u; e += {THREADS}u)"):
        code.line(f"const unsigned r = e / {tile.width}u, n = first + e % {tile.width}u;")
        _total(tile, "all", "e", code)
        code.line(f"if ({there} && n < {tile.columns}u) out{k}[step * out{k}_move + {row} * out{k}_far + n] = all;")


def _multiplied_and_passed(k: int, tile: Tile, own: Phase, code: Code) -> None:
    """The block's part of the product, and the pass over its units and columns.

    What the pass reads beside the product is there before it, since all blocks have waited. So it is asked for at once,
    where each thread has one unit and column.
    """
    (each,), (prefix,) = own.kernels, _prefixes(k + 1, own.kernels)
    place = f"const unsigned i0 = top + e / {tile.width}u, i1 = first + e % {tile.width}u;"
    inside = f"i0 < {tile.units}u && i1 < {tile.columns}u"
    known = {operand: f"part{part}" for operand, part in own.made}
    if not tile.at_once:
        _multiplied(k, tile, code)
        with code.block(f"for (unsigned e = threadIdx.x; e < {tile.each * tile.width}u; e += {THREADS}u)"):
            code.line(place)
            with code.block(f"if ({inside})"):
                _passed(k, tile, Writer(each, code, prefix, True, known), code)
        return
    code.line("const unsigned e = threadIdx.x;")
    code.line(place)
    code.line(f"const bool used = e < {tile.each * tile.width}u && {inside};")
    loads = Writer(each, code, prefix, resident=True)
    early = {operand: f"early{operand}" for name, operand, *_ in each.steps
             if name == "load" and operand not in known}
    _multiplied(k, tile, code, [f"const {each.accesses[operand].kind} {name} = used ? "
                                f"{loads.load(operand)} : 0;" for operand, name in early.items()])
    with code.block("if (used)"):
        _passed(k, tile, Writer(each, code, prefix, True, known | early), code)


def _passed(k: int, tile: Tile, writer: Writer, code: Code) -> None:
    """One element of the pass, and of the product's parts that it is made of."""
    for part in range(tile.stacked):
        _total(tile, f"part{part}", f"{part * tile.each * tile.width}u + e", code)
        code.line(f"out{k}[step * out{k}_move + ({part * tile.units}u + i0) * out{k}_far + i1] = part{part};")
    writer.element()


def by_examples(kernels: Sequence[Kernel], links: Links, name: str) -> str:
    """The text of a kernel that goes through the steps for the examples of a block."""
    code, prefixes = Code(), _prefixes(0, kernels)
    room(kernels, code)
    with code.block("for (long long step = 0; step < steps; step++)"):
        _by_lanes(kernels, prefixes, links, code, f"blockIdx.x * {LANES}u")
        code.line("__syncthreads();")
    return function(name, ["const long long steps", *_parameters(kernels, prefixes)], code, BOUNDS)


def _prefixes(k: int, kernels: Sequence[Kernel]) -> list[str]:
    return [f"{letters(k)}{j}_" for j in range(len(kernels))]


def _parameters(kernels: Sequence[Kernel], prefixes: Sequence[str]) -> list[str]:
    """Those of each pass, and by how many elements each of its operands moves from step to step."""
    found = []
    for each, prefix in zip(kernels, prefixes, strict=True):
        found += each.parameters(prefix, alone=False)
        found += [f"const long long {prefix}m{j}" for j in range(len(each.accesses))]
    return found


def _passes(phase: Phase, prefixes: Sequence[str], code: Code) -> None:
    """A phase of passes: one without sums goes over the whole grid, others go by examples."""
    kernels = phase.kernels
    if len(kernels) == 1 and not kernels[0].folds:
        _everywhere(kernels[0], code, prefixes[0])
        return
    last = len(kernels[0].folded) - 1
    with code.block(f"for (unsigned base = blockIdx.x * {LANES}u; base < (unsigned){prefixes[0]}n{last}; "
                    f"base += gridDim.x * {LANES}u)"):
        _by_lanes(kernels, prefixes, phase.links, code, "base")


def _by_lanes(kernels: Sequence[Kernel], prefixes: Sequence[str], links: Links, code: Code, base: str) -> None:
    """The passes one after the other, for LANES examples."""
    code.line(f"const unsigned lane = threadIdx.x % {LANES}u;")
    code.line(f"const unsigned row = threadIdx.x / {LANES}u, rows = {THREADS // LANES}u;")
    if any(each.folds for each in kernels):
        code.line(f"const unsigned lanes = {LANES}u;")
    in_turn(kernels, prefixes, links, code, f"{base} + lane", resident=True)


def _everywhere(each: Kernel, code: Code, prefix: str) -> None:
    with code.block(f"for (unsigned e = blockIdx.x * {THREADS}u + threadIdx.x; e < {product(each.axes, prefix)}; "
                    f"e += gridDim.x * {THREADS}u)"):
        flat(each.used, code, "rest", "e", each.axes)
        decode(code, "rest", each.axes, each.used, prefix)
        Writer(each, code, prefix, resident=True).element()
