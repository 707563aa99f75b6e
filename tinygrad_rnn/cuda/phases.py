"""A pass as a part of a larger kernel: what a block does of it for its positions of the innermost axis.

The kernel has set `lane`, `row` and `rows`: which of the block's positions a thread has, and which of the threads it is
that share it; `lanes` is how many positions the block has. All threads come by here. resident: as of `Writer`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..fusion.lift import Operand, Table
from ..fusion.passes import Pass
from .element import Kernel, Writer, kernel
from .kernels import accumulate, decode, flat, kept, product, run, start, tree
from .values import Code

Links = tuple[tuple[tuple[int, int], ...], ...]


def room(kernels: Sequence[Kernel], code: Code) -> None:
    """Shared memory for a total of each thread, where there are sums."""
    if any(each.folds for each in kernels):
        code.line("extern __shared__ __align__(16) unsigned char shared[];")
        code.line("double *const held = (double *)shared;")


def handed_on(passes: Sequence[Pass]) -> Links:
    """Of each pass what the one before has just summed for its only element: (operand, which sum)."""
    found: list[tuple[tuple[int, int], ...]] = []
    for before, p in zip([None, *passes], passes, strict=False):
        sums = {} if before is None or not _of_one(kernel(p)) or kept(kernel(before)) != [len(before.axes) - 1] else {
            _elements(before.operands[k]): f for f, (k, _, _) in enumerate(before.folds)}
        found.append(tuple((k, sums[_elements(o)]) for k, o in enumerate(p.operands) if _elements(o) in sums))
    return tuple(found)


def _elements(o: Operand) -> tuple[object, ...]:
    """Equal for operands of the same elements, whatever they are spread over."""
    moves = zip(o.array.shape, o.array.strides, strict=True)
    return (isinstance(o, Table), o.address, o.step, o.dtype, *((n, s) for n, s in moves if n != 1 and s != 0))


def _of_one(each: Kernel) -> bool:
    """Has it one element for each position, and no sum?"""
    return len(each.axes) == 1 and not each.folds


def in_turn(kernels: Sequence[Kernel], prefixes: Sequence[str], links: Links, code: Code, position: str,
            resident: bool = False) -> None:
    """Passes one after the other for the position that an expression gives: the last axis's index, if there is one.

    What has one element for each position is done by the position's first thread, also behind a sum, which it has made:
    then it waits for no other.
    """
    done = 0
    while done < len(kernels):
        first, behind = kernels[done], done + 1
        while behind < len(kernels) and _of_one(kernels[behind]) and (first.folds or _of_one(first)):
            behind += 1
        if done:
            code.line("__syncthreads();")
        with code.block(""):
            _place(first, prefixes[done], code, position)
            (_totals if first.folds else _mapping)(first, code, prefixes[done], resident)
            for k in range(done + 1, behind):
                with code.block(""):
                    _place(kernels[k], prefixes[k], code, position)
                    known = {operand: f"total{f}" for operand, f in links[k]}
                    with code.block("if (mine && row == 0)"):
                        Writer(kernels[k], code, prefixes[k], resident, known).element()
        done = behind


def _place(each: Kernel, prefix: str, code: Code, position: str) -> None:
    last = len(each.folded) - 1
    code.line(f"const unsigned i{last} = {position};")
    code.line(f"const bool mine = i{last} < (unsigned){prefix}n{last};")


def _mapping(kernel: Kernel, code: Code, prefix: str, resident: bool) -> None:
    """A pass without sums: the threads of a position take its elements in turns."""
    with code.block("if (mine)"):
        run(kernel, code, list(kernel.axes)[:-1], "row", "rows", lambda writer: writer.element(), prefix, resident)


def _totals(kernel: Kernel, code: Code, prefix: str, resident: bool) -> None:
    """A pass with sums: one after the other, each by all threads of the position."""
    axes = kept(kernel)[:-1]
    if axes:
        with code.block(f"for (unsigned s = 0; s < {product(axes, prefix)}; s++)"):
            flat(kernel.used, code, "sum", "s", axes)
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
