"""An unrolled model: the flat equations, run with the arrays of the model that they came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import backends
from ..above import viz
from ..arguments import named
from ..config import Config, Feed
from ..errors import BadValue
from ..notation.declared import Pose
from ..passes.autodiff import check_scalar, gradient
from ..passes.unroll import Unrolled, unrolled
from ..plans.feeds import prepared, steps_by_index
from ..plans.plan import Plan
from ..printing.printer import system_text
from ..system import System
from .generate import codes

if TYPE_CHECKING:
    import networkx as nx

    from .model import Model


class UnrolledModel:
    """`model.unroll(4)`: a loop-free graph with a copy of each quantity per position, such as h_1 ... h_4."""

    def __init__(self, model: Model, steps: Any):
        self.model = model
        base = model.system
        self.sizes = {base.range_of(i): size for i, size in base.static.items()}
        for index, count in steps_by_index(base, steps).items():
            self.sizes[base.range_of(index)] = count
        missing = [i for i in base.ranges if base.range_of(i) not in self.sizes]
        if missing:
            raise BadValue(f"unroll needs the number of positions of {missing[0]}: "
                           f"unroll({{{', '.join(repr(i) + ': ...' for i in base.ranges if i not in base.static)}}})")
        self._flat: dict[frozenset[str], Unrolled] = {}
        self._poses: dict[Pose, UnrolledModel] = {}

    def _unrolled(self, ragged: frozenset[str] = frozenset()) -> Unrolled:
        if ragged not in self._flat:
            self._flat[ragged] = unrolled(self.model.system, self.sizes, ragged)
        return self._flat[ragged]

    @property
    def system(self) -> System:
        """The flat system: one equation per quantity and position."""
        return self._unrolled().system

    def __str__(self) -> str:
        return system_text(self.system)

    def __repr__(self) -> str:
        return f"<{self.model.name} unrolled: {len(self.system.equations)} equations>"

    def run(self, data: Mapping[str, Any] | None = None, /, *, want: Iterable[str] | None = None, lengths: Any = None,
            training: bool = False, seed: int = 0, **inputs: Any) -> dict[str, Any]:
        """As `Model.run`, computed on the flat graph."""
        data = self.model._inputs(data, inputs)
        if self.model.declared:
            return self._drawn(data, want, lengths=lengths, training=training, seed=seed)
        names = self.model.asked_for(want, data)
        flat, config, feed = self._prepared(names, data, lengths, training, seed)
        plan = self._plan(flat.system, self._flat_names(flat, names), config)
        plan.run(self._feed(flat, feed))
        return {name: self._collected(flat, name, plan.result, config.batch, feed) for name in names}

    def value_and_grad(self, data: Mapping[str, Any] | None = None, /, *, of: str = "loss",
                       wrt: Iterable[str] | None = None, lengths: Any = None, training: bool = False, seed: int = 0,
                       **inputs: Any) -> tuple[Any, dict[str, Any]]:
        """As `Model.value_and_grad`, by differentiating the flat graph, in which nothing is shifted."""
        data = self.model._inputs(data, inputs)
        if self.model.declared:
            given = Pose(frozenset(n for n in self.model.declared if n in data))
            return self._posed(given).value_and_grad(data, of=of, wrt=wrt, lengths=lengths, training=training,
                                                     seed=seed)
        names = named("wrt", self.model.system.of_role("weight") if wrt is None else wrt)
        check_scalar(self.model.system, of, names)
        flat, config, feed = self._prepared((of,), data, lengths, training, seed)
        flat_of = flat.names[of, ()]
        flat_wrt = self._flat_names(flat, names)
        derived, adjoints = gradient(flat.system, flat_of, flat_wrt)
        plan = self._plan(derived, [flat_of, *(adjoints[n] for n in flat_wrt)], config)
        plan.run(self._feed(flat, feed))

        def adjoint(name: str) -> Any:
            return plan.result(adjoints[name])

        return plan.result(flat_of)[()], {n: self._collected(flat, n, adjoint, config.batch, feed) for n in names}

    def _posed(self, pose: Pose) -> UnrolledModel:
        """The same steps of the model in a pose."""
        if pose not in self._poses:
            base = self.model.system
            self._poses[pose] = UnrolledModel(self.model.posed(pose), {
                i: self.sizes[base.range_of(i)] for i in base.ranges if i not in base.static})
        return self._poses[pose]

    def _drawn(self, data: Mapping[str, Any], want: Iterable[str] | None, **options: Any) -> dict[str, Any]:
        """Declared data are observed where given, else drawn."""
        model = self.model
        pose = Pose(frozenset(n for n in model.declared if n in data))
        posed = self._posed(pose)
        hidden = model.posed(pose).hidden
        names = [n for n in posed.model.asked_for(want, data) if n not in hidden]
        return codes(model, [n for n in model.declared if n not in data], posed.run(data, want=names, **options))

    def draw(self, path: Any, **options: Any) -> Path:
        """The unrolled view of the model, or with view="ops" every operation, framed by step and quantity.

        Options as of `Model.draw`, or of `viz.op_graph`.
        """
        if options.get("view") != "ops":
            return self.model.draw(path, **{"view": "unrolled", "steps": self._columns(), **options})
        roots, scopes = viz().operations(self.model.system, self._unrolled())
        options = {"scopes": scopes, **options}
        del options["view"]
        return viz().op_graph(roots, path, **options)

    def to_networkx(self) -> nx.MultiDiGraph[str]:
        """The flat graph as a networkx.MultiDiGraph; a node says of which quantity it is, and at which positions."""
        graph: nx.MultiDiGraph[str] = viz().to_networkx(self.system)
        for (name, where), flat in self._unrolled().names.items():
            slots = self.model.system.quantities[name].slots
            graph.nodes[flat].update(quantity=name, positions=dict(zip(slots, where, strict=True)))
        return graph

    def _columns(self) -> int:
        base = self.model.system
        return next((self.sizes[base.range_of(i)] for i in base.ranges if i not in base.static), 1)

    # -- arrays between the model and its flat form --------------------------------------------------

    def _prepared(self, want: tuple[str, ...], data: Mapping[str, Any], lengths: Any, training: bool,
                  seed: int) -> tuple[Unrolled, Config, Feed]:
        base = self.model.system
        steps = {i: self.sizes[base.range_of(i)] for i in base.ranges if i not in base.static}
        config, feed = prepared(base, want, data, lengths=lengths, steps=steps, training=training, seed=seed)
        return self._unrolled(frozenset(feed.lengths)), config, feed

    def _plan(self, system: System, want: Iterable[str], config: Config) -> Plan:
        weights = {}
        arrays = self.model.weights.arrays
        for ragged in self._flat.values():
            for (name, where), flat_name in ragged.names.items():
                if name in arrays:
                    weights[flat_name] = arrays[name][(*(p - 1 for p in where), ...)]
        coded = {flat_name for ragged in self._flat.values() for (name, _), flat_name in ragged.names.items()
                 if name in config.coded}
        flat_config = Config(tuple(want), config.batch, (), frozenset(), frozenset(coded & set(system.quantities)),
                             config.training)
        return Plan(system, flat_config, weights, backends.current())

    def _flat_names(self, flat: Unrolled, names: Iterable[str]) -> list[str]:
        return [flat_name for (name, where), flat_name in flat.names.items() if name in set(names)
                and self._inside(name, where)]

    def _inside(self, name: str, where: tuple[int, ...]) -> bool:
        q = self.model.system.quantities[name]
        return all(1 <= p <= self.sizes[self.model.system.range_of(i)] for p, i in zip(where, q.slots, strict=True))

    def _feed(self, flat: Unrolled, feed: Feed) -> Feed:
        inputs, backend = {}, backends.current()
        xp = backend.xp
        given = {name: backend.asarray(array) for name, array in feed.inputs.items()}
        for (name, where), flat_name in flat.names.items():
            if name in given:
                q = self.model.system.quantities[name]
                array = given[name][(slice(None), *(p - 1 for p in where))]
                for p, index in zip(where, q.slots, strict=True):
                    r = self.model.system.range_of(index)
                    if r in feed.lengths:  # padding is selected away before anything is computed from it
                        valid = (p <= feed.lengths[r]).reshape(-1, *[1] * (array.ndim - 1))
                        array = xp.where(valid, array, xp.zeros((), array.dtype))
                inputs[flat_name] = array
        for r, flat_name in flat.lengths.items():
            inputs[flat_name] = feed.lengths[r].astype("float64")
        return Feed(inputs, {}, {}, feed.seed, feed.step)

    def _collected(self, flat: Unrolled, name: str, value: Any, batch: int, feed: Feed) -> Any:
        """The flat values of one name, stacked as the model would return them, padding zero."""
        q = self.model.system.quantities[name]
        lead = tuple(self.sizes[self.model.system.range_of(i)] for i in q.slots)
        xp = backends.current().xp
        out = xp.zeros((*((batch,) * q.batched), *lead, *q.type.shape), self.model.dtype)
        for (other, where), flat_name in flat.names.items():
            if other != name or not self._inside(name, where):
                continue
            key: Any = (*((slice(None),) * q.batched), *(p - 1 for p in where))
            array = value(flat_name)
            for p, index in zip(where, q.slots, strict=True):
                r = self.model.system.range_of(index)
                if r in feed.lengths and q.batched:
                    array = xp.where((p <= feed.lengths[r]).reshape(-1, *[1] * (array.ndim - 1)), array, 0)
            out[key] = array
        return out
