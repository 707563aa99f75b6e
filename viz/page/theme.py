"""Colours of the page: those of the pictures by day, and their counterparts on dark paper."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Iterable

from ..style import DASHES, FAINT, FILLS, HATCH, INK, LINES, PAPER, RAMPS, WRONG

DARK_PAPER, DARK_INK = "#14181D", "#ECEFF2"
# Lightness of boxes, of what holds boxes, of lines and text, and of lines that are hardly there.
DARK_FILL, DARK_PANEL, DARK_LINE, DIM = 0.22, 0.13, 0.66, 0.14
WORDS = {  # of the page around the picture: by day, in the dark
    "paper": (PAPER, DARK_PAPER),
    "ink": (INK, DARK_INK),
    "faint": (FAINT, "#A9B2BC"),
    "bar": ("#F6F7F9", "#1D232A"),
    "rule": ("#C9CED6", "#3A434E"),
    "control": ("#FFFFFF", "#2A323B"),
    "band": ("#FFF3CC", "#2B2A1C"),
    "focus": ("#0B57D0", "#8AB4FF"),
    "found": ("#D6006C", "#FF7AB8"),
    "wrong": (WRONG, "#B3261E"),
    "hatch": (HATCH, "#3D4650"),
    "activation-low": (RAMPS["activation"][0], "#20262D"),
    "activation-high": (RAMPS["activation"][-1], "#1C6AA3"),
    "gradient-low": (RAMPS["gradient"][0], "#20262D"),
    "gradient-high": (RAMPS["gradient"][-1], "#A0368B"),
}


def dark_fill(style: str) -> str:
    """The fill of a box on dark paper: the hue of its stroke, dark enough for light text."""
    lightness, share = (DARK_PANEL, 0.45) if style.startswith("panel") else (DARK_FILL, 0.7)
    return _with(FILLS[style].stroke, lambda s: share * s, lightness)


def dark_line(colour: str) -> str:
    """The colour of a line or of text on dark paper: its own hue, light; what is pale by day is dim."""
    pale = max(0.0, 2 * _lightness(colour) - 1)
    return DARK_INK if colour == INK else _with(colour, lambda s: s * (1 - pale), DARK_LINE + pale * (DIM - DARK_LINE))


def _lightness(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    return (min(parts) + max(parts)) / 2


def _with(colour: str, saturation: Callable[[float], float], lightness: float) -> str:
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    hue, _, s = colorsys.rgb_to_hls(red, green, blue)
    return "#" + "".join(f"{round(255 * v):02X}" for v in colorsys.hls_to_rgb(hue, lightness, saturation(s)))


def rules(fills: Iterable[str], lines: Iterable[str], inks: Iterable[str]) -> str:
    """The style sheet of the kinds of boxes and of lines that are drawn, and of texts in these colours."""
    fills, lines, inks = list(fills), list(lines), list(inks)
    day = {f"--{k}": v[0] for k, v in WORDS.items()}
    night = {f"--{k}": v[1] for k, v in WORDS.items()}
    out = []
    for name in fills:
        fill = FILLS[name]
        if fill.stroke == "none":
            continue
        day |= {f"--{name}-fill": fill.fill, f"--{name}-stroke": fill.stroke}
        night |= {f"--{name}-fill": dark_fill(name), f"--{name}-stroke": dark_line(fill.stroke)}
        dashes = "stroke-dasharray:5 4;" if fill.dashed else ""
        out.append(f".s-{name}{{fill:var(--{name}-fill);stroke:var(--{name}-stroke);stroke-width:{fill.width};{dashes}}}")
    for name in lines:
        line = LINES[name]
        day[f"--{name}-line"], night[f"--{name}-line"] = line.colour, dark_line(line.colour)
        dashes = f"stroke-dasharray:{DASHES[0]} {DASHES[1]};" if line.dashed else ""
        out.append(f".l-{name}{{--own:var(--{name}-line);stroke-width:{line.width};{dashes}}}")
    for k, colour in enumerate(inks):
        day[f"--ink{k}"], night[f"--ink{k}"] = colour, dark_line(colour)
        out.append(f".k{k}{{fill:var(--ink{k})}}.p{k}{{--own:var(--ink{k})}}")
    return "\n".join([
        f":root{{color-scheme:light;{_block(day)}}}",
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{_block(night)}}}}}",
        f":root[data-theme=dark]{{color-scheme:dark;{_block(night)}}}",
        f"@media print{{:root:root{{color-scheme:light;{_block(day)}}}}}", *out])


def _block(colours: dict[str, str]) -> str:
    return "".join(f"{name}:{value};" for name, value in colours.items())
