"""Many updates and epochs: logs and checkpoints are kept up to date with work in proportion to what is new."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.files import load_checkpoint, save_checkpoint
from tinygrad_rnn.training.history import Log, Table, rows_of

X = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("float32")
DATA = {"x": X, "target": X}


def small() -> tr.Model:
    return tr.equations("h[t] = tanh(W @ x[t] + U @ h[t-1])\nloss = mean(squared_error(h[t], target[t]))", x=4, h=4)


def train(model: tr.Model, epochs: int, **options: object) -> object:
    return model.fit(DATA, epochs=epochs, batch_size=1, progress=False, **options)


def test_a_log_is_added_to(tmp_path, monkeypatch):
    written: list[object] = []
    row = csv.DictWriter.writerow
    monkeypatch.setattr(csv.DictWriter, "writerow", lambda self, r: (written.append(r), row(self, r))[1])
    history = train(small(), 30, valid=DATA, log=tmp_path / "log.csv")
    assert len(history.steps) == 60
    assert len(written) < 4 * 60
    history.write(tmp_path / "whole.csv")
    assert (tmp_path / "log.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["valid_loss"] != "" for r in rows] == [False, True] * 30


@pytest.mark.parametrize("meddle", [Path.unlink, lambda path: path.write_text("something else\n")])
def test_a_log_that_somebody_changed_is_written_anew(meddle, tmp_path):
    path = tmp_path / "log.csv"
    history = train(small(), 6, log=path, on_epoch=lambda row: meddle(path) if row["epoch"] == 3 else None)
    with open(path, newline="") as file:
        assert [float(r["loss"]) for r in csv.DictReader(file)] == [row["loss"] for row in history.steps]


def test_a_log_without_rows(tmp_path):
    log = Log(tmp_path / "log.csv")
    for _ in range(2):
        log.write([])
    assert (tmp_path / "log.csv").read_text().splitlines() == ["step,epoch,loss,valid_loss,lr,gradient_norm,seconds"]


def test_a_table_follows_its_rows():
    table, rows = Table(), []
    assert table.of(rows).shape == (0, 7)
    for step in range(1, 5):
        rows.append({"step": step, "epoch": 1, "loss": 0.5 / step, "valid_loss": math.nan, "lr": 1e-3,
                     "gradient_norm": 2.0, "seconds": step / 3})
        table.of(rows)
        rows[-1]["valid_loss"] = 0.25  # comes after the row
    assert rows_of(table.of(rows).tolist()) == rows
    assert isinstance(rows_of(table.of(rows))[0]["step"], int)


def test_what_a_checkpoint_says_does_not_grow(tmp_path):
    said = []
    for epochs in (10, 100):
        train(small(), epochs, checkpoint=tmp_path / "c.safetensors")
        arrays, meta = load_checkpoint(tmp_path / "c.safetensors")
        said.append(len(meta["fit"]))
        assert arrays["history.steps"].shape == (2 * epochs, 7) and arrays["history.rows"].shape == (epochs, 7)
    assert said[1] < said[0] + 20


@pytest.mark.parametrize("older", [False, True])
def test_history_goes_on_from_a_checkpoint(older, tmp_path):
    path = tmp_path / "c.safetensors"
    whole = train(small(), 4, valid=DATA)
    train(small(), 2, valid=DATA, checkpoint=path)
    if older:  # the rows stood in the text
        arrays, meta = load_checkpoint(path)
        progress, steps = json.loads(meta["fit"]), arrays.pop("history.steps")
        progress |= {"rows": rows_of(arrays.pop("history.rows")), "steps": [list(r.values()) for r in rows_of(steps)]}
        save_checkpoint(path, arrays, {**meta, "fit": json.dumps(progress)})
    again = train(small(), 4, valid=DATA, checkpoint=path, resume=True)

    def seen(rows: list[dict[str, float]]) -> list[list[str]]:
        return [[repr(v) for k, v in row.items() if k != "seconds"] for row in rows]

    assert seen(again.steps) == seen(whole.steps)
    assert seen(again.rows) == seen(whole.rows)
