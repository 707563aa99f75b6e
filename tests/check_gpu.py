"""What a first run on an NVIDIA GPU has to show: `make check-gpu`, or `python tests/check_gpu.py --out FOLDER`.

Stages in the order of what is most likely to go wrong, each a process of its own with a limit of its own: what fails or
hangs ends nothing else. After each stage FOLDER has check-gpu.md, a table of what passed, check-gpu.log, all that was
printed, and the benchmark's report once there is one; so a run that is cut off keeps what it learnt. Stages that do not
fit into the time are not begun, and the table says how to run them. Where this project is not installed for the
interpreter, it is: from here, without its dependencies and without a network.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MINUTES = 9.5  # for everything, by default
MARGIN = 25.0  # seconds of them that are kept for the end
GRACE = 8.0  # seconds for a stage that is out of time to say how far it came
HANGS = 120  # seconds after which a test counts as hanging: its process is ended, and a new one does the others
WORKERS = 8  # processes of a stage that share the GPU, at most
SHOWN = 15  # lines of what failed in a stage, at most
SECONDS = "SECONDS"  # among a stage's arguments: how many it has for its work
START = 30.0  # of them are not counted, in which it starts and ends
FACTS = """
import importlib.metadata, platform
print("Python", platform.python_version())
for name in ("numpy", "cupy-cuda12x", "cupy-cuda13x", "torch", "jax", "pytest", "pytest-xdist", "llvmlite", "graphviz"):
    try:
        print(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        print(name, "is not installed")
import cupy
device, runtime = cupy.cuda.Device(), cupy.cuda.runtime
print("the driver is for CUDA", runtime.driverGetVersion(), "and CuPy for", runtime.runtimeGetVersion())
print("the compiler is of CUDA", *cupy.cuda.nvrtc.getVersion())
from tinygrad_rnn.cuda import cublas
print("cuBLAS is", cublas.library()._name)
print(*(f"{name} {device.attributes[name]}," for name in (
    "MultiProcessorCount", "MaxSharedMemoryPerBlockOptin", "CooperativeLaunch")), sep=" ")
import tinygrad_rnn
tinygrad_rnn.use_backend("cupy")
print(runtime.getDeviceProperties(device.id)["name"].decode(), "of compute capability", device.compute_capability)
"""
ANSWERS = "import cupy; assert float(cupy.ones(3).sum()) == 3; print('the GPU answers')"
ENDED = re.compile(r"^=+ (.*\b(?:passed|failed|skipped|deselected|errors?)\b.*) in [\d.]+s.*=+$", re.M)
EACH = re.compile(r"^(?:\[gw\d+\] \[ *\d+%\] |\S+::.* )(PASSED|FAILED|ERROR|SKIPPED)\b", re.M)
RESULT = re.compile(r"^(?:\[gw\d+\] \[ *\d+%\] (?:FAILED|ERROR) .*|\S+::.* (?:FAILED|ERROR)\b.*)", re.M)
FAULT = re.compile(r"^(?:FAILED|ERROR) .*", re.M)  # of the list at the end, with the reason


@dataclass(frozen=True)
class Stage:
    """Arguments of an interpreter. limit: its seconds; least: with less than so many it is not begun. more: what its
    environment has beside."""

    name: str
    what: str
    arguments: Sequence[str]
    limit: float
    least: float = 30.0
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """How a stage ended: "passed", "skipped", "failed", "out of time", "not begun"; a word on it, and what failed."""

    stage: Stage
    how: str
    seconds: float = 0.0
    word: str = ""
    faults: Sequence[str] = ()


def tests(*arguments: str, workers: int, hangs: float = HANGS) -> list[str]:
    """A run of pytest. In several processes a test that hangs, or breaks the GPU for its process, costs only itself."""
    found = ["-m", "pytest", "-v", "-rfE", "--tb=short", "-p", "no:cacheprovider",
             "-o", f"faulthandler_timeout={hangs:g}"]
    if importlib.util.find_spec("xdist") is not None:
        found += ["-n", str(workers), "-o", "faulthandler_exit_on_timeout=true"]
    return [*found, *arguments]


def stages() -> list[Stage]:
    """All of them, in order."""
    workers = max(2, min(WORKERS, (os.cpu_count() or 2) // 2))

    def gpu(which: str, workers: int = workers, hangs: float = HANGS) -> list[str]:
        return tests("-m", "gpu", "-k", which, "tests/test_gpu.py", workers=workers, hangs=hangs)

    first, values, sanitizer = "replay or a_loop_that_stays", "values_and_gradients", "sanitizer"
    others = f"not {values} and not {sanitizer} and not replay and not a_loop_that_stays"
    cupys = tests("-m", "gpu", "tests/test_standin.py", "tests/test_standin_graphs.py", workers=2)
    benchmark = ["-m", "benchmarks.gpu", "--budget", SECONDS]
    suite = tests("--continue-on-collection-errors", *(f"--ignore=tests/test_{name}.py" for name in unplanned()),
                  "tests", workers=2 * workers, hangs=2 * HANGS)
    return [
        Stage("machine", "CuPy, the driver, the compiler and cuBLAS are there", ["-c", FACTS], 90),
        Stage("first", "an LSTM and a GRU: launches, a graph of them, loops that stay", gpu(first, 2), 180),
        Stage("models", "values and gradients of every ready model in float32", gpu(f"{values} and float32"), 300),
        Stage("others", "loops of many sizes, products, two streams, 200 updates", gpu(others), 300),
        Stage("refusals", "CuPy refuses what the stand-in for it refuses", cupys, 120),
        Stage("rounded", "values and gradients in tf32 and bfloat16", gpu(f"{values} and not float32"), 300),
        Stage("rivals", "the benchmark at tiny sizes", [*benchmark, "--smoke"], 130, 60),
        Stage("sanitizer", "memory errors and races of kernels", gpu(sanitizer, 3, 400), 400, 60),
        Stage("benchmark", "the benchmark", benchmark, 570, 200),
        Stage("suite", "all tests for which it matters what computes", suite, 3600, 200,
              {"TINYGRAD_RNN_BACKEND": "cupy"}),
    ]


def unplanned() -> list[str]:
    """The tests for which it makes no difference, as the Makefile lists them."""
    found = re.search(r"^UNPLANNED = (.*)$", (ROOT / "Makefile").read_text().replace("\\\n", " "), re.M)
    assert found is not None
    return found[1].split()


class Check:
    """One run. python: the interpreter; out: the folder; seconds: for everything."""

    def __init__(self, python: str, out: Path, seconds: float):
        self.python, self.out, self.log = python, out, out / "check-gpu.log"
        self.end = time.monotonic() + seconds
        self.results: list[Result] = []

    def left(self) -> float:
        """Seconds for stages."""
        return self.end - MARGIN - time.monotonic()

    def run(self, stages: Sequence[Stage]) -> bool:
        """All stages, and the table after each; has each of them passed?"""
        works = True
        for stage in stages:
            self.results.append(self.stage(stage) if works else Result(stage, "not begun", word="the GPU is stuck"))
            works = works and (self.results[-1].how != "out of time" or self.answers())
            (self.out / "check-gpu.md").write_text(self.table() + "\n")
        return all(result.how in ("passed", "skipped") for result in self.results)

    def stage(self, stage: Stage) -> Result:
        """One stage, and the benchmark's report if it has written one."""
        if self.left() < stage.least:
            return Result(stage, "not begun", word="no time")
        print(f"{stage.name}: {stage.what} ({self.left():.0f} s left)", flush=True)
        begin, epoch, place = time.monotonic(), time.time(), self.log.stat().st_size if self.log.exists() else 0
        seconds = min(stage.limit, self.left())
        counted = [f"{seconds - START:.0f}" if a == SECONDS else a for a in stage.arguments]
        code = self.command(replace(stage, arguments=counted), seconds)
        for path in (ROOT / "benchmarks").glob("*-gpu.*"):
            if path.stat().st_mtime >= epoch:
                shutil.copyfile(path, self.out / path.name)
        with self.log.open(errors="replace") as file:
            file.seek(place)
            word, faults = told(file.read(), code)
        skipped = "skipped" in word and "passed" not in word
        how = "out of time" if code is None else "failed" if code else "skipped" if skipped else "passed"
        return Result(stage, how, time.monotonic() - begin, word, faults)

    def command(self, stage: Stage, seconds: float) -> int | None:
        """The exit status; None where it was not done in time. It is ended with all that it has started."""
        with self.log.open("a") as log:
            print(f"==== {stage.name}: {shlex.join(stage.arguments)}", file=log, flush=True)
            process = subprocess.Popen(  # in a session of its own, so that it can be ended with its children
                [self.python, "-u", *stage.arguments], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env={"OMP_NUM_THREADS": "2", **os.environ, "COLUMNS": "200", **stage.more})
            try:
                return process.wait(seconds)
            except subprocess.TimeoutExpired:
                return None
            finally:
                put_an_end(process)

    def answers(self) -> bool:
        """Does the GPU still compute, for a new process? It takes a while until one whose kernel hung is gone."""
        return any(self.command(Stage("answers", "", ["-c", ANSWERS], 0), 20) == 0 for _ in range(2))

    def table(self) -> str:
        """A line for each stage; then what failed, and how to run what had no time."""
        lines = ["| stage | what | result | seconds | |", "|---|---|---|---|---|"]
        lines += [f"| {r.stage.name} | {r.stage.what} | {r.how} | {r.seconds:.0f} | {r.word} |" for r in self.results]
        for r in self.results:
            lines += ["", f"{r.stage.name}:", *(f"    {line}" for line in r.faults)] if r.faults else []
        rest = [r.stage.name for r in self.results if r.how in ("not begun", "out of time")]
        lines += ["", f"To run the rest: make check-gpu STAGES='{' '.join(rest)}'"] if rest else []
        return "\n".join(lines)


def put_an_end(process: subprocess.Popen[bytes]) -> None:
    """End it with its children: by an interrupt, at which pytest says how far it came, then for good. A process that
    waits for a driver may outlast both, and is left."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)


def told(text: str, code: int | None) -> tuple[str, list[str]]:
    """What a stage has printed, in a word, and what failed in it."""
    ended, each = ENDED.findall(text), EACH.findall(text)
    counts = ", ".join(f"{each.count(how)} {how.lower()}" for how in dict.fromkeys(each))
    lines = [line for line in text.splitlines() if line.strip()]
    word = ended[-1] if ended else counts or lines[-1]
    if code == 0:
        return word[:200], []
    faults = FAULT.findall(text) or RESULT.findall(text) or ([] if ended or counts else lines)
    return word[:200], [line[:200] for line in faults[-SHOWN:]]


def install(python: str) -> None:
    """Make this checkout what the interpreter imports, unless it is."""
    there = f"import tinygrad_rnn.graphs, sys; sys.exit({str(ROOT)!r} not in tinygrad_rnn.graphs.__file__)"
    if subprocess.run([python, "-c", there], cwd=ROOT.parent, capture_output=True).returncode:
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation",
                        "--editable", "."], cwd=ROOT, check=True)


def main(arguments: Sequence[str]) -> int:
    """Run the stages, print the table."""
    parser = argparse.ArgumentParser(prog="python tests/check_gpu.py", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "gpu", help="a folder (out/gpu)")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"for everything ({MINUTES:g})")
    parser.add_argument("--stages", nargs="+", choices=[s.name for s in stages()], help="only these; all by default")
    asked = parser.parse_args(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    check = Check(sys.executable, asked.out, 60 * asked.minutes)
    install(sys.executable)
    passed = check.run([stage for stage in stages() if stage.name in (asked.stages or [stage.name])])
    print("\n" + check.table())
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
