"""A rule of an optimiser written down: it is called with names in the place of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

MOST = 16  # numbers of a rule
Rule = Callable[[Any, Any, "tuple[Any, ...]", Any], None]  # weight, gradient, slots, scratch
Make = Callable[[Any], Rule]  # the rule through an array module
Step = tuple[str, str, tuple["str | int", ...]]  # function, what it writes, arguments: names, or places of numbers


class Trace:
    """The array module as far as rules use it: writes down what is called, and the numbers in it."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.numbers: list[float] = []

    def add(self, x: Any, y: Any, out: str) -> str: return self._call("add", x, y, out)
    def subtract(self, x: Any, y: Any, out: str) -> str: return self._call("subtract", x, y, out)
    def multiply(self, x: Any, y: Any, out: str) -> str: return self._call("multiply", x, y, out)
    def divide(self, x: Any, y: Any, out: str) -> str: return self._call("divide", x, y, out)

    def sqrt(self, x: str, out: str) -> str:
        """The square root of an array."""
        self.steps.append(("sqrt", out, (x,)))
        return out

    def _call(self, op: str, x: str | float, y: str | float, out: str) -> str:
        self.steps.append((op, out, (x if isinstance(x, str) else self._number(x),
                                     y if isinstance(y, str) else self._number(y))))
        return out

    def _number(self, x: float) -> int:
        self.numbers.append(x)
        return len(self.numbers) - 1


def traced(make: Make, names: Sequence[str]) -> Trace:
    """The rule make(array module), whose weight, gradient and slots have these names, and whose scratch is "s"."""
    trace = Trace()
    make(trace)(names[0], names[1], tuple(names[2:]), "s")
    return trace
