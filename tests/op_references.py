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


# -- images: for each tap (a, b) of a window and each of its places (i, j) the pixel (r, q) that it reads ----------


def reads(image, window, places, stride=(1, 1), padding=(0, 0)):
    for a, b in np.ndindex(*window):
        for i, j in np.ndindex(*places):
            r, q = i * stride[0] + a - padding[0], j * stride[1] + b - padding[1]
            if 0 <= r < image[0] and 0 <= q < image[1]:
                yield a, b, i, j, r, q


def places(image, window, stride=(1, 1), padding=(0, 0)):
    return tuple((n + 2 * p - k) // s + 1 for n, k, s, p in zip(image, window, stride, padding, strict=True))


def conv2d(x, k, **how):
    y = np.zeros((*x.shape[:-3], len(k), *places(x.shape[-2:], k.shape[2:], **how)))
    for a, b, i, j, r, q in reads(x.shape[-2:], k.shape[2:], y.shape[-2:], **how):
        y[..., i, j] += x[..., r, q] @ k[:, :, a, b].T
    return y


def conv2d_transpose(y, k, shape, **how):
    x = np.zeros((*y.shape[:-3], k.shape[1], *shape))
    for a, b, i, j, r, q in reads(shape, k.shape[2:], y.shape[-2:], **how):
        x[..., r, q] += y[..., i, j] @ k[:, :, a, b]
    return x


def conv2d_kernel(x, y, shape, **how):
    k = np.zeros((y.shape[-3], x.shape[-3], *shape))
    for a, b, i, j, r, q in reads(x.shape[-2:], shape, y.shape[-2:], **how):
        k[:, :, a, b] += np.tensordot(y[..., i, j], x[..., r, q], (range(y.ndim - 3),) * 2)
    return k


def patches(z, size, **how):
    p = np.zeros((*z.shape[:-2], *size, *places(z.shape[-2:], size, **how)))
    for a, b, i, j, r, q in reads(z.shape[-2:], size, p.shape[-2:], **how):
        p[..., a, b, i, j] = z[..., r, q]
    return p


def add_patches(p, shape, **how):
    z = np.zeros((*p.shape[:-4], *shape))
    for a, b, i, j, r, q in reads(shape, p.shape[-4:-2], p.shape[-2:], **how):
        z[..., r, q] += p[..., a, b, i, j]
    return z


def avg_pool(z, size, **how):
    return patches(z, size, **how).mean((-4, -3))


def avg_unpool(g, size, shape, **how):
    p = np.broadcast_to(g[..., None, None, :, :] / math.prod(size), (*g.shape[:-2], *size, *g.shape[-2:]))
    return add_patches(p, shape, **how)


def max_pool_at(a, z, size, **how):
    """a where z is largest in each window; `apart` leaves no ties."""
    found = np.full((*z.shape[:-2], *places(z.shape[-2:], size, **how)), -np.inf)
    value = np.zeros(found.shape)
    for _, _, i, j, r, q in reads(z.shape[-2:], size, found.shape[-2:], **how):
        larger = z[..., r, q] > found[..., i, j]
        found[..., i, j] = np.where(larger, z[..., r, q], found[..., i, j])
        value[..., i, j] = np.where(larger, a[..., r, q], value[..., i, j])
    return value


def max_unpool(g, z, size, **how):
    """The adjoint of max_pool_at, by its definition: each number of z in turn."""
    d = np.zeros(z.shape)
    for at in np.ndindex(*z.shape):
        one = np.zeros(z.shape)
        one[at] = 1
        d[at] = (g * max_pool_at(one, z, size, **how)).sum()
    return d


S2, P1 = {"stride": (2, 2)}, {"padding": (1, 1)}
SP = {"stride": (2, 1), "padding": (1, 0)}
IMAGES: dict[str, list[Case]] = {
    "conv2d": [Case("conv2d(a, b)", "m45,km32", conv2d),
               Case("conv2d(a, b, padding=1)", "m33,km33", lambda a, b: conv2d(a, b, **P1)),
               Case("conv2d(a, b, stride=(2, 1), padding=(1, 0))", "2m43,km22", lambda a, b: conv2d(a, b, **SP)),
               Case("conv2d(a, b, c, stride=2)", "m45,kmp2,k", lambda a, b, c: conv2d(a, b, **S2) + c[:, None, None]),
               Case("conv2d(a, b)", "m23,km11", conv2d)],
    "conv2d_transpose": [
        Case("conv2d_transpose(a, b)", "k23,km22", lambda a, b: conv2d_transpose(a, b, (3, 4))),
        Case("conv2d_transpose(a, b, c, stride=2)", "k22,km33,m",
             lambda a, b, c: conv2d_transpose(a, b, (5, 5), **S2) + c[:, None, None]),
        Case("conv2d_transpose(a, b, stride=(2, 1), padding=(1, 0), shape=(4, 3))", "2k32,km22",
             lambda a, b: conv2d_transpose(a, b, (4, 3), **SP))],
    "conv2d_kernel": [
        Case("conv2d_kernel(a, b)", "m34,k22", lambda a, b: conv2d_kernel(a, b, (2, 3))),
        Case("conv2d_kernel(a, b, stride=2, padding=1, shape=2)", "m34,k23",
             lambda a, b: conv2d_kernel(a, b, (2, 2), **S2, **P1)),
        Case("conv2d_kernel(a, b, stride=2, padding=1)", "2m33,2k22",
             lambda a, b: conv2d_kernel(a, b, (3, 3), **S2, **P1))],
    "add_bias": [Case("add_bias(a, b)", "km3,k", lambda a, b: a + b[:, None, None]),
                 Case("add_bias(a, b)", "jkm2,k", lambda a, b: a + b[:, None, None])],
    "patches": [Case("patches(a, 2)", "m34", lambda a: patches(a, (2, 2))),
                Case("patches(a, size=(2, 1), stride=2, padding=(1, 0))", "34", lambda a: patches(
                    a, (2, 1), **S2, padding=(1, 0)))],
    "add_patches": [Case("add_patches(a)", "m2223", lambda a: add_patches(a, (3, 4))),
                    Case("add_patches(a, stride=2, padding=1, shape=(4, 3))", "3222", lambda a: add_patches(
                        a, (4, 3), **S2, **P1))],
    "max_pool": [Case("max_pool(a)", "m45", lambda a: max_pool_at(a, a, (2, 2), **S2), "apart"),
                 Case("max_pool(a, 3, stride=(2, 1), padding=(1, 0))", "m53", lambda a: max_pool_at(
                     a, a, (3, 3), **SP), "apart"),
                 Case("max_pool(a, size=(1, 2))", "34", lambda a: max_pool_at(a, a, (1, 2), stride=(1, 2)), "apart")],
    "max_unpool": [Case("max_unpool(a, b)", "k12,k34", lambda a, b: max_unpool(a, b, (2, 2), **S2), "apart"),
                   Case("max_unpool(a, b, 2, 1, 1)", "34,23", lambda a, b: max_unpool(a, b, (2, 2), **P1), "apart")],
    "max_pool_at": [Case("max_pool_at(a, b)", "k34,k34", lambda a, b: max_pool_at(a, b, (2, 2), **S2), "apart"),
                    Case("max_pool_at(a, b, 2, stride=1, padding=1)", "23,23", lambda a, b: max_pool_at(
                        a, b, (2, 2), **P1), "apart")],
    "avg_pool": [Case("avg_pool(a)", "m45", lambda a: avg_pool(a, (2, 2), **S2)),
                 Case("avg_pool(a, 3, stride=(2, 1), padding=(1, 0))", "53", lambda a: avg_pool(a, (3, 3), **SP))],
    "avg_unpool": [Case("avg_unpool(a)", "m22", lambda a: avg_unpool(a, (2, 2), (4, 4), **S2)),
                   Case("avg_unpool(a, 2, padding=1, shape=(3, 4))", "23", lambda a: avg_unpool(
                       a, (2, 2), (3, 4), **S2, **P1))],
}
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
    "floor": elementwise("floor", np.floor, "apart"),
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
    "matmul": [Case("a @ b", s, np.matmul) for s in ("mk,k", "mk,kp", "k,kp", "k,k", "jmk,jkp", "jmk,k", "k,jkp",
                                                    "jmk,kp", "mk,jkp", "ijmk,kp", "mk,ijkp")],
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
    "flatten": [Case("flatten(a)", s, lambda a: a.reshape(-1)) for s in ("mkp", "m", "")],
    **IMAGES,
    "dropout": [Case("dropout(a, 0.5)", "mk", lambda a: a)],  # not in training
}
