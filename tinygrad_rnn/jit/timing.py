"""A compiled program that tells how long each of its units takes: a clock is read before and after every kernel."""

from __future__ import annotations

import ctypes
import math
import platform
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir

from ..errors import BadValue
from ..fusion import timing
from ..fusion.fuse import Group, Unit, unit_writes
from ..fusion.lift import Foreign, Product
from .build import I64, KERNEL, POINTER, Builder, i64
from .compiled import Program
from .native import KERNEL as NATIVE
from .native import machine

# The cycle counter of other processors may not be read by a user's program; there the C library's clock is.
CLOCK = "cycles" if platform.machine().lower() in ("x86_64", "amd64") else "nanoseconds"
CALLABLE = hasattr(time, "clock_gettime")
SIZES = ("m", "n", "each", "k", "k1", "k2", "outer1", "outer2")  # fields of a product's record that are extents


@dataclass(eq=False)
class _TimedForeign(Foreign):
    nanoseconds: int = 0

    def at(self, step: int) -> None:
        """Do it for one step."""
        start = time.perf_counter_ns()
        super().at(step)
        self.nanoseconds += time.perf_counter_ns() - start


def _timed(unit: Unit) -> Unit:
    return _TimedForeign(unit.fn, unit.columns, unit.reads) if isinstance(unit, Foreign) else unit


class TimedProgram(Program):
    """The same units in the same order, every kernel called through one that adds up the time.

    inside: seconds in `run` since `reset`. The clock costs some 10 to 50 ns a call. Raises `BadValue` where there is
    none.
    """

    def __init__(self, program: Program, clock: str = CLOCK):
        if clock != "cycles" and not CALLABLE:
            raise BadValue("there is no clock here that compiled plans could read; profile with use_jit(False)")
        vars(self).update(vars(program))
        self.keep = list(program.keep)
        self._timer = machine().address(f"timer {clock}", partial(_make_timer, clock))
        self._now = NATIVE(machine().address(f"clock {clock}", partial(_make_clock, clock)))
        self._records: dict[Unit, np.ndarray] = {}
        self.segmented = [[(body, [_timed(unit) for unit in units]) for body, units in segment]
                          for segment in program.segmented]
        self.segments = [self._actions(segment, self._needed) for segment in self.segmented]
        self._began = self._clocks()
        self.reset()

    def native(self, segment: int) -> None:
        """Nothing is called but by `run`, which takes the time."""

    def _unit(self, unit: Unit, needed: Any) -> tuple[int, list[int]] | None:
        """A call of the timer, with the unit's kernel and record in its own record."""
        found = super()._unit(unit, needed)
        if found is None:
            return None
        address, record = found
        numbers = np.array(record, "int64")
        self._records[unit] = _record(address, numbers.ctypes.data)
        self.keep += [numbers, self._records[unit]]
        return self._timer, [self._records[unit].ctypes.data]

    def _clocks(self) -> tuple[int, int]:
        """Nanoseconds and ticks, now."""
        record = _record(0, 0)
        self._now(record.ctypes.data, 0)
        return time.perf_counter_ns(), int(record[2])

    def reset(self) -> None:
        """Forget what was measured."""
        self.inside = 0.0
        for record in self._records.values():
            record[2] = 0
        for unit in self._units():
            if isinstance(unit, _TimedForeign):
                unit.nanoseconds = 0

    def run(self, segment: int) -> None:
        """Do one segment."""
        began = time.perf_counter()
        super().run(segment)
        self.inside += time.perf_counter() - began

    def _units(self) -> list[Unit]:
        return [unit for segment in self.segmented for _, units in segment for unit in units]

    def units(self) -> list[timing.Unit]:
        """Every unit that is run, with what it took since `reset`."""
        nanoseconds, ticks = (now - then for now, then in zip(self._clocks(), self._began, strict=True))
        tick = nanoseconds * 1e-9 / max(ticks, 1)
        found = []
        for segment in self.segmented:
            for body, units in segment:
                for unit in units:
                    if isinstance(unit, _TimedForeign):
                        seconds = unit.nanoseconds * 1e-9
                    elif unit in self._records:
                        seconds = int(self._records[unit][2]) * tick
                    else:  # nothing that it makes is needed
                        continue
                    found.append(timing.Unit(_kind(unit), _flow(unit), body.count, seconds,
                                             float(body.count * _operations(unit))))
        return found


def _kind(unit: Unit) -> str:
    if isinstance(unit, Group):
        return "copies" if all(item.op == "copy" for item in unit.items) else "elementwise"
    return "products" if isinstance(unit, Product) else "Python"


def _flow(unit: Unit) -> timing.Flow:
    if isinstance(unit, Foreign):
        return timing.flow_of(unit.fn, unit.columns)
    return tuple(([o.array for o in item.reads], [o.array for o in unit_writes(item)])
                 for item in (unit.items if isinstance(unit, Group) else [unit]))


def _operations(unit: Unit) -> int:
    """Floating-point operations of a product."""
    return 2 * math.prod(unit.fields.get(x, 1) for x in SIZES) if isinstance(unit, Product) else 0


# -- the kernels: records hold the kernel to call, its record, the ticks so far, and the C library's clock -------------


def _record(kernel: int, record: int) -> np.ndarray:
    clock = ctypes.cast(ctypes.CDLL(None).clock_gettime, ctypes.c_void_p).value if CALLABLE else 0
    return np.array([kernel, record, 0, clock, getattr(time, "CLOCK_MONOTONIC", 0)], "int64")


def _make_timer(clock: str, module: ir.Module, name: str) -> None:
    """start = now(); kernel(record, step); ticks += now() - start."""
    b = Builder(module, name)
    own = b.ir.inttoptr(b.load_i64(b.function.args[0], 0), POINTER)
    start = _reading(b, clock, own)
    b.ir.call(b.ir.inttoptr(b.load_i64(own, 0), ir.PointerType(KERNEL)),
              [b.ir.inttoptr(b.load_i64(own, 1), POINTER), b.function.args[1]])
    spent = b.ir.sub(_reading(b, clock, own), start)
    b.ir.store(b.ir.add(b.load_i64(own, 2), spent), b.offset(own, i64(16)))
    b.finish()


def _make_clock(clock: str, module: ir.Module, name: str) -> None:
    """ticks = now()."""
    b = Builder(module, name)
    b.ir.store(_reading(b, clock, b.function.args[0]), b.offset(b.function.args[0], i64(16)))
    b.finish()


def _reading(b: Builder, clock: str, own: Any) -> Any:
    """The time in ticks of the clock."""
    if clock == "cycles":
        full = "llvm.readcyclecounter"
        found = b.module.globals.get(full) or ir.Function(b.module, ir.FunctionType(I64, []), full)
        return b.ir.call(found, [])
    kind = ir.FunctionType(ir.IntType(32), [ir.IntType(32), POINTER])
    at = b.ir.alloca(I64, 2)
    b.ir.call(b.ir.inttoptr(b.load_i64(own, 3), ir.PointerType(kind)),
              [b.ir.trunc(b.load_i64(own, 4), ir.IntType(32)), at])
    return b.ir.add(b.ir.mul(b.load_i64(at, 0), i64(10**9)), b.load_i64(at, 1))
