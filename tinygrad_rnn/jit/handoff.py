"""Work for another thread, which takes it up and gives it back in machine code while both are awake.

To wake a thread that sleeps takes the system some 30 microseconds, which is as long as a small model's pass. So a
worker that has just done its work looks for more for a while before it sleeps, and so does who waits for it.

A box is memory that both see. Its state is ASLEEP (the worker is, or is about to be, in Python), READY (it looks for
work), WORK (there is some, or it is being done) or WANTED (the same, and who waits has gone to sleep).
"""

from __future__ import annotations

import ctypes
import functools
import platform
import time
from typing import Any

from llvmlite import ir

from ..backends.numpy import pointer, zeros
from .build import I32, I64, KERNEL, POINTER, Builder, i64
from .native import KERNEL as NATIVE
from .native import machine

AWAKE = 200e-6  # seconds for which a thread looks for work, or for the end of it, before it sleeps
TURNS = 4096  # looks by which their time is measured
ASLEEP, READY, WORK, WANTED = range(4)
# Where numbers stand in a box; those that different threads write are in different lines of the cache.
STATE, DRIVER, WORDS, BLOCKS, TURNS_AT, TOLD, DONE = 0, 8, 9, 10, 11, 16, 24
SIZE = 32
# What leaves a core to its other thread for a moment, by the processor's name: LLVM's function, and its arguments.
PAUSES = {"x86_64": ("llvm.x86.sse2.pause", []), "AMD64": ("llvm.x86.sse2.pause", []),
          "aarch64": ("llvm.aarch64.isb", [15]), "arm64": ("llvm.aarch64.isb", [15])}


class Handoff:
    """A box between one who hands over work and one worker."""

    def __init__(self) -> None:
        self.box = zeros((SIZE,), "int64")
        self._at = pointer(self.box)
        self.box[TURNS_AT] = _turns()

    @property
    def is_done(self) -> bool:
        """Is there no work, nor any being done?"""
        return bool(self.box[STATE] <= READY)

    def post(self, driver: int, words: int, blocks: int) -> bool:
        """Hand over a call, by addresses. Has it been taken up? If not, the worker sleeps and is to call `serve`."""
        self.box[DRIVER], self.box[WORDS], self.box[BLOCKS] = driver, words, blocks
        _calls()["post"](self._at, 0)
        return bool(self.box[DONE])

    def rouse(self) -> None:
        """Let the worker come back from `serve` at once, if it is there and has no work."""
        _calls()["rouse"](self._at, 0)

    def serve(self) -> bool:
        """For the worker: do what is there and what comes soon after. Does somebody wait asleep for what was done?"""
        _calls()["serve"](self._at, 0)
        return bool(self.box[TOLD])

    def wait(self) -> bool:
        """For the other one: wait a while. Is all done? If not, `serve` will come back with the answer yes."""
        _calls()["wait"](self._at, 0)
        return bool(self.box[DONE])


@functools.lru_cache(maxsize=1)
def _calls() -> dict[str, Any]:
    """What takes long leaves the interpreter to others."""
    short = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
    makers = {"post": (short, _make_post), "rouse": (short, _make_rouse), "serve": (NATIVE, _make_serve),
              "wait": (NATIVE, _make_wait)}
    return {name: kind(machine().address(f"handoff {name}", make)) for name, (kind, make) in makers.items()}


@functools.lru_cache(maxsize=1)
def _turns() -> int:
    """How often a thread can look within the time for which it stays awake."""
    box = zeros((SIZE,), "int64")
    box[TURNS_AT], taken = TURNS, []
    for _ in range(3):
        box[STATE] = READY
        start = time.perf_counter()
        _calls()["serve"](pointer(box), 0)
        taken.append(time.perf_counter() - start)
    return max(1, int(TURNS * AWAKE / min(taken)))


class _Box(Builder):
    """A function of a box being written."""

    def __init__(self, module: ir.Module, name: str):
        super().__init__(module, name)
        self.box, _ = self.function.args
        self.state = self.at(STATE)

    def at(self, place: int) -> Any:
        """Where a number of the box stands."""
        return self.offset(self.box, i64(8 * place))

    def put_at(self, place: int, value: int) -> None:
        """Write a number that only one thread writes."""
        self.ir.store(i64(value), self.at(place), align=8)

    def seen(self) -> Any:
        """The state, and all that was written before it."""
        return self.ir.load_atomic(self.state, "acquire", 8, typ=I64)

    def become(self, state: int) -> Any:
        """Set the state; the one before."""
        return self.ir.atomic_rmw("xchg", self.state, i64(state), "acq_rel")

    def changed(self, before: int, after: int) -> Any:
        """Set the state where it is `before`. Was it?"""
        pair = self.ir.cmpxchg(self.state, i64(before), i64(after), "acq_rel", "acquire")
        return self.ir.extract_value(pair, 1)

    def pause(self) -> None:
        """Wait for the least time there is."""
        if platform.machine() in PAUSES:
            name, args = PAUSES[platform.machine()]
            found = self.module.globals.get(name)
            if found is None:
                found = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [I32] * len(args)), name)
            self.ir.call(found, [ir.Constant(I32, x) for x in args])

    def look_again(self, left: Any, again: Any, over: Any) -> None:
        """One turn fewer is left: go on looking, or give it up."""
        self.pause()
        fewer = self.ir.sub(self.ir.load(left, typ=I64), i64(1))
        self.ir.store(fewer, left)
        self.ir.cbranch(self.ir.icmp_signed(">", fewer, i64(0)), again, over)

    def is_state(self, found: Any, state: int) -> Any:
        """Is a state that was seen this one?"""
        return self.ir.icmp_signed("==", found, i64(state))

    def block(self) -> Any:
        """A place to go to."""
        return self.function.append_basic_block()

    def leave(self, place: int, value: int) -> None:
        """Return, with a number for the caller."""
        self.put_at(place, value)
        self.ir.ret_void()


def _make_post(module: ir.Module, name: str) -> None:
    b = _Box(module, name)
    taken, sleeps = b.block(), b.block()
    b.ir.cbranch(b.changed(READY, WORK), taken, sleeps)
    b.ir.position_at_end(taken)
    b.leave(DONE, 1)
    b.ir.position_at_end(sleeps)
    b.become(WORK)
    b.leave(DONE, 0)


def _make_rouse(module: ir.Module, name: str) -> None:
    b = _Box(module, name)
    b.changed(READY, ASLEEP)
    b.finish()


def _make_serve(module: ir.Module, name: str) -> None:
    """Until there is no work for so many turns: do it where there is some."""
    b = _Box(module, name)
    turns = b.load_i64(b.box, TURNS_AT)
    left = b.ir.alloca(I64)
    look, work, told, again, idle, longer, sleep, gone = (b.block() for _ in range(8))
    b.ir.store(turns, left)
    b.ir.branch(look)

    b.ir.position_at_end(look)
    found = b.seen()
    b.ir.cbranch(b.ir.icmp_signed(">=", found, i64(WORK)), work, idle)

    b.ir.position_at_end(work)
    kind = ir.FunctionType(ir.VoidType(), KERNEL.args)
    driver = b.ir.inttoptr(b.load_i64(b.box, DRIVER), ir.PointerType(kind))
    b.ir.call(driver, [b.ir.inttoptr(b.load_i64(b.box, WORDS), POINTER), b.load_i64(b.box, BLOCKS)])
    b.ir.cbranch(b.changed(WORK, READY), again, told)

    b.ir.position_at_end(told)
    b.become(ASLEEP)
    b.leave(TOLD, 1)

    b.ir.position_at_end(again)
    b.ir.store(turns, left)
    b.ir.branch(look)

    b.ir.position_at_end(idle)
    b.ir.cbranch(b.is_state(found, ASLEEP), gone, longer)

    b.ir.position_at_end(longer)
    b.look_again(left, look, sleep)

    b.ir.position_at_end(sleep)
    b.ir.cbranch(b.changed(READY, ASLEEP), gone, again)

    b.ir.position_at_end(gone)
    b.leave(TOLD, 0)


def _make_wait(module: ir.Module, name: str) -> None:
    """Until the work is done, for so many turns; then say that somebody waits."""
    b = _Box(module, name)
    turns = b.load_i64(b.box, TURNS_AT)
    left = b.ir.alloca(I64)
    look, busy, asleep, done, later = (b.block() for _ in range(5))
    b.ir.store(turns, left)
    b.ir.branch(look)

    b.ir.position_at_end(look)
    b.ir.cbranch(b.ir.icmp_signed("<=", b.seen(), i64(READY)), done, busy)

    b.ir.position_at_end(busy)
    b.look_again(left, look, asleep)

    b.ir.position_at_end(asleep)
    b.changed(WORK, WANTED)
    b.ir.cbranch(b.ir.icmp_signed("<=", b.seen(), i64(READY)), done, later)

    b.ir.position_at_end(done)
    b.leave(DONE, 1)
    b.ir.position_at_end(later)
    b.leave(DONE, 0)

