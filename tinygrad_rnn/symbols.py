"""How a name is read as a mathematical symbol: W_hx, alpha, y_hat, h1, d_c."""

from __future__ import annotations

import re
from typing import NamedTuple

GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η", "theta": "θ",
         "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ",
         "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ",
         "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω"}
ACCENTS = {"hat": "\u0302", "tilde": "\u0303", "bar": "\u0304", "dot": "\u0307"}  # Unicode's combining characters
_NUMBERED = re.compile(r"([^\W\d_]+)(\d+)")


class Symbol(NamedTuple):
    """base: a letter or a word; accent: one of ACCENTS; adjoint: is it the gradient with respect to that?"""

    base: str
    subscript: str = ""
    accent: str = ""
    adjoint: bool = False


def symbol(name: str) -> Symbol:
    """W_hx is W with hx below it, h1 is h with 1, y_hat has a hat, and d_c is the adjoint of c; words stay words."""
    if name.startswith("d_") and name.strip("_") != "d":
        return symbol(name[2:])._replace(adjoint=True)
    head, *rest = name.split("_")
    accent = rest.pop(0) if rest and rest[0] in ACCENTS else ""
    numbered = _NUMBERED.fullmatch(head)
    if numbered and (len(numbered[1]) == 1 or numbered[1] in GREEK):
        head, rest = numbered[1], [numbered[2], *rest]
    return Symbol(head, ",".join(x for x in rest if x), accent) if head else Symbol(name)
