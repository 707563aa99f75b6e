"""The weights of a model by name: read as read-only views, set by copying, initialised at first use."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from .. import backends
from ..attributes import Advised
from ..backends.flat import cut
from ..backends.places import numbers
from ..errors import BadAttribute, BadName, BadType, BadValue, allocating, near
from ..lowering.merge import stacks
from ..node import Node, walk
from ..ops.table import MOST
from ..passes.schedule import loops, needed, schedule
from ..system import System
from .initialise import check_rules, initial


def shapes(system: System) -> dict[str, tuple[int, ...]]:
    """The shape of every weight: static indices first, then features."""
    found = {}
    for name in system.of_role("weight"):
        q = system.quantities[name]
        found[name] = (*(system.static[i] for i in q.slots), *q.type.shape)
    return found


def recurrent(system: System) -> set[str]:
    """Weights that multiply inside a loop, as U does in h[t] = tanh(U @ h[t-1] + W @ x[t])."""
    looped = loops(schedule(needed(system, system.by_name)))
    inside = [v for loop in looped for v in loop.vertices() if isinstance(v, Node)]
    products = [v for v in inside if v.op in ("matmul", "dot", "einsum")]
    weights = set(system.of_role("weight"))
    return {r.attr("name") for p in products for r in walk(p.args) if r.op == "ref" and r.attr("name") in weights
            and any(r in walk([a]) and all(x.op != "ref" or x is r for x in walk([a])) for a in p.args)}


def kernels(system: System) -> set[str]:
    """Weights that slide over images, as K does in h[t] = conv2d(x[t], K)."""
    nodes = walk(eq.rhs for eq in system.equations)
    second = [node.args[1] for node in nodes if node.op in ("conv2d", "conv2d_transpose")]
    return {k.attr("name") for k in second if k.op == "ref"} & set(system.of_role("weight"))


def _checked(rules: Mapping[str, Any] | None, names: Iterable[str]) -> dict[str, Any]:
    rules = {} if rules is None else rules
    check_rules(rules, names)
    return dict(rules)


def _in_one(backend: ModuleType, arrays: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """Copies of the arrays as slices of one, so that clipping and an update are single passes."""
    found = cut(backend.zeros((sum(a.size for a in arrays.values()),), dtype), arrays)
    for name, array in arrays.items():
        found[name][...] = backend.xp.asarray(array)
    return found


class Weights(MutableMapping[str, Any], Advised):
    """model.weights: a mapping from names to arrays.

    Reading gives a view of the current value, on NumPy a read-only one (CuPy has none); setting copies into place after
    checking the shape. So `weights["b"] = weights["b"] + 1`, while `+=` and `weights["b"][0] = 1` are refused by NumPy.
    Two are equal where all names and numbers are. Copies and pickles have arrays of their own.
    """

    _elsewhere: ClassVar[Mapping[str, str]] = {
        "copy": "copy.deepcopy(weights) has arrays of its own, dict(weights) views"}

    def __init__(self, system: System, seed: int = 0, rules: Mapping[str, Any] | None = None):
        self._system = system
        self.shapes = shapes(system)
        for name, shape in self.shapes.items():
            if math.prod(shape) > MOST:
                raise BadValue(f"the weight {name} would have shape {shape}, more than {MOST} numbers")
        self.seed, self.rules = seed, _checked(rules, self.shapes)
        self._arrays: dict[str, Any] | None = None
        self._backend: ModuleType = backends.current()

    @property
    def arrays(self) -> dict[str, Any]:
        """The arrays themselves, on the backend in use: for plans and optimisers, which write in place.

        In the order of memory, where those that are multiplied by the same lie next to each other.
        """
        if self._arrays is None:
            self._arrays, self._backend = self._initial(self.seed, self.rules), backends.current()
        if self._backend is not backends.current():
            host = {k: self._backend.to_host(v) for k, v in self._arrays.items()}
            self._backend = backends.current()
            self._arrays = _in_one(self._backend, host, self._system.dtype)
        return self._arrays

    def in_order(self, names: Iterable[str]) -> list[str]:
        """The names as their weights lie in memory, others behind: gradients wanted in this order lie alike."""
        place = {name: k for k, name in enumerate(self.arrays)}
        return sorted(names, key=lambda name: place.get(name, len(place)))

    def _initial(self, seed: int, rules: Mapping[str, Any]) -> dict[str, Any]:
        looped, slid, quantities = recurrent(self._system), kernels(self._system), self._system.quantities
        values = {}
        for name in stacks(self._system).ordered(self.shapes):
            with allocating(f"the weight {name} of shape {self.shapes[name]}"):
                values[name] = initial(name, self.shapes[name], name in looped, rules, seed,
                                       len(quantities[name].slots), name in slid)
        with allocating("the model's weights"):
            return _in_one(backends.current(), values, self._system.dtype)

    def fill(self, values: Mapping[str, Any]) -> None:
        """Set every weight. What nobody has read yet is not drawn first: of large matrices that takes seconds."""
        if self._arrays is None:
            blank = {name: np.broadcast_to(np.zeros((), self._system.dtype), self.shapes[name])
                     for name in stacks(self._system).ordered(self.shapes)}
            self._arrays, self._backend = _in_one(backends.current(), blank, self._system.dtype), backends.current()
        for name in self.shapes:
            self[name] = values[name]

    def reset(self, seed: int = 0, rules: Mapping[str, Any] | None = None) -> None:
        """Draw every weight anew, in place."""
        rules = _checked(rules, self.shapes)
        fresh = self._initial(seed, rules)
        self.seed, self.rules = seed, rules
        for name, array in self.arrays.items():
            array[...] = fresh[name]

    def __getitem__(self, name: str) -> Any:
        if name not in self.shapes:
            raise BadName(f"the model has no weight {name!r}{near(name, self.shapes)}; it has {', '.join(self.shapes)}")
        view = self.arrays[name][...]
        if isinstance(view, np.ndarray):
            view.flags.writeable = False
        return view

    def __setitem__(self, name: str, value: Any) -> None:
        target = self[name]  # raises for an unknown name
        array = numbers(f"the weight {name}", value).astype(self._system.dtype)
        if array.shape not in (target.shape, ()):
            raise BadValue(f"the weight {name} has shape {target.shape}, not {array.shape}")
        self.arrays[name][...] = self._backend.asarray(array)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self).get("shapes", ()):
            raise BadAttribute(f"a weight is no attribute; write weights[{name!r}] = ...")
        super().__setattr__(name, value)

    def _instead_of(self, name: str) -> str:
        """What there is in place of an attribute."""
        own = name in self.shapes and name not in self._elsewhere
        return f"; write weights[{name!r}]" if own else super()._instead_of(name)

    def __delitem__(self, name: str) -> None:
        raise BadType("a weight cannot be removed from a model")

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def __ior__(self, values: Mapping[str, Any]) -> Weights:
        self.update(values)
        return self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        theirs = other.on_host() if isinstance(other, Weights) else other
        return self.keys() == other.keys() and all(
            np.array_equal(array, theirs[name]) for name, array in self.on_host().items())

    def on_host(self) -> dict[str, Any]:
        """As NumPy arrays, which are copies of what lies on a GPU alone; in the order of memory."""
        return {name: backends.current().to_host(array) for name, array in self.arrays.items()}

    def __reduce__(self) -> Any:
        return _restored, (self._system, self.on_host())

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.shapes)

    def __repr__(self) -> str:
        return f"Weights({', '.join(f'{k}: {v}' for k, v in self.shapes.items())})"


def _restored(system: System, values: Mapping[str, Any]) -> Weights:
    """Weights with these values."""
    weights = Weights(system)
    weights.fill(values)
    return weights
