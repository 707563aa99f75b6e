"""How a name is read as a mathematical symbol: W_hx, alpha, y_hat, h1, d_c; and a number in powers of ten."""

from __future__ import annotations

import re
from typing import NamedTuple

GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η", "theta": "θ",
         "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ",
         "tau": "τ", "upsilon": "υ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ",
         "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Upsilon": "Υ", "Phi": "Φ", "Psi": "Ψ",
         "Omega": "Ω"}
NAME_OF = {letter: name for name, letter in GREEK.items()}
# Below the line xi is no letter: W_xi goes from x to i, W_pi from p to i.
GREEK_BELOW = {name: letter for name, letter in GREEK.items() if name not in ("xi", "pi")}
NOTATIONS = ("superscript", "subscript")  # where positions stand: h⟨t⟩, raised, or below the line, as lecture notes do
ACCENTS = {"hat": "\u0302", "tilde": "\u0303", "bar": "\u0304", "dot": "\u0307"}  # Unicode's combining characters
SHORT = range(-3, 6)  # powers of ten of numbers that are written out
MOST_DIGITS = 5  # of numbers that are not
LONGEST = 12  # letters below the line; of a name with more, the whole is a word
_NUMBERED = re.compile(r"([^\W\d_]+)(\d+)")


class Symbol(NamedTuple):
    """base: a letter or a word; accent: one of ACCENTS; adjoint: how often it is the gradient with respect to that."""

    base: str
    subscript: str = ""
    accent: str = ""
    adjoint: int = 0


def symbol(name: str) -> Symbol:
    """W_hx is W with hx below it, h1 is h with 1, y_hat has a hat, and d_c is the adjoint of c; words stay words.

    d_1 is d with 1: no name begins with a digit.
    """
    if name.startswith("d_") and name[2:].strip("_") and not name[2].isdigit():
        inner = symbol(name[2:])
        return inner._replace(adjoint=inner.adjoint + 1)
    head, *rest = name.split("_")
    accent = rest.pop(0) if rest and rest[0] in ACCENTS else ""
    numbered = _NUMBERED.fullmatch(head)
    if numbered and (len(numbered[1]) == 1 or numbered[1] in GREEK):
        head, rest = numbered[1], [numbered[2], *rest]
    below = ",".join(x for x in rest if x)
    return Symbol(NAME_OF.get(head, head), below, accent) if head and len(below) <= LONGEST else Symbol(name)


def scientific(value: float) -> tuple[str, int]:
    """A number's digits and a power of ten; 0 where it is short without, and no digits where they would be 1."""
    mantissa, _, exponent = f"{value:e}".partition("e")
    digits, power = mantissa.rstrip("0").rstrip("."), int(exponent)
    if not value or power in SHORT or len(digits) > MOST_DIGITS + 1 or float(f"{digits}e{power}") != value:
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value), 0
    return {"1": "", "-1": "-"}.get(digits, digits), power
