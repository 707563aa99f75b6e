"""Random programs over arrays of their own: their calls as a plan records them, and done one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import assume
from random_programs import BINARY, BOUNDED, COMPARE, INTEGERS, REDUCE, UNARY, logistic

from tinygrad_rnn.backends import numpy as backend
from tinygrad_rnn.fusion.program import Block, Recorder
from tinygrad_rnn.ops import TABLE
from tinygrad_rnn.plans.classes import _pick_elements, sum_by_class
from tinygrad_rnn.plans.contract import contraction

LARGEST = 1e6  # values beyond are not compared: too little would be left of their digits
GUARD = 64  # numbers on either side of an array
# np.negative of NumPy 2.4 reads the wrong numbers where they are 64 bytes apart and the result is not contiguous.
INSTEAD = {np.negative: lambda a, out: np.multiply(a, -1.0, out),
           logistic: lambda a, out: np.divide(1.0, 1.0 + np.exp(a * -1.0), out)}
JUMPS = {np.sign, *COMPARE.values()}


def guarded(values):
    """A copy of an array in the middle of a larger one."""
    whole = np.full(values.size + 2 * GUARD, 1, values.dtype) if values.dtype == bool else np.full(
        values.size + 2 * GUARD, 77, values.dtype)
    whole[GUARD : GUARD + values.size] = values.ravel()
    return whole[GUARD : GUARD + values.size].reshape(values.shape)


def intact(array):
    """Is what lies around a guarded array as it was?"""
    whole = backend.owner(array)
    return all((part == (1 if whole.dtype == bool else 77)).all() for part in (whole[:GUARD], whole[-GUARD:]))


class Recording:
    """The calls of a program over arrays of its own."""

    def __init__(self, program, dtype):
        self.owners, self.extents, public, segments = program
        rng = np.random.default_rng(0)
        self.arrays = []
        for labels, times, more, kind in self.owners:
            shape = [self.extents[x] * m + p for x, m, p in zip(labels, times, more, strict=True)]
            values = rng.integers(-8, 9, shape)
            self.arrays.append(guarded(values > 0 if kind == "bool" else values // 2 if kind == "int" else
                                       (values / 4).astype(dtype)))
        self.public = [self.arrays[k] for k in sorted(public)]
        self.segments = []
        for lines in segments:
            self.do = Recorder(backend, compiled=True)
            for line in lines:
                self.record(line, {}, ())
            self.segments.append(self.do.calls)

    def record(self, line, env, around):
        kind, name, *rest = line
        self.do.at(id(line))
        if kind == "loop":
            (direction, lines), size = rest, self.extents[name]

            def emit(step):
                for inner in lines:
                    position = step if direction > 0 else size - 1 - step
                    self.record(inner, {**env, name: position}, (*around, name))

            self.do.loop(size, emit)
            return
        goal, *ins = rest
        met = [isinstance(a, tuple) and self.clash(kind, goal, a, around) for a in ins]
        if any(met) and kind not in ("binary", "compare", "copy", "truth", "quotient", "masked", "whole"):
            return
        ins = [(1 if self.owners[goal[0]][3] == "int" else 0.5) if m else a for m, a in zip(met, ins, strict=True)]
        getattr(self, "_" + kind)(name, self.array(goal, env), *(
            self.array(a, env) if isinstance(a, tuple) else a for a in ins), lines=(goal, *ins))

    def array(self, view, env):
        k, where, target = view
        key = [env[a] + b if how == "moving" else b if how == "fixed" else
               slice(a, a + b * self.extents[x], b) if b > 0 else
               slice(a, (e if (e := a + b * self.extents[x]) >= 0 else None), b)
               for (how, a, b), x in zip(where, self.owners[k][0], strict=True)]
        array = self.arrays[k][(*key, ...)]
        have = [x for (how, *_), x in zip(where, self.owners[k][0], strict=True) if how == "along"]
        array = array.transpose([have.index(x) for x in target if x in have])
        return array[(*(slice(None) if x in have else None for x in target), ...)]

    def clash(self, kind, goal, view, around):
        """Does a call read what it writes, at some step, other than element by element?"""
        if goal[0] != view[0]:
            return False
        for at in np.ndindex(*(self.extents[x] for x in around)):
            env = dict(zip(around, at, strict=True))
            out, a = self.array(goal, env), self.array(view, env)
            same = out.shape == a.shape and out.strides == a.strides and out.ctypes.data == a.ctypes.data
            if np.shares_memory(out, a) and not (same and kind not in REDUCE):
                return True
        return False

    def _unary(self, name, out, a, lines):
        self.do(UNARY[name], a, out)

    def _binary(self, name, out, a, b, lines):
        self.do(BINARY[name], a, b, out)

    def _compare(self, name, out, a, b, lines):
        self.do(COMPARE[name], a, b, out)

    def _whole(self, name, out, a, b, lines):
        self.do(INTEGERS[name], a, b, out)

    def _pick(self, along, out, table, at, lines):
        self.do(_pick_elements, np, np.broadcast_to(table, (table.shape[0], *out.shape)),
                np.broadcast_to(at, out.shape), out)

    def _by_class(self, over, out, at, rows, lines):
        at = np.broadcast_to(at, [self.extents[x] for x in over])
        rest = [self.extents[x] for x in lines[0][2][1:]]
        self.do(sum_by_class, backend, out, at, np.broadcast_to(rows, (*at.shape, *rest)))

    def _bounded(self, name, out, a, lines):
        first, number, last = BOUNDED[name]
        self.do(np.absolute, a, out)
        self.do(first, out, number, out)
        self.do(last, out, out)

    def _quotient(self, number, out, a, lines):
        self.do(np.absolute, out, out)
        self.do(np.add, out, 1.0, out)
        self.do(np.divide, a, out, out)

    def _power(self, number, out, a, lines):
        if isinstance(a, np.ndarray):
            self.do(np.tanh, a, out)
            self.do(np.add, out, 1.5, out)
            self.do(np.power, out, number, out)

    def _copy(self, name, out, a, lines):
        self.do(np.copyto, out, a)

    def _truth(self, name, out, a, lines):
        self.do(np.copyto, out, a, "unsafe")

    def _masked(self, casting, out, a, mask, lines):
        self.do(np.copyto, out, a, casting, mask)

    def _logical(self, name, out, a, b, lines):
        self.do(getattr(np, name), *([a] if name == "logical_not" else [a, b]), out)

    def _cumsum(self, axis, out, a, lines):
        self.do(np.cumsum, np.broadcast_to(a, out.shape), axis, None, out)

    def _row(self, name, axis, out, a, **more):
        TABLE[name].array(self.do, out, np.broadcast_to(a, out.shape), axes=(axis,), **more)

    def _softmax(self, axis, out, a, lines):
        self._row("softmax", axis, out, a)

    def _log_softmax(self, axis, out, a, lines):
        self._row("log_softmax", axis, out, a)

    def _layer_norm(self, axis, out, a, lines):
        self._row("layer_norm", axis, out, a, eps=1e-2)

    def _logsumexp(self, keep, out, a, lines):
        inside, source = lines[0][2], lines[1][2]
        axes = tuple(k for k, x in enumerate(source) if x not in inside)
        TABLE["logsumexp"].array(self.do, out, np.broadcast_to(a, [self.extents[x] for x in source]), axes=axes)

    def _reduce(self, fn, keep, out, a, lines):
        inside, source = lines[0][2], lines[1][2]
        axes = tuple(k for k, x in enumerate(source) if x not in inside)
        a = np.broadcast_to(a, [self.extents[x] for x in source])
        if keep:
            out = out[(*(slice(None) if x in inside else None for x in source), ...)]
        self.do(fn, a, axes, *([out] if fn is np.max else [None, out]), *([True] if keep else []))

    def _sum(self, *args, **lines):
        self._reduce(np.sum, *args, **lines)

    def _mean(self, *args, **lines):
        self._reduce(np.mean, *args, **lines)

    def _max(self, *args, **lines):
        self._reduce(np.max, *args, **lines)

    def _product(self, name, out, a, b, lines):
        self.do(contraction, out, a, b, tuple(view[2] for view in lines))


def decided(a, b, coarse, rounded):
    """Only go on where a and b are apart, or so few bits long that they were never rounded."""
    short = [np.asarray(x, "float64") * 2**12 for x in (a, b)]
    exact = np.logical_and(*(x == np.floor(x) for x in short)) & (not rounded)
    assume(np.all(exact | (abs(a * 1.0 - b * 1.0) > coarse)))


def one_by_one(segments, coarse):
    """Do the calls; the largest number met. Programs that jump where rounding decides are not compared."""
    largest, rounded = 1.0, False
    with np.errstate(all="ignore"):
        for fn, args in (call for calls in segments for item in calls
                         for call in (item.calls() if isinstance(item, Block) else [item])):
            if fn in JUMPS or (fn is np.copyto and args[0].dtype == bool):
                a, b = (args[1], 0.0) if fn is np.copyto else (args[0], 0.0 if fn is np.sign else args[1])
                decided(a, b, coarse, rounded)
            rounded |= fn is np.mean  # which compiled code does by one multiplication
            INSTEAD.get(fn, fn)(*args)
            out = next(a for a in (args[:1] if fn in (np.copyto, contraction) else args[1:2] if fn is sum_by_class
                                   else args[::-1]) if isinstance(a, np.ndarray))
            largest = max(largest, float(np.max(abs(out * 1.0), initial=0)))
            assume(largest <= LARGEST)
    return largest
