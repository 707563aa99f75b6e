"""A pass as a part of a larger kernel: what a block does of it for its positions of the innermost axis.

The kernel has set `lane`, `row` and `rows`: which of the block's positions a thread has, and which of the threads it is
that share it; `lanes` is how many positions the block has. All threads come by here. resident: as of `Writer`.
"""

from __future__ import annotations

from collections.abc import Sequence

from .kernels import Kernel, Writer, accumulate, decode, flat, kept, product, start, tree
from .values import Code


def room(kernels: Sequence[Kernel], code: Code) -> None:
    """Shared memory for a total of each thread, where there are sums."""
    if any(each.folds for each in kernels):
        code.line("extern __shared__ __align__(16) unsigned char shared[];")
        code.line("double *const held = (double *)shared;")


def in_turn(kernels: Sequence[Kernel], prefixes: Sequence[str], code: Code, position: str, resident: bool = False
            ) -> None:
    """Passes one after the other for the position that an expression gives: the last axis's index, if there is one."""
    for k, (each, prefix) in enumerate(zip(kernels, prefixes, strict=True)):
        last = len(each.folded) - 1
        if k:
            code.line("__syncthreads();")
        with code.block(""):
            code.line(f"const unsigned i{last} = {position};")
            code.line(f"const bool mine = i{last} < (unsigned){prefix}n{last};")
            (_totals if each.folds else _mapping)(each, code, prefix, resident)


def _mapping(kernel: Kernel, code: Code, prefix: str, resident: bool) -> None:
    """A pass without sums: the threads of a position take its elements in turns."""
    axes = list(kernel.axes)[:-1]
    with code.block("if (mine)"), code.block(f"for (unsigned r = row; r < {product(axes, prefix)}; r += rows)"):
        flat(kernel, code, "rest", "r", axes)
        decode(code, "rest", axes, kernel.used, prefix)
        Writer(kernel, code, prefix, resident).element()


def _totals(kernel: Kernel, code: Code, prefix: str, resident: bool) -> None:
    """A pass with sums: one after the other, each by all threads of the position."""
    axes = kept(kernel)[:-1]
    if axes:
        with code.block(f"for (unsigned s = 0; s < {product(axes, prefix)}; s++)"):
            flat(kernel, code, "sum", "s", axes)
            decode(code, "sum", axes, kernel.used, prefix)
            _total(kernel, code, prefix, resident)
    else:
        _total(kernel, code, prefix, resident)


def _total(kernel: Kernel, code: Code, prefix: str, resident: bool) -> None:
    start(kernel, code)
    with code.block("if (mine)"):
        accumulate(kernel, code, "row", "rows", prefix, resident)
    here, there = "row * lanes + lane", "(row + far) * lanes + lane"
    for f, fold in enumerate(kernel.folds):
        tree(code, fold[2], f, "row", "rows", here, there)
    with code.block("if (mine && row == 0)"):
        writer = Writer(kernel, code, prefix, resident)
        for f, (operand, _, _) in enumerate(kernel.folds):
            code.line(f"{writer.at(operand)} = total{f};")
