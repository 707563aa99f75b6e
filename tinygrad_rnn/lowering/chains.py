"""Names in rows, for what has to lie next to each other in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Chains:
    """Who comes directly after whom: each after and before one other at most, and never in a ring."""

    def __init__(self) -> None:
        self.after: dict[str, str] = {}
        self.before: dict[str, str] = {}

    def may(self, a: str, b: str) -> bool:
        """Can b come directly after a?"""
        if a in self.after or b in self.before:
            return self.after.get(a) == b
        end = b
        while end in self.after:
            end = self.after[end]
        return end != a

    def extend(self, links: Iterable[tuple[str, str]]) -> bool:
        """Let b come directly after a for each (a, b), if that can be for all of them; else change nothing."""
        new: list[tuple[str, str]] = []
        for a, b in links:
            if not self.may(a, b):
                for x, y in new:
                    del self.after[x], self.before[y]
                return False
            if a not in self.after:
                self.after[a], self.before[b] = b, a
                new.append((a, b))
        return True

    def __iter__(self) -> Iterator[list[str]]:
        for first in self.after:
            if first not in self.before:
                row = [first]
                while row[-1] in self.after:
                    row.append(self.after[row[-1]])
                yield row

    def ordered(self, names: Iterable[str]) -> list[str]:
        """The names, each row of them where its first stands."""
        left = dict.fromkeys(names)
        rows = {name: row for row in self for name in row}
        found: dict[str, None] = {}
        for name in left:
            found |= dict.fromkeys(x for x in rows.get(name, [name]) if x in left)
        return list(found)
