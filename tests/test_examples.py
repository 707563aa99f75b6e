"""Every example runs, quickly: what it leaves, and what it says of itself."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.cli import main as command_line
from tinygrad_rnn.commands import showcase
from tinygrad_rnn.errors import BadFile
from tinygrad_rnn.examples import harness
from tinygrad_rnn.examples.datasets import NotInstalled
from tinygrad_rnn.examples.harness import Run, example

EXAMPLES = showcase.examples()


@pytest.mark.device  # they bring results to the host themselves
@pytest.mark.parametrize("name", EXAMPLES)
def test_it_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        run = EXAMPLES[name](["--quick", "--seed", "3"])
    except (NotInstalled, BadFile) as error:
        pytest.skip(str(error))
    left = {path.name for path in (tmp_path / "out" / name).iterdir()}
    figures = json.loads((tmp_path / "out" / name / "figure.json").read_text())
    assert figures["quick"] and figures["seed"] == 3 and figures["example"] == name
    assert figures["figures"] and all(np.isfinite(row["reached"]) for row in figures["figures"])
    assert any(row["baseline"] is not None for row in figures["figures"])
    assert {Path(file).suffix for file in left} >= {".json", ".png"} and run.out.name == name
    assert any(file.endswith((".svg", ".html")) for file in left), "no diagram"
    assert "reached" in capsys.readouterr().out and not any(file.startswith(".") for file in left)


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_tells_what_it_is(name: str) -> None:
    one = EXAMPLES[name]
    assert one.name == name and 10 < len(one.summary) < 110 and one.architecture and one.data


def test_the_same_seed_gives_the_same_figures(tmp_path: Path) -> None:
    first, again, other = (EXAMPLES["hello"](["--quick", "--out", str(tmp_path), "--seed", seed]).figures
                           for seed in "112")
    assert first == again != other


# -- the harness -----------------------------------------------------------------------------------


def made(tmp_path: Path, *arguments: str) -> Run:
    @example("nothing", "none", full="the whole of it")
    def main(run: Run) -> None:
        run.figure("a share", np.float32(0.5), at_least=0.75, baseline="0.25, by chance", published=0.125)
        run.figure("an error", 2.0, below=3)
        run.curve({"training": [3.0, 1.0], "validation": [4.0, 2.0]}, log=True, levels={"chance": 2.5})
        run.say(f"full: {run.args.full}, {run.pick('whole', 'part')}")

    return main([*arguments, "--out", str(tmp_path / "out")])


def test_the_table_and_its_file(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    made(tmp_path, "--full")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["full: True, whole", "", "what      reached  goal    baseline         published",
                         "a share   0.5      ≥ 0.75  0.25, by chance  0.125"]
    assert lines[4] == "an error  2        < 3     -                -"
    assert "left in" in lines[-1] and "curve.png, figure.json" in lines[-1]
    found = json.loads((tmp_path / "out" / "figure.json").read_text())
    assert [row["met"] for row in found["figures"]] == [False, True] and not found["quick"]
    assert (tmp_path / "out" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_goal_is_one_comparison(tmp_path: Path) -> None:
    @example("nothing", "none")
    def main(run: Run) -> None:
        run.figure("a share", 0.5, at_least=0.75, below=1)

    with pytest.raises(tr.Error, match="one of at_least, at_most, below"):
        main(["--out", str(tmp_path)])


def test_help_tells_of_the_backend(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        made(tmp_path, "--help")
    said = capsys.readouterr().out
    assert all(option in said for option in ("--backend NAME", "--precision NAME", "--full", "--quick", "--seed"))


@pytest.mark.parametrize("seed", ["-1", "x", "1.5"])
def test_a_bad_seed_is_told(seed: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        made(tmp_path, f"--seed={seed}")
    assert caught.value.code == 2 and "a seed is a whole number" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(tr.Error, match="cannot write in the folder"):
        made(tmp_path)


# -- the command line ------------------------------------------------------------------------------


def test_the_command_lists_and_runs(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert command_line(["examples"]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n{name} " in "\n" + listed for name in EXAMPLES)
    assert all(one.architecture in listed and one.data in listed for one in EXAMPLES.values())
    assert command_line(["examples", "hello", "--quick", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "figure.json").exists() and "letters right" in capsys.readouterr().out
    assert command_line(["examples", "helo"]) == 2
    assert "'helo' is not an example, did you mean 'hello'?" in capsys.readouterr().err.replace(";", ",")


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                       capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "names", None)
    assert command_line(["examples", "names", "--quick", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "pip install names" in said and said.count("\n") == 1


def test_equations_that_extend_a_model_may_be_indented() -> None:
    model = tr.graphs.rnn(inputs=2, hidden=3, head="none").extend("""
        v = mean(h[t], over=t)
        loss = sum(v ** 2)
    """)
    assert model.value_and_grad(x=np.ones((1, 2, 2)))[0] > 0


@pytest.mark.parametrize("name", ["lstm_equations", "diagrams", "gradient_flow"])
def test_a_script_of_pictures_tells_what_it_takes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                  capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    script = str(Path(harness.__file__).with_name(f"{name}.py"))
    for argument, status in (("--help", 0), ("taken", 2)):
        monkeypatch.setattr(sys, "argv", [script, argument])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(script, run_name="__main__")
        assert caught.value.code == status
        said = capsys.readouterr()
        assert "folder" in said.out + said.err and not [p for p in tmp_path.iterdir() if p.name != "taken"]
        (tmp_path / "taken").touch()
