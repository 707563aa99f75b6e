"""What training has seen, update by update and epoch by epoch."""

from __future__ import annotations

import contextlib
import csv
import math
import os
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from ..attributes import Advised
from ..errors import BadName, near
from ..files import replacing

COLUMNS = ("step", "epoch", "loss", "valid_loss", "lr", "gradient_norm", "seconds")
COUNTS = ("step", "epoch")
Row = dict[str, float]


class Rows(Sequence[Row]):
    """Rows by number, each a dict when it is asked for, kept as 56 bytes: training may last for millions of updates."""

    def __init__(self, rows: Iterable[Mapping[str, float]] = ()):
        self._numbers = array("d")
        for row in rows:
            self.append(row)

    @classmethod
    def of_table(cls, table: Any) -> Rows:
        """The rows of an array as `table` gives it."""
        found = cls()
        found._numbers.frombytes(np.asarray(table, "float64").tobytes())
        return found

    def append(self, row: Mapping[str, float]) -> None:
        """One more row; what it does not say is NaN."""
        self._numbers.extend(row.get(name, math.nan) for name in COLUMNS)

    def amend(self, name: str, value: float) -> None:
        """A number of the last row that has become known."""
        self._numbers[COLUMNS.index(name) - len(COLUMNS)] = value

    def table(self) -> np.ndarray:
        """All rows as one array (rows, columns)."""
        return np.array(self._numbers).reshape(-1, len(COLUMNS))

    def column(self, name: str) -> list[float]:
        """One number of every row. Raises BadName for what is none."""
        if name not in COLUMNS:
            raise BadName(f"a row has no {name!r}{near(name, COLUMNS)}; it has {', '.join(COLUMNS)}")
        return self._numbers[COLUMNS.index(name) :: len(COLUMNS)].tolist()

    def __len__(self) -> int:
        return len(self._numbers) // len(COLUMNS)

    def __getitem__(self, at: Any) -> Any:
        """A row by its number, several by a slice, and by a name what `column` gives."""
        if isinstance(at, str):
            return self.column(at)
        if isinstance(at, slice):
            return [self[k] for k in range(len(self))[at]]
        start = range(len(self))[at] * len(COLUMNS)
        return {name: int(v) if name in COUNTS and v == v else v
                for name, v in zip(COLUMNS, self._numbers[start : start + len(COLUMNS)], strict=True)}

    def __add__(self, more: Iterable[Row]) -> list[Row]:
        return [*self, *more]

    def __radd__(self, before: Iterable[Row]) -> list[Row]:
        return [*before, *self]

    def __repr__(self) -> str:
        return f"<{len(self)} rows of {', '.join(COLUMNS)}>"


@dataclass
class History(Advised):
    """What `fit` saw: one row per epoch, and one per update in `steps`, dicts with the columns of the CSV log."""

    rows: Rows = field(default_factory=Rows)
    steps: Rows = field(default_factory=Rows)
    _elsewhere: ClassVar[Mapping[str, str]] = {
        "history": "history.rows has a row for each epoch, history.rows['loss'] is one column",
        **{c: f"history.steps[{c!r}] is of each update" for c in COLUMNS}}

    @property
    def loss(self) -> list[float]:
        """The mean training loss of each epoch."""
        return self.rows.column("loss")

    @property
    def valid_loss(self) -> list[float]:
        """The validation loss after each epoch."""
        return self.rows.column("valid_loss")

    def __repr__(self) -> str:
        """Short, also of long training: what a prompt or a notebook shows of the last line."""
        counts = {"epoch": len(self.rows), "update": len(self.steps)}
        found = [f"{count} {what}{'s' if count != 1 else ''}" for what, count in counts.items()]
        for name in ("loss", "valid_loss"):
            values = self.rows.column(name)
            known = [value for value in values if not math.isnan(value)]
            if known:
                found.append(f"{name} {values[0]:.4g} to {values[-1]:.4g}, least {min(known):.4g} in epoch "
                             f"{self.rows[values.index(min(known))]['epoch']}")
        return f"<History: {'; '.join(found)}>"

    def write(self, path: Path) -> None:
        """A CSV file with a row for each update; nothing stands where a number is not known."""
        Log(path).write(self.steps)


class Log:
    """A CSV file that is brought up to date again and again, each time with work in proportion to the new rows."""

    def __init__(self, path: Path):
        self.path = path
        self._rows, self._last, self._size = 0, 0, 0  # how many are there, where the last one begins, where it ends

    def write(self, steps: Sequence[Row]) -> None:
        """Add the rows that are new. The last one is written again: its validation loss may have come since."""
        if self._rows and self._is_ours():
            with contextlib.suppress(OSError), open(self.path, "r+", newline="") as file:
                file.seek(self._last)
                file.truncate()
                self._add(file, steps, self._rows - 1)
                return
        with replacing(self.path) as part, open(part, "w", newline="") as file:
            csv.writer(file).writerow(COLUMNS)
            self._add(file, steps, 0)

    def _is_ours(self) -> bool:
        """Is the file as it was left?"""
        with contextlib.suppress(OSError):
            return os.path.getsize(self.path) == self._size
        return False

    def _add(self, file: IO[str], steps: Sequence[Row], first: int) -> None:
        writer = csv.DictWriter(file, COLUMNS)
        for number in range(first, len(steps)):
            self._last = file.tell() if number == len(steps) - 1 else self._last
            writer.writerow({k: "" if v != v else v for k, v in steps[number].items()})
        self._rows, self._size = len(steps), file.tell()
