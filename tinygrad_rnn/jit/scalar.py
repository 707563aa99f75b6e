"""Vectors of numbers and of truth values in LLVM code, and the functions of them that a machine does not have.

float32 functions are polynomials that work on all lanes at once, accurate to 4 ulp over their whole range;
float64 calls the C library for each lane, which is what float64 is for: checking, not speed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
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
        """self * x + y, rounded once."""
        return Value(self.b, self.b.intrinsic("fma", self.v.type, self.v, self._other(x), self._other(y)))

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
        """The same bits as 32-bit integers."""
        return Value(self.b, self.b.ir.bitcast(self.v, ir.VectorType(ir.IntType(32), self.v.type.count)))

    def floats(self) -> Value:
        """The bits of 32-bit integers as floats."""
        return Value(self.b, self.b.ir.bitcast(self.v, ir.VectorType(ir.FloatType(), self.v.type.count)))

    def integer(self, op: str, x: Any) -> Value:
        """Integer arithmetic by LLVM's name for it: add, sub, shl, ashr, and_."""
        return Value(self.b, getattr(self.b.ir, op)(self.v, self._other(x)))

    @property
    def single(self) -> bool:
        """Is it float32?"""
        return self.v.type.element == FLOATS["float32"]


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


LN2 = math.log(2.0)
LN2_HIGH = float(np.float32(0.693359375))  # so few bits that k times it is exact
LN2_LOW = LN2 - LN2_HIGH
ROUNDER = 12582912.0  # 1.5 * 2**23: adding it to a float32 leaves the nearest whole number in the low bits
ROUNDER_BITS = 0x4B400000
EXP = _fitted(lambda r: _series(r, 2, lambda k: 1 / math.factorial(k)), 5, -LN2 / 2, LN2 / 2)
LOG = _fitted(lambda f: (np.log1p(f) - f + f * f / 2) / f**3, 8, math.sqrt(0.5) - 1, math.sqrt(2) - 1)


def _polynomial(x: Value, coefficients: list[float]) -> Value:
    *rest, top = coefficients
    total = Value(x.b, constant(x.v.type, top))
    for c in reversed(rest):
        total = total.fma(x, c)
    return total


def _reduced(x: Value) -> tuple[Value, Value]:
    """x = k ln 2 + r: the whole number k as bits, and expm1(r)."""
    shifted = x.fma(1 / LN2, ROUNDER)
    k = Value(x.b, x.b.ir.fsub(shifted.v, constant(x.v.type, ROUNDER)))
    r = k.fma(-LN2_LOW, k.fma(-LN2_HIGH, x))
    square = Value(x.b, x.b.ir.fmul(r.v, r.v))
    return shifted.bits().integer("sub", ROUNDER_BITS), _polynomial(r, EXP).fma(square, r)


def _power_of_two(k: Value) -> Value:
    """2.0**k for whole k from -126 to 127."""
    return k.integer("add", 127).integer("shl", 23).floats()


def exp(x: Value) -> Value:
    """e**x."""
    if not x.single:
        return libm("exp", x)
    x = (x > 89.0).choose(89.0, x)
    x = (x < -104.0).choose(-104.0, x)
    k, small = _reduced(x)
    half = k.integer("ashr", 1)  # in two factors, since 2**k may be beyond the normal numbers
    return (small + 1.0) * _power_of_two(half) * _power_of_two(Value(x.b, x.b.ir.sub(k.v, half.v)))


def tanh(x: Value) -> Value:
    """expm1(2x) / (expm1(2x) + 2), for |x|, with the sign put back."""
    if not x.single:
        return libm("tanh", x)
    y = abs(x) * 2.0
    k, small = _reduced((y > 20.0).choose(20.0, y))
    scale = _power_of_two(k)
    e = scale.fma(small, scale - 1.0)
    return Value(x.b, x.b.intrinsic("copysign", x.v.type, (e / (e + 2.0)).v, x.v))


def log(x: Value) -> Value:
    """The natural logarithm: the exponent's part, and a polynomial of the mantissa in [sqrt(1/2), sqrt(2))."""
    if not x.single:
        return libm("log", x)
    tiny = x < 1.1754943508222875e-38
    scaled = tiny.choose(x * 33554432.0, x)  # subnormal numbers times 2**25
    bits = scaled.bits().integer("add", 0x3F800000 - 0x3F3504F3)
    whole = bits.integer("ashr", 23).integer("sub", 127)
    whole = Value(x.b, x.b.ir.select(tiny.v, whole.integer("sub", 25).v, whole.v))
    k = Value(x.b, x.b.ir.sitofp(whole.v, x.v.type))
    f = bits.integer("and_", 0x007FFFFF).integer("add", 0x3F3504F3).floats() - 1.0
    square = Value(x.b, x.b.ir.fmul(f.v, f.v))
    cubic = Value(x.b, x.b.ir.fmul(square.v, f.v))
    low = k.fma(LN2_LOW, square.fma(-0.5, _polynomial(f, LOG) * cubic))
    value = k.fma(LN2_HIGH, f + low)
    value = (x.compare("==", math.inf)).choose(x, value)
    value = (x < 0.0).choose(math.nan, value)
    value = (x.compare("==", 0.0)).choose(-math.inf, value)
    return x.compare("!=", x).choose(x, value)


def log1p(u: Value) -> Value:
    """log(1 + u) for u >= 0: what rounding took from 1 + u is put back by u / ((1 + u) - 1)."""
    w = Value(u.b, u.b.ir.fadd(u.v, constant(u.v.type, 1.0)))
    lost = Value(u.b, u.b.ir.fsub(w.v, constant(u.v.type, 1.0)))
    exact = lost.compare("==", 0.0)
    return exact.choose(u, log(w) * (u / exact.choose(1.0, lost)))


def libm(name: str, *args: Value) -> Value:
    """The C library's function, lane by lane."""
    b, kind = args[0].b, args[0].v.type
    full = name + ("f" if args[0].single else "")
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
