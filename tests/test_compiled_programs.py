"""Random programs of calls: compiled, they compute what the calls do one by one, and touch no other memory."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite", reason="compiled plans need llvmlite")

from tinygrad_rnn import jit
from tinygrad_rnn.backends import numpy as backend
from tinygrad_rnn.fusion.program import Block, Recorder
from tinygrad_rnn.jit import strips
from tinygrad_rnn.jit.compiled import Program
from tinygrad_rnn.ops import TABLE
from tinygrad_rnn.ops.elementwise import _logistic
from tinygrad_rnn.ops.table import with_out
from tinygrad_rnn.plans.classes import _pick_elements, sum_by_class
from tinygrad_rnn.plans.contract import contraction

pytestmark = pytest.mark.skipif(not jit.enabled(), reason="compiled code is off")
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
logistic = _logistic(np)
LARGEST = 1e6  # values beyond are not compared: too little would be left of their digits

# -- random programs -----------------------------------------------------------------------------------------
#
# A program is text-like data: owners (arrays) and lines; a line is a call, or a loop of lines along a label. Owners
# have axes by label; a view takes an offset and a step for each label that the call runs along, a moving position for
# each label of a loop around it, and a fixed one for others. A label's extent is the same for all.

LAYOUTS = ["", "A", "A", "B", "BA", "BA", "AB", "CBA", "ACB", "TBA", "TBA", "TA", "TAB", "BTA", "DB", "BD", "DA", "AD"]
TIDY = ["BA", "BA", "DA", "TBA", "TBA", "TDA", "A", "B", "DB", "DB", "BD", "CBA"]
UNARY = {"negative": np.negative, "absolute": np.absolute, "sign": np.sign, "tanh": np.tanh, "sigmoid": logistic,
         "sin": np.sin, "cos": np.cos, "square": np.square}  # square is not compiled: it stays a call
BINARY = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "logaddexp": np.logaddexp,
          "maximum": with_out(np.maximum), "minimum": with_out(np.minimum)}
COMPARE = {n: getattr(np, n) for n in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")}
BOUNDED = {"exp": (with_out(np.minimum), 1.0, np.exp), "log": (np.add, 1.0, np.log), "sqrt": (np.add, 1.0, np.sqrt)}
# np.negative of NumPy 2.4 reads the wrong numbers where they are 64 bytes apart and the result is not contiguous.
INSTEAD = {np.negative: lambda a, out: np.multiply(a, -1.0, out),
           logistic: lambda a, out: np.divide(1.0, 1.0 + np.exp(a * -1.0), out)}
JUMPS = {np.sign, *COMPARE.values()}
KINDS = ["unary", "unary", "unary", "binary", "binary", "binary", "binary", "bounded", "quotient", "power", "copy",
         "masked", "masked", "compare", "compare", "logical", "truth", "sum", "sum", "max", "mean", "product",
         "product", "product", "softmax", "log_softmax", "layer_norm", "logsumexp", "cumsum"]
WHOLE = ["whole", "whole", "compare", "masked", "pick", "pick", "by_class"]  # where there are whole numbers
INTEGERS = {"add": np.add, "subtract": np.subtract, "maximum": with_out(np.maximum), "minimum": with_out(np.minimum)}
REDUCE = ("sum", "max", "mean", "softmax", "log_softmax", "layer_norm", "logsumexp", "cumsum", "product")
CONSTANTS = st.sampled_from([0.0, 0.5, -2.0, 1, True, 0.25, -1.0])


@st.composite
def owners(draw):
    """(labels, sizes in extents, sizes beyond them, dtype) of each array, the extents, and which count in the end."""
    extents = {"A": draw(st.sampled_from([1, 2, 3, 5, 7, 8, 9, 16, 17, 20, 33, 70, 130])), "B": draw(st.integers(1, 5)),
               "C": draw(st.integers(1, 3)), "D": draw(st.sampled_from([1, 2, 4, 11])), "T": draw(st.integers(1, 4))}
    found = []
    tidy = draw(st.booleans())  # as a plan has them: equal axes, the innermost contiguous
    kinds = [*["float"] * draw(st.integers(2, 7)), *["bool"] * draw(st.integers(0, 2)),
             *["int"] * draw(st.integers(0, 2))]
    layouts = [draw(st.sampled_from(TIDY if tidy else LAYOUTS)) for _ in kinds]
    if draw(st.booleans()):
        kinds, layouts = ["float"] * 3 + kinds, ["DB", "BA", "DA", *layouts]
    for dtype, labels in zip(kinds, layouts, strict=True):
        found.append((labels, [draw(st.sampled_from([1, 1, 1, 2])) if not tidy else 1 for _ in labels],
                      [draw(st.sampled_from([0, 0, 1, 2])) if not tidy or x == "T" else 0 for x in labels], dtype))
    public = draw(st.sets(st.integers(0, len(found) - 1), min_size=1))
    return found, extents, public, tidy


class Lines:
    """Draws the lines of a program over some owners."""

    def __init__(self, draw, arrays, extents, tidy):
        self.draw, self.arrays, self.extents, self.tidy = draw, arrays, extents, tidy

    def pick(self, *options):
        return self.draw(st.sampled_from(options))

    def dims(self, k):
        labels, times, more, _ = self.arrays[k]
        return {x: self.extents[x] * m + p for x, m, p in zip(labels, times, more, strict=True)}

    def view(self, k, target, env):
        """(owner, where along each of its axes, target)."""
        where = []
        for x, size in self.dims(k).items():
            n = self.extents[x]
            if x in env:
                where.append(("moving", x, self.draw(st.integers(0, size - n))))
            elif x not in target:
                where.append(("fixed", x, self.draw(st.integers(0, size - 1))))
            else:
                step = 1 if self.tidy else self.pick(1, 1, 1, -1, 2)
                step = 1 if (n - 1) * abs(step) >= size else step
                first = self.draw(st.integers(0, size - 1 - (n - 1) * abs(step)))
                where.append(("along", first if step > 0 else first + n - 1, step))
        return k, tuple(where), tuple(target)

    def owners(self, dtype, target=()):
        return [k for k, (labels, *_, d) in enumerate(self.arrays) if d == dtype and set(target) <= set(labels)]

    def target(self, k, env):
        labels = [x for x in self.arrays[k][0] if x not in env]
        kept = [x for x in labels if self.tidy or self.draw(st.integers(0, 5))]
        return kept if self.tidy or self.pick(False, True) else self.draw(st.permutations(kept))

    def operand(self, target, env, dtype="float"):
        found = self.owners(dtype)
        if not found or self.pick(*[False] * 5, True):
            return self.draw(CONSTANTS)
        return self.view(self.pick(*found), target, env)

    def integer(self, target, env):
        if self.pick(*[False] * 3, True):
            return self.pick(1, 2, -1)
        return self.view(self.pick(*self.owners("int")), target, env)

    def line(self, env=()):
        whole = WHOLE * bool(self.owners("int"))
        kind = self.pick(*KINDS, *whole, *["loop"] * (8 if not env else 2 * (len(env) == 1)))
        if kind == "loop":
            label = self.pick(*(x for x in "TTTBC" if x not in env))
            lines = [self.line((*env, label)) for _ in range(self.draw(st.integers(1, 9)))]
            return kind, label, self.pick(1, -1), lines
        truth = kind in ("logical", "truth") or (kind == "compare" and self.pick(0, 1))
        integer = kind == "whole" or (kind == "masked" and self.owners("int") and self.pick(False, True))
        out = self.owners("bool" if truth else "int" if integer else "float")
        if not out:
            return self.line(env)
        k = self.pick(*out)
        target = self.target(k, env)
        goal = self.view(k, target, env)
        if kind == "unary":
            return kind, self.pick(*UNARY), goal, self.view(self.pick(*self.owners("float")), target, env)
        if kind == "bounded":
            return kind, self.pick(*BOUNDED), goal, self.view(self.pick(*self.owners("float")), target, env)
        if kind == "whole":
            first = self.view(self.pick(*self.owners("int")), target, env)
            return kind, self.pick(*INTEGERS), goal, first, self.integer(target, env)
        if kind == "compare" and self.owners("int") and self.pick(False, True):
            first = self.view(self.pick(*self.owners("int")), target, env)
            return kind, self.pick(*COMPARE), goal, first, (
                self.operand(target, env) if self.pick(*[False] * 3, True) else self.integer(target, env))
        if kind in ("pick", "by_class"):
            return self.by_class(kind, k, target, env)
        if kind in ("binary", "compare"):
            dtype = self.pick(*["float"] * 4, "bool")
            first = self.view(self.pick(*self.owners("float")), target, env)
            both = [first, self.operand(target, env, dtype)]
            return kind, self.pick(*(BINARY if kind == "binary" else COMPARE)), goal, *both[:: self.pick(1, -1)]
        if kind == "product":
            return self.product(env)
        if kind in ("softmax", "log_softmax", "layer_norm", "cumsum") and target:
            return kind, self.draw(st.integers(0, len(target) - 1)), goal, self.view(
                self.pick(*self.owners("float")), target, env)
        if kind in REDUCE:
            return self.reduction(kind if kind in ("max", "mean", "logsumexp") else "sum", goal, target, env)
        if kind == "truth":
            return kind, "copy", goal, self.operand(target, env, self.pick("bool", "float"))
        if kind == "logical":
            return (kind, self.pick("logical_and", "logical_or", "logical_not"), goal,
                    *(self.view(self.pick(*self.owners("bool")), target, env) for _ in range(2)))
        if kind == "masked" and self.owners("bool"):
            mask = self.view(self.pick(*self.owners("bool")), target, env)
            source = self.integer(target, env) if integer else self.operand(target, env)
            return kind, "unsafe" if integer else self.pick("same_kind", "unsafe"), goal, source, mask
        if integer:
            return "copy", 1.0, goal, self.integer(target, env)
        return "copy" if kind == "masked" else kind, self.pick(2.0, -1.0, 0.5), goal, self.operand(target, env)

    def by_class(self, kind, k, target, env):
        """Numbers of a table, at the places along one of its labels that whole numbers say; or summed there."""
        table = k if kind == "by_class" else self.pick(*self.owners("float"))
        labels = [x for x in self.arrays[table][0] if x not in env]
        if not labels:
            return self.line(env)
        along = self.pick(*labels)
        rest = [x for x in (labels if kind == "by_class" else target) if x != along]
        free = [x for x in "ABCDT" if x not in env and x != along and x not in rest]
        over = [x for x in free if self.draw(st.booleans())]
        integers, floats = self.owners("int"), self.owners("float")
        if kind == "pick":
            if along in target:
                return self.line(env)
            return (kind, along, self.view(k, target, env), self.view(table, [along, *rest], env),
                    self.view(self.pick(*integers), target, env))
        return (kind, tuple(over), self.view(k, [along, *rest], env), self.view(self.pick(*integers), over, env),
                self.view(self.pick(*floats), [*over, *rest], env))

    def reduction(self, kind, goal, target, env):
        free = [x for x in "ABCDT" if x not in target and x not in env]
        over = [x for x in free if self.draw(st.booleans())] or free[:1]
        source = self.draw(st.permutations([*target, *over]))
        inside = [x for x in source if x in target]
        goal = (goal[0], goal[1], tuple(inside))
        keep = kind != "logsumexp" and self.pick(True, False)
        return kind, keep, goal, self.view(self.pick(*self.owners("float")), source, env)

    def product(self, env):
        """A contraction of any two arrays into a third; mostly such that one alone has the last label of the result."""
        free = {k: [x for x in self.arrays[k][0] if x not in env] for k in self.owners("float")}
        found = [(left, right, k) for left, right, k in itertools.product(free, repeat=3)
                 if k not in (left, right) and set(free[left]) & set(free[right])]
        good = [(left, right, k) for left, right, k in found
                if free[k] and free[k][-1] in set(free[left]) ^ set(free[right])]
        if not found:
            return self.line(env)
        left, right, k = self.pick(*(good if good and self.draw(st.integers(0, 3)) else found))
        la, lb = free[left], free[right]
        goal = [x for x in free[k] if x in la or x in lb]
        shared = [x for x in la if x in lb]
        summed = [x for x in shared if x not in goal or not self.draw(st.integers(0, 3))] or shared[:1]
        goal = [x for x in goal if x not in summed]
        la, lb = ([x for x in labels if x in goal or x in summed] for labels in (la, lb))
        if not self.tidy:
            la, lb, goal = (self.draw(st.permutations(labels)) for labels in (la, lb, goal))
        return "product", None, self.view(k, goal, env), self.view(left, la, env), self.view(right, lb, env)


@st.composite
def programs(draw):
    """Owners and one or two segments of lines."""
    arrays, extents, public, tidy = draw(owners())
    lines = Lines(draw, arrays, extents, tidy)
    segments = [[lines.line() for _ in range(draw(st.integers(1, 7)))] for _ in range(draw(st.integers(1, 2)))]
    return arrays, extents, public, segments


GUARD = 64


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


BOUNDS = {"float64": 1e-12, "float32": 1e-4}
# Sums as they are, and in strips of a position each however short they are.
WAYS = ({}, {"STRIP": 1, "WORTH": 0, "CHUNK": 1})


def compiled(program, dtype, way):
    """The program's calls, and what they are compiled to where strips are as told."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in way.items():
            patch.setattr(strips, name, value)
        found = Recording(program, dtype)
        return found, Program(found.segments, {id(backend.owner(a)) for a in found.public}, backend.owner)


@settings(max_examples=150, suppress_health_check=SLOW)
@given(program=programs(), dtype=st.sampled_from([*BOUNDS]))
def test_compiled_programs_do_what_their_calls_do(program, dtype):
    expected, made = Recording(program, dtype), [compiled(program, dtype, way) for way in WAYS]
    bound = BOUNDS[dtype]
    for _ in range(2):  # what a run leaves behind may not change the next
        bound *= one_by_one(expected.segments, 1e-3)
        for found, program in made:
            for segment in range(len(program.segments)):
                program.run(segment)
            for x, y in zip(expected.public, found.public, strict=True):
                np.testing.assert_allclose(y, x, rtol=0, atol=bound)
            assert all(map(intact, found.arrays))
