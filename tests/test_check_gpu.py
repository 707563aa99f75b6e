"""The first run on a GPU: its stages, and that none that fails or hangs takes the others along."""

from __future__ import annotations

import os
import subprocess
import sys

import check_gpu
import pytest
from _pytest.mark.expression import Expression
from check_gpu import Check, Stage, told

MIXED = """
import pytest
def test_good(): pass
def test_bad(): assert 0
def test_left(): pytest.skip("there is no GPU")
"""
SKIPPED = "print('=== 2 skipped in 0.1s ===')"
GOOD = "print('=== 1 passed, 2 skipped in 0.1s ===')"
SLEEP = "import time; time.sleep(60)"
CHILD = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {SLEEP!r}]).pid)"


@pytest.fixture
def check(tmp_path, monkeypatch):
    monkeypatch.setattr(check_gpu, "GRACE", 1.0)
    monkeypatch.setattr(check_gpu, "ANSWERS", "print('yes')")
    return Check(sys.executable, tmp_path, check_gpu.MARGIN + 100)


def rows(check):
    return {r.stage.name: (r.how, r.word) for r in check.results}


def test_a_stage_that_fails_hangs_or_skips_ends_no_other(check, tmp_path):
    (tmp_path / "test_mixed.py").write_text(MIXED)
    mixed = ["-m", "pytest", "-v", "-rfE", "-p", "no:cacheprovider", str(tmp_path / "test_mixed.py")]
    assert not check.run([Stage("mixed", "", mixed, 60), Stage("slow", "", ["-c", SLEEP], 1),
                          Stage("skipped", "", ["-c", SKIPPED], 60), Stage("good", "the good one", ["-c", GOOD], 60),
                          Stage("greedy", "", ["-c", ""], 10, least=1000)])
    assert {name: how for name, (how, _) in rows(check).items()} == {
        "mixed": "failed", "slow": "out of time", "skipped": "skipped", "good": "passed", "greedy": "not begun"}
    assert rows(check)["mixed"][1] == "1 failed, 1 passed, 1 skipped"
    table = (tmp_path / "check-gpu.md").read_text()
    assert "| good | the good one | passed |" in table and "test_mixed.py::test_bad - assert 0" in table
    assert "STAGES='slow greedy'" in table
    assert "assert 0" in check.log.read_text()


def test_a_stage_is_told_how_much_time_it_has(check):
    assert check.run([Stage("told", "", ["-c", "import sys; print(sys.argv[1:])", check_gpu.SECONDS], 40, 35)])
    assert rows(check)["told"] == ("passed", f"['{40 - check_gpu.START:.0f}']")


def test_what_a_stage_leaves_behind_is_ended(check):
    assert check.run([Stage("child", "it never ends", ["-c", CHILD], 60)])
    pid = check.log.read_text().splitlines()[1]
    assert "Z" in state(pid) or not state(pid)


def state(pid):
    """As ps has it: Z of one that is dead, nothing of one that is gone."""
    return subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True).stdout.strip()


def test_after_a_stage_that_hung_the_gpu_is_asked_whether_it_answers(check, monkeypatch):
    monkeypatch.setattr(check_gpu, "ANSWERS", "raise SystemExit('it does not')")
    assert not check.run([Stage("hangs", "", ["-c", SLEEP], 1), Stage("next", "", ["-c", ""], 9)])
    assert rows(check)["next"] == ("not begun", "the GPU is stuck")


def test_what_is_told_of_a_stage():
    assert told("a\nb\n", 0) == ("b", [])
    assert told("Traceback\nValueError: no\n", 1) == ("ValueError: no", ["Traceback", "ValueError: no"])
    cut = "[gw0] [ 10%] PASSED tests/a.py::b \n[gw1] [ 20%] FAILED tests/a.py::c[1] \ntests/a.py::d \n"
    assert told(cut, None) == ("1 passed, 1 failed", ["[gw1] [ 20%] FAILED tests/a.py::c[1] "])


def test_each_test_of_the_gpu_is_in_one_stage():
    collect = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", "-m", "gpu"]
    listed = subprocess.check_output([*collect, "tests/test_gpu.py"], cwd=check_gpu.ROOT, text=True)
    names = {line for line in listed.splitlines() if "::" in line}
    stages = [s.arguments for s in check_gpu.stages() if "-k" in s.arguments]
    asked = [Expression.compile(arguments[arguments.index("-k") + 1]) for arguments in stages]
    found = [name for k in asked for name in names if k.evaluate(lambda word, name=name, **_: word in name)]
    assert len(names) > 100 and sorted(found) == sorted(names)


def test_the_suite_leaves_out_what_the_makefile_names():
    (suite,) = (stage for stage in check_gpu.stages() if stage.name == "suite")
    paths = [a.partition("=")[2] for a in suite.arguments if a.startswith("--ignore=")]
    assert len(paths) > 50 and all((check_gpu.ROOT / path).is_file() for path in paths)


@pytest.mark.parametrize("there", [True, False])
def test_what_is_there_is_not_installed(monkeypatch, there):
    ran = []

    def run(command, **more):
        ran.append(command)
        return subprocess.CompletedProcess(command, 0 if there else 1)

    monkeypatch.setattr(subprocess, "run", run)
    check_gpu.install("python3")
    assert [command[1:4] for command in ran[1:]] == ([] if there else [["-m", "pip", "install"]])


FAKE = """
import types
broken = []
class CUDARuntimeError(RuntimeError): pass
def deviceSynchronize():
    if broken: raise CUDARuntimeError("cudaErrorIllegalAddress")
cuda = types.SimpleNamespace(runtime=types.SimpleNamespace(
    deviceSynchronize=deviceSynchronize, CUDARuntimeError=CUDARuntimeError))
"""
BREAKS = """
import cupy
def test_first(): cupy.broken.append(1); assert 0
def test_second(): assert not cupy.broken
"""


def test_a_process_whose_gpu_is_broken_does_no_more_tests(tmp_path):
    pytest.importorskip("xdist")
    (tmp_path / "cupy.py").write_text(FAKE)
    (tmp_path / "test_breaks.py").write_text(BREAKS)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run([sys.executable, "-m", "pytest", "-v", "-n", "1", "-p", "conftest", "-p", "no:cacheprovider",
                           "--rootdir", str(tmp_path), "test_breaks.py"], cwd=tmp_path, capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": path})
    assert "FAILED test_breaks.py::test_first" in done.stdout and "PASSED test_breaks.py::test_second" in done.stdout
