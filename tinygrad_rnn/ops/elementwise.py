"""Rows that work on each element: arithmetic, comparisons, nonlinearities, elementwise losses."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..node import Node
from ..shapes import Rule, added, elementwise, scaled
from .table import REQUIRED, Do, Op, f, register, with_out


def ufunc(name: str) -> Callable[..., None]:
    """Array code that is one call of the array module's function of that name."""

    def array(do: Do, out: Any, *ins: Any) -> None:
        fn = getattr(do.xp, name)
        do(with_out(fn) if name in ("maximum", "minimum") else fn, *ins, out)

    return array


def _power(do: Do, out: Any, a: Any, b: Any) -> None:
    if isinstance(b, float) and b == 2.0:
        do(do.xp.multiply, a, a, out)
    else:
        do(do.xp.power, a, b, out)


@functools.cache
def _logistic(xp: Any) -> Callable[[Any, Any], None]:
    """out = 1 / (1 + exp(-a))."""

    def sigmoid(a: Any, out: Any) -> None:
        xp.negative(a, out)
        xp.exp(out, out)
        xp.add(out, 1.0, out)
        xp.divide(1.0, out, out)

    sigmoid.scalar = "sigmoid"  # type: ignore[attr-defined]  # what compiled code knows it by
    return sigmoid


def _sigmoid(do: Do, out: Any, a: Any) -> None:
    do(_logistic(do.xp), a, out)


def _softplus(do: Do, out: Any, a: Any) -> None:
    do(do.xp.logaddexp, a, 0.0, out)


def _where(do: Do, out: Any, c: Any, a: Any, b: Any) -> None:
    if isinstance(c, float):
        c = c != 0
    elif not isinstance(c, bool) and c.dtype.kind != "b":  # a condition that went through a named quantity
        nonzero = do.temp(c.shape, bool)
        do(do.xp.not_equal, c, 0, nonzero)
        c = nonzero
    do(do.xp.copyto, out, b)
    do(do.xp.copyto, out, a, "unsafe", c)


def _clip(do: Do, out: Any, a: Any, low: float, high: float) -> None:
    do(with_out(do.xp.maximum), a, low, out)
    do(with_out(do.xp.minimum), out, high, out)


def _squared_error(do: Do, out: Any, a: Any, b: Any) -> None:
    do(do.xp.subtract, a, b, out)
    do(do.xp.multiply, out, out, out)


def _binary_cross_entropy(do: Do, out: Any, p: Any, k: Any) -> None:
    """-(k log p + (1 - k) log(1 - p)), where 0 log 0 is 0."""
    xp, rest = do.xp, do.temp(out.shape, out.dtype)
    tiny = float(xp.finfo(out.dtype).tiny)
    do(xp.subtract, 1.0, p, rest)
    do(with_out(xp.maximum), rest, tiny, rest)
    do(xp.log, rest, rest)
    do(with_out(xp.maximum), p, tiny, out)
    do(xp.log, out, out)
    do(xp.subtract, rest, out, out)  # log(1-p) - log p
    do(xp.multiply, out, k, out)
    do(xp.subtract, out, rest, out)


def _sigmoid_cross_entropy(do: Do, out: Any, z: Any, k: Any) -> None:
    """softplus(z) - k z."""
    rest = do.temp(out.shape, out.dtype)
    do(do.xp.logaddexp, z, 0.0, out)
    do(do.xp.multiply, z, k, rest)
    do(do.xp.subtract, out, rest, out)


def least(y: Node) -> float:
    """The smallest normal number of y's dtype: what a loss y takes for a probability of 0, and so does its gradient."""
    return float(np.finfo("float64" if y.dtype == "float64" else "float32").tiny)


def _power_base(g: Node, y: Node, a: Node, b: Node) -> Node | None:
    """g b a**(b - 1), where 0 times a power of 0 is 0."""
    if b.op != "const":
        return g * (b * f.where(f.logical_or(f.not_equal(a, 0.0), f.not_equal(b, 0.0)), a, 1.0) ** (b - 1))
    number = float(b.attr("value"))
    if number in (0, 1):
        return g if number else None
    return g * (b * (a if number == 2 else a ** (number - 1)))


def row(name: str, *vjp: Any, array: Any = None, symbol: str = "", latex: str = "", shape: Rule = elementwise,
        **more: Any) -> Op:
    """An elementwise row whose array code is, unless given, the array function of its name."""
    more.setdefault("arity", max(1, len(vjp)))
    return Op(name, "elementwise", shape, vjp, array or ufunc(name), symbol=symbol or name, latex=latex, **more)


def compare(name: str, symbol: str, latex: str, arity: int = 2) -> Op:
    """A row whose value is true or false."""
    return row(name, *[None] * arity, symbol=symbol, latex=latex, dtype="bool",
               no_gradient="a comparison is piecewise constant")


register(
    row("add", lambda g, y, a, b: g, lambda g, y, a, b: g, symbol="+", latex="{0} + {1}", dtype="any", shape=added),
    row("subtract", lambda g, y, a, b: g, lambda g, y, a, b: -g, symbol="−", latex="{0} - {1}", dtype="any",
        shape=added),
    row("multiply", lambda g, y, a, b: g * b, lambda g, y, a, b: g * a, symbol="×", latex=r"{0} \odot {1}",
        dtype="any", shape=scaled),
    row("divide", lambda g, y, a, b: g / b, lambda g, y, a, b: -(g * y / b), symbol="÷", latex=r"\frac{{{0}}}{{{1}}}",
        ),
    row("power", _power_base, lambda g, y, a, b: g * y * f.log(f.where(a > 0, a, 1.0)), array=_power, symbol="^",
        latex="{0}^{{{1}}}", dtype="any"),
    row("negative", lambda g, y, a: -g, symbol="−", latex="-{0}", dtype="any"),
    row("exp", lambda g, y, a: g * y, latex=r"e^{{{0}}}"),
    row("log", lambda g, y, a: g / a, latex=r"\log{0}"),
    row("sqrt", lambda g, y, a: g / (2 * y), symbol="√", latex=r"\sqrt{{{0}}}"),
    row("abs", lambda g, y, a: g * f.sign(a), symbol="|·|", latex=r"\left|{0}\right|", dtype="any"),
    row("sign", None, symbol="sgn", latex=r"\text{{sgn}}{0}", no_gradient="the sign is piecewise constant",
        dtype="any"),
    row("floor", None, symbol="⌊·⌋", latex=r"\left\lfloor {0} \right\rfloor",
        no_gradient="rounding down is piecewise constant"),
    row("tanh", lambda g, y, a: g * (1 - y**2), latex=r"\tanh{0}"),
    row("sigmoid", lambda g, y, a: g * y * (1 - y), array=_sigmoid, symbol="σ", latex=r"\sigma{0}"),
    row("relu", lambda g, y, a: f.where(a > 0, g, 0.0),
        array=lambda do, out, a: do(with_out(do.xp.maximum), a, 0.0, out), latex=r"\text{{relu}}{0}",
        dtype="any"),
    row("softplus", lambda g, y, a: g * f.sigmoid(a), array=_softplus, latex=r"\text{{softplus}}{0}"),
    row("sin", lambda g, y, a: g * f.cos(a), latex=r"\sin{0}"),
    row("cos", lambda g, y, a: -(g * f.sin(a)), latex=r"\cos{0}"),
    row("maximum", lambda g, y, a, b: f.where(a >= b, g, 0.0), lambda g, y, a, b: f.where(a >= b, 0.0, g),
        symbol="max", latex=r"\max{call}", dtype="any", shape=added),
    row("minimum", lambda g, y, a, b: f.where(a <= b, g, 0.0), lambda g, y, a, b: f.where(a <= b, 0.0, g),
        symbol="min", latex=r"\min{call}", dtype="any", shape=added),
    row("where", None, lambda g, y, c, a, b: f.where(c, g, 0.0), lambda g, y, c, a, b: f.where(c, 0.0, g),
        array=_where, dtype="any",
        latex=r"\begin{{cases}} {1} & \text{{if }} {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
        no_gradient="a condition has no gradient"),
    row("clip", lambda g, y, a, low, high: f.where(f.logical_and(a >= low, a <= high), g, 0.0), array=_clip,
        params={"low": -math.inf, "high": math.inf}, latex=r"\text{{clip}}({0}, {low}, {high})", dtype="any"),
    row("squared_error", lambda g, y, a, b: 2 * g * (a - b), lambda g, y, a, b: 2 * g * (b - a),
        array=_squared_error, symbol="(−)²", latex=r"({0} - {1})^2"),
    row("binary_cross_entropy", lambda g, y, p, k: g * (p - k) / f.maximum(p * (1 - p), least(y)),
        lambda g, y, p, k: g * (f.log(f.maximum(1 - p, least(y))) - f.log(f.maximum(p, least(y)))),
        array=_binary_cross_entropy, symbol="BCE", latex=r"\text{{BCE}}{call}"),
    row("sigmoid_cross_entropy", lambda g, y, z, k: g * (f.sigmoid(z) - k), lambda g, y, z, k: -(g * z),
        array=_sigmoid_cross_entropy, symbol="BCE∘σ", latex=r"\text{{BCE}}(\sigma{0}, {1})"),
    row("stop_gradient", None, array=lambda do, out, a: do(do.xp.copyto, out, a), symbol="stop", dtype="any",
        latex=r"\text{{stop}}{0}", no_gradient="its purpose is to have none"),
    row("ones_like", None, array=lambda do, out, a: do(do.xp.copyto, out, 1.0), symbol="1", dtype="any",
        latex=r"\mathbf{{1}}", no_gradient="constant"),
    row("zeros_like", None, array=lambda do, out, a: do(do.xp.copyto, out, 0.0), symbol="0", dtype="any",
        latex=r"\mathbf{{0}}", no_gradient="constant"),
    Op("dropout", "macro", elementwise, (), None, params={"rate": REQUIRED, "shared": None}, symbol="dropout",
       latex=r"\text{{dropout}}{0}", no_gradient="becomes a product with a named mask (see `declare`)"),
    compare("less", "<", "{0} < {1}"),
    compare("less_equal", "≤", r"{0} \le {1}"),
    compare("greater", ">", "{0} > {1}"),
    compare("greater_equal", "≥", r"{0} \ge {1}"),
    compare("equal", "=", "{0} = {1}"),
    compare("not_equal", "≠", r"{0} \ne {1}"),
    compare("logical_and", "∧", r"{0} \wedge {1}"),
    compare("logical_or", "∨", r"{0} \vee {1}"),
    compare("logical_not", "¬", r"\neg {0}", 1),
)
