"""What is declared of a model, by text or in Python, and the typed system that follows from it."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arguments import whole
from ..errors import BadAttribute, BadType, BadValue
from ..inference.brackets import wrong_name
from ..inference.infer import resolve
from ..inference.roles import Declarations
from ..keywords import told
from ..node import At, Node
from ..ops.draws import law
from ..ops.table import as_node
from ..passes.schedule import needed, schedule
from ..printing.printer import equation_text, text
from ..system import Equation, System
from .declare import Symbol
from .declared import declarations, observed
from .doubts import doubts
from .reader import Program

LARGEST_SIZE = 2**31 - 1
ROLES = {"input": "an input", "weight": "a weight", "defined": "a state"}


def size_tuple(name: str, size: Any) -> tuple[int, ...]:
    """64 -> (64,); a tuple of sizes; () for a scalar."""
    sizes = size if isinstance(size, (tuple, list)) else (size,)
    return tuple(whole(f"the size of {name}", s, at_least=1, at_most=LARGEST_SIZE) for s in sizes)


class Declaring:
    """Names, sizes and equations, resolved into a system at first use."""

    _warns = True  # of what is likely a slip; not again of a model that was made before

    def __init__(self, name: str, dtype: Any, **sizes: Any):
        if not isinstance(name, str):
            raise BadType(f"the name of a model is text, not {name!r:.80}")
        dtype = np.dtype(dtype).name if isinstance(dtype, (type, np.dtype)) else dtype  # np.float64 is "float64"
        self._roles: dict[str, str] = {}  # of the names that were declared in Python
        self._declared = Declarations(name, [], {k: size_tuple(k, v) for k, v in sizes.items()}, dtype)
        self._forget()

    def _declare(self, program: Program) -> None:
        """Take over what a text says; sizes that were given count more."""
        self._declared.equations.extend(program.equations)
        for name, size in program.sizes.items():
            self._declared.sizes.setdefault(name, size)
        self._declared.placed |= program.placed

    def _forget(self) -> None:
        """What follows from the equations is made anew after one is added."""
        self._system: System | None = None
        self._declarations: dict[str, Equation] | None = None

    @told
    def input(self, name: str, size: Any = None) -> Symbol:
        """An input: data given at each position (`x[t]`) or for each example (`img[n]`)."""
        return self._symbol(name, size, "input")

    @told
    def state(self, name: str, size: Any = None) -> Symbol:
        """A quantity with an equation of its own: `h[t] = ...`."""
        return self._symbol(name, size, "defined")

    quantity = state

    @told
    def weight(self, name: str, size: Any = None) -> Symbol:
        """A weight; its shape follows from where it stands, or is given."""
        return self._symbol(name, size, "weight")

    def _symbol(self, name: str, size: Any, role: str) -> Symbol:
        wrong = wrong_name(name)
        if wrong is not None:
            raise BadValue(wrong)
        name = unicodedata.normalize("NFKC", name)  # as Python does with names, and so the reader of texts
        known = self._roles.setdefault(name, role)
        if known != role:
            raise BadValue(f"{name} is declared twice, as {ROLES[known]} and as {ROLES[role]}")
        if size is not None:
            shape = size_tuple(name, size)
            self._declared.placed.add(name)
            before = self._declared.sizes.setdefault(name, shape)
            if before != shape:
                raise BadValue(f"{name} is declared twice, with the sizes {before} and {shape}")
            self._forget()
        return Symbol(self, name, role)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Node):
            raise BadAttribute(f"an equation is no attribute; write model[{name!r}] = ..., or, with an index, "
                               f"model.state({name!r})[t] = ...")
        super().__setattr__(name, value)

    def __getitem__(self, name: str) -> Symbol:
        return Symbol(self, name, "defined")

    def __setitem__(self, name: str, value: Any) -> None:
        """m["loss"] = mean(...): an equation without an index. (m["h"][t] = ... has set its own already.)"""
        if not isinstance(value, Symbol):
            self.define(name, (), value)

    def told(self, name: str) -> str:
        """The equations of a name so far; of one that has none what it is: <input x>."""
        own = [equation_text(eq) for eq in self._declared.equations if eq.name == name]
        known = self._system.quantities.get(name) if self._system is not None else None
        role = known.role if known is not None else self._roles.get(name, "defined")
        what = f"{name}, which no equation defines yet" if role == "defined" else f"{role} {name}"
        return "\n".join(own) or f"<{what}>"

    def define(self, name: str, slots: tuple[At, ...], value: Any) -> None:
        """Add the equation name[slots] = value."""
        self._declared.equations.append(Equation(name, slots, as_node(value, name)))
        self._forget()

    @property
    def system(self) -> System:
        """The typed system of equations; resolved at first use."""
        if self._system is None:
            self._check_roles()
            _check_starts(self._declared.equations)
            self._system = resolve(self._declared)
            seen = observed(self._system)
            schedule(needed(seen, seen.by_name))  # a cycle without an order is told at once
            if self._warns:
                for doubt in doubts(self._system, self._declared.sizes):
                    warnings.warn(doubt, stacklevel=3)
        return self._system

    def _check_roles(self) -> None:
        """What is declared as a state has an equation."""
        defined = {eq.name for eq in self._declared.equations}
        for name, role in self._roles.items():
            if role == "defined" and name not in defined:
                raise BadValue(f"{name} is declared as a state, but no equation defines it: write {name}[t] = ...")

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


def _check_starts(equations: Sequence[Equation]) -> None:
    """Raise where w[0] = 2 was to be a class: one number is that in every element, here of a one-hot vector."""
    classes = {eq.name for eq in equations if law(eq.rhs) == "categorical"}
    for eq in equations:
        if eq.name in classes and eq.is_boundary and eq.rhs.op == "const" and eq.rhs.attr("value") != 0:
            number = text(eq.rhs)
            raise BadValue(f"{eq.left} = {number} would be {number} in every element of a one-hot vector; a class, "
                           f"counted from 0, is written one_hot({number}, size)\n{eq.show(eq.rhs)}")
