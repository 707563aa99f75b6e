"""Every kernel that the ready models need, compiled by NVIDIA's compiler, which needs no GPU, without a warning.

What is compiled is the text, with the options, that `Device` gives to cupy.RawModule.
"""

from __future__ import annotations

import re
import types

import architectures
import numpy as np
import nvrtc
import pytest
import zoo
from cuda_sources import Paper, on_paper, planned

from tinygrad_rnn.cuda.device import Device

pytestmark = pytest.mark.skipif(not nvrtc.found(), reason="NVIDIA's compiler is not installed: pip install "
                                                          "nvidia-cuda-nvrtc")
ARGUMENTS = 4096  # bytes that every kernel may be given
RAGGED = ("lstm", "bidirectional")  # tried with examples of unequal length too
DOUBLE = ("lstm",)  # tried in float64 too
OTHERS = (("compute", 70), ("sm", 90), ("compute", 120), ("sm", 120))  # capabilities that a few are compiled for too
CUPYS = ("-ftz=true", "--device-as-default-execution-space")  # what CuPy adds to the options it is given


def kernels(name, options, dtype="float32", ragged=False, sizes=None):
    """The launches of the model's forward pass and of its gradient, deduplicated by kernel."""
    model = architectures.build(name, **{**options, "dtype": dtype, **(sizes or {})})
    data = architectures.data(model, 3, architectures.steps_of(model, 5))
    lengths = {index: np.array([5, 2, 4]) for index in zoo.dynamic(model)} if ragged else None
    model = model.observing()
    with on_paper() as paper:
        derived = model.grad("loss", list(model.weights))
        planned(model, data, tuple(model.system.by_name), lengths=lengths)
        planned(derived, data, ("loss", *(derived.adjoints[w] for w in model.weights)), lengths=lengths)
    return {each.name: each for program in paper.programs for each in program.launches}


class Module:
    """What Device takes for cupy.RawModule: it compiles, and has the kernels that are there."""

    architecture, path = "compute_80", None

    def __init__(self, code, options, enable_cooperative_groups):
        self._ptx = nvrtc.ptx(code, (*options, *CUPYS), self.path or nvrtc.found()[0], self.architecture)
        self._entries = set(re.findall(r"\.entry (\w+)", self._ptx))

    def get_function(self, name):
        assert name in self._entries
        return types.SimpleNamespace(name=name)


def device(architecture="compute_80", path=None):
    """A device that compiles for an architecture and runs nothing."""
    module = type("Module", (Module,), {"architecture": architecture, "path": path})
    found = Device(types.SimpleNamespace(RawModule=module))
    vars(found).update(shared=Paper.shared, multiprocessors=Paper.multiprocessors)
    return found


@pytest.fixture(scope="module")
def here():
    """Compiles each kernel once, whichever model it is for."""
    return device()


@pytest.mark.parametrize(("name", "options"), architectures.FORMS, ids=architectures.IDS)
def test_every_model_compiles(name, options, here):
    found = kernels(name, options)
    if not options and name in RAGGED:
        found |= kernels(name, options, ragged=True)
    if not options and name in DOUBLE:
        found |= kernels(name, options, dtype="float64")
    assert found
    assert set(found) <= set(here.functions(list(found.values())))
    for each in found.values():
        assert sum(argument.nbytes for argument in each.args) <= ARGUMENTS
        assert each.shared <= Paper.shared and each.grid[0] < 2**31 and max(each.grid[1:]) < 2**16
        if each.cooperative:
            assert each.grid[0] <= Paper.multiprocessors


@pytest.mark.parametrize("path", nvrtc.found() or [None], ids=lambda p: p and p.name)
@pytest.mark.parametrize(("form", "capability"), OTHERS)
@pytest.mark.parametrize("name", ["lstm", "layernorm"])
def test_other_gpus_and_compilers(name, capability, form, path):
    """To PTX and to machine code. Compilers for CUDA 13 begin at 7.5, and early ones for CUDA 12 end at 9.0."""
    known = nvrtc.architectures(path)
    capability = min(max(capability, min(known)), max(known))
    found = kernels(name, {}, sizes={"hidden": 24})
    some = {each.name.split("_")[0]: each for each in found.values()}  # one of each kind
    assert set(some) >= {"pass", "loop"}
    device(f"{form}_{capability}", path).functions(list(some.values()))


def test_a_warning_is_an_error():
    with pytest.raises(AssertionError, match="never referenced"):
        nvrtc.ptx('extern "C" __global__ void f() { const int unused = 1; }', (), nvrtc.found()[0])
    with pytest.raises(AssertionError, match="undefined"):
        nvrtc.ptx('extern "C" __global__ void f(float *x) { *x = missing; }', (), nvrtc.found()[0])
