"""Expressions as LaTeX, as a lecture shows them."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

from ..node import Node, walk
from ..ops import TABLE
from ..ops.reduction import REDUCING
from ..shapes import axes_of
from .letters import ACCENTED, Letters
from .printer import part_text
from .symbols import scientific

# How tightly a term binds: without brackets it stands where no more is needed.
CALL, ATOM, PRODUCT, TOTAL, NEGATIVE, SUM, AND, OR, COMPARISON, CASES = 101, 100, 20, 16, 15, 10, 7, 6, 5, 1
TIGHTNESS = {"add": SUM, "subtract": SUM, "negative": NEGATIVE, "multiply": PRODUCT, "matmul": PRODUCT, "dot": PRODUCT,
             "outer": PRODUCT, "conv2d": PRODUCT, "conv2d_transpose": PRODUCT, "conv2d_kernel": PRODUCT,
             "add_bias": SUM, "power": 30, "transpose": 40, "less": COMPARISON, "less_equal": COMPARISON,
             "greater": COMPARISON, "greater_equal": COMPARISON, "equal": COMPARISON, "not_equal": COMPARISON,
             "logical_and": AND, "logical_or": OR, "where": CASES, "divide": 30, "rstd": 30, "exp": 30,
             "squared_error": 30}
# How tightly the arguments of these must bind, the last for all further ones: 0 where brackets or bars are around them;
# a function takes brackets even around a name.
NEEDED: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("divide", "where", "abs", "floor", "sqrt", "exp", "concat", "clip", "logsumexp"), (0,)),
    "softmax_cross_entropy": (CALL, 0), "sigmoid_cross_entropy": (CALL, 0), "squared_error": (SUM, SUM + 1),
    "normal": (0, ATOM), "rstd": (CALL,), "slice": (ATOM,), "pick": (ATOM,), "take": (ATOM, 0), "embed": (ATOM, 0),
    "power": (ATOM, 0)}
ASSOCIATIVE = {"add": ("add", "subtract"), "multiply": ("multiply",)}  # a + (b - c) needs no brackets
JOINED = ("matmul", "outer")  # products without a sign
PRODUCTS = ("multiply", "dot", "conv2d", "conv2d_transpose", "conv2d_kernel", *JOINED)
ONE_SIDED = {"negative", "less", "less_equal", "greater", "greater_equal", "equal", "not_equal"}  # - -x, (a > b) = c
TOTALS = ("sum", "mean", "max")  # over an index: what they are of stands behind them as behind a sum
# Reductions and what runs along an axis, which is told where it is not the usual one.
ALONG = (*TOTALS, "softmax", "log_softmax", "logsumexp", "cumsum", "layer_norm", "rstd")
RAISED = {"power": 0, "transpose": 0, "outer": 1, "normal": 1}  # which argument gets a superscript
BASE = {"power": 0, "normal": 1}  # which of them is told apart from that by brackets, where it has one of its own
TALL = re.compile(r"\\frac|\\begin|\\sum|\\max_")  # brackets around these grow
RAISED_POSITION = r" \rangle}"  # ends a reference
WORD = r"\text"  # beside a word, names need a space
LAWS = {"normal": r"\mathcal{N}(0, 1)", "uniform": r"\mathcal{U}(0, 1)"}


class Term(NamedTuple):
    """LaTeX, and how tightly it binds; among: another form of the same for between signs."""

    text: str
    tight: int = ATOM
    among: Term | None = None


def expression_latex(root: Node, letters: Letters, bare: bool = False) -> str:
    """The LaTeX of one expression. bare: whether a reduction over everything is written without its indices."""
    done: dict[Node, Term] = {}
    for node in walk([root]):
        done[node] = _term(node, [done[a] for a in node.args], letters, bare)
    return done[root].text


def bracketed(text: str) -> str:
    """In brackets, which grow around what is tall."""
    return rf"\left({text}\right)" if TALL.search(text) else f"({text})"


def _term(node: Node, args: list[Term], letters: Letters, bare: bool) -> Term:
    op, attrs = node.op, dict(node.attrs)
    if op in LEAVES:
        return LEAVES[op](attrs, letters)
    held = [_held(term, _needed(node, k, letters)) for k, term in enumerate(args)]
    if op in BASE:
        held[BASE[op]] = _one_superscript(held[BASE[op]])
    special = SPECIAL.get(op)
    found = special(node, args, held) if special else None
    if found is None and op in ALONG:
        found = _over(node, args[0], held[0], bare)
    return found or Term(_filled(node, held), TIGHTNESS.get(op, ATOM))


def _template(op: str) -> str:
    return TABLE[op].latex or WORD + "{{" + op.replace("_", "-") + "}}{call}"


def _filled(node: Node, held: list[str]) -> str:
    """The template of the operation with its arguments."""
    op, attrs = node.op, dict(node.attrs)
    options = {name: _option(name, value) for name, value in attrs.items()}
    if op in ("slice", "pick", "place"):
        options["part"] = (":, " * attrs["axis"] + part_text(node)).replace(":", "{:}")  # no sign of a ratio
    return _template(op).format(*held, **{**options, "call": bracketed(", ".join(held)), "stacked": "; ".join(held),
                                       "transposed": _transposed(held[-1])})


# -- leaves ------------------------------------------------------------------------------------------------


def _mask(attrs: dict[str, Any], _: Letters) -> Term:
    kept = _number(round(1.0 - attrs["rate"], 12)).text
    return Term(rf"\text{{Bernoulli}}({kept}) / {kept}", PRODUCT)


LEAVES = {
    "ref": lambda attrs, letters: Term(letters(attrs["name"], attrs["slots"])),
    "const": lambda attrs, _: _number(float(attrs["value"])),
    "position": lambda attrs, _: Term(attrs["index"]),
    "last": lambda attrs, _: Term(attrs["index"].upper()),
    "count": lambda attrs, _: Term(rf"\text{{count}}_{{{','.join(attrs['over'])}}}"),
    "noise": lambda attrs, _: Term(LAWS[attrs["kind"]]),
    "dropout_mask": _mask,
}


def _option(name: str, value: Any) -> str:
    """An attribute as it stands in a template."""
    if value is None:
        return ""
    if isinstance(value, float):
        return _number(value).text
    if name == "shape":
        return r" \times ".join(map(str, value))
    return str(value).replace("->", r" \to ")


def _number(value: float) -> Term:
    if math.isinf(value):
        return Term(r"\infty") if value > 0 else Term(r"-\infty", SUM)
    digits, power = scientific(value)
    sign = "" if digits in ("", "-") else r" \cdot "
    if not power and "e" in digits:
        digits, _, exponent = digits.partition("e")
        power, sign = int(exponent), r" \cdot "
    return Term(f"{digits}{sign}10^{{{power}}}" if power else digits,
                SUM if value < 0 else PRODUCT if power else ATOM)


def _is_negative(node: Node) -> bool:
    return node.op == "const" and math.copysign(1.0, node.attr("value")) < 0


def _is_zero(node: Node) -> bool:
    return node.op == "zeros_like" or (node.op == "const" and node.attr("value") == 0)


# -- brackets ----------------------------------------------------------------------------------------------


def _needed(node: Node, k: int, letters: Letters) -> int:
    """How tightly an argument must bind to stand without brackets."""
    op = node.op
    if BASE.get(op) == k and _has_superscript(node.args[k], letters):
        return CALL
    if "{call}" in _template(op):
        return 0
    if op in NEEDED:
        return NEEDED[op][min(k, len(NEEDED[op]) - 1)]
    if op in TOTALS and dict(node.attrs).get("over"):
        return TOTAL
    if op not in TIGHTNESS:
        return CALL  # tanh(...), softmax(...)
    own, arg = TIGHTNESS[op], node.args[k]
    if op == "subtract" and k > 0:
        return NEGATIVE + 1  # a - (-b)
    if arg.op in ASSOCIATIVE.get(op, ()):
        return own
    if op in PRODUCTS and arg.op in PRODUCTS and RAISED.get(op) != k:
        return own if _joins(node, arg) else ATOM
    return own + (k > 0 or op in ONE_SIDED)


def _has_superscript(node: Node, letters: Letters) -> bool:
    """Would a power of it be read as part of what is raised there already, or as one of a part of it?"""
    if node.op != "ref":
        return False
    raised = node.attr("slots") and letters.notation == "superscript"
    return bool(raised or letters.symbol(node.attr("name")).adjoint)


def _joins(node: Node, arg: Node) -> bool:
    """May a product stand as a factor of another without brackets?

    Products without a sign are associative, so are those element by element, but not together; what a number scales is
    as it is without. A dot product is a number and always has brackets.
    """
    if _rank(arg) == 0:
        return arg.op == "matmul" and _scaled(arg) is not None
    kind = _kind(arg)
    return not kind or _scaled(node) is not None or (kind == _kind(node) and kind in ("multiply", "joined"))


def _kind(node: Node) -> str:
    """How the factors of a product are joined that are not numbers; "" where there is one."""
    scaled: Node | None = node
    while scaled is not None:
        node, scaled = scaled, _scaled(scaled)
    return "joined" if node.op in JOINED else node.op if node.op in PRODUCTS else ""


def _scaled(node: Node) -> Node | None:
    """What a number scales; None where a product has none."""
    if node.op != "matmul" or all(_rank(a) != 0 for a in node.args):
        return None
    return node.args[_rank(node.args[0]) == 0]


def _rank(node: Node) -> int | None:
    return None if node.type is None else node.type.rank


def _held(term: Term, needed: int) -> str:
    if term.among is not None and 0 < needed < CALL:
        term = term.among
    return term.text if term.tight >= needed else bracketed(term.text)


def _one_superscript(text: str) -> str:
    """TeX knows no second superscript, and looks through braces around nothing but an accented letter."""
    if "^" not in text or text.endswith(")"):
        return text
    return f"{{{text}{'{}' if text.startswith(ACCENTED) else ''}}}"


def _transposed(text: str) -> str:
    """x^T, with T beside the position where that is raised: h^{(t)T}."""
    if text.endswith(RAISED_POSITION) and text.count(RAISED_POSITION) == 1:
        return text[:-1] + r" \top}"
    return rf"{_one_superscript(text)}^\top"


# -- operations that are more than a template --------------------------------------------------------------


def _matmul(node: Node, args: list[Term], held: list[str]) -> Term | None:
    """Factors side by side, with a space beside words; -2 x needs no brackets of its own."""
    first, second = held
    tight = PRODUCT
    if _is_negative(node.args[0]):
        first, tight = args[0].text, NEGATIVE
    if second[:1].isdigit():
        numbers = _rank(node.args[0]) == 0
        return Term(rf"{first} \cdot {second}" if numbers else f"{first} {bracketed(second)}", tight)
    return Term(rf"{first} \, {second}" if _apart(first, second) else f"{first} {second}", tight)


def _apart(first: str, second: str) -> bool:
    """Are there words side by side, or a word and a letter?"""
    opens = second.startswith(("(", r"\left("))
    return second.startswith((WORD, rf"\delta {WORD}")) or (WORD in first and not first.startswith("(") and not opens)


def _add(node: Node, args: list[Term], held: list[str]) -> Term | None:
    """a - b, not a + -b."""
    return Term(f"{held[0]} - {held[1][1:]}", SUM) if held[1].startswith("-") else None


def _multiply(node: Node, args: list[Term], held: list[str]) -> Term | None:
    return Term(rf"{args[0].text} \odot {held[1]}", NEGATIVE) if _is_negative(node.args[0]) else None


def _where(node: Node, args: list[Term], held: list[str]) -> Term:
    """Cases; among other terms what is or is not there has an indicator before it."""
    among = None
    if _is_zero(node.args[2]):
        product = node.args[1].op == "const" and node.args[1].attr("value") == 1
        what = "" if product else rf" \, {_held(args[1], PRODUCT)}"
        among = Term(rf"\mathbf{{1}}_{{{held[0]}}}{what}", ATOM if product else PRODUCT)
    return Term(_filled(node, held), CASES, among)


def _exp(node: Node, args: list[Term], held: list[str]) -> Term | None:
    found = _exponential(node, held[0])
    return Term(found, TIGHTNESS["exp"] if found.startswith("e^") else ATOM)


def _exponential(node: Node, exponent: str) -> str:
    """As a function where the exponent would be too tall, or too small, to be read."""
    small = TALL.search(exponent) or ("^" in exponent and node.args[0].op != "ref")
    return rf"\exp{bracketed(exponent)}" if small else f"e^{{{exponent}}}"


def _enclosed(node: Node, args: list[Term], held: list[str]) -> Term | None:
    """Bars that do not grow, around what is not tall."""
    bar = {"abs": "vert", "floor": "floor"}[node.op]
    return None if TALL.search(held[0]) else Term(rf"\l{bar} {held[0]} \r{bar}")


def _power(node: Node, args: list[Term], held: list[str]) -> Term | None:
    """tanh^2(x), and f(x)^2 without further brackets."""
    base, exponent = node.args
    if base.op in ("tanh", "sin", "cos") and exponent.op == "const" and exponent.attr("value") in (2, 3, 4):
        return Term(args[0].text.replace(f"\\{base.op}", rf"\{base.op}^{{{held[1]}}}", 1), TIGHTNESS["power"])
    return None


def _expand(node: Node, args: list[Term], held: list[str]) -> Term | None:
    """The vector of zeros before the first step."""
    return Term(r"\mathbf{0}") if _is_zero(node.args[0]) else None


def _embed(node: Node, args: list[Term], held: list[str]) -> Term | None:
    table = bracketed(held[0]) if node.args[0].op == "ref" and "_" in held[0] else held[0]
    return Term(rf"{table}_{{{held[1]}}}")  # TeX knows no second subscript


def _categorical(node: Node, args: list[Term], held: list[str]) -> Term | None:
    """A position has its index below."""
    over = node.attr("over")
    return Term(rf"\text{{Categorical}}_{{{over[0]}}}{bracketed(held[0])}") if over else None


SPECIAL = {"add": _add, "matmul": _matmul, "multiply": _multiply, "where": _where, "exp": _exp, "abs": _enclosed,
           "floor": _enclosed, "expand": _expand, "power": _power, "embed": _embed, "categorical": _categorical}


# -- reductions, and what runs along an axis ---------------------------------------------------------------


def _over(node: Node, arg: Term, held: str, bare: bool) -> Term | None:
    """The row with what it runs over below it, where that is told."""
    op = node.op
    if op == "sum" and _rank(node.args[0]) == 1 and node.attr("axis"):  # of a vector's numbers
        over = dict(node.attrs).get("over")
        joined = node.args[0].op in JOINED or node.args[0].op not in PRODUCTS
        inner = rf"\mathbf{{1}}^\top {_held(arg, PRODUCT if joined else ATOM)}"
        return Term(rf"\sum_{{{','.join(over)}}} {inner}" if over else inner, TOTAL)
    along = _along(node, bare)
    if op == "logsumexp":
        below = f"_{{{along}}}" if along else ""
        return Term(rf"\log \sum{below} {_exponential(node, held)}", TOTAL)
    if op == "sum" or (op == "max" and along):
        below = f"_{{{along}}}" if along else ""
        return Term(rf"\{op}{below} {_held(arg, TOTAL)}", TOTAL)
    if not along:
        return Term(_template(op).format(bracketed(arg.text)))
    if op == "mean":
        return Term(rf"\text{{mean}}_{{{along}}} \, {_held(arg, TOTAL)}", TOTAL)
    return Term(TABLE[op].latex.format(rf"_{{{along}}}{held}"), TIGHTNESS.get(op, ATOM))


def _along(node: Node, bare: bool) -> str:
    """The indices that a row reduces or runs over, and the axes where they are not the usual ones."""
    attrs, typed = dict(node.attrs), node.args[0].type
    over = attrs.get("over") or ()
    backwards = [r"\text{reversed}"] * bool(attrs.get("reverse"))
    axes = axes_of(attrs["axis"] if typed is not None else None)
    reduces = node.op in REDUCING
    if reduces and bare and axes and typed is not None and len(axes) == typed.rank and set(over) == set(typed.indices):
        return ""  # everything
    usual = typed is None or not axes or (
        not over and len(axes) == typed.rank if reduces else axes == (typed.rank - 1,))
    told = [] if usual else [r"\text{axis}\," + ",".join(map(str, axes))]
    return ";".join([",".join(over)] * bool(over) + told + backwards)
