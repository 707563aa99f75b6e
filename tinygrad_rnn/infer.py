"""From equations as written to a typed system: roles, indices, then ranks, then sizes, all by unification."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .errors import BadValue, Error, located
from .node import BATCH, Node, Type, const, ordered, rebuild, ref, refs, walk
from .ops import TABLE
from .ops.draws import DECLARED
from .ops.positional import check_rate
from .ops.table import make, near
from .shapes import Cell, Solver
from .system import Equation, Quantity, System

LARGEST = {"float32": 3.4028234663852886e38, "float64": math.inf}


@dataclass
class Declarations:
    """What a person declared, by text or by Python, before anything is inferred."""

    name: str = "model"
    equations: list[Equation] = field(default_factory=list)
    sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    dtype: str = "float32"




def fresh(name: str, taken: Any) -> str:
    """name, or the first of name_2, name_3, ... that is not taken."""
    k, candidate = 2, name
    while candidate in taken:
        candidate, k = f"{name}_{k}", k + 1
    return candidate


def resolve(d: Declarations) -> System:
    """The typed system of the declarations. Raises `Error` at the equation and term that cannot be."""
    return _Resolver(d).system()


class _Resolver:
    def __init__(self, d: Declarations):
        self.d = d
        if d.dtype not in ("float32", "float64"):
            raise BadValue(f'dtype is "float32" or "float64", not {d.dtype!r}')
        self.equations = self._expand_macros(d.equations)
        self.defined = {eq.name for eq in self.equations}
        self.slots: dict[str, tuple[str, ...]] = {}  # a name's own index names
        self.roles: dict[str, str] = {}
        self.parent: dict[str, str] = {}  # union-find over index ranges
        self.batched: set[str] = set()

    def system(self) -> System:
        if not self.equations:
            raise BadValue("a model needs at least one equation, such as h[t] = tanh(U @ h[t-1] + W @ x[t])")
        self._left_sides()
        self._references()
        self.static = self._static()
        self._weights()
        self.free = self._free_indices()
        self.cells = self._shapes()
        return self._typed()

    # -- macros ------------------------------------------------------------------------------------

    def _expand_macros(self, equations: list[Equation]) -> list[Equation]:
        """dropout(e, rate) becomes e * mask[t], and the mask a named quantity of its own."""
        taken = {eq.name for eq in equations} | {r.attr("name") for eq in equations for r in refs([eq.rhs])}
        done: list[Equation] = []
        for eq in equations:
            if eq.rhs.op == "dropout_mask":  # keyed by its name, so that no two masks are one
                done.append(replace(eq, rhs=Node("dropout_mask", (), {**dict(eq.rhs.attrs), "key": eq.name}.items())))
                continue
            for node in walk([eq.rhs]):
                if node.op in DECLARED and (node is not eq.rhs or eq.is_boundary):
                    raise BadValue(f"declared data are a quantity of their own: w[t] = {node.op}(...)\n{eq.show(node)}")
                if node.op == "dropout_mask":
                    raise BadValue("a mask is a quantity of its own: m[t] = dropout_mask(0.5)\n" + eq.show(node))
            if not any(node.op == "dropout" for node in walk([eq.rhs])):
                done.append(eq)
                continue
            masks: list[Equation] = []

            def change(node: Node, args: tuple[Node, ...], eq: Equation = eq, masks: list[Equation] = masks) -> Node:
                if node.op != "dropout":
                    return node if args == node.args else Node(node.op, args, node.attrs, None)
                shared = node.attr("shared")
                slots = tuple(s for s in eq.slots if s.index != shared and s.anchor == "free")
                name = fresh(f"mask_{eq.name}", taken)
                taken.add(name)
                rate = check_rate(node.attr("rate"), node)
                draw = Node("dropout_mask", (), (("rate", rate), ("key", name), ("at", ())))
                masks.append(Equation(name, slots, draw, eq.source))
                return Node("multiply", (args[0], ref(name, slots)))

            with located(eq.show):
                rhs = rebuild([eq.rhs], change)[eq.rhs]
            done += [*masks, replace(eq, rhs=rhs)]
        return done

    # -- roles and indices -------------------------------------------------------------------------

    def _left_sides(self) -> None:
        seen: dict[Any, Equation] = {}
        for eq in self.equations:
            if eq.key in seen:
                raise BadValue(f"{eq.left} is defined twice\n{seen[eq.key].show()}\n{eq.show()}")
            seen[eq.key] = eq
            self.roles[eq.name] = "defined"
            if not eq.is_boundary:
                self.slots[eq.name] = tuple(s.index for s in eq.slots)
        for eq in self.equations:
            own = self.slots.get(eq.name)
            if own is None:
                raise BadValue(f"{eq.left} is set at a boundary, but {eq.name} has no equation for the range itself\n"
                               f"{eq.show()}")
            if len(own) != len(eq.slots):
                raise BadValue(f"{eq.left} has {len(eq.slots)} indices, {eq.name}[{','.join(own)}] has {len(own)}\n"
                               f"{eq.show()}")
            for slot, index in zip(eq.slots, own, strict=True):
                if slot.anchor == "free":
                    self.union(slot.index, index)

    def find(self, index: str) -> str:
        self.parent.setdefault(index, index)
        while self.parent[index] != index:
            index = self.parent[index]
        return index

    def union(self, a: str, b: str) -> None:
        a, b = self.find(a), self.find(b)
        if a != b:
            self.parent[b] = a

    def _references(self) -> None:
        found = [(eq, node) for eq in self.equations for node in walk([eq.rhs])]
        for _, node in found:
            if node.op == "ref":
                self._own_names(node)
        for eq, node in found:
            if node.op in ("position", "last"):
                if node.attr("index") == BATCH:
                    raise BadValue("n is the batch index; it is written only in img[n] and over=(t, n)\n"
                                   + eq.show(node))
                self.find(node.attr("index"))
            if node.op == "ref":
                with located(eq.show):
                    self._reference(node)
        for eq in self.equations:
            for slot in eq.slots:
                if slot.index:
                    self.find(slot.index)

    def _own_names(self, node: Node) -> None:
        """An input's own index names are the first that it is used with."""
        name, slots = node.attr("name"), node.attr("slots")
        if name in self.defined:
            return
        own = self.slots.setdefault(name, ("",) * len(slots))
        if len(own) == len(slots):
            self.slots[name] = tuple(o or (s.index if s.anchor == "free" else "")
                                     for o, s in zip(own, slots, strict=True))

    def _reference(self, node: Node) -> None:
        name, slots, batch = (node.attr(k) for k in ("name", "slots", "batch"))
        if batch:
            if name in self.defined:
                raise BadValue(f"{name}[n]: n is never written for a quantity that has an equation", node)
            self.batched.add(name)
            self.roles[name] = "input"
        self.roles.setdefault(name, "input" if slots else "weight")
        known = self.slots[name] = tuple(own or slots[k].index or f"{name}_{k}"
                                         for k, own in enumerate(self.slots[name]))
        if len(known) != len(slots):
            shape = f"[{','.join(known)}]" if known else "without an index"
            raise BadValue(f"{name} is {'defined ' if name in self.defined else 'used '}{shape}, here it has "
                           f"{len(slots)} indices", node)
        for slot, own in zip(slots, known, strict=True):
            if slot.index:
                self.union(slot.index, own)
            else:
                self.find(own)

    def _static(self) -> dict[str, int]:
        """Sizes given to names that are indices, and not also quantities."""
        static = {}
        for name, size in self.d.sizes.items():
            if name in self.parent and name not in self.roles:
                if len(size) != 1:
                    raise BadValue(f"{name} is an index; its size is one number, not {size}")
                static[self.find(name)] = size[0]
            elif name not in self.roles:
                raise BadValue(f"a size is given for {name!r}, which is not in the equations"
                               f"{near(name, [*self.roles, *self.parent])}")
        return {i: static[self.find(i)] for i in self.parent if self.find(i) in static}

    def _weights(self) -> None:
        """A name never on the left with static indices only is a weight, any other indexed one an input."""
        for name, role in self.roles.items():
            slots = self.slots[name]
            if role == "input" and name not in self.batched and slots and all(s in self.static for s in slots):
                self.roles[name] = "weight"
            elif any(s not in self.static for s in slots) or role == "input":
                self.batched.add(name)  # its range differs by example, if nothing else does

    def _free_indices(self) -> dict[Node, frozenset[str]]:
        """The free indices of every term; whether a name varies by example is a least fixed point."""
        order = list(walk(eq.rhs for eq in self.equations))
        while True:
            found: dict[Node, frozenset[str]] = {}
            for node in order:
                found[node] = self._free(node, found)
            grown = {eq.name for eq in self.equations if BATCH in found[eq.rhs]} - self.batched
            if not grown:
                break
            self.batched |= grown
        for eq in self.equations:
            left = {s.index for s in eq.slots if s.anchor == "free"}
            extra = sorted(found[eq.rhs] - left - {BATCH})
            if extra:
                i = extra[0]
                raise BadValue(f"the right side leaves index {i} free, which the left side {eq.left} does not carry; "
                               f"write {eq.name}[{','.join([*sorted(left), i])}], or reduce it with over={i}, or take "
                               f"position {i.upper()}\n{self._point(eq, i, found)}")
        return found

    def _shown(self, node: Node) -> str:
        """The first equation with a term, carets under it."""
        return next(eq.show(node) for eq in self.equations if node in walk([eq.rhs]))

    def _point(self, eq: Equation, index: str, found: Mapping[Node, frozenset[str]]) -> str:
        for node in walk([eq.rhs]):
            if index in found[node]:
                return eq.show(node)
        return eq.show()

    def _free(self, node: Node, found: Mapping[Node, frozenset[str]]) -> frozenset[str]:
        op = node.op
        if op == "ref":
            indices = {s.index for s in node.attr("slots") if s.anchor == "free"}
            return frozenset(indices | ({BATCH} if node.attr("name") in self.batched else set()))
        if op == "position":
            return frozenset([node.attr("index")] + [BATCH] * (node.attr("index") not in self.static))
        if op == "last":
            return frozenset() if node.attr("index") in self.static else frozenset([BATCH])
        if op == "count":
            dynamic = [i for i in node.attr("over") if i not in self.static]
            return frozenset([BATCH] if dynamic and BATCH not in dynamic else [])
        joint = frozenset().union(*(found[a] for a in node.args))
        attrs = dict(node.attrs)
        if op == "dropout_mask":
            return frozenset([BATCH])
        if op in DECLARED:
            return joint | {BATCH}
        row = TABLE[op]
        if row.kind == "axes" and row.params.keys() >= {"over", "axis"}:
            over, axis = attrs["over"], attrs["axis"]
            bare = over is None and axis is None
            self._check_over(node, over, bare)
            if row.canon is not None and "reduce" in row.canon.__name__:
                return frozenset() if bare else joint - frozenset(over or ())
        return joint

    def _check_over(self, node: Node, over: tuple[str, ...] | None, bare: bool) -> None:
        for index in over or ():
            if index != BATCH and index not in self.parent:
                raise BadValue(f"over={index}: the model has no index {index}\n{self._shown(node)}")

    # -- shapes ------------------------------------------------------------------------------------

    def _shapes(self) -> dict[str, Cell]:
        u = Solver()
        names = {n: Cell(self.d.sizes.get(n) if n in self.roles else None) for n in self.roles}
        masks = {eq.name for eq in self.equations if eq.rhs.op == "dropout_mask"}
        for name, cell in names.items():
            if cell.dims is None:
                cell.undeclared = "input" if name in masks else self.roles[name].replace("defined", "")
        nodes: dict[Node, Cell] = {}
        for node in walk(eq.rhs for eq in self.equations):
            nodes[node] = names[node.attr("name")] if node.op == "ref" else Cell(
                () if node.op in ("const", "position", "last", "count") else None)
        for eq in self.equations:
            if eq.rhs.op == "dropout_mask":
                nodes[eq.rhs] = names[eq.name]
        work = [(eq, node) for eq in self.equations for node in walk([eq.rhs])
                if node.args]
        while True:
            u.changed = False
            for guess in (False, True):
                u.guess = guess
                self._pass(u, work, names, nodes, stop=guess)
                if u.changed:
                    break
            if not u.changed:
                break
        self._complete(names, nodes, u)
        return names

    def _pass(self, u: Solver, work: list[tuple[Equation, Node]], names: dict[str, Cell], nodes: dict[Node, Cell],
              stop: bool) -> None:
        """Apply every rule once; with stop, only until one of them learns something."""
        for eq, node in work:
            with located(eq.show):
                try:
                    row = TABLE[node.op]
                    row.shape(u, [nodes[a] for a in node.args], nodes[node], dict(node.attrs))
                except Error as error:
                    error.node = node if error.node is None else error.node
                    raise
            if stop and u.changed:
                return
        for eq in self.equations:
            with located(eq.show):
                try:
                    u.same(names[eq.name], nodes[eq.rhs])
                except Error as error:
                    error.args = (f"{eq.left} has shape {names[eq.name]}, its right side {nodes[eq.rhs]}: "
                                  f"{error.args[0]}", *error.args[1:])
                    raise
        if stop and not u.changed:
            open_inputs = any(cell.undeclared == "input" and cell.dims is None for cell in names.values())
            for role in ("weight",) if open_inputs else ("weight", ""):  # c[t] = c[t-1] + 1 is a number
                for cell in names.values():
                    if cell.undeclared == role and cell.dims is None:
                        cell.dims = []
                        u.changed = True
                        return

    def _complete(self, names: dict[str, Cell], nodes: dict[Node, Cell], u: Solver) -> None:
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
        raise BadValue(f"the size of {', '.join(unknown)} is not determined; give it: {first}=..., or in the text a "
                       f"line such as {line}\n{eq.show(node)}")

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
        ranges = {i: self.find(i) for i in self.parent}
        return System(self.d.name, tuple(equations), quantities, self.static, ranges, dict(self.d.sizes), self.d.dtype)

    def _typed_equation(self, eq: Equation, quantities: Mapping[str, Quantity]) -> Equation:
        left = quantities[eq.name]

        def change(node: Node, args: tuple[Node, ...]) -> Node:
            try:
                absent = [i for i in dict(node.attrs).get("over") or () if node.args and i not in args[0].indices]
                if absent:
                    raise BadValue(f"over={absent[0]}: the value has no index {absent[0]}")
                typed = retyped(node, args, quantities, self.static, left)
            except Error as error:
                error.node = node if error.node is None else error.node
                raise
            spans = eq.source.spans if eq.source else {}
            if node in spans:
                spans.setdefault(typed, spans[node])  # type: ignore[attr-defined]
            return typed

        rhs = rebuild([eq.rhs], change)[eq.rhs]
        for node in walk([eq.rhs]):
            attrs = dict(node.attrs)
            reduces = node.op in ("sum", "mean", "max", "logsumexp")
            if reduces and attrs["over"] is None and attrs["axis"] is None and left.slots:
                where = eq.left
                raise BadValue(f"a bare {node.op} reduces everything, the batch too, and stands only where the left "
                               f"side has no index; in {where} write {node.op}(..., over=t) or axis=...", node)
        return replace(eq, rhs=rhs)


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
        return const(float(static[attrs["index"]]), Type((), (), "weak"))
    if node.op == "count" and all(i in static for i in attrs["over"]):
        total = 1
        for index in attrs["over"]:
            total *= static[index]
        return const(float(total), Type((), (), "weak"))
    if node.op == "const" and left is not None and LARGEST[left.type.dtype] < abs(attrs["value"]) < math.inf:
        raise BadValue(f"the number {attrs['value']:g} is too large for {left.type.dtype}", node)
    if not node.args:
        return node
    made = make(TABLE[node.op], args, attrs)
    if 0 in made.shape:
        raise BadValue(f"this value has no elements: its shape is {made.shape}", node)
    return made
