"""Generated kernels neither race nor touch what is not theirs: on the stand-in for CuPy every access is looked at.

What is looked for is told in `tests/standin/cupy/native/watch.h`. `python tests/test_cuda_races.py [FORM ...]` looks at
every form of every ready model in odd sizes, which takes a while, and prints what it finds.
"""

from __future__ import annotations

import gc
import os
import re
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import architectures
import cuda_loops as loops
import numpy as np
import nvrtc
import pytest
from cuda_sources import on_paper, planned
from on_standin import compiled_together, recorded, settings, standin, watched

import tinygrad_rnn as tr
from tinygrad_rnn.commands import catalogue
from tinygrad_rnn.cuda.device import OPTIONS
from tinygrad_rnn.cuda.kernels import PRELUDE
from tinygrad_rnn.cuda.launch import Launch
from tinygrad_rnn.cuda.resident_text import BARRIER
from tinygrad_rnn.fusion.lift import Operand, Table

pytestmark = pytest.mark.skipif(sys.platform != "linux" or shutil.which("g++") is None,
                                reason="accesses to memory are looked at by GCC's sanitizer, which is not installed")
SEEDS = ("0", "1", "20")  # of the order in which the stand-in runs blocks and threads


@pytest.fixture(scope="module")
def device() -> Iterator[Any]:
    """The stand-in's, watched; programs are launched and not captured."""
    with standin() as found, watched(), settings(found, captures=False):
        yield found


def function(device: Any, code: str, name: str, cooperative: bool = False) -> Any:
    found = device.xp.RawModule(code=code, options=OPTIONS, enable_cooperative_groups=cooperative).get_function(name)
    found.max_dynamic_shared_size_bytes = device.shared
    return found


# -- faults by hand ----------------------------------------------------------------------------------------

# By name: a body, what is right at WHAT, what is wrong there, and what is said then. It runs in 2 blocks of 32 threads
# k, together 64 threads i; a has 64 numbers, held 32 in each block, and n counts who has come to a barrier.
FAULTS: dict[str, tuple[str, str, str, str]] = {
    "no barrier": ("held[k] = 0; __syncthreads(); held[k] = k; WHAT; a[i] = held[31 - k];",
                   "__syncthreads()", "", "of shared memory .* a race: thread .* of block"),
    "no barrier after a read": ("held[k] = k; __syncthreads(); const float x = held[31 - k]; WHAT; held[k] = x;",
                                "__syncthreads()", "", "of shared memory .* a race: thread .* of block"),
    "many readers": ("held[k] = k; __syncthreads(); a[i] = held[0]; WHAT; if (k == 31) held[0] = 5;",
                     "__syncthreads()", "", "of shared memory .* a race: thread"),
    "threads in one place": ("a[WHAT] = 1;", "i", "i / 2", "a race: thread .* writes there"),
    "blocks in one place": ("a[WHAT] = 1;", "i", "k", "a race: thread .* writes there"),
    "bytes in one place": ("((bool *)a)[WHAT] = 1;", "i", "i / 2", "writes 1 bytes .* a race"),
    "a byte of a number": ("if (i == 8) a[WHAT] = 1; if (i == 9) ((bool *)a)[5] = true;", "2", "1", "a race"),
    "a block that reads another's": ("a[i] += a[WHAT];", "i", "63 - i", "a race: thread .* of block"),
    "the end": ("a[WHAT] = 1;", "i", "i + 1", "writes 4 bytes at 256 of the memory of argument 0 .* beyond"),
    "the beginning": ("if (i == 0) a[0] = a[WHAT];", "0", "-1", "reads 4 bytes at .* beyond what it was given"),
    "the end of shared memory": ("held[WHAT] = 1;", "k", "k + 1", "writes 4 bytes at 128 of shared memory .* beyond"),
    "what nobody wrote": ("if (k != WHAT) held[k] = 1; __syncthreads(); a[i] = held[31 - k];",
                          "99", "7", "reads 4 bytes at 28 of shared memory .* which nobody has written"),
    "no number's place": ("if (i == 0) *(double *)&a[WHAT] = 1;", "2", "1", "8 bytes at 4 .* which is not aligned"),
    "said to be aligned": ("held[k] = *(const float *)__builtin_assume_aligned(&a[WHAT], 16);", "i & ~3u", "i",
                           "is not aligned to 16 bytes"),
    "no barrier of all blocks": ("a[i] = 1; WHAT; const float x = __ldcg(&a[63 - i]); all_blocks(n, 4); a[i] = x;",
                                 "all_blocks(n, 2)", "atomicAdd(n, k == 0); __syncthreads()", "a race"),
    "too early": ("a[i] = 1; all_blocks(n, WHAT); if (__ldcg(&a[63 - i]) > 5) a[i] = 2;", "2", "1", "a race"),
    "fences before the barrier": (
        "a[i] = 1; WHAT; if (k == 0) { atomicAdd(n, 1); while (*(volatile unsigned *)n < 2) __nanosleep(20);"
        " __threadfence(); } __syncthreads(); if (__ldcg(&a[63 - i]) > 5) a[i] = 2;",
        "__syncthreads(); __threadfence()", "__threadfence(); __syncthreads()", "a race"),
    "by the cache": ("a[i] = 1; all_blocks(n, 2); const float x = WHAT; all_blocks(n, 4); a[i] = x;",
                     "__ldcg(&a[63 - i])", "a[63 - i]", "another block has written, and not by __ldcg"),
}
KERNEL = """extern "C" __global__ void {name}(float *a, unsigned *n) {{
    extern __shared__ __align__(16) unsigned char shared[];
    float *const held = (float *)shared;
    const unsigned k = threadIdx.x, i = blockIdx.x * 32 + k;
    {body}
}}
"""


@pytest.fixture(scope="module")
def by_hand(device: Any) -> dict[tuple[str, str], Any]:
    """By the name of a fault, "right" or "wrong": the kernel."""
    bodies = {(fault, kind): body.replace("WHAT", what) for fault, (body, *whats, _) in FAULTS.items()
              for kind, what in zip(("right", "wrong"), whats, strict=True)}
    names = {key: "_".join(key).replace(" ", "_").replace("'", "") for key in bodies}
    found: dict[tuple[str, str], Any] = {}
    for together in (False, True):
        mine = {key: body for key, body in bodies.items() if ("(n, " in body) == together}
        code = BARRIER + "".join(KERNEL.format(name=names[key], body=body) for key, body in mine.items())
        found |= {key: function(device, code, names[key], together) for key in mine}
    return found


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, by_hand: Any, device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(kind: str) -> None:
        numbers, counter = device.xp.ones(64, "float32"), device.xp.zeros(1, "uint32")
        by_hand[fault, kind]((2,), (32,), (numbers, counter), shared_mem=128)

    for seed in SEEDS:
        monkeypatch.setenv("TINYGRAD_RNN_STANDIN_SEED", seed)
        run("right")
        with pytest.raises(device.errors, match=FAULTS[fault][3]):
            run("wrong")


def test_the_count_of_barriers_may_run_over(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "a[i] = i; all_blocks(n, 0u); const float x = __ldcg(&a[63 - i]); all_blocks(n, 2u); a[i] = x;"
    kernel = function(device, BARRIER + KERNEL.format(name="run_over", body=body), "run_over", True)
    for seed in SEEDS:
        monkeypatch.setenv("TINYGRAD_RNN_STANDIN_SEED", seed)
        numbers, counter = device.xp.zeros(64, "float32"), device.xp.full(1, 2**32 - 2, "uint32")
        kernel((2,), (32,), (numbers, counter), shared_mem=128)
        assert numbers.tolist() == list(range(63, -1, -1)) and counter.tolist() == [2]


FREED = """extern "C" __global__ void by_number(const unsigned long long address) {
    ((float *)address)[threadIdx.x] = 1;
}
"""


def test_freed_memory_is_not_touched(device: Any) -> None:
    a = device.xp.zeros(64, "float32")
    address, kernel = np.uint64(a.data.ptr), function(device, FREED, "by_number")
    kernel((1,), (32,), (address,))
    assert a.tolist() == [1] * 32 + [0] * 32
    del a
    gc.collect()
    with pytest.raises(device.errors, match="beyond what it was given"):
        kernel((1,), (32,), (address,))


def test_a_launch_touches_what_its_operands_reach(device: Any) -> None:
    a, out = (device.xp.ones((6, 5), "float32") for _ in range(2))
    program = recorded(lambda do: do(device.xp.add, a[:4], 1, out[:4]), [out])
    program.run(0)
    (launch,) = program.launches
    launch.args[0] += 1  # one number more, of which both arrays have enough
    with pytest.raises(device.errors, match="beyond what it was given"):
        program.run(0)


# -- faults in generated kernels ---------------------------------------------------------------------------

BARRIERS = re.compile(r"all_blocks\(counter, goal \+= gridDim\.x\);|__threadfence\(\);")


def without_a_barrier(text: str) -> Iterator[str]:
    """The text, each time with one barrier or fence less, or with a barrier that does not wait for the last block."""
    for found in BARRIERS.finditer(text):
        before, after = text[: found.start()], text[found.end():]
        yield before + ("__syncthreads();" if "goal" in found[0] else ";") + after
        if "goal" in found[0]:
            yield before + found[0].replace("gridDim.x", "gridDim.x - 1") + after


@pytest.mark.parametrize("loop", [loops.recurrent, loops.in_a_row, loops.normalised], ids=lambda loop: loop.__name__)
def test_every_barrier_of_all_blocks_is_needed(loop: Any, device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host = loops.buffers(37, 3, "float32")
    with settings(device, loops="staying"):
        program = loops.made(loop, host)
    loops.results(program, host)
    (launch,) = (each for each in program.launches if each.cooperative)
    texts = [re.sub(rf"{launch.name}|all_blocks", rf"\g<0>_{k}", text)
             for k, text in enumerate(without_a_barrier(BARRIER + launch.source))]
    assert len(texts) >= 4
    functions = [function(device, PRELUDE + "".join(texts), f"{launch.name}_{k}", True) for k in range(len(texts))]
    for each in functions:
        monkeypatch.setattr(program, "_functions", {**program._functions, launch.name: each})
        with pytest.raises(device.errors, match="a race"):
            for seed in SEEDS:
                monkeypatch.setenv("TINYGRAD_RNN_STANDIN_SEED", seed)
                loops.results(program, host)


# -- generated kernels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [4, 7])
def test_loops_are_clean(blocks: int, device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    with settings(device, multiprocessors=blocks), compiled_together(device):
        for loop in loops.LOOPS:
            for way in ("launched", "staying"):
                host = loops.buffers(37, 3, "float32")
                with settings(device, loops=way):
                    made.append((host, loops.made(loop, host)))
    for host, program in made:
        for seed in SEEDS:
            monkeypatch.setenv("TINYGRAD_RNN_STANDIN_SEED", seed)
            loops.results(program, host)


SHAPES = [(33, 1, 3, True), (37, 3, 4, True), (130, 33, 3, False)]  # hidden units, examples, steps, ragged?
HERE = ("lstm", "layernorm", "gru-reset=after", "bahdanau", "mdlstm", "ctc")
BY_FORM = dict(zip(architectures.IDS, architectures.FORMS, strict=True))


def trained(form: str, hidden: int, batch: int, steps: int, ragged: bool) -> None:
    """The loss and the gradient of a model, with its noise, if it has any."""
    name, options = BY_FORM[form]
    units = hidden + hidden % 2 * catalogue.takes(name, "heads")  # two of them by default
    model = architectures.build(name, **{**options, "inputs": 5, "hidden": units, "dtype": "float32"})
    sizes = architectures.steps_of(model, steps)
    lengths = {index: np.arange(batch)[::-1] % steps + 1 for index in sizes} if ragged else {}
    model.value_and_grad(architectures.data(model, batch, sizes), lengths=lengths or None,
                         training=form.startswith(("zoneout", "variational")))


@pytest.mark.parametrize("way", ["launched", "staying"])
@pytest.mark.parametrize("form", HERE)
def test_models_are_clean(form: str, way: str, device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYGRAD_RNN_STANDIN_SEED", "1")
    with settings(device, loops=way):
        trained(form, *SHAPES[1])


def test_training_is_clean(device: Any) -> None:
    model = architectures.build("lstm", dtype="float32")
    data = architectures.data(model, 6, {"t": 5})
    model.fit(data, optimizer=tr.Adam(1e-3), clip=1.0, epochs=2, batch_size=3)
    step = model.stepper(batch=3)
    for k in range(3):
        step(x=data["x"][:3, k])


# -- what the compiler is told -----------------------------------------------------------------------------


def launches(form: str, ragged: bool) -> list[Launch]:
    """Those of a model's gradient."""
    name, options = BY_FORM[form]
    model = architectures.build(name, **{**options, "dtype": "float32"})
    sizes = architectures.steps_of(model, 5)
    lengths = {index: np.array([5, 2, 4]) for index in sizes} if ragged else None
    model, data = model.observing(), architectures.data(model, 3, sizes)
    with on_paper() as paper:
        derived = model.grad("loss", list(model.weights))
        planned(derived, data, ("loss", *(derived.adjoints[w] for w in model.weights)), lengths=lengths)
    return [each for program in paper.programs for each in program.launches]


def whole(operand: Operand) -> np.ndarray:
    return operand.whole.array if isinstance(operand, Table) else operand.array


def shared_with_what_is_written(launch: Launch) -> list[tuple[int, int]]:
    """Parameters said to be __restrict__ of which one is written and both have the same memory."""
    kinds = re.findall(r"^ *(const )?[\w ]+? \*__restrict__ p\d+", launch.source, re.M)
    arrays = [whole(o) for o in launch.keep[0]] if kinds else []
    assert len(kinds) == len(arrays)
    return [(j, k) for k, kind in enumerate(kinds) if not kind for j, a in enumerate(arrays)
            if j != k and np.shares_memory(a, arrays[k])]


@pytest.mark.parametrize("form", HERE)
def test_restrict_is_true(form: str) -> None:
    for ragged in (False, True):
        for each in launches(form, ragged):
            assert not shared_with_what_is_written(each), each.source


@pytest.mark.skipif(not nvrtc.found(), reason="NVIDIA's compiler is not installed: pip install nvidia-cuda-nvrtc")
@pytest.mark.parametrize("form", ["lstm", "layernorm"])
def test_what_a_kernel_writes_is_not_read_through_the_constant_cache(form: str) -> None:
    """Of launches whose operands may overlap, as those of loops do."""
    found = {each.name: each for each in launches(form, False) if "__restrict__" not in each.source}
    assert any(each.cooperative for each in found.values())
    text = "\n".join([PRELUDE, BARRIER, *(each.source for each in found.values())])
    ptx = nvrtc.ptx(text, OPTIONS, nvrtc.found()[0])
    assert "ld.global.cg" in ptx and "ld.global.nc" not in ptx


# -- all forms ---------------------------------------------------------------------------------------------


def main(forms: list[str]) -> int:
    """Look at these forms in all sizes, and print what is found; how many times something was."""
    os.environ["TINYGRAD_RNN_STANDIN_SEED"] = "1"
    faults = 0
    with standin() as device, watched():
        for form in forms:
            pairs = [pair for ragged in (False, True) for each in launches(form, ragged)
                     for pair in shared_with_what_is_written(each)]
            said = [f"not __restrict__: {pairs}"] if pairs else []
            for way in ("launched", "staying"):
                for hidden, batch, *rest in SHAPES:
                    with settings(device, captures=False, loops=way):
                        try:
                            trained(form, hidden, batch, *rest)
                        except device.errors as error:
                            said.append(f"{way}, {hidden} units, {batch} examples: {error}")
            faults += len(said)
            print(form, *said or ["clean"], sep="\n    " if said else ": ", flush=True)
    return faults


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:] or architectures.IDS)))
