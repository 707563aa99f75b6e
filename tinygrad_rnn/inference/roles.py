"""What the names of equations are: inputs, weights or defined; their indices; what varies by example."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field

from ..errors import BadValue, located, near
from ..node import BATCH, Node, placed, walk
from ..ops import TABLE
from ..ops.draws import DECLARED
from ..shapes import reduction
from ..system import Equation, least
from .macros import expanded


@dataclass
class Declarations:
    """What a person declared, by text or by Python, before anything is inferred."""

    name: str = "model"
    equations: list[Equation] = field(default_factory=list)
    sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    dtype: str = "float32"
    placed: set[str] = field(default_factory=set)  # whose size is said to be of a quantity, not of an index


class Roles:
    """equations: those of the declarations, with masks for dropout; roles: name -> "input", "weight" or "defined";
    slots: a name's own index names; ranges: index -> the one that stands for all that share its range; static: sizes
    of static indices; batched: the names that vary by example. Raises `Error` at the equation and term that cannot be.
    """

    def __init__(self, d: Declarations):
        if not d.equations:
            raise BadValue("a model needs at least one equation, such as h[t] = tanh(U @ h[t-1] + W @ x[t])")
        self.sizes, self.placed = d.sizes, d.placed
        self.equations = expanded(d.equations)
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
                if slot.index:
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
        known = self.slots[name] = tuple(own or slots[k].index or _unnamed(name, k)
                                         for k, own in enumerate(self.slots[name]))
        if len(known) != len(slots):
            at = slots[0] if not known else None
            feature = f"; {name}[:][{at}] is one of its features" if at and at.anchor == "first" else ""
            raise BadValue(f"{name} is {self._said(name, known)}, here it stands {_with(len(slots))}{feature}", node)
        for k, (slot, own) in enumerate(zip(slots, known, strict=True)):
            if slot.index:
                self.union(slot.index, own)
            elif slot.offset < 1 and own == _unnamed(name, k):
                feature = f"{placed(name, slots[:k]) if k else f'{name}[:]'}[{slot.offset}]"
                raise BadValue(f"{placed(name, slots)} is before the first position, 1, of an index that nothing "
                               f"names; one feature is {feature}, the last step {name}[T]", node)
            else:
                self.find(own)

    def _said(self, name: str, known: tuple[str, ...]) -> str:
        """How a name is written where it is first met."""
        shown = [*known] if known else ["n"] * (name in self.batched and name not in self.defined)
        verb = "defined" if name in self.defined else "used"
        return f"{verb} as {placed(name, shown)}" if shown else f"{verb} without an index"

    def _static(self) -> dict[str, int]:
        """Sizes given to names that are indices, and not also quantities."""
        first: dict[str, tuple[str, int]] = {}  # of a range, the index whose size was given
        for name, size in self.sizes.items():
            if name in self.parent and name not in self.roles:
                if len(size) != 1:
                    raise BadValue(f"{name} is an index; its size is one number, not {size}")
                known, before = first.setdefault(self.find(name), (name, size[0]))
                if before != size[0]:
                    raise BadValue(f"{known} and {name} share a range, as a quantity stands with either; it has one "
                                   f"size, not {before} and {size[0]}")
            elif name not in self.roles:
                there = near(name, [*self.roles, *self.parent]) or f"; they have {', '.join([*self.roles][:12])}"
                raise BadValue(f"a size is given for {name!r}, which is not in the equations{there}")
            elif name in self.parent and name != BATCH and self.slots[name] and name not in self.placed:
                raise BadValue(f"{name} is both a quantity and an index here, and its size may be of either; of the "
                               f"quantity it is a line of the text, {placed(name, self.slots[name])}: 64, or "
                               f"m.state({name!r}, 64); for an index with a size take a name that no quantity has")
        return {i: first[self.find(i)][1] for i in self.parent if self.find(i) in first}

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
            if eq.rhs.op == "dropout_mask" and eq.rhs.attr("shared") and eq.name in self.batched:
                steps = ", ".join(i for i in self.slots[eq.name] if i not in self.static)
                raise BadValue(f"a mask with the index {steps} is of an example, as its range is; shared=({steps}, n) "
                               f"keeps one for all\n{eq.show()}")
            left = {s.index for s in eq.slots if s.anchor == "free"}
            extra = sorted(found[eq.rhs] - left - {BATCH})
            if extra:
                i = extra[0]
                raise BadValue(f"the right side leaves index {i} free, which the left side {eq.left} does not carry; "
                               f"write {placed(eq.name, [*sorted(left), i])}, or reduce it with "
                               f"{'' if eq.slots else 'mean(...) or '}over={i}, or take position {i.upper()}\n"
                               f"{eq.show(next(node for node in walk([eq.rhs]) if i in found[node]))}")

    def _shown(self, node: Node) -> str:
        """The first equation with a term, carets under it."""
        return next(eq.show(node) for eq in self.equations if node in walk([eq.rhs]))

    def _all_free(self) -> dict[Node, frozenset[str]]:
        found: dict[Node, frozenset[str]] = {}
        for node in walk(eq.rhs for eq in self.equations):
            found[node] = self._free(node, found)
        return found

    def _free(self, node: Node, found: Mapping[Node, frozenset[str]]) -> frozenset[str]:
        """The free indices of a term, given those of its arguments."""
        if not node.args:
            return frozenset(self._free_of_leaf(node))
        joint, attrs, row = frozenset().union(*(found[a] for a in node.args)), dict(node.attrs), TABLE[node.op]
        over = attrs.get("over")
        if node.op in DECLARED:
            self._check_over(node, over)
            return (joint | {BATCH}) - frozenset(over or ())
        if row.kind != "axes" or not row.params.keys() >= {"over", "axis"}:
            return joint
        self._check_over(node, over)
        reduces = row.shape is reduction
        if reduces and over is None and attrs["axis"] is None:
            return frozenset()
        if shared_ranges(over, joint, self.static):
            joint |= {BATCH}
        return joint - frozenset(over or ()) if reduces else joint

    def _free_of_leaf(self, node: Node) -> set[str]:
        """The same of a name, a position or a number; how far an index runs differs by example."""
        if node.op == "ref":
            free = {slot.index for slot in node.attr("slots") if slot.anchor == "free"}
            return free | {BATCH} if node.attr("name") in self.batched else free
        if node.op == "position":
            return {node.attr("index")} | self._free_of_range(node.attr("index"))
        if node.op == "last":
            return self._free_of_range(node.attr("index"))
        if node.op == "count":
            over = node.attr("over")
            return set() if BATCH in over else set().union(*map(self._free_of_range, over))
        return {BATCH} if node.op == "dropout_mask" and not node.attr("shared") else set()

    def _free_of_range(self, index: str) -> set[str]:
        return set() if index in self.static else {BATCH}

    def _check_over(self, node: Node, over: tuple[str, ...] | None) -> None:
        for index in over or ():
            if index != BATCH and index not in self.parent:
                raise BadValue(f"over={index}: the model has no index {index}\n{self._shown(node)}")


def shared_ranges(over: Iterable[str] | None, indices: Collection[str], static: Collection[str]) -> list[str]:
    """Those of the indices worked over of a value without examples, such as mean(h[t], over=n), that end by example."""
    return [i for i in over or () if i in indices and i not in static] if BATCH not in indices else []


def _unnamed(name: str, k: int) -> str:
    """The index of an input that is read at fixed positions alone, as in y = V @ x[1]."""
    return f"{name}_{k}"


def _with(count: int) -> str:
    return "without an index" if not count else f"with {count} {'indices' if count > 1 else 'index'}"
