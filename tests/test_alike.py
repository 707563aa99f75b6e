"""Cells with very many gates: what is alike is drawn once, and what is too dense is told quickly."""

from __future__ import annotations

import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.errors import BadValue
from tinygrad_rnn.viz.api import make_scene
from tinygrad_rnn.viz.blocks.alike import collapsed
from tinygrad_rnn.viz.blocks.inside import Inside, by_operations
from tinygrad_rnn.viz.cell import view as cellview
from tinygrad_rnn.viz.graph.roles import roles
from tinygrad_rnn.viz.text import string


def many(gates: int, rest: str = "") -> tr.Model:
    """h is a sum of as many gated candidates."""
    lines = [f"g{k}[t] = sigmoid(W_{k} @ x[t] + U_{k} @ h[t-1])\np{k}[t] = tanh(A_{k} @ x[t] + C_{k} @ h[t-1])"
             for k in range(gates)]
    terms = " + ".join(f"g{k}[t] * p{k}[t]" for k in range(gates))
    return tr.equations("\n".join([*lines, f"h[t] = tanh({terms})", rest]), x=3, h=4)


def inside_of(model: tr.Model) -> tuple[Inside, Inside]:
    found = roles(model.system)
    block = next(b for b in found.blocks if b.kind == "cell")
    inside = by_operations(block, found)
    return inside, collapsed(inside, ["h"])


def test_forty_gates_are_one_box() -> None:
    before, after = inside_of(many(40))
    assert len(before.parts) > 120 and len(after.parts) == 5  # a gate, a candidate, ×, tanh h, and what they read
    labels = [string(i.label) for i in after.parts.values()]
    assert "σ g0 … g39   40 alike" in labels and "tanh p0 … p39   40 alike" in labels
    gate = next(i for i in after.parts.values() if i.style == "gate")
    assert gate.name.split(", ") == [f"g{k}" for k in range(40)] and gate.mark is None
    assert all(s in after.parts or s in after.ports for i in after.parts.values() for s in i.sources)
    assert set(after.out.values()) <= set(after.parts)


@pytest.mark.parametrize("gates", [2, 6])
def test_few_are_all_drawn(gates: int) -> None:
    before, after = inside_of(many(gates))
    assert after is before


def test_what_differs_stays_apart() -> None:
    """One gate is read by another block."""
    model = many(20, "y[t] = 2 * g7[t]")
    found = roles(model.system)
    block = next(b for b in found.blocks if b.kind == "cell")
    after = collapsed(by_operations(block, found), ["h", "g7"])
    names = {i.name for i in after.parts.values()}
    assert "g7" in names and "p7" in names and not any("g7," in n for n in names)
    assert sum("alike" in string(i.label) for i in after.parts.values()) == 2


@pytest.mark.parametrize("view,options", [("cell", {}), ("folded", {"detail": "ops"}), ("folded", {"detail": "gates"}),
                                          ("unrolled", {"steps": 2}), ("backward", {"steps": 2})])
def test_every_view_of_many_gates_is_small(view: str, options: dict[str, object]) -> None:
    few, lots = (make_scene(many(k), view, **options) for k in (7, 40))
    assert len(few.shapes) == len(lots.shapes) < 60 and lots.width < few.width + 120


def test_a_cell_that_is_too_dense_is_told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cellview, "PATIENCE", 500)
    with pytest.raises(BadValue, match=r"too dense to draw with view='cell'; use view='unrolled', detail='closed'"):
        make_scene(tr.graphs.lstm(), "cell")
