"""What the command line says of mistakes: before any work, with what to do, and with nothing left behind."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.cli import main
from tinygrad_rnn.commands import catalogue, gallery
from tinygrad_rnn.commands.text_model import Settings, sample
from tinygrad_rnn.data import Vocabulary

UNSIZED = "h[t] = tanh(W @ x[t] + U @ h[t-1])\nloss = mean(squared_error(h[t], target[t]))\n"


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    path = tmp_path / "cell.txt"
    path.write_text(UNSIZED, encoding="utf-8")
    return path


def told(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    assert main([str(a) for a in args]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_sizes_may_stand_beside_the_command(cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["draw", cell, "-o", tmp_path / "a.svg"], ["grad", cell]):
        assert "--size NAME=SIZE" in told(capsys, *command)
        assert main([*map(str, command), "--size", "x=3", "--size", "h=4"]) == 0
        capsys.readouterr()
    assert "no size 'cell'" in told(capsys, "grad", "lstm", "--size", "cell=3")
    assert main(["grad", "rnn", "--size", "hidden=5"]) == 0
    assert "h[t]: 5" in capsys.readouterr().out


@pytest.mark.parametrize("options,said", [
    (("--colour", "gradient"), "--data"), (("--example", "1"), "give values="),
])
def test_options_that_need_data_say_so(options: tuple[str, ...], said: str, tmp_path: Path,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    assert said in told(capsys, "draw", "rnn", *options, "-o", tmp_path / "a.svg")
    assert not list(tmp_path.iterdir())


def test_one_array_is_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "one.npy", np.zeros(3))
    said = told(capsys, "draw", "rnn", "--data", tmp_path / "one.npy", "-o", tmp_path / "a.svg")
    assert "np.savez" in said


def test_a_contact_sheet_that_cannot_be_is_told_before_anything_is_drawn(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for sheet, why in (("s.xyz", ".png or .pdf"), ("sheet", ".png or .pdf"), ("none/s.png", "there is no folder")):
        assert why in told(capsys, "gallery", "rnn", "-o", tmp_path / "g", "--sheet", tmp_path / sheet)
    assert not list(tmp_path.iterdir())


def test_a_gallery_is_written_whole_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(gallery, "_entry", lambda title, model, folder: drawn.append(title))
    monkeypatch.setattr(gallery, "_index", lambda entries: "new")
    gallery.draw_gallery(tmp_path, ["rnn", "rnn"])
    assert drawn == ["rnn", "rnn, two layers"]
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]
    with pytest.raises(tr.Error, match="'lsmt' is not a model"):
        gallery.draw_gallery(tmp_path / "none", ["rnn", "lsmt"])
    assert len(drawn) == 2 and not (tmp_path / "none").exists()
    (tmp_path / "index.html").unlink()
    (tmp_path / "index.html").mkdir()
    with pytest.raises(tr.Error, match="it is a folder"):
        gallery.draw_gallery(tmp_path, ["rnn"])


@pytest.mark.parametrize("name,value", [
    ("epochs", 0), ("epochs", -1), ("batch", 0), ("steps", 0), ("lr", float("nan")), ("lr", -1), ("seed", -1)])
def test_settings_that_cannot_be_are_told_by_their_name(name: str, value: float, tmp_path: Path,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(tr.Error, match=f"^{name} must be"):
        Settings(**{name: value})
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat. " * 200, encoding="utf-8")
    assert f"{name} must be" in told(capsys, "train", text, f"--{name}", value, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text,options,said", [
    ("a" * 5000, (), "made of 'a' alone"), ("a short text", (), "need at least"),
    ("the cat sat on the mat. " * 200, ("--resume",), "cannot read the checkpoint")])
def test_training_that_cannot_begin_leaves_no_folder(text: str, options: tuple[str, ...], said: str, tmp_path: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    assert said in told(capsys, "train", tmp_path / "text.txt", *options, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_trained_on_a_text_can_be_sampled() -> None:
    vocabulary = Vocabulary("abc")
    names = catalogue.layered()
    assert {"lstm", "gru", "slstm"} <= set(names)
    for name in names:
        model = catalogue.make(name, inputs=3, hidden=4, outputs=3, layers=2)
        assert len(sample(model, vocabulary, 2, prime="a")) == 2


def test_samples_that_cannot_be_are_told() -> None:
    model, vocabulary = tr.graphs.rnn(2, 3, 2), Vocabulary("ab")
    for options, why in (({"temperature": float("nan")}, "temperature must be finite"), ({"seed": -5}, "seed must be"),
                         ({"temperature": -1.0}, "temperature must be"), ({"length": -1}, "length must be")):
        with pytest.raises(tr.Error, match=why):
            sample(model, vocabulary, **{"length": 2, "prime": "a", **options})


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    assert main(["models"]) == 2
    assert "no space left on device" in capsys.readouterr().err


@pytest.mark.parametrize(("given", "said"), [
    (("train", "book.txt", "--batch_size", "3"), "unrecognized arguments: --batch_size 3; did you mean --batch?"),
    (("train", "book.txt", "--learning-rate=3"), "did you mean --lr?"), (("models", "--page", "a", "--x"), "--x"),
    (("draw", "lstm", "-o", "a.svg", "--veiw", "cell"), "unrecognized arguments: --veiw cell; did you mean '--view'?"),
    (("models", "lstm", "gru"), "unrecognized arguments: gru\n"),
])
def test_options_that_a_command_has_not(given: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*given])
    shown = capsys.readouterr()
    assert caught.value.code == 2 and said in shown.err and f"usage: tinygrad-rnn {given[0]}" in shown.err


def test_sizes_by_other_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert "has no size 'hidden_size'; write hidden=4" in told(capsys, "grad", "lstm", "--size", "hidden_size=4")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0 and capsys.readouterr().out == f"tinygrad-rnn {tr.__version__}\n"
