"""Typed or untyped expressions as the text that reads back to them, and as LaTeX."""

from __future__ import annotations

import math
from typing import Any

from ..node import Node, placed, ref, walk
from ..ops import TABLE
from ..ops.reduction import REDUCING
from ..system import Equation, System

INFIX = {"add": (" + ", 10), "subtract": (" - ", 10), "multiply": (" * ", 20), "divide": (" / ", 20),
         "matmul": (" @ ", 20), "less": (" < ", 5), "less_equal": (" <= ", 5), "greater": (" > ", 5),
         "greater_equal": (" >= ", 5), "equal": (" == ", 5), "not_equal": (" != ", 5),
         "logical_and": (" and ", 3), "logical_or": (" or ", 2)}
NOT, ATOM = 4, 100
NEGATIVE, POWER = 25, 30
DEEP = 6  # operations within each other that `brief` shows


def text(root: Node, bare: bool = False) -> str:
    """One line that `equations` reads back to the same expression.

    bare: whether a reduction over everything may be written without `over=`, as the left side has no index.
    """
    done: dict[Node, tuple[str, int]] = {}
    for node in walk([root]):
        done[node] = _term(node, [done[a] for a in node.args], bare)
    return done[root][0]


def brief(root: Node) -> str:
    """The text of what is outermost, dots for what lies deeper; of any node, also of those that no equation has."""
    return text(_outline(root, DEEP))


def _outline(node: Node, depth: int) -> Node:
    if node.op == "data":
        return ref(repr(node.attr("name")), type=node.type)
    if not node.args:
        return node
    if not depth:
        return ref("...", type=node.type)
    args = tuple(_outline(a, depth - 1) for a in node.args)
    if node.op not in TABLE:
        return ref(f"{node.op}({', '.join(map(text, args))})", type=node.type)
    return Node(node.op, args, node.attrs, node.type)


def _term(node: Node, args: list[tuple[str, int]], bare: bool) -> tuple[str, int]:
    """(text, how tightly it binds)."""
    op, attrs = node.op, dict(node.attrs)
    if op == "ref":
        return _reference(attrs), ATOM
    if op == "const":
        return _number(attrs["value"]), ATOM if math.copysign(1.0, attrs["value"]) > 0 else NEGATIVE
    if op == "position":
        return attrs["index"], ATOM
    if op == "last":
        return attrs["index"].upper(), ATOM
    if op == "count":
        return f"count({', '.join(attrs['over'])})", ATOM
    if op in INFIX:
        sign, tight = INFIX[op]
        (left, a), (right, b) = args
        return f"{_held(left, a, tight + (tight == 5))}{sign}{_held(right, b, tight + 1)}", tight
    if op == "negative" and node.args[0].op != "const":  # -2 is read as a number
        return f"-{_held(*args[0], POWER)}", NEGATIVE
    if op == "logical_not":
        return f"not {_held(*args[0], NOT)}", NOT
    if op == "power":
        return f"{_held(*args[0], POWER + 1)} ** {_held(*args[1], POWER)}", POWER
    if op in ("slice", "pick") and attrs["axis"] == 0 and not (op == "pick" and _is_plain(node.args[0])):
        return f"{_held(*args[0], ATOM)}[{part_text(node)}]", ATOM
    return _call(node, args, attrs, bare), ATOM


def _is_plain(node: Node) -> bool:
    """A name without an index: a bracket after it would be read as one."""
    return node.op == "ref" and not node.attr("slots") and not node.attr("batch")


def _held(inner: str, tight: int, needed: int) -> str:
    return inner if tight >= needed else f"({inner})"


def _reference(attrs: dict[str, Any]) -> str:
    return f"{attrs['name']}[n]" if attrs["batch"] else placed(attrs["name"], attrs["slots"])


def _number(value: float | bool) -> str:
    if isinstance(value, bool):
        return str(value)
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0 or not value.is_integer() or abs(value) >= 1e15:
        return repr(value).removesuffix(".0")
    return str(int(value))


def part_text(node: Node) -> str:
    """What a slice or a pick takes of its axis: 0:64, or 3."""
    attrs = dict(node.attrs)
    if node.op == "pick":
        return str(attrs["at"])
    step = attrs["step"]
    edges = f"{'' if attrs['start'] is None else attrs['start']}:{'' if attrs['stop'] is None else attrs['stop']}"
    return edges if step in (None, 1) else f"{edges}:{step}"


def _call(node: Node, args: list[tuple[str, int]], attrs: dict[str, Any], bare: bool) -> str:
    row = TABLE[node.op]
    parts = [a for a, _ in args]
    own = {"key", "at"} if node.op == "dropout_mask" else set()  # a mask is keyed by its own name
    options = {k: v for k, v in attrs.items() if v != row.params[k] and k not in own}
    if node.args and node.args[0].type is not None:
        options = _short(node, options, bare)
    if row.leading:
        parts.insert(0, repr(options.pop("spec")).replace("'", '"'))
    if node.op == "dropout_mask":
        parts.append(repr(options.pop("rate")))
    parts += [f"{k}={_option(v)}" for k, v in options.items()]
    return f"{node.op}({', '.join(parts)})"


def _short(node: Node, options: dict[str, Any], bare: bool) -> dict[str, Any]:
    """Leave out what typing fills in: a reduction over everything is bare, the last axis is the default."""
    a = node.args[0]
    options = {k: v for k, v in options.items() if v is not None and (v != () or k == "shape")}
    if TABLE[node.op].canon is None:
        return options
    if node.op in REDUCING:
        if bare and node.attr("over") == a.indices and len(node.attr("axis")) == a.rank:
            return {}
        if len(options.get("axis", ())) == 1:
            options["axis"] = options["axis"][0]
        return options or {"axis": ()}
    if node.op in ("softmax", "log_softmax", "cumsum", "layer_norm", "rstd"):
        axis = options.get("axis")
        if axis in (a.rank - 1, (a.rank - 1,)):
            options.pop("axis")
    elif node.op == "transpose" and node.attr("axes") == tuple(reversed(range(a.rank))):
        return {}
    return options


def _option(value: Any) -> str:
    if isinstance(value, tuple):
        names = [v if isinstance(v, str) else _option(v) for v in value]  # in a tuple a text is an index
        inner = ", ".join(names)
        return inner if len(value) == 1 and isinstance(value[0], str) else f"({inner}{',' * (len(value) == 1)})"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def equation_text(eq: Equation) -> str:
    """One equation as text."""
    return f"{eq.left} = {text(eq.rhs, bare=not eq.slots)}"


def system_text(system: System) -> str:
    """The whole model: the given sizes of what is in its equations, then these with their comments, aligned."""
    met = {eq.name for eq in system.equations} | {node.attr("name") for node in walk(
        [eq.rhs for eq in system.equations]) if node.op == "ref"} | set(system.ranges)
    lines = [f"{_size_left(system, name)}: {_size(shape)}" for name, shape in system.declared.items() if name in met]
    if lines:
        lines.append("")
    rows = [(equation_text(eq), eq.comment) for eq in system.equations]
    width = max((len(t) for t, c in rows if c and len(t) <= 80), default=0)
    lines += [f"{t:<{width}}  # {c}" if c else t for t, c in rows]
    return "\n".join(lines)


def _size_left(system: System, name: str) -> str:
    q = system.quantities.get(name)
    if q is None:
        return name
    return f"{name}[n]" if q.role == "input" and not q.slots else placed(name, q.slots)


def _size(shape: tuple[int, ...]) -> str:
    return str(shape[0]) if len(shape) == 1 else str(shape)
