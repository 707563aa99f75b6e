"""Examples, training on a text and pictures on the cupy backend: NumPy and matplotlib get arrays of the host.

All examples run so with `pytest --standin tests/test_examples.py`; here are those that take a moment.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from on_standin import standin

import tinygrad_rnn as tr
from tinygrad_rnn import backends, jit
from tinygrad_rnn.commands import showcase, text_model, training_figure
from tinygrad_rnn.commands.tasks import task_of
from tinygrad_rnn.errors import BadFile
from tinygrad_rnn.examples.datasets import NotInstalled
from tinygrad_rnn.examples.harness import Run, example
from tinygrad_rnn.training.fit import History
from tinygrad_rnn.viz.flow.flow import gradient_flow, gradient_norms

pytestmark = pytest.mark.device
SHORT = ("hello", "market", "motion", "names", "reber")


@contextlib.contextmanager
def called_on_cupy() -> Iterator[None]:
    """Within it the stand-in computes, call by call: what kernels compute is tested elsewhere."""
    with standin():
        jit.use_jit(False)
        yield


@pytest.fixture
def on_cupy() -> Iterator[None]:
    """A test within `called_on_cupy`."""
    with called_on_cupy():
        yield


@pytest.mark.parametrize("name", SHORT)
def test_an_example_runs(name: str, tmp_path: Path, on_cupy: None) -> None:
    try:
        showcase.run(name, ["--quick", "--out", str(tmp_path)])
    except (NotInstalled, BadFile) as error:
        pytest.skip(str(error))
    assert json.loads((tmp_path / "figure.json").read_text())["figures"]


def test_an_example_takes_the_backend(tmp_path: Path, on_cupy: None, capsys: pytest.CaptureFixture) -> None:
    @example("nothing", "none")
    def main(run: Run) -> None:
        run.say(tr.backend(), backends.precision())

    tr.use_backend("numpy")
    main(["--out", str(tmp_path)])
    main(["--out", str(tmp_path), "--backend", "cupy", "--precision", "tf32"])
    said = [line for line in capsys.readouterr().out.splitlines() if line in ("numpy", "cupy", "float32", "tf32")]
    assert said == ["numpy", "float32", "cupy", "tf32"]
    main(["--out", str(tmp_path), "--precision", "bfloat16"])
    assert (tr.backend(), backends.precision()) == ("cupy", "bfloat16")
    with pytest.raises(tr.Error, match=r"unknown backend 'cup'; there are .*; did you mean 'cupy'"):
        main(["--out", str(tmp_path), "--backend", "cup"])


def test_samples_are_those_of_numpy() -> None:
    letters = tr.data.Vocabulary("abcdef")
    drawn = []
    for computing in (called_on_cupy, contextlib.nullcontext):
        with computing():
            model = tr.graphs.lstm(inputs=6, hidden=5, outputs=6, seed=1)
            drawn.append([text_model.sample(model, letters, 30, warmth, 2, "abc") for warmth in (0, 0.8)])
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("name", ["rnn", "ctc", "chain"])
def test_what_was_learnt_is_drawn(name: str, tmp_path: Path, on_cupy: None) -> None:
    task = task_of(tr.graphs.MODELS[name]())
    model, history = tr.graphs.MODELS[name](**task.sizes), History()
    history.rows.append({"loss": 1.0})
    assert training_figure.draw(model, task, history, tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_the_flow_of_gradients_is_that_of_numpy(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = {"x": rng.standard_normal((3, 7, 2)), "target": rng.integers(0, 4, 3), "lengths": np.array([7, 4, 5])}
    model = tr.graphs.lstm(inputs=2, hidden=5, outputs=4, head="softmax_last")
    expected = gradient_norms(model, data)
    with called_on_cupy():
        found = gradient_norms(model, {name: tr.asarray(value) for name, value in data.items()})
        gradient_flow({"LSTM": model}, data, tmp_path / "flow.png")
        model.weights["W_hy"] = np.zeros((4, 5))
        with pytest.raises(tr.Error, match=r"W_hy, .*between it and loss, are all zero"):
            gradient_flow({"LSTM": model}, data, tmp_path / "flow.png")
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_run_that_stops_is_drawn_as_it_is_on_numpy(tmp_path: Path) -> None:
    """Its lengths lie on the device, like its arrays."""
    drawn = []
    for computing in (called_on_cupy, contextlib.nullcontext):
        with computing():
            model = tr.equations("""
                h[t] = tanh(W @ w[t-1] + U @ h[t-1])
                w[t] = categorical(softmax(V @ h[t]))
            """, w=5, h=3)
            out = model.run(batch=3, steps=4, stop=1, seed=5)
            lengths = tr.to_numpy(out.lengths)
            assert lengths.min() < 4
            drawn.append(model.draw(tmp_path / "a.svg", view="unrolled", steps=4, values=out, colour="value",
                                    example=int(lengths.argmin())).read_text())
    assert drawn[0] == drawn[1]
