"""For every row of the op table: how it is written, and what it computes, said in plain NumPy and mathematics.

`expr` names operands a, b, c (in a model a[t], b[t], c[t]); `axes` gives each operand's shape, a letter an axis of
random size, a digit one of that size; `domain` says which numbers the operands hold, with commas one by one.
`value` works on the operands at one position; where `over` is set, on all positions of one example, these first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    expr: str
    axes: str
    value: Callable[..., np.ndarray]
    domain: str = "real"
    over: bool = False


def draw(rng: np.random.Generator, domain: str, shape: tuple[int, ...], place: int = 0) -> np.ndarray:
    """Random numbers of a domain, for the operand at that place."""
    if domain == "positive":
        return rng.uniform(0.3, 2.0, shape)
    if domain == "unit":
        return rng.uniform(0.1, 0.9, shape)
    if domain == "weights":  # positive, summing to 1 over the last axis
        x = rng.uniform(0.1, 1.0, shape)
        return x / x.sum(-1, keepdims=True)
    if domain == "bits":
        return rng.integers(0, 2, shape).astype(float)
    if domain == "classes":
        return rng.integers(0, 4, shape).astype(float)
    if domain == "apart":  # no two near each other, over all operands, none near 0: no kink is near
        size = math.prod(shape)
        cell = 0.2 * (rng.permutation(size) - size // 2)
        return (cell + 0.05 * (1 + place) + rng.uniform(-0.01, 0.01, size)).reshape(shape)
    return rng.standard_normal(shape)


def softmax(z, axis=-1):
    e = np.exp(z)
    return e / e.sum(axis, keepdims=True)


def norm(z, axis=-1):
    centred = z - z.mean(axis, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis, keepdims=True) + 1e-5)


def bce(p, k):
    return -(k * np.log(p) + (1 - k) * np.log(1 - p))


def placed(size, at, a):
    out = np.zeros((size, *a.shape[1:]))
    out[at] = a
    return out


def elementwise(name: str, value: Callable[..., np.ndarray], domain: str = "real", count: int = 1,
                sign: str = "") -> list[Case]:
    """Cases of equal shapes and of scalars with others."""
    if count == 1:
        shapes = ["", "m", "mkp"]
        expr = f"{name}(a)"
    else:
        shapes = [",", "mk,mk", ",m", "mk,"]
        expr = f"a {sign} b" if sign else f"{name}(a, b)"
    return [Case(expr, s, value, domain) for s in shapes]


def reducing(name: str, value: Callable[..., np.ndarray], domain: str = "real") -> list[Case]:
    return [Case(f"{name}(a, axis=0)", "mk", lambda a: value(a, axis=0), domain),
            Case(f"{name}(a, axis=-1)", "mkp", lambda a: value(a, axis=-1), domain),
            Case(f"{name}(a, axis=(0, 2))", "mkp", lambda a: value(a, axis=(0, 2)), domain),
            Case(f"{name}(a, over=t)", "m", lambda a: value(a, axis=0), domain, over=True),
            Case(f"{name}(a, over=t, axis=1)", "mk", lambda a: value(a, axis=(0, 2)), domain, over=True)]


def along(name: str, value: Callable[..., np.ndarray], domain: str = "real") -> list[Case]:
    return [Case(f"{name}(a)", "mk", lambda a: value(a, axis=-1), domain),
            Case(f"{name}(a, axis=0)", "mk", lambda a: value(a, axis=0), domain),
            Case(f"{name}(a, over=t)", "m", lambda a: value(a, axis=0), domain, over=True)]


def compared(name: str, sign: str, value: Callable[..., np.ndarray]) -> list[Case]:
    return [Case(f"where(a {sign} b, c, 1)", "mk,mk,mk", lambda a, b, c: np.where(value(a, b), c, 1), "apart"),
            Case(f"where({name}(a, b), c, 2)", "m,m,m", lambda a, b, c: np.where(value(a, b), c, 2), "bits,bits,real")]


def logsumexp(a, axis):
    return np.log(np.exp(a).sum(axis))


TRUTH = {"logical_and": np.logical_and, "logical_or": np.logical_or}
CASES: dict[str, list[Case]] = {
    "add": elementwise("add", lambda a, b: a + b, count=2, sign="+"),
    "subtract": elementwise("subtract", lambda a, b: a - b, count=2, sign="-"),
    "multiply": elementwise("multiply", lambda a, b: a * b, count=2, sign="*"),
    "divide": elementwise("divide", lambda a, b: a / b, "positive", 2, "/"),
    "power": [*elementwise("power", lambda a, b: a**b, "positive", 2, "**"), Case("a ** 2", "mk", lambda a: a * a),
              Case("a ** 3", "m", lambda a: a * a * a), Case("a ** -1.5", "m", lambda a: a**-1.5, "positive"),
              Case("2 ** a", "m", lambda a: np.exp2(a))],
    "negative": [Case("-a", s, lambda a: -a) for s in ("", "mk")],
    "exp": elementwise("exp", np.exp),
    "log": elementwise("log", np.log, "positive"),
    "sqrt": elementwise("sqrt", np.sqrt, "positive"),
    "abs": elementwise("abs", np.abs, "apart"),
    "sign": elementwise("sign", np.sign, "apart"),
    "tanh": elementwise("tanh", lambda a: (np.exp(a) - np.exp(-a)) / (np.exp(a) + np.exp(-a))),
    "sigmoid": elementwise("sigmoid", lambda a: 1 / (1 + np.exp(-a))),
    "relu": elementwise("relu", lambda a: a * (a > 0), "apart"),
    "softplus": elementwise("softplus", lambda a: np.log1p(np.exp(a))),
    "sin": elementwise("sin", np.sin),
    "cos": elementwise("cos", np.cos),
    "maximum": elementwise("maximum", lambda a, b: (a + b + abs(a - b)) / 2, "apart", 2),
    "minimum": elementwise("minimum", lambda a, b: (a + b - abs(a - b)) / 2, "apart", 2),
    "where": [Case("where(a > 0, b, c)", s, lambda a, b, c: b * (a > 0) + c * (a <= 0), "apart")
              for s in ("mk,mk,mk", ",m,m", "m,,m", ",,")],
    "clip": [Case("clip(a, -0.3, 0.5)", "mk", lambda a: np.clip(a, -0.3, 0.5), "apart"),
             Case("clip(a, low=0)", "m", lambda a: np.clip(a, 0, None), "apart"),
             Case("clip(a, high=0)", "m", lambda a: np.clip(a, None, 0), "apart")],
    "squared_error": elementwise("squared_error", lambda a, b: (a - b) ** 2, count=2),
    "binary_cross_entropy": elementwise("binary_cross_entropy", bce, "unit", 2),
    "sigmoid_cross_entropy": elementwise("sigmoid_cross_entropy", lambda a, b: bce(1 / (1 + np.exp(-a)), b), "unit", 2),
    "stop_gradient": elementwise("stop_gradient", lambda a: a),
    "ones_like": elementwise("ones_like", lambda a: a * 0 + 1),
    "zeros_like": elementwise("zeros_like", lambda a: a * 0),
    "less": compared("less", "<", lambda a, b: a < b),
    "less_equal": compared("less_equal", "<=", lambda a, b: a <= b),
    "greater": compared("greater", ">", lambda a, b: a > b),
    "greater_equal": compared("greater_equal", ">=", lambda a, b: a >= b),
    "equal": compared("equal", "==", lambda a, b: a == b),
    "not_equal": compared("not_equal", "!=", lambda a, b: a != b),
    **{name: [Case(f"where({name}(a > 0, b > 0), c, a)", "m,m,m",
                   lambda a, b, c, f=f: np.where(f(a > 0, b > 0), c, a), "apart"),
              Case(f"where({name}(a, b), c, 2)", "m,m,m",
                   lambda a, b, c, f=f: np.where(f(a, b), c, 2), "bits,bits,real")]
       for name, f in TRUTH.items()},
    "logical_not": [Case("where(logical_not(a > 0), b, 0)", "m,m", lambda a, b: b * (a <= 0), "apart")],
    "matmul": [Case("a @ b", s, np.matmul) for s in ("mk,k", "mk,kp", "k,kp", "k,k", "jmk,jkp", "jmk,k", "k,jkp")],
    "dot": [Case("dot(a, b)", "k,k", lambda a, b: (a * b).sum()),
            Case("dot(a, b)", "mk,mk", lambda a, b: (a * b).sum(1)),
            Case("dot(a, b)", "mk,k", lambda a, b: (a * b).sum(1)),
            Case("dot(a, b)", "k,mk", lambda a, b: (a * b).sum(1))],
    "outer": [Case("outer(a, b)", s, lambda a, b: np.multiply.outer(a, b)) for s in ("m,k", "mk,p", "m,kp", "mk,pj")],
    "einsum": [Case('einsum("ij,jk->ki", a, b)', "mk,kp", lambda a, b: (a @ b).T),
               Case('einsum("ij,ij->j", a, b)', "mk,mk", lambda a, b: (a * b).sum(0)),
               Case('einsum("ij,k->k", a, b)', "mk,p", lambda a, b: a.sum() * b),
               Case('einsum("i,j->", a, b)', "m,k", lambda a, b: a.sum() * b.sum()),
               Case('einsum("ijk,ikl->ijl", a, b)', "jmk,jkp", np.matmul),
               Case('einsum("ijk->ki", a)', "mkp", lambda a: a.sum(1).T),
               Case('einsum("ij,jk,k->i", a, b, c)', "mk,kp,p", lambda a, b, c: a @ (b @ c)),
               Case('einsum("i,i,i->i", a, b, c)', "m,m,m", lambda a, b, c: a * b * c)],
    "embed": [Case("embed(a, b)", "mk,m", lambda a, b: b @ a)],
    "one_hot": [Case("a * one_hot(b, size=4)", "4,", lambda a, b: a * (np.arange(4) == b), "real,classes")],
    "reshape": [Case("reshape(a, (3, -1))", "6k", lambda a: a.reshape(3, -1)),
                Case("reshape(a, shape=(4,))", "22", lambda a: a.reshape(4)),
                Case("reshape(a, (2, 1, 3))", "6", lambda a: a.reshape(2, 1, 3))],
    "transpose": [Case("transpose(a)", "mk", lambda a: a.T), Case("transpose(a)", "m", lambda a: a),
                  Case("transpose(a, axes=(1, 2, 0))", "mkp", lambda a: np.transpose(a, (1, 2, 0)))],
    "expand": [Case("expand(a, axis=1, size=3)", "mk", lambda a: np.stack([a, a, a], 1)),
               Case("expand(a, axis=0, size=2)", "", lambda a: np.stack([a, a]))],
    "concat": [Case("concat(a, b, c)", "mk,pk,jk", lambda *x: np.concatenate(x)),
               Case("concat(a, b, axis=-1)", "mk,mp", lambda *x: np.concatenate(x, 1)),
               Case("concat(a, b)", "m,k", lambda *x: np.concatenate(x))],
    "stack": [Case("stack(a, b, c)", "m,m,m", lambda *x: np.stack(x)),
              Case("stack(a, b, axis=1)", "mk,mk", lambda *x: np.stack(x, 1)),
              Case("stack(a, b)", ",", lambda *x: np.stack(x))],
    "slice": [Case("a[1:3]", "4k", lambda a: a[1:3]), Case("a[:, ::-1]", "mk", lambda a: a[:, ::-1]),
              Case("a[-2:]", "3", lambda a: a[-2:]), Case("a[5:0:-2]", "6", lambda a: a[5:0:-2]),
              Case("a[::2, 1:]", "53", lambda a: a[::2, 1:])],
    "place": [Case("place(a, axis=0, size=7, start=1, stop=7, step=2)", "3k", lambda a: placed(7, slice(1, 7, 2), a)),
              Case("place(a, axis=0, size=5, start=0, stop=2)", "2", lambda a: placed(5, slice(0, 2), a))],
    "pick": [Case("a[1]", "3k", lambda a: a[1]), Case("a[:, -1]", "mk", lambda a: a[:, -1]),
             Case("a[0]", "m", lambda a: a[0])],
    "sum": reducing("sum", np.sum),
    "mean": reducing("mean", np.mean),
    "max": reducing("max", np.max, "apart"),
    "logsumexp": reducing("logsumexp", logsumexp),
    "softmax": along("softmax", softmax),
    "log_softmax": along("log_softmax", lambda a, axis: np.log(softmax(a, axis))),
    "cumsum": [*along("cumsum", np.cumsum),
               Case("cumsum(a, axis=0, reverse=True)", "mk", lambda a: np.cumsum(a[::-1], 0)[::-1]),
               Case("cumsum(a, over=t, reverse=True)", "m", lambda a: np.cumsum(a[::-1], 0)[::-1], over=True)],
    "layer_norm": [Case("layer_norm(a)", "m", norm, "apart"), Case("layer_norm(a)", "mk", norm, "apart"),
                   Case("layer_norm(a, axis=0)", "mk", lambda a: norm(a, 0), "apart"),
                   Case("layer_norm(a, b, c)", "m,m,m", lambda a, b, c: norm(a) * b + c, "apart")],
    "rstd": [Case("rstd(a)", "4", lambda a: 1 / np.sqrt(a.var() + 1e-5), "apart"),
             Case("rstd(a, axis=0)", "3k", lambda a: 1 / np.sqrt(a.var(0) + 1e-5), "apart")],
    "cross_entropy": [Case("cross_entropy(a, b)", s, lambda a, b: -(b * np.log(a)).sum(-1), "weights")
                      for s in ("k,k", "mk,mk")],
    "softmax_cross_entropy": [Case("softmax_cross_entropy(a, b)", s, lambda a, b: -(b * np.log(softmax(a))).sum(-1))
                              for s in ("k,k", "mk,mk")],
    "dropout": [Case("dropout(a, 0.5)", "mk", lambda a: a)],  # not in training
}
