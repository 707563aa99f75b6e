"""Initial values of weights: small laws of random arrays, and the rules that choose one per weight.

Each weight draws from a stream of its own, keyed by the seed and its name, so that adding, removing or
reordering weights changes no other.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import backends
from ..arguments import matching, real, whole
from ..backends.places import check_place
from ..errors import BadName, BadType, BadValue, near
from ..keywords import check_takes, told

Shape = tuple[int, ...]
Initialiser = Callable[[np.random.Generator, Shape], Any]
Rule = Initialiser | float | np.ndarray


@told
@dataclass(frozen=True)
class Zeros:
    """0 everywhere."""

    def __call__(self, rng: np.random.Generator, shape: Shape) -> np.ndarray:
        return np.zeros(shape)


@told
@dataclass(frozen=True)
class Ones:
    """1 everywhere."""

    def __call__(self, rng: np.random.Generator, shape: Shape) -> np.ndarray:
        return np.ones(shape)


@told
@dataclass(frozen=True)
class Constant:
    """`value` everywhere; for a forget gate's bias 1 (Jozefowicz, Zaremba and Sutskever 2015, section 2.2)."""

    value: float

    def __post_init__(self) -> None:
        real("value", self.value)

    def __call__(self, rng: np.random.Generator, shape: Shape) -> np.ndarray:
        return np.full(shape, float(self.value))


@told
@dataclass(frozen=True)
class Normal:
    """Independent draws of mean 0 and standard deviation `std`."""

    std: float

    def __post_init__(self) -> None:
        real("std", self.std, at_least=0)

    def __call__(self, rng: np.random.Generator, shape: Shape) -> np.ndarray:
        return self.std * rng.standard_normal(shape)


@told
@dataclass(frozen=True)
class Uniform:
    """Independent draws, uniform on [-limit, limit)."""

    limit: float

    def __post_init__(self) -> None:
        real("limit", self.limit, at_least=0)

    def __call__(self, rng: np.random.Generator, shape: Shape) -> np.ndarray:
        return rng.uniform(-self.limit, self.limit, shape)


@told
@dataclass(frozen=True)
class Glorot:
    """Uniform on [-a, a) with a = sqrt(6 / (in + out)), for a matrix (out, in) or a stack (..., out, in).

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010,
    equation 16. Raises BadValue for a shape of less than two axes.
    """

    def __call__(self, rng: np.random.Generator, shape: Shape) -> np.ndarray:
        outputs, inputs = matrix(shape, self)
        limit = math.sqrt(6 / (inputs + outputs))
        return rng.uniform(-limit, limit, shape)


@told
@dataclass(frozen=True)
class GlorotNormal:
    """Normal with variance 2 / (in + out), for a matrix (out, in) or a stack (..., out, in).

    Glorot and Bengio 2010, equation 12. Raises BadValue for a shape of less than two axes.
    """

    def __call__(self, rng: np.random.Generator, shape: Shape) -> np.ndarray:
        outputs, inputs = matrix(shape, self)
        return math.sqrt(2 / (inputs + outputs)) * rng.standard_normal(shape)


@told
@dataclass(frozen=True)
class He:
    """Normal with variance 2 / in, for a matrix (out, in) or a stack (..., out, in) before a relu.

    He, Zhang, Ren and Sun, "Delving Deep into Rectifiers", 2015, equation 10. Raises BadValue for a shape of
    less than two axes.
    """

    def __call__(self, rng: np.random.Generator, shape: Shape) -> np.ndarray:
        _, inputs = matrix(shape, self)
        return math.sqrt(2 / inputs) * rng.standard_normal(shape)


@told
@dataclass(frozen=True)
class Orthogonal:
    """gain * Q, with Q uniform (Haar) among matrices whose rows, or columns where they are fewer, are orthonormal.

    For a matrix (out, in) or a stack (..., out, in), whose matrices are drawn independently. Saxe, McClelland and
    Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", 2014, section 3;
    by a QR decomposition with its signs fixed (Mezzadri, "How to generate random matrices from the classical compact
    groups", 2007, section 5). Raises BadValue for a shape of less than two axes.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        real("gain", self.gain)

    def __call__(self, rng: np.random.Generator, shape: Shape) -> np.ndarray:
        outputs, inputs = matrix(shape, self)
        tall = (*shape[:-2], max(outputs, inputs), min(outputs, inputs))
        q, r = np.linalg.qr(rng.standard_normal(tall))
        # QR leaves the signs of the columns to the library; with R's diagonal positive, Q is unique and uniform.
        signs = np.where(np.diagonal(r, axis1=-2, axis2=-1) < 0, -1.0, 1.0)
        q = self.gain * q * signs[..., None, :]
        return q if outputs >= inputs else np.ascontiguousarray(np.swapaxes(q, -1, -2))


@told
@dataclass(frozen=True)
class Identity:
    """scale * I, for a matrix (out, in) or a stack (..., out, in); ones on the main diagonal where not square.

    Le, Jaitly and Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units", 2015,
    section 2. Raises BadValue for a shape of less than two axes.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        real("scale", self.scale)

    def __call__(self, rng: np.random.Generator, shape: Shape) -> np.ndarray:
        return np.array(np.broadcast_to(self.scale * np.eye(*matrix(shape, self)), shape))


def matrix(shape: Shape, initialiser: object) -> tuple[int, int]:
    """(out, in), the last two axes. Raises BadValue where there are less."""
    if len(shape) < 2:
        raise BadValue(f"{initialiser} is for matrices (out, in), not for shape {shape}; try Normal or Uniform")
    return shape[-2], shape[-1]


def initial(
    name: str,
    shape: Shape,
    recurrent: bool = False,
    rules: Mapping[str, Rule] | None = None,
    seed: int = 0,
    stacked: int = 0,
    kernel: bool = False,
) -> np.ndarray:
    """The initial value of the weight `name`, float64.

    rules: {name or pattern: initialiser, number or array}. The exact name wins; otherwise the last pattern
    (as of file names: * ? [...]) that matches. Without a rule a matrix is Orthogonal where it is recurrent
    (multiplies a state of another step) and Glorot elsewhere, and a vector or scalar is zero.
    stacked: how many leading axes only number copies, such as the layer l of `b[l]`, which is a vector each.
    kernel: whether it slides over images; (out, in, height, width) is then drawn as the matrix (out, in height width)
    that it multiplies each patch by.
    Raises BadType or BadValue where a rule is no initialiser or its array has another shape or is not finite.
    """
    whole("seed", seed, at_least=0)
    rule = _rule_of(name, rules or {})
    if rule is None:
        rank = len(shape) - stacked
        rule = Zeros() if rank < 2 else Orthogonal() if recurrent else Glorot()
    drawn = (*shape[:-3], math.prod(shape[-3:])) if kernel and callable(rule) else shape
    value = rule(stream(seed, name), drawn) if callable(rule) else _given(name, rule, shape)
    value = np.asarray(value, dtype=np.float64)
    if value.shape != drawn:
        raise BadValue(f"the initial value of {name} has shape {value.shape}; {drawn} was expected")
    value = value.reshape(shape)
    if not np.isfinite(value).all():
        raise BadValue(f"the initial value of {name} is not finite")
    return value


def stream(seed: int, name: str) -> np.random.Generator:
    """The random stream of one weight, independent of every other name's and seed's."""
    digest = np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype="<u4")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(map(int, digest))))


def check_rules(rules: Mapping[str, Rule], names: Iterable[str]) -> None:
    """Raise BadName where a rule matches no weight: it would otherwise be a typing error that nobody sees."""
    names = list(names)
    if not isinstance(rules, Mapping):
        raise BadType(f"rules is a dict of weights' names or patterns and their initialisers, not {rules!r:.80}")
    for key, rule in rules.items():
        if not isinstance(key, str):
            raise BadType(f"a rule is keyed by a weight's name or a pattern, not by {key!r}")
        if isinstance(rule, type):
            raise BadType(f"the rule for {key} is the class {rule.__name__}; give one of it, {rule.__name__}(...)")
        if callable(rule):
            check_takes(f"the rule for {key} is called with a random generator and a shape", rule, 2,
                        "def rule(rng, shape): ...")
        if not matching(key, names):
            known = ", ".join(names) or "none"
            raise BadName(f"no weight matches the rule {key!r}{near(key, names)}; weights: {known}")


def _rule_of(name: str, rules: Mapping[str, Rule]) -> Any:
    if name in rules:
        return rules[name]
    found = [rule for pattern, rule in rules.items() if matching(pattern, [name])]
    return found[-1] if found else None


def _given(name: str, value: Any, shape: Shape) -> np.ndarray:
    """A number everywhere, or an array of just this shape."""
    check_place(f"the rule for {name}", value)
    try:
        array = np.array(backends.current().to_host(value), dtype=np.float64)
    except (TypeError, ValueError):
        raise BadType(f"the rule for {name} is an initialiser, a number or an array, not {value!r}") from None
    return np.full(shape, array) if array.ndim == 0 else array
