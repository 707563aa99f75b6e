"""The command line: every command once as a process, and all else that is asked of it within this one."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import cli
from tinygrad_rnn.checkpoints import load_checkpoint

SMALL = ["--hidden", "8", "--batch", "2", "--steps", "10", "--quiet"]


def command(*args):
    return [sys.executable, "-m", "tinygrad_rnn", *map(str, args)]


def process(*args, code=0):
    """What a process of its own prints; where it fails, to its standard error."""
    done = subprocess.run(command(*args), capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def call(*args, code=0):
    """The same without another start of Python, which takes longer than most commands."""
    said, wrong = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(wrong):
        try:
            returned = cli.main([str(a) for a in args])
        except SystemExit as end:  # argparse's, after --help and mistakes
            returned = end.code
    assert returned == code, wrong.getvalue() + said.getvalue()
    return said.getvalue() if code == 0 else wrong.getvalue()


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("the cat sat on the mat, naïve and quiet.\n" * 60, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(text):
    out = text.parent / "out"
    return out, process("train", text, *SMALL, "--epochs", 2, "--out", out)


def test_train_leaves_everything(trained):
    out, said = trained
    names = {"model.safetensors", "log.csv", "loss.svg", "loss.png", *(
        f"{view}.{ending}" for view in ("folded", "unrolled", "backward") for ending in ("svg", "png"))}
    assert {p.name for p in out.iterdir()} == names
    assert "h[t] = o[t] * tanh(c[t])" in said and "before training" in said and "after training" in said
    assert re.search(r"\d\.\d{3} bits per character on the held-out tenth", said)
    assert (out / "folded.png").read_bytes().startswith(b"\x89PNG")
    assert tr.load(out / "model.safetensors").weights["b_f"].shape == (8,)


def test_sample_is_seeded(trained):
    checkpoint = trained[0] / "model.safetensors"
    first, again, other = (how("sample", checkpoint, "--length", 40, "--seed", s)
                           for how, s in ((process, 1), (call, 1), (call, 2)))
    assert first == again != other and len(first) == 41
    assert call("sample", checkpoint, "--length", 5, "--prime", "the c").startswith("the c")


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_other_cells_and_layers(text, tmp_path, cell):
    assert "held-out" in call("train", text, *SMALL, "--epochs", 1, "--cell", cell, "--layers", 2, "--out", tmp_path)
    two = tr.graphs.MODELS[cell](inputs=3, hidden=8, outputs=3, layers=2)
    assert set(tr.load(tmp_path / "model.safetensors").weights) == set(two.weights)


def test_a_killed_run_resumes(text, tmp_path):
    process = subprocess.Popen(command("train", text, *SMALL, "--epochs", 24, "--out", tmp_path),
                               stdout=subprocess.DEVNULL)
    checkpoint = tmp_path / "model.safetensors"
    for _ in range(6000):
        if checkpoint.exists() or process.poll() is not None:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    load_checkpoint(checkpoint)
    said = call("train", text, "--resume", "--quiet", "--out", tmp_path)
    assert "epoch 24 of 24" in said and "epoch  1 of 24" not in said


@pytest.mark.parametrize("ending", ["svg", "png", "pdf", "dot"])
def test_draw(tmp_path, ending):
    for view in ("folded", "unrolled", "backward"):
        path = tmp_path / f"{view}.{ending}"
        how = process if (view, ending) == ("folded", "png") else call
        how("draw", "gru", "--view", view, *(("--steps", 3) if view != "folded" else ()), "-o", path)
        assert path.stat().st_size > 500


def test_grad_prints_what_reads_back(tmp_path):
    said = process("grad", "lstm")
    assert str(tr.equations(said)) == said.strip("\n")
    (tmp_path / "mine.txt").write_text("h[t] = tanh(U @ h[t-1] + x[t])\nh[t]: 3\nerror = mean(h[t] * h[t])\n")
    assert "d_U = " in call("grad", tmp_path / "mine.txt", "--of", "error")
    assert call("grad", "rnn", "--latex").startswith(r"\begin{aligned}")
    some = call("grad", "rnn", "--latex", "--want", "d_h", "--want", "d_W_h?", "--notation", "subscript")
    assert some.count("&=") == 3 and r"\delta h_{t} &= " in some
    assert "--want goes with --latex" in call("grad", "rnn", "--want", "d_h", code=2)


def test_models_and_help():
    assert [line.split()[0] for line in process("models").splitlines()] == list(tr.graphs.MODELS)
    assert "examples:" in call("--help") and "tinygrad-rnn train" in call("train", "--help")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_console_without_a_letter_gets_an_escape(encoding):
    """Windows has cp1252 where the output goes into a file; the example's table has a sign that it lacks."""
    code = ("import sys; from tinygrad_rnn.cli import main\n"
            "for args in (['models', 'ctc'], ['draw', '--help'], ['examples', 'hello', '--quick', '--help']):\n"
            "    try: main(args)\n"
            "    except SystemExit: pass\n"
            "from tinygrad_rnn.examples.datasets.found import told\n"
            "told(lambda: print('\\u2265'))")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120,
                         env={**os.environ, "PYTHONIOENCODING": encoding})
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.decode(encoding)
    assert ("Fern\\xe1ndez" in said) == (encoding == "ascii") and "\\u2265" in said


def test_mistakes(text, trained, tmp_path):
    empty, latin, foreign, cut = (tmp_path / n for n in ("empty.txt", "latin.txt", "foreign.st", "cut.safetensors"))
    empty.write_bytes(b"")
    latin.write_bytes(b"caf\xe9 " * 100)
    foreign.write_text("not a checkpoint")
    cut.write_bytes((trained[0] / "model.safetensors").read_bytes()[:-50])
    blocked = tmp_path / "file"
    blocked.write_text("")
    checkpoint = trained[0] / "model.safetensors"
    for args, fragments in [
        (("train", empty), ["empty"]), (("train", latin), ["UTF-8", "3"]), (("train", tmp_path / "none"), ["none"]),
        (("train", text, *SMALL, "--out", blocked), ["file"]),
        (("train", text, "--batch", "9999", "--out", tmp_path / "o"), ["characters"]),
        (("sample", foreign), ["foreign.st"]), (("sample", cut), ["truncated"]),
        (("sample", checkpoint, "--prime", "Ω"), ["Ω"]),
        (("draw", "lsmt", "-o", tmp_path / "x.svg"), ["did you mean 'lstm'"]),
        (("draw", "lstm", "-o", tmp_path / "x.bmp"), [".bmp", ".svg"]),
        (("draw", "lstm", "--view", "unrolled", "--steps", "0", "-o", tmp_path / "x.svg"), ["steps"]),
        (("grad", "lstm", "--of", "h"), ["single number"]),
        (("--backend", "cupy", "models"), ["cupy"]),
    ]:
        if args[0] == "--backend" and _has_gpu():
            continue
        # What a process leaves behind is not to be met by other tests: here an unusable backend.
        said = (process if args[0] in ("--backend", "grad") else call)(*args, code=2)
        assert all(f in said for f in fragments), (args, said)
    assert not (tmp_path / "x.svg").exists()


def _has_gpu():
    try:
        tr.backends.load("cupy")
    except tr.Error:
        return False
    return True


def test_interrupting_is_quiet(text, tmp_path):
    # Where the tests run in the background an interrupt is ignored, and what they start would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command("train", text, *SMALL, "--epochs", 5000, "--out", tmp_path),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    for _ in range(6000):
        if (tmp_path / "model.safetensors").exists():
            break
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "Traceback" not in said and "--resume" in said


def test_draw_reaches_every_view(tmp_path):
    two = ("--steps", 2)
    for view, *steps in (("folded",), ("unrolled", *two), ("backward", *two), ("cell",), ("equations",)):
        out = tmp_path / f"{view}.svg"
        assert call("draw", "gru", "--view", view, *steps, "-o", out).strip() == str(out)
        assert out.read_text(encoding="utf-8").startswith("<svg")
    for ending in ("html", "tex", "mmd", "dot", "png", "pdf"):
        assert call("draw", "rnn", "-o", tmp_path / f"a.{ending}").strip().endswith(ending)
    derived = tmp_path / "derived.svg"
    call("draw", "rnn", "--of", "loss", "-o", derived)
    assert "δ" in derived.read_text(encoding="utf-8")
    assert "view='attention' needs" in call("draw", "rnn", "--view", "attention", "-o", tmp_path / "b.svg", code=2)
    assert "steps= goes with the view 'unrolled'" in call("draw", "rnn", "--steps", 3, "-o", tmp_path / "b.svg", code=2)
    assert "view is 'folded'" in call("draw", "rnn", "--view", "sideways", "-o", tmp_path / "b.svg", code=2)


def test_draw_colours_by_data(trained, tmp_path):
    checkpoint, arrays = trained[0] / "model.safetensors", tmp_path / "batch.npz"
    np.savez(arrays, x=np.array([[0, 1, 2], [2, 1, 0]]), target=np.array([[1, 2, 0], [1, 0, 1]]))
    out = tmp_path / "run.svg"
    call("draw", checkpoint, "--view", "unrolled", "--data", arrays, "--example", 1, "-o", out)
    text = out.read_text(encoding="utf-8")
    assert "f⟨3⟩: mean openness" in text and "f⟨4⟩" not in text
    call("draw", checkpoint, "--view", "backward", "--data", arrays, "--colour", "gradient", "-o", out)
    assert "gradient norm" in out.read_text(encoding="utf-8")
    arrays.write_text("nothing")
    assert "it is not a file of arrays" in call("draw", checkpoint, "--data", arrays, "-o", out, code=2)


def test_the_gallery(tmp_path):
    call("gallery", "rnn", "-o", tmp_path / "gallery", "--sheet", tmp_path / "sheet.png")
    index = (tmp_path / "gallery" / "index.html").read_text(encoding="utf-8")
    for name in re.findall(r"(?:src|href)='([^']+)'", index):
        assert (tmp_path / "gallery" / name).stat().st_size
    assert "rnn-cell.svg" in index and "rnn-two-layers-backward.svg" in index
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
