"""Sums over a long axis of the same arrays, done together in strips: the same sums, and nothing out of its turn."""

from __future__ import annotations

import architectures
import numpy as np
import pytest
from compiling import answer

from tinygrad_rnn import jit
from tinygrad_rnn.backends import numpy as backend
from tinygrad_rnn.plans.contract import contraction

pytest.importorskip("llvmlite", reason="compiled plans need llvmlite")

from tinygrad_rnn.fusion.lift import Product
from tinygrad_rnn.jit import strips
from tinygrad_rnn.jit.compiled import Program

pytestmark = pytest.mark.skipif(not jit.enabled(), reason="compiled code is off")
MATRIX = (("i", "j"), ("t", "i", "n"), ("t", "j", "n"))  # out[i, j] = sum of a[t, i, n] b[t, j, n]


@pytest.fixture
def narrow(monkeypatch):
    """Strips of one position, however short the axis."""
    for name, value in (("STRIP", 1), ("WORTH", 0), ("CHUNK", 1)):
        monkeypatch.setattr(strips, name, value)


@pytest.fixture
def runs(monkeypatch):
    """The runs that are cut, as they are found: of each unit, is it a product?"""
    found, made = [], strips._strips

    def noted(run):
        cut = made(run)
        if cut:
            found.append(sorted(isinstance(c.unit, Product) for c in run))
        return cut

    monkeypatch.setattr(strips, "_strips", noted)
    return found


@pytest.mark.parametrize(("name", "options"), architectures.FORMS, ids=architectures.IDS)
def test_gradients_are_those_of_single_calls(name, options, narrow):
    model = architectures.build(name, **options)
    data = architectures.data(model, 3, architectures.steps_of(model, 5))
    found, expected = (answer(model, data, compiled) for compiled in (True, False))
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-10, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("steps", [1, 2, 3, 63, 64, 65, 100])
def test_any_length(steps, runs, monkeypatch):
    monkeypatch.setattr(strips, "WORTH", 0)
    monkeypatch.setattr(strips, "STRIP", 1)
    monkeypatch.setattr(strips, "CHUNK", 32)  # 16 positions of two examples
    model = architectures.build("lstm")
    data = architectures.data(model, 2, {"t": steps})
    lengths = [steps, max(steps - 1, 1)]
    found, expected = (answer(model, data, compiled, lengths=lengths) for compiled in (True, False))
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-10, atol=1e-12, err_msg=key)
    assert any(run.count(True) == 2 and False in run for run in runs) == (steps >= 32)


def test_a_short_sequence_is_not_cut(runs):
    model = architectures.build("lstm")
    answer(model, architectures.data(model, 2, {"t": 100}), compiled=True)
    assert not runs


def arrays():
    rng = np.random.default_rng(0)
    return [rng.standard_normal((7, size, 2)) for size in (3, 4, 5)]


def calls(a, x, y, between=()):
    """Two products that read a; what they come to."""
    outs = [np.full((3, 4), 9.0), np.full((3, 5), 9.0)]
    return [(contraction, (outs[0], a, x, MATRIX)), *between, (contraction, (outs[1], a, y, MATRIX))], outs


def run(program_calls, public):
    program = Program([program_calls], {id(backend.owner(o)) for o in public}, backend.owner)
    for segment in range(len(program.segments)):
        program.run(segment)


def test_what_stands_between_and_touches_nothing_comes_first(narrow, runs):
    a, x, y = arrays()
    other, twice = np.arange(4.0), np.zeros(4)
    found, outs = calls(a, x, y, [(np.add, (other, other, twice))])
    run(found, [*outs, twice])
    assert runs == [[True, True]]
    np.testing.assert_allclose(outs[0], np.einsum("tin,tjn->ij", a, x), rtol=1e-12)
    np.testing.assert_allclose(outs[1], np.einsum("tin,tjn->ij", a, y), rtol=1e-12)
    np.testing.assert_array_equal(twice, 2 * np.arange(4.0))


@pytest.mark.parametrize("changed", ["a", "y", "out"])
def test_what_is_changed_in_between_is_read_in_its_turn(changed, narrow, runs):
    a, x, y = arrays()
    expected = [np.einsum("tin,tjn->ij", a, x), np.einsum("tin,tjn->ij", a * 2 if changed == "a" else a,
                                                         y * 2 if changed == "y" else y)]
    found, outs = calls(a, x, y)
    target = {"a": a, "y": y, "out": outs[0]}[changed]
    found.insert(1, (np.multiply, (target, 2.0, target)))
    run(found, [*outs, a, y])
    np.testing.assert_allclose(outs[0], expected[0] * (2 if changed == "out" else 1), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(outs[1], expected[1], rtol=1e-12, atol=1e-13)
