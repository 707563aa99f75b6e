"""What is declared of a model, by text or in Python, and the typed system that follows from it."""

from __future__ import annotations

import warnings
from typing import Any

from .declare import Symbol
from .declared import declarations, observed
from .errors import BadType, BadValue
from .infer import Declarations, resolve
from .node import At
from .ops.table import as_node
from .reader import Program
from .schedule import needed, schedule
from .system import Equation, System

LARGEST_SIZE = 2**31


def size_tuple(name: str, size: Any) -> tuple[int, ...]:
    """64 -> (64,); a tuple of sizes; () for a scalar."""
    sizes = size if isinstance(size, (tuple, list)) else (size,)
    for s in sizes:
        if isinstance(s, bool) or not hasattr(s, "__index__"):
            raise BadType(f"the size of {name} is a whole number or a tuple of them, not {size!r}")
        if not 1 <= s < LARGEST_SIZE:
            raise BadValue(f"the size of {name} must be at least 1 and below {LARGEST_SIZE}, not {s}")
    return tuple(s.__index__() for s in sizes)


class Declaring:
    """Names, sizes and equations, resolved into a system at first use."""

    def __init__(self, name: str = "model", dtype: str = "float32", **sizes: Any):
        self._declared = Declarations(name, [], {k: size_tuple(k, v) for k, v in sizes.items()}, dtype)
        self._forget()

    def _declare(self, program: Program) -> None:
        """Take over what a text says; sizes that were given count more."""
        self._declared.equations.extend(program.equations)
        for name, size in program.sizes.items():
            self._declared.sizes.setdefault(name, size)

    def _forget(self) -> None:
        """What follows from the equations is made anew after one is added."""
        self._system: System | None = None
        self._declarations: dict[str, Equation] | None = None

    def input(self, name: str, size: Any = None) -> Symbol:
        """An input: data given at each position (`x[t]`) or for each example (`img[n]`)."""
        return self._symbol(name, size, "input")

    def state(self, name: str, size: Any = None) -> Symbol:
        """A quantity with an equation of its own: `h[t] = ...`."""
        return self._symbol(name, size, "defined")

    quantity = state

    def weight(self, name: str, size: Any = None) -> Symbol:
        """A weight; its shape follows from where it stands, or is given."""
        return self._symbol(name, size, "weight")

    def _symbol(self, name: str, size: Any, role: str) -> Symbol:
        if not isinstance(name, str) or not name.isidentifier():
            raise BadValue(f"a quantity's name is an identifier, not {name!r}")
        if size is not None:
            self._declared.sizes[name] = size_tuple(name, size)
            self._forget()
        return Symbol(self, name, role)

    def __getitem__(self, name: str) -> Symbol:
        return Symbol(self, name, "defined")

    def __setitem__(self, name: str, value: Any) -> None:
        """m["loss"] = mean(...): an equation without an index. (m["h"][t] = ... has set its own already.)"""
        if not isinstance(value, Symbol):
            self.define(name, (), value)

    def define(self, name: str, slots: tuple[At, ...], value: Any) -> None:
        """Add the equation name[slots] = value."""
        self._declared.equations.append(Equation(name, slots, as_node(value, name)))
        self._forget()

    @property
    def system(self) -> System:
        """The typed system of equations; resolved at first use."""
        if self._system is None:
            self._system = resolve(self._declared)
            seen = observed(self._system)
            schedule(needed(seen, seen.by_name))  # a cycle without an order is told at once
            _warn_of_twins(self._system.of_role("weight"))
        return self._system

    @property
    def name(self) -> str:
        """The name in titles and files."""
        return self._declared.name

    @property
    def dtype(self) -> str:
        """"float32" or "float64"."""
        return self.system.dtype

    @property
    def declared(self) -> list[str]:
        """The names of declared data: `w[t] = categorical(p[t])`."""
        return list(self.declarations)

    @property
    def declarations(self) -> dict[str, Equation]:
        """The equations that declare data, by name."""
        if self._declarations is None:
            self._declarations = declarations(self.system)
        return self._declarations


def _warn_of_twins(names: list[str]) -> None:
    """b_f and b_F are rarely both meant."""
    seen: dict[str, str] = {}
    for name in names:
        plain = name.lower().replace("_", "")
        if plain in seen:
            warnings.warn(f"the weights {seen[plain]} and {name} have nearly the same name; is one a slip of the pen?",
                          stacklevel=4)
        seen[plain] = name
