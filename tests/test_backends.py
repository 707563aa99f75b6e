"""What a person meets of the backends: which one is used, and what is said where it cannot be."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from machines import CudaError, OutOfMemory, cupy, failing, fake, machine

import tinygrad_rnn as tr
from tinygrad_rnn import backends, cli
from tinygrad_rnn.errors import out_of_memory

pytestmark = pytest.mark.device

# -- what is missing -------------------------------------------------------------------------------

BANNER = """
================================================================
Failed to import CuPy.

If you installed CuPy via wheels (cupy-cudaXXX), make sure that ...

Original error:
  ImportError: libcudart.so.12: cannot open shared object file
================================================================
"""

MISSING = [
    (None, ["needs CuPy, which is not installed", "pip install 'cupy-cuda12x[ctk]' (the extra cuda12)", "cuda13"]),
    (ImportError(BANNER), ["cannot be imported: ImportError: libcudart.so.12: cannot open", "uninstall"]),
    (OSError("no such symbol"), ["cannot be imported: no such symbol"]),
    (fake(CudaError(35, "cudaErrorInsufficientDriver: ..."), driver=0), ["NVIDIA's driver", "has none"]),
    (fake(CudaError(35, "cudaErrorInsufficientDriver: ..."), driver=11040),
     ["newer driver", "CUDA 11.4", "CUDA 12.9; update the driver"]),
    (fake(CudaError(35, "cudaErrorInsufficientDriver: ..."), driver=12080, needed=13000),
     ["CUDA 12.8", "CUDA 13.0", "update the driver, or pip install 'cupy-cuda12x[ctk]'"]),
    (fake(CudaError(100, "cudaErrorNoDevice: no CUDA-capable device is detected")), ["NVIDIA GPU", "finds none"]),
    (fake(0), ["NVIDIA GPU", "finds none"]),
    (fake(CudaError(999, "cudaErrorUnknown: unknown error")), ["the driver says: cudaErrorUnknown: unknown error"]),
    (fake(zeros=failing(OutOfMemory("Out of memory allocating 512 bytes"))), ["memory", "512 bytes", "end what else"]),
    (fake(zeros=failing(RuntimeError("libnvrtc.so.12 not found\nmore"))),
     ["libnvrtc.so.12 not found", "pip install 'cupy-cuda12x[ctk]'"]),
    (fake(zeros=lambda shape: np.full(shape, 3.0)), ["computes 0 + 1 wrongly"]),
]


@pytest.mark.parametrize("module,fragments", MISSING, ids=lambda x: str(x[0])[:30] if isinstance(x, list) else "")
def test_one_line_says_what_is_missing_on_all_three_ways(module, fragments, alone, monkeypatch, capsys):
    with machine(module, monkeypatch):
        with pytest.raises(tr.Error) as error:
            tr.use_backend("cupy")
        said = str(error.value)
        assert "\n" not in said and all(part in said for part in fragments), said
        for arguments in (["--backend", "cupy", "models"], ["models", "--backend", "cupy"]):
            assert cli.main(arguments) == 2
            assert capsys.readouterr() == ("", f"tinygrad-rnn: {said}\n")
        monkeypatch.setenv("TINYGRAD_RNN_BACKEND", "cupy")
        with pytest.raises(tr.Error) as error:
            tr.Tensor([1.0])
        assert str(error.value) == said
        assert cli.main(["models", "gru"]) == 2
        assert capsys.readouterr().err == f"tinygrad-rnn: {said}\n"


def test_hidden_gpus_are_told(alone, monkeypatch):
    for value in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        with (machine(fake(CudaError(100, "cudaErrorNoDevice: none")), monkeypatch),
              pytest.raises(tr.Error, match=f"CUDA_VISIBLE_DEVICES='{value}' shows none")):
            tr.use_backend("cupy")


def test_the_driver_says_which_extra(alone, monkeypatch):
    class Library:
        @staticmethod
        def cuDriverGetVersion(found):
            found._obj.value = 13000

    with (machine(None, monkeypatch, lambda name: Library),
          pytest.raises(tr.Error, match=r"not installed: pip install 'cupy-cuda13x\[ctk\]' \(the extra cuda13\)$")):
        tr.use_backend("cupy")


def test_what_failed_is_tried_again_and_what_worked_is_not(alone, monkeypatch):
    asked = []
    module = fake(0)
    with machine(module, monkeypatch):
        with pytest.raises(tr.Error):
            tr.use_backend("cupy")
        module.cuda.runtime.getDeviceCount = lambda: asked.append(1) or 1
        for _ in range(3):
            tr.use_backend("cupy")
        assert asked == [1] and tr.backend() == "cupy"


# -- which one is used -----------------------------------------------------------------------------


@pytest.mark.parametrize("module,expected", [(m, "numpy") for m, _ in MISSING] + [(fake(), "cupy")])
def test_auto_takes_a_usable_gpu_without_a_word(module, expected, alone, monkeypatch, capsys):
    with machine(module, monkeypatch):
        assert tr.backend() == "numpy"
        tr.use_backend("auto")
        assert tr.backend() == expected
        backends._current = None
        assert cli.main(["models", "--backend", "auto"]) == 0
        assert tr.backend() == expected and capsys.readouterr().err == ""
        backends._current = None
        monkeypatch.setenv("TINYGRAD_RNN_BACKEND", "auto")
        assert tr.backend() == expected


def test_precision(alone, monkeypatch, capsys):
    with machine(fake(), monkeypatch):
        tr.use_backend("cupy", precision="tf32")
        assert backends.precision() == "tf32"
        tr.use_backend("cupy")
        assert backends.precision() == "float32"
        for wrong in ("numpy", "auto", "cupy"):
            with pytest.raises(tr.Error, match=r"unknown precision 'bfloat'; there are .*; did you mean 'bfloat16'"):
                tr.use_backend(wrong, "bfloat")
        with pytest.raises(tr.Error, match="'tf32' is of products on a GPU; NumPy"):
            tr.use_backend("numpy", "tf32")
        assert (tr.backend(), backends.precision()) == ("cupy", "float32")  # a refusal leaves all as it was
        assert cli.main(["--backend", "cupy", "models", "--precision", "bfloat16"]) == 0
        assert backends.precision() == "bfloat16"
        tr.use_backend("numpy")
        assert cli.main(["--precision", "tf32", "models"]) == 2 and "NumPy" in capsys.readouterr().err
        backends._current = None
        monkeypatch.setenv("TINYGRAD_RNN_BACKEND", "cupy")
        monkeypatch.setenv("TINYGRAD_RNN_PRECISION", "tf32")
        assert (backends.precision(), tr.backend()) == ("tf32", "cupy")
        assert cli.main(["models", "--precision", "float32"]) == 0 and backends.precision() == "float32"


def test_which_gpus_round(alone, monkeypatch):
    with machine(fake(0), monkeypatch):
        tr.use_backend("auto", "tf32")
        assert (tr.backend(), backends.precision()) == ("numpy", "float32")
    with machine(fake(capability="75"), monkeypatch):
        with pytest.raises(tr.Error, match=r"needs a GPU of compute capability 8\.0 .* has 7\.5"):
            tr.use_backend("cupy", "bfloat16")
        tr.use_backend("cupy")
    for capability in ("80", "89", "90", "120"):
        with machine(fake(capability=capability), monkeypatch):
            tr.use_backend("cupy", "bfloat16")


def test_unknown_backends(alone):
    with pytest.raises(tr.Error, match=r"unknown backend 'coda'; there are numpy, cupy and auto"):
        tr.use_backend("coda")
    with pytest.raises(tr.Error, match=r"did you mean 'cupy'\?"):
        tr.use_backend("cuppy")
    assert cli.main(["models", "--backend", "cuppy"]) == 2


# -- the page -----------------------------------------------------------------------------------------


def test_the_page_runs(gpu):
    page = (Path(__file__).parents[1] / "docs" / "gpu.md").read_text(encoding="utf-8")
    m = tr.graphs.lstm(inputs=27, hidden=4, outputs=27)
    data = np.random.default_rng(0).standard_normal((2, 3, 27)).astype("float32")
    scope = {"tr": tr, "lstm": m, "X": data}
    for block in re.findall(r"```python\n(.*?)```", page, re.S):
        if "import torch" not in block:
            exec(block, scope)
    assert (tr.backend(), backends.precision()) == ("cupy", "tf32") and isinstance(scope["x"], cupy().ndarray)
    source = (Path(backends.__file__).parent / "cupy.py").read_text(encoding="utf-8")
    said = re.findall(r"^\| `(needs .*?|is installed .*?|the driver .*?|found .*?)` \|", page, re.M)
    assert len(said) == 7 and all(line in source for line in said)


# -- memory ----------------------------------------------------------------------------------------


def test_out_of_memory_says_how_much_and_what_lowers_it(gpu):
    error = out_of_memory(3 * 2**30, 700 * 2**20, "a training step of 64 examples")
    assert isinstance(error, tr.Error) and isinstance(error, MemoryError)
    assert str(error).startswith("a training step of 64 examples needs about 3.0 GiB of memory, "
                                 "and 700.0 MiB can be had; ")
    assert "fewer examples" in str(error) and 'memory="sqrt"' in str(error) and "\n" not in str(error)
    assert str(out_of_memory(2**20, None, "this run")).startswith("this run needs about 1.0 MiB of memory; ")
    assert str(out_of_memory(None, None, "this run")).startswith("this run needs more memory than there is; ")
    for name in ("numpy", "cupy"):
        module = backends.load(name)
        assert issubclass(MemoryError, module.memory_errors)
        assert module.free_memory() is None or module.free_memory() > 0
    assert issubclass(cupy().cuda.memory.OutOfMemoryError, backends.load("cupy").memory_errors)
