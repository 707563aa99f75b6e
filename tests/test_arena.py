"""Arrays of a plan that share memory, and quantities that need none for the steps of a loop."""

from __future__ import annotations

import itertools

import architectures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo import LSTM_CELL

import tinygrad_rnn as tr
from tinygrad_rnn import backends, jit
from tinygrad_rnn.plans import arena
from tinygrad_rnn.plans.arena import FOREVER, Arena, Need
from tinygrad_rnn.plans.feeds import prepared
from tinygrad_rnn.plans.plan import Plan

EXTENTS = [("t",), ("batch",), ("t", "batch"), ("s", "t", "batch")]


@st.composite
def needs(draw):
    """Some arrays: the sizes of features, the dtype, the extents, and when they are needed."""
    found = []
    for _ in range(draw(st.integers(1, 12))):
        first = draw(st.integers(0, 9))
        last = draw(st.one_of(st.integers(first, 9), st.just(FOREVER)))
        dtype = draw(st.sampled_from(["float32", "float64", "bool", "int64"]))
        found.append((draw(st.integers(1, 6)), dtype, draw(st.sampled_from(EXTENTS)), first, last))
    return found


def placed(asked, **sizes):
    memory = Arena(backends.load("numpy"), sizes)
    made = {k: Need((*(sizes[e] for e in extents), features), dtype, extents, first, last)
            for k, (features, dtype, extents, first, last) in enumerate(asked)}
    return memory, made, memory.arrays(made)


@settings(max_examples=80)
@given(needs())
def test_what_is_needed_at_the_same_time_shares_no_byte(asked):
    memory, made, arrays = placed(asked, t=3, s=2, batch=5)
    for k, need in made.items():
        assert arrays[k].shape == need.shape and arrays[k].dtype == need.dtype
    for x, y in itertools.combinations(made, 2):
        if made[x].first <= made[y].last and made[y].first <= made[x].last:
            assert not np.shares_memory(arrays[x], arrays[y])
    assert memory.bytes <= 8 * sum(a.nbytes for a in arrays.values())  # a truth value has room for the widest number


@settings(max_examples=80)
@given(needs())
def test_the_places_do_not_depend_on_lengths(asked):
    """The memory grows as the positions do, from which `footprint` foretells it."""
    sizes = [{"t": t, "s": 2, "batch": 3} for t in (1, 2, 3)]
    one, two, three = (placed(asked, **each)[0].bytes for each in sizes)
    assert three - two == two - one


def test_arrays_own_their_memory_though_they_share_it():
    """What is stored is decided by owner: nothing is read because another array in its place is."""
    memory, _, arrays = placed([(4, "float32", ("t",), 0, 1), (4, "float32", ("t",), 2, 3)], t=5)
    owner = backends.load("numpy").owner
    assert np.shares_memory(arrays[0], arrays[1]) and owner(arrays[0]) is not owner(arrays[1])
    assert memory.bytes == arrays[0].nbytes


def test_what_is_lent_is_used_before_it_is_written():
    memory = Arena(backends.load("numpy"), {"t": 3})
    own = memory.zeros((3, 4), "float32")
    memory.lend(own, ("t",), first=5)
    arrays = memory.arrays({"early": Need((3, 4), "float32", ("t",), 0, 4),
                            "late": Need((3, 4), "float32", ("t",), 5, 6)})
    assert np.shares_memory(arrays["early"], own) and not np.shares_memory(arrays["late"], own)


RAGGED = [("lstm", {}, {"lengths": [4, 1, 3]}), ("layernorm", {}, {"lengths": [4, 1, 3]}),
          ("bidirectional", {}, {"lengths": [2, 4, 1]})]


@pytest.mark.parametrize(("name", "options", "lengths"), [*((*form, {}) for form in architectures.FORMS), *RAGGED],
                         ids=[*architectures.IDS, *(f"{name}-lengths" for name, _, _ in RAGGED)])
def test_nothing_is_read_that_was_not_written(name, options, lengths, monkeypatch):
    """Whatever the memory of an array holds before: nothing of it is in a result."""
    def gradients():
        model = architectures.build(name, **options)
        data = architectures.data(model, 3, architectures.steps_of(model, 4))
        loss, found = model.value_and_grad(data, **lengths)
        return {"loss": loss, **found}

    expected = gradients()
    filled = Arena._array

    def garbage(self, *args):
        found = filled(self, *args)
        found.fill({"f": np.nan, "b": True}.get(found.dtype.kind, 77))
        return found

    monkeypatch.setattr(arena.Arena, "_array", garbage)
    for name, value in gradients().items():
        assert np.array_equal(tr.to_numpy(value), tr.to_numpy(expected[name])), name


def planned(model, steps, want, training=True, **more):
    config, _ = prepared(model.system, want, {"x": np.zeros((2, steps, 16), "float32"), **more}, training=training)
    return Plan(model.system, config, model.weights.arrays, backends.current())


def per_step(make):
    """Arrays of a step's 16 float32 numbers for 2 examples, that one more step takes."""
    return (make(12).bytes - make(10).bytes) / (2 * 2 * 16 * 4)


@pytest.mark.skipif(not jit.enabled(), reason="calls of NumPy need arrays between them")
def test_what_a_step_of_an_lstm_takes():
    model = tr.equations(LSTM_CELL + "    loss = sum(h[t])", x=16, h=16)
    derived = model.grad("loss")
    want = ("loss", *(derived.adjoints[w] for w in model.weights))
    # x, i, f, o, g, c, tanh(c), h, the adjoints of the four products and of c; before them the products of x.
    # For cuBLAS x, h and the four adjoints are laid out as matrices.
    copies = 0 if backends.backend() == "numpy" else 6
    assert per_step(lambda steps: planned(derived, steps, want)) == 13 + copies
    # Forward alone x, the products of x, c and h.
    assert per_step(lambda steps: planned(model, steps, ("h",), training=False)) == 7
    layout = planned(model, 10, ("h",), training=False).parts[0].layout
    assert {name: layout.buffers[name].shape for name in "ifogch"} == {
        **dict.fromkeys("ifog", (16, 2)), **dict.fromkeys("ch", (11, 16, 2))}


def test_every_quantity_is_kept_where_all_are_looked_through():
    model = tr.graphs.lstm(inputs=16, hidden=16, outputs=4)
    config, _ = prepared(model.system, ("y",), {"x": np.zeros((2, 5, 16), "float32")}, check=True)
    layout = Plan(model.system, config, model.weights.arrays, backends.current()).parts[0].layout
    assert not any(layout.held.values())
