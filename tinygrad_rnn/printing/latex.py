"""Equations as LaTeX, aligned as a lecture shows them."""

from __future__ import annotations

import math
from typing import Any

from ..node import At, Node, walk
from ..ops import TABLE
from ..ops.draws import DECLARED
from ..system import Equation, System
from .printer import part_text
from .symbols import ACCENTS, GREEK, GREEK_BELOW, scientific, symbol
from .typeset import typeset

ATOM, PRODUCT, TOTAL, SUM, AND, OR, COMPARISON = 100, 20, 15, 10, 7, 6, 5
TIGHTNESS = {"add": SUM, "subtract": SUM, "negative": SUM + 5, "multiply": PRODUCT, "matmul": PRODUCT, "dot": PRODUCT,
             "outer": PRODUCT, "conv2d": PRODUCT, "conv2d_transpose": PRODUCT, "conv2d_kernel": PRODUCT,
             "add_bias": SUM, "power": 30, "transpose": 40, "less": COMPARISON, "less_equal": COMPARISON,
             "greater": COMPARISON, "greater_equal": COMPARISON, "equal": COMPARISON, "not_equal": COMPARISON,
             "logical_and": AND, "logical_or": OR}
LETTERS_APART = 2  # xf is x and f, out is a word
ACCENTED = tuple(rf"\{accent}{{" for accent in ACCENTS)
CALL = ATOM + 1  # brackets even around a single name
# How tightly the arguments of these must bind, the last for all further ones: 0 where brackets or bars are around them.
NEEDED: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("divide", "where", "maximum", "minimum", "abs", "sqrt", "exp", "concat", "stack", "clip", "einsum",
                     "cross_entropy", "binary_cross_entropy", "sigmoid_cross_entropy", *DECLARED), (0,)),
    "squared_error": (0, SUM + 1), "softmax_cross_entropy": (CALL, 0), "slice": (ATOM,), "pick": (ATOM,),
    "embed": (ATOM, 0), "power": (ATOM, 0)}
# In place of those in the table of operations, which say less.
TEMPLATES = {"einsum": r"\operatorname{{einsum}}_{{{spec}}}({args})",
             "reshape": r"\operatorname{{reshape}}_{{{shape}}} {0}", "rstd": r"\operatorname{{std}}^{{-1}} {0}",
             "slice": "{0}[{part}]", "pick": "{0}[{part}]"}
ONE_SIDED = {"negative", "less", "less_equal", "greater", "greater_equal", "equal", "not_equal"}  # - -x, (a > b) = c
# Reductions and what runs along an axis, which is told where it is not the usual one.
ALONG = ("sum", "mean", "max", "softmax", "log_softmax", "logsumexp", "cumsum", "layer_norm", "rstd")
WORD = r"\mathrm"  # beside a word, names need a space
RAISED = {"power": 0, "transpose": 0, "outer": 1, "normal": 1}  # which argument gets a superscript
BASE = {"power": 0, "normal": 1}  # which of them is told apart from that by brackets, where it has one of its own


def name_latex(name: str) -> str:
    """W_hx -> W_{hx}; d_h -> \\delta h, the adjoint; alpha -> \\alpha; y_hat -> \\hat{y}; longer words upright."""
    s = symbol(name)
    word = s.base.replace("_", r"\_")
    base = rf"\{word}" if word in GREEK else word if len(word) == 1 else rf"\mathrm{{{word}}}"
    base = rf"\{s.accent}{{{base}}}" if s.accent else base
    below = ",".join(map(_below, s.subscript.split(",")))
    whole = f"{base}_{{{below}}}" if below else base
    return rf"\delta {whole}" if s.adjoint else whole


def _below(part: str) -> str:
    """A part of a subscript: a Greek letter, letters that each mean something, or a word."""
    word = part.isalpha() and len(part) > LETTERS_APART
    return rf"\{part}" if part in GREEK_BELOW else rf"\mathrm{{{part}}}" if word else part


def slots_latex(slots: tuple[At, ...]) -> str:
    """Slots as a superscript, in the manner of x with <t>."""
    return rf"^{{\langle {','.join(map(str, slots))} \rangle}}" if slots else ""


def expression_latex(root: Node) -> str:
    """The LaTeX of one expression."""
    done: dict[Node, tuple[str, int]] = {}
    for node in walk([root]):
        done[node] = _term(node, [done[a] for a in node.args])
    return done[root][0]


def _term(node: Node, args: list[tuple[str, int]]) -> tuple[str, int]:
    op, attrs = node.op, dict(node.attrs)
    if op == "ref":
        return name_latex(attrs["name"]) + slots_latex(attrs["slots"]), ATOM
    if op == "const":
        return _number(float(attrs["value"]))
    if op == "position":
        return attrs["index"], ATOM
    if op == "last":
        return attrs["index"].upper(), ATOM
    if op == "count":
        return rf"\left|{','.join(attrs['over'])}\right|", ATOM
    own = TIGHTNESS.get(op, ATOM)
    held = [_held(text, tight, _needed(node, own, k)) for k, (text, tight) in enumerate(args)]
    if op in RAISED:  # TeX knows no second superscript, and looks through braces around nothing but an accented letter
        k = RAISED[op]
        empty = "{}" if held[k].startswith(ACCENTED) else ""
        held[k] = f"{{{held[k]}{empty}}}" if "^" in held[k] else held[k]
    if op == "embed" and node.args[0].op == "ref" and "_" in held[0]:  # nor a second subscript
        held[0] = rf"\left({held[0]}\right)"
    along = _along(node) if op in ALONG else ""
    if along:
        return _over(op, along, held[0]), TOTAL if op == "sum" and attrs.get("over") else PRODUCT
    if op in ("matmul", "multiply") and _is_negative(node.args[0]):
        held[0], own = args[0][0], TIGHTNESS["negative"]  # -2 x needs no brackets of its own
    template = TEMPLATES.get(op) or TABLE[op].latex or rf"\operatorname{{{op}}}({{args}})"
    if op == "matmul" and any(WORD in text for text in held):
        template = r"{0} \, {1}"
    options = {name: _option(name, value) for name, value in attrs.items()}
    if op in ("slice", "pick"):
        options["part"] = ":, " * attrs["axis"] + part_text(node)
    return template.format(*held, **{**options, "args": ", ".join(held)}), TOTAL if op == "logsumexp" else own


def _is_negative(node: Node) -> bool:
    return node.op == "const" and math.copysign(1.0, node.attr("value")) < 0


def _option(name: str, value: Any) -> str:
    """An attribute as it stands in a template."""
    if value is None:
        return ""
    if isinstance(value, float):
        return _number(value)[0]
    if name == "shape":
        return r" \times ".join(map(str, value))
    return str(value).replace("->", r" \to ")


def _number(value: float) -> tuple[str, int]:
    if math.isinf(value):
        return (r"\infty", ATOM) if value > 0 else (r"-\infty", SUM)
    digits, power = scientific(value)
    sign = "" if digits in ("", "-") else r" \cdot "
    if not power and "e" in digits:
        digits, _, exponent = digits.partition("e")
        power, sign = int(exponent), r" \cdot "
    return f"{digits}{sign}10^{{{power}}}" if power else digits, SUM if value < 0 else PRODUCT if power else ATOM


def _needed(node: Node, own: int, k: int) -> int:
    """How tightly an argument must bind to stand without brackets; functions always take brackets around terms."""
    op = node.op
    if BASE.get(op) == k:
        base = node.args[k]
        return ATOM + (base.op not in ("ref", "const") or bool(dict(base.attrs).get("slots")))
    if op in NEEDED:
        return NEEDED[op][min(k, len(NEEDED[op]) - 1)]
    if op == "sum" and dict(node.attrs).get("over"):
        return PRODUCT
    if op in TIGHTNESS:
        return own + (k > 0 or op in ONE_SIDED)
    return CALL  # tanh(...), softmax(...)


def _held(text: str, tight: int, needed: int) -> str:
    return text if tight >= needed else rf"\left({text}\right)"


def _along(node: Node) -> str:
    """The indices that a row reduces or runs over, and the axes where they are neither all nor the last."""
    attrs, typed = dict(node.attrs), node.args[0].type
    over = ",".join(attrs.get("over") or ())
    backwards = [r"\mathrm{reversed}"] * bool(attrs.get("reverse"))
    axis = attrs["axis"] if typed is not None else None
    axes = axis if isinstance(axis, tuple) else () if axis is None else (axis,)
    usual = typed is None or len(axes) in (0, typed.rank) or (
        node.op not in ("sum", "mean", "max", "logsumexp") and axes == (typed.rank - 1,))
    told = [] if usual else [r"\mathrm{axis}\," + ",".join(map(str, axes))]
    return ";".join([over] * bool(over) + told + backwards)


def _over(op: str, along: str, inner: str) -> str:
    if op in ("sum", "max"):
        return rf"\{op}_{{{along}}} {inner}"
    return rf"\operatorname{{{op.replace('_', ' ')}}}_{{{along}}} {inner}"


def equation_latex(eq: Equation) -> str:
    """One row of an aligned environment."""
    sign = r"\sim" if eq.rhs.op in DECLARED else "="
    return rf"{name_latex(eq.name)}{slots_latex(eq.slots)} &{sign} {expression_latex(typeset(eq).rhs)}"


def system_latex(system: System) -> str:
    """All equations in one `aligned` block (amsmath)."""
    rows = " \\\\\n".join(f"  {equation_latex(eq)}" for eq in system.equations)
    return f"\\begin{{aligned}}\n{rows}\n\\end{{aligned}}"
