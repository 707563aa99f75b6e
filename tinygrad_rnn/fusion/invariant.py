"""What a loop computes from nothing that changes in it is computed once, before the loop."""

from __future__ import annotations

from typing import Any

from .lift import Foreign, Instruction, Operand, Repeated, writes


def unchanging_first(bodies: list[Repeated]) -> list[Repeated]:
    """The program, with what is the same at every step of a loop before it."""
    found: list[Repeated] = []
    for body in bodies:
        moved = _unchanging(body) if body.count > 1 else []
        if moved:
            found.append(Repeated(1, moved))
            body = Repeated(body.count, [i for i in body.instructions if i not in moved])
        found.append(body)
    return found


def _unchanging(body: Repeated) -> list[Instruction]:
    """Instructions that neither move nor touch what others of the loop write, nor are read before they are done."""
    reach = {o: o.reach(body.count) for i in body.instructions for o in (*i.reads, *writes(i))}
    found: list[Instruction] = [i for i in body.instructions if not isinstance(i, Foreign)
                                and not any(o.step for o in (*i.reads, *writes(i)))]
    while True:
        rest = [i for i in body.instructions if i not in found]
        written = [o for i in rest for o in writes(i)]
        kept = [i for i in found if not _meet((*i.reads, *writes(i)), written, reach)
                and not _meet(writes(i), [o for r in _before(i, body) if r in rest for o in r.reads], reach)
                and not _goes_on(i, found, reach)]
        if len(kept) == len(found):
            return found
        found = kept


def _goes_on(instruction: Instruction, found: list[Instruction], reach: dict[Operand, tuple[int, int]]) -> bool:
    """Does it read what it, or one after it, has written a step before, as a running sum does?"""
    place = found.index(instruction)
    new = {_elements(o) for i in found[:place] for o in writes(i)}
    old = [o for i in found[place:] for o in writes(i)]
    return any(_meet([o], old, reach) for o in instruction.reads if _elements(o) not in new)


def _elements(o: Operand) -> tuple[Any, ...]:
    """Equal for operands of the same elements, however often each of them is looked at."""
    shaped = [(n, s) for n, s in zip(o.array.shape, o.array.strides, strict=True) if n != 1 and s != 0]
    return (o.address, o.step, o.dtype, *shaped)


def _before(instruction: Instruction, body: Repeated) -> list[Instruction]:
    return body.instructions[: body.instructions.index(instruction)]


def _meet(some: tuple[Operand, ...] | list[Operand], others: list[Operand], reach: dict[Operand, tuple[int, int]]
          ) -> bool:
    return any(reach[a][0] < reach[b][1] and reach[b][0] < reach[a][1] for a in some for b in others)
