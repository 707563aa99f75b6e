"""Vectors of numbers and of truth values in LLVM code, and the functions of them that a machine does not have.

Functions are polynomials that work on all lanes at once, accurate to 4 ulp over their whole range; those that few
models have call the C library for each lane.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from llvmlite import ir
from numpy.polynomial import chebyshev

from .build import FLOATS, I1, I64, Builder

FUSED = ("contract",)  # a product and a sum may be rounded once
TYPES = (I1, I64, FLOATS["float32"], FLOATS["float64"])  # each can hold what those before it can, but for rounding
DOUBLE = FLOATS["float64"]


class Value:
    """A vector of floats, of 64-bit integers or of truth values, with Python's operators.

    As in NumPy, an integer beside a float becomes a double, and so does one that is divided or given to a function.
    """

    __slots__ = ("b", "v")

    def __init__(self, b: Builder, v: Any):
        self.b, self.v = b, v

    def _other(self, x: Any) -> Any:
        return x.v if isinstance(x, Value) else constant(self.v.type, x)

    def _made(self, x: Any, op: str, y: Any) -> Value:
        """Arithmetic by LLVM's name for it."""
        kind = joint(x, y)
        if kind == I64 and op != "div":
            return Value(self.b, getattr(self.b.ir, op)(self.as_type(kind, x), self.as_type(kind, y)))
        kind = DOUBLE if kind == I64 else kind
        flags = FUSED if op != "div" else ()
        return Value(self.b, getattr(self.b.ir, "f" + op)(self.as_type(kind, x), self.as_type(kind, y), flags=flags))

    def __add__(self, x: Any) -> Value: return self._made(self, "add", x)
    def __sub__(self, x: Any) -> Value: return self._made(self, "sub", x)
    def __mul__(self, x: Any) -> Value: return self._made(self, "mul", x)
    def __truediv__(self, x: Any) -> Value: return self._made(self, "div", x)
    def __rtruediv__(self, x: Any) -> Value: return self._made(x, "div", self)

    def __neg__(self) -> Value:
        return self * -1 if is_integer(self) else Value(self.b, self.b.ir.fneg(self.v))

    def __abs__(self) -> Value:
        if is_integer(self):
            return (self < 0).choose(-self, self)
        return Value(self.b, self.b.intrinsic("fabs", self.v.type, self.v))

    def __lt__(self, x: Any) -> Value: return self.compare("<", x)
    def __gt__(self, x: Any) -> Value: return self.compare(">", x)
    def __le__(self, x: Any) -> Value: return self.compare("<=", x)
    def __ge__(self, x: Any) -> Value: return self.compare(">=", x)
    def __and__(self, x: Value) -> Value: return Value(self.b, self.b.ir.and_(self.v, x.v))
    def __invert__(self) -> Value: return Value(self.b, self.b.ir.not_(self.v))
    def __or__(self, x: Value) -> Value: return Value(self.b, self.b.ir.or_(self.v, x.v))

    def compare(self, sign: str, x: Any) -> Value:
        """True where the comparison holds; false with NaN, but != is true."""
        kind = joint(self, x)
        make = self.b.ir.fcmp_unordered if sign == "!=" else self.b.ir.fcmp_ordered
        make = self.b.ir.icmp_signed if kind == I64 else make
        return Value(self.b, make(sign, self.as_type(kind, self), self.as_type(kind, x)))

    def choose(self, yes: Any, no: Any) -> Value:
        """yes where this truth value is true, else no."""
        kind = joint(yes, no)
        return Value(self.b, self.b.ir.select(self.v, self.as_type(kind, yes), self.as_type(kind, no)))

    def fma(self, x: Any, y: Any) -> Value:
        """self * x + y, rounded once where the processor can."""
        return Value(self.b, self.b.intrinsic("fmuladd", self.v.type, self.v, self._other(x), self._other(y)))

    def call(self, name: str, *more: Value) -> Value:
        """A function of FUNCTIONS."""
        kind = joint(self, *more)
        kind = DOUBLE if kind == I64 else kind
        return FUNCTIONS[name](*(Value(self.b, self.as_type(kind, x)) for x in (self, *more)))

    def as_type(self, kind: Any, x: Any) -> Any:
        """A value or a number, as a vector of that type with as many lanes as this value."""
        goal = ir.VectorType(kind, self.v.type.count)
        if not isinstance(x, Value):
            return constant(goal, x)
        have = x.v.type.element
        if have == kind:
            return x.v
        if kind == I1:
            return x.compare("!=", 0).v
        if kind == I64:
            return self.b.ir.zext(x.v, goal) if have == I1 else self.b.ir.fptosi(x.v, goal)
        if have in (I1, I64):
            return self.b.ir.uitofp(x.v, goal) if have == I1 else self.b.ir.sitofp(x.v, goal)
        return self.b.ir.fpext(x.v, goal) if kind == DOUBLE else self.b.ir.fptrunc(x.v, goal)

    def bits(self) -> Value:
        """The same bits as integers of that width."""
        return Value(self.b, self.b.ir.bitcast(self.v, ir.VectorType(self.format.integers, self.v.type.count)))

    def floats(self) -> Value:
        """The bits of integers as floats of that width."""
        kind = next(f for f in FORMATS if FORMATS[f].integers == self.v.type.element)
        return Value(self.b, self.b.ir.bitcast(self.v, ir.VectorType(kind, self.v.type.count)))

    def integer(self, op: str, x: Any) -> Value:
        """Integer arithmetic by LLVM's name for it: add, sub, shl, ashr, and_."""
        return Value(self.b, getattr(self.b.ir, op)(self.v, self._other(x)))

    @property
    def format(self) -> _Format:
        """How its floats are laid out."""
        return FORMATS[self.v.type.element]


def constant(kind: Any, x: float) -> Any:
    """A vector of equal numbers."""
    if isinstance(kind.element, ir.FloatType):
        x = float(np.float32(x))
    elif kind.element in (I1, I64):
        x = int(x)
    return ir.Constant(kind, [x] * kind.count)


def joint(*terms: Any) -> Any:
    """The type of number that holds values and numbers together."""
    kinds = {x.v.type.element for x in terms if isinstance(x, Value)}
    if I64 in kinds and (FLOATS["float32"] in kinds or not all(
            isinstance(x, Value) or float(x).is_integer() for x in terms)):
        return DOUBLE
    return max(kinds, key=TYPES.index)


def _fitted(fn: Callable[[Any], Any], degree: int, low: float, high: float) -> list[float]:
    """Coefficients, lowest first, of the polynomial through fn at the Chebyshev points of [low, high]."""
    middle, half = (low + high) / 2, (high - low) / 2
    series = chebyshev.Chebyshev(chebyshev.chebinterpolate(lambda u: fn(middle + half * u), degree), [low, high])
    return [float(c) for c in series.convert(kind=np.polynomial.Polynomial).coef]


def _series(x: Any, start: int, term: Callable[[int], float]) -> Any:
    """sum of term(k) x**(k - start) for k from start, to double precision near 0."""
    return sum(term(k) * x ** (k - start) for k in range(start, start + 60))


def _exp_rest(degree: int) -> list[float]:
    """(expm1(r) - r) / r**2 for |r| up to half of ln 2."""
    return _fitted(lambda r: _series(r, 2, lambda k: 1 / math.factorial(k)), degree, -LN2 / 2, LN2 / 2)


def _log_rest(degree: int) -> list[float]:
    """(log1p(f) - f + f**2 / 2) / f**3 for 1 + f in [sqrt(1/2), sqrt(2))."""
    return _fitted(lambda f: _series(f, 3, lambda k: (-1) ** (k + 1) / k), degree, math.sqrt(0.5) - 1, math.sqrt(2) - 1)


@dataclass(frozen=True)
class _Format:
    """A kind of floats: how its bits are laid out, and what is exact enough for it.

    high: ln 2 in so few bits that an exponent times it is exact; low: the rest of it. lowest, highest: beyond them
    e**x is 0 or infinite; saturated: from there on tanh(x / 2) is 1.
    """

    integers: ir.IntType
    mantissa: int  # bits
    bias: int
    high: float
    lowest: float
    highest: float
    saturated: float
    exp: list[float]
    log: list[float]

    @functools.cached_property
    def low(self) -> float:
        """Of ln 2, what `high` leaves."""
        return float(Decimal(2).ln() - Decimal(self.high))

    @functools.cached_property
    def rounder(self) -> float:
        """Adding it leaves the nearest whole number in the low bits."""
        return 1.5 * 2.0**self.mantissa

    @functools.cached_property
    def smallest(self) -> float:
        """The smallest normal number."""
        return 2.0 ** (1 - self.bias)

    def pattern(self, x: float) -> int:
        """The bits of a positive number."""
        return int(np.array(x, f"f{self.integers.width // 8}").view(f"i{self.integers.width // 8}"))


LN2 = math.log(2.0)
FORMATS = {
    FLOATS["float32"]: _Format(ir.IntType(32), 23, 127, 0.693359375, -104.0, 89.0, 20.0,
                               _exp_rest(5), _log_rest(8)),
    FLOATS["float64"]: _Format(I64, 52, 1023, float.fromhex("0x1.62e42feep-1"), -746.0, 710.0, 40.0,
                               _exp_rest(10), _log_rest(20)),
}


def _polynomial(x: Value, coefficients: list[float]) -> Value:
    *rest, top = coefficients
    total = Value(x.b, constant(x.v.type, top))
    for c in reversed(rest):
        total = total.fma(x, c)
    return total


def _plain(op: str, x: Value, y: Any) -> Value:
    """Arithmetic on floats that is rounded by itself: it is not made one with what follows."""
    return Value(x.b, getattr(x.b.ir, op)(x.v, y.v if isinstance(y, Value) else constant(x.v.type, y)))


def _reduced(x: Value) -> tuple[Value, Value]:
    """x = k ln 2 + r: the whole number k as bits, and expm1(r)."""
    kind = x.format
    shifted = x.fma(1 / LN2, kind.rounder)
    k = _plain("fsub", shifted, kind.rounder)
    r = k.fma(-kind.low, k.fma(-kind.high, x))
    return (shifted.bits().integer("sub", kind.pattern(kind.rounder)),
            _polynomial(r, kind.exp).fma(_plain("fmul", r, r), r))


def _power_of_two(k: Value, kind: _Format) -> Value:
    """2.0**k for whole k between the exponents of normal numbers."""
    return k.integer("add", kind.bias).integer("shl", kind.mantissa).floats()


def exp(x: Value) -> Value:
    """e**x."""
    kind = x.format
    x = (x > kind.highest).choose(kind.highest, x)
    x = (x < kind.lowest).choose(kind.lowest, x)
    k, small = _reduced(x)
    half = k.integer("ashr", 1)  # in two factors, since 2**k may be beyond the normal numbers
    rest = Value(x.b, x.b.ir.sub(k.v, half.v))
    return (small + 1.0) * _power_of_two(half, kind) * _power_of_two(rest, kind)


def tanh(x: Value) -> Value:
    """expm1(2x) / (expm1(2x) + 2), for |x|, with the sign put back."""
    kind = x.format
    y = abs(x) * 2.0
    k, small = _reduced((y > kind.saturated).choose(kind.saturated, y))
    scale = _power_of_two(k, kind)
    e = scale.fma(small, scale - 1.0)
    return Value(x.b, x.b.intrinsic("copysign", x.v.type, (e / (e + 2.0)).v, x.v))


def log(x: Value) -> Value:
    """The natural logarithm: the exponent's part, and a polynomial of the mantissa in [sqrt(1/2), sqrt(2))."""
    kind = x.format
    one, root = kind.pattern(1.0), kind.pattern(math.sqrt(0.5))
    tiny, digits = x < kind.smallest, kind.mantissa + 2
    bits = tiny.choose(x * 2.0**digits, x).bits().integer("add", one - root)  # subnormal numbers are made normal
    whole = bits.integer("ashr", kind.mantissa).integer("sub", kind.bias)
    whole = Value(x.b, x.b.ir.select(tiny.v, whole.integer("sub", digits).v, whole.v))
    k = _plain("fsub", whole.integer("add", kind.pattern(kind.rounder)).floats(), kind.rounder)
    f = bits.integer("and_", (1 << kind.mantissa) - 1).integer("add", root).floats() - 1.0
    square = _plain("fmul", f, f)
    cubic = _plain("fmul", square, f)
    low = k.fma(kind.low, square.fma(-0.5, _polynomial(f, kind.log) * cubic))
    value = k.fma(kind.high, f + low)
    value = (x.compare("==", math.inf)).choose(x, value)
    value = (x < 0.0).choose(math.nan, value)
    value = (x.compare("==", 0.0)).choose(-math.inf, value)
    return x.compare("!=", x).choose(x, value)


def log1p(u: Value) -> Value:
    """log(1 + u) for u >= 0: what rounding took from 1 + u is put back by u / ((1 + u) - 1)."""
    w = _plain("fadd", u, 1.0)
    lost = _plain("fsub", w, 1.0)
    exact = lost.compare("==", 0.0)
    return exact.choose(u, log(w) * (u / exact.choose(1.0, lost)))


def libm(name: str, *args: Value) -> Value:
    """The C library's function, lane by lane."""
    b, kind = args[0].b, args[0].v.type
    full = name + ("f" if kind.element == FLOATS["float32"] else "")
    found = b.module.globals.get(full)
    if found is None:
        found = ir.Function(b.module, ir.FunctionType(kind.element, [kind.element] * len(args)), full)
    out = ir.Constant(kind, ir.Undefined)
    for lane in range(kind.count):
        at = ir.Constant(ir.IntType(32), lane)
        out = b.ir.insert_element(out, b.ir.call(found, [b.ir.extract_element(a.v, at) for a in args]), at)
    return Value(b, out)


def is_truth(x: Value) -> bool:
    """Is it a vector of truth values?"""
    return bool(x.v.type.element == I1)


def is_integer(x: Value) -> bool:
    """Is it a vector of 64-bit integers?"""
    return bool(x.v.type.element == I64)


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "exp": exp, "log": log, "log1p": log1p, "tanh": tanh,
    "sqrt": lambda x: Value(x.b, x.b.intrinsic("sqrt", x.v.type, x.v)),
    "floor": lambda x: Value(x.b, x.b.intrinsic("floor", x.v.type, x.v)),
    "sin": lambda x: libm("sin", x), "cos": lambda x: libm("cos", x), "power": lambda x, y: libm("pow", x, y),
}
