"""`python -m benchmarks`: measure, print the tables, and write the report where everything was measured."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from . import machine, plot, report
from .cells import SIZES, Size
from .processes import ROOT, SIDES, BenchmarkError, Workers, alone, keep_to_cores
from .rows import FIRST_STEP_BARS, ROWS, SEQUENCES, SINGLE_ROWS, Entrant
from .tables import Results, summary, tables
from .timing import alternate, compare, prepare

SECONDS, ROUNDS, QUICK_SECONDS, QUICK_ROUNDS = 0.2, 5, 0.05, 2
STEPPER_SIZE = Size("stepper", 16, 1, 128, 128)


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--rows", nargs="+", choices=[*ROWS, *SINGLE_ROWS], default=[*ROWS, *SINGLE_ROWS])
    parser.add_argument("--rounds", type=int, help=f"rounds in which rivals take turns ({ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="few and short rounds; no report is written")
    found = parser.parse_args(arguments)
    found.seconds = QUICK_SECONDS if found.quick else SECONDS
    found.rounds = max(1, found.rounds or (QUICK_ROUNDS if found.quick else ROUNDS))
    found.whole = not found.quick and set(found.sizes) == set(SIZES) and set(found.rows) == {*ROWS, *SINGLE_ROWS}
    return found


def measure_row(row: str, size: Size, asked: argparse.Namespace, cache: Path, results: Results,
                workers: Workers) -> None:
    """Compare and time one row at one size. NumPy alone is compared everywhere, and timed where it takes part."""
    timed = [e for e in ROWS[row] if size.name in e.sizes]
    alone_too = [Entrant("numpy", cell) for cell in dict.fromkeys(e.cell for e in timed)]
    entrants = list({e.key: e for e in (*timed, *alone_too)}.values())
    prepare(workers, entrants, size)
    results["errors"].setdefault(size.name, {})[row] = compare(workers, entrants, size, cache)
    results["seconds"].setdefault(size.name, {})[row] = alternate(workers, timed, asked.rounds, asked.seconds)
    for side in {e.side for e in entrants}:
        workers[side].ask("forget")


def measure_sizes(asked: argparse.Namespace, cache: Path, results: Results) -> None:
    """All rows at all sizes; the rate of matrix products is taken anew beside each size."""
    rows = [row for row in asked.rows if row in ROWS]
    with Workers(cache) as workers:
        for size in (SIZES[name] for name in asked.sizes):
            for row in (row for row in rows if any(size.name in e.sizes for e in ROWS[row])):
                tell(f"{size.name} {row}")
                measure_row(row, size, asked, cache, results, workers)
            results["sgemm"] = max(results["sgemm"], alone(cache, "sgemm"))


def measure_stepper(asked: argparse.Namespace, cache: Path, results: Results) -> None:
    """One online step, in processes that do nothing else."""
    entrants = [Entrant("ours", "stepper"), Entrant("torch", "stepper")]
    with Workers(cache, {side: SIDES[side] for side in ("ours", "torch")}) as workers:
        prepare(workers, entrants, STEPPER_SIZE)
        errors = compare(workers, entrants, STEPPER_SIZE, cache)
        results["stepper"] = {"seconds": alternate(workers, entrants, asked.rounds, asked.seconds), "errors": errors}


def measure_first_step(asked: argparse.Namespace, cache: Path, results: Results) -> None:
    """Without compiled code, with an empty cache, and with the cache that this filled."""
    alone(cache, "first_step")  # not counted: Python compiles its modules and the system reads the files
    with tempfile.TemporaryDirectory() as empty:
        results["first_step"] = {name: alone(Path(empty), "first_step", TINYGRAD_RNN_JIT=compiled)
                                 for name, compiled in zip(FIRST_STEP_BARS, "011", strict=True)}


def measure_sequences(asked: argparse.Namespace, cache: Path, results: Results) -> None:
    """Long sequences, each in a process of its own."""
    results["sequences"] = {str(steps): alone(cache, "sequence", str(steps)) for steps in SEQUENCES}
    results["training"] = {how: alone(cache, "training", how) for how in ("plain", "sqrt")}


SINGLE: dict[str, Callable[[argparse.Namespace, Path, Results], None]] = dict(zip(
    SINGLE_ROWS, (measure_first_step, measure_stepper, measure_sequences), strict=True))


def measure(asked: argparse.Namespace) -> Results:
    """Everything that was asked for."""
    results: Results = {"command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]), "rounds": asked.rounds,
                        "machine": machine.description(), "seconds": {}, "errors": {}, "sgemm": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        results["sgemm"] = alone(cache, "sgemm")
        for row in (row for row in asked.rows if row in SINGLE):
            tell(row)
            SINGLE[row](asked, cache, results)
        measure_sizes(asked, cache, results)
    return results


def tell(what: str) -> None:
    """Say what is being measured."""
    print(f"measuring {what}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write."""
    asked = options(arguments)
    keep_to_cores()
    try:
        results = measure(asked)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n\n".join([*(table.markdown() for table in tables(results)), summary(results)]))
    if asked.whole:
        report.write(results, ROOT / "benchmarks")
        plot.draw(results, ROOT / "docs" / "benchmarks.png")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
