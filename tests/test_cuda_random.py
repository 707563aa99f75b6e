"""Random programs of calls on the device: they compute what the calls do one by one, and touch no other memory.

The programs are those of `random_programs`, over NumPy's arrays, each in the middle of a larger one; the
stand-in for CuPy runs the kernels on them where they lie.
"""

from __future__ import annotations

import contextlib
import ctypes

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as search
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption
from on_standin import compiled_together, settings, standin
from random_programs import programs
from recorded_programs import Recording, intact, one_by_one

from tinygrad_rnn.backends import numpy as backend
from tinygrad_rnn.cuda import batched
from tinygrad_rnn.cuda.device import Device
from tinygrad_rnn.cuda.program import Program
from tinygrad_rnn.fusion.invariant import unchanging_first
from tinygrad_rnn.fusion.lift import Host, lifted
from tinygrad_rnn.fusion.program import Recorder

TOGETHER = 12  # programs whose kernels are compiled at once
BOUNDS = {"float64": 1e-12, "float32": 1e-4}


class Products:
    """What cuBLAS does, on the host: C' = op(A) op(B) by columns."""

    def gemm(self, dtype, precision, a, b, c, f):
        def matrices(address, rows, columns, leading, far):
            size = np.dtype(dtype).itemsize
            numbers = (f["count"] - 1) * far + (columns - 1) * leading + rows
            memory = np.frombuffer((ctypes.c_byte * (numbers * size)).from_address(address), dtype)
            return np.lib.stride_tricks.as_strided(
                memory, (f["count"], rows, columns), (far * size, size, leading * size))

        m, n, k = f["m"], f["n"], f["k"]
        left = matrices(a, *((k, m) if f["turn_a"] else (m, k)), f["lda"], f["far_a"])
        right = matrices(b, *((n, k) if f["turn_b"] else (k, n)), f["ldb"], f["far_b"])
        left = left.swapaxes(1, 2) if f["turn_a"] else left
        right = right.swapaxes(1, 2) if f["turn_b"] else right
        matrices(c, m, n, f["ldc"], f["far_c"])[...] = left @ right


class OnHost(Device):
    """A device whose arrays are NumPy's."""

    captures = False
    blas = Products()
    seen, empty, name = Host.seen, Host.empty, Host.name
    owner = staticmethod(backend.owner)


@pytest.fixture(scope="module")
def device():
    with standin() as found, pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(found.xp.RawKernel("", "")), "_block", lambda *_: None)  # any memory will do
        patch.setattr(backend, "matrices", True)
        for name in ("WORTH", "DEEP", "WARP"):  # however little there is to do, it may be done in tiles
            patch.setattr(batched, name, 1)
        patch.setattr(batched, "MICRO", 2)
        yield OnHost(found.xp)


@pytest.mark.parametrize("loops", ["launched", "staying"])
@search(max_examples=2, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck))
@given(some=st.lists(st.tuples(programs(), st.sampled_from([*BOUNDS])), min_size=TOGETHER, max_size=TOGETHER))
def test_programs_do_what_their_calls_do(loops, some, device):
    made = []
    with settings(device, loops=loops), compiled_together(device):
        for program, dtype in some:
            expected, found = Recording(program, dtype), Recording(program, dtype)
            made.append((dtype, expected, found, Program(
                found.segments, {id(backend.owner(a)) for a in found.public}, device)))
    for each in made:
        with contextlib.suppress(UnsatisfiedAssumption):  # of one that is not compared, as it jumps where it is rounded
            compare(*each)


def compare(dtype, expected, found, program):
    bound = BOUNDS[dtype]
    for _ in range(2):  # what a run leaves behind may not change the next
        bound *= one_by_one(expected.segments, 1e-3)
        for segment in range(len(program.segments)):
            program.run(segment)
        for x, y in zip(expected.public, found.public, strict=True):
            np.testing.assert_allclose(y, x, rtol=0, atol=bound)
        assert all(map(intact, found.arrays))


def running(do, x, total, last):
    """A sum that goes on from step to step, of what does not change; and what is set anew at each."""
    def step(t):
        do(np.multiply, total, 0.5, total)
        do(np.add, total, x, total)
        do(np.copyto, last, 0.0)
        do(np.add, last, x, last)

    do.loop(5, step)


def test_what_goes_on_from_step_to_step_is_done_at_each(device):
    x, total, last = np.array([1.0, 2.0]), np.zeros(2), np.zeros(2)
    do = Recorder(backend, compiled=True)
    running(do, x, total, last)
    with settings(device, loops="launched"):
        program = Program([do.calls], {id(total), id(last)}, device)
    program.run(0)
    assert total.tolist() == [1.9375, 3.875] and last.tolist() == [1, 2]
    assert len(unchanging_first(lifted(do.calls, {}, device))) == 2  # the latter before the loop
