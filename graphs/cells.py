"""A cell: equations with an input x[t] and an output h[t], which combinators and `stack` put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from textwrap import dedent
from typing import Any

from tinygrad_rnn.arguments import named
from tinygrad_rnn.errors import BadName, BadType, BadValue, near
from tinygrad_rnn.keywords import told
from tinygrad_rnn.node import At, Node, free, rebuilt, ref, refs
from tinygrad_rnn.notation.reader import read
from tinygrad_rnn.printing.printer import equation_text
from tinygrad_rnn.system import Equation


@told
@dataclass(frozen=True)
class Cell:
    """Equations with an input `x[t]` and an output `h[t]`.

    rules: how its weights start (see `initialise`); hidden: the names whose size is the `hidden` of the model;
    sizes: other sizes that are given. Raises BadType for what is none of these.
    """

    name: str
    text: str
    rules: Mapping[str, Any] = field(default_factory=dict)
    hidden: tuple[str, ...] = ("h",)
    sizes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, given in (("the name", self.name), ("the text", self.text)):
            if not isinstance(given, str):
                raise BadType(f"{what} of a cell is text, not {given!r:.80}")
        for what, table, holds in (("rules", self.rules, "initialisers"), ("sizes", self.sizes, "sizes")):
            if not isinstance(table, Mapping):
                raise BadType(f"{what} of a cell is a dict of {holds} by name, not {table!r:.80}")
        object.__setattr__(self, "hidden", named("hidden", self.hidden))

    def __str__(self) -> str:
        return dedent(self.text).strip()

    def __repr__(self) -> str:
        return f"<Cell {self.name}>"

    def checked(self) -> Cell:
        """The cell itself. Raises where its equations lack x[t] or h[t], or a name that it gives a size."""
        lacking = [name for name in "xh" if name not in self.names]
        if lacking:
            raise BadValue("a cell reads x[t] and defines h[t]; its equations "
                           + ("have neither" if len(lacking) == 2 else f"lack {lacking[0]}"))
        for name in (*self.hidden, *self.sizes):
            if name not in self.names:
                raise BadName(f"the cell {self.name} gives {name!r} a size, which is not in its equations"
                              f"{near(name, self.names)}")
        return self

    @property
    def equations(self) -> list[Equation]:
        """Its equations."""
        return read(self.text).equations

    @property
    def names(self) -> list[str]:
        """Every name in its equations, in their order."""
        return list(dict.fromkeys(n for eq in self.equations for n in (
            eq.name, *(r.attr("name") for r in refs([eq.rhs])))))

    @property
    def states(self) -> list[str]:
        """The names that are carried from step to step: read at another position than they are computed at."""
        found = self.equations
        shifted = {r.attr("name") for eq in found for r in refs([eq.rhs]) for s in r.attr("slots") if s.offset}
        return [eq.name for eq in found if eq.name in shifted and not eq.is_boundary]

    def renamed(self, name: Callable[[str], str], below: str = "x") -> Cell:
        """The same cell with every name changed, the input's to `below`; its text, rules and sizes follow."""
        new = {n: below if n == "x" else name(n) for n in self.names}
        return replace(self, text=text_of([_changed(eq, lambda r: _renamed(r, new), new) for eq in self.equations]),
                       rules={new.get(n, n): rule for n, rule in self.rules.items()},
                       hidden=tuple(new[n] for n in self.hidden), sizes={new[n]: k for n, k in self.sizes.items()})

    def reading(self, term: str) -> Cell:
        """The same cell with `term`, such as w[t-1], in place of x[t]. Raises where it reads x at another step."""
        node = read(f"x[t] = {term}").equations[0].rhs

        def change(r: Node) -> Node:
            if r.attr("name") != "x":
                return r
            if r.attr("slots") != (free("t"),):
                raise BadValue(f"{term} can stand for x[t] only, and the cell {self.name} reads x at another step")
            return node

        return replace(self, text=text_of([_changed(eq, change, {}) for eq in self.equations]))

    def over(self, index: str) -> Cell:
        """The same cell along another index than t."""
        def move(slot: At) -> At:
            return slot._replace(index=index if slot.index == "t" else slot.index)

        return self._moved(move, lambda node: Node(node.op, (), [("index", index)]))

    def backward(self) -> Cell:
        """The same cell from the last step to the first: every shift negated, position p at T+1-p."""
        def mirror(slot: At) -> At:
            if slot.anchor == "free":
                return slot._replace(offset=-slot.offset)
            return At("last", "t", 1 - slot.offset) if slot.anchor == "first" else At("first", "", 1 - slot.offset)

        def position(node: Node) -> Node:
            return Node("last", (), node.attrs) + 1 - node if node.op == "position" else node

        return self._moved(mirror, position)

    def _moved(self, move: Callable[[At], At], bare: Callable[[Node], Node]) -> Cell:
        def change(r: Node) -> Node:
            return ref(r.attr("name"), tuple(move(s) for s in r.attr("slots")), batch=r.attr("batch"))

        found = [replace(_changed(eq, change, {}, bare), slots=tuple(move(s) for s in eq.slots))
                 for eq in self.equations]
        return replace(self, text=text_of(found))


def text_of(found: list[Equation]) -> str:
    """Equations as lines of text, with their comments."""
    return "\n".join(equation_text(eq) + (f"  # {eq.comment}" if eq.comment else "") for eq in found)


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    name = node.attr("name")
    return ref(names.get(name, name), node.attr("slots"), batch=node.attr("batch"))


def _changed(eq: Equation, change: Callable[[Node], Node], names: Mapping[str, str],
             bare: Callable[[Node], Node] = lambda node: node) -> Equation:
    """The equation with its references changed, its left side renamed, and bare indices replaced."""
    def visit(node: Node, args: tuple[Node, ...]) -> Node:
        if node.op == "ref":
            return change(node)
        if node.op in ("position", "last"):
            return bare(node)
        return node if args == node.args else Node(node.op, args, node.attrs)

    return replace(eq, name=names.get(eq.name, eq.name), rhs=rebuilt(eq.rhs, visit))
