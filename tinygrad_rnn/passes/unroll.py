"""Unrolling: a copy of every quantity for each position, its shifts resolved. The result has no loops."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..node import BATCH, At, Node, Type, number, ref
from ..ops import TABLE, f
from ..ops.table import make
from ..system import Equation, Quantity, System, fresh, grouped
from .rewrite import ONE, ZERO, filled, remade

Positions = tuple[int, ...]


@dataclass(frozen=True)
class Unrolled:
    """system: the flat equations; names: (name, positions) -> its flat name; lengths: range -> the input with them."""

    system: System
    names: Mapping[tuple[str, Positions], str]
    lengths: Mapping[str, str]


def unrolled(system: System, sizes: Mapping[str, int], ragged: frozenset[str] = frozenset()) -> Unrolled:
    """The system for ranges of the given sizes. ragged: ranges whose length differs by example."""
    return _Unroller(system, sizes, ragged).result()


class _Unroller:
    def __init__(self, system: System, sizes: Mapping[str, int], ragged: frozenset[str]):
        self.base, self.sizes, self.ragged = system, sizes, ragged
        self.names: dict[tuple[str, Positions], str] = {}
        self.taken: set[str] = set()
        self.quantities: dict[str, Quantity] = {}
        self.equations: list[Equation] = []
        self.memo: dict[object, Node] = {}
        self.first: dict[Node, Node] = {}  # a term at the first position, which the others are like
        self.values: dict[tuple[str, Positions], Node] = {}
        self.boundaries = grouped(eq for eq in system.equations if eq.is_boundary)
        self.length_inputs = {r: f"length_{r}" for r in sorted(ragged)}

    def size(self, index: str) -> int:
        return self.sizes[self.base.range_of(index)]

    def result(self) -> Unrolled:
        for r, name in self.length_inputs.items():
            self.length_inputs[r] = name = fresh(name, self.base.quantities)
            self.quantities[name] = Quantity(name, "input", (), Type((BATCH,), (), self.base.dtype))
            self.taken.add(name)
        for name, q in self.base.quantities.items():
            if not q.slots:
                self._flat(name, ())
        for eq in self.base.equations:
            for env in self._positions(eq):
                where = tuple(self._position(s, env) for s in eq.slots)
                self._define(eq, where, env)
        declared = {n: q.type.shape for n, q in self.quantities.items() if q.role != "defined"}
        flat = System(f"{self.base.name}_unrolled", tuple(self.equations), self.quantities, {}, {}, declared,
                      self.base.dtype)
        return Unrolled(flat, self.names, self.length_inputs)

    def _positions(self, eq: Equation) -> list[dict[str, int]]:
        """Every combination of positions of the equation's free indices, in the order of time."""
        free = [s.index for s in eq.slots if s.anchor == "free"]
        ranges = [range(1, self.size(i) + 1) for i in free]
        return [dict(zip(free, p, strict=True)) for p in itertools.product(*ranges)]

    def _position(self, slot: At, env: Mapping[str, int]) -> int:
        base = {"free": env.get(slot.index, 0), "first": 0, "last": self.size(slot.index) if slot.index else 0}
        return base[slot.anchor] + slot.offset

    def _flat(self, name: str, where: Positions) -> str:
        """The flat quantity of a name at positions, made at its first use."""
        known = self.names.get((name, where))
        if known is not None:
            return known
        q = self.base.quantities[name]
        suffix = "_".join(str(p).replace("-", "m") for p in where)
        flat = fresh(f"{name}_{suffix}" if where else name, self.taken)
        self.taken.add(flat)
        self.names[name, where] = flat
        kind = Type((BATCH,) if q.batched else (), q.type.shape, q.type.dtype)
        self.quantities[flat] = Quantity(flat, q.role, (), kind)
        return flat

    def _ref(self, name: str, where: Positions) -> Node:
        flat = self._flat(name, where)
        q = self.quantities[flat]
        return ref(flat, (), q.type, batch=q.role == "input")

    def _define(self, eq: Equation, where: Positions, env: dict[str, int]) -> None:
        rhs = filled(self._instance(eq.rhs, env), self.base.quantities[eq.name].type.shape)
        self.equations.append(Equation(self._flat(eq.name, where), (), rhs, eq.source))

    # -- terms at positions ------------------------------------------------------------------------

    def _key(self, node: Node, env: Mapping[str, int]) -> object:
        return node, tuple((i, env[i]) for i in node.indices if i != BATCH)

    def _whole_key(self, node: Node, env: Mapping[str, int]) -> object:
        """The same for all positions that the node works over, such as of a softmax over s."""
        return node, "whole", tuple((i, env[i]) for i in node.indices if i != BATCH and i not in self._over(node))

    def _instance(self, root: Node, env: dict[str, int]) -> Node:
        """root at the positions of env; iterative, each term once per set of positions."""
        stack: list[tuple[Node, dict[str, int]]] = [(root, env)]
        while stack:
            node, here = stack[-1]
            if self._key(node, here) in self.memo:
                stack.pop()
                continue
            parts = self._parts(node, here)
            missing = [(a, e) for a, e in parts if self._key(a, e) not in self.memo]
            if missing:
                stack.extend(reversed(missing))
                continue
            stack.pop()
            self.memo[self._key(node, here)] = self._built(node, here, parts)
        return self.memo[self._key(root, env)]

    def _over(self, node: Node) -> list[str]:
        return [i for i in dict(node.attrs).get("over") or () if i != BATCH and node.args]

    def _padded(self, node: Node) -> list[str]:
        """The indices whose padding is among what the node works over: over the batch, that of every index there."""
        if not node.args:
            return []
        over = dict(node.attrs).get("over") or ()
        among = node.args[0].indices if BATCH in over else over
        return [i for i in among if i != BATCH and self.base.range_of(i) in self.ragged]

    def _parts(self, node: Node, env: dict[str, int]) -> list[tuple[Node, dict[str, int]]]:
        """What the node is built of there; nothing where what it works over has been done for another position."""
        over = self._over(node)
        if over and self._whole_key(node, env) in self.memo:
            return []
        ranges = [range(1, self.size(i) + 1) for i in over]
        return [(arg, {**env, **dict(zip(over, p, strict=True))})
                for p in itertools.product(*ranges) for arg in node.args]

    def _built(self, node: Node, env: dict[str, int], parts: list[tuple[Node, dict[str, int]]]) -> Node:
        if node.op == "ref":
            return self._reference(node, env)
        if node.op == "position":
            return number(env[node.attr("index")])
        if node.op == "last":
            return self._last(node.attr("index"))
        if node.op == "count":
            return self._count(node.attr("over"))
        if node.op in ("dropout_mask", "noise"):
            at = tuple((i, env[i] - 1) for i in node.indices if i != BATCH)
            kind = Type(tuple(i for i in node.indices if i == BATCH), node.shape, node.dtype)
            return Node(node.op, (), {**dict(node.attrs), "at": at}.items(), kind)
        if not node.args:
            return node
        values = [self.memo[self._key(a, e)] for a, e in parts]
        over = self._over(node)
        if not over and not self._padded(node):
            if node not in self.first:
                self.first[node] = make(TABLE[node.op], tuple(values), dict(node.attrs))
            return remade(self.first[node], tuple(values))
        key = self._whole_key(node, env)
        if key not in self.memo:
            self.memo[key] = self._whole(node, values, [e for _, e in parts])
        whole = self.memo[key]
        if not set(node.attr("over")) <= set(node.indices):  # it reduces
            return whole
        place = 0
        for i in over:
            place = place * self.size(i) + env[i] - 1
        return f.pick(whole, axis=0, at=place)

    def _last(self, index: str) -> Node:
        r = self.base.range_of(index)
        if r in self.length_inputs:
            name = self.length_inputs[r]
            return ref(name, (), self.quantities[name].type, batch=True)
        return number(self.sizes[r])

    def _count(self, over: tuple[str, ...]) -> Node:
        total = math.prod([self._last(i) for i in over if i != BATCH], start=ONE)
        if BATCH not in over:
            return total
        return f.sum(total, over=(BATCH,)) if BATCH in total.indices else total * f.count(over=(BATCH,))

    def _inside(self, env: Mapping[str, int], indices: list[str]) -> list[Node]:
        """The conditions under which the positions of env are not padding."""
        return [f.less_equal(float(env[i]), self._last(i)) for i in indices if self.base.range_of(i) in self.ragged]

    def _whole(self, node: Node, values: list[Node], envs: list[dict[str, int]]) -> Node:
        """A row over named indices, as the same row over a new leading feature axis; which it keeps if it reduces none.
        """
        attrs = dict(node.attrs)
        batch = tuple(i for i in attrs["over"] if i == BATCH)
        ragged = self._padded(node)
        fill = -math.inf if node.op in ("max", "logsumexp", "softmax", "log_softmax") else 0.0

        def masked(x: Node, e: dict[str, int], other: float) -> Node:
            for condition in self._inside(e, ragged):
                x = f.where(condition, x, other)
            return x

        stack = f.stack(*(masked(v, e, fill) for v, e in zip(values, envs, strict=True)), axis=0)
        if "axis" in attrs and isinstance(attrs["axis"], tuple):
            axis = (0, *(k + 1 for k in attrs["axis"]))
            if node.op == "mean" and ragged:
                ones = f.stack(*(masked(f.ones_like(v), e, 0.0) for v, e in zip(values, envs, strict=True)), axis=0)
                return f.sum(stack, over=batch, axis=axis) / f.sum(ones, over=batch, axis=axis)
            return make(TABLE[node.op], (stack,), {**attrs, "over": batch, "axis": axis})
        if batch:  # a softmax over the batch too
            total = f.logsumexp(stack, over=batch, axis=0)
            whole = stack - f.expand(total, axis=0, size=len(values))
            return f.exp(whole) if node.op == "softmax" else whole
        return make(TABLE[node.op], (stack,), {**attrs, "over": None, "axis": 0})

    # -- references --------------------------------------------------------------------------------

    def _reference(self, node: Node, env: dict[str, int]) -> Node:
        name, slots = node.attr("name"), node.attr("slots")
        q = self.base.quantities[name]
        late = [k for k, s in enumerate(slots) if s.anchor == "last" and q.batched
                and self.base.range_of(q.slots[k]) in self.ragged]
        if not late:
            value = self._value(name, tuple(self._position(s, env) for s in slots))
            return self._tame(value, [s.index for s in slots if s.anchor == "free"], env) if q.batched else value
        result = self._zero(q)
        ranges = [range(1 - self.size(q.slots[k]), self.size(q.slots[k]) + slots[k].offset + 1) for k in late]
        for combination in itertools.product(*ranges):
            where = [self._position(s, env) for s in slots]
            conditions = []
            for k, p in zip(late, combination, strict=True):
                where[k] = p
                conditions.append(f.equal(self._last(q.slots[k]) + float(slots[k].offset), float(p)))
            value = self._value(name, tuple(where))
            if value.op == "expand" or value is ZERO:
                continue
            for condition in conditions:
                value = f.where(condition, value, 0.0)
            result = value if result is ZERO or result.op == "expand" else result + value
        return result

    def _tame(self, value: Node, indices: list[str], env: dict[str, int]) -> Node:
        """The value, or at positions that are padding a number to compute with that is no pole: 0 / 0 is none of them.

        What comes of it is selected away, but its gradient would be 0 times whatever the slope is there.
        """
        for condition in self._inside(env, indices):
            value = f.where(condition, value, 0.5)
        return value

    def _zero(self, q: Quantity) -> Node:
        return filled(ZERO, q.type.shape)

    def _value(self, name: str, where: Positions) -> Node:
        """A named quantity at positions: inside, at a boundary, or zero; padding is zero."""
        if (name, where) not in self.values:
            self.values[name, where] = self._found_value(name, where)
        return self.values[name, where]

    def _found_value(self, name: str, where: Positions) -> Node:
        q = self.base.quantities[name]
        inside = all(1 <= p <= self.size(i) for p, i in zip(where, q.slots, strict=True))
        value = self._ref(name, where) if inside else self._zero(q)
        ragged = [(p, i) for p, i in zip(where, q.slots, strict=True) if self.base.range_of(i) in self.ragged]
        if not q.batched:
            ragged = []
        if inside:
            for p, i in ragged:
                value = f.where(f.less_equal(float(p), self._last(i)), value, 0.0)
        for eq in self.boundaries.get(name, ()):
            value = self._at_boundary(eq, q, where, value)
        return value

    def _at_boundary(self, eq: Equation, q: Quantity, where: Positions, value: Node) -> Node:
        conditions = []
        position = list(where)
        for k, (slot, p, own) in enumerate(zip(eq.slots, where, q.slots, strict=True)):
            ends = q.batched and self.base.range_of(own) in self.ragged
            if slot.anchor == "free" and not 1 <= p <= self.size(own):
                return value
            if slot.anchor == "free" and ends:
                conditions.append(f.less_equal(float(p), self._last(own)))
            if slot.anchor == "first" and slot.offset != p:
                return value
            if slot.anchor == "last":
                position[k] = self.size(own) + slot.offset
                if ends:
                    conditions.append(f.equal(self._last(own) + float(slot.offset), float(p)))
                elif position[k] != p:
                    return value
        at_boundary = self._ref(eq.name, tuple(position))
        for condition in conditions:
            at_boundary = f.where(condition, at_boundary, value)
        return at_boundary
