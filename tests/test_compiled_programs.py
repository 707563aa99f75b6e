"""Random programs of calls: compiled, they compute what the calls do one by one, and touch no other memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_programs import programs
from recorded_programs import Recording, intact, one_by_one

pytest.importorskip("llvmlite", reason="compiled plans need llvmlite")

from tinygrad_rnn import jit
from tinygrad_rnn.backends import numpy as backend
from tinygrad_rnn.jit import strips
from tinygrad_rnn.jit.compiled import Program

pytestmark = pytest.mark.skipif(not jit.enabled(), reason="compiled code is off")
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
BOUNDS = {"float64": 1e-12, "float32": 1e-4}
# Sums as they are, and in strips of a position each however short they are.
WAYS = ({}, {"STRIP": 1, "WORTH": 0, "CHUNK": 1})


def compiled(program, dtype, way):
    """The program's calls, and what they are compiled to where strips are as told."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in way.items():
            patch.setattr(strips, name, value)
        found = Recording(program, dtype)
        return found, Program(found.segments, {id(backend.owner(a)) for a in found.public}, backend.owner)


@settings(max_examples=150, suppress_health_check=SLOW)
@given(program=programs(), dtype=st.sampled_from([*BOUNDS]))
def test_compiled_programs_do_what_their_calls_do(program, dtype):
    expected, made = Recording(program, dtype), [compiled(program, dtype, way) for way in WAYS]
    bound = BOUNDS[dtype]
    for _ in range(2):  # what a run leaves behind may not change the next
        bound *= one_by_one(expected.segments, 1e-3)
        for found, program in made:
            for segment in range(len(program.segments)):
                program.run(segment)
            for x, y in zip(expected.public, found.public, strict=True):
                np.testing.assert_allclose(y, x, rtol=0, atol=bound)
            assert all(map(intact, found.arrays))
