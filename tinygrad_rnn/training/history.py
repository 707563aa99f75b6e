"""What training has seen, update by update and epoch by epoch."""

from __future__ import annotations

import contextlib
import csv
import os
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..files import replacing

COLUMNS = ("step", "epoch", "loss", "valid_loss", "lr", "gradient_norm", "seconds")
COUNTS = ("step", "epoch")
Row = dict[str, float]


@dataclass
class History:
    """What `fit` saw: one row per epoch, and one per update in `steps`, with the columns of the CSV log."""

    rows: list[Row] = field(default_factory=list)
    steps: list[Row] = field(default_factory=list)

    @property
    def loss(self) -> list[float]:
        """The mean training loss of each epoch."""
        return [row["loss"] for row in self.rows]

    @property
    def valid_loss(self) -> list[float]:
        """The validation loss after each epoch."""
        return [row["valid_loss"] for row in self.rows]

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


class Table:
    """Rows as one array (rows, columns), for a checkpoint; only what is new is gone through."""

    def __init__(self) -> None:
        self._numbers = array("d")

    def of(self, rows: Sequence[Row]) -> np.ndarray:
        """The array of rows that have been added to since the last time, and of which only the last may differ."""
        known = max(len(self._numbers) // len(COLUMNS) - 1, 0)
        del self._numbers[known * len(COLUMNS) :]
        for row in rows[known:]:
            self._numbers.extend(row[name] for name in COLUMNS)
        return np.array(self._numbers).reshape(-1, len(COLUMNS))


def rows_of(table: Iterable[Sequence[Any]]) -> list[Row]:
    """The rows of an array as `Table` makes it."""
    return [{name: int(v) if name in COUNTS else float(v) for name, v in zip(COLUMNS, row, strict=True)}
            for row in table]
