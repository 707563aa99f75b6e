"""Updates on the GPU: plan, norm, clipping and optimiser as one graph; the host waits for none of them.

Numbers that change from update to update (the rate, the corrections of Adam) lie in device memory, written by a launch
of their own before the graph. An update whose loss or gradient is not finite does nothing, nor does any after it, so
that the weights are still those before it when the host gets to see the loss.
"""

from __future__ import annotations

import logging
import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backends.flat import cut
from ..config import Feed
from ..cuda.device import Device
from ..cuda.launch import Launch
from ..cuda.program import LARGEST, Program
from ..fusion.trace import MOST
from ..plans.plan import Plan
from .clipping import ClipNorm, ClipValue
from .updates import Numbers, Training

SEEN = 128  # updates between two looks at the numbers
SET = """extern "C" __global__ void set_numbers_{kind}(const unsigned long long address, {parameters})
{{
    {kind} *const numbers = ({kind} *)address;
{lines}
}}
"""

log = logging.getLogger(__name__)


class OnDevice:
    """Updates whose numbers are looked at later. wait: how many may gather before they have to be."""

    wait = SEEN

    def __init__(self, training: Training, device: Device):
        self.training, self.device, self.xp = training, device, device.xp
        self._dtype = next(iter(training.weights.values())).dtype
        self._numbers = self.xp.zeros(MOST, self._dtype)
        self._fine = self.xp.ones((), bool)
        self._last = self.xp.zeros(3, self._dtype)  # the loss, the gradient's norm, and the largest size in it
        self._seen = self.xp.zeros((SEEN, 3), self._dtype)
        self._count = 0
        setter = _setter(self._dtype.name)
        self._set = device.functions([setter])[setter.name]
        self._tails: weakref.WeakKeyDictionary[Any, list[Program]] = weakref.WeakKeyDictionary()
        self._copies: weakref.WeakKeyDictionary[Any, _Copies] = weakref.WeakKeyDictionary()
        self._refused: weakref.WeakSet[Any] = weakref.WeakSet()
        self._graphs: weakref.WeakKeyDictionary[Any, Callable[[], None]] = weakref.WeakKeyDictionary()

    @staticmethod
    def knows(training: Training) -> bool:
        """Can it do all of it? A person's own way of clipping is a function of arrays, which it cannot capture."""
        kinds = {w.dtype.name for w in training.weights.values()}
        return len(kinds) == 1 and isinstance(training.clip, (ClipNorm, ClipValue, type(None)))

    def __call__(self, plan: Any, feed: Feed) -> None:
        """One update."""
        self._write_numbers()
        if isinstance(plan, Plan):
            plan.fill(feed)
            self._step(plan)
        else:
            plan.run(feed)
            if plan not in self._copies:
                self._copies[plan] = _Copies(plan, self.training)
            self._copies[plan].update(plan)
            self._finish(self._copies[plan])
        self._seen[self._count] = self._last
        self._count += 1
        self.training.optimizer.step += 1

    def seen(self) -> list[Numbers]:
        """The numbers of every update since the last time; here the host waits."""
        rows, done, found = self.xp.asnumpy(self._seen[: self._count]).tolist(), True, []
        self._count = 0
        for loss, norm, top in rows:
            done = done and math.isfinite(loss) and (top < math.inf or (top == math.inf and self._cut_off))
            found.append(Numbers(loss, norm, done))
        self.training.optimizer.step -= sum(not numbers.done for numbers in found)
        return found

    @property
    def _cut_off(self) -> bool:
        """Is what is infinite in a gradient clipped to a number?"""
        return isinstance(self.training.clip, ClipValue)

    def _step(self, plan: Plan) -> None:
        graph = self._graphs.get(plan)
        if graph is not None:
            graph()
            return
        with self.device.one_by_one():
            self._issue(plan)
        if self.device.captures and plan not in self._refused and plan.launches() <= LARGEST:
            try:
                self._graphs[plan] = self.device.captured(lambda: self._issue(plan))
            except self.device.errors as error:
                self._refused.add(plan)
                log.info("not captured: CUDA refused: %s", error)

    def _issue(self, plan: Plan) -> None:
        plan.compute()
        self._finish(plan)

    def _finish(self, plan: Any) -> None:
        if plan not in self._tails:
            self._tails[plan] = self._tail(plan)
        for program in self._tails[plan]:
            program.run(0)

    def _write_numbers(self) -> None:
        numbers = [*self.training.optimizer.traced().numbers, *[0.0] * MOST][:MOST]
        self._set((1, 1, 1), (1, 1, 1), (np.uint64(self._numbers.data.ptr), *map(np.float64, numbers)))

    # -- what comes behind a plan --------------------------------------------------------------------

    def _tail(self, plan: Any) -> list[Program]:
        """Programs for the norm of the gradients, and for clipping and update."""
        xp, training = self.xp, self.training
        pieces = training.optimizer.pieces(training.weights, training.gradients(plan))
        norms, loss = _Calls(xp), plan.interior(training.of)
        tops = [norms.largest(g, scratch) for _, g, _, scratch in pieces]
        for other in tops[1:]:
            norms("maximum", tops[0], other, tops[0])
        norms("maximum", tops[0], float(xp.finfo(self._dtype).tiny), tops[0])
        squares = [norms.total(g, tops[0], scratch) for _, g, _, scratch in pieces]
        for other in squares[1:]:
            norms("add", squares[0], other, squares[0])
        norm = self._last[1, ...]
        norms("sqrt", squares[0], norm)
        norms("multiply", norm, tops[0], norm)
        norms("copyto", self._last[0, ...], loss.reshape(()))
        norms("copyto", self._last[2, ...], tops[0])
        size, finite = norms.temp((), loss.dtype), norms.temp((), bool)
        norms("absolute", loss.reshape(()), size)
        for compared, number in (("less", size), ("less_equal" if self._cut_off else "less", tops[0])):
            norms(compared, number, float("inf"), finite)
            norms("logical_and", self._fine, finite, self._fine)
        update = _Calls(xp)
        for piece in pieces:
            self._clipped(update, piece[1], norm)
            self._ruled(update, piece)
        return [Program([norms.calls], self._owners(self._last, self._fine), self.device),
                Program([update.calls], self._owners(*(a for w, _, slots, _ in pieces for a in (w, *slots))),
                        self.device, when=self._fine)]

    @staticmethod
    def _owners(*arrays: Any) -> set[int]:
        return {id(a.data.mem) for a in arrays}

    def _clipped(self, calls: _Calls, g: Any, norm: Any) -> None:
        clip = self.training.clip
        if isinstance(clip, ClipNorm):
            scale, over, finite = calls.temp((), g.dtype), calls.temp((), bool), calls.temp((), bool)
            calls("divide", float(clip.max), norm, scale)
            calls("greater", norm, float(clip.max), over)
            calls("less", norm, float("inf"), finite)
            calls("logical_and", over, finite, over)
            calls("logical_not", over, over)
            calls("copyto", scale, 1.0, "unsafe", over)
            calls("multiply", g, scale, g)
        elif isinstance(clip, ClipValue):
            calls("maximum", g, -float(clip.max), g)
            calls("minimum", g, float(clip.max), g)

    def _ruled(self, calls: _Calls, piece: Any) -> None:
        w, g, slots, scratch = piece
        arrays = {"w": w, "g": g, "s": scratch, **dict(zip(self.training.optimizer._slot_names(), slots, strict=True))}
        for op, out, args in self.training.optimizer.traced().steps:
            calls(op, *(arrays[a] if isinstance(a, str) else self._numbers[a, ...] for a in args), arrays[out])


class _Copies:
    """What a plan whose arrays are new at each run has computed, always in the same place."""

    def __init__(self, plan: Any, training: Training):
        weights = {training.adjoints[name]: w for name, w in training.weights.items()}
        whole = plan.xp.empty(sum(w.size for w in weights.values()), plan.interior(training.of).dtype)
        self._arrays = {training.of: plan.interior(training.of).copy(), **cut(whole, weights)}

    def update(self, plan: Any) -> None:
        """Copy what the plan has now."""
        for name, array in self._arrays.items():
            array[...] = plan.interior(name)

    def interior(self, name: str) -> Any:
        """As `Plan.interior`."""
        return self._arrays[name]


class _Calls:
    """Calls of array functions, written down."""

    def __init__(self, xp: Any):
        self.xp = xp
        self.calls: list[Any] = []

    def __call__(self, name: str, *args: Any) -> None:
        self.calls.append((getattr(self.xp, name), args))

    def temp(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """An array between two calls."""
        return self.xp.zeros(shape, dtype)

    def largest(self, g: Any, scratch: Any) -> Any:
        """The largest size of a number; nothing comes to lie in scratch."""
        top = self.temp((), g.dtype)
        self("absolute", g, scratch)
        self("max", scratch, tuple(range(g.ndim)), top)
        return top

    def total(self, g: Any, top: Any, scratch: Any) -> Any:
        """The sum of the squares of an array over top, which are no larger than 1; nothing comes to lie in scratch."""
        total = self.temp((), g.dtype)
        self("divide", g, top, scratch)
        self("multiply", scratch, scratch, scratch)
        self("sum", scratch, tuple(range(g.ndim)), None, total)
        return total


def _setter(dtype: str) -> Launch:
    kind = {"float32": "float", "float64": "double"}[dtype]
    text = SET.format(kind=kind, parameters=", ".join(f"const double n{k}" for k in range(MOST)),
                      lines="\n".join(f"    numbers[{k}] = n{k};" for k in range(MOST)))
    return Launch(f"set_numbers_{kind}", text, (1, 1, 1), (1, 1, 1), 0, [], {})
