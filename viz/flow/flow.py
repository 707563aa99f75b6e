"""How the gradient flows back through time: its norm at every step, for one model or for several beside each other."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from tinygrad_rnn.arguments import whole
from tinygrad_rnn.errors import BadName, BadType, BadValue, about
from tinygrad_rnn.files import replacing, with_ending
from tinygrad_rnn.models.model import Model
from tinygrad_rnn.node import refs
from tinygrad_rnn.plans.feeds import lengths_by_index
from tinygrad_rnn.system import System
from tinygrad_rnn.tensors.arrays import to_numpy

from ..graph.names import arrows
from ..graph.roles import Roles, roles
from ..text import clean
from .ways import ways

ENDINGS = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Flow:
    """The norms of the gradient of `of` with respect to one state of a model, at the positions 1..T of `index`.

    direction: +1 where the state comes from the left and so the gradient from the right, -1 the other way round;
    distances, entries: the gradient's ways, see `flow_ways.ways`; None for the one step that the others follow from;
    line: in what style the state's wires are drawn.
    """

    label: str
    of: str
    state: str
    index: str
    direction: int
    norms: np.ndarray
    distances: tuple[int, ...] = (1,)
    entries: tuple[int, ...] | None = None
    line: str = "h"

    @property
    def steps(self) -> int:
        """T."""
        return len(self.norms)

    @property
    def backward(self) -> list[int]:
        """The positions in the order in which the gradient comes by."""
        forth = range(1, self.steps + 1)
        return list(reversed(forth) if self.direction >= 0 else forth)


def gradient_norms(model: Model, data: Mapping[str, Any], of: str = "loss", state: str | None = None,
                   example: int | None = None) -> np.ndarray:
    """‖∂of/∂state[t]‖ for t = 1..T, shape (T,), in float64.

    The Euclidean norm runs over the features, and over layers and other indices where the state has them; its mean
    over the examples that reach step t, or one `example` alone. data: arrays by input name, and "lengths" as in `fit`.
    state: any quantity over t; by default the first state on the way to `of` that a weight multiplies, such as h of
    an LSTM, else the first state.

    Raises `BadValue` for a model without recurrence, an `of` that is no single number, one step alone, data with NaN;
    `BadName` for a name that the model does not have.
    """
    return _flow("", model, data, of, state, example).norms


def gradient_flow(models: Mapping[str, Model], data: Mapping[str, Any], path: str | os.PathLike[str], *,
                  of: str = "loss", state: str | Mapping[str, str] | None = None, example: int | None = None,
                  title: str = "") -> Path:
    """Plot the norm of the gradient that reaches each step, one line a model, on a logarithmic scale.

    models: by the label that each has in the plot; data: arrays by input name for all of them, or such a dict for each
    label; path: ends in .png, .svg or .pdf; state: a name, or names by label, and otherwise as in `gradient_norms`;
    example: one example in place of the mean over all; title: a line above, such as how the weights were drawn.

    Raises `BadValue`, `BadName`, `BadType` or `BadFile` (all `tinygrad_rnn.Error`), naming the model at fault.
    """
    file, ending = with_ending("a picture", path, ENDINGS)
    found, title = flows(models, data, of, state, example), worded(title)
    from . import plot as flow_plot  # matplotlib takes a while to import

    with replacing(file) as part:
        flow_plot.write(found, title, part, ending)
    return file


# -- the numbers -----------------------------------------------------------------------------------


def flows(models: Mapping[str, Model], data: Mapping[str, Any], of: str, state: str | Mapping[str, str] | None,
          example: int | None) -> list[Flow]:
    """The norms of every model, none of them zero throughout; arguments as of `gradient_flow`."""
    if not isinstance(models, Mapping):
        raise BadType(f"models are given by label, {{'LSTM': model}}, not as {type(models).__name__}")
    if not models:
        raise BadValue("there is no model to show; give {label: model}")
    if not isinstance(data, Mapping):
        raise BadType(f"data is a dict of arrays by input name, or of such dicts by model, not {type(data).__name__}")
    apart = bool(data) and all(isinstance(d, Mapping) for d in data.values())
    _check_labels("data", data if apart else {}, models, all_of_them=apart)
    by_label = state if isinstance(state, Mapping) else {}
    _check_labels("state", by_label, models)
    found = []
    for label, model in models.items():
        with about(f"the model {label!r}"):
            own = by_label.get(label) if isinstance(state, Mapping) else state
            flow = _flow(str(label), model, data[label] if apart else data, of, own, example)
            if not flow.norms.any():
                raise BadValue(f"the gradient of {of} with respect to {flow.state} is zero at every step: "
                               f"{_cause_of_none(flow, model)}")
        found.append(flow)
    return found


def worded(title: Any) -> str:
    """A title as it can be shown."""
    if not isinstance(title, str):
        raise BadType(f"title is text, not {title!r}")
    return clean(title)


def _check_labels(what: str, given: Mapping[str, Any], models: Mapping[str, Model], all_of_them: bool = False) -> None:
    named = ", ".join(map(repr, models))
    for label in given:
        if label not in models:
            raise BadName(f"{what} is given for {label!r}; the models are {named}")
    if all_of_them:
        for label in models:
            if label not in given:
                raise BadName(f"{what} is given by model, and lacks that of {label!r}")


def _flow(label: str, model: Model, data: Mapping[str, Any], of: str, state: str | None, example: int | None) -> Flow:
    if not isinstance(model, Model):
        raise BadType(f"a model made by tinygrad_rnn.equations or Model is expected, not {type(model).__name__}")
    if not isinstance(data, Mapping):
        raise BadType(f"data is a dict of arrays by input name, not {type(data).__name__}")
    found = roles(model.system)
    name = _default_state(found, of) if state is None else _known_state(state, model.system)
    index, direction = _along(name, found)
    inputs = {k: v for k, v in data.items() if k != "lengths"}
    derived = model.grad(of, (name,))
    adjoint = derived.adjoints[name]
    array = derived.run(inputs, want=(adjoint,), lengths=data.get("lengths"), check=True)[adjoint]
    norms = _mean_norms(to_numpy(array).astype(np.float64), model.system, name, index, data.get("lengths"), example)
    if len(norms) < 2:
        raise BadValue(f"{name} has one step; a gradient over {index} needs at least 2")
    if not np.isfinite(norms).all():
        at = int(np.flatnonzero(~np.isfinite(norms))[0]) + 1
        raise BadValue(f"the gradient of {of} with respect to {name} is {norms[at - 1]} at {index} = {at}")
    line = found.line(name) if found.role[name] == "state" else "h"
    return Flow(label, of, name, index, direction, norms, *ways(name, index, of, found, len(norms)), line)


def _cause_of_none(flow: Flow, model: Model) -> str:
    """Why no gradient reaches a state."""
    system, of = model.system, flow.of
    found = arrows(system)
    above = {}
    for kind in ("reads", "differentiates"):
        graph: nx.DiGraph[str] = nx.DiGraph((a.source, a.target) for a in found if a.differentiable or kind == "reads")
        graph.add_nodes_from(system.quantities)
        above[kind] = nx.ancestors(graph, of) | {of}
    others = [n for n, role in roles(system).role.items() if role == "state" and n in above["differentiates"]]
    other = f"; name another with state=, such as {others[0]!r}" if others else ""
    if flow.state not in above["reads"]:
        return f"{of} does not depend on it{other}"
    if flow.state not in above["differentiates"]:
        return f"{of} depends on it only through what has no derivative, such as a comparison{other}"
    between = above["differentiates"] & nx.descendants(graph, flow.state)
    read = {r.attr("name") for eq in system.equations if eq.name in between for r in refs([eq.rhs])}
    zero = [n for n in model.weights if n in read and not np.any(to_numpy(model.weights[n]))]
    if zero:
        return f"{', '.join(zero)}, between it and {of}, {'is' if len(zero) == 1 else 'are'} all zero"
    return "a factor on every way back to it is zero for these data, as of relu below 0 or of a saturated gate"


def _default_state(found: Roles, of: str) -> str:
    """The first state that `of` depends on and that a weight multiplies; else the first."""
    states = [name for name, role in found.role.items() if role == "state"]
    if not states:
        raise BadValue("no quantity is recurrent, so there is no gradient over time; name one with state=")
    graph: nx.DiGraph[str] = nx.DiGraph((a.source, a.target) for a in found.arrows if a.differentiable)
    near_loss = nx.ancestors(graph, of) if of in graph else set()
    states = [s for s in states if s in near_loss] or states
    return next((s for s in states if s not in found.additive), states[0])


def _known_state(state: Any, system: System) -> str:
    if not isinstance(state, str):
        raise BadType(f"state is the name of a quantity, or names by model, not {state!r}")
    system.require([state])
    return state


def _along(name: str, found: Roles) -> tuple[str, int]:
    """The index that the gradient flows along, and the direction of the recurrence."""
    if name not in found.role:
        raise BadValue(f"{name} is a weight; its gradient is the same at every step")
    block = found.block_of(name)
    index = block.column if block.direction or not block.row else block.row
    if not index or index not in found.system.quantities[name].slots:
        raise BadValue(f"{name} has no index to run along, so there is no gradient over time; name another with state=")
    return index, block.direction


def _mean_norms(array: np.ndarray, system: System, name: str, index: str, lengths: Any,
                example: int | None) -> np.ndarray:
    """(batch, indices, features) -> (T,): norms over all but batch and index, then the mean over the examples."""
    q = system.quantities[name]
    batched = array if q.batched else array[None]
    steps_second = np.moveaxis(batched, 1 + q.slots.index(index), 1)
    norms = np.linalg.norm(steps_second.reshape(*steps_second.shape[:2], -1), axis=2)
    reached = np.arange(norms.shape[1]) < _lengths(system, index, lengths, norms)[:, None]
    if example is not None:
        chosen = whole("example", example, at_least=0, at_most=len(norms) - 1)
        norms, reached = norms[chosen : chosen + 1], reached[chosen : chosen + 1]
    steps = int(reached.sum(axis=1).max())
    kept = np.where(reached, norms, 0.0)[:, :steps]
    return np.asarray(kept.sum(axis=0) / reached[:, :steps].sum(axis=0))


def _lengths(system: System, index: str, lengths: Any, norms: np.ndarray) -> np.ndarray:
    """How far each example runs along the index."""
    for named, values in lengths_by_index(system, lengths).items():
        if system.range_of(named) == system.range_of(index):
            return np.asarray(to_numpy(values))
    return np.full(len(norms), norms.shape[1])
