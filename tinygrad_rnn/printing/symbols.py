"""How a name is read as a mathematical symbol: W_hx, alpha, y_hat, h1, d_c; and a number in powers of ten."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..node import refs
from ..system import System, closure

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
LONGEST, LONGEST_OF_LETTER = 12, 16  # letters below the line, of a word and of a letter; with more, all is a word
_NUMBERED = re.compile(r"([^\W\d_]+)(\d+)")


class Symbol(NamedTuple):
    """base: a letter or a word; accent: one of ACCENTS, which a part of the subscript may have too, sigma_hat; adjoint:
    a sign for each time that it is the gradient with respect to that, from left to right: "", or the number of one of
    its terms."""

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
    """The names of a system, which say what is an adjoint.

    A derivation begins with its seed, d_loss = 1. With one, an adjoint is a d_x beside an x that has an equation, and
    so are d_a_x and d_x_1, as the derivation names what it needs more than once; but not what the loss follows from.
    Without one there is none: a d_x of one's own is d with x below it.
    """

    def __init__(self, system: System):
        self.known = system.quantities
        self._reads: dict[str, set[str]] = {}
        for eq in system.equations:
            self._reads.setdefault(eq.name, set()).update(node.attr("name") for node in refs([eq.rhs]))
        self._adjoints = set[str]()
        for seed in (eq for eq in system.equations if eq.rhs.op == "const" and eq.rhs.attr("value") == 1):
            owner = self._owner(seed.name)[0]
            if owner in self._reads and not self.known[owner].slots:
                above = closure([owner], self._reads)
                self._adjoints |= {name for name in self._reads if self._owner(name)[0]} - above

    def _owner(self, name: str) -> tuple[str, str | None]:
        """The x of d_x, d_x_1 and d_a_x, and the number: "" of d_x, None of d_a_x. "" where there is no x."""
        rest = name.removeprefix("d_")
        for x in (rest, rest.removeprefix("a_")) if rest != name else ():
            whole, _, number = (x, "", "") if x in self.known else x.rpartition("_")
            if whole in self.known and (x in self.known or number.isdigit()):
                return whole, number if x is rest else None
        return "", ""

    def symbol(self, name: str) -> Symbol:
        """The symbol of one of them, or of another name."""
        if name not in self._adjoints:
            return plain(name)
        owner, number = self._owner(name)
        if number is None:  # of what a sigmoid or tanh reads
            return plain(name.removeprefix("d_"))._replace(adjoint=("",))
        inner = self.symbol(owner)
        return inner._replace(adjoint=(number, *inner.adjoint))


def plain(name: str) -> Symbol:
    """W_hx is W with hx below it, h1 is h with 1, and y_hat has a hat; words stay words."""
    head, *rest = name.split("_")
    accent = rest.pop(0) if rest and rest[0] in ACCENTS else ""
    numbered = _NUMBERED.fullmatch(head)
    if numbered and (len(numbered[1]) == 1 or numbered[1] in GREEK):
        head, rest = numbered[1], [numbered[2], *rest]
    below = ",".join(_parts(rest))
    longest = LONGEST_OF_LETTER if len(head) == 1 or head in GREEK else LONGEST
    return Symbol(NAME_OF.get(head, head), below, accent) if head and len(below) <= longest else Symbol(name)


def _parts(words: list[str]) -> list[str]:
    """What stands below the line, accents with the letters before them."""
    found = list[str]()
    for word in filter(None, words):
        if word in ACCENTS and found and (len(found[-1]) == 1 or found[-1] in GREEK_BELOW):
            found[-1] += f"_{word}"
        else:
            found.append(word)
    return found


def scientific(value: float) -> tuple[str, int]:
    """A number's digits and a power of ten; 0 where it is short without, and no digits where they would be 1."""
    mantissa, _, exponent = f"{value:e}".partition("e")
    digits, power = mantissa.rstrip("0").rstrip("."), int(exponent)
    if not value or power in SHORT or len(digits) > MOST_DIGITS + 1 or float(f"{digits}e{power}") != value:
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value), 0
    return {"1": "", "-1": "-"}.get(digits, digits), power
