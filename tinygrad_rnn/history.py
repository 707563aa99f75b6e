"""What training has seen, update by update and epoch by epoch."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

from .files import replacing

COLUMNS = ("step", "epoch", "loss", "valid_loss", "lr", "gradient_norm", "seconds")


@dataclass
class History:
    """What `fit` saw: one row per epoch, and one per update in `steps`, with the columns of the CSV log."""

    rows: list[dict[str, float]] = field(default_factory=list)
    steps: list[dict[str, float]] = field(default_factory=list)

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
        with replacing(path) as part, open(part, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows({k: "" if v != v else v for k, v in row.items()} for row in self.steps)
