"""What a prompt and a notebook show of things that nobody printed: short, and in the notation."""

from __future__ import annotations

import architectures
import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import S, T, n, s, t
from tinygrad_rnn.node import Node, const, walk
from tinygrad_rnn.printing.printer import DEEP, text
from tinygrad_rnn.tensors.tensor import Tensor

LONGEST = 400  # characters that a term of a ready model takes


def elman() -> tr.Model:
    m = tr.Model("elman")
    x, h = m.input("x", 3), m.state("h", 4)
    h[t] = tr.tanh(m.weight("W") @ x[t] + m.weight("U") @ h[t - 1])
    h[0] = m.weight("h_0")
    return m


MADE = elman()
READ = tr.equations("h[t] = tanh(W @ x[t] + U @ h[t-1])", x=3, h=4)
SHOWN = [
    (t, "t"), (T, "T"), (s, "s"), (S, "S"), (n, "n"), (t - 1, "t - 1"), (s <= t, "s <= t"),
    (MADE.input("x")[t], "x[t]"), (MADE["h"][t - 1], "h[t-1]"), (MADE["h"][T], "h[T]"), (MADE["h"][-1], "h[-1]"),
    (2 * tr.sigmoid(MADE["h"][t]) + 1, "2 * sigmoid(h[t]) + 1"),
    (MADE["h"], "h[t] = tanh(W @ x[t] + U @ h[t-1])\nh[0] = h_0"), (READ["h"], "h[t] = tanh(W @ x[t] + U @ h[t-1])"),
    (MADE.input("x"), "<input x>"), (MADE.weight("W"), "<weight W>"),
    (READ["x"], "<input x>"), (READ["W"], "<weight W>"),
    (MADE, "<Model elman: 2 equations, 3 weights>"), (READ, "<Model model: 1 equation, 2 weights>"),
    (tr.Model("m"), "<Model m, not complete: a model needs at least one equation, such as h[t] = tanh(U @ h[t-1] + "
                    "W @ x[t])>"),
    (READ.system, "<System model: 1 equation>"), (READ.system.equations[0], "h[t] = tanh(W @ x[t] + U @ h[t-1])"),
    (READ.unroll(2), "<model unrolled: 2 equations>"),
    (READ.stepper(batch=1), "<Stepper of model, 1 example at a time>"),
    (READ.stepper(batch=2), "<Stepper of model, 2 examples at a time>"), (tr.tanh, "<function tanh>"),
    (tr.graphs.CELLS["lstm"], "<Cell lstm>"),
    (tr.data.streams(np.arange(31), 2, 5), "<Streams of x, target: 3 times 2 streams of 5 steps>"),
    (tr.data.bucketed({"x": [[1, 2], [3], [4, 5, 6]]}, 2), "<Bucketed: 3 examples, 2 at a time>"),
    ((Tensor([1.0, 2.0]) + 1).tanh().node, "tanh(data(2,) + 1)"),
]


@pytest.mark.parametrize(("thing", "shown"), SHOWN, ids=[shown for _, shown in SHOWN])
def test_things_are_shown_in_the_notation(thing: object, shown: str) -> None:
    assert repr(thing) == shown


def test_what_has_no_equation_yet_is_shown_too() -> None:
    m = tr.Model("m")
    assert m._repr_mimebundle_() == {"text/plain": repr(m)}
    assert repr(m.input("x")) == "<input x>" and repr(m.state("h")) == "<h, which no equation defines yet>"


def test_a_cell_is_printed_as_its_equations() -> None:
    cell = tr.graphs.CELLS["lstm"]
    assert str(cell).splitlines()[0].startswith("i[t] = sigmoid(") and str(cell).count("\n") == 5


def test_a_profile_is_shown_as_its_table() -> None:
    profile = tr.graphs.rnn(2, 2, 2).profile({"x": np.ones((1, 2, 2)), "target": np.zeros((1, 2), int)})
    assert repr(profile) == str(profile) and " share " in repr(profile)


@pytest.mark.parametrize("name", tr.graphs.MODELS)
def test_terms_of_models_and_gradients_are_whole_or_have_dots(name: str) -> None:
    model = architectures.build(name).observing()
    depths: dict[Node, int] = {}
    for node in walk(eq.rhs for each in (model, model.grad("loss")) for eq in each.system.equations):
        depths[node] = 1 + max((depths[a] for a in node.args), default=-1)
        shown = repr(node)
        assert len(shown) <= LONGEST and "\n" not in shown and " object at " not in shown
        assert (shown == text(node)) == (depths[node] <= DEEP)


def test_what_is_deep_is_cut_off_and_what_is_shared_does_not_grow() -> None:
    x = const(1.0)
    for _ in range(500):
        x = Node("add", (x, x))
    assert repr(x).count("...") == 2**DEEP
    assert repr(Node("negative", (x,))).startswith("-(")


def test_an_operation_that_no_equation_has_is_shown_too() -> None:
    x = READ["h"][t]
    assert repr(Node("contract", (x, tr.tanh(x)), {"labels": ("a", "a", "")})) == "contract(h[t], tanh(h[t]))"
