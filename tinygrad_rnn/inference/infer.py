"""From equations as written to a typed system: roles, indices, then ranks, then sizes, all by unification."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

from ..errors import BadValue, Error, Undetermined, located
from ..node import BATCH, WEAK, Node, Type, number, ordered, rebuilt, ref, refs, walk
from ..ops import TABLE, f
from ..ops.draws import DECLARED
from ..ops.positional import check_rate, reached
from ..ops.reduction import REDUCING
from ..ops.table import make
from ..printing.printer import text
from ..shapes import Cell, Solver
from ..system import Equation, Quantity, System
from .roles import Declarations, Roles, shared_ranges
from .worklist import Worklist

ONE_NUMBER = "one number does not fill a vector, as {} does"
NUMBERS = ("const", "position", "last", "count")  # terms without features
SHORT = 40  # characters of a term that is shown with its shape
LARGEST = {"float32": 3.4028234663852886e38, "float64": math.inf}


def resolve(d: Declarations) -> System:
    """The typed system of the declarations. Raises `Error` at the equation and term that cannot be."""
    return _Resolver(d).system()


class _Resolver:
    """Roles, then shapes, then types."""

    def __init__(self, d: Declarations):
        self.d = d
        if d.dtype not in LARGEST:
            raise BadValue(f'dtype is "float32" or "float64", not {d.dtype!r}')
        found = Roles(d)
        self.equations, self.roles, self.slots = found.equations, found.roles, found.slots
        self.batched, self.static, self.ranges = found.batched, found.static, found.ranges

    def system(self) -> System:
        self.cells = self._shapes()
        return self._typed()

    # -- shapes ------------------------------------------------------------------------------------

    def _names(self) -> dict[str, Cell]:
        """The shape of each name, as far as it is given."""
        noise = {eq.name for eq in self.equations if eq.rhs.op == "dropout_mask" or (
            eq.rhs.op in DECLARED and all(a.op == "const" for a in eq.rhs.args))}
        names = {name: Cell(self.d.sizes.get(name)) for name in self.roles}
        for name, cell in names.items():
            if cell.dims is None:
                cell.undeclared = "input" if name in noise else self.roles[name].replace("defined", "")
        return names

    def _nodes(self, names: Mapping[str, Cell]) -> dict[Node, Cell]:
        """The shape of each term, not known yet but of names and numbers."""
        nodes = {node: Cell((), "constant") if node.op in NUMBERS else Cell()
                 for node in walk(eq.rhs for eq in self.equations) if node.op != "ref"}
        nodes |= {node: names[node.attr("name")] for node in refs(eq.rhs for eq in self.equations)}
        return nodes | {eq.rhs: names[eq.name] for eq in self.equations if eq.rhs.op == "dropout_mask"}

    def _shapes(self) -> dict[str, Cell]:
        """The shapes of the names: those of all terms follow from each other until nothing more is learnt."""
        names = self._names()
        nodes = self._nodes(names)
        terms = [(eq, node) for eq in self.equations for node in walk([eq.rhs]) if node.args]
        sides = sorted(self.equations, key=lambda eq: eq.is_boundary)  # the boundary is told where they do not agree
        rules: list[tuple[Equation, Node | None]] = [*terms, *((eq, None) for eq in sides)]
        u = Worklist([[names[eq.name], nodes[eq.rhs]] if node is None else
                      [nodes[node], *(nodes[a] for a in node.args)] for eq, node in rules])

        def apply(number: int) -> None:
            eq, node = rules[number]
            with located(eq.show):
                if node is None:
                    _both_sides(u, eq, names, nodes)
                else:
                    _term(u, eq, node, nodes)

        u.settle(apply, lambda: _a_number(u, names.values()))
        self._complete(names)
        return names

    def _complete(self, names: Mapping[str, Cell]) -> None:
        """Raise where a size is not known, with a line that gives one."""
        unknown = [n for n, c in names.items() if c.dims is None or None in c.sizes()]
        if not unknown:
            return
        # The most useful hint is an input or a state, from which the weights follow.
        first = min(unknown, key=lambda n: ("input", "defined", "weight").index(self.roles[n]))
        eq, node = next(((eq, r) for eq in self.equations for r in refs([eq.rhs]) if r.attr("name") == first),
                        (next((eq for eq in self.equations if eq.name == first), self.equations[0]), None))
        slots = ",".join(s.index for s in (eq.slots if node is None else node.attr("slots")) if s.index)
        shape = tuple(8 if s is None else s for s in names[first].sizes())
        size = shape if len(shape) > 1 else 8
        line = f"{first}[{slots}]: {size}" if slots else f"{first}: {size}"
        raise Undetermined(f"the size of {', '.join(unknown)} is not determined; give it: {first}=..., or in the text "
                           f"a line such as {line}\n{eq.show(node)}")

    # -- typed -------------------------------------------------------------------------------------

    def _typed(self) -> System:
        quantities = {}
        for name, role in self.roles.items():
            sizes = tuple(s for s in self.cells[name].sizes() if s is not None)
            indices = [*self.slots[name], *([BATCH] if name in self.batched else [])]
            quantities[name] = Quantity(name, role, self.slots[name], Type(ordered(indices), sizes, self.d.dtype))
        equations = []
        for eq in self.equations:
            with located(eq.show):
                equations.append(self._typed_equation(eq, quantities))
        # Said from now on: of more equations, such as derived ones, another rank could follow.
        numbers = {q.name: () for q in quantities.values() if q.role == "weight" and not q.type.shape}
        return System(self.d.name, tuple(equations), quantities, self.static, self.ranges, {**self.d.sizes, **numbers},
                      self.d.dtype)

    def _typed_equation(self, eq: Equation, quantities: Mapping[str, Quantity]) -> Equation:
        left, spans = quantities[eq.name], eq.source.spans if eq.source else {}

        def change(node: Node, args: tuple[Node, ...]) -> Node:
            typed = self._typed_term(node, args, quantities, left)
            if node in spans:
                spans.setdefault(typed, spans[node])  # type: ignore[attr-defined]
            return typed

        rhs = rebuilt(eq.rhs, change)
        if left.slots:
            _check_reductions(eq, left)
        return replace(eq, rhs=rhs)

    def _typed_term(self, node: Node, args: tuple[Node, ...], quantities: Mapping[str, Quantity], left: Quantity
                    ) -> Node:
        """A term with typed arguments, typed. Errors point at it."""
        try:
            args = _by_example(node, args, self.static)
            absent = [i for i in dict(node.attrs).get("over") or () if node.args and i not in args[0].indices]
            if absent:
                raise BadValue(f"over={absent[0]}: the value has no index {absent[0]}")
            _check_slice(node, args)
            return retyped(node, args, quantities, self.static, left)
        except Error as error:
            error.node = node if error.node is None else error.node
            raise


def _is_bare(node: Node) -> bool:
    """Is it a reduction that does not say over what?"""
    return node.op in REDUCING and node.attr("over") is None and node.attr("axis") is None


def _check_reductions(eq: Equation, left: Quantity) -> None:
    """Raise where a bare reduction stands in an equation of a quantity with indices."""
    for node in filter(_is_bare, walk([eq.rhs])):
        inside = (slot for read in refs([node]) for slot in read.attr("slots") if slot.anchor == "free")
        over = next((slot.index for slot in inside if slot.index not in left.slots), "t")
        raise BadValue(f"a bare {node.op} reduces everything, the batch too, and stands only where the left side has "
                       f"no index; in {eq.left} write {node.op}(..., over={over}) or axis=...", node)


def _by_example(node: Node, args: tuple[Node, ...], static: Collection[str]) -> tuple[Node, ...]:
    """What is worked over positions that every example has a number of its own of varies by example, if nothing else
    does: mean(mean(h[t], over=n) ** 2) is that of m[t] ** 2 with m[t] = mean(h[t], over=n)."""
    attrs = dict(node.attrs)
    if not args or "over" not in attrs or "axis" not in attrs:
        return args
    for index in shared_ranges(args[0].indices if _is_bare(node) else attrs["over"], args[0].indices, static):
        args = (f.where(reached(index), args[0], 0.0), *args[1:])
    return args


def _check_slice(node: Node, args: tuple[Node, ...]) -> None:
    """Python cuts a slice off where the axis ends; in a model that is a wrong size."""
    if node.op != "slice" or args[0].rank <= node.attr("axis"):
        return
    size = args[0].shape[node.attr("axis")]
    for edge in (node.attr("start"), node.attr("stop")):
        if edge is not None and not -size <= edge <= size:
            raise BadValue(f"a slice up to {edge} reaches beyond a feature axis of size {size}")


def _term(u: Solver, eq: Equation, node: Node, nodes: Mapping[Node, Cell]) -> None:
    """The rule of an operation of an equation."""
    try:
        _check_factor(node, nodes)
        TABLE[node.op].shape(u, [nodes[a] for a in node.args], nodes[node], dict(node.attrs))
    except Error as error:
        error.node = node if error.node is None else error.node
        users = [user for user in walk([eq.rhs]) if user.op == "matmul" and user.args[0] is node]
        bound = f"; {_bound(users[0])}" if users and node.op == "multiply" else ""
        advice = bound + _product(node, nodes, nodes[node].rank == 0)
        error.args = (f"{error.args[0]}{_operands(node, nodes)}{advice}", *error.args[1:])
        raise


def _check_factor(node: Node, nodes: Mapping[Node, Cell]) -> None:
    """Raise where a weight left of `@` would be no matrix but a vector, since `*` before it binds alike."""
    if node.op != "matmul" or node.args[0].op != "multiply" or nodes[node.args[1]].rank != 1:
        return
    factor, weight = node.args[0].args
    if weight.op == "ref" and nodes[weight].undeclared == "weight" and nodes[weight].dims is None and (
            nodes[factor].rank == 1):
        raise BadValue(f"left of @ stands a matrix; {_bound(node)}, or, for a number, "
                       f"{_brief(f.dot(*node.args), 'dot(a * v, b)')}")


def _bound(product: Node) -> str:
    """Advice where `*` stands before a matrix and its `@`."""
    scaled, vector = product.args
    factor, matrix = scaled.args
    written = _brief(factor * f.matmul(matrix, vector), "a * (W @ b)")
    return f"* and @ bind alike, from the left: write {written}"


def _brief(term: Node, alike: str) -> str:
    """The term as text, or where that is long what it is like."""
    shown = text(term)
    return shown if len(shown) <= 2 * SHORT else alike


def _both_sides(u: Solver, eq: Equation, names: Mapping[str, Cell], nodes: Mapping[Node, Cell]) -> None:
    """The left side has the shape of the right one; a boundary that is one number is that in every element."""
    if nodes[eq.rhs].undeclared == "weight" and not eq.is_boundary:
        u.leave_open(names[eq.name])
    if eq.is_boundary and _fills(u, nodes[eq.rhs], names[eq.name]):
        return
    try:
        u.same(names[eq.name], nodes[eq.rhs])
    except Error as error:
        number = nodes[eq.rhs].rank == 0
        why = (ONE_NUMBER.format(_filling(eq.rhs, names[eq.name])) if number else
               f"{error.args[0]}{_product(eq.rhs, nodes, names[eq.name].rank == 0)}")
        error.args = (f"{eq.left} has shape {names[eq.name]}, its right side {nodes[eq.rhs]}: {why}", *error.args[1:])
        raise


def _fills(u: Solver, value: Cell, cell: Cell) -> bool:
    """Is a boundary's value one number, for all elements of a quantity, or, as long as nothing is guessed, may it prove
    to be? What nobody gave a rank, an input or a weight, takes that of the quantity.
    """
    if cell.rank is None or value.dims is None:
        return not u.guess and cell.rank != 0 and (value.rank == 0 or (value.dims is None and not value.undeclared))
    return value.rank == 0 and cell.rank > 0


def _filling(number: Node, cell: Cell) -> str:
    """What a vector filled with the number is written as, with its size where that is known."""
    shown, sizes = text(number), cell.sizes()
    known = len(sizes) == 1 and sizes[0] is not None and len(shown) <= SHORT
    return f"expand({shown}, 0, {sizes[0]})" if known else "expand(z, 0, size)"


def _a_number(u: Solver, cells: Collection[Cell]) -> None:
    """Make the first name of open rank a number: a weight, else, as in c[t] = c[t-1] + 1, what is defined."""
    open_inputs = any(cell.undeclared == "input" and cell.dims is None for cell in cells)
    for role in ("weight",) if open_inputs else ("weight", ""):
        for cell in cells:
            if cell.undeclared == role and cell.dims is None:
                u.rank(cell, 0)
                return


def _operands(node: Node, nodes: Mapping[Node, Cell]) -> str:
    """The shapes of short operands, as far as they are known."""
    shown = {text(a) + (f" (the last position of {a.attr('index')})" if a.op == "last" else ""): nodes[a]
             for a in node.args if nodes[a].dims is not None and a.op != "const"}
    known = [f"{term} has shape {cell}" for term, cell in shown.items() if len(term) <= SHORT]
    left = node.args[0]
    meant = f"; {text(left)} is no weight, as {left.attr('index')} is an index" if (
        node.op == "matmul" and left.op == "last") else ""
    return f"; {', '.join(known)}{meant}" if known else meant


def _product(root: Node, nodes: Mapping[Node, Cell], number: bool = False) -> str:
    """Advice where an undeclared weight stands beside `*` or, in what is to be a number, left of `@`: it, or the matrix
    of a product, may have been meant else.
    """
    for node in walk([root]):
        if number and node.op == "matmul" and nodes[node.args[0]].undeclared == "weight":
            vector, other = (text(a) for a in node.args)
            return f"; left of @ stands a matrix; a number is dot({vector}, {other})" * (len(other) <= SHORT)
        if node.op == "multiply" and node.args[0].op == "ref" and nodes[node.args[0]].undeclared == "weight":
            matrix, other = (text(a) for a in node.args)
            if nodes[node.args[0]].rank == 1 and nodes[node.args[1]].rank != 1:
                return f"; {matrix} took the rank of what it met elsewhere; if it is one number, say so: {matrix}=()"
            return f"; * is element by element, a matrix is multiplied by @: {matrix} @ {other}" * (len(other) <= SHORT)
    return ""


def retyped(node: Node, args: tuple[Node, ...], quantities: Mapping[str, Quantity], static: Mapping[str, int],
            left: Quantity | None = None) -> Node:
    """node with typed arguments, typed."""
    attrs = dict(node.attrs)
    if node.op == "ref":
        q = quantities[attrs["name"]]
        indices = [s.index for s in attrs["slots"] if s.anchor == "free"] + [BATCH] * q.batched
        return ref(attrs["name"], attrs["slots"], Type(ordered(indices), q.type.shape, q.type.dtype), attrs["batch"])
    if node.op == "dropout_mask":
        assert left is not None
        return Node(node.op, (), {**attrs, "rate": check_rate(attrs["rate"]), "key": left.name}.items(), left.type)
    if node.op == "position" and attrs["index"] not in static:  # how far the index runs differs by example
        return Node("position", (), node.attrs, Type(ordered([attrs["index"], BATCH]), (), "weak"))
    if node.op == "last" and attrs["index"] in static:
        return Node("last", (), node.attrs, WEAK)
    if node.op == "count" and all(i in static for i in attrs["over"]):
        return number(math.prod(static[i] for i in attrs["over"]))
    if node.op == "const" and left is not None and LARGEST[left.type.dtype] < abs(attrs["value"]) < math.inf:
        raise BadValue(f"the number {attrs['value']:g} is too large for {left.type.dtype}", node)
    if node.op == "const" and left is not None and math.isnan(attrs["value"]):
        raise BadValue("nan is no number to compute with", node)
    if not node.args:
        return node
    made = make(TABLE[node.op], args, attrs)
    if 0 in made.shape:
        raise BadValue(f"this value has no elements: its shape is {made.shape}", node)
    return made
