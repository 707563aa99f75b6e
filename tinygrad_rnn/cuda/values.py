"""The scalar code's dialect of CUDA C: a value is the name of a variable, an operation a line that sets a new one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

INTEGER = "long long"
KINDS = {"float32": "float", "float64": "double", "int64": INTEGER, "bool": "bool"}

# CUDA's functions for double; those for float end in f. Their errors are at most 2 ulp (power: 4) without fast-math.
FUNCTIONS = {"exp": "exp", "log": "log", "log1p": "log1p", "tanh": "tanh", "sqrt": "sqrt", "sin": "sin", "cos": "cos",
             "power": "pow", "absolute": "fabs"}


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
    """A variable of C: float, double, long long or bool, with Python's operators."""

    __slots__ = ("code", "kind", "text")

    def __init__(self, code: Code, kind: str, text: str):
        self.code, self.kind, self.text = code, kind, text

    def _text(self, x: Any) -> str:
        return x.text if isinstance(x, Value) else literal(self.kind, x)

    def _made(self, x: Any, sign: str, y: Any, kind: str = "") -> Value:
        kind = kind or joint(*(v for v in (x, y) if isinstance(v, Value)))
        return self.code.let(kind, f"{self._text(x)} {sign} {self._text(y)}")

    def __add__(self, x: Any) -> Value: return self._made(self, "+", x)
    def __sub__(self, x: Any) -> Value: return self._made(self, "-", x)
    def __mul__(self, x: Any) -> Value: return self._made(self, "*", x)
    def __truediv__(self, x: Any) -> Value: return self._made(self, "/", x)
    def __rtruediv__(self, x: Any) -> Value: return self._made(x, "/", self)
    def __neg__(self) -> Value: return self.code.let(self.kind, f"-{self.text}")
    def __abs__(self) -> Value: return self.call("absolute")
    def __lt__(self, x: Any) -> Value: return self.compare("<", x)
    def __gt__(self, x: Any) -> Value: return self.compare(">", x)
    def __le__(self, x: Any) -> Value: return self.compare("<=", x)
    def __ge__(self, x: Any) -> Value: return self.compare(">=", x)
    def __and__(self, x: Value) -> Value: return self._made(self, "&&", x)
    def __or__(self, x: Value) -> Value: return self._made(self, "||", x)
    def __invert__(self) -> Value: return self.code.let("bool", f"!{self.text}")

    def compare(self, sign: str, x: Any) -> Value:
        """True where the comparison holds; false with NaN, but != is true."""
        return self._made(self, sign, x, "bool")

    def choose(self, yes: Any, no: Any) -> Value:
        """yes where this truth value is true, else no."""
        like = yes if isinstance(yes, Value) else no
        kind = joint(*(v for v in (yes, no) if isinstance(v, Value)))
        return self.code.let(kind, f"{self.text} ? {like._text(yes)} : {like._text(no)}")

    def call(self, name: str, *more: Value) -> Value:
        """A function of FUNCTIONS."""
        suffix = "f" if self.kind == "float" else ""
        return self.code.let(self.kind, f"{FUNCTIONS[name]}{suffix}({', '.join([self.text, *(m.text for m in more)])})")


def joint(*values: Value) -> str:
    """What C makes of values together: a float where one is."""
    return next((v.kind for v in values if v.kind != INTEGER), INTEGER)


def literal(kind: str, x: Any) -> str:
    """A number or truth value as C writes it; a float is rounded first, so that its digits are those that count."""
    if kind == "bool":
        return "true" if x else "false"
    if kind == INTEGER:
        return f"{int(x)}LL"
    x = float(x)
    if math.isnan(x):
        return "NAN"
    if math.isinf(x):
        return "INFINITY" if x > 0 else "-INFINITY"
    return f"{np.float32(x)!s}f" if kind == "float" else repr(x)
