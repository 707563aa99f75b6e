"""From the results to tables of text, the same on the screen and in RESULTS.md."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .cells import ALL_SIZES, LSTM, SIZES
from .rows import (
    AGREEMENT_BAR,
    BARS,
    FIRST_STEP_BARS,
    LINEAR_BAR,
    ROWS,
    SEQUENCES,
    SGEMM_BAR,
    SQRT_BARS,
    STEPPER_BAR,
    Bar,
    Entrant,
)

Results = dict[str, Any]
SIDE_TITLES = {"ours": "ours", "numpy": "ours, NumPy alone", "torch": "PyTorch", "jax": "JAX",
               "flash": "FlashRNN"}
CELL_TITLES = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN", "layernorm": "LayerNorm-LSTM", "peephole": "peephole LSTM",
               "mgu": "MGU", "made_up": "made-up cell", "delta": "delta rule", "attention": "attention",
               "training": "LSTM, clipping and Adam too"}


@dataclass(frozen=True)
class Table:
    """A title and rows of text; the first row names the columns."""

    title: str
    rows: list[list[str]]

    def markdown(self) -> str:
        """As an aligned table of Markdown."""
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        first, *others = ("| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
                          for row in self.rows)
        rule = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
        return "\n".join([f"## {self.title}", "", first, rule, *others])


@dataclass(frozen=True)
class Verdict:
    """A ratio that was measured and the bar that it is held against."""

    title: str
    size: str
    ratio: float
    limit: float | None

    @property
    def passed(self) -> bool:
        """At the bar or below it."""
        return self.limit is None or self.ratio <= self.limit

    def __str__(self) -> str:
        if self.limit is None:
            return f"{self.ratio:.3g} (no bar)"
        return f"{self.ratio:.3g} ({self.limit:g}) {'pass' if self.passed else '**miss**'}"


def medians(results: Results, size: str, row: str) -> dict[str, float]:
    """Seconds of a call by entrant: the median over rounds of the median within a round."""
    rounds = results["seconds"].get(size, {}).get(row, {})
    return {key: statistics.median(values) for key, values in rounds.items()}


def spreads(results: Results) -> list[float]:
    """For each rival, how far its slowest round is above its fastest, as a share of it: large on a busy machine."""
    rounds = [values for rows in results["seconds"].values() for row in rows.values() for values in row.values()]
    return [max(values) / min(values) - 1 for values in rounds]


def ratio_verdicts(results: Results, bars: Sequence[Bar] = BARS) -> Iterator[Verdict]:
    """Every ratio that has a bar and was measured."""
    for bar in bars:
        for size, limit in bar.limits.items():
            found = medians(results, size, bar.row)
            if bar.ours in found and bar.theirs in found:
                yield Verdict(bar.title, size, bar.ratio(size, found), limit)


def other_verdicts(results: Results) -> Iterator[Verdict]:
    """The bars beside the ratios by size: the rate of products, the stepper, the agreement of the two ways to run."""
    step = medians(results, "S5", "lstm").get("ours lstm")
    if step is not None:
        yield Verdict("LSTM step / (its FLOPs / sgemm rate)", "S5",
                      step * results["sgemm"] / LSTM.gflop(SIZES["S5"]), SGEMM_BAR)
    for name, limit in FIRST_STEP_BARS.items() if "first_step" in results else ():
        yield Verdict(f"seconds to the end of the first step, {name}", "S3", results["first_step"][name], limit)
    if "stepper" in results:
        ours, theirs = (statistics.median(results["stepper"]["seconds"][f"{s} stepper"]) for s in ("ours", "torch"))
        yield Verdict("stepper / nn.LSTMCell", "N=1, H=128", ours / theirs, STEPPER_BAR)
    for what, unit in (("seconds", "time"), ("mib", "memory")) if "sequences" in results else ():
        each = [results["sequences"][str(steps)][what] / steps for steps in SEQUENCES]
        yield Verdict(f"{unit} per step, largest / smallest", f"T={SEQUENCES[0]:,} to {SEQUENCES[-1]:,}",
                      max(each) / min(each), LINEAR_BAR)
    for what, unit in (("seconds", "time"), ("mib", "memory")) if "training" in results else ():
        yield Verdict(f'fit(memory="sqrt") / fit, {unit}', "T=10,000",
                      results["training"]["sqrt"][what] / results["training"]["plain"][what], SQRT_BARS[what])
    for size, by_pair in errors_by_sides(results).items():
        if ("ours", "numpy") in by_pair:
            yield Verdict("with and without compiled code, relative difference", size, by_pair["ours", "numpy"],
                          AGREEMENT_BAR)


def errors_by_sides(results: Results) -> dict[str, dict[tuple[str, str], float]]:
    """The largest relative error at each size, over rows, by the two sides that were compared."""
    found: dict[str, dict[tuple[str, str], float]] = {}
    for size, rows in results["errors"].items():
        worst = found.setdefault(size, {})
        for pair, error in (item for row in rows.values() for item in row.items()):
            a, b = (key.split()[0] for key in pair.split(", "))
            worst[a, b] = max(error, worst.get((a, b), 0.0))
    return found


def time_table(results: Results, entrants_by_row: Mapping[str, Sequence[Entrant]] = ROWS,
               title: str = "Milliseconds of a training step") -> Table:
    """Milliseconds of a step."""
    sizes = list(results["seconds"])
    rows = [["row", "rival", *(f"{s} ({shape(s)})" for s in sizes)]]
    for row, entrants in entrants_by_row.items():
        for entrant in entrants:
            times = [time_or_reason(results, size, row, entrant) for size in sizes]
            if set(times) != {"-"}:
                rows.append([row, entrant_title(entrant), *times])
    return Table(title, rows)


def entrant_title(entrant: Entrant) -> str:
    """The cell and whose it is."""
    return f"{CELL_TITLES[entrant.cell]}, {SIDE_TITLES[entrant.side]}"


def time_or_reason(results: Results, size: str, row: str, entrant: Entrant) -> str:
    """Milliseconds, or in a word why there are none, or a dash where none were asked for."""
    seconds = medians(results, size, row).get(entrant.key)
    if seconds is not None:
        return f"{1e3 * seconds:.4g}"
    reason = results.get("missing", {}).get(size, {}).get(row, {}).get(entrant.key)
    return "-" if reason is None else str(reason[0])


def shape(size: str) -> str:
    """T, N, inputs and hidden units of a size."""
    s = ALL_SIZES[size]
    return f"{s.steps}, {s.batch}, {s.inputs}, {s.hidden}"


def ratio_table(results: Results, bars: Sequence[Bar] = BARS, title: str = "Ratios, ours / theirs (bar)") -> Table:
    """Ratios with their bars."""
    sizes = list(results["seconds"])
    found = {(v.title, v.size): str(v) for v in ratio_verdicts(results, bars)}
    rows = [[bar.title, *(found.get((bar.title, size), "-") for size in sizes)] for bar in bars]
    return Table(title, [["ratio", *sizes], *(r for r in rows if set(r[1:]) != {"-"})])


def other_table(results: Results) -> Table:
    """The bars that are not ratios by size."""
    rows = [[v.title, v.size, str(v)] for v in other_verdicts(results)]
    return Table("Other bars", [["what", "at", "value (bar)"], *rows])


def error_table(results: Results, title: str = "Largest relative difference of outputs and gradients") -> Table:
    """How far the sides are apart."""
    found = errors_by_sides(results)
    pairs = sorted({pair for worst in found.values() for pair in worst})
    rows = [[" and ".join(SIDE_TITLES[s] for s in pair), *(f"{w[pair]:.1e}" if pair in w else "-"
                                                           for w in found.values())] for pair in pairs]
    return Table(title, [["sides", *found], *rows])


def first_step_table(results: Results) -> Table:
    """From declaring to the end of the first step."""
    rows = [[name, f"{seconds:.2f}"] for name, seconds in results["first_step"].items()]
    return Table("From declaring the LSTM at S3 to the end of its first step", [["in a fresh process", "s"], *rows])


def stepper_table(results: Results) -> Table:
    """Microseconds of an online step."""
    rows = [[SIDE_TITLES[key.split()[0]], f"{1e6 * statistics.median(values):.4g}"]
            for key, values in results["stepper"]["seconds"].items()]
    return Table("Microseconds of one online step, LSTM, one example, 128 units", [["rival", "µs"], *rows])


def sequence_table(results: Results) -> Table:
    """Time and memory against the length of the sequence."""
    found = results["sequences"]
    rows = [["T", "ms", "ms per 1,000 steps", "MiB", "MiB per 1,000 steps"]]
    for steps in SEQUENCES:
        ms, mib = 1e3 * found[str(steps)]["seconds"], found[str(steps)]["mib"]
        rows.append([f"{steps:,}", f"{ms:.4g}", f"{1e3 * ms / steps:.4g}", f"{mib:.4g}", f"{1e3 * mib / steps:.4g}"])
    return Table("Long sequences: LSTM, 8 examples, 64 units", rows)


def training_table(results: Results) -> Table:
    """Time and memory of fit over a long sequence."""
    rows = [[how, f"{1e3 * r['seconds']:.4g}", f"{r['mib']:.4g}"] for how, r in results["training"].items()]
    return Table("An epoch of fit over 10,000 steps, the same LSTM", [["memory=", "ms", "MiB"], *rows])


# The part of the results that must be there -> what is made of it.
TABLES: dict[str, list[Callable[[Results], Table]]] = {
    "seconds": [time_table, ratio_table, error_table], "first_step": [first_step_table], "stepper": [stepper_table],
    "sequences": [sequence_table], "training": [training_table]}


def tables(results: Results) -> list[Table]:
    """The tables of what was measured."""
    found = [make(results) for key, makers in TABLES.items() if results.get(key) for make in makers]
    return [t for t in (*found, other_table(results)) if len(t.rows) > 1]


def summary(results: Results) -> str:
    """The rate of products, how steady the machine was, and how many bars are met."""
    found = [v for v in (*ratio_verdicts(results), *other_verdicts(results)) if v.limit is not None]
    return (f"{sum(v.passed for v in found)} of {len(found)} bars are met. float32 matrix products ran at "
            f"{results['sgemm']:.0f} GFLOP/s at best (NumPy, two threads).{steadiness(results)}")


def steadiness(results: Results) -> str:
    """How far the rounds of a rival are apart, as a sentence behind others."""
    spread = spreads(results)
    return (f" The slowest round of a rival was above its fastest by {statistics.median(spread):.0%} in the "
            f"median, {max(spread):.0%} at most." if spread else "")
