"""Large graphs of operations made small: formulas in one box, scopes in one box, and what is alike drawn once.

Every step takes time linear in the arrows and depends on the graph alone.
"""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase

from tinygrad_rnn.node import Node, ref, walk
from tinygrad_rnn.ops import TABLE
from tinygrad_rnn.printing.printer import text

from .oplabels import label, ordered, shape_text, style

FUSED_KINDS = ("elementwise", "contract")
FUSED_OPS = ("transpose", "expand")
LONGEST = 40  # letters of a formula
MOST_OPS = 12  # operations of a formula; beyond, their number is said
ROUNDS = (1, 0)  # how far down boxes must agree to be alike; further, the first steps of a loop would stand apart


@dataclass(frozen=True)
class OpBox:
    """One box. args: the boxes that it reads and what stands at each arrow; ops: how many operations are in it, none in
    a number that stands beside what reads it; count: how many boxes alike it stands for; scope: a path of names, from
    the outermost; kind: what boxes alike agree in."""

    label: str
    shape: str
    style: str
    args: tuple[tuple[int, str], ...]
    kind: Hashable
    ops: int = 1
    count: int = 1
    scope: str = ""


def boxes(roots: Iterable[Node], scopes: Mapping[Node, str]) -> list[OpBox]:
    """A box an operation, arguments before their users."""
    return _boxes(list(walk(roots)), {}, scopes)


def collapsed(roots: Sequence[Node], scopes: Mapping[Node, str], most: int, longest: float) -> list[OpBox]:
    """At most so many boxes, if the graph can be drawn so: the least collapsed of the ways with as few.

    longest: how long all arrows together may be, see `length`.
    """
    found: list[OpBox] = []
    for found in _ways(roots, scopes):
        if len(found) <= most and length(found) <= longest:
            break
    return found


def arrow_count(found: Iterable[OpBox]) -> int:
    """How many pairs of boxes have an arrow."""
    return sum(len({arg for arg, _ in b.args}) for b in found)


def _ways(roots: Sequence[Node], scopes: Mapping[Node, str]) -> Iterator[list[OpBox]]:
    """From the whole graph to the coarsest."""
    nodes = list(walk(roots))
    yield _boxes(nodes, {}, scopes)
    found = _boxes(nodes, _tops(nodes, set(roots), scopes), scopes)
    yield found
    for depth in range(max((b.scope.count("/") + 1 for b in found if b.scope), default=0), 0, -1):
        found = _by_scope(found, depth)
        yield found
    for rounds in ROUNDS:
        yield _merged(found, _classes(found, rounds))
    yield _merged(found, [b.style for b in found])


def length(found: Sequence[OpBox]) -> int:
    """How many ranks all arrows together go down: what the time of a layout grows with."""
    rank: list[int] = []
    total = 0
    for k, b in enumerate(found):
        above = [rank[arg] for arg in {arg for arg, _ in b.args} if arg < k]
        rank.append(1 + max(above, default=-1))
        total += sum(rank[k] - r for r in above)
    return total


# -- expressions as formulas -----------------------------------------------------------------------


def _tops(nodes: Sequence[Node], roots: set[Node], scopes: Mapping[Node, str]) -> dict[Node, Node]:
    """Each operation of a formula -> the last of it: what is used once, by an operation of the same formula.

    A formula is what a layer computes: products of what it reads, and what is done to them one by one.
    """
    users: dict[Node, set[Node]] = {}
    for node in nodes:
        for arg in node.args:
            users.setdefault(arg, set()).add(node)
    top: dict[Node, Node] = {}
    for node in reversed(nodes):
        if not _fuses(node) or node in roots or len(users[node]) != 1:
            continue
        (user,) = users[node]
        layer = TABLE[user.op].kind == "contract" and node.op not in FUSED_OPS  # a product begins a new formula
        if _fuses(user) and not layer and scopes.get(user) == scopes.get(node):
            top[node] = top.get(user, user)
    return top


def _fuses(node: Node) -> bool:
    return node.op in FUSED_OPS or TABLE[node.op].kind in FUSED_KINDS


def _boxes(nodes: Sequence[Node], top: Mapping[Node, Node], scopes: Mapping[Node, str]) -> list[OpBox]:
    """A box an operation, but for those of a formula, which share one; numbers stand beside each that reads them."""
    inside: dict[Node, list[Node]] = {}
    read = {a for node in nodes for a in node.args if a.op == "const"}
    for node in nodes:
        if node not in top and node not in read and not (top and node.op == "const"):
            inside.setdefault(node, [])
        if node in top:
            inside.setdefault(top[node], []).append(node)
    found: list[OpBox] = []
    number: dict[Node, int] = {}
    for node in nodes:
        if node in inside:
            scope, beside = scopes.get(node, ""), {}
            for a in dict.fromkeys(a for a in node.args if a in read and not top):
                beside[a] = len(found)
                found.append(replace(_box([a], {}, scope, fused=False), ops=0))
            number[node] = len(found)
            found.append(_box([*inside[node], node], ChainMap(beside, number), scope, fused=bool(top)))
    return found


def _box(nodes: list[Node], number: Mapping[Node, int], scope: str, fused: bool) -> OpBox:
    """The box of one operation, or of those of a formula, the last of which is its value."""
    last, own = nodes[-1], set(nodes)
    shape = shape_text(last) if last.type is not None else ""
    if not fused or (len(nodes) == 1 and not any(a.op == "const" for a in last.args)):
        args = tuple((number[a], str(k + 1) if ordered(last) else "") for k, a in enumerate(last.args))
        return OpBox(label(last), shape, style(last), args, (label(last), shape), scope=scope)
    read = dict.fromkeys(a for node in nodes for a in node.args if a not in own and a.op != "const")
    formula = _formula(nodes, dict(zip(read, ascii_lowercase, strict=False))) if len(read) <= 26 else ""
    marks = ascii_lowercase if formula else [""] * len(read)
    args = tuple((number[a], mark if len(read) > 1 else "") for a, mark in zip(read, marks, strict=False))
    shown = formula or (f"{len(nodes):,} ops" if len(nodes) > 1 else label(last))
    return OpBox(shown, shape, style(last), args, (shown, shape), len(nodes), scope=scope)


def _formula(nodes: list[Node], letters: Mapping[Node, str]) -> str:
    """The expression in letters; nothing where it is too long to read."""
    if len(nodes) > MOST_OPS:
        return ""
    new = {node: ref(letter) for node, letter in letters.items()}
    for node in nodes:
        new[node] = Node(node.op, tuple(new.get(a, a) for a in node.args), node.attrs)
    found = text(new[nodes[-1]])
    return found if len(found) <= LONGEST else ""


# -- scopes and repeats ----------------------------------------------------------------------------


def _by_scope(found: Sequence[OpBox], depth: int) -> list[OpBox]:
    """One box for all that is in a scope of that depth."""
    keys: list[Hashable] = []
    for k, b in enumerate(found):
        path = b.scope.split("/")
        keys.append("/".join(path[:depth]) if b.scope and len(path) >= depth else k)

    def joined(key: Hashable, inside: list[OpBox]) -> OpBox:
        if not isinstance(key, str):
            return inside[0]
        outer, _, name = key.rpartition("/")
        ops = sum(b.ops for b in inside)
        kinds = frozenset(Counter((b.style, b.shape) for b in inside).items())
        return OpBox(name, f"{ops:,} operation{'s' * (ops > 1)}", "state", (), kinds, ops, scope=outer)

    merged = _quotient(found, keys, joined)
    return [replace(b, args=tuple(dict.fromkeys((a, "") for a, _ in b.args if a != k))) if isinstance(key, str) else b
            for k, (key, b) in enumerate(zip(dict.fromkeys(keys), merged, strict=True))]


def _merged(found: Sequence[OpBox], keys: Sequence[Hashable]) -> list[OpBox]:
    """One box for all of a key, which says how many they are."""
    def joined(_: Hashable, inside: list[OpBox]) -> OpBox:
        labels = dict.fromkeys(b.label for b in inside)
        shapes = dict.fromkeys(b.shape for b in inside)
        scopes = dict.fromkeys(b.scope for b in inside)
        return replace(inside[0], label=_common(labels), shape=_common(shapes), scope=_common(scopes) if
                       len(scopes) == 1 else "", ops=sum(b.ops for b in inside), count=sum(b.count for b in inside))

    return _quotient(found, keys, joined)


def _common(texts: Iterable[str]) -> str:
    """A text, or how all of them begin."""
    found = sorted(texts)
    return found[0] if len(found) == 1 else f"{found[0][: shared(found[0], found[-1])]}…"


def shared(a: Sequence[object], b: Sequence[object]) -> int:
    """How many items two sequences begin alike with."""
    return next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _quotient(found: Sequence[OpBox], keys: Sequence[Hashable],
              joined: Callable[[Hashable, list[OpBox]], OpBox]) -> list[OpBox]:
    """A box a key, in the order of the first of each, with all arrows of its boxes."""
    inside: dict[Hashable, list[OpBox]] = {}
    for key, b in zip(keys, found, strict=True):
        inside.setdefault(key, []).append(b)
    number = {key: k for k, key in enumerate(inside)}
    return [replace(joined(key, own), args=tuple(dict.fromkeys((number[keys[a]], mark)
                                                              for b in own for a, mark in b.args)))
            for key, own in inside.items()]


def _classes(found: Sequence[OpBox], rounds: int) -> list[Hashable]:
    """What each box is, and so many levels down what it reads; equal for boxes that are alike."""
    keys = _leaves(found)
    classes = _numbered(keys.get(k, b.kind) for k, b in enumerate(found))
    for _ in range(rounds):
        classes = _numbered((own, tuple((classes[a], mark) for a, mark in b.args))
                            for own, b in zip(classes, found, strict=True))
    return list(classes)


def _numbered(keys: Iterable[Hashable]) -> list[int]:
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _leaves(found: Sequence[OpBox]) -> dict[int, Hashable]:
    """What is alike among values that are given, which have no structure: few that are used much, such as weights, are
    each their own; many that are used little, such as the data of each step, are one."""
    uses = Counter(a for b in found for a, _ in b.args)
    kinds = {k: ("leaf", b.style, b.shape, uses[k]) for k, b in enumerate(found) if not b.args}
    alike = Counter(kinds.values())
    return {k: kind if alike[kind] > uses[k] else ("own", k) for k, kind in kinds.items()}
