"""Optimisers: weights and their gradients in, weights changed in place.

g is the gradient, w the weight, k = 1, 2, ... the number of this update. State is one array per slot and
weight. All arithmetic is by ufuncs with `out=` from the array module `xp`: after `start` no array is made.
Weights that are slices of one array, and gradients that are too, are updated all at once, and on the CPU in one pass
of machine code where there is a compiler; the bits are the same either way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy

from .. import backends, jit
from ..arguments import flag, real
from ..attributes import OF_OPTIMIZERS, Advised, instead
from ..backends.flat import cut, flat
from ..errors import BadAttribute, BadType, BadValue
from ..fusion.trace import Make, Rule, Trace, traced
from ..keywords import told
from .rates import Rate, check_rate, rate_at, schedule

Arrays = Mapping[str, Any]
Piece = tuple[Any, Any, "tuple[Any, ...]", Any]  # what a rule is given
Pass = Callable[[Make], None]  # what is done with a piece at each update


@dataclass(eq=False)
class Optimizer(Advised):
    """The base: keeps the state, checks the arrays, counts the updates. A subclass names its slots and its rule.

    `lr` is a number or a schedule, a callable: number of updates done -> rate. It may be set between updates.
    """

    lr: Rate
    step: int = field(default=0, init=False, repr=False)
    _slots: dict[str, dict[str, Any]] | None = field(default=None, init=False, repr=False)  # slot -> weight -> array
    _scratch: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    _xp: Any = field(default=numpy, init=False, repr=False)

    def __post_init__(self) -> None:
        check_rate(self.lr)
        self._check()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_xp"}  # a module is not copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._xp = _module_of(self._scratch)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "learning_rate":  # as others call it: set here, it would change nothing
            raise BadAttribute(f"{type(self).__name__} has no attribute {name!r}; its rate is lr")
        super().__setattr__(name, value)

    def _instead_of(self, name: str) -> str:
        """What there is in place of an attribute."""
        return instead(name, OF_OPTIMIZERS, dir(self))

    def _check(self) -> None:
        """Raise where an argument is out of its range."""

    def _slot_names(self) -> tuple[str, ...]:
        """The arrays kept for each weight."""
        return ()

    def start(self, weights: Arrays, xp: Any = None) -> dict[str, Any]:
        """Make the state for these weights, zeros of their shapes, and return it as `state()` does.

        weights: {name: floating array}, or `model.weights`; xp: the array module they belong to (numpy or cupy).
        Raises BadType where a weight is not a floating array.
        """
        weights = _written(weights, weights)
        xp = _module_of(weights) if xp is None else xp
        for name, w in weights.items():
            if getattr(getattr(w, "dtype", None), "kind", "") != "f":
                raise BadType(f"weight {name} is not a floating-point array and cannot be trained")
        self._xp, self.step = xp, 0
        whole = flat(weights)
        if whole is None:
            self._slots = {slot: {name: xp.zeros_like(w) for name, w in weights.items()} for slot in self._slot_names()}
            self._scratch = _views_of_one_buffer(weights, xp)
        else:
            self._slots = {slot: cut(xp.zeros_like(whole), weights) for slot in self._slot_names()}
            self._scratch = cut(xp.empty(whole.size, dtype=whole.dtype), weights)
        return self.state()

    def update(self, weights: Arrays, grads: Arrays) -> None:
        """One step: change each weight in place; gradients are only read.

        weights, grads: {name: array} with the names and shapes given to `start`, which the first update
        calls by itself where nobody did; or `model.weights`, of which those change that there are gradients of:

            loss, grads = model.value_and_grad(data)
            optimizer.update(model.weights, grads)

        Raises BadValue where names or shapes differ, or a weight cannot be written.
        """
        weights = _written(weights, grads)
        if self._slots is None:
            self.start(weights)
        self.advance(self.passes(weights, grads))

    def passes(self, weights: Arrays, grads: Arrays) -> list[Pass]:
        """What `advance` does to these arrays; found once, it serves as long as they are the same."""
        pieces = self.pieces(weights, grads)
        if self._xp is not numpy or not jit.enabled():
            return [partial(_through, self._xp, piece) for piece in pieces]
        from ..jit.onepass import OnePass

        return [OnePass(*piece, self._slot_names()) for piece in pieces]

    def advance(self, passes: Sequence[Pass]) -> None:
        """One step: change the weights of `passes` in place."""
        rate = rate_at(schedule(self.lr), self.step)
        for each in passes:
            each(lambda xp: self._rule(xp, rate, self.step + 1))
        self.step += 1

    def pieces(self, weights: Arrays, grads: Arrays) -> list[Piece]:
        """What the rule is given: weights, gradients, state and scratch, all at once where they lie side by side."""
        slots = self._matching(weights, grads)
        return self._at_once(weights, grads, slots) or self._by_name(weights, grads, slots)

    def traced(self) -> Trace:
        """The rule of the next update written down, for arrays called w, g, s and by the names of the slots."""
        rate = rate_at(schedule(self.lr), self.step)
        return traced(lambda xp: self._rule(xp, rate, self.step + 1), ("w", "g", *self._slot_names()))

    def _at_once(self, weights: Arrays, grads: Arrays, slots: list[dict[str, Any]]) -> list[Piece]:
        """All weights as one, where they, the gradients and the state are slices of one array each; else nothing."""
        ordered = ({name: arrays[name] for name in self._scratch} for arrays in (weights, grads))
        w, g, s, *own = (flat(arrays) for arrays in (*ordered, self._scratch, *slots))
        if w is None or g is None or s is None or any(slot is None for slot in own):
            return []
        return [(w, g, tuple(own), s)] if w.dtype == g.dtype == s.dtype else []

    def _by_name(self, weights: Arrays, grads: Arrays, slots: list[dict[str, Any]]) -> list[Piece]:
        return [(weights[name], grads[name], tuple(slot[name] for slot in slots), scratch)
                for name, scratch in self._scratch.items()]

    def _rule(self, xp: Any, lr: float, k: int) -> Rule:
        """The update of one weight, with all that depends on lr and k alone computed ahead."""
        raise NotImplementedError

    def _matching(self, weights: Arrays, grads: Arrays) -> list[dict[str, Any]]:
        assert self._slots is not None
        for what, given in (("weights", weights), ("gradients", grads)):
            if given.keys() != self._scratch.keys():
                odd = sorted(given.keys() ^ self._scratch.keys())
                raise BadValue(f"the {what} are not those that the optimiser started with; they differ in {odd}")
        for name, scratch in self._scratch.items():
            if grads[name] is None:
                raise BadType(f"there is no gradient of {name}: leave {name} out of both, or give zeros")
            if not weights[name].shape == grads[name].shape == scratch.shape:
                raise BadValue(
                    f"{name} started with shape {scratch.shape}; now the weight has {weights[name].shape} "
                    f"and its gradient {grads[name].shape}"
                )
        return list(self._slots.values())

    def state(self) -> dict[str, Any]:
        """A copy of the state: "step", and "slot.weight" for each slot and weight."""
        step = numpy.array(self.step, dtype=numpy.int64)
        return {"step": step, **{key: array.copy() for key, array in self._by_key().items()}}

    def _by_key(self) -> dict[str, Any]:
        slots = (self._slots or {}).items()
        return {f"{slot}.{name}": own[name] for name in self._scratch for slot, own in slots}

    def load_state(self, state: Arrays) -> None:
        """Go on from a `state()`; call `start` first, so that the weights are known.

        Raises BadValue where it was never started, or where names or shapes differ; then nothing is changed.
        """
        if self._slots is None:
            raise BadValue("call start(weights) before load_state(state)")
        own = self._by_key()
        if state.keys() != own.keys() | {"step"}:
            odd = sorted(state.keys() ^ (own.keys() | {"step"}))
            raise BadValue(f"this is not the state of {self!r} for these weights; they differ in {odd}")
        for key, array in own.items():
            if numpy.shape(state[key]) != array.shape:
                raise BadValue(f"the state {key} has shape {numpy.shape(state[key])}; {array.shape} was expected")
        for key, array in own.items():
            array[...] = self._xp.asarray(state[key])
        self.step = int(state["step"])


def _module_of(arrays: Arrays) -> Any:
    """The array module of arrays."""
    return numpy if all(isinstance(a, numpy.ndarray) for a in arrays.values()) else backends.current().xp


def _through(xp: Any, piece: Piece, make: Make) -> None:
    """An update through the array module."""
    make(xp)(*piece)


def _written(weights: Any, names: Any) -> Arrays:
    """The arrays to write in: of a model's weights those of these names, where what is read is read-only."""
    if not isinstance(names, Mapping):
        raise BadType("gradients are a dict of arrays by name, the second of what value_and_grad gives, not "
                      f"{type(names).__name__}")
    if hasattr(names, "arrays"):
        raise BadValue("the gradients are a model's weights; the weights come first: update(model.weights, grads)")
    arrays = getattr(weights, "arrays", None)
    if not isinstance(weights, Mapping) and arrays is None:
        raise BadType(f"weights are model.weights, or a dict of arrays by name, not {type(weights).__name__}")
    if arrays is not None:
        return {name: arrays[name] for name in arrays if name in names}
    for name, array in weights.items():
        if not getattr(array.flags, "writeable", True):
            raise BadValue(f"{name} is read-only, as a model's weight is when it is read; give model.weights itself, "
                           "not a dict made of it")
    return weights


def _views_of_one_buffer(weights: Arrays, xp: Any) -> dict[str, Any]:
    """Scratch for each weight. One buffer serves all of a dtype, since weights are updated one after another."""
    size: dict[Any, int] = {}
    for w in weights.values():
        size[w.dtype] = max(size.get(w.dtype, 0), w.size)
    buffers = {dtype: xp.empty(n, dtype=dtype) for dtype, n in size.items()}
    return {name: buffers[w.dtype][: w.size].reshape(w.shape) for name, w in weights.items()}


@told
@dataclass(eq=False)
class SGD(Optimizer):
    """Stochastic gradient descent: g += weight_decay * w; b = momentum * b + g; w -= lr * b.

    With nesterov=True, w -= lr * (g + momentum * b). b starts at zero.
    Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum in deep learning",
    2013, equations 1-4, with the velocity divided by -lr, so that a change of lr acts at once (as in PyTorch).
    """

    lr: Rate = 1e-3
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def _check(self) -> None:
        self.momentum = real("momentum", self.momentum, at_least=0, below=1)
        self.weight_decay = real("weight_decay", self.weight_decay, at_least=0)
        if flag("nesterov", self.nesterov) and self.momentum == 0:
            raise BadValue("nesterov=True needs a momentum above 0")

    def _slot_names(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    def _rule(self, xp: Any, lr: float, k: int) -> Rule:
        mu, decay, nesterov = self.momentum, self.weight_decay, self.nesterov

        def rule(w: Any, g: Any, slots: tuple[Any, ...], s: Any) -> None:
            if decay:
                xp.multiply(w, decay, out=s)
                g = xp.add(s, g, out=s)
            for b in slots:
                xp.multiply(b, mu, out=b)
                xp.add(b, g, out=b)
            if nesterov or not slots:
                xp.multiply(g, lr, out=s)
                xp.subtract(w, s, out=w)
            for b in slots:
                xp.multiply(b, lr * mu if nesterov else lr, out=s)
                xp.subtract(w, s, out=w)

        return rule


@told
@dataclass(eq=False)
class RMSProp(Optimizer):
    """v = rho * v + (1 - rho) * g**2; w -= lr * g / (sqrt(v) + eps).

    With a momentum, b = momentum * b + g / (sqrt(v) + eps) and w -= lr * b. v and b start at zero.
    Hinton, Srivastava and Swersky, "Neural Networks for Machine Learning", lecture 6e, 2012, whose rho is 0.9
    (PyTorch's alpha is 0.99); eps and momentum as in PyTorch.
    """

    lr: Rate = 1e-2
    rho: float = 0.9
    eps: float = 1e-8
    momentum: float = 0.0

    def _check(self) -> None:
        self.rho = real("rho", self.rho, at_least=0, below=1)
        self.eps = real("eps", self.eps, above=0)
        self.momentum = real("momentum", self.momentum, at_least=0, below=1)

    def _slot_names(self) -> tuple[str, ...]:
        return ("square", "momentum") if self.momentum else ("square",)

    def _rule(self, xp: Any, lr: float, k: int) -> Rule:
        rho, eps, mu = self.rho, self.eps, self.momentum

        def rule(w: Any, g: Any, slots: tuple[Any, ...], s: Any) -> None:
            v, *velocity = slots
            _blend_square(xp, v, g, rho, s)
            xp.sqrt(v, out=s)
            xp.add(s, eps, out=s)
            step = xp.divide(g, s, out=s)
            for b in velocity:
                xp.multiply(b, mu, out=b)
                step = xp.add(b, s, out=b)
            xp.multiply(step, lr, out=s)
            xp.subtract(w, s, out=w)

        return rule


@told
@dataclass(eq=False)
class Adam(Optimizer):
    """m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g**2;
    w -= lr * (m / (1 - beta1**k)) / (sqrt(v / (1 - beta2**k)) + eps). m and v start at zero.

    Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1.
    """

    lr: Rate = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def _check(self) -> None:
        self.beta1 = real("beta1", self.beta1, at_least=0, below=1)
        self.beta2 = real("beta2", self.beta2, at_least=0, below=1)
        self.eps = real("eps", self.eps, above=0)

    def _slot_names(self) -> tuple[str, ...]:
        return ("mean", "square")

    def _rule(self, xp: Any, lr: float, k: int) -> Rule:
        beta1, beta2, eps = self.beta1, self.beta2, self.eps
        rate, unbias = lr / (1 - beta1**k), (1 - beta2**k) ** -0.5

        def rule(w: Any, g: Any, slots: tuple[Any, ...], s: Any) -> None:
            m, v = slots
            xp.multiply(m, beta1, out=m)
            xp.multiply(g, 1 - beta1, out=s)
            xp.add(m, s, out=m)
            _blend_square(xp, v, g, beta2, s)
            xp.sqrt(v, out=s)
            xp.multiply(s, unbias, out=s)
            xp.add(s, eps, out=s)
            xp.divide(m, s, out=s)
            xp.multiply(s, rate, out=s)
            xp.subtract(w, s, out=w)

        return rule


@told
@dataclass(eq=False)
class AdamW(Adam):
    """w *= 1 - lr * weight_decay; then `Adam`.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2, line 12, where the decay
    is a share of the rate, as in PyTorch (the paper scales both by one multiplier).
    """

    weight_decay: float = 0.01

    def _check(self) -> None:
        super()._check()
        self.weight_decay = real("weight_decay", self.weight_decay, at_least=0)

    def _rule(self, xp: Any, lr: float, k: int) -> Rule:
        adam = super()._rule(xp, lr, k)
        kept = 1 - lr * self.weight_decay

        def rule(w: Any, g: Any, slots: tuple[Any, ...], s: Any) -> None:
            xp.multiply(w, kept, out=w)
            adam(w, g, slots, s)

        return rule


def _blend_square(xp: Any, v: Any, g: Any, keep: float, s: Any) -> None:
    """v = keep * v + (1 - keep) * g**2."""
    xp.multiply(v, keep, out=v)
    xp.multiply(g, g, out=s)
    xp.multiply(s, 1 - keep, out=s)
    xp.add(v, s, out=v)
