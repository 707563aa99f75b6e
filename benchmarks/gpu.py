"""`python -m benchmarks.gpu`: training steps on a GPU beside cuDNN, PyTorch eager, JAX and FlashRNN, in ten minutes.

The report is written after each row. What cannot be run is a line of it and stops nothing.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import gpu_report, machine
from .cells import ALL_SIZES, GPU_SIZES, SMOKE_SIZES, Size
from .gpu_rows import ORDER, PRECISION_OF, ROWS_BY_PRECISION, SIZE_ORDER, TOLERANCES
from .problem import Arrays, Place
from .processes import ROOT, BenchmarkError, NoAnswer, Sides, Workers
from .rows import Entrant
from .tables import Results
from .timing import alternate, answer, compare_answers, each, prepare

BUDGET, PATIENCE = 540.0, 60.0  # seconds of the whole run, and of the longest wait for one answer
LONGER = {"flash": 240.0}  # its kernels are compiled by nvcc
SECONDS, ROUNDS = 0.2, 5
RATES = {"cuda": (8192, 1024), "cpu": (256, 8)}  # the width of square products, and MiB of a copy
VARIABLES: Mapping[str, Mapping[str, str]] = {
    "cuda": {"JAX_PLATFORMS": "cuda", "XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TINYGRAD_RNN_BACKEND": "cupy"},
    "cpu": {"JAX_PLATFORMS": "cpu", "TINYGRAD_RNN_BACKEND": "numpy"}}
SIDES = ("torch", "jax", "ours", "flash")  # in the order in which they are what others are compared with
# In a word why a side is missing -> what its error has in it.
NOT_INSTALLED = "not installed"
REASONS = {NOT_INSTALLED: ("ModuleNotFoundError", "ImportError"),
           "out of memory": ("OutOfMemory", "out of memory", "RESOURCE_EXHAUSTED", "MemoryError"),
           "differs": ("are not comparable",)}


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--sizes", nargs="+", choices=GPU_SIZES, help="all by default")
    parser.add_argument("--rows", nargs="+", choices=ORDER, default=list(ORDER))
    parser.add_argument("--budget", type=float, default=BUDGET, help=f"seconds for everything ({BUDGET:g})")
    parser.add_argument("--device", choices=VARIABLES, default="cuda")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that all runs; writes no report")
    parser.add_argument("--unmeasured", action="store_true", help="write the report of a run that measured nothing")
    found = parser.parse_args(arguments)
    if found.device == "cpu" and not found.smoke:
        parser.error("--device cpu is for --smoke: the report is of a GPU")
    found.whole = not (found.smoke or found.sizes) and set(found.rows) == set(ORDER)
    found.sizes = list(SMOKE_SIZES) if found.smoke else [s for s in SIZE_ORDER if s in (found.sizes or SIZE_ORDER)]
    return found


class Run:
    """One run: what was asked for, its processes, how much time is left, and the results so far."""

    def __init__(self, asked: argparse.Namespace, cache: Path):
        self.asked, self.cache = asked, cache
        self.end = time.monotonic() + asked.budget
        self.absent: dict[str, str] = {}  # sides that are not installed -> the error
        sides: Sides = {side: (side, VARIABLES[asked.device]) for side in SIDES}
        self.workers = Workers(cache, sides, self.patience)
        self.results: Results = gpu_report.unmeasured() | {
            "command": shlex.join(["python", "-m", "benchmarks.gpu", *sys.argv[1:]]), "rounds": ROUNDS}
        if asked.smoke:
            for part in ("seconds", "errors", "staying", "missing"):
                self.results[part] = {size: {} for size in asked.sizes}

    def left(self) -> float:
        """Seconds until nothing more is begun."""
        return self.end - time.monotonic()

    def patience(self, side: str) -> float:
        """How long to wait for an answer."""
        return max(1.0, min(LONGER.get(side, PATIENCE), self.left()))

    def facts(self) -> None:
        """The machine, and what it can do at most. Raises where our side cannot use the device."""
        self.results["machine"] = machine.description(machine.GPU_PACKAGES)
        for side in ("ours", "torch", "jax"):
            try:
                self.results["machine"] |= self.workers[side].ask("tell", "facts", self.asked.device)
            except BenchmarkError:
                if side == "ours":
                    raise
                self.workers[side].close()
        try:
            self.results["rates"] = self.workers["torch"].ask("tell", "rates", self.asked.device,
                                                              *RATES[self.asked.device])
            self.workers["torch"].ask("forget")
        except BenchmarkError as error:
            tell(f"no rates: {last_line(error)}")
            self.workers["torch"].close()


class Row:
    """One row at one size: its rivals, made ready, compared and timed; those that fail are noted with the reason."""

    def __init__(self, run: Run, row: str, size: Size):
        self.run, self.row, self.size, self.precision = run, row, size, PRECISION_OF[row]
        self.entrants = ROWS_BY_PRECISION[self.precision][row]
        self.missing = {e.key: [gpu_report.NOT_YET, ""] for e in self.entrants}
        self.failed_sides: set[str] = set()

    def measure(self) -> None:
        """Fill the results."""
        seconds = self.times() if self.run.left() > 0 else self.no_time()
        for key in seconds:
            del self.missing[key]
        for part, found in (("seconds", seconds), ("missing", self.missing)):
            self.run.results[part][self.size.name][self.row] = found

    def no_time(self) -> dict[str, list[float]]:
        """The budget is used up."""
        self.missing = {key: ["not run: time", ""] for key in self.missing}
        return {}

    def times(self) -> dict[str, list[float]]:
        """Seconds by rival and round."""
        workers, place = self.run.workers, Place(self.run.asked.device, self.precision)
        try:
            ready = prepare(workers, self.installed(), self.size, place, self.failed)
            if any(entrant.side == "ours" for entrant in ready):
                self.run.results["staying"][self.size.name][self.row] = workers["ours"].ask("tell", "staying")
            return alternate(workers, self.agreeing(ready), ROUNDS, SECONDS, self.failed)
        finally:
            self.clear()

    def installed(self) -> list[Entrant]:
        """Those whose side is installed as far as is known; none where only ours are left, which another row has."""
        for entrant in (e for e in self.entrants if e.side in self.run.absent):
            self.missing[entrant.key] = [NOT_INSTALLED, self.run.absent[entrant.side]]
        left = [e for e in self.entrants if e.side not in self.run.absent]
        others = [found for row, found in self.run.results["seconds"][self.size.name].items()
                  if PRECISION_OF[row] == self.precision]
        if any(e.side != "ours" for e in left) or not all(any(e.key in found for found in others) for e in left):
            return left
        self.missing |= {e.key: ["see above", "alone it was timed in another row"] for e in left}
        return []

    def agreeing(self, ready: Sequence[Entrant]) -> list[Entrant]:
        """Those whose results are those of the first side that has any for the same cell."""
        found: dict[str, tuple[str, Arrays]] = {}
        errors = self.run.results["errors"][self.size.name].setdefault(self.row, {})

        def compare(entrant: Entrant) -> None:
            theirs = answer(self.run.workers, entrant, self.run.cache)
            if entrant.cell in found:
                key, expected = found[entrant.cell]
                errors[f"{entrant.key}, {key}"] = compare_answers(self.size, entrant.key, theirs, key, expected,
                                                                  TOLERANCES[self.precision])
            found.setdefault(entrant.cell, (entrant.key, theirs))

        fine = each(sorted(ready, key=lambda e: SIDES.index(e.side)), compare, self.failed)
        return [entrant for entrant in ready if entrant in fine]

    def failed(self, entrant: Entrant, error: BenchmarkError) -> None:
        """Note why a rival is missing."""
        reason, detail = self.reason(entrant, error), last_line(error)
        tell(f"  {entrant.key}: {reason}: {detail}")
        self.missing[entrant.key] = [reason, detail]
        self.failed_sides.add(entrant.side)
        if reason == NOT_INSTALLED:
            self.run.absent[entrant.side] = detail
        if isinstance(error, NoAnswer):
            self.run.workers[entrant.side].close()

    def reason(self, entrant: Entrant, error: BenchmarkError) -> str:
        """In a word."""
        if isinstance(error, NoAnswer):
            waited = LONGER.get(entrant.side, PATIENCE)
            return "not run: time" if self.run.left() <= 0 else f"no answer in {waited:g} s"
        text = str(error)
        return next((reason for reason, signs in REASONS.items() if any(sign in text for sign in signs)), "failed")

    def clear(self) -> None:
        """Free the memory of the row. A process in which something failed is ended: the GPU may answer it no more."""
        for side in {e.side for e in self.entrants} - self.failed_sides:
            each([e for e in self.entrants if e.side == side][:1],
                 lambda e: self.run.workers[e.side].ask("forget"), lambda e, _: self.failed_sides.add(e.side))
        for side in self.failed_sides:
            self.run.workers[side].close()


def last_line(error: BenchmarkError) -> str:
    """What an error comes down to, short enough for a line of a table."""
    lines = str(error).strip().splitlines()
    raised = [line for line in lines[1:] if re.match(r"[A-Za-z_][\w.]*(: \S|$)", line)]  # advice may stand behind it
    return (raised or lines)[-1][:200]


def ours_missing(results: Results) -> list[str]:
    """Which times of our own side are missing though there was time for them, and why."""
    excused = (gpu_report.NOT_YET, "see above", "not run: time")
    return [f"{row} {size}: {key}: {reason}: {detail}" for size, rows in results["missing"].items()
            for row, rivals in rows.items() for key, (reason, detail) in rivals.items()
            if key.startswith("ours ") and reason not in excused]


def tell(what: str) -> None:
    """Say what is being measured."""
    print(what, file=sys.stderr, flush=True)


def measure(run: Run) -> None:
    """Everything that was asked for, the most important first; the report after each row."""
    run.facts()
    for row in (row for row in ORDER if row in run.asked.rows):
        for size in run.asked.sizes:
            tell(f"{row} {size} ({run.left():.0f} s left)")
            Row(run, row, ALL_SIZES[size]).measure()
            if run.asked.whole:
                gpu_report.write(run.results, ROOT / "benchmarks")


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write. The status is 1 where something of our own side failed or differs."""
    asked = options(arguments)
    if asked.unmeasured:
        gpu_report.write(gpu_report.unmeasured(), ROOT / "benchmarks")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        run = Run(asked, Path(folder))
        with run.workers:
            try:
                measure(run)
            except BenchmarkError as error:
                print(last_line(error).partition(": ")[2], file=sys.stderr)
                return 1
    found = [table.markdown() for table in gpu_report.tables(run.results)]
    print("\n\n".join([*found, gpu_report.not_run(run.results), gpu_report.summary(run.results)]))
    if asked.smoke:
        print(f"\nA smoke run: tiny sizes{', the host processor and its clock' if asked.device == 'cpu' else ''}; "
              "these times are no results.")
    for line in (faults := ours_missing(run.results)):
        tell(line)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
