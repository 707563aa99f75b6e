"""A program as machine code: one call that runs every loop and kernel of a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir

from ..backends.numpy import zeros
from ..fusion.anew import made_anew, read
from ..fusion.fuse import Group, Unit, fused, needs
from ..fusion.invariant import unchanging_first
from ..fusion.lift import Foreign, Host, Product, Repeated, lifted
from ..fusion.passes import passed
from ..fusion.program import Block, Call
from ..fusion.takes import RULES as TAKES
from . import batched, draws, gemm, narrow, products, scans, scatter
from .assemble import assembled
from .build import KERNEL, POINTER, Builder, i64
from .hoist import hoisted
from .native import KERNEL as NATIVE
from .native import machine
from .stepwise import stepwise
from .strips import Body, striped
from .widen import widened

KERNELS: dict[str, tuple[tuple[str, ...], Callable[..., None]]] = {
    "gemm": (gemm.FIELDS, gemm.make_gemm), "rows": (gemm.ROW_FIELDS, gemm.make_rows),
    "narrow": (narrow.FIELDS, narrow.make_narrow), "batched": (batched.FIELDS, batched.make_batched),
    "scatter": (scatter.FIELDS, scatter.make_scatter), **scans.KERNELS, **draws.KERNELS}
RULES = {**products.RULES, **TAKES, **scans.RULES, **draws.RULES}


class Native(partial[None]):
    """A call of machine code: start(words, blocks); driver: the address of start."""

    driver: int


class Program:
    """Segments of compiled calls. public: the owners of arrays that are read from outside."""

    def __init__(self, segments: Sequence[Sequence[Call | Block]], public: set[int], owner: Any):
        self.keep: list[Any] = []  # whatever the records point to
        self.segmented = [_ordered(bodies) for bodies in _little(segments, public, owner)]
        bodies = [pair for segment in self.segmented for pair in segment]
        self._needed = needs(bodies, public, owner)
        scratch = max((u.scratch for _, units in bodies for u in units if isinstance(u, Product)), default=0)
        self.scratch = zeros((max(scratch, 1) + 16,), "float64")
        self.driver = machine().address("driver", _make_driver)
        self.start = NATIVE(self.driver)
        self.segments = [self._actions(segment, self._needed) for segment in self.segmented]

    def _actions(self, bodies: Sequence[tuple[Repeated, list[Unit]]], needed: Any) -> list[Callable[[], Any]]:
        """Calls of machine code, as few as there can be, and between them what stays in Python."""
        actions: list[Callable[[], Any]] = []
        waiting: list[tuple[int, list[Unit]]] = []

        def flush() -> None:
            if waiting:
                actions.append(self._native(waiting, needed))
                waiting.clear()

        for body, units in bodies:
            if body.count > 1 and any(isinstance(unit, Foreign) for unit in units):
                flush()
                actions.append(partial(_in_turns, body.count, self._steps(units, needed)))
            elif body.count > 1:
                waiting.append((body.count, units))
            else:
                for piece in _pieces(units):
                    if isinstance(piece, Foreign):
                        flush()
                        actions.append(partial(piece.at, 0))
                    else:
                        waiting.append((1, piece))
        flush()
        return actions

    def _native(self, blocks: Sequence[tuple[int, list[Unit]]], needed: Any) -> Callable[[], Any]:
        call = Native(self.start, self._table(blocks, needed).ctypes.data, len(blocks))
        call.driver = self.driver
        return call

    def _steps(self, units: list[Unit], needed: Any) -> list[Callable[[int], None]]:
        """A loop's body that is partly Python, to be done for one step at a time."""
        return [piece.at if isinstance(piece, Foreign) else partial(self._at, self._table([(1, piece)], needed))
                for piece in _pieces(units)]

    def _at(self, words: np.ndarray, step: int) -> None:
        words[:2] = step, step + 1
        self.start(words.ctypes.data, 1)

    def _table(self, blocks: Sequence[tuple[int, list[Unit]]], needed: Any) -> np.ndarray:
        """For the driver: of each block its first step, the step to stop at, its length, and its kernels' calls."""
        table: list[int] = []
        records: list[list[int]] = []
        for count, units in blocks:
            made = [m for unit in units if (m := self._unit(unit, needed)) is not None]
            table += [0, count, len(made)]
            for address, record in made:
                table += [address, -len(records) - 1]
                records.append(record)
        starts = np.cumsum([0, *(len(r) for r in records)])
        memory = np.array([n for r in records for n in r] or [0], "int64")
        base = memory.ctypes.data
        words = np.array([base + 8 * int(starts[-n - 1]) if n < 0 else n for n in table], "int64")
        self.keep += [memory, words]
        return words

    def _unit(self, unit: Unit, needed: Any) -> tuple[int, list[int]] | None:
        if isinstance(unit, Product):
            self.keep.append(unit)
            return _product(unit, self.scratch)
        assert isinstance(unit, Group)
        found = passed(unit, needed)
        if found is None:
            return None
        kernel, record = assembled(found)
        self.keep.append(found.operands)
        return machine().address(repr(kernel), kernel.make), record

    def settle(self) -> None:
        """Nothing is to be measured before the first run."""

    def native(self, segment: int) -> Native | None:
        """The one call of machine code that a segment is, where nothing of it stays in Python."""
        actions = self.segments[segment]
        return actions[0] if len(actions) == 1 and isinstance(actions[0], Native) else None

    def run(self, segment: int) -> None:
        """Do one segment."""
        for action in self.segments[segment]:
            action()


def _little(segments: Sequence[Sequence[Call | Block]], public: set[int], owner: Any) -> list[list[Repeated]]:
    """What the calls of each segment do, without what is never read, or cheaply made where it is."""
    found = [lifted(calls, RULES, Host()) for calls in segments]
    for _ in range(2):  # what has gone no longer overwrites what others could be made of
        found = read([made_anew(bodies) for bodies in found], public, owner)
    return found


def _ordered(bodies: list[Repeated]) -> list[Body]:
    """Units in the order and the form in which they are quick."""
    for better in (stepwise, unchanging_first, hoisted):
        bodies = better(bodies)
    return striped(widened([(body, fused(body)) for body in bodies]))


def _pieces(units: Sequence[Unit]) -> list[Foreign | list[Unit]]:
    """Runs of units that are compiled, and between them one by one what stays in Python."""
    pieces: list[Foreign | list[Unit]] = []
    for unit in units:
        if isinstance(unit, Foreign):
            pieces.append(unit)
        elif pieces and isinstance(pieces[-1], list):
            pieces[-1].append(unit)
        else:
            pieces.append([unit])
    return pieces


def _in_turns(count: int, actions: Sequence[Callable[[int], None]]) -> None:
    for step in range(count):
        for at in actions:
            at(step)


def _product(unit: Product, scratch: np.ndarray) -> tuple[int, list[int]]:
    kind, *columns = unit.kernel.split()
    fields, make = KERNELS[kind]
    at = {**unit.fields, "scratch": scratch.ctypes.data}
    for name, o in (("a", unit.a), ("b", unit.b), ("c", unit.out)):
        at |= {name: o.address, f"{name}_step": o.step}
    dtype = unit.out.dtype
    if kind == "gemm":
        at |= gemm.pieces(dtype, at["m"], at["n"], unit.scratch > 0)
    address = machine().address(f"{unit.kernel} {dtype}", partial(make, dtype, *map(int, columns)))
    return address, [at.get(f, 0) for f in fields]


def _make_driver(module: ir.Module, name: str) -> None:
    """for each block: for step in range(first, stop): for each (kernel, record): kernel(record, step)."""
    b = Builder(module, name)
    words, blocks = b.function.args
    at = b.ir.alloca(POINTER)
    b.ir.store(words, at)
    with b.loop(blocks):
        here = b.ir.load(at, typ=POINTER)
        first, stop, calls = (b.load_i64(here, k) for k in range(3))
        with b.loop(stop, first) as step, b.loop(calls) as k:
            pair = b.offset(here, b.ir.add(i64(24), b.ir.mul(k, i64(16))))
            b.ir.call(b.ir.inttoptr(b.load_i64(pair, 0), ir.PointerType(KERNEL)),
                      [b.ir.inttoptr(b.load_i64(pair, 1), POINTER), step])
        b.ir.store(b.offset(here, b.ir.add(i64(24), b.ir.mul(calls, i64(16)))), at)
    b.finish()

