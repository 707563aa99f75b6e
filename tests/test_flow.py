"""The gradient on its way back: its norms against loops in NumPy and differences, and its plot."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from flows import LAYERS, LSTM, RNN, H, N, T, X, data, many, mirrored, model
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

import tinygrad_rnn as tr
from tinygrad_rnn.viz.flow import plot as flow_plot
from tinygrad_rnn.viz.flow.flow import Flow, flows, gradient_flow, gradient_norms


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
        a = {k: d["x"][:, t] @ w[f"W_x{k}"].T + h @ w[f"W_h{k}"].T + w[f"b_{k}"] for k in "ifog"}
        i, f, o = (1 / (1 + np.exp(-a[k])) for k in "ifo")
        c = f * c + i * np.tanh(a["g"]) + (nudge if t + 1 == at else 0)
        h = o * np.tanh(c)
    return float(np.mean((h - d["z"]) ** 2))


# -- norms -----------------------------------------------------------------------------------------


def test_lengths_without_an_index_are_of_t() -> None:
    m = tr.equations("""
        k[s] = tanh(A @ w[s] + B @ k[s-1])
        h[t] = tanh(W @ x[t] + U @ h[t-1])
        h[0] = k[S]
        loss = mean(h[t] ** 2)""", x=2, w=2, h=3, dtype="float64")
    d = {"x": np.ones((2, 4, 2)), "w": np.ones((2, 6, 2))}
    found = gradient_norms(m, {**d, "lengths": [2, 4]}, state="k")
    assert found.shape == (6,)
    assert np.allclose(found, gradient_norms(m, {**d, "lengths": {"t": [2, 4]}}, state="k"))


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
    m, turned, d = model(RNN), mirrored(), data()
    for name in m.weights:
        turned.weights[name] = m.weights[name]
    found = gradient_norms(turned, {**d, "x": d["x"][:, ::-1]})
    assert np.allclose(found, gradient_norms(m, d)[::-1], rtol=1e-10)
    [flow] = flows({"m": turned}, d, "loss", None, None)
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


def test_norms_need_no_drawing_library() -> None:
    code = ("import sys, tinygrad_rnn.viz.fading, tinygrad_rnn.viz.flow\n"
            "sys.exit(bool({'matplotlib', 'PIL'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- the plot --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def models() -> dict[str, tr.Model]:
    return many()


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
