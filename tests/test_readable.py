"""Pictures that stay readable: losses of all layers, cells that are too wide or too many, and which shift is whose."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from geometry import faults

import tinygrad_rnn as tr
from tinygrad_rnn.viz.api import make_scene, make_view
from tinygrad_rnn.viz.blocks.blocks import WIDEST_BACK
from tinygrad_rnn.viz.cell.view import TALLEST
from tinygrad_rnn.viz.graph.roles import roles
from tinygrad_rnn.viz.ops.opgraph import op_dot
from tinygrad_rnn.viz.style import FILLS, FONT, SMALL
from tinygrad_rnn.viz.text import Label, formula, named, width

GRID = """
    h[u,v] = tanh(W @ x[u,v] + A @ h[u-1,v] + B @ h[u,v-1])
    y[u,v] = C @ h[u,v]
    loss = mean(squared_error(y[u,v], target[u,v]))
"""


def shown(label: Label) -> str:
    return "".join(span.text for span in label)


@pytest.mark.parametrize("view", ["unrolled", "backward"])
def test_a_mean_over_layers_reads_them_all(view: str) -> None:
    model = tr.equations(GRID, x=2, h=3, y=2)
    links = make_view(model, view, steps={"u": 4, "v": 3}).links
    for name in ("y", "target"):
        read = [link for link in links if link.target == "loss" and link.out == name]
        assert len(read) == 12 and len({link.source for link in read}) == 12
        assert len({link.net for link in read}) == 1  # on one way
    assert {link.gradient for link in links if link.target == "loss" and link.out == "y"} == {view == "backward"}


def test_layers_of_which_one_is_read() -> None:
    model = tr.equations("h[0,t] = E @ x[t]\nh[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1])\ny[t] = V @ h[3,t]",
                         l=3, x=2, h=4, y=2)
    links = [link for link in make_view(model, "unrolled", steps=2).links if link.out == "h" and "y" in link.target]
    assert len(links) == 2 and len({link.source.partition(".")[0] for link in links}) == 1


def chain(count: int, name: str = "k") -> tr.Model:
    """A cell whose quantities follow from each other, one after another."""
    lines = [f"{name}{i}[t] = sigmoid({name}{i - 1}[t]) * h[t-1]" for i in range(1, count)]
    text = [f"{name}0[t] = tanh(x[t])", *lines, f"h[t] = tanh(W @ {name}{count - 1}[t])", "loss = mean(h[t])"]
    return tr.equations("\n".join(text), x=3, h=3)


def test_steps_at_which_something_reads_nothing_look_like_the_others() -> None:
    """What is before the first step of an input has no box."""
    found = roles(tr.equations("h[t] = x[t]\nc[t] = x[t-1]", x=2).system)
    assert not any(faults(found, view, steps) for view in ("unrolled", "backward") for steps in (1, 2, 4))


def test_a_cell_that_would_be_too_wide_with_gradients_is_closed() -> None:
    for count in range(2, 12):
        scene = make_scene(chain(count), "backward", 3)
        assert all(panel.w <= WIDEST_BACK for panel in scene.panels)
        assert len(scene.panels) in (0, 3)  # closed, or open in every column
        wide = make_scene(chain(count), "backward", 3, detail="gates").panels[0].w
        assert bool(scene.panels) or wide > WIDEST_BACK
    assert not scene.panels and wide > WIDEST_BACK  # with eleven
    assert len(make_scene(chain(3), "backward", 3).panels) == 3
    assert any(w.gradient for w in scene.wires)


@pytest.mark.parametrize("count,said", [(0, "any loss"), (1, "loss_0"), (2, "loss_0 + loss_1"),
                                        (4, "the sum of all losses")])
def test_the_legend_says_of_what_the_gradient_is(count: int, said: str) -> None:
    losses = "".join(f"\nloss_{k} = mean({k + 2} * h[t])" for k in range(count))
    scene = make_scene(tr.equations("h[t] = tanh(w * h[t-1] + x[t])" + losses, w=(), x=3), "backward", 2)
    assert f"L = {said}" in {shown(note.label) for note in scene.notes}


def test_on_a_page_cells_with_gradients_can_be_opened(tmp_path: Path) -> None:
    model = chain(11)
    usual, opened, closed = (model.draw(tmp_path / f"{k}.html", view="backward", steps=2, **options).read_text()
                             for k, options in enumerate([{}, {"detail": "gates"}, {"detail": "closed"}]))
    assert usual == opened != closed


def test_cells_of_two_ranges_share_the_room_of_one() -> None:
    """The columns of an encoder and of a decoder stand side by side."""
    apart, beside = tr.graphs.lstm(), tr.graphs.seq2seq()
    assert make_scene(apart, "backward", 3).panels and not make_scene(beside, "backward", 3).panels
    assert make_scene(beside, "backward", 3).width < 2000 < make_scene(beside, "backward", 3, detail="gates").width


@pytest.mark.parametrize("layers", [1, 2, 5, 8])
def test_many_cells_stand_in_columns(layers: int) -> None:
    scene = make_scene(tr.graphs.gru(layers=layers), "cell")
    panels = scene.panels
    assert len(panels) == layers and scene.height <= TALLEST * scene.width
    columns = sorted({p.x for p in panels})
    for x in columns:
        tops = sorted(p.y for p in panels if p.x == x)
        assert all(b - a > panels[0].h for a, b in pairwise(tops))
    assert len(columns) == (1 if layers < 3 else 2)


def test_wires_from_one_box_to_another_are_as_far_apart_as_their_labels_are_wide() -> None:
    model = tr.equations("k[t] = A @ x[t] + B @ x[t-1] + C @ x[t-12]\ny[t] = D @ k[t]", x=2, k=2, y=2)
    scene = make_scene(model, "folded")
    labels = {shown(note.label): note for note in scene.notes}
    assert {"t−1", "t−12"} <= set(labels)
    ends = sorted(w.points[-1][0] for w in scene.wires if shown(w.label) or w.name.startswith("x -> k"))
    apart = min(b - a for a, b in pairwise(ends))
    assert len(ends) == 3 and apart > width(labels["t−12"].label, SMALL)


@pytest.mark.parametrize("name,symbols", [
    ("W_hidden_forget", "Whidden,forget"), ("a_sigma_hat", "aσ̂"), ("a_y_hat", "aŷ"), ("y_hat", "ŷ"),
    ("next_hat", "nexthat"), ("next_hat_x", "nexthat,x"), ("W_x_bar_y", "Wx̄,y"), ("W_in_hat", "Win,hat"),
    ("a_name_that_is_far_too_long_for_a_symbol", "a_name_that_is_far_too_long_for_a_symbol"),
    ("hidden_representation", "hidden_representation"), ("hidden_state", "hiddenstate")])
def test_names_are_symbols(name: str, symbols: str) -> None:
    assert shown(named(name)) == symbols


def test_conditions_are_signs() -> None:
    text = "y[t] = where(x[t] > 0 and x[t] < 1 or not z[t] > 2, sqrt(x[t] + 1), 0)"
    model = tr.equations(text, x=3, z=3)
    assert text in str(model)
    assert shown(formula(text)) == "y⟨t⟩ = where(x⟨t⟩ > 0 ∧ x⟨t⟩ < 1 ∨ not z⟨t⟩ > 2, √(x⟨t⟩ + 1), 0)"


def test_a_graph_of_operations_tells_weights_from_inputs() -> None:
    model = tr.equations("h[t] = tanh(W @ x[t] + U @ h[t-1])", x=3, h=4)
    text = op_dot([eq.rhs for eq in model.unroll(2).system.equations])
    boxes = {name: line for line in text.splitlines() for name in ("W", "U", "x_1") if f'label="{name}\\n' in line}
    assert FILLS["weight"].fill in boxes["W"] and FILLS["weight"].fill in boxes["U"]
    assert FILLS["input"].fill in boxes["x_1"]
    assert text.splitlines()[1].endswith(f'fontname="{FONT}";')  # of frames too
