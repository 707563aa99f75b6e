"""Equations as text: its statements are equations and sizes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..errors import located, near
from ..inference.brackets import wrong_left, wrong_name, wrong_read
from ..node import BATCH, At, Node, placed, refs
from ..system import Equation, Source
from .slips import SEVERAL_LINES
from .syntax import Written
from .terms import Terms, elements, integer


@dataclass
class Program:
    """What a text says: its equations (without types) and the sizes it gives."""

    equations: list[Equation] = field(default_factory=list)
    sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    placed: set[str] = field(default_factory=set)  # names whose size is given with their indices, h[t]: 64
    indices: set[str] = field(default_factory=set)


def read(text: str) -> Program:
    """Parse equations. Raises `Error` with the line and a caret for anything that the notation does not have."""
    return _Reader(Written(text)).program()


class _Reader:
    def __init__(self, written: Written):
        self.written = written
        self.fail = written.fail
        self.indices = self._indices()
        self.terms = Terms(written, self.indices)

    def program(self) -> Program:
        program = Program()
        given: list[ast.AnnAssign] = []
        for statement in self.written.tree.body:
            if isinstance(statement, ast.AnnAssign) and statement.value is None:
                name, size = self.size_line(statement)
                if program.sizes.setdefault(name, size) != size:
                    self.fail(statement, f"{name} has two sizes, {program.sizes[name]} and {size}")
                if isinstance(statement.target, ast.Subscript):
                    program.placed.add(name)
                given.append(statement)
            elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                program.equations.append(self.equation(statement))
            else:
                self.fail(statement, f"a line is an equation (h[t] = ...) or a size (x[t]: 27){self.meant(statement)}")
        places = _places(program.equations) if given else {}
        for statement in given:
            self.check_size_line(statement, places)
        program.indices = self.indices - {BATCH}
        return program

    def _indices(self) -> set[str]:
        """Names that stand in a first bracket or after over=; a capital is the last position of its index."""
        found = set()
        for node in ast.walk(self.written.tree):
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
                for part in elements(node.slice):
                    if isinstance(part, ast.BinOp):
                        part = part.left
                    if isinstance(part, ast.Name):
                        found.add(part.id)
            if isinstance(node, ast.keyword) and node.arg == "over":
                found.update(part.id for part in elements(node.value) if isinstance(part, ast.Name))
        return {n.lower() if n == n.upper() else n for n in found}

    def size_line(self, s: ast.AnnAssign) -> tuple[str, tuple[int, ...]]:
        target = s.target.value if isinstance(s.target, ast.Subscript) else s.target
        if not isinstance(target, ast.Name):
            return self.fail(s, "a size line names a quantity: x[t]: 27 or V: (10, 64)")
        sizes = []
        for part in elements(s.annotation):
            value = integer(part)
            if value is None or value < 1:
                self.fail(part, "a size is a whole number, at least 1; of a matrix two in brackets: (10, 64)")
            sizes.append(value)
        return target.id, tuple(sizes)  # type: ignore[arg-type]

    def check_size_line(self, s: ast.AnnAssign, places: Mapping[str, list[tuple[str, ...]]]) -> None:
        """A size is of a name that the equations have, with the indices that it has there, or without."""
        base = s.target.value if isinstance(s.target, ast.Subscript) else s.target
        name = base.id  # type: ignore[attr-defined]  # as size_line has seen
        used = places.get(name)
        if used is None and name not in self.indices:
            self.fail(base, f"{name} is not in the equations{near(name, places)}")
        if not isinstance(s.target, ast.Subscript) or used is None:
            return
        own = tuple("" if slot.anchor == "first" else slot.index for slot in self.terms.slots(s.target, wrong_read))
        if not any(len(own) == len(indices) and all(a in (b, "") or not b for a, b in zip(own, indices, strict=True))
                   for indices in used):
            shown = next((placed(name, indices) for indices in used if all(indices)), name)
            self.fail(s.target, f"the equations have {shown if used[0] else name}")

    def equation(self, s: ast.Assign) -> Equation:
        first, last = s.lineno, s.end_lineno or s.lineno
        spans: dict[Node, tuple[int, int]] = {}
        where = Source("\n".join(self.written.lines[first - 1 : last]), first, spans)
        name, slots = self.left(s.targets[0])
        with located(where.show):
            rhs = self.terms.term(s.value, first, spans)
        return Equation(name, slots, rhs, where, self.written.comments.get(last, ""))

    def left(self, target: ast.expr) -> tuple[str, tuple[At, ...]]:
        base = target.value if isinstance(target, ast.Subscript) else target
        if not isinstance(base, ast.Name):
            return self.fail(target, "the left side is a name with its indices: h[t] = ...")
        if not isinstance(target, ast.Subscript):
            self.reserved(base)
            return base.id, ()
        return base.id, self.terms.slots(target, wrong_left)

    def reserved(self, node: ast.Name) -> None:
        if node.id in self.indices or node.id == BATCH:
            self.fail(node, f"{node.id} is an index here; it cannot be assigned or be a weight")
        if self.terms.capital(node.id) or node.id == BATCH.upper():
            self.fail(node, f"{node.id} is the last position of index {node.id.lower()}; it cannot be assigned")
        wrong = wrong_name(node.id)
        if wrong is not None:
            self.fail(node, wrong)

    def meant(self, statement: ast.stmt) -> str:
        """What a statement of Python that is neither was perhaps to be."""
        if isinstance(statement, ast.AugAssign):
            return "; a sum over time is written h[t] = h[t-1] + ..."
        if isinstance(statement, (ast.For, ast.While)):
            return "; an equation is of every t by itself, without a loop"
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Compare):
            return "; an equation has one ="
        if self.written.lines[statement.lineno - 1].lstrip().startswith(("+", "-", "*", "@", "/")):
            return f"; {SEVERAL_LINES}"
        return ""


def _places(equations: Iterable[Equation]) -> dict[str, list[tuple[str, ...]]]:
    """The indices with which each name stands in the equations, on the left and then on the right."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for eq in equations:
        found.setdefault(eq.name, []).append(tuple(slot.index for slot in eq.slots))
    for r in refs(eq.rhs for eq in equations):
        indices = (BATCH,) if r.attr("batch") else tuple(slot.index for slot in r.attr("slots"))
        found.setdefault(r.attr("name"), []).append(indices)
    return found
