"""The gradient on its way back as an animation: the colours of its frames, its ways, and its numbers."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from flows import LSTM, RNN, H, N, T, data, mirrored, model
from PIL import Image

from tinygrad_rnn.viz.fading.fading import fading
from tinygrad_rnn.viz.fading.numbers import colour_at, number, round_up
from tinygrad_rnn.viz.fading.scene import MOST, Picture
from tinygrad_rnn.viz.flow.flow import Flow, flows, gradient_norms
from tinygrad_rnn.viz.style import FILLS, LINES
from tinygrad_rnn.viz.text import string, width


def frames(file: Path) -> list[np.ndarray]:
    with Image.open(file) as image:
        found = []
        for k in range(image.n_frames):
            image.seek(k)
            found.append(np.asarray(image.convert("RGB")).astype(int))
        assert image.info.get("loop") == 0
    return found


def rgb(colour: str) -> list[int]:
    return [int(colour[k : k + 2], 16) for k in (1, 3, 5)]


@pytest.mark.parametrize("ending", [".gif", ".png", ".apng"])
def test_a_cell_takes_its_colour_when_the_gradient_arrives(ending: str, tmp_path: Path) -> None:
    rows = {"RNN": model(RNN), "LSTM": model(LSTM), "mirrored": mirrored()}
    file = fading(rows, data(), tmp_path / f"a{ending}", state={"LSTM": "c"})
    again = fading(rows, data(), tmp_path / f"b{ending}", state={"LSTM": "c"})
    assert file.read_bytes() == again.read_bytes()
    shown = frames(file)
    assert len(shown) == T + 1
    picture = Picture(tuple(flows(rows, data(), "loss", {"LSTM": "c"}, None)), "")
    scale = shown[0].shape[1] / picture.width
    low, top = picture.exponents
    for row, (label, m) in zip(picture.rows, rows.items(), strict=True):
        norms = gradient_norms(m, data(), state="c" if label == "LSTM" else "h")
        order = range(1, T + 1) if label == "mirrored" else range(T, 0, -1)
        for cell in row.cells:
            ratio = norms[cell.step - 1] / norms[order[0] - 1]
            place = (np.log10(ratio) - low) / (top - low)
            x, y = round(cell.x * scale), round((cell.y - picture.diameter * 0.36) * scale)  # above the text
            for k, frame in enumerate(shown):
                came = cell.step in list(order)[:k]
                expected = rgb(colour_at(place)) if came else rgb(FILLS["state"].fill)
                assert np.abs(frame[y, x] - expected).max() <= 6, (label, cell.step, k)


def test_arrows_have_the_colours_of_the_states_that_they_carry(tmp_path: Path) -> None:
    rows = {"RNN": model(RNN), "LSTM": model(LSTM), "of h": model(LSTM)}
    state = {"RNN": "h", "LSTM": "c", "of h": "h"}
    picture = Picture(tuple(flows(rows, data(), "loss", state, None)), "")
    assert [{w.style for c in row.cells for w in picture.forward(row, c)} for row in picture.rows] == [
        {"h"}, {"c"}, {"h"}]
    page = fading(rows, data(), tmp_path / "a.html", state=state).read_text()
    assert page.count('<g class="c"><path') == T and page.count('<g class="h"><path') == 2 * T
    assert ".c .line{stroke:var(--c-line)}" in page and LINES["c"].colour in page


EVERY = "loss = mean(squared_error(h[t], y[t]))"
LAST = "loss = mean(squared_error(h[T], z[n]))"
WAYS = [
    ("h[t] = tanh(W @ x[t] + U @ h[t-1])\n" + LAST, (1,), [7]),
    ("h[t] = tanh(W @ x[t] + U @ h[t-1])\n" + EVERY, (1,), [1, 2, 3, 4, 5, 6, 7]),
    ("h[t] = tanh(W @ x[t] + U @ h[t-2])\n" + LAST, (2,), [7]),
    ("h[t] = tanh(W @ x[t] + U @ h[t-1] + V @ h[t-3])\nloss = mean(squared_error(h[t-1], y[t]))", (1, 3),
     [1, 2, 3, 4, 5, 6]),
    ("h[t] = tanh(W @ x[t] + U @ h[t+1])\nloss = mean(squared_error(sum(where(t == 1, h[t], 0), over=t), z[n]))", (1,),
     [1]),
    ("h[t] = tanh(W @ x[t] + U @ h[t-1])\nk[t] = h[t] + 0.5 * k[t-1]\n" + LAST.replace("h[", "k["), (1,),
     [1, 2, 3, 4, 5, 6, 7]),
]


@pytest.mark.parametrize("text, distances, entries", WAYS)
def test_the_gradient_takes_the_ways_of_the_equations(text: str, distances: tuple[int, ...], entries: list[int],
                                                     tmp_path: Path) -> None:
    m = model(text)
    given = {"x": data()["x"], "z": data()["z"], "y": np.random.default_rng(2).standard_normal((N, T, H))}
    given = {k: v for k, v in given.items() if k in m.system.quantities}
    [flow] = flows({"m": m}, given, "loss", "h", None)
    assert flow.distances == distances and list(flow.entries or ()) == entries
    picture = Picture((flow,), "")
    [row] = picture.rows
    for cell in row.cells:
        sources = {cell.step + row.loss_at * d for d in distances} & set(range(1, T + 1))
        arrows = picture.gradient(row, cell)
        assert len(arrows) == len(picture.forward(row, cell)) == len(sources) + (cell.step in entries)
        box, middles = picture.box(row), {c.step: c.x for c in row.cells}
        starts = sorted(w.points[0][0] for w in arrows)
        ends = [middles[s] for s in sources] + [box.centre[0]] * (cell.step in entries)
        reach = max(picture.diameter, box.w) / 2 + 1
        assert all(abs(a - b) <= reach for a, b in zip(starts, sorted(ends), strict=True))
        assert all(abs(w.points[-1][0] - cell.x) <= picture.diameter / 2 for w in arrows)
    assert len(frames(fading({"m": m}, given, tmp_path / "a.gif", state="h"))) == T + 1


def test_up_to_thirty_steps_all_are_shown_and_then_some_and_it_says_so(tmp_path: Path) -> None:
    def picture(steps: int) -> Picture:
        return Picture((Flow("m", "loss", "h", "t", 1, np.geomspace(1e-3, 1, steps)),), "")

    assert picture(MOST).steps == tuple(range(1, MOST + 1)) and "shown" not in picture(MOST).explanation()
    for steps in (31, 40, 100, 101, 1000, 12345):
        some = picture(steps)
        assert some.steps[0] == 1 and some.steps[-1] == steps and len(some.steps) <= MOST
        assert f"of {steps} steps is shown" in some.explanation()
        [row] = some.rows
        dotted = [cell.step for cell in row.cells if some.dots(row, cell)]
        assert dotted == [s for s, after in zip(some.steps, some.steps[1:], strict=False) if after - s > 1]
        assert {string(n.label) for cell in row.cells for n in some.dots(row, cell)} == {"⋯"}
    file = fading({"m": model(RNN)}, data(40), tmp_path / "a.gif")
    assert len(frames(file)) == len(picture(40).steps) + 1


def test_nothing_of_the_picture_overlaps_or_leaves_it() -> None:
    long = Flow("a long name of a model " * 4, "loss_of_all", "state_of_it", "t", -1, np.geomspace(1, 1e-30, 12))
    picture = Picture((long, Flow("b", "loss", "h", "t", 1, np.geomspace(1e-4, 50, 12))), "title " * 9)
    scene = picture.scene(lit=True, now=True)
    for shape in scene.shapes:
        assert shape.x >= 0 and shape.x + shape.w <= scene.width and shape.y + shape.h <= scene.height
    for row in picture.rows:
        boxes = [picture.circle(row, c, True) for c in row.cells] + [picture.box(row)]
        for a, b in combinations(boxes, 2):
            assert a.x + a.w < b.x or b.x + b.w < a.x
        for c, after in pairwise(row.cells):
            wide = sum(width(picture.readout(row, cell).label, 11) for cell in (c, after))
            assert wide < 2 * (after.x - c.x)
    assert string(picture.ticks()[-1][1]).startswith("≤")  # 1e-30 lies below the scale


def test_numbers_are_short() -> None:
    ratios = (0.0, 1.0, 0.13, 0.00996, 1.34e-4, 12.3, 99.7, 4e5)
    assert [string(number(r)) for r in ratios] == ["0", "1.0", "0.13", "0.010", "1.3·10−4", "12", "100", "4.0·105"]
    assert [round_up(n) for n in (2, 3, 5, 6, 11, 21, 26, 60, 101, 300)] == [2, 3, 5, 10, 20, 25, 50, 100, 200, 500]
