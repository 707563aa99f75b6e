"""The scalar code's dialect of CUDA C: a value is the name of a variable, an operation a line that sets a new one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

INTEGER = "long long"
KINDS = {"float32": "float", "float64": "double", "int64": INTEGER, "bool": "bool"}

KINDS_IN_ORDER = ("bool", INTEGER, "float", "double")

# CUDA's functions for double; those for float end in f. Their errors are at most 2 ulp (power: 4) without fast-math.
FUNCTIONS = {"exp": "exp", "log": "log", "log1p": "log1p", "tanh": "tanh", "sqrt": "sqrt", "sin": "sin", "cos": "cos",
             "power": "pow", "absolute": "fabs", "floor": "floor"}


class Code:
    """Lines of one function's body, with fresh names."""

    def __init__(self, indent: str = "    "):
        self.lines: list[str] = []
        self.indent = indent
        self._count = 0

    def line(self, text: str) -> None:
        """Add a line."""
        self.lines.append(self.indent + text)

    def let(self, kind: str, expression: str) -> Value:
        """A new variable."""
        name = f"v{self._count}"
        self._count += 1
        self.line(f"const {kind} {name} = {expression};")
        return Value(self, kind, name)

    def block(self, head: str) -> _Block:
        """`with code.block("for (...)"):` indents what follows."""
        return _Block(self, head)


class _Block:
    def __init__(self, code: Code, head: str):
        self.code, self.head = code, head

    def __enter__(self) -> None:
        self.code.line(self.head + " {")
        self.code.indent += "    "

    def __exit__(self, *error: object) -> None:
        self.code.indent = self.code.indent[:-4]
        self.code.line("}")


class Value:
    """A variable of C: float, double, long long or bool, with Python's operators.

    As in NumPy, an integer beside a float becomes a double, and so does one that is divided or given to a function.
    """

    __slots__ = ("code", "kind", "text")

    def __init__(self, code: Code, kind: str, text: str):
        self.code, self.kind, self.text = code, kind, text

    def _made(self, x: Any, sign: str, y: Any, kind: str = "") -> Value:
        meeting = "double" if sign == "/" and joint(x, y) == INTEGER else joint(x, y)
        return self.code.let(kind or meeting, f"{as_kind(meeting, x)} {sign} {as_kind(meeting, y)}")

    def __add__(self, x: Any) -> Value: return self._made(self, "+", x)
    def __sub__(self, x: Any) -> Value: return self._made(self, "-", x)
    def __mul__(self, x: Any) -> Value: return self._made(self, "*", x)
    def __truediv__(self, x: Any) -> Value: return self._made(self, "/", x)
    def __rtruediv__(self, x: Any) -> Value: return self._made(x, "/", self)
    def __neg__(self) -> Value: return self.code.let(self.kind, f"-({self.text})")
    def __lt__(self, x: Any) -> Value: return self.compare("<", x)
    def __gt__(self, x: Any) -> Value: return self.compare(">", x)
    def __le__(self, x: Any) -> Value: return self.compare("<=", x)
    def __ge__(self, x: Any) -> Value: return self.compare(">=", x)
    def __and__(self, x: Value) -> Value: return self._made(self, "&&", x)
    def __or__(self, x: Value) -> Value: return self._made(self, "||", x)
    def __invert__(self) -> Value: return self.code.let("bool", f"!{self.text}")

    def __abs__(self) -> Value:
        return (self < 0).choose(-self, self) if self.kind == INTEGER else self.call("absolute")

    def compare(self, sign: str, x: Any) -> Value:
        """True where the comparison holds; false with NaN, but != is true."""
        return self._made(self, sign, x, "bool")

    def choose(self, yes: Any, no: Any) -> Value:
        """yes where this truth value is true, else no."""
        kind = joint(yes, no)
        return self.code.let(kind, f"{self.text} ? {as_kind(kind, yes)} : {as_kind(kind, no)}")

    def call(self, name: str, *more: Value) -> Value:
        """A function of FUNCTIONS."""
        kind = "float" if joint(self, *more) == "float" else "double"
        arguments = ", ".join(as_kind(kind, x) for x in (self, *more))
        return self.code.let(kind, f"{FUNCTIONS[name]}{'f' * (kind == 'float')}({arguments})")


def joint(*terms: Any) -> str:
    """The kind that holds values and numbers together."""
    kinds = {x.kind for x in terms if isinstance(x, Value)}
    if INTEGER in kinds and not all(isinstance(x, Value) or float(x).is_integer() for x in terms):
        return "double"
    return "double" if kinds >= {INTEGER, "float"} else max(kinds, key=KINDS_IN_ORDER.index)


def as_kind(kind: str, x: Any) -> str:
    """A value or a number as C writes it where it is to be of that kind."""
    if not isinstance(x, Value):
        return literal(kind, x)
    return f"(double){x.text}" if kind == "double" and x.kind == INTEGER else x.text


def literal(kind: str, x: Any) -> str:
    """A number or truth value as C writes it; a float is rounded first, so that its digits are those that count."""
    if kind == "bool":
        return "true" if x else "false"
    if kind == INTEGER:
        return f"{int(x)}LL"
    with np.errstate(over="ignore"):
        x = np.float32(x) if kind == "float" else float(x)
    if math.isnan(x):
        return "NAN"
    if math.isinf(x):
        return "INFINITY" if x > 0 else "-INFINITY"
    return f"{x!s}f" if kind == "float" else repr(x)
