"""The gradient on its way back: its norms against loops in NumPy and differences, its plot, its animation."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

import tinygrad_rnn as tr
from tinygrad_rnn.errors import BadFile, BadName, BadType, BadValue
from tinygrad_rnn.viz import fading_page, flow_plot
from tinygrad_rnn.viz.fading import fading
from tinygrad_rnn.viz.fading_numbers import colour_at, number, round_up
from tinygrad_rnn.viz.fading_scene import MOST, Picture
from tinygrad_rnn.viz.flow import Flow, flows, gradient_flow, gradient_norms
from tinygrad_rnn.viz.style import FILLS
from tinygrad_rnn.viz.text import string, width

T, N, X, H = 7, 5, 3, 4
RNN = "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)\nloss = mean(squared_error(h[T], z[n]))"
LSTM = """
    i[t] = sigmoid(W_i @ x[t] + U_i @ h[t-1] + b_i)
    f[t] = sigmoid(W_f @ x[t] + U_f @ h[t-1] + b_f)
    o[t] = sigmoid(W_o @ x[t] + U_o @ h[t-1] + b_o)
    g[t] = tanh(W_g @ x[t] + U_g @ h[t-1] + b_g)
    c[t] = f[t] * c[t-1] + i[t] * g[t]
    h[t] = o[t] * tanh(c[t])
    loss = mean(squared_error(h[T], z[n]))
"""
LAYERS = """
    h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1])
    h[0,t] = E @ x[t]
    loss = mean(squared_error(h[2,T], z[n]))
"""


def model(text: str, **sizes: Any) -> tr.Model:
    made = tr.equations(text, dtype="float64", **{"x": X, "h": H, **sizes})
    rng = np.random.default_rng(3)
    for name, shape in made.weights.shapes.items():
        made.weights[name] = rng.normal(0, 0.5, shape)
    return made


def zeroed(m: tr.Model, name: str) -> tr.Model:
    m.weights[name] = np.zeros(m.weights.shapes[name])
    return m


def data(steps: int = T) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {"x": rng.standard_normal((N, steps, X)), "z": rng.standard_normal((N, H))}


def rnn_norms(m: tr.Model, d: dict[str, np.ndarray], lengths: list[int]) -> list[np.ndarray]:
    """Backpropagation through time by hand: ‖∂loss/∂h[t]‖ of each example."""
    W, U, b = (np.asarray(m.weights[k]) for k in ("W", "U", "b"))
    found = []
    for x, z, length in zip(d["x"], d["z"], lengths, strict=True):
        h = [np.zeros(H)]
        for t in range(length):
            h.append(np.tanh(W @ x[t] + U @ h[-1] + b))
        delta = 2 * (h[-1] - z) / (H * N)
        norms = [np.linalg.norm(delta)]
        for t in range(length, 1, -1):
            delta = U.T @ (delta * (1 - h[t] ** 2))
            norms.insert(0, np.linalg.norm(delta))
        found.append(np.array(norms))
    return found


def lstm_loss(m: tr.Model, d: dict[str, np.ndarray], at: int, nudge: np.ndarray) -> float:
    """The loss where `nudge` is added to c[at]."""
    w = {k: np.asarray(v) for k, v in m.weights.items()}
    h, c = np.zeros((N, H)), np.zeros((N, H))
    for t in range(T):
        a = {k: d["x"][:, t] @ w[f"W_{k}"].T + h @ w[f"U_{k}"].T + w[f"b_{k}"] for k in "ifog"}
        i, f, o = (1 / (1 + np.exp(-a[k])) for k in "ifo")
        c = f * c + i * np.tanh(a["g"]) + (nudge if t + 1 == at else 0)
        h = o * np.tanh(c)
    return float(np.mean((h - d["z"]) ** 2))


# -- norms -----------------------------------------------------------------------------------------


def test_norms_of_an_rnn_are_those_of_a_loop() -> None:
    m, d = model(RNN), data()
    by_hand = rnn_norms(m, d, [T] * N)
    assert np.allclose(gradient_norms(m, d), np.mean(by_hand, axis=0), rtol=1e-10)
    assert np.allclose(gradient_norms(m, d, example=3), by_hand[3], rtol=1e-10)


def test_norms_average_over_the_examples_that_reach_a_step() -> None:
    m, d, lengths = model(RNN), data(), [2, 5, 5, 3, 1]
    d["x"][0, 2:] = np.nan  # padding, which may be anything
    by_hand = rnn_norms(m, d, lengths)
    expected = [np.mean([n[t] for n in by_hand if len(n) > t]) for t in range(max(lengths))]
    assert np.allclose(gradient_norms(m, {**d, "lengths": lengths}), expected, rtol=1e-10)
    assert np.allclose(gradient_norms(m, {**d, "lengths": {"t": lengths}}, example=3), by_hand[3], rtol=1e-10)


def test_norms_of_a_cell_state_are_those_of_differences() -> None:
    m, d, eps = model(LSTM), data(), 1e-5
    found = gradient_norms(m, d, state="c")
    for at in range(1, T + 1):
        gradient = np.zeros((N, H))
        for k in np.ndindex(N, H):
            nudge = np.zeros((N, H))
            nudge[k] = eps
            gradient[k] = (lstm_loss(m, d, at, nudge) - lstm_loss(m, d, at, -nudge)) / (2 * eps)
        assert found[at - 1] == pytest.approx(np.linalg.norm(gradient, axis=1).mean(), rel=1e-6)


def test_norms_run_over_all_layers_of_a_state() -> None:
    m, d = model(LAYERS, l=2), data()
    W, U, E = (np.asarray(m.weights[k]) for k in ("W", "U", "E"))
    h1, h2 = [np.zeros((N, H))], [np.zeros((N, H))]
    for t in range(T):
        h1.append(np.tanh(d["x"][:, t] @ E.T @ W[0].T + h1[-1] @ U[0].T))
        h2.append(np.tanh(h1[-1] @ W[1].T + h2[-1] @ U[1].T))
    d1, d2, expected = np.zeros((N, H)), 2 * (h2[-1] - d["z"]) / (H * N), []
    for t in range(T, 0, -1):
        d1 = d1 + (d2 * (1 - h2[t] ** 2)) @ W[1]
        expected.insert(0, np.sqrt((d1**2).sum(axis=1) + (d2**2).sum(axis=1)).mean())
        d1, d2 = (d1 * (1 - h1[t] ** 2)) @ U[0], (d2 * (1 - h2[t] ** 2)) @ U[1]
    assert np.allclose(gradient_norms(m, d), expected, rtol=1e-10)


def test_a_state_from_the_future_is_the_mirror_image() -> None:
    m, d = model(RNN), data()
    mirrored = model(RNN.replace("t-1", "t+1").replace("h[T]", "sum(where(t == 1, h[t], 0), over=t)"))
    for name in m.weights:
        mirrored.weights[name] = m.weights[name]
    found = gradient_norms(mirrored, {**d, "x": d["x"][:, ::-1]})
    assert np.allclose(found, gradient_norms(m, d)[::-1], rtol=1e-10)
    [flow] = flows({"m": mirrored}, d, "loss", None, None)
    assert flow.direction == -1 and flow.backward == list(range(1, T + 1))


@pytest.mark.parametrize("text, state", [
    (RNN, "h"), (LSTM, "h"), (LAYERS, "h"),
    ("k[t] = tanh(P @ x[t] + Q @ k[t-1])\n" + RNN, "h"),  # the loss does not depend on k
    ("s[t] = s[t-1] + P @ x[t]\nloss = mean(squared_error(s[T], z[n]))", "s"),  # no weight multiplies a state
])
def test_the_default_state(text: str, state: str) -> None:
    sizes = {"l": 2} if text is LAYERS else {"k": 2} if "k[t]" in text else {}
    m = tr.equations(text, x=X, **({"s": H} if state == "s" else {"h": H}), **sizes)
    [flow] = flows({"m": m}, data(), "loss", None, None)
    assert (flow.state, flow.index, flow.steps) == (state, "t", T)


# -- the plot --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def models() -> dict[str, tr.Model]:
    return {"RNN": model(RNN), "LSTM": model(LSTM), "_a$b$ <é> & \"c\"": model(LAYERS, l=2)}


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_plots_are_files_of_their_kind_and_the_same_twice(models: dict[str, tr.Model], ending: str,
                                                         tmp_path: Path) -> None:
    files = [gradient_flow(models, data(), tmp_path / f"{k}{ending}", title="$x_ < 1 & so on") for k in range(2)]
    contents = [f.read_bytes() for f in files]
    assert contents[0] == contents[1]
    if ending == ".png":
        with Image.open(files[0]) as image:
            assert image.width > 1200 and len(image.convert("RGB").getcolors(10**6)) > 50
    elif ending == ".svg":
        assert ET.fromstring(contents[0]).tag.endswith("svg")
    else:
        assert contents[0].startswith(b"%PDF") and b"/FontFile2" in contents[0] and b"/Type3" not in contents[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(f.name for f in files)


def test_the_plot_shows_the_norms(models: dict[str, tr.Model], tmp_path: Path,
                                  monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    make = flow_plot.plotted
    monkeypatch.setattr(flow_plot, "plotted", lambda *given: drawn.append(make(*given)) or drawn[-1])
    gradient_flow(models, data(), tmp_path / "a.png", state={"LSTM": "c"}, title="how they start")
    [axes] = drawn[0].axes
    assert axes.get_yscale() == "log" and axes.get_xlabel() == "$t$"
    assert axes.get_ylabel().count(r"\partial L") == 2  # of h and of c
    assert [t.get_text() for t in axes.get_legend().get_texts()] == [
        "RNN (h)", "LSTM (c)", "_a$b$ <é> & \"c\" (h)"]
    for line, (label, m) in zip(axes.get_lines(), models.items(), strict=True):
        assert np.array_equal(line.get_xdata(), np.arange(1, T + 1))
        assert np.allclose(line.get_ydata(), gradient_norms(m, data(), state="c" if label == "LSTM" else "h"))
    assert drawn[0].get_suptitle() == "how they start"
    drawn[0].draw_without_rendering()
    box = drawn[0].bbox
    for text in [*axes.get_legend().get_texts(), axes.yaxis.label, axes.xaxis.label]:
        extent = text.get_window_extent()
        assert box.x0 <= extent.x0 and extent.x1 <= box.x1 and box.y0 <= extent.y0 and extent.y1 <= box.y1


def test_lines_are_told_apart_without_colour_and_stand_out() -> None:
    figure = flow_plot.plotted([Flow(str(k), "loss", "h", "t", 1, np.geomspace(1e-3, 1, 9)) for k in range(40)], "")
    lines = figure.axes[0].get_lines()
    assert len({(line.get_marker(), str(line.get_linestyle()), str(line._dash_pattern)) for line in lines}) == 40
    for colour in flow_plot.COLOURS:
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour)]
        assert 1.05 / (np.dot(linear, (0.2126, 0.7152, 0.0722)) + 0.05) > 2.0, colour


# -- the animation ---------------------------------------------------------------------------------


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
def test_a_cell_takes_its_colour_when_the_gradient_arrives(models: dict[str, tr.Model], ending: str,
                                                          tmp_path: Path) -> None:
    mirrored = model(RNN.replace("t-1", "t+1").replace("h[T]", "sum(where(t == 1, h[t], 0), over=t)"))
    rows = {"RNN": models["RNN"], "LSTM": models["LSTM"], "mirrored": mirrored}
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


# -- the page --------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Tags with their attributes, texts by the tag that holds them, and whether every tag is closed."""

    VOID = ("meta", "link", "input", "br")

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))


@pytest.fixture(scope="module")
def page(models: dict[str, tr.Model], tmp_path_factory: pytest.TempPathFactory) -> str:
    rows = {**models, "</script><b>": models["RNN"]}
    folder = tmp_path_factory.mktemp("page")
    first, again = (fading(rows, data(), folder / f"{k}.html", title="a </title> of <i>") for k in range(2))
    assert first.read_bytes() == again.read_bytes()
    return first.read_text(encoding="utf-8")


def test_the_page_is_whole_and_alone(page: str) -> None:
    found = Page(page)
    assert not {"b", "i", "img", "iframe"} & {tag for tag, _ in found.tags}
    for _, attrs in found.tags:
        assert "style" not in attrs and not any(name.startswith("on") for name in attrs)  # the policy forbids both
        assert not any(v and re.match(r"https?:|//", v) for v in attrs.values())
        assert (attrs.get("href") or "data:").startswith("data:") and "src" not in attrs
    policy = next(a["content"] for tag, a in found.tags if a.get("http-equiv") == "Content-Security-Policy") or ""
    for tag, kind in (("style", "style-src"), ("script", "script-src")):
        text = [t for of, t in found.texts if of == tag][-1]
        assert f"{kind} 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy


def test_the_page_shows_and_says_every_frame(page: str, models: dict[str, tr.Model]) -> None:
    found = Page(page)
    cells = [a for tag, a in found.tags if tag == "g" and "cell" in (a.get("class") or "").split()]
    assert sorted(int(a["data-turn"] or 0) for a in cells) == sorted(list(range(1, T + 1)) * 4)
    frames = json.loads(next(t for tag, t in found.texts if tag == "script"))
    assert len(frames["times"]) == len(frames["said"]) == T + 1
    norms = gradient_norms(models["RNN"], data())
    assert f"t = 2: RNN {norms[1] / norms[-1]:#.2g}" in frames["said"][T - 1]
    assert "</script><b>" in frames["said"][1]
    table = [t for tag, t in found.texts if tag == "td"]
    assert len(table) == T * 4 and table[0] == f"{norms[0] / norms[-1]:#.2g}"


def test_the_page_serves_keys_readers_and_those_who_want_no_motion(page: str) -> None:
    found = Page(page)
    by_id = {a["id"]: (tag, a) for tag, a in found.tags if "id" in a}
    assert by_id["frame"][1] | {"type": "range", "min": "0", "max": str(T)} == by_id["frame"][1]
    assert by_id["now"][1]["aria-live"] == "polite" and by_id["play"][0] == "button"
    svg = next(a for tag, a in found.tags if tag == "svg")
    assert svg["role"] == "img" and by_id[svg["aria-labelledby"]][0] == "desc"
    for needed in ("prefers-reduced-motion: reduce", "ArrowLeft", "ArrowRight", "Home", "End", "' ': turn"):
        assert needed in fading_page.PROGRAM
    assert "prefers-color-scheme:dark" in page and not {"transition", "animation"} & set(re.findall(r"[a-z]+", page))


# -- mistakes --------------------------------------------------------------------------------------

BAD: list[tuple[dict[str, Any], type[tr.Error], str]] = [
    ({"models": {"A": model("h[t] = tanh(W @ x[t])\nloss = mean(squared_error(h[T], z[n]))")}}, BadValue,
     "the model 'A': no quantity is recurrent"),
    ({"of": "h"}, BadValue, "the model 'A': a gradient is of a single number, but h"),
    ({"of": "lss"}, BadName, "no quantity 'lss'; did you mean 'loss'"),
    ({"data": {**data(), "x": np.where(np.arange(T)[:, None] == 2, np.nan, data()["x"])}}, BadValue,
     "the model 'A': the input x is NaN first at [0, 2, 0] (example 0, t = 3)"),
    ({"data": data(1)}, BadValue, "the model 'A': h has one step; a gradient over t needs at least 2"),
    ({"data": {"x": data()["x"]}}, BadValue, "needs the input z"),
    ({"data": [1]}, BadType, "data is a dict of arrays"),
    ({"data": {"B": data()}}, BadName, "data is given for 'B'; the models are 'A'"),
    ({"models": {"A": model(RNN), "B": model(RNN)}, "data": {"A": data()}}, BadName, "lacks that of 'B'"),
    ({"models": model(RNN)}, BadType, "models are given by label"),
    ({"models": {}}, BadValue, "no model to show"),
    ({"models": {"A": "lstm"}}, BadType, "the model 'A': a model made by tinygrad_rnn.equations"),
    ({"state": "hh"}, BadName, "no quantity 'hh'; did you mean 'h'"),
    ({"state": "U"}, BadValue, "U is a weight"),
    ({"state": "loss"}, BadValue, "loss has no index to run along"),
    ({"state": 3}, BadType, "state is the name of a quantity"),
    ({"state": {"B": "h"}}, BadName, "state is given for 'B'"),
    ({"models": {"A": model("k[t] = tanh(P @ x[t] + Q @ k[t-1])\n" + RNN, k=2)}, "state": "k"}, BadValue,
     "with respect to k is zero at every step: loss does not depend on it; name another with state=, such as 'h'"),
    ({"models": {"A": model(RNN.replace("h[T], z", "where(h[T] > 0, 1, 0), z"))}}, BadValue,
     "zero at every step: loss depends on it only through what has no derivative"),
    ({"models": {"A": zeroed(model(RNN.replace("h[T], z", "V @ h[T], z"), V=(H, H)), "V")}}, BadValue,
     "zero at every step: V, between it and loss, is all zero"),
    ({"example": N}, BadValue, "example is one of 0 to 4, not 5"),
    ({"example": 0.5}, BadType, "example is a whole number"),
    ({"title": 3}, BadType, "title is text"),
    ({"path": "a.xyz"}, BadValue, "ends in .xyz"),
    ({"path": "a"}, BadValue, "has no ending"),
    ({"path": "missing/a.png"}, BadFile, "cannot write"),
]


@pytest.mark.parametrize("draw", [gradient_flow, fading])
@pytest.mark.parametrize("given, kind, said", BAD)
def test_mistakes_are_named(draw: Any, given: dict[str, Any], kind: type[tr.Error], said: str, tmp_path: Path) -> None:
    call = {"models": {"A": model(RNN)}, "data": data(), "path": "a.png", **given}
    with pytest.raises(kind) as raised:
        draw(call.pop("models"), call.pop("data"), tmp_path / call.pop("path"), **call)
    assert said in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_rows_of_an_animation_have_the_same_steps(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="the model 'B' has 4 steps and 'A' has 7"):
        fading({"A": model(RNN), "B": model(RNN)}, {"A": data(), "B": data(4)}, tmp_path / "a.gif")
    gradient_flow({"A": model(RNN), "B": model(RNN)}, {"A": data(), "B": data(4)}, tmp_path / "a.png")


@pytest.mark.parametrize("name", ["alpha_hat", "état", "h_1_2", "状態", "d_h", "y_dot", "_", "W__x"])
def test_any_name_of_a_state_is_drawn(name: str, tmp_path: Path) -> None:
    m = tr.equations(RNN.replace("h[", f"{name}["), x=X, **{name: H})
    for ending in ("a.png", "a.gif", "a.html"):
        (gradient_flow if ending == "a.png" else fading)({"A": m}, data(3), tmp_path / ending)


def test_norms_need_no_drawing_library() -> None:
    code = ("import sys, tinygrad_rnn.viz.fading, tinygrad_rnn.viz.flow\n"
            "sys.exit(bool({'matplotlib', 'PIL'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
