"""RESULTS-gpu.md and results-gpu.json: what was measured on a GPU, and what was not."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .cells import ALL_SIZES, GPU_SIZES
from .gpu_rows import (
    BARS_BY_PRECISION,
    CELL_OF,
    CUDNN_BAR,
    EAGER_BAR,
    FLOP_BAR,
    JAX_BAR,
    ORDER,
    PRECISION_OF,
    ROWS_BY_PRECISION,
    STAYING_BAR,
)
from .report import kept_section, replace
from .rows import Bar, Entrant
from .tables import (
    Results,
    Table,
    entrant_title,
    error_table,
    medians,
    ratio_table,
    ratio_verdicts,
    steadiness,
    time_table,
)

NAME = "RESULTS-gpu.md"
COMMAND = "make bench-gpu"
NOT_YET = "not yet run"
NUMBER_BYTES = {"float32": 4, "tf32": 4, "bfloat16": 2}
HOW = """One step is the forward pass and the gradients of all weights, not of the input; weights and data are on the
GPU before, and the loss is `sum(h[t] * r[t])` with r random. The row `training` is a whole training step: clipping by
the global norm and Adam, too. PyTorch's LSTM, GRU and RNN are cuDNN's, its other cells are loops over t, eager; JAX's
are `lax.scan`, compiled. Each side has a process of its own, and one at a time uses the GPU; JAX takes memory as it
needs it. The rivals of a row take turns, and a time is the median over rounds of the median within a round. Ours and
PyTorch are timed by CUDA events around as many steps as fit into 20 ms, JAX by the host's clock around as many and
`block_until_ready`; where the host's clock saw a fifth more than the events, that counts.

float32 is exact: TF32 is off on every side. With tf32, every side may round the operands of products to it. With
bfloat16 ours and JAX round the operands of products, add up in float32 and keep all arrays in float32; PyTorch and
FlashRNN keep all arrays in bfloat16. The outputs h, from which the loss follows, and all gradients were compared with
PyTorch's before anything was timed, or with those of the next side where PyTorch has none; after the training step,
the weights. T, N, inputs and hidden units stand in brackets behind a size."""
BARS = f"""Bars, as ratios of times: our LSTM / cuDNN at most {CUDNN_BAR:g}, in each precision, and {STAYING_BAR:g}
where its loop was run as one kernel; an own cell / our LSTM, per floating-point operation of their products, at most
{FLOP_BAR:g}; an own cell / PyTorch eager at most {EAGER_BAR:g}; an own cell / JAX at most {JAX_BAR:g}."""
SHARE = """Shares are of what bounds a step, the products (`m`) or the bytes that it must move (`b`): the time that they
take at the rates measured in the same run, over the time of the step."""

CHECKS = """## Checks that need a GPU, beside the times

`make check-gpu` does all of them in stages, those that are most likely to fail first, each with a limit of its own, and
writes a table of what passed and a log. It ends after nine and a half minutes, and says how to run the rest.

| stage | what it checks | when it was last run |
|---|---|---|
| machine, first | CuPy, driver, compiler and cuBLAS; one LSTM by launches, as a graph, as a loop that stays | not yet |
| models, rounded | values and gradients of every ready model against NumPy in float64, in each precision | not yet |
| others | loops of many sizes, products, streams, 200 training steps beside the CPU's | not yet |
| refusals | CuPy refuses what the stand-in for it refuses | not yet |
| sanitizer | memcheck, racecheck and synccheck of the kernels | not yet |
| benchmark | the times above | not yet |
| suite | the whole test suite on the GPU, but for pictures and the like | not yet |"""


def unmeasured() -> Results:
    """The results of a run that has measured nothing yet."""
    missing = {size: {row: {e.key: [NOT_YET, ""] for e in ROWS_BY_PRECISION[PRECISION_OF[row]][row]} for row in ORDER}
               for size in GPU_SIZES}
    return {"command": "", "rounds": 0, "machine": {}, "rates": {}, "seconds": {size: {} for size in GPU_SIZES},
            "errors": {size: {} for size in GPU_SIZES}, "staying": {size: {} for size in GPU_SIZES},
            "missing": missing}


def write(results: Results, folder: Path) -> None:
    """Write both files, each beside and renamed."""
    path = folder / NAME
    replace(path, text(results, kept_section(path)))
    if measured(results):
        replace(folder / "results-gpu.json", json.dumps(results, indent=1) + "\n")


def text(results: Results, kept: str) -> str:
    """The report, with the section that people write."""
    facts = [f"- {name}: {value}" for name, value in results["machine"].items()]
    made = ([f"Made by `{results['command']}`, {results['rounds']} rounds, on:", "\n".join(facts), summary(results)]
            if measured(results) else [])
    parts = ["# Benchmarks on a GPU", *made, not_run(results), HOW, BARS, SHARE,
             *(table.markdown() for table in tables(results)), CHECKS, kept if measured(results) else ""]
    return "\n\n".join(part for part in parts if part).rstrip() + "\n"


def measured(results: Results) -> bool:
    """Is there a time?"""
    return any(rows for rows in results["seconds"].values())


def missing(results: Results) -> Iterator[tuple[str, str, str]]:
    """What has no time: a size, the row and its rivals, and why."""
    for size, rows in results["missing"].items():
        for row, rivals in rows.items():
            by_reason: dict[str, list[str]] = {}
            for entrant in ROWS_BY_PRECISION[PRECISION_OF[row]][row]:
                if entrant.key in rivals:
                    reason, detail = rivals[entrant.key]
                    why = f"{reason} ({detail})" if detail else reason
                    by_reason.setdefault(why, []).append(entrant_title(entrant))
            for why, titles in by_reason.items():
                yield size, f"{row}: {'; '.join(titles)}", why


def not_run(results: Results) -> str:
    """What has not been run on a GPU, and how to."""
    how = f"`{COMMAND}` measures it, in ten minutes, and writes this file."
    if not measured(results):
        return f"**Nothing here has been run on a GPU yet**, so there are no figures. {how}"
    sizes: dict[tuple[str, str], list[str]] = {}
    for size, what, why in missing(results):
        sizes.setdefault((what, why), []).append(size)
    if not sizes:
        return ""
    lines = [f"- {what}, at {', '.join(at)}: {why}" for (what, why), at in sizes.items()]
    return "\n".join([f"**Not run**, so nothing is claimed of it; {how}", "", *lines])


def tables(results: Results) -> list[Table]:
    """For each precision: times, ratios, shares and differences; empty ones are left out."""
    found = []
    for precision, rows in ROWS_BY_PRECISION.items():
        of = only(results, rows)
        found += [time_table(of, rows, f"Milliseconds of a training step, {precision}"),
                  ratio_table(of, bars(results, precision), f"Ratios, ours / theirs (bar), {precision}"),
                  share_table(of, precision),
                  error_table(of, f"Largest relative difference of outputs and gradients, {precision}")]
    return [table for table in found if len(table.rows) > 1]


def bars(results: Results, precision: str) -> list[Bar]:
    """The bars of a precision; the LSTM's is stricter where its loop was run as one kernel."""
    found = []
    for bar in BARS_BY_PRECISION[precision]:
        stays = {size for size, rows in results["staying"].items() if rows.get(bar.row)}
        limits = {size: STAYING_BAR if limit == CUDNN_BAR and size in stays else limit
                  for size, limit in bar.limits.items()}
        found.append(dataclasses.replace(bar, limits=limits))
    return found


def only(results: Results, rows: Mapping[str, Any]) -> Results:
    """The results of some rows."""
    kept = {part: {size: {row: found for row, found in by_row.items() if row in rows}
                   for size, by_row in results[part].items()} for part in ("seconds", "errors", "missing")}
    return results | kept


def share_table(results: Results, precision: str) -> Table:
    """What share of the rate of products or of a copy a step reaches, whichever bounds it."""
    sizes = list(results["seconds"])
    rows = [["row", "rival", *sizes]]
    for row, entrants in ROWS_BY_PRECISION[precision].items():
        for entrant in entrants:
            found = [share(results, precision, size, row, entrant) for size in sizes]
            if set(found) != {"-"}:
                rows.append([row, entrant_title(entrant), *found])
    return Table(f"Share of the rate that bounds a step, {precision}", rows)


def share(results: Results, precision: str, size: str, row: str, entrant: Entrant) -> str:
    """The share, and which rate it is of: m for products, b for bytes."""
    seconds, rates = medians(results, size, row).get(entrant.key), results["rates"]
    if seconds is None or precision not in rates:
        return "-"
    cell, numbers = CELL_OF[entrant.cell], ALL_SIZES[size]
    least = {"m": cell.gflop(numbers) / rates[precision],
             "b": cell.gigabytes(numbers, NUMBER_BYTES[precision]) / rates["copy"]}
    bound = max(least, key=lambda name: least[name])
    return f"{100 * least[bound] / seconds:.3g} % {bound}"


def summary(results: Results) -> str:
    """How many bars are met, and the rates that shares are of."""
    found = [v for precision in BARS_BY_PRECISION for v in ratio_verdicts(results, bars(results, precision))
             if v.limit is not None]
    rates = results["rates"]
    measured_rates = (f" A copy within the GPU's memory moved {rates['copy']:,.0f} GB/s, read and written; products of "
                      f"large square matrices ran at {rates['float32'] / 1e3:,.3g} TFLOP/s in float32, "
                      f"{rates['tf32'] / 1e3:,.3g} in tf32 and {rates['bfloat16'] / 1e3:,.3g} in bfloat16 (PyTorch)."
                      if rates else " The GPU's rates were not measured.")
    return f"{sum(v.passed for v in found)} of {len(found)} bars are met.{measured_rates}{steadiness(results)}"
