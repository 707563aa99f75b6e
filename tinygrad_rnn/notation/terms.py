"""Terms of the notation: from Python's syntax tree to nodes, by a white list."""

from __future__ import annotations

import ast
import functools
import math
import re
from collections.abc import Callable
from typing import Any

from ..errors import Error, near
from ..inference.brackets import wrong_name, wrong_read
from ..keywords import meant
from ..node import BATCH, At, Node, ref
from ..ops.reduction import REDUCING
from ..ops.table import KINDS, apply, as_node
from .elsewhere import ADVICE, DESCRIBED, ELSEWHERE, SIGNS
from .functions import IN_TEXT, OF_SEVERAL
from .syntax import Written

BINARY = {ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.Pow: "power",
          ast.MatMult: "matmul", ast.BitAnd: "logical_and", ast.BitOr: "logical_or"}
UNARY = {ast.USub: "negative", ast.Not: "logical_not", ast.Invert: "logical_not"}
COMPARE = {ast.Lt: "less", ast.LtE: "less_equal", ast.Gt: "greater", ast.GtE: "greater_equal", ast.Eq: "equal",
           ast.NotEq: "not_equal"}
SECOND = "feature slices go in a second"
BY_DATA = "a row by its class is embed(E, w[t]), a step by its number sum(where(s == k[t], h[s], 0), over=s)"


class Terms:
    """Reads terms of one text. `indices` are the names that stand in brackets there."""

    def __init__(self, written: Written, indices: set[str]):
        self.fail = written.fail
        self.written, self.indices = written, indices
        called = {node.func for node in ast.walk(written.tree) if isinstance(node, ast.Call)}
        self.quantities = {n.id for n in ast.walk(written.tree) if isinstance(n, ast.Name) and n not in called}
        self.spans: dict[Node, tuple[int, int]] = {}
        self.first = 1

    def term(self, root: ast.expr, first: int, spans: dict[Node, tuple[int, int]]) -> Node:
        """The node of a term of the equation that begins in line `first`; where its parts stand goes into `spans`."""
        self.first, self.spans = first, spans
        return self._node(root)

    def capital(self, name: str) -> str | None:
        """The index whose last position a name means: t of T. None where it is another name."""
        low = name.lower()
        return low if name != low and name == low.upper() and low in self.indices and low != BATCH else None

    # -- slots -------------------------------------------------------------------------------------

    def slot(self, part: ast.expr) -> At:
        """t, t-1, 0, -1, T, T+1, n."""
        offset, base = 0, part
        if isinstance(part, ast.BinOp) and isinstance(part.op, (ast.Add, ast.Sub)):
            step = integer(part.right)
            if step is None:
                return self.fail(part.right, f"a shift is a whole number after the index: t-1{self.moving(part)}")
            offset, base = (step if isinstance(part.op, ast.Add) else -step), part.left
        if isinstance(base, ast.Name):
            low = BATCH if base.id == BATCH.upper() else self.capital(base.id)
            return At("last", low, offset) if low else At("free", base.id, offset)
        position = integer(base)
        if position is None or base is not part:
            hint = BY_DATA if any(isinstance(node, ast.Subscript) for node in ast.walk(part)) else SECOND
            return self.fail(part, f"inside the first bracket stand indices: t, t-1, 0, T; {hint}")
        return At("first", "", position)

    def moving(self, part: ast.BinOp) -> str:
        """What to write instead of a shift that is another at each position."""
        if isinstance(part.left, ast.Name) and self.capital(part.left.id):
            return "; what runs backward is a recurrence with t+1"
        index = isinstance(part.right, ast.Name) and part.right.id in self.indices
        return "; a term for each shift is written out: W_1 @ x[t-1] + W_2 @ x[t-2]" if index else ""

    def slots(self, node: ast.Subscript, wrong: Callable[[tuple[At, ...]], tuple[int | None, str] | None],
              ) -> tuple[At, ...]:
        """What stands in a first bracket; `wrong` says why it may not."""
        parts = elements(node.slice)
        slots = tuple(map(self.slot, parts))
        found = wrong(slots)
        if found is not None:
            at, message = found
            self.fail(node if at is None else parts[at], message)
        return slots

    # -- expressions, iteratively ------------------------------------------------------------------

    def _node(self, root: ast.expr) -> Node:
        """Post-order over the tree with a stack of our own, so that depth is no matter."""
        values: list[Any] = []
        todo: list[tuple[ast.AST, Callable[..., Any] | None, int]] = [(root, None, 0)]
        while todo:
            node, build, count = todo.pop()
            if build is None:
                children, build = self.visit(node)
                todo.append((node, build, len(children)))
                todo.extend((child, None, 0) for child in reversed(children))
                continue
            args = [values.pop() for _ in range(count)][::-1]
            try:
                value = build(*args)
            except Error as error:
                if "^" not in str(error):
                    self.fail(node, str(error))
                raise
            if isinstance(value, Node):
                self.spans.setdefault(value, self.written.span(node, self.first))
            values.append(value)
        return values[0]

    def visit(self, node: ast.AST) -> tuple[list[ast.expr], Callable[..., Any]]:
        """The parts of a term, and what builds it from them."""
        if isinstance(node, ast.BinOp) and type(node.op) in BINARY:
            return [node.left, node.right], lambda a, b: apply(BINARY[type(node.op)], a, b)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd):
            return [node.operand], lambda a: a
        if isinstance(node, ast.UnaryOp) and type(node.op) in UNARY:
            if isinstance(node.operand, ast.Constant) and isinstance(node.op, ast.USub):
                value = self.number(node.operand)
                return [], lambda: as_node(-value)
            if isinstance(node.operand, ast.Name) and node.operand.id == "inf" and isinstance(node.op, ast.USub):
                return [], lambda: as_node(-math.inf)
            return [node.operand], lambda a: apply(UNARY[type(node.op)], a)
        if isinstance(node, ast.BoolOp):
            name = "logical_and" if isinstance(node.op, ast.And) else "logical_or"
            return node.values, lambda *parts: functools.reduce(functools.partial(apply, name), parts)
        if isinstance(node, ast.Compare):
            if len(node.ops) != 1:
                self.fail(node, "a comparison has two sides: s <= t; several stand in brackets: (a < b) and (b < c)")
            if type(node.ops[0]) not in COMPARE:
                self.fail(node, "is and in are not part of the notation; == tells whether two numbers are equal")
            return [node.left, node.comparators[0]], lambda a, b: apply(COMPARE[type(node.ops[0])], a, b)
        if isinstance(node, ast.Constant):
            value = self.number(node)
            return [], lambda: as_node(value)
        if isinstance(node, ast.Name):
            return [], lambda: self.bare(node)
        if isinstance(node, ast.Subscript):
            return self.subscript(node)
        if isinstance(node, ast.Call):
            return self.call(node)
        return self.fail(node, _refused(node))

    def number(self, node: ast.Constant) -> float | bool:
        """A constant."""
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return self.fail(node, _refused(node))
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self.fail(node, "this number is too large; a constant is finite (inf is written inf)")
        return number

    def bare(self, node: ast.Name) -> Node:
        """A name without brackets: inf, an index or its capital, or a quantity without an index."""
        if node.id == "inf":
            return as_node(math.inf)
        if node.id == "nan":
            return self.fail(node, "nan is no number to compute with; a constant is finite, or inf")
        if node.id in (BATCH, BATCH.upper()):
            return self.fail(node, f"{node.id} is the batch index; it is written only in img[n] and over=(t, n)")
        if node.id in self.indices:
            return apply("position", index=node.id)
        low = self.capital(node.id)
        if low:
            return apply("last", index=low)
        return ref(node.id)

    def subscript(self, node: ast.Subscript) -> tuple[list[ast.expr], Callable[..., Any]]:
        """The terms in a bracket expression, and what makes the reference or the slice of them."""
        is_slice = any(isinstance(p, ast.Slice) for p in elements(node.slice))
        if isinstance(node.value, ast.Name) and not is_slice:
            name, wrong = node.value.id, wrong_name(node.value.id)
            if wrong is not None:
                self.fail(node, wrong)
            slots = self.slots(node, wrong_read)
            batch = any(s.index == BATCH for s in slots)
            return [], lambda: ref(name, () if batch else slots, batch=batch)
        if isinstance(node.value, ast.Attribute):  # w . x[t], which binds as (w . x)[t]
            return self.visit(node.value)
        key = tuple(self.feature_key(p) for p in elements(node.slice))
        return [node.value], lambda x: x[key]

    def feature_key(self, part: ast.expr) -> Any:
        """What stands in a bracket behind features: a whole number or a slice."""
        if isinstance(part, ast.Slice):
            values = []
            for bound in (part.lower, part.upper, part.step):
                value = None if bound is None else integer(bound)
                if bound is not None and value is None:
                    self.fail(part, "a feature slice takes whole numbers: q[t][0:64]")
                values.append(value)
            return slice(*values)
        value = integer(part)
        return self.fail(part, "a feature axis takes whole numbers and slices: q[t][0:64]") if value is None else value

    # -- calls -------------------------------------------------------------------------------------

    def call(self, node: ast.Call) -> tuple[list[ast.expr], Callable[..., Any]]:
        """The arguments that are terms, and what makes the call of them."""
        if not isinstance(node.func, ast.Name):
            hint = "; between brackets stands an operator, * or @" if isinstance(node.func, ast.BinOp) else ""
            if isinstance(node.func, ast.Attribute) and node.func.attr in IN_TEXT:
                hint = f": {node.func.attr}(...)"
            return self.fail(node.func, f"only functions of the notation can be called, by name{hint}")
        name = node.func.id
        function = IN_TEXT.get(name)
        if function is None:
            return self.fail(node.func, f"unknown function {name!r}{self.instead_of(node, name)}")
        if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
            return self.fail(node, "arguments are written out")
        if len({k.arg for k in node.keywords}) != len(node.keywords):
            return self.fail(node, "an argument is given twice")
        for k in node.keywords:
            if k.arg not in function.params:
                takes = f"; it takes {', '.join(function.params)}" if function.params else ""
                self.fail(k, f"{name} has no argument {k.arg!r}{meant(str(k.arg), function.params) or takes}")
        attrs: dict[str, Any] = {str(k.arg): self.attribute(str(k.arg), k.value) for k in node.keywords}
        if name == "count":
            attrs["over"] = tuple(self.index_name(a) for a in node.args)
            if not attrs["over"]:
                self.fail(node, "count names its indices: count(t, n)")
            return [], lambda: apply("count", **attrs)
        row_params = [p for p in function.params if p not in attrs]
        args = list(node.args)
        if function.leading and args:
            attrs[row_params.pop(0)] = self.attribute("spec", args.pop(0))
        if function.arity is not None and len(args) > function.arity:
            extra = args[function.arity :]
            if len(extra) > len(row_params):
                return self.fail(extra[len(row_params)], function.miscounted("operand", len(node.args)))
            for key, value in zip(row_params, extra, strict=False):
                if key == "over" and not all(isinstance(p, ast.Name) for p in elements(value)):
                    self.fail(value, f"{name} reduces one value, over the indices that stand here; "
                                     f"{OF_SEVERAL if name in REDUCING else f'it is called {function.usage}'}")
                attrs[key] = self.attribute(key, value)
            args = args[: function.arity]
        return args, lambda *nodes: function(*nodes, **attrs)

    def index_name(self, node: ast.expr) -> str:
        """The index that stands where one must."""
        if not isinstance(node, ast.Name) or (node.id not in self.indices and node.id != BATCH):
            return self.fail(node, "an index of the model is expected here, such as t")
        return node.id

    def instead_of(self, node: ast.Call, name: str) -> str:
        """What to write in place of a function that there is not."""
        said = ELSEWHERE.get(name) or ELSEWHERE.get(name.lower())
        if said is not None:
            return f"; write {said}"
        first = node.args[0] if len(node.args) == 1 else None
        position = first.left if isinstance(first, ast.BinOp) else first
        if isinstance(position, ast.Name) and position.id in self.indices:
            return "; a quantity takes square brackets"
        if first is not None and (name in self.quantities or len(name) == 1):
            return "; between a quantity and a bracket stands an operator, * or @"
        return near(name, IN_TEXT)

    def attribute(self, key: str, node: ast.expr) -> Any:
        """A literal after a function's operands: numbers, tuples of numbers, indices for over=, text for a few."""
        if key == "over":
            names = tuple(self.index_name(p) for p in elements(node))
            return names if names else self.fail(node, "over= names at least one index")
        if key in ("spec", "shared") and isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if key == "shared":
            return tuple(p.value if isinstance(p, ast.Constant) and isinstance(p.value, str) else self.index_name(p)
                         for p in elements(node))
        if key == "spec":
            return self.fail(node, "spec is written in quotes")
        if isinstance(node, ast.Tuple):
            return tuple(self.attribute(key, p) for p in node.elts)
        if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool)):
            return node.value
        whole = integer(node)
        if whole is not None:
            return whole
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            return -self.number(node.operand)
        if isinstance(node, ast.Constant):
            return self.number(node)
        an_index = isinstance(node, ast.Name) and node.id in self.indices
        what, _ = KINDS.get(key, ("a number", None))
        return self.fail(node, f"{key} takes {what}{'; an index is named by over=' * an_index}")


def elements(node: ast.expr) -> list[ast.expr]:
    """The parts of what stands between commas."""
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]


def integer(node: ast.expr) -> int | None:
    """The whole number that is written, or None."""
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1, node.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool):
        return sign * node.value
    return None


def _refused(node: ast.AST) -> str:
    """That the notation has no such term, and what it has instead."""
    hint = ADVICE.get(type(node), "")
    if isinstance(node, ast.BinOp):
        sign, hint = SIGNS[type(node.op)]
        what = f"the operator {sign}"
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        what, hint = ".T", "the transpose of W is transpose(W)"
    else:
        what = DESCRIBED.get(type(node)) or "this " + re.sub("([A-Z])", r" \1", type(node).__name__).lower().strip()
    return f"{what} is not part of the notation" + (f"; {hint}" if hint else "")
