"""What one element's arithmetic is: a row per array function, over values that a dialect writes down.

A dialect's value has Python's operators and `compare`, `choose` and `call`: the machine's own function of a name
(exp, log, log1p, tanh, sqrt, sin, cos, power), as exact as the dialect promises.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


def sigmoid(x: Any) -> Any:
    """1 / (1 + e**-|x|), times e**-|x| where x is negative, so that small values keep their digits."""
    z = (-abs(x)).call("exp")
    s = 1.0 / (z + 1.0)
    return (x < 0.0).choose(z * s, s)


def logaddexp(x: Any, y: Any) -> Any:
    """log(e**x + e**y)."""
    top = maximum(x, y)
    value = top + (-abs(x - y)).call("exp").call("log1p")
    return x.compare("==", y).choose(x + math.log(2.0), value)


def maximum(x: Any, y: Any) -> Any:
    """The larger; NaN where either is."""
    return (x.compare("!=", x) | (x > y)).choose(x, y)


def minimum(x: Any, y: Any) -> Any:
    """The smaller; NaN where either is."""
    return (x.compare("!=", x) | (x < y)).choose(x, y)


def sign(x: Any) -> Any:
    """-1, 0 or 1; NaN stays."""
    one = (x > 0.0).choose(1.0, (x < 0.0).choose(-1.0, x * 0.0))
    return x.compare("!=", x).choose(x, one)


def function(name: str) -> Callable[..., Any]:
    """The machine's own function of that name."""
    return lambda x, *more: x.call(name, *more)


SCALARS: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y, "subtract": lambda x, y: x - y, "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y, "negative": lambda x: -x, "absolute": abs, "sign": sign,
    "exp": function("exp"), "log": function("log"), "tanh": function("tanh"), "sqrt": function("sqrt"),
    "floor": function("floor"),
    "sin": function("sin"), "cos": function("cos"), "power": function("power"),
    "sigmoid": sigmoid, "logaddexp": logaddexp, "maximum": maximum, "minimum": minimum,
    "less": lambda x, y: x < y, "less_equal": lambda x, y: x <= y, "greater": lambda x, y: x > y,
    "greater_equal": lambda x, y: x >= y, "equal": lambda x, y: x.compare("==", y),
    "not_equal": lambda x, y: x.compare("!=", y),
    "logical_and": lambda x, y: x & y, "logical_or": lambda x, y: x | y, "logical_not": lambda x: ~x,
    "copy": lambda x: x, "where": lambda c, x, y: c.choose(x, y),
}
FOLDS: dict[str, tuple[float, Callable[[Any, Any], Any]]] = {  # the value to start from, and how two become one
    "sum": (0.0, lambda x, y: x + y), "max": (-math.inf, maximum),
}


class Terms:
    """A pass's steps as values of a dialect; between numbers and truth values it converts as array functions do.

    number, truth: a Python number or a value as one or the other; is_truth, is_integer: which of them is a value?
    beside: what is no integer as what stands beside one: whole numbers and truth values become integers too, so that
    all are compared exactly. kept: a value as an array of integers ("whole") or of floats ("number") keeps it.
    """

    def __init__(self, number: Callable[[Any], Any], truth: Callable[[Any], Any], beside: Callable[[Any], Any],
                 kept: Callable[[str, Any], Any], is_truth: Callable[[Any], bool], is_integer: Callable[[Any], bool]):
        self.number, self.truth, self.beside, self.kept = number, truth, beside, kept
        self.is_truth, self.is_integer = is_truth, is_integer

    def computed(self, name: str, args: list[Any]) -> Any:
        """The value of a step, given those of its arguments."""
        if name == "truth":
            return self.truth(args[0])
        if name in ("whole", "number"):
            return self.kept(name, args[0])
        if name == "floor" and self.is_integer(args[0]):
            return args[0]
        first = 1 if name == "where" else 0
        if any(map(self.is_integer, args[first:])):
            args = [*args[:first], *map(self.beside, args[first:])]
        if name.startswith("logical"):
            return SCALARS[name](*map(self.truth, args))
        if name == "where":
            kind = self.truth if all(map(self.is_truth, args[1:])) else self.number
            return SCALARS[name](self.truth(args[0]), *map(kind, args[1:]))
        if name == "copy":
            return self.truth(args[0]) if self.is_truth(args[0]) else self.number(args[0])
        return SCALARS[name](*map(self.number, args))
