"""An unrolled model: the flat equations, run with the arrays of the model that they came from."""

from __future__ import annotations

import contextlib
import gc
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import backends
from ..above import viz
from ..arguments import named
from ..config import Config, Feed
from ..errors import BadValue, many
from ..node import At, Node, rebuilt
from ..notation.declared import Pose
from ..passes.autodiff import check_scalar
from ..passes.unroll import Unrolled, unrolled
from ..plans.feeds import apart, prepared, steps_by_index
from ..plans.plan import Plan
from ..printing.printer import system_text
from ..printing.rows import WIDTH, block_latex, chosen
from ..system import Equation, Quantity, System
from .generate import codes
from .weights import Weights

if TYPE_CHECKING:
    import networkx as nx

    from .model import Model

MOST = 1_000_000  # equations of an unrolled model; some GiB


class UnrolledModel:
    """`model.unroll(4)`: a loop-free graph with a copy of each quantity per position, such as h_1 ... h_4."""

    def __init__(self, model: Model, steps: Any):
        self.model = model
        base = model.system
        self.sizes = {base.range_of(i): size for i, size in base.static.items()}
        for index, count in steps_by_index(base, steps).items():
            if self.sizes.setdefault(base.range_of(index), count) != count:
                raise BadValue(f"steps of {index} are {count}, but its range is {self.sizes[base.range_of(index)]}")
        missing = [i for i in base.ranges if base.range_of(i) not in self.sizes]
        if missing:
            raise BadValue(f"unroll needs the number of positions of {missing[0]}: "
                           f"unroll({{{', '.join(f'{i!r}: ...' for i in base.open_indices)}}})")
        count = len(base.equations) * math.prod(self.sizes.values())
        if count > MOST:
            raise BadValue(f"unrolled this model may have {count:,} equations, more than {MOST:,}; take fewer steps, "
                           "or run the model itself, for which any number of steps is one loop")
        self._flat: dict[frozenset[str], Unrolled] = {}
        self._models: dict[frozenset[str], Model] = {}
        self._poses: dict[Pose, UnrolledModel] = {}

    def __reduce__(self) -> Any:
        """For copy and pickle: a copy of the model, unrolled anew."""
        return UnrolledModel, (self.model, self._steps())

    def _unrolled(self, ragged: frozenset[str] = frozenset()) -> Unrolled:
        if ragged not in self._flat:
            with _building():
                self._flat[ragged] = unrolled(self.model.system, self.sizes, ragged)
        return self._flat[ragged]

    @property
    def system(self) -> System:
        """The flat system: one equation per quantity and position."""
        return self._unrolled().system

    def __str__(self) -> str:
        return system_text(self.system)

    def __repr__(self) -> str:
        return f"<{self.model.name} unrolled: {many(len(self.system.equations), 'equation')}>"

    def latex(self, *, want: str | Iterable[str] | None = None, notation: str = "superscript",
              width: float | None = WIDTH) -> str:
        """As `Model.latex`, one equation per quantity and position; `want` are names of the model."""
        flat, base = self._unrolled(), self.model.system
        placed = {name: (of, tuple(At("first", "", p) for p in where)) for (of, where), name in flat.names.items()}

        def written(node: Node, args: tuple[Node, ...]) -> Node:
            if node.op == "ref" and node.attr("name") in placed:
                return Node("ref", (), {**dict(node.attrs), **dict(zip(("name", "slots"), placed[node.attr("name")],
                                                                       strict=True))}, node.type)
            return Node(node.op, args, node.attrs, node.type)

        equations = [Equation(*placed[eq.name], rebuilt(eq.rhs, written)) for eq in flat.system.equations]
        shown = chosen(base.with_equations(equations, base.quantities), want)
        return block_latex(shown, base, notation, width)

    def run(self, data: Mapping[str, Any] | None = None, /, *, want: Iterable[str] | None = None, lengths: Any = None,
            training: bool = False, seed: int = 0, batch: int | None = None, **inputs: Any) -> dict[str, Any]:
        """As `Model.run`, computed on the flat graph. batch: how many examples, where no input says so."""
        data, lengths = apart(self.model.system, data, lengths)
        data = self.model.given(data, inputs)
        if self.model.declared:
            return self._drawn(data, want, lengths=lengths, training=training, seed=seed, batch=batch)
        names = self.model.asked_for(want, data)
        flat, config, feed = self._prepared(names, data, lengths, training, seed, batch)
        model = self._model(feed)
        with model.plans.alone:
            plan = self._ran(model, flat, self._flat_names(flat, names), config, feed)
            return {name: self._collected(flat, name, plan.result, config.batch, feed) for name in names}

    def value_and_grad(self, data: Mapping[str, Any] | None = None, /, *, of: str = "loss",
                       wrt: Iterable[str] | None = None, lengths: Any = None, training: bool = False, seed: int = 0,
                       **inputs: Any) -> tuple[Any, dict[str, Any]]:
        """As `Model.value_and_grad`, by differentiating the flat graph, in which nothing is shifted."""
        data, lengths = apart(self.model.system, data, lengths)
        data = self.model.given(data, inputs)
        if self.model.declared:
            given = Pose(frozenset(n for n in self.model.declared if n in data))
            return self._posed(given).value_and_grad(data, of=of, wrt=wrt, lengths=lengths, training=training,
                                                     seed=seed)
        weights = self.model.system.of_role("weight")
        names = named("wrt", weights if wrt is None else wrt, weights)
        check_scalar(self.model.system, of, names)
        flat, config, feed = self._prepared((of,), data, lengths, training, seed)
        flat_of = flat.names[of, ()]
        flat_wrt = self._flat_names(flat, names)
        with _building():
            derived = self._model(feed).grad(flat_of, flat_wrt)

        def adjoint(name: str) -> Any:
            return plan.result(derived.adjoints[name])

        with derived.plans.alone:
            plan = self._ran(derived, flat, [flat_of, *(derived.adjoints[n] for n in flat_wrt)], config, feed)
            return plan.result(flat_of)[()], {n: self._collected(flat, n, adjoint, config.batch, feed) for n in names}

    def _posed(self, pose: Pose) -> UnrolledModel:
        """The same steps of the model in a pose."""
        if pose not in self._poses:
            self._poses[pose] = UnrolledModel(self.model.posed(pose), self._steps())
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

    def _steps(self) -> dict[str, int]:
        """How far each index runs that has no size of its own."""
        base = self.model.system
        return {i: self.sizes[base.range_of(i)] for i in base.open_indices}

    def _columns(self) -> int:
        return next(iter(self._steps().values()), 1)

    # -- arrays between the model and its flat form --------------------------------------------------

    def _prepared(self, want: tuple[str, ...], data: Mapping[str, Any], lengths: Any, training: bool,
                  seed: int, batch: int | None = None) -> tuple[Unrolled, Config, Feed]:
        config, feed = prepared(self.model.system, want, data, lengths=lengths, steps=self._steps(), training=training,
                                seed=seed, batch=batch)
        return self._unrolled(frozenset(feed.lengths)), config, feed

    def _model(self, feed: Feed) -> Model:
        """The flat system as a model, which keeps its gradients and plans; its weights are parts of the model's own."""
        from .model import Model

        ragged = frozenset(feed.lengths)
        if ragged not in self._models:
            flat = self._unrolled(ragged)
            self._models[ragged] = Model.of_system(flat.system, _Parts(self.model, flat))
        return self._models[ragged]

    def _ran(self, model: Model, flat: Unrolled, want: Iterable[str], config: Config, feed: Feed) -> Plan:
        """A plan of the flat model, or of its gradient, that has just been run."""
        coded = frozenset(flat_name for (name, _), flat_name in flat.names.items() if name in config.coded)
        flat_config = Config(tuple(want), config.batch, (), frozenset(), coded, config.training)
        with _building():
            plan: Plan = model.plans.get(model.system, flat_config, model.weights)
        plan.run(self._feed(flat, feed))
        return plan

    def _flat_names(self, flat: Unrolled, names: Iterable[str]) -> list[str]:
        wanted = set(names)
        return [flat_name for (name, where), flat_name in flat.names.items() if name in wanted
                and self._inside(name, where)]

    def _inside(self, name: str, where: tuple[int, ...]) -> bool:
        q = self.model.system.quantities[name]
        return all(1 <= p <= self.sizes[self.model.system.range_of(i)] for p, i in zip(where, q.slots, strict=True))

    def _feed(self, flat: Unrolled, feed: Feed) -> Feed:
        inputs = {}
        given = {name: backends.current().asarray(array) for name, array in feed.inputs.items()}
        for (name, where), flat_name in flat.names.items():
            if name in given:
                q = self.model.system.quantities[name]
                array = given[name][(slice(None), *(p - 1 for p in where))]
                inputs[flat_name] = self._selected(q, where, array, feed)  # before anything is computed from it
        for r, flat_name in flat.lengths.items():
            inputs[flat_name] = feed.lengths[r].astype("float64")
        return Feed(inputs, {}, {}, feed.seed, feed.step)

    def _collected(self, flat: Unrolled, name: str, value: Any, batch: int, feed: Feed) -> Any:
        """The flat values of one name, stacked as the model would return them, padding zero."""
        q = self.model.system.quantities[name]
        lead = tuple(self.sizes[self.model.system.range_of(i)] for i in q.slots)
        out = backends.current().xp.zeros((*((batch,) * q.batched), *lead, *q.type.shape), self.model.dtype)
        for (other, where), flat_name in flat.names.items():
            if other != name or not self._inside(name, where):
                continue
            key: Any = (*((slice(None),) * q.batched), *(p - 1 for p in where))
            out[key] = self._selected(q, where, value(flat_name), feed)
        return out

    def _selected(self, q: Quantity, where: tuple[int, ...], array: Any, feed: Feed) -> Any:
        """What is at these positions, zero where they are padding."""
        for p, index in zip(where, q.slots, strict=True):
            r = self.model.system.range_of(index)
            if r in feed.lengths and q.batched:
                valid = (p <= feed.lengths[r]).reshape(-1, *[1] * (array.ndim - 1))
                array = backends.current().xp.where(valid, array, array.dtype.type(0))
        return array


@contextlib.contextmanager
def _building() -> Iterator[None]:
    """While very many objects are made that stay, Python does not look for those that could go, again and again."""
    looks = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looks:
            gc.enable()


class _Parts(Weights):
    """The weights of a flat system: views of those of the model."""

    def __init__(self, model: Model, flat: Unrolled):
        super().__init__(flat.system)
        self._whole, self._names = model.weights, flat.names
        self._of: dict[str, Any] | None = None

    @property
    def arrays(self) -> dict[str, Any]:
        """As of `Weights`; the same as long as the model's are."""
        whole = self._whole.arrays
        if self._arrays is None or self._of is not whole:
            self._of = whole
            self._arrays = {flat_name: whole[name][(*(p - 1 for p in where), ...)]
                            for (name, where), flat_name in self._names.items() if name in whole}
        return self._arrays
