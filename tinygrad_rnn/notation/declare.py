"""Equations declared in Python: names with brackets, on which `h[t] = ...` records an equation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import BadType, BadValue
from ..inference.brackets import wrong_left, wrong_read
from ..node import BATCH, At, Node, Operators, placed, ref, without_truth
from ..ops import apply
from ..ops.table import as_node
from ..printing.printer import text

if TYPE_CHECKING:
    from .declaring import Declaring


def index(name: str) -> Node:
    """An index by name: bare it is its position, in brackets it indexes: t = index("t"); h[t-1]."""
    if not isinstance(name, str) or not name.isidentifier() or name != name.lower():
        raise BadValue(f"an index is a lower-case name, not {name!r}")
    return apply("position", index=name)


def last(of: Node) -> Node:
    """The last position of an index: T = last(t); h[T]."""
    if not isinstance(of, Node) or of.op != "position":
        raise BadType(f"the last position is that of an index, such as last(tr.t) or last(tr.index('u')), not {of!r}")
    return apply("last", index=of.attr("index"))


def slot_of(key: Any) -> At:
    """What a bracket holds as a slot: t, t-1, T, 0."""
    offset = 0
    if isinstance(key, Node) and key.op in ("add", "subtract") and key.args[1].op == "const":
        step = key.args[1].attr("value")
        if not math.isfinite(step) or step != int(step):
            raise BadType(f"a shift is a whole number, not {step}")
        offset = int(step) if key.op == "add" else -int(step)
        key = key.args[0]
    if isinstance(key, Node) and key.op == "position":
        return At("free", key.attr("index"), offset)
    if isinstance(key, Node) and key.op == "last":
        return At("last", key.attr("index"), offset)
    if not isinstance(key, bool) and hasattr(key, "__index__"):
        return At("first", "", key.__index__())
    shown = text(key) if isinstance(key, Node) else repr(key)
    raise BadType(f"inside the first bracket stand indices (t, t-1, 0, T), not {shown}")


def _slots(name: str, key: Any, wrong: Callable[[tuple[At, ...]], tuple[int | None, str] | None]) -> tuple[At, ...]:
    """What a first bracket holds; `wrong` says why it may not."""
    slots = tuple(map(slot_of, key if isinstance(key, tuple) else (key,)))
    found = wrong(slots)
    if found is not None:
        raise BadValue(f"{placed(name, slots)}: {found[1]}")
    return slots


class Symbol(Operators):
    """A named quantity of a model under construction."""

    __slots__ = ("model", "name", "role")

    def __init__(self, model: Declaring, name: str, role: str):
        self.model, self.name, self.role = model, name, role

    def __repr__(self) -> str:
        return self.model.told(self.name)

    def as_node(self) -> Node:
        """The reference that the bare name stands for; an input needs its index."""
        if self.role == "input":
            raise BadType(f"the input {self.name} is used with its index: {self.name}[t], or {self.name}[n]")
        return ref(self.name)

    def _apply(self, op: str, *args: Any, **attrs: Any) -> Any:
        return apply(op, *(as_node(a, op) for a in without_truth(args)), **attrs)

    def __iter__(self) -> Any:
        raise BadType(f"{self.name} has no elements to go through; it is used with its indices, as {self.name}[t]")

    def __contains__(self, value: object) -> bool:
        raise BadType(f"{self.name} is not searched; it is used with its indices, as {self.name}[t]")

    def __getitem__(self, key: Any) -> Node:
        keys = key if isinstance(key, tuple) else (key,)
        if any(isinstance(k, slice) for k in keys):
            if any(isinstance(k, Node) for k in keys):
                raise BadType(f"inside the first bracket stand indices alone; feature slices go in a second: "
                              f"{self.name}[t][0:2]")
            return self.as_node()[key]
        slots = _slots(self.name, key, wrong_read)
        if [s.index for s in slots] == [BATCH]:
            return ref(self.name, (), batch=True)
        return ref(self.name, slots)

    def __setitem__(self, key: Any, value: Any) -> None:
        if self.role != "defined":
            article = "an" if self.role == "input" else "a"
            raise BadValue(f"{self.name} is declared as {article} {self.role} and has no equation; what has one is "
                           f"model.state({self.name!r})")
        self.model.define(self.name, _slots(self.name, key, wrong_left), value)
