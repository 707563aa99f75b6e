"""The lines of cells that differ in names alone: found once, and taken over for all of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace

from .route import Grid, Net, in_turn


@dataclass
class Known:
    """What was found for grids and their nets, by all that a way depends on but the names."""

    found: dict[Hashable, tuple[bool, Grid, list[Net]]] = field(default_factory=dict)

    def route(self, grid: Grid, nets: list[Net]) -> bool:
        """Lay all nets, as `Grid.route` does, or as was done before."""
        key = _key(grid, nets)
        if key not in self.found:
            self.found[key] = grid.route(nets), grid, nets
        done, before, laid = self.found[key]
        if nets is not laid:
            _take_over(grid, nets, before, laid)
        return done


def _key(grid: Grid, nets: list[Net]) -> Hashable:
    number = {net.key: k for k, net in enumerate(nets)}
    return (grid.width, grid.height, grid.patience, frozenset(grid.blocked), frozenset(grid.stubs),
            frozenset((cell, number.get(key, -1)) for cell, key in grid.kept.items()), *map(frozenset, grid.lanes),
            tuple(number[net.key] for net in in_turn(nets)),  # of nets that are as long, names tell the turns
            tuple((tuple(net.starts), tuple(map(tuple, net.goals.values())), _places(net, net.first),
                   frozenset(_places(net, net.early)), net.far_first) for net in nets))


def _places(net: Net, goals: Iterable[str]) -> tuple[int, ...]:
    """The numbers of some of a net's goals."""
    number = {goal: k for k, goal in enumerate(net.goals)}
    return tuple(number[goal] for goal in goals)


def _take_over(grid: Grid, nets: list[Net], before: Grid, laid: list[Net]) -> None:
    name = {old.key: new.key for old, new in zip(laid, nets, strict=True)}
    grid.patience = before.patience
    for mine, other in zip(grid.used, before.used, strict=True):
        mine |= {cell: name[key] for cell, key in other.items()}
    for k, (old, new) in enumerate(zip(laid, nets, strict=True)):
        goal = dict(zip(old.goals, new.goals, strict=True))
        nets[k] = replace(new, start=old.start, paths={goal[g]: path for g, path in old.paths.items()},
                          ends={goal[g]: end for g, end in old.ends.items()})
