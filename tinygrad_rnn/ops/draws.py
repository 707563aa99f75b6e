"""Rows of declared data, `w[t] = categorical(p[t])`, and of what drawing them is made of."""

from __future__ import annotations

from typing import Any

from ..node import Node
from ..shapes import Cell, Solver, elementwise, signature
from .positional import leaf
from .table import Do, Op, register

DECLARED = ("categorical", "bernoulli", "normal")
DRAWS = "no gradient passes a draw"
CLASSES = signature("(k)->(k)")


def law(rhs: Node) -> str:
    """What a right side declares: one of DECLARED, or "pointer", a categorical over an index."""
    return "pointer" if rhs.op == "categorical" and rhs.attr("over") else rhs.op


def _categorical(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    """A vector of probabilities gives a class; over an index, a probability at each position gives one of these."""
    if attrs.get("over"):
        u.rank(args[0], 0)
        u.rank(out, 0)
    else:
        CLASSES(u, args, out, attrs)


def _each(u: Solver, args: list[Cell], out: Cell, attrs: dict[str, Any]) -> None:
    """Equal shapes; numbers alone are the law of each number of what is declared, eps[t] = normal(0, 1)."""
    if any(a.rank != 0 for a in args):
        elementwise(u, args, out, attrs)
    elif u.numbers and out.dims is None:
        u.rank(out, 0)


def drawn_class(xp: Any, p: Any, u: Any, axis: int, temperature: float = 1.0, top_k: int | None = None,
                top_p: float | None = None) -> Any:
    """One-hot vectors along `axis`: class k where u, in [0, 1), falls into its share of p.

    temperature: p ** (1 / temperature), 0 takes the largest; top_k: only the k largest are kept; top_p: only the fewest
    of the largest that together have this share (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration").
    What is not a distribution gives NaN.
    """
    p = xp.moveaxis(xp.asarray(p), axis, -1).astype("float64")
    bad = ~(xp.isfinite(p).all(-1) & (p >= 0).all(-1) & (p.sum(-1) > 0))
    p = xp.where(bad[..., None], 1.0, p)
    if temperature == 0:
        top_k, temperature = 1, 1.0
    if temperature != 1.0:
        p = (p / p.max(-1, keepdims=True)) ** (1.0 / temperature)
    if top_k is not None or top_p is not None:
        p = xp.where(_among_the_largest(xp, p, top_k, top_p), p, 0.0)
    whole = xp.cumsum(p, -1)
    code = (whole <= (xp.asarray(u) * whole[..., -1])[..., None]).sum(-1)
    last = p.shape[-1] - 1 - xp.argmax(p[..., ::-1] > 0, -1)
    hot = (xp.arange(p.shape[-1]) == xp.minimum(code, last)[..., None]).astype("float64")
    return xp.moveaxis(xp.where(bad[..., None], xp.nan, hot), -1, axis)


def _among_the_largest(xp: Any, p: Any, top_k: int | None, top_p: float | None) -> Any:
    """Which classes are among the k largest, and among the fewest that have the share top_p; ties go to the first."""
    order = xp.argsort(-p, -1, kind="stable")
    ranked = xp.take_along_axis(p, order, -1)
    kept = xp.ones(p.shape, bool)
    if top_k is not None:
        kept &= xp.arange(p.shape[-1]) < top_k
    if top_p is not None:
        whole = xp.cumsum(ranked, -1)
        kept &= whole - ranked < top_p * whole[..., -1:]
    found = xp.zeros(p.shape, bool)
    xp.put_along_axis(found, order, kept, -1)
    return found


def _draw_class(do: Do, out: Any, p: Any, u: Any, lead: int, ranks: tuple[int, ...], temperature: float,
                top_k: int | None, top_p: float | None) -> None:
    do(_draw_into, p, u, out, do.xp, lead, temperature, top_k, top_p)


def _draw_into(p: Any, u: Any, out: Any, xp: Any, axis: int, temperature: float, top_k: int | None,
               top_p: float | None) -> None:
    out[...] = drawn_class(xp, p, u, axis, temperature, top_k, top_p)


register(
    Op("categorical", "macro", _categorical, (None,), None, params={"over": None},
       symbol="categorical", latex=r"\text{{Categorical}}{call}", no_gradient=DRAWS),
    Op("bernoulli", "macro", _each, (None,), None, symbol="bernoulli",
       latex=r"\text{{Bernoulli}}{call}", no_gradient=DRAWS),
    Op("normal", "macro", _each, (None, None), None, arity=2, symbol="normal",
       latex=r"\mathcal{{N}}({0}, {1}^2)", no_gradient=DRAWS),
    leaf("noise", r"{law}", DRAWS, "kind", key="", at=()),
    Op("draw_class", "feature", signature("(k),()->(k)"), (None, None), _draw_class, arity=2,
       params={"temperature": 1.0, "top_k": None, "top_p": None}, symbol="draw",
       latex=r"\text{{draw}}{call}", no_gradient=DRAWS),
)
