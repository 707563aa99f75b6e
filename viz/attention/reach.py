"""Which positions may be attended to at all: what masks leave, as far as positions alone decide it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from tinygrad_rnn import backends
from tinygrad_rnn.node import Node, walk
from tinygrad_rnn.ops import TABLE
from tinygrad_rnn.system import System
from tinygrad_rnn.tensors.evaluate import Now

FAR = -1e4  # so low a score leaves no weight, whatever the others are
SAME_FEATURES = ("transpose", "reshape", "expand")  # what is alike in all features stays so
Test = Callable[[np.ndarray], np.ndarray]


class Known(NamedTuple):
    """Values by positions, and where they are sure, as they depend on positions alone."""

    value: np.ndarray
    sure: np.ndarray

    def among(self, test: Test) -> np.ndarray:
        """Where the value is sure and passes a test."""
        return self.sure & test(self.value)


def reachable(weights: str, at: Mapping[str, np.ndarray], system: System) -> np.ndarray:
    """Where weights may differ from 0. at: the positions of every index of them, which broadcast."""
    found = _quantity(weights, at, system)
    return ~np.broadcast_to(found.among(_is_zero), np.broadcast_shapes(*(p.shape for p in at.values())))


def _quantity(name: str, at: Mapping[str, np.ndarray], system: System) -> Known:
    """A quantity at positions, by its equation; those at which a boundary is read are left open."""
    equation = next((eq for eq in system.equations if eq.name == name and not eq.is_boundary), None)
    if equation is None:
        return UNKNOWN
    done: dict[Node, Known] = {}
    for node in walk([equation.rhs]):
        done[node] = _term(node, [done[a] for a in node.args], at, system)
    return done[equation.rhs]


def _term(node: Node, args: list[Known], at: Mapping[str, np.ndarray], system: System) -> Known:
    if node.op == "const":
        return _sure(np.asarray(float(node.attr("value"))))
    if node.op == "position":
        return _sure(at[node.attr("index")].astype(float)) if node.attr("index") in at else UNKNOWN
    if node.op == "last":
        last = [p for i, p in at.items() if system.range_of(i) == system.range_of(node.attr("index"))]
        return _sure(np.asarray(float(last[0].max()))) if last else UNKNOWN
    if node.op == "ref":
        return _reference(node, at, system)
    if node.op == "exp":
        gone = args[0].among(_is_far)
        return Known(np.zeros(gone.shape), gone)
    if node.op == "softmax":
        over: list[str] = list(dict(node.attrs).get("over") or [])
        return _softmax(args[0], at, over[0]) if len(over) == 1 and over[0] in at else UNKNOWN
    if node.op in SAME_FEATURES:
        return args[0]
    if TABLE[node.op].kind == "elementwise":
        return _elementwise(node, args)
    return _product(args) if TABLE[node.op].kind == "contract" else UNKNOWN


def _reference(node: Node, at: Mapping[str, np.ndarray], system: System) -> Known:
    """Of a quantity over positions, read where they are."""
    q, slots = system.quantities.get(node.attr("name")), node.attr("slots")
    here = all(s.anchor == "free" and not s.offset and s.index in at for s in slots)
    if q is None or q.role != "defined" or not here:
        return UNKNOWN
    return _quantity(q.name, {own: at[s.index] for own, s in zip(q.slots, slots, strict=True)}, system)


def _softmax(scores: Known, at: Mapping[str, np.ndarray], over: str) -> Known:
    """0 where the score is far below others; of scores that are all so, but finite, weights are left."""
    shape = np.broadcast_shapes(scores.sure.shape, at[over].shape)
    gone = np.broadcast_to(scores.among(_is_far), shape)
    alone = gone.all(axis=-at[over].ndim, keepdims=True) & (scores.value > -np.inf)
    return Known(np.zeros(shape), gone & ~alone)


def _elementwise(node: Node, args: list[Known]) -> Known:
    if node.op == "where":
        condition, yes, no = args
        chosen = np.where(condition.value != 0, yes.value, no.value)
        return Known(chosen, condition.sure & np.where(condition.value != 0, yes.sure, no.sure))
    ins = np.broadcast_arrays(*(a.value for a in args))
    value = np.zeros(ins[0].shape, bool if TABLE[node.op].dtype == "bool" else float)
    array = TABLE[node.op].array
    assert array is not None
    with np.errstate(all="ignore"):
        array(Now(backends.load("numpy")), value, *ins, **dict(node.attrs))
    found = Known(value.astype(float), np.logical_and.reduce([np.broadcast_to(a.sure, value.shape) for a in args]))
    for a, (test, result) in zip(args, DECIDING.get(node.op, ()), strict=False):
        decided = np.broadcast_to(a.among(test), value.shape)
        found = Known(np.where(decided, result(a.value), found.value), found.sure | decided)
    return found


def _product(args: list[Known]) -> Known:
    """0 where a factor is."""
    zero = np.logical_or.reduce(np.broadcast_arrays(*(a.among(_is_zero) for a in args)))
    return Known(np.zeros(zero.shape), zero)


def _is_zero(value: np.ndarray) -> np.ndarray:
    return value == 0


def _is_far(value: np.ndarray) -> np.ndarray:
    return value <= FAR


# What one argument alone may say of the value: for each argument a test, and the value, or nearly so.
DECIDING: dict[str, tuple[tuple[Test, Test], ...]] = {
    "multiply": ((_is_zero, np.zeros_like), (_is_zero, np.zeros_like)),
    "divide": ((_is_zero, np.zeros_like),),
    "add": ((_is_far, np.positive), (_is_far, np.positive)),
    "subtract": ((_is_far, np.positive), (lambda v: v >= -FAR, np.negative)),
    "logical_and": ((_is_zero, np.zeros_like), (_is_zero, np.zeros_like)),
    "logical_or": ((lambda v: v != 0, np.ones_like), (lambda v: v != 0, np.ones_like)),
}


def _sure(value: np.ndarray) -> Known:
    return Known(value, np.ones(value.shape, bool))


UNKNOWN = Known(np.ones(()), np.zeros((), bool))
