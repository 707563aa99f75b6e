"""A whole loop as one kernel that stays on the GPU: the weights lie in the shared memory of its blocks all the while.

Launched step by step, a small product is read anew from far memory each time, and each launch costs microseconds. Here
every block keeps some rows of each weight matrix, and all blocks wait for each other before they read what others have
computed: a barrier over the whole grid, which a cooperative launch makes safe (Diamos et al., "Persistent RNNs:
Stashing Recurrent Weights On-Chip", 2016). Any loop will do whose body is products with matrices that it leaves alone,
and passes that keep the batch apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..fusion.lift import Memory, Operand, Product
from ..fusion.passes import Pass
from .chain import chained
from .element import kernel
from .kernels import named
from .launch import Launch, arguments
from .phases import handed_on
from .resident_text import CLEAR, LANES, Phase, by_examples, source
from .tiles import MICRO, THREADS, Tile
from .values import KINDS

NARROWEST = 8  # columns of a product that are worth a block of their own: memory gives no less than 32 bytes
LOAD = 16  # bytes that one load takes at most

Work = Product | list[Pass]


def resident(phases: Sequence[Work], count: int, memory: Memory, multiprocessors: int, shared: int
             ) -> list[Launch] | None:
    """The loop as launches; None where it is not of that kind or does not fit.

    phases: products, and passes between them that `chained` lets follow each other. shared: bytes that a block may
    have.
    """
    products = [phase for phase in phases if isinstance(phase, Product)]
    if not products:
        return _by_examples(phases, count)
    if len({p.out.dtype for p in products}) != 1 or not all(_may_stay(p, phases, count) for p in products):
        return None
    plan = _plan(phases, count, multiprocessors, shared)
    return None if plan is None else _launches(phases, plan, count, memory, multiprocessors)


def _by_examples(phases: Sequence[Work], count: int) -> list[Launch] | None:
    """A loop without products: a block does all its steps for some examples, and waits for no other."""
    passes = [p for phase in phases if not isinstance(phase, Product) for p in phase]
    if not passes or not chained(passes, count):
        return None
    kernels, links = [kernel(p) for p in passes], handed_on(passes)
    name = named("loop", (kernels, links))
    args: list[Any] = [np.int64(count)]
    for p in passes:
        args += _moving_arguments(p)
    blocks = -(-passes[0].axes[-1][0] // LANES)
    return [Launch(name, by_examples(kernels, links, name), (blocks, 1, 1), (THREADS, 1, 1), 8 * THREADS, args, {},
                   [*phases])]


# -- what may stay -----------------------------------------------------------------------------------


def _may_stay(p: Product, phases: Sequence[Work], count: int) -> bool:
    """Is it a matrix that the loop leaves alone, times a state whose innermost axis is the batch?"""
    f = p.fields
    if p.kernel != "blas" or f["count"] != 1 or f["turn_a"] or p.b.step or p.out.dtype not in ("float32", "float64"):
        return False
    low, high = p.b.low, p.b.high
    return not any(a < high and low < b for w in _written(phases) for a, b in [w.reach(count)])


def _written(phases: Sequence[Work]) -> list[Operand]:
    return [o for phase in phases for o in ([phase.out] if isinstance(phase, Product) else [
        o for p in phase for o in p.written])]


def _stacked(product: Product, following: Work | None, count: int) -> int:
    """Into how many alike parts the product's rows fall for a pass that reads it element by element, as gates do.

    0 where the pass needs rows that other blocks have, or changes what others may still have to multiply.
    """
    if following is None or isinstance(following, Product) or len(following) != 1:
        return 0
    (p,) = following
    if p.folds or len(p.axes) != 2 or any(_meet(product.a, w, count) for w in p.written):
        return 0
    (units, _), (columns, _) = p.axes
    rows = product.fields["n"]
    if columns != product.fields["m"] or rows % units:
        return 0
    own = all(_is_a_part(o, k, p, product) for k, o in enumerate(p.operands) if _meet(o, product.out, count))
    return rows // units if own else 0


def _is_a_part(o: Operand, k: int, p: Pass, product: Product) -> bool:
    """Is operand k of the pass, only read, the rows of one of the parts, in their order?"""
    out, size = product.out, product.out.array.itemsize
    row = product.fields["ldc"] * size
    strides = [each[k] for n, each in p.axes if n != 1]
    expected = [s for (n, _), s in zip(p.axes, (row, size), strict=True) if n != 1]
    at, rest = divmod(o.address - out.address, p.axes[0][0] * row)
    same = o.dtype == out.dtype and o.step == out.step and strides == expected
    return o not in p.written and same and rest == 0 and at >= 0


def _meet(x: Operand, y: Operand, count: int) -> bool:
    """May they share a byte at the same step? Where they move differently, at any step."""
    (a, b), (c, d) = (o.reach(1 if x.step == y.step else count) for o in (x, y))
    return a < d and c < b


# -- which block does what ---------------------------------------------------------------------------


def _plan(phases: Sequence[Work], count: int, blocks: int, shared: int) -> list[Phase] | None:
    """The phases with their parts, as many as there are blocks: narrow ones while the matrices have room."""
    barriers = _barriers(phases, count)
    for narrow in range(5, -1, -1):
        found: list[Phase] = []
        for phase, barrier in zip(phases, barriers, strict=True):
            before, following = _beside(phases, len(found))
            if isinstance(phase, Product):
                stacked = max(_stacked(phase, following, count), 1)
                tile = _tile(phase, stacked, blocks, narrow)
                found.append(Phase(barrier, replace(tile, first=_first(tile, found, blocks))))
            elif isinstance(before, Product) and not found[-1].wait:
                found.append(Phase(barrier, None, (kernel(phase[0]),), _made(before, phase[0], count)))
            else:
                found.append(Phase(barrier, kernels=tuple(map(kernel, phase)), links=handed_on(phase)))
        tiles = [phase.tile for phase in found if phase.tile is not None]
        if _shared(tiles) <= shared and all(t.parts <= blocks and t.micro <= THREADS for t in tiles):
            return found
    return None


def _first(tile: Tile, found: Sequence[Phase], blocks: int) -> int:
    """The block that begins a product: one that has nothing to do with the product before, if they go side by side."""
    before = found[-1] if found else Phase(wait=True)
    free = before.tile.first + before.tile.parts if before.tile is not None and not before.wait else 0
    return free if free + tile.parts <= blocks else 0


def _beside(phases: Sequence[Work], k: int) -> tuple[Work | None, Work | None]:
    """What comes before and after phase k."""
    return phases[k - 1] if k else None, phases[k + 1] if k + 1 < len(phases) else None


def _made(product: Product, p: Pass, count: int) -> tuple[tuple[int, int], ...]:
    """The operands of a pass that are parts of the product's stack, and which."""
    far = p.axes[0][0] * product.fields["ldc"] * product.out.array.itemsize
    return tuple((k, (o.address - product.out.address) // far) for k, o in enumerate(p.operands)
                 if _meet(o, product.out, count))


def _barriers(phases: Sequence[Work], count: int) -> list[bool]:
    """After which phases do all blocks wait? Not between a product and what its own block makes of it, nor between
    products of which none reads or writes what another writes."""
    found: list[bool] = []
    since: list[Product] = []  # products since all blocks waited
    for phase, following in zip(phases, [*phases[1:], None], strict=True):
        since += [phase] if isinstance(phase, Product) else []
        if isinstance(phase, Product) and isinstance(following, Product):
            wait = any(_meet(p.out, o, count) for p in since for o in (following.a, following.out)) or any(
                _meet(p.a, following.out, count) for p in since)
        elif isinstance(phase, Product):
            wait = len(since) > 1 or not _stacked(phase, following, count)
        else:
            wait = True
        since = [] if wait else since
        found.append(wait)
    return found


def _tile(p: Product, stacked: int, blocks: int, narrow: int) -> Tile:
    f = p.fields  # which counts by columns: its m are our columns, its n our rows
    width = max(NARROWEST, _up(-(-f["m"] // 2**narrow), MICRO))
    width = min(width, _up(f["m"], MICRO))
    units = f["n"] // stacked
    each = -(-units // max(blocks // -(-f["m"] // width), 1))
    each = _up(stacked * each, MICRO) // stacked  # rows that would be there without use
    return Tile(KINDS[p.out.dtype], stacked, units, f["m"], f["k"], each, width, bool(f["turn_b"]), _vector(p))


def _vector(p: Product) -> int:
    """How many numbers of the state one load takes: 16 bytes' where its rows lie at, and have, a multiple of that."""
    size = p.out.array.itemsize
    whole = all(n % LOAD == 0 for n in (p.a.address, p.a.step, p.fields["lda"] * size, p.fields["m"] * size))
    return LOAD // size if whole else 1


def _up(n: int, to: int) -> int:
    return -(-n // to) * to


def _shared(tiles: Sequence[Tile]) -> int:
    """Bytes that a block needs: its matrices, room to multiply, and a total for each thread."""
    size = 8 if tiles[0].kind == "double" else 4
    return size * (sum(t.held for t in tiles) + max(t.scratch for t in tiles)) + 8 * THREADS


# -- launches ----------------------------------------------------------------------------------------


def _launches(phases: Sequence[Work], plan: Sequence[Phase], count: int, memory: Memory, multiprocessors: int
              ) -> list[Launch]:
    counter = Operand(memory.empty((1,), "int64"))
    args: list[Any] = [np.int64(count), np.uint64(counter.address)]
    for phase in phases:
        args += _product_arguments(phase) if isinstance(phase, Product) else []
    for p in (p for phase in phases if not isinstance(phase, Product) for p in phase):
        args += _moving_arguments(p)
    name = named("loop", plan)
    shared = _shared([phase.tile for phase in plan if phase.tile is not None])
    clear = Launch("clear_counter", CLEAR, (1, 1, 1), (1, 1, 1), 0, [np.uint64(counter.address)], {}, [counter])
    blocks = min(multiprocessors, max(_blocks(*each) for each in zip(phases, plan, strict=True)))
    loop = Launch(name, source(plan, name), (blocks, 1, 1), (THREADS, 1, 1), shared, args, {},
                  [counter, *phases], cooperative=True)
    return [clear, loop]


def _blocks(phase: Work, how: Phase) -> int:
    """How many blocks have something to do: no more have to wait for each other."""
    if how.tile is not None:
        return how.tile.first + how.tile.parts
    assert not isinstance(phase, Product)
    by_examples = -(-phase[0].axes[-1][0] // LANES)
    return max(by_examples, *(-(-math.prod(n for n, _ in p.axes) // THREADS) for p in phase))


def _product_arguments(p: Product) -> list[Any]:
    size = p.out.array.itemsize
    return [np.uint64(p.b.address), np.int64(p.fields["ldb"]),
            *(x for o, far in ((p.a, "lda"), (p.out, "ldc"))
              for x in (np.uint64(o.address), np.int64(p.fields[far]), np.int64(o.step // size)))]


def _moving_arguments(p: Pass) -> list[Any]:
    return [*arguments(p)[0], *(np.int64(o.step // o.array.itemsize) for o in p.operands)]
