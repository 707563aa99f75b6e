"""Ctrl-C at any line of training, and going on from the checkpoint: the same bits as without a stop."""

from __future__ import annotations

import math
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.checkpoints import load_checkpoint
from tinygrad_rnn.training.interrupts import Interrupts

TAGGER = """
    h[t] = tanh(U @ h[t-1] + W @ dropout(x[t], 0.3) + b)
    y[t] = softmax(V @ h[t] + c)
    loss = mean(cross_entropy(y[t], target[t]))
"""
WRITER = """
    h[t] = tanh(W @ w[t-1] + U @ h[t-1])
    w[t] = categorical(softmax(V @ h[t]))
"""
RNG = np.random.default_rng(0)
X, TARGET = RNG.standard_normal((7, 6, 2)), RNG.integers(0, 4, (7, 6))
LENGTHS = [6, 2, 4, 3, 6, 5, 1]
DATA = {"x": X, "target": TARGET}
LISTS = {name: [a[:n] for a, n in zip(values, LENGTHS, strict=True)] for name, values in DATA.items()}
STREAMS = tr.data.streams({"x": RNG.standard_normal((60, 2)), "target": RNG.integers(0, 4, 60)}, 2, 6)
CASES = {
    "schedule": (TAGGER, DATA, {"optimizer": lambda: tr.AdamW(tr.Cosine(0.1, 6, 2)), "clip": 0.2, "wrt": ["U", "W"]}),
    "early stop": (TAGGER, DATA, {"patience": 1, "valid": {"x": X[:2], "target": TARGET[1:3]}}),
    "lists": (TAGGER, LISTS, {"optimizer": lambda: tr.SGD(0.1, momentum=0.9)}),
    "segments": (TAGGER, DATA, {"memory": "sqrt"}),
    "truncated": (TAGGER, DATA, {"truncate": 2}),
    "streams": (TAGGER, STREAMS, {"carry_state": True, "truncate": 4}),
    "scheduled sampling": (WRITER, {"w": TARGET}, {"scheduled_sampling": lambda k: min(1, k / 4)}),
}


def train(name, epochs=2, **more):
    text, data, options = CASES[name]
    model = tr.equations(text, h=3, **({"w": 4} if text is WRITER else {"x": 2, "y": 4}))
    options = {"batch_size": 3, "optimizer": lambda: tr.Adam(0.1), **options, **more}
    history = model.fit(data, epochs=epochs, progress=False, save_every=1e9,
                        **{**options, "optimizer": options["optimizer"]()})
    return {k: np.array(w) for k, w in model.weights.items()}, history


class Lines:
    """Counts the lines of training that are done, and at one of them does what Ctrl-C does."""

    FILES = ("fit.py", "updates.py", "optim.py", "batches.py", "counts.py", "interrupts.py")

    def __init__(self, stop: int = 0):
        self.stop, self.count = stop, 0

    def __call__(self, frame, event, arg):
        path = Path(frame.f_code.co_filename)
        ours = path.parent.name == "training" and path.name in self.FILES and frame.f_code.co_name != "_save"
        return self.line if ours else None

    def line(self, frame, event, arg):
        self.count += event == "line"
        if event == "line" and self.count == self.stop:
            signal.raise_signal(signal.SIGINT)
        return self.line

    def around(self, *args, **options):
        before = sys.gettrace()
        sys.settrace(self)
        try:
            train(*args, **options)
        finally:
            sys.settrace(before)


@pytest.mark.parametrize("name", list(CASES))
def test_training_that_was_interrupted_goes_on_with_the_same_bits(name, tmp_path):
    weights, history = train(name)
    lines = Lines()
    lines.around(name)
    stopped = 0
    for k, stop in enumerate(np.random.default_rng(1).integers(1, lines.count, 3).tolist()):
        path = tmp_path / f"{k}.safetensors"
        with pytest.raises(KeyboardInterrupt):
            Lines(stop).around(name, checkpoint=path)
        if not path.exists():  # stopped before training began
            continue
        stopped += 1
        again, found = train(name, checkpoint=path, resume=True)
        for key, value in weights.items():
            np.testing.assert_array_equal(again[key], value, err_msg=f"{key}, stopped at line {stop}")
        assert [row["loss"] for row in found.steps] == [row["loss"] for row in history.steps]
        assert found.loss == history.loss
        assert found.valid_loss == history.valid_loss or all(map(math.isnan, found.valid_loss))
    assert stopped


def test_early_stopping_goes_on_from_the_last_weights_not_the_best(tmp_path):
    path, options = tmp_path / "c.safetensors", {"patience": 6, "valid": {"x": X[:2], "target": (TARGET[:2] + 1) % 4}}
    weights, history = train("early stop", epochs=6, **options)
    assert np.argmin(history.valid_loss) < 5  # the best are not the last
    for epochs in range(1, 7):
        found, again = train("early stop", epochs=epochs, checkpoint=path, resume=epochs > 1, **options)
        kept = tr.load(path).weights
        assert all((kept[k] == w).all() for k, w in found.items())  # what is loaded is the best so far
    assert all((found[k] == w).all() for k, w in weights.items()) and again.valid_loss == history.valid_loss
    longer, _ = train("early stop", epochs=7, checkpoint=path, resume=True, **{**options, "patience": None})
    whole, _ = train("early stop", epochs=7, **{**options, "patience": None})
    assert all((longer[k] == w).all() for k, w in whole.items())


@pytest.mark.filterwarnings("ignore:the loss of the validation data is nan")
def test_a_validation_loss_that_is_no_number_is_not_the_best():
    values = iter([math.nan, 3.0, 2.0, 5.0])

    class Judged:
        def __iter__(self):
            yield {"x": np.full((1, 1), next(values))}

    linear = tr.equations("loss = mean(w + x[t])", w=(), x=())
    linear.weights["w"] = 0.0
    linear.fit({"x": np.ones((1, 1))}, epochs=4, patience=4, progress=False, optimizer=tr.SGD(1.0), valid=Judged())
    np.testing.assert_array_equal(linear.weights["w"], -3.0)  # judged w + x: nan, 3 - 2, 2 - 3, 5 - 4


def test_segments_of_a_batch_are_saved_one_by_one(tmp_path):
    path = tmp_path / "c.safetensors"
    x = X.copy()
    x[0, 5] = np.nan
    model = tr.equations(TAGGER, x=2, h=3, y=4)
    with pytest.raises(tr.Error, match="nan at update 3"):
        model.fit({"x": x, "target": TARGET}, truncate=2, batch_size=7, progress=False, checkpoint=path)
    arrays, meta = load_checkpoint(path)
    assert int(arrays["optimizer.step"]) == 2 and '"part": 2' in meta["fit"]


def test_an_interrupt_waits_and_comes_once():
    seen, interrupts = [], Interrupts()
    with pytest.raises(KeyboardInterrupt), interrupts.awaited():
        with interrupts:
            with interrupts:
                signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            seen.append("whole")
        seen.append("never")
    assert seen == ["whole"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt), interrupts.awaited():
        signal.raise_signal(signal.SIGINT)
        seen.append("at once")
    assert seen == ["whole"]


def test_elsewhere_than_in_the_main_thread_nothing_is_awaited():
    before, interrupts = signal.getsignal(signal.SIGINT), Interrupts()
    found = []

    def work():
        with interrupts.awaited(), interrupts:
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]


@pytest.mark.parametrize(("other", "message"), [
    ({"optimizer": tr.SGD()}, "another optimizer or for other weights"),
    ({"wrt": ["b"]}, "another optimizer or for other weights"),
])
def test_a_checkpoint_of_other_training_is_refused_and_changes_nothing(other, message, tmp_path):
    path = tmp_path / "c.safetensors"
    train("schedule", epochs=1, checkpoint=path)
    model = tr.equations(TAGGER, x=2, h=3, y=4)
    before = {k: np.array(w) for k, w in model.weights.items()}
    with pytest.raises(tr.Error, match=message):
        model.fit(DATA, checkpoint=path, resume=True, progress=False, **other)
    assert all((model.weights[k] == w).all() for k, w in before.items())


def test_sizes_in_another_order_are_the_same_model(tmp_path):
    path = tmp_path / "c.safetensors"
    tr.equations(TAGGER, x=2, h=3, y=4).fit(DATA, checkpoint=path, progress=False)
    again = tr.equations(TAGGER, y=4, h=3, x=2).fit(DATA, checkpoint=path, progress=False, resume=True, epochs=2)
    assert len(again.rows) == 2


def test_a_checkpoint_in_another_precision_is_refused(tmp_path):
    path = tmp_path / "c.safetensors"
    tr.equations(TAGGER, x=2, h=3, y=4, dtype="float64").fit(DATA, checkpoint=path, progress=False)
    with pytest.raises(tr.Error, match=r"float64.*float32"):
        tr.equations(TAGGER, x=2, h=3, y=4).fit(DATA, checkpoint=path, progress=False, resume=True)
