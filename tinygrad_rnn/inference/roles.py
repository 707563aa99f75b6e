"""What the names of equations are: inputs, weights or defined; their indices; what varies by example."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace

from ..errors import BadValue, located, near
from ..node import BATCH, Node, rebuild, ref, refs, walk
from ..ops import TABLE
from ..ops.draws import DECLARED, law
from ..ops.positional import check_rate
from ..shapes import reduction
from ..system import Equation, fresh, least


@dataclass
class Declarations:
    """What a person declared, by text or by Python, before anything is inferred."""

    name: str = "model"
    equations: list[Equation] = field(default_factory=list)
    sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    dtype: str = "float32"


class Roles:
    """equations: those of the declarations, with masks for dropout; roles: name -> "input", "weight" or "defined";
    slots: a name's own index names; ranges: index -> the one that stands for all that share its range; static: sizes
    of static indices; batched: the names that vary by example. Raises `Error` at the equation and term that cannot be.
    """

    def __init__(self, d: Declarations):
        if not d.equations:
            raise BadValue("a model needs at least one equation, such as h[t] = tanh(U @ h[t-1] + W @ x[t])")
        self.sizes = d.sizes
        self.equations = self._expand_macros(d.equations)
        self.defined = {eq.name for eq in self.equations}
        self.slots: dict[str, tuple[str, ...]] = {}
        self.roles: dict[str, str] = {}
        self.parent: dict[str, str] = {}  # union-find over index ranges
        self.batched: set[str] = set()
        self._left_sides()
        self._references()
        self.static = self._static()
        self._weights()
        self._free_indices()
        self.ranges = {i: self.find(i) for i in self.parent}

    # -- macros ------------------------------------------------------------------------------------

    def _expand_macros(self, equations: list[Equation]) -> list[Equation]:
        """dropout(e, rate) becomes e * mask[t], and the mask a named quantity of its own."""
        taken = {eq.name for eq in equations} | {r.attr("name") for eq in equations for r in refs([eq.rhs])}
        done: list[Equation] = []
        indices = {slot.index for eq in equations for slot in eq.slots}
        for eq in equations:
            if eq.rhs.op == "dropout_mask":  # keyed by its name, so that no two masks are one
                done.append(replace(eq, rhs=Node("dropout_mask", (), {**dict(eq.rhs.attrs), "key": eq.name}.items())))
                continue
            for node in walk([eq.rhs]):
                if node.op in DECLARED and (node is not eq.rhs or eq.is_boundary):
                    raise BadValue(f"declared data are a quantity of their own: w[t] = {node.op}(...)\n{eq.show(node)}")
                if node.op == "dropout_mask":
                    raise BadValue("a mask is a quantity of its own: m[t] = dropout_mask(0.5)\n" + eq.show(node))
            if law(eq.rhs) == "pointer":
                _check_position(eq)
            if not any(node.op == "dropout" for node in walk([eq.rhs])):
                done.append(eq)
                continue
            masks: list[Equation] = []

            def change(node: Node, args: tuple[Node, ...], eq: Equation = eq, masks: list[Equation] = masks) -> Node:
                if node.op != "dropout":
                    return node if args == node.args else Node(node.op, args, node.attrs, None)
                shared = _checked_shared(node, indices)
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
        seen: dict[object, Equation] = {}
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
                main = next(e for e in self.equations if e.name == eq.name and not e.is_boundary and e is not eq)
                raise BadValue(f"{eq.left} and {main.left} differ in the number of indices; a name has one\n"
                               f"{main.show()}\n{eq.show()}")
            for slot, index in zip(eq.slots, own, strict=True):
                if slot.anchor == "free":
                    self.union(slot.index, index)

    def find(self, index: str) -> str:
        """The index that stands for all that share this one's range."""
        self.parent.setdefault(index, index)
        while self.parent[index] != index:
            index = self.parent[index]
        return index

    def union(self, a: str, b: str) -> None:
        """Let two indices share a range."""
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
            raise BadValue(f"{name} is {self._said(name, known)}, here it stands {_with(len(slots))}", node)
        for slot, own in zip(slots, known, strict=True):
            if slot.index:
                self.union(slot.index, own)
            else:
                self.find(own)

    def _said(self, name: str, known: tuple[str, ...]) -> str:
        """How a name is written where it is first met."""
        shown = [*known] if known else ["n"] * (name in self.batched and name not in self.defined)
        verb = "defined" if name in self.defined else "used"
        return f"{verb} as {name}[{','.join(shown)}]" if shown else f"{verb} without an index"

    def _static(self) -> dict[str, int]:
        """Sizes given to names that are indices, and not also quantities."""
        static = {}
        for name, size in self.sizes.items():
            if name in self.parent and name not in self.roles:
                if len(size) != 1:
                    raise BadValue(f"{name} is an index; its size is one number, not {size}")
                static[self.find(name)] = size[0]
            elif name not in self.roles:
                there = near(name, [*self.roles, *self.parent]) or f"; they have {', '.join([*self.roles][:12])}"
                raise BadValue(f"a size is given for {name!r}, which is not in the equations{there}")
        return {i: static[self.find(i)] for i in self.parent if self.find(i) in static}

    def _weights(self) -> None:
        """A name never on the left with static indices only is a weight, any other indexed one an input."""
        for name, role in self.roles.items():
            slots = self.slots[name]
            if not slots and name not in self.batched and name.lower() in (*self.parent, BATCH) and (
                    name in (name.lower(), name.upper())):
                raise BadValue(f"{name} is an index here, or the last position of one; a quantity has another name")
            if role == "input" and name not in self.batched and slots and all(s in self.static for s in slots):
                self.roles[name] = "weight"
            elif any(s not in self.static for s in slots) or role == "input":
                self.batched.add(name)  # its range differs by example, if nothing else does

    def _free_indices(self) -> None:
        """The free indices of every term; whether a name varies by example is a least fixed point."""
        found = self._all_free()

        def varies(node: Node, varying: Set[Node]) -> bool:
            return BATCH in self._free(node, {a: found[a] | {BATCH} if a in varying else found[a] for a in node.args})

        self.batched = least(self.equations, self.batched, varies)
        found = self._all_free()
        for eq in self.equations:
            left = {s.index for s in eq.slots if s.anchor == "free"}
            extra = sorted(found[eq.rhs] - left - {BATCH})
            if extra:
                i = extra[0]
                raise BadValue(f"the right side leaves index {i} free, which the left side {eq.left} does not carry; "
                               f"write {eq.name}[{','.join([*sorted(left), i])}], or reduce it with "
                               f"{'' if eq.slots else 'mean(...) or '}over={i}, or take position {i.upper()}\n"
                               f"{self._point(eq, i, found)}")

    def _shown(self, node: Node) -> str:
        """The first equation with a term, carets under it."""
        return next(eq.show(node) for eq in self.equations if node in walk([eq.rhs]))

    def _point(self, eq: Equation, index: str, found: Mapping[Node, frozenset[str]]) -> str:
        for node in walk([eq.rhs]):
            if index in found[node]:
                return eq.show(node)
        return eq.show()

    def _all_free(self) -> dict[Node, frozenset[str]]:
        found: dict[Node, frozenset[str]] = {}
        for node in walk(eq.rhs for eq in self.equations):
            found[node] = self._free(node, found)
        return found

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
            over = attrs.get("over")
            self._check_over(node, over, False)
            return (joint | {BATCH}) - frozenset(over or ())
        row = TABLE[op]
        if row.kind == "axes" and row.params.keys() >= {"over", "axis"}:
            over, axis = attrs["over"], attrs["axis"]
            bare = over is None and axis is None
            self._check_over(node, over, bare)
            if bare and row.shape is reduction:
                return frozenset()
            if shared_ranges(over, joint, self.static):
                joint |= {BATCH}
            return joint - frozenset(over or ()) if row.shape is reduction else joint
        return joint

    def _check_over(self, node: Node, over: tuple[str, ...] | None, bare: bool) -> None:
        for index in over or ():
            if index != BATCH and index not in self.parent:
                raise BadValue(f"over={index}: the model has no index {index}\n{self._shown(node)}")


def _checked_shared(dropout: Node, indices: Collection[str]) -> str | None:
    shared: str | None = dropout.attr("shared")
    if shared is not None and shared not in indices:
        raise BadValue(f'shared={shared!r} is no index on a left side; shared="t" keeps one mask over t', dropout)
    return shared


def _check_position(eq: Equation) -> None:
    """Raise where w[t] = categorical(p[t,s], over=s) is of several indices, or of one that the left side carries."""
    over = eq.rhs.attr("over")
    if len(over) != 1 or BATCH in over:
        raise BadValue(f"a position is of one index: categorical(p[t,s], over=s), not over=({', '.join(over)})\n"
                       + eq.show(eq.rhs))
    if over[0] in {s.index for s in eq.slots}:
        raise BadValue(f"{eq.left} would be a position of {over[0]} for each {over[0]}; the left side does not carry it"
                       f"\n{eq.show()}")


def shared_ranges(over: Iterable[str] | None, indices: Collection[str], static: Collection[str]) -> list[str]:
    """Those of the indices worked over of a value without examples, such as mean(h[t], over=n), that end by example."""
    return [i for i in over or () if i in indices and i not in static] if BATCH not in indices else []


def _with(count: int) -> str:
    return "without an index" if not count else f"with {count} {'indices' if count > 1 else 'index'}"
