"""Models that several threads use at once: the numbers are those of one thread, and one thing is made once."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.node import Node

THREADS = 4


@pytest.fixture(autouse=True)
def _turns() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(work: Callable[[int], object]) -> list:
    """What work(0), work(1), ... gave, each in a thread of its own, begun together. Raises what the first raised."""
    found: list = [None] * THREADS
    begin = threading.Barrier(THREADS)

    def one(k: int) -> None:
        begin.wait()
        try:
            found[k] = work(k)
        except BaseException as error:
            found[k] = error

    threads = [threading.Thread(target=one, args=(k,)) for k in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one_found in found:
        if isinstance(one_found, BaseException):
            raise one_found
    return found


def test_an_expression_is_one_node_whoever_builds_it() -> None:
    counts = itertools.count()
    again = threading.Barrier(THREADS, action=lambda: next(counts))

    def build(_: int) -> list[Node]:
        nodes = []
        for part in range(200):
            again.wait()
            nodes += [Node("ref", (), (("name", f"built_at_once_{part}_{k}"),)) for k in range(50)]
        return nodes

    for same in zip(*at_once(build), strict=True):
        assert all(node is same[0] for node in same)


def lstm() -> tr.Model:
    return tr.graphs.lstm(inputs=5, hidden=6, outputs=5)


def test_what_is_made_at_first_use_is_made_once() -> None:
    text = "w[t] = categorical(softmax(V @ h[t] + b))\nh[t] = tanh(U @ h[t-1] + E @ w[t-1])"
    for _ in range(10):
        model, drawing = lstm(), tr.equations(text, w=4, h=5)
        for same in (at_once(lambda k, m=model: m.weights), at_once(lambda k, m=model: m.grad("loss")),
                     at_once(lambda k, m=drawing: m.observing())):
            assert all(one is same[0] for one in same)


def test_steppers_of_one_model_keep_their_own_state() -> None:
    """All have the same number of examples, so that the first steps of all go through one plan."""
    model, rng = lstm(), np.random.default_rng(0)
    x = rng.normal(size=(THREADS, 2, 6, 5))
    expected = [model.run(x=x[k])["y"] for k in range(THREADS)]

    def steps(k: int) -> float:
        worst = 0.0
        for _ in range(10):
            step = model.stepper(batch=2)
            found = np.stack([step(x=x[k][:, t])["y"] for t in range(6)], 1)
            worst = max(worst, float(abs(found - expected[k]).max()))
        return worst

    assert max(at_once(steps)) < 1e-6


FIRST_USE = """
import threading, numpy as np, tinygrad_rnn as tr
models = [tr.graphs.lstm(inputs=3, hidden=4 + k, outputs=3) for k in range(8)]
begin = threading.Barrier(8)
def work(model):
    begin.wait()
    for _ in range(20):
        model.value_and_grad(x=np.ones((4, 5, 3), "float32"), target=np.zeros((4, 5), int))
threads = [threading.Thread(target=work, args=(model,)) for model in models]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_the_first_use_of_all_is_in_many_threads() -> None:
    for _ in range(3):
        ran = subprocess.run([sys.executable, "-c", FIRST_USE], capture_output=True, text=True, timeout=120)
        assert ran.returncode == 0, ran


def test_a_plan_that_was_lent_comes_back_at_the_next_use() -> None:
    """Not at once: a stepper may go in any thread, while another one looks through the plans."""
    model = lstm()
    step = model.stepper(batch=2)
    for _ in range(3):
        step(x=np.ones((2, 5)))
    before = list(model.plans._plans)
    del step
    assert list(model.plans._plans) == before
    model.run(x=np.ones((2, 3, 5)))
    assert len(model.plans._plans) == len(before) + 2


def test_a_model_and_its_gradient_are_run_at_once() -> None:
    model, rng = lstm(), np.random.default_rng(0)
    data = [{"x": rng.normal(size=(3, 4, 5)), "target": rng.integers(0, 5, (3, 4))} for _ in range(THREADS)]
    expected = [model.value_and_grad(one)[1] for one in data]
    derived = model.grad("loss")
    adjoint = derived.adjoints["W_hi"]
    names = [derived.adjoints[name] for name in model.weights.in_order(model.weights)]

    def work(k: int) -> bool:
        for _ in range(30):
            found = (model.value_and_grad(data[k])[1]["W_hi"] if k % 2
                     else derived.run(data[k], want=["loss", *names])[adjoint])
            if not np.array_equal(found, expected[k]["W_hi"]):
                return False
        return True

    assert all(at_once(work))
