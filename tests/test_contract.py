"""Contractions of arrays in any order of memory, with axes of size 1, against einsum."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_rnn import backends
from tinygrad_rnn.fusion.program import Recorder
from tinygrad_rnn.plans.contract import contract

BACKEND = backends.load("numpy")


@st.composite
def operand(draw, labels, sizes):
    """An array with these labels: a view into a larger one whose axes lie in memory in any order."""
    memory = draw(st.permutations(labels))
    room = [draw(st.integers(0, 2)) for _ in memory]
    whole = np.random.default_rng(0).normal(size=[sizes[x] + more for x, more in zip(memory, room, strict=True)])
    view = whole[(*(slice(more, None) for more in room), ...)]
    return view.transpose([memory.index(x) for x in labels])


@st.composite
def contractions(draw):
    """(labels of the result, its array), and of the two operands; each label is in two of the three, or in all."""
    sizes = {x: draw(st.sampled_from([1, 1, 2, 3, 5])) for x in "abcde"}
    places = {x: draw(st.sampled_from(["left result", "right result", "left right", "left right result", "left"]))
              for x in sizes}
    found = []
    for place in ("result", "left", "right"):
        labels = draw(st.permutations([x for x in sizes if place in places[x]]))
        found.append((labels, draw(operand(labels, sizes))))
    return found


@settings(max_examples=300)
@given(contractions())
def test_contractions_are_einsum(case):
    (lo, out), (la, a), (lb, b) = case
    expected = np.einsum(f"{''.join(la)},{''.join(lb)}->{''.join(lo)}", a, b)
    do = Recorder(BACKEND)
    contract(do, out, lo, a, la, b, lb)
    for fn, args in do.calls:
        fn(*args)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)
