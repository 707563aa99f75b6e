"""What the inside of a cell shows of its equations: numbers that multiply, squares, 1 - a, and what sets its ends."""

from __future__ import annotations

import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.viz.api import make_scene, make_view
from tinygrad_rnn.viz.blocks.inside import by_operations
from tinygrad_rnn.viz.graph.roles import roles
from tinygrad_rnn.viz.text import string

RISING = tr.equations("""
    h[0,t] = x[t]
    h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1] + G @ m[t-1])
    m[t] = tanh(Q @ h[L,t] + Z @ m[t-1])
    y[t] = softmax(O @ m[t])""", l=3, x=4, h=4, m=3, y=2)


def labels(text: str, **sizes: int) -> list[str]:
    """Of the boxes and circles of a model's one cell."""
    found = roles(tr.equations(text, **sizes).system)
    cell = next(b for b in found.blocks if b.kind == "cell")
    return [string(part.label) for part in by_operations(cell, found).parts.values()]


def test_a_number_that_multiplies_a_function_is_written_in_its_box() -> None:
    """A Mogrifier's 2 σ(Q h) ⊙ x, as its authors write it."""
    found = labels("h[t] = 2 * sigmoid(Q @ h[t-1]) * x[t] + tanh(P @ h[t-1]) * -0.5", x=3)
    assert {"2σ", "−0.5 tanh", "×", "+"} <= set(found) and "2×" not in found


def test_the_one_of_a_difference_is_no_bias() -> None:
    """sqrt(1 - a * a), as in an RG-LRU, is not the root of a; the 1 in sigmoid(W @ x + 1) is swallowed as a bias is."""
    found = labels("""
        a[t] = sigmoid(W @ x[t] + A @ h[t-1] + 1)
        h[t] = a[t] * h[t-1] + sqrt(1 - a[t] * a[t]) * x[t]""", x=3)
    assert {"(·)2", "1−", "√"} <= set(found) and "1+" not in found and len(found) == 7


@pytest.mark.parametrize("view", ["folded", "unrolled", "backward"])
@pytest.mark.parametrize("detail", ["closed", "gates", "ops"])
def test_what_sets_the_first_of_layers_that_stay_inside_is_read(view: str, detail: str) -> None:
    """h runs over layers and m does not, so layers stay inside of the cell; its input is drawn as going there."""
    found = make_view(RISING, view, detail=detail, **({} if view == "folded" else {"steps": 2}))
    links = {(li.source.split(".")[0], li.target.split(".")[0]) for li in found.links}
    assert ("x", "h") in links
    assert all(li.port in found.boxes[li.target].template.ins for li in found.links)


def test_what_runs_over_more_than_its_reader_stands_where_it_is_read() -> None:
    """A memory that looks at patches x[s,t] of every frame: columns are frames, and in each all patches are read."""
    model = tr.equations("""
        a[s,t] = softmax(dot(m[t-1], K @ x[s,t]), over=s)
        m[t] = tanh(R @ m[t-1] + sum(a[s,t] * (W @ x[s,t]), over=s))
        y[t] = V @ m[t]""", x=4, m=4, y=3)
    scene = make_scene(model, "unrolled", {"s": 5, "t": 3})
    shown = sorted(string(s.label) for s in scene.shapes if string(s.label).startswith("x"))
    assert shown == ["x⟨s,1⟩", "x⟨s,2⟩", "x⟨s,3⟩"]
    assert {(li.source, li.target) for li in make_view(model, "unrolled", {"s": 5, "t": 3}).links if li.out == "x"} == {
        (f"x.{k}", f"a.{k}") for k in range(3)}
