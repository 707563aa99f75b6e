"""Many updates and epochs: logs and checkpoints are kept up to date with work in proportion to what is new."""

from __future__ import annotations

import csv
import json
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.checkpoints import load_checkpoint, save_checkpoint
from tinygrad_rnn.training.history import History, Log, Rows

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


def test_rows_are_kept_as_numbers():
    rows, expected = Rows(), []
    assert rows.table().shape == (0, 7) and not rows
    for step in range(1, 5):
        expected.append({"step": step, "epoch": 1, "loss": 0.5 / step, "valid_loss": 0.25, "lr": 1e-3,
                         "gradient_norm": 2.0, "seconds": step / 3})
        rows.append({k: v for k, v in expected[-1].items() if k != "valid_loss"})
        assert math.isnan(rows[-1]["valid_loss"])
        rows.amend("valid_loss", 0.25)  # comes after the row
    assert list(rows) == list(Rows.of_table(rows.table())) == rows[:] == list(Rows(expected)) == expected
    assert rows[1:3] == expected[1:3] and rows[-2] == expected[-2] and len(rows) == 4
    assert isinstance(rows[0]["step"], int) and rows.column("loss") == [row["loss"] for row in expected]
    with pytest.raises(IndexError):
        rows[4]


def test_a_row_is_kept_in_few_bytes():
    tracemalloc.start()
    rows = Rows({"step": k, "loss": k / 3} for k in range(2000))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(rows) == 2000 and used < 2000 * 80


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
        progress |= {"rows": list(Rows.of_table(arrays.pop("history.rows"))), "steps": steps.tolist()}
        save_checkpoint(path, arrays, {**meta, "fit": json.dumps(progress)})
    again = train(small(), 4, valid=DATA, checkpoint=path, resume=True)

    def seen(rows: list[dict[str, float]]) -> list[list[str]]:
        return [[repr(v) for k, v in row.items() if k != "seconds"] for row in rows]

    assert seen(again.steps) == seen(whole.steps)
    assert seen(again.rows) == seen(whole.rows)


def test_what_a_prompt_shows_of_long_training_is_short():
    rows = [{"epoch": k + 1, "loss": loss, "valid_loss": valid}
            for k, (loss, valid) in enumerate([(3.0, math.nan), (2.0, 1.5), (1.0, 1.75)])]
    history = History(Rows(rows), Rows([{}] * 3000))
    assert repr(history) == ("<History: 3 epochs; 3000 updates; loss 3 to 1, least 1 in epoch 3; valid_loss nan to "
                             "1.75, least 1.5 in epoch 2>")
    assert repr(train(small(), 0)) == "<History: 0 epochs; 0 updates>"


def test_rows_of_one_training_and_the_next_are_one_list():
    one, two = Rows([{"step": 1, "loss": 0.5}]), Rows([{"step": 2, "loss": 0.25}])
    whole = one + two
    assert [row["step"] for row in whole] == [1, 2] and [row["loss"] for row in whole + one] == [0.5, 0.25, 0.5]
