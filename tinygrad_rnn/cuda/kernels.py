"""A pass as a kernel in CUDA C. What is compiled knows the structure, not the sizes: extents and strides are arguments.

A pass without folds has a thread for each element. One with folds has, where the innermost axis is summed, a block
for each sum, else a block for each 32 sums that lie next to each other; the threads of a block add in a fixed order, so
that a run repeats its bits. Sums of many numbers are cut into parts by the grid's second axis, which `finish` adds up.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..fusion.passes import Pass
from ..fusion.scalar import FOLDS, Terms
from .values import INTEGER, KINDS, Code, Value, literal

THREADS = 256  # of a block
LANES = 32  # sums beside each other in one block
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


@dataclass(frozen=True)
class Access:
    """How a kernel reaches an operand: along each axis 0 (the same number throughout), 1 (contiguous) or -1."""

    dtype: str
    written: bool
    along: tuple[int, ...]

    @property
    def kind(self) -> str:
        """Its type in memory."""
        return "unsigned char" if self.dtype == "bool" else KINDS[self.dtype]


@dataclass(frozen=True)
class Kernel:
    """What one pass does, whatever the sizes; the fields are those of `fusion.passes.Pass`.

    In a step ("take", operand, step, k) how far and how many are the arguments far<k> and count<k>.
    folded: of each axis, do the folds run over it?
    """

    dtype: str
    folded: tuple[bool, ...]
    accesses: tuple[Access, ...]
    steps: tuple[tuple[Any, ...], ...]
    stores: tuple[tuple[int, int], ...]
    folds: tuple[tuple[int, int, str], ...]

    @property
    def axes(self) -> range:
        """The axes' numbers."""
        return range(len(self.folded))

    @property
    def used(self) -> frozenset[int]:
        """The axes along which some operand moves."""
        return self.moving(range(len(self.accesses)))

    def moving(self, operands: Collection[int]) -> frozenset[int]:
        """The axes along which some of these operands move."""
        return frozenset(j for j in self.axes if any(self.accesses[k].along[j] for k in operands))

    @property
    def by_lanes(self) -> bool:
        """Do the threads of a block have different sums?"""
        return bool(self.folds) and not self.folded[-1]

    def parameters(self, prefix: str = "", alone: bool = True) -> list[str]:
        """What the kernel is given: extents, and of each operand the address and the strides that are not known.

        alone: whether nothing but this pass touches its memory meanwhile, so that loads may go where nobody looks
        for what others have written.
        """
        found = [f"const long long {prefix}n{k}" for k in self.axes]
        for k, access in enumerate(self.accesses):
            const = "" if access.written else "const "
            found.append(f"{const}{access.kind} *{'__restrict__ ' * alone}{prefix}p{k}")
            found += [f"const long long {prefix}s{k}_{j}" for j, a in enumerate(access.along) if a < 0]
        takes = sum(1 for name, *_ in self.steps if name == "take")
        return found + [f"const long long {prefix}{what}{j}" for j in range(takes) for what in ("far", "count")]


def kernel(p: Pass) -> Kernel:
    """The structure of a pass."""
    accesses = tuple(Access(o.dtype, o in p.written, tuple(
        0 if strides[k] == 0 else 1 if strides[k] == o.array.itemsize else -1 for _, strides in p.axes))
        for k, o in enumerate(p.operands))
    folded = tuple(bool(p.folds) and all(strides[k] == 0 for k, _, _ in p.folds) for _, strides in p.axes)
    numbers = itertools.count()
    steps = tuple((*step[:3], next(numbers)) if step[0] == "take" else step for step in p.steps)
    return Kernel(p.dtype, folded, accesses, steps, p.stores, p.folds)


def strides(p: Pass, k: int) -> list[int]:
    """The strides of an operand that its kernel does not know, in elements."""
    size = p.operands[k].array.itemsize
    return [s[k] // size for _, s in p.axes if s[k] not in (0, size)]


class Writer:
    """Writes what is done for one element, whose position along axis k is the variable i<k>.

    resident: in a kernel that runs a whole loop, where `step` is the step, <prefix>m<k> how far operand k moves with
    it, and what other blocks have written is not looked for in this block's own cache. known: variables that hold the
    elements of operands.
    """

    def __init__(self, kernel: Kernel, code: Code, prefix: str = "", resident: bool = False,
                 known: Mapping[int, str] | None = None):
        self.kernel, self.code, self.prefix, self.resident, self.known = kernel, code, prefix, resident, known or {}
        self.kind = KINDS[kernel.dtype]
        self.terms = Terms(self.number, self.truth, lambda x: isinstance(x, bool) or (
            isinstance(x, Value) and x.kind == "bool"))

    def element(self) -> list[Value]:
        """Loads, steps and stores; the values that are to be folded."""
        values: list[Any] = []
        for name, *args in self.kernel.steps:
            if name == "load":
                values.append(self._loaded(args[0]))
            elif name == "take":
                values.append(self._taken(args[0], values[args[1]], args[2]))
            else:
                values.append(args[0] if name == "const" else self._computed(name, [values[k] for k in args]))
        for operand, step in self.kernel.stores:
            value, dtype = values[step], self.kernel.accesses[operand].dtype
            if dtype == "int64" and not isinstance(value, Value):
                value = self._beside_integers(value)
            value = (self.truth if dtype == "bool" else self.number)(value)
            self.code.line(f"{self.at(operand)} = {value.text};")
        return [self.number(values[step]) for _, step, _ in self.kernel.folds]

    def _computed(self, name: str, args: list[Any]) -> Value:
        """A step; beside integers whole numbers and truth values are integers too, so that all are compared exactly."""
        first = 1 if name == "where" else 0
        if any(isinstance(a, Value) and a.kind == INTEGER for a in args[first:]):
            args = [*args[:first], *map(self._beside_integers, args[first:])]
        found: Value = self.terms.computed(name, args)
        return found

    def _beside_integers(self, x: Any) -> Value:
        if isinstance(x, Value):
            return x if x.kind != "bool" else x.choose(Value(self.code, INTEGER, literal(INTEGER, 1)), 0)
        kind = INTEGER if float(x).is_integer() else "double"
        return Value(self.code, kind, literal(kind, x))

    def _taken(self, operand: int, place: Any, k: int) -> Value:
        """The element at a place, or 0 where there is no such place."""
        place = Value(self.code, INTEGER, literal(INTEGER, place)) if not isinstance(place, Value) else place
        there = self.code.let("bool", f"{place.text} >= 0 && {place.text} < {self.prefix}count{k}")
        inside = self.code.let(INTEGER, f"{there.text} ? (long long){place.text} : 0LL")
        further = f"{inside.text} * {self.prefix}far{k}"
        found = self._read(operand, self._there(operand, f"{self.offset(operand)} + {further}"))
        return there.choose(found, False if found.kind == "bool" else 0.0)

    def _loaded(self, operand: int) -> Value:
        return self._read(operand, self.known.get(operand) or self.load(operand))

    def _read(self, operand: int, found: str) -> Value:
        """A value of that type in memory."""
        dtype = self.kernel.accesses[operand].dtype
        return self.code.let("bool", f"{found} != 0") if dtype == "bool" else self.code.let(KINDS[dtype], found)

    def load(self, operand: int) -> str:
        """What loads the element of an operand."""
        return self._there(operand, self.offset(operand))

    def _there(self, operand: int, offset: str) -> str:
        element = f"{self.prefix}p{operand}[{offset}]"
        return f"__ldcg(&{element})" if self.resident else element

    def at(self, operand: int) -> str:
        """The element of an operand."""
        return f"{self.prefix}p{operand}[{self.offset(operand)}]"

    def offset(self, operand: int) -> str:
        """Where the element lies from the operand's address."""
        along = enumerate(self.kernel.accesses[operand].along)
        terms = [f"i{j}" if a > 0 else f"i{j} * {self.prefix}s{operand}_{j}" for j, a in along if a]
        if self.resident:
            terms.insert(0, f"step * {self.prefix}m{operand}")
        return " + ".join(terms) or "0"

    def number(self, value: Any) -> Value:
        """A value as a number."""
        if not isinstance(value, Value):
            return Value(self.code, self.kind, literal(self.kind, float(value)))
        return value if value.kind != "bool" else value.choose(Value(self.code, self.kind, literal(self.kind, 1)), 0.0)

    def truth(self, value: Any) -> Value:
        """A value as a truth value."""
        if not isinstance(value, Value):
            return Value(self.code, "bool", literal("bool", value))
        return value if value.kind == "bool" else value.compare("!=", 0.0)


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
    loads = list(dict.fromkeys(operand for name, operand, *_ in kernel.steps if name == "load"))
    same = [k for k in loads if not any(kernel.accesses[k].along[j] for j in axes)]
    others = [k for k in loads if k not in same]
    rest = [operand for name, operand, *_ in kernel.steps if name == "take"] + [operand for operand, _ in kernel.stores]
    size = sum(np.dtype(kernel.accesses[k].dtype).itemsize for k in others)
    ahead = max(1, min(AHEAD, LOADED // size)) if others else 1
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
    """A block for each LANES sums along the innermost axis; its rows of threads are a power of two."""
    axes, last = kept(kernel), len(kernel.folded) - 1
    code.line("extern __shared__ __align__(16) unsigned char shared[];")
    code.line("double *const held = (double *)shared;")
    code.line(f"const unsigned beside = ((unsigned)n{last} + {LANES - 1}u) / {LANES}u;")
    flat(kernel.used, code, "sum", "blockIdx.x / beside", axes[:-1])
    code.line(f"const unsigned i{last} = blockIdx.x % beside * {LANES}u + threadIdx.x;")
    decode(code, "sum", axes[:-1], kernel.used)
    start(kernel, code)
    with code.block(f"if (i{last} < (unsigned)n{last})"):
        accumulate(kernel, code, "blockIdx.y * blockDim.y + threadIdx.y", "blockDim.y * gridDim.y")
    here = f"threadIdx.y * {LANES}u + threadIdx.x"
    for f, fold in enumerate(kernel.folds):
        tree(code, fold[2], f, "threadIdx.y", "blockDim.y", here, f"{here} + far * {LANES}u")
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

