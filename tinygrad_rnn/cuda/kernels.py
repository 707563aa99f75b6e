"""A pass as a kernel in CUDA C. What is compiled knows the structure, not the sizes: extents and strides are arguments.

A pass without folds has a thread for each element. One with folds has, where the innermost axis is summed, a block
for each sum, else a block for up to 32 sums that lie next to each other; its threads add in a fixed order, so
that a run repeats its bits. Sums of many numbers are cut into parts by the grid's second axis, which `finish` adds up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence

import numpy as np

from ..fusion.scalar import FOLDS
from .element import Kernel, Writer
from .values import Code, Value, literal

THREADS = 256  # of a block
LANES = 32  # sums beside each other in one block at most
AHEAD = 4  # positions for which a thread loads before it goes on, at most
LOADED = 48  # bytes that it loads for them, about
WIDE = "double"  # what sums are kept in
# NVRTC has no <math.h>.
PRELUDE = """#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif
#ifndef NAN
#define NAN __int_as_float(0x7fffffff)
#endif
"""


def decode(code: Code, flat: str, axes: Sequence[int], used: Collection[int], prefix: str = "") -> None:
    """Set i<k> for those of these axes that are used, the last the fastest, from a flat position."""
    axes = list(axes)
    while axes and not set(axes).isdisjoint(used):
        j = axes.pop()
        if axes and j in used:
            code.line(f"const unsigned i{j} = {flat} % (unsigned){prefix}n{j};")
        elif j in used:
            code.line(f"const unsigned i{j} = {flat};")
        if not set(axes).isdisjoint(used):
            code.line(f"{flat} /= (unsigned){prefix}n{j};")


def product(axes: Sequence[int], prefix: str = "") -> str:
    """How many positions there are along these axes together."""
    return " * ".join(f"(unsigned){prefix}n{j}" for j in axes) or "1u"


def source(kernel: Kernel, name: str, guarded: bool = False) -> str:
    """The kernel's text. guarded: its last parameter is the address of a truth value, without which nothing is done."""
    write = _mapping if not kernel.folds else _by_lanes if kernel.by_lanes else _by_block
    code = Code()
    if guarded:
        code.line("if (!*when) return;")
    write(kernel, code)
    more = ["double *partial"] * bool(kernel.folds) + ["const unsigned char *when"] * guarded
    return function(name, [*kernel.parameters(), *more], code)


def function(name: str, parameters: Sequence[str], code: Code, bounds: object = 2 * THREADS) -> str:
    """The text of a kernel. bounds: of its launch, how many threads a block has at most."""
    head = f'extern "C" __global__ void __launch_bounds__({bounds}) {name}(\n    '
    return head + ",\n    ".join(parameters) + ")\n{\n" + "\n".join(code.lines) + "\n}\n"


def _mapping(kernel: Kernel, code: Code) -> None:
    code.line("unsigned flat = blockIdx.x * blockDim.x + threadIdx.x;")
    code.line(f"if (flat >= {product(kernel.axes)}) return;")
    decode(code, "flat", kernel.axes, kernel.used)
    Writer(kernel, code).element()


def kept(kernel: Kernel) -> list[int]:
    """The axes along which there are different sums."""
    return [k for k in kernel.axes if not kernel.folded[k]]


def summed(kernel: Kernel) -> list[int]:
    """The axes that are summed."""
    return [k for k in kernel.axes if kernel.folded[k]]


def flat(used: Collection[int], code: Code, name: str, value: str, axes: Sequence[int]) -> None:
    """A flat position that is then decoded, where somebody asks for it."""
    if not set(axes).isdisjoint(used):
        code.line(f"unsigned {name} = {value};")


def start(kernel: Kernel, code: Code) -> None:
    """The totals before anything is added."""
    for f, (_, _, op) in enumerate(kernel.folds):
        code.line(f"double total{f} = {literal(WIDE, FOLDS[op][0])};")


def accumulate(kernel: Kernel, code: Code, first: str, step: str, prefix: str = "", resident: bool = False) -> None:
    """Run over what is summed."""

    def use(writer: Writer) -> None:
        for f, ((_, _, op), value) in enumerate(zip(kernel.folds, writer.element(), strict=True)):
            code.line(f"total{f} = {combined(code, op, f'total{f}', value.text)};")

    run(kernel, code, summed(kernel), first, step, use, prefix, resident)


def run(kernel: Kernel, code: Code, axes: Sequence[int], first: str, step: str, use: Callable[[Writer], object],
        prefix: str = "", resident: bool = False) -> None:
    """`use` an element for each of a thread's positions along these axes: `first`, and then every `step`.

    A load takes longer than all the rest, and none waits for another. So what is the same for all positions is loaded
    once, and the rest for several positions before the first of them is used.
    """
    plain, count = Writer(kernel, code, prefix, resident), product(axes, prefix)
    same, others, rest = _operands(kernel, axes)
    ahead = _ahead(kernel, others)
    known = {k: f"same{k}" for k in same} | {k: f"next{k}[k]" for k in others}
    writer = Writer(kernel, code, prefix, resident, known)

    def load() -> None:
        for k in others:
            code.line(f"next{k}[k] = {plain.load(k)};")

    def each(operands: Sequence[int], do: Callable[[], object]) -> None:
        """For each of the positions that are under way: where that is for these operands, and what to do there."""
        used = kernel.moving(operands)
        code.line("#pragma unroll")
        with code.block(f"for (unsigned k = 0; k < {ahead}u; k++)"):
            code.line(f"const unsigned at = r + k * ({step});")
            with code.block(f"if (at < {count})"):
                flat(used, code, "rest", "at", axes)
                decode(code, "rest", axes, used, prefix)
                do()

    for k in same:
        code.line(f"const {kernel.accesses[k].kind} same{k} = {first} < {count} ? {plain.load(k)} : 0;")
    with code.block(f"for (unsigned r = {first}; r < {count}; r += {ahead}u * ({step}))"):
        for k in others:
            code.line(f"{kernel.accesses[k].kind} next{k}[{ahead}];")
        if others:
            each(others, load)
        each(rest, lambda: use(writer))


def _operands(kernel: Kernel, axes: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """What is loaded and the same at all positions along these axes, what is loaded anew at each, and all else."""
    loads = list(dict.fromkeys(operand for name, operand, *_ in kernel.steps if name == "load"))
    same = [k for k in loads if not any(kernel.accesses[k].along[j] for j in axes)]
    rest = [operand for name, operand, *_ in kernel.steps if name == "take"] + [operand for operand, _ in kernel.stores]
    return same, [k for k in loads if k not in same], rest


def _ahead(kernel: Kernel, loaded: Sequence[int]) -> int:
    """For how many positions a thread loads these operands before it goes on."""
    size = sum(np.dtype(kernel.accesses[k].dtype).itemsize for k in loaded)
    return max(1, min(AHEAD, LOADED // size)) if loaded else 1


def combined(code: Code, op: str, a: str, b: str) -> str:
    """Two totals as one."""
    wide = code.let(WIDE, b)
    return str(FOLDS[op][1](Value(code, WIDE, a), wide).text)


def _by_block(kernel: Kernel, code: Code) -> None:
    """A block for each sum; its threads are a power of two."""
    code.line("extern __shared__ __align__(16) unsigned char shared[];")
    code.line("double *const held = (double *)shared;")
    flat(kernel.used, code, "sum", "blockIdx.x", kept(kernel))
    decode(code, "sum", kept(kernel), kernel.used)
    start(kernel, code)
    accumulate(kernel, code, "blockIdx.y * blockDim.x + threadIdx.x", "blockDim.x * gridDim.y")
    for f, fold in enumerate(kernel.folds):
        tree(code, fold[2], f, "threadIdx.x", "blockDim.x", "threadIdx.x", "threadIdx.x + far")
    with code.block("if (threadIdx.x == 0)"):
        _finished(kernel, code, "blockIdx.x", "gridDim.x")


def _by_lanes(kernel: Kernel, code: Code) -> None:
    """A block for each blockDim.x sums along the innermost axis; its rows of threads are a power of two."""
    axes, last = kept(kernel), len(kernel.folded) - 1
    code.line("extern __shared__ __align__(16) unsigned char shared[];")
    code.line("double *const held = (double *)shared;")
    code.line(f"const unsigned beside = ((unsigned)n{last} + blockDim.x - 1u) / blockDim.x;")
    flat(kernel.used, code, "sum", "blockIdx.x / beside", axes[:-1])
    code.line(f"const unsigned i{last} = blockIdx.x % beside * blockDim.x + threadIdx.x;")
    decode(code, "sum", axes[:-1], kernel.used)
    start(kernel, code)
    with code.block(f"if (i{last} < (unsigned)n{last})"):
        accumulate(kernel, code, "blockIdx.y * blockDim.y + threadIdx.y", "blockDim.y * gridDim.y")
    here = "threadIdx.y * blockDim.x + threadIdx.x"
    for f, fold in enumerate(kernel.folds):
        tree(code, fold[2], f, "threadIdx.y", "blockDim.y", here, f"{here} + far * blockDim.x")
    with code.block(f"if (threadIdx.y == 0 && i{last} < (unsigned)n{last})"):
        _finished(kernel, code, f"blockIdx.x / beside * (unsigned)n{last} + i{last}",
                  f"gridDim.x / beside * (unsigned)n{last}")


def tree(code: Code, op: str, f: int, thread: str, threads: str, here: str, there: str) -> None:
    """total<f> of the first thread: all threads' totals, pairwise."""
    code.line(f"held[{here}] = total{f};")
    code.line("__syncthreads();")
    with code.block(f"for (unsigned far = {threads} / 2; far > 0; far /= 2)"):
        with code.block(f"if ({thread} < far)"):
            code.line(f"held[{here}] = {combined(code, op, f'held[{here}]', f'held[{there}]')};")
        code.line("__syncthreads();")
    code.line(f"total{f} = held[{here}];")


def _finished(kernel: Kernel, code: Code, sum_: str, sums: str) -> None:
    """The totals are what was asked for, or are laid aside where others have the rest of the sum."""
    writer = Writer(kernel, code)
    with code.block("if (gridDim.y == 1)"):
        for f, (operand, _, _) in enumerate(kernel.folds):
            code.line(f"{writer.at(operand)} = total{f};")
    with code.block("else"):
        for f in range(len(kernel.folds)):
            code.line(f"partial[({f}u * gridDim.y + blockIdx.y) * (unsigned long long)({sums}) + {sum_}] = total{f};")


def finish_source(kernel: Kernel, name: str) -> str:
    """A thread for each sum adds up its parts: the parameters of the kernel, the parts, and how many of them."""
    code, axes = Code(), kept(kernel)
    code.line("unsigned flat = blockIdx.x * blockDim.x + threadIdx.x;")
    code.line(f"const unsigned sums = {product(axes)};")
    code.line("if (flat >= sums) return;")
    code.line("const unsigned mine = flat;")
    decode(code, "flat", axes, kernel.used)
    start(kernel, code)
    writer = Writer(kernel, code)
    for f, (operand, _, op) in enumerate(kernel.folds):
        code.line("#pragma unroll 16")
        with code.block("for (long long k = 0; k < parts; k++)"):
            one = f"partial[({f} * parts + k) * sums + mine]"
            code.line(f"total{f} = {combined(code, op, f'total{f}', one)};")
        code.line(f"{writer.at(operand)} = total{f};")
    return function(name, [*kernel.parameters(), "const double *partial", "const long long parts"], code)


def named(what: str, structure: object) -> str:
    """A name for what a kernel of that structure does, the same in every process."""
    return f"{what}_{hashlib.sha256(repr(structure).encode()).hexdigest()[:16]}"
