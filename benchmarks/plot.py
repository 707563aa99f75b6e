"""The picture of all ratios: a dot for each size, a tick for its bar."""

from __future__ import annotations

import os
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.lines import Line2D

from .rows import BARS, SIZE_NAMES
from .tables import Results, ratio_verdicts, shape

COLOURS = dict(zip(SIZE_NAMES, ("#9ecae1", "#6baed6", "#3182bd", "#08519c", "#08204a"), strict=True))
MISS = "#d62728"
LANE = 0.16  # the height of one size within a row, in rows


def draw(results: Results, path: Path) -> None:
    """Write the picture, beside and renamed."""
    found = list(ratio_verdicts(results))
    titles = [bar.title for bar in BARS if any(v.title == bar.title for v in found)]
    figure, axes = plt.subplots(figsize=(10, 0.75 * len(titles) + 1.6), layout="constrained")
    for verdict in found:
        lane = titles.index(verdict.title) + LANE * (SIZE_NAMES.index(verdict.size) - 2)
        if verdict.limit is not None:
            axes.plot([verdict.ratio, verdict.limit], [lane, lane], color="#cccccc", lw=1, zorder=1)
            axes.plot(verdict.limit, lane, "|", color="black", ms=9, mew=1.5, zorder=2)
        axes.plot(verdict.ratio, lane, "o", color=COLOURS[verdict.size], ms=6.5, zorder=3,
                  markeredgecolor="white" if verdict.passed else MISS, mew=0.6 if verdict.passed else 1.6)
    axes.axvline(1, color="black", lw=1)
    axes.set_xscale("log")
    axes.set_ylim(len(titles) - 0.5, -0.5)
    axes.set_yticks(range(len(titles)), titles)
    axes.set_yticks([k + 0.5 for k in range(len(titles) - 1)], minor=True)
    axes.grid(axis="x", which="major", color="#e5e5e5")
    axes.grid(axis="y", which="minor", color="#d0d0d0", lw=0.6)
    axes.tick_params(which="both", length=0)
    axes.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set_xlabel("time of ours / time of theirs, one training step (left of 1: ours is faster)")
    figure.legend(handles=legend(), loc="outside upper center", ncols=4, frameon=False, fontsize=8.5)
    beside = path.with_name(f"new-{path.name}")
    figure.savefig(beside, dpi=130)
    os.replace(beside, path)


def legend() -> list[Line2D]:
    """The sizes, the bar, a miss."""
    def mark(label: str, marker: str, colour: str, edge: str, width: float) -> Line2D:
        return Line2D([], [], ls="", label=label, marker=marker, color=colour, markeredgecolor=edge, mew=width, ms=7)

    sizes = [mark(f"{name}: T, N, in, hidden = {shape(name)}", "o", COLOURS[name], "white", 0.6) for name in SIZE_NAMES]
    return [*sizes, mark("the bar", "|", "black", "black", 1.5), mark("misses its bar", "o", "white", MISS, 1.6)]
