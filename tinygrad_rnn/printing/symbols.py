"""How a name is read as a mathematical symbol: W_hx, alpha, y_hat, h1, d_c; and a number in powers of ten."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..system import System

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
_NUMBER = re.compile(r"_\d+$")


class Symbol(NamedTuple):
    """base: a letter or a word; accent: one of ACCENTS; adjoint: a sign for each time that it is the gradient with
    respect to that, from left to right: "", or the number of one of its terms."""

    base: str
    subscript: str = ""
    accent: str = ""
    adjoint: tuple[str, ...] = ()


def symbol(name: str) -> Symbol:
    """What a name is of which nothing else is known: whatever begins with d_ is an adjoint; d_1 is d with 1, for no
    name begins with a digit."""
    if name.startswith("d_") and name[2:].strip("_") and not name[2].isdigit():
        inner = symbol(name[2:])
        return inner._replace(adjoint=("", *inner.adjoint))
    return plain(name)


class Names:
    """The names of a system, which say what is an adjoint: d_x, if it has an equation and there is an x; and d_a_x and
    d_x_1, as the derivation names what it needs of these more than once. A weight or an input d_x is none."""

    def __init__(self, system: System):
        self.known = system.quantities

    def symbol(self, name: str) -> Symbol:
        """The symbol of one of them, or of another name."""
        rest = name.removeprefix("d_")
        if not self._is_adjoint(name, rest):
            return plain(name)
        owner, _, number = rest.rpartition("_")
        if rest in self.known:
            owner, number = rest, ""
        elif not (number.isdigit() and owner in self.known):
            return plain(rest)._replace(adjoint=("",))
        inner = self.symbol(owner)
        return inner._replace(adjoint=(number, *inner.adjoint))

    def _is_adjoint(self, name: str, rest: str) -> bool:
        if rest == name or name not in self.known or self.known[name].role != "defined":
            return False
        return any(_NUMBER.sub("", x) in self.known or x in self.known for x in (rest, rest.removeprefix("a_")))


def plain(name: str) -> Symbol:
    """W_hx is W with hx below it, h1 is h with 1, and y_hat has a hat; words stay words."""
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
