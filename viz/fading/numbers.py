"""Numbers of gradients as they are written, and as colours and widths."""

from __future__ import annotations

import math

from matplotlib.colors import LinearSegmentedColormap, to_hex

from ..style import RAMPS
from ..text import Label, Span, plain

THIN, THICK = 0.6, 3.4  # of a gradient's arrow, where there is hardly any and where there is most
# From none to all of it: the gradient's colours, and on to darker ones, since a hall's last row has to see it fade.
COLOURS = LinearSegmentedColormap.from_list("fading", [*RAMPS["gradient"], "#8E2A7C", "#5E1153"])


def colour_at(place: float) -> str:
    """The colour of a cell at a place from 0 to 1 of the scale."""
    return to_hex(COLOURS(place)).upper()


def thickness(place: float) -> float:
    """How wide a gradient's arrow is."""
    return THIN + (THICK - THIN) * place


def round_up(n: int) -> int:
    """The next of 1 to 5, 10, 20, 25, 50, 100 and so on."""
    if n <= 5:
        return n
    size = 10 ** int(math.log10(n))
    return next(int(m * size) for m in (1, 2, 2.5, 5, 10) if m * size >= n)


def power(exponent: int) -> Label:
    """10⁻³, raised."""
    if exponent in (0, 1):
        return plain(str(10**exponent))
    return (Span("10"), Span(str(exponent).replace("-", "−"), scale=0.72, rise=0.32))


def number(ratio: float) -> Label:
    """A ratio with two digits: 0.13, or 1.3·10⁻⁴ where it is small."""
    if not ratio:
        return plain("0")
    if 1e-3 <= ratio < 1e3:
        return plain(f"{ratio:#.2g}".rstrip(".") if ratio < 99.5 else f"{ratio:.0f}")
    mantissa, _, exponent = f"{ratio:.1e}".partition("e")
    return (Span(f"{mantissa}·"), *power(int(exponent)))


def ordinal(n: int) -> str:
    """2nd, 3rd, 4th, 11th, 21st."""
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"
