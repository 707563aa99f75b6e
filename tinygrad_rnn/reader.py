"""Equations as text: read by the standard library's `ast` with a white list, never evaluated."""

from __future__ import annotations

import ast
import inspect
import io
import itertools
import math
import re
import tokenize
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .errors import BadValue, Error, caret, located
from .functions import IN_TEXT
from .node import BATCH, At, Node, ref
from .ops.table import apply, as_node, near
from .system import Equation, Source

LONGEST = 1_000_000  # characters; a model is a page, not a book
MOST_SIGNS = 60_000  # far more in one chain would overflow the stack of some Pythons' own parser
LARGEST_SHIFT = 1000

BINARY = {ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.Pow: "power",
          ast.MatMult: "matmul", ast.BitAnd: "logical_and", ast.BitOr: "logical_or"}
UNARY = {ast.USub: "negative", ast.Not: "logical_not", ast.Invert: "logical_not"}
COMPARE = {ast.Lt: "less", ast.LtE: "less_equal", ast.Gt: "greater", ast.GtE: "greater_equal", ast.Eq: "equal",
           ast.NotEq: "not_equal"}


@dataclass
class Program:
    """What a text says: its equations (without types) and the sizes it gives."""

    equations: list[Equation] = field(default_factory=list)
    sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    indices: set[str] = field(default_factory=set)


def read(text: str) -> Program:
    """Parse equations. Raises `Error` with the line and a caret for anything that the notation does not have."""
    if not isinstance(text, str):
        raise BadValue(f"equations are text, not {type(text).__name__}")
    if len(text) > LONGEST:
        raise BadValue(f"the text has {len(text)} characters, more than {LONGEST}")
    if sum(map(text.count, "+-*/@%<>&|^([.")) > MOST_SIGNS:
        raise BadValue(f"the text has more than {MOST_SIGNS} operations")
    if "\0" in text:
        raise BadValue("the text holds a null character, which no text does")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    text = inspect.cleandoc("\n".join("" if line.lstrip().startswith("#") else line for line in lines))
    reader = _Reader(text, _parse(text))
    return reader.program()


def _parse(text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        lines = text.split("\n")
        line = error.lineno or 1
        shown = lines[line - 1] if line <= len(lines) else ""
        start = max(0, min((error.offset or 1) - 1, len(shown)))
        stop = error.end_offset - 1 if error.end_offset and error.end_lineno == error.lineno else start + 1
        raise BadValue(f"this is not an equation: {error.msg}\n{caret(shown, start, stop, line)}") from None
    except (RecursionError, MemoryError):
        raise BadValue("the text is nested too deeply to be an equation") from None
    except (ValueError, UnicodeError) as error:
        raise BadValue(f"the text cannot be read: {error}") from None


def _comments(text: str) -> dict[int, str]:
    found = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                found[token.start[0]] = token.string.lstrip("# ").rstrip()
    except (tokenize.TokenError, SyntaxError):
        pass
    return found


class _Reader:
    def __init__(self, text: str, tree: ast.Module):
        self.lines = text.split("\n")
        self.starts = list(itertools.accumulate((len(line) + 1 for line in self.lines), initial=0))
        self.tree = tree
        self.comments = _comments(text)
        self.names_in_slots = self._indices()
        self.where: Source | None = None
        self.taken = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}

    # -- statements --------------------------------------------------------------------------------

    def program(self) -> Program:
        program = Program()
        for statement in self.tree.body:
            if isinstance(statement, ast.AnnAssign) and statement.value is None:
                name, size = self.size_line(statement)
                if program.sizes.setdefault(name, size) != size:
                    self.fail(statement, f"{name} has two sizes, {program.sizes[name]} and {size}")
            elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                program.equations.append(self.equation(statement))
            else:
                self.fail(statement, "a line is an equation (h[t] = ...) or a size (x[t]: 27)")
        program.indices = self.names_in_slots - {BATCH}
        return program

    def _indices(self) -> set[str]:
        """Names that stand in a first bracket or after over=; a capital is the last position of its index."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
                for part in _elements(node.slice):
                    if isinstance(part, ast.BinOp):
                        part = part.left
                    if isinstance(part, ast.Name):
                        found.add(part.id)
            if isinstance(node, ast.keyword) and node.arg == "over":
                found.update(part.id for part in _elements(node.value) if isinstance(part, ast.Name))
        return {n.lower() if n == n.upper() else n for n in found}

    def fail(self, node: ast.AST, message: str) -> Any:
        line = getattr(node, "lineno", 1)
        shown = self.lines[line - 1]
        start = _column(shown, getattr(node, "col_offset", 0))
        same = getattr(node, "end_lineno", line) == line
        end = _column(shown, getattr(node, "end_col_offset", 0)) if same else len(shown)
        raise BadValue(f"{message}\n{caret(shown, start, end, line)}")

    def size_line(self, s: ast.AnnAssign) -> tuple[str, tuple[int, ...]]:
        target = s.target.value if isinstance(s.target, ast.Subscript) else s.target
        if not isinstance(target, ast.Name):
            return self.fail(s, "a size line names a quantity: x[t]: 27 or V: (10, 64)")
        sizes = []
        for part in _elements(s.annotation):
            value = _integer(part)
            if value is None or value < 1:
                self.fail(part, "a size is a whole number, at least 1")
            sizes.append(value)
        return target.id, tuple(sizes)  # type: ignore[arg-type]

    def equation(self, s: ast.Assign) -> Equation:
        first, last = s.lineno, s.end_lineno or s.lineno
        text = "\n".join(self.lines[first - 1 : last])
        spans: dict[Node, tuple[int, int]] = {}
        self.where = Source(text, first, spans)
        self.spans, self.first = spans, first
        target = s.targets[0]
        name, slots = self.left(target)
        with located(self.where.show):
            rhs = self.expression(s.value)
        comment = self.comments.get(last, "")
        return Equation(name, slots, rhs, self.where, comment)

    def left(self, target: ast.expr) -> tuple[str, tuple[At, ...]]:
        base = target.value if isinstance(target, ast.Subscript) else target
        if not isinstance(base, ast.Name):
            return self.fail(target, "the left side is a name with its indices: h[t] = ...")
        if not isinstance(target, ast.Subscript):
            self.reserved(base)
            return base.id, ()
        slots = []
        for part in _elements(target.slice):
            slot = self.slot(part)
            if slot.index == BATCH:
                self.fail(part, "the batch index n is not written on the left; every quantity may vary by example")
            if slot.anchor == "free" and slot.offset:
                self.fail(part, f"the left side takes the plain index: write {slot.index}, and shift the right side")
            if (slot.anchor == "first" and slot.offset > 0) or (slot.anchor == "last" and slot.offset < 1):
                self.fail(part, f"{slot} is inside the range; a boundary is at 0 or below, or above "
                                f"{slot.index.upper() or 'T'}")
            slots.append(slot)
        names = [s.index for s in slots if s.anchor == "free"]
        if len(set(names)) != len(names):
            self.fail(target, "an index stands once on the left side")
        return base.id, tuple(slots)

    def reserved(self, node: ast.Name) -> None:
        if node.id in self.names_in_slots or node.id == BATCH:
            self.fail(node, f"{node.id} is an index here; it cannot be assigned or be a weight")
        if self.capital(node.id) or node.id == BATCH.upper():
            self.fail(node, f"{node.id} is the last position of index {node.id.lower()}; it cannot be assigned")
        if node.id in ("inf", "nan"):
            self.fail(node, f"{node.id} is a number")

    def capital(self, name: str) -> str | None:
        low = name.lower()
        return low if name != low and name == low.upper() and low in self.names_in_slots and low != BATCH else None

    # -- slots -------------------------------------------------------------------------------------

    def slot(self, part: ast.expr) -> At:
        """t, t-1, 0, -1, T, T+1, n."""
        offset, base = 0, part
        if isinstance(part, ast.BinOp) and isinstance(part.op, (ast.Add, ast.Sub)):
            step = _integer(part.right)
            if step is None:
                return self.fail(part.right, "a shift is a whole number")
            offset, base = (step if isinstance(part.op, ast.Add) else -step), part.left
        if abs(offset) > LARGEST_SHIFT:
            return self.fail(part, f"a shift is at most {LARGEST_SHIFT} in size")
        if isinstance(base, ast.Name):
            if base.id == BATCH.upper():
                return self.fail(part, "the batch has no last position; it is written only in img[n] and over=(t, n)")
            low = self.capital(base.id)
            return At("last", low, offset) if low else At("free", base.id, offset)
        position = _integer(base)
        if position is None or base is not part:
            return self.fail(part, "inside the first bracket stand indices: t, t-1, 0, T; "
                                   "feature slices go in a second")
        if abs(position) > LARGEST_SHIFT:
            return self.fail(part, f"a position is at most {LARGEST_SHIFT} in size")
        return At("first", "", position)

    def slots(self, node: ast.Subscript) -> tuple[At, ...]:
        slots = tuple(self.slot(p) for p in _elements(node.slice))
        names = [s.index for s in slots if s.anchor == "free"]
        if len(set(names)) != len(names):
            self.fail(node, "an index stands once in a bracket; a diagonal is not supported")
        return slots

    # -- expressions, iteratively ------------------------------------------------------------------

    def expression(self, root: ast.expr) -> Node:
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
                self.spans.setdefault(value, self.span(node))
            values.append(value)
        return values[0]

    def span(self, node: ast.AST) -> tuple[int, int]:
        def offset(line: int, column: int) -> int:
            return self.starts[line - 1] - self.starts[self.first - 1] + _column(self.lines[line - 1], column)

        return (offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
                offset(node.end_lineno, node.end_col_offset))  # type: ignore[attr-defined]

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
            return node.values, lambda *parts: _fold(name, parts)
        if isinstance(node, ast.Compare):
            if len(node.ops) != 1 or type(node.ops[0]) not in COMPARE:
                self.fail(node, "a comparison has two sides: s <= t")
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
        return self.fail(node, f"{_described(node)} is not part of the notation")

    def number(self, node: ast.Constant) -> float | bool:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return self.fail(node, f"{_described(node)} is not part of the notation")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self.fail(node, "this number is too large; a constant is finite (inf is written inf)")
        return number

    def bare(self, node: ast.Name) -> Node:
        if node.id == "inf":
            return as_node(math.inf)
        if node.id == "nan":
            return self.fail(node, "nan is no number to compute with; a constant is finite, or inf")
        if node.id in (BATCH, BATCH.upper()):
            return self.fail(node, f"{node.id} is the batch index; it is written only in img[n] and over=(t, n)")
        if node.id in self.names_in_slots:
            return apply("position", index=node.id)
        low = self.capital(node.id)
        if low:
            return apply("last", index=low)
        return ref(node.id)

    def subscript(self, node: ast.Subscript) -> tuple[list[ast.expr], Callable[..., Any]]:
        is_slice = any(isinstance(p, ast.Slice) for p in _elements(node.slice))
        if isinstance(node.value, ast.Name) and not is_slice:
            if node.value.id in ("inf", "nan"):
                self.fail(node, f"{node.value.id} is a number")
            slots = self.slots(node)
            batch = any(s.index == BATCH for s in slots)
            if any(s.index == BATCH and (s.offset or len(slots) > 1) for s in slots):
                self.fail(node, "the batch index n stands alone and is never shifted: img[n]")
            name = node.value.id
            return [], lambda: ref(name, () if batch else slots, batch=batch)
        key = tuple(self.feature_key(p) for p in _elements(node.slice))
        return [node.value], lambda x: x[key]

    def feature_key(self, part: ast.expr) -> Any:
        if isinstance(part, ast.Slice):
            values = []
            for bound in (part.lower, part.upper, part.step):
                value = None if bound is None else _integer(bound)
                if bound is not None and value is None:
                    self.fail(part, "a feature slice takes whole numbers: q[t][0:64]")
                values.append(value)
            return slice(*values)
        value = _integer(part)
        return self.fail(part, "a feature axis takes whole numbers and slices: q[t][0:64]") if value is None else value

    # -- calls -------------------------------------------------------------------------------------

    def call(self, node: ast.Call) -> tuple[list[ast.expr], Callable[..., Any]]:
        if not isinstance(node.func, ast.Name):
            return self.fail(node.func, "only functions of the notation can be called, by name")
        name = node.func.id
        function = IN_TEXT.get(name)
        if function is None:
            hint = " (a quantity takes square brackets)" if name in self.taken and len(name) < 3 else ""
            return self.fail(node.func, f"unknown function {name!r}{near(name, IN_TEXT) or hint}")
        if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
            return self.fail(node, "arguments are written out")
        if len({k.arg for k in node.keywords}) != len(node.keywords):
            return self.fail(node, "an argument is given twice")
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
                return self.fail(extra[len(row_params)], f"{name} takes no such argument")
            for key, value in zip(row_params, extra, strict=False):
                attrs[key] = self.attribute(key, value)
            args = args[: function.arity]
        return args, lambda *nodes: function(*nodes, **attrs)

    def index_name(self, node: ast.expr) -> str:
        if not isinstance(node, ast.Name) or (node.id not in self.names_in_slots and node.id != BATCH):
            return self.fail(node, "an index of the model is expected here, such as t")
        return node.id

    def attribute(self, key: str, node: ast.expr) -> Any:
        """A literal after a function's operands: numbers, tuples of numbers, indices for over=, text for a few."""
        if key == "over":
            names = tuple(self.index_name(p) for p in _elements(node))
            return names if names else self.fail(node, "over= names at least one index")
        if key in ("spec", "shared"):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                return node.value
            return self.fail(node, f"{key} is written in quotes")
        if isinstance(node, ast.Tuple):
            return tuple(self.attribute(key, p) for p in node.elts)
        if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool)):
            return node.value
        whole = _integer(node)
        if whole is not None:
            return whole
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            return -self.number(node.operand)
        if isinstance(node, ast.Constant):
            return self.number(node)
        return self.fail(node, f"{key} takes a number")


def _fold(name: str, parts: tuple[Node, ...]) -> Node:
    result = parts[0]
    for part in parts[1:]:
        result = apply(name, result, part)
    return result


def _elements(node: ast.expr) -> list[ast.expr]:
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]


def _integer(node: ast.expr) -> int | None:
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1, node.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool):
        return sign * node.value
    return None


def _column(line: str, byte: int) -> int:
    """ast counts bytes, people count characters."""
    if line.isascii():
        return min(byte, len(line))
    return len(line.encode("utf-8", "surrogatepass")[:byte].decode("utf-8", "ignore"))


def _described(node: ast.AST) -> str:
    names = {"Attribute": "an attribute (a dot)", "Lambda": "lambda", "ListComp": "a comprehension", "Dict": "a dict",
             "List": "a list", "Tuple": "a tuple", "Constant": "this constant", "JoinedStr": "text",
             "IfExp": "if-else (write where(condition, a, b))", "NamedExpr": ":=", "Await": "await"}
    words = re.sub("([A-Z])", r" \1", type(node).__name__).lower().strip()
    return names.get(type(node).__name__, f"this {words}")
