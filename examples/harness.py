"""What all examples share: their arguments, the folder they write to, the table of figures, plots, and `told`.

An example is a script with one function under `example`, which is given a `Run`:

    @example(architecture="Elman's network of 3 units", data="the word hello")
    def main(run: Run) -> None:
        model = tr.graphs.rnn(inputs=4, hidden=3, outputs=4, seed=run.seed)
        history = model.fit(data, epochs=run.pick(200, 1), progress=False, on_epoch=run.epoch)
        run.curve({"training": history.loss})
        run.draw(model, "unrolled.svg", view="unrolled", steps=4)
        run.figure("letters right", right, at_least=4, baseline=1)

    if __name__ == "__main__":
        told(main)

The first line of the script's docstring says what it does.
"""

from __future__ import annotations

import argparse
import json
import operator
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tinygrad_rnn as tr
from tinygrad_rnn.backends.options import add_options, use_options
from tinygrad_rnn.errors import BadValue
from tinygrad_rnn.files import replacing, writable_folder, write_atomic

from .datasets.found import told

__all__ = ["Example", "Run", "example", "into_folder", "told"]

GOALS = {"at_least": ("≥", operator.ge), "at_most": ("≤", operator.le), "below": ("<", operator.lt)}
COLUMNS = ("what", "reached", "goal", "baseline", "published")


@dataclass
class Run:
    """One run of an example: what was asked for, and where results go.

    out: the folder; quick: whether only a moment's training is wanted; args: all arguments, also the example's own.
    """

    name: str
    args: argparse.Namespace
    out: Path
    figures: list[dict[str, Any]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def quick(self) -> bool:
        """Is only a moment's training wanted?"""
        return bool(self.args.quick)

    @property
    def seed(self) -> int:
        """Of weights, batches and draws."""
        return int(self.args.seed)

    def pick(self, full: Any, quick: Any) -> Any:
        """`quick` in a quick run, else `full`."""
        return quick if self.quick else full

    def say(self, *lines: Any) -> None:
        """Print these lines."""
        self._clear()
        print(*lines, sep="\n", flush=True)

    def epoch(self, row: Mapping[str, float]) -> None:
        """Tell of an epoch, as `fit(on_epoch=...)` calls it: one line that changes, where a person looks on."""
        if sys.stderr.isatty():
            judged = row["loss"] if row["valid_loss"] != row["valid_loss"] else row["valid_loss"]
            print(f"\r\033[Kepoch {row['epoch']:.0f}, loss {row['loss']:.4f}, judged by {judged:.4f}, "
                  f"{row['seconds']:.0f} s", end="", file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def write(self, name: str, text: str) -> Path:
        """Leave a text in the folder."""
        write_atomic(self.out / name, text.encode())
        return self.out / name

    def draw(self, model: tr.Model, name: str, **options: Any) -> Path:
        """Leave a diagram in the folder; options are those of `Model.draw`."""
        path: Path = model.draw(self.out / name, **options)
        return path

    @contextmanager
    def plot(self, name: str, rows: int = 1, columns: int = 1, size: tuple[float, float] = (6, 3.2),
             **options: Any) -> Iterator[Any]:
        """Axes to plot on, several as an array; the picture is left in the folder at the end."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **options)
        for one in axes.flat:
            one.spines[["top", "right"]].set_visible(False)
        yield axes[0, 0] if axes.size == 1 else axes
        with replacing(self.out / name) as part:
            figure.savefig(part, dpi=120, format="png")

    def curve(self, curves: Mapping[str, Sequence[float]], name: str = "curve.png", what: str = "loss",
              log: bool = False, levels: Mapping[str, float] | None = None) -> Path:
        """Leave learning curves, one value per epoch, by label. levels: other values to compare with, as lines across.
        """
        with self.plot(name) as axes:
            for label, values in curves.items():
                axes.plot(range(1, len(values) + 1), values, label=label, marker="." if len(values) == 1 else "")
            for label, level in (levels or {}).items():
                axes.axhline(level, color="#888", lw=0.8, ls="--")
                axes.annotate(label, (1, level), (0, 3), xycoords=("axes fraction", "data"),
                              textcoords="offset points", ha="right", color="#666", fontsize=8)
            axes.set(xlabel="epoch", ylabel=what, yscale="log" if log else "linear")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.legend(frameon=False)
        return self.out / name

    def figure(self, what: str, reached: float, *, baseline: float | str | None = None,
               published: float | str | None = None, **goal: float) -> None:
        """A row of the table. goal: one of at_least=, at_most=, below=; without one the row has none.

        baseline, published: a number, or a number with where it is from, such as "0.941, Kudo et al. 1999".
        """
        if len(goal) > 1 or not goal.keys() <= GOALS.keys():
            raise BadValue(f"the goal of a figure is one of {', '.join(GOALS)}, not {', '.join(goal)}")
        text, met = None, None
        for kind, value in goal.items():
            sign, holds = GOALS[kind]
            text, met = f"{sign} {value:.4g}", bool(holds(reached, value))
        self.figures.append({"what": what, "reached": float(reached), "goal": text, "met": met,
                             "baseline": _plain(baseline), "published": _plain(published)})

    def close(self) -> None:
        """Print the table, and leave it in figure.json with the seconds, the seed, and whether the run was quick."""
        rows = [COLUMNS, *(tuple(shown(row[column]) for column in COLUMNS) for row in self.figures)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        seconds = round(time.monotonic() - self.started, 1)
        found = {"example": self.name, "quick": self.quick, "seed": self.seed, "seconds": seconds,
                 "figures": self.figures}
        self.write("figure.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        self.say("", *lines, "", f"{'a quick run, which reaches no figure; ' if self.quick else ''}{seconds} s; "
                 f"left in {self.out}: {', '.join(sorted(p.name for p in self.out.iterdir() if p.name[0] != '.'))}")


@dataclass(frozen=True)
class Example:
    """A script that can be run: called with arguments, by default those of the command line."""

    function: Callable[[Run], None]
    architecture: str
    data: str
    flags: Mapping[str, str]

    @property
    def name(self) -> str:
        """The name of its script."""
        return Path(self.function.__code__.co_filename).stem

    @property
    def summary(self) -> str:
        """The first line of its docstring, without the full stop."""
        return str(self.function.__globals__["__doc__"]).strip().splitlines()[0].rstrip(".")

    def __call__(self, argv: Sequence[str] | None = None) -> Run:
        """Run it. Raises `tr.Error` where a package with its data or a GPU is missing, or the folder cannot be written.
        """
        args = self._parser().parse_args(argv)
        use_options(args)
        run = Run(self.name, args, writable_folder(args.out))
        self.function(run)
        run.close()
        return run

    def _parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(prog=self.name, description=self.summary + ".",
                                         epilog=f"{self.architecture}; data: {self.data}")
        parser.add_argument("--quick", action="store_true", help="only a moment's training, to see that it runs")
        parser.add_argument("--out", type=Path, default=Path("out") / self.name, metavar="DIR",
                            help=f"where results go (default: out/{self.name})")
        parser.add_argument("--seed", type=_seed, default=0, help="of weights, batches and draws (default: 0)")
        add_options(parser)
        for flag, what in self.flags.items():
            parser.add_argument(f"--{flag}", action="store_true", help=what)
        return parser


def example(architecture: str, data: str, **flags: str) -> Callable[[Callable[[Run], None]], Example]:
    """Make a function an example. flags: arguments of its own that are given or not, full="..." for --full."""
    return lambda function: Example(function, architecture, data, flags)


def into_folder(function: Callable[[Path], None]) -> None:
    """Run a script that only leaves pictures; its one argument, by default out, is the folder for them."""
    about = str(function.__globals__["__doc__"]).strip().splitlines()[0]
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("out"), help="for the pictures (default: out)")
    folder = parser.parse_args().folder
    told(lambda: function(writable_folder(folder)))


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a seed is a whole number of at least 0, not {text!r}")
    return int(text)


def _plain(value: Any) -> float | str | None:
    return value if value is None or isinstance(value, str) else float(value)


def shown(value: Any) -> str:
    """A cell of the table."""
    return "-" if value is None else value if isinstance(value, str) else f"{value:.4g}"
