"""Equations as LaTeX, aligned as a lecture shows them."""

from __future__ import annotations

from .node import At, Node, walk
from .ops import TABLE
from .symbols import GREEK, symbol
from .system import Equation, System

ATOM, PRODUCT, SUM, COMPARISON = 100, 20, 10, 5
TIGHTNESS = {"add": SUM, "subtract": SUM, "negative": SUM + 5, "multiply": PRODUCT, "matmul": PRODUCT, "dot": PRODUCT,
             "outer": PRODUCT, "power": 30, "transpose": 40, "less": COMPARISON, "less_equal": COMPARISON,
             "greater": COMPARISON, "greater_equal": COMPARISON, "equal": COMPARISON, "not_equal": COMPARISON}


def name_latex(name: str) -> str:
    """W_hx -> W_{hx}; d_h -> \\delta h, the adjoint; alpha -> \\alpha; y_hat -> \\hat{y}; longer words upright."""
    s = symbol(name)
    word = s.base.replace("_", r"\_")
    base = rf"\{word}" if word in GREEK else word if len(word) == 1 else rf"\mathrm{{{word}}}"
    base = rf"\{s.accent}{{{base}}}" if s.accent else base
    whole = f"{base}_{{{s.subscript}}}" if s.subscript else base
    return rf"\delta {whole}" if s.adjoint else whole


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
        value = attrs["value"]
        shown = {float("inf"): r"\infty", float("-inf"): r"-\infty"}.get(value)
        return shown or f"{value:g}", ATOM if value >= 0 else SUM
    if op == "position":
        return attrs["index"], ATOM
    if op == "last":
        return attrs["index"].upper(), ATOM
    if op == "count":
        return rf"\left|{','.join(attrs['over'])}\right|", ATOM
    own = TIGHTNESS.get(op, ATOM)
    held = [_held(text, tight, _needed(op, own, k)) for k, (text, tight) in enumerate(args)]
    if op in ("sum", "mean", "max", "softmax", "log_softmax", "logsumexp") and attrs.get("over"):
        return _over(node, held[0]), PRODUCT
    row = TABLE[op]
    over = ",".join(held)
    shown = row.latex or rf"\operatorname{{{op}}}({{args}})"
    return shown.format(*held, args=over, **{k: v for k, v in attrs.items() if k != "args"}), own


def _needed(op: str, own: int, k: int) -> int:
    """How tightly an argument must bind to stand without brackets; functions always take brackets around terms."""
    if op in ("divide", "where", "maximum", "minimum", "squared_error", "abs", "sqrt", "exp", "concat", "stack",
              "cross_entropy", "softmax_cross_entropy", "binary_cross_entropy", "sigmoid_cross_entropy"):
        return 0
    if op == "power":
        return ATOM if k == 0 else 0
    if op in TIGHTNESS:
        return own + (k > 0)
    return ATOM + 1  # tanh(...), softmax(...): brackets even around a single name


def _held(text: str, tight: int, needed: int) -> str:
    return text if tight >= needed else rf"\left({text}\right)"


def _over(node: Node, inner: str) -> str:
    over = ",".join(node.attr("over"))
    if node.op == "sum":
        return rf"\sum_{{{over}}} {inner}"
    return rf"\operatorname{{{node.op.replace('_', ' ')}}}_{{{over}}} {inner}"


def equation_latex(eq: Equation) -> str:
    """One row of an aligned environment."""
    return rf"{name_latex(eq.name)}{slots_latex(eq.slots)} &= {expression_latex(eq.rhs)}"


def system_latex(system: System) -> str:
    """All equations in one `aligned` block (amsmath)."""
    rows = " \\\\\n".join(f"  {equation_latex(eq)}" for eq in system.equations)
    return f"\\begin{{aligned}}\n{rows}\n\\end{{aligned}}"
