"""Random programs of calls.

A program is text-like data: owners (arrays) and lines; a line is a call, or a loop of lines along a label. Owners
have axes by label; a view takes an offset and a step for each label that the call runs along, a moving position for
each label of a loop around it, and a fixed one for others. A label's extent is the same for all.
"""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st

from tinygrad_rnn.ops.elementwise import _logistic
from tinygrad_rnn.ops.table import with_out

logistic = _logistic(np)
LAYOUTS = ["", "A", "A", "B", "BA", "BA", "AB", "CBA", "ACB", "TBA", "TBA", "TA", "TAB", "BTA", "DB", "BD", "DA", "AD"]
TIDY = ["BA", "BA", "DA", "TBA", "TBA", "TDA", "A", "B", "DB", "DB", "BD", "CBA"]
UNARY = {"negative": np.negative, "absolute": np.absolute, "sign": np.sign, "tanh": np.tanh, "sigmoid": logistic,
         "sin": np.sin, "cos": np.cos, "square": np.square}  # square is not compiled: it stays a call
BINARY = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "logaddexp": np.logaddexp,
          "maximum": with_out(np.maximum), "minimum": with_out(np.minimum)}
COMPARE = {n: getattr(np, n) for n in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")}
BOUNDED = {"exp": (with_out(np.minimum), 1.0, np.exp), "log": (np.add, 1.0, np.log), "sqrt": (np.add, 1.0, np.sqrt)}
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

    def some(self, dtype, target, env):
        """A view of any owner of that dtype."""
        return self.view(self.pick(*self.owners(dtype)), target, env)

    def operand(self, target, env, dtype="float"):
        found = self.owners(dtype)
        if not found or self.pick(*[False] * 5, True):
            return self.draw(CONSTANTS)
        return self.view(self.pick(*found), target, env)

    def integer(self, target, env):
        if self.pick(*[False] * 3, True):
            return self.pick(1, 2, -1)
        return self.some("int", target, env)

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
        if kind in ("unary", "bounded", "whole", "binary", "compare"):
            return self.elementwise(kind, goal, target, env)
        if kind in ("pick", "by_class"):
            return self.by_class(kind, k, target, env)
        if kind == "product":
            return self.product(env)
        if kind in ("softmax", "log_softmax", "layer_norm", "cumsum") and target:
            return kind, self.draw(st.integers(0, len(target) - 1)), goal, self.some("float", target, env)
        if kind in REDUCE:
            return self.reduction(kind if kind in ("max", "mean", "logsumexp") else "sum", goal, target, env)
        return self.chosen(kind, integer, goal, target, env)

    def elementwise(self, kind, goal, target, env):
        """Functions of one operand or two, and comparisons."""
        if kind in ("unary", "bounded"):
            return kind, self.pick(*(UNARY if kind == "unary" else BOUNDED)), goal, self.some("float", target, env)
        if kind == "whole":
            first = self.some("int", target, env)
            return kind, self.pick(*INTEGERS), goal, first, self.integer(target, env)
        if kind == "compare" and self.owners("int") and self.pick(False, True):
            first = self.some("int", target, env)
            return kind, self.pick(*COMPARE), goal, first, (
                self.operand(target, env) if self.pick(*[False] * 3, True) else self.integer(target, env))
        dtype = self.pick(*["float"] * 4, "bool")
        first = self.some("float", target, env)
        both = [first, self.operand(target, env, dtype)]
        return kind, self.pick(*(BINARY if kind == "binary" else COMPARE)), goal, *both[:: self.pick(1, -1)]

    def chosen(self, kind, integer, goal, target, env):
        """Copies, with a mask or without, and truth values."""
        if kind == "truth":
            return kind, "copy", goal, self.operand(target, env, self.pick("bool", "float"))
        if kind == "logical":
            return (kind, self.pick("logical_and", "logical_or", "logical_not"), goal,
                    *(self.some("bool", target, env) for _ in range(2)))
        if kind == "masked" and self.owners("bool"):
            mask = self.some("bool", target, env)
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
        return kind, keep, goal, self.some("float", source, env)

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
