"""What is likely a slip of the pen in equations that are right as they stand: whoever declares a model is warned."""

from __future__ import annotations

from collections.abc import Container, Iterator

from ..node import At, Node, placed, refs, walk
from ..system import System, sources

COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
PROBABILITY = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}  # what makes one of what an equation has


def doubts(system: System, given: Container[str]) -> Iterator[str]:
    """The warnings. given: the names that somebody gave a size."""
    yield from _twins(system)
    yield from _pi(system, given)
    yield from _positions(system, given)
    yield from _nothing(system)
    yield from _scores(system)


def _twins(system: System) -> Iterator[str]:
    """b_f and b_F are rarely both meant; a vector v and a matrix V are."""
    seen: dict[tuple[str, int], str] = {}
    for name in system.of_role("weight"):
        plain = name.lower().replace("_", ""), len(system.quantities[name].type.shape)
        if plain in seen:
            yield f"the weights {seen[plain]} and {name} have nearly the same name; is one a slip of the pen?"
        seen[plain] = name


def _pi(system: System, given: Container[str]) -> Iterator[str]:
    """2 * pi and sin(pi * t) are hardly of a weight, unless somebody gave it a size."""
    q = system.quantities.get("pi")
    if q is None or q.role != "weight" or "pi" in given:
        return
    terms = (node.args for node in walk(eq.rhs for eq in system.equations) if node.op in ("multiply", "divide"))
    if any({"const", "position", "last"} & {a.op for a in args} and any(a.op == "ref" and a.attr("name") == "pi"
                                                                         for a in args) for args in terms):
        yield ("pi is a weight here, as every name is that no equation sets; the number is 3.141592653589793, and "
               "pi=() says that a weight is meant")


def _positions(system: System, given: Container[str]) -> Iterator[str]:
    """s <= t, where s stands in no bracket, compares t with a weight, which nobody means and nothing would train."""
    terms = (node for node in walk(eq.rhs for eq in system.equations) if node.op in COMPARISONS)
    for a, b in (term.args for term in terms):
        for other, index in ((a, b), (b, a)):
            name = other.attr("name") if other.op == "ref" else ""
            if index.op == "position" and name not in given and name in system.of_role("weight"):
                yield (f"{name} is a weight here, which is compared with the position {index.attr('index')}; an index "
                       f"stands in brackets, x[{name}], or after over=, and {name}=() says that a weight is meant")
                return


def _nothing(system: System) -> Iterator[str]:
    """h[-1] is not the last position, nor x[0] the first: both are outside, and zero unless something sets them."""
    by_name = system.by_name
    for read in (found := refs(eq.rhs for eq in system.equations)):
        name, slots = read.attr("name"), read.attr("slots")
        sizes = [system.static.get(index) for index in system.quantities[name].slots]
        outside = [k for k, (slot, size) in enumerate(zip(slots, sizes, strict=True)) if _is_outside(slot, size)]
        boundaries = [eq for eq in by_name.get(name, []) if eq.is_boundary]
        if not outside or sources(boundaries, read):
            continue
        alike = [other for other in found if other.attr("name") == name]
        if all(sizes[k] is None and _reached(k, slots[k], alike) for k in outside):
            continue
        yield (f"{placed(name, slots)} is outside of the range and always zero, as no equation sets it; positions "
               "count from 1, and the last is a capital: h[1], h[T]")


def _is_outside(at: At, size: int | None) -> bool:
    """Is that position before the first or behind the last one, whose number is `size` where it is known ahead?"""
    if at.anchor == "first":
        return at.offset < 1 or (size is not None and at.offset > size)
    return at.anchor == "last" and (at.offset > 0 or (size is not None and at.offset <= -size))


def _reached(k: int, at: At, reads: list[Node]) -> bool:
    """Does a shift reach that position, so that a state carried on may hold it?"""
    shifts = [r.attr("slots")[k].offset for r in reads if r.attr("slots")[k].anchor == "free"]
    return any(1 + s <= at.offset if at.anchor == "first" else s >= at.offset for s in shifts)


def _scores(system: System) -> Iterator[str]:
    """cross_entropy(V @ h[t] + b, k[t]) is of scores, as in other libraries, and here it is of probabilities."""
    for eq in system.equations:
        for node in walk([eq.rhs]):
            wanted = PROBABILITY.get(node.op)
            if wanted is not None and _is_affine(system, node.args[0]):
                yield (f"{node.op} in {eq.left} is given what weights make, which is no probability; write "
                       f"{node.op}({wanted}(z), k), which is computed from z")


def _is_affine(system: System, node: Node) -> bool:
    """Is that weights times something, and perhaps a weight, seen through names?"""
    weights, seen = system.of_role("weight"), set[str]()

    def is_weight(part: Node) -> bool:
        return part.op == "ref" and part.attr("name") in weights

    while node.op == "ref" and node.attr("name") not in seen:
        seen.add(node.attr("name"))
        own = [eq for eq in system.by_name.get(node.attr("name"), []) if not eq.is_boundary]
        node = own[0].rhs if own else node
    if node.op == "add" and any(map(is_weight, node.args)):
        return True
    return node.op in ("matmul", "dot") and any(map(is_weight, node.args))
